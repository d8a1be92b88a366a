"""Readout populations read the spikes of a layer as a next layer would, and change nothing else."""

import numpy as np
import pytest
from chosen_device import DEVICE
from example_models import example_images, example_models
from refusals import check_refusal, check_table

import brainsnn as bs
from brainsnn.equations import spike_height
from brainsnn.training.asn_transfer import ASNTransfer

pytestmark = pytest.mark.usefixtures("full_optimisation")

N_STEPS, M_F = 70, 0.1
BOTH = {"behind": "asn_2", "potential": bs.Readout("asn_2", kind="potential")}
RECORD = {"asn_2": ["spikes"], "behind": ["spikes", "S"], "potential": ["S"]}


@pytest.fixture(scope="module")
def model():
    return example_models(ASNTransfer)["plain_cnn"]


def asn(spikes, heights, m_f=M_F, tau_beta=50.0, tau_phi=2.5, delay=0):
    """Spikes and S of adaptive neurons that each read one train: the published map, step by step."""
    decay = {
        name: np.exp(-1 / tau) for name, tau in zip(("beta", "phi", "eta", "gamma"), (tau_beta, tau_phi, 50.0, 15.0))
    }
    current = membrane = encoded = adaptation = np.zeros(spikes[:, 0].shape)
    fired, potential = np.zeros(spikes.shape, bool), np.zeros(spikes.shape)
    for t in range(spikes.shape[1]):
        arriving = heights * spikes[:, t - delay] if t >= delay else 0.0
        current = decay["beta"] * current + arriving
        membrane = (1 - decay["phi"]) * current + decay["phi"] * membrane
        encoded, theta = encoded * decay["eta"], m_f + adaptation
        fired[:, t] = membrane - encoded > theta / 2
        encoded = encoded + theta * fired[:, t]
        adaptation = (adaptation + m_f * theta * fired[:, t]) * decay["gamma"]
        potential[:, t] = membrane
    return fired, potential


def run(model, readouts=None, record=None, attention=None, **options):
    options = {"dtype": "float64", "device": DEVICE, "schedule": "synchronous", **options}
    snn = bs.convert(model, readouts=readouts, record=record, **options)
    if attention is not None:
        snn.attend(attention, layers=["asn_2"])
    return snn.run(example_images(model, 2), duration=N_STEPS * bs.ms)


def trains(result, layer):
    return result.raster(layer).reshape(2, N_STEPS, -1)


@pytest.mark.parametrize("schedule", ["synchronous", "pipelined"])
@pytest.mark.parametrize("connectivity", ["event_driven", "synapses"])
def test_spikes_and_potentials_are_those_of_the_published_map(model, connectivity, schedule):
    attention = bs.SpatialAttention([(0.3, 0.3), (0.7, 0.5)], width=0.3, output_gain=0.6)
    result = run(model, BOTH, RECORD, attention, connectivity=connectivity, schedule=schedule)
    shape = result.shapes["asn_2"]
    R = [np.broadcast_to(attention.field.modulation(shape, k), shape).ravel() for k in range(2)]
    heights = spike_height(M_F) * (1 + 0.6 * np.array(R))
    spikes, potentials = asn(trains(result, "asn_2"), heights, delay=int(schedule == "pipelined"))
    assert spikes.sum() > 100
    np.testing.assert_array_equal(trains(result, "behind"), spikes)
    np.testing.assert_array_equal(result.spike_counts["behind"], spikes.sum(axis=(1, 2)))
    for name in ("behind", "potential"):
        np.testing.assert_allclose(result.states[name]["S"], potentials, atol=1e-12)


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_else_changes(model, device, dtype):
    """Bit for bit, also of the layer that is read."""
    record = {"asn_2": ["spikes"], "asn_3": ["S"]}
    alone = run(model, record=record, device=device, dtype=dtype)
    read = run(model, {**BOTH, "first": "asn_1"}, record, device=device, dtype=dtype)
    assert read.spike_counts["behind"].sum() > 0 and "potential" not in read.spike_counts
    for name, counts in alone.spike_counts.items():
        np.testing.assert_array_equal(read.spike_counts[name], counts)
    np.testing.assert_array_equal(trains(read, "asn_2"), trains(alone, "asn_2"))
    np.testing.assert_array_equal(read.states["asn_3"]["S"], alone.states["asn_3"]["S"])
    np.testing.assert_array_equal(read.output, alone.output)


def test_devices_and_connectivities_agree(model):
    found = [run(model, BOTH, RECORD, device=d, connectivity=c)
             for d in ("runtime", "cpp_standalone") for c in ("event_driven", "synapses")]  # fmt: skip
    for other in found[1:]:
        np.testing.assert_array_equal(trains(other, "behind"), trains(found[0], "behind"))
        np.testing.assert_allclose(other.states["potential"]["S"], found[0].states["potential"]["S"], atol=1e-12)


def test_one_place_and_the_sum_of_channels(model):
    readouts = {
        "all": bs.Readout("asn_2", "potential"), "column": bs.Readout("asn_2", "potential", place=(1, 3)),
        "sum": bs.Readout("asn_2", "potential", sum_channels=True),
        "both": bs.Readout("asn_2", "potential", place=(1, 3), sum_channels=True), "spiking": bs.Readout("asn_2", place=(1, 3)),
        "behind": "asn_2",
    }  # fmt: skip
    record = {name: ["S"] for name in readouts} | {name: ["spikes"] for name in ("spiking", "behind")}
    result = run(model, readouts, record)
    height, width, channels = result.shapes["asn_2"]
    every = result.states["all"]["S"].reshape(2, N_STEPS, height, width, channels)
    assert result.shapes["column"] == (1, 1, channels) and result.shapes["sum"] == (height, width, 1)
    np.testing.assert_allclose(result.states["column"]["S"], every[:, :, 1, 3], atol=1e-12)
    np.testing.assert_allclose(result.states["sum"]["S"], every.sum(axis=4).reshape(2, N_STEPS, -1), atol=1e-12)
    np.testing.assert_allclose(result.states["both"]["S"][..., 0], every[:, :, 1, 3].sum(axis=2), atol=1e-12)
    np.testing.assert_array_equal(result.raster("spiking")[:, :, 0, 0], result.raster("behind")[:, :, 1, 3])


def test_another_neuron(model):
    neuron = bs.ASN(m_f=0.3, tau_phi=5 * bs.ms)
    result = run(model, {"behind": bs.Readout("asn_2", neuron=neuron)}, {"asn_2": ["spikes"], "behind": ["spikes"]})
    spikes, _ = asn(trains(result, "asn_2"), spike_height(M_F), m_f=0.3, tau_phi=5.0)
    np.testing.assert_array_equal(trains(result, "behind"), spikes)


def test_it_reads_any_neuron_that_spikes():
    model = example_models(ASNTransfer)["sequential_relu"]
    snn = bs.convert(model, neuron=bs.LIF(), readouts={"behind": "relu_2"}, record={"behind": ["spikes"]})
    assert snn.run(example_images(model, 2), duration=N_STEPS * bs.ms).spike_counts["behind"].sum() > 0


def test_it_is_not_attended_unless_it_is_named(model):
    snn = bs.convert(model, readouts={"behind": "asn_2"})
    attention = bs.SpatialAttention((0.2, 0.2), width=0.2, precision=0.05)
    snn.attend(attention)
    assert np.ptp(snn["asn_2"].m_f[:]) > 0 and np.ptp(snn["behind"].m_f[:]) == 0
    snn.attend(attention, layers=["behind"])
    assert np.ptp(snn["asn_2"].m_f[:]) == 0 and np.ptp(snn["behind"].m_f[:]) > 0


def test_it_is_found_like_a_layer(model):
    snn = bs.convert(model, readouts=BOTH)
    assert "behind" in snn.populations and snn.populations["potential"].N == snn.populations["behind"].N
    assert {"behind", "potential"} <= set(snn.graph.populations)
    assert "behind" in str(snn.describe()) and "asn_2 -> behind" in str(snn.graph)
    comparison = bs.compare_activations(model, snn, example_images(model, 1), duration=20 * bs.ms, window=5 * bs.ms)
    assert "behind" not in set(comparison.table.layer)


def test_it_is_not_written_to_nir(model, tmp_path):
    pytest.importorskip("nir")
    snn = bs.convert(model, readouts=BOTH)
    with pytest.raises(bs.ConversionError, match="'behind' is a readout that convert added, not a layer of the model"):
        snn.to_nir(tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())


def readouts_of(readouts):
    """Convert with readouts."""
    return lambda model: bs.convert(model, readouts=readouts)


def readout(**options):
    """Make a readout."""
    return lambda model: bs.Readout(**{"layer": "asn_2", **options})


MODULES = ("builders/graph/readout_populations.py",)
#: Words of each refusal in the source -> inputs, and words of the message.
REFUSALS = {
    "must be the name of a layer": [(readout(layer=3), "layer=3 must be")],
    "choose one of": [(readout(kind="spikes"), "choose one of 'spiking', 'potential'")],
    "must be True or False": [(readout(sum_channels=2), "sum_channels=2")],
    "sums potentials": [(readout(sum_channels=True), "give kind='potential'")],
    "is no NeuronModel": [(readout(neuron="ASN"), "neuron='ASN'")],
    "whole numbers from 0": [
        (readout(place=place), "must be (row, column)") for place in (3, (1, -1), (1, 2, 3), (0.5, 1))
    ],
    "is a population of the kind": [
        (readouts_of({"behind": "dense_2"}), "of the kind 'readout'; name one of the layers that spike: asn_1, asn_2"),
        (lambda model: bs.convert(model, readouts={"behind": model.layers[0].name}), "of the kind 'input'"),
    ],
    "is not a dict": [(readouts_of(["asn_2"]), "such as {'after': 'conv1'}")],
    "must be a name of letters": [
        (readouts_of({name: "asn_2"}), "letters, digits and underscores") for name in ("a b", 3, "")
    ],
    "is already the name of a layer": [
        (readouts_of({name: "asn_2"}), f"{name!r} is already") for name in ("asn_1", "conv_2")
    ],
    "give the name of a layer, or a Readout": [(readouts_of({"behind": 3}), "'behind' has 3")],
    "lies outside": [
        (
            readouts_of({"behind": bs.Readout("asn_2", place=(5, 0))}),
            "lies outside 'asn_2' of 5 rows and 5 columns; give 0 ... 4",
        )
    ],
}


def test_every_refusal_has_an_input():
    check_table(MODULES, REFUSALS)


@pytest.mark.parametrize("words", REFUSALS)
def test_refused(model, words):
    for trigger, expected in REFUSALS[words]:
        assert expected in check_refusal(MODULES, words, lambda t=trigger: t(model))


def test_a_misspelt_layer_is_named(model):
    with pytest.raises(bs.UnknownNameError, match="Did you mean 'asn_"):
        bs.convert(model, readouts={"behind": "asn_9"})
