"""Divergence: a run whose values are not finite is an error, and time constants are checked before anything is built."""

from dataclasses import replace

import numpy as np
import pytest
from brian2 import NeuronGroup, Synapses, ms
from example_models import growing_lif

import brainsnn as bs
from brainsnn.builders.devices import program_cache
from brainsnn.training.predictive_vgg import predictive_vgg

LAYER = "conv1_asn"
#: Images that reach the growing neurons only in trial 2 and later.
LATE = np.array([0.0, 0.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def graph():
    return bs.read_keras(bs.load_model("digits"))


@pytest.fixture(scope="module")
def images(graph):
    return np.random.default_rng(0).random((4, *graph.input.shape)) * LATE[:, None, None, None]


def convert(graph, **options):
    """Convert without biases, so that the network stays at rest without input."""
    snn = bs.convert(graph, **{"neuron": growing_lif(), "device": "cpp_standalone", **options})
    for name, parameters in snn.parameters.items():
        if "bias" in parameters:
            snn.set_parameters(name, bias=0.0)
    return snn


@pytest.fixture(scope="module")
def growing(graph):
    return convert(graph)


def first(snn):
    return next(iter(snn.populations))


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_state_that_is_not_recorded(growing, images, processes):
    with pytest.raises(FloatingPointError, match=f"'v' of '{first(growing)}' became NaN or infinite; image 2 "):
        growing.run(images, duration=20 * ms, processes=processes)


def test_a_network_can_run_again_after_a_divergence(growing, images):
    with pytest.raises(FloatingPointError):
        growing.run(images, duration=20 * ms)
    assert np.isfinite(growing.run(images[:2], duration=20 * ms).output).all()


def test_runtime(graph, images):
    snn = convert(graph, device="runtime")
    with pytest.raises(FloatingPointError, match=f"'v' of '{first(snn)}' became NaN or infinite; image 2 "):
        snn.run(images, duration=20 * ms)
    assert np.isfinite(snn.run(images[:2], duration=20 * ms).output).all()


@pytest.mark.parametrize("device", ["cpp_standalone", "runtime"])
@pytest.mark.parametrize(
    ("on_pre", "message"),
    [("w *= 1e200", "'w' of 'learner'"), ("n_post = (n_post + 1)*1e200", "'n' of 'counter'")],
)
def test_objects_of_the_user(graph, images, device, on_pre, message):
    snn = convert(graph, neuron=bs.ASN(), device=device)
    source = snn.populations[first(snn)]
    counter = NeuronGroup(1, "n : 1\nlowest : 1", clock=source.clock, name="counter")
    counter.lowest = np.inf  # starts infinite, so it may stay so
    learner = Synapses(source, counter, "w : 1", on_pre=on_pre, clock=source.clock, name="learner")
    learner.connect()
    learner.w = 1
    snn.network.add(counter, learner)
    with pytest.raises(FloatingPointError, match=f"{message} became NaN or infinite; image 2 "):
        snn.run(images, duration=20 * ms)
    snn.run(images[:2], duration=20 * ms)
    assert np.all(learner.w == 1)  # the run that diverged has taught it nothing


@pytest.mark.parametrize("connectivity", ["event_driven", pytest.param("synapses", marks=pytest.mark.slow)])
def test_learned_weights(connectivity):
    shape = (8, 8, 1)
    model = predictive_vgg(5, shape, 4, width=1 / 16, dense=(6,))
    rng = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([rng.normal(0.3, 0.5, w.shape) for w in layer.get_weights()])
    gate = bs.PredictiveGate(learning=bs.LocalLearning(on_pre="I_post += clip(w, -1, 1)*h_pre\nw = w*1e30"))
    snn = bs.convert(model, neuron=bs.IF(), feedback=gate, connectivity=connectivity, device="cpp_standalone")
    before = snn.learned_weights
    (name,) = before
    with pytest.raises(FloatingPointError, match=f"'w' of '{name}' became NaN or infinite; image 1 "):
        snn.run(rng.random((2, *shape)) * [[[[0.0]]], [[[1.0]]]], duration=40 * ms)
    np.testing.assert_array_equal(snn.learned_weights[name], before[name])


@pytest.fixture(scope="module")
def passing(graph):
    """A network with a recorded expression that is infinite for a while and finite at the end of the trial."""
    neuron = bs.LIF()
    neuron = neuron.edit(equations=f"{neuron.equations}\npeak = 1/(t - 5*ms) : Hz", readout=neuron.readout)
    return convert(graph, neuron=neuron, record={LAYER: {"peak": [0]}}, dtype="float64")


def test_recorded_values(passing, images):
    with pytest.raises(FloatingPointError, match=f"'peak' of '{LAYER}' became NaN or infinite; image 0 "):
        passing.run(images[:2], duration=20 * ms)
    assert np.isfinite(passing.run(images[:2], duration=4 * ms).states[LAYER]["peak"]).all()


def test_readout(graph, images):
    plain = bs.LIF()
    readout = plain.readout.replace("S = S_dyn + bias : 1", "S = S_dyn + bias + 1/(t - 5*ms)*ms : 1")
    snn = convert(graph, neuron=plain.edit(readout=readout), dtype="float64")
    with pytest.raises(FloatingPointError, match="'S' of 'readout' became NaN or infinite; image 0 "):
        snn.run(images[:2], duration=20 * ms)


@pytest.mark.parametrize(
    ("neuron", "dt", "message"),
    [
        (bs.LIF().edit(tau_m=-20 * ms), 1 * ms, r"LIF.tau_m: a time constant must be greater than 0, got -20. ms"),
        (
            lambda: bs.LIF(tau_m=-20 * ms),
            1 * ms,
            r"LIF.tau_m: a time constant must be a time greater than 0.*got -20. ms",
        ),
        (lambda: bs.ASN(tau_gamma=0 * ms), 1 * ms, "ASN.tau_gamma: a time constant must be a time greater"),
        (lambda: bs.ASN(tau_eta=np.nan * ms), 1 * ms, "ASN.tau_eta: a time constant must be a time greater"),
        (lambda: bs.ASN(tau_readout=-1 * ms), 1 * ms, "ASN.tau_readout: a time constant must be a time greater"),
        (
            bs.LIF(tau_s=0.5 * ms).edit(method="euler"),
            1 * ms,
            "LIF.tau_s: 0.5 ms is shorter than the time step of 1 ms",
        ),
        (bs.LIF().edit(method="rk4"), 6 * ms, "LIF.tau_s: 5 ms is shorter than the time step of 6 ms, .*'rk4'"),
    ],
)
def test_bad_time_constants_are_refused_before_anything_is_built(graph, monkeypatch, neuron, dt, message):
    monkeypatch.setattr(program_cache, "compile_project", None)
    with pytest.raises(ValueError, match=message):
        neuron = neuron if isinstance(neuron, bs.NeuronModel) else neuron()
        bs.convert(graph, neuron=neuron, dt=dt, device="cpp_standalone")


def test_steps_that_a_method_can_take_are_allowed(graph):
    for neuron, dt in (
        (bs.LIF(tau_s=0.5 * ms), 1 * ms),  # exponential_euler
        (bs.LIF(tau_s=1 * ms).edit(method="euler"), 1 * ms),
        (replace(bs.LIF(), method="euler", parameters=dict(bs.LIF().parameters) | {"tau_unused": 0.1 * ms}), 1 * ms),
    ):
        assert bs.convert(graph, neuron=neuron, dt=dt).dt == float(dt)


def test_a_time_constant_of_single_neurons_is_not_shorter_than_the_step(graph):
    plain = bs.LIF()
    neuron = plain.edit(equations=f"{plain.equations}\ntau_m : second", readout=plain.readout)
    bs.convert(graph, neuron=neuron).set_parameters(LAYER, tau_m=0.5 * ms)
    snn = bs.convert(graph, neuron=neuron.edit(method="euler"))
    with pytest.raises(ValueError, match="tau_m: 0.5 ms is shorter than the time step of 1 ms"):
        snn.set_parameters(LAYER, tau_m=0.5 * ms)
