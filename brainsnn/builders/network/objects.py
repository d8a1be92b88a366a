"""The Brian2 objects of a network as devices see them: what to reset, to keep and to record."""

from dataclasses import dataclass

import numpy as np
from brian2 import (
    EventMonitor,
    NeuronGroup,
    PoissonGroup,
    PopulationRateMonitor,
    StateMonitor,
    Synapses,
)
from brian2.synapses.synapses import SynapticPathway

from brainsnn.builders.network.arrays import assignable_arrays, changeable, dynamic_names
from brainsnn.builders.network.trial_network import TrialNetwork
from brainsnn.equations.statements import assignments

__all__ = ["MONITORS", "NetworkObjects"]

MONITORS = (EventMonitor, StateMonitor, PopulationRateMonitor)


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
    replays : dict of str to `~brainsnn.builders.network.replay.SpikeReplay`
    """

    network: TrialNetwork
    groups: dict
    own_state: dict
    monitors: list
    replays: dict

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
        Arrays to reset before each trial.

        These are `own_state`, and, once the user has added objects that may write anything, all arrays that can change: of
        populations, their projections, and added neurons, sources and synapses. What added synapses have learned persists; see
        `learned`.

        Returns
        -------
        state : dict of str to dict of str to `~brian2.core.variables.ArrayVariable`
        """
        acting = [obj for obj in self.added if not isinstance(obj, MONITORS)]
        if not acting:
            return dict(self.own_state)
        objects = [obj for obj in self.network.sorted_objects
                   if not isinstance(obj, (*MONITORS, SynapticPathway)) and obj.name not in self.replays]  # fmt: skip
        persistent = self.persistent
        state = {obj.name: {name: v for name, v in changeable(obj).items() if v not in persistent} for obj in objects}
        return {name: variables for name, variables in state.items() if variables}

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
            for name in assignable_arrays(obj) if name in written and name not in dynamic_names(obj)
        ]  # fmt: skip

    @property
    def persistent(self):
        """Arrays that trials do not reset: what is learned, and delays (set of `~brian2.core.variables.ArrayVariable`)."""
        plastic = [(obj, "w") for obj in self.network.sorted_objects if getattr(obj, "plastic", False)]
        return self.delays | {obj.variables[name] for obj, name in (*plastic, *self.learned)}

    @property
    def checked(self):
        """
        Arrays of floats that must be finite at the end of a trial: those that it changes, and weights that learn.

        Returns
        -------
        arrays : list of (str, str, `~brian2.core.variables.ArrayVariable`)
            Name of the object, name of the variable, variable.
        """
        added = {name: variables for name, variables in self.state.items() if name in self.network.added}
        checked = {**self.own_state, **added}  # parameters of populations, such as the end of an image, may be infinite
        state = [(group, name, v) for group, variables in checked.items() for name, v in variables.items()]
        plastic = [(obj, "w") for obj in self.network.sorted_objects if getattr(obj, "plastic", False)]
        learned = [(obj.name, name, obj.variables[name]) for obj, name in (*plastic, *self.learned)]
        return [entry for entry in (*state, *learned) if np.dtype(entry[2].dtype).kind == "f"]

    @property
    def pathways(self):
        """Pathways of synapses, which can have delays (list of `~brian2.synapses.synapses.SynapticPathway`)."""
        return [obj for obj in self.network.sorted_objects if isinstance(obj, SynapticPathway)]

    @property
    def delays(self):
        """Delays of all pathways (set of `~brian2.core.variables.ArrayVariable`)."""
        return {pathway.variables["delay"] for pathway in self.pathways}

    @property
    def added_monitors(self):
        """Names of the monitors that the user has added (list of str)."""
        return [obj.name for obj in self.added if isinstance(obj, MONITORS)]

    @property
    def assignable(self):
        """
        Arrays that can be assigned to, of populations and of added neurons, sources and synapses, without delays.

        Returns
        -------
        arrays : dict of str to `~brian2.core.variables.ArrayVariable`
            By ``group.variable``.
        """
        expanded = [obj for obj in self.network.sorted_objects if isinstance(obj, Synapses)]
        added = [obj for obj in self.added if isinstance(obj, (NeuronGroup, PoissonGroup))]
        return {
            f"{owner.name}.{name}": variable for owner in (*self.groups.values(), *added, *expanded)
            for name, variable in assignable_arrays(owner).items() if variable not in self.delays
        }  # fmt: skip
