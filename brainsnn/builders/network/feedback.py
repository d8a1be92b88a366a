"""Predictive feedback in a network: the connections that bring a prediction back to the input neurons."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from brainsnn.builders.network.connections import EventDrivenProjection, GradedProjection, SynapticProjection
from brainsnn.builders.network.statement_checks import check_neuron_statements
from brainsnn.builders.operators import SparseOperator
from brainsnn.builders.operators.pooling import MaxPool
from brainsnn.builders.operators.scaling import identity
from brainsnn.equations.arriving_spikes import activation_of_spike, counted_spikes
from brainsnn.equations.model import NeuronModel
from brainsnn.errors import ConversionError, UnknownNameError
from brainsnn.feedback.gate_equations import split_at_contrast

__all__ = ["add_feedback", "drawing_part", "with_recorded_feedback", "without_prediction_readout"]

ON_PRE = "predicted_post += w*h_pre"

#: What the published contrast needs of all pixels together, and what it makes of it. The deviation is that of a sample.
EXTREMES = """
largest : 1
largest_below : 1
total : 1
total_squared : 1
n_pixels : 1 (shared)
smallest : 1
span : 1
"""
SPAN = """
smallest = -largest_below
span = largest - smallest + 1e-5*sqrt(clip(total_squared - total**2/n_pixels, 0, inf)/(n_pixels - 1))
"""


def without_prediction_readout(graph, feedback):
    """
    Remove the readout of the prediction: the input group holds the prediction instead.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    feedback : `~brainsnn.feedback.gate.PredictiveGate`

    Returns
    -------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`

    Raises
    ------
    UnknownNameError
        If there is no layer ``output``.
    ConversionError
        If it does not spike, or not at the size of the input.
    """
    if feedback.output not in graph.populations:
        spiking = [name for name, p in graph.populations.items() if p.kind == "spiking"]
        raise UnknownNameError(feedback.output, spiking, "spiking population for PredictiveGate.output")
    population = graph.populations[feedback.output]
    if population.kind != "spiking":
        raise ConversionError(
            f"PredictiveGate.output: {feedback.output!r} is a {population.kind} and does not spike; give the last layer of the "
            "generator the activation 'relu' and leave the squash to the gate. If it was trained to spike although linear, as in "
            f"the published networks, read the model with read_keras(model, spiking=[{feedback.output!r}])."
        )
    if population.shape != graph.input.shape:
        raise ConversionError(
            f"PredictiveGate.output: {feedback.output!r} is {population.shape}, the input that it predicts {graph.input.shape}."
        )
    incoming = graph.by_target()
    superfluous = {
        p.name for p in graph.readouts
        if [projection.source for projection in incoming[p.name]] == [feedback.output]
        and incoming[p.name][0].operator.is_identity
    }  # fmt: skip
    if len(superfluous) == len(graph.readouts):
        superfluous = set()  # a network that only predicts keeps its output
    populations = {name: p for name, p in graph.populations.items() if name not in superfluous}
    projections = [p for p in graph.projections if p.target not in superfluous]
    neurons = {name: model for name, model in graph.neurons.items() if name in populations}
    return replace(graph, populations=populations, projections=projections, neurons=neurons)


def with_recorded_feedback(record, feedback, name):
    """
    Add the prediction and the gate of the input to what is recorded, unless ``feedback.record`` is False.

    Parameters
    ----------
    record : dict or None
        As ``record`` of `~brainsnn.convert`.
    feedback : `~brainsnn.feedback.gate.PredictiveGate`
    name : str
        Name of the input population.

    Returns
    -------
    record : dict
    """
    record = dict(record or {})
    wanted = record.get(name, {})
    wanted = {wanted: True} if isinstance(wanted, str) else wanted
    wanted = dict(wanted) if isinstance(wanted, dict) else dict.fromkeys(wanted, True)
    record[name] = wanted | (dict.fromkeys(("prediction", "is_open"), True) if feedback.record else {})
    return {layer: wanted for layer, wanted in record.items() if wanted}


def drawing_part(feedback):
    """
    Return the input neurons without the statements that a network runs for them earlier in the step.

    Parameters
    ----------
    feedback : `~brainsnn.feedback.gate.PredictiveGate`

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
    """
    if feedback.contrast != "published":
        return feedback.model
    return replace(feedback.model, update=split_at_contrast(feedback.model.update)[1])


def add_feedback(assembly, graph, feedback, connectivity, schedule):
    """
    Connect the last layer of a generator to the input neurons, one to one, with the weight 1.

    Parameters
    ----------
    assembly : `~brainsnn.builders.network.assembly.Assembly`
        With all populations; connections are added to it.
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    feedback : `~brainsnn.feedback.gate.PredictiveGate`
    connectivity : {"event_driven", "synapses"}
    schedule : object
        Puts objects in their places in the schedule.

    Notes
    -----
    Spikes arrive after everything else in their step, in both schedules: the gate of the next step uses them.
    """
    name = graph.input.name
    source, target = assembly.groups[feedback.output], assembly.groups[name]
    operator, title = identity(graph.input.shape), assembly.names.free(f"{source.name}_to_{target.name}", "_pre")
    scale = activation_of_spike(assembly.neuron_of(feedback.output), assembly.dt) or 1.0
    on_pre, constants = counted_spikes(ON_PRE, assembly.models[feedback.output], scale)
    make = {"event_driven": EventDrivenProjection, "synapses": SynapticProjection}[connectivity]
    assembly.connections.append(make(source, target, operator, name=title, on_pre=on_pre, namespace=constants))
    assembly.written[name].add("predicted")
    if feedback.learning is not None:
        _add_error(assembly, feedback, source, target, operator, connectivity, schedule)
    if feedback.contrast == "published":
        _add_published_contrast(assembly, graph.input, target, feedback.model)
    elif feedback.contrast:
        _add_contrast(assembly, graph.input, target)


def _add_error(assembly, feedback, predictors, pixels, operator, connectivity, schedule):
    """Send each predicting neuron the error of its pixel, before the spikes of this step reach it."""
    title = assembly.names.free(f"{pixels.name}_to_{predictors.name}_error", "_summed_variable_prediction_error")
    if connectivity == "event_driven":
        error = GradedProjection(pixels, predictors, operator, "prediction_error", "prediction_error", title)
    else:
        equations = "prediction_error_post = w*prediction_error_pre : 1 (summed)"
        error = SynapticProjection(pixels, predictors, operator, title, equations=equations)
    schedule.of_input(error)
    assembly.connections.append(error)
    assembly.written[feedback.output].add("prediction_error")


def _add_contrast(assembly, population, target):
    """Add a group with the largest value that is still open, for each colour, and its connections to all input neurons."""
    n_rows, n_columns, n_channels = population.shape
    model = NeuronModel(name="contrast", equations="largest : 1", receives="largest", spike_height=None, bias=None)
    name = assembly.add_group(f"{population.name}_contrast", model, n_channels)
    group = assembly.groups[name]
    assembly.written[name].add("largest")
    window = (n_rows, n_columns)
    maximum = MaxPool(population.shape, (1, 1, n_channels), pool=window, stride=window)
    everywhere = SparseOperator(
        (1, 1, n_channels),
        population.shape,
        sparse.csr_matrix(np.tile(np.eye(n_channels), (1, n_rows * n_columns))),
    )
    # After the gates of this step and before those of the next one.
    for k, (source, to, operator, read) in enumerate(
        ((target, group, maximum, "shown"), (group, target, everywhere, "largest"))
    ):
        title = assembly.names.free(f"{source.name}_to_{to.name}")
        assembly.connections.append(
            GradedProjection(source, to, operator, read, "largest", title, when="synapses", order=10**6 + k)
        )
    assembly.written[population.name].add("largest")


def _add_published_contrast(assembly, population, target, model):
    """Add a group with the extremes of what is shown in this step, and its connections from and to all input neurons."""
    check_neuron_statements(target, model)
    before, title = split_at_contrast(model.update)[0], assembly.names.free(f"{target.name}_shown")
    target.run_regularly(before, when="groups", order=-30, name=title, clock=assembly.clock)
    flat = (population.shape[0], population.shape[1] * population.shape[2], 1)  # all colours together
    n_pixels = flat[0] * flat[1]
    extremes = NeuronModel(
        name="contrast", equations=EXTREMES, update=SPAN, receives="largest", spike_height=None, bias=None,
        parameters={"n_pixels": float(n_pixels)},
    )  # fmt: skip
    name = assembly.add_group(f"{population.name}_contrast", extremes, 1)
    group = assembly.groups[name]
    group.updates[0].order = -10
    maximum = MaxPool(flat, (1, 1, 1), pool=flat[:2], stride=flat[:2])
    everywhere = SparseOperator((1, 1, 1), flat, sparse.csr_matrix(np.ones((1, n_pixels))))
    total = SparseOperator(flat, (1, 1, 1), sparse.csr_matrix(np.ones((n_pixels, 1))))
    for k, (source, to, operator, read, written) in enumerate((
        (target, group, maximum, "shown", "largest"),
        (target, group, maximum, "below", "largest_below"),
        (target, group, total, "shown", "total"),
        (target, group, total, "squared", "total_squared"),
        (group, target, everywhere, "smallest", "smallest"),
        (group, target, everywhere, "span", "span"),
    )):  # fmt: skip
        title = assembly.names.free(f"{source.name}_to_{to.name}_{written}")
        order = -20 + k if to is group else -9 + k
        assembly.connections.append(
            GradedProjection(source, to, operator, read, written, title, when="groups", order=order)
        )
        assembly.written[name if to is group else population.name].add(written)
