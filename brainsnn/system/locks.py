"""Locks on files, which the operating system releases when a process ends, however it ends."""

import contextlib
import errno
import os

from brainsnn.system.fallbacks import is_portable

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

__all__ = ["is_locked", "lock"]

#: Seconds that SQLite, which has no other way to wait for ever, waits for a lock.
_FOR_EVER = 10**6


@contextlib.contextmanager
def lock(path, wait=False, remove=False):
    """
    Hold a lock on a file, which is made if it does not exist: ``with lock(path) as is_mine: ...``.

    Parameters
    ----------
    path : `~pathlib.Path`
    wait : bool, optional
        Wait for others that hold the lock.
    remove : bool, optional
        Remove the file at the end.

    Yields
    ------
    is_mine : bool
        False while another one, also of this process, holds the lock. True, too, on a file system without locks: what the
        lock guards must then do no harm if it is done twice.

    Raises
    ------
    OSError
        If the file cannot be opened, or if a file system without locks makes it impossible to wait.

    Notes
    -----
    ``flock`` where there is one. Elsewhere SQLite locks the file, with what each system has for that; the file stays empty.
    The two do not see each other's locks.
    """
    way = _by_sqlite if fcntl is None or is_portable() else _by_flock
    with way(path, wait, remove) as is_mine:
        yield is_mine


def is_locked(path):
    """
    Return whether somebody holds the lock on a file; a process that has died does not.

    Parameters
    ----------
    path : `~pathlib.Path`
        It need not exist.

    Returns
    -------
    is_locked : bool
    """
    if not path.exists():
        return False
    with lock(path) as is_mine:
        return not is_mine


@contextlib.contextmanager
def _by_flock(path, wait, remove):
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        except OSError:  # a file system without locks
            if wait:
                raise
            yield True
            return
        if not _is_still(path, os.fstat(descriptor)):  # the previous owner has just removed it
            yield False
            return
        try:
            yield True
        finally:
            if remove:
                path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _by_sqlite(path, wait, remove):
    import sqlite3

    is_left = False
    try:
        if not path.exists():
            sqlite3.connect(path).close()
        before = os.stat(path)
        connection = sqlite3.connect(path, timeout=_FOR_EVER if wait else 0, isolation_level=None)
    except FileNotFoundError:  # the previous owner has just removed it
        yield False
        return
    except sqlite3.OperationalError as error:
        raise OSError(errno.EACCES, f"{str(path)!r} cannot be locked: {error}") from None
    try:
        is_mine = _is_taken(connection, path, wait) and _is_still(path, before)
        try:
            yield is_mine
        finally:
            if is_mine and remove:
                try:
                    path.unlink(missing_ok=True)
                except PermissionError:  # Windows removes no file that is open
                    is_left = True
    finally:
        connection.close()
        if is_left:
            with contextlib.suppress(PermissionError):  # another one has opened it, and removes it
                path.unlink(missing_ok=True)


def _is_taken(connection, path, wait):
    """Return whether a connection got the lock, or there are no locks."""
    import sqlite3

    try:
        connection.execute("PRAGMA journal_mode=OFF")  # else there is a second file
        connection.execute("BEGIN EXCLUSIVE")
    except sqlite3.DatabaseError as error:
        kind = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if kind == sqlite3.SQLITE_BUSY:
            return False
        if kind == sqlite3.SQLITE_IOERR and not wait:
            return True
        raise OSError(errno.ENOLCK, f"{str(path)!r} cannot be locked: {error}") from None
    return True


def _is_still(path, status):
    try:
        return os.path.samestat(os.stat(path), status)
    except FileNotFoundError:
        return False
