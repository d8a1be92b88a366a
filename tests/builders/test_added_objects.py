"""Brian2 objects of the user's in the network, and assignments to those that are there."""

import numpy as np
import pytest
from brian2 import (
    Hz,
    NeuronGroup,
    PoissonGroup,
    PopulationRateMonitor,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    ms,
    mV,
)
from example_models import example_images, example_models, spiking_names

import brainsnn as bs
from brainsnn.builders.devices import program_cache
from brainsnn.training.asn_transfer import ASNTransfer

DURATION = 5 * ms


@pytest.fixture(params=["cpp_standalone", "runtime"])
def device(request):
    return request.param


@pytest.fixture(scope="module")
def model():
    return example_models(ASNTransfer, ["average_pooling"])["average_pooling"]


@pytest.fixture(scope="module")
def images(model):
    return example_images(model, 4)


class Added:
    """A spike generator, neurons that count what arrives, and synapses between them, in a network of ours."""

    def __init__(self, model, device, equations="w : 1", on_pre="n_post += 1", delay=None, weights=None, monitor=True):
        self.snn = bs.convert(model, device=device)
        clock = self.snn.populations[spiking_names(model)[0]].clock
        self.generator = SpikeGeneratorGroup(2, [0, 1], [1, 4] * ms, clock=clock)
        self.neurons = NeuronGroup(2, "n : 1", clock=clock)
        self.synapses = Synapses(self.generator, self.neurons, equations, on_pre=on_pre, clock=clock)
        self.synapses.connect(p=1 if weights is None else 0.5)
        if weights is not None:
            self.synapses.w = weights
        if delay is not None:
            self.synapses.delay = delay
        self.states = StateMonitor(self.neurons, "n", record=True, clock=clock)
        added = [self.generator, self.neurons, self.synapses, *([self.states] if monitor else [])]
        self.snn.network.add(added)


def test_anything_of_brian2_can_be_added_before_the_first_run(model, images):
    snn = bs.convert(model, device="cpp_standalone")
    layer = spiking_names(model)[0]
    probe = PopulationRateMonitor(snn.populations[layer])
    snn.network.add(probe)
    result = snn.run(images[:1], duration=30 * ms)
    total = float(np.sum(probe.rate) * 1 * ms) * len(snn.populations[layer])
    assert total == pytest.approx(result.spike_counts[layer][0])
    with pytest.raises(RuntimeError, match="already compiled, so 'late' would never run.*before its first run"):
        snn.network.add(PopulationRateMonitor(snn.populations[layer], name="late"))


def test_neurons_are_reset_before_each_image(model, images, device):
    snn = bs.convert(model, device=device)
    clock = snn.populations[spiking_names(model)[0]].clock
    group = NeuronGroup(
        1,
        "dv/dt = 1/ms : 1\nn : 1",
        threshold="v > 1.5",
        reset="v = 0; n += 1",
        refractory=2 * ms,
        method="euler",
        clock=clock,
    )
    group.v = 1
    generator = SpikeGeneratorGroup(2, [0, 1], [1, 2] * ms, clock=clock)
    synapses = Synapses(generator, group, "w : 1", on_pre="n_post += 10; w += 1", clock=clock)
    synapses.connect()
    states, spikes = StateMonitor(group, ["v", "n"], record=True, clock=clock), SpikeMonitor(generator)
    snn.network.add(group, generator, synapses, states, spikes)
    snn.run(images[:2], duration=DURATION)
    for recorded in (states.v[0], states.n[0]):
        np.testing.assert_array_equal(recorded[:5], recorded[5:])
    assert states.n[0, 4] > 20  # it spiked itself, too
    np.testing.assert_array_equal(spikes.i, [0, 1, 0, 1])
    np.testing.assert_array_equal(synapses.w, [2, 2])
    group.v = 0.25  # where the images of the next run start
    snn.run(images[:2], duration=DURATION)
    np.testing.assert_array_equal(states.v[0, [-10, -5]], [0.25, 0.25])


def test_synapses_learn_from_image_to_image_and_run_to_run(model, images, device):
    added = Added(model, device, on_pre="n_post += 1; w += 1")
    for n_images in (2, 4):
        added.snn.run(images[:2], duration=DURATION)
        np.testing.assert_array_equal(added.synapses.w, [n_images] * 4)
    added.synapses.w[1, :] = [0, 10]
    added.synapses.w[0] = 7
    added.snn.run(images[:1], duration=DURATION)
    np.testing.assert_array_equal(added.synapses.w, [8, 5, 1, 11])
    added.synapses.w = 0.5
    added.snn.run(images[:1], duration=DURATION)
    np.testing.assert_array_equal(added.synapses.w, [1.5] * 4)
    reason = "synapses.*w learns from image to image" if device == "cpp_standalone" else "one image after the other"
    with pytest.raises(ValueError, match=reason):
        added.snn.run(images, duration=DURATION, processes=2)


def test_spikes_under_way_end_with_their_image(model, images, device):
    added = Added(model, device, delay="1*ms + i*2*ms")  # the second spike comes 2 ms after the end
    added.snn.run(images[:3], duration=DURATION)
    np.testing.assert_array_equal(added.states.n, np.tile([0, 0, 0, 1, 1], (2, 3)))
    added.snn.run(images[:1], duration=10 * ms)  # now it comes
    np.testing.assert_array_equal(added.states.n[0, -10:], [0, 0, 0, 1, 1, 1, 1, 1, 2, 2])


def test_traces_are_reset_before_each_image(model, images, device):
    equations = "dx/dt = -x/(2*ms) : 1 (event-driven)\nw : 1"
    added = Added(model, device, equations, on_pre="x += 1; w += x; n_post += w")
    added.snn.run(images[:3], duration=DURATION)
    # each neuron of the generator spikes once in each image: nothing is left of the trace of the last one
    np.testing.assert_allclose(added.synapses.w, 3, rtol=1e-6)
    np.testing.assert_allclose(added.states.n[:, 4::5], [[1, 2, 3]] * 2, rtol=1e-6)


def test_drawn_connections_stay(model, images):
    added = Added(model, "cpp_standalone", on_pre="n_post += w", weights="rand()", monitor=False)
    seen = set()
    for run in range(3):
        added.snn.run(images, duration=DURATION, processes=1 + run % 2)
        seen.add((np.array(added.synapses.i).tobytes(), np.array(added.synapses.w).tobytes()))
    assert len(seen) == 1


def test_monitors_of_several_processes_are_refused(model, images):
    added = Added(model, "cpp_standalone")
    with pytest.raises(ValueError, match="statemonitor.*processes=2.*record="):
        added.snn.run(images, duration=DURATION, processes=2)
    added.snn.run(images[:1], duration=DURATION, processes=2)  # one image needs one
    assert added.states.n.shape == (2, 5)


def test_what_is_compiled_in_is_not_assigned_to_in_vain(model, images):
    added = Added(model, "cpp_standalone", delay=1 * ms)
    added.snn.run(images[:1], duration=DURATION)
    with pytest.raises(
        ValueError, match="synapses.*delay is compiled into the program.*Assign to it before the first run"
    ):
        added.synapses.delay = 2 * ms


def test_spikes_of_a_generator_are_compiled_in(model, images):
    added = Added(model, "cpp_standalone")
    added.snn.run(images[:1], duration=DURATION)
    with pytest.raises(RuntimeError, match=r"spikegeneratorgroup.*compiled into the program.*call convert\(\) again"):
        added.generator.set_spikes([0], [3] * ms)


def test_parameters_of_added_groups(model, images, device):
    """Shared by all neurons, and of groups that are no NeuronGroup."""
    snn = bs.convert(model, device=device)
    clock = snn.populations[spiking_names(model)[0]].clock
    neurons = NeuronGroup(2, "step : 1 (shared)\nunused : 1\nn : 1", clock=clock)
    counting = neurons.run_regularly("n += step", dt=1 * ms)
    source = PoissonGroup(3, rates=0 * Hz, clock=clock)
    spikes = SpikeMonitor(source, record=False)
    snn.network.add(neurons, counting, source, spikes)
    for step, rate in ((0, 0), (2, 1000), (3, 1000)):
        if step:
            neurons.step, source.rates = step, rate * Hz
            neurons.unused = step
        snn.run(images[:2], duration=DURATION)
        assert spikes.num_spikes == (30 if rate else 0)  # 3 sources in 2 images of 5 steps
        np.testing.assert_array_equal(neurons.n, [5 * step] * 2)
        assert neurons.step == step and np.all(neurons.unused == step)


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize(
    "assign",
    [
        lambda group: setattr(group, "gain", 0.5),
        lambda group: setattr(group, "gain", np.linspace(0, 1, len(group))),
        lambda group: setattr(group, "gain", "1/(1 + i)"),
        lambda group: group.gain.set_item(slice(0, 7), 0),
        lambda group: group.gain.set_item("i > 10", "0.25*i/N"),
        lambda group: group.gain.set_item([1, 4], [2, 3]),
        lambda group: setattr(group[3:9], "gain", 0),
    ],
    ids=["number", "array", "expression", "slice", "condition", "indices", "subgroup"],
)
def test_assignments_to_parameters_are_what_set_parameters_does(compiled, images, assign, before, monkeypatch):
    snn, layer, expected = compiled(before)
    group = snn.populations[layer]
    assign(group)
    gain = np.array(group.gain)
    assert len(np.unique(gain)) > 1 or gain[0] == 0.5
    expected.set_parameters(layer, gain=gain)
    monkeypatch.setattr(program_cache, "compile_project", None)
    results = [one.run(images[:2], duration=30 * ms) for one in (snn, expected)]
    np.testing.assert_array_equal(results[0].raster(layer), results[1].raster(layer))
    np.testing.assert_array_equal(group.gain, gain)


@pytest.fixture
def compiled(model, images):
    """A network before or after its first run, a layer of it, and another one, in float64."""

    def networks(before):
        layer = spiking_names(model)[0]
        pair = [
            bs.convert(model, device="cpp_standalone", record={layer: ["spikes"]}, dtype="float64") for _ in range(2)
        ]
        for snn in pair[before:]:
            snn.run(images[:1], duration=5 * ms)
        return pair[0], layer, pair[1]

    networks(False)  # its program is in the cache
    return networks


def test_assigned_states_are_where_the_next_images_start(model, images):
    layer = spiking_names(model)[0]
    snn = bs.convert(model, device="cpp_standalone", record={layer: ["S_dyn"]})
    before = snn.run(images[:2], duration=DURATION).states[layer]["S_dyn"]
    snn.populations[layer].S_dyn[:] = 0.1
    after = snn.run(images[:2], duration=DURATION).states[layer]["S_dyn"]
    difference = (after - before)[:, 0]  # what is left of it in the first step, in all neurons of both images
    assert 0.05 < difference.min() and difference.max() < 0.1 and np.ptp(difference) < 1e-5
    with pytest.raises(Exception, match="unit|dimension"):
        snn.populations[layer].S_dyn = 7 * mV


def test_users_object_between_update_and_threshold_keeps_its_place(model, images):
    snn = bs.convert(model, device="cpp_standalone", schedule="pipelined")
    group = snn.populations[spiking_names(model)[0]]
    # Lifts the membrane after the state update: fused, it would come too late for this step's threshold.
    operation = group.run_regularly("S_dyn = 100", when="groups", order=5, dt=1 * ms)
    snn.network.add(operation)
    result = snn.run(images[:1], duration=1 * ms)
    assert result.spike_counts[spiking_names(model)[0]][0] == len(group)
