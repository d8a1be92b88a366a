"""Integrate-and-fire networks unrolled in time, in TensorFlow, for training with surrogate gradients."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from brainsnn.errors import UnknownNameError
from brainsnn.training.surrogate import NEVER, linear_surrogate, squash_for_training

__all__ = ["SpikingUnroll"]

#: Layers that apply an activation and have no weights.
ACTIVATIONS = ("ReLU", "LeakyReLU")


@dataclass
class Branch:
    """
    The name of a stage that another one reads, and the layers without weights in between.

    Parameters
    ----------
    source : str
    layers : list of keras.Layer
        Dropout, pooling, up-sampling and the like; no activations.
    """

    source: str
    layers: list

    def passed(self, sent, masks=None):
        """
        Return what arrives in a step.

        Parameters
        ----------
        sent : tensor
            Spikes of the source in this step, or its current if it does not spike.
        masks : dict of str to tensor, optional
            Dropout masks by layer; drawn and entered where they are missing. None: no dropout.

        Returns
        -------
        sent : tensor
        """
        for layer in self.layers:
            if type(layer).__name__ != "Dropout":
                sent = layer(sent, training=False)
            elif masks is not None:
                if layer.name not in masks:
                    kept = tf.cast(tf.random.uniform(tf.shape(sent)) >= layer.rate, sent.dtype)
                    masks[layer.name] = kept / (1 - layer.rate)
                sent = sent * masks[layer.name]
        return sent


@dataclass
class Stage:
    """
    A layer with weights, or a sum of branches.

    Parameters
    ----------
    layer : keras.Layer or None
        None: the branches are added.
    name : str
        Of the layer, or of the activation layer that follows it.
    spikes : bool
        Whether it is a population of spiking neurons.
    branches : list of Branch
        One of a layer, two or more of a sum.
    """

    layer: object
    name: str
    spikes: bool
    branches: list

    def current(self, sent, masks=None):
        """
        Return the current that the sources cause in a step.

        Parameters
        ----------
        sent : dict of str to tensor
            Spikes of each stage in this step, or its current if it does not spike.
        masks : dict of str to tensor, optional
            As of `Branch.passed`.

        Returns
        -------
        current : (n, H, W, C) or (n, units) tensor
        """
        arrived = [branch.passed(sent[branch.source], masks) for branch in self.branches]
        if self.layer is None:
            return tf.add_n(arrived)
        (sent,), kernel, kind = arrived, self.layer.kernel, type(self.layer).__name__
        if kind == "Dense":
            return tf.matmul(sent, kernel)
        strides, padding = self.layer.strides, self.layer.padding.upper()
        if kind == "Conv2D":
            return tf.nn.conv2d(sent, kernel, strides, padding)
        shape = tf.concat([tf.shape(sent)[:1], self.layer.output.shape[1:]], 0)
        return tf.nn.conv2d_transpose(sent, kernel, shape, strides, padding)


def stages_of(model, spiking=()):
    """
    Return the layers with weights and the sums of a network, in order of evaluation.

    Parameters
    ----------
    model : keras.Model
        Without biases, and without layers that join branches in another way than by adding them.
    spiking : iterable of str
        Layers that spike although they are linear or leaky ReLUs.

    Returns
    -------
    stages : list of Stage

    Raises
    ------
    ValueError
        If a layer has a bias, joins branches without adding them, or has another activation than ReLU.
    UnknownNameError
        If a layer of ``spiking`` does not exist.
    """
    activations = {}  # layer with weights -> the activation layer that follows it
    for layer in model.layers:
        if type(layer).__name__ in ACTIVATIONS:
            activations[_only_input(layer).name] = layer
    stages, names = [], {}
    for layer in model.layers:
        is_sum = type(layer).__name__ == "Add"
        if not (layer.weights or is_sum):
            continue
        if not is_sum and layer.use_bias:
            raise ValueError(
                f"Layer {layer.name!r} has a bias, which the unrolled network cannot have. Use use_bias=False."
            )
        name, spikes = _spiking_name(layer, activations.get(layer.name), spiking)
        before = [tensor._keras_history.operation for tensor in layer.input] if is_sum else [_only_input(layer)]
        stages.append(
            Stage(None if is_sum else layer, name, spikes, [_branch(operation, names) for operation in before])
        )
        names[layer.name] = name
    known = [stage.name for stage in stages]
    for name in spiking:
        if name not in known:
            raise UnknownNameError(name, known, "layer for spiking")
    return stages


def _branch(operation, names):
    """Return the branch that ends with an operation, from the stage or the input before it; names are of stages, by layer."""
    layers = []
    while not (operation.weights or type(operation).__name__ in ("InputLayer", "Add")):
        if type(operation).__name__ not in ACTIVATIONS:
            layers.insert(0, operation)
        operation = _only_input(operation)
    return Branch(names.get(operation.name, operation.name), layers)


def _only_input(layer):
    """Return the operation whose output a layer reads."""
    if isinstance(layer.input, (list, tuple)):
        raise ValueError(
            f"Layer {layer.name!r} joins {len(layer.input)} branches, which the unrolled network can only add. Train the network "
            "as an ANN, and convert it."
        )
    return layer.input._keras_history.operation


def _spiking_name(layer, activation, spiking):
    """Return the name of a layer, with its activation layer if it has one, and whether it spikes."""
    own, name = getattr(getattr(layer, "activation", None), "__name__", "linear"), layer.name
    if activation is not None:
        own, name = {"ReLU": "relu", "LeakyReLU": "leaky_relu"}[type(activation).__name__], activation.name
    if own != "linear" and own != "relu" and not (own == "leaky_relu" and name in spiking):
        raise ValueError(
            f"Layer {name!r} has the activation {own!r}; the unrolled network has ReLU and linear layers. Use 'relu', or, for a "
            f"leaky ReLU that neurons without its slope shall replace, spiking=[{name!r}]."
        )
    return name, own == "relu" or name in spiking


class SpikingUnroll:
    """
    A ReLU network as integrate-and-fire neurons, unrolled in time in the pipelined schedule.

    A neuron spikes at step t if ``v > threshold``; then ``v <- leak*v + W*spikes(t) - threshold*spike``. Layers without
    ReLU pass their current on within the step, and the last one accumulates it.

    Parameters
    ----------
    model : keras.Model
        Trained network. Its kernels are used directly, so training the unrolled network trains the model.
    thresholds : dict of str to float
        Threshold of each spiking layer.
    leak : float
    spike : callable, optional
        Spike function, `~brainsnn.training.surrogate.linear_surrogate` by default.
    squash : {"clip", "tanh", "sigmoid", "rescaled_sigmoid", "rescaled_tanh"}
        Of the predictions.
    step : float
        Contribution of one spike of the generator to the prediction, before the squash.
    spiking : iterable of str
        Layers that spike although they are linear, or leaky ReLUs, whose slope below 0 is dropped: in the published networks
        those of `~brainsnn.training.predictive_vgg.spiking_layers`.
    gate_squash : str, optional
        Squash of the predictions that the gate compares; ``squash`` by default.
    strict : bool
        Whether the gate closes only where the error is smaller than epsilon, as published; else also where it is equal.
    contrast : {None, "published"}
        Whether the open pixels of each image are scaled to the range from 0 to 1 in each step, as in
        `~brainsnn.feedback.PredictiveGate`.
    input_rate : float
        Probability of a spike of a pixel of 1; 0.9 in the published residual networks.
    """

    def __init__(
        self, model, thresholds=None, leak=1.0, spike=None, squash="clip", step=0.125, spiking=(), gate_squash=None,
        strict=False, contrast=None, input_rate=1.0,
    ):  # fmt: skip
        if contrast not in (None, "published"):
            raise ValueError(f"SpikingUnroll: contrast={contrast!r}; choose None or 'published'.")
        if contrast is not None and input_rate != 1:
            raise ValueError(
                f"SpikingUnroll: input_rate={input_rate!r} has no effect beside contrast={contrast!r}. Leave one out."
            )
        self.model, self.stages = model, stages_of(model, tuple(spiking))
        self.thresholds = dict(thresholds or {})
        for name in self.thresholds:
            if name not in (known := [stage.name for stage in self.stages if stage.spikes]):
                raise UnknownNameError(name, known, "spiking layer for thresholds")
        self.leak, self.spike, self.squash, self.step = leak, spike or linear_surrogate(), squash, step
        self.gate_squash, self.strict, self.contrast = gate_squash or squash, strict, contrast
        self.input_rate = input_rate

    def run(self, images, n_steps, gate_epsilon=None, training=False):
        """
        Simulate the network for a number of steps.

        Parameters
        ----------
        images : (n, H, W, C) tensor
            Each pixel spikes with probability ``|pixel|`` in every step, with its sign.
        n_steps : int
        gate_epsilon : float, optional
            The sticky gate closes on pixels predicted within this error. None keeps all pixels open.
        training : bool
            Whether dropout acts: one mask for each image and layer, held over all steps, on the spikes that are sent on.

        Returns
        -------
        outputs : dict
            ``"logits"``: (n, n_classes), summed over time, with the spikes of the last step. ``"predictions"``: list of
            (n, H, W, C), after each step. ``"spikes"``: dict of layer to (n,), total number.  ``"open"``: (n, H, W, C), the
            gate at the end.
        """
        predictions, totals = [], {}
        for moment in self.steps(images, n_steps, gate_epsilon, training=training):
            for name, spikes in moment["spikes"].items():
                counts = tf.reduce_sum(tf.reshape(tf.abs(spikes), (tf.shape(spikes)[0], -1)), 1)
                totals[name] = counts + totals.get(name, 0.0)
            predictions += [moment["prediction"]] * (moment["prediction"] is not None)
        return {
            "logits": moment["potentials"].get("classifier"), "predictions": predictions, "spikes": totals,
            "open": moment["open"],
        }  # fmt: skip

    def steps(self, images, n_steps, gate_epsilon=None, stages=None, training=False):
        """
        Simulate the network step by step.

        Parameters
        ----------
        images, n_steps, gate_epsilon, training
            As in `run`.
        stages : list of Stage, optional
            Simulate these only; all by default.

        Yields
        ------
        moment : dict
            After each step: ``"spikes"`` and ``"currents"`` of this step, and ``"potentials"``, by layer; ``"prediction"``, None
            without a generator; ``"open"``, the gate of the next step.
        """
        stages = self.stages if stages is None else stages
        potential, since, masks = {}, {}, {} if training else None
        total, opened, prediction = tf.zeros_like(images), tf.ones_like(images), None
        for t in range(n_steps):
            sent = {self.model.input.name: self._drawn(images, opened)}
            spikes, currents = dict(sent), {}
            for stage in stages:
                name = stage.name
                current = currents[name] = stage.current(sent, masks)
                v = tf.zeros_like(current) if t == 0 else potential[name]
                if stage.spikes and name in self.thresholds:
                    threshold = self.thresholds[name]
                    age = since.get(name, tf.fill(tf.shape(v), NEVER))
                    fired = self.spike(v / threshold - 1.0, age)
                    since[name] = tf.where(fired > 0, tf.ones_like(age), age + 1)
                    # The gradient does not pass through the reset, as published.
                    v = self.leak * v - threshold * tf.stop_gradient(fired)
                    spikes[name] = sent[name] = fired
                elif not stage.spikes:
                    sent[name] = current
                potential[name] = v + current
            if "prediction" in spikes:
                total += spikes["prediction"]
                prediction = squash_for_training(self.squash, self.step * total)
                if gate_epsilon is not None:
                    opened *= tf.cast(~self._is_right(total, images, gate_epsilon), images.dtype)
            yield {
                "spikes": spikes, "currents": currents, "potentials": potential, "prediction": prediction, "open": opened,
            }  # fmt: skip

    def _drawn(self, images, opened):
        """Return the input spikes of a step."""
        random = tf.random.uniform(tf.shape(images))
        if self.contrast is None:
            return tf.cast(random < self.input_rate * tf.abs(images), images.dtype) * tf.sign(images) * opened
        shown, axes = images * opened, (1, 2, 3)
        low, n = tf.reduce_min(shown, axes, keepdims=True), np.prod(images.shape[1:])
        deviation = tf.math.reduce_std(shown, axes, keepdims=True) * np.sqrt(n / (n - 1)).astype(np.float32)
        span = tf.reduce_max(shown, axes, keepdims=True) - low + 1e-5 * deviation
        return tf.cast(random < tf.math.divide_no_nan(shown - low, span), images.dtype)

    def _is_right(self, total, images, epsilon):
        """Return where the prediction is within epsilon of the pixel."""
        prediction = tf.stop_gradient(squash_for_training(self.gate_squash, self.step * total))
        if self.strict:
            return (prediction < images + epsilon) & (prediction > images - epsilon)
        return tf.abs(prediction - images) <= epsilon
