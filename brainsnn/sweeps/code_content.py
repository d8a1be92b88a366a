"""The content of functions, classes and modules."""

import builtins
import enum
import functools
import importlib
import inspect
import types
import typing

from brainsnn.sweeps.bytecode import read_bytecode
from brainsnn.sweeps.once import once
from brainsnn.sweeps.owners import owner_of, version_of
from brainsnn.sweeps.sources import has_module, source_digest, user_source_digest

__all__ = ["CodeContent", "is_incidental"]

_DESCRIBED_ELSEWHERE = (types.GetSetDescriptorType, types.MemberDescriptorType)
_BUILT_IN = (
    types.BuiltinFunctionType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
#: Entries of classes and functions that say nothing about what is computed, or repeat what stands elsewhere.
_INCIDENTAL = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__name__", "__firstlineno__",
    "__static_attributes__", "__classdictcell__", "__slotnames__",  # the last one appears when an object is copied
    "__dataclass_fields__", "__dataclass_params__",  # names and default values stand in __init__ as well
    "__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__type_params__",
    "__conditional_annotations__",
    "__orig_bases__", "__parameters__",
    "__abstractmethods__", "_abc_impl", "__protocol_attrs__", "__non_callable_proto_members__",
}  # fmt: skip


class CodeContent:
    """
    Adds functions, classes and modules to a content.

    Parameters
    ----------
    content : `~brainsnn.sweeps.content.Content`
        It adds the values that code refers to, and gets what the code stands for.
    """

    def __init__(self, content):
        self.content = content

    def add(self, value, where):
        """
        Add a value if it is code.

        Parameters
        ----------
        value : object
        where : str
            What it is, for errors.

        Returns
        -------
        is_code : bool
        """
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(value, types.FunctionType):
            self._add_function(value)
        elif isinstance(value, types.GenericAlias | types.UnionType) or type(value).__module__ == typing.__name__:
            self.content.write("type", repr(value))
            self.content.add(typing.get_origin(value), where)
        elif isinstance(value, type):
            self._add_class(value, where)
        elif isinstance(value, types.ModuleType):
            self._add_path(value, (), where)
        elif isinstance(value, once):
            self.content.add(wrapped, where)
        elif isinstance(value, functools._lru_cache_wrapper):
            self.content.add([wrapped, sorted(value.cache_parameters().items())], where)
        elif (parts := _parts(value)) is not None:
            self.content.add([type(value).__name__, *parts], where)
        elif owner_of(type(value).__module__) == "user" or not callable(value):
            return False
        elif owner_of(getattr(value, "__module__", None)) != "user" and hasattr(value, "__qualname__"):
            self.add_module(value.__module__, value.__qualname__)
        elif isinstance(wrapped, types.FunctionType):  # what a compiler such as numba makes of a function
            self.content.add([type(value), wrapped], where)
        else:
            return False
        return True

    def add_module(self, module, name=None):
        """
        Add what is taken from a module of brainsnn or of a library.

        Parameters
        ----------
        module : str
        name : str, optional
            The whole module by default.
        """
        if owner_of(module) == "brainsnn":
            self.content.write("brainsnn", f"{module} {name}")
            self.content.write("source", source_digest(module, None if name is None else name.split(".")[0]))
        else:
            self.content.write("library", f"{module} {name} {version_of(module)}")

    # Functions

    def _add_function(self, function):
        home = function.__globals__.get("__name__")
        if home == functools.__name__ and hasattr(function, "registry"):  # functools.singledispatch
            self.content.add([[kind, one] for kind, one in function.registry.items()], function.__qualname__)
        elif owner_of(home) == "user":
            self._add_own_function(function)
        else:
            self._add_function_of_library(function, home)

    def _add_function_of_library(self, function, home):
        """A decorator of a library gives out functions of the library, which know what they decorate."""
        self.add_module(home, function.__code__.co_qualname)
        decorates = owner_of(function.__module__) == "user"
        for variable, value in _closure(function).items():
            if decorates or callable(value):
                self.content.add(value, f"{variable!r} in {function.__qualname__}")

    def _add_own_function(self, function):
        name = function.__qualname__
        self.content.write("function", name)
        self.content.add(function.__defaults__, f"default values of {name}")
        self.content.add_named(function.__kwdefaults__ or {}, f"default values of {name}")
        attributes = {key: value for key, value in vars(function).items() if key != "__wrapped__"}
        self.content.add_named(attributes, f"attributes of {name}")
        code = read_bytecode(function.__code__)
        self.content.add(code.content, name)
        variables = _closure(function)
        for variable in code.globals:
            if variable in function.__globals__:
                variables.setdefault(variable, function.__globals__[variable])
            elif not hasattr(builtins, variable):
                self.content.write("name", variable)
        for variable in sorted(variables):
            self.content.write("variable", variable)
            self._add_paths(variables[variable], code.paths.get(variable, {()}), f"{variable!r} in {name}")
        package = function.__globals__.get("__package__")
        for variable, level, module, taken in code.imports:
            full = importlib.util.resolve_name("." * level + module, package) if level else module
            self._add_import(full, taken, code.paths.get(variable, ()), f"{full!r} in {name}")

    def _add_paths(self, value, paths, where):
        for path in sorted(paths):
            self._add_path(value, path, where)
            if not isinstance(value, types.ModuleType):
                return

    def _add_path(self, value, attributes, where):
        """Add what is reached through a module by way of attributes, and nothing else of the module."""
        if not isinstance(value, types.ModuleType):
            self.content.add(value, where)
            return
        module, owner = value.__name__, owner_of(value.__name__)
        if owner == "library":
            self.add_module(module)
        elif owner == "brainsnn":
            self._add_path_of_brainsnn(module, attributes)
        elif attributes and attributes[0] in vars(value):
            self.content.write("attribute", attributes[0])
            self._add_path(vars(value)[attributes[0]], attributes[1:], f"{module}.{attributes[0]}")
        else:
            self._add_user_module(value, where)

    def _add_path_of_brainsnn(self, module, attributes):
        """Told from files alone, since modules of brainsnn hold names only from their first use on."""
        for name in attributes:
            if not has_module(f"{module}.{name}"):
                self.add_module(module, name)
                return
            module = f"{module}.{name}"
        self.add_module(module)

    def _add_user_module(self, module, where):
        """A module whose names may be used in ways that cannot be followed."""
        self.content.write("module", module.__name__)
        digest = user_source_digest(module)
        if digest is None:
            raise TypeError(
                f"{where} is the module {module.__name__!r}, which has no source file that could be compared. Take functions "
                "from it by name."
            )
        self.content.write("source", digest)

    def _add_import(self, module, name, paths, where):
        """What an import statement in a function gives."""
        self.content.write("import", f"{module} {name}")
        owner = owner_of(module)
        if owner == "library":
            self.add_module(module)
            return
        if owner == "brainsnn":
            for path in sorted(paths if name is None else paths or {()}):
                self._add_path_of_brainsnn(module, path if name is None else (name, *path))
            return
        try:
            value = importlib.import_module(module)
            if name is not None and not hasattr(value, name):
                value = importlib.import_module(f"{module}.{name}")
            elif name is not None:
                value = getattr(value, name)
        except ImportError:  # the function may be able to do without it
            return
        if not isinstance(value, types.ModuleType):
            self.content.add(value, where)
        elif name is not None or paths:
            self._add_paths(value, paths or {()}, where)

    # Classes

    def _add_class(self, kind, where):
        if owner_of(kind.__module__) != "user":
            self.add_module(kind.__module__, kind.__qualname__)
            return
        self.content.write("class", kind.__qualname__)
        if type(kind) is not type:
            self.content.add(type(kind), where)
        self.content.add([base for base in kind.__bases__ if base is not object], where)
        entries = {name: value for name, value in vars(kind).items() if not is_incidental(name, value)}
        if issubclass(kind, enum.Enum):
            entries = _of_enum(kind, entries)
        self.content.add_named(entries, f"{where}.{kind.__name__}")


def is_incidental(name, value):
    """
    Whether an entry of a class or an object says nothing about what is computed.

    Parameters
    ----------
    name : str
    value : object

    Returns
    -------
    is_incidental : bool
    """
    return name in _INCIDENTAL or isinstance(value, _DESCRIBED_ELSEWHERE) or type(value).__name__ == "_tuplegetter"


def _parts(value):
    """What makes up a descriptor, a bound function or a function in C (list), or None."""
    if isinstance(value, (staticmethod, classmethod)):
        return [value.__func__]
    if isinstance(value, property):
        return [value.fget, value.fset, value.fdel]
    if isinstance(value, functools.cached_property):
        return [value.func]
    if isinstance(value, (functools.partial, functools.partialmethod)):
        return [value.func, value.args, sorted(value.keywords.items())]
    if isinstance(value, types.MethodType):
        return [value.__func__, value.__self__]
    if isinstance(value, _BUILT_IN):
        owner = getattr(value, "__objclass__", getattr(value, "__self__", None))
        return [value.__qualname__, value.__module__ if owner is None or inspect.ismodule(owner) else owner]
    return None


def _of_enum(kind, entries):
    """Members of an enumeration in their order, and what the user has defined besides."""
    hidden = ("_name_", "__objclass__", "_sort_order_")
    members = [
        [name, sorted((key, value) for key, value in vars(member).items() if key not in hidden)]
        for name, member in kind.__members__.items()
    ]
    own = {name: value for name, value in entries.items() if name not in kind.__members__}
    own = {name: value for name, value in own.items() if not name.startswith("_") or inspect.isfunction(value)}
    return {"members": members, "own": sorted(own.items())}


def _closure(function):
    """Variable -> value, of those around a function that have one."""
    found = {}
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            found[variable] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found
