"""How much memory there is, errors that refuse what needs more, and when Python searches it for garbage."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil

from brainsnn.plain_arrays import is_number
from brainsnn.system.memory import container_memory

__all__ = [
    "available_memory",
    "check_size",
    "collection_paused",
    "named_memory_errors",
    "shown_bytes",
    "size_limit",
]


def available_memory() -> int:
    """
    Return the bytes of memory that this process can still use.

    Returns
    -------
    available : int
        What the machine has free, or what is left of a container's limit if that is less.

    Examples
    --------
    >>> available_memory() > 0
    True
    """
    free, left = psutil.virtual_memory().available, container_memory()
    return free if left is None else min(free, left)


def size_limit(max_bytes: float | None, what: str) -> int:
    """
    Return how large the content of a file may be.

    Parameters
    ----------
    max_bytes : float or None
        As a user gives it. None: half of the memory that is available.
    what : str
        Who has this argument, for the message.

    Returns
    -------
    limit : int
        Bytes.

    Raises
    ------
    ValueError
        If it is not a positive number.

    Examples
    --------
    >>> size_limit(2e9, "load_model")
    2000000000
    >>> size_limit(-1, "load_model")
    Traceback (most recent call last):
        ...
    ValueError: load_model: max_bytes must be a positive number of bytes, such as 2e9, got -1.
    """
    if max_bytes is None:
        return available_memory() // 2
    if not is_number(max_bytes, above=0):
        raise ValueError(f"{what}: max_bytes must be a positive number of bytes, such as 2e9, got {max_bytes!r}.")
    return int(max_bytes)


def check_size(needed: int, limit: int, what: str, error: type[Exception] = ValueError) -> None:
    """
    Refuse what is larger than a limit, before it is allocated.

    Parameters
    ----------
    needed, limit : int
        Bytes.
    what : str
        What needs them, the start of the message.
    error : type, optional
        Class of the error.

    Raises
    ------
    ValueError
        Or ``error``.

    Examples
    --------
    >>> check_size(3 * 10**9, 10**9, "The kernel")
    Traceback (most recent call last):
        ...
    ValueError: The kernel takes 3.0 GB in memory, above the limit of 1.0 GB. If you trust the file, give a higher max_bytes.
    """
    if needed > limit:
        raise error(
            f"{what} takes {shown_bytes(needed)} in memory, above the limit of {shown_bytes(limit)}. If you trust the file, "
            "give a higher max_bytes."
        )


@contextmanager
def named_memory_errors(what: Callable[[], str], fix: str) -> Iterator[None]:
    """
    Let a `MemoryError` of NumPy's say what did not fit, and what to do: ``with named_memory_errors(...): ...``.

    Parameters
    ----------
    what : callable
        Returns who asked for the memory and for what; called only if there is an error.
    fix : str
        Sentences for the end of the message.

    Raises
    ------
    MemoryError
        In place of another one.
    """
    try:
        yield
    except MemoryError as error:
        asked = f" ({error})" if str(error) else ""
        raise MemoryError(
            f"{what()} does not fit into the memory{asked}; {shown_bytes(available_memory())} are available. {fix}"
        ) from error


def shown_bytes(n_bytes: int) -> str:
    """
    Return a number of bytes in the unit that a person would choose.

    Parameters
    ----------
    n_bytes : int

    Returns
    -------
    text : str

    Examples
    --------
    >>> shown_bytes(3_400_000_000), shown_bytes(36)
    ('3.4 GB', '36 bytes')
    """
    for power, unit in ((9, "GB"), (6, "MB"), (3, "kB")):
        if n_bytes >= 10**power:
            return f"{n_bytes / 10**power:.1f} {unit}"
    return f"{n_bytes} bytes"


@contextmanager
def collection_paused() -> Iterator[None]:
    """
    Let Python's garbage collector rest while many objects are made.

    It starts whenever so many were made, and searches all objects there are; those of TensorFlow take it 0.3 s each time.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
