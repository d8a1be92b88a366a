"""Scales of layers from the inputs that spikes cause: threshold balancing."""

import numpy as np

from brainsnn.errors import ConversionError

__all__ = ["balanced_scales"]


def balanced_scales(graph, images, percentile, factor, encoder, steps, rng):
    """
    Return balanced thresholds: a large input of each layer in one step, times a factor.

    Layer by layer, integrate-and-fire neurons get the spikes of the layers before, which have their thresholds already. A
    spike counts as much as the threshold of its neuron.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
        Without maxima over membranes.
    images : (n, H, W, C) ndarray
    percentile : float
        Of the inputs greater than 0 in one step. The largest over the steps counts.
    factor : float
    encoder : {"current", "poisson"}
    steps : int
    rng : numpy.random.Generator

    Returns
    -------
    scales : dict of str to (C,) ndarray
        Of spiking populations; 0 for one without an input greater than 0.

    Raises
    ------
    ConversionError
        If a layer spikes with another nonlinearity than ReLU.

    References
    ----------
    Rathi, Srinivasan, Panda, Roy (2020), ICLR.
    """
    for population in graph.populations.values():
        if population.kind == "spiking" and population.activation not in ("relu", "linear"):
            raise ConversionError(
                f"calibrate: method='balance' simulates integrate-and-fire neurons, and {population.name!r} has the activation "
                f"{population.activation!r}. Use method='data'."
            )
    outputs, heights, incoming = {}, {}, graph.by_target()
    last_reader = {p.source: name for name in graph.populations for p in incoming[name]}
    for name, population in graph.populations.items():
        projections = incoming[name]
        if population.kind == "input":
            outputs[name], heights[name] = _encoded(images, encoder, steps, rng), 1.0
        elif projections and projections[0].mode == "counts":
            source = projections[0].source
            outputs[name], heights[name] = _passed(outputs[source], projections[0].operator), heights[source]
        elif population.kind == "spiking":
            threshold = 0.0
            for t in range(steps):
                drive = _drive(population, projections, outputs, heights, t)
                positive = drive[drive > 0]
                threshold = max(
                    threshold, factor * float(np.percentile(positive, percentile)) if positive.size else 0.0
                )
            heights[name] = threshold
            outputs[name] = _spikes(population, projections, outputs, heights, steps, threshold or np.inf)
        elif population.kind == "junction":
            outputs[name] = np.stack([_drive(population, projections, outputs, heights, t) for t in range(steps)])
            heights[name] = 1.0
        outputs = {source: values for source, values in outputs.items() if last_reader.get(source) != name}
    return {name: np.full(p.shape[2], heights[name]) for name, p in graph.populations.items() if p.kind == "spiking"}


def _encoded(images, encoder, steps, rng):
    """Return the input (steps, n, H, W, C); one step stands for all of a constant current."""
    if encoder == "current":
        return images[None].astype(np.float32)
    drawn = (rng.random(images.shape) < np.abs(images) for _ in range(steps))
    return np.stack([spikes * np.sign(images).astype(np.int8) for spikes in drawn])


def _drive(population, projections, outputs, heights, t):
    """Return the input (n, H, W, C) of a population in one step, with the bias."""
    total = population.bias.astype(np.float32)
    for p in projections:
        values = outputs[p.source]
        values = values[min(t, len(values) - 1)]
        current = p.operator.apply(values.reshape(len(values), -1).astype(np.float32))
        total = total + np.float32(heights[p.source]) * current.reshape(len(values), *population.shape)
    return total


def _spikes(population, projections, outputs, heights, steps, threshold):
    """Return the spikes (steps, n, H, W, C) of integrate-and-fire neurons with a soft reset."""
    v, spikes = np.float32(0), []
    for t in range(steps):
        v = v + _drive(population, projections, outputs, heights, t)
        spikes.append(v > threshold)
        v = v - np.where(spikes[-1], np.float32(threshold), np.float32(0))
    return np.stack(spikes)


def _passed(spikes, pool):
    """Return the spikes that pass a maximum: one whenever the largest number of spikes in a window grows."""
    counts = np.zeros(spikes.shape[1:], np.float32)
    before, passed = 0, []
    for now in spikes:
        counts += now
        most = pool.apply(counts)
        passed.append(most > before)
        before = most
    return np.stack(passed)
