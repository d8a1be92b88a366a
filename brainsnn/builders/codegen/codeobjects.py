"""Brian2 code objects with brainsnn's templates, and rendering of templates."""

import re

import numpy as np
from brian2 import prefs
from brian2.codegen.generators.cpp_generator import c_data_type
from brian2.codegen.generators.cython_generator import get_cpp_dtype
from brian2.codegen.runtime.cython_rt import CythonCodeObject
from brian2.codegen.targets import codegen_targets
from brian2.core.variables import ArrayVariable
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.device import RuntimeDevice, get_device

__all__ = [
    "connection_codeobject_class",
    "render",
    "shifted_arrays",
    "ConnectionCythonCodeObject",
    "ConnectionStandaloneCodeObject",
]


def shifted_arrays(type_name):
    """
    Make the template function that lists the arrays of an inner loop and the offset at which each starts.

    The statement of a connection reads the weight and variables of the source and of the target neuron. All of them
    share the loop index ``_idx``, so each array starts at its own offset: weights at the weight, target variables at the
    target neuron, and source variables (index ``0``) at the source neuron.

    Parameters
    ----------
    type_name : callable
        The language's name of a dtype.

    Returns
    -------
    shifted : callable
    """

    def shifted(variables, variable_indices, get_array_name, tables):
        arrays = {}
        for name in sorted(variables):
            variable = variables[name]
            if not isinstance(variable, ArrayVariable) or variable.scalar or name in tables:
                continue
            offset = "_weight" if name == "w" else "_source" if variable_indices[name] == "0" else "_target"
            pointer = get_array_name(variable)
            if arrays.setdefault(pointer, (type_name(variable.dtype), offset))[1] != offset:
                raise ValueError(
                    f"The statement of a connection from a group to itself uses {name!r} of the source and of the target "
                    "neuron. Use connectivity='synapses' for it."
                )
        return [{"pointer": pointer, "type": t, "offset": offset} for pointer, (t, offset) in arrays.items()]

    return shifted


def _of_spike(code, arrays, k):
    """Return the statement for the k-th of several spikes; each has its own weight and source, the target is shared."""
    # Written for Brian2 2.5.4 to 2.11: generated code names an array by its pointer, POINTER[_idx].
    own = [array["pointer"] for array in arrays if array["offset"] != "_target"]
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, own))})\b") if own else None
    lines = code if isinstance(code, list) else code.splitlines()
    return [pattern.sub(rf"\1_{k}", line) for line in lines] if own else lines


def _single_precision(code):
    """Mark the numbers in C++ code as float if the state is float; otherwise the compiler would compute with doubles."""
    if prefs.core.default_float_dtype is not np.float32:
        return code
    lines = code if isinstance(code, list) else code.splitlines()
    return [re.sub(r"(?<![\w.])(\d+\.\d*(?:[eE][-+]?\d+)?)(?![\w.])", r"\1f", line) for line in lines]


class ConnectionCythonCodeObject(CythonCodeObject):
    """Runtime code object with brainsnn's templates."""

    #: Type of replayed signs; Brian2's Cython templates cannot use int8.
    sign_dtype = np.int32
    threshold_template = "fused_threshold"
    gathers = False  # spikes are visited one after the other, not targets at once

    templater = CythonCodeObject.templater.derive(
        "brainsnn.builders.codegen",
        env_globals={"shifted_arrays": shifted_arrays(get_cpp_dtype), "data_type": get_cpp_dtype},
    )


class ConnectionStandaloneCodeObject(CPPStandaloneCodeObject):
    """C++ standalone code object with brainsnn's templates."""

    sign_dtype = np.int8
    threshold_template = "fused_threshold"
    gathers = False

    templater = CPPStandaloneCodeObject.templater.derive(
        "brainsnn.builders.codegen",
        env_globals={
            "shifted_arrays": shifted_arrays(c_data_type),
            "data_type": c_data_type,
            "single_precision": _single_precision,
            "of_spike": _of_spike,
        },
    )


codegen_targets.add(ConnectionCythonCodeObject)
codegen_targets.add(ConnectionStandaloneCodeObject)


def connection_codeobject_class():
    """
    Return the code object class of the active Brian2 device.

    Returns
    -------
    codeobject_class : type
    """
    if isinstance(get_device(), RuntimeDevice):
        return ConnectionCythonCodeObject
    return getattr(get_device(), "connection_codeobject_class", ConnectionStandaloneCodeObject)


def render(template, **values):
    """
    Fill in a template that is not the code of a Brian2 object, such as the loop over trials of a compiled program.

    Parameters
    ----------
    template : str
        File name in ``codegen/templates``.
    **values
        What the template names.

    Returns
    -------
    code : str
    """
    return ConnectionStandaloneCodeObject.templater.env.get_template(template).render(**values)
