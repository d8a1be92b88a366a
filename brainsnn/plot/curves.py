"""Curves and budgets: tuning curves, spikes of each layer, activations of a network beside its spiking form."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student_t

from brainsnn.plain_arrays import plain_array
from brainsnn.plot.panels import panel
from brainsnn.plot_style import PALETTE

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from brainsnn.analysis.compare import ActivationComparison
    from brainsnn.results import Result

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
        The property, such as an orientation.
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
        If there is not one response for each value.

    Examples
    --------
    >>> from brainsnn.plot import tuning_curve
    >>> ax = tuning_curve([0, 45, 90], [[2, 4], [8, 9], [3, 3]], "orientation (degrees)")
    >>> ax.get_ylabel()
    'firing rate (Hz)'
    """
    values, responses = (
        plain_array(values, "plot.tuning_curve: values", float),
        plain_array(responses, "plot.tuning_curve: responses", float),
    )
    if values.ndim != 1 or responses.ndim not in (1, 2) or len(responses) != len(values):
        raise ValueError(
            f"plot.tuning_curve: responses of shape {responses.shape} for values of shape {values.shape}; give (n,) or "
            "(n, n_repeats)."
        )
    with panel(ax) as ax:
        mean = responses if responses.ndim == 1 else responses.mean(axis=1)
        (line,) = ax.plot(values, mean, marker="o", markersize=3, label=label)
        if responses.ndim == 2 and responses.shape[1] > 1:
            n = responses.shape[1]
            error = student_t.ppf(0.975, n - 1) * responses.std(axis=1, ddof=1) / np.sqrt(n)
            ax.fill_between(values, mean - error, mean + error, color=line.get_color(), alpha=0.25, linewidth=0)
            ax.set_title(f"mean and 95% interval, n = {responses.shape[1]}")
        ax.set(xlabel=xlabel, ylabel=ylabel)
        if label is not None:
            ax.legend()
    return ax


def spike_budget(results: "Result | Mapping[str, Result]", ax: "Axes | None" = None) -> "Axes":
    """
    Draw the spikes per image of each layer, one bar for each network.

    Parameters
    ----------
    results : `~brainsnn.results.result.Result` or dict of str to Result
        One result, or several by the name of their bar.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`
    """
    named = results if isinstance(results, Mapping) else {"": results}
    layers = list(dict.fromkeys(name for result in named.values() for name in result.spike_counts))
    with panel(ax, 0.5 + 0.15 * len(named)) as ax:
        base = np.zeros(len(named))
        for k, layer in enumerate(layers):
            own = np.array([r.spike_counts[layer].mean() if layer in r.spike_counts else 0.0 for r in named.values()])
            colour = PALETTE[k % len(PALETTE)]
            hatch = ("", "///", "...")[k // len(PALETTE) % 3]
            ax.barh(
                list(named), own, left=base, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3, label=layer
            )
            base += own
        for k, total in enumerate(base):
            ax.text(total, k, f" {total:,.0f}", va="center", fontsize=7)
        ax.invert_yaxis()
        ax.margins(x=0.16)
        ax.locator_params(axis="x", nbins=4)
        n = ", ".join(dict.fromkeys(str(r.n_images) for r in named.values()))
        ax.set(xlabel="spikes per image", title=f"mean of {n} images")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.28 if len(named) > 1 else -0.35), ncols=2)
    return ax


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

    See Also
    --------
    comparison : all layers in one figure.
    """
    ann, snn = (np.ravel(values[layer]) for values in (comparison.ann, comparison.snn))
    chosen = np.random.default_rng(seed).choice(ann.size, min(max_points, ann.size), replace=False)
    with panel(ax, 1.0) as ax:
        ax.scatter(ann[chosen], snn[chosen], s=4, alpha=0.4, linewidth=0, rasterized=True)
        ends = [min(0.0, ann.min(), snn.min()), max(ann.max(), snn.max(), 1e-9)]
        ax.plot(ends, ends, color="0.4", linestyle="--", linewidth=1)
        ax.set(xlabel="ANN activation", ylabel="SNN activation", title=layer, aspect="equal")
    return ax
