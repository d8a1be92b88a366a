"""The Brian2 objects of a network as devices see them: what to reset, to keep and to record."""

from dataclasses import dataclass

import numpy as np
from brian2 import (
    EventMonitor,
    NeuronGroup,
    PoissonGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    StateMonitor,
    Synapses,
)
from brian2.equations.equations import DIFFERENTIAL_EQUATION
from brian2.synapses.synapses import SynapticPathway

from brainsnn.builders.network.groups import state_variables
from brainsnn.builders.network.trial_network import TrialNetwork
from brainsnn.equations.statements import assignments

__all__ = ["NetworkObjects"]


@dataclass(frozen=True)
class NetworkObjects:
    """
    The Brian2 objects of a network, and what each trial changes in them.

    Parameters
    ----------
    network : `~brainsnn.builders.network.trial_network.TrialNetwork`
        All objects, also those that the user has added.
    groups : dict of str to `~brian2.groups.neurongroup.NeuronGroup`
        By the names of their populations.
    own_state : dict of str to dict of str to `~brian2.core.variables.ArrayVariable`
        Arrays of these groups that a trial changes, by Brian2's name of their group.
    monitors : list
        Monitors to be read after each trial.
    replays : dict of str to `~brainsnn.builders.network.connections.SpikeReplay`
    """

    network: TrialNetwork
    groups: dict
    own_state: dict
    monitors: list
    replays: dict

    @property
    def names(self):
        """Names of all objects in the network (set of str)."""
        return {obj.name for obj in self.network.sorted_objects}

    def population_of(self, group):
        """Return the population whose group has this name in Brian2, or the name itself if there is none (str)."""
        return next((name for name, own in self.groups.items() if own.name == group), group)

    @property
    def added(self):
        """Objects that the user has added to the network (list)."""
        names = self.network.added
        return [obj for obj in self.network.sorted_objects if obj.name in names]

    @property
    def state(self):
        """
        Arrays to reset before each trial: `own_state`, all arrays of added neurons, and those
        of added synapses that follow differential equations.

        Other variables of synapses may be what they have learned, and persist; see `learned`.

        Returns
        -------
        state : dict of str to dict of str to `~brian2.core.variables.ArrayVariable`
        """
        state = dict(self.own_state)
        for obj in self.added:
            if isinstance(obj, NeuronGroup):
                state[obj.name] = state_variables(obj, ())
            elif isinstance(obj, SpikeGeneratorGroup):
                # The last spike that it has sent: without a reset it would be silent from the second trial on.
                state[obj.name] = {name: obj.variables[name] for name in ("_spikespace", "_lastindex")}
            elif isinstance(obj, Synapses) and (names := _dynamic_names(obj)):
                state[obj.name] = {name: obj.variables[name] for name in names}
        return state

    @property
    def learned(self):
        """
        Variables of added synapses that spikes and statements of added objects change, and that persist.

        Returns
        -------
        learned : list of (`~brian2.synapses.synapses.Synapses`, str)
            Synapses and a name of a variable.
        """
        added = self.added
        codes = [getattr(obj, "code" if isinstance(obj, SynapticPathway) else "abstract_code", "") for obj in added]
        written = {
            name.removesuffix("_post").removesuffix("_pre") for code in codes for name, _, _ in assignments(code)
        }
        return [
            (obj, name) for obj in added if isinstance(obj, Synapses)
            for name in _assignable(obj) if name in written and name not in _dynamic_names(obj)
        ]  # fmt: skip

    @property
    def checked(self):
        """
        Arrays of floats that must be finite at the end of a trial: those that it changes, and weights that learn.

        Returns
        -------
        arrays : list of (str, str, `~brian2.core.variables.ArrayVariable`)
            Name of the object, name of the variable, variable.
        """
        state = [(group, name, v) for group, variables in self.state.items() for name, v in variables.items()]
        plastic = [(obj, "w") for obj in self.network.sorted_objects if getattr(obj, "plastic", False)]
        learned = [(obj.name, name, obj.variables[name]) for obj, name in (*plastic, *self.learned)]
        return [entry for entry in (*state, *learned) if np.dtype(entry[2].dtype).kind == "f"]

    @property
    def added_pathways(self):
        """Pathways of added synapses, which can have delays (list of `~brian2.synapses.synapses.SynapticPathway`)."""
        return [obj for obj in self.added if isinstance(obj, SynapticPathway)]

    @property
    def added_monitors(self):
        """Names of the monitors that the user has added (list of str)."""
        return [obj.name for obj in self.added if isinstance(obj, (EventMonitor, StateMonitor, PopulationRateMonitor))]

    @property
    def assignable(self):
        """
        Arrays that can be assigned to, of populations and of added neurons, sources and synapses, without delays.

        Returns
        -------
        arrays : dict of str to `~brian2.core.variables.ArrayVariable`
            By ``group.variable``.
        """
        added = [obj for obj in self.added if isinstance(obj, (NeuronGroup, PoissonGroup, Synapses))]
        owners = [*self.groups.values(), *added]
        delays = {pathway.variables["delay"] for pathway in self.added_pathways}  # of the synapses since Brian2 2.11
        return {
            f"{owner.name}.{name}": variable for owner in owners
            for name, variable in _assignable(owner).items() if variable not in delays
        }  # fmt: skip


def _assignable(owner):
    return {
        name: variable for name, variable in owner.variables.items()
        if variable.array and not variable.read_only
        and variable.owner is not None and variable.owner.name == owner.name
    }  # fmt: skip


def _dynamic_names(synapses):
    """Variables that follow differential equations, clock-driven or event-driven, and the time of the last update."""
    equations = [*synapses.equations.values(), *(synapses.event_driven or {}).values()]
    names = {equation.varname for equation in equations if equation.type == DIFFERENTIAL_EQUATION}
    return [name for name in _assignable(synapses) if name in names or name == "lastupdate"]
