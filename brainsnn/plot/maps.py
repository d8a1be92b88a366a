"""Pictures: feature maps, latencies, attention fields, gates, dissimilarities."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from brian2 import Quantity, second
from numpy.typing import ArrayLike

from brainsnn.attention import Attention
from brainsnn.attention.fields import Field
from brainsnn.plain_arrays import is_number, plain_array
from brainsnn.plot.panels import colour_bar, panel
from brainsnn.plot_style import PALETTE
from brainsnn.results import Result
from brainsnn.results.selection import chosen_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["attention_field", "feature_maps", "gate", "latency_map", "mosaic", "rdm", "spike_maps"]


def mosaic(maps: ArrayLike, columns: int | None = None) -> np.ndarray:
    """
    Lay the channels of a feature map out side by side.

    Parameters
    ----------
    maps : (H, W, C) array_like
    columns : int, optional
        Maps in a row; about as many as rows by default.

    Returns
    -------
    picture : (height, width) ndarray
        NaN between the maps and after the last one.

    Raises
    ------
    ValueError
        If the maps do not have three axes.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.plot import mosaic
    >>> mosaic(np.arange(8).reshape(2, 2, 2)).shape
    (2, 5)
    """
    maps = plain_array(maps, "plot.mosaic: maps", float)
    if maps.ndim != 3:
        raise ValueError(f"plot.mosaic: maps of shape {maps.shape}; expected (rows, columns, channels).")
    height, width, n = maps.shape
    columns = min(n, int(np.ceil(np.sqrt(n * height / width)))) if columns is None else columns
    picture = np.full(((height + 1) * -(-n // columns) - 1, (width + 1) * columns - 1), np.nan)
    for k in range(n):
        row, column = (height + 1) * (k // columns), (width + 1) * (k % columns)
        picture[row : row + height, column : column + width] = maps[..., k]
    return picture


def spike_maps(result, layer, image, start=0, stop=None):
    """Return the firing rate of each neuron of a layer in a range of steps, (H, W, C) in Hz; NaN where it was not recorded."""
    stop = result.n_steps if stop is None else stop
    neurons, steps = result.spikes[layer][image]
    counts = np.bincount(neurons[(steps >= start) & (steps < stop)], minlength=int(np.prod(result.shapes[layer])))
    rates = counts / ((stop - start) * result.dt)
    if layer in result.spike_neurons:
        rates[np.setdiff1d(np.arange(len(rates)), result.spike_neurons[layer])] = np.nan
    return rates.reshape(result.shapes[layer])


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
        Of a result, the firing rate of each neuron; those that were not recorded are white.
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
        If an array has other than three axes, or a result comes without a layer.
    """
    title = ""
    if isinstance(source, Result):
        if layer is None:
            raise ValueError("plot.feature_maps: layer=None; name a layer of the result.")
        image = chosen_image(image, source.n_images, "plot.feature_maps")
        title, label = source.shapes.name_of(layer), label or "firing rate (Hz)"
        maps: ArrayLike = spike_maps(source, layer, image)
    else:
        maps = source
    with panel(ax, 0.9) as ax:
        picture = mosaic(maps)
        shown = ax.imshow(picture, cmap="viridis", interpolation="nearest")
        ax.set(xticks=[], yticks=[], title=title)
        ax.spines[:].set_visible(False)
        colour_bar(ax, shown, label or "activity")
    return ax


def latency_map(
    result: "Result",
    layer: str,
    image: int = 0,
    channel: int | None = None,
    onset: "float | Quantity" = 0.0,
    ax: "Axes | None" = None,
) -> "Axes":
    """
    Draw when each neuron of a layer spikes first.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer : str
        Its spikes must have been recorded.
    image : int, optional
    channel : int, optional
        One channel; by default all of them, side by side.
    onset : float or `~brian2.units.fundamentalunits.Quantity`, optional
        Time from which latencies count, in seconds; earlier spikes are left out.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        Neurons that do not spike are white.

    Raises
    ------
    UnknownNameError, IndexError, ValueError
        If the spikes of the layer were not recorded, the image or the channel does not exist, or the onset lies outside of the
        trial.
    """
    image = chosen_image(image, result.n_images, "plot.latency_map")
    lasts = result.n_steps * result.dt
    is_time = isinstance(onset, Quantity) and onset.dim is second.dim and onset.ndim == 0
    if not (is_time or is_number(onset)) or not 0 <= float(onset) < lasts:
        raise ValueError(
            f"plot.latency_map: onset={onset!r} must be a time within the trial of {lasts * 1e3:g} ms, such as 10*ms (a plain "
            "number is in seconds)."
        )
    onset = float(onset)
    neurons, steps = result.spikes[layer][image]
    times = steps * result.dt - onset
    first = np.full(int(np.prod(result.shapes[layer])), np.inf)
    np.minimum.at(first, neurons[times >= 0], times[times >= 0])
    first = np.where(np.isfinite(first), first * 1e3, np.nan).reshape(result.shapes[layer])
    name, n_channels = result.shapes.name_of(layer), result.shapes[layer][2]
    if channel is not None and not 0 <= channel < n_channels:
        raise IndexError(f"plot.latency_map: channel={channel!r}, and {name!r} has the channels 0 to {n_channels - 1}.")
    with panel(ax, 0.85) as ax:
        picture = mosaic(first) if channel is None else first[..., channel]
        shown = ax.imshow(picture, cmap="viridis_r", interpolation="nearest")
        ax.set(xticks=[], yticks=[], title=name if channel is None else f"{name}, channel {channel}")
        ax.spines[:].set_visible(False)
        colour_bar(ax, shown, "first spike (ms)")
    return ax


def attention_field(
    field: "Attention | Field | ArrayLike",
    image: ArrayLike | None = None,
    index: int = 0,
    shape: tuple[int, int] | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """
    Draw an attention field over an image.

    Parameters
    ----------
    field : `~brainsnn.attention.Attention` or `~brainsnn.attention.fields.Field` or (H, W) array_like
        Of an attention, its field.
    image : (H, W) or (H, W, 1 or 3) array_like, optional
        Picture under the field, with values from 0 to 1.
    index : int, optional
        Image whose cue is drawn, where each has its own.
    shape : (H, W), optional
        Where the field is computed; that of the image by default, or 100 x 100.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`
        Lines join equal modulation; 0 is no change.

    Raises
    ------
    ValueError
        If the image does not have two or three axes.
    """
    picture = None if image is None else _picture(image)
    shape = shape or ((100, 100) if picture is None else picture.shape[:2])
    own = field.field if isinstance(field, Attention) else field
    values = own.modulation((*shape, 1), index) if isinstance(own, Field) else np.asarray(own, float)
    values = values[..., 0] if values.ndim == 3 else values
    rows, columns = values.shape
    extent = (-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5)
    with panel(ax, 0.85) as ax:
        if picture is not None:
            ax.imshow(picture, cmap="gray", vmin=0, vmax=1, extent=extent)
        limit = max(float(np.abs(values).max()), 1e-12)
        shown = ax.imshow(
            values, cmap="PuOr_r", vmin=-limit, vmax=limit, extent=extent, alpha=1.0 if picture is None else 0.55,
            interpolation="bilinear",
        )  # fmt: skip
        x, y = (np.arange(columns) + 0.5) * shape[1] / columns - 0.5, (np.arange(rows) + 0.5) * shape[0] / rows - 0.5
        if min(rows, columns) > 1 and np.ptp(values) > 0:
            ax.contour(x, y, values, levels=4, colors="black", linewidths=0.6)
        ax.set(xticks=[], yticks=[])
        colour_bar(ax, shown, "modulation")
    return ax


def _picture(image):
    """Return an image without an axis for a single channel."""
    image = plain_array(image, "plot.attention_field: image", float)
    if image.ndim not in (2, 3):
        raise ValueError(f"plot.attention_field: an image of shape {image.shape}; expected (rows, columns, channels).")
    return image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image


def gate(result: "Result", images: ArrayLike, image: int = 0, ax: "Axes | None" = None) -> "Axes":
    """
    Draw how much of an image a predictive gate lets through, and how wrong its prediction is, over time.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
        Of a network with predictive feedback that records.
    images : (n, H, W, C) array_like
        The images of the run.
    image : int, optional
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    ValueError
        If predictions were not recorded, or the images do not fit the result.
    IndexError
        If the image does not exist.
    """
    image = chosen_image(image, result.n_images, "plot.gate")
    opened, predicted = result.gate[image], result.predicted_input[image]
    shown = plain_array(images, "plot.gate: images", float)
    if shown.shape != (result.n_images, *opened.shape[1:]):
        raise ValueError(
            f"plot.gate: images of shape {shown.shape} for {result.n_images} results of {opened.shape[1:]}."
        )
    pixels = np.abs(shown[image])
    axes = tuple(range(1, opened.ndim))
    total = max(float(pixels.sum()), 1e-12)
    with panel(ax) as ax:
        ax.plot(
            result.times,
            100 * (opened * pixels).sum(axis=axes) / total,
            color=PALETTE[0],
            label="open part of the image",
        )
        error = np.abs(predicted - shown[image]).sum(axis=axes) / total
        ax.plot(result.times, 100 * error, color=PALETTE[1], linestyle="--", label="prediction error")
        ax.set(xlabel="time (ms)", ylabel="share of the intensity (%)", xlim=(0, result.n_steps * result.dt * 1e3))
        ax.set_ylim(0, None)
        ax.legend()
    return ax


def rdm(
    dissimilarities: ArrayLike,
    classes: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    label: str = "1 - correlation",
    ax: "Axes | None" = None,
) -> "Axes":
    """
    Draw a representational dissimilarity matrix.

    Parameters
    ----------
    dissimilarities : (n, n) array_like
    classes : (n,) array_like, optional
        Class of each image; images are sorted by it, and lines part the classes.
    names : sequence of str, optional
        Names of the classes, by their number.
    label : str, optional
        Measure of dissimilarity.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    ValueError
        If the matrix is not square, or there is not one class for each image.
    """
    matrix = plain_array(dissimilarities, "plot.rdm: dissimilarities", float)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"plot.rdm: dissimilarities of shape {matrix.shape}; expected a square matrix.")
    with panel(ax, 0.85) as ax:
        if classes is not None:
            classes = plain_array(classes, "plot.rdm: classes")
            if classes.shape != (len(matrix),):
                raise ValueError(f"plot.rdm: classes of shape {classes.shape} for {len(matrix)} images.")
            order = np.argsort(classes, kind="stable")
            matrix, classes = matrix[np.ix_(order, order)], classes[order]
            own, starts, counts = np.unique(classes, return_index=True, return_counts=True)
            for start in starts[1:]:
                ax.axhline(start - 0.5, color="white", linewidth=0.8)
                ax.axvline(start - 0.5, color="white", linewidth=0.8)
            shown_names = [str(k) if names is None else names[k] for k in own]
            middles = starts + (counts - 1) / 2
            ax.set_xticks(middles, shown_names, rotation=90)
            ax.set_yticks(middles, shown_names)
        else:
            ax.set(xlabel="image", ylabel="image")
        shown = ax.imshow(matrix, cmap="viridis", interpolation="nearest")
        ax.set_title(f"n = {len(matrix)} images")
        colour_bar(ax, shown, label)
    return ax
