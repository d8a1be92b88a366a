"""From a trained Keras model to a spiking network: check the options, read the model, build the network."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import EllipsisType
from typing import TYPE_CHECKING, Any

from brian2 import Quantity, ms

from brainsnn.builders.from_keras import read_keras
from brainsnn.builders.graph import LayerGraph
from brainsnn.builders.graph.layer_graph import Population
from brainsnn.builders.graph.pooled_spikes import has_maximum, with_pooled_spikes
from brainsnn.builders.graph.readout_populations import Readout, with_readouts
from brainsnn.builders.network.assembly import CONNECTIVITIES
from brainsnn.builders.network.feedback import with_recorded_feedback, without_prediction_readout
from brainsnn.builders.network.neurons import choose_neurons, encoder_of, with_shared_filters
from brainsnn.builders.network.schedule import SCHEDULES
from brainsnn.builders.scales import check_scales
from brainsnn.builders.spiking_network import SpikingNetwork
from brainsnn.equations import ASN, NeuronModel
from brainsnn.equations.checks import is_time
from brainsnn.feedback import PredictiveGate
from brainsnn.memory import collection_paused, named_memory_errors

if TYPE_CHECKING:
    import keras

__all__ = ["convert"]

_SMALLER = (
    "Make the layers or the images smaller, use connectivity='event_driven' and dtype='float32', which take the least, or a "
    "machine with more memory."
)


def convert(
    model: "keras.Model | LayerGraph",
    neuron: NeuronModel | Mapping[str | EllipsisType, NeuronModel] | Callable[[Population], NeuronModel] | None = None,
    connectivity: str = "event_driven",
    schedule: str = "pipelined",
    average_pooling: str | None = None,
    device: str = "runtime",
    record: Mapping[str, Any] | None = None,
    dtype: str = "float32",
    threads: int = 1,
    *,
    encoder: str | None = None,
    max_pooling: str | None = None,
    thresholds: Mapping[str, float] | None = None,
    feedback: PredictiveGate | None = None,
    dt: Quantity | None = None,
    readouts: Mapping[str, str | Readout] | None = None,
) -> SpikingNetwork:
    """
    Turn a trained Keras model into a spiking network of Brian2 objects.

    Parameters
    ----------
    model : keras.Model or `~brainsnn.builders.graph.layer_graph.LayerGraph`
        The trained network.
    neuron : `~brainsnn.equations.model.NeuronModel`, dict or callable, optional
        Neuron model of all layers. By default ``ASN()``, or those of a graph that `read_nir` read. A dict has a model per layer,
        ``{"conv1": slow, ...: default}``: the key ``...`` (Ellipsis) stands for all other layers and for readouts. A function
        gets each spiking and each readout `~brainsnn.builders.graph.layer_graph.Population` and returns its model:
        ``lambda layer: ASN(m_f=layer.m_f)``. A
        readout has the field ``readout`` of its model. Notes say how layers with different models meet.
    connectivity : {"event_driven", "synapses"}
        Kernels stored once and visited by spikes, or one Brian2 synapse for each connection. Both give the same spikes.
    schedule : {"pipelined", "synchronous"}
        A spike acts in the next layer one step later (Brian2's standard schedule), or within the same step.
    average_pooling : {"spikes", "membrane"}
        Whether average pooling after a nonlinearity averages its spikes (default), or averages the membranes and then spikes.
        For a LayerGraph, `read_keras` decided it, and another value is refused.
    device : {"runtime", "cpp_standalone", "genn", "genn_cuda", "cuda_standalone"}
        Brian2 device; docs/devices.md says what each of them can do.
    record : dict, optional
        Layer name -> list of ``"spikes"`` and state variables, or dict of these to the neurons to record: True for all, flat
        indices, (row, column, channel) tuples, or a boolean mask of shape (n_neurons,) or (H, W, C). Each neuron once.
    dtype : {"float32", "float64"}
        Type of all state variables and weights.
    threads : int
        On ``runtime``, the layers are divided among threads, and every value is that of one thread. A network that is one
        loop, or that Brian2 runs step by step, uses one thread. On ``cpp_standalone``, the neurons of each layer are divided
        (OpenMP); values are equal up to rounding. What draws random numbers runs on one thread, so these are always the same.
    encoder : {"current", "poisson"}, optional
        How images arrive: as a current into the first population, or as signed Poisson spikes of input neurons, which can
        also replay given spikes. By default, as the graph was calibrated, else as the neuron model says.
    max_pooling : {"membrane", "spikes"}, optional
        Whether a maximum is taken over membrane potentials before they spike, or over spike counts: the spikes of the neuron
        that has spiked most often in its window pass. By default, over membranes where the neuron model has a membrane variable
        that its spikes do not change (``ASN``), else over spikes (``IF``, ``LIF``).
    thresholds : dict, optional
        Layer name -> threshold, for neuron models that have one per layer, such as ``IF``. Weights and biases stay as they are:
        these must be thresholds found by balancing, or the biases must have been scaled with them.
    feedback : `~brainsnn.feedback.gate.PredictiveGate`, optional
        Let a generator's spikes predict the input and gate it; the input then spikes (``encoder="poisson"``).
    dt : `~brian2.units.fundamentalunits.Quantity`, optional
        Time step. By default 1 ms, or that of a graph that `read_nir` read.
    readouts : dict of str to str or `~brainsnn.builders.graph.readout_populations.Readout`, optional
        Name of an extra population -> the layer whose spikes it reads, neuron by neuron: ``{"after": "conv2"}``. The other
        layers spike as without it. It can be recorded and set as any layer, and it counts in rates of the whole network.

    Returns
    -------
    network : `SpikingNetwork`

    Raises
    ------
    ValueError, ConversionError, UnknownNameError
        If an argument or the model is not valid. Nothing is built in that case.
    MemoryError
        If the network does not fit into the memory.

    Warns
    -----
    UncalibratedWarning
        If there are ReLU layers whose activations `calibrate` has not normalised and that have no ``thresholds``; if spikes
        reach neurons with another synapse, of which it is not known how large an activation a spike is.

    Notes
    -----
    What a spike does follows from the model of its target (``on_pre``), its height from that of its source. One ``input_unit``
    of the source becomes one of the target. A spike carries the same activation to neurons with another synapse: where the
    decays per step differ, heights are multiplied by ``(1 - decay of the target)/(1 - decay of the source)``, with a decay of 0
    for the input and for ``IF``, whose spikes act for one step. A layer with a synapse of its own reads the spikes of a
    residual stream directly instead of a junction. A pooled membrane has the model of the layer that pools it, unless it is
    named itself.

    Examples
    --------
    >>> import brainsnn as bs
    >>> snn = bs.convert(bs.load_model("digits"), neuron=bs.ASN(m_f=0.1), device="cpp_standalone")
    >>> list(snn.populations)
    ['encoding_asn', 'conv1_asn', 'conv2_asn', 'dense1_asn', 'readout']
    """
    own = model if isinstance(model, LayerGraph) and model.neurons else None
    if neuron is None and own is not None:
        neuron = {name: neuron_of_file for name, neuron_of_file in own.neurons.items()}
    neuron = ASN() if neuron is None else neuron
    dt = _time_step(own, dt)
    _check_options(connectivity, schedule, average_pooling, dtype, encoder, max_pooling, feedback, dt)
    _check_mappings(record, thresholds)
    if isinstance(model, LayerGraph):
        _check_pooling(model, average_pooling)
        graph = model
    else:
        graph = read_keras(model, average_pooling=average_pooling or "spikes", junctions=_may_have_junctions(neuron))
    if feedback is not None:
        graph = without_prediction_readout(graph, feedback)
        record = with_recorded_feedback(record, feedback, graph.input.name)
    neurons = choose_neurons(graph, neuron)
    if pooled := _pooled_by_spikes(graph, neurons, max_pooling):
        graph = with_pooled_spikes(graph, pooled)
        neurons = choose_neurons(graph, neuron)
    if readouts is not None:
        graph, models = with_readouts(graph, neurons.chosen, readouts)
        neurons = replace(neurons, chosen={**neurons.chosen, **models})
    with collection_paused(), named_memory_errors(lambda: f"convert: the network of {_size(graph)}", _SMALLER):
        graph = with_shared_filters(graph, neurons)
        if encoder is None:
            encoder = _encoder(graph, neurons) if feedback is None else "poisson"
        check_scales(graph, neurons, thresholds or {}, encoder, feedback, dt)
        return SpikingNetwork(
            graph, neurons, connectivity=connectivity, schedule=schedule, encoder=encoder, device=device, record=record,
            dtype=dtype, threads=threads, thresholds=thresholds, dt=dt, feedback=feedback,
        )  # fmt: skip


def _encoder(graph, neurons):
    """Return how images enter the network: as its calibration or else its neurons say."""
    return encoder_of(graph, neurons) if graph.calibration is None else graph.calibration.encoder


def _pooled_by_spikes(graph, neurons, max_pooling):
    """Return the populations whose maximum over membranes shall become one over spike counts (set of str)."""
    if max_pooling == "membrane":
        counted = [p.target for p in graph.projections if p.mode == "counts"]
        if counted:
            raise ValueError(
                f"convert: max_pooling='membrane', but {counted[0]!r} of this LayerGraph pools spikes. Give the graph that "
                "read_keras returned, or leave max_pooling out."
            )
        return set()
    wanted = {p.target for p in graph.projections if p.mode == "membrane" and has_maximum(p)}
    if max_pooling is None:
        models = neurons.of_each(graph)
        wanted = {n for n in wanted if graph.populations[n].kind == "spiking" and not models[n].has_pooled_membrane}
    return wanted


def _time_step(graph, dt):
    """Return the time step: 1 ms by default; neurons of a graph that was spiking are made for one."""
    if graph is None or graph.dt is None:
        return 1 * ms if dt is None else dt
    if dt is not None and is_time(dt) and abs(float(dt / graph.dt) - 1) > 1e-9:
        raise ValueError(
            f"convert: dt={dt}, and the neurons of {graph.name!r} were read for a time step of {graph.dt}, on which their "
            "weights depend. Leave dt out, or read the file again with read_nir(path, dt=...)."
        )
    return graph.dt if dt is None or is_time(dt) else dt


def _size(graph):
    largest = max(graph.populations.values(), key=lambda population: math.prod(population.shape))
    n = sum(math.prod(population.shape) for population in graph.populations.values())
    return f"{n:,} neurons, {math.prod(largest.shape):,} of them in {largest.name!r},"


def _check_mappings(record, thresholds):
    """Refuse options that are not a dict of layers, and entries that name nothing."""
    examples = {
        "record": (record, "{'conv1': ['spikes', 'S']}"), "thresholds": (thresholds, "{'conv1': 0.5}"),
    }  # fmt: skip
    for what, (given, example) in examples.items():
        if given is not None and not isinstance(given, Mapping):
            raise ValueError(f"convert: {what}={given!r} is not a dict of layers; give one such as {example}.")
    for layer, wanted in (record or {}).items():
        if not isinstance(wanted, (str, Mapping, list, tuple, set, frozenset)):
            raise ValueError(
                f"convert: record: {layer!r} has {wanted!r}; name variables, as in {{{layer!r}: ['spikes']}}, or neurons of "
                f"them, as in {{{layer!r}: {{'spikes': True}}}}."
            )


def _check_pooling(graph, average_pooling):
    """Refuse a pooling that is not that of the graph."""
    if average_pooling is not None and (average_pooling == "membrane") != graph.averages_membranes:
        raise ValueError(
            f"convert: average_pooling={average_pooling!r} has no effect on a LayerGraph, whose pooling was chosen when it "
            f"was read. Leave it out, and read the model with average_pooling={average_pooling!r}."
        )


def _may_have_junctions(neuron):
    """Whether some layer has a linear filter, which a junction needs; a function tells only when the layers are known."""
    models = neuron.values() if isinstance(neuron, Mapping) else [neuron]
    return any(getattr(model, "has_linear_filter", True) for model in models)


def _check_options(connectivity, schedule, average_pooling, dtype, encoder, max_pooling, feedback, dt):
    for name, value, choices in (
        ("connectivity", connectivity, CONNECTIVITIES),
        ("schedule", schedule, SCHEDULES),
        ("average_pooling", average_pooling, ("spikes", "membrane", None)),
        ("dtype", dtype, ("float32", "float64")),
        ("encoder", encoder, ("current", "poisson", None)),
        ("max_pooling", max_pooling, ("membrane", "spikes", None)),
    ):
        if not isinstance(value, str | None) or value not in choices:
            allowed = ", ".join(repr(choice) for choice in choices if choice is not None)
            raise ValueError(f"convert: {name}={value!r}; choose one of {allowed}.")
    if not isinstance(feedback, PredictiveGate | None):
        raise ValueError(f"convert: feedback={feedback!r} is not a gate; give one such as PredictiveGate().")
    if feedback is not None and encoder == "current":
        raise ValueError(f"convert: feedback gates input neurons that spike; encoder={encoder!r} has none.")
    if not is_time(dt):
        raise ValueError(f"convert: dt={dt!r} must be a time greater than 0, such as 1*ms.")
