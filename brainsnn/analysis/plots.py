"""Plots across results: accuracy over time, ANN against SNN, and the log of a training."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np

from brainsnn.analysis.signal_detection import accuracy_interval
from brainsnn.errors import UnknownNameError
from brainsnn.one_line import brief
from brainsnn.plain_arrays import finite_array, is_number, whole_number
from brainsnn.plot_style import PALETTE, axes_for, style
from brainsnn.results import Result
from brainsnn.results.accuracy import accuracy_over_time
from brainsnn.results.drawn import drawn_array, layer_names, named_results, positive_time
from brainsnn.results.names import LayerDict

__all__ = ["compared", "draw_compared", "plot_accuracy_over_time", "plot_comparison", "plot_training"]


def plot_accuracy_over_time(results, labels=None, ann_accuracy=None, window=1, ax=None, dt=None):
    """
    Plot the fraction of correctly classified images at every step, with a band for Wilson's 95 % interval.

    Parameters
    ----------
    results : `~brainsnn.results.result.Result` or (n, n_steps, n_classes) array_like, or a dict of these
        A result, or the outputs of any network at each step; several by the label of their line.
    labels : (n,) array_like of int, optional
        ``labels`` of each result by default. Arrays have none.
    ann_accuracy : float, optional
        Accuracy of the artificial network on the same images, from 0 to 1, plotted as a dashed line.
    window : int, optional
        Number of steps, up to each step, over which the output is averaged before the decision.
    ax : `matplotlib.axes.Axes`, optional
    dt : float or `~brian2.units.fundamentalunits.Quantity`, optional
        Time step of arrays, in seconds; results have their own.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    ValueError
        If it is neither a result, an array nor a dict of these, an array comes without ``dt`` or nothing but results with it, a
        result has no readout or no labels that fit, ``ann_accuracy`` is not between 0 and 1, or the window is not a whole number
        of steps.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> images, labels = load_digits("test")
    >>> result = bs.convert(bs.load_model("digits")).run(images[:5], 150 * bs.ms)
    >>> ax = bs.plot.accuracy({"digits": result}, labels[:5])
    >>> ax = bs.plot.accuracy({"first": result.output, "halved": result.output / 2}, labels[:5], dt=1 * bs.ms)
    """
    named = named_results(results, "plot.accuracy: results", "SNN", lambda values, about: _of_array(values, about, dt))
    of_results = results.values() if isinstance(results, Mapping) else [results]
    if dt is not None and all(isinstance(own, Result) for own in of_results):
        raise ValueError(
            f"plot.accuracy: dt={dt!r} is the time step of arrays, and a Result has its own; leave dt out."
        )
    if ann_accuracy is not None and not is_number(ann_accuracy, low=0, high=1):
        raise ValueError(f"plot.accuracy: ann_accuracy={ann_accuracy!r} must be a fraction, from 0 to 1.")
    window = whole_number(window, "plot.accuracy: window", 1)
    shares = {name: accuracy_over_time(result, labels, window, "plot.accuracy") for name, result in named.items()}
    with style():
        ax = axes_for(ax, (6, 3.6), "plot.accuracy")
        for k, (name, result) in enumerate(named.items()):
            accuracy, colour = 100 * shares[name], PALETTE[k % len(PALETTE)]
            ax.plot(result.times, accuracy, label=f"{name}: {accuracy[-1]:.1f}% of {result.n_images}", color=colour)
            low, high = _interval(shares[name], result.n_images)
            ax.fill_between(result.times, 100 * low, 100 * high, color=colour, alpha=0.15, lw=0)
        if ann_accuracy is not None:
            ax.axhline(100 * ann_accuracy, color="0.4", linestyle="--", linewidth=1, zorder=0,
                       label=f"ANN: {100 * ann_accuracy:.1f}%")  # fmt: skip
        spans = {f"{window * result.dt * 1e3:g} ms" for result in named.values()}
        span = spans.pop() if len(spans) == 1 else f"{window} steps"
        mean = "output at that step" if window == 1 else f"output averaged over {span}"
        ax.set(xlabel="time (ms)", ylabel=f"correct (%)\n{mean}", ylim=(0, 103))
        ax.set_xlim(0, max(result.n_steps * result.dt * 1e3 for result in named.values()))
        ax.legend(loc="lower right")
    return ax


def _of_array(outputs, about, dt):
    """Return a result with these outputs."""
    known = "a Result, a dict of one or more by their names, or "
    outputs = drawn_array(outputs, about, ("images", "steps", "classes"), nan=True, other=known)
    found = Result(
        {"output": (1, 1, outputs.shape[2])}, positive_time(dt, "plot.accuracy: dt", "1*ms"), outputs.shape[1]
    )
    found.outputs["output"] = outputs
    return found


def _interval(share, n):
    """Return Wilson's interval of shares of n images; equal shares are computed once. NaN where the share is NaN."""
    known, ends = ~np.isnan(share), np.full((2, len(share)), np.nan)
    if known.any():
        different, where = np.unique(np.rint(share[known] * n).astype(int), return_inverse=True)
        ends[:, known] = np.array(accuracy_interval(different, n))[:, where]
    return ends


def plot_comparison(comparison, layers=None, max_points=3000, seed=0):
    """
    Plot the activations of the SNN against those of the ANN, one panel per layer.

    This makes a figure of its own, and takes no axes; `brainsnn.plot.activations` draws one layer on yours.

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
        If it is something else than a comparison, ``layers`` is empty, activations are NaN, or a number is not a whole one in its
        range.
    UnknownNameError
        If a layer was not compared.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> model = bs.load_model("digits")
    >>> comparison = bs.compare_activations(model, bs.convert(model), load_digits("test")[0][:2], 50 * bs.ms, 20 * bs.ms)
    >>> figure = bs.plot.comparison(comparison)
    """
    about = "plot.comparison"
    layers = layer_names(layers, _compared_layers(comparison, about), f"{about}: layers")
    drawn = [compared(comparison, layer, about) for layer in layers]
    max_points = whole_number(max_points, f"{about}: max_points", 1)
    random = np.random.default_rng(whole_number(seed, f"{about}: seed", 0))
    rows = comparison.table.set_index("layer")
    n_columns = min(3, len(layers))
    n_rows = -(-len(layers) // n_columns)
    with style():
        size = (3.1 * n_columns, 3.1 * n_rows)
        figure, axes = plt.subplots(n_rows, n_columns, figsize=size, layout="constrained", squeeze=False)
        for ax, (name, ann, snn) in zip(axes.flat, drawn):
            draw_compared(ax, ann, snn, max_points, random)
            ax.set(title=f"{name}\nr = {rows.loc[name, 'correlation']:.4f}")
        for ax in axes.flat[len(layers) :]:
            ax.remove()
        figure.supxlabel("ANN activation", fontsize=10)
        figure.supylabel("SNN activation (filtered spikes)", fontsize=10)
    return figure


def _compared_layers(comparison, about):
    """Return the activations of the ANN by layer, after a check that it is a comparison."""
    ann, snn = (getattr(comparison, name, None) for name in ("ann", "snn"))
    if not isinstance(ann, Mapping) or not isinstance(snn, Mapping) or not hasattr(comparison, "table"):
        raise ValueError(
            f"{about}: comparison={brief(comparison)} must be what brainsnn.compare_activations returns; it compares a model "
            "and its spiking network."
        )
    return ann


def compared(comparison, layer, about):
    """
    Return the activations of a layer that was compared.

    Parameters
    ----------
    comparison : `~brainsnn.analysis.compare.ActivationComparison`
    layer : str
    about : str
        The function, for the message of an error.

    Returns
    -------
    name : str
        The population.
    ann, snn : (n,) ndarray

    Raises
    ------
    UnknownNameError
        If the layer was not compared.
    ValueError
        If it is something else than a comparison, or its activations differ in number, or are NaN.
    """
    activations = _compared_layers(comparison, about)
    # A comparison that was made by hand has a plain dict.
    name = activations.name_of(layer) if isinstance(activations, LayerDict) else layer
    if not isinstance(name, str) or name not in activations or name not in comparison.snn:
        raise UnknownNameError(layer, activations, "compared layer")
    what = f"{about}: comparison of {name!r}"
    ann, snn = (finite_array(values[name], what).ravel() for values in (activations, comparison.snn))
    if ann.size != snn.size:
        raise ValueError(f"{what} has {ann.size} activations of the ANN and {snn.size} of the SNN; compare again.")
    return name, ann, snn


def draw_compared(ax, ann, snn, max_points, random):
    """Draw activations of the SNN against those of the ANN, and the line on which they are equal."""
    chosen = random.choice(ann.size, min(max_points, ann.size), replace=False)
    ax.scatter(ann[chosen], snn[chosen], s=4, alpha=0.4, linewidth=0, rasterized=True)
    top = 1.03 * max(ann[chosen].max(), snn[chosen].max(), 1e-9)
    low = min(0.0, ann[chosen].min(), snn[chosen].min())
    ax.plot([low, top], [low, top], color="0.4", linestyle="--", linewidth=1)
    ax.set_aspect("equal")


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

    Examples
    --------
    >>> from pathlib import Path
    >>> from brainsnn.analysis import plot_training
    >>> header = "stage,loss,accuracy,validation_accuracy,reconstruction"
    >>> _ = Path("log.csv").write_text(f"{header}\\nann,2.1,0.4,0.5,30\\nsnn,1.2,0.7,0.7,20\\n")
    >>> figure = plot_training("log.csv")
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
