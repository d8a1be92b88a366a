"""Surrogate gradients of spikes, squashes of the prediction, and when the prediction enters the loss."""

import numpy as np
import tensorflow as tf

__all__ = [
    "NEVER", "linear_surrogate", "spike_time_surrogate", "squash_for_training", "SQUASHES", "time_weights", "TIME_WEIGHTS",
]  # fmt: skip

#: Squashes of the prediction, as in `brainsnn.feedback.PredictiveGate`.
SQUASHES = ("clip", "tanh", "sigmoid", "rescaled_sigmoid", "rescaled_tanh")
#: Kinds of `time_weights`.
TIME_WEIGHTS = ("last", "late", "linear", "published_linear")
#: Steps since the last spike, in the first step, of a neuron that has not spiked.
NEVER = 999.0


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

    Notes
    -----
    dt is 1 in the step after a spike. As published, ``exp(-dt)`` is computed first, in single precision, where it is exactly 0
    from about 100 steps on: neurons that have not spiked (dt >= `NEVER`) get no gradient.

    References
    ----------
    Rathi, Srinivasan, Panda, Roy (2020), ICLR.
    """

    @tf.custom_gradient
    def spike(u, since):
        def gradient(upstream):
            return upstream * alpha * tf.pow(tf.exp(-since), beta), tf.zeros_like(since)

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
    name : {"clip", "tanh", "sigmoid", "rescaled_sigmoid", "rescaled_tanh"}
        "sigmoid" (gray images) and "tanh" (colour) are those of the published loss. A sigmoid is 0.5 for silent pixels. Rescaled
        (twice the value, minus 1), they are those of the published gate.
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
    if name.startswith("rescaled_"):
        return 2 * squash_for_training(name.removeprefix("rescaled_"), x) - 1
    return {"clip": _clip, "tanh": tf.tanh, "sigmoid": tf.sigmoid}[name](x)


def time_weights(kind, n_steps):
    """
    Return the weight of the reconstruction loss at each step.

    Parameters
    ----------
    kind : {"last", "late", "linear", "published_linear"}
        The last step only, the second half evenly, or linear growth with time; these sum to 1. ``"published_linear"`` is
        ``t/n_steps**2``, with a sum of ``(n_steps + 1)/(2*n_steps)``.
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
    if kind not in TIME_WEIGHTS:
        raise ValueError(f"time_weights: {kind!r}; choose one of {', '.join(map(repr, TIME_WEIGHTS))}.")
    if kind == "published_linear":
        return steps / n_steps**2
    weights = {"last": steps == n_steps, "late": steps > n_steps // 2, "linear": steps}[kind]
    return weights / np.sum(weights)
