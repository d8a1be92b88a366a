"""Check a sweep's arguments and divide its grid of parameters x images into units."""

import functools
import inspect
import itertools
import sys
from collections.abc import Mapping

import numpy as np

from brainsnn.plain_arrays import whole_number
from brainsnn.sweeps.content import content_key
from brainsnn.sweeps.quantities import as_array
from brainsnn.sweeps.sources import environment_digest, real_name

__all__ = ["Grid", "checked_dict", "name_of"]

#: Images in a unit of work, by default.
CHUNK = 50


class Grid:
    """
    A grid of parameters x images, divided into units.

    Parameters
    ----------
    function, parameters, images, chunk, constants, seed, version
        See `~brainsnn.sweep`.

    Attributes
    ----------
    n_images : int or None
    parts : list of (str, tuple of int, slice)
        Key, position in the grid of parameters, and images of each part of the data set.
    units : dict of str to (tuple of int, slice)
        Parts with equal content, such as the same images twice, are one unit.

    Raises
    ------
    TypeError, ValueError
        If an argument is not valid.
    """

    def __init__(self, function, parameters, images, chunk, constants, seed, version=None):
        if version is not None and not isinstance(version, str):
            raise TypeError(f'sweep: version={version!r} must be a text, such as version="1".')
        self.function = name_of(function, "memory" if version is None else "values")
        try:
            signature = inspect.signature(function)
        except ValueError:
            raise TypeError(
                f"sweep: the arguments of {function!r} are not known. Call it from a function of your own, and sweep that."
            ) from None
        self.parameters = _checked_parameters(parameters)
        self.constants = checked_dict(constants, "constants", "{'model': model}")
        self.images = {} if images is None else images if isinstance(images, dict) else {"images": images}
        self.images = {name: _checked_images(name, values) for name, values in self.images.items()}
        lengths = {name: len(values) for name, values in self.images.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise ValueError(f"sweep: the arrays of the images need one entry for each image, got {lengths}.")
        self.n_images = next(iter(lengths.values()), None)
        if chunk is not None and not self.images:
            raise ValueError(f"sweep: chunk={chunk!r} has no effect without images. Leave it out.")
        n, chunk = self.n_images or 1, whole_number(CHUNK if chunk is None else chunk, "sweep: chunk", 1)
        self.spans = [slice(first, min(first + chunk, n)) for first in range(0, n, chunk)]
        seed, self._seeds = whole_number(seed, "sweep: seed", 0), None
        if "seed" in signature.parameters and "seed" not in (*self.parameters, *self.constants):
            self._seeds = np.random.SeedSequence(seed).generate_state(n)
        self._check_names(signature)
        self.parts = self._make_parts(function, version)
        self.units = {}
        for key, position, span in self.parts:
            self.units.setdefault(key, (position, span))

    def _check_names(self, signature):
        groups = (self.images, self.parameters, self.constants, () if self._seeds is None else ("seed",))
        names = [name for group in groups for name in group]
        for name in set(names):
            if names.count(name) > 1:
                raise TypeError(
                    f"sweep: the argument {name!r} is given twice. Give it once, as images, parameter or constant."
                )
        try:
            signature.bind(**dict.fromkeys(names))
        except TypeError as error:
            raise TypeError(f"sweep: {self.function}{signature} does not fit the arguments {names}: {error}") from None

    def _make_parts(self, function, version):
        constants = sorted(self.constants.items())
        if version is None:
            code, common = "source", content_key(function, constants)
        else:  # functions among the parameters tell units apart, so their code always counts
            code = "memory"
            common = content_key(environment_digest(), version, content_key(function, constants, code="values"))
        images = [content_key(sorted(self._images(span).items())) for span in self.spans]
        parts = []
        for position in itertools.product(*(range(len(values)) for values in self.parameters.values())):
            values = content_key(sorted(self._values(position).items()), code=code)
            parts += [(content_key(common, values, key), position, span) for span, key in zip(self.spans, images)]
        return parts

    def _values(self, position):
        return {name: values[k] for (name, values), k in zip(self.parameters.items(), position)}

    def _images(self, span):
        images = {name: values[span] for name, values in self.images.items()}
        if self._seeds is not None:
            images["seed"] = self._seeds[span] if self.n_images else int(self._seeds[0])
        return images

    def arguments(self, key):
        """Return the arguments of a unit, without the constants (dict)."""
        position, span = self.units[key]
        return {**self._values(position), **self._images(span)}

    def size(self, key):
        """Return the number of images of a unit; 1 if the sweep has no images (int)."""
        return self.units[key][1].stop - self.units[key][1].start

    def describe(self, key):
        """Describe a unit in words."""
        position, span = self.units[key]
        words = [f"{name}={value!r:.60}" for name, value in self._values(position).items()]
        if self.n_images:
            words.append(f"images {span.start} ... {span.stop - 1}")
        return ", ".join(words) or "the only unit"


def name_of(function, code="memory"):
    """
    Return the module and name of a function, the same whether its file is run as a script or imported.

    Parameters
    ----------
    function : callable
        The name of a lambda includes the first digits of its content key.
    code : str, optional
        See `~brainsnn.sweeps.content_key`.

    Returns
    -------
    name : str

    Raises
    ------
    TypeError
        If it is not callable.
    """
    if not callable(function):
        raise TypeError(f"sweep: {function!r} is not a function.")
    if isinstance(function, functools.partial):
        return name_of(function.func, code)
    named = function if hasattr(function, "__qualname__") else type(function)
    module = real_name(vars(sys.modules[named.__module__])) if named.__module__ in sys.modules else named.__module__
    is_lambda = named.__qualname__.endswith("<lambda>")
    return f"{module}.{named.__qualname__}" + (f" {content_key(function, code=code)[:8]}" if is_lambda else "")


def checked_dict(given, argument, example):
    """
    Return an argument of a sweep that must be a dict, as one of its own.

    Parameters
    ----------
    given : mapping or None
    argument : str
        Name of the argument, for the message.
    example : str
        What to give, for the message.

    Returns
    -------
    checked : dict
        Empty if None was given.

    Raises
    ------
    TypeError
        If it is something else.
    """
    if not isinstance(given, Mapping | None):
        raise TypeError(
            f"sweep: {argument} must be a dict of name -> values, got {given!r:.100}. Give one such as {example}."
        )
    return dict(given or {})


def _checked_parameters(parameters):
    if parameters is None:
        raise TypeError("sweep: parameters must be a dict of name -> values, got None. Give {} if there are none.")
    checked = {}
    for name, values in checked_dict(parameters, "parameters", "{'gain': [1, 2]}").items():
        try:
            if isinstance(values, (str, bytes, set, frozenset)):
                raise TypeError
            checked[name] = [_plain(value) for value in values]
        except TypeError:
            raise TypeError(f"sweep: parameter {name!r} needs a list of values, got {values!r:.100}.") from None
        if not checked[name]:
            raise ValueError(f"sweep: the parameter {name!r} has no values.")
        if len({content_key(value, code="memory") for value in checked[name]}) < len(checked[name]):
            raise ValueError(
                f"sweep: values of the parameter {name!r} are repeated: {checked[name]}. Give each value once."
            )
    return checked


def _plain(value):
    """Return entries of numpy arrays as Python's numbers, so that ``[0, 1]`` and ``numpy.linspace(0, 1, 2)`` share units."""
    return value.item() if type(value) in (np.float64, np.int64, np.bool_, np.str_) else value


def _checked_images(name, values):
    try:
        array = as_array(values)
        len(array)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"sweep: the images {name!r} must be an array with one entry for each image: {error}"
        ) from None
    return array
