"""Values of per-neuron parameters: the initial ones, and those that a user sets, checked before they are written."""

import numpy as np
from brian2 import Quantity, get_unit
from brian2.units.fundamentalunits import DIMENSIONLESS

from brainsnn.errors import UnknownNameError

__all__ = ["checked_parameters", "initial_parameters", "initial_values"]


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
        If the neurons of a layer have no threshold.
    """
    graph, neuron, values = assembly.graph, assembly.neuron, {}
    for name, model in assembly.models.items():
        values[name] = {
            variable: model.parameters[variable]
            for variable in assembly.parameters[name]
            if variable in model.parameters
        }
        population = graph.populations.get(name)
        if population is not None and model.bias is not None:
            bias = np.broadcast_to(population.bias, population.shape).ravel()
            values[name][model.bias] = bias * neuron.input_unit
    parameter = neuron.threshold_parameter
    if thresholds and parameter is None:
        raise ValueError(f"thresholds: the neuron model {neuron.name!r} has no threshold parameter.")
    for layer, value in thresholds.items():
        name = graph.population(layer).name
        if parameter not in assembly.parameters[name]:
            raise ValueError(f"thresholds: {name!r} is a {graph.populations[name].kind} and has no threshold.")
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
    """
    return {
        name: {variable: np.asarray(value, dtype=float) for variable, value in model.initial.items()}
        for name, model in assembly.models.items()
    }


def checked_parameters(assembly, name, values):
    """
    Check parameter values of a population, and add those that follow from them.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    name : str
        Name of the population.
    values : dict of str to float, Quantity or array_like

    Returns
    -------
    arrays : dict of str to (1,) or (n_neurons,) ndarray
        Parameters that follow from a given one (``h`` from ``m_f``) are among them unless they are given too.

    Raises
    ------
    UnknownNameError
        If the population has no such parameter.
    ValueError
        If the values have a wrong size or unit, or are not finite.
    """
    values = dict(values)
    for origin in list(values):
        for derived, (source, function) in assembly.models[name].derived.items():
            if source == origin and derived not in values:
                values[derived] = function(np.asarray(values[origin], dtype=float))
    for variable in values:
        if variable not in assembly.parameters[name]:
            raise UnknownNameError(variable, assembly.parameters[name], f"parameter of {name!r}")
    return {variable: _parameter_array(assembly, name, variable, value) for variable, value in values.items()}


def _parameter_array(assembly, name, variable, value):
    target, shape = assembly.groups[name].variables[variable], assembly.shapes.get(name)
    if target.dim is not DIMENSIONLESS and Quantity(value).dim is not target.dim:
        raise ValueError(f"{name}.{variable}: the value needs the unit {get_unit(target.dim)}, got {value!r}.")
    array = np.asarray(value, dtype=float)
    if not np.all(np.isfinite(array) | (array == np.inf)):
        raise ValueError(f"{name}.{variable}: the values hold NaN.")
    if array.size not in (1, target.size) and shape is not None:
        try:
            array = np.broadcast_to(array, shape)
        except ValueError:
            raise ValueError(
                f"{name}.{variable}: values of shape {array.shape} for {target.size} neurons of shape {shape}."
            ) from None
    return array.ravel()
