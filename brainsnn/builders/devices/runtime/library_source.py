"""The C++ source of a library: the code objects of a network, and pointers to the arrays that they use."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from brian2.codegen.generators.cpp_generator import c_data_type
from brian2.core.functions import Function
from brian2.core.variables import ArrayVariable, Constant, DynamicArrayVariable
from brian2.devices.device import get_device
from brian2.parsing.rendering import CPPNodeRenderer

from brainsnn.builders.codegen.codeobjects import LibraryCodeObject, render
from brainsnn.builders.devices.compiler import merged_source
from brainsnn.builders.network.objects import MONITORS

__all__ = ["Record", "Slot", "library_source"]


@dataclass(frozen=True)
class Slot:
    """
    An array of a library.

    Parameters
    ----------
    name, type : str
        In C++.
    array : `~brian2.core.variables.ArrayVariable` or ndarray
    varies : bool
        Whether its length changes.
    """

    name: str
    type: str
    array: Any
    varies: bool


@dataclass(frozen=True)
class Record:
    """
    What a monitor records.

    Parameters
    ----------
    name, type : str
        In C++.
    variable : `~brian2.core.variables.DynamicArrayVariable`
    is_rows : bool
        Whether each step adds a row of values, (n_steps, n_recorded), and not single values.
    """

    name: str
    type: str
    variable: Any
    is_rows: bool


def library_source(code_objects, placed, n_parts):
    """
    Return the files of a library, and what they need of this process.

    Parameters
    ----------
    code_objects : list of `~brainsnn.builders.codegen.codeobjects.LibraryCodeObject`
    placed : list of `~brian2.core.variables.ArrayVariable`
        Arrays that may be at another address for each step and thread.
    n_parts : int
        Number of files that can be compiled at once.

    Returns
    -------
    files : dict of str to str
        File name -> source.
    functions : dict of (str, str) to int
        Name of a code object and block -> index of its function.
    slots : list of Slot
        Arrays to attach.
    records : list of Record
    """
    slots, records, parts, functions, names = {}, {}, [], {}, []
    for k, code_object in enumerate(code_objects):
        constants = "\n".join(dict.fromkeys(_constants(code_object, slots, records)))
        for block in filter(code_object.has_block, ("run", "after_run")):
            code = getattr(code_object.code, "cpp_file" if block == "run" else f"{block}_cpp_file")
            code = code.replace("%CONSTANTS%", constants)
            # Brian2 numbers the code objects of one process; the same network built twice must give the same source.
            code = re.sub(rf"{re.escape(code_object.name)}(?!\w)", f"code_{k}", code)
            lines = [
                line for line in code.splitlines() if not re.match(r'\s*#include "(code_objects/|objects\.h)', line)
            ]
            parts.append(['#include "library.h"', *lines])
            functions[code_object.name, block] = len(names)
            names.append(f"_{block}_code_{k}")
    shared = {"arrays": list(slots.values()), "records": list(records.values())}
    names_of = [get_device().get_array_name(variable) for variable in placed]
    shared["placed"] = {name: slots[name] for name in names_of}
    files = {
        "library.h": render("library.h", **shared),
        "library.cpp": render("library.cpp", functions=names, **shared),
    }
    files |= {f"part_{k}.cpp": merged_source(parts[k::n_parts]) for k in range(min(n_parts, len(parts)))}
    return files, functions, shared["arrays"], shared["records"]


def _constants(code_object, slots, records):
    """Yield the lines that declare what a code object uses, and enter its arrays into the slots and records."""
    device = get_device()
    for name, variable in sorted(code_object.variables.items()):
        if isinstance(variable, Function):
            for key, values in _namespace(variable, code_object).items():
                slots.setdefault(key, Slot(key, c_data_type(values.dtype), np.ascontiguousarray(values), False))
        elif isinstance(variable, Constant):
            value = CPPNodeRenderer().render_expr(repr(np.asarray(variable.value).item()))
            yield f"const {c_data_type(variable.dtype)} {name} = {value};"
        elif isinstance(variable, ArrayVariable):
            array, data_type = device.get_array_name(variable), c_data_type(variable.dtype)
            if not isinstance(variable, DynamicArrayVariable):
                slots.setdefault(array, Slot(array, data_type, variable, False))
                yield f"const size_t _num{name} = {variable.size};"
            elif isinstance(variable.owner, MONITORS):
                record = device.get_array_name(variable, access_data=False)
                records.setdefault(record, Record(record, data_type, variable, variable.ndim == 2))
                if variable.ndim == 1:
                    yield f"{data_type}* const {array} = {record}.data();"
                    yield f"const size_t _num{name} = {record}.size();"
            else:
                slots.setdefault(array, Slot(array, data_type, variable, True))
                yield f"const size_t _num{name} = _size{array};"


def _namespace(function, code_object):
    """Return the arrays that a function uses, such as the values of a TimedArray (dict of str to ndarray)."""
    return function.implementations[LibraryCodeObject].get_namespace(code_object.owner) or {}
