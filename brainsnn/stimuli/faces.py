"""Small photographs of faces and non-faces that need no download."""

import numpy as np

from brainsnn.optional import optional_packages

__all__ = ["load_faces"]

#: Seed of the split that all results refer to. Never change it.
SPLIT_SEED = 20192
N_FACES, N_TEST, SIZE = 100, 40, 28


def load_faces(split="test"):
    """
    Return faces, or patches without a face, at the size of a digit; they ship with scikit-image.

    Parameters
    ----------
    split : {"train", "test", "other"}
        60 faces for training, the other 40 for testing, or 100 patches of the same photographs without a face.

    Returns
    -------
    images : ndarray of float32, shape (n_images, 28, 28, 1)
        Gray values from 0 to 1: 25 x 25 pixels, padded by repeating the edge.

    Raises
    ------
    ValueError
        If `split` has another value.
    ImportError
        If scikit-image is not installed.

    References
    ----------
    Huang, Ramesh, Berg, Learned-Miller (2007), Labeled Faces in the Wild, University of Massachusetts, Amherst.

    Examples
    --------
    >>> load_faces("train").shape
    (60, 28, 28, 1)
    """
    if split not in ("train", "test", "other"):
        raise ValueError(f"load_faces: split must be 'train', 'test' or 'other', got {split!r}.")
    with optional_packages("load_faces"):
        from skimage.data import lfw_subset
    patches = lfw_subset()
    before = (SIZE - patches.shape[1]) // 2
    margin = (before, SIZE - patches.shape[1] - before)
    images = np.pad(patches, ((0, 0), margin, margin), mode="edge")[..., None].astype(np.float32)
    order = np.random.default_rng(SPLIT_SEED).permutation(N_FACES)
    chosen = {"train": order[N_TEST:], "test": order[:N_TEST], "other": np.arange(N_FACES, len(images))}
    return images[chosen[split]]
