"""Thresholds from the currents that spikes cause, layer by layer."""

import tensorflow as tf

from brainsnn.training.predictive_vgg import published_order

__all__ = ["balance_thresholds"]


def balance_thresholds(unroll, images, n_steps=50, scale=0.7, unscaled=False, report=None):
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
    by_name = {stage.name: stage for stage in unroll.stages}
    names = [stage.name for stage in unroll.stages if stage.spikes]
    for name in published_order(names) if unscaled else names:
        path = [by_name[name]]
        while path[0].source in by_name:
            path.insert(0, by_name[path[0].source])
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
    return dict(unroll.thresholds)
