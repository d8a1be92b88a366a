"""Functions as a notebook defines them, for the tests of the keys of sweeps."""

import itertools
import linecache
import types

__all__ = ["function"]

N_CELLS = itertools.count()


def function(source, name="f"):
    """Return a function of the user's, defined as a notebook defines it: in ``__main__``, with its source in linecache."""
    source = "import functools, enum\nimport numpy as np\n" + source
    cell, module = f"<cell {next(N_CELLS)}>", types.ModuleType("__main__")
    linecache.cache[cell] = len(source), None, source.splitlines(keepends=True), cell
    exec(compile(source, cell, "exec"), vars(module))
    return vars(module)[name]
