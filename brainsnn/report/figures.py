"""The figures of a report, as pictures inside of the file."""

import base64
import io

import matplotlib.pyplot as plt
import numpy as np

import brainsnn.plot as plot

__all__ = ["figures_of"]

#: Recorded neurons beyond the first, and layers beyond so many, are left to the result itself.
N_MAPS = 3


def figures_of(result, image):
    """
    Draw what a result holds.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    image : int
        The image whose spikes, maps and traces are drawn.

    Returns
    -------
    figures : list of (str, str)
        Caption, and the picture as a data URI.
    """
    panels = []
    if result.labels is not None and result.outputs:
        panels.append(("Accuracy over time.", lambda: plot.accuracy(result, result.labels)))
    if result.spike_counts:
        panels.append(("Firing rate of each layer.", lambda: plot.rates(result)))
        panels.append(("Spikes per image by layer.", lambda: plot.spike_budget(result)))
    if result.spikes:
        panels.append((f"Spikes of image {image}.", lambda: plot.raster(result, image=image)))
    maps = [name for name in result.spikes if result.shapes[name][0] > 1][:N_MAPS]
    for name in maps:
        panels.append((f"Firing rates of {name}, image {image}.", lambda n=name: plot.feature_maps(result, n, image)))
    for name, recorded in result.recorded.items():
        if recorded:
            neuron = _liveliest(result, name, next(iter(recorded.values())), image)
            panels.append(
                (
                    f"Neuron {neuron} of {name}, image {image}.",
                    lambda n=name, k=neuron: plot.traces(result, n, k, image),
                )
            )
    return [(caption, _picture(draw)) for caption, draw in panels]


def _liveliest(result, name, neurons, image):
    """Return which of some neurons spikes most, the first one if spikes were not recorded."""
    if name not in result.spikes:
        return int(neurons[0])
    counts = np.bincount(result.spikes[name][image][0], minlength=int(np.max(neurons)) + 1)
    return int(neurons[np.argmax(counts[neurons])])


def _picture(draw):
    """Return what a function draws as a data URI."""
    figure, buffer = draw().figure, io.BytesIO()
    try:
        figure.savefig(buffer, format="png", dpi=160)
    finally:
        plt.close(figure)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
