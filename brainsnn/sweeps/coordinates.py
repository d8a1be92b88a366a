"""Make the coordinates of a data set from parameter values, and check the names in it."""

from collections import Counter

import numpy as np

from brainsnn.sweeps.content import content_key
from brainsnn.sweeps.quantities import exponents_of, unit_text

__all__ = ["check_name", "coordinate", "user_coordinate"]

_LONGEST = 60


def check_name(name, what):
    """
    Check that a NetCDF file can hold a name.

    Parameters
    ----------
    name : str
    what : str
        What has the name, for the error message.

    Raises
    ------
    ValueError
        If it cannot.
    """
    if (
        not isinstance(name, str)
        or name in ("", ".", "..")
        or "/" in name
        or name != name.strip()
        or not name.isprintable()
    ):
        raise ValueError(
            f"sweep: {what} is called {name!r}, which a NetCDF file cannot hold. Use printable "
            "characters, no '/', and no spaces at the ends."
        )


def coordinate(name, values):
    """
    Return the coordinate of a parameter.

    Parameters
    ----------
    name : str
    values : list

    Returns
    -------
    coordinate : tuple
        Dimension, array and attributes, as in `xarray.Dataset`. Numbers and truth values are unchanged, quantities of one
        dimension become numbers in SI units, and other values become texts that differ from each other.

    Raises
    ------
    ValueError
        If values are equal as numbers, also among others: ``[1, True, "a"]``.
    """
    numbers = [value for value in values if isinstance(value, (bool, np.bool_)) or _is_number(value)]
    if len(set(numbers)) < len(numbers):
        raise _equal_numbers(name, values)
    units = {exponents_of(value) for value in values}
    if len(units) == 1 and None not in units and all(value.ndim == 0 for value in values):
        return _numbers(name, [float(np.asarray(value)) for value in values], {"units": unit_text(units.pop())})
    if all(isinstance(value, (bool, np.bool_)) for value in values):
        return (name, np.asarray(values), {})
    if all(_is_number(value) for value in values):
        array = np.asarray(values)
        if array.dtype.kind in "iuf":  # integers too large for 64 bits become texts
            return _numbers(name, array, {})
    return (name, np.asarray(_labels(values)), {})


def _is_number(value):
    return isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)


def _numbers(name, values, attributes):
    array = np.asarray(values)
    if len(np.unique(array)) < len(array):
        raise _equal_numbers(name, array.tolist())
    return (name, array, attributes)


def _equal_numbers(name, values):
    return ValueError(f"sweep: values of the parameter {name!r} are equal as numbers: {values}. Remove one of them.")


def _labels(values):
    """Return texts for values, all different, and the same in every process."""
    labels = [_label(value) for value in values]
    counts = Counter(labels)
    labels = [repr(one) if counts[label] > 1 and isinstance(one, str) else label for one, label in zip(values, labels)]
    counts = Counter(labels)
    keys = [content_key(value, code="memory")[:8] for value in values]
    return [label if counts[label] == 1 else f"{label} {key}" for label, key in zip(labels, keys)]


def _label(value):
    if isinstance(value, str):
        return value
    if isinstance(value, np.ndarray) and value.size > 10:
        return f"{value.dtype} {value.shape}"
    text = getattr(value, "__qualname__", None) if callable(value) else str(value)
    if text is None or len(text) > _LONGEST or "\n" in text or " at 0x" in text:
        return type(value).__qualname__
    return text


def user_coordinate(name, value):
    """
    Return a coordinate given by the user, with quantities as numbers in SI units.

    Parameters
    ----------
    name : str
    value : array_like or tuple
        As in `xarray.Dataset`.

    Returns
    -------
    value : array_like or tuple
    """
    axes, array, *attributes = value if isinstance(value, tuple) and len(value) > 1 else (name, value)
    exponents = exponents_of(array)
    if exponents is None:
        return value
    return (axes, np.asarray(array), {"units": unit_text(exponents), **(attributes[0] if attributes else {})})
