"""Arrays that a user gives: refuse those whose mask or unit would be lost."""

import numpy as np
from brian2 import Quantity
from brian2.units.fundamentalunits import DIMENSIONLESS

__all__ = ["plain_array"]


def plain_array(values, about, dtype=None, dim=DIMENSIONLESS):
    """
    Return values as an array.

    Parameters
    ----------
    values : array_like
    about : str
        What the values are, such as ``"run: images"``; the message of an error starts with it.
    dtype : dtype, optional
    dim : `~brian2.units.fundamentalunits.Dimension`, optional
        Dimension that the values may have; any other one is refused.

    Returns
    -------
    array : ndarray
        In base units.

    Raises
    ------
    ValueError
        If the values have a mask, another dimension, or cannot be converted to ``dtype``.
    """
    parts = [values, *values] if isinstance(values, (list, tuple)) else [values]  # such as a list of images
    if any(np.ma.isMaskedArray(part) for part in parts):
        raise ValueError(
            f"{about}: a masked array would lose its mask; fill the masked values first, for example with array.filled(0)."
        )
    for part in parts:
        if isinstance(part, Quantity) and part.dim is not dim:
            raise ValueError(
                f"{about}: got values with the unit {part.get_best_unit()}, which would be lost; give plain numbers, for "
                "example by dividing by the unit."
            )
    try:
        return np.asarray(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{about}: {values!r} is not an array of numbers ({error}); give numbers.") from None
