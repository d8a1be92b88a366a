"""Import Brian2 without matplotlib's pylab, which takes a third of that time, until somebody asks for one of pylab's names."""

import builtins
import sys
from importlib import import_module

import numpy as np

__all__ = ["import_brian2"]

#: Names of pylab that Brian2 removes from its namespace.
_REMOVED = {"x", "f", "rate"}


def import_brian2() -> None:
    """
    Import Brian2, unless that has been done; names of pylab, such as ``brian2.plot``, come when they are first used.

    ``from brian2 import *`` gives what it would give without this function, since a star asks for ``__all__`` first.
    """
    if {"brian2", "pylab", "matplotlib.pyplot"} & sys.modules.keys():
        return
    # Written for Brian2 2.5.4 to 2.11, which takes the names of NumPy alone if pylab cannot be imported.
    sys.modules["pylab"] = None  # type: ignore[assignment]
    try:
        namespace = vars(import_module("brian2"))
    finally:
        del sys.modules["pylab"]
    for name in vars(builtins).keys() & namespace.keys():
        # pylab has Python's own functions of these names
        if any(namespace[name] is vars(module).get(name) for module in (np, np.random)):
            del namespace[name]

    def complete() -> None:
        """Add the names of pylab that Brian2 has not redefined."""
        namespace.pop("__getattr__", None)
        namespace.pop("__dir__", None)
        for name, value in vars(import_module("pylab")).items():
            if not name.startswith("_") and name not in _REMOVED:
                namespace.setdefault(name, value)

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
