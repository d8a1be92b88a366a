"""What users have changed in a network since it was converted: where its neurons start, and what a NIR file cannot say."""

import numpy as np

from brainsnn.builders.network.assignments import ASSIGNED
from brainsnn.builders.network.connections import SynapticProjection
from brainsnn.builders.network.groups import state_variables
from brainsnn.builders.network.objects import MONITORS
from brainsnn.errors import ConversionError

__all__ = ["check_unchanged", "start_of"]


def start_of(assembly, name, read):
    """
    Return the values with which the neurons of a population start.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    name : str
        Of the population.
    read : callable
        ``read(object, variable)`` returns the values with which the next run starts.

    Returns
    -------
    start : dict of str to (n_neurons,) ndarray
        Of all state variables.
    """
    group = assembly.groups[name]
    variables = state_variables(group, assembly.parameters[name])
    return {each: np.asarray(read(group, each), dtype=float) for each in variables if not each.startswith("_")}


def check_unchanged(assembly, network, read):
    """
    Refuse what was added to a network or changed in it, and is in no population and projection of the graph.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    network : `~brainsnn.builders.network.trial_network.TrialNetwork`
    read : callable
        ``read(object, variable)`` returns the values with which the next run starts.

    Raises
    ------
    ConversionError
        The message names the object.
    """
    objects = network.sorted_objects
    names = network.added
    parts = {part for obj in network.objects if obj.name in names for part in obj.contained_objects}
    if added := [o.name for o in objects if o.name in names and o not in parts and not isinstance(o, MONITORS)]:
        raise ConversionError(
            f"to_nir: {', '.join(map(repr, added))} was added to the network and is in no layer. Remove it."
        )
    unused = {part for c in assembly.connections if isinstance(c, SynapticProjection) for part in _unused(c)}
    if stopped := [obj.name for obj in objects if not obj.active and obj not in unused]:
        raise ConversionError(
            f"to_nir: {', '.join(map(repr, stopped))} was switched off, and in a NIR file all acts. Set active = True."
        )
    for name, group in assembly.groups.items():
        model = assembly.models[name]
        now = group.events.get("spike"), group.event_codes.get("spike")
        for what, found, given in zip(("threshold", "reset"), now, (model.threshold, model.reset)):
            if (found or None) != (given or None):
                raise ConversionError(
                    f"to_nir: the {what} of {name!r} was changed from {given!r} to {found!r}. Give convert a neuron model that "
                    "has it, such as neuron.edit(...)."
                )
        if name in assembly.graph.populations and assembly.graph.populations[name].kind == "junction":
            _check_empty(name, start_of(assembly, name, read))
    for connection in assembly.connections:
        if isinstance(connection, SynapticProjection) and connection not in unused:
            _check_synapses(connection)


def _unused(projection):
    """Return what Brian2 does not run of a projection without connections."""
    return [] if projection.operator.n_connections else [projection, *projection._pathways]


def _check_empty(name, start):
    """Refuse a junction, which NIR does not have, that starts with a current."""
    for variable, values in start.items():
        if np.any(values):
            raise ConversionError(
                f"to_nir: {variable!r} of {name!r} starts at {np.unique(values)[:3]}, and NIR has no such current: it is written "
                f"as sums of spikes. Assign 0 to {variable!r}."
            )


def _check_synapses(projection):
    """Refuse weights and delays that users have assigned."""
    if projection.variables["w"] in ASSIGNED:
        raise ConversionError(
            f"to_nir: weights were assigned to {projection.name!r}, and the file gets those of the graph. Change the weights of "
            "the model that was converted."
        )
    for pathway in projection._pathways:
        if pathway.variables["delay"] in ASSIGNED:
            raise ConversionError(
                f"to_nir: a delay was assigned to {pathway.name!r}, and a projection of a NIR file acts at once. Convert again."
            )
