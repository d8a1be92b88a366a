"""Arrays that a user gives: refuse those whose mask, unit or meaning would be lost."""

import math
from typing import Any

import numpy as np

__all__ = ["finite_array", "is_number", "plain_array", "plain_text", "truth_values", "whole_number", "whole_numbers"]


def plain_array(values: Any, about: str, dtype: Any = None, dim: Any = None) -> np.ndarray:
    """
    Return values as an array.

    Parameters
    ----------
    values : array_like
    about : str
        What the values are, such as ``"run: images"``; the message of an error starts with it.
    dtype : dtype, optional
    dim : `~brian2.units.fundamentalunits.Dimension`, optional
        Dimension that the values may have, none by default; any other one is refused.

    Returns
    -------
    array : ndarray
        In base units.

    Raises
    ------
    ValueError
        If the values have a mask, another dimension, or cannot be converted to ``dtype``, as complex numbers cannot to floats.
    """
    parts = [values, *values] if isinstance(values, (list, tuple)) else [values]  # such as a list of images
    if any(np.ma.isMaskedArray(part) for part in parts):
        raise ValueError(
            f"{about}: a masked array would lose its mask; fill the masked values first, for example with array.filled(0)."
        )
    for part in parts:
        own: Any = getattr(part, "dim", None)  # of a quantity; this module is also for rooms that do without Brian2
        if hasattr(own, "is_dimensionless") and not (own.is_dimensionless if dim is None else own is dim):
            raise ValueError(
                f"{about}: got values with the unit {part.get_best_unit()}, which would be lost; give plain numbers, for "
                "example by dividing by the unit."
            )
    try:
        found = np.asarray(values).dtype
        if dtype is not None and found.kind in "mMSUV":  # "5" and dates would be converted
            raise ValueError(f"they are of the type {found}")
        if dtype is not None and found.kind == "c" and np.dtype(dtype).kind != "c":  # the imaginary part would be lost
            raise ValueError("they are complex")
        return np.asarray(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        shown = " ".join(repr(values).split())
        shown = shown if len(shown) <= 200 else f"{shown[:200]} ..."
        raise ValueError(f"{about}: {shown} is not an array of numbers ({error}); give numbers.") from None


def finite_array(values: Any, about: str, nan: bool = False, dim: Any = None) -> np.ndarray:
    """
    Return values, one or more, as an array of finite floats.

    Parameters
    ----------
    values : array_like
    about : str
        What the values are; the message of an error starts with it.
    nan : bool, optional
        Whether NaN is allowed, such as for neurons that were not recorded.
    dim : `~brian2.units.fundamentalunits.Dimension`, optional
        Dimension that the values may have, as in `plain_array`.

    Returns
    -------
    array : ndarray of float

    Raises
    ------
    ValueError
        As `plain_array`; and if the array is empty, or a value is infinite or NaN.

    Examples
    --------
    >>> finite_array([0.5, float("nan")], "draw: rates")
    Traceback (most recent call last):
        ...
    ValueError: draw: rates: 1 of 2 values are NaN or infinite; give finite numbers.
    """
    array = plain_array(values, about, float, dim)
    if array.size == 0:
        raise ValueError(f"{about}: an array of shape {array.shape} holds no value; give one or more.")
    bad = np.count_nonzero(~(np.isfinite(array) | (nan & np.isnan(array))))
    if bad:
        kind = "infinite" if nan else "NaN or infinite"
        raise ValueError(f"{about}: {bad} of {array.size} values are {kind}; give finite numbers.")
    return array


def plain_text(value: Any, about: str, example: str) -> str:
    """
    Return a text that a user gives, such as the label of an axis.

    Parameters
    ----------
    value : str
    about : str
        What it is; the message of an error starts with it.
    example : str
        For the message.

    Returns
    -------
    text : str

    Raises
    ------
    ValueError
        If it is something else.
    """
    if not isinstance(value, str):
        raise ValueError(f"{about}={value!r} must be a text, such as {example!r}.")
    return value


def is_number(value: Any, low: float = -np.inf, high: float = np.inf, above: float = -np.inf) -> bool:
    """
    Return whether a value is one finite real number without a unit, in a range.

    Parameters
    ----------
    value : object
        Whatever a user gives: NaN, texts, truth values, lists, complex numbers and quantities are none.
    low, high : float, optional
        Smallest and largest value.
    above : float, optional
        A value that it must exceed.

    Returns
    -------
    is_number : bool

    Examples
    --------
    >>> is_number(0.5, above=0, high=1), is_number("0.5"), is_number(True)
    (True, False, False)
    """
    own: Any = getattr(value, "dim", None)
    if hasattr(own, "is_dimensionless") and not own.is_dimensionless:
        return False
    if isinstance(value, np.ndarray) and value.ndim == 0 and not isinstance(value, np.ma.MaskedArray):
        value = np.asarray(value)[()]
    if not isinstance(value, int | float | np.integer | np.floating) or isinstance(value, bool):
        return False
    try:
        return bool(math.isfinite(value) and low <= value <= high and value > above)
    except OverflowError:  # a whole number beyond the range of floats
        return False


def whole_number(value: Any, about: str, low: int, high: int | None = None) -> int:
    """
    Return a number as an int.

    Parameters
    ----------
    value : int
    about : str
        What it is; the message of an error starts with it.
    low, high : int
        Smallest and largest value; no limit if ``high`` is None.

    Returns
    -------
    number : int

    Raises
    ------
    ValueError
        If it is not a whole number, or out of range.
    """
    try:
        if is_number(value) and int(value) == value and low <= value <= (value if high is None else high):
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    limits = f"{low} or greater" if high is None else f"from {low} to {high}"
    raise ValueError(f"{about}={value!r} must be a whole number, {limits}.")


def whole_numbers(values: Any, about: str, n: int, what: str = "whole numbers") -> np.ndarray:
    """
    Return classes or indices as an array.

    Parameters
    ----------
    values : array_like of int
    about : str
        What the values are; the message of an error starts with it.
    n : int
        Values must lie in 0 ... n - 1.
    what : str, optional
        What is allowed, for the message of an error.

    Returns
    -------
    numbers : ndarray of int

    Raises
    ------
    ValueError
        If a value is not a whole number (a boolean mask is none), or does not lie in the range.
    """
    numbers = plain_array(values, about)
    if numbers.size == 0:
        return numbers.astype(int)
    if numbers.dtype.kind not in "iuf" or not ((numbers == np.rint(numbers)) & (numbers >= 0) & (numbers < n)).all():
        raise ValueError(f"{about} must be {what} from 0 to {n - 1}, got {numbers}.")
    return numbers.astype(int)


def truth_values(values: Any, about: str) -> np.ndarray:
    """
    Return a boolean array.

    Parameters
    ----------
    values : array_like of bool, or of 0 and 1
    about : str
        What the values are; the message of an error starts with it.

    Returns
    -------
    truth : ndarray of bool

    Raises
    ------
    ValueError
        If a value is neither true nor false: other numbers may be classes, indices or fractions.
    """
    truth = plain_array(values, about)
    if truth.dtype.kind != "b" and truth.size and not (truth.dtype.kind in "iuf" and np.isin(truth, (0, 1)).all()):
        raise ValueError(f"{about}: give booleans, or 0 and 1, got {truth}.")
    return truth.astype(bool)
