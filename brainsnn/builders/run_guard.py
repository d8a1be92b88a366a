"""Let one thread at a time, of the process that made a network, run or change it."""

import os
from collections.abc import Callable
from functools import wraps
from threading import Lock
from typing import Any, Concatenate, ParamSpec, TypeVar

__all__ = ["RunGuard", "guarded"]

Arguments = ParamSpec("Arguments")
Returned = TypeVar("Returned")


class RunGuard:
    """
    A context in which a network runs or is changed, which only one thread at a time can enter.

    A network has one set of arrays and one folder, and a forked process shares the folder. Runs that overlap would mix.

    Raises
    ------
    RuntimeError
        On entering, if another run is in progress or this is not the process that made the guard.
    """

    def __init__(self) -> None:
        self._lock, self._process = Lock(), os.getpid()

    def __enter__(self) -> None:
        if os.getpid() != self._process:
            raise RuntimeError(
                f"This network was made in process {self._process} and cannot be used in process {os.getpid()}, which was "
                "forked from it: both would use the same files. Call convert() in each process; see brainsnn.once."
            )
        if not self._lock.acquire(blocking=False):
            raise RuntimeError(
                "This network is running, in another thread or in an outer call. Wait until that run ends, or call convert() "
                "once for each thread."
            )

    def __exit__(self, *error: object) -> None:
        self._lock.release()


def guarded(
    method: Callable[Concatenate[Any, Arguments], Returned],
) -> Callable[Concatenate[Any, Arguments], Returned]:
    """Execute a method within the object's `RunGuard`, its attribute ``_guard``."""

    @wraps(method)
    def within_guard(self: Any, *arguments: Arguments.args, **keywords: Arguments.kwargs) -> Returned:
        with self._guard:
            return method(self, *arguments, **keywords)

    return within_guard
