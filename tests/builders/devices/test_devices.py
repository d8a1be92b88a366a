"""Every device that this machine has gives the spikes of C++ standalone; each skip says what is missing."""

import hashlib

import numpy as np
import pytest
from brian2 import defaultclock, ms
from dense_feedback_reference import balanced_thresholds
from example_models import current_based_lif, example_images, example_models, growing_lif, spiking_names

import brainsnn as bs
from brainsnn.builders.devices import program_cache
from brainsnn.builders.devices.registry import DEVICES, backend_class
from brainsnn.training.asn_transfer import ASNTransfer
from brainsnn.training.predictive_vgg import predictive_vgg

N_STEPS = 40
REFERENCE = "cpp_standalone"


@pytest.fixture(scope="module", params=[name for name in DEVICES if name != REFERENCE])
def device(request):
    reason = backend_class(request.param).missing()
    if reason is not None:
        pytest.skip(f"{request.param}: {reason}")
    return request.param


@pytest.fixture(scope="module")
def models():
    return example_models(ASNTransfer, ["plain_cnn", "resnet", "sequential_relu", "max_pooling", "average_pooling"])


@pytest.fixture(scope="module")
def feedback():
    """A narrow network with a generator, images, spikes drawn from them, and thresholds."""
    shape = (8, 8, 1)
    model = predictive_vgg(5, shape, 4, width=1 / 16, dense=(6,))
    rng = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([rng.normal(0.3, 0.5, w.shape) for w in layer.get_weights()])
    images = rng.random((3, *shape))
    spikes = (rng.random((3, N_STEPS, *shape)) < images[:, None]).astype(np.int8)
    return model, images, spikes, balanced_thresholds(model, spikes, 0.4)


def pair(device, model, **options):
    """The same network on the device and in C++ standalone, in double precision, recording all spikes."""
    options = {"dtype": "float64", **options}
    record = {name: ["spikes"] for name in spiking_names(model)} | options.pop("record", {})
    return [bs.convert(model, device=name, record=record, **options) for name in (device, REFERENCE)]


def assert_same(ours, theirs):
    total = 0
    for name in theirs.spikes:
        np.testing.assert_array_equal(ours.raster(name), theirs.raster(name), err_msg=name)
        total += theirs.raster(name).sum()
    for name, counts in theirs.spike_counts.items():
        np.testing.assert_array_equal(ours.spike_counts[name], counts)
    for name, states in theirs.states.items():
        for variable, values in states.items():
            np.testing.assert_allclose(ours.states[name][variable], values, rtol=1e-9, atol=1e-9, err_msg=variable)
    np.testing.assert_allclose(ours.output, theirs.output, rtol=1e-9, atol=1e-9)
    assert total > 0
    return total


def test_plain_network_with_many_images_parameters_and_times(device, models):
    model = models["plain_cnn"]
    names = spiking_names(model)
    record = {names[0]: ["spikes", "S", "theta"], names[1]: {"spikes": True, "S_hat": [3, 5]}}
    networks = pair(device, model, record=record)
    images = example_images(model, 3)
    first = [snn.run(images, duration=N_STEPS * ms) for snn in networks]
    before = assert_same(*first)
    # a batch gives what its images give alone, in any number of programs
    alone = networks[0].run(images[1:2], duration=N_STEPS * ms)
    np.testing.assert_array_equal(alone.raster(names[-1])[0], first[0].raster(names[-1])[1])
    shared_out = networks[0].run(images, duration=N_STEPS * ms, processes=1 if device == "runtime" else 2)
    assert_same(shared_out, first[1])
    # all of this without building again
    for snn in networks:
        snn.set_parameters(names[0], gain=1.2, m_f=np.linspace(0.1, 0.3, first[0].raster(names[0])[0, 0].size))
    changed = [
        snn.run(images, duration=50 * ms, onset=[5, 0, 10] * ms, offset=35 * ms, background=0.3) for snn in networks
    ]
    assert assert_same(*changed) != before


def test_assignments_before_and_after_the_first_run(device, models):
    """What is written into Brian2's own variables counts on every device, in a program as in runtime mode."""
    model = models["plain_cnn"]
    layer = spiking_names(model)[0]
    networks = pair(device, model)
    images = example_images(model, 2)
    counts = []
    for assign in (
        lambda group: setattr(group, "gain", 0.5),
        lambda group: group.gain.set_item(slice(0, 20), 2),
        lambda group: setattr(group, "gain", "1/(1 + i % 3)"),
    ):
        for snn in networks:
            assign(snn.populations[layer])
        counts.append(assert_same(*(snn.run(images, duration=N_STEPS * ms) for snn in networks)))
    assert len(set(counts)) == 3


def test_time_steps_of_networks_and_user_are_their_own(device, models):
    model = models["average_pooling"]
    images = example_images(model, 1)
    defaultclock.dt = 0.3 * ms
    try:
        networks = pair(device, model)
        assert defaultclock.dt == 0.3 * ms
        networks[0]._backend.activate()
        networks[1].run(images, duration=5 * ms)
        assert defaultclock.dt == 0.3 * ms
        defaultclock.dt = 0.7 * ms
        assert_same(*(snn.run(images, duration=N_STEPS * ms) for snn in networks))
        assert defaultclock.dt == 0.7 * ms
    finally:
        defaultclock.dt = 0.1 * ms


def test_divergence_of_what_is_not_recorded(device, models):
    model, neuron = models["plain_cnn"], growing_lif()
    snn = bs.convert(model, neuron=neuron, device=device, dtype="float64")
    for name, parameters in snn.parameters.items():
        if "bias" in parameters:
            snn.set_parameters(name, bias=0)
    images = example_images(model, 3)
    images[:1] = 0
    layer = spiking_names(model)[0]
    for processes in (1,) if device == "runtime" else (1, 3):
        with pytest.raises(FloatingPointError, match=f"'v' of '{layer}' became NaN or infinite; image 1 "):
            snn.run(images, duration=N_STEPS * ms, processes=processes)
    assert np.isfinite(snn.run(images[:1], duration=N_STEPS * ms).output).all()


@pytest.mark.slow
def test_residual_network(device, models):
    networks = pair(device, models["resnet"])
    images = example_images(models["resnet"], 2)
    assert_same(*(snn.run(images, duration=N_STEPS * ms) for snn in networks))


def test_attention_that_comes_and_goes_and_differs_between_images(device, models):
    model = models["average_pooling"]
    networks = pair(device, model, neuron=bs.switchable(bs.ASN(m_f=0.2)))
    images, results = example_images(model, 2), []
    for center, times in (
        ([(0.2, 0.2), (0.8, 0.5)], {"onset": 10 * ms, "offset": 25 * ms}),
        ((0.5, 0.5), {}),
        (None, {}),
    ):
        attention = center and bs.SpatialAttention(
            center=center, width=0.25, input_gain=0.4, output_gain=0.3, precision=0.5, **times
        )
        for snn in networks:
            snn.attend(attention)
        ours, theirs = (snn.run(images, duration=N_STEPS * ms) for snn in networks)
        assert_same(ours, theirs)
        results.append(sum(counts.sum() for counts in theirs.spike_counts.values()))
    assert len(set(results)) == 3


def test_replayed_spikes_into_integrate_and_fire_neurons(device, models):
    model = models["sequential_relu"]
    rng = np.random.default_rng(1)
    spikes = rng.choice([-1, 0, 1], p=[0.1, 0.6, 0.3], size=(3, 30, *model.input_shape[1:]))
    thresholds = dict(zip(spiking_names(model), (0.6, 0.8, 1.0, 1.4)))
    networks = pair(
        device, model, neuron=bs.IF(leak=0.9), thresholds=thresholds, record={spiking_names(model)[0]: ["spikes", "v"]}
    )
    assert_same(*(snn.run(spikes=spikes) for snn in networks))
    # after the end of a train nothing spikes
    assert_same(*(snn.run(spikes=spikes[:, :20], duration=30 * ms) for snn in networks))


@pytest.mark.parametrize("mode", ["sticky", "dynamic"])
def test_predictive_feedback(device, feedback, mode):
    model, images, spikes, thresholds = feedback
    record = {name: ["spikes"] for name in thresholds} | {"input": ["spikes", "predicted", "is_open"]}
    ours, theirs = (
        bs.convert(
            model, neuron=bs.IF(), thresholds=thresholds, feedback=bs.PredictiveGate(mode=mode), record=record,
            device=name, dtype="float64",
        ).run(spikes=spikes, images=images)
        for name in (device, REFERENCE)
    )  # fmt: skip
    assert_same(ours, theirs)
    np.testing.assert_array_equal(ours.predictions, theirs.predictions)
    np.testing.assert_array_equal(ours.gate, theirs.gate)
    assert theirs.predictions.max() > 0.4 and 0 < theirs.gate.mean() < 1


def test_drawn_spikes_follow_from_the_seed(device, models):
    """Drawn from other generators than in C++ standalone, with the same probabilities and with the same reproducibility."""
    model = models["average_pooling"]
    images = np.zeros((2, *model.input_shape[1:]))
    images[:, 0], images[:, 1], images[:, 2] = 0.25, -0.75, 1.0
    name = bs.read_keras(model).input.name
    record = {name: ["spikes"], spiking_names(model)[-1]: ["spikes"]}
    snn = bs.convert(model, device=device, encoder="poisson", record=record)
    one, same, other = (snn.run(images, duration=400 * ms, seed=seed) for seed in (1, 1, 2))
    for layer in one.spikes:
        np.testing.assert_array_equal(one.raster(layer), same.raster(layer))
    assert not np.array_equal(one.raster(name), other.raster(name))
    assert not np.array_equal(one.raster(name)[0], one.raster(name)[1])
    rates = one.raster(name).mean(axis=(0, 1))
    n = one.raster(name)[:, :, 0].size
    for row, probability in ((0, 0.25), (1, 0.75)):
        # five standard deviations
        assert abs(rates[row].mean() - probability) < 5 * np.sqrt(probability * (1 - probability) / n)
    assert np.all(rates[2] == 1) and np.all(rates[3:] == 0)
    # neurons draw independently of each other
    drawn = one.raster(name)[0, :, :2].reshape(400, -1).astype(float)
    correlations = np.corrcoef(drawn.T)[np.triu_indices(drawn.shape[1], 1)]
    assert abs(correlations.mean()) < 0.02 and correlations.std() < 0.07


def test_own_model_with_units(device, models):
    model = models["average_pooling"]
    networks = pair(device, model, neuron=current_based_lif(), record={spiking_names(model)[0]: ["spikes", "v"]})
    assert_same(*(snn.run(example_images(model, 2), duration=60 * ms) for snn in networks))


@pytest.mark.parametrize("name", [name for name in DEVICES if backend_class(name).missing() is not None])
def test_a_device_that_is_not_there_says_what_is_missing(name, models, monkeypatch):
    monkeypatch.setattr(program_cache, "compile_project", None)
    model = models["average_pooling"]
    with pytest.raises((ImportError, RuntimeError)) as error:
        bs.convert(model, device=name).run(example_images(model, 1), duration=10 * ms)
    assert str(error.value) == backend_class(name).missing()


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_shipped_digits(device, dtype):
    from brainsnn.stimuli import load_digits

    images = load_digits("test")[0][:5]
    networks = pair(device, bs.load_model("weights/digits.keras"), neuron=bs.ASN(m_f=0.1), dtype=dtype)
    ours, theirs = (snn.run(images, duration=100 * ms) for snn in networks)
    if dtype == "float64":
        assert_same(ours, theirs)
    for name in theirs.spikes:
        a, b = ours.raster(name), theirs.raster(name)
        assert np.count_nonzero(a & b) >= 0.98 * np.count_nonzero(a | b), name


def test_drawn_spikes_are_the_same_with_every_brian2_version(models):
    """Old programs seed another C++ generator than new ones, with the same numbers; noted with Brian2 2.9 on Python 3.11."""
    model = models["average_pooling"]
    name = bs.read_keras(model).input.name
    snn = bs.convert(model, device=REFERENCE, encoder="poisson", record={name: ["spikes"]})
    spikes = snn.run(np.full((2, *model.input_shape[1:]), 0.5), duration=20 * ms, seed=3).raster(name)
    assert hashlib.sha256(np.packbits(spikes)).hexdigest()[:16] == "1bea482d2fb8e120"
