"""The Brian2 objects of a network, as devices deal with them."""

from dataclasses import dataclass

from brian2 import NeuronGroup, SpikeGeneratorGroup

from brainsnn.builders.populations import state_variables

__all__ = ["NetworkObjects"]


@dataclass
class NetworkObjects:
    """
    The Brian2 objects of a network.

    Parameters
    ----------
    network : `~brainsnn.builders.runtime.TrialNetwork`
    groups : dict of str to `~brian2.groups.neurongroup.NeuronGroup`
        By Keras layer name.
    own_state : dict of str to dict of str to `~brian2.core.variables.ArrayVariable`
        Arrays of these groups that a trial changes, by name of their group in Brian2.
    monitors : list
        Monitors to be read after each trial.
    replays : dict of str to `~brainsnn.builders.connections.SpikeReplay`
    """

    network: object
    groups: dict
    own_state: dict
    monitors: list
    replays: dict

    @property
    def names(self):
        """Names of all objects in the network (set of str)."""
        return {obj.name for obj in self.network.sorted_objects}

    @property
    def state(self):
        """
        Arrays to reset in front of each trial: `own_state`, and all arrays of neurons that the user has added.

        Synapses of the user's keep theirs, which may be what they have learned.

        Returns
        -------
        state : dict of str to dict of str to `~brian2.core.variables.ArrayVariable`
        """
        state, added = dict(self.own_state), self.network.added
        for obj in self.network.sorted_objects:
            if obj.name in added and isinstance(obj, NeuronGroup):
                state[obj.name] = state_variables(obj, ())
            elif obj.name in added and isinstance(obj, SpikeGeneratorGroup):
                # Which of its spikes came last; without it, it would be silent from the second trial on.
                state[obj.name] = {name: obj.variables[name] for name in ("_spikespace", "_lastindex")}
        return state
