"""Memory that the system gives a process: huge pages, pages that come when they are touched, and the limit of a container."""

import mmap
from pathlib import Path

import numpy as np

from brainsnn.system.fallbacks import is_portable

__all__ = ["container_memory", "huge_zeros", "untouched_zeros"]

#: Where Linux keeps the limit of a container and what it uses of it.
_CGROUP = Path("/sys/fs/cgroup")


def huge_zeros(n_bytes):
    """
    Return zeros in huge pages, which save the processor from looking up addresses; in ordinary ones elsewhere.

    Parameters
    ----------
    n_bytes : int

    Returns
    -------
    zeros : (n_bytes,) ndarray of uint8
    """
    if is_portable() or not hasattr(mmap, "MADV_HUGEPAGE"):
        return np.zeros(n_bytes, np.uint8)
    buffer = mmap.mmap(-1, n_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    buffer.madvise(mmap.MADV_HUGEPAGE)
    return np.frombuffer(buffer, np.uint8)


def untouched_zeros(n_bytes):
    """
    Return zeros that take no memory before they are touched, even where huge pages are the rule.

    Parameters
    ----------
    n_bytes : int

    Returns
    -------
    zeros : (n_bytes,) ndarray of uint8
    """
    return np.zeros(n_bytes, np.uint8) if is_portable() else np.frombuffer(mmap.mmap(-1, n_bytes), np.uint8)


def container_memory():
    """
    Return how much of the memory of its container this process can still use.

    Returns
    -------
    available : int or None
        Bytes; None if it is not in a container of Linux that has a limit.
    """
    try:
        limit, used = (int((_CGROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        statistics = (_CGROUP / "memory.stat").read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):  # not a container, or one without a limit ("max")
        return None
    cached = dict(line.split() for line in statistics).get("inactive_file", 0)
    return max(limit - used + int(cached), 0)  # the kernel gives copies of files up when memory is needed
