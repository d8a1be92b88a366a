"""What trials start from in a network that runs in this process: what was declared, and what the user has assigned since."""

from contextlib import contextmanager

import numpy as np
from brian2 import BrianObject

from brainsnn.builders.network.assignments import watch

__all__ = ["DeclaredState"]


class DeclaredState(BrianObject):
    """
    The values with which trials start, whatever runs have left in the arrays.

    It is an object of the network, so that Brian2's ``store`` and ``restore`` include it.

    Parameters
    ----------
    clock : `~brian2.core.clocks.Clock`
        That of the network.
    """

    add_to_magic_network = False

    def __init__(self, clock):
        super().__init__(clock=clock, name="brainsnn_declared_state")
        self._values, self._runs = {}, False

    def note(self, variables):
        """
        Take the values of arrays as declared ones, where they are not known. Call it before anything can change them.

        Parameters
        ----------
        variables : iterable of `~brian2.core.variables.ArrayVariable`
        """
        for variable in variables:
            values, known = variable.get_value(), self._values.get(variable)
            if known is None:
                self._values[variable] = _kept(values)
                watch(variable, self)
            elif len(values) > len(known):  # synapses that were connected since
                self._values[variable] = np.concatenate([known, values[len(known) :]])

    def __iter__(self):
        return iter(self._values)

    def __contains__(self, variable):
        return variable in self._values

    def __getitem__(self, variable):
        """Return the declared values of an array (ndarray)."""
        return self._values[variable]

    def set(self, variable, values):
        """Set an array, and what trials start from."""
        variable.get_value()[:] = values
        self.note_assigned(variable, slice(None))

    @contextmanager
    def running(self):
        """Within this context, assignments change arrays, but not what trials start from."""
        before, self._runs = self._runs, True
        try:
            yield
        finally:
            self._runs = before

    # What `assignments.watch` calls

    def check_assignable(self, variable):
        """Every array can be assigned to."""

    def note_assigned(self, variable, indices):
        """Take what was assigned to elements of an array as declared."""
        if not self._runs and variable in self._values:
            if not self._values[variable].flags.writeable:
                self._values[variable] = self._values[variable].copy()
            self._values[variable][indices] = variable.get_value()[indices]

    # What Brian2's store and restore call

    def _full_state(self):
        return {(v.owner.name, v.name): values.copy() for v, values in self._values.items()}

    def _restore_from_full_state(self, state):
        for variable in self._values:
            if (variable.owner.name, variable.name) in state:
                self._values[variable] = state[variable.owner.name, variable.name].copy()


def _kept(values):
    """Return a copy of values, one number for all of them if they are the same: large networks mostly start from 0."""
    bits = values.view(f"u{values.dtype.itemsize}")
    return np.broadcast_to(values[:1].copy(), values.shape) if len(bits) and (bits == bits[0]).all() else values.copy()
