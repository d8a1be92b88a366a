"""Read the arrays of a ``.npz`` file that somebody else may have made: sizes are checked before anything is allocated."""

import errno
import math
import zipfile

import numpy as np

from brainsnn.memory import check_size, size_limit

__all__ = ["DamagedArraysError", "TooLargeError", "read_arrays", "read_header"]


class DamagedArraysError(ValueError):
    """A file of arrays is damaged."""


class TooLargeError(ValueError):
    """A file declares more bytes than may be allocated."""


_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_header(file):
    """
    Read the header of an array in NumPy's format.

    Parameters
    ----------
    file : binary file

    Returns
    -------
    shape : tuple of int
    dtype : dtype
    order : {"C", "F"}
    n_bytes : int
        Size of the header and the values.

    Raises
    ------
    ValueError
        If it is not one that NumPy writes for plain values.
    """
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of NumPy's format")
    shape, fortran_order, dtype = _HEADERS[version](file)
    if dtype.hasobject or dtype.names is not None or dtype.subdtype is not None:
        raise ValueError(f"values of type {dtype}")
    if any(n < 0 for n in shape):
        raise ValueError(f"a shape of {shape}")
    return shape, dtype, "F" if fortran_order else "C", file.tell() + math.prod(shape) * dtype.itemsize


def read_arrays(source, what, max_bytes=None):
    """
    Read all arrays of a ``.npz`` file.

    Parameters
    ----------
    source : binary file
    what : str
        What is read, for the message.
    max_bytes : float, optional
        As for `~brainsnn.memory.size_limit`.

    Returns
    -------
    arrays : dict of str to ndarray

    Raises
    ------
    TooLargeError
        If the arrays are larger than ``max_bytes``.
    DamagedArraysError
        If the file, or an array in it, is damaged. The message says which.
    """
    part = "the list of its arrays"
    try:
        with zipfile.ZipFile(source) as archive:
            entries = archive.infolist()
            check_size(
                sum(entry.file_size for entry in entries), size_limit(max_bytes, "Result.load"), what, TooLargeError
            )
            arrays = {}
            for entry in entries:
                part = f"the array {entry.filename.removesuffix('.npy')!r}"
                arrays[entry.filename.removesuffix(".npy")] = _read_array(archive, entry)
            if len(arrays) < len(entries):
                raise DamagedArraysError("two of its arrays have one name")
            return arrays
    except (TooLargeError, DamagedArraysError):
        raise
    except Exception as error:  # damaged bytes of a compressed file can raise almost any error
        # a damaged place in the file is an invalid argument of seek
        if isinstance(error, (MemoryError, ImportError)) or getattr(error, "errno", None) not in (None, errno.EINVAL):
            raise
        raise DamagedArraysError(f"{part} cannot be read ({error or type(error).__name__})") from error


def _read_array(archive, entry):
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"compressed by method {entry.compress_type}, which brainsnn does not write")
    with archive.open(entry) as file:
        shape, dtype, order, n_bytes = read_header(file)
        if n_bytes != entry.file_size:
            raise ValueError(f"its header is of {n_bytes} bytes, and there are {entry.file_size}")
        content = bytearray(n_bytes - file.tell())
        values = memoryview(content)
        while n_read := file.readinto(values):  # checks the checksum at the end
            values = values[n_read:]
        if len(values):
            raise EOFError(f"it ends {len(values)} bytes too early")
    return np.ndarray(shape, dtype, content, order=order)
