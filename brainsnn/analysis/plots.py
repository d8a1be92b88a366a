"""Plots across results: accuracy over time, ANN against SNN, and the log of a training."""

import matplotlib.pyplot as plt
import numpy as np

from brainsnn.analysis.metrics import accuracy_interval
from brainsnn.errors import UnknownNameError
from brainsnn.plot_style import PALETTE, style
from brainsnn.results.names import LayerDict

__all__ = ["plot_accuracy_over_time", "plot_comparison", "plot_training"]


def plot_accuracy_over_time(results, labels=None, ann_accuracy=None, window=1, ax=None):
    """
    Plot the fraction of correctly classified images at every step, with a band for Wilson's 95 % interval.

    Parameters
    ----------
    results : `~brainsnn.results.result.Result` or dict of str to Result
        One result, or several results by the label of their line.
    labels : (n,) array_like of int, optional
        ``labels`` of each result by default.
    ann_accuracy : float, optional
        Accuracy of the artificial network on the same images, plotted as a dashed line.
    window : int, optional
        Number of steps, up to each step, over which the output is averaged before the decision.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`
    """
    results = results if isinstance(results, dict) else {"SNN": results}
    with style():
        ax = plt.subplots(figsize=(6, 3.6), layout="constrained")[1] if ax is None else ax
        for k, (name, result) in enumerate(results.items()):
            accuracy, colour = 100 * result.accuracy(labels, window=window), PALETTE[k % len(PALETTE)]
            ax.plot(result.times, accuracy, label=f"{name}: {accuracy[-1]:.1f}% of {result.n_images}", color=colour)
            low, high = _interval(accuracy / 100, result.n_images)
            ax.fill_between(result.times, 100 * low, 100 * high, color=colour, alpha=0.15, lw=0)
        if ann_accuracy is not None:
            ax.axhline(100 * ann_accuracy, color="0.4", linestyle="--", linewidth=1, zorder=0,
                       label=f"ANN: {100 * ann_accuracy:.1f}%")  # fmt: skip
        mean = "output at that step" if window == 1 else f"output averaged over {window * result.dt * 1e3:g} ms"
        ax.set(xlabel="time (ms)", ylabel=f"correct (%)\n{mean}", ylim=(0, 103))
        ax.set_xlim(0, max(result.n_steps * result.dt * 1e3 for result in results.values()))
        ax.legend(loc="lower right")
    return ax


def _interval(share, n):
    """Return Wilson's interval of shares of n images; equal shares are computed once."""
    different, where = np.unique(np.rint(share * n).astype(int), return_inverse=True)
    low, high = accuracy_interval(different, n)
    return low[where], high[where]


def plot_comparison(comparison, layers=None, max_points=3000, seed=0):
    """
    Plot the activations of the SNN against those of the ANN, one panel per layer.

    Parameters
    ----------
    comparison : `~brainsnn.analysis.compare.ActivationComparison`
    layers : list of str, optional
        All layers by default.
    max_points : int, optional
        Largest number of points in each panel; of more points, a random subset is shown.
    seed : int, optional
        Seed of the random subset.

    Returns
    -------
    figure : `matplotlib.figure.Figure`

    Raises
    ------
    ValueError
        If ``layers`` is empty.
    """
    layers = [layers] if isinstance(layers, str) else list(comparison.ann if layers is None else layers)
    if not layers:
        raise ValueError("plot_comparison: layers=[] names no layer; give one or more, or None for all.")
    layers = [_name_in(comparison.ann, layer) for layer in layers]
    rows = comparison.table.set_index("layer")
    n_columns = min(3, len(layers))
    n_rows = -(-len(layers) // n_columns)
    random = np.random.default_rng(seed)
    with style():
        size = (3.1 * n_columns, 3.1 * n_rows)
        figure, axes = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False)
        for ax, layer in zip(axes.flat, layers):
            ann, snn = comparison.ann[layer].ravel(), comparison.snn[layer].ravel()
            chosen = random.choice(ann.size, min(max_points, ann.size), replace=False)
            ax.scatter(ann[chosen], snn[chosen], s=4, alpha=0.4, linewidth=0, rasterized=True)
            top = 1.03 * max(ann[chosen].max(), snn[chosen].max(), 1e-9)
            low = min(0.0, ann[chosen].min(), snn[chosen].min())
            ax.plot([low, top], [low, top], color="0.4", linestyle="--", linewidth=1)
            ax.set(title=f"{layer}\nr = {rows.loc[layer, 'correlation']:.4f}", aspect="equal")
        for ax in axes.flat[len(layers) :]:
            ax.remove()
        figure.supxlabel("ANN activation", fontsize=10)
        figure.supylabel("SNN activation (filtered spikes)", fontsize=10)
    return figure


def _name_in(activations, layer):
    """Return the population of a compared layer; a comparison that was made by hand has a plain dict."""
    if isinstance(activations, LayerDict):
        return activations.name_of(layer)
    if layer not in activations:
        raise UnknownNameError(layer, activations, "compared layer")
    return layer


def plot_training(path):
    """
    Plot the log of a training with predictive feedback, both stages.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        The ``log.csv`` that `brainsnn.training.train_predictive` writes.

    Returns
    -------
    figure : `matplotlib.figure.Figure`

    Raises
    ------
    ValueError
        If the log contains no epoch.
    """
    import pandas as pd

    log = pd.read_csv(path)
    if log.empty:
        raise ValueError(f"plot_training: {str(path)!r} contains no epoch yet. Plot it after the first epoch.")
    epoch = np.arange(1, len(log) + 1)
    first_of_snn = 0.5 + np.argmax(log["stage"] == "snn") if (log["stage"] == "snn").any() else None
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(9.5, 2.9), layout="constrained")
        axes[0].plot(epoch, log["loss"], ".-")
        axes[1].plot(epoch, 100 * log["accuracy"], ".-", label="training")
        axes[1].plot(epoch, 100 * log["validation_accuracy"], ".-", label="validation")
        axes[2].plot(epoch, log["reconstruction"], ".-", color=PALETTE[2])
        for ax, title, label in zip(
            axes, ("Loss", "Accuracy", "Reconstruction"), ("loss", "accuracy (%)", "squared error per image")
        ):
            ax.set(title=title, ylabel=label, xlabel="epoch")
            if first_of_snn is not None:
                ax.axvspan(first_of_snn, len(log) + 0.5, color="0.92", zorder=0)
        axes[1].legend(loc="lower right")
        if first_of_snn is not None:
            axes[0].annotate(
                "SNN", ((first_of_snn + len(log) + 0.5) / 2, 0.95), xycoords=("data", "axes fraction"), ha="center"
            )
    return figure
