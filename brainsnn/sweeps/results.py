"""Collect what the units of a sweep returned, and check that it fits into one data set."""

from dataclasses import dataclass

import numpy as np

from brainsnn.sweeps.quantities import exponents_of, unit_text

__all__ = ["ResultSpec", "Results"]


@dataclass
class ResultSpec:
    """
    Shape, type and unit of a result, the same for all units of a sweep.

    Parameters
    ----------
    shape : tuple of int
        Without the axis of the images.
    dtype : dtype
        Holds the values of all units.
    exponents : tuple of float or None
        Physical dimension, see `~brainsnn.sweeps.quantities.exponents_of`.
    largest : int
        Largest magnitude of whole numbers, 0 for other results.
    """

    shape: tuple
    dtype: np.dtype
    exponents: tuple | None
    largest: int


class Results:
    """
    Results of the units of a sweep, each checked as it is added.

    Parameters
    ----------
    grid : `~brainsnn.sweeps.grid.Grid`
    store : `~brainsnn.sweeps.store.UnitStore`
    layout : `~brainsnn.sweeps.dataset.Layout`

    Attributes
    ----------
    specs : dict of str to `ResultSpec`
        Specification of each result.
    """

    def __init__(self, grid, store, layout):
        self.grid, self.store, self.layout = grid, store, layout
        self.specs, self._added = {}, {}

    def add(self, key):
        """
        Add a unit, unless it has been added.

        Parameters
        ----------
        key : str

        Returns
        -------
        is_added : bool
            False if its file is missing or damaged.

        Raises
        ------
        ValueError
            If it does not fit into the data set.
        """
        if key in self._added:
            return True
        values = self.store.read(key)
        if values is None:
            return False
        specs = {name: self._spec(key, name, array) for name, array in values.items()}
        if self._added:
            specs = self._merged(key, specs)
        else:
            self.layout.check({name: spec.shape for name, spec in specs.items()})
        for name, spec in specs.items():
            if spec.dtype.kind in "fc" and spec.largest > 2 ** (np.finfo(spec.dtype).nmant + 1):
                raise ValueError(
                    f"sweep: {name!r} of {self.grid.describe(key)} or an earlier unit has the whole number {spec.largest}, which "
                    f"{spec.dtype} does not hold. Return the same type in all units."
                )
        self.specs = specs
        self._added[key] = True
        return True

    def _spec(self, key, name, array):
        shape = array.shape
        if self.grid.n_images:
            if shape[:1] != (self.grid.size(key),):
                raise ValueError(
                    f"sweep: {name!r} of {self.grid.describe(key)} has the shape {shape}. Its first axis must be that of the "
                    f"{self.grid.size(key)} images."
                )
            shape = shape[1:]
        if array.dtype.kind == "U" and any("\0" in text for text in array.ravel().tolist()):
            raise ValueError(
                f"sweep: a text in {name!r} of {self.grid.describe(key)} holds the character 0. Remove it."
            )
        whole = array.dtype.kind in "iu" and array.size > 0
        largest = max(abs(int(array.min())), abs(int(array.max()))) if whole else 0
        return ResultSpec(shape, array.dtype, exponents_of(array), largest)

    def _merged(self, key, specs):
        """Return the specifications that hold the earlier units and another one."""
        here, first = self.grid.describe(key), self.grid.describe(next(iter(self._added)))
        if set(specs) != set(self.specs):
            raise ValueError(
                f"sweep: {here} returned {sorted(specs)}, {first} returned {sorted(self.specs)}. Return the same "
                "names in all units."
            )
        for name, spec in specs.items():
            known = self.specs[name]
            for what, one, other in (
                ("the shape", spec.shape, known.shape),
                ("the unit", _unit(spec), _unit(known)),
                ("the type", _type(spec), _type(known)),
            ):
                if one != other:
                    raise ValueError(
                        f"sweep: {name!r} has {what} {one} for {here} and {other} for {first}. They must be equal."
                    )
            spec.dtype = np.result_type(spec.dtype, known.dtype)
            spec.largest = max(spec.largest, known.largest)
        return specs


def _unit(spec):
    return "1" if spec.exponents is None else unit_text(spec.exponents)


def _type(spec):
    return "text" if spec.dtype.kind == "U" else "number"
