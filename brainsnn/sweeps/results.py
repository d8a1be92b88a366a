"""What the units of a sweep returned, and whether it fits together."""

from dataclasses import dataclass

import numpy as np

from brainsnn.sweeps.quantities import exponents_of, unit_text

__all__ = ["Kind", "Results"]


@dataclass
class Kind:
    """
    What all units have in common in one of their results.

    Parameters
    ----------
    shape : tuple of int
        Without the images.
    dtype : dtype
        That holds the numbers of all units.
    exponents : tuple of float or None
        Dimension of quantities.
    largest : int
        Largest magnitude of whole numbers, 0 if there are none.
    """

    shape: tuple
    dtype: np.dtype
    exponents: tuple | None
    largest: int


class Results:
    """
    The results of a sweep's units, checked as they come.

    Parameters
    ----------
    grid : `~brainsnn.sweeps.grid.Grid`
    store : `~brainsnn.sweeps.store.UnitStore`
    layout : `~brainsnn.sweeps.dataset.Layout`

    Attributes
    ----------
    kinds : dict of str to `Kind`
        Of each result.
    """

    def __init__(self, grid, store, layout):
        self.grid, self.store, self.layout = grid, store, layout
        self.kinds, self._added = {}, {}

    def add(self, key):
        """
        Add a unit, unless it has been added.

        Parameters
        ----------
        key : str

        Returns
        -------
        is_there : bool
            False if its file has vanished or is damaged.

        Raises
        ------
        ValueError
            If it cannot become part of the data set.
        """
        if key in self._added:
            return True
        values = self.store.read(key)
        if values is None:
            return False
        kinds = {name: self._kind(key, name, array) for name, array in values.items()}
        if self._added:
            kinds = self._together(key, kinds)
        else:
            self.layout.check({name: kind.shape for name, kind in kinds.items()})
        for name, kind in kinds.items():
            if kind.dtype.kind in "fc" and kind.largest > 2 ** (np.finfo(kind.dtype).nmant + 1):
                raise ValueError(
                    f"sweep: {name!r} of {self.grid.describe(key)} or a unit before has the whole number {kind.largest}, which "
                    f"{kind.dtype} does not hold; return the same type in all units."
                )
        self.kinds = kinds
        self._added[key] = True
        return True

    def _kind(self, key, name, array):
        shape = array.shape
        if self.grid.n_images:
            if shape[:1] != (self.grid.size(key),):
                raise ValueError(
                    f"sweep: {name!r} of {self.grid.describe(key)} has the shape {shape}; its first axis must be that of the "
                    f"{self.grid.size(key)} images."
                )
            shape = shape[1:]
        if array.dtype.kind == "U" and any("\0" in text for text in array.ravel().tolist()):
            raise ValueError(f"sweep: a text in {name!r} of {self.grid.describe(key)} holds the character 0.")
        whole = array.dtype.kind in "iu" and array.size > 0
        largest = max(abs(int(array.min())), abs(int(array.max()))) if whole else 0
        return Kind(shape, array.dtype, exponents_of(array), largest)

    def _together(self, key, kinds):
        """Kinds of the units so far and of another one."""
        here, first = self.grid.describe(key), self.grid.describe(next(iter(self._added)))
        if set(kinds) != set(self.kinds):
            raise ValueError(f"sweep: {here} returned {sorted(kinds)}, {first} returned {sorted(self.kinds)}.")
        for name, kind in kinds.items():
            known = self.kinds[name]
            for what, one, other in (
                ("the shape", kind.shape, known.shape),
                ("the unit", _unit(kind), _unit(known)),
                ("the type", _type(kind), _type(known)),
            ):
                if one != other:
                    raise ValueError(f"sweep: {name!r} has {what} {one} for {here} and {other} for {first}.")
            kind.dtype = np.result_type(kind.dtype, known.dtype)
            kind.largest = max(kind.largest, known.largest)
        return kinds


def _unit(kind):
    return "1" if kind.exponents is None else unit_text(kind.exponents)


def _type(kind):
    return "text" if kind.dtype.kind == "U" else "number"
