"""Curves and budgets: tuning curves, spikes of each layer, activations of a network beside its spiking form."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.transforms import ScaledTranslation
from numpy.typing import ArrayLike
from scipy.stats import t as student_t

from brainsnn.analysis.plots import compared, draw_compared
from brainsnn.one_line import brief
from brainsnn.plain_arrays import finite_array, plain_text, whole_number
from brainsnn.plot.panels import panel
from brainsnn.plot_style import PALETTE
from brainsnn.results import Result
from brainsnn.results.drawn import named_results, numbers_by_layer

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from brainsnn.analysis.compare import ActivationComparison

__all__ = ["activations", "spike_budget", "tuning_curve"]


def tuning_curve(
    values: ArrayLike,
    responses: ArrayLike,
    xlabel: str,
    ylabel: str = "firing rate (Hz)",
    label: str | None = None,
    ax: "Axes | None" = None,
) -> "Axes":
    """
    Draw the response of neurons against a property of the stimulus.

    Parameters
    ----------
    values : (n,) array_like
        The property, such as an orientation, in any order; the curve joins its values in ascending order.
    responses : (n,) or (n, n_repeats) array_like
        With repeats, their mean and its 95% interval (of Student's t).
    xlabel, ylabel : str
        Names with units.
    label : str, optional
        Name of the curve in the legend.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    ValueError
        If there is not one response for each value, there is none, or one is NaN or infinite; or a name is not a text.

    Examples
    --------
    >>> from brainsnn.plot import tuning_curve
    >>> ax = tuning_curve([0, 45, 90], [[2, 4], [8, 9], [3, 3]], "orientation (degrees)")
    >>> ax.get_ylabel()
    'firing rate (Hz)'
    """
    values = finite_array(values, "plot.tuning_curve: values")
    responses = finite_array(responses, "plot.tuning_curve: responses")
    for name, text in (("xlabel", xlabel), ("ylabel", ylabel), ("label", "" if label is None else label)):
        plain_text(text, f"plot.tuning_curve: {name}", "orientation (degrees)")
    if values.ndim != 1 or responses.ndim not in (1, 2) or len(responses) != len(values):
        raise ValueError(
            f"plot.tuning_curve: responses of shape {responses.shape} for values of shape {values.shape}; give (n,) or "
            "(n, n_repeats)."
        )
    order = np.argsort(values, kind="stable")
    values, responses = values[order], responses[order]
    with panel(ax, "plot.tuning_curve") as ax:
        mean = responses if responses.ndim == 1 else responses.mean(axis=1)
        (line,) = ax.plot(values, mean, marker="o", markersize=3, label=label)
        if responses.ndim == 2 and responses.shape[1] > 1:
            n = responses.shape[1]
            error = student_t.ppf(0.975, n - 1) * responses.std(axis=1, ddof=1) / np.sqrt(n)
            ax.fill_between(values, mean - error, mean + error, color=line.get_color(), alpha=0.25, linewidth=0)
            ax.set_title(f"mean and 95% interval, n = {responses.shape[1]}")
        ax.set(xlabel=xlabel, ylabel=ylabel)
        if label:
            ax.legend()
    return ax


def spike_budget(
    results: "Result | Mapping[str, Result | Mapping[str, ArrayLike]]", ax: "Axes | None" = None
) -> "Axes":
    """
    Draw the spikes per image of each layer, one bar for each network.

    Parameters
    ----------
    results : `~brainsnn.results.result.Result` or dict of str to Result or to dict of str to (n_images,) array_like
        One result, or several by the name of their bar. In place of a result, the spikes of each layer in each image.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    ValueError
        If it is neither a result nor a dict of such, no layer spikes, or numbers of spikes are below 0 or not finite.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
    >>> result = snn.run(load_digits("test")[0][:1], 50 * bs.ms)
    >>> ax = bs.plot.spike_budget({"digits": result, "another": {"conv1": [900, 1100], "conv2": [310, 290]}})
    """
    named = {
        name: own.spike_counts if isinstance(own, Result) else own
        for name, own in named_results(results, "plot.spike_budget: results", plain=_counts).items()
    }
    layers = list(dict.fromkeys(layer for counts in named.values() for layer in counts))
    if not layers:
        raise ValueError(
            "plot.spike_budget: results hold no spike counts; give results of networks with neurons that spike."
        )
    with panel(ax, "plot.spike_budget", 0.5 + 0.15 * len(named)) as ax:
        base, positions, bars = np.zeros(len(named)), np.arange(len(named)), []
        for k, layer in enumerate(layers):
            own = np.array([counts[layer].mean() if layer in counts else 0.0 for counts in named.values()])
            colour = PALETTE[k % len(PALETTE)]
            hatch = ("", "///", "...")[k // len(PALETTE) % 3]
            bars.append(
                ax.barh(
                    positions, own, left=base, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3, label=layer
                )
            )
            base += own
        for k, total in enumerate(base):
            ax.text(total, k, f" {total:,.0f}", va="center", fontsize=7)
        ax.set_yticks(positions, list(named))
        ax.invert_yaxis()
        ax.margins(x=0.16)
        if not base.any():  # no spikes: the axis still starts at 0
            ax.set_xlim(0, 1)
        ax.locator_params(axis="x", nbins=4)
        n = ", ".join(dict.fromkeys(str(len(own)) for counts in named.values() for own in counts.values()))
        ax.set(xlabel="spikes per image", title=f"mean of {n} images")
        # Right below the label of the axis, however high the axes are.
        points = 8 + 2.2 * ax.xaxis.get_label().get_fontproperties().get_size_in_points()
        below = ax.transAxes + ScaledTranslation(0, -points / 72, ax.figure.dpi_scale_trans)
        # By their names: matplotlib leaves out those that start with an underscore.
        ax.legend(bars, layers, loc="upper center", bbox_to_anchor=(0.5, 0), bbox_transform=below, ncols=2)
    return ax


def _counts(spikes, about):
    """Return the spikes of each layer in each image, after a check that they can be numbers of spikes."""
    if not isinstance(spikes, Mapping) or not spikes:
        raise ValueError(
            f"{about}={brief(spikes)} must be a Result, or a dict of one or more by their names, such as {{'ASN': result}}; or a "
            "dict of the spikes of each layer in each image, such as {'ASN': {'conv1': [900, 1100]}}."
        )
    return numbers_by_layer(spikes, about, "numbers of spikes")


def activations(
    comparison: "ActivationComparison", layer: str, max_points: int = 3000, seed: int = 0, ax: "Axes | None" = None
) -> "Axes":
    """
    Draw the activations of a layer of the spiking network against those of the artificial one.

    Parameters
    ----------
    comparison : `~brainsnn.analysis.compare.ActivationComparison`
        As `brainsnn.compare_activations` returns it.
    layer : str
    max_points : int, optional
        Of more points, a random subset is shown.
    seed : int, optional
        Seed of the random subset.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError
        If the layer was not compared.
    ValueError
        If it is something else than a comparison, its activations are NaN, or a number is not a whole one in its range.

    See Also
    --------
    comparison : all layers in one figure.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> model = bs.load_model("digits")
    >>> comparison = bs.compare_activations(model, bs.convert(model), load_digits("test")[0][:2], 50 * bs.ms, 20 * bs.ms)
    >>> ax = bs.plot.activations(comparison, "conv1")
    """
    name, ann, snn = compared(comparison, layer, "plot.activations")
    max_points = whole_number(max_points, "plot.activations: max_points", 1)
    random = np.random.default_rng(whole_number(seed, "plot.activations: seed", 0))
    with panel(ax, "plot.activations", 1.0) as ax:
        draw_compared(ax, ann, snn, max_points, random)
        ax.set(xlabel="ANN activation", ylabel="SNN activation", title=name)
    return ax
