"""Layers may have any names: Brian2 gets its own, no two are mixed up, and results are under the names of the user."""

from itertools import chain

import keras
import numpy as np
import pytest
from brian2 import ms

import brainsnn as bs
from brainsnn.builders.graph import LayerGraph, LayerRow, Population, Projection
from brainsnn.builders.network.brian_names import BrianNames
from brainsnn.builders.operators import dense

LONG = "x" * 500
#: Each pair would be one name in Brian2, or in a file; the last are what we or Brian2 call a part of another.
NAMES = [
    "a.b", "a_b", "a b", "a\tb", "größe", "gr__e", "層", "層層", "\U0001f9e0", f"{LONG}1", f"{LONG}2", "1st", "layer_1st",
    "__", "int", "a_b_spikes", "a_b_S_states", "a_b_update", "a_b_stateupdater", "a_b_spike_thresholder", "a_b_to_gr__e",
    "brainsnn_clock", "brainsnn_network", "brainsnn_declared_state", "a_b_stateupdater_2", "A_B", "spikes/count", "%2E",
    "..", "image_replay",
]  # fmt: skip
#: Runtime mode compiles each object on its own.
RUN = {"runtime": ["a.b", "a_b"], "cpp_standalone": NAMES}


def operator(n):
    return dense(np.full((2, n), 0.7))


def graph(names=NAMES):
    """A chain of layers with these names, and a readout with a name that monitors could have."""
    populations, projections = {"image": Population("image", "input", (1, 1, 2))}, []
    for before, name in zip(["image", *names], names):
        populations[name] = Population(name, "spiking", (1, 1, 2), "relu", layers=(f"{name}\tfolded", name))
        projections.append(Projection(before, name, operator(2)))
    populations["a_b_output"] = Population("a_b_output", "readout", (1, 1, 3), layers=("a_b_output",))
    projections.append(Projection(names[-1], "a_b_output", operator(3)))
    rows = [LayerRow(layer, "ReLU", (1, 1, 2)) for population in populations.values() for layer in population.layers]
    return LayerGraph(populations, projections, rows)


def brian_names(snn):
    """Names of everything that Brian2 runs, prepares and writes files for."""
    objects = snn.network.sorted_objects
    return [obj.name for obj in objects], {part.name for obj in objects for part in (obj, *obj.contained_objects)}


RECORD = {name: ["spikes", "S", "S_hat"] for name in NAMES}
IMAGES = np.array([[0.9, 0.4], [0.2, 0.8]]).reshape(2, 1, 1, 2)


def convert(names, device, **options):
    record = {name: ["spikes", "S", "S_hat"] for name in names}
    return bs.convert(graph(names), neuron=bs.ASN(), device=device, record=record, **options)


@pytest.mark.parametrize("schedule", ["pipelined", "synchronous"])
@pytest.mark.parametrize("connectivity", ["event_driven", "synapses"])
def test_each_object_has_a_name_of_its_own(connectivity, schedule):
    snn = bs.convert(graph(), neuron=bs.ASN(), connectivity=connectivity, schedule=schedule, record=RECORD)
    names, _ = brian_names(snn)
    assert len(names) == len(set(names))
    assert all(name.isascii() and name.isidentifier() and len(name) < 200 for name in names)
    assert [snn[name].name for name in ("a.b", "a_b", "a b")] == ["a_b", "a_b_2", "a_b_3"]
    assert list(snn.populations) == [*NAMES, "a_b_output"]


@pytest.mark.parametrize("device", RUN)
def test_results_are_under_the_names_of_the_layers(device, tmp_path):
    names = RUN[device]
    snn, plain = convert(names, device), convert([f"n{k}" for k in range(len(names))], device)
    result, plain = snn.run(IMAGES, duration=60 * ms), plain.run(IMAGES, duration=60 * ms)
    streamed = snn.run(IMAGES, duration=60 * ms, stream_to=tmp_path / "streamed")
    result.save(tmp_path / "saved")
    for found in (result, streamed, bs.Result.load(tmp_path / "saved"), bs.Result.load(tmp_path / "streamed")):
        assert found.aliases == result.aliases and list(found.shapes) == [*names, "a_b_output"]
        for k, name in enumerate(names):
            assert found.spike_counts[name].tolist() == plain.spike_counts[f"n{k}"].tolist()
            assert found.spike_counts[f"{name}\tfolded"].tolist() == found.spike_counts[name].tolist()
            np.testing.assert_array_equal(found.raster(name), plain.raster(f"n{k}"))
            for variable in ("S", "S_hat"):
                np.testing.assert_array_equal(found.states[name][variable], plain.states[f"n{k}"][variable])
        np.testing.assert_array_equal(found.output, plain.output)
    assert all(counts.max() > 0 for counts in plain.spike_counts.values())  # the signal reaches the last layer


@pytest.mark.parametrize("name", ["a\tb", "größe", f"{LONG}2"])
def test_own_monitors_parameters_and_attention_take_the_names(name):
    snn = bs.convert(graph([name]), neuron={name: bs.ASN(m_f=0.2), ...: bs.ASN()}, device="cpp_standalone")
    monitor = bs.monitor(snn, name, ["S"])
    snn.set_parameters(name, gain=2.0)
    snn.attend(bs.SpatialAttention(center=(0.5, 0.5), width=0.2, output_gain=0.3), layers=[name])
    snn.run(IMAGES[:1], duration=2 * ms)
    assert monitor.S.shape == (2, 2)
    assert snn.neurons[name].parameters["m_f"] == 0.2 and set(snn[name].gain[:]) == {2.0}


def test_names_are_numbered_once():
    names = BrianNames("own")
    found = [names.free(wanted) for wanted in ("a.b", "a_b", "a b", "a_b_2", "own", "", "9")]
    assert found == ["a_b", "a_b_2", "a_b_3", "a_b_2_2", "own_2", "layer_", "layer_9"]


def test_groups_of_ours_do_not_take_the_place_of_layers():
    """A gate with contrast has a group of its own, and so has each step of a pooling in several."""
    layers = keras.layers
    x = inputs = keras.Input((2, 2, 1), name="image")
    x = layers.ReLU(name="image_contrast")(layers.Conv2D(1, 1, name="conv")(x))
    prediction = layers.ReLU(name="prediction")(layers.Conv2D(1, 1, name="image_contrast_2")(x))
    readout = layers.Dense(2, name="readout")(layers.Flatten()(x))
    model = keras.Model(inputs, [readout, layers.Activation("linear", name="out")(prediction)])
    snn = bs.convert(model, neuron=bs.IF(), feedback=bs.PredictiveGate(contrast=True), encoder="poisson")
    assert len(snn["image_contrast"]) == 4 and "h" in snn["image_contrast"].variables
    assert sorted(len(group) for group in snn._assembly.groups.values()) == [1, 2, 4, 4, 4]
    names = list(chain(*(brian_names(snn)[:1])))
    assert len(names) == len(set(names))
