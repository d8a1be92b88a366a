"""A NeuronGroup whose state update and threshold run in one pass over the neurons."""

import numpy as np
from brian2 import NeuronGroup
from brian2.groups.neurongroup import Thresholder
from brian2.parsing.expressions import parse_expression_dimensions
from brian2.utils.stringtools import get_identifiers

from brainsnn.builders.codegen.codeobjects import connection_codeobject_class
from brainsnn.equations.statements import with_own_locals

__all__ = ["SpikingGroup"]


class _FusedThresholder(Thresholder):
    """Brian2's thresholder; while ``fused`` is true, it runs the group's state update before it tests the condition."""

    fused = False

    def update_abstract_code(self, run_namespace):
        """Generate the code of the threshold, after that of the state update and of the updates of every step if fused."""
        super().update_abstract_code(run_namespace)
        self.codeobj_class = connection_codeobject_class()
        self.template = self.codeobj_class.threshold_template
        if not self.fused:
            return
        group = self.group
        variables = group.resolve_all(get_identifiers(group.events[self.event]), run_namespace)
        parse_expression_dimensions(group.events[self.event], variables)
        # The code of the state updater has lost its units, so Brian2 could not check both together.
        self.check_units = False
        group.state_updater.update_abstract_code(run_namespace)
        parts = [group.state_updater.abstract_code]
        for k, update in enumerate(group.updates):
            parts.append(with_own_locals(update.abstract_code, group.variables, f"_update_{k}_"))
        self.abstract_code = "\n".join([*filter(None, parts), self.abstract_code])


class SpikingGroup(NeuronGroup):
    """
    A `~brian2.groups.neurongroup.NeuronGroup` that can update and test its neurons in one pass over memory.

    In large networks the time of a step is the time to read and write the state of all neurons. Fused, each neuron is
    read once; the equations, the threshold and the result stay the same.

    Parameters
    ----------
    *args, **kwds
        Those of `~brian2.groups.neurongroup.NeuronGroup`.

    Attributes
    ----------
    updates : list
        Operations of every step between state update and threshold, which are fused too.
    """

    updates = ()
    _is_fused = False

    def __init__(self, *args, **kwds):
        super().__init__(*args, **kwds)
        self.updates = []
        thresholder = self.thresholder.get("spike")
        if thresholder is not None:
            # Written for Brian2 2.5.4 to 2.11: NeuronGroup makes its thresholder itself and has no hook for another class.
            thresholder.__class__ = _FusedThresholder

    @property
    def parts(self):
        """What is executed in one pass if the group is fused (list)."""
        return [*self.thresholder.values(), self.state_updater, *self.updates]

    @property
    def fused_parts(self):
        """Objects whose code the thresholder executes, and that have none of their own (list)."""
        return [self.state_updater, *self.updates] if self._is_fused else []

    def _check_for_invalid_values(self, k, v):
        # Written for Brian2 2.5.4 to 2.11, which compares with 1e50 after each run: more than float32 can hold.
        super()._check_for_invalid_values(k, np.asarray(v, dtype=float))

    def fuse(self, fused):
        """
        Switch fusing on or off, from the next preparation of the network on.

        Parameters
        ----------
        fused : bool
            Off, so that other objects can act between state update and threshold. A group of which the user has switched off
            a part is not fused.
        """
        thresholder = self.thresholder.get("spike")
        if thresholder is not None:
            thresholder.fused = self._is_fused = fused and all(part.active for part in self.parts)
