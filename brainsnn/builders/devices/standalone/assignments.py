"""Make assignments to variables of a compiled network take effect, as in runtime mode."""

from collections.abc import ValuesView
from contextlib import contextmanager

import numpy as np
from brian2 import Clock
from brian2.core.variables import VariableView

from brainsnn.builders.devices.active_device import active, runtime_device
from brainsnn.builders.network.assignments import named_shapes, note_assignment

__all__ = ["AssignableArrays"]


class _Names(ValuesView):
    """The values of `_NamedArrays`; whether there is one is told by a set."""

    def __contains__(self, name):
        return name in self._mapping.names


class _NamedArrays(dict):
    """
    A dict of variables to the names of their arrays in a program.

    Brian2 asks ``name in arrays.values()`` for each new array. With a thousand layers, that would take longer than all else.
    """

    def __init__(self, arrays):
        super().__init__(arrays)
        self.names = set(arrays.values())

    def __setitem__(self, variable, name):
        super().__setitem__(variable, name)
        self.names.add(name)

    def values(self):
        """Return the names."""
        return _Names(self)


class AssignableArrays:
    """
    Mixin for compiled devices: assignments take effect in the next run.

    Brian2 turns an assignment into a statement of the generated program. Our programs read their arrays from files, which
    would overwrite it, and an assignment made after the program was written would be lost. This class keeps the arrays in
    memory; the backend writes them to the program's files before each run. Written for Brian2 2.5.4 to 2.11, whose
    devices execute assignments through the methods below.

    Attributes
    ----------
    input_arrays : dict of `~brian2.core.variables.ArrayVariable` to ndarray
        Arrays that the program reads in each run. They change in place.
    assignable : set of `~brian2.core.variables.ArrayVariable` or None
        Arrays that can be assigned to. None until the program has been written.
    """

    def __init__(self):
        super().__init__()
        for kind in ("arrays", "dynamic_arrays", "dynamic_arrays_2d"):  # as in Brian2 2.5.4 to 2.11
            setattr(self, kind, _NamedArrays(getattr(self, kind)))
        self.input_arrays, self.assignable = {}, None
        self._values = {}
        self._is_running = False

    def close(self, assignable, changed, known):
        """
        Make assignments count from the next run on, because the program has been written.

        Parameters
        ----------
        assignable : iterable of `~brian2.core.variables.ArrayVariable`
        changed : iterable of `~brian2.core.variables.ArrayVariable`
            Arrays that a run changes; reading them gives the values at its end.
        known : dict of `~brian2.core.variables.ArrayVariable` to ndarray
            What the arrays hold until the first run, as far as Brian2 can say without the program.
        """
        self.assignable = set(assignable)
        self._values = {variable: values for variable, values in known.items() if variable in self.assignable}
        for variable in changed:
            self.input_arrays.pop(variable, None)

    def clear_values(self):
        """Discard the values read after the previous run."""
        self._values = {}

    @contextmanager
    def running(self):
        """Refuse to read values from files while programs run: the old files are gone, the new ones not complete."""
        self._is_running = True
        try:
            yield
        finally:
            self._is_running = False

    # Methods of Brian2's devices

    def get_value(self, var, access_data=True):
        """Return the array of a variable; an assignable one is read once after each run, so that it can change in place."""
        if var in self.input_arrays:
            return self.input_arrays[var]
        if self._is_running and var not in self._values and self.array_cache.get(var) is None:
            raise RuntimeError(
                f"{var.owner.name}.{var.name} cannot be read or set while the network runs, in another thread. Wait until it "
                "ends."
            )
        if self.assignable is None or var not in self.assignable:
            return super().get_value(var, access_data)
        if var not in self._values:
            self._values[var] = np.array(super().get_value(var, access_data), copy=True)
        return self._values[var]

    def fill_with_array(self, var, arr):
        """Set the whole array of a variable."""
        if var in self.input_arrays or (self.assignable is not None and var in self.assignable):
            self.get_value(var)[:] = arr
        else:
            self._check_open(var)
            super().fill_with_array(var, arr)

    def resize(self, var, new_size):
        """Change the length of a variable's array."""
        self._check_open(var)
        super().resize(var, new_size)

    # The network's assignments call these while the runtime device is active, too: after another network was built.

    def variableview_set_with_index_array(self, variableview, item, value, check_units):
        """Execute ``group.x[item] = value``, for a group of any device while this one is active."""
        note_assignment(variableview)
        owner = _responsible_device(variableview)
        with active(owner), named_shapes(variableview, item, value):
            if owner is self:
                super().variableview_set_with_index_array(variableview, item, value, check_units)
            elif owner is runtime_device:
                VariableView.set_with_index_array.original_function(variableview, item, value, check_units)
            else:
                owner.variableview_set_with_index_array(variableview, item, value, check_units)

    def variableview_set_with_expression(self, variableview, item, code, *arguments, **kwds):
        """Execute ``group.x[item] = "expression"``."""
        note_assignment(variableview, code)
        with active(_responsible_device(variableview)):
            VariableView.set_with_expression.original_function(variableview, item, code, *arguments, **kwds)

    def variableview_set_with_expression_conditional(self, variableview, cond, code, *arguments, **kwds):
        """Execute ``group.x["condition"] = "expression"``."""
        note_assignment(variableview, cond, code)
        with active(_responsible_device(variableview)):
            VariableView.set_with_expression_conditional.original_function(variableview, cond, code, *arguments, **kwds)

    def refuse_connections(self, synapses):
        """Refuse ``synapses.connect(...)`` after this network's program was written, or while another device is active."""
        raise RuntimeError(
            f"{synapses.name}.connect: these synapses belong to a network that is compiled, or was followed by another one. "
            "Connect them before its first run: call convert() again, then connect."
        )

    def _check_open(self, var):
        if self.assignable is not None and not isinstance(var.owner, Clock):
            raise RuntimeError(
                f"{var.owner.name}.{var.name} is compiled into the program of this network and cannot change any more. Set it "
                "before the first run: call convert() again, then assign."
            )


def _responsible_device(variableview):
    """The device that executes an assignment: the runtime device for an input array, else that of the group."""
    device = variableview.variable.device
    is_input = isinstance(device, AssignableArrays) and variableview.variable in device.input_arrays
    return runtime_device if is_input else device
