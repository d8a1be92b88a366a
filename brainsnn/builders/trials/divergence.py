"""Find values that became NaN or infinite during a trial."""

import numpy as np

__all__ = ["all_finite", "checked_arrays", "divergence_error", "first_not_finite"]


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


def checked_arrays(state, initial):
    """
    Return the arrays that must be finite at the end of a trial: those of floats that start with finite values.

    Parameters
    ----------
    state : dict of str to dict of str to `~brian2.core.variables.ArrayVariable`
        By Brian2's name of their group.
    initial : callable
        ``initial(group name, variable)`` returns the values with which a trial starts.

    Returns
    -------
    arrays : list of (str, str, `~brian2.core.variables.ArrayVariable`)
        Name of the group, name of the variable, variable.
    """
    return [
        (group, name, variable)
        for group, variables in state.items()
        for name, variable in variables.items()
        if np.dtype(variable.dtype).kind == "f" and all_finite(np.asarray(initial(group, variable)))
    ]


def divergence_error(population, variable, image):
    """
    Return the error that reports a divergence.

    Parameters
    ----------
    population, variable : str
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
