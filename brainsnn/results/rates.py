"""The spikes of a result as firing rates, and as a dense array."""

import math

import numpy as np

from brainsnn.memory import shown_bytes
from brainsnn.results.names import LayerDict

__all__ = ["dense_raster", "firing_rates", "mean_firing_rate"]


def dense_raster(trains, n_steps, shape):
    """
    Return spikes as a dense array.

    Parameters
    ----------
    trains : list of (neurons, steps)
    n_steps : int
    shape : tuple of int
        (H, W, C) of the population.

    Returns
    -------
    raster : (n, n_steps, H, W, C) ndarray of bool

    Raises
    ------
    MemoryError
        If it does not fit. The message says what it takes.
    """
    size = math.prod(shape)
    try:
        raster = np.zeros((len(trains), n_steps, size), dtype=bool)
    except (MemoryError, ValueError):  # NumPy's error for more than can be addressed
        raise MemoryError(
            f"Result.raster: {len(trains)} images, {n_steps} steps and {size} neurons take "
            f"{shown_bytes(len(trains) * n_steps * size)}, which cannot be allocated. Choose fewer images, or use "
            "result.spikes, which holds neurons and steps only."
        ) from None
    for k, (neurons, steps) in enumerate(trains):
        raster[k, steps, neurons] = True
    return raster.reshape(len(trains), n_steps, *shape)


def firing_rates(result):
    """
    Return the mean firing rate of each population; see `~brainsnn.results.result.Result.firing_rates`.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    rates : `~brainsnn.results.names.LayerDict`
        Population -> (n,) ndarray, in Hz.
    """
    rates = {
        name: counts / np.prod(result.shapes[name]) / (result.n_steps * result.dt)
        for name, counts in result.spike_counts.items()
    }
    return LayerDict(result.aliases, result.spike_counts.kind, "", result.shapes, rates)


def mean_firing_rate(result):
    """
    Return the mean firing rate over all spiking neurons and images.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    rate : float
        In Hz; NaN without neurons or images.
    """
    spikes = sum(counts.sum() for counts in result.spike_counts.values())
    neurons = sum(np.prod(result.shapes[name]) for name in result.spike_counts)
    if not neurons or not result.n_images:
        return float("nan")
    return float(spikes / (neurons * result.n_images * result.n_steps * result.dt))
