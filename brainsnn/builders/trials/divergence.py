"""Find values that became NaN or infinite during a trial."""

import numpy as np

__all__ = ["all_finite", "divergence_error", "first_not_finite"]


def all_finite(values):
    """Return whether no value is NaN or infinite (bool); integers always are finite."""
    if values.dtype.kind != "f":
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        # The sum needs no other array. It may overflow where all values are finite.
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def first_not_finite(values):
    """
    Return the first image with a value that is NaN or infinite.

    Parameters
    ----------
    values : (n_images, ...) ndarray

    Returns
    -------
    image : int or None
        None if all values are finite.
    """
    return next((image for image, of_image in enumerate(values) if not all_finite(of_image)), None)


def divergence_error(population, variable, image):
    """
    Return the error that reports a divergence.

    Parameters
    ----------
    population, variable : str
        Name of the population, or of another Brian2 object, and of its variable.
    image : int
        The first image in which it happened.

    Returns
    -------
    error : FloatingPointError
    """
    return FloatingPointError(
        f"run: {variable!r} of {population!r} became NaN or infinite; image {image} (counted from 0) is the first one in which "
        "it did. Use a smaller time step, smaller inputs, weights or parameters, or dtype='float64', or check the equations."
    )
