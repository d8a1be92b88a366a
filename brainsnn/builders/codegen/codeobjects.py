"""Brian2 code objects with brainsnn's templates, and rendering of templates."""

import re

import numpy as np
from brian2 import prefs
from brian2.codegen.generators.cpp_generator import c_data_type
from brian2.codegen.targets import codegen_targets
from brian2.core.functions import DEFAULT_FUNCTIONS
from brian2.core.variables import ArrayVariable
from brian2.devices.cpp_standalone.codeobject import CPPStandaloneCodeObject
from brian2.devices.device import RuntimeDevice, get_device

from brainsnn.system.fallbacks import is_portable

__all__ = [
    "connection_codeobject_class",
    "render",
    "shifted_arrays",
    "ConnectionStandaloneCodeObject",
    "LibraryCodeObject",
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
        """Return a dict with pointer, type and offset of each array (list)."""
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


def _test_type():
    """The integer type that is as wide as the state: mixing widths makes a vectorised loop slow."""
    return "int32_t" if prefs.core.default_float_dtype is np.float32 else "int64_t"


class ConnectionStandaloneCodeObject(CPPStandaloneCodeObject):
    """C++ standalone code object with brainsnn's templates."""

    #: Type of replayed signs.
    sign_dtype: type = np.int8
    threshold_template = "fused_threshold"
    gathers = False

    templater = CPPStandaloneCodeObject.templater.derive(
        "brainsnn.builders.codegen",
        env_globals={
            "shifted_arrays": shifted_arrays(c_data_type),
            "data_type": c_data_type,
            "single_precision": _single_precision,
            "test_type": _test_type,
            "of_spike": _of_spike,
            "is_portable": is_portable,
        },
    )


class LibraryCodeObject(ConnectionStandaloneCodeObject):
    """
    Code object that is compiled into a library of its network, which works on the arrays of this process.

    Attributes
    ----------
    library : `~brainsnn.builders.devices.runtime.library.Library`
        Set before the first run.
    """

    templater = ConnectionStandaloneCodeObject.templater.derive(
        "brainsnn.builders.codegen", env_globals={"user_headers": [], "profiled": False}
    )
    class_name = "brainsnn_library"
    sign_dtype = np.int32  # Brian2 2.10 and newer have no dynamic arrays of int8 in runtime mode
    library = None

    def has_block(self, block):
        """
        Return whether there is code for a block.

        Parameters
        ----------
        block : {"before_run", "run", "after_run"}

        Returns
        -------
        has_block : bool
        """
        # Written for Brian2 2.5.4 to 2.11: a template that leaves a block out holds this word.
        return block == "run" or "EMPTY_CODE_BLOCK" not in getattr(self.code, f"{block}_cpp_file")

    def run_block(self, block):
        """
        Run a block in one step (see `~brian2.codegen.codeobject.CodeObject.run_block`).

        Parameters
        ----------
        block : {"before_run", "run", "after_run"}

        Raises
        ------
        NotImplementedError
            If there is code that prepares each run, as of a `~brian2.spatialneuron.spatialneuron.SpatialNeuron`.
        RuntimeError
            If it belongs to a network that ``convert`` has not made.
        """
        if self.has_block(block):
            if block == "before_run":
                raise NotImplementedError(f"{self.name} prepares each run, which the code of a library cannot.")
            if self.library is None:
                raise RuntimeError(
                    f"{self.name} is C++ code of a network that convert makes, and has no library in another one. Run it in "
                    "snn.network, or in a C++ standalone program."
                )
            self.library.call(self, block)


codegen_targets.add(ConnectionStandaloneCodeObject)
codegen_targets.add(LibraryCodeObject)

for _name in ("rand", "randn"):
    DEFAULT_FUNCTIONS[_name].implementations.add_implementation(
        LibraryCodeObject,
        code=f"inline double _{_name}(const int _vectorisation_idx) {{ return brian::_generator->{_name}(); }}",
        name=f"_{_name}",
    )


def connection_codeobject_class():
    """
    Return the code object class of the active Brian2 device.

    Returns
    -------
    codeobject_class : type
    """
    if isinstance(get_device(), RuntimeDevice):
        return LibraryCodeObject
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
