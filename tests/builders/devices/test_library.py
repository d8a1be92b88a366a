"""The library of runtime mode: it computes what Brian2 computes step by step, and nothing of it leaks out."""

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from brian2 import (
    Cylinder,
    EventMonitor,
    Network,
    NeuronGroup,
    PopulationRateMonitor,
    SpatialNeuron,
    SpikeGeneratorGroup,
    SpikeMonitor,
    StateMonitor,
    Synapses,
    TimedArray,
    check_units,
    cm,
    implementation,
    ms,
    mV,
    network_operation,
    ohm,
    seed,
    uF,
    um,
)
from one_layer import LAYER, SHAPE, one_layer_graph

import brainsnn as bs
from brainsnn.builders.devices.active_device import preferences
from brainsnn.builders.devices.runtime import backend as runtime_backend
from brainsnn.builders.devices.runtime import library
from brainsnn.builders.devices.runtime.library import Library
from brainsnn.builders.network.connections import EventDrivenProjection

IMAGES = np.random.default_rng(0).random((3, *SHAPE))
DURATION, N_STEPS = 40 * ms, 40


@pytest.fixture(scope="module")
def graph():
    return one_layer_graph()


def convert(graph, **options):
    return bs.convert(graph, **{"record": {LAYER: ["S", "spikes"]}, "dtype": "float64", **options})


@pytest.fixture
def counts(monkeypatch):
    """Calls of the library: of many steps, and of single objects."""
    counts = {"run": 0, "call": 0}
    for name in counts:
        original = getattr(Library, name)

        def counted(self, *arguments, name=name, method=original):
            counts[name] += 1
            return method(self, *arguments)

        monkeypatch.setattr(Library, name, counted)
    return counts


def assert_equal(one, other):
    assert one.raster(LAYER).any()
    np.testing.assert_array_equal(one.output, other.output)
    np.testing.assert_array_equal(one.state(LAYER, "S"), other.state(LAYER, "S"))
    np.testing.assert_array_equal(one.raster(LAYER), other.raster(LAYER))


def add_operation(snn, function, when="end"):
    """Let Python act in every step, after all else in its slot."""
    snn.network.add(network_operation(clock=snn[LAYER].clock, when=when, order=100)(function))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_random_numbers_are_those_of_cpp_standalone(graph, dtype):
    membrane = "dS_dyn/dt = (gain*I - S_dyn)/tau_phi"
    noisy = bs.ASN().replace(f"{membrane} : 1", f"{membrane} + 0.1*xi/tau_phi**.5 : 1")
    options = {"neuron": {LAYER: noisy, ...: bs.ASN()}, "encoder": "poisson", "dtype": dtype}
    devices = [convert(graph, device=device, **options) for device in ("runtime", "cpp_standalone")]
    ours, theirs = (snn.run(IMAGES, DURATION, seed=7) for snn in devices)
    np.testing.assert_array_equal(ours.raster(LAYER), theirs.raster(LAYER))
    # Brian2 2.5's own generator rounds the last digit of a normal number in another way.
    np.testing.assert_allclose(
        ours.state(LAYER, "S"), theirs.state(LAYER, "S"), rtol=0, atol=1e-6 if dtype == "float32" else 1e-12
    )
    assert (ours.output != devices[0].run(IMAGES, DURATION, seed=8).output).any()


def test_the_same_if_python_acts_between_the_steps(graph, counts):
    snn = convert(graph)
    expected = snn.run(IMAGES, DURATION)
    assert counts["run"] >= len(IMAGES)
    many, counts["run"] = counts["call"], 0
    snn, seen = convert(graph), []
    add_operation(snn, lambda: seen.append(snn[LAYER].S[:]))
    found = snn.run(IMAGES, DURATION)
    assert counts["run"] == 0 and counts["call"] > many + 3 * N_STEPS
    assert_equal(found, expected)
    np.testing.assert_array_equal(np.reshape(seen, (3, N_STEPS, -1)), found.states[LAYER]["S"].reshape(3, N_STEPS, -1))


def test_what_python_changes_between_the_steps_counts(graph):
    snn = convert(graph)

    def clamp():
        snn[LAYER].S_dyn = 0.25

    add_operation(snn, clamp, when="start")
    result = snn.run(IMAGES, DURATION)
    assert len(np.unique(result.states[LAYER]["S"][0, 5:, 0])) == 1


def test_a_python_function_sees_what_monitors_have_recorded_so_far(graph):
    snn, lengths = convert(graph), []
    spikes, states = SpikeMonitor(snn[LAYER]), StateMonitor(snn[LAYER], "S", record=[0, 3], clock=snn[LAYER].clock)
    rates = PopulationRateMonitor(snn[LAYER])
    snn.network.add(spikes, states, rates)
    add_operation(snn, lambda: lengths.append((len(spikes.i), len(states.t), len(rates.rate), spikes.count[:].sum())))
    result = snn.run(IMAGES[:1], DURATION)
    expected = np.cumsum(result.raster(LAYER)[0].reshape(N_STEPS, -1).sum(axis=1))
    steps = np.arange(1, N_STEPS + 1)
    np.testing.assert_array_equal(lengths, np.transpose([expected, steps, steps, expected]))


def test_monitors_go_on_in_runs_by_hand(graph):
    snn = convert(graph)
    states = StateMonitor(snn[LAYER], "S", record=True, clock=snn[LAYER].clock)
    spikes = SpikeMonitor(snn[LAYER])
    snn.network.add(states, spikes)
    result = snn.run(IMAGES[:1], DURATION)
    n = spikes.num_spikes
    np.testing.assert_array_equal(
        states.S.T[1:], result.states[LAYER]["S"][0].reshape(N_STEPS, -1)[:-1]
    )  # at the start of a step
    for k in range(2):
        snn.network.run(10 * ms)
        assert states.S.shape[1] == len(states.t) == N_STEPS + 10 * (k + 1)
    np.testing.assert_allclose(states.t / ms, np.arange(N_STEPS + 20), atol=1e-9)
    assert spikes.num_spikes == len(spikes.i) == spikes.count[:].sum() >= n


@pytest.mark.parametrize("encoder", ["current", "poisson"])
def test_networks_with_the_same_library_do_not_mix(graph, encoder):
    """Equal networks share a file, and with it what C++ keeps: pointers, recorded values, and random numbers."""
    one, other = convert(graph, encoder=encoder), convert(graph, encoder=encoder)
    expected = one.run(IMAGES, DURATION)
    other.set_parameters(LAYER, gain=0.5)
    assert (other.run(IMAGES, DURATION).output != expected.output).any()
    assert one._backend._library._path == other._backend._library._path
    inner = []

    def run_other():
        if not inner:
            inner.append(other.run(IMAGES[:1], DURATION))

    add_operation(one, run_other)
    assert_equal(one.run(IMAGES, DURATION), expected)
    other.set_parameters(LAYER, gain=1)
    assert_equal(other.run(IMAGES, DURATION), expected)


def test_an_interrupted_run_leaves_nothing_behind(graph, monkeypatch):
    snn = convert(graph)
    expected, take = snn.run(IMAGES, DURATION), Library._take_records

    def interrupted(self):
        raise KeyboardInterrupt

    monkeypatch.setattr(Library, "_take_records", interrupted)
    with pytest.raises(KeyboardInterrupt):
        snn.run(IMAGES, DURATION)
    monkeypatch.setattr(Library, "_take_records", take)
    assert_equal(snn.run(IMAGES, DURATION), expected)


def test_a_long_run_can_be_stopped(graph):
    snn = convert(graph)
    snn.run(IMAGES[:1], 1 * ms)
    timer = threading.Timer(0.5, snn.network.stop)
    timer.start()
    started = time.monotonic()
    snn.network.run(10**9 * ms)
    assert time.monotonic() - started < 30 and 0 < snn.network.t / ms < 10**9
    n_steps = snn[LAYER].clock.timestep[:]
    assert snn.network.t == snn[LAYER].clock.t and float(snn.network.t / ms) == pytest.approx(n_steps)


def test_runs_by_hand_follow_the_users_seed(graph):
    snn = convert(graph, encoder="poisson")
    monitor = SpikeMonitor(snn["pixels"])
    snn.network.add(monitor)
    snn.run(IMAGES[:1], 1 * ms)
    snn.network.store()
    trains = []
    for number in (1, 1, 2):
        snn.network.restore()
        seed(number)
        snn.network.run(DURATION)
        snn.network.run(DURATION)
        trains.append((monitor.i[:].tolist(), (monitor.t / ms).tolist()))
    assert trains[0] == trains[1] != trains[2] and len(trains[0][0]) > 10


def test_small_numbers_of_other_code_stay(graph):
    """C++ counts denormal numbers as 0 while it runs; NumPy, in the same process, must not."""
    tiny = np.full(8, 1e-40, np.float32)
    snn = convert(graph, dtype="float32")
    add_operation(snn, lambda: np.testing.assert_array_equal(tiny * np.float32(1) > 0, True))
    snn.run(IMAGES[:1], 5 * ms)
    assert (tiny * np.float32(1) > 0).all()


def test_without_cython(graph, monkeypatch):
    monkeypatch.setattr(runtime_backend, "check_cython", lambda: pytest.fail("Cython is used"))
    snn = convert(graph, neuron=bs.LIF())
    drive = TimedArray(np.linspace(0, 1, N_STEPS), dt=1 * ms)
    neurons = NeuronGroup(2, "dv/dt = (drive(t) - v)/(5*ms) : 1", threshold="v > 0.5", reset="v = 0", clock=snn[LAYER].clock,
                          method="euler", namespace={"drive": drive})  # fmt: skip
    neurons.run_regularly("v *= 0.9", clock=snn[LAYER].clock)
    snn.network.add(neurons, SpikeMonitor(neurons))
    snn.run(IMAGES, DURATION)


@implementation("cython", "cdef double halved(double x):\n    return x/2")
@check_units(x=1, result=1)
def halved(x):
    return x / 2


def test_what_only_cython_can_compile_runs_beside_the_library(graph):
    snn = convert(graph)
    neurons = NeuronGroup(1, "dv/dt = (halved(1) - v)/(5*ms) : 1", clock=snn[LAYER].clock, method="euler",
                          namespace={"halved": halved})  # fmt: skip
    snn.network.add(neurons)
    expected = convert(graph).run(IMAGES, DURATION)
    assert_equal(snn.run(IMAGES, DURATION), expected)
    assert 0.49 < neurons.v[0] < 0.5


def test_a_function_of_a_population_needs_cpp(graph):
    halving = bs.LIF().replace("dv/dt = (I - v)/tau_m : 1", "dv/dt = (halved(I) - v)/tau_m : 1", halved=halved)
    with pytest.raises(
        ValueError, match=rf"'{LAYER}.*': a function in it has no C\+\+ code. Give it some: @brian2.impl"
    ):
        convert(graph, neuron={LAYER: halving, ...: bs.LIF()}).run(IMAGES, DURATION)


def test_objects_of_another_clock(graph):
    snn = convert(graph)
    neurons = NeuronGroup(1, "n : 1", clock=snn[LAYER].clock)
    neurons.run_regularly("n += 1", dt=0.25 * ms)
    snn.network.add(neurons)
    expected = convert(graph).run(IMAGES, DURATION)
    assert_equal(snn.run(IMAGES, DURATION), expected)
    assert neurons.n[0] == 4 * N_STEPS


def test_what_cython_cannot_translate_is_an_error(graph, capfd):
    """Brian2 prints it and goes on without the code."""
    snn = convert(graph)
    neurons = NeuronGroup(1, "dv/dt = (halved(range) - v)/(5*ms) : 1", clock=snn[LAYER].clock, method="euler",
                          namespace={"halved": halved, "range": 1.0})  # fmt: skip
    snn.network.add(neurons)
    with pytest.raises(ValueError, match="'neurongroup.*_stateupdater': Cython cannot translate its code"):
        snn.run(IMAGES, DURATION)


def test_networks_in_several_threads(graph, monkeypatch):
    """Equal networks share a library and its random numbers, and Brian2 has one generator for all."""
    networks = [convert(graph, encoder="poisson") for _ in range(2)]
    expected = [snn.run(IMAGES, 400 * ms, seed=k).raster(LAYER) for k, snn in enumerate(networks)]
    monkeypatch.setattr(library, "TURN", 1e-4)  # many calls
    found = {}

    def run(k):
        found[k] = networks[k].run(IMAGES, 400 * ms, seed=k).raster(LAYER)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, raster in enumerate(expected):
        np.testing.assert_array_equal(found[k], raster)


def test_statements_that_would_be_computed_for_ever(graph):
    snn = convert(graph)
    for assign in (
        lambda: setattr(snn[LAYER], "S_hat", "9**9**9"),
        lambda: snn[LAYER].S_hat.__setitem__("S > 9**9**9", 1),
    ):
        with pytest.raises(ValueError, match=f"{LAYER}.S_hat: .* has a number that is too large"):
            assign()
    snn[LAYER].run_regularly("S_hat = 9**9**9", dt=1 * ms)
    with pytest.raises(ValueError, match="has a number that is too large"):
        snn.run(IMAGES, DURATION)
    with pytest.raises(ValueError, match="LocalLearning.on_pre: .* has a number that is too large"):
        bs.LocalLearning(on_pre="I_post += w*h_pre\nw = 9**9**9")


def subgroups(layer):
    spikes, events = SpikeMonitor(layer[10:30]), SpikeMonitor(layer, variables=["S", "S_hat"])
    rates = PopulationRateMonitor(layer[:20])
    return [spikes, events, rates], lambda: [spikes.i[:], spikes.count[:], events.S[:], events.S_hat[:], rates.rate[:]]


def timed_array_of_neurons(layer):
    drive = TimedArray(np.random.default_rng(0).random((10, 5)), dt=4 * ms)
    equations = "dv/dt = (drive(t, i) - v)/(5*ms) : 1\nis_high = v > 0.4 : boolean"
    neurons = NeuronGroup(5, equations, clock=layer.clock, method="euler", namespace={"drive": drive})
    states = StateMonitor(neurons, ["v", "is_high"], record=True, clock=layer.clock)
    return [neurons, states], lambda: [states.v, states.is_high]


def custom_events(layer):
    neurons = NeuronGroup(3, "dv/dt = (1.2 + 0.1*i)/(20*ms) : 1 (unless refractory)", threshold="v > 1", reset="v = 0",
                          refractory=3 * ms, events={"half": "v > 0.5 and v < 0.6"}, clock=layer.clock,
                          method="euler")  # fmt: skip
    neurons.run_on_event("half", "v += 0.01")
    events, spikes = EventMonitor(neurons, "half", variables="v"), SpikeMonitor(neurons)
    return [neurons, events, spikes], lambda: [events.i[:], events.t[:], events.v[:], spikes.t[:]]


def synapses_with_equations(layer):
    neurons = NeuronGroup(2, "total : 1", clock=layer.clock)
    model = "dx/dt = -x/(10*ms) : 1 (clock-driven)\ntotal_post = x : 1 (summed)"
    synapses = Synapses(layer, neurons, model, on_pre="x += 1", clock=layer.clock, method="exact")
    synapses.connect(i=[0, 1, 2, 30], j=[0, 1, 1, 0])
    states, traces = (
        StateMonitor(neurons, "total", record=True, clock=layer.clock),
        StateMonitor(synapses, "x", record=[0, 3]),
    )
    return [neurons, synapses, states, traces], lambda: [states.total, traces.x]


def spike_generator(layer):
    generator = SpikeGeneratorGroup(3, [0, 2, 1], [2, 5, 7] * ms, period=10 * ms, clock=layer.clock)
    spikes = SpikeMonitor(generator)
    return [generator, spikes], lambda: [spikes.i[:], spikes.t[:]]


def spatial_neuron(layer):
    leak = "Im = (v + 70*mV)*0.1*msiemens/cm**2*-1 : amp/meter**2"
    cable = SpatialNeuron(Cylinder(length=100 * um, diameter=2 * um, n=5), leak, Cm=1 * uF / cm**2, Ri=100 * ohm * cm,
                          clock=layer.clock, method="exponential_euler")  # fmt: skip
    cable.v = [-70, -60, -50, -60, -70] * mV
    states = StateMonitor(cable, "v", record=True, clock=layer.clock)
    return [cable, states], lambda: [states.v]


@pytest.mark.parametrize(
    "added",
    [subgroups, timed_array_of_neurons, custom_events, synapses_with_equations, spike_generator, spatial_neuron],
)
def test_objects_of_users_do_what_cython_does(graph, added):
    """The preference of Brian2 chooses its own target, Cython, for them."""
    found = []
    for target in ("auto", "cython"):
        with preferences({"codegen.target": target}):
            snn = convert(graph)
            objects, read = added(snn[LAYER])
            snn.network.add(objects)
            for _ in range(2):  # the second run starts from the same state
                result = snn.run(IMAGES[:2], DURATION)
            found.append([result.output, *(np.array(values) for values in read())])
    assert all(values.size for values in found[0])
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)


def test_a_network_that_is_gone_keeps_no_memory(graph):
    snn = convert(graph)
    snn.run(IMAGES[:1], 2 * ms)
    gone = weakref.ref(snn._backend._library)
    del snn
    gc.collect()
    assert gone() is None


def test_code_in_another_network_says_so(graph):
    projection = convert(graph).projections[0]
    groups = [projection.source, projection.target]
    network = Network(EventDrivenProjection(*groups, projection.operator, "I_post += w", "elsewhere"))
    with pytest.raises(RuntimeError, match="has no library in another one"):
        network.run(1 * ms)
