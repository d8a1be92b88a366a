"""Files that are there whole or not at all."""

import os
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

__all__ = ["atomic_path", "write_atomically"]


@contextmanager
def atomic_path(path, suffix=".part", sync=False):
    """
    A temporary path that becomes a file at the end: ``with atomic_path(path) as part: model.save(part)``.

    Any number of processes may write the same file at once; the last one to finish stays.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        Its folder is made.
    suffix : str, optional
        What the temporary path ends in; some writers choose a format by it.
    sync : bool, optional
        Wait until the content is on the disk, for files that must survive a failure of the power.

    Yields
    ------
    part : `~pathlib.Path`
        A name in the same folder that nobody else uses. The file that the block writes there, with the permissions that the
        user gives to new files, is renamed to ``path``; it is removed if an error occurs.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{uuid4().hex}{suffix}")
    try:
        yield part
        if sync:
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def write_atomically(path, sync=False):
    """
    Write a file so that it is there whole or not at all: ``with write_atomically(path) as file: ...``.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        Its folder is made.
    sync : bool, optional
        See `atomic_path`.

    Yields
    ------
    file : binary file
        A temporary file in the same folder, renamed to ``path`` at the end, removed if an error occurs.
    """
    with atomic_path(path, sync=sync) as part, open(part, "xb") as file:
        yield file
