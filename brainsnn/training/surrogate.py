"""Integrate-and-fire networks unrolled in time: surrogate gradients, threshold balancing, losses."""

from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from brainsnn.errors import UnknownNameError

__all__ = [
    "SpikingUnroll", "balance_thresholds", "linear_surrogate", "spike_time_surrogate", "squash_for_training", "SQUASHES",
    "time_weights",
]  # fmt: skip

#: Squash of the prediction, as in `brainsnn.feedback.PredictiveGate`.
SQUASHES = ("clip", "tanh", "sigmoid")


def linear_surrogate(gamma=0.3):
    """
    Return a spike function with the gradient ``gamma*max(0, 1 - |u|)``, u = v/threshold - 1.

    Parameters
    ----------
    gamma : float

    Returns
    -------
    spike : callable
        ``spike(u, steps_since_spike)`` for tensors of equal shape; returns 0 or 1.

    References
    ----------
    Bellec et al. (2018), NeurIPS.
    """

    @tf.custom_gradient
    def spike(u, since):
        def gradient(upstream):
            return upstream * gamma * tf.nn.relu(1.0 - tf.abs(u)), tf.zeros_like(since)

        return tf.cast(u > 0, u.dtype), gradient

    return spike


def spike_time_surrogate(alpha=0.3, beta=0.01):
    """
    Return a spike function with the gradient ``alpha*exp(-dt)**beta``, dt = steps since the last spike.

    Parameters
    ----------
    alpha, beta : float

    Returns
    -------
    spike : callable
        As returned by `linear_surrogate`.

    References
    ----------
    Rathi, Srinivasan, Panda, Roy (2020), ICLR.
    """

    @tf.custom_gradient
    def spike(u, since):
        def gradient(upstream):
            return upstream * alpha * tf.exp(-beta * since), tf.zeros_like(since)

        return tf.cast(u > 0, u.dtype), gradient

    return spike


@tf.custom_gradient
def _clip(x):
    """Clip x to 0 ... 1. Outside, only gradients that lead back inside are passed on."""

    def gradient(upstream):
        outward = ((x > 1) & (upstream < 0)) | ((x < 0) & (upstream > 0))
        return tf.where(outward, tf.zeros_like(x), upstream)

    return tf.clip_by_value(x, 0.0, 1.0), gradient


def squash_for_training(name, x):
    """
    Squash a prediction, with a gradient that is suited to training.

    Parameters
    ----------
    name : {"clip", "tanh", "sigmoid"}
        "sigmoid" is the published one. It gives 0.5 for silent pixels.
    x : tensor

    Returns
    -------
    squashed : tensor

    Raises
    ------
    ValueError
        If the name is unknown.
    """
    if name not in SQUASHES:
        raise ValueError(f"squash={name!r}; choose one of {', '.join(map(repr, SQUASHES))}.")
    return {"clip": _clip, "tanh": tf.tanh, "sigmoid": tf.sigmoid}[name](x)


def time_weights(kind, n_steps):
    """
    Return the weight of the reconstruction loss at each step; weights sum to 1.

    Parameters
    ----------
    kind : {"last", "late", "linear"}
        The last step only, the second half evenly, or linear growth with time.
    n_steps : int

    Returns
    -------
    weights : (n_steps,) ndarray

    Raises
    ------
    ValueError
        If the kind is unknown.
    """
    steps = np.arange(1, n_steps + 1)
    weights = {"last": steps == n_steps, "late": steps > n_steps // 2, "linear": steps}
    if kind not in weights:
        raise ValueError(f"time_weights: {kind!r}; choose one of {', '.join(map(repr, weights))}.")
    return weights[kind] / np.sum(weights[kind])


@dataclass
class Stage:
    """A layer with weights, the layers without weights before it, and the name of the stage that it reads."""

    layer: object
    source: str
    before: list = field(default_factory=list)

    @property
    def name(self):
        """Name of the Keras layer (str)."""
        return self.layer.name

    @property
    def spikes(self):
        """Whether it is a population of spiking neurons (bool)."""
        return self.layer.activation.__name__ == "relu"

    def current(self, spikes):
        """Return the current that spikes of the source cause, (n, H, W, C) or (n, units)."""
        for layer in self.before:
            spikes = layer(spikes, training=False)
        kernel, kind = self.layer.kernel, type(self.layer).__name__
        if kind == "Dense":
            return tf.matmul(spikes, kernel)
        strides = self.layer.strides
        if kind == "Conv2D":
            return tf.nn.conv2d(spikes, kernel, strides, "SAME")
        shape = tf.concat([tf.shape(spikes)[:1], self.layer.output.shape[1:]], 0)
        return tf.nn.conv2d_transpose(spikes, kernel, shape, strides, "SAME")


def stages_of(model):
    """
    Return the layers with weights of a network, in order of evaluation.

    Parameters
    ----------
    model : keras.Model
        Without biases, and without layers that join branches.

    Returns
    -------
    stages : list of Stage

    Raises
    ------
    ValueError
        If a layer has a bias.
    """
    stages = []
    for layer in model.layers:
        if not layer.weights:
            continue
        if layer.use_bias:
            raise ValueError(
                f"Layer {layer.name!r} has a bias, which the unrolled network cannot have. Use use_bias=False."
            )
        stage, tensor = Stage(layer, None), layer.input
        while not (
            tensor._keras_history.operation.weights or "Input" in type(tensor._keras_history.operation).__name__
        ):
            stage.before.insert(0, tensor._keras_history.operation)
            tensor = tensor._keras_history.operation.input
        stage.source = tensor._keras_history.operation.name
        stages.append(stage)
    return stages


class SpikingUnroll:
    """
    A ReLU network as integrate-and-fire neurons, unrolled in time in the pipelined schedule.

    A neuron spikes at step t if ``v > threshold``; then ``v <- leak*v + W*spikes(t) - threshold*spike``. Layers without
    ReLU only accumulate.

    Parameters
    ----------
    model : keras.Model
        Trained network. Its kernels are used directly, so training the unrolled network trains the model.
    thresholds : dict of str to float
        Threshold of each spiking layer.
    leak : float
    spike : callable, optional
        Spike function, `linear_surrogate` by default.
    squash : {"clip", "tanh", "sigmoid"}
    step : float
        Contribution of one spike of the generator to the prediction, before the squash.
    """

    def __init__(self, model, thresholds=None, leak=1.0, spike=None, squash="clip", step=0.125):
        self.model, self.stages = model, stages_of(model)
        self.thresholds = dict(thresholds or {})
        for name in self.thresholds:
            if name not in (known := [stage.name for stage in self.stages if stage.spikes]):
                raise UnknownNameError(name, known, "spiking layer for thresholds")
        self.leak, self.spike, self.squash, self.step = leak, spike or linear_surrogate(), squash, step

    def run(self, images, n_steps, gate_epsilon=None, stages=None, on_step=None):
        """
        Simulate the network for a number of steps.

        Parameters
        ----------
        images : (n, H, W, C) tensor
            Each pixel spikes with probability ``|pixel|`` in every step, with its sign.
        n_steps : int
        gate_epsilon : float, optional
            The sticky gate closes on pixels predicted within this error. None keeps all pixels open.
        stages : list of Stage, optional
            Simulate these only; all by default.
        on_step : callable, optional
            Called with (t, name of the stage, current) for each of them.

        Returns
        -------
        outputs : dict
            ``"logits"``: (n, n_classes), summed over time. ``"predictions"``: list of (n, H, W, C), after each step.
            ``"spikes"``: dict of layer to (n,), total number.  ``"open"``: (n, H, W, C), the gate at the end.
        """
        stages = self.stages if stages is None else stages
        potential = {stage.name: None for stage in stages}
        since, totals = {}, {}
        total, opened, predictions = tf.zeros_like(images), tf.ones_like(images), []
        for t in range(n_steps):
            drawn = tf.cast(tf.random.uniform(tf.shape(images)) < tf.abs(images), images.dtype) * tf.sign(images)
            spikes = {self.model.input.name: drawn * opened}
            currents = {}
            for stage in stages:
                currents[stage.name] = stage.current(spikes[stage.source])
                v = tf.zeros_like(currents[stage.name]) if t == 0 else potential[stage.name]
                if stage.spikes and stage.name in self.thresholds:
                    threshold = self.thresholds[stage.name]
                    age = since.get(stage.name, tf.zeros_like(v))
                    fired = self.spike(v / threshold - 1.0, age)
                    since[stage.name] = (age + 1) * (1 - tf.stop_gradient(fired))
                    # The gradient does not pass through the reset, as published.
                    v = self.leak * v - threshold * tf.stop_gradient(fired)
                    spikes[stage.name] = fired
                potential[stage.name] = v + currents[stage.name]
                if on_step is not None:
                    on_step(t, stage.name, currents[stage.name])
            spikes_now = {k: tf.reduce_sum(tf.reshape(tf.abs(s), (tf.shape(s)[0], -1)), 1) for k, s in spikes.items()}
            totals = {k: n + totals.get(k, 0.0) for k, n in spikes_now.items()}
            if "prediction" in spikes:
                total += spikes["prediction"]
                predictions.append(squash_for_training(self.squash, self.step * total))
                if gate_epsilon is not None:
                    opened *= tf.cast(tf.abs(tf.stop_gradient(predictions[-1]) - images) > gate_epsilon, images.dtype)
        return {
            "logits": potential.get("classifier"), "predictions": predictions, "spikes": totals, "open": opened,
        }  # fmt: skip


def balance_thresholds(unroll, images, n_steps=50, scale=0.7):
    """
    Return balanced thresholds: the largest pre-activation of each layer over a calibration batch, times a factor.

    Parameters
    ----------
    unroll : `SpikingUnroll`
        Its thresholds are set.
    images : (n, H, W, C) ndarray
    n_steps : int
    scale : float

    Returns
    -------
    thresholds : dict of str to float
        1 for a layer that no image excites. They are set layer by layer, each with those of the layers before it.

    References
    ----------
    Rathi, Srinivasan, Panda, Roy (2020), ICLR.
    """
    unroll.thresholds = {}
    images = tf.convert_to_tensor(images)
    by_name = {stage.name: stage for stage in unroll.stages}
    for stage in unroll.stages:
        if not stage.spikes:
            continue
        path = [stage]
        while path[0].source in by_name:
            path.insert(0, by_name[path[0].source])
        largest = [0.0]

        def watch(t, name, current, wanted=stage.name, largest=largest):
            if name == wanted:
                largest[0] = max(largest[0], float(tf.reduce_max(current)))

        unroll.run(images, n_steps, stages=path, on_step=watch)
        # With a threshold of 0, a layer that is never excited would leave all later layers uncalibrated.
        unroll.thresholds[stage.name] = scale * largest[0] if largest[0] > 0 else 1.0
    return dict(unroll.thresholds)
