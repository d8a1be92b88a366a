"""Batches of photographs for training, read when they are shown: ImageNet and COCO, prepared as published."""

from pathlib import Path

import keras
import numpy as np

from brainsnn.optional import optional_packages

__all__ = ["Pictures", "central_crop", "imagenet_files", "random_crop"]

#: The shorter side of an image before it is cropped to 224 pixels, and the range of its random length.
SIZE, SCALED, RANDOM_SCALE = 224, 256, (256, 480)
SUFFIXES = (".jpeg", ".jpg", ".png")


class Pictures(keras.utils.PyDataset):
    """
    Batches of pictures in a new order in each epoch, which depends on seed and epoch alone.

    Parameters
    ----------
    items : sequence
    labels : (n,) or (n, classes) ndarray
    read : callable
        ``read(item, random)`` returns the pixels (size, size, 3) of an item.
    batch : int
    seed : int or None
        None keeps the order of the items.
    drop : bool, optional
        Whether to leave out the remainder of an epoch that is smaller than a batch.
    workers : int, optional
        Threads that read pictures.
    """

    def __init__(self, items, labels, read, batch, seed=None, drop=False, workers=1):
        super().__init__(workers=workers)
        self.items, self.labels, self.read, self.batch, self.seed, self.drop = items, labels, read, batch, seed, drop
        self.epoch = 0

    def __len__(self):
        """Return the number of batches of an epoch."""
        return len(self.items) // self.batch if self.drop else -(-len(self.items) // self.batch)

    def order(self):
        """Return the positions of the items in the order of this epoch, (n,) ints."""
        n = len(self.items)
        return np.arange(n) if self.seed is None else np.random.default_rng((self.seed, self.epoch)).permutation(n)

    def __getitem__(self, index):
        """Return images and labels of a batch."""
        chosen = self.order()[index * self.batch : (index + 1) * self.batch]
        seeds = [(self.seed or 0, self.epoch, int(k)) for k in chosen]
        images = [self.read(self.items[k], np.random.default_rng(s)) for k, s in zip(chosen, seeds)]
        return np.stack(images), self.labels[chosen]


def imagenet_files(folder, split, known=None):
    """
    List the pictures of a folder with one folder for each class.

    Parameters
    ----------
    folder : `~pathlib.Path`
        With ``train/CLASS/*.JPEG`` and ``val/CLASS/*.JPEG``.
    split : {"train", "val"}
    known : list of str, optional
        Classes that the split must have.

    Returns
    -------
    paths : list of `~pathlib.Path`
    labels : (n,) ndarray of int
        Position of the class in alphabetical order.
    classes : list of str

    Raises
    ------
    ValueError
        If there are no such folders, or not those that are known.
    """
    folder = Path(folder) / split
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if len(classes) < 2 or known not in (None, classes):
        missing = sorted(set(known or ()) ^ set(classes))[:3]
        raise ValueError(
            f"imagenet: {folder} must hold one folder of pictures for each class"
            f"{f', the same as in train; these differ: {missing}' if known else ''}. Sort the validation pictures into "
            "folders, too."
        )
    found = [(path, k) for k, name in enumerate(classes) for path in sorted((folder / name).iterdir())]
    found = [(path, k) for path, k in found if path.suffix.lower() in SUFFIXES]
    if not found:
        raise ValueError(f"imagenet: the folders of {folder} hold no pictures ({', '.join(SUFFIXES)}).")
    paths, labels = zip(*found)
    return list(paths), np.array(labels), classes


def random_crop(path, random, size=224, rescale="kept"):
    """
    Read a picture for training: random scale, crop and flip.

    Parameters
    ----------
    path : `~pathlib.Path`
    random : `numpy.random.Generator`
    size : int, optional
        Rows and columns; the numbers below are for 224 and in proportion to it.
    rescale : {"kept", "undone"}, optional
        The shorter side gets a random length of 256 to 480. ``"undone"``, as published: then 256 again, which leaves only blur.

    Returns
    -------
    pixels : (size, size, 3) ndarray of float32
        From 0 to 1.
    """
    image = _resized(_opened(path), int(random.integers(*RANDOM_SCALE, endpoint=True)) * size / SIZE)
    if rescale == "undone":
        image = _resized(image, SCALED * size / SIZE)
    left, top = (int(random.integers(0, length - size, endpoint=True)) for length in image.size)
    pixels = _pixels(image.crop((left, top, left + size, top + size)))
    return pixels[:, ::-1] if random.random() < 0.5 else pixels


def central_crop(path, random=None, size=224):
    """
    Read a picture for validation: the shorter side becomes 256 for a size of 224, and the centre is cropped.

    Parameters
    ----------
    path : `~pathlib.Path`
    random : object, optional
        Not used.
    size : int, optional

    Returns
    -------
    pixels : (size, size, 3) ndarray of float32
        From 0 to 1.
    """
    image = _resized(_opened(path), SCALED * size / SIZE)
    left, top = ((length - size) // 2 for length in image.size)
    return _pixels(image.crop((left, top, left + size, top + size)))


def _opened(path):
    with optional_packages("imagenet"):
        from PIL import Image
    with Image.open(path) as opened:
        return opened.convert("RGB")


def _resized(image, shorter):
    """Return an image whose shorter side has so many pixels."""
    from PIL import Image

    factor = round(shorter) / min(image.size)
    return image.resize([round(length * factor) for length in image.size], Image.Resampling.LANCZOS)


def _pixels(image):
    return np.asarray(image, dtype=np.float32) / 255
