"""Plots of one result: traces of state variables, and spike rasters."""

import matplotlib.pyplot as plt
import numpy as np
from brian2 import Quantity, get_dimensions, get_unit

from brainsnn.errors import UnknownNameError
from brainsnn.plot_style import PALETTE, style
from brainsnn.results.selection import chosen_image
from brainsnn.results.threshold import ThresholdSides, threshold_sides

__all__ = ["plot_raster", "plot_traces"]


def _axes(ax, size):
    return ax if ax is not None else plt.subplots(figsize=size, layout="constrained")[1]


def _label_and_scale(variable, unit, own):
    """Return the legend entry, and the factor from SI units to the unit shown; ``own`` is the SI unit or None."""
    if unit is None or get_dimensions(unit).is_dimensionless:
        return (variable if own in (None, "1") else f"{variable} ({own})"), 1.0
    name = unit if isinstance(unit, str) else str(getattr(unit, "dispname", "") or get_unit(get_dimensions(unit)))
    return f"{variable} ({name})", 1 / float(Quantity(unit))


def plot_traces(result, layer, neuron, image=0, variables=None, ax=None, units=None, threshold=None):
    """
    Plot recorded state variables of one neuron over time, with its spikes as ticks above.

    Values are those at the end of each step, so in the step of a spike they are those after the reset.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer : str
        Name of the population.
    neuron : int or tuple of int
        Flat index or (row, column, channel).
    image : int, optional
    variables : list of str, optional
        By default, the two sides of the threshold condition if what they need is recorded, else all recorded variables.
    ax : `matplotlib.axes.Axes`, optional
    units : dict of str to `~brian2.units.fundamentalunits.Unit`, optional
        Units of the plotted variables, or sides of the threshold, such as ``{"v": mV}``. Results contain numbers in SI units;
        variables without an entry are plotted in SI units.
    threshold : bool, optional
        Whether to plot what the condition for a spike compares, such as ``S - S_hat`` and ``theta/2``, beside ``variables``. If
        not, the title gives the condition.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the layer, a variable (also of the threshold, for ``threshold=True``), the neuron or the image was not recorded.
    ValueError
        If ``threshold=True`` and the population has no condition that compares two expressions.
    """
    if layer not in result.states and layer not in result.spikes:
        result.states.name_of(layer)
    image = chosen_image(image, result.n_images, "plot_traces")
    index, model = result.index_of(layer, neuron), result.models.get(layer)
    variables, rule = [variables] if isinstance(variables, str) else variables, threshold_sides(model)
    traces, sides = _traces(result, layer, index, image, variables, rule, threshold)
    traces |= sides
    for variable in units or {}:
        if variable not in traces:
            raise UnknownNameError(variable, traces, "plotted variable, for units")
    own = {} if model is None else model.units
    with style():
        ax = _axes(ax, (7, 3.2))
        shown = {v: _label_and_scale(v, (units or {}).get(v), own.get(v)) for v in traces}
        for k, (variable, (label, factor)) in enumerate(shown.items()):
            ax.plot(result.times, traces[variable] * factor, label=label, color=PALETTE[k % len(PALETTE)])
        if layer in result.spikes:
            neurons, steps = result.spikes[layer][image]
            _draw_ticks(ax, steps[neurons == index] * result.dt * 1e3)
        where = neuron if np.ndim(neuron) == 0 else tuple(int(k) for k in neuron)
        title = f"{layer}, neuron {where}"
        if rule is not None and not sides and not traces.keys().isdisjoint(rule.variables):
            title += f"; spikes when {rule.condition}"
        ax.set(xlabel="time (ms)", xlim=(0, result.n_steps * result.dt * 1e3), title=title)
        labels = [label for label, _ in shown.values()]
        plain = not units and all(own.get(v, "1") == "1" for v in traces)
        value = "value after the reset" if sides else "value"
        ax.set_ylabel(labels[0] if len(labels) == 1 else f"{value} (ANN units)" if plain else value)
        if len(labels) + (layer in result.spikes) > 1:
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return ax


def _traces(result, layer, index, image, variables, rule, threshold):
    """Return the traces of variables, and those of the sides of the threshold (dict of str to ndarray, each)."""
    recorded = result.states.get(layer, {})
    missing = [] if rule is None else [variable for variable in rule.variables if variable not in recorded]
    if threshold:
        _check_rule(rule, missing, result.shapes.name_of(layer), recorded)
    elif threshold is None:
        threshold = variables is None and rule is not None and bool(rule.sides) and not missing
    if variables is None:
        variables = [] if threshold else list(recorded)
    if not threshold:
        rule = ThresholdSides("", (), (), {})
    traces, states = (
        {variable: result.trace(layer, variable, index, image) for variable in names}
        for names in (variables, rule.variables)
    )
    return traces, {side: rule.values(side, states, result.times / 1e3) for side in rule.sides}


def _check_rule(rule, missing, name, recorded):
    """Refuse a threshold that cannot be plotted."""
    if rule is None or not rule.sides:
        what = "no threshold that this result knows" if rule is None else f"the threshold {rule.condition!r}"
        raise ValueError(
            f"plot_traces: {name!r} has {what}; threshold=True needs one that compares two expressions. Leave threshold out."
        )
    if missing:
        record = {name: ["spikes", *rule.variables]}
        note = (
            f"The threshold is {rule.condition!r}; record {', '.join(missing)} as well: convert with record={record}."
        )
        raise UnknownNameError(missing[0], recorded, f"recorded variable of {name!r}", note)


def _draw_ticks(ax, times):
    """Draw spikes as ticks in a separate lane above the traces."""
    low, high = ax.get_ylim()
    lane = 0.07 * (high - low)
    ax.vlines(times, high + 0.3 * lane, high + 1.3 * lane, color="black", linewidth=0.9, label="spikes")
    ax.set_ylim(low, high + 1.6 * lane)


def plot_raster(result, layer, image=0, ax=None, max_neurons=400):
    """
    Plot the spikes of a population, one row per neuron.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer : str
        Name of the population.
    image : int, optional
    ax : `matplotlib.axes.Axes`, optional
    max_neurons : int, optional
        Of a larger population, about this many neurons are shown, evenly spaced. The title says so.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the spikes were not recorded, or the image does not exist.
    """
    trains = result.spikes[layer]
    image = chosen_image(image, result.n_images, "plot_raster")
    n_neurons = int(np.prod(result.shapes[layer]))
    stride = max(1, round(n_neurons / max_neurons))
    # A stride that has no common divisor with the number of channels samples all channels.
    while stride > 1 and np.gcd(stride, result.shapes[layer][2]) > 1:
        stride += 1
    neurons, steps = trains[image]
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
