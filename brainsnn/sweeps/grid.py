"""A grid of parameters x images, cut into units."""

import functools
import inspect
import itertools
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from brainsnn.sweeps.content import content_key
from brainsnn.sweeps.quantities import as_array

__all__ = ["Grid", "name_of", "whole_number"]


def whole_number(name, value, least):
    """
    Check an argument.

    Parameters
    ----------
    name : str
    value : object
    least : int
        Smallest value.

    Returns
    -------
    value : int

    Raises
    ------
    ValueError
        If it is no whole number, or too small.
    """
    try:
        if int(value) == value and value >= least:
            return int(value)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ValueError(f"sweep: {name}={value!r} must be a whole number, {least} or greater.")


class Grid:
    """
    A grid, cut into units.

    Parameters
    ----------
    function, parameters, images, chunk, constants, seed
        See `~brainsnn.sweep`.

    Attributes
    ----------
    n_images : int or None
    parts : list of (str, tuple of int, slice)
        Key, combination of parameters, and images of each part of the data set.
    units : dict of str to (tuple of int, slice)
        Parts of equal content, such as the same images twice, are one unit.

    Raises
    ------
    TypeError, ValueError
        If an argument is not valid.
    """

    def __init__(self, function, parameters, images, chunk, constants, seed):
        self.function = name_of(function)
        try:
            signature = inspect.signature(function)
        except ValueError:
            raise TypeError(f"sweep: the arguments of {function!r} are not known; wrap it in a function.") from None
        self.parameters = _checked_parameters(parameters)
        self.constants = dict(constants or {})
        self.images = {} if images is None else images if isinstance(images, dict) else {"images": images}
        self.images = {name: _checked_images(name, values) for name, values in self.images.items()}
        lengths = {name: len(values) for name, values in self.images.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise ValueError(f"sweep: the arrays of the images need one entry for each image, got {lengths}.")
        self.n_images = next(iter(lengths.values()), None)
        n, chunk = 1 if self.n_images is None else self.n_images, whole_number("chunk", chunk, 1)
        self.spans = [slice(first, min(first + chunk, n)) for first in range(0, n, chunk)]
        seed, self._seeds = whole_number("seed", seed, 0), None
        if "seed" in signature.parameters and "seed" not in (*self.parameters, *self.constants):
            self._seeds = np.random.SeedSequence(seed).generate_state(n)
        self._check_names(signature)
        self.parts = self._make_parts(function)
        self.units = {}
        for key, place, span in self.parts:
            self.units.setdefault(key, (place, span))

    def _check_names(self, signature):
        groups = (self.images, self.parameters, self.constants, () if self._seeds is None else ("seed",))
        names = [name for group in groups for name in group]
        for name in set(names):
            if names.count(name) > 1:
                raise TypeError(f"sweep: the argument {name!r} is given twice, as images, parameter, or constant.")
        try:
            signature.bind(**dict.fromkeys(names))
        except TypeError as error:
            raise TypeError(f"sweep: {self.function}{signature} does not fit the arguments {names}: {error}") from None

    def _make_parts(self, function):
        code = content_key(function, sorted(self.constants.items()))
        pieces = [content_key(sorted(self._images(span).items())) for span in self.spans]
        parts = []
        for place in itertools.product(*(range(len(values)) for values in self.parameters.values())):
            values = content_key(sorted(self._values(place).items()))
            for span, piece in zip(self.spans, pieces):
                parts.append((content_key(code, values, piece), place, span))
        return parts

    def _values(self, place):
        return {name: values[k] for (name, values), k in zip(self.parameters.items(), place)}

    def _images(self, span):
        images = {name: values[span] for name, values in self.images.items()}
        if self._seeds is not None:
            images["seed"] = self._seeds[span] if self.n_images else int(self._seeds[0])
        return images

    def arguments(self, key):
        """Arguments of a unit (dict), without the constants."""
        place, span = self.units[key]
        return {**self._values(place), **self._images(span)}

    def size(self, key):
        """Number of images of a unit, 1 without images (int)."""
        return self.units[key][1].stop - self.units[key][1].start

    def describe(self, key):
        """A unit in words."""
        place, span = self.units[key]
        words = [f"{name}={value!r:.60}" for name, value in self._values(place).items()]
        if self.n_images:
            words.append(f"images {span.start} ... {span.stop - 1}")
        return ", ".join(words) or "the only unit"


def name_of(function):
    """
    Module and name of a function, the same whether its file is run as a script or imported.

    Parameters
    ----------
    function : callable
        A lambda has no name, and gets a part of its content for one.

    Returns
    -------
    name : str

    Raises
    ------
    TypeError
        If it is none.
    """
    if not callable(function):
        raise TypeError(f"sweep: {function!r} is no function.")
    if isinstance(function, functools.partial):
        return name_of(function.func)
    named = function if hasattr(function, "__qualname__") else type(function)
    module = named.__module__
    if module in ("__main__", "__mp_main__"):
        module = Path(getattr(sys.modules[module], "__file__", None) or "notebook").stem
    is_lambda = named.__qualname__.endswith("<lambda>")
    return f"{module}.{named.__qualname__}" + (f" {content_key(function)[:8]}" if is_lambda else "")


def _checked_parameters(parameters):
    if not isinstance(parameters, Mapping):
        raise TypeError(f"sweep: parameters must be a dict of name -> values, got {parameters!r:.100}.")
    checked = {}
    for name, values in parameters.items():
        try:
            if isinstance(values, (str, bytes, set, frozenset)):
                raise TypeError
            checked[name] = [_plain(value) for value in values]
        except TypeError:
            raise TypeError(f"sweep: parameter {name!r} needs a list of values, got {values!r:.100}.") from None
        if not checked[name]:
            raise ValueError(f"sweep: the parameter {name!r} has no values.")
        if len({content_key(value) for value in checked[name]}) < len(checked[name]):
            raise ValueError(f"sweep: values of the parameter {name!r} are repeated: {checked[name]}.")
    return checked


def _plain(value):
    """Entries of arrays as Python's own numbers: the same unit, whether a grid is a list or comes from `numpy.linspace`."""
    return value.item() if type(value) in (np.float64, np.int64, np.bool_, np.str_) else value


def _checked_images(name, values):
    try:
        array = as_array(values)
        len(array)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sweep: the images {name!r} are no array with one entry for each image: {error}") from None
    return array
