"""Reserve space on a disk, and recognise that it is full."""

import errno

from brainsnn.system.disk import reserve_space

__all__ = ["disk_full_error", "is_full", "reserve"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


def is_full(error):
    """
    Return whether an error says that a disk is full, or a user's share of it.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    is_full : bool
    """
    return isinstance(error, OSError) and error.errno in _FULL


def disk_full_error(message):
    """
    Return the error for a disk that is full.

    Parameters
    ----------
    message : str

    Returns
    -------
    error : OSError
    """
    return OSError(errno.ENOSPC, message)


def reserve(path, n_bytes):
    """
    Make a file that has its space on the disk, so that writing to it cannot fail later; or longer, if it exists.

    Parameters
    ----------
    path : str or `~pathlib.Path`
    n_bytes : int

    Raises
    ------
    OSError
        If the disk has not enough space.
    """
    with open(path, "ab", buffering=0) as file:
        reserve_space(file, n_bytes)
