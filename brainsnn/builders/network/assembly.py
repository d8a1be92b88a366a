"""Brian2 objects from a LayerGraph and its neuron models, each in its place in the schedule."""

from dataclasses import dataclass, field
from functools import cached_property

from brian2 import Clock

from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.builders.network.brian_names import GROUP_PARTS, BrianNames
from brainsnn.builders.network.connections import (
    EventDrivenProjection,
    GradedProjection,
    SynapticProjection,
)
from brainsnn.builders.network.feedback import add_feedback, drawing_part
from brainsnn.builders.network.groups import make_group, model_for, parameter_names, state_variables
from brainsnn.builders.network.inputs import Inputs, inputs_of
from brainsnn.builders.network.neurons import Neurons, scale_of_spikes
from brainsnn.builders.network.replay import SpikeReplay
from brainsnn.builders.network.schedule import SCHEDULES
from brainsnn.builders.operators import ConvOperator
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain
from brainsnn.builders.operators.scaling import identity
from brainsnn.equations.arriving_spikes import spikes_between
from brainsnn.equations.model import NeuronModel
from brainsnn.equations.pooled_spikes import COUNT
from brainsnn.equations.statements import assigned, with_suffixes
from brainsnn.equations.variants import graded_variables
from brainsnn.errors import ConversionError
from brainsnn.feedback.gate import PredictiveGate

__all__ = ["CONNECTIVITIES", "Assembly", "assemble"]

CONNECTIVITIES = ("event_driven", "synapses")

#: Of the objects that every network has.
OWN_NAMES = ("brainsnn_network", "brainsnn_clock", "brainsnn_declared_state")


@dataclass(frozen=True)
class Assembly:
    """
    A network as it was asked for, and its Brian2 objects.

    Attributes
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    neurons : `~brainsnn.builders.network.neurons.Neurons`
    connectivity : {"event_driven", "synapses"}
    schedule : {"pipelined", "synchronous"}
    encoder : {"current", "poisson"}
    feedback : `~brainsnn.feedback.gate.PredictiveGate` or None
    clock : `~brian2.core.clocks.Clock`
    dt : float
        Time step in seconds.
    inputs : dict of str to `~brainsnn.builders.network.inputs.Inputs`
    groups : dict of str to `~brian2.groups.neurongroup.NeuronGroup`
        By the name of the population in the LayerGraph.
    models : dict of str to `~brainsnn.equations.model.NeuronModel`
    connections : list
        Projections, in the order in which they were made.
    replays : dict of str to `~brainsnn.builders.network.connections.SpikeReplay`
    written : dict of str to set of str
        Variables of each group that connections write.
    names : `~brainsnn.builders.network.brian_names.BrianNames`
        Of its Brian2 objects.
    group_names : dict of str to str
        Name of the group of each population, in Brian2.
    weights : dict
        Projections whose kernel others with the same one share.
    """

    graph: LayerGraph
    neurons: Neurons
    connectivity: str
    schedule: str
    encoder: str
    feedback: PredictiveGate | None
    clock: Clock
    dt: float
    inputs: dict
    groups: dict = field(default_factory=dict)
    models: dict = field(default_factory=dict)
    connections: list = field(default_factory=list)
    replays: dict = field(default_factory=dict)
    written: dict = field(default_factory=dict)
    names: BrianNames = field(default_factory=lambda: BrianNames(*OWN_NAMES))
    group_names: dict = field(default_factory=dict)
    weights: dict = field(default_factory=dict)

    def __post_init__(self):
        # All of them before anything else, so that a layer keeps its name whatever we call our own objects.
        self.group_names.update((name, self.names.free(name, *GROUP_PARTS)) for name in self.graph.populations)

    def add_group(self, name, model, n_neurons):
        """
        Add a group that represents no population of the LayerGraph.

        Parameters
        ----------
        name : str
            What it shall be called. Another name is chosen if a population has this one.
        model : `~brainsnn.equations.model.NeuronModel`
        n_neurons : int

        Returns
        -------
        key : str
            Its name in `groups`, `models` and `written`.
        """
        key, number = name, 2
        while key in self.graph.populations or key in self.groups:
            key, number = f"{name}_{number}", number + 1
        self.groups[key] = make_group(model, n_neurons, self.names.free(name, *GROUP_PARTS), self.clock)
        self.models[key], self.written[key] = model, set()
        return key

    def is_biased(self, name):
        """Return whether a population is a junction with a bias, which a maximum over its neurons needs before it."""
        return self.graph.populations[name].kind == "junction" and "biased" in self.models[name].brian_equations

    def neuron_of(self, name):
        """Return the neuron model that a population's equations were made from."""
        return self._neuron_models[name]

    @cached_property
    def _neuron_models(self):
        return self.neurons.of_each(self.graph)

    def spike_scale(self, projection):
        """Return the factor of the height of the spikes of a projection; None where it is not known, 1 for images as currents."""
        if projection.source == self.graph.input.name and self.encoder == "current":
            return 1.0
        return scale_of_spikes(self.graph, self._neuron_models, projection, self.dt)

    @cached_property
    def counted(self):
        """Names of the populations whose spikes are counted and pooled (set of str)."""
        return {p.source for p in self.graph.projections if p.mode == "counts"}

    @property
    def objects(self):
        """All Brian2 objects (list)."""
        return [*self.groups.values(), *self.connections, *self.replays.values()]

    @property
    def shapes(self):
        """(H, W, C) of each population of the LayerGraph that has a group (dict of str to tuple of int)."""
        return {name: self.graph.populations[name].shape for name in self.groups if name in self.graph.populations}

    @cached_property
    def parameters(self):
        """Names of the per-neuron parameters of each group, which a run does not change (dict of str to list of str)."""
        return {name: parameter_names(model, self.written[name]) for name, model in self.models.items()}

    @property
    def learning(self):
        """Names of the projections whose weights change during runs (list of str)."""
        rule = self.feedback and self.feedback.learning
        return [c.name for c in self.connections if rule and rule.changes_weights and getattr(c, "plastic", False)]

    @property
    def state(self):
        """Arrays that a trial changes, by Brian2's name of their group (dict of str to dict of str to variable)."""
        return {group.name: state_variables(group, self.parameters[name]) for name, group in self.groups.items()}


def assemble(graph, neurons, connectivity, schedule, encoder, clock, feedback=None):
    """
    Build all groups and connections of a network.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    neurons : `~brainsnn.builders.network.neurons.Neurons`
    connectivity : {"event_driven", "synapses"}
    schedule : {"pipelined", "synchronous"}
    encoder : {"current", "poisson"}
    clock : `~brian2.core.clocks.Clock`
    feedback : `~brainsnn.feedback.gate.PredictiveGate`, optional

    Returns
    -------
    assembly : `Assembly`
    """
    neurons, inputs = neurons.changed(NeuronModel.with_free_names), inputs_of(graph, encoder)
    assembly = Assembly(graph, neurons, connectivity, schedule, encoder, feedback, clock, float(clock.dt), inputs)
    schedule, loops = SCHEDULES[schedule](), []
    for depth, (name, population) in enumerate(graph.populations.items()):
        if population.kind == "input":
            if encoder == "current":
                continue
        elif name not in assembly.inputs:
            continue
        model = feedback.model if feedback is not None and population.kind == "input" else None
        learning = feedback.learning if feedback is not None and name == feedback.output else None
        part = None if model is None else drawing_part(feedback)
        _add_population(assembly, population, connectivity, schedule, depth, model, learning, part)
        if population.kind != "input":
            _add_connections(assembly, name, graph, connectivity, schedule, depth, learning)
            loops.append((name, depth, [p for p in inputs[name].spikes if p.source not in assembly.groups], learning))
    for name, depth, projections, learning in loops:
        # Of later populations. They are read before these spike again, so their spikes act one step later in every schedule.
        _add_spikes(assembly, name, projections, connectivity, schedule, depth, learning)
    if feedback is not None:
        add_feedback(assembly, graph, feedback, connectivity, schedule)
    return assembly


def _add_population(assembly, population, connectivity, schedule, depth, model=None, learning=None, part=None):
    """Add the group of a population; ``part`` is the model that it executes itself, if not all of ``model``."""
    name = population.name
    inputs = assembly.inputs.get(name, Inputs())
    n_graded = len(inputs.current) if connectivity == "synapses" else min(1, len(inputs.current))
    if population.kind == "junction" and not inputs.has_spikes:
        n_graded = max(n_graded, 1)
    model = model or model_for(population, inputs, assembly.neuron_of(name), n_graded, counted=name in assembly.counted)
    model = model if learning is None else learning.target_model(model)
    n_neurons = population.shape[0] * population.shape[1] * population.shape[2]
    group = make_group(part or model, n_neurons, assembly.group_names[name], assembly.clock)
    assembly.groups[name], assembly.models[name] = group, model
    assembly.written[name] = set()
    schedule.group(group, depth, is_junction=population.kind == "junction")
    if population.kind == "input":
        replay = SpikeReplay(group, name=assembly.names.free(f"{group.name}_replay"))
        schedule.replay(replay, depth)
        assembly.replays[replay.name] = replay


def _add_connections(assembly, name, graph, connectivity, schedule, depth, learning=None):
    inputs, target, neuron = assembly.inputs[name], assembly.groups[name], assembly.neuron_of(name)
    known = [projection for projection in inputs.spikes if projection.source in assembly.groups]
    _add_spikes(assembly, name, known, connectivity, schedule, depth, learning)
    for k, projection in enumerate(inputs.current):
        variable = graded_variables(k + 1)[-1] if connectivity == "synapses" else "graded"
        connection = _current_projection(assembly, projection, target, variable, connectivity, first=k == 0)
        # The first one overwrites what the others add to, and Brian2 orders objects of one place by their names.
        schedule.graded(connection, depth, step=min(k, 1))
        assembly.connections.append(connection)
        assembly.written[name].add(variable)
    for projection in [*inputs.membrane, *inputs.counts]:
        _add_pooling(assembly, projection, target, connectivity, schedule, depth)
        assembly.written[name].add("pooled")
    if assembly.is_biased(name):
        # What arrives and the bias, which a maximum needs before it, in one array that readers of this junction read.
        model = assembly.models[name]
        total = " + ".join([*_held(assembly, name, connectivity), model.bias])
        title = assembly.names.free(f"{target.name}_biased")
        statement = target.run_regularly(f"biased = {total}", name=title, clock=target.clock)
        schedule.graded(statement, depth, step=2)
        assembly.written[name].add("biased")
    elif graph.populations[name].kind == "junction" and inputs.has_spikes and inputs.current:
        if connectivity == "event_driven":
            # Readers of this junction need one array: the sum of its own current and of the junction upstream.
            shape = graph.populations[name].shape
            title = assembly.names.free(f"{target.name}_total")
            total = GradedProjection(target, target, identity(shape), neuron.receives, "graded", title, overwrite=False)
            schedule.graded(total, depth, step=2)
            assembly.connections.append(total)


def _add_spikes(assembly, name, projections, connectivity, schedule, depth, learning):
    """Connect populations whose spikes arrive at a population."""
    target, neuron = assembly.groups[name], assembly.neuron_of(name)
    model = assembly.models[name] if assembly.graph.populations[name].kind == "readout" else neuron
    on_pre, constants = _statement(model, neuron, learning)
    on_pre = with_suffixes(on_pre, target.variables)
    for projection in projections:
        source = assembly.groups[projection.source]
        title = assembly.names.free(f"{source.name}_to_{target.name}", "_pre")
        scale = assembly.spike_scale(projection) or 1.0  # convert has warned of an unknown one
        statement = spikes_between(on_pre, constants, assembly.models[projection.source], neuron, scale)
        options = {"weights": assembly.weights} if connectivity == "event_driven" else {}
        connection = _spike_projection(
            source, target, projection.operator, *statement, connectivity, title, learning, **options
        )
        for variable in assigned(on_pre):
            written = {"_post": name, "_pre": projection.source}.get(variable[variable.rfind("_") :])
            if written is not None:
                assembly.written[written].add(variable.removesuffix("_post").removesuffix("_pre"))
        schedule.spikes(connection, depth)
        assembly.connections.append(connection)


def _statement(model, neuron, learning):
    """Return what a spike does to neurons of a model, and the constants that it uses."""
    if learning is not None:
        return learning.on_pre, {**neuron.constants, **learning.parameters}
    return model.on_pre, model.constants


def _spike_projection(source, target, operator, on_pre, constants, connectivity, name, learning=None, **options):
    if learning is None and "w" in assigned(on_pre):
        raise ValueError(
            f"convert: on_pre {on_pre!r} changes the weight, which all connections of a kernel share and which a trial must not "
            "change. Use PredictiveGate(learning=LocalLearning(on_pre=...)) for weights that are learned."
        )
    make = {"event_driven": EventDrivenProjection, "synapses": SynapticProjection}[connectivity]
    plastic = learning is not None
    return make(source, target, operator, name=name, on_pre=on_pre, namespace=constants, plastic=plastic, **options)


def _current_projection(assembly, projection, target, variable, connectivity, first):
    """Connect a junction to a population that reads it; the junction's value is the sum of its variables."""
    source, model = assembly.groups[projection.source], assembly.models[projection.source]
    name = assembly.names.free(f"{source.name}_to_{target.name}", f"_summed_variable_{variable}")
    terms = ["biased"] if assembly.is_biased(projection.source) else _held(assembly, projection.source, connectivity)
    if connectivity == "event_driven":
        # The last variable holds the sum of all.
        return GradedProjection(
            source, target, projection.operator, terms[-1], variable, name, overwrite=first, weights=assembly.weights
        )
    if isinstance(projection.operator, MaxPool):  # a maximum is not a sum over synapses
        if len(terms) > 1:
            raise ConversionError(
                f"convert: {projection.target!r} takes a maximum over a sum of currents, {projection.source!r}, which "
                "connectivity='synapses' keeps apart. Use connectivity='event_driven'."
            )
        return GradedProjection(source, target, projection.operator, terms[0], variable, name)
    total = " + ".join(f"{term}_pre" for term in terms)
    equations = f"{variable}_post = w*({total}) : {model.unit_of(model.receives)} (summed)"
    return SynapticProjection(source, target, projection.operator, name, equations=equations)


def _held(assembly, name, connectivity):
    """Return the variables of a junction in which its current arrives: of spikes, and of junctions upstream."""
    inputs = assembly.inputs[name]
    n_graded = len(inputs.current) if connectivity == "synapses" else min(1, len(inputs.current))
    return ([assembly.models[name].receives] if inputs.has_spikes else []) + graded_variables(n_graded)


def _add_pooling(assembly, projection, target, connectivity, schedule, depth):
    """Connect what is pooled to the population that pools it, through groups that hold intermediate values if necessary."""
    source = assembly.groups[projection.source]
    read, unit = (COUNT, "1") if projection.mode == "counts" else _pooled_membrane(assembly, projection)
    operators = (
        projection.operator.operators if isinstance(projection.operator, OperatorChain) else [projection.operator]
    )
    for k, operator in enumerate(operators):
        last = k == len(operators) - 1
        group = target
        if not last:
            model = NeuronModel(
                name="pooled", equations=f"pooled : {unit}", receives="pooled", spike_height=None, bias=None
            )
            holder = assembly.add_group(f"{target.name}_pool_{k + 1}", model, operator.size_out)
            group = assembly.groups[holder]
            assembly.written[holder].add("pooled")
        name = assembly.names.free(f"{source.name}_to_{group.name}", "_summed_variable_pooled")
        if connectivity == "synapses" and isinstance(operator, ConvOperator):
            equations = f"pooled_post = w*{read}_pre : {unit} (summed)"
            connection = SynapticProjection(source, group, operator, name, equations=equations)
        else:  # a maximum is not a sum over synapses
            connection = GradedProjection(source, group, operator, read, "pooled", name)
        schedule.pooling(connection, depth, step=k)
        assembly.connections.append(connection)
        source, read = group, "pooled"


def _pooled_membrane(assembly, projection):
    """Return a membrane variable and its unit; refuse membranes of another unit than that of the neurons that pool them."""
    source, target = assembly.models[projection.source], assembly.models[projection.target]
    if source.brian_equations[source.membrane].dim is not target.brian_equations["pooled"].dim:
        raise ValueError(
            f"convert: {projection.target!r} ({target.name}) pools {source.definition(source.membrane)!r} of "
            f"{projection.source!r}, which needs the unit {target.unit_of('pooled')}. Give both one neuron model."
        )
    return source.membrane, target.unit_of("pooled")
