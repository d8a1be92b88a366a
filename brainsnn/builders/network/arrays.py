"""The arrays of a Brian2 object: which are its own, which can be assigned to, and which a run can change."""

import re

from brian2.core.variables import ArrayVariable
from brian2.equations.equations import DIFFERENTIAL_EQUATION

__all__ = ["assignable_arrays", "changeable", "dynamic_names", "own_arrays"]

#: Arrays in which Brian2 keeps the time of each neuron's last spike, or the last spike that a generator has sent: without a
#: reset it would be silent from the second trial on.
INTERNAL_STATE = ("_lastindex", "lastspike", "not_refractory")
#: Those that hold the spikes and other events of the last step.
EVENTS = re.compile(r"_\w+space")


def changeable(obj):
    """
    Return the arrays of an object that statements can change, and those in which Brian2 keeps spikes.

    Parameters
    ----------
    obj : `~brian2.core.base.BrianObject`

    Returns
    -------
    variables : dict of str to `~brian2.core.variables.ArrayVariable`
    """
    internal = {n: v for n, v in own_arrays(obj).items() if n in INTERNAL_STATE or EVENTS.fullmatch(n)}
    return {**assignable_arrays(obj), **internal}


def own_arrays(obj):
    """
    Return the arrays of an object, without those of others to which it refers.

    Parameters
    ----------
    obj : `~brian2.core.base.BrianObject`

    Returns
    -------
    variables : dict of str to `~brian2.core.variables.ArrayVariable`
    """
    return {
        name: variable for name, variable in getattr(obj, "variables", {}).items()
        if isinstance(variable, ArrayVariable) and variable.owner is not None and variable.owner.name == obj.name
    }  # fmt: skip


def assignable_arrays(obj):
    """
    Return the arrays of an object that statements of users can set.

    Parameters
    ----------
    obj : `~brian2.core.base.BrianObject`

    Returns
    -------
    variables : dict of str to `~brian2.core.variables.ArrayVariable`
    """
    return {name: v for name, v in own_arrays(obj).items() if not v.read_only and not name.startswith("_")}


def dynamic_names(synapses):
    """
    Return variables of synapses that follow differential equations, clock-driven or event-driven, and ``lastupdate``.

    Parameters
    ----------
    synapses : `~brian2.synapses.synapses.Synapses`

    Returns
    -------
    names : list of str
    """
    equations = [*synapses.equations.values(), *(synapses.event_driven or {}).values()]
    names = {equation.varname for equation in equations if equation.type == DIFFERENTIAL_EQUATION}
    return [name for name in assignable_arrays(synapses) if name in names or name == "lastupdate"]
