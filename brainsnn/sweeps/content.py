"""What a unit of work is known by: the content of its code and of its arguments."""

import builtins
import dataclasses
import functools
import hashlib
import inspect
import sys
import sysconfig
import types
from collections import OrderedDict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from brainsnn.sweeps.sources import LAZY_TABLES, source_digest

__all__ = ["content_key", "once", "owner_of"]

_LIBRARIES = tuple({sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")})


def content_key(*values):
    """
    A key that is the same for the same content, in every process and on every machine.

    Parameters
    ----------
    *values
        Numbers, texts, arrays with and without units, paths (which stand for the content of a file, or the name of a folder),
        containers of these, dataclasses, Keras models, LayerGraphs, neuron models, and functions and classes.

        A function of the user's stands for its bytecode, its default values, and all functions, classes and values that it
        refers to, in turn. What it uses of brainsnn stands for the file that defines it and all files of brainsnn that this
        one imports. Other libraries stand for their versions.

    Returns
    -------
    key : str
        32 hexadecimal digits.

    Raises
    ------
    TypeError
        If a value has no content that could be compared, such as a network.
    """
    content = _Content()
    content.add(values, "value")
    return content.digest.hexdigest()[:32]


class _Content:
    def __init__(self):
        self.digest, self._seen = hashlib.sha256(), {}

    def _write(self, tag, data=b""):
        data = data if isinstance(data, bytes) else str(data).encode()
        self.digest.update(f"{tag} {len(data)}:".encode() + data)

    def add(self, value, where):
        """Add a value; ``where`` says in errors what it is."""
        if isinstance(value, np.generic) and value.dtype.kind != "V":
            value = value.item()
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes)):
            self._write(type(value).__name__, value if isinstance(value, bytes) else repr(value))
        elif isinstance(value, np.ndarray):
            self._add_array(value, where)
        elif isinstance(value, (list, tuple)):
            self._write("sequence", len(value))
            for k, item in enumerate(value):
                self.add(item, f"{where}[{k}]")
        elif isinstance(value, (dict, types.MappingProxyType)):
            self._write("mapping", len(value))
            for key in sorted(value, key=lambda key: (type(key).__name__, repr(key))):
                self.add(key, where)
                self.add(value[key], f"{where}[{key!r}]")
        elif isinstance(value, (set, frozenset)):
            self._write("set", "".join(sorted(content_key(item) for item in value)))
        elif isinstance(value, (range, slice)):
            self._write("range", repr(value))
        elif isinstance(value, Path):
            self._add_path(value, where)
        else:
            self._add_once(value, where)

    def _add_once(self, value, where):
        """Code and objects, which may refer to each other in circles."""
        if id(value) in self._seen:
            self._write("again", self._seen[id(value)][0])
            return
        self._seen[id(value)] = len(self._seen), value  # kept alive, or its id might be given to another
        if isinstance(value, (staticmethod, classmethod)):
            self.add(value.__func__, where)
        elif isinstance(value, property):
            self.add([value.fget, value.fset], where)
        elif isinstance(value, functools.partial):
            self.add([value.func, value.args, value.keywords], where)
        elif isinstance(value, types.MethodType):
            self.add([value.__func__, value.__self__], where)
        elif isinstance(value, once) or isinstance(getattr(value, "__wrapped__", None), types.FunctionType):
            self.add(value.__wrapped__, where)
        elif isinstance(value, types.ModuleType):
            self._add_module(value.__name__)
        elif isinstance(value, (types.FunctionType, type)):
            self._add_code(value, where)
        elif callable(value) and getattr(value, "__module__", None) and hasattr(value, "__qualname__"):
            self._add_module(value.__module__, value.__qualname__)
        else:
            self._add_object(value, where)

    def _add_array(self, value, where):
        if value.dtype.hasobject:
            self.add([value.shape, value.ravel().tolist()], where)
            return
        self._write("array", f"{value.dtype.str} {value.shape} {getattr(value, 'dim', '')}")
        self._write("data", np.ascontiguousarray(value).tobytes())

    def _add_path(self, value, where):
        if not value.exists():
            raise FileNotFoundError(f"{where}: {str(value)!r} does not exist; a path stands for the content of a file.")
        if value.is_dir():
            self._write("folder", value)
            return
        with open(value, "rb") as file:
            self._write("file", hashlib.file_digest(file, "sha256").digest())

    def _add_object(self, value, where):
        if hasattr(value, "to_json") and hasattr(value, "get_weights"):  # a Keras model or layer
            self._write("keras", value.to_json())
            self.add(value.get_weights(), where)
            return
        kind = type(value)
        if owner_of(kind.__module__) == "library" and not isinstance(value, types.SimpleNamespace):
            package = kind.__module__.split(".")[0]
            name = next((name for name, one in vars(sys.modules[package]).items() if one is value), None)
            if name is None:
                raise TypeError(_refusal(where, kind))
            self._add_module(package, name)  # something that the library offers, such as brian2.defaultclock
            return
        if kind.__module__ == "brainsnn.builders.spiking_network":
            raise TypeError(_refusal(where, kind))
        self.add(kind, where)
        if dataclasses.is_dataclass(value):
            self.add({f.name: getattr(value, f.name) for f in dataclasses.fields(value)}, where)
        elif hasattr(value, "__dict__"):
            extra = dict(value) if isinstance(value, dict) else {}
            self.add([extra, vars(value)], where)
        else:
            raise TypeError(_refusal(where, kind))

    def _add_module(self, module, name=None):
        owner = owner_of(module)
        if owner == "brainsnn":
            self._write("brainsnn", f"{module} {name}")
            self._write("source", source_digest(module, None if name is None else name.split(".")[0]))
        else:
            self._write("library", f"{module} {name} {_version(module.split('.')[0])}")

    def _add_code(self, value, where):
        if owner_of(value.__module__) != "user":
            self._add_module(value.__module__, value.__qualname__)
        elif isinstance(value, type):
            self._write("class", value.__qualname__)
            self.add([base for base in value.__bases__ if base is not object], where)
            self.add({k: v for k, v in vars(value).items() if not _is_incidental(k, v)}, f"{where}.{value.__name__}")
        else:
            self._add_function(value)

    def _add_function(self, function):
        name = function.__qualname__
        self._write("function", name)
        self.add([function.__defaults__, function.__kwdefaults__], f"default values of {name}")
        names = self._add_bytecode(function.__code__, function.__doc__)
        for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
            try:
                self.add(cell.cell_contents, f"{variable!r} in {name}")
            except ValueError:  # not assigned yet
                continue
        for variable in sorted(names):
            if variable in function.__globals__:
                self._write("global", variable)
                self._add_global(function.__globals__[variable], names, f"{variable!r} in {name}")
            elif not hasattr(builtins, variable):
                self._write("name", variable)

    def _add_bytecode(self, code, doc=None):
        """Add what a function does; returns the names that it uses."""
        names = set(code.co_names)
        self._write("code", code.co_code)
        self._write("names", " ".join((*code.co_names, *code.co_varnames, *code.co_freevars)))
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                names |= self._add_bytecode(constant, constant.co_consts[0] if constant.co_consts else None)
            elif not (isinstance(constant, str) and constant == doc):
                self._write(
                    "constant", repr(sorted(constant, key=repr) if isinstance(constant, frozenset) else constant)
                )
        return names

    def _add_global(self, value, names, where):
        """A value that a function finds under a global name; of a module, only what the function can take from it."""
        if not isinstance(value, types.ModuleType):
            self.add(value, where)
            return
        owner = owner_of(value.__name__)
        if owner == "library":
            self._add_module(value.__name__)
            return
        lazy = {name for table in LAZY_TABLES for name in vars(value).get(table, ())}
        for name in sorted(names):
            if owner == "brainsnn" and name in lazy:
                self._add_module(value.__name__, name)  # without importing it
            elif name in vars(value):
                self._add_global(vars(value)[name], names, f"{value.__name__}.{name}")


def owner_of(module):
    """
    Whose a module is.

    Parameters
    ----------
    module : str

    Returns
    -------
    owner : {"brainsnn", "library", "user"}
        What is installed, or comes with Python, is a library.
    """
    root = (module or "").split(".")[0]
    if root == "brainsnn":
        return "brainsnn"
    if root in ("__main__", "__mp_main__"):
        return "user"
    if root in sys.builtin_module_names or root in sys.stdlib_module_names:
        return "library"
    path = getattr(sys.modules.get(module), "__file__", None) or getattr(sys.modules.get(root), "__file__", None)
    if path is None:
        return "user"
    parts = Path(path).parts
    inside = "site-packages" in parts or "dist-packages" in parts or str(path).startswith(_LIBRARIES)
    return "library" if inside else "user"


def _version(package):
    try:
        return version(package)
    except PackageNotFoundError:
        return getattr(sys.modules.get(package), "__version__", "")


def _is_incidental(name, value):
    hidden = (
        "__dict__",
        "__weakref__",
        "__doc__",
        "__module__",
        "__qualname__",
        "__firstlineno__",
        "__static_attributes__",
        "__dataclass_fields__",  # names and default values stand in __init__ as well
        "__dataclass_params__",
    )
    return name in hidden or isinstance(value, (types.GetSetDescriptorType, types.MemberDescriptorType))


def _refusal(where, kind):
    name = f"{kind.__module__}.{kind.__qualname__}"
    return (
        f"{where} is a {name}, whose content cannot be compared between processes. Make it inside the function from plain "
        "values and arrays; @brainsnn.sweeps.once keeps it for the next call."
    )


class once:
    """
    Decorator of a function that makes something costly, such as a network: each process calls it once for equal arguments.

    Parameters
    ----------
    function : callable
    size : int, optional
        How many results are kept.

    Examples
    --------
    >>> @once
    ... def network(graph, m_f):
    ...     return bs.convert(graph, neuron=bs.ASN(m_f=m_f), device="cpp_standalone")
    """

    def __init__(self, function, size=4):
        self.size, self._kept = size, OrderedDict()
        functools.update_wrapper(self, function)

    def __call__(self, *args, **kwds):
        """Call the function, or return what it returned for these arguments."""
        bound = inspect.signature(self.__wrapped__).bind(*args, **kwds)
        key = content_key(list(bound.arguments.items()))
        if key not in self._kept:
            self._kept[key] = self.__wrapped__(*args, **kwds)
            while len(self._kept) > self.size:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def __reduce__(self):
        return once, (self.__wrapped__, self.size)
