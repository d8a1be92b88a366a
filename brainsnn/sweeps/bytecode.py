"""Reading bytecode: what it does, and which names it looks up where."""

import dis
import types
from dataclasses import dataclass, field
from itertools import takewhile

__all__ = ["Bytecode", "read_bytecode"]

_GLOBAL = ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS")
_ATTRIBUTE = ("LOAD_ATTR", "LOAD_METHOD")
#: Flag of code objects with a docstring, since Python 3.13.
_HAS_DOCSTRING = 0x4000000


@dataclass
class Bytecode:
    """
    What the bytecode of a function says, together with that of the functions in it.

    Parameters
    ----------
    content : list
        Instructions with names and constants in place of their numbers. A docstring is loaded by no instruction, and so is
        not in it.
    globals : set of str
        Names that are looked up outside of functions.
    paths : dict of str to set of tuple of str
        Variable -> attributes that are taken from it one after the other: ``np.linalg.norm`` gives ``("linalg", "norm")``
        for ``"np"``, and the variable by itself ``()``.
    imports : list of (str, int, str, str or None)
        Variable, number of dots, module, and what is taken from this module.
    """

    content: list
    globals: set = field(default_factory=set)
    paths: dict = field(default_factory=dict)
    imports: list = field(default_factory=list)


def read_bytecode(code):
    """
    Read a code object.

    Parameters
    ----------
    code : `~types.CodeType`

    Returns
    -------
    bytecode : `Bytecode`
    """
    arguments = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
    counts = (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount, code.co_flags & ~_HAS_DOCSTRING)
    found = Bytecode([counts, arguments, code.co_exceptiontable])
    instructions = [one for one in dis.get_instructions(code) if one.opname != "EXTENDED_ARG"]
    for k, one in enumerate(instructions):
        if one.opcode in dis.hasconst and not _is_docstring_of_class(instructions, k):
            # dis of Python 3.11 does not find the names of keyword arguments
            value = code.co_consts[one.arg] if one.opname == "KW_NAMES" else one.argval
            found.content.append((one.opname, _constant(value, found)))
        elif one.opcode in (*dis.hasname, *dis.haslocal, *dis.hasfree):
            found.content.append((one.opname, one.argval))
        elif one.opcode not in dis.hasconst:
            found.content.append((one.opname, one.arg))
        if one.opname in _GLOBAL:
            found.globals.add(one.argval)
        for name, is_last in _loaded(one):
            path = takewhile(lambda after: after.opname in _ATTRIBUTE, instructions[k + 1 :]) if is_last else ()
            found.paths.setdefault(name, set()).add(tuple(after.argval for after in path))
        if one.opname == "IMPORT_NAME":
            found.imports += _imports(instructions, k)
    return found


def _constant(value, found):
    if not isinstance(value, types.CodeType):
        return value
    inner = read_bytecode(value)
    found.globals |= inner.globals
    found.imports += inner.imports
    for name, paths in inner.paths.items():
        found.paths.setdefault(name, set()).update(paths)
    return inner.content


def _is_docstring_of_class(instructions, k):
    after = instructions[k + 1 : k + 2]
    return bool(after) and after[0].opname == "STORE_NAME" and after[0].argval == "__doc__"


def _loaded(one):
    """Variables that an instruction loads, and whether the next instruction finds them on top of the stack."""
    if one.opname in _GLOBAL:
        return [(one.argval, True)]
    if "LOAD" not in one.opname or one.opname == "LOAD_CLOSURE" or one.opcode not in (*dis.haslocal, *dis.hasfree):
        return []
    names = one.argval if isinstance(one.argval, tuple) else (one.argval,)  # two variables at once, since Python 3.13
    names = names[1:] if one.opname.startswith("STORE") else names
    return [(name, k == len(names) - 1) for k, name in enumerate(names)]


def _imports(instructions, k):
    level, names, module = instructions[k - 2].argval, instructions[k - 1].argval, instructions[k].argval
    after = instructions[k + 1 :]
    if names:  # from module import a as b, c
        pairs = zip(after[::2], after[1::2])
        return [
            (_stored(store), level, module, one.argval)
            for one, store in takewhile(lambda pair: pair[0].opname == "IMPORT_FROM", pairs)
        ]
    store = next(one for one in after if one.opname.startswith("STORE"))
    if after[0] is store:  # import a.b, which gives the variable a
        return [(_stored(store), level, module.split(".")[0], None), (None, level, module, None)]
    return [(_stored(store), level, module, None)]


def _stored(one):
    return one.argval[0] if isinstance(one.argval, tuple) else one.argval
