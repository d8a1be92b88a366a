"""Scales of layers from the activations of the artificial network."""

import numpy as np

__all__ = ["activation_scales"]


def activation_scales(graph, images, percentile, per):
    """
    Return a large activation of each ReLU layer: a percentile of all activations greater than 0.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    images : (n, H, W, C) ndarray
    percentile : float
    per : {"layer", "channel"}

    Returns
    -------
    scales : dict of str to (C,) ndarray
        0 for a layer without activity. A silent channel has the scale of its layer.
    """
    return {
        population.name: _scale(activation, percentile, per)
        for population, _, activation in graph.evaluated(images, np.float32)
        if population.activation == "relu"
    }


def _scale(values, percentile, per):
    layer = np.full(values.shape[-1], _percentile(values, percentile))
    if per == "layer":
        return layer
    channels = np.array([_percentile(values[..., c], percentile) for c in range(values.shape[-1])])
    return np.where(channels > 0, channels, layer)


def _percentile(values, percentile):
    positive = values[values > 0]
    return float(np.percentile(positive, percentile)) if positive.size else 0.0
