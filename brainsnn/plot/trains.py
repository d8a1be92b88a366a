"""Spike trains: rasters of several layers, and firing rates."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from brainsnn.plot.panels import panel
from brainsnn.plot_style import PALETTE
from brainsnn.results.selection import chosen_image

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from brainsnn.results import Result

__all__ = ["raster", "rates"]


def raster(
    result: "Result",
    layers: str | Sequence[str] | None = None,
    image: int = 0,
    max_neurons: int = 150,
    ax: "Axes | None" = None,
) -> "Axes":
    """
    Draw the spikes of an image, layer above layer.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layers : str or list of str, optional
        All layers whose spikes were recorded by default, the first at the bottom.
    image : int, optional
    max_neurons : int, optional
        Of larger layers, so many neurons are shown, evenly spaced; the label says so.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the spikes of a layer were not recorded, or the image does not exist.
    ValueError
        If no spikes were recorded.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"], "conv2": ["spikes"]})
    >>> ax = bs.plot.raster(snn.run(load_digits("test")[0][:1], 100 * bs.ms))
    >>> [label.get_text().split(":")[0] for label in ax.get_yticklabels()]
    ['conv1_asn', 'conv2_asn']
    """
    names = [layers] if isinstance(layers, str) else list(result.spikes if layers is None else layers)
    if not names:
        reason = (
            "no spikes were recorded. Convert with record={layer: ['spikes']}."
            if layers is None
            else "layers=[] names no layer."
        )
        raise ValueError(f"plot.raster: {reason}")
    image = chosen_image(image, result.n_images, "plot.raster")
    ticks, top = [], 0
    with panel(ax, 0.8) as ax:
        for k, layer in enumerate(names):
            neurons, steps = result.spikes[layer][image]
            name, n = result.shapes.name_of(layer), int(np.prod(result.shapes[layer]))
            known = result.spike_neurons[layer] if layer in result.spike_neurons else np.arange(n)
            n_shown = min(len(known), max_neurons)
            # Neuron of each row: evenly spaced, so that all rows of the image are there.
            shown = np.sort(known)[np.linspace(0, len(known) - 1, n_shown).round().astype(int)]
            rows = np.searchsorted(shown, neurons)
            kept = shown[np.minimum(rows, n_shown - 1)] == neurons
            ax.plot(
                steps[kept] * result.dt * 1e3, top + rows[kept], "|", color=PALETTE[k % len(PALETTE)], markersize=1.5,
                markeredgewidth=0.5, rasterized=True,
            )  # fmt: skip
            part = f"{n:,}" if n_shown == n else f"{n_shown} of {n:,}"
            ticks.append((top + n_shown / 2, f"{name}:\n{part} neurons"))
            top += n_shown + max(3, max_neurons // 30)
        ax.set_yticks(*zip(*ticks))
        ax.tick_params(axis="y", length=0)
        ax.set(xlabel="time (ms)", xlim=(0, result.n_steps * result.dt * 1e3), ylim=(-1, top))
    return ax


def rates(result: "Result", ax: "Axes | None" = None) -> "Axes":
    """
    Draw the mean firing rate of each layer, with the range of images in which 95% of them lie.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`
    """
    found = result.firing_rates
    means = np.array([values.mean() for values in found.values()])
    with panel(ax) as ax:
        ends = np.array([np.percentile(values, [2.5, 97.5]) for values in found.values()]).T
        positions = np.arange(len(means))
        ax.barh(positions, means, color=PALETTE[0], height=0.65)
        if result.n_images > 1:
            error = np.abs(ends - means)
            ax.errorbar(means, positions, xerr=error, fmt="none", ecolor="black", elinewidth=1, capsize=2)
        ax.set_yticks(positions, list(found))
        ax.invert_yaxis()
        several = f"mean, and range of 95% of {result.n_images} images" if result.n_images > 1 else "one image"
        ax.set(xlabel="firing rate (Hz)", title=several)
    return ax
