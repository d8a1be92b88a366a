"""What a network consists of and how it was made: the attributes of a network that can be read, but not set."""

from typing import Any

import numpy as np

from brainsnn.builders.devices.backend import Backend
from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.builders.network.assembly import Assembly
from brainsnn.builders.network.monitors import Monitors
from brainsnn.builders.network.population_mapping import Populations
from brainsnn.equations import NeuronModel
from brainsnn.feedback import PredictiveGate

__all__ = ["NetworkViews"]


class NetworkViews:
    """Mixin of `~brainsnn.builders.spiking_network.SpikingNetwork` with what can be read from it."""

    populations: Populations
    _assembly: Assembly
    _monitors: Monitors
    _backend: Backend

    @property
    def graph(self) -> LayerGraph:
        """The populations and the operators between them (`~brainsnn.builders.graph.layer_graph.LayerGraph`)."""
        return self._assembly.graph

    @property
    def neuron(self) -> NeuronModel:
        """The neuron model of all layers that ``convert(neuron={...})`` did not name (`NeuronModel`)."""
        return self._assembly.neurons.default

    @property
    def neurons(self) -> dict[str, NeuronModel]:
        """The neuron model that each population was given (dict of str to `NeuronModel`); `models` has what became of it."""
        return {name: self._assembly.neuron_of(name) for name in self._assembly.shapes}

    @property
    def models(self) -> dict[str, NeuronModel]:
        """
        The equations that each population got, with the values of `set_parameters`.

        Returns
        -------
        models : dict of str to `~brainsnn.equations.model.NeuronModel`
        """
        return self._assembly.models

    @property
    def parameters(self) -> dict[str, list[str]]:
        """Names of the per-neuron parameters of each population, for `set_parameters` (dict of str to list of str)."""
        return self._assembly.parameters

    @property
    def recorded(self) -> dict[str, dict[str, np.ndarray]]:
        """Recorded neurons: population -> ``"spikes"`` or variable -> flat indices (dict of str to dict of str to ndarray)."""
        return self._monitors.neurons

    @property
    def projections(self) -> list[Any]:
        """Projections, each with ``source``, ``target`` and ``to_coo() -> (i, j, w)`` (list)."""
        return self._assembly.connections

    @property
    def feedback(self) -> PredictiveGate | None:
        """The gate on the input (`~brainsnn.feedback.gate.PredictiveGate` or None)."""
        return self._assembly.feedback

    @property
    def encoder(self) -> str:
        """How images arrive, ``"current"`` or ``"poisson"`` (str)."""
        return self._assembly.encoder

    @property
    def schedule(self) -> str:
        """When a spike acts, ``"pipelined"`` or ``"synchronous"`` (str)."""
        return self._assembly.schedule

    @property
    def connectivity(self) -> str:
        """How projections are stored, ``"event_driven"`` or ``"synapses"`` (str)."""
        return self._assembly.connectivity

    @property
    def device(self) -> str:
        """Name of the device that the network was made for (str)."""
        return self._backend.name

    @property
    def dt(self) -> float:
        """Time step in seconds (float)."""
        return self._assembly.dt

    def __repr__(self):
        neurons = sum(len(group) for group in self._assembly.groups.values())
        names = dict.fromkeys(self.neurons[name].name for name in self.populations.spiking) or [self.neuron.name]
        what = f"{len(self.populations)} populations, {neurons} neurons, {' and '.join(names)}"
        return f"<SpikingNetwork: {what}, {self._backend.name}>"
