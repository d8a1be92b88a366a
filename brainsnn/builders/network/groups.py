"""NeuronGroups from the populations of a LayerGraph: which equations each of them gets."""

from dataclasses import replace

import numpy as np
from brian2.equations.equations import PARAMETER
from brian2.stateupdaters.base import StateUpdateMethod, UnsupportedEquationsException
from brian2.utils.stringtools import get_identifiers

from brainsnn.builders.network.fused_group import SpikingGroup
from brainsnn.builders.network.statement_checks import check_neuron_statements
from brainsnn.builders.network.time_constants import check_time_constants
from brainsnn.equations.checks import check_equations, innermost_reason
from brainsnn.equations.inputs import signed_spike_input
from brainsnn.equations.model import NeuronModel
from brainsnn.equations.pooled_spikes import counting_spikes, passing_spikes
from brainsnn.equations.statements import assigned
from brainsnn.equations.variants import graded_variables
from brainsnn.errors import ConversionError

__all__ = ["make_group", "model_for", "parameter_names", "state_variables"]


def model_for(population, inputs, neuron, n_graded, counted=False):
    """
    Return the equations of one population.

    Parameters
    ----------
    population : `~brainsnn.builders.graph.layer_graph.Population`
    inputs : `~brainsnn.builders.network.inputs.Inputs` or None
        What reaches it; None for the input population.
    neuron : `~brainsnn.equations.model.NeuronModel`
        The user's neuron.
    n_graded : int
        Number of variables that graded connections write.
    counted : bool
        Whether another population pools its spikes.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`

    Raises
    ------
    ConversionError
        If the neuron model cannot do what the population needs, such as have its membranes pooled. It names the population.
    """
    try:
        return _model_for(population, inputs, neuron, n_graded, counted)
    except ConversionError:
        raise
    except ValueError as error:
        raise ConversionError(f"'{population.name}': {error}") from None


def _model_for(population, inputs, neuron, n_graded, counted):
    """Return what `model_for` returns; the errors of models do not name the population."""
    if population.kind == "input":
        return signed_spike_input()
    if population.kind == "junction":
        return _junction(population, inputs, neuron, n_graded)
    if population.kind == "readout":
        model = _with_statement(neuron.readout, neuron)
    elif population.kind == "membrane":
        model = neuron.membrane_only()
    else:
        model = passing_spikes(neuron) if inputs.counts else neuron
        model = counting_spikes(model) if counted else model
    if inputs.counts:
        return model
    if inputs.membrane:
        if population.kind == "readout" and model.membrane is None:
            raise ConversionError(
                f"Readout '{population.name}' reads a maximum over membrane potentials, which the readout of {neuron.name} "
                "cannot: it names no membrane variable. Name it in the model of the readout, as in "
                "NeuronModel(..., membrane='S_dyn')."
            )
        return model.pooled()
    model = model.with_inputs(spikes=inputs.has_spikes, graded=n_graded, stimulus=inputs.stimulus)
    if population.kind == "membrane" and model.bias and np.any(population.bias):
        # A bias that differs between positions must be added before the pooling.
        model = replace(
            model,
            equations=f"{model.equations}\nbiased : {model.unit_of(model.bias)}",
            update="\n".join([*filter(None, [model.update]), f"biased = {model.membrane} + {model.bias}"]),
            membrane="biased",
        )
    return model


def _junction(population, inputs, neuron, n_graded):
    """Return the model of a population that holds a current. One with a bias, read by a maximum, has it in ``biased``."""
    model = neuron.junction()
    unit, bias = model.unit_of(model.receives), None
    extra = [f"{name} : {unit}" for name in graded_variables(n_graded)]
    if np.any(population.bias) and neuron.bias:
        bias = neuron.bias
        extra += [neuron.definition(bias), f"biased : {unit}"]
    if inputs.has_spikes:
        return replace(model, equations="\n".join([model.equations, *extra]), bias=bias)
    return replace(model, equations="\n".join(extra), receives="graded", parameters={}, bias=bias)


def _with_statement(readout, neuron):
    """Return a readout with what a spike does to it: what it does to the neurons, unless the readout says so itself."""
    if readout.on_pre is not None:
        return readout
    used = get_identifiers(neuron.on_pre or "")
    constants = {name: value for name, value in neuron.constants.items() if name in used}
    return replace(readout, on_pre=neuron.on_pre, parameters={**constants, **readout.parameters})


def _integration_method(model):
    """The first of the model's methods that its equations allow (Brian2 would announce each choice)."""
    equations = model.brian_equations
    if isinstance(model.method, str) or not equations.diff_eq_names:
        return model.method if isinstance(model.method, str) else "euler"
    for method in model.method:
        try:
            StateUpdateMethod.stateupdaters[method](equations, {})
            return method
        except UnsupportedEquationsException:
            continue
    raise ValueError(
        f"{model.name}.method: none of {model.method} can integrate these equations:\n{model.equations}\nName another of "
        f"Brian2's methods with model.edit(method=...)."
    )


def _check_integration(group, model):
    """Refuse a method that cannot integrate the equations, which Brian2 would do only at the first run."""
    try:
        group.state_updater.update_abstract_code(run_namespace={})
    except UnsupportedEquationsException as error:
        raise ValueError(
            f"convert: {model.name}.method={model.method!r} cannot integrate the equations of {group.name!r}: "
            f"{innermost_reason(error)}. These are\n{model.equations}\nName another method, or several to be tried in turn, with "
            "model.edit(method=...)."
        ) from None


def make_group(model, n_neurons, name, clock):
    """
    Make a NeuronGroup with the equations of a model.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`
    n_neurons : int
    name : str
        Name of the Brian2 object.
    clock : `~brian2.core.clocks.Clock`

    Returns
    -------
    group : `~brainsnn.builders.network.fused_group.SpikingGroup`
        Its statements of every step, if the model has any, are a ``run_regularly`` operation among its contained objects.

    Raises
    ------
    ValueError
        If a statement or a time constant is not valid, or if no method can integrate the equations.
    """
    # These times are compared with t, which is float64 whatever the type of the state.
    names = {*model.brian_equations, *(["lastspike"] if model.refractory is not None else [])}
    times = dict.fromkeys(names & {"t_on", "t_off", "lastspike"}, np.float64)
    check_equations(model)
    method = _integration_method(model)
    check_time_constants(model, method, float(clock.dt))
    group = SpikingGroup(
        n_neurons,
        model.equations,
        threshold=model.threshold,
        reset=model.reset if model.threshold is not None else None,
        refractory=False if model.refractory is None else model.refractory,
        method=method,
        namespace=model.constants,
        name=name,
        clock=clock,
        dtype=times or None,
    )
    check_neuron_statements(group, model)
    if isinstance(model.method, str):
        _check_integration(group, model)
    if model.update:
        update = group.run_regularly(model.update, when="groups", order=1, name=f"{name}_update", clock=clock)
        group.updates.append(update)
    return group


def state_variables(group, kept):
    """
    Return the arrays of a group that a trial changes, and that are reset before each trial.

    Parameters
    ----------
    group : `~brian2.groups.neurongroup.NeuronGroup`
    kept : set of str
        Parameters, which keep their values.

    Returns
    -------
    variables : dict of str to `~brian2.core.variables.ArrayVariable`
    """
    fixed = {"i", "N", "t", "dt", "t_in_timesteps"} | set(kept)
    return {
        name: variable
        for name, variable in group.variables.items()
        if name not in fixed
        and variable.array
        and getattr(variable, "owner", None) is not None
        and variable.owner.name == group.name
        and (name == "_spikespace" or not (variable.read_only and name not in ("lastspike", "not_refractory")))
    }


def parameter_names(model: NeuronModel, written):
    """
    Return the per-neuron parameters of a model that a run does not change.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`
    written : set of str
        Variables that connections write.

    Returns
    -------
    names : list of str
    """
    changed = assigned(model.update) | assigned(model.reset) | set(written)
    return [eq.varname for eq in model.brian_equations.values() if eq.type == PARAMETER and eq.varname not in changed]
