"""Take junctions out of a graph: the sources of a stream project to its readers directly."""

from collections import Counter
from dataclasses import replace

from brainsnn.builders.graph.parts import Operator, Projection
from brainsnn.builders.operators.composition import add_operators, compose, compose_sparse
from brainsnn.builders.operators.linear import ConvOperator, SparseOperator
from brainsnn.errors import ConversionError

__all__ = ["merge_projections", "without_junctions"]


def without_junctions(graph, readers=None):
    """
    Return the same network without junctions; see `~brainsnn.builders.graph.layer_graph.LayerGraph.expand_junctions`.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    readers : iterable of str, optional

    Returns
    -------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    """
    arriving, arrived = {}, {}
    incoming, apart = graph.by_target(), set(graph.populations if readers is None else readers)
    for name, population in graph.populations.items():
        expanded = []
        for projection in incoming[name]:
            if projection.mode == "current":
                for first in arriving[projection.source]:
                    operator = _composed(projection, first)
                    expanded.append(Projection(first.source, name, operator, first.mode))
            else:
                expanded.append(projection)
        if population.kind == "junction":
            arriving[name] = merge_projections(expanded)
        arrived[name] = merge_projections(expanded) if name in apart else incoming[name]
    n_readers = Counter(p.source for onto in arrived.values() for p in onto)
    for name, population in reversed(graph.populations.items()):
        if population.kind == "junction" and not n_readers[name]:
            n_readers.subtract(p.source for p in arrived.pop(name))
    populations = _with_layers_of_junctions(graph.populations, incoming, arrived.keys(), apart)
    kept = [projection for name in populations for projection in arrived[name]]
    return replace(graph, populations=populations, projections=kept)


def _with_layers_of_junctions(populations, incoming, kept, apart):
    """Return the populations that are kept; those set apart have the layers of the junctions that are not."""
    found, upstream = {}, {}
    for name, population in populations.items():
        # In order of evaluation, so that all that a junction reads is known.
        sources = [p.source for p in incoming[name] if p.mode == "current" and p.source not in kept]
        layers = dict.fromkeys(layer for source in sources for layer in upstream[source])
        layers |= dict.fromkeys(population.layers)
        if name not in kept:
            upstream[name] = tuple(layers)
        else:
            found[name] = replace(population, layers=tuple(layers)) if name in apart else population
    return found


def _composed(outer: Projection, inner: Projection) -> Operator:
    """Return one operator for two projections in a row."""
    operator = compose(outer.operator, inner.operator)
    if operator is not None:
        return operator
    if not all(isinstance(p.operator, (ConvOperator, SparseOperator)) for p in (outer, inner)):
        raise ConversionError(
            f"Junction '{outer.source}': {inner.source} -> {outer.target} takes a maximum over currents, so neurons cannot read "
            "the spikes of the stream instead. Give all layers that read it one synaptic filter, on a device that has junctions."
        )
    return compose_sparse(outer.operator, inner.operator)


def merge_projections(projections: list[Projection]) -> list[Projection]:
    """
    Add up operators between the same populations where one operator can represent both.

    Parameters
    ----------
    projections : list of Projection
        Onto one target.

    Returns
    -------
    list of Projection
    """
    merged: list[Projection] = []
    places: dict[tuple[str, str], list[int]] = {}
    for projection in projections:
        same = places.setdefault((projection.source, projection.mode), [])
        for k in same if projection.mode != "membrane" else ():
            total = add_operators(merged[k].operator, projection.operator)
            if total is not None:
                merged[k] = replace(merged[k], operator=total)
                break
        else:
            same.append(len(merged))
            merged.append(projection)
    return merged
