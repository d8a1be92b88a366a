"""Add functions, classes and modules to a content key: their source, and the values that they refer to."""

import dis
import enum
import functools
import inspect
import sys
import types
import typing

from brainsnn.sweeps.module_origin import origin_of
from brainsnn.sweeps.sources import SourceError, environment_digest, function_digest, module_digest

__all__ = ["CodeContent", "is_incidental"]

_BUILT_IN = (
    types.BuiltinFunctionType,
    types.WrapperDescriptorType,
    types.MethodWrapperType,
    types.MethodDescriptorType,
    types.ClassMethodDescriptorType,
)
#: Entries that Python adds to classes and functions, and that repeat their source or change as they are used.
_INCIDENTAL = {
    "__dict__", "__weakref__", "__doc__", "__module__", "__qualname__", "__name__", "__firstlineno__",
    "__static_attributes__", "__classdictcell__", "__slotnames__", "__dataclass_fields__", "__dataclass_params__",
    "__annotations__", "__annotate__", "__annotate_func__", "__annotations_cache__", "__conditional_annotations__",
    "__type_params__", "__orig_bases__", "__parameters__", "__abstractmethods__", "_abc_impl", "__protocol_attrs__",
    "__non_callable_proto_members__",
}  # fmt: skip


class CodeContent:
    """
    Add functions, classes and modules to a content.

    Parameters
    ----------
    content : `~brainsnn.sweeps.content.Content`
        Receives what the code stands for.
    code : {"source", "memory", "values"}
        See `~brainsnn.sweeps.content_key`.
    """

    def __init__(self, content, code):
        self.content, self.code = content, code
        self._environment_added = code != "source"

    def add(self, value, where):
        """
        Add a value if it is code.

        Parameters
        ----------
        value : object
        where : str
            What the value is, for error messages.

        Returns
        -------
        is_code : bool

        Raises
        ------
        SourceError
            If the source of a function or a module is needed and cannot be read; a `TypeError`.
        """
        wrapped = getattr(value, "__wrapped__", None)
        if isinstance(value, types.FunctionType):
            self._add_function(value, where)
        elif isinstance(value, types.GenericAlias | types.UnionType) or type(value).__module__ == typing.__name__:
            self.content.write("type", repr(value))
            self.content.add(typing.get_origin(value), where)
        elif isinstance(value, type):
            self._add_class(value, where)
        elif isinstance(value, types.ModuleType):
            self._add_module(value, where)
        elif isinstance(value, functools._lru_cache_wrapper):
            self.content.add([wrapped, sorted(value.cache_parameters().items())], where)
        elif (parts := _parts(value)) is not None:
            self.content.add([type(value).__name__, *parts], where)
        elif origin_of(type(value).__module__) == "user" or not callable(value):
            return False
        elif origin_of(getattr(value, "__module__", None)) != "user" and hasattr(value, "__qualname__"):
            self.add_installed(value.__module__, value.__qualname__)
        elif isinstance(wrapped, types.FunctionType):  # made from a function by `once`, or by a compiler such as numba
            self.content.add([type(value), wrapped], where)
        else:
            return False
        return True

    def add_installed(self, module, name):
        """
        Add what brainsnn or a library offers: its name, with the environment as soon as brainsnn is involved.

        Parameters
        ----------
        module, name : str
        """
        self.content.write("installed", f"{module}.{name}")
        if origin_of(module) == "brainsnn":
            self._add_environment()

    def _add_environment(self):
        if not self._environment_added:
            self._environment_added = True
            self.content.write("environment", environment_digest())

    # Functions

    def _add_function(self, function, where):
        home, name = function.__globals__.get("__name__"), function.__qualname__
        if home == functools.__name__ and hasattr(function, "registry"):  # functools.singledispatch
            self.content.add([[kind, one] for kind, one in function.registry.items()], name)
        elif origin_of(home) == "user":
            self.content.write("function", name)
            self._add_source(function, where)
            self._add_values_of(function)
        else:  # a decorator of a library may return a function of the library, which refers to the user's function
            self.add_installed(home, function.__code__.co_qualname)
            is_decorated = origin_of(function.__module__) == "user"
            for variable, value in _closure(function).items():
                if is_decorated or callable(value):
                    self.content.add(value, f"{variable!r} in {name}")

    def _add_source(self, function, where):
        if self.code == "values":
            return
        self._add_code(function.__code__, where)
        if self.code == "memory":
            return
        self._add_environment()
        digest = function_digest(function)
        # Methods that Python writes for dataclasses and named tuples have no source.
        if digest is None and not function.__name__.startswith("__"):
            raise SourceError(
                f"The source of {function.__qualname__!r} ({where}) cannot be read. Define it in a file or a notebook cell, or "
                'call sweep(..., version="1") and change the version whenever the code changes.'
            )
        self.content.write("source", str(digest))

    def _add_code(self, code, where):
        """Add the code that runs, which differs from its source if a file was edited after its import."""
        self.content.write("code", code.co_code)
        counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags)
        names = (code.co_names, code.co_varnames, code.co_cellvars, code.co_freevars)
        self.content.add([counts, *names, code.co_exceptiontable], where)
        for value in code.co_consts:
            if isinstance(value, types.CodeType):
                self._add_code(value, where)
            else:
                self.content.add(value, where)

    def _add_values_of(self, function):
        """Add the values that a function holds or looks up: defaults, attributes, closure, global variables."""
        name = function.__qualname__
        self.content.add(function.__defaults__, f"default values of {name}")
        self.content.add_named(function.__kwdefaults__ or {}, f"default values of {name}")
        attributes = {key: value for key, value in vars(function).items() if key != "__wrapped__"}
        self.content.add_named(attributes, f"attributes of {name}")
        for variable, value in sorted(_closure(function).items()):
            self.content.write("variable", variable)
            self.content.add(value, f"{variable!r} in {name}")
        for path in sorted(_global_paths(function.__code__)):
            if path[0] in function.__globals__ and path[0] not in (
                "__name__",
                "__file__",
            ):  # a script may be imported, too
                self._add_global(function.__globals__[path[0]], path, f"{'.'.join(path)!r} in {name}")

    def _add_global(self, value, path, where):
        """Add a global variable; of a module of the user's, also the attribute that is taken from it."""
        for attribute in path[1:]:
            if not isinstance(value, types.ModuleType) or origin_of(value.__name__) != "user":
                break
            self._add_module(value, where)
            if attribute not in vars(value):
                return
            value = vars(value)[attribute]
        self.content.write("variable", path[0])
        self.content.add(value, where)

    # Modules and classes

    def _add_module(self, module, where):
        self.content.write("module", module.__name__)
        if origin_of(module.__name__) != "user" or self.code != "source":
            return
        self._add_environment()
        digest = module_digest(vars(module))
        if digest is None and not hasattr(module, "__path__"):
            raise SourceError(
                f"{where} is the module {module.__name__!r}, which has no source file to compare. Import functions from it by "
                'name, or call sweep(..., version="1") and change the version whenever the code changes.'
            )
        self.content.write("source", str(digest))

    def _add_class(self, kind, where):
        if origin_of(kind.__module__) != "user":
            self.add_installed(kind.__module__, kind.__qualname__)
            return
        self.content.write("class", kind.__qualname__)
        module = sys.modules.get(kind.__module__)
        if self.code == "source" and module is not None:
            self._add_environment()
            self.content.write("source", str(module_digest(vars(module))))
        if type(kind) is not type:
            self.content.add(type(kind), where)
        self.content.add([base for base in kind.__bases__ if base is not object], where)
        entries = {name: value for name, value in vars(kind).items() if not is_incidental(name, value)}
        if issubclass(kind, enum.Enum):
            entries = _enum_entries(kind, entries)
        self.content.add_named(entries, f"{where}.{kind.__name__}")


def is_incidental(name, value):
    """
    Return whether an entry of a class or an object is set by Python, and not by the user's code.

    Parameters
    ----------
    name : str
    value : object

    Returns
    -------
    is_incidental : bool
    """
    is_slot = isinstance(value, (types.GetSetDescriptorType, types.MemberDescriptorType))
    return name in _INCIDENTAL or is_slot or type(value).__name__ == "_tuplegetter"


def _enum_entries(kind, entries):
    """Return the members of an enumeration in their order and the user's methods, without what Python keeps there (dict)."""
    hidden = ("_name_", "__objclass__", "_sort_order_")
    members = {
        name: sorted((key, value) for key, value in vars(member).items() if key not in hidden)
        for name, member in kind.__members__.items()
    }
    own = {name: value for name, value in entries.items() if name not in members}
    own = {name: value for name, value in own.items() if not name.startswith("_") or inspect.isfunction(value)}
    return own | {"members": list(members.items())}


def _parts(value):
    """Return what makes up a descriptor, a bound method or a function in C (list), or None."""
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


def _closure(function):
    """Return the variables of enclosing functions that have a value (dict)."""
    found = {}
    for variable, cell in zip(function.__code__.co_freevars, function.__closure__ or ()):
        try:
            found[variable] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return found


def _global_paths(code):
    """Return the global variables of a function with the attributes taken from them: ``np.linalg`` is ("np", "linalg")."""
    found, instructions = set(), [one for one in dis.get_instructions(code) if one.opname != "EXTENDED_ARG"]
    for k, one in enumerate(instructions):
        if one.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS"):
            path = [one.argval]
            for after in instructions[k + 1 :]:
                if after.opname not in ("LOAD_ATTR", "LOAD_METHOD"):
                    break
                path.append(after.argval)
            found.add(tuple(path))
    return found.union(*(_global_paths(value) for value in code.co_consts if isinstance(value, types.CodeType)))
