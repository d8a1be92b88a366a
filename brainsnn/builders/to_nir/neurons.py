"""Which NIR node the neurons of a population are, recognised by their equations."""

from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from brainsnn.builders.from_nir.conventions import CONDITIONS, METHODS, RESETS, Convention
from brainsnn.builders.from_nir.neurons import FIELDS, READOUTS, SPIKING, neuron_model, readout_model, signal_readout
from brainsnn.builders.from_nir.nodes import Node
from brainsnn.equations import ASN, IF, LIF
from brainsnn.errors import ConversionError

__all__ = ["NirNeurons", "nir_neurons"]


@dataclass(frozen=True)
class NirNeurons:
    """
    The neurons of a population as a NIR node.

    Attributes
    ----------
    type : str
        ``"LIF"``, ``"CubaLIF"``, ..., or ``"Output"`` for a readout of weighted spikes.
    fields : dict of str to ndarray
        One value for each neuron, (n_neurons,).
    convention : `~brainsnn.builders.from_nir.conventions.Convention`
    has_bias : bool
        Whether the bias of the layer is added to its input; else it is one of the fields.
    """

    type: str
    fields: dict
    convention: Convention
    has_bias: bool = True


def nir_neurons(name, given, inputs, values, start, dt):
    """
    Return what the neurons of a population are in NIR.

    Parameters
    ----------
    name : str
        Of the population.
    given : `~brainsnn.equations.model.NeuronModel`
        The model that the population was given; the readout of that of a readout.
    inputs : `~brainsnn.builders.network.inputs.Inputs`
    values : callable
        ``values(name)`` returns the value of a parameter or constant, (n_neurons,) ndarray in SI units.
    start : dict of str to (n_neurons,) ndarray
        Values of the state variables at the start of each trial.
    dt : float
        Time step in seconds.

    Returns
    -------
    neurons : `NirNeurons`

    Raises
    ------
    ConversionError
        If NIR has no such neurons, or they start at other values than NIR's. The message says why.
    """
    neurons = _nir_neurons(name, given, inputs, values, start, dt)
    _check_start(name, given, neurons, start)
    return neurons


def _nir_neurons(name, given, inputs, values, start, dt):
    found = _signature(given)
    if found in (_signature(IF()), _signature(IF(reset="hard"))):
        return _leaky_map(name, values, dt, hard=found != _signature(IF()))
    if found == _signature(IF().readout):
        return NirNeurons("I", {"r": np.full_like(values("bias"), 1 / dt)}, Convention(dt, "euler"))
    if found in (_signature(LIF()), _signature(LIF().readout)):
        return _exponential_synapse(name, inputs, values, dt, spiking=given.threshold is not None)
    if found in (known := _read_models()):
        kind, integration, reset, condition, has_bias = known[found]
        fields = {} if kind == "Output" else {field: values(field) for field in FIELDS[kind]}
        if kind == "IF" and reset != "value":  # v_reset is the value at the start alone
            fields["v_reset"] = start["v"]
        return NirNeurons(kind, fields, Convention(dt, integration, reset, condition), has_bias)
    raise ConversionError(f"to_nir: {name!r} has neurons of the model {given.name!r}: {_reason(given)}")


def _check_start(name, given, neurons, start):
    """Refuse initial values that the file would lose: a NIR neuron starts at v_leak, an IF that NIR made at v_reset."""
    own = _signature(given) in _read_models()
    expected = {"v": neurons.fields.get("v_reset" if neurons.type == "IF" else "v_leak", 0.0)} if own else {}
    for variable, values in start.items():
        needed = expected.get(variable, 0.0)
        if not np.allclose(values, needed, rtol=1e-6, atol=0):
            raise ConversionError(
                f"to_nir: {variable!r} of {name!r} starts at {_some(values)}, and a NIR neuron at {_some(needed)}: files hold no "
                f"initial values. Convert with a model without initial={{{variable!r}: ...}}, and assign nothing to {variable!r}."
            )


def _some(values):
    """Return the first three values as text."""
    found = np.unique(values)
    return ", ".join(f"{value:g}" for value in found[:3]) + (", ..." if len(found) > 3 else "")


def _reason(model):
    if "theta_dyn" in model.brian_equations or _signature(model) == _signature(ASN().readout):
        return (
            "the adaptive, multiplicative threshold of the ASN, and a readout of its graded spikes, have no counterpart in NIR, "
            "whose thresholds are constants. Convert with IF() or LIF()."
        )
    return (
        "NIR has a fixed set of neurons, and these equations are neither those of IF() and LIF(), nor those of a neuron that "
        "read_nir makes. Write a network whose equations were not edited; parameters may have any values."
    )


def _leaky_map(name, values, dt, hard):
    """Return the discrete map of `IF`: without leak an integrator, else Euler steps of a leaky one; the reset soft or to 0."""
    leak, threshold = values("leak"), values("v_th")
    fields = {"v_threshold": threshold, "v_reset": np.zeros_like(threshold)}
    if np.all(leak == 1):
        convention = Convention(dt, "euler", "value" if hard else "subtract")
        return NirNeurons("IF", {"r": np.full_like(threshold, 1 / dt), **fields}, convention)
    if leak.max() >= 1:
        raise ConversionError(
            f"to_nir: some neurons of {name!r} leak and others do not; NIR has different nodes for them."
        )
    tau = dt / (1 - leak)
    fields |= {"tau": tau, "r": tau / dt, "v_leak": np.zeros_like(tau)}
    return NirNeurons("LIF", fields, Convention(dt, "euler", "value" if hard else "subtract_next"))


def _exponential_synapse(name, inputs, values, dt, spiking):
    """Return `LIF` or its readout; the bias, to which the potential decays, is v_leak."""
    if inputs.stimulus and inputs.spikes:
        raise ConversionError(
            f"to_nir: {name!r} gets the image as a current that passes no synapse, and spikes that do. A NIR node filters all of "
            "its input. Convert with encoder='poisson'."
        )
    tau_m, bias = values("tau_m"), values("bias")
    fields = {"r": np.ones_like(bias), "v_leak": bias}
    if spiking:
        fields |= {"v_threshold": values("v_th"), "v_reset": np.zeros_like(bias)}
    kind = "LIF" if spiking else "LI"
    if inputs.stimulus:
        fields["tau"] = tau_m
    else:
        # A spike raises the current by its weight, and a pulse of one step by 1 - exp(-dt/tau_syn) of its height.
        kind, tau_s = f"Cuba{kind}", values("tau_s")
        fields |= {"tau_mem": tau_m, "tau_syn": tau_s, "w_in": -1 / np.expm1(-dt / tau_s)}
    return NirNeurons(kind, fields, Convention(dt, "exact", "subtract"), has_bias=False)


def _signature(model):
    """Return what makes a model the one it is, whatever the values of its parameters."""
    declared = {f"{name} : 1" for name in model.neuron_parameters} | {
        line for line in model.equations.splitlines() if "=" not in line
    }
    lines = tuple(line for line in model.equations.splitlines() if line not in declared)
    method = model.method if model.brian_equations.diff_eq_names else None
    statements = model.threshold, model.reset, model.update, model.on_pre, str(model.refractory)
    return lines, *statements, model.receives, model.output, method, float(model.input_unit)


@cache
def _read_models():
    """Return the signatures of all models that `read_nir` makes -> type, integration, reset, condition, has_bias."""
    found = {}

    def value(_, values):
        """Return one neuron's value."""
        return np.ravel(values)

    for has_bias in (False, True):
        found[_signature(signal_readout(has_bias).readout)] = "Output", "euler", "value", ">", has_bias
    for kind, integration, has_bias in product(READOUTS, METHODS, (False, True)):
        node = Node(kind, kind, dict.fromkeys(FIELDS[kind], 1.0))
        model = readout_model(node, value, Convention(1e-4, integration), has_bias)
        found.setdefault(_signature(model.readout), (kind, integration, "value", ">", has_bias))
    choices = product(SPIKING, METHODS, RESETS, CONDITIONS, (False, True), (0.0, 1.0))
    for kind, integration, reset, condition, has_bias, v_reset in choices:
        node = Node(kind, kind, {**dict.fromkeys(FIELDS[kind], 1.0), "v_reset": v_reset})
        model = neuron_model(node, value, Convention(1e-4, integration, reset, condition), has_bias, "poisson")
        found.setdefault(_signature(model), (kind, integration, reset, condition, has_bias))
    return found
