"""Times that a user gives."""

import numpy as np
from brian2 import Quantity, second

from brainsnn.plain_arrays import is_number

__all__ = ["check_time", "is_time"]


def is_time(value, holds=np.isfinite):
    """
    Return whether a value is one time for which a condition on its seconds holds.

    Parameters
    ----------
    value : object
        Anything.
    holds : callable, optional
        Condition; finite by default.

    Returns
    -------
    is_time : bool

    Examples
    --------
    >>> from brian2 import ms
    >>> is_time(5*ms), is_time(5), is_time(-5*ms, lambda t: t > 0)
    (True, False, False)
    """
    return isinstance(value, Quantity) and value.dim is second.dim and is_number(np.asarray(value), holds)


def check_time(value, about):
    """
    Refuse what is not one finite time.

    Parameters
    ----------
    value : object
    about : str
        What it is, the start of the message.

    Raises
    ------
    ValueError
    """
    if not is_time(value):
        raise ValueError(f"{about}: must be a time, such as 5*ms, got {value!r}.")
