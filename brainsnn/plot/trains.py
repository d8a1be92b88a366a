"""Spike trains: rasters of several layers, and firing rates."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from brian2 import hertz
from numpy.typing import ArrayLike

from brainsnn.plain_arrays import whole_number
from brainsnn.plot.layer_spikes import trains_of_dict, trains_of_result
from brainsnn.plot.panels import panel
from brainsnn.plot_style import PALETTE
from brainsnn.results.drawn import numbers_by_layer, one_result

if TYPE_CHECKING:
    from brian2 import Quantity
    from matplotlib.axes import Axes

    from brainsnn.results import Result

__all__ = ["raster", "rates"]


def raster(
    result: "Result | Mapping[str, ArrayLike | tuple[ArrayLike, ArrayLike]]",
    layers: str | Sequence[str] | None = None,
    image: int = 0,
    max_neurons: int = 150,
    ax: "Axes | None" = None,
    duration: "float | Quantity | None" = None,
) -> "Axes":
    """
    Draw the spikes of an image, layer above layer.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result` or dict of str to spikes
        Or, by layer, the spikes of one trial of any network: a tuple ``(neurons, times)`` of two arrays (n_spikes,), indices from
        0 and seconds, as those of a Brian2 monitor; or an array (n_steps, n_neurons) of bool, or 0 and 1.
    layers : str or list of str, optional
        All layers whose spikes were recorded by default, the first at the bottom.
    image : int, optional
        Image of a result.
    max_neurons : int, optional
        Of larger layers, so many neurons are shown, evenly spaced; the label says so. Neurons whose spikes were not recorded have
        no row; the label says how many were.
    ax : `matplotlib.axes.Axes`, optional
    duration : float or `~brian2.units.fundamentalunits.Quantity`, optional
        How long the trial of a dict lasts, in seconds; a result has its own.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the spikes of a layer were not recorded, or the image does not exist.
    ValueError
        If no spikes were recorded, ``layers`` names none, or ``max_neurons`` is not a whole number, 1 or greater; if a dict comes
        without a duration or with an image, or a result with a duration; or if spikes do not have the form above.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"], "conv2": ["spikes"]})
    >>> ax = bs.plot.raster(snn.run(load_digits("test")[0][:1], 100 * bs.ms))
    >>> [label.get_text().split(":")[0] for label in ax.get_yticklabels()]
    ['conv1_asn', 'conv2_asn']
    >>> ax = bs.plot.raster({"V1": ([0, 2, 2], [0.01, 0.03, 0.04])}, duration=50 * bs.ms)
    """
    if isinstance(result, Mapping):
        trains, lasts = trains_of_dict(result, layers, image, duration, "plot.raster")
    else:
        trains, lasts = trains_of_result(result, layers, image, duration, "plot.raster")
    max_neurons = whole_number(max_neurons, "plot.raster: max_neurons", 1)
    largest = max(len(train.known) for train in trains)
    ticks, top, gap = [], 0, max(3, min(largest, max_neurons) // 30)
    with panel(ax, "plot.raster", 0.8) as ax:
        for k, train in enumerate(trains):
            n_shown = min(len(train.known), max_neurons)
            shown = train.evenly(n_shown)  # neuron of each row, so that all rows of the image are there
            rows = np.searchsorted(shown, train.neurons)
            kept = shown[np.minimum(rows, n_shown - 1)] == train.neurons
            ax.plot(
                train.times[kept] * 1e3, top + rows[kept], "|", color=PALETTE[k % len(PALETTE)], markersize=1.5,
                markeredgewidth=0.5, rasterized=True,
            )  # fmt: skip
            ticks.append((top + n_shown / 2, f"{train.layer}:\n{train.share(n_shown)}"))
            top += n_shown + gap
        ax.set_yticks(*zip(*ticks))
        ax.tick_params(axis="y", length=0)
        ax.set(xlabel="time (ms)", xlim=(0, lasts * 1e3), ylim=(-1, top))
    return ax


def rates(result: "Result | Mapping[str, ArrayLike]", ax: "Axes | None" = None) -> "Axes":
    """
    Draw the mean firing rate of each layer, with the range of images in which 95% of them lie.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result` or dict of str to (n_images,) array_like
        Or, by layer, a firing rate in Hz for each image, of any network.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    ValueError
        If it is something else, no layer of a result spikes, rates are below 0 or not finite, or layers differ in their images.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
    >>> result = snn.run(load_digits("test")[0][:1], 50 * bs.ms)
    >>> ax = bs.plot.rates(result)
    >>> ax = bs.plot.rates({"V1": [12.0, 9.5, 11.0], "V4": [7.0, 8.5, 6.0]})
    """
    given = isinstance(result, Mapping) and result
    found = numbers_by_layer(result, "plot.rates: result", "firing rates", hertz.dim) if given else _own_rates(result)
    n_images = len(next(iter(found.values())))
    means = np.array([values.mean() for values in found.values()])
    ends = np.array([np.percentile(values, [2.5, 97.5]) for values in found.values()]).T
    with panel(ax, "plot.rates") as ax:
        positions = np.arange(len(means))
        ax.barh(positions, means, color=PALETTE[0], height=0.65)
        if n_images > 1:
            middle, half = ends.mean(axis=0), np.ptp(ends, axis=0) / 2  # the mean may lie outside of the range
            ax.errorbar(middle, positions, xerr=half, fmt="none", ecolor="black", elinewidth=1, capsize=2)
        ax.set_yticks(positions, list(found))
        ax.invert_yaxis()
        if not ends.any():  # no spikes: the axis still starts at 0
            ax.set_xlim(0, 1)
        several = f"mean, and range of 95% of {n_images} images" if n_images > 1 else "one image"
        ax.set(xlabel="firing rate (Hz)", title=several)
    return ax


def _own_rates(result):
    """Return the mean firing rate of each layer of a result and each image, in Hz."""
    one_result(result, "plot.rates: result", "a dict of firing rates by layer")
    if not result.firing_rates:
        raise ValueError(
            "plot.rates: the result holds no spike counts; give the result of a network with neurons that spike."
        )
    return result.firing_rates
