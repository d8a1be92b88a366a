"""Store finished units of work in a folder that any number of processes may share."""

import contextlib
import io
import json
import sys
import time
from pathlib import Path

import numpy as np

from brainsnn.files import check_file, write_atomically
from brainsnn.one_line import brief, one_line
from brainsnn.results.npz import read_arrays
from brainsnn.sweeps.quantities import as_array, exponents_of, with_unit
from brainsnn.system.locks import lock

__all__ = ["UnfitResultError", "UnitStore"]

#: Entry of a file with the key of its unit, and the names and physical units of the other entries, which are numbered.
_CONTENTS = "contents"


class UnfitResultError(TypeError):
    """A unit's function returned something that cannot be saved."""


class UnitStore:
    """
    Store of the results of units of work: one file per unit, named by its content key.

    A file is complete or does not exist. A claim keeps two processes from computing the same unit; the operating system
    releases the claim of a process that dies.

    Parameters
    ----------
    folder : str or `~pathlib.Path`
        The units are stored in its subfolder ``units``. ``~`` is the user's home.

    Examples
    --------
    >>> from brainsnn.sweeps import UnitStore
    >>> store = UnitStore("units")
    >>> store.get("a", lambda x: {"y": 2 * x}, 3)["y"]
    array(6)
    """

    def __init__(self, folder):
        self.folder = Path(folder).expanduser() / "units"

    def __repr__(self):
        return one_line(self, brief(self.folder, 150))

    def path(self, key):
        """Return the file of a unit (`~pathlib.Path`)."""
        return self.folder / f"{key}.npz"

    def claim_path(self, key):
        """Return the file that is locked while a unit is computed (`~pathlib.Path`)."""
        return self.folder / f".{key}.claim"

    def __contains__(self, key):
        return self.path(key).is_file()

    def read(self, key):
        """
        Read a unit.

        Parameters
        ----------
        key : str

        Returns
        -------
        values : dict of str to ndarray, or None
            None if the unit is missing. A damaged file, or one of another unit, is removed and counts as missing.

        Raises
        ------
        OSError
            If the file exists and cannot be read at all.
        """
        try:
            check_file(self.path(key), "sweep", OSError)
            data = self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        try:
            return _unpacked(data, key)
        except (ImportError, MemoryError):
            raise
        except Exception:  # damaged bytes of a compressed file can raise almost any error
            self.path(key).unlink(missing_ok=True)
            return None

    def write(self, key, values):
        """
        Write a unit.

        Parameters
        ----------
        key : str
        values : dict of str to array_like
            Numbers with or without physical units, truth values, or texts.

        Raises
        ------
        UnfitResultError
            If the values are something else; a `TypeError`.
        """
        arrays = _checked(values)
        names = [[name, exponents_of(array)] for name, array in arrays.items()]
        contents = json.dumps({"key": key, "names": names})
        entries = {str(k): np.asarray(array) for k, array in enumerate(arrays.values())}
        with write_atomically(self.path(key), sync=True) as file:
            np.savez_compressed(file, **{_CONTENTS: np.array(contents)}, **entries)

    @contextlib.contextmanager
    def claim(self, key):
        """
        Claim a unit: ``with store.claim(key) as is_mine: ...``.

        Parameters
        ----------
        key : str

        Yields
        ------
        is_mine : bool
            False while another process computes the unit.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock(self.claim_path(key), remove=True) as is_mine:
            yield is_mine

    def compute(self, key, function, *args, **kwds):
        """
        Compute a unit and save it, unless it exists or another process is computing it.

        Parameters
        ----------
        key : str
        function : callable
            Returns a dict of str to number or array.
        *args, **kwds
            Its arguments.

        Returns
        -------
        is_saved : bool
            False if another process is computing the unit.
        """
        if key in self:
            return True
        with self.claim(key) as is_mine:
            if is_mine and key not in self:
                self.write(key, function(*args, **kwds))
            return is_mine

    def get(self, key, function, *args, **kwds):
        """
        Read a unit. If it is missing, compute it or wait for the process that does.

        Parameters
        ----------
        key, function, *args, **kwds
            See `compute`.

        Returns
        -------
        values : dict of str to ndarray
            With the physical units that the function returned.
        """
        while (values := self.read(key)) is None:
            if not self.compute(key, function, *args, **kwds):
                time.sleep(0.2)
        return values


def _unpacked(data, key):
    arrays = read_arrays(io.BytesIO(data), "sweep: a unit", max_bytes=sys.maxsize)  # checks the checksum of each entry
    contents = json.loads(arrays[_CONTENTS].item())
    if contents["key"] != key:
        raise ValueError(f"the file of unit {contents['key']!r} under the name of {key!r}")
    return {name: with_unit(arrays[str(k)], exponents) for k, (name, exponents) in enumerate(contents["names"])}


def _checked(values):
    if not isinstance(values, dict) or not values or not all(isinstance(name, str) for name in values):
        raise UnfitResultError(
            f"a unit must return a dict of name -> number or array, got {type(values).__name__}: {values!r:.200}."
        )
    arrays = {name: as_array(value) for name, value in values.items()}
    for name, array in arrays.items():
        if array.dtype.kind not in "biufcU":
            raise UnfitResultError(
                f"a unit returned {name!r} of type {array.dtype}. Return numbers, truth values or texts."
            )
        if np.ma.is_masked(array):
            raise UnfitResultError(
                f"a unit returned {name!r} with masked entries, but files do not store masks. Return "
                f"{name}.filled(np.nan), or the mask as another result."
            )
    return arrays
