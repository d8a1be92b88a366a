"""Make a constant of the equations a parameter array, so that it can be set: possible until the network is compiled."""

from dataclasses import replace

import numpy as np
from brian2 import DimensionMismatchError, Equations, Quantity, get_dimensions
from brian2.utils.stringtools import get_identifiers

from brainsnn.errors import SpikeHeightWarning, warn

__all__ = ["make_settable", "note_namespaces", "settable_constants"]

#: Base units of Brian2's equations, in the order of the exponents of a dimension.
BASE_UNITS = ("metre", "kilogram", "second", "amp", "kelvin", "mole", "candela")


def settable_constants(model):
    """Return the constants of a model that are numbers, with or without units (list of str)."""
    numbers = (int, float, np.number, Quantity)
    return [name for name, value in model.constants.items() if isinstance(value, numbers) and np.size(value) == 1]


def make_settable(assembly, name, values, is_compiled):
    """
    Make parameters of the constants of a population that shall be set.

    The equations then have one value for the layer (shared), or one for each neuron if several values are given. Until
    then the constant is a number in the program, which is fastest.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    name : str
        Name of the population.
    values : dict
        Parameter -> value or values.
    is_compiled : bool
        Whether the network has run or been built.

    Returns
    -------
    initial : dict of str to float
        Values of the new parameters: those of the constants, in SI units.

    Raises
    ------
    ValueError
        If a constant cannot be a parameter of this population, or not any more.
    """
    model = assembly.models[name]
    constants = [variable for variable in values if variable in settable_constants(model)]
    for variable in constants:
        _check(assembly, name, variable, is_compiled)
    filtered = model.brian_equations[model.receives].identifiers if model.receives in model.brian_equations else ()
    for variable in [variable for variable in constants if variable in filtered]:
        warn(
            f"set_parameters: {variable!r} of {name!r} is a constant of its synapse, and the height of the spikes that arrive "
            "stays that of the old one, so activations arrive scaled.",
            SpikeHeightWarning,
            fix="Give the layer a model of its own instead, as in "
            f"convert(neuron={{{name!r}: ASN({variable}=...), ...: ASN()}}).",
        )
    for variable in constants:
        shared = np.size(values[variable]) == 1
        line = f"{variable} : {_unit_of(model.constants[variable])} ({'shared, ' * shared}constant)"
        _add_variable(assembly.groups[name], variable, line, shared)
        assembly.models[name] = replace(assembly.models[name], equations=f"{assembly.models[name].equations}\n{line}")
        assembly.parameters[name].append(variable)
    return {variable: float(model.constants[variable]) for variable in constants}


def note_namespaces(assembly):
    """
    Note constants that a user has changed in ``group.namespace`` in the models, so that they print what is simulated.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`

    Returns
    -------
    is_changed : bool
    """
    changed = {}
    for name, group in assembly.groups.items():
        constants = assembly.models[name].constants
        values = {n: group.namespace[n] for n in constants if n in group.namespace}
        if found := {
            n: value for n, value in values.items() if value is not constants[n] and not _equal(value, constants[n])
        }:
            changed[name] = replace(assembly.models[name], parameters={**assembly.models[name].parameters, **found})
    assembly.models.update(changed)
    return bool(changed)


def _equal(value, other):
    try:
        return bool(np.all(value == other))
    except (DimensionMismatchError, ValueError):
        return False


def _add_variable(group, variable, line, shared):
    """Give a group an array in place of a constant. Its code objects do not exist yet; they look names up when they do."""
    equation = Equations(line)
    # Written for Brian2 2.5.4 to 2.11: NeuronGroup has no method that adds a parameter.
    group.equations, group.user_equations = group.equations + equation, group.user_equations + equation
    group.variables.add_array(
        variable, size=1 if shared else len(group), dimensions=equation[variable].dim, constant=True, scalar=shared,
        dtype=np.float64 if shared else None,  # computed once per step, as precisely as a constant
    )  # fmt: skip
    del group.namespace[variable]


def _check(assembly, name, variable, is_compiled):
    """Refuse a constant that would have no effect as a parameter, or an effect elsewhere too."""
    about = f"set_parameters: {variable!r} of {name!r}"
    model, neuron = assembly.models[name], assembly.neuron_of(name)
    instead = f"Convert with a neuron for this layer: neuron={{{name!r}: model.edit({variable}=...), ...: model}}."
    if is_compiled:
        raise ValueError(
            f"{about} is a constant of the program that has been compiled. Call convert again, and set it before the first run: "
            "it can then be changed without compiling."
        )
    learning = assembly.feedback and assembly.feedback.learning
    on_pre = learning.on_pre if learning and name == assembly.feedback.output else model.on_pre
    if variable in get_identifiers(on_pre or "") and model.receives in assembly.written[name]:
        raise ValueError(f"{about} is a constant of what a spike does, {on_pre!r}. {instead}")
    is_part = assembly.graph.populations[name].kind in ("junction", "membrane")
    derived = [n for n, (origins, _) in neuron.derived.items() if variable in origins]
    upstream = [] if _uses(model, variable) else _upstream_with(assembly, name, variable)
    if upstream:
        raise ValueError(
            f"{about} is a constant of the neurons that it reads, {', '.join(map(repr, upstream))}, and of no equation of its "
            f"own. {instead}"
        )
    if is_part and derived:
        raise ValueError(f"{about} also determines {', '.join(derived)} of the neurons that read it. {instead}")
    if not _uses(model, variable) and not any(variable in origins for origins, _ in model.derived.values()):
        raise ValueError(f"{about} has no effect, since none of its equations uses it: print(snn.models[{name!r}]).")


def _uses(model, variable):
    codes = [*model._codes, *model.equations.splitlines()]
    return any(variable in get_identifiers(code) for code in codes if code)


def _upstream_with(assembly, name, variable):
    """Return the junctions and membranes that a population reads, and whose equations use a constant (list of str)."""
    found, incoming, names = {}, assembly.graph.by_target(), [name]
    while names:
        for projection in incoming.pop(names.pop(), ()):
            source = projection.source
            if source in assembly.models and assembly.graph.populations[source].kind in ("junction", "membrane"):
                if _uses(assembly.models[source], variable):
                    found[source] = None
                else:
                    names.append(source)
    return list(found)


def _unit_of(value):
    """Return the unit of a value as equations write it."""
    exponents = zip(BASE_UNITS, get_dimensions(value)._dims)
    return "*".join(unit if n == 1 else f"{unit}**{n:g}" for unit, n in exponents if n) or "1"
