"""Plots of one result: traces of state variables, and spike rasters."""

from operator import index as index_of

import matplotlib.pyplot as plt
import numpy as np
from brian2 import Quantity, get_dimensions, get_unit

from brainsnn.errors import UnknownNameError
from brainsnn.plot_style import PALETTE, style

__all__ = ["plot_raster", "plot_traces"]


def _axes(ax, size):
    return ax if ax is not None else plt.subplots(figsize=size, layout="constrained")[1]


def _check_image(result, image):
    if not 0 <= image < result.n_images:
        raise IndexError(f"image={image} does not exist; the result has {result.n_images} images, numbered from 0.")


def _flat_index(result, layer, neuron):
    shape = result.shapes[layer]
    try:
        index = index_of(neuron) if np.ndim(neuron) == 0 else int(np.ravel_multi_index(tuple(neuron), shape))
    except (TypeError, ValueError):
        raise IndexError(f"Neuron {neuron} of {layer!r} does not exist; its shape is {shape}.") from None
    if not 0 <= index < np.prod(shape):
        raise IndexError(f"Neuron {neuron} of {layer!r} does not exist; it has {np.prod(shape)} neurons.")
    return index


def _label_and_scale(variable, unit):
    """Return the legend entry, and the factor from SI units to the unit shown."""
    if unit is None or get_dimensions(unit).is_dimensionless:
        return variable, 1.0
    name = unit if isinstance(unit, str) else str(getattr(unit, "dispname", "") or get_unit(get_dimensions(unit)))
    return f"{variable} ({name})", 1 / float(Quantity(unit))


def plot_traces(result, layer, neuron, image=0, variables=None, ax=None, units=None):
    """
    Plot recorded state variables of one neuron over time, with its spikes as ticks above.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer : str
        Name of the population.
    neuron : int or tuple of int
        Flat index or (row, column, channel).
    image : int, optional
    variables : list of str, optional
        All recorded variables by default.
    ax : `matplotlib.axes.Axes`, optional
    units : dict of str to `~brian2.units.fundamentalunits.Unit`, optional
        Units of the plotted variables, such as ``{"v": mV}``. Results contain numbers in SI units; variables without an entry
        are plotted in SI units.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the layer, the variable, the neuron or the image was not recorded.
    """
    if layer not in result.states and layer not in result.spikes:
        known = dict.fromkeys([*result.states, *result.spikes])
        raise UnknownNameError(layer, known, "recorded population", f"Convert with record={{{layer!r}: ['S']}}.")
    _check_image(result, image)
    index = _flat_index(result, layer, neuron)
    variables = [variables] if isinstance(variables, str) else variables
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
    if layer not in result.spikes:
        raise UnknownNameError(layer, result.spikes, "population with recorded spikes", "Record its 'spikes'.")
    _check_image(result, image)
    n_neurons = int(np.prod(result.shapes[layer]))
    stride = max(1, round(n_neurons / max_neurons))
    # A stride that has no common divisor with the number of channels samples all channels.
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
