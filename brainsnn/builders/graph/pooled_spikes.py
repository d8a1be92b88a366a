"""Max pooling of spikes: in each window, the spikes of the neuron pass that has spiked most often."""

from dataclasses import replace

import numpy as np

from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.builders.graph.parts import Population, Projection
from brainsnn.builders.operators.pooling import MaxPool
from brainsnn.errors import ConversionError

__all__ = ["has_maximum", "spiking_twin", "with_pooled_spikes"]


def with_pooled_spikes(graph: LayerGraph, pooled: set[str] | None = None) -> LayerGraph:
    """
    Return the graph with maxima over spike counts in place of maxima over membrane potentials.

    Before the maximum stand neurons that spike, at the full size, and the pooled population spikes when the largest number of
    spikes in a window grows: it has spiked as often as the neuron of its window that has spiked most. A neuron that takes the
    lead passes its spikes, and those of the others do not pass. This needs no membrane variable, so that every neuron that
    spikes can be pooled, and equals the maximum of the activations where these are proportional to firing rates.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    pooled : set of str, optional
        Names of populations that take a maximum over membranes; all by default. Those of one membrane go together.

    Returns
    -------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`

    Raises
    ------
    ConversionError
        If a maximum is taken over values that can be negative, which no number of spikes expresses.

    References
    ----------
    Rueckauer, Lungu, Hu, Pfeiffer, Liu (2017), Front. Neurosci. 11:682.
    """
    populations, projections = dict(graph.populations), list(graph.projections)
    outgoing, incoming = graph.by_source(), graph.by_target()
    pooled = set(populations) if pooled is None else set(pooled)
    names: dict[str, str] = {}
    # The last maximum first: a membrane that is pooled twice has the nonlinearity that follows.
    for membrane in reversed(graph.populations.values()):
        maxima = [p for p in outgoing[membrane.name] if p.mode == "membrane" and has_maximum(p)]
        readers = {p.target: populations[p.target] for p in maxima}
        if membrane.kind != "membrane" or not pooled & set(readers):
            continue
        for projection in maxima:
            _check_maximum(projection, populations[projection.target])
        _check_alike([(p, populations[p.target]) for p in maxima])
        first, is_averaged = next(iter(readers.values())), len(outgoing[membrane.name]) > len(maxima)
        source = spiking_twin(graph, membrane, incoming)
        if source is None:
            source = _rectified(membrane, first)
            pooled.add(membrane.name)
            if is_averaged:
                source = replace(source, name=_free(membrane.name, populations, "_spikes"))
                projections += [replace(p, target=source.name) for p in incoming[membrane.name]]
            elif not membrane.layers:  # the pooled population has the name of the nonlinearity, and all its layers
                names[membrane.name] = names.get(first.name, first.name)
                names[first.name] = _free(first.layers[-1], populations, "_pooled")
            before = {} if not is_averaged else {membrane.name: membrane}
            populations = _replaced(populations, membrane.name, {**before, source.name: source})
        elif not is_averaged:
            del populations[membrane.name]
            projections = [p for p in projections if p.target != membrane.name]
        for name, reader in readers.items():
            populations[name] = replace(reader, activation="linear", bias=np.zeros_like(reader.bias), m_f=None)
        counted = {id(p) for p in maxima}
        projections = [replace(p, source=source.name, mode="counts") if id(p) in counted else p for p in projections]
    return _renamed(replace(graph, populations=populations, projections=projections), names)


def _check_maximum(projection: Projection, target: Population) -> None:
    """Refuse an operator other than a maximum, and neurons that do not rectify what they pool."""
    if target.kind != "spiking" or not isinstance(projection.operator, MaxPool):
        raise ConversionError(
            f"'{projection.target}' reads a maximum over values of '{projection.source}' that are not the spikes of one "
            "population: they can be negative, or are an average, or a difference as of relu6 and leaky ReLU. Train with a ReLU "
            "before the pooling layer, or use a neuron that is pooled before it spikes, such as ASN()."
        )


def _check_alike(readers: list[tuple[Projection, Population]]) -> None:
    """Refuse nonlinearities of one maximum that differ: the spikes before it are those of one of them."""
    (first, reader), *others = readers
    for projection, other in others:
        if (reader.activation, reader.threshold) != (other.activation, other.threshold) or np.any(
            reader.bias != other.bias
        ):
            raise ConversionError(
                f"'{first.target}' and '{projection.target}' read one maximum over '{projection.source}' with different biases "
                "or activations, as relu6 after a pooling layer does, and one population of spikes is pooled here. Use a ReLU "
                "without max_value there, or a neuron that is pooled before it spikes, such as ASN()."
            )


def has_maximum(projection: Projection) -> bool:
    """
    Return whether a projection takes a maximum, alone or in a chain.

    Parameters
    ----------
    projection : `~brainsnn.builders.graph.parts.Projection`

    Returns
    -------
    takes_maximum : bool
    """
    parts = getattr(projection.operator, "operators", (projection.operator,))
    return any(isinstance(part, MaxPool) for part in parts)


def _rectified(membrane: Population, reader: Population) -> Population:
    """Return the spiking population of a membrane, with the nonlinearity and the bias of one that pools it."""
    bias = membrane.bias + reader.bias if np.any(reader.bias) else membrane.bias
    return replace(
        membrane, kind="spiking", activation=reader.activation, bias=bias, m_f=reader.m_f, threshold=reader.threshold,
        time_constants=reader.time_constants, scale=reader.scale, layers=membrane.layers or reader.layers[:-1],
    )  # fmt: skip


def _free(name, taken, suffix):
    while name in taken:
        name += suffix
    return name


def _replaced(populations, name, others):
    """Return populations with others in the place of one."""
    pairs = [others.items() if each == name else [(each, population)] for each, population in populations.items()]
    return dict(pair for part in pairs for pair in part)


def _renamed(graph: LayerGraph, names: dict[str, str]) -> LayerGraph:
    """Return a graph with populations renamed; a pooled one then stands for its pooling layer alone."""
    populations = {}
    for old, population in graph.populations.items():
        name = names.get(old, old)
        passes = old in names and population.activation == "linear"
        changes = {"layers": (name,)} if passes else {"keras_layer": name} if old in names else {}
        populations[name] = replace(population, name=name, **changes)
    projections = [
        replace(p, source=names.get(p.source, p.source), target=names.get(p.target, p.target))
        for p in graph.projections
    ]
    return replace(graph, populations=populations, projections=projections)


def spiking_twin(graph: LayerGraph, membrane: Population, incoming: dict[str, list[Projection]]) -> Population | None:
    """
    Return the spiking population with the inputs of a membrane, where the membrane is a copy of one.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    membrane : `~brainsnn.builders.graph.parts.Population`
    incoming : dict of str to list of `~brainsnn.builders.graph.parts.Projection`
        By target.

    Returns
    -------
    population : `~brainsnn.builders.graph.parts.Population` or None
    """

    def inputs(name):
        """Return what a population reads."""
        return [(p.source, id(p.operator), p.mode) for p in incoming[name]]

    mine = inputs(membrane.name)
    return next((p for p in graph.populations.values() if p.kind == "spiking" and inputs(p.name) == mine), None)
