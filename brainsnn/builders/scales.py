"""Whether spikes stand for the activations that the next layer takes them for: checked when a network is converted."""

import numpy as np

from brainsnn.builders.network.neurons import scale_of_spikes
from brainsnn.equations.arriving_spikes import activation_of_spike
from brainsnn.errors import (
    BoundedNeuronsWarning,
    SilentNeuronsWarning,
    SpikeHeightWarning,
    SummedReadoutWarning,
    UncalibratedWarning,
    warn,
)

__all__ = ["check_scales"]

#: Thresholds of leaky neurons above which a calibrated network loses much: 10 of 100 digits at 0.1, 1 at 0.05.
HIGH_THRESHOLD = 0.2
#: Functions of a readout that a sum over time drives to their bounds. The largest class of a softmax stays the largest.
BOUNDED = ("sigmoid", "tanh")


def check_scales(graph, neurons, thresholds, encoder, feedback, dt):
    """
    Refuse what would scale the activations of a calibrated graph, and warn of activations that neurons cannot express.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    neurons : `~brainsnn.builders.network.neurons.Neurons`
    thresholds : dict of str to float
    encoder : {"current", "poisson"}
    feedback : `~brainsnn.feedback.gate.PredictiveGate` or None
        Networks with predictive feedback were trained with spikes, and need no calibration.
    dt : `~brian2.units.fundamentalunits.Quantity`

    Raises
    ------
    ValueError
        If thresholds do not fit the height of spikes, and the graph is calibrated.

    Warns
    -----
    UncalibratedWarning
        Of each kind once.
    """
    if graph.calibration is not None:
        _check_thresholds_of_calibrated(neurons, thresholds)
        _warn_of_silence(neurons)
    elif feedback is None:
        _warn_of_uncalibrated(graph, thresholds)
        _warn_of_other_neurons(graph, neurons, thresholds)
    _warn_of_unknown_scales(graph, neurons, encoder, dt)
    _warn_of_summed_readouts(graph, neurons)
    if feedback is not None:
        _warn_of_unknown_prediction(graph.population(feedback.output).name, neurons, dt)


def _check_thresholds_of_calibrated(neurons, thresholds):
    """Refuse thresholds with which a spike would not count as the activation that it stands for."""
    if thresholds:
        raise ValueError(
            f"convert: thresholds of {', '.join(map(repr, thresholds))}, and the graph is calibrated: an activation of 1 is one "
            "spike in each step with a threshold of 1. Leave thresholds out, or convert the graph that was not calibrated."
        )
    for name, model in neurons.chosen.items():
        threshold = model.parameters.get(model.threshold_parameter)
        height = model.parameters.get(model.spike_height)
        if threshold is not None and not model.has_linear_filter and not np.array_equal(threshold, height):
            raise ValueError(
                f"convert: the neurons of {name!r} ({model.name}) have the threshold {threshold} and the spike height {height}. "
                "In a calibrated graph a spike counts as its threshold: give both one value, as in "
                f"IF(threshold={threshold}).edit({model.spike_height}={threshold})."
            )


def _warn_of_silence(neurons):
    """Warn of leaky neurons that most activations, which lie between 0 and 1, leave below the threshold."""
    for name, model in neurons.chosen.items():
        threshold = model.parameters.get(model.threshold_parameter)
        if threshold is not None and model.has_linear_filter and np.min(threshold) > HIGH_THRESHOLD:
            warn(
                f"convert: the neurons of {name!r} ({model.name}) are silent for activations below their threshold of "
                f"{threshold}, and most activations lie between 0 and 1.",
                SilentNeuronsWarning,
                fix="Use a small threshold and a slow membrane, as in LIF(tau_m=100*ms, threshold=0.02).",
            )
            return


def _warn_of_uncalibrated(graph, thresholds):
    named = {graph.population(layer).name for layer in thresholds}
    layers = [n for n, p in graph.populations.items() if p.activation == "relu" and n not in named]
    if layers and not graph.neurons:
        shown = ", ".join(map(repr, layers[:3])) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
        warn(
            f"convert: the ReLU layers {shown} have the activations with which they were trained. Neurons express activations "
            "from 0 to about 1 best: IF neurons cannot exceed 1.",
            UncalibratedWarning,
            fix="Normalise them with graph = brainsnn.calibrate(model, images), and convert the graph.",
        )


def _warn_of_other_neurons(graph, neurons, thresholds):
    """Warn of neurons that cannot express the activations of layers that were trained for adaptive spiking neurons."""
    trained = {
        n: neurons.chosen[n] for n, p in graph.populations.items() if p.activation == "asn" and n in neurons.chosen
    }
    bounded = [name for name, model in trained.items() if not model.has_linear_filter and model.threshold_parameter]
    if bounded and not thresholds:
        name = bounded[0]
        warn(
            f"convert: {name!r} was trained with the activations of adaptive spiking neurons, which exceed 1. Neurons of "
            f"{trained[name].name} cannot: they spike at most once in a step.",
            BoundedNeuronsWarning,
            fix="Use ASN(), or train the network with ReLU and calibrate it.",
        )
    elif trained and not thresholds:
        _warn_of_silence(neurons)


def _warn_of_unknown_scales(graph, neurons, encoder, dt):
    """Warn of spikes that reach another kind of synapse of which it is not known how large an activation a spike is."""
    models = neurons.of_each(graph)
    for p in graph.projections:
        if p.mode != "spikes" or p.target not in models or (p.source == graph.input.name and encoder == "current"):
            continue
        if scale_of_spikes(graph, models, p, float(dt)) is None:
            sent = f"{p.source!r} ({'pixels' if p.source == graph.input.name else models[p.source].name})"
            why = (
                "the weights of this network were made for other neurons"
                if graph.neurons
                else "the synapse there is another one, and one of the two is neither an exponential filter nor cleared each step"
            )
            warn(
                f"convert: the spikes of {sent} reach {p.target!r} ({models[p.target].name}), and {why}: it is not known with "
                "which height they carry the same activation, and they keep theirs.",
                SpikeHeightWarning,
                fix="Give both layers one synapse, or compare activations with brainsnn.compare_activations.",
            )
            return


def _warn_of_unknown_prediction(name, neurons, dt):
    model = neurons.chosen.get(name)
    if model is not None and activation_of_spike(model, float(dt)) is None:
        warn(
            f"convert: the synapse of {model.name!r} is neither an exponential filter nor cleared in every step, so it is not "
            f"known how large a prediction a spike of {name!r} is, and it counts its height.",
            SpikeHeightWarning,
            fix="Use IF(), ASN() or LIF() there.",
        )


def _warn_of_summed_readouts(graph, neurons):
    """Warn of bounded functions of a sum over the steps, which soon reach their bound."""
    for name, population in graph.populations.items():
        readout = neurons.chosen[name].readout if population.kind == "readout" and name in neurons.chosen else None
        if population.activation in BOUNDED and readout is not None and not readout.brian_equations.diff_eq_names:
            warn(
                f"convert: the readout {name!r} ({readout.name}) adds up its input over the steps, and {population.activation} "
                "of a growing sum goes to its bounds.",
                SummedReadoutWarning,
                fix="Use a readout that averages, as in IF().edit(readout=ASN().readout).",
            )
            return
