"""Plots of results: traces, rasters, accuracy over time, ANN against SNN."""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import Quantity, get_dimensions, get_unit

__all__ = [
    "PALETTE", "plot_accuracy_over_time", "plot_comparison", "plot_raster", "plot_traces", "plot_training", "style",
]  # fmt: skip

#: Colours that colour-blind readers can tell apart, the darkest first (Okabe and Ito 2008).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def style():
    """
    A plain style: few lines, type that is readable at the size shown. Use it as ``with style(): ...``.

    Returns
    -------
    context : context manager
    """
    return plt.rc_context(
        {
            "axes.prop_cycle": plt.cycler(color=PALETTE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "font.size": 10,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "lines.linewidth": 1.4,
            "figure.dpi": 110,
            "savefig.dpi": 150,
            "svg.fonttype": "none",
            "svg.hashsalt": "brainsnn",
        }
    )


def _axes(ax, size):
    return ax if ax is not None else plt.subplots(figsize=size, layout="constrained")[1]


def _check_image(result, image):
    if not 0 <= image < result.n_images:
        raise IndexError(f"image={image} does not exist; the result has {result.n_images} images, counted from 0.")


def _flat_index(result, layer, neuron):
    shape = result.shapes[layer]
    try:
        index = int(neuron) if np.ndim(neuron) == 0 else int(np.ravel_multi_index(tuple(neuron), shape))
    except ValueError:
        raise IndexError(f"Neuron {neuron} of {layer!r} does not exist; its shape is {shape}.") from None
    if not 0 <= index < np.prod(shape):
        raise IndexError(f"Neuron {neuron} of {layer!r} does not exist; it has {np.prod(shape)} neurons.")
    return index


def _label_and_scale(variable, unit):
    """Legend entry and the factor from SI units to the unit that is shown."""
    if unit is None or get_dimensions(unit).is_dimensionless:
        return variable, 1.0
    name = unit if isinstance(unit, str) else str(getattr(unit, "dispname", "") or get_unit(get_dimensions(unit)))
    return f"{variable} ({name})", 1 / float(Quantity(unit))


def plot_traces(result, layer, neuron, image=0, variables=None, ax=None, units=None):
    """
    Draw recorded state variables of one neuron over time, and its spikes as ticks above them.

    Parameters
    ----------
    result : `~brainsnn.builders.result.Result`
    layer : str
        Name of the population.
    neuron : int or tuple of int
        Flat index or (row, column, channel).
    image : int, optional
    variables : list of str, optional
        All recorded ones by default.
    ax : `matplotlib.axes.Axes`, optional
    units : dict of str to `~brian2.units.fundamentalunits.Unit`, optional
        Units in which variables are drawn, such as ``{"v": mV}``. Results hold numbers in SI units; variables without
        an entry are drawn as they are.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the variable, the neuron or the image was not recorded.
    """
    from brainsnn.errors import UnknownNameError

    if layer not in result.states and layer not in result.spikes:
        known = dict.fromkeys([*result.states, *result.spikes])
        raise UnknownNameError(layer, known, "recorded population", f"Convert with record={{{layer!r}: ['S']}}.")
    _check_image(result, image)
    index = _flat_index(result, layer, neuron)
    variables = list(result.states.get(layer, {}) if variables is None else variables)
    labels = []
    with style():
        ax = _axes(ax, (7, 3.2))
        for k, variable in enumerate(variables):
            label, factor = _label_and_scale(variable, (units or {}).get(variable))
            labels.append(label)
            trace = result.trace(layer, variable, index, image) * factor
            ax.plot(result.times, trace, label=label, color=PALETTE[k % len(PALETTE)])
        if layer in result.spikes:
            neurons, steps = result.spikes[layer][image]
            _draw_ticks(ax, steps[neurons == index] * result.dt * 1e3)
        where = neuron if np.ndim(neuron) == 0 else tuple(int(k) for k in neuron)
        ax.set(xlabel="time (ms)", xlim=(0, result.n_steps * result.dt * 1e3), title=f"{layer}, neuron {where}")
        ax.set_ylabel(labels[0] if len(labels) == 1 else "value (ANN units)" if not units else "value")
        if len(labels) + (layer in result.spikes) > 1:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _draw_ticks(ax, times):
    """Spikes as ticks in a lane of their own above the traces."""
    low, high = ax.get_ylim()
    lane = 0.07 * (high - low)
    ax.vlines(times, high + 0.3 * lane, high + 1.3 * lane, color="black", linewidth=0.9, label="spikes")
    ax.set_ylim(low, high + 1.6 * lane)


def plot_raster(result, layer, image=0, ax=None, max_neurons=400):
    """
    Draw the spikes of a population, one row per neuron.

    Parameters
    ----------
    result : `~brainsnn.builders.result.Result`
    layer : str
        Name of the population.
    image : int, optional
    ax : `matplotlib.axes.Axes`, optional
    max_neurons : int, optional
        A larger population is thinned to about as many neurons, evenly spaced; the title says so.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the spikes were not recorded, or there is no such image.
    """
    from brainsnn.errors import UnknownNameError

    if layer not in result.spikes:
        raise UnknownNameError(layer, result.spikes, "population with recorded spikes", "Record its 'spikes'.")
    _check_image(result, image)
    n_neurons = int(np.prod(result.shapes[layer]))
    stride = max(1, round(n_neurons / max_neurons))
    # A stride that shares no divisor with the number of channels does not pick the same channels everywhere.
    while stride > 1 and np.gcd(stride, result.shapes[layer][2]) > 1:
        stride += 1
    neurons, steps = result.spikes[layer][image]
    kept = neurons % stride == 0
    with style():
        ax = _axes(ax, (7, 3.2))
        size = np.clip(900 / max(1, n_neurons / stride), 1.0, 14.0)
        ax.scatter(steps[kept] * result.dt * 1e3, neurons[kept], s=size, marker="|", linewidth=0.6, color="black",
                   rasterized=True)  # fmt: skip
        shown = f"{n_neurons:,} neurons" if stride == 1 else f"1 in {stride} of {n_neurons:,} neurons"
        ax.set(xlabel="time (ms)", ylabel="neuron", title=f"{layer}: {shown}")
        ax.set(xlim=(0, result.n_steps * result.dt * 1e3), ylim=(-0.5, n_neurons - 0.5))
    return ax


def plot_accuracy_over_time(results, labels, ann_accuracy=None, window=1, ax=None):
    """
    Draw the share of correctly classified images at every step.

    Parameters
    ----------
    results : `~brainsnn.builders.result.Result` or dict of str to Result
        One result, or several with the names of their lines.
    labels : (n,) array_like of int
    ann_accuracy : float, optional
        Accuracy of the artificial network on the same images, drawn as a dashed line.
    window : int, optional
        Number of steps over which the output is averaged before the decision, ending at each step.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`
    """
    results = results if isinstance(results, dict) else {"SNN": results}
    with style():
        ax = _axes(ax, (6, 3.6))
        for k, (name, result) in enumerate(results.items()):
            accuracy = 100 * result.accuracy(labels, window=window)
            ax.plot(result.times, accuracy, label=f"{name}: {accuracy[-1]:.1f}%", color=PALETTE[k % len(PALETTE)])
        if ann_accuracy is not None:
            ax.axhline(100 * ann_accuracy, color="0.4", linestyle="--", linewidth=1, zorder=0,
                       label=f"ANN: {100 * ann_accuracy:.1f}%")  # fmt: skip
        mean = "output at that step" if window == 1 else f"output averaged over {window * result.dt * 1e3:g} ms"
        ax.set(xlabel="time (ms)", ylabel=f"correct (%)\n{mean}", ylim=(0, 103))
        ax.set_xlim(0, max(result.n_steps * result.dt * 1e3 for result in results.values()))
        ax.legend(loc="lower right")
    return ax


def plot_comparison(comparison, layers=None, max_points=3000, seed=0):
    """
    Draw the activations of the SNN against those of the ANN, one panel for each layer.

    Parameters
    ----------
    comparison : `~brainsnn.analysis.compare.ActivationComparison`
    layers : list of str, optional
        All by default.
    max_points : int, optional
        A random subset of so many points is drawn in each panel.
    seed : int, optional
        Seed of that choice.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    layers = list(comparison.ann) if layers is None else list(layers)
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


def plot_training(path):
    """
    Plot the log of a training with predictive feedback: both stages, epoch by epoch.

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
        If the file holds no epoch.
    """
    import pandas as pd

    log = pd.read_csv(path)
    if log.empty:
        raise ValueError(f"plot_training: {str(path)!r} holds no epoch yet.")
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
