"""Copy a spiking network: build it again with the same options, and give it the same parameters and learned weights."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from brian2 import second

from brainsnn.builders.network.constants import make_settable
from brainsnn.builders.spiking_network import SpikingNetwork
from brainsnn.feedback import PredictiveGate

__all__ = ["copy_network"]


def copy_network(
    snn: SpikingNetwork, record: Mapping[str, Any] | None = None, *, learns: bool = True
) -> SpikingNetwork:
    """
    Return a new network with the options, parameters and learned weights of another one.

    The copy is not attended: its parameters are those that the user gave. Objects that were added to ``snn.network`` are not
    copied.

    Parameters
    ----------
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`
    record : dict, optional
        What the copy records; see `~brainsnn.convert`. The prediction and the gate of predictive feedback are not recorded
        unless they are named here.
    learns : bool, optional
        Whether projections that learn go on learning in the copy. If not, they keep the weights of ``snn``.

    Returns
    -------
    copy : `~brainsnn.builders.spiking_network.SpikingNetwork`
    """
    copy = SpikingNetwork(
        snn.graph, snn._assembly.neurons, connectivity=snn.connectivity, schedule=snn.schedule, encoder=snn.encoder,
        device=snn.device, record=record, dtype=snn.dtype.name, threads=snn._backend.threads, thresholds=None, dt=snn.dt * second,
        feedback=_copied_feedback(snn.feedback, learns),
    )  # fmt: skip
    for name, variables in snn.parameters.items():
        constants = {v: snn._read(name, v) for v in variables if v not in copy.parameters[name]}
        make_settable(copy._assembly, name, constants, is_compiled=False)
    copy._assembly.models.update(snn._assembly.models)  # the same equations, with the values that were set
    unattended = snn._attended.unattended()
    for name, variables in copy.parameters.items():
        for variable in variables:
            values = unattended.get((name, variable))
            copy._write(name, variable, snn._read(name, variable) if values is None else values)
    copy.set_learned_weights(snn.learned_weights)
    return copy


def _copied_feedback(feedback: PredictiveGate | None, learns: bool) -> PredictiveGate | None:
    if feedback is None:
        return None
    learning = feedback.learning
    if learning is not None and not learns:
        learning = learning.frozen()
    return replace(feedback, record=False, learning=learning)
