"""The variables and spikes of one neuron that a figure shows, and those that are given as plain data."""

from dataclasses import dataclass

import numpy as np
from brian2 import get_unit, second
from brian2.units.fundamentalunits import DIMENSIONLESS

from brainsnn.errors import UnknownNameError
from brainsnn.one_line import brief
from brainsnn.plain_arrays import plain_array
from brainsnn.results.drawn import drawn_array, positive_time

__all__ = ["NeuronTraces", "given_traces"]


@dataclass(frozen=True)
class NeuronTraces:
    """
    What is drawn of a neuron.

    Parameters
    ----------
    traces : dict of str to (n_steps,) ndarray
        In SI units.
    units : dict of str to str
        Unit of each variable that is known, ``"1"`` for numbers without one.
    spikes : (n_spikes,) ndarray or None
        In ms; None if they are not known.
    times : (n_steps,) ndarray
        In ms.
    lasts : float
        Duration of the trial, in ms.
    title : str
    value : str
        What several variables share, for the label of the axis.
    """

    traces: dict[str, np.ndarray]
    units: dict[str, str]
    spikes: np.ndarray | None
    times: np.ndarray
    lasts: float
    title: str
    value: str


def given_traces(values, variables, dt, spikes):
    """
    Return the variables of a neuron that are given as arrays.

    Parameters
    ----------
    values : dict of str to (n_steps,) array_like or `~brian2.units.fundamentalunits.Quantity`
    variables : list of str or None
        Those that are drawn, all if None.
    dt : float or `~brian2.units.fundamentalunits.Quantity`
        Time step, in seconds.
    spikes : (n_spikes,) array_like or `~brian2.units.fundamentalunits.Quantity` or None
        In seconds.

    Returns
    -------
    shown : NeuronTraces

    Raises
    ------
    UnknownNameError
        If a variable is not in the dict.
    ValueError
        If variables or spikes have another form, differ in their steps, or nothing is left to draw.
    """
    about = "plot.traces: result"
    named = {str(name): own for name, own in values.items()}
    for name in variables or ():
        if name not in named:
            raise UnknownNameError(name, named, "variable of the dict")
    traces, units = {}, {}
    for name in named if variables is None else variables:
        dim = getattr(named[name], "dim", DIMENSIONLESS)
        own = traces[name] = drawn_array(named[name], f"{about}[{name!r}]", ("steps",), True, "a variable, ", dim)
        units[name] = "1" if dim is DIMENSIONLESS else str(get_unit(dim))
        first = next(iter(traces))
        if len(own) != len(traces[first]):
            raise ValueError(
                f"{about}[{name!r}] holds {len(own)} steps, and {first!r} {len(traces[first])}; give the same steps."
            )
    if not traces:
        raise ValueError(
            f"{about}={brief(values)} holds nothing to draw with variables={variables}; give one variable or more."
        )
    dt, n_steps = positive_time(dt, "plot.traces: dt", "1*ms"), len(next(iter(traces.values())))
    lasts = n_steps * dt
    fired = None if spikes is None else plain_array(spikes, "plot.traces: spikes", float, second.dim)
    if fired is not None and (fired.ndim != 1 or not ((fired >= 0) & (fired <= lasts)).all()):
        raise ValueError(
            f"plot.traces: spikes={brief(spikes)} must be times (n_spikes,) in seconds, within the trial of {lasts:g} s."
        )
    ticks = None if fired is None else fired * 1e3
    return NeuronTraces(traces, units, ticks, np.arange(n_steps) * dt * 1e3, lasts * 1e3, "", "value")
