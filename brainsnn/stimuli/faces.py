"""Small photographs of faces, and of what is no face, that need no download."""

import numpy as np

from brainsnn.optional import optional_packages

__all__ = ["load_faces"]

#: Seed of the one split that all results refer to; never change it.
SPLIT_SEED = 20192
N_FACES, N_TEST, SIZE = 100, 40, 28


def load_faces(split="test"):
    """
    Faces and other patches of photographs that ship with scikit-image, the size of a digit.

    Parameters
    ----------
    split : {"train", "test", "other"}
        60 faces to learn from, the other 40 to test, or 100 patches of the same photographs without a face.

    Returns
    -------
    images : ndarray of float32, shape (n_images, 28, 28, 1)
        Gray values from 0 to 1: 25 x 25 pixels with their edge repeated.

    Raises
    ------
    ValueError
        If `split` is none of the three.
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
        raise ValueError(f"load_faces: split={split!r}; choose 'train', 'test' or 'other'.")
    with optional_packages("load_faces"):
        from skimage.data import lfw_subset
    patches = lfw_subset()
    before = (SIZE - patches.shape[1]) // 2
    margin = (before, SIZE - patches.shape[1] - before)
    images = np.pad(patches, ((0, 0), margin, margin), mode="edge")[..., None].astype(np.float32)
    order = np.random.default_rng(SPLIT_SEED).permutation(N_FACES)
    chosen = {"train": order[N_TEST:], "test": order[:N_TEST], "other": np.arange(N_FACES, len(images))}
    return images[chosen[split]]
