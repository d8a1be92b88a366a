"""Where the arrays of a network in this process start; see ``codegen/templates/memory.cpp``, which does the same in programs."""

import numpy as np
from brian2.core.variables import DynamicArrayVariable

from brainsnn.builders.devices.active_device import runtime_device
from brainsnn.system.memory import huge_zeros, untouched_zeros

__all__ = ["kept_memory", "place_arrays"]

#: Bytes of a line of the cache, of a huge page, and of an array that is worth huge pages.
LINE, PAGE, LARGE = 64, 2 * 2**20, 4 * 2**20


def place_arrays(variables):
    """
    Move arrays of Brian2's runtime device to the start of a cache line, large ones into huge pages.

    Nobody may have a reference to the arrays yet.

    Parameters
    ----------
    variables : iterable of `~brian2.core.variables.ArrayVariable`
    """
    n_large = 0
    for variable in variables:
        if not isinstance(variable, DynamicArrayVariable):
            values = runtime_device.arrays[variable]
            is_large = values.nbytes >= LARGE
            shift = LINE * (5 * n_large % 61) if is_large else 0
            n_large += is_large
            placed = _zeros(values.nbytes, is_large, LINE + shift).view(values.dtype)
            placed[:] = values
            runtime_device.arrays[variable] = placed


def kept_memory(n_steps, n_bytes, sparse):
    """
    Return memory for the values of an array in each of several steps.

    Parameters
    ----------
    n_steps, n_bytes : int
        Each step starts at a cache line, behind one with zeros, as in ``templates/time_blocks.cpp``.
    sparse : bool
        Whether most of it is never touched, as of lists of spikes: it gets no huge pages.

    Returns
    -------
    memory : ndarray of uint8
    """
    size = n_steps * (LINE + -(-n_bytes // LINE) * LINE)
    if sparse:
        return untouched_zeros(size)
    return _zeros(size, size >= LARGE, 0)


def _zeros(n_bytes, is_large, shift):
    """Return zeros, as bytes, that start so far behind the start of a page, or of a line, with zeros in between."""
    unit = PAGE if is_large else LINE
    size = n_bytes + shift + unit
    found = huge_zeros(size) if is_large else np.zeros(size, np.uint8)
    start = -found.ctypes.data % unit + shift
    return found[start : start + n_bytes]
