"""The neurons and images of a result that a user asks for."""

import operator
from typing import Any

import numpy as np

from brainsnn.plain_arrays import whole_number

__all__ = ["N_FIRST", "PLACE", "checked_place", "chosen_image", "chosen_images", "flat_index"]

#: What the three numbers are that say where a neuron is.
PLACE = ("row", "column", "channel")
#: Images of a run that its result holds for a report.
N_FIRST = 8


def flat_index(neuron: int | tuple[int, ...], shape: tuple[int, ...], layer: str) -> int:
    """
    Return the flat index of a neuron.

    Parameters
    ----------
    neuron : int or tuple of int
        Flat index or (row, column, channel).
    shape : tuple of int
        (H, W, C) of the layer.
    layer : str
        For the message of an error.

    Returns
    -------
    index : int

    Raises
    ------
    IndexError
        If the layer has no such neuron.
    """
    try:
        if isinstance(neuron, (bool, np.bool_)):
            raise TypeError
        index = operator.index(neuron) if np.ndim(neuron) == 0 else int(np.ravel_multi_index(tuple(neuron), shape))  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise IndexError(f"Neuron {neuron} of {layer!r} does not exist; its shape is {shape}.") from None
    if not 0 <= index < np.prod(shape):
        raise IndexError(f"Neuron {neuron} of {layer!r} does not exist; it has {np.prod(shape)} neurons.")
    return index


def chosen_images(images: Any, n_images: int, about: str) -> np.ndarray:
    """
    Return the indices of images.

    Parameters
    ----------
    images : int, slice or array_like of int or bool, or None
        All images if None.
    n_images : int
    about : str
        The message of an error starts with it.

    Returns
    -------
    chosen : (n,) ndarray of int

    Raises
    ------
    IndexError
        If an image does not exist, or what is given names no images.
    """
    if images is None:
        return np.arange(n_images)
    try:
        wanted = images if isinstance(images, slice) else np.asarray(images, dtype=None if np.size(images) else int)
        if not isinstance(wanted, slice) and (wanted.ndim > 1 or wanted.ndim == 0 and wanted.dtype.kind == "b"):
            raise IndexError
        return np.atleast_1d(np.arange(n_images)[wanted])
    except (IndexError, TypeError, ValueError):
        raise IndexError(
            f"{about}: images={images!r}; the result has {n_images} images, numbered from 0. Give a number, a slice, a list of "
            "numbers, or a truth value for each image."
        ) from None


def chosen_image(image: Any, n_images: int, about: str) -> int:
    """
    Return the index of one image.

    Parameters
    ----------
    image : int
        As in a list, -1 is the last one.
    n_images : int
    about : str
        The message of an error starts with it.

    Returns
    -------
    chosen : int
        From 0 on.

    Raises
    ------
    IndexError
        If it is not a whole number, or the image does not exist.
    """
    try:
        return range(n_images)[whole_number(image, "image", -n_images)]
    except (IndexError, ValueError):
        raise IndexError(
            f"{about}: image={image!r} must be a whole number; the result has {n_images} images, numbered from 0."
        ) from None


def checked_place(
    place: tuple[int, ...], names: tuple[str, ...], limits: tuple[int, ...], about: str
) -> tuple[int, ...]:
    """
    Return whole numbers that say where a neuron is.

    Parameters
    ----------
    place : tuple of int
    names : tuple of str
        What each number is, such as ``"row"``.
    limits : tuple of int
        Each number lies in 0 ... limit - 1.
    about : str
        The message of an error starts with it.

    Returns
    -------
    place : tuple of int

    Raises
    ------
    IndexError
        If one is not a whole number or out of its range.
    """
    try:
        return tuple(whole_number(k, name, 0, limit - 1) for k, name, limit in zip(place, names, limits))
    except ValueError as error:
        raise IndexError(f"{about}: {error}") from None
