"""Tell a network when a user assigns to a variable of one of its Brian2 objects, to which elements, or connects synapses."""

from contextlib import contextmanager
from importlib import import_module
from weakref import WeakKeyDictionary, WeakSet, ref

import numpy as np
from brian2 import Synapses
from brian2.codegen.codeobject import create_runner_codeobj
from brian2.core.variables import DynamicArrayVariable, Variables, VariableView

from brainsnn.equations.expression_limits import check_code_limits

__all__ = ["ASSIGNED", "named_shapes", "note_assignment", "runtime_device", "watch"]

# Written for Brian2 2.5.4 to 2.11: assignments are methods that a device may override, and the runtime device is active
# whenever users assign, but for the network that was converted last, before its first run if it is compiled.
# `brian2.devices.device` is the device.
runtime_device = import_module("brian2.devices.device").runtime_device
_watchers: WeakKeyDictionary = WeakKeyDictionary()
#: Variables that users have assigned to. Who has checked the values discards them.
ASSIGNED: WeakSet = WeakSet()


def watch(variable, watcher):
    """
    Tell an object of all assignments to a variable from now on.

    Parameters
    ----------
    variable : `~brian2.core.variables.ArrayVariable`
    watcher : object
        ``watcher.check_assignable(variable)`` is called before an assignment, and may refuse it;
        ``watcher.note_assigned(variable, indices)`` after it. It is not kept alive.
    """
    _watchers[variable] = ref(watcher)


def _assign(view, method, arguments, elements):
    """
    Execute an assignment, between the two calls of the variable's watcher.

    One to a compiled network that has not been built yet becomes a statement of its program, by its device.
    """
    device = view.variable.device
    if device is not runtime_device and getattr(device, "assignable", ()) is None:
        return getattr(device, f"variableview_{method}")(view, *arguments)

    def execute():
        """Assign as Brian2 does in runtime mode."""
        return getattr(VariableView, method).original_function(view, *arguments)

    reference = _watchers.get(view.variable)
    watcher = None if reference is None else reference()
    if watcher is None:
        return execute()
    watcher.check_assignable(view.variable)
    with _foreign_vectors(view.group):
        indices = elements()  # a condition may depend on the variable
        execute()
    return watcher.note_assigned(view.variable, indices)


@contextmanager
def _foreign_vectors(group):
    """Let Brian2 evaluate expressions of synapses that belong to a compiled network: it looks for their vectors here."""
    vectors = {v for v in group.variables.values() if isinstance(v, DynamicArrayVariable)} - set(runtime_device.arrays)
    runtime_device.arrays.update(dict.fromkeys(vectors))
    try:
        yield
    finally:
        for vector in vectors:
            del runtime_device.arrays[vector]


def _is_all(view, item):
    return view.variable.scalar or (isinstance(item, slice) and item == slice(None) and view.index_var == "_idx")


def _set_with_index_array(view, item, value, check_units):
    def elements():
        """Indices of what is assigned, all of it as a slice."""
        return slice(None) if _is_all(view, item) else view.indexing(item, view.index_var)

    note_assignment(view)
    with named_shapes(view, item, value):
        _assign(view, "set_with_index_array", (item, value, check_units), elements)


@contextmanager
def named_shapes(view, item, value):
    """
    Name the variable and both sizes in the error of an assignment of an array that does not fit.

    Parameters
    ----------
    view : `~brian2.core.variables.VariableView`
    item, value : object
        ``view[item] = value``.

    Raises
    ------
    ValueError
    """
    try:
        yield
    except ValueError as error:
        if "broadcast" not in str(error) and "size of the indices" not in str(error):
            raise
        n = np.size(view.indexing(item, view.index_var))
        raise ValueError(
            f"{view.group.name}.{view.name}: an array of shape {np.shape(value)} does not fit {n} elements. Assign one value, or "
            "one for each of them."
        ) from error


def note_assignment(view, *expressions):
    """
    Note that a user assigns to a variable, and check the expressions.

    Parameters
    ----------
    view : `~brian2.core.variables.VariableView`
    *expressions : str

    Raises
    ------
    ValueError
        If the result of an expression depends on the machine, or is none.
    """
    for text in expressions:
        check_code_limits(f"{view.group.name}.{view.name}", text)
    ASSIGNED.add(view.variable)


def _set_with_expression(view, item, code, run_namespace, check_units=True):
    note_assignment(view, code)
    arguments = item, code, run_namespace, check_units
    _assign(view, "set_with_expression", arguments, lambda: view.indexing(item, view.index_var))


def _set_with_expression_conditional(view, cond, code, run_namespace, check_units=True):
    note_assignment(view, cond, code)

    def elements():
        """Indices of the elements for which the condition is true before the assignment."""
        found = slice(None) if cond == "True" else _where(view.group, cond, run_namespace)
        return found if _is_all(view, found) else view.indexing(found, view.index_var)

    _assign(view, "set_with_expression_conditional", (cond, code, run_namespace, check_units), elements)


def _where(group, condition, run_namespace):
    """Indices of the elements for which a condition is true, as ``group.indices[condition]``."""
    variables = Variables(None)
    variables.add_auxiliary_variable("_indices", dtype=np.int32)
    variables.add_auxiliary_variable("_cond", dtype=bool)
    codeobj = create_runner_codeobj(
        group, f"_cond = {condition}", "group_get_indices", run_namespace=run_namespace, additional_variables=variables,
        codeobj_class=runtime_device.code_object_class(fallback_pref="codegen.string_expression_target"),
    )  # fmt: skip
    return np.asarray(codeobj(), dtype=np.int32)


def _connect(synapses, *arguments, level=0, **options):
    device = synapses.variables["_synaptic_pre"].device
    if device is not runtime_device:
        device.refuse_connections(synapses)
    return Synapses.connect.original_function(synapses, *arguments, level=level + 1, **options)


runtime_device.variableview_set_with_index_array = _set_with_index_array
runtime_device.variableview_set_with_expression = _set_with_expression
runtime_device.variableview_set_with_expression_conditional = _set_with_expression_conditional
runtime_device.synapses_connect = _connect
