"""Reserve space on a disk, and recognise that it is full."""

import errno
import os

__all__ = ["disk_full_error", "is_full", "reserve"]

_FULL = (errno.ENOSPC, errno.EDQUOT)
_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


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
    with open(path, "ab") as file:
        if n_bytes and hasattr(os, "posix_fallocate"):
            try:
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            except OSError as error:
                if error.errno not in _CANNOT_RESERVE:
                    raise
        if os.fstat(file.fileno()).st_size < n_bytes:
            os.truncate(file.fileno(), n_bytes)
