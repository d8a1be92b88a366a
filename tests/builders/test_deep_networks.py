"""Networks of a thousand layers and more: no step recurses through the layers, and each takes time in proportion to them."""

import sys
from time import process_time

import keras
import numpy as np
import pytest

import brainsnn as bs
from brainsnn.builders.devices.standalone.backend import NetworkDevice
from brainsnn.builders.graph import LayerGraph, LayerRow, Population, Projection
from brainsnn.builders.network.inputs import inputs_of
from brainsnn.builders.network.neurons import choose_neurons, encoder_of, with_shared_filters
from brainsnn.builders.operators.scaling import identity, scale
from brainsnn.builders.trials.inputs import drives_of
from brainsnn.training.keras_config import build_model

N = 1200
SHAPE = (1, 1, 2)
#: What a block adds to the stream.
GAIN = 1e-3


def entry(name, class_name="ReLU", **config):
    return {"class_name": class_name, "config": {"name": name, "dtype": "float32", **config}}


def sequential(n):
    layers = [entry(f"r{k}") for k in range(n)]
    return {
        "class_name": "Sequential",
        "config": {"layers": [entry("x", "InputLayer", batch_shape=[None, 2]), *layers]},
    }


def functional(n, is_reversed=False):
    """A chain as Keras 2 wrote it; the file may have the layers in any order."""
    names = ["x", *(f"r{k}" for k in range(n))]
    layers = [{**entry(name), "inbound_nodes": [[[before, 0, 0, {}]]]} for before, name in zip(names, names[1:])]
    layers = layers[::-1] if is_reversed else layers
    layers.insert(0, {**entry("x", "InputLayer", batch_input_shape=[None, 2]), "inbound_nodes": []})
    ends = {"input_layers": [["x", 0, 0]], "output_layers": [[names[-1], 0, 0]]}
    return {"class_name": "Functional", "config": {"layers": layers, **ends}}


def stream(n):
    """A residual stream with the input in it: each block spikes, and a junction adds its spikes to the stream."""
    populations, projections, before = {"x": Population("x", "input", SHAPE)}, [], ("x", "spikes")
    for k in range(n):
        block, junction = f"b{k}", f"j{k}"
        populations[block] = Population(block, "spiking", SHAPE, "relu", layers=(f"conv{k}", block))
        populations[junction] = Population(junction, "junction", SHAPE, layers=(junction,))
        projections += [Projection(before[0], name, identity(SHAPE), before[1]) for name in (block, junction)]
        projections.append(Projection(block, junction, scale(np.full(2, GAIN), SHAPE)))
        before = junction, "current"
    populations["y"] = Population("y", "readout", SHAPE)
    projections.append(Projection(before[0], "y", identity(SHAPE), before[1]))
    rows = [LayerRow(name, "Layer", SHAPE) for name in populations]
    return LayerGraph(populations, projections, [*rows, *(LayerRow(f"conv{k}", "Layer", SHAPE) for k in range(n))])


@pytest.mark.parametrize("config", [sequential, functional, lambda n: functional(n, is_reversed=True)])
def test_deep_models_are_loaded_and_read(config):
    limit = sys.getrecursionlimit()
    model = build_model(config(N))
    assert sys.getrecursionlimit() == limit < N
    graph = bs.read_keras(model)
    assert list(graph.populations)[-2] == f"r{N - 1}"
    assert str(graph).count("population r") == N


def test_keras_calls_each_layer_of_a_sequential_model_once(monkeypatch):
    calls = []
    original = keras.layers.ReLU.__call__
    monkeypatch.setattr(keras.layers.ReLU, "__call__", lambda self, x: calls.append(self.name) or original(self, x))
    build_model(sequential(40))
    assert calls == [f"r{k}" for k in range(40)]


def test_calls_of_one_layer_are_numbered():
    x = inputs = keras.Input((2,), name="x")
    layer = keras.layers.ReLU(name="r")
    for _ in range(4):
        x = layer(x)
    names = list(bs.read_keras(keras.Model(inputs, x)).populations)
    assert names[:4] == ["x", "r", "r_call2", "r_call3"]


def used(graph):
    """What is done with a graph, without the Brian2 objects that are made from it."""
    neurons = choose_neurons(graph, bs.ASN())
    encoder_of(graph, neurons), with_shared_filters(graph, neurons), neurons.of_each(graph)
    inputs = inputs_of(graph, "current")
    names, drive = drives_of(graph, inputs, graph.populations, "current")
    return str(graph), graph.activations(np.ones((1, *SHAPE))), names, drive(np.ones(SHAPE))


def test_a_deep_graph_is_used_without_recursion():
    n = N // 2
    _, activations, names, currents = used(stream(n))
    assert names == [*(f"b{k}" for k in range(n)), "y"]  # the input is in the stream that all of them read
    assert all(np.array_equal(currents[name], [1, 1]) for name in names)
    np.testing.assert_allclose(activations["y"], (1 + GAIN) ** n)


def test_a_stream_is_expanded():
    n = 100
    graph = stream(n)
    apart = graph.expand_junctions(["b1", "y"])
    assert apart.populations["b1"].layers == ("conv1", "b1")  # others read j0
    assert {p.source for p in apart.incoming("y")} == {"x", *(f"b{k}" for k in range(n))}
    assert f"j{n - 1}" not in apart.populations and f"j{n - 2}" in apart.populations
    assert apart.populations["y"].layers == (f"j{n - 1}",)
    whole = stream(4).expand_junctions()
    assert whole.populations["y"].layers == ("j0", "j1", "j2", "j3")
    for name, values in whole.activations(np.ones((1, *SHAPE))).items():
        np.testing.assert_array_equal(values, stream(4).activations(np.ones((1, *SHAPE)))[name])


def test_time_is_in_proportion_to_the_layers():
    def seconds(n):
        graph, start = stream(n), process_time()
        used(graph)
        return process_time() - start

    ratio = min(seconds(1600) for _ in range(2)) / min(seconds(200) for _ in range(3))
    assert ratio < 14, f"8 times as many layers take {ratio:.1f} times as long"  # 64 times in quadratic time


class Name(str):
    """A text that counts with how many others it is compared."""

    __hash__, compared = str.__hash__, []

    def __eq__(self, other):
        self.compared.append(other)
        return str.__eq__(self, other)


def test_brian2_finds_a_free_name_without_comparing_it_with_all():
    """It asks for each new array whether one has its name: most of the time that a thousand layers took."""
    device = NetworkDevice()
    for known in (device.arrays, device.dynamic_arrays, device.dynamic_arrays_2d):
        for k in range(100):
            known[k] = Name(f"array_{k}")
        assert "array_7" in known.values() and "array" not in known.values()
        assert list(known.values())[:2] == ["array_0", "array_1"]
    assert len(Name.compared) < 20


def test_a_network_is_described_without_looking_at_each_layer_again():
    snn = bs.convert(stream(30), neuron=bs.ASN())
    assert str(snn) == "<SpikingNetwork: 31 populations, 122 neurons, ASN, runtime>"
