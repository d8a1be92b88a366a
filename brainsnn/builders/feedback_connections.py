"""The connections that bring a prediction back to the input neurons."""

import numpy as np
from scipy import sparse

from brainsnn.builders.connections import EventDrivenProjection, GradedProjection, SynapticProjection
from brainsnn.builders.layer_operators import identity
from brainsnn.builders.operators import SparseOperator
from brainsnn.builders.pooling import MaxPool
from brainsnn.builders.populations import make_group
from brainsnn.equations.model import NeuronModel

__all__ = ["add_feedback"]

ON_PRE = "predicted_post += w*h_pre"


def add_feedback(assembly, graph, feedback, connectivity, place):
    """
    Connect the last layer of a generator to the input neurons, one to one, with the weight 1.

    Parameters
    ----------
    assembly : `~brainsnn.builders.assembly.Assembly`
        With all populations; connections are added to it.
    graph : `~brainsnn.builders.layer_graph.LayerGraph`
    feedback : `~brainsnn.feedback.gate.PredictiveGate`
    connectivity : {"event_driven", "synapses"}
    place : object
        Puts objects in their places in the schedule.

    Notes
    -----
    Spikes arrive behind everything else of their step, in both schedules: the gate of the next step sees them.
    """
    name = graph.input.name
    source, target = assembly.groups[feedback.output], assembly.groups[name]
    operator, title = identity(graph.input.shape), f"{source.name}_to_{target.name}"
    make = {
        "event_driven": lambda: EventDrivenProjection(source, target, operator, ON_PRE, title),
        "synapses": lambda: SynapticProjection(source, target, operator, title, on_pre=ON_PRE),
    }[connectivity]
    assembly.connections.append(make())
    assembly.written[name].add("predicted")
    if feedback.learning is not None:
        _add_error(assembly, feedback, source, target, operator, connectivity, place)
    if feedback.contrast:
        _add_contrast(assembly, graph.input, target)


def _add_error(assembly, feedback, predictors, pixels, operator, connectivity, place):
    """Each predicting neuron hears the error of its own pixel, before the spikes of this step reach it."""
    title = f"{pixels.name}_to_{predictors.name}_error"
    if connectivity == "event_driven":
        error = GradedProjection(pixels, predictors, operator, "prediction_error", "prediction_error", title)
    else:
        equations = "prediction_error_post = w*prediction_error_pre : 1 (summed)"
        error = SynapticProjection(pixels, predictors, operator, title, equations=equations)
    place.of_input(error)
    assembly.connections.append(error)
    assembly.written[feedback.output].add("prediction_error")


def _add_contrast(assembly, population, target):
    """A group that holds the largest value still open, for each colour, and the way back from it to all input neurons."""
    n_rows, n_columns, n_channels = population.shape
    name = f"{population.name}_contrast"
    model = NeuronModel(name="contrast", equations="largest : 1", receives="largest", spike_height=None, bias=None)
    group = make_group(model, n_channels, f"{target.name}_contrast", assembly.clock)
    assembly.groups[name], assembly.models[name], assembly.written[name] = group, model, {"largest"}
    window = (n_rows, n_columns)
    maximum = MaxPool(population.shape, (1, 1, n_channels), pool=window, stride=window)
    everywhere = SparseOperator(
        (1, 1, n_channels),
        population.shape,
        sparse.csr_matrix(np.tile(np.eye(n_channels), (1, n_rows * n_columns))),
    )
    # Behind the gates of this step, in front of those of the next one.
    for k, (source, to, operator, read) in enumerate(
        ((target, group, maximum, "shown"), (group, target, everywhere, "largest"))
    ):
        title = f"{source.name}_to_{to.name}"
        assembly.connections.append(
            GradedProjection(source, to, operator, read, "largest", title, when="synapses", order=10**6 + k)
        )
    assembly.written[population.name].add("largest")
