"""The user's folder of compiled programs and headers: what in it is ours, complete, and safe to run."""

import hashlib
import json
import os
import stat
import time
from pathlib import Path

import platformdirs

from brainsnn.errors import warn
from brainsnn.files import atomic_path, check_file, write_atomically
from brainsnn.leftovers import remove_leftovers
from brainsnn.plain_arrays import is_number
from brainsnn.system.disk import has_mode, is_mine, writable_by_others

__all__ = ["cache_directory", "cached_programs", "clear_cache", "is_intact", "keep", "make_private"]

#: File in each folder of the cache: the checksums of the others. Nothing without it is used or removed.
MARKER = "brainsnn.json"
#: Of kept files: what others can write may be another program.
MODE = 0o755


def cache_directory() -> Path:
    """
    Return the folder in which compiled programs are kept.

    Returns
    -------
    directory : `~pathlib.Path`
        ``$BRAINSNN_CACHE``, or ``brainsnn`` in the user's cache directory (``$XDG_CACHE_HOME`` on Linux). A variable that is
        empty or not an absolute path is ignored, as the XDG Base Directory Specification says.

    Warns
    -----
    RuntimeWarning
        If ``$BRAINSNN_CACHE`` is a relative path.

    Examples
    --------
    >>> import brainsnn as bs
    >>> bs.cache_directory().is_absolute()
    True
    """
    chosen, default = os.environ.get("BRAINSNN_CACHE", ""), Path("~/.cache/brainsnn").expanduser()
    if os.path.isabs(chosen):
        return Path(chosen)
    if chosen:
        warn(
            f"BRAINSNN_CACHE={chosen!r} is not an absolute path and is ignored. Set it to an absolute path.",
            RuntimeWarning,
        )
    found = Path(platformdirs.user_cache_dir("brainsnn", appauthor=False))
    return found if found.is_absolute() else default


def make_private(folder):
    """
    Make a folder of the cache that only the user can write to, and refuse one that others can write to.

    Parameters
    ----------
    folder : `~pathlib.Path`
        The cache itself, or a folder in it.

    Raises
    ------
    OSError
        If it cannot be made.
    PermissionError
        If it exists and belongs to another user, or others can write to it: they could replace programs that brainsnn runs.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise OSError(
            error.errno, f"The cache folder {str(folder)!r} cannot be made ({error.strerror}). Set BRAINSNN_CACHE to a folder "
            "that you can write to."
        ) from None  # fmt: skip
    status = folder.stat()
    if not is_mine(status):
        raise PermissionError(
            f"The cache folder {str(folder)!r} belongs to another user, who could replace the programs in it. Set "
            "BRAINSNN_CACHE to a folder of your own."
        )
    if writable_by_others(status):
        raise PermissionError(
            f"Other users can write to the cache folder {str(folder)!r} and could replace the programs in it. "
            f"Run: chmod go-w {str(folder)!r}, or set BRAINSNN_CACHE to another folder."
        )


def keep(folder, files):
    """
    Keep copies of files in a folder of the cache; it counts as complete from the end of this call on.

    Parameters
    ----------
    folder : `~pathlib.Path`
        In the cache.
    files : dict of str to `~pathlib.Path`
        Name in the folder -> file to copy.
    """
    make_private(folder)
    for sibling in folder.parent.iterdir():  # another network may not be compiled again
        remove_leftovers(sibling)
    checksums = {}
    for name, source in files.items():
        content = source.read_bytes()
        with atomic_path(folder / name, sync=True) as part:
            part.write_bytes(content)
            part.chmod(MODE)
        checksums[name] = hashlib.sha256(content).hexdigest()
    with write_atomically(folder / MARKER, sync=True) as file:
        file.write(json.dumps({"files": checksums}).encode())


def _checksums(folder):
    """Return the checksums that a folder of the cache notes (dict of str to str), or None: it is not ours."""
    try:
        check_file(folder / MARKER, "cache")
        noted = json.loads((folder / MARKER).read_bytes())["files"]
        return noted if isinstance(noted, dict) and all(_is_name(name) for name in noted) else None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_name(name):
    return name not in ("", "..") and name == Path(name).name


def _is_regular(path):
    """Return whether a path is an ordinary file: neither a link nor a pipe nor a folder, which others may have put there."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # a name that no file can have
        return False


def is_intact(folder):
    """
    Return whether the files of a folder of the cache are those that were kept, and nobody else can have changed them.

    Parameters
    ----------
    folder : `~pathlib.Path`

    Returns
    -------
    is_intact : bool
        False also for a folder that does not exist, or whose files others can write to.

    Raises
    ------
    PermissionError
        If others can write to the folder.
    """
    noted = _checksums(folder)
    if not noted:
        return False
    make_private(folder)
    try:
        return all(
            _is_regular(folder / name)
            and has_mode((folder / name).stat(), MODE)
            and hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum
            for name, checksum in noted.items()
        )
    except OSError:
        return False


def cached_programs() -> list[tuple[Path, int, float]]:
    """
    Return the compiled programs in the cache, and the C++ headers that are compiled once for all of them.

    Returns
    -------
    programs : list of (`~pathlib.Path`, int, float)
        Folder, size in bytes, and time of the last use in seconds since the epoch, the oldest first. Folders that brainsnn
        has not made are not listed.

    Examples
    --------
    >>> import brainsnn as bs
    >>> megabytes = sum(size for folder, size, last_use in bs.cached_programs()) / 1e6
    """
    found = []
    for folder in cache_directory().glob("*"):
        noted = None if folder.is_symlink() else _checksums(folder)
        if noted is not None:
            files = [path.stat() for path in folder.iterdir() if path.is_file()]
            found.append((folder, sum(file.st_size for file in files), max(file.st_mtime for file in files)))
    return sorted(found, key=lambda program: program[2])


def clear_cache(days: float = 0.0) -> int:
    """
    Remove compiled programs; a network that needs one compiles it again.

    Nothing else is removed: neither folders that brainsnn has not made, nor other files in its own.

    Parameters
    ----------
    days : float
        Only programs that have not been used for this many days.

    Returns
    -------
    n_bytes : int
        Disk space that was freed.

    Raises
    ------
    ValueError
        If ``days`` is negative.

    Examples
    --------
    >>> import brainsnn as bs
    >>> bs.clear_cache(days=10000)  # what has not been used for so long
    0
    """
    if not is_number(days, low=0):
        raise ValueError(f"clear_cache: days={days!r} must be 0 or more.")
    limit, freed = time.time() - days * 86400, 0
    for folder, _, used in cached_programs():
        if days == 0 or used <= limit:  # the clock may have been ahead at the last use
            for name in [*_checksums(folder), MARKER]:
                path = folder / name
                if _is_regular(path):
                    freed += path.stat().st_size
                    path.unlink(missing_ok=True)
            if not any(folder.iterdir()):
                folder.rmdir()
    return freed
