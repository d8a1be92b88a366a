"""Read HDF5 files that somebody else made: another process opens them, this one gets plain arrays and texts."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brainsnn.memory import check_size
from brainsnn.system.processes import limited

__all__ = ["Array", "Group", "read_hdf5"]

_CHILD = Path(__file__).with_name("hdf5_child.py")
#: The process may take so many seconds, and one more for so many bytes.
SECONDS, BYTES_PER_SECOND = 10, 10 * 2**20
#: Bytes of memory for what the library does besides reading arrays: it holds chunks of an array, and the process a copy.
MARGIN = 64 * 2**20


@dataclass
class Array:
    """
    An array of an HDF5 file.

    Attributes
    ----------
    path : str
    dtype : str
        As NumPy writes it, or a description of a type that is not of numbers.
    attributes : dict of str to (str, list of str or None)
        None for an attribute that is not text.
    values : ndarray or None
        None for a type that is not of numbers.
    texts : str, list or None
        Texts, in nested lists as the array is, if they were asked for.
    """

    path: str
    dtype: str
    attributes: dict = field(default_factory=dict)
    values: np.ndarray | None = None
    texts: str | list | None = None


@dataclass
class Group:
    """
    A group of an HDF5 file.

    Attributes
    ----------
    path : str
    attributes : dict of str to (str, list of str or None)
        None for an attribute that is not text.
    members : dict of str to (Group or Array)
        In the order of the file.
    """

    path: str
    attributes: dict = field(default_factory=dict)
    members: dict = field(default_factory=dict)

    @property
    def n_bytes(self) -> int:
        """Bytes of all arrays below this group (int)."""
        total, pending = 0, [self]
        while pending:
            for found in pending.pop().members.values():
                if isinstance(found, Group):
                    pending.append(found)
                elif found.values is not None:
                    total += found.values.nbytes
        return total


@dataclass(frozen=True)
class _Refusal:
    """Class of the errors, the sentence that says what to do, and why the process was ended, if it was."""

    error: type[Exception]
    fix: str
    ended: list[str]

    def __call__(self, problem):
        """Return the error for a problem."""
        return self.error(f"{problem} {self.fix}")


def read_hdf5(
    source: Path | bytes,
    max_bytes: int,
    error: type[Exception] = ValueError,
    fix: str = "Restore it from a copy.",
    skip: tuple[str, ...] = (),
    with_texts: bool = False,
) -> Group:
    """
    Read the texts and arrays of an HDF5 file.

    Parameters
    ----------
    source : `~pathlib.Path` or bytes
        A file, or the content of one.
    max_bytes : int
        How much the arrays may take in memory.
    error : type, optional
        Class of the errors.
    fix : str, optional
        Last sentence of their messages, which says what to do.
    skip : tuple of str, optional
        Groups of a whole Keras model that are not read.
    with_texts : bool, optional
        Whether to read arrays of texts, too.

    Returns
    -------
    root : Group

    Raises
    ------
    ValueError
        Or ``error``. If the file is truncated or damaged, refers to other files or other places in it, uses filters other than
        those of h5py, or holds more than ``max_bytes``.

    Notes
    -----
    The HDF5 library does not withstand every damaged file: of the flips of one bit in a model, 22 of 60,000 made it
    crash or loop. It therefore runs in a process of its own, with a time limit that grows with the file.
    """
    import h5py  # noqa: F401  the process needs it; here its absence is an error that names the extra

    size = len(source) if isinstance(source, bytes) else source.stat().st_size
    seconds = SECONDS + size // BYTES_PER_SECOND
    n_bytes = 3 * int(max_bytes) + MARGIN
    options = {"max_bytes": max_bytes, "seconds": seconds, "n_bytes": n_bytes, "skip": skip, "texts": with_texts}
    process = subprocess.Popen(
        [sys.executable, "-P", str(_CHILD), json.dumps(options), *([] if isinstance(source, bytes) else [str(source)])],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    with limited(process, seconds, n_bytes) as ended, process:
        _write(process.stdin, source if isinstance(source, bytes) else b"")
        return _read_tree(process, max_bytes, _Refusal(error, fix, ended))


def _end_of(code, ended):
    """Return in words how the process ended."""
    if ended or -code in (9, 24):
        return (ended or ["took too long"])[0]
    return f"ended with the signal {-code}" if code < 0 else f"ended with the status {code}"


def _write(stream, data):
    try:
        stream.write(data)
        stream.close()
    except BrokenPipeError:  # what the process wrote before it ended says more
        pass


def _read(process, n, refusal):
    """Return the next bytes that the process writes."""
    data = process.stdout.read(n)
    if len(data) < n:
        raise refusal(
            f"the HDF5 library did not get through it (it {_end_of(process.wait(), refusal.ended)}): it is truncated or damaged."
        )
    return data


def _header(process, refusal):
    """Return the next header, or raise the error that it holds."""
    header = json.loads(_read(process, int.from_bytes(_read(process, 8, refusal), "big"), refusal))
    if "unreadable" in header:
        raise refusal(f"it cannot be opened as HDF5 ({header['unreadable']}): it is truncated or damaged.")
    if "refused" in header:
        raise refusal(header["refused"])
    if "damaged" in header:
        raise refusal(
            f"its part {header['damaged']!r} cannot be read ({header['because']}): it is truncated or damaged."
        )
    return header


def _read_tree(process, max_bytes, refusal):
    """Return the group that the process describes, with the values of its arrays."""
    header = _header(process, refusal)
    check_size(header.get("too_large", 0), max_bytes, "what its arrays declare", refusal.error)
    objects, arrays = {}, []
    for entry in header["found"]:
        path = entry["path"]
        if "dtype" in entry:
            found = Array(path, entry["dtype"], entry["attributes"], texts=entry.get("texts"))
            if entry["n_bytes"] is not None:
                arrays.append((found, entry))
        else:
            found = Group(path, entry["attributes"])
        objects[path] = found
        if path:
            parent, _, name = path.rpartition("/")
            objects[parent].members[name] = found
    for array, entry in arrays:
        _header(process, refusal)
        content = _read(process, entry["n_bytes"], refusal)
        array.values = np.frombuffer(content, entry["dtype"]).reshape(entry["shape"])
    return objects[""]
