"""Make a key from the content of values, equal in every process and on every machine."""

import array
import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import logging
import re
import sys
import types
import uuid
from pathlib import Path

import numpy as np

from brainsnn.files import check_file
from brainsnn.sweeps.code_content import CodeContent, is_incidental
from brainsnn.sweeps.module_origin import origin_of

__all__ = ["Content", "content_key"]

_ATOMS = (type(None), bool, int, float, complex, str, bytes, type(Ellipsis), type(NotImplemented))
_BUILT_IN = (int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)
#: Types whose values are determined by their text.
_TEXTS = (
    datetime.date, datetime.time, datetime.timedelta, datetime.tzinfo, decimal.Decimal, fractions.Fraction, uuid.UUID,
)  # fmt: skip


def content_key(*values, code="source"):
    """
    Return a key that is the same for the same content, in every process and on every machine.

    Parameters
    ----------
    *values
        Numbers, texts, arrays with or without units, paths (the content of a file, or the name of a folder), dates, containers
        of these, dataclasses and other objects of the user's, Keras models, LayerGraphs, neuron models, functions, classes and
        modules.
    code : {"source", "memory", "values"}, optional
        How functions and classes of the user's count.

        - ``"source"``: their source file and all files of the user's that it imports, directly or not; the values that they
          hold or look up (defaults, attributes, closures, global variables); the brainsnn package; and the versions of Python
          (major and minor), Brian2 and numpy. A function in a notebook counts with its own source and that of the functions it
          calls. Code that was edited after its import counts as it was imported, too.
        - ``"memory"``: the code in memory and the values, without files and versions.
        - ``"values"``: the values alone.

    Returns
    -------
    key : str
        32 hexadecimal digits.

    Raises
    ------
    TypeError
        If a value has no content to compare, such as a network or an open file, or if the source of a function is needed and
        cannot be read.
    FileNotFoundError
        If a path does not exist.

    Notes
    -----
    Types count: ``1``, ``1.0``, ``numpy.float32(1)`` and ``"1"`` differ, and so do lists and tuples. The order of a dictionary
    counts as well.

    Examples
    --------
    >>> from brainsnn.sweeps import content_key
    >>> content_key(1, "two") == content_key(1, "two"), content_key(1, "two") == content_key(2, "two")
    (True, False)
    """
    content = Content(code)
    for value in values:
        content.add(value, "value")
    return content.digest.hexdigest()[:32]


class Content:
    """
    A digest that values are added to.

    Parameters
    ----------
    code : {"source", "memory", "values"}
        See `content_key`.
    seen : dict, optional
        Objects that have been added before, by their ids.
    """

    def __init__(self, code, seen=()):
        self.digest, self._seen = hashlib.sha256(), dict(seen)
        self._code = CodeContent(self, code)

    def write(self, tag, data=b""):
        """
        Add text or bytes to the digest.

        Parameters
        ----------
        tag : str
            Tells different kinds of data apart.
        data : str or bytes
        """
        data = data if isinstance(data, bytes) else str(data).encode("utf-8", "surrogatepass")
        self.digest.update(f"{tag} {len(data)}:".encode() + data)

    def add(self, value, where):
        """
        Add a value.

        Parameters
        ----------
        value : object
        where : str
            What the value is, for error messages.
        """
        kind = type(value)  # exactly, since a subclass may compute something else
        if kind in _ATOMS:
            self.write(kind.__name__, value if kind is bytes else hex(value) if kind is int else repr(value))
        elif isinstance(value, np.generic):
            self._add_scalar(value, where)
        elif isinstance(value, Path):
            self._add_path(value, where)
        elif kind in (list, tuple):
            self.write(kind.__name__, len(value))
            for k, item in enumerate(value):
                self.add(item, f"{where}[{k}]")
        elif kind is dict:
            self._add_items(value.items(), where)
        elif kind in (set, frozenset):
            self.write(kind.__name__, "".join(sorted(self._key_within(item, where) for item in value)))
        else:
            self._add_once(value, where)

    def add_named(self, values, where):
        """
        Add a dict whose order does not matter, such as keyword arguments.

        Parameters
        ----------
        values : dict of str to object
        where : str
            What the value is, for error messages.
        """
        self._add_items(sorted(values.items()), where)

    def _add_items(self, items, where):
        self.write("dict", len(items))
        for key, value in items:
            self.add(key, where)
            self.add(value, f"{where}[{key!r:.100}]")

    def _key_within(self, value, where):
        """Return the key of an element of a set. The element may refer to the object that holds the set."""
        part = Content(self._code.code, self._seen)
        part.add(value, where)
        return part.digest.hexdigest()

    def _add_once(self, value, where):
        """Add code or an object, unless it has been added: objects may refer to each other in circles."""
        if id(value) in self._seen:
            self.write("again", self._seen[id(value)][0])
            return
        self._seen[id(value)] = len(self._seen), value  # the reference keeps the id from being reused
        if isinstance(value, np.ndarray):
            self._add_array(value, where)
        elif (parts := _parts(value)) is not None:
            self.write("parts", type(value).__qualname__)
            self.add(parts, where)
        elif not self._code.add(value, where):
            self._add_object(value, where)

    def _add_scalar(self, value, where):
        self.write("scalar", _description(value.dtype))
        if value.dtype.hasobject:
            self.add(value.item(), where)
        else:
            self.write("data", value.tobytes())

    def _add_array(self, value, where):
        kind = np.ndarray if isinstance(value, np.memmap) else type(value)
        unit = getattr(value, "dim", "")  # of arrays with units
        self.write("array", f"{kind.__qualname__} {_description(value.dtype)} {value.shape} {unit}")
        if isinstance(value, np.ma.MaskedArray):
            self.add([np.ma.getmaskarray(value), np.asarray(value.fill_value)], where)
        if origin_of(kind.__module__) == "user":
            self.add(kind, where)
            self.add_named(_state(value), where)
        plain = np.asarray(value)
        if value.dtype.hasobject:
            self.add(plain.ravel().tolist(), where)
        else:
            self.write("data", plain.tobytes())

    def _add_path(self, value, where):
        if not value.exists():
            raise FileNotFoundError(
                f"{where}: {str(value)!r} does not exist, but a path counts with the content of its file. Create the file first."
            )
        if value.is_dir():
            self.write("folder", value)
            return
        check_file(value, where)
        with open(value, "rb") as file:
            self.write("file", hashlib.file_digest(file, "sha256").digest())

    def _add_object(self, value, where):
        kind = type(value)
        origin = origin_of(kind.__module__)
        if hasattr(value, "to_json") and hasattr(value, "get_weights"):  # a Keras model or layer
            self.write("keras", value.to_json())
            self.add([kind, *(type(layer) for layer in getattr(value, "layers", ())), value.get_weights()], where)
            return
        built_in = next((base for base in _BUILT_IN if isinstance(value, base)), None)
        if origin == "library" and built_in is None and not isinstance(value, types.SimpleNamespace):
            self._add_part_of_library(value, where)
            return
        if kind.__module__ == "brainsnn.builders.spiking_network":
            raise TypeError(_refusal(where, kind))
        self.add(kind, where)
        if built_in is not None:
            self.add(str.__str__(value) if built_in is str else built_in(value), where)
        if origin == "brainsnn" and dataclasses.is_dataclass(value):
            self.add_named({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, where)
        else:
            self.add_named(_state(value), where)

    def _add_part_of_library(self, value, where):
        """Add an object that a library offers by name, such as brian2.defaultclock."""
        package = type(value).__module__.split(".")[0]
        for module in sorted(name for name in sys.modules if name.split(".")[0] == package):
            for name, one in list(vars(sys.modules[module]).items()):
                if one is value:
                    self._code.add_installed(package, name)
                    return
        raise TypeError(_refusal(where, type(value)))


def _parts(value):
    """Return the values that determine an object of Python, numpy or scipy (list), or None for other objects."""
    if isinstance(value, np.dtype):
        return [_description(value)]
    if origin_of(type(value).__module__) == "user":
        return None
    if isinstance(value, _TEXTS):
        return [repr(value)]
    if isinstance(value, (range, slice)):
        return [value.start, value.stop, value.step]
    if isinstance(value, types.MappingProxyType):
        return [dict(value)]
    if isinstance(value, enum.Enum):
        return [type(value), value.name]
    if isinstance(value, re.Pattern):
        return [value.pattern, value.flags]
    if isinstance(value, logging.Logger):  # does not affect results
        return [value.name]
    if isinstance(value, collections.deque):
        return [list(value), value.maxlen]
    if type(value).__module__ == "brian2.input.timedarray":
        return [value.values, repr(value.dim), value.dt]
    if type(value).__module__ == "brian2.core.functions":  # a function with units
        return [value.pyfunc, repr(value._arg_units), repr(value._return_unit)]
    if isinstance(value, array.array):
        return [value.typecode, value.tobytes()]
    if type(value).__module__.startswith("scipy.sparse"):
        plain = value.tocoo()
        return [
            value.format,
            plain.shape,
            *map(np.asarray, getattr(plain, "coords", (plain.row, plain.col))),
            plain.data,
        ]
    return None


def _description(dtype):
    """Return a text that determines a dtype, with the names of its fields."""
    return dtype.str if dtype.names is None else repr(np.lib.format.dtype_to_descr(dtype))


def _state(value):
    """Return the attributes of an object, including slots, without cached properties (dict)."""
    found, hidden = {}, set()
    for base in type(value).__mro__:
        for name, member in vars(base).items():
            if isinstance(member, functools.cached_property):
                hidden.add(name)
            elif isinstance(member, types.MemberDescriptorType) and hasattr(value, name):
                found[f"{base.__qualname__}.{name}"] = member.__get__(value)
    own = getattr(value, "__dict__", {}).items()
    return found | {name: one for name, one in own if name not in hidden and not is_incidental(name, one)}


def _refusal(where, kind):
    name = f"{kind.__module__}.{kind.__qualname__}"
    return (
        f"{where} is a {name}, whose content cannot be compared between processes. Make it inside the function, from plain "
        "values and arrays. Decorate the function that makes it with @brainsnn.once to reuse it in the next call."
    )
