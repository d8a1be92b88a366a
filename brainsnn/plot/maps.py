"""Pictures of the neurons of a layer: feature maps and latencies."""

from typing import TYPE_CHECKING

import numpy as np
from brian2 import Quantity, second
from numpy.typing import ArrayLike

from brainsnn.plain_arrays import finite_array, is_number, plain_text, whole_number
from brainsnn.plot.panels import map_picture, panel
from brainsnn.results import Result
from brainsnn.results.drawn import drawn_array, one_result, only_of_results
from brainsnn.results.selection import chosen_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["feature_maps", "latency_map", "mosaic", "spike_maps"]


def mosaic(maps: ArrayLike, columns: int | None = None) -> np.ndarray:
    """
    Lay the channels of a feature map out side by side.

    Parameters
    ----------
    maps : (H, W, C) array_like
        NaN is allowed.
    columns : int, optional
        Maps in a row, C at most; about as many as rows by default.

    Returns
    -------
    picture : (height, width) ndarray
        NaN between the maps and after the last one.

    Raises
    ------
    ValueError
        If the maps do not have three axes, hold no value or infinite ones, or ``columns`` is not a whole number, 1 or greater.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.plot import mosaic
    >>> mosaic(np.arange(8).reshape(2, 2, 2)).shape
    (2, 5)
    """
    found = _channels(maps, "plot.mosaic: maps")
    height, width, n = found.shape
    wanted = int(np.ceil(np.sqrt(n * height / width))) if columns is None else columns
    columns = min(n, whole_number(wanted, "plot.mosaic: columns", 1))
    picture = np.full(((height + 1) * -(-n // columns) - 1, (width + 1) * columns - 1), np.nan)
    for k in range(n):
        row, column = (height + 1) * (k // columns), (width + 1) * (k % columns)
        picture[row : row + height, column : column + width] = found[..., k]
    return picture


def _channels(maps, about):
    """Return the channels of a layer as an array (H, W, C)."""
    maps = finite_array(maps, about, nan=True)
    if maps.ndim != 3:
        raise ValueError(f"{about} of shape {maps.shape}; expected (rows, columns, channels).")
    return maps


def _unrecorded(result, layer):
    """Return which neurons of a layer were not recorded, (H, W, C) ndarray of bool, and the words for the title."""
    shape = result.shapes[layer]
    missing = np.ones(int(np.prod(shape)), bool)
    missing[result.spike_neurons.get(layer, slice(None))] = False
    n, n_missing = missing.size, int(missing.sum())
    return missing.reshape(shape), f", {n - n_missing:,} of {n:,} neurons recorded" if n_missing else ""


def spike_maps(result, layer, image, start=0, stop=None):
    """Return the firing rate of each neuron of a layer in a range of steps, (H, W, C) in Hz; NaN where it was not recorded."""
    stop = result.n_steps if stop is None else stop
    neurons, steps = result.spikes[layer][image]
    counts = np.bincount(neurons[(steps >= start) & (steps < stop)], minlength=int(np.prod(result.shapes[layer])))
    rates = (counts / ((stop - start) * result.dt)).reshape(result.shapes[layer])
    return np.where(_unrecorded(result, layer)[0], np.nan, rates)


def feature_maps(
    source: "Result | ArrayLike",
    layer: str | None = None,
    image: int = 0,
    label: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """
    Draw the channels of a layer side by side.

    Parameters
    ----------
    source : `~brainsnn.results.result.Result` or (H, W, C) array_like
        Of a result, the firing rate of each neuron; those that were not recorded are white, and the title says how many were.
        NaN in an array is white, too.
    layer : str, optional
        Layer of a result; its spikes must have been recorded.
    image : int, optional
        Image of a result.
    label : str, optional
        What an array holds, with its unit, for the scale.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the spikes of the layer were not recorded, or the image does not exist.
    ValueError
        If an array has other than three axes, holds no value or infinite ones, or comes with a layer or an image; or if a
        result comes without a layer.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
    >>> result = snn.run(load_digits("test")[0][:1], 50 * bs.ms)
    >>> ax = bs.plot.feature_maps(result, "conv1")
    """
    title, label = "", plain_text("" if label is None else label, "plot.feature_maps: label", "potential (mV)")
    if isinstance(source, Result):
        one_result(source, "plot.feature_maps: source")
        if layer is None:
            raise ValueError("plot.feature_maps: layer=None; name a layer of the result.")
        image, name = chosen_image(image, source.n_images, "plot.feature_maps"), source.spikes.name_of(layer)
        title, label = name + _unrecorded(source, name)[1], label or "firing rate (Hz)"
        maps = spike_maps(source, name, image)
    else:
        maps = _channels(source, "plot.feature_maps: source")
        only_of_results("plot.feature_maps", "source", source, layer=(layer, None), image=(image, 0))
    with panel(ax, "plot.feature_maps", 0.9) as ax:
        map_picture(ax, mosaic(maps), "viridis", label or "activity", (0, 1))
        ax.set_title(title)
    return ax


def latency_map(
    result: "Result | ArrayLike",
    layer: str | None = None,
    image: int = 0,
    channel: int | None = None,
    onset: "float | Quantity" = 0.0,
    ax: "Axes | None" = None,
) -> "Axes":
    """
    Draw when each neuron of a layer spikes first.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result` or (H, W) or (H, W, C) array_like
        Or the time of the first spike of each neuron in seconds, from the moment from which latencies count; NaN where a neuron
        does not spike.
    layer : str, optional
        Layer of a result; its spikes must have been recorded.
    image : int, optional
        Image of a result.
    channel : int, optional
        One channel; by default all of them, side by side.
    onset : float or `~brian2.units.fundamentalunits.Quantity`, optional
        Time from which the latencies of a result count, in seconds; earlier spikes are left out.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        Neurons that do not spike are white, those that were not recorded are grey.

    Raises
    ------
    UnknownNameError, IndexError, ValueError
        If the spikes of the layer were not recorded, the image or the channel does not exist, or the onset lies outside of the
        trial; if an array has other axes, times below 0 or infinite ones, or comes with a layer, an image or an onset.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
    >>> result = snn.run(load_digits("test")[0][:1], 50 * bs.ms)
    >>> ax = bs.plot.latency_map(result, "conv1", channel=3)
    >>> ax = bs.plot.latency_map([[0.012, 0.02], [0.035, float("nan")]])
    """
    if isinstance(result, Result) or result is None:
        first, lasts, name, missing, words = _first_spikes(result, layer, image, onset)
    else:
        first, name, words = _given_latencies(result), "", ""
        only_of_results("plot.latency_map", "result", result, layer=(layer, None), image=(image, 0), onset=(onset, 0.0))
        lasts, missing = float(np.nanmax(first, initial=0.0)) or 1.0, np.zeros(first.shape, bool)
    n_channels = first.shape[2]
    try:
        channel = None if channel is None else whole_number(channel, "channel", 0, n_channels - 1)
    except ValueError:
        raise IndexError(
            f"plot.latency_map: channel={channel!r}, and {name or 'the array'!r} has the channels 0 to {n_channels - 1}."
        ) from None
    grey = np.where(missing, 1.0, np.nan)
    with panel(ax, "plot.latency_map", 0.85) as ax:
        own, absent = (mosaic(maps) if channel is None else maps[..., channel] for maps in (1e3 * first, grey))
        map_picture(ax, own, "viridis_r", "first spike (ms)", (0, 1e3 * lasts))
        if words:
            ax.imshow(absent, cmap="Greys", vmin=0, vmax=4, interpolation="nearest")
        parts = (name, "" if channel is None else f"channel {channel}", "no spikes" if np.isnan(own).all() else "")
        ax.set_title(", ".join(part for part in parts if part) + words)
    return ax


def _first_spikes(result, layer, image, onset):
    """Return latencies (H, W, C) and the longest possible one, in seconds; the layer; what is unknown, also in words."""
    one_result(result, "plot.latency_map: result", "an array of latencies")
    image, name = chosen_image(image, result.n_images, "plot.latency_map"), result.spikes.name_of(layer)
    lasts, shape = result.n_steps * result.dt, result.shapes[name]
    onset = _checked_onset(onset, lasts)
    neurons, steps = result.spikes[name][image]
    times = steps * result.dt - onset
    first = np.full(int(np.prod(shape)), np.inf)
    np.minimum.at(first, neurons[times >= 0], times[times >= 0])
    first = np.where(np.isfinite(first), first, np.nan).reshape(shape)
    return first, lasts - onset, name, *_unrecorded(result, name)


def _given_latencies(latencies):
    """Return latencies that are given in seconds, (H, W, C)."""
    about = "plot.latency_map: result"
    first = drawn_array(latencies, about, ("rows", "columns", "channels"), nan=True, dim=second.dim, optional=1)
    if (first < 0).any():
        raise ValueError(
            f"{about} has values from {np.nanmin(first):g} s; latencies are 0 or greater, and NaN without a spike."
        )
    return first if first.ndim == 3 else first[..., None]


def _checked_onset(onset, lasts):
    """Return a time within the trial in seconds."""
    is_time = isinstance(onset, Quantity) and onset.dim is second.dim and onset.ndim == 0
    if not (is_time or is_number(onset)) or not 0 <= float(onset) < lasts:
        raise ValueError(
            f"plot.latency_map: onset={onset!r} must be a time within the trial of {lasts * 1e3:g} ms, such as 10*ms (a plain "
            "number is in seconds)."
        )
    return float(onset)
