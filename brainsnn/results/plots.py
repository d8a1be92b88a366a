"""Plots of one result: traces of state variables, and spike rasters."""

from collections.abc import Mapping

import numpy as np
from brian2 import Quantity, get_dimensions, get_unit
from brian2.units.allunits import all_units
from brian2.units.fundamentalunits import DIMENSIONLESS

from brainsnn.errors import UnknownNameError
from brainsnn.one_line import brief
from brainsnn.plain_arrays import whole_number
from brainsnn.plot_style import PALETTE, axes_for, style
from brainsnn.results.drawn import one_result, only_of_results
from brainsnn.results.neuron_traces import NeuronTraces, given_traces
from brainsnn.results.selection import chosen_image
from brainsnn.results.threshold import ThresholdSides, threshold_sides

__all__ = ["plot_raster", "plot_traces"]


def _label_and_scale(variable, unit, own):
    """Return the legend entry, and the factor from SI units to the unit shown; ``own`` is the SI unit or None."""
    if unit is None or get_dimensions(unit).is_dimensionless:
        return (variable if own in (None, "1") else f"{variable} ({own})"), 1.0
    name = str(getattr(unit, "dispname", "") or get_unit(get_dimensions(unit)))
    return f"{variable} ({name})", 1 / float(Quantity(unit))


def _checked_units(units, traces, own):
    """Return the unit of each variable that has one, after a check that they can be those of the traces."""
    units = {} if units is None else units
    dimensions = {"1": DIMENSIONLESS} | {name: unit.dim for unit in all_units for name in (str(unit), repr(unit))}
    if not isinstance(units, Mapping):
        raise ValueError(f"plot.traces: units={brief(units)} must be a dict of variable to unit, such as {{'v': mV}}.")
    for variable, unit in units.items():
        if variable not in traces:
            raise UnknownNameError(variable, traces, "plotted variable, for units")
        if not isinstance(unit, Quantity) or unit.ndim or not float(unit) > 0:
            raise ValueError(f"plot.traces: units[{variable!r}]={brief(unit)} must be a unit of Brian2, such as mV.")
        known = own.get(variable)
        if known in dimensions and unit.dim is not dimensions[known]:  # compound units are not checked
            raise ValueError(
                f"plot.traces: units[{variable!r}]={brief(unit)} does not fit: the unit of {variable!r} is {known}. Give a "
                "multiple of it, or leave it out."
            )
    return units


def plot_traces(
    result, layer=None, neuron=None, image=0, variables=None, ax=None, units=None, threshold=None, dt=None, spikes=None
):
    """
    Plot recorded state variables of one neuron over time, with its spikes as ticks above.

    Values are those at the end of each step, so in the step of a spike they are those after the reset.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result` or dict of str to (n_steps,) array_like or Quantity
        Or the variables of one neuron of any network, with a unit or in SI units.
    layer : str
        Name of the population of a result.
    neuron : int or tuple of int
        Flat index or (row, column, channel), in a result.
    image : int, optional
        Image of a result.
    variables : list of str, optional
        By default, all of a dict; of a result the two sides of the threshold condition if what they need is recorded, else all
        recorded variables.
    ax : `matplotlib.axes.Axes`, optional
    units : dict of str to `~brian2.units.fundamentalunits.Unit`, optional
        Units of the plotted variables, or sides of the threshold, such as ``{"v": mV}``. Results contain numbers in SI units;
        variables without an entry are plotted in SI units.
    threshold : bool, optional
        Whether to plot what the condition for a spike compares, such as ``S - S_hat`` and ``theta/2``, beside ``variables``. If
        not, the title gives the condition. Only for a result.
    dt : float or `~brian2.units.fundamentalunits.Quantity`, optional
        Time step of a dict of variables, in seconds; a result has its own.
    spikes : (n_spikes,) array_like or `~brian2.units.fundamentalunits.Quantity`, optional
        When the neuron of a dict of variables spikes, in seconds; a result has its own.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the layer, a variable (also of the threshold, for ``threshold=True``), the neuron or the image was not recorded.
    ValueError
        If ``threshold=True`` and the population has no condition that compares two expressions; if nothing is left to draw, as
        of a silent neuron without recorded states; or if a unit does not fit its variable. If a dict comes without ``dt`` or with
        what chooses from a result, or a result with ``dt`` or ``spikes``; or if variables or spikes do not have the form above.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"), record={"conv2": ["spikes", "S", "S_hat", "theta"]})
    >>> ax = bs.plot.traces(snn.run(load_digits("test")[0][:1], 50 * bs.ms), "conv2", (5, 7, 3))
    >>> ax = bs.plot.traces({"v": [0.0, 0.3, 0.6, 0.1]}, dt=1 * bs.ms, spikes=[0.002])
    """
    if isinstance(result, Mapping):
        chosen = {"layer": (layer, None), "neuron": (neuron, None), "image": (image, 0), "threshold": (threshold, None)}
        only_of_results("plot.traces", "result", result, **chosen)
        shown = given_traces(result, _checked_variables(variables, None), dt, spikes)
    else:
        one_result(result, "plot.traces: result", "a dict of variables")
        for name, value in (("dt", dt), ("spikes", spikes)):
            if value is not None:
                raise ValueError(
                    f"plot.traces: {name}={brief(value)} goes with a dict of variables; a Result has its own, leave it out."
                )
        shown = _recorded_traces(result, layer, neuron, image, variables, threshold)
    units = _checked_units(units, shown.traces, shown.units)
    with style():
        ax = axes_for(ax, (7, 3.2), "plot.traces")
        _draw_traces(ax, shown, units)
    return ax


def _recorded_traces(result, layer, neuron, image, variables, threshold):
    """Return what is drawn of a neuron of a result."""
    if not isinstance(layer, str) or layer not in result.states and layer not in result.spikes:
        layer = result.states.name_of(layer)
    image = chosen_image(image, result.n_images, "plot.traces")
    index, model = result.index_of(layer, neuron), result.models.get(layer)
    variables, rule = _checked_variables(variables, threshold), threshold_sides(model)
    traces, sides = _traces(result, layer, index, image, variables, rule, threshold)
    traces |= sides
    spike_times = _spike_times(result, layer, index, image)
    if not traces and (spike_times is None or not len(spike_times)):
        _refuse_nothing(result, layer, neuron, image, variables, spike_times)
    own, title = {} if model is None else model.units, _title(layer, neuron, None if sides else rule, traces)
    value = "value after the reset" if sides else "value"
    return NeuronTraces(traces, own, spike_times, result.times, result.n_steps * result.dt * 1e3, title, value)


def _draw_traces(ax, shown, units):
    """Draw the traces of a neuron, its spikes above, and a legend beside."""
    labels = {v: _label_and_scale(v, units.get(v), shown.units.get(v)) for v in shown.traces}
    for k, (variable, (label, factor)) in enumerate(labels.items()):
        ax.plot(shown.times, shown.traces[variable] * factor, label=label, color=PALETTE[k % len(PALETTE)])
    if shown.spikes is not None:
        _draw_ticks(ax, shown.spikes)
    ax.set(xlabel="time (ms)", xlim=(0, shown.lasts), title=shown.title)
    plain = shown.title and not units and all(shown.units.get(v, "1") == "1" for v in shown.traces)
    ax.set_ylabel(
        next(iter(labels.values()))[0] if len(labels) == 1 else f"{shown.value} (ANN units)" if plain else shown.value
    )
    if len(labels) + (shown.spikes is not None) > 1:
        ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _spike_times(result, layer, index, image):
    """Return when a neuron spikes, (n_spikes,) in ms, or None if its spikes were not recorded."""
    if layer not in result.spikes or index not in result.spike_neurons.get(layer, (index,)):
        return None
    neurons, steps = result.spikes[layer][image]
    return steps[neurons == index] * result.dt * 1e3


def _refuse_nothing(result, layer, neuron, image, variables, spike_times):
    """Refuse axes on which nothing would be drawn, and say what to record."""
    recorded, model = list(result.states.get(layer, ())), result.models.get(layer)
    names = ["spikes", *(["v"] if model is None else model.units)]
    why = "its spikes were not recorded" if spike_times is None else f"it does not spike in image {image}"
    fix = f"draw variables={recorded}" if recorded else f"record variables: convert with record={{{layer!r}: {names}}}"
    raise ValueError(
        f"plot.traces: of neuron={neuron!r} of {layer!r}, nothing is left to draw with variables={variables!r}: {why}. To see "
        f"how its state changes, {fix}."
    )


def _checked_variables(variables, threshold):
    """Return the variables as a list, or None for what is drawn by default."""
    if not isinstance(variables, (str, list, tuple, type(None))) or not all(
        isinstance(v, str) for v in variables or ()
    ):
        raise ValueError(f"plot.traces: variables={brief(variables)} must be a list of names, such as ['v'], or None.")
    if threshold is not None and not isinstance(threshold, (bool, np.bool_)):
        raise ValueError(f"plot.traces: threshold={brief(threshold)} must be True, False or None.")
    return [variables] if isinstance(variables, str) else variables


def _title(layer, neuron, rule, traces):
    """Return layer and neuron, and the condition for a spike if a trace is part of it."""
    where = neuron if np.ndim(neuron) == 0 else tuple(int(k) for k in neuron)
    shown = rule is not None and not traces.keys().isdisjoint(rule.variables)
    return f"{layer}, neuron {where}" + (f"; spikes when {rule.condition}" if shown else "")


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
            f"plot.traces: {name!r} has {what}; threshold=True needs one that compares two expressions. Leave threshold out."
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
        Of a larger population, about this many neurons are shown, evenly spaced. The title says so. Rows of neurons that were not
        recorded are grey.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    UnknownNameError, IndexError
        If the spikes were not recorded, or the image does not exist.

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import plot_raster
    >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=5)
    >>> result.spikes["conv"] = [(np.array([3, 0]), np.array([2, 4]))]
    >>> ax = plot_raster(result, "conv")
    """
    one_result(result, "plot_raster: result")
    name, image = result.spikes.name_of(layer), chosen_image(image, result.n_images, "plot_raster")
    max_neurons = whole_number(max_neurons, "plot_raster: max_neurons", 1)
    n_neurons, n_channels = int(np.prod(result.shapes[name])), result.shapes[name][2]
    known = np.sort(result.spike_neurons.get(name, np.arange(n_neurons)))
    stride = max(1, round(len(known) / max_neurons))
    # A stride that has no common divisor with the number of channels samples all channels.
    while stride > 1 and np.gcd(stride, n_channels) > 1:
        stride += 1
    neurons, steps = result.spikes[name][image]
    kept, lasts = np.isin(neurons, known[::stride]), result.n_steps * result.dt * 1e3
    with style():
        ax = axes_for(ax, (7, 3.2), "plot_raster")
        size = np.clip(900 / max(1, n_neurons / stride), 1.0, 14.0)
        ax.scatter(steps[kept] * result.dt * 1e3, neurons[kept], s=size, marker="|", linewidth=0.6, color="black",
                   rasterized=True)  # fmt: skip
        shown = f"{len(known):,} neurons" if stride == 1 else f"1 in {stride} of {len(known):,} neurons"
        if len(known) < n_neurons:
            shown += f" recorded of {n_neurons:,} (grey: not recorded)"
            absent = ~np.isin(np.arange(n_neurons), known)[:, None]
            ax.imshow(np.where(absent, 1.0, np.nan), cmap="Greys", vmin=0, vmax=6, aspect="auto", interpolation="nearest",
                      origin="lower", extent=(0, lasts, -0.5, n_neurons - 0.5))  # fmt: skip
        ax.set(xlabel="time (ms)", ylabel="neuron", title=f"{layer}: {shown}")
        ax.set(xlim=(0, lasts), ylim=(-0.5, n_neurons - 0.5))
    return ax
