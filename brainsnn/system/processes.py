"""Processes: how they are told apart, which cores they may use, and what limits them."""

import contextlib
import functools
import hashlib
import os
import platform
import time
import uuid
from pathlib import Path
from threading import Event, Thread

import psutil

from brainsnn.system.fallbacks import is_portable

try:
    import resource
except ImportError:  # Windows
    resource = None  # type: ignore[assignment]

__all__ = [
    "after_fork",
    "is_gone",
    "limit_this_process",
    "limited",
    "machine_name",
    "n_cores",
    "process_start",
    "processor_flags",
]

#: Milliseconds by which a clock that was set can move the start of a process, as psutil tells it.
TOLERANCE = 5000
#: Memory of a process that has imported h5py, at most, in bytes; seconds between two looks at a process.
OF_PYTHON, INTERVAL = 300 * 2**20, 0.02


def n_cores() -> int:
    """
    Return how many cores this process may use.

    Returns
    -------
    n_cores : int
        Where the system does not tell, those of the machine.
    """
    if hasattr(os, "sched_getaffinity") and not is_portable():
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor_flags():
    """
    Return what the processor can do.

    Returns
    -------
    flags : str or None
        The words of Linux; None if the system has none.
    """
    try:
        text = "" if is_portable() else Path("/proc/cpuinfo").read_text(errors="replace")
    except OSError:
        return None
    return next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), None)


def after_fork(function):
    """
    Call a function in each process that is forked from this one; where the system cannot fork, never.

    Parameters
    ----------
    function : callable
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=function)


# Which process is which


def machine_name():
    """
    Return a name for this machine, and for the numbers that it gives to processes.

    A container numbers its processes from 1 on, and a machine does so again after a restart, so a number means nothing
    elsewhere.

    Returns
    -------
    name : str
        Of 12 characters. On Linux, it is another one after each start of the machine; elsewhere `process_start` is a date.
    """
    return _machine_name(is_portable())  # the two ways give the start of a process in different units


@functools.cache
def _machine_name(portable):
    parts = [platform.node()]
    try:
        if portable:
            raise OSError
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii"))
        parts += [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "time")]
    except OSError:
        parts.append(f"{uuid.getnode()}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def process_start(process):
    """
    Return when a process of this machine was started.

    Parameters
    ----------
    process : int

    Returns
    -------
    start : int
        On Linux in clock ticks since the start of the machine, which no clock changes; elsewhere in ms since 1970. 0 if it is
        not known.
    """
    return _status(process)[1]


def is_gone(process, start):
    """
    Return whether a process of this machine does not run any more.

    Parameters
    ----------
    process : int
    start : int
        As `process_start` returned it: another process may have its number by now.

    Returns
    -------
    is_gone : bool
    """
    if not psutil.pid_exists(process):
        return True
    state, known, tolerance = _status(process)
    return state in ("Z", "X") or 0 not in (start, known) and abs(start - known) > tolerance


def _status(process):
    """Return the state of a process, its start, and how exactly that is known."""
    if not is_portable():
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
            return fields[0], int(fields[19]), 0
    try:
        found = psutil.Process(process)
        state = "Z" if found.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD) else ""
        return state, int(1000 * found.create_time()), TOLERANCE
    except psutil.Error:
        return "", 0, TOLERANCE


# What a process may use


def limit_this_process(seconds, n_bytes):
    """
    Bound the processor time and memory of this process, and let it write no file, where the system can.

    Parameters
    ----------
    seconds : int
    n_bytes : int
        Beyond what it uses now.
    """
    if resource is None or is_portable():
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    except OSError:  # not Linux
        return
    n_bytes += pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (n_bytes, n_bytes))


@contextlib.contextmanager
def limited(process, seconds, n_bytes):
    """
    End a process of Python that uses more than it may: ``with limited(process, ...) as ended: ...``.

    Parameters
    ----------
    process : `subprocess.Popen`
    seconds : float
        Of processor time; the process may wait for the disk six times as long.
    n_bytes : int
        Of memory, beyond what Python uses. Needed where the system cannot limit it, see `limit_this_process`.

    Yields
    ------
    ended : list of str
        Why it was ended, in words, if it was.
    """
    done, ended = Event(), []
    watches = is_portable() or resource is None or not Path("/proc/self/statm").exists()

    def why():
        """Return which limit the process has passed, None for none."""
        used = psutil.Process(process.pid)
        times = used.cpu_times()
        if times.user + times.system > seconds:
            return "took too long"
        return "took too much memory" if used.memory_info().rss > n_bytes + OF_PYTHON else None

    def watch():
        """Look again and again, and end the process that has passed a limit."""
        end = time.monotonic() + 6 * seconds
        while not done.wait(INTERVAL if watches else max(end - time.monotonic(), 0)):
            with contextlib.suppress(psutil.Error):
                reason = "took too long" if time.monotonic() >= end else why()
                if reason is not None:
                    ended.append(reason)
                    process.kill()
                    return

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield ended
    finally:
        done.set()
        watcher.join()
