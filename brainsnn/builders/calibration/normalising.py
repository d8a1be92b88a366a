"""Divide the activations of populations by scales, without changing what the network computes."""

from dataclasses import replace

import numpy as np

from brainsnn.builders.graph.pooled_spikes import spiking_twin
from brainsnn.builders.operators import MaxPool, rescaled

__all__ = ["normalised", "with_shared_scales"]


def normalised(graph, scales, calibration):
    """
    Return the graph in which activations are divided by scales.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    scales : dict of str to (C,) ndarray
        Of populations; 1 for all others. Those of a maximum and of what it reads must be equal, see `with_shared_scales`.
    calibration : `~brainsnn.builders.graph.calibration.Calibration`
        How the scales were found.

    Returns
    -------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    """
    populations = {
        name: replace(p, bias=p.bias / scales[name], scale=p.scale * scales[name]) if name in scales else p
        for name, p in graph.populations.items()
    }
    made = {}  # populations with the same inputs, of which one is pooled, keep the same operators
    projections = []
    for p in graph.projections:
        before, after = (scales.get(name, np.ones(1)) for name in (p.source, p.target))
        key = id(p.operator), p.source, after.tobytes()
        if key not in made:
            source, target = graph.populations[p.source], graph.populations[p.target]
            made[key] = rescaled(
                p.operator,
                np.broadcast_to(before, source.shape).reshape(p.operator.input_shape),
                np.broadcast_to(1 / after, target.shape).reshape(p.operator.output_shape),
            )
        projections.append(replace(p, operator=made[key]))
    return replace(graph, populations=populations, projections=projections, calibration=calibration)


def with_shared_scales(graph, scales):
    """
    Return scales that are equal wherever a maximum is taken, so that it stays a maximum of normalised values.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    scales : dict of str to (C,) ndarray

    Returns
    -------
    scales : dict of str to (C,) ndarray
        With those of membranes. The largest scale of each group counts.
    """
    scales, incoming, outgoing = dict(scales), graph.by_target(), graph.by_source()
    for name, population in reversed(graph.populations.items()):  # a maximum of a maximum has the scale of the last
        pooled = [p.target for p in outgoing[name] if isinstance(p.operator, MaxPool)]
        if population.kind == "membrane" and (twin := spiking_twin(graph, population, incoming)) is not None:
            pooled.append(twin.name)
        group = [name for name in (name, *pooled) if name in scales]
        if pooled and group:
            scales |= dict.fromkeys((name, *pooled), np.max([scales[name] for name in group], axis=0))
    return scales
