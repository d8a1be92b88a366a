"""Files of users: written atomically, so that they are complete or do not exist; opened only if they are files."""

import errno
import functools
import os
import stat
import tempfile
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from brainsnn.leftovers import remove_leftovers, temporary_start
from brainsnn.system.disk import replace

__all__ = ["atomic_path", "check_file", "check_writable", "checked_path", "write_atomically"]

_KINDS = {
    stat.S_IFDIR: "a folder", stat.S_IFIFO: "a named pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}  # fmt: skip


def check_writable(folder, what, fix):
    """
    Refuse a folder that cannot be written to, or made, before anything is computed for it.

    Parameters
    ----------
    folder : str or path-like
    what : str
        Who wants to write, for the message.
    fix : str

    Raises
    ------
    OSError
        The message names the folder, the reason and the fix.
    """
    folder = Path(folder)
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise OSError(error.errno, f"{what}: {str(folder)!r} cannot be written to ({error.strerror}). {fix}") from None


def check_file(path, what, error=ValueError):
    """
    Refuse what is not an ordinary file: opening a named pipe would wait for ever, and reading a device may never end.

    Parameters
    ----------
    path : str or path-like
    what : str
        Who wants to read it, for the message.
    error : type, optional
        Class of the error.

    Raises
    ------
    ValueError
        Or ``error``.
    FileNotFoundError, PermissionError
        If there is nothing at this path, or it may not be read.

    Examples
    --------
    >>> check_file("/", "Result.load")
    Traceback (most recent call last):
        ...
    ValueError: Result.load: '/' is a folder, not a file.
    """
    if not os.path.exists(path):
        raise FileNotFoundError(f"{what}: {str(path)!r} does not exist. Give a file that does.")
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode):
        raise error(f"{what}: {str(path)!r} is {_KINDS.get(stat.S_IFMT(mode), 'something else')}, not a file.")
    if not os.access(path, os.R_OK):
        raise PermissionError(f"{what}: {str(path)!r} may not be read. Ask its owner for the permission, or copy it.")


@functools.lru_cache(maxsize=256)
def _clean_once(folder, _process):
    """Remove what killed processes have left; once in each process, since a folder may hold very many files."""
    remove_leftovers(folder)


def checked_path(path, what, is_file=False):
    """
    Return a path that a user gives, with ``~`` expanded.

    Parameters
    ----------
    path : str or path-like
    what : str
        Function and name of the argument, for the message.
    is_file : bool, optional
        Whether its last part must be the name of a file, which ``"."``, ``".."`` and ``"/"`` are not.

    Returns
    -------
    path : `~pathlib.Path`

    Raises
    ------
    ValueError
        If it is neither text nor a path, such as a number; if it is empty or too long, or names no file.

    Examples
    --------
    >>> checked_path("..", "Result.save: path", is_file=True)
    Traceback (most recent call last):
        ...
    ValueError: Result.save: path='..' is a folder. Give the name of a file, such as 'folder/name'.
    """
    try:
        found = Path(path).expanduser()
    except (TypeError, RuntimeError):
        found = Path("\0")
    if "\0" in str(found):
        raise ValueError(f"{what}={path!r} is not a path. Give a text, such as 'folder/name', or a pathlib.Path.")
    if not os.fspath(path):  # else the current folder
        raise ValueError(f"{what}={path!r} is empty. Give a path, such as 'folder/name'.")
    if is_file and found.name in ("", ".."):
        raise ValueError(f"{what}={path!r} is a folder. Give the name of a file, such as 'folder/name'.")
    try:
        os.lstat(found)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise ValueError(f"{what}={str(path)[:60]!r}... is too long for this file system. Shorten it.") from None
    return found


@contextmanager
def atomic_path(path, suffix=".part", sync=False):
    """
    Yield a temporary path that is renamed at the end: ``with atomic_path(path) as part: model.save(part)``.

    Several processes may write the same file at once. The file of the last one to finish remains. What killed processes have
    left in the folder is removed.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        Its folder is created if necessary.
    suffix : str, optional
        End of the temporary path, from which some writers choose the format.
    sync : bool, optional
        Wait until the content is on the disk, for files that must survive a power failure.

    Yields
    ------
    part : `~pathlib.Path`
        A unique name in the same folder. Write the file there; it gets the user's default permissions and is renamed to
        ``path``. If an error occurs, it is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _clean_once(path.parent.absolute(), os.getpid())
    part = path.with_name(f"{temporary_start(path.name)}{uuid4().hex[:12]}{suffix}")
    try:
        yield part
        if sync:
            with open(part, "rb+") as file:
                os.fsync(file.fileno())
        replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def write_atomically(path, sync=False):
    """
    Open a file that appears only when it is complete: ``with write_atomically(path) as file: ...``.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        Its folder is created if necessary.
    sync : bool, optional
        See `atomic_path`.

    Yields
    ------
    file : binary file
        A temporary file in the same folder. It is renamed to ``path`` at the end, or removed if an error occurs.
    """
    with atomic_path(path, sync=sync) as part, open(part, "xb") as file:
        yield file
