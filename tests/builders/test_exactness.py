"""The spiking network against the dense simulator of tests/helpers/dense_reference.py, spike for spike."""

import numpy as np
import pytest
from chosen_device import DEVICE
from dense_reference import simulate
from example_models import MODEL_NAMES, example_images, example_models
from keras_graphs import L, sequential

import brainsnn as bs
from brainsnn.training.asn_transfer import ASNTransfer

pytestmark = pytest.mark.usefixtures("full_optimisation")

N_STEPS = 60  # long enough for spikes to reach the readout of every example, and for thresholds to adapt


@pytest.fixture(scope="module")
def models():
    return example_models(ASNTransfer)


def spiking_names(graph):
    return [population.name for population in graph.populations.values() if population.kind == "spiking"]


def run_both(model, *, n_steps=N_STEPS, dtype="float64", device=DEVICE, parameters=None, **options):
    """The spiking network's result and the reference's, for two images."""
    images = example_images(model, 2)
    schedule = options.get("schedule", "synchronous")
    average_pooling = options.get("average_pooling", "spikes")
    graph = bs.read_keras(model, average_pooling=average_pooling)
    snn = bs.convert(
        model, dtype=dtype, device=device, **{"schedule": schedule, **options},
        record={name: ["spikes"] for name in spiking_names(graph)},
    )  # fmt: skip
    for layer, values in (parameters or {}).items():
        snn.set_parameters(layer, **values)
    result = snn.run(images, duration=n_steps * bs.ms)
    reference = simulate(
        model, images, n_steps, schedule=schedule, average_pooling=average_pooling, parameters=parameters or {}
    )
    return result, reference


def assert_equal(result, reference, tolerance=1e-12):
    for layer, expected in reference["spikes"].items():
        assert expected.any(), f"{layer} is silent: the comparison would be empty"
        np.testing.assert_array_equal(result.raster(layer).reshape(expected.shape), expected, err_msg=layer)
        np.testing.assert_array_equal(result.spike_counts[layer], expected.reshape(2, -1).sum(axis=1))
    outputs = reference["output"]
    outputs = outputs if isinstance(outputs, dict) else {next(iter(result.outputs)): outputs}
    for name, expected in outputs.items():
        np.testing.assert_allclose(result.outputs[name].reshape(expected.shape), expected, atol=tolerance)


@pytest.mark.parametrize("connectivity", ["event_driven", "synapses"])
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_synchronous(models, name, connectivity):
    assert_equal(*run_both(models[name], connectivity=connectivity))


@pytest.mark.parametrize("name", ["resnet", "max_pooling_stem", "concatenate", "generator"])
def test_pipelined(models, name):
    assert_equal(*run_both(models[name], schedule="pipelined"))


def test_pipelined_synapses(models):
    assert_equal(*run_both(models["resnet"], schedule="pipelined", connectivity="synapses"))


@pytest.mark.parametrize("connectivity", ["event_driven", "synapses"])
@pytest.mark.parametrize("name", ["average_pooling", "resnet"])
def test_membrane_average_pooling(models, name, connectivity):
    assert_equal(*run_both(models[name], average_pooling="membrane", connectivity=connectivity))


@pytest.mark.parametrize("connectivity", ["event_driven", "synapses"])
def test_runtime(models, connectivity):
    # Junction-free and small, but with stimulus, spikes, a concatenation and a subtraction.
    assert_equal(*run_both(models["concatenate"], connectivity=connectivity, device="runtime"))


@pytest.mark.parametrize("name", ["max_pooling_stem", "resnet"])
def test_runtime_graded(models, name):
    assert_equal(*run_both(models[name], device="runtime"))


@pytest.mark.parametrize("schedule", ["synchronous", "pipelined"])
def test_a_readout_of_a_maximum(schedule):
    """The readout reports the maximum over membrane potentials that no nonlinearity follows, and the layers after it."""
    first = L.Conv2D(2, 3, strides=2), L.ReLU(), L.Conv2D(3, 1)
    model = sequential(*first, L.MaxPooling2D(2, strides=1), L.Flatten(), L.Dense(3), L.Softmax())
    result, reference = run_both(model, schedule=schedule, n_steps=300)
    np.testing.assert_allclose(result.output, reference["output"], atol=1e-12)
    expected = np.asarray(model(example_images(model, 2)))
    np.testing.assert_allclose(result.output[:, -100:].mean(axis=1), expected.reshape(2, 3), atol=0.1)


def test_per_neuron_parameters(models):
    rng = np.random.default_rng(3)
    model = models["plain_cnn"]
    shape = next(p.shape for p in bs.read_keras(model).populations.values() if p.name == "asn_2")
    parameters = {"asn_2": {"gain": rng.uniform(0.5, 1.5, shape), "m_f": rng.uniform(0.05, 0.3, shape)}}
    assert_equal(*run_both(model, parameters=parameters))


def test_float32_is_close(models):
    # A single rounding can flip a spike, and a flipped spike moves later ones: so shares, rates and output are compared.
    result, reference = run_both(models["resnet"], dtype="float32", n_steps=200)
    for depth, (layer, expected) in enumerate(reference["spikes"].items()):
        raster = result.raster(layer).reshape(expected.shape)
        if depth < 4:
            assert (raster & expected).sum() >= 0.995 * expected.sum(), layer
        assert abs(raster.sum() - expected.sum()) <= 0.01 * expected.sum(), layer
    np.testing.assert_allclose(result.output, reference["output"].reshape(result.output.shape), atol=0.01)


@pytest.mark.parametrize("schedule", ["pipelined", "synchronous"])
@pytest.mark.parametrize("leak", [1.0, 0.9])
def test_integrate_and_fire_replayed(models, leak, schedule):
    model = models["sequential_relu"]
    rng = np.random.default_rng(1)
    spikes = rng.choice([-1, 0, 1], p=[0.1, 0.6, 0.3], size=(2, 30, *model.input_shape[1:]))
    names = spiking_names(bs.read_keras(model))
    thresholds = dict(zip(names, np.linspace(0.6, 1.4, len(names))))
    snn = bs.convert(
        model, neuron=bs.IF(leak=leak), thresholds=thresholds, dtype="float64", schedule=schedule,
        device=DEVICE, record={name: ["spikes"] for name in names},
    )  # fmt: skip
    result = snn.run(spikes=spikes)
    reference = simulate(model, spikes=spikes, neuron="if", schedule=schedule, thresholds=thresholds, leak=leak)
    assert_equal(result, reference)


def test_replayed_spikes_into_adaptive_neurons(models):
    model = models["plain_cnn"]
    rng = np.random.default_rng(2)
    spikes = rng.choice([-1, 0, 1], p=[0.05, 0.75, 0.2], size=(2, N_STEPS, *model.input_shape[1:]))
    names = spiking_names(bs.read_keras(model))
    snn = bs.convert(
        model, encoder="poisson", dtype="float64", schedule="synchronous", device=DEVICE,
        record={name: ["spikes"] for name in names},
    )  # fmt: skip
    scale = 1 - np.exp(-1e-3 / 50e-3)  # with which a spike in every step adds up to 1
    assert_equal(snn.run(spikes=spikes), simulate(model, spikes=scale * spikes))


def test_onset_offset_and_background(models):
    model = models["average_pooling"]
    images = example_images(model, 2)
    names = spiking_names(bs.read_keras(model))
    snn = bs.convert(
        model, dtype="float64", schedule="synchronous", device=DEVICE, record={n: ["spikes"] for n in names}
    )
    result = snn.run(images, duration=50 * bs.ms, onset=10 * bs.ms, offset=35 * bs.ms, background=0.5)
    assert_equal(result, simulate(model, images, 50, onset=10, offset=35, background=0.5))
    # further onsets need no compiler and do not remember the last run
    again = snn.run(images, duration=40 * bs.ms, onset=[5, 20] * bs.ms)
    for k, onset in enumerate((5, 20)):
        expected = simulate(model, images[k : k + 1], 40, onset=onset)
        for name in names:
            np.testing.assert_array_equal(
                again.raster(name)[k], expected["spikes"][name][0].reshape(40, *again.shapes[name])
            )
