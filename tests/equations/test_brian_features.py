"""Features of Brian2 act in every layer as in a NeuronGroup: refractoriness, TimedArrays, functions, shared variables."""

import numpy as np
import pytest
from brian2 import Synapses, TimedArray, check_units, implementation, ms
from keras_graphs import images, sequential
from printed_network import printed_network

import brainsnn as bs

L = pytest.importorskip("keras").layers
DURATION = 40 * ms
LIF, MEMBRANE, SIGNAL = bs.LIF(threshold=0.2), "dv/dt = (I - v)/tau_m : 1", "S = v + bias : 1"
RECORD = {"first": ["spikes"], "second": ["spikes"]}


@implementation("cpp", "double squared(double x) { return x*x; }")
@implementation("cython", "cdef double squared(double x):\n    return x*x")
@check_units(x=1, result=1)
def squared(x):
    return x * x


def refractory():
    held = LIF.replace(MEMBRANE, f"{MEMBRANE} (unless refractory)")
    recovering = held.replace(SIGNAL, "S = v + bias - 0.2*exp(-(t - lastspike)/(5*ms))*int(not_refractory) : 1")
    return recovering.edit(refractory="tau_ref", tau_ref=3 * ms)


def driven():
    drive = TimedArray(np.linspace(0, 0.3, 20), dt=2 * ms)
    equations = """
        S = v + bias + drive(t) + squared(v) + ripple + level : 1
        ripple = 0.3*sin(t/(4*ms)) + 0.1*v : 1 (constant over dt)
        level = base*cos(t/(7*ms)) : 1 (shared)
        base : 1 (shared)
    """
    neuron = LIF.replace(SIGNAL, equations, drive=drive, squared=squared, base=0.1)
    assert "drive = TimedArray of 20 steps of 2. ms" in str(neuron) and "squared = function squared" in str(neuron)
    return neuron


@pytest.fixture(scope="module")
def model():
    return sequential(L.Conv2D(3, 3, padding="same", activation="relu", name="first"),
                      L.Conv2D(2, 3, padding="same", activation="relu", name="second"),
                      L.Flatten(), L.Dense(3, name="out"), shape=(5, 5, 2))  # fmt: skip


def assert_as_in_brian(snn, x):
    result = snn.run(x, DURATION)
    for k, image in enumerate(x):  # also the second image, for which everything was reset
        spikes, outputs = printed_network(snn, image, DURATION)
        for name, (neurons, steps) in spikes.items():
            found = result.raster(name)[k].reshape(40, -1)
            expected = np.zeros_like(found)
            expected[steps, neurons] = True
            assert 20 < expected.sum() < 0.8 * expected.size
            np.testing.assert_array_equal(found, expected, err_msg=name)
        np.testing.assert_allclose(result.output[k], outputs["out"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    "neuron, device", [(refractory, "cpp_standalone"), (refractory, "runtime"), (driven, "cpp_standalone")]
)
def test_neurons_do_what_a_neuron_group_does(model, neuron, device):
    snn = bs.convert(model, {"second": neuron(), ...: LIF}, dtype="float64", device=device, record=RECORD)
    assert_as_in_brian(snn, 3 * images(model, 2))


def test_all_layers_are_refractory_in_the_synchronous_schedule(model):
    snn = bs.convert(model, LIF.edit(refractory="tau_ref", tau_ref=4 * ms), device="cpp_standalone", schedule="synchronous",
                     record=RECORD)  # fmt: skip
    snn.set_parameters("first", tau_ref=np.repeat([3, 9, 15], 25) * ms)
    result = snn.run(3 * images(model, 1), DURATION)
    first, second = (result.raster(name)[0].reshape(40, -1) for name in RECORD)
    for raster, period in ((first[:, :25], 3), (first[:, 25:50], 9), (first[:, 50:], 15), (second, 4)):
        gaps = [np.diff(np.flatnonzero(train)) for train in raster.T if train.sum() > 1]
        assert min(gap.min() for gap in gaps) == period


def test_a_refractory_period_may_be_a_condition(model):
    snn = bs.convert(model, LIF.edit(refractory="t < 20*ms"), device="cpp_standalone", record=RECORD)
    raster = snn.run(3 * images(model, 1), DURATION).raster("first")[0].reshape(40, -1)
    assert raster[:20].sum(axis=0).max() == 1 and raster[20:].sum(axis=0).max() > 1


def test_operations_and_summed_synapses_of_ones_own(model):
    """What is added to a group runs as in Brian2, and what it changes starts anew with each image."""
    neuron = LIF.replace(SIGNAL, "S = v + bias + extra + pushed : 1\nextra : 1\npushed : 1")
    snn = bs.convert(
        model, neuron, device="cpp_standalone", dtype="float64", record={"first": {"extra": [0], "pushed": [1]}}
    )
    snn._backend.activate()
    group = snn.populations["first"]
    group.run_regularly("pushed = t/ms", dt=10 * ms)
    synapses = Synapses(group, group, "extra_post = 0.01*v_pre : 1 (summed)", clock=group.clock)
    synapses.connect(i=[0, 1], j=[0, 0])
    snn.network.add(synapses)
    states = snn.run(np.repeat(3 * images(model, 1), 2, axis=0), DURATION).states["first"]
    np.testing.assert_allclose(states["pushed"][0][:, 0], np.repeat([0, 10, 20, 30], 10))
    assert np.ptp(states["extra"][0]) > 0
    for values in states.values():
        np.testing.assert_array_equal(values[0], values[1])


def test_variants_that_cannot_be_refractory_are_refused():
    pooled = sequential(L.Conv2D(2, 3, activation="relu"), L.MaxPooling2D(2), L.Flatten(), L.Dense(2), shape=(6, 6, 1))
    membrane = "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1"
    held = bs.ASN().replace(membrane, f"{membrane} (unless refractory)")
    with pytest.raises(ValueError, match="ASN.refractory: 'dS_dyn/dt = .*depends on the neuron's own spikes"):
        bs.convert(pooled, held.edit(refractory=5 * ms), max_pooling="membrane")
    models = bs.convert(pooled, bs.ASN().edit(refractory=5 * ms)).models
    assert {model.refractory is None for name, model in models.items() if name.endswith("_membrane")} == {True}
    assert sum(model.refractory is not None for model in models.values()) == 1
    synapse = bs.ASN().replace("dI/dt = -I/tau_beta : 1", "dI/dt = -I/tau_beta : 1 (unless refractory)")
    assert not synapse.edit(refractory=5 * ms).has_linear_filter


def test_the_key_of_a_sweep_knows_timed_arrays_and_functions():
    from brainsnn.sweeps import content_key

    def key(factor):
        return content_key(driven().edit(drive=TimedArray(factor * np.linspace(0, 0.3, 20), dt=2 * ms)))

    assert key(1) == key(1) != key(2)
