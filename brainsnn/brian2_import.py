"""Import Brian2 without matplotlib's pylab, which takes a third of that time, until somebody asks for one of pylab's names."""

import builtins
import sys
from importlib import import_module
from threading import get_ident

import numpy as np

__all__ = ["import_brian2"]

#: Names of pylab that Brian2 removes from its namespace.
_REMOVED = {"x", "f", "rate"}


class _WithoutPylab:
    """Finds no pylab in the thread that made it; other threads can import it meanwhile."""

    def __init__(self) -> None:
        self._thread = get_ident()

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Refuse pylab, and leave all other modules to the finders that follow."""
        if name == "pylab" and get_ident() == self._thread:
            raise ImportError("pylab is imported when one of its names is used")


def import_brian2() -> None:
    """
    Import Brian2, unless that has been done; names of pylab, such as ``brian2.plot``, come when they are first used.

    ``from brian2 import *`` gives what it would give without this function, since a star asks for ``__all__`` first.
    """
    if {"brian2", "pylab", "matplotlib.pyplot"} & sys.modules.keys():
        return
    # Written for Brian2 2.5.4 to 2.11, which takes the names of NumPy alone if pylab cannot be imported.
    hidden = _WithoutPylab()
    sys.meta_path.insert(0, hidden)
    try:
        namespace = vars(import_module("brian2"))
    finally:
        sys.meta_path.remove(hidden)
    for name in vars(builtins).keys() & namespace.keys():
        # pylab has Python's own functions of these names
        if any(namespace[name] is vars(module).get(name) for module in (np, np.random)):
            del namespace[name]

    def complete() -> None:
        """Add the names of pylab that Brian2 has not redefined; only then does nobody need to ask for them any more."""
        for name, value in vars(import_module("pylab")).items():
            if not name.startswith("_") and name not in _REMOVED:
                namespace.setdefault(name, value)
        namespace.pop("__getattr__", None)
        namespace.pop("__dir__", None)

    def find(name: str) -> object:
        """Return an attribute that Brian2 itself does not have."""
        if not name.startswith("__") or name == "__all__":
            complete()
        if name in namespace:
            return namespace[name]
        raise AttributeError(f"module 'brian2' has no attribute {name!r}")

    def names() -> list[str]:
        """List all names, as ``dir`` does."""
        complete()
        return sorted(namespace)

    namespace.update(__getattr__=find, __dir__=names)
