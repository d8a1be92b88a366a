"""Thresholds from the currents that spikes cause, layer by layer."""

import tensorflow as tf

from brainsnn.training.predictive_vgg import published_order

__all__ = ["balance_thresholds", "stem_of"]


def stem_of(stages):
    """
    Return the spiking layers before the first branching of a residual network.

    Parameters
    ----------
    stages : list of `~brainsnn.training.unroll.Stage`

    Returns
    -------
    names : list of str
        All of them in a network without branches.
    """
    found = []
    for stage in stages:
        n_readers = sum(branch.source == stage.name for other in stages for branch in other.branches)
        found += [stage.name] * stage.spikes
        if n_readers > 1:
            return found
    return found


def balance_thresholds(unroll, images, n_steps=50, scale=0.7, unscaled=False, report=None, blocks=True):
    """
    Return balanced thresholds: the largest pre-activation of each layer over a calibration batch, times a factor.

    Parameters
    ----------
    unroll : `~brainsnn.training.unroll.SpikingUnroll`
        Its thresholds are set.
    images : (n, H, W, C) ndarray or callable
        A callable returns the images of each layer in turn: new ones, as published.
    n_steps : int
    scale : float
    unscaled : bool
        Whether the factor comes after the last layer, as published: each layer gets the spikes of earlier layers with unscaled
        thresholds. Otherwise these are scaled already.
    report : callable, optional
        Called with one line of text per layer.
    blocks : bool
        Whether the layers of residual blocks are balanced, too; if not, as published, their threshold is 1.

    Returns
    -------
    thresholds : dict of str to float
        1 for a layer that no image excites (times ``scale`` if ``unscaled``). If ``unscaled``, in the published order: features,
        generator, dense layers.

    References
    ----------
    Rathi, Srinivasan, Panda, Roy (2020), ICLR.
    """
    unroll.thresholds = {}
    names = [stage.name for stage in unroll.stages if stage.spikes]
    others = [] if blocks else [name for name in names if name not in stem_of(unroll.stages)]
    names = [name for name in names if name not in others]
    for name in published_order(names) if unscaled else names:
        needed = {name}
        for stage in reversed(unroll.stages):
            needed |= {branch.source for branch in stage.branches if stage.name in needed}
        path = [stage for stage in unroll.stages if stage.name in needed]
        batch = tf.convert_to_tensor(images() if callable(images) else images)
        largest = 0.0
        for moment in unroll.steps(batch, n_steps, stages=path):
            largest = max(largest, float(tf.reduce_max(moment["currents"][name])))
        # With a threshold of 0, a layer that is never excited would leave all later layers uncalibrated.
        threshold = largest if largest > 0 else 1.0
        unroll.thresholds[name] = threshold * (1 if unscaled or largest <= 0 else scale)
        if report is not None:
            report(f"balanced {name}: {unroll.thresholds[name]:.4f}")
    if unscaled:
        unroll.thresholds = {name: scale * value for name, value in unroll.thresholds.items()}
    unroll.thresholds |= dict.fromkeys(others, 1.0)
    return dict(unroll.thresholds)
