"""Monitors of the user's that record at the same point of a step as results do, and the images of their rows."""

from collections.abc import Iterable
from typing import Any

import numpy as np
from brian2 import EventMonitor, PopulationRateMonitor, StateMonitor, get_device

from brainsnn.builders.devices.active_device import make_active, nothing_left_on_error
from brainsnn.builders.network.monitors import recorded_neurons, variable_names
from brainsnn.builders.spiking_network import SpikingNetwork
from brainsnn.errors import UnknownNameError

__all__ = ["monitor", "monitored_images"]


def monitor(snn: SpikingNetwork, layer: str, variables: str | Iterable[str], neurons: Any = True) -> StateMonitor:
    """
    Add a Brian2 StateMonitor that records what ``result.states`` would hold: values at the end of each step.

    After a run it holds all images of that run, one after the other, on every device that takes objects of the user's.
    ``monitor.t`` is the time in the trial, and `monitored_images` returns the image of each row.

    Parameters
    ----------
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`
        Before its first run if the device compiles a program.
    layer : str
    variables : str or iterable of str
        Variables, subexpressions or parameters of the equations.
    neurons : optional
        As in ``convert(record=...)``: True for all, flat indices, (row, column, channel) tuples, or a boolean mask.

    Returns
    -------
    monitor : `~brian2.monitors.statemonitor.StateMonitor`
        With ``when="end"``; it has been added to ``snn.network``.

    Raises
    ------
    UnknownNameError
        If the layer or a variable does not exist.
    IndexError, ValueError
        If a neuron does not exist, or is given twice; if no variable is named, or an argument has the wrong type.
    DeviceLimitError
        If the device takes no objects of the user's.
    RuntimeError
        If the network has been compiled, or is running.

    See Also
    --------
    brainsnn.convert : ``record=`` records into the result, which can be saved and streamed to disk.

    Examples
    --------
    >>> import brainsnn as bs
    >>> snn = bs.convert(bs.load_model("digits"))
    >>> probe = bs.monitor(snn, "conv2", ["S", "theta"], neurons=[(5, 7, 3)])
    >>> probe.when
    'end'
    """
    if not isinstance(snn, SpikingNetwork):
        raise ValueError(f"monitor: snn must be what convert returns, got {snn!r:.100}.")
    name = snn.populations.name_of(layer)
    group = snn.populations[name]
    variables = variable_names(variables, f"monitor: {name!r}")
    if not variables:
        raise ValueError(
            f"monitor: {name!r}: there are no variables to record. Name some, such as [{next(iter(group.equations))!r}]."
        )
    for variable in variables:
        if variable not in group.equations:
            note = "record={layer: ['spikes']} or a SpikeMonitor records spikes." if variable == "spikes" else None
            raise UnknownNameError(variable, group.equations, f"variable of {name!r}", note)
    shape = snn._assembly.shapes.get(name, (len(group), 1, 1))
    indices = recorded_neurons(neurons, shape, len(group), f"monitor: {name!r}, neurons")
    with snn._guard:
        snn._backend.check_added()
        before = get_device()
        with snn._preferences(), nothing_left_on_error():
            snn._backend.activate()
            made = StateMonitor(group, variables, record=indices, when="end")
        if get_device() is not before:
            make_active(before, getattr(before, "build_on_run", True))
        snn.network.add(made)
    return made


def monitored_images(monitor: StateMonitor | PopulationRateMonitor) -> np.ndarray:
    """
    Return the image that each row of a monitor belongs to.

    Parameters
    ----------
    monitor : `~brian2.monitors.statemonitor.StateMonitor` or `~brian2.monitors.ratemonitor.PopulationRateMonitor`
        In ``snn.network``, after a run.

    Returns
    -------
    images : (n_rows,) ndarray of int
        Index of the image in the run: ``monitor.S[:, images == 3]`` is that of the fourth one, at the times
        ``monitor.t[images == 3]`` of its trial.

    Raises
    ------
    ValueError
        If it records events: an image without events leaves no row; or if it is not a monitor.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"))
    >>> probe = bs.monitor(snn, "conv2", ["S"], neurons=[(5, 7, 3)])
    >>> result = snn.run(load_digits("test")[0][:2], 20 * bs.ms)
    >>> probe.S[:, bs.monitored_images(probe) == 1].shape  # of the second image
    (1, 20)
    """
    if isinstance(monitor, EventMonitor):
        raise ValueError(
            f"monitored_images: {monitor.name} records events, and an image without events leaves no trace in it. Record spikes "
            "with convert(record={layer: ['spikes']}), which keeps images apart."
        )
    if not isinstance(monitor, StateMonitor | PopulationRateMonitor):
        raise ValueError(f"monitored_images: give a monitor, such as brainsnn.monitor returns, got {monitor!r:.100}.")
    times = np.asarray(monitor.t[:])
    return np.cumsum(np.diff(times, prepend=-1.0) <= 0)
