"""Count the bytes and operations that one step of a converted network needs at least."""

import re
from dataclasses import dataclass

import numpy as np
from _machine import BYTES_PER_EVENT, OPERATIONS_PER_EVENT
from brian2 import NeuronGroup
from brian2.utils.stringtools import get_identifiers


@dataclass
class Work:
    """
    Bytes and operations of one kind of work in one step.

    Parameters
    ----------
    kind : {"neurons", "spikes", "graded"}
    n_bytes, operations, working_set : float
        Bytes read and written, float32 operations, and distinct bytes touched.
    """

    kind: str
    n_bytes: float
    operations: float
    working_set: float


def neuron_work(group):
    """
    Return the work of one pass over a group: read and write its state, read its parameters.

    Parameters
    ----------
    group : `~brian2.groups.neurongroup.NeuronGroup`

    Returns
    -------
    work : `Work`
        Arrays with one value for all neurons are not counted.
    """
    equations = group.equations
    expressions = [str(eq.expr) for eq in equations.values() if eq.expr is not None]
    expressions += [str(event) for event in group.events.values()]
    used = set().union(*(get_identifiers(text) for text in expressions))
    arrays = [
        (name, np.dtype(variable.dtype).itemsize * variable.size)
        for name, variable in group.variables.items()
        if variable.array and variable.owner is not None and variable.owner.name == group.name
        and variable.size == len(group) > 1
    ]  # fmt: skip
    state = sum(n_bytes for name, n_bytes in arrays if name in equations.diff_eq_names)
    read = sum(n_bytes for name, n_bytes in arrays if name in used and name not in equations.diff_eq_names)
    operations = sum(len(re.findall(r"[-+*/<>]", text)) for text in expressions) * len(group)
    return Work("neurons", 2 * state + read, operations, state + read)


def network_work(snn, spikes_per_step):
    """
    Return the work of one step of a network.

    Parameters
    ----------
    snn : `~brainsnn.builders.spiking_network.SpikingNetwork`
    spikes_per_step : dict of str to float
        Population -> spikes. Each spike is counted with the population's mean number of connections.

    Returns
    -------
    work : list of `Work`
        Spikes: each connection reads its weight and adds to its target. Graded projections: each reads its source and
        writes its target once.
    """
    work = [neuron_work(group) for group in snn.network.objects if isinstance(group, NeuronGroup)]
    name_of = {group.name: name for name, group in snn.populations.items()}
    item = snn.dtype.itemsize
    for projection in snn.projections:
        operator = projection.operator
        if hasattr(projection, "on_pre"):
            weights = item * getattr(operator, "kernel", np.empty(operator.n_connections)).size
            events = spikes_per_step[name_of[projection.source.name]] * operator.n_connections / operator.size_in
            touched = weights + item * operator.size_out
            work.append(Work("spikes", BYTES_PER_EVENT * events, OPERATIONS_PER_EVENT * events, touched))
        else:
            n_bytes = item * (operator.size_in + operator.size_out)
            work.append(Work("graded", n_bytes, 2 * operator.n_connections, n_bytes))
    return work


def spikes_per_step(result):
    """Return the mean number of spikes of each population per step and image."""
    return {name: float(counts.mean()) / result.n_steps for name, counts in result.spike_counts.items()}


def least_seconds(work, machine):
    """
    Return the least time of a step for each kind of work, done one kind after the other.

    Parameters
    ----------
    work : list of `Work`
    machine : `~_machine.Machine`

    Returns
    -------
    seconds : dict of str to float
        The working set of the neurons is the state of all groups, because a step passes over all of them.
    """
    neurons = [w for w in work if w.kind == "neurons"]
    touched = sum(w.working_set for w in neurons)
    seconds = {"neurons": sum(machine.seconds(w.n_bytes, w.operations, touched) for w in neurons)}
    for w in work:
        if w.kind != "neurons":
            seconds[w.kind] = seconds.get(w.kind, 0.0) + machine.seconds(w.n_bytes, w.operations, w.working_set)
    return seconds


def describe(work, machine):
    """
    Describe the limit of a step and the counts it is based on.

    Parameters
    ----------
    work : list of `Work`
    machine : `~_machine.Machine`

    Returns
    -------
    text : str
    """
    seconds = least_seconds(work, machine)
    names = {"neurons": "of neurons", "spikes": "of synaptic events", "graded": "of graded projections"}
    parts = []
    for kind, value in seconds.items():
        n_bytes, operations = (
            sum(getattr(w, key) for w in work if w.kind == kind) for key in ("n_bytes", "operations")
        )
        parts.append(f"{value * 1e3:.3g} ms {names[kind]} ({n_bytes / 1e6:.3g} MB, {operations / 1e6:.3g} Mop)")
    return " + ".join(parts)


def dense_operations(graph):
    """
    Count the operations of a step as dense convolutions (two per multiply-add), with pooling as a separate step.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`

    Returns
    -------
    operations : float
    """
    from _dense import pooled_factor

    total = 0
    for projection in graph.projections:
        operator = projection.operator
        parts = getattr(operator, "operators", [operator])
        is_stimulus = graph.populations[projection.source].kind == "input"
        for part in parts:
            if not is_stimulus and hasattr(part, "kernel"):
                total += 2 * part.n_connections / pooled_factor(part) ** 2
    return total
