"""Files and folders: what links, names, owners and reserved space are on each system."""

import errno
import os
import shutil
import stat
import time

import numpy as np

from brainsnn.system.fallbacks import IS_POSIX, is_portable

__all__ = [
    "has_mode",
    "ignores_capitals",
    "is_mine",
    "link_folder",
    "path_bytes",
    "replace",
    "reserve_space",
    "take_array",
    "writable_by_others",
]

_CANNOT_RESERVE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)
#: Seconds for which Windows may refuse to replace a file that somebody reads, and bytes that are written at once.
PATIENCE, PIECE = 5.0, 2**20


def reserve_space(file, n_bytes):
    """
    Make a file at least so long, with its space on the disk.

    Parameters
    ----------
    file : binary file
        Opened to append.
    n_bytes : int
        Where the system cannot reserve space, zeros are written, which takes longer.

    Raises
    ------
    OSError
        If the disk has not enough space.
    """
    if n_bytes and hasattr(os, "posix_fallocate") and not is_portable():
        try:
            os.posix_fallocate(file.fileno(), 0, n_bytes)
        except OSError as error:
            if error.errno not in _CANNOT_RESERVE:
                raise
    missing = n_bytes - os.fstat(file.fileno()).st_size
    while missing > 0:
        missing -= file.write(bytes(min(missing, PIECE)))
    file.flush()


def link_folder(link, folder):
    """
    Let a folder be found under another name, for reading.

    Parameters
    ----------
    link : `~pathlib.Path`
        The other name.
    folder : `~pathlib.Path`
        With files only. Windows lets only some users make links to folders: there it is a folder with links to the files, or
        with copies if they are on another disk.
    """
    if IS_POSIX and not is_portable():
        link.symlink_to(folder)
        return
    link.mkdir()
    for path in folder.iterdir():
        try:
            os.link(path, link / path.name)
        except OSError:
            shutil.copy2(path, link / path.name)


def ignores_capitals(path):
    """
    Return whether a file is also found by its name in other capitals, as on most disks of macOS and Windows.

    Parameters
    ----------
    path : `~pathlib.Path`
        A file whose name has letters.

    Returns
    -------
    ignores : bool
    """
    return is_portable() or path.with_name(path.name.swapcase()).exists()


def path_bytes(path):
    """
    Return a path as C++ opens it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    name : bytes

    Raises
    ------
    UnicodeEncodeError
        If Windows cannot write it in the character set of its language.
    """
    return os.fsencode(path) if IS_POSIX else os.fspath(path).encode("mbcs")


def take_array(path, dtype, shape):
    """
    Return the array in a file, which is removed.

    Parameters
    ----------
    path : `~pathlib.Path`
    dtype : dtype
    shape : tuple of int

    Returns
    -------
    array : ndarray
        Mapped, which saves copying; changes stay in memory. Windows removes no file that is mapped: there it is read.
    """
    if IS_POSIX and not is_portable():
        array = np.memmap(path, dtype, "c", shape=shape).view(np.ndarray)
    else:
        array = np.fromfile(path, dtype).reshape(shape)
    path.unlink()
    return array


def replace(source, target):
    """
    Rename a file, in place of another one if that exists.

    Parameters
    ----------
    source, target : path-like

    Raises
    ------
    OSError
        On Windows also if somebody has the other file open for longer than a few seconds.
    """
    end = time.monotonic() + PATIENCE
    while True:
        try:
            os.replace(source, target)
            return
        except PermissionError:
            if (IS_POSIX and not is_portable()) or time.monotonic() > end or not os.path.isfile(target):
                raise
            time.sleep(0.05)


# Owners and permissions protect files from other users. They are asked for wherever they exist, also if fallbacks are forced.


def is_mine(status):
    """
    Return whether a file is of this user.

    Parameters
    ----------
    status : `os.stat_result`

    Returns
    -------
    is_mine : bool
        True where the system has no such owners.
    """
    return not IS_POSIX or status.st_uid == os.getuid()


def writable_by_others(status):
    """
    Return whether other users can write to a file or folder.

    Parameters
    ----------
    status : `os.stat_result`

    Returns
    -------
    writable : bool
        False where the system has no such permissions: there, the folders of a user are closed to others.
    """
    return IS_POSIX and bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))


def has_mode(status, mode):
    """
    Return whether a file has exactly these permissions; True where the system has none.

    Parameters
    ----------
    status : `os.stat_result`
    mode : int

    Returns
    -------
    has_mode : bool
    """
    return not IS_POSIX or status.st_mode & 0o777 == mode
