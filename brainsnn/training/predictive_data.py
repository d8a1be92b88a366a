"""Images for networks with predictive feedback: the data sets by name, and augmentation."""

from typing import NamedTuple

import numpy as np

from brainsnn.stimuli.digits import load_cifar10, load_cifar100, load_digits, load_mnist
from brainsnn.stimuli.fashion import load_fashion_mnist
from brainsnn.training.train_digits import augment

__all__ = ["COLOURS", "DATASETS", "STATISTICS", "augmented", "crop_and_flip", "load_dataset"]

#: Data sets by name: (loader, number of classes, whether pixels are to be mapped from 0 ... 1 to -1 ... 1).
DATASETS = {
    "digits": (load_digits, 10, False),
    "mnist": (load_mnist, 10, False),
    "fashion": (load_fashion_mnist, 10, False),
    "cifar10": (load_cifar10, 10, True),
    "cifar100": (load_cifar100, 100, True),
}


#: How colours are scaled: to -1 ... 1, or to mean 0 and standard deviation 1 of each channel.
COLOURS = ("range", "statistics")
#: Mean and standard deviation of the channels, of pixels from 0 to 1, as in the published script that trains plain ANNs.
STATISTICS = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
}


class Data(NamedTuple):
    """Training and test images (n, H, W, C) with their labels (n,), the number of classes, and black (C,)."""

    images: np.ndarray
    labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    n_classes: int
    black: np.ndarray


def load_dataset(name, colours="range"):
    """
    Return a data set as the published networks see it: gray values from 0 to 1, colours from -1 to 1.

    Parameters
    ----------
    name : {"digits", "mnist", "fashion", "cifar10", "cifar100"}
        "digits" are the 5,000 that need no download.
    colours : {"range", "statistics"}, optional
        Colours from -1 to 1, as networks of spiking neurons need; or with mean 0 and standard deviation 1 of each channel, as
        the published script of plain ANNs has them.

    Returns
    -------
    data : tuple
        ``images``, ``labels``, ``test_images``, ``test_labels``, ``n_classes``, and ``black``, the value of a black pixel, (C,).

    Raises
    ------
    ValueError
        If no data set has this name, or the statistics of its channels are not known.
    RuntimeError
        If the data are not on this machine and cannot be downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"load_dataset: {name!r}; choose one of {', '.join(map(repr, DATASETS))}.")
    if colours not in COLOURS or (colours == "statistics" and name not in STATISTICS):
        fix = "choose 'range'" + " or 'statistics'" * (name in STATISTICS)
        raise ValueError(f"load_dataset: colours={colours!r} for {name!r}; {fix}.")
    load, n_classes, signed = DATASETS[name]
    (images, labels), (test_images, test_labels) = load("train"), load("test")
    mean, std = STATISTICS[name] if colours == "statistics" else (0.5, 0.5) if signed else (0.0, 1.0)
    mean, std = (np.broadcast_to(value, images.shape[-1:]).astype(images.dtype) for value in (mean, std))
    return Data((images - mean) / std, labels, (test_images - mean) / std, test_labels, n_classes, -mean / std)


def crop_and_flip(images, random, padding=4, black=None):
    """
    Return images at random positions, half of them mirrored.

    Parameters
    ----------
    images : (n, H, W, C) ndarray
    random : numpy.random.Generator
    padding : int
        Black pixels around each image, out of which its size is cropped.
    black : (C,) array_like, optional
        Value of a black pixel; by default -1 if values are negative, else 0.

    Returns
    -------
    images : (n, H, W, C) ndarray
    """
    n, height, width, _ = images.shape
    black = (-1 if images.min() < 0 else 0) if black is None else black
    padded = np.empty((n, height + 2 * padding, width + 2 * padding, images.shape[3]), images.dtype)
    padded[:] = black
    padded[:, padding : padding + height, padding : padding + width] = images
    top, left = random.integers(0, 2 * padding + 1, (2, n))
    rows = top[:, None] + np.arange(height)
    columns = left[:, None] + np.arange(width)
    columns = np.where(random.random(n)[:, None] < 0.5, columns[:, ::-1], columns)
    return padded[np.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def augmented(kind, images, random, black=None):
    """
    Return images as an epoch shows them.

    Parameters
    ----------
    kind : {"none", "warp", "crop_flip"}
    images : (n, H, W, C) ndarray
    random : numpy.random.Generator
    black : (C,) array_like, optional
        As of `crop_and_flip`.

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
        return crop_and_flip(images, random, black=black)
    if images.shape[-1] != 1:
        raise ValueError(
            f"augmentation='warp' is for digits, and these images have {images.shape[-1]} colours. Use 'crop_flip' or 'none'."
        )
    return augment(images, random)
