"""From a LayerGraph and a neuron model to Brian2 objects in their places in the schedule."""

from dataclasses import dataclass, field
from itertools import count

from brian2 import Clock, Synapses

from brainsnn.builders.connections import EventDrivenProjection, GradedProjection, SpikeReplay, SynapticProjection
from brainsnn.builders.feedback_connections import add_feedback
from brainsnn.builders.layer_operators import identity
from brainsnn.builders.operators import ConvOperator
from brainsnn.builders.pooling import OperatorChain
from brainsnn.builders.populations import Inputs, brian_name, inputs_of, make_group, model_for
from brainsnn.equations.model import NeuronModel, graded_variables

__all__ = ["Assembly", "assemble", "SCHEDULES", "CONNECTIVITIES"]

SCHEDULES = ("pipelined", "synchronous")
CONNECTIVITIES = ("event_driven", "synapses")


@dataclass
class Assembly:
    """
    The Brian2 objects of a network.

    Attributes
    ----------
    clock : `~brian2.core.clocks.Clock`
    groups : dict of str to `~brian2.groups.neurongroup.NeuronGroup`
        By the name of the population in the LayerGraph.
    models : dict of str to `~brainsnn.equations.model.NeuronModel`
    inputs : dict of str to `~brainsnn.builders.populations.Inputs`
    connections : list
        Projections, in the order in which they were made.
    replays : dict of str to `~brainsnn.builders.connections.SpikeReplay`
    written : dict of str to set of str
        Variables of each group that connections write.
    """

    clock: Clock
    groups: dict = field(default_factory=dict)
    models: dict = field(default_factory=dict)
    inputs: dict = field(default_factory=dict)
    connections: list = field(default_factory=list)
    replays: dict = field(default_factory=dict)
    written: dict = field(default_factory=dict)

    @property
    def objects(self):
        """All Brian2 objects (list)."""
        return [*self.groups.values(), *self.connections, *self.replays.values()]


def assemble(graph, neuron, connectivity, schedule, encoder, clock, feedback=None):
    """
    Build all groups and connections of a network.

    Parameters
    ----------
    graph : `~brainsnn.builders.layer_graph.LayerGraph`
    neuron : `~brainsnn.equations.model.NeuronModel`
    connectivity : {"event_driven", "synapses"}
    schedule : {"pipelined", "synchronous"}
    encoder : {"current", "poisson"}
    clock : `~brian2.core.clocks.Clock`
    feedback : `~brainsnn.feedback.gate.PredictiveGate`, optional

    Returns
    -------
    assembly : `Assembly`
    """
    assembly = Assembly(clock, inputs=inputs_of(graph, encoder))
    place = _Synchronous() if schedule == "synchronous" else _Pipelined()
    for depth, (name, population) in enumerate(graph.populations.items()):
        if population.kind == "input":
            if encoder == "current":
                continue
        elif name not in assembly.inputs:
            continue
        model = feedback.model if feedback is not None and population.kind == "input" else None
        learning = feedback.learning if feedback is not None and name == feedback.output else None
        _add_population(assembly, population, neuron, connectivity, place, depth, model, learning)
        if population.kind != "input":
            _add_connections(assembly, name, graph, neuron, connectivity, place, depth, learning)
    if feedback is not None:
        add_feedback(assembly, graph, feedback, connectivity, place)
    return assembly


def _add_population(assembly, population, neuron, connectivity, place, depth, model=None, learning=None):
    name = population.name
    inputs = assembly.inputs.get(name, Inputs([], [], []))
    n_graded = len(inputs.current) if connectivity == "synapses" else min(1, len(inputs.current))
    if population.kind == "junction" and not inputs.has_spikes:
        n_graded = max(n_graded, 1)
    model = model or model_for(population, inputs, neuron, n_graded)
    model = model if learning is None else learning.target_model(model)
    n_neurons = population.shape[0] * population.shape[1] * population.shape[2]
    group = make_group(model, n_neurons, brian_name(name), assembly.clock)
    assembly.groups[name], assembly.models[name] = group, model
    assembly.written[name] = set()
    place.group(group, depth, is_junction=population.kind == "junction")
    if population.kind == "input":
        replay = SpikeReplay(group, name=f"{group.name}_replay")
        place.replay(replay, depth)
        assembly.replays[replay.name] = replay


def _add_connections(assembly, name, graph, neuron, connectivity, place, depth, learning=None):
    inputs, target = assembly.inputs[name], assembly.groups[name]
    for projection in inputs.spikes:
        source = assembly.groups[projection.source]
        connection = _spike_projection(
            source, target, projection.operator, neuron, connectivity, _unique_name(assembly, source, target), learning
        )
        place.spikes(connection, depth)
        assembly.connections.append(connection)
    for k, projection in enumerate(inputs.current):
        variable = graded_variables(k + 1)[-1] if connectivity == "synapses" else "graded"
        connection = _current_projection(assembly, projection, target, variable, connectivity, first=k == 0)
        place.graded(connection, depth)
        assembly.connections.append(connection)
        assembly.written[name].add(variable)
    for projection in inputs.membrane:
        _add_pooling(assembly, projection, target, connectivity, place, depth)
        assembly.written[name].add("pooled")
    if graph.populations[name].kind == "junction" and inputs.has_spikes and inputs.current:
        if connectivity == "event_driven":
            # The readers of this junction need the sum of its own spikes and of the junction upstream in one array.
            shape = graph.populations[name].shape
            total = GradedProjection(
                target, target, identity(shape), neuron.receives, "graded", f"{target.name}_total", overwrite=False
            )
            place.graded(total, depth, step=1)
            assembly.connections.append(total)


def _spike_projection(source, target, operator, neuron, connectivity, name, learning=None):
    on_pre, constants = neuron.on_pre, neuron.constants
    if learning is not None:
        on_pre, constants = learning.on_pre, {**constants, **learning.parameters}
    make = {"event_driven": EventDrivenProjection, "synapses": SynapticProjection}[connectivity]
    return make(source, target, operator, name=name, on_pre=on_pre, namespace=constants, plastic=learning is not None)


def _current_projection(assembly, projection, target, variable, connectivity, first):
    """What a population reads from a junction; the junction's value is the sum of the variables that it has."""
    source = assembly.groups[projection.source]
    inputs, model = assembly.inputs[projection.source], assembly.models[projection.source]
    name = _unique_name(assembly, source, target)
    if connectivity == "event_driven":
        read = "graded" if inputs.current else model.receives
        return GradedProjection(source, target, projection.operator, read, variable, name, overwrite=first)
    terms = ([model.receives] if inputs.has_spikes else []) + graded_variables(len(inputs.current))
    total = " + ".join(f"{term}_pre" for term in terms)
    unit = assembly.models[projection.source].equations.split(":")[1].split("\n")[0].strip()
    equations = f"{variable}_post = w*({total}) : {unit} (summed)"
    return SynapticProjection(source, target, projection.operator, name, equations=equations)


def _add_pooling(assembly, projection, target, connectivity, place, depth):
    """A maximum or an average of membranes, through holder groups if several operators follow each other."""
    source = assembly.groups[projection.source]
    read = assembly.models[projection.source].membrane
    unit = next(line for line in assembly.models[target.name].equations.splitlines() if line.startswith("pooled :"))
    unit = unit.split(":")[1].strip()
    operators = (
        projection.operator.operators if isinstance(projection.operator, OperatorChain) else [projection.operator]
    )
    for k, operator in enumerate(operators):
        last = k == len(operators) - 1
        group = target
        if not last:
            holder = f"{target.name}_pool_{k + 1}"
            model = NeuronModel(
                name="pooled", equations=f"pooled : {unit}", receives="pooled", spike_height=None, bias=None
            )
            group = make_group(model, operator.size_out, holder, assembly.clock)
            assembly.groups[holder], assembly.models[holder], assembly.written[holder] = group, model, {"pooled"}
        name = _unique_name(assembly, source, group)
        if connectivity == "synapses" and isinstance(operator, ConvOperator):
            equations = f"pooled_post = w*{read}_pre : {unit} (summed)"
            connection = SynapticProjection(source, group, operator, name, equations=equations)
        else:  # a maximum is no sum over synapses
            connection = GradedProjection(source, group, operator, read, "pooled", name)
        place.pooling(connection, depth, step=k)
        assembly.connections.append(connection)
        source, read = group, "pooled"


def _unique_name(assembly, source, target):
    name = f"{source.name}_to_{target.name}"
    taken = {connection.name for connection in assembly.connections}
    if name not in taken:
        return name
    return next(f"{name}_{k}" for k in count(2) if f"{name}_{k}" not in taken)


def _parts(connection):
    """The objects of a connection that run: itself, or the pathway or updater of a Synapses object."""
    if isinstance(connection, Synapses):
        return list(connection._pathways) or [
            obj for obj in connection.contained_objects if type(obj).__name__ == "SummedVariableUpdater"
        ]
    return [connection]


def _put(objects, when, order):
    for obj in objects:
        obj.when, obj.order = when, order


class _Pipelined:
    """Brian2's standard schedule: a spike of this step acts in the next one."""

    def group(self, group, depth, is_junction):
        """Place a population's own updates, threshold and reset: they stand there already."""

    def replay(self, replay, depth):
        """Place what writes replayed spikes."""
        _put([replay], "groups", 0)

    def spikes(self, connection, depth):
        """Place a connection of spikes: it stands there already."""

    def graded(self, connection, depth, step=0):
        """Place the reading of a junction."""
        # Behind all spikes of the step, upstream junctions first.
        _put(_parts(connection), "synapses", 1000 + 10 * depth + step)

    def pooling(self, connection, depth, step):
        """Place what pools membranes."""
        # Between the membranes of this step and its thresholds.
        _put(_parts(connection), "groups", 1000 + 10 * depth + step)

    def of_input(self, connection):
        """Place what reads the input neurons after their step."""
        # The statements of a group's step can be fused with its threshold.
        _put(_parts(connection), "thresholds", 1000)


class _Synchronous:
    """Populations one after the other within a step: a spike acts in the next layer in the same step."""

    def group(self, group, depth, is_junction):
        """Place a population's own updates, threshold and reset."""
        # A junction keeps what arrived in this step until all its readers have seen it, and decays at the end.
        self._put(group.state_updater, depth if not is_junction else 10**4, 40)
        for update in group.updates:
            self._put(update, depth, 50)
        for thresholder in group.thresholder.values():
            self._put(thresholder, depth, 60)
        for resetter in group.resetter.values():
            self._put(resetter, depth, 70)

    def _put(self, obj, depth, order):
        _put([obj], "groups", 100 * depth + order)

    def replay(self, replay, depth):
        """Place what writes replayed spikes."""
        self._put(replay, depth, 10)

    def spikes(self, connection, depth):
        """Place a connection of spikes."""
        _put(_parts(connection), "groups", 100 * depth + 10)

    def graded(self, connection, depth, step=0):
        """Place the reading of a junction."""
        _put(_parts(connection), "groups", 100 * depth + 20 + step)

    def pooling(self, connection, depth, step):
        """Place what pools membranes."""
        _put(_parts(connection), "groups", 100 * depth + 20 + step)

    def of_input(self, connection):
        """Place what reads the input neurons after their step."""
        _put(_parts(connection), "groups", 99)
