"""What a spike of one neuron does to another: how large an activation it is at a synapse, and the factor for other synapses."""

import numpy as np
import sympy as sp
from brian2 import have_same_dimensions
from brian2.parsing.sympytools import str_to_sympy
from brian2.units.allunits import all_units
from brian2.utils.stringtools import word_substitute

from brainsnn.equations.statements import assignments
from brainsnn.equations.variants import height_name

__all__ = ["activation_of_spike", "counted_spikes", "spike_scale", "spikes_between", "synaptic_decay"]


def synaptic_decay(neuron, dt):
    """
    Return the factor by which a synaptic current decays in one time step.

    Parameters
    ----------
    neuron : `~brainsnn.equations.model.NeuronModel`
    dt : float
        Time step in seconds.

    Returns
    -------
    decay : float
        ``exp(-dt/tau)``; 0 for a discrete map whose input acts for one step.

    Raises
    ------
    ValueError
        If the filter is not an exponential decay that is the same for all neurons.
    """
    if not neuron.has_linear_filter:
        if _is_cleared(neuron):
            return 0.0
        raise ValueError(
            f"{neuron.name}.{neuron.receives} must be a linear filter of the spikes, or be cleared in every step, so that spikes "
            "can be expressed in ANN units."
        )
    equation = neuron.brian_equations[neuron.receives]
    expression = str_to_sympy(equation.expr.code)
    known = {**{str(unit): unit for unit in all_units}, **neuron.constants}
    rate = sp.diff(expression, next(s for s in expression.free_symbols if s.name == neuron.receives))
    rate = rate.subs({s: float(known[s.name]) for s in rate.free_symbols if s.name in known})
    if not rate.is_number or rate >= 0:
        raise ValueError(
            f"'{neuron.receives}' of {neuron.name} must decay exponentially, as in "
            f"'d{neuron.receives}/dt = -{neuron.receives}/tau', got '{equation}'."
        )
    return float(np.exp(float(rate) * dt))


def activation_of_spike(neuron, dt):
    """
    Return the activation that spikes of height 1 in every step stand for, ``1/(1 - decay)``.

    Parameters
    ----------
    neuron : `~brainsnn.equations.model.NeuronModel`
    dt : float
        Time step in seconds.

    Returns
    -------
    activation : float or None
        None where the synapse is neither an exponential filter nor cleared in every step.
    """
    try:
        return 1 / (1 - synaptic_decay(neuron, dt))
    except ValueError:
        return None


def spike_scale(source, target, dt):
    """
    Return the factor with which the spikes of one neuron carry the same activation to a neuron with another synapse.

    A spike of height 1 in every step adds up to ``1/(1 - decay)`` at a synapse. Between neurons whose synapses have different
    decays, the same spikes would stand for activations that differ by the ratio of these sums.

    Parameters
    ----------
    source : `~brainsnn.equations.model.NeuronModel` or None
        Model for whose synapse the height of the spikes was made; None for spikes of the input, where 1 in every step is 1.
    target : `~brainsnn.equations.model.NeuronModel`
        Model that receives them; of readouts, that of the readout.
    dt : float
        Time step in seconds.

    Returns
    -------
    scale : float or None
        1 between equal synapses; None where a synapse is neither an exponential filter nor cleared in every step.
    """
    if source is not None and _synapse(source) == _synapse(target):
        return 1.0
    sent = 1.0 if source is None else activation_of_spike(source, dt)
    read = activation_of_spike(target, dt)
    return None if sent is None or read is None else sent / read


def _is_cleared(neuron):
    """Return whether the input of a step acts in this step only: the last statement on it in the update sets it to 0."""
    written = [
        (operator, code.strip()) for name, operator, code in assignments(neuron.update) if name == neuron.receives
    ]
    return bool(written) and written[-1] == ("=", "0")


def _synapse(model):
    """Return what decides how large an activation a spike is: the equation of what receives it, with its constants."""
    definition = model.definition(model.receives)
    names = model.brian_equations[model.receives].identifiers
    return definition, tuple(sorted((name, str(model.constants[name])) for name in names if name in model.constants))


def spikes_between(on_pre, constants, source, target, scale=1.0):
    """
    Return what a spike of one model's neurons does to another model's neurons.

    The height of the spike is the source's. The ``input_unit`` of the source becomes that of the target.

    Parameters
    ----------
    on_pre : str
        What a spike does to the target.
    constants : dict
        Constants that it uses.
    source, target : `~brainsnn.equations.model.NeuronModel`
    scale : float
        Factor of the height for the synapse of the target, see `spike_scale`.

    Returns
    -------
    on_pre : str
    constants : dict
    """
    height, ratio = f"{height_name(source)}_pre", scale * (target.input_unit / source.input_unit)
    if have_same_dimensions(ratio, 1) and float(ratio) == 1:
        if height_name(source) == height_name(target):
            return on_pre, constants
    else:
        height, constants = f"({height}*spike_scale)", {**constants, "spike_scale": ratio}
    return word_substitute(on_pre, {f"{height_name(target)}_pre": height}), constants


def counted_spikes(on_pre, neuron, scale=1.0):
    """
    Return what a spike of a model's neurons does to a variable that adds up the activation of a step, without a unit.

    Parameters
    ----------
    on_pre : str
        Statement with ``h_pre``, which stands for the height.
    neuron : `~brainsnn.equations.model.NeuronModel`
    scale : float
        Activation of a spike of height 1: what such spikes in every step add up to at a synapse of the neuron.

    Returns
    -------
    on_pre : str
    constants : dict
    """
    height, constants = f"{height_name(neuron)}_pre", {}
    if not _has_plain_height(neuron):
        height, constants = f"{height}/input_unit", {"input_unit": neuron.input_unit}
    if scale != 1:
        height, constants = f"({height}*spike_scale)", {**constants, "spike_scale": scale}
    return word_substitute(on_pre, {"h_pre": height}), constants


def _has_plain_height(neuron):
    return height_name(neuron) == "h" and have_same_dimensions(neuron.input_unit, 1) and float(neuron.input_unit) == 1
