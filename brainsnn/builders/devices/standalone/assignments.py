"""Assignments to variables of a network that is compiled, which take effect as they do in Brian2's runtime mode."""

import numpy as np
from brian2 import Clock
from brian2.core.variables import VariableView

from brainsnn.builders.devices.active_device import active, runtime_device

__all__ = ["AssignableArrays"]


class AssignableArrays:
    """
    What Brian2 devices lack whose program gets arrays as files: an assignment counts from the next run on.

    They note assignments as statements of the program, which arrays from files overwrite, and forget those that come when
    the program is written.

    Attributes
    ----------
    live : dict of `~brian2.core.variables.ArrayVariable` to ndarray
        Arrays that the program gets in each run. They change in place.
    watched : set of `~brian2.core.variables.ArrayVariable` or None
        Arrays of the last run that somebody can assign to; None until the program is written.
    """

    def __init__(self):
        super().__init__()
        self.live, self.watched = {}, None
        self._read = {}

    def close(self, watched, changed):
        """
        Take assignments from now on for those of the next run, because the program is written.

        Parameters
        ----------
        watched : iterable of `~brian2.core.variables.ArrayVariable`
        changed : iterable of `~brian2.core.variables.ArrayVariable`
            Those that a run changes; what is read are the values at its end.
        """
        self.watched = set(watched)
        for variable in changed:
            self.live.pop(variable, None)

    def assigned(self):
        """
        Arrays that were assigned to since the last run.

        Returns
        -------
        arrays : dict of `~brian2.core.variables.ArrayVariable` to ndarray
        """
        return {v: array for v, (array, before) in self._read.items() if array.tobytes() != before.tobytes()}

    def forget_read(self):
        """Let go of what was read of the last run: there is another one."""
        self._read = {}

    # What Brian2 calls

    def get_value(self, var, access_data=True):
        """The array of a variable. One that is watched is read once after each run, so that it can be changed in place."""
        if var in self.live:
            return self.live[var]
        if self.watched is None or var not in self.watched:
            return super().get_value(var, access_data)
        if var not in self._read:
            values = np.asarray(super().get_value(var, access_data))
            self._read[var] = values.copy(), values.copy()
        return self._read[var][0]

    def fill_with_array(self, var, arr):
        """Set all of a variable's array."""
        if var in self.live or (self.watched is not None and var in self.watched):
            self.get_value(var)[:] = arr
        else:
            self._check_open(var)
            super().fill_with_array(var, arr)

    def resize(self, var, new_size):
        """Change the length of a variable's array."""
        self._check_open(var)
        super().resize(var, new_size)

    def variableview_set_with_index_array(self, variableview, item, value, check_units):
        """Statement ``group.x[item] = value``, for a group of any device as long as this one is active."""
        home = _home(variableview)
        if home is self:
            super().variableview_set_with_index_array(variableview, item, value, check_units)
        else:
            with active(home):
                variableview.set_with_index_array(item, value, check_units)

    def variableview_set_with_expression(self, variableview, *arguments, **kwds):
        """Statement ``group.x[item] = "expression"``."""
        with active(_home(variableview)):
            VariableView.set_with_expression.original_function(variableview, *arguments, **kwds)

    def variableview_set_with_expression_conditional(self, variableview, *arguments, **kwds):
        """Statement ``group.x["condition"] = "expression"``."""
        with active(_home(variableview)):
            VariableView.set_with_expression_conditional.original_function(variableview, *arguments, **kwds)

    def _check_open(self, var):
        if self.watched is not None and not isinstance(var.owner, Clock):
            raise RuntimeError(
                f"{var.owner.name}.{var.name} is compiled into the program of this network and cannot be set any more. Set it "
                "before the first run, and convert the network anew for that."
            )


def _home(variableview):
    """The device that deals with an assignment: Brian2's runtime device for a live array, and else that of the group."""
    device = variableview.variable.device
    is_live = isinstance(device, AssignableArrays) and variableview.variable in device.live
    return runtime_device if is_live else device
