"""Refuse what GeNN cannot do, before anything is built."""

from brian2.equations.equations import SUBEXPRESSION
from brian2.utils.stringtools import get_identifiers

from brainsnn.builders.network.groups import parameter_names
from brainsnn.equations.statements import assignments
from brainsnn.errors import DeviceLimitError
from brainsnn.memory import available_memory

__all__ = ["check_graph", "check_statements", "recorded_late"]

# Bytes per connection while a network is built (105 measured), with some margin; a running program takes fewer.
BYTES_PER_CONNECTION = 150

INSTEAD = "Use device='cpp_standalone'."


def check_graph(device, graph, schedule, encoder, feedback):
    """
    Refuse networks that GeNN cannot run.

    Parameters
    ----------
    device : str
        Name of the device, for messages.
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    schedule : {"pipelined", "synchronous"}
    encoder : {"current", "poisson"}
    feedback : `~brainsnn.feedback.gate.PredictiveGate` or None

    Raises
    ------
    DeviceLimitError
        If GeNN would need another order of operations, or values that travel without spikes.
    MemoryError
        If the connections, one by one, do not fit.
    """
    if schedule != "pipelined":
        raise DeviceLimitError(
            f"convert: schedule={schedule!r}; with device={device!r} a spike always acts in the next step. Use "
            "schedule='pipelined', or device='cpp_standalone'."
        )
    for projection in graph.projections:
        if projection.mode in ("membrane", "counts"):
            what = {"membrane": "membranes", "counts": "spikes"}[projection.mode]
            raise DeviceLimitError(
                f"convert: {projection.target!r} pools the {what} of {projection.source!r} within a step, which "
                f"device={device!r} cannot. Average with average_pooling='spikes', or use device='cpp_standalone'."
            )
    if feedback is not None and feedback.contrast:
        raise DeviceLimitError(
            f"convert: PredictiveGate(contrast=True) takes the maximum of the input in each step, which device={device!r} "
            "cannot. Use contrast=False, or device='cpp_standalone'."
        )
    if feedback is not None and feedback.learning is not None:
        raise DeviceLimitError(
            f"convert: PredictiveGate(learning=...) sends the error of each pixel back in every step, which "
            f"device={device!r} cannot. Use device='cpp_standalone' or 'runtime'."
        )
    spiking = [p for p in graph.projections if encoder == "poisson" or graph.populations[p.source].kind != "input"]
    n_connections = sum(projection.operator.n_connections for projection in spiking)
    needed, available = BYTES_PER_CONNECTION * n_connections, available_memory()
    if needed > available:
        raise MemoryError(
            f"convert: device={device!r} stores {n_connections:,} connections one by one, about {needed / 2**30:.0f} GiB, and "
            f"{available / 2**30:.1f} GiB are available. Use device='cpp_standalone', which stores kernels."
        )


def check_statements(device, assembly):
    """
    Refuse neuron models whose result depends on whether spikes arrive before or after the reset.

    Brian2 transmits the spikes of a step before the resets, GeNN after them.

    Parameters
    ----------
    device : str
    assembly : `~brainsnn.builders.network.assembly.Assembly`

    Returns
    -------
    arriving : dict of str to set of str
        Variables of each Brian2 group that spikes write.

    Raises
    ------
    DeviceLimitError
        With the statement at fault.
    """
    resets = {group.name: assignments(assembly.models[name].reset) for name, group in assembly.groups.items()}
    arriving = {group.name: set() for group in assembly.groups.values()}
    for connection in assembly.connections:
        code = connection.pre.code
        statements = assignments(code)
        if len(statements) != 1 or statements[0][1] != "+=" or not statements[0][0].endswith("_post"):
            raise DeviceLimitError(
                f"convert: on_pre={code!r}; with device={device!r} a spike adds to one variable of its target. {INSTEAD}"
            )
        written, _, expression = statements[0]
        changed = {variable for variable, _, _ in resets[connection.source.name]}
        for name in get_identifiers(expression):
            if name.endswith("_post") or (name.endswith("_pre") and name.removesuffix("_pre") in changed):
                raise DeviceLimitError(
                    f"convert: on_pre={code!r} reads {name!r}, which the resets of the step change before "
                    f"device={device!r} transmits spikes. {INSTEAD}"
                )
        arriving[connection.target.name].add(written.removesuffix("_post"))
    for name, group in assembly.groups.items():
        for variable, operator, expression in resets[group.name]:
            reads = _depends_on(group, get_identifiers(expression)) & arriving[group.name]
            if reads or (variable in arriving[group.name] and operator not in ("+=", "-=")):
                raise DeviceLimitError(
                    f"convert: the reset {variable} {operator} {expression} of {name!r} reads a variable that spikes change; "
                    f"with device={device!r} it may only add to it, as spikes arrive after the reset. {INSTEAD}"
                )
    return arriving


def recorded_late(device, name, variable, assembly, arriving):
    """
    Return whether GeNN has the value at the end of a step only in the next step, because it follows from spikes alone.

    Parameters
    ----------
    device : str
    name, variable : str
        Population and variable to be recorded.
    assembly : `~brainsnn.builders.network.assembly.Assembly`
    arriving : dict of str to set of str
        As from `check_statements`.

    Returns
    -------
    late : bool

    Raises
    ------
    DeviceLimitError
        If it follows both from spikes and from the neuron's own dynamics.
    """
    group, model = assembly.groups[name], assembly.models[name]
    needs = _depends_on(group, {variable})
    if "t" in needs:
        raise DeviceLimitError(
            f"convert: record[{name!r}] names {variable!r}, which follows from the time; device={device!r} cannot record it. "
            f"{INSTEAD}"
        )
    from_spikes = needs & arriving[group.name]
    if not from_spikes:
        return False
    parameters = parameter_names(model, assembly.written[name])
    changing = set(group.variables) & needs - set(parameters) - {"dt", "i", "N"}
    moving = {v for v, _, _ in assignments(model.update) + assignments(model.reset)} | set(
        group.equations.diff_eq_names
    )
    if changing - from_spikes or from_spikes & moving:
        raise DeviceLimitError(
            f"convert: record[{name!r}] names {variable!r}, which spikes and the neuron itself change; device={device!r} brings "
            f"spikes at the beginning of the next step, so the value at the end of the step is never available. {INSTEAD}"
        )
    return True


def _depends_on(group, names):
    """Return the variables on which some names of a group depend, with subexpressions resolved."""
    found, frontier = set(), set(names)
    while frontier:
        name = frontier.pop()
        equation = group.equations[name] if name in group.equations else None
        if equation is not None and equation.type == SUBEXPRESSION:
            frontier |= equation.identifiers - found
        else:
            found.add(name)
    return found
