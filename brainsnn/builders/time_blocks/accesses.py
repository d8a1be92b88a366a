"""What the code of each Brian2 object reads and writes in a step."""

from brian2 import Clock, TimedArray
from brian2.codegen.codeobject import CodeObject
from brian2.core.functions import DEFAULT_FUNCTIONS, Function
from brian2.core.variables import ArrayVariable, DynamicArrayVariable
from brian2.groups.neurongroup import Thresholder

from brainsnn.builders.network.arrays import EVENTS
from brainsnn.builders.network.connections import EventDrivenProjection, GradedProjection
from brainsnn.builders.network.objects import MONITORS
from brainsnn.builders.network.replay import SpikeReplay
from brainsnn.builders.time_blocks.plan import Access, plan_blocks
from brainsnn.equations.statements import assigned

__all__ = ["access_of", "n_spiking", "plan_codes"]

#: Brian2's templates of code that writes only what its statements assign to: of equations, of ``run_regularly``, of a reset.
STATEMENTS = ("stateupdate", "reset")

#: Stands for the generator of random numbers: its numbers come in one order.
RANDOM_NUMBERS = "random numbers"


def access_of(obj, code: CodeObject):
    """
    Return what the code of an object does to arrays and generators in a step.

    Parameters
    ----------
    obj : `~brian2.core.base.BrianObject`
    code : `~brian2.codegen.codeobject.CodeObject`
        Its code.

    Returns
    -------
    access : `~brainsnn.builders.time_blocks.plan.Access`
        The arrays are Brian2's variables. What is not known to leave an array alone counts as writing it.
    """
    arrays = {
        name: variable for name, variable in code.variables.items()
        if isinstance(variable, ArrayVariable) and not isinstance(variable.owner, Clock)
        and not (variable.constant and variable.read_only)
    }  # fmt: skip
    writes, sets = _written(obj, arrays)
    shared = {_hidden_state(v) for v in code.variables.values() if isinstance(v, Function)} - {None}
    sets = {variable for variable in sets if not isinstance(variable, DynamicArrayVariable)}  # others can move
    return Access(frozenset({*arrays.values(), *shared}), frozenset({*writes, *shared}), frozenset(sets))


def plan_codes(codes):
    """
    Divide code that runs in each step into blocks.

    Parameters
    ----------
    codes : list of (`~brian2.core.base.BrianObject`, `~brian2.codegen.codeobject.CodeObject`)

    Returns
    -------
    plan : `~brainsnn.builders.time_blocks.plan.Plan`
    """
    accesses = [access_of(obj, code) for obj, code in codes]
    sets = {variable for access in accesses for variable in access.sets}
    return plan_blocks(accesses, sparse={variable for variable in sets if n_spiking(variable)})


def n_spiking(variable):
    """
    Return how many neurons an array of spikes is of.

    Parameters
    ----------
    variable : `~brian2.core.variables.ArrayVariable`

    Returns
    -------
    n_neurons : int
        0 if it is another array.
    """
    return variable.size - 1 if EVENTS.fullmatch(variable.name) else 0


def _written(obj, arrays):
    """Return the arrays that an object writes, and those of them that it sets as a whole."""
    if isinstance(obj, MONITORS):
        return {v for v in arrays.values() if v.owner is not None and v.owner.name == obj.name}, ()
    if isinstance(obj, GradedProjection):
        target = obj.variables["target"]
        return {target}, {target} if obj.overwrite else ()
    if isinstance(obj, SpikeReplay):
        return {obj.variables["replayed"]}, {obj.variables["replayed"]}
    if isinstance(obj, Thresholder):
        events = obj.group.variables[f"_{obj.event}space"]
        own = {obj.group.variables[name] for name in ("lastspike", "not_refractory") if name in obj.group.variables}
        return {events} | own | _assigned(obj, arrays), {events}
    if isinstance(obj, EventDrivenProjection) or getattr(obj, "template", None) in STATEMENTS:
        return _assigned(obj, arrays), ()
    return set(arrays.values()), ()


def _assigned(obj, arrays):
    return {arrays[name] for name in assigned(obj.abstract_code) if name in arrays}


def _hidden_state(function):
    """Return what stands for the state that calls of a function change, if it may have any."""
    if not function.stateless:
        return RANDOM_NUMBERS
    return None if isinstance(function, TimedArray) or function in DEFAULT_FUNCTIONS.values() else function
