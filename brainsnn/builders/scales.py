"""Whether spikes stand for the activations that the next layer takes them for: checked when a network is converted."""

import warnings

import numpy as np
from brian2.utils.stringtools import get_identifiers

from brainsnn.errors import UncalibratedWarning

__all__ = ["check_scales"]


def check_scales(graph, neurons, thresholds, encoder, has_feedback):
    """
    Refuse what would scale the activations of a calibrated graph, and warn of activations that neurons cannot express.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    neurons : `~brainsnn.builders.network.neurons.Neurons`
    thresholds : dict of str to float
    encoder : {"current", "poisson"}
    has_feedback : bool
        Networks with predictive feedback were trained with spikes, and need no calibration.

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
    elif not has_feedback:
        _warn_of_uncalibrated(graph, thresholds)
    if encoder == "poisson" and not has_feedback:
        _warn_of_unscaled_spikes(graph, neurons)
    if not graph.neurons:
        _warn_of_other_synapses(graph, neurons)


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


def _warn_of_uncalibrated(graph, thresholds):
    named = {graph.population(layer).name for layer in thresholds}
    layers = [n for n, p in graph.populations.items() if p.activation == "relu" and n not in named]
    if layers and not graph.neurons:
        shown = ", ".join(map(repr, layers[:3])) + (f" and {len(layers) - 3} more" if len(layers) > 3 else "")
        warnings.warn(
            f"convert: the ReLU layers {shown} have the activations with which they were trained. Neurons express activations "
            "from 0 to about 1 best: IF neurons cannot exceed 1. Normalise them with "
            "graph = brainsnn.calibrate(model, images), and convert the graph.",
            UncalibratedWarning,
            stacklevel=4,
        )


def _warn_of_unscaled_spikes(graph, neurons):
    """Warn of input spikes into neurons that are made for currents: a spike of height 1 stays in their filters."""
    first = {p.target for p in graph.projections if p.source == graph.input.name} & set(neurons.chosen)
    filtered = [name for name in first if neurons.chosen[name].encoder == "current"]
    if filtered:
        model = neurons.chosen[filtered[0]]
        warnings.warn(
            f"convert: encoder='poisson' with {model.name}: input spikes have the height 1 and are not scaled to the filters of "
            f"{filtered[0]!r}, which are made for currents, so that pixels arrive several times too large. Use "
            "encoder='current', or IF().",
            UncalibratedWarning,
            stacklevel=4,
        )


def _warn_of_other_synapses(graph, neurons):
    """Warn of spikes whose height is made for synapses with another time course than those that they reach."""
    models = neurons.of_each(graph)
    for p in graph.projections:
        if p.source not in neurons.chosen or p.target not in models:
            continue
        source, target = models[p.source], models[p.target]
        if _synapse(source) != _synapse(target):
            warnings.warn(
                f"convert: the spikes of {p.source!r} ({source.name}) are made for synapses like its own, and those of "
                f"{p.target!r} ({target.name}) differ: activations arrive scaled, unless you have set the height of these "
                "spikes. Give both layers one synapse, or compare activations with brainsnn.compare_activations.",
                UncalibratedWarning,
                stacklevel=4,
            )
            return


def _synapse(model):
    """Return what decides how large an activation a spike is: the equation of the received variable, with its constants."""
    definition = model.definition(model.receives)
    values = {name: str(model.constants[name]) for name in get_identifiers(definition) if name in model.constants}
    return definition, tuple(sorted(values.items()))
