"""Convert between quantities and plain arrays with a unit, for images, parameters and results."""

import numpy as np

__all__ = ["as_array", "exponents_of", "unit_text", "with_unit"]


def as_array(values):
    """
    Return values as an array, with their unit if they have one.

    Parameters
    ----------
    values : array_like
        May be a list of quantities.

    Returns
    -------
    array : ndarray or `~brian2.units.fundamentalunits.Quantity`
    """
    if isinstance(values, (list, tuple)) and _holds_quantities(values):
        from brian2 import Quantity

        return Quantity(values)
    return np.asanyarray(values)


def _holds_quantities(values):
    return any(
        _holds_quantities(value) if isinstance(value, (list, tuple)) else exponents_of(value) for value in values
    )


def exponents_of(value):
    """
    Return the physical dimension of a quantity.

    Parameters
    ----------
    value : object

    Returns
    -------
    exponents : tuple of float or None
        Exponents of the seven base units, in Brian2's order. None if the value has no unit.
    """
    dimension = getattr(value, "dim", None)
    if not isinstance(value, np.ndarray) or dimension is None or dimension.is_dimensionless:
        return None
    return tuple(map(float, dimension._dims))


def with_unit(array, exponents):
    """
    Return a quantity from numbers in SI units.

    Parameters
    ----------
    array : ndarray
    exponents : sequence of float or None
        See `exponents_of`.

    Returns
    -------
    array : ndarray or `~brian2.units.fundamentalunits.Quantity`
    """
    if exponents is None:
        return array
    from brian2 import Quantity
    from brian2.units.fundamentalunits import get_or_create_dimension

    return Quantity(array, dim=get_or_create_dimension(exponents))


def unit_text(exponents):
    """
    Return the SI unit of a dimension, such as ``"s"`` or ``"V"``.

    Parameters
    ----------
    exponents : sequence of float
        See `exponents_of`.

    Returns
    -------
    unit : str
    """
    from brian2.units.fundamentalunits import get_or_create_dimension, get_unit

    return str(get_unit(get_or_create_dimension(exponents)))
