"""Images for networks with predictive feedback: the data sets by name, and augmentation."""

from typing import NamedTuple

import numpy as np

from brainsnn.stimuli.digits import load_cifar10, load_cifar100, load_digits, load_mnist
from brainsnn.stimuli.fashion import load_fashion_mnist
from brainsnn.training.train_digits import augment

__all__ = ["DATASETS", "augmented", "crop_and_flip", "load_dataset"]

#: Data sets by name: (loader, number of classes, whether pixels are to be mapped from 0 ... 1 to -1 ... 1).
DATASETS = {
    "digits": (load_digits, 10, False),
    "mnist": (load_mnist, 10, False),
    "fashion": (load_fashion_mnist, 10, False),
    "cifar10": (load_cifar10, 10, True),
    "cifar100": (load_cifar100, 100, True),
}


class Data(NamedTuple):
    """Training and test images (n, H, W, C) with their labels (n,), and the number of classes."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    n_classes: int


def load_dataset(name):
    """
    Return a data set as the published networks see it: gray values from 0 to 1, colours from -1 to 1.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion", "cifar10", "cifar100"}
        "digits" are the 5,000 that need no download.

    Returns
    -------
    data : tuple
        ``images``, ``labels``, ``test_images``, ``test_labels``, ``n_classes``.

    Raises
    ------
    ValueError
        If no data set has this name.
    RuntimeError
        If the data are not on this machine and cannot be downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"load_dataset: {name!r}; choose one of {', '.join(map(repr, DATASETS))}.")
    load, n_classes, signed = DATASETS[name]
    (images, labels), (test_images, test_labels) = load("train"), load("test")
    if signed:
        images, test_images = 2 * images - 1, 2 * test_images - 1
    return Data(images, labels, test_images, test_labels, n_classes)


def crop_and_flip(images, random, padding=4):
    """
    Return images at random positions, half of them mirrored.

    Parameters
    ----------
    images : (n, H, W, C) ndarray
        From 0 to 1, or from -1 to 1.
    random : numpy.random.Generator
    padding : int
        Black pixels around each image, out of which its size is cropped.

    Returns
    -------
    images : (n, H, W, C) ndarray
    """
    n, height, width, _ = images.shape
    black = -1 if images.min() < 0 else 0
    padded = np.pad(images, ((0, 0), (padding, padding), (padding, padding), (0, 0)), constant_values=black)
    top, left = random.integers(0, 2 * padding + 1, (2, n))
    rows = top[:, None] + np.arange(height)
    columns = left[:, None] + np.arange(width)
    columns = np.where(random.random(n)[:, None] < 0.5, columns[:, ::-1], columns)
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def augmented(kind, images, random):
    """
    Return images as an epoch shows them.

    Parameters
    ----------
    kind : {"none", "warp", "crop_flip"}
    images : (n, H, W, C) ndarray
    random : numpy.random.Generator

    Returns
    -------
    images : (n, H, W, C) ndarray

    Raises
    ------
    ValueError
        If colour images are to be warped.
    """
    if kind == "none":
        return images
    if kind == "crop_flip":
        return crop_and_flip(images, random)
    if images.shape[-1] != 1:
        raise ValueError(
            f"augmentation='warp' is for digits, and these images have {images.shape[-1]} colours. Use 'crop_flip' or 'none'."
        )
    return augment(images, random)
