"""Dense simulator of the published spiking network with predictive feedback, in numpy, from the description of its steps.

It imports neither brainsnn nor Keras; layers are known by their class names. In every step, for each layer in order:

- a spiking layer fires where v/threshold - 1 > 0 of its potential v, and v <- leak*v + current - threshold*fired;
- a linear layer passes its current on at once; the last one adds it up;
- a dropout multiplies what is sent on by its mask, which is the same in all steps;
- then the spikes of the last layer of the generator are added up, and pixels of which 2*sigmoid(sum) - 1 is strictly within
  epsilon of the image are set to 0 from the next step on, for good.
"""

import numpy as np
from dense_layers import linear_operator

__all__ = ["simulate_published"]

NEURONS = ("ReLU", "LeakyReLU")


def simulate_published(model, images, thresholds, n_steps, epsilon=None, leak=1.0, masks=None):
    """Simulate images whose pixels are 0 or 1, so that their spikes are not random.

    Layers in ``thresholds`` spike. Returns spikes (layer -> (n, n_steps, ...)), logits (n, classes) with the spikes of the last
    step, sums of the prediction (n, n_steps, H, W, C) and the open pixels in each step.
    """
    operators = {layer.name: _operator(layer) for layer in model.layers}
    potential, spikes, sums, opened = {}, {name: [] for name in thresholds}, [], []
    is_open, total = np.ones(images.shape, bool), np.zeros(images.shape)
    for _ in range(n_steps):
        sent = {}
        opened.append(is_open)
        for layer in model.layers:
            name = layer.name
            if type(layer).__name__ == "InputLayer":
                sent[name] = images * is_open
                continue
            current = operators[name](sent[layer.input._keras_history.operation.name])
            if type(layer).__name__ == "Dropout" and masks is not None:
                current = current * masks[name]
            if name in thresholds:
                v = potential.get(name, np.zeros_like(current))
                fired = (v / thresholds[name] - 1 > 0).astype(float)
                potential[name] = leak * v + current - thresholds[name] * fired
                spikes[name].append(fired)
                sent[name] = fired
            else:
                sent[name] = current
                if name == "classifier":
                    potential[name] = potential.get(name, 0.0) + current
        total = total + sent["prediction"]
        sums.append(total)
        if epsilon is not None:
            q = 2 / (1 + np.exp(-total)) - 1
            is_open = is_open & ~((q < images + epsilon) & (q > images - epsilon))
    return {
        "spikes": {name: np.stack(values, 1) for name, values in spikes.items()}, "logits": potential["classifier"],
        "sums": np.stack(sums, 1), "open": np.stack(opened, 1),
    }  # fmt: skip


def _operator(layer):
    """What a layer does before its neurons, if it has any."""
    if type(layer).__name__ in (*NEURONS, "Dropout", "InputLayer"):
        return lambda x: x
    operator = linear_operator(layer, tuple(layer.output.shape[1:]))
    return lambda x: operator([x], False)
