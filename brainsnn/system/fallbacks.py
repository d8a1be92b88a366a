"""Whether to use what only some operating systems have, or the fallbacks."""

import os

__all__ = ["IS_POSIX", "VARIABLE", "is_portable"]

#: Environment variable that forces the fallbacks.
VARIABLE = "BRAINSNN_PORTABLE"
#: Whether files have an owner and permissions, and programs have no ending; false on Windows.
IS_POSIX = os.name == "posix"


def is_portable() -> bool:
    """
    Return whether only what every operating system has may be used.

    Returns
    -------
    is_portable : bool
        True if the environment variable ``BRAINSNN_PORTABLE`` is 1.

    Raises
    ------
    ValueError
        If it is neither 1 nor 0 nor empty.

    Examples
    --------
    >>> from os import environ
    >>> before = environ.get("BRAINSNN_PORTABLE", "0")
    >>> environ["BRAINSNN_PORTABLE"] = "1"
    >>> is_portable()
    True
    >>> environ["BRAINSNN_PORTABLE"] = before
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given not in ("", "0", "1"):
        raise ValueError(f"{VARIABLE}={given!r} must be 1, which forces the fallbacks of all systems, or 0.")
    return given == "1"
