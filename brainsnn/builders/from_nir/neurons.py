"""The neurons of NIR as editable Brian2 equations."""

import numpy as np
from brian2 import hertz, second

from brainsnn.equations.model import NeuronModel

__all__ = ["FIELDS", "READOUTS", "SPIKING", "neuron_model", "readout_model", "signal_readout"]

#: Node type -> its fields that are parameters of the neurons. Those of w_in and v_reset have values where a file has none.
FIELDS = {
    "LIF": ("tau", "r", "v_leak", "v_threshold", "v_reset"),
    "IF": ("r", "v_threshold", "v_reset"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "w_in", "v_threshold", "v_reset"),
    "Threshold": ("threshold",),
    "LI": ("tau", "r", "v_leak"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "I": ("r",),
}
_DEFAULTS = {"w_in": 1.0, "v_reset": 0.0}
SPIKING = ("LIF", "IF", "CubaLIF", "Threshold")
READOUTS = ("LI", "CubaLI", "I")

# x holds the weighted spikes of this step, a pulse of height 1 each, and is emptied after the state update has read it.
_INPUT = "x : 1"
_UPDATE = "x = 0"
#: The libraries that write CubaLIF let v read the current that already holds this step's input: current_now.
_CURRENT_NOW = {
    "euler": "current_now = current + dt*(w_in*{drive} - current)/tau_syn : 1",
    "exact": "current_now = w_in*{drive} + (current - w_in*{drive})*exp(-dt/tau_syn) : 1",
}


def neuron_model(node, place, convention, has_bias, encoder):
    """
    Return the model of a spiking node.

    Parameters
    ----------
    node : `~brainsnn.builders.from_nir.nodes.Node`
        Of a type in `SPIKING`.
    place : callable
        ``place(field, values)`` returns the values of a field in the order of the neurons, (n_neurons,) ndarray.
    convention : `~brainsnn.builders.from_nir.conventions.Convention`
    has_bias : bool
        Whether a bias reaches the neurons.
    encoder : {"poisson", "current"}

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`

    Raises
    ------
    ConversionError
        If a time constant is not positive, or too short for the reset.
    """
    lines, parameters, values = _dynamics(node, place, convention, has_bias)
    if node.type == "Threshold":
        return NeuronModel(
            name="NIR Threshold",
            equations="\n".join([*lines, "v : 1", "threshold : 1", "h : 1"]),
            threshold=f"v {convention.condition} threshold",
            reset="",
            update=f"v = {'x + bias' if has_bias else 'x'}; {_UPDATE}",
            parameters={**parameters, "threshold": _one(values["threshold"]), "h": 1.0},
            receives="x", on_pre="x_post += w*h_pre", bias="bias" if has_bias else None, threshold_parameter="threshold",
            attention={"output_gain": "h"}, encoder=encoder,
        )  # fmt: skip
    reset = _reset(node, convention, values)
    if "v_reset" in reset:
        lines += _declare(node, {"v_reset": values["v_reset"]}, parameters)
    start = values["v_reset" if node.type == "IF" else "v_leak"]
    return NeuronModel(
        name=f"NIR {node.type}",
        equations="\n".join([*lines, "v_threshold : 1", "h : 1"]),
        threshold=f"v {convention.condition} v_threshold",
        reset=reset,
        update=_UPDATE,
        parameters={**parameters, "v_threshold": _one(values["v_threshold"]), "h": 1.0},
        receives="x", on_pre="x_post += w*h_pre", bias="bias" if has_bias else None, threshold_parameter="v_threshold",
        initial={"v": _one(start)} if np.any(start) else {}, attention={"output_gain": "h"}, encoder=encoder,
        method=convention.method,
    )  # fmt: skip


def readout_model(node, place, convention, has_bias):
    """
    Return the model of a population that reads out an integrator; see `neuron_model`.

    Parameters
    ----------
    node : `~brainsnn.builders.from_nir.nodes.Node`
        Of a type in `READOUTS`.
    place, convention, has_bias
        As of `neuron_model`.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
        Neurons that do not spike, with the integrator as their readout.
    """
    lines, parameters, values = _dynamics(node, place, convention, has_bias)
    start = values.get("v_leak", np.zeros(1))
    readout = NeuronModel(
        name=f"NIR {node.type}", equations="\n".join(lines), update=_UPDATE, parameters=parameters, receives="x",
        on_pre="x_post += w*h_pre", spike_height=None, bias="bias" if has_bias else None, output="v",
        initial={"v": _one(start)} if np.any(start) else {}, method=convention.method,
    )  # fmt: skip
    return _only_readout(readout)


def signal_readout(has_bias):
    """
    Return the model of an output that nothing integrates: the weighted spikes that arrive in a step.

    Parameters
    ----------
    has_bias : bool

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
    """
    lines = [_INPUT, "S : 1", *(["bias : 1"] if has_bias else [])]
    readout = NeuronModel(
        name="NIR Output", equations="\n".join(lines), update=f"S = {'x + bias' if has_bias else 'x'}; {_UPDATE}",
        receives="x", on_pre="x_post += w*h_pre", spike_height=None, bias="bias" if has_bias else None,
    )  # fmt: skip
    return _only_readout(readout)


def _only_readout(readout):
    """Return a model that stands for its readout."""
    return NeuronModel(
        name=readout.name, equations=f"{_INPUT}\nh : 1\nbias : 1", receives="x", encoder="poisson", readout=readout,
    )  # fmt: skip


def _dynamics(node, place, convention, has_bias):
    """Return the equations of a node up to its membrane, their parameters, and the values of all fields."""
    values = {name: place(name, node.array(name, _DEFAULTS.get(name))) for name in FIELDS[node.type]}
    for name in ("tau", "tau_syn", "tau_mem"):
        if name in values and values[name].min() <= 0:
            raise node.error(f"{name!r} must be greater than 0 s, got {values[name].min():g}.")
    drive, lines = "(x + bias)" if has_bias else "x", []
    if node.type in ("LIF", "LI"):
        lines = [f"dv/dt = (v_leak - v + r*{drive})/tau : 1"]
    elif node.type in ("CubaLIF", "CubaLI"):
        lines = [
            "dv/dt = (v_leak - v + r*current_now)/tau_mem : 1",
            f"dcurrent/dt = (w_in*{drive} - current)/tau_syn : 1",
            _CURRENT_NOW[convention.integration].format(drive=drive),
        ]
    elif node.type in ("IF", "I"):
        lines = [f"dv/dt = r*{drive} : 1"]
    parameters = {}
    used = {name: value for name, value in values.items() if name not in ("v_threshold", "v_reset", "threshold")}
    declared = _declare(node, used, parameters)
    return [*lines, _INPUT, *declared, *(["bias : 1"] if has_bias else [])], parameters, values


def _declare(node, values, parameters):
    """Add values with their units to the parameters; return the declarations of those that differ between neurons."""
    lines = []
    for name, value in values.items():
        unit = "second" if name.startswith("tau") else "hertz" if name == "r" and node.type in ("IF", "I") else "1"
        parameters[name] = _one(value) * {"second": second, "hertz": hertz, "1": 1}[unit]
        if np.size(parameters[name]) > 1:
            lines.append(f"{name} : {unit}")
    return lines


def _one(values):
    """Return the one value that all neurons share, or the values."""
    return float(values[0]) if np.all(values == values[0]) else values


def _reset(node, convention, values):
    """Return the statement of the reset."""
    if convention.reset == "value":
        return "v = v_reset" if np.any(values["v_reset"]) else "v = 0"
    if convention.reset == "subtract" or node.type == "IF":
        return "v -= v_threshold"
    # In the next step the leak multiplies what is subtracted now.
    tau = "tau" if node.type == "LIF" else "tau_mem"
    if convention.integration == "exact":
        return f"v -= v_threshold*exp(dt/{tau})"
    if values[tau].min() <= convention.dt * (1 + 1e-6):
        raise node.error(
            f"{tau!r} of {values[tau].min():g} s does not exceed the time step, so nothing of v remains from which the next step "
            "could subtract v_threshold.",
            "Read it with reset='subtract' or reset='value'.",
        )
    return f"v -= v_threshold/(1 - dt/{tau})"
