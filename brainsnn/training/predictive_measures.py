"""Measures of networks with predictive feedback: accuracy, losses, and spikes as the published code counts them."""

import numpy as np
import tensorflow as tf

__all__ = ["cross_entropy", "evaluate_unrolled", "published_count"]


def evaluate_unrolled(unroll, images, labels, n_steps, gate_epsilon=None, batch_size=200, run=None):
    """
    Measure accuracy, reconstruction error and spikes of the unrolled network.

    Parameters
    ----------
    unroll : `~brainsnn.training.unroll.SpikingUnroll`
    images : (n, H, W, C) ndarray
    labels : (n,) ndarray of int
    n_steps : int
    gate_epsilon : float, optional
    batch_size : int
    run : callable, optional
        A compiled ``unroll.run`` of one batch, to avoid tracing it again.

    Returns
    -------
    measures : dict
        ``accuracy``, ``cross_entropy`` of the summed potentials as they are, ``reconstruction`` (squared error per image; nan
        without a generator) and ``spikes`` (dict from layer to spikes per image).
    """
    run = run or tf.function(lambda x: unroll.run(x, n_steps, gate_epsilon))
    correct, entropy, error, spikes = 0, 0.0, 0.0, {}
    for first in range(0, len(images), batch_size):
        batch = tf.convert_to_tensor(images[first : first + batch_size])
        outputs = run(batch)
        own = labels[first : first + batch_size]
        correct += int(np.sum(np.argmax(outputs["logits"], 1) == own))
        entropy += float(tf.reduce_sum(cross_entropy(own, outputs["logits"])))
        if outputs["predictions"]:
            error += float(tf.reduce_sum((outputs["predictions"][-1] - batch) ** 2))
        for name, counts in outputs["spikes"].items():
            spikes[name] = spikes.get(name, 0.0) + float(tf.reduce_sum(counts))
    n, has_generator = len(images), bool(outputs["predictions"])
    return {
        "accuracy": correct / n,
        "cross_entropy": entropy / n,
        "reconstruction": error / n if has_generator else float("nan"),
        "spikes": {name: count / n for name, count in spikes.items()},
    }


def published_count(spikes):
    """
    Return the spikes of an image as the published code counts them: without the input, and without pooling layers.

    Parameters
    ----------
    spikes : dict of str to float
        Layer to spikes per image.

    Returns
    -------
    n_spikes : float
    """
    return sum(n for name, n in spikes.items() if not name.startswith(("input", "pool")))


def cross_entropy(labels, logits):
    """
    Return the cross-entropy of each image.

    Parameters
    ----------
    labels : (n,) ndarray of int
    logits : (n, n_classes) tensor

    Returns
    -------
    losses : (n,) tensor
    """
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
