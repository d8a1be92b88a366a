"""Values of per-neuron parameters: the initial ones, and those that a user sets, checked before they are written."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
from brian2 import DimensionMismatchError, Quantity, get_dimensions, get_unit, second
from brian2.units.fundamentalunits import DIMENSIONLESS

from brainsnn.builders.network.assignments import ASSIGNED
from brainsnn.builders.network.constants import settable_constants
from brainsnn.builders.network.time_constants import check_time_constant, is_time_constant
from brainsnn.equations.statements import recomputed
from brainsnn.errors import UnknownNameError, warn
from brainsnn.feedback.gate import check_gate_values
from brainsnn.plain_arrays import plain_array

__all__ = [
    "SET_BY_RUN",
    "check_assigned",
    "check_values",
    "checked_parameters",
    "initial_parameters",
    "initial_values",
    "note_values",
]


#: Variables of the input that each run writes.
SET_BY_RUN = ("image", "background", "t_on", "t_off", "replayed", "is_replayed")


def initial_parameters(assembly, thresholds):
    """
    Return the parameter values with which a network starts.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    thresholds : dict of str to float
        Layer name -> threshold.

    Returns
    -------
    values : dict of str to dict
        Population -> parameter -> value.

    Raises
    ------
    UnknownNameError
        If a layer of ``thresholds`` does not exist.
    ValueError
        If the neurons of a layer have no threshold, or if two names of ``thresholds`` mean the same population.
    """
    graph, values = assembly.graph, {}
    for name, model in assembly.models.items():
        values[name] = {
            variable: model.parameters[variable]
            for variable in assembly.parameters[name]
            if variable in model.parameters
        }
        population = graph.populations.get(name)
        if population is not None and model.bias is not None:
            bias = np.broadcast_to(population.bias, population.shape).ravel()
            values[name][model.bias] = bias * assembly.neuron_of(name).input_unit
        elif population is not None and population.kind != "input" and np.any(population.bias):
            raise ValueError(
                f"convert: {name!r} has biases, and its neuron model {model.name!r} names no parameter for them. Declare one, "
                "as in 'bias : 1', and name it with bias='bias'."
            )
    layers = {}
    for layer, value in thresholds.items():
        population = graph.population(layer)
        name, kind = population.name, population.kind
        if name in layers:
            raise ValueError(f"thresholds: {layers[name]!r} and {layer!r} are both {name!r}; give one of them.")
        layers[name] = layer
        parameter = assembly.neuron_of(name).threshold_parameter if kind == "spiking" else None
        if kind == "spiking" and parameter is None:
            raise ValueError(
                f"thresholds: the neuron model {assembly.models[name].name!r} of {name!r} has no threshold parameter."
            )
        if parameter not in assembly.parameters.get(name, ()):
            raise ValueError(f"thresholds: {name!r} is a {kind} and has no threshold.")
        values[name][parameter] = value
    return values


def initial_values(assembly):
    """
    Return the values of state variables with which each trial starts, where they are not 0.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`

    Returns
    -------
    values : dict of str to dict of str to ndarray
        Population -> variable -> value.

    Raises
    ------
    ValueError
        If there are several values, and not one for each neuron.
    """
    values = {}
    for name, model in assembly.models.items():
        # The value of a parameter that statements change is its initial one.
        changed = {n for n in model.neuron_parameters if n in model.parameters} - {
            *assembly.parameters[name],
            model.bias,
        }
        initial = {n: model.parameters[n] for n in changed} | dict(model.initial)
        for variable, value in initial.items():
            if np.size(value) not in (1, len(assembly.groups[name])):
                raise ValueError(
                    f"convert: {model.name}.{variable} starts with {np.size(value)} values, and {name!r} has "
                    f"{len(assembly.groups[name])} neurons. Give one value, or one for each neuron."
                )
        values[name] = {variable: np.asarray(value, dtype=float) for variable, value in initial.items()}
    return values


def checked_parameters(assembly, name, values, read):
    """
    Check parameter values of a population, and add those that follow from them.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    name : str
        Name of the population.
    values : dict of str to float, Quantity or array_like
    read : callable
        ``read(population, parameter)`` returns the current values of a parameter.

    Returns
    -------
    arrays : dict of str to (1,) or (n_neurons,) ndarray
        Parameters that follow from a given one (``h`` from ``m_f``) are among them unless they are given too.

    Raises
    ------
    ValueError
        If the values have a wrong shape or unit, are not finite, would be rounded to 0, or if a parameter must be positive and is
        not: a time constant, or one from which another parameter is computed.
    """
    model = assembly.models[name]
    arrays = {variable: _parameter_array(assembly, name, variable, value) for variable, value in values.items()}
    for derived, (origins, function) in model.derived.items():
        given = [origin for origin in origins if origin in values]
        if not given or derived in values:
            continue
        for origin in given:
            _check_origin(f"{name}.{origin}", arrays[origin], derived)
        current = {origin: read(name, origin) for origin in origins if origin in assembly.parameters[name]} | arrays
        value = function(
            *(np.asarray(current.get(origin, model.parameters[origin]), dtype=float) for origin in origins)
        )
        arrays[derived] = _parameter_array(assembly, name, derived, value)
    return arrays


def note_values(assembly, name, arrays):
    """
    Note values that a user has set in the model of a population, so that it prints what is simulated.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    name : str
    arrays : dict of str to (1,) or (n_neurons,) ndarray
        As from `checked_parameters`.
    """
    model = assembly.models[name]
    dims = {variable: model.brian_equations[variable].dim for variable in arrays}
    values = {v: Quantity(a[0] if (a == a[0]).all() else a, dim=dims[v]) for v, a in arrays.items()}
    assembly.models[name] = replace(model, parameters={**model.parameters, **values})


def check_values(assembly, name, values):
    """
    Check parameter values of a population, also those of constants, before any constant becomes a parameter.

    Parameters
    ----------
    assembly, name, values
        As of `checked_parameters`.

    Raises
    ------
    UnknownNameError
        If the population has no such parameter or constant.
    ValueError
        As `checked_parameters`, and if each run sets the variable, or no gate can have the value.
    """
    constants = settable_constants(assembly.models[name])
    known = [v for v in (*assembly.parameters[name], *constants) if v not in SET_BY_RUN]
    for variable, value in values.items():
        if variable in SET_BY_RUN:
            raise ValueError(
                f"set_parameters: {variable!r} of {name!r} is set by each run. Pass the images, onset=..., offset=..., "
                "background=... or spikes=... to run."
            )
        if variable not in known:
            raise UnknownNameError(variable, known, f"parameter of {name!r}")
        target = assembly.groups[name].variables.get(variable)
        if variable not in assembly.parameters[name]:
            dim, n = get_dimensions(assembly.models[name].constants[variable]), len(assembly.groups[name])
            target = SimpleNamespace(
                dim=dim,
                dtype=np.dtype(float),
                size=n,
                scalar=_dimension(value) is not None and np.size(value) == 1,
                constant=True,
            )
        array = _parameter_array(assembly, name, variable, value, target)
        if assembly.feedback is not None and name == assembly.graph.input.name:
            check_gate_values("set_parameters", variable, array)


def _check_origin(about, values, derived):
    """Check values from which those of another parameter are computed."""
    if not (values > 0).all():
        raise ValueError(
            f"{about}: must be greater than 0, since {derived!r} is computed from it, got a minimum of "
            f"{values.min():g}. Give a greater value, or {derived!r} as well."
        )


def check_assigned(assembly, read, unattended):
    """
    Check and note the parameters to which a user has assigned directly, as in ``snn["conv1"].v_th = 2``, since the last run.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    read : callable
        Returns the values of (population, variable).
    unattended : callable
        Returns those that attention has changed, (population, variable) -> values without it.

    Returns
    -------
    noted : bool
        Whether there were any.

    Raises
    ------
    ValueError
        If one has a value that `checked_parameters` refuses, or that no gate can have.

    Warns
    -----
    UserWarning
        If the run sets it, each step computes it, or another one that follows from it keeps its value.
    """
    noted = False
    for name, variables in assembly.parameters.items():
        _warn_of_recomputed(name, assembly.models[name], assembly.groups[name])
        new = {v for v in variables if assembly.groups[name].variables[v] in ASSIGNED}
        for derived, (origins, _) in assembly.models[name].derived.items():
            if derived not in new and derived in variables and (origin := next(iter(new.intersection(origins)), None)):
                _check_origin(f"run: {name}.{origin}", np.asarray(read(name, origin)), derived)
                warn(
                    f"run: {name}.{origin} was assigned to, and {derived!r}, which follows from it, keeps its value.",
                    fix=f"Use snn.set_parameters({name!r}, {origin}=...), or assign {derived!r} as well.",
                )
        for variable in variables:
            target = assembly.groups[name].variables[variable]
            if target not in ASSIGNED:
                continue
            if variable in SET_BY_RUN:
                warn(
                    f"run: {name}.{variable} was assigned to, and run sets it again.",
                    fix="Pass images, onset=..., offset=..., background=... or spikes=... to run.",
                )
            else:
                values = np.asarray(read(name, variable))
                if np.isnan(values).any():
                    raise ValueError(f"run: {name}.{variable} was set to NaN. Assign finite values.")
                _check_stored(assembly, name, variable, f"run: {name}.{variable}", values, target)
                if assembly.feedback is not None and name == assembly.graph.input.name:
                    check_gate_values("run", variable, values)
                note_values(assembly, name, {variable: np.ravel(unattended().get((name, variable), values))})
                noted = True
            ASSIGNED.discard(target)
    return noted


def _warn_of_recomputed(name, model, group):
    """Say which variables were assigned to in vain, since each step computes them."""
    for variable in recomputed(model.update, str(model.brian_equations)).intersection(group.variables):
        if group.variables[variable] in ASSIGNED:
            ASSIGNED.discard(group.variables[variable])
            warn(
                f"run: {name}.{variable} was assigned to, and each step computes it again.",
                fix="Change the statements that compute it: edit(update=...) of the neuron model or of the gate.",
            )


def _parameter_array(assembly, name, variable, value, target=None):
    about, target = f"{name}.{variable}", target or assembly.groups[name].variables[variable]
    if target.dim is not DIMENSIONLESS and _dimension(value) is not target.dim:
        raise ValueError(f"{about}: the value needs the unit {get_unit(target.dim)}, got {value!r}.")
    array = plain_array(value, about, float, target.dim)
    with np.errstate(over="ignore", under="ignore"):
        stored = array.astype(target.dtype)  # a value may be finite only in double precision
    _check_stored(assembly, name, variable, about, stored, target)
    lost = (stored == 0) & (array != 0)
    # Folded weights may give any bias, and adding 0 instead of such a number changes nothing.
    if lost.any() and np.dtype(target.dtype).kind == "f" and variable != assembly.models[name].bias:
        raise ValueError(
            f"{about}: {array[lost].flat[0]:g} would be rounded to 0; the smallest number of {np.dtype(target.dtype)} is "
            f"{np.finfo(target.dtype).tiny:.2g}. Give 0 or a greater value"
            + (', or convert with dtype="float64".' if target.dtype == np.float32 else ".")
        )
    population = assembly.graph.populations.get(name)
    shape = (1,) if target.scalar else population.shape if population else (target.size,)
    if array.shape == (target.size,):
        return array
    if target.scalar and target.constant and array.size > 1:
        raise ValueError(
            f"{about}: {array.size} values for a parameter that all neurons share; give one. To have one for each neuron, call "
            "convert again and set it to an array first."
        )
    try:
        full = np.broadcast_to(array, shape)
    except ValueError:
        raise ValueError(
            f"{about}: values of shape {array.shape} for {target.size} neurons of shape {shape}; give one value, "
            f"({target.size},) values in flat order, or an array that broadcasts to {shape}."
        ) from None
    return array.ravel() if array.size == 1 else full.ravel()


def _check_stored(assembly, name, variable, about, stored, target):
    """Check values in the type of the device: whether they are finite, and those of time constants."""
    is_tau = is_time_constant(variable, target.dim)
    # Times at which something ends may be infinite, and so may a parameter that starts so.
    may_be_inf = np.isinf(_value_of_neuron(assembly, name, variable)) or (target.dim is second.dim and not is_tau)
    if not (np.isfinite(stored) | (may_be_inf & (stored == np.inf))).all():
        raise ValueError(f"{about}: the values hold NaN or infinity; give finite values (of {np.dtype(target.dtype)}).")
    if is_tau:
        check_time_constant(about, stored, assembly.groups[name].method_choice, assembly.dt)


def _dimension(value):
    """Return the dimension of a value or of all values in a list; None for anything else."""
    try:
        return Quantity(value).dim
    except (TypeError, ValueError, DimensionMismatchError):
        return None


def _value_of_neuron(assembly, name, variable):
    """Return the value that the neuron model of a population has for a parameter, before anything was set."""
    feedback = assembly.feedback
    own = feedback.model if feedback and name == assembly.graph.input.name else None
    known = name in assembly.graph.populations
    model = own or (assembly.neuron_of(name) if known else assembly.models[name])
    return float(np.max(np.asarray(model.parameters.get(variable, 0.0), dtype=float)))
