"""Which neuron model each population has: one for all, one for each layer, or what a function of the layer returns."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from brian2 import get_dimensions
from brian2.utils.stringtools import get_identifiers

from brainsnn.equations.arriving_spikes import spike_scale
from brainsnn.equations.linear_filter import why_not_linear
from brainsnn.equations.model import NeuronModel

__all__ = ["Neurons", "choose_neurons", "encoder_of", "scale_of_spikes", "with_shared_filters"]


@dataclass(frozen=True)
class Neurons:
    """
    The neuron model of each population.

    Attributes
    ----------
    default : `~brainsnn.equations.model.NeuronModel`
        That of all layers that were not named; that of the first readout if all of them were.
    chosen : dict of str to `~brainsnn.equations.model.NeuronModel`
        By population: spiking ones, readouts, whose model has the readout as a field, and membranes that were named.
    """

    default: NeuronModel
    chosen: Mapping[str, NeuronModel]

    def of_each(self, graph):
        """
        Return the model of each population; a junction or a membrane has that of the first population that reads it.

        Parameters
        ----------
        graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`

        Returns
        -------
        models : dict of str to `~brainsnn.equations.model.NeuronModel`
            Without populations that nothing with a model reads.
        """
        models, outgoing = dict(self.chosen), graph.by_source()
        for name in reversed(graph.populations):  # readers come later
            read = (models[p.target] for p in outgoing[name] if p.target in models)
            if name not in models and (model := next(read, None)) is not None:
                models[name] = model
        return models

    def changed(self, change):
        """
        Return the models that a function makes of these; it is called once for each of them.

        Parameters
        ----------
        change : callable

        Returns
        -------
        neurons : `Neurons`
        """
        models = {id(model): model for model in (self.default, *self.chosen.values())}
        made = {key: change(model) for key, model in models.items()}
        return Neurons(made[id(self.default)], {name: made[id(model)] for name, model in self.chosen.items()})


def choose_neurons(graph, neuron):
    """
    Return the neuron model of each spiking population and of each readout.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    neuron : `Neurons`, `~brainsnn.equations.model.NeuronModel`, dict or callable
        As of `~brainsnn.convert`.

    Returns
    -------
    neurons : `Neurons`

    Raises
    ------
    UnknownNameError
        If a layer does not exist.
    ValueError
        If a layer has no model, two, or one that it cannot have.
    """
    if isinstance(neuron, Neurons):
        return neuron
    passed = {p.target: p.source for p in graph.projections if p.mode == "counts"}
    layers = [n for n, p in graph.populations.items() if p.kind in ("spiking", "readout") and n not in passed]
    if isinstance(neuron, NeuronModel):
        default, chosen = neuron, {}
    elif isinstance(neuron, Mapping):
        default, chosen = neuron.get(...), _by_population(graph, neuron)
        missing = [name for name in layers if name not in chosen]
        if default is None and missing:
            raise ValueError(
                f"convert: neuron names no model for {', '.join(map(repr, missing))}. Add the key ... (Ellipsis) for all other "
                "layers, as in neuron={'conv1': model, ...: default}."
            )
    elif getattr(neuron, "__module__", "").startswith("brainsnn.equations"):
        raise ValueError(
            f"convert: neuron={neuron.__name__} is what makes a model; call it, as in neuron={neuron.__name__}(), or give a "
            f"function of a layer: neuron=lambda layer: {neuron.__name__}()."
        )
    elif callable(neuron):
        default, chosen = None, {name: neuron(graph.populations[name]) for name in layers}
    else:
        raise ValueError(
            f"convert: neuron={neuron!r}; give a NeuronModel such as ASN(), a dict of layer name to NeuronModel, or a function "
            "of a layer that returns one."
        )
    for name, model in [(..., default), *chosen.items()]:
        if not isinstance(model, NeuronModel) and (name in chosen or model is not None):
            raise ValueError(f"convert: neuron: the model of {name!r} is {model!r}; give a NeuronModel such as ASN().")
    chosen = {**dict.fromkeys(layers, default), **chosen}
    for name in sorted(passed, key=list(graph.populations).index):
        if name in chosen:
            raise ValueError(
                f"convert: neuron: {name!r} passes on the spikes of {passed[name]!r} and has its model. Name {passed[name]!r}."
            )
        chosen[name] = chosen[passed[name]]
    chosen = {name: _fitting(graph.populations[name], model, default) for name, model in chosen.items()}
    readouts = [name for name in layers if graph.populations[name].kind == "readout"]
    return Neurons(default or chosen[(readouts or layers)[0]], chosen)


def _by_population(graph, neuron):
    """Return the models of named layers by the names of their populations."""
    chosen, named = {}, {}
    for layer in (key for key in neuron if key is not ...):
        population = graph.population(layer)
        name = population.name
        if name in named:
            raise ValueError(f"convert: neuron: {named[name]!r} and {layer!r} are both {name!r}; give one of them.")
        if population.kind in ("input", "junction"):
            what = {
                "input": "the input, whose neurons encoder and feedback choose",
                "junction": "a junction, which has the synaptic filter of the layers that read it",
            }[population.kind]
            raise ValueError(f"convert: neuron: {layer!r} is {what}. Name spiking layers and readouts.")
        chosen[name], named[name] = neuron[layer], layer
    return chosen


def _fitting(population, model, default):
    """Return the model that a population gets, with a readout if it is one; refuse one that it cannot have."""
    if population.kind == "readout":
        if model.readout is None and model.threshold is None and default is not None and default is not model:
            return replace(default, readout=model)
        if model.readout is None:
            raise ValueError(
                f"convert: the neuron model {model.name!r} has no readout, which {population.name!r} needs. Give it one with "
                "readout=NeuronModel(...)."
            )
    elif population.kind == "spiking" and model.threshold is None:
        raise ValueError(
            f"convert: the neuron model {model.name!r} of {population.name!r} does not spike. Give it a threshold, "
            "or use it as a readout."
        )
    received = model.brian_equations[model.receives].dim
    if get_dimensions(model.input_unit) is not received:
        raise ValueError(
            f"convert: {model.name}.input_unit: {model.input_unit!r} is not a value of {model.receives!r}, whose unit is "
            f"{model.unit_of(model.receives)}. Set input_unit to the value that corresponds to 1 in the artificial network."
        )
    return model


def encoder_of(graph, neurons):
    """
    Return how images enter the network: as the models of the neurons that they reach say.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    neurons : `Neurons`

    Returns
    -------
    encoder : {"current", "poisson"}

    Raises
    ------
    ValueError
        If these models differ.
    """
    encoders, outgoing, names = {}, graph.by_source(), [graph.input.name]
    while names:  # through junctions and membranes, which have no model of their own
        targets = [projection.target for projection in outgoing.pop(names.pop(), ())]
        encoders |= {name: neurons.chosen[name].encoder for name in targets if name in neurons.chosen}
        names += [name for name in targets if name not in neurons.chosen]
    if len(set(encoders.values())) > 1:
        said = ", ".join(f"{encoder!r} ({name})" for name, encoder in encoders.items())
        raise ValueError(
            f"convert: the neuron models of the first layers want different encoders: {said}. Give encoder=..."
        )
    return next(iter(encoders.values()), neurons.default.encoder)


def scale_of_spikes(graph, models, projection, dt):
    """
    Return the factor of the height of the spikes of a projection, see `~brainsnn.equations.arriving_spikes.spike_scale`.

    It is 1 where neurons want spikes of the input, and between neurons of a spiking network that was read, whose weights contain
    it; if one of these neurons was exchanged, it is not known.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    models : dict of str to `~brainsnn.equations.model.NeuronModel`
        As returned by `Neurons.of_each`.
    projection : `~brainsnn.builders.graph.parts.Projection`
    dt : float
        Time step in seconds.

    Returns
    -------
    scale : float or None
        None where it is not known.
    """
    target, is_input = models[projection.target], projection.source == graph.input.name
    if graph.neurons:
        ends = {projection.source, projection.target} & set(graph.neurons)
        return 1.0 if all(models[name] is graph.neurons[name] for name in ends) else None
    if is_input and target.encoder == "poisson":
        return 1.0
    if graph.populations[projection.target].kind == "readout":
        target = replace(target.readout, on_pre=target.readout.on_pre or target.on_pre)
    return spike_scale(None if is_input else models[projection.source], target, dt)


def with_shared_filters(graph, neurons):
    """
    Return the graph in which all populations that read a junction have one linear synaptic filter, that of the junction.

    Populations with another filter get the spikes of the stream directly, which is exact.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    neurons : `Neurons`

    Returns
    -------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    """
    junctions = [name for name, population in graph.populations.items() if population.kind == "junction"]
    outgoing, models = graph.by_source(), neurons.of_each(graph)
    readers = {p.target for name in junctions for p in outgoing[name]} - set(junctions)
    filters = {name: _filter(graph, models[name], name) for name in graph.populations if name in readers}
    shared = Counter(one for one in filters.values() if one is not None).most_common(1)
    apart = [name for name, one in filters.items() if not shared or one != shared[0][0]]
    return graph.expand_junctions(apart) if apart else graph


def _filter(graph, neuron, name):
    """Return what tells one linear filter from another, or None if a population's filter is not linear."""
    if why_not_linear(neuron) is not None:
        return None
    found = (*_filter_equation(neuron), neuron.on_pre, _values(neuron, neuron.on_pre), neuron.spike_height)
    if graph.populations[name].kind == "readout":
        readout = neuron.readout
        statement = readout.on_pre and readout.on_pre != neuron.on_pre
        if statement or _filter_equation(readout) != found[:2] or np.any(readout.initial.get(readout.receives, 0)):
            return None
    return found


def _filter_equation(model):
    line = model.definition(model.receives) if model.receives in model.brian_equations else ""
    return f"{model.receives} in {line}", _values(model, line)


def _values(model, code):
    """Return the values of the constants that code uses (tuple)."""
    return tuple(
        (name, float(value), str(get_dimensions(value)))
        for name, value in model.constants.items()
        if name in get_identifiers(code or "")
    )
