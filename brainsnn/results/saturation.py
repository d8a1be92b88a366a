"""Layers whose neurons spike in nearly every step: they cannot express larger activations."""

import math

import numpy as np

from brainsnn.errors import SaturationWarning, warn

__all__ = ["SATURATED", "least_share", "saturated_share", "warn_of_saturation"]

#: A neuron is saturated if it spikes in at least this fraction of the steps. One spike in each step is the most there can be.
SATURATED = 0.9
#: Smallest fraction of the neurons of a layer that is worth a warning.
WARNED_SHARE = 0.01
#: Steps of the second half below which nothing is said: neurons are still adapting.
FEWEST_STEPS = 20


def _second_half(n_steps):
    """Return the first step of the second half of a trial, and the spikes in it that a saturated neuron has at least."""
    first = n_steps // 2
    return first, math.ceil(SATURATED * (n_steps - first))


def saturated_share(trains, n_steps, n_neurons):
    """
    Return the fraction of neurons and images with a spike in nearly every step of the second half of the trial.

    Parameters
    ----------
    trains : sequence of (neurons, steps)
        Spikes of each image.
    n_steps : int
    n_neurons : int
        Number of neurons whose spikes were recorded.

    Returns
    -------
    share : float
    """
    first, needed = _second_half(n_steps)
    n_saturated = sum(int((np.bincount(neurons[steps >= first]) >= needed).sum()) for neurons, steps in trains)
    return n_saturated / (len(trains) * n_neurons)


def least_share(counts, n_steps, n_neurons):
    """
    Return the fraction of saturated neurons that the number of spikes of a layer implies.

    Neurons that are not saturated can have a spike in every step of the first half and in just too few of the second. Only
    what exceeds this, on average over the neurons, must come from saturated ones.

    Parameters
    ----------
    counts : (n,) ndarray of int
        Spikes of the whole layer in each image.
    n_steps, n_neurons : int

    Returns
    -------
    share : float
        A lower bound, 0 in most cases. `saturated_share` is exact.
    """
    first, needed = _second_half(n_steps)
    others = first + needed - 1
    return float(np.clip((counts / n_neurons - others) / (n_steps - others), 0, None).mean())


def warn_of_saturation(result, recorded, fixes):
    """
    Warn of layers in which at least 1% of the neurons are saturated.

    The share is exact where spikes were recorded, over the recorded neurons. Where spikes were only counted, it is the one
    that the counts imply at least, so most saturated layers are found only if their spikes are recorded.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    recorded : dict of str to int
        Population -> number of neurons whose spikes were recorded.
    fixes : dict of str to list of str
        Population that is looked at -> what can be done about saturation.

    Warns
    -----
    SaturationWarning
        One warning for all layers.
    """
    if result.n_steps - result.n_steps // 2 < FEWEST_STEPS:
        return
    found = {name: text for name in fixes if (text := _share_text(result, name, recorded.get(name, 0)))}
    if found:
        layers = ", ".join(f"{text} of {name!r}" for name, text in found.items())
        fix = ", or ".join(dict.fromkeys(fix for name in found for fix in fixes[name]))
        warn(
            f"run: {layers} spike in nearly every step of the second half of the trial. One spike per step is the most that "
            f"a neuron can send, so larger activations are cut off there.",
            SaturationWarning,
            fix=f"What helps: {fix}.",
        )


def _share_text(result, name, n_recorded):
    """Return the share of saturated neurons as a text, or None if it is small."""
    counts, n_neurons = result.spike_counts[name], int(np.prod(result.shapes[name]))
    if not n_recorded:
        share = least_share(counts, result.n_steps, n_neurons)
        return f"at least {share:.1%} of the neurons" if share >= WARNED_SHARE else None
    # Each saturated neuron has this many spikes or more: of most layers, no spike needs to be looked at.
    largest = counts.sum() / _second_half(result.n_steps)[1] / (len(counts) * n_recorded)
    if largest < WARNED_SHARE:
        return None
    share = saturated_share(result.spikes[name], result.n_steps, n_recorded)
    what = "the neurons" if n_recorded == n_neurons else f"the {n_recorded} recorded neurons"
    return f"{share:.1%} of {what}" if share >= WARNED_SHARE else None
