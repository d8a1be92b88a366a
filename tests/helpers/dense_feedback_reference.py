"""Dense float64 simulator of an integrate-and-fire network with predictive feedback, written from the equations.

It imports neither brainsnn nor Keras; layers are known by their class names and read through their attributes, and
convolutions are those of `dense_layers`. In every step t

- the input spikes that are replayed pass where the gate is open;
- every layer with a ReLU spikes where v > threshold;
- then v <- leak*v + W*spikes(t) - threshold*spike; layers without a ReLU only accumulate;
- the spikes of the last layer of the generator are added up; their clipped sum is the prediction after step t;
- where it is within epsilon of the pixel, the gate is closed in step t + 1: for good ("sticky") or while it is so
  ("dynamic").
"""

import numpy as np
from dense_layers import linear_operator

__all__ = ["simulate_feedback", "simulate_learning", "balanced_thresholds"]

STEP = 0.125  # what one spike of the generator adds to the prediction


def _stages(model):
    """[(layer, name of the source, linear functions in front)] of all layers with weights, in order."""
    stages = []
    for layer in model.layers:
        if not layer.weights:
            continue
        before, tensor = [], layer.input
        while True:
            previous = tensor._keras_history.operation
            if previous.weights or type(previous).__name__ == "InputLayer":
                break
            if type(previous).__name__ != "Dropout":
                before.insert(0, linear_operator(previous, tuple(previous.output.shape[1:])))
            tensor = previous.input
        before.append(linear_operator(layer, tuple(layer.output.shape[1:])))
        stages.append((layer, previous.name, before))
    return stages


def _current(operators, spikes):
    for operator in operators:
        spikes = operator([spikes], False)
    return spikes


def simulate_feedback(
    model, spikes, images, thresholds, leak=1.0, epsilon=0.1, mode="sticky", prediction="prediction", onset=0
):  # fmt: skip
    """Simulate replayed spikes (n, n_steps, H, W, C) with the pixels (n, H, W, C) that they came from.

    ``onset``: step in which the image comes on, one or (n,). Up to this step all gates are open.

    Returns a dict: "spikes", layer -> (n, n_steps, ...) bool, the gated input among them; "logits" (n, n_steps, classes),
    as they stand before the spikes of that step arrive; "predictions" and "gate", (n, n_steps, H, W, C).
    """
    stages = _stages(model)
    n, n_steps = spikes.shape[:2]
    potential = {layer.name: np.zeros((n, *layer.output.shape[1:])) for layer, *_ in stages}
    recorded = {name: [] for name in ("input", *(layer.name for layer, *_ in stages if _fires(layer)))}
    logits, predictions, gates = [], [], []
    onset = np.reshape(onset, (-1, 1, 1, 1))
    is_open, total = np.ones(images.shape, bool), np.zeros(images.shape)
    for t in range(n_steps):
        fired = {model.input.name: spikes[:, t] * is_open}
        gates.append(is_open)
        for layer, *_ in stages:
            if _fires(layer):
                fired[layer.name] = (potential[layer.name] > thresholds[layer.name]).astype(float)
        logits.append(potential["classifier"].copy())
        for layer, source, operators in stages:
            v = potential[layer.name]
            if _fires(layer):
                v = leak * v - thresholds[layer.name] * fired[layer.name]
            potential[layer.name] = v + _current(operators, fired[source])
        total = total + fired[prediction]
        predictions.append(np.clip(STEP * total, 0, 1))
        is_right = (np.abs(predictions[-1] - images) <= epsilon) & (t + 1 > onset)
        is_open = {"sticky": is_open & ~is_right, "dynamic": ~is_right, "none": is_open}[mode]
        for name in recorded:
            recorded[name].append(fired[model.input.name if name == "input" else name] != 0)
    return {
        "spikes": {name: np.stack(values, 1) for name, values in recorded.items()},
        "logits": np.stack(logits, 1),
        "predictions": np.stack(predictions, 1),
        "gate": np.stack(gates, 1),
    }


def simulate_learning(model, spikes, images, thresholds, rate, w_max, mode="dynamic", epsilon=0.1):
    """The same for one image after the other, while the weights onto the layer "prediction" learn, each on its own.

    When a source neuron of it spikes, its weights that are not 0 move by rate*(pixel - prediction before this step) and
    stay in -w_max ... w_max. Returns (spikes of "prediction" as list of (n_steps, H, W, C), weights (sources, pixels)).
    """
    stages = _stages(model)
    weights, rasters = None, []
    for train, image in zip(spikes, images):
        potential = {layer.name: np.zeros(layer.output.shape[1:]) for layer, *_ in stages}
        is_open, total, raster = np.ones(image.shape, bool), np.zeros(image.shape), []
        for signs in train:
            error = image - np.clip(STEP * total, 0, 1)
            fired = {model.input.name: signs * is_open}
            for layer, *_ in stages:
                if _fires(layer):
                    fired[layer.name] = (potential[layer.name] > thresholds[layer.name]).astype(float)
            for layer, source, operators in stages:
                if layer.name == "prediction":
                    if weights is None:
                        unit = np.eye(fired[source].size).reshape(-1, *fired[source].shape)
                        weights = _current(operators, unit).reshape(len(unit), -1)
                        connected = weights != 0
                    active = fired[source].ravel() > 0
                    current = weights[active].sum(0).reshape(image.shape)
                    moved = np.clip(weights + rate * error.ravel(), -w_max, w_max)
                    weights = np.where(active[:, None] & connected, moved, weights)
                else:
                    current = _current(operators, fired[source][None])[0]
                if _fires(layer):
                    potential[layer.name] = potential[layer.name] - thresholds[layer.name] * fired[layer.name]
                potential[layer.name] = potential[layer.name] + current
            total = total + fired["prediction"]
            raster.append(fired["prediction"] > 0)
            is_right = np.abs(np.clip(STEP * total, 0, 1) - image) <= epsilon
            is_open = {"sticky": is_open & ~is_right, "dynamic": ~is_right, "none": is_open}[mode]
        rasters.append(np.stack(raster))
    return rasters, weights


def _fires(layer):
    return layer.activation.__name__ == "relu"


def balanced_thresholds(model, spikes, scale=0.7):
    """Layer by layer, the largest current that a step brings, times a factor; all layers in front are balanced already."""
    thresholds, trains = {}, {model.input.name: spikes.astype(float)}
    for layer, source, operators in _stages(model):
        if not _fires(layer):
            continue
        currents = np.stack([_current(operators, trains[source][:, t]) for t in range(spikes.shape[1])], 1)
        threshold = scale * currents.max()
        v, fired = np.zeros_like(currents[:, 0]), []
        for t in range(spikes.shape[1]):
            fired.append((v > threshold).astype(float))
            v = v + currents[:, t] - threshold * fired[-1]
        thresholds[layer.name], trains[layer.name] = float(threshold), np.stack(fired, 1)
    return thresholds
