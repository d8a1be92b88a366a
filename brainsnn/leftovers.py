"""Mark temporary files with their process, and remove those of processes that were killed."""

import contextlib
import functools
import hashlib
import os
import platform
import re
import shutil
from pathlib import Path

import psutil

__all__ = ["COMPLETE", "process_mark", "remove_leftovers", "temporary_start"]

#: File that is written last into a folder of recordings, which is kept from then on.
COMPLETE = "result.json"

#: What `process_mark` returns, in a name that this package gives: ``.NAME.MARK.RANDOM.part`` or ``brainsnn_MARK_RANDOM``.
_NAME = re.compile(r"(?:\..+\.|brainsnn_)p([0-9a-f]{12})-(\d+)-(\d+)[._]\w+(?:\.\w+)?")


@functools.cache
def _machine():
    """
    Return a name for this machine since its last start, and for the numbers that it gives to processes.

    A container numbers its processes from 1 on, and a machine does so again after a restart, so a number means nothing
    elsewhere.
    """
    parts = [platform.node()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text())
        parts += [os.readlink(f"/proc/self/ns/{kind}") for kind in ("pid", "time")]
    except OSError:
        parts.append(f"{psutil.boot_time()}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _status(process):
    """Return the state of a process and its start, in clock ticks since that of the machine, which no clock changes."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return fields[0], int(fields[19])
    except (OSError, IndexError, ValueError):
        return "", 0


def process_mark():
    """
    Return a text that only temporary files and folders of this process have in their names.

    Returns
    -------
    mark : str
    """
    return f"p{_machine()}-{os.getpid()}-{_status(os.getpid())[1]}"


def temporary_start(name):
    """
    Return how the name of a temporary file or folder of this process starts, for what will have another name.

    Parameters
    ----------
    name : str
        The other name. Only its start is kept, since a file system allows 255 bytes.

    Returns
    -------
    start : str
    """
    return f".{name[:25]}.{process_mark()}."


def _is_gone(machine, process, start):
    """Return whether a process does not run any more; False if that is not known, as of a process elsewhere."""
    if machine != _machine():
        return False
    if not psutil.pid_exists(process):
        return True
    state, known_start = _status(process)
    return state in ("Z", "X") or 0 not in (start, known_start) and start != known_start  # another one has its number


def remove_leftovers(folder):
    """
    Remove the temporary files and folders that killed processes of this machine and user have left in a folder.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        Nothing in its other folders is removed. It need not exist.
    """
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if (found := _NAME.fullmatch(entry.name)) is None or not _is_gone(found[1], int(found[2]), int(found[3])):
                continue
            with contextlib.suppress(OSError):  # another process removes it, too
                if os.name == "posix" and entry.stat(follow_symlinks=False).st_uid != os.getuid():
                    continue
                if entry.is_dir(follow_symlinks=False) and not os.path.exists(os.path.join(entry.path, COMPLETE)):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)
