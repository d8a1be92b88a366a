"""Mark temporary files with their process, and remove those of processes that were killed."""

import contextlib
import os
import re
import shutil

from brainsnn.system.disk import is_mine
from brainsnn.system.processes import is_gone, machine_name, process_start

__all__ = ["COMPLETE", "process_mark", "remove_leftovers", "temporary_start"]

#: File that is written last into a folder of recordings, which is kept from then on.
COMPLETE = "result.json"

#: What `process_mark` returns, in a name that this package gives: ``.NAME.MARK.RANDOM.part`` or ``brainsnn_MARK_RANDOM``.
_NAME = re.compile(r"(?:\..+\.|brainsnn_)p([0-9a-f]{12})-(\d+)-(\d+)[._]\w+(?:\.\w+)?")


def process_mark():
    """
    Return a text that only temporary files and folders of this process have in their names.

    Returns
    -------
    mark : str
    """
    return f"p{machine_name()}-{os.getpid()}-{process_start(os.getpid())}"


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


def _is_left(machine, process, start):
    """Return whether a process has ended; False if that is not known, as of a process elsewhere."""
    return machine == machine_name() and is_gone(process, start)


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
            if (found := _NAME.fullmatch(entry.name)) is None or not _is_left(found[1], int(found[2]), int(found[3])):
                continue
            with contextlib.suppress(OSError):  # another process removes it, too
                if not is_mine(entry.stat(follow_symlinks=False)):
                    continue
                if entry.is_dir(follow_symlinks=False) and not os.path.exists(os.path.join(entry.path, COMPLETE)):
                    shutil.rmtree(entry.path, ignore_errors=True)
                elif entry.is_file(follow_symlinks=False):
                    os.unlink(entry.path)
