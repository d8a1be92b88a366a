"""Attributes of Brian2 objects that are changed between runs: each counts from the next run on, or is refused."""

import gc

import numpy as np
import pytest
from brian2 import (
    Clock,
    Network,
    NetworkOperation,
    NeuronGroup,
    SpikeGeneratorGroup,
    StateMonitor,
    Synapses,
    TimedArray,
    ms,
    network_operation,
    seed,
    stop,
)
from keras_graphs import images, sequential

import brainsnn as bs
from brainsnn.errors import DeviceLimitError

bonus = 0.0
DEVICES = ["cpp_standalone", "runtime"]


class Subject:
    """
    A network with added neurons: x is increased by ``step`` and then doubled, y grows by a signal and by spikes.

    In 3 steps x becomes 2, 6, 14, and y 0, 100, 100: the spike of 1 ms arrives in that step.
    """

    def __init__(self, device):
        L = pytest.importorskip("keras").layers
        self.model = sequential(L.Dense(4, activation="relu", name="hidden"), L.Dense(2, name="out"), shape=(1, 1, 3))
        self.images = 3 * np.abs(images(self.model, 2))
        self.snn = bs.convert(self.model, device=device)
        self.hidden = self.snn.populations["hidden"]
        own = {"clock": self.hidden.clock}
        self.clock = Clock(dt=1 * ms)
        self.signal = TimedArray(np.zeros(3), dt=1 * ms, name="signal")
        self.neurons = NeuronGroup(1, "x : 1\ny : 1", namespace={"step": 1.0, "signal": self.signal}, **own)
        self.add = self.neurons.run_regularly("x += step", when="start", order=0, clock=self.clock)
        self.double = self.neurons.run_regularly("x *= 2", when="start", order=1, clock=self.clock)
        self.neurons.run_regularly("y += signal(t) + bonus", when="end", **own)
        self.generator = SpikeGeneratorGroup(1, [0], [1] * ms, **own)
        self.synapses = Synapses(self.generator, self.neurons, "u : 1", on_pre="y_post += 100", **own)
        self.synapses.connect()
        self.monitor = StateMonitor(self.neurons, ["x", "y"], record=True, when="end", order=1, **own)
        self.snn.network.add(self.neurons, self.generator, self.synapses, self.monitor)

    def run(self, n_images=1):
        """Run; return x and y at the end of each step of the last image."""
        self.snn.run(self.images[:n_images], duration=3 * ms)
        return tuple(np.asarray(getattr(self.monitor, name))[0, -3:].tolist() for name in ("x", "y"))


@pytest.fixture(scope="module", params=DEVICES)
def subject(request):
    made = Subject(request.param)
    assert made.run(2) == ([2, 6, 14], [0, 100, 100])
    return made


@pytest.fixture(scope="module")
def networks():
    """By device, and whether state update and threshold of the population run in one pass: a network and an image."""
    made = {}
    for device in DEVICES:
        for fused in (True, False):
            L = pytest.importorskip("keras").layers
            model = sequential(L.Dense(4, activation="relu", name="hidden"), L.Dense(2, name="out"), shape=(1, 1, 3))
            snn = bs.convert(model, device=device, record={"hidden": ["S_dyn"]})
            if not fused:  # something acts between them
                snn.populations["hidden"].run_regularly("S_hat += 0", when="groups", order=1, dt=1 * ms)
            made[device, fused] = snn, 3 * np.abs(images(model, 1))
    return made


def set_namespace(subject, step):
    subject.neurons.namespace["step"] = step


def set_schedule(subject, first):
    rest = [slot for slot in subject.snn.network.schedule if slot not in ("start", "end")]
    subject.snn.network.schedule = ["start", *rest, "end"] if first == "start" else ["end", *rest, "start"]


CHANGES = {
    "active": (lambda s, v: setattr(s.add, "active", v), True, False, ([0, 0, 0], [0, 100, 100])),
    "order": (lambda s, v: setattr(s.double, "order", v), 1, -1, ([1, 3, 7], [0, 100, 100])),
    "when": (lambda s, v: setattr(s.double, "when", v), "start", "end", ([2, 6, 14], [0, 100, 100])),
    "schedule": (set_schedule, "start", "end", ([0, 2, 6], [0, 0, 100])),
    "clock": (lambda s, v: setattr(s.clock, "dt", v * ms), 1, 0.5, ([2, 14, 62], [0, 100, 100])),
    "namespace": (set_namespace, 1.0, 3.0, ([6, 18, 42], [0, 100, 100])),
    "timed array": (lambda s, v: s.signal.values.fill(v), 0, 5, ([2, 6, 14], [5, 110, 115])),
    "scope": (lambda s, v: globals().update(bonus=v), 0.0, 7.0, ([2, 6, 14], [7, 114, 121])),
    "synapses": (lambda s, v: setattr(s.synapses, "active", v), True, False, ([2, 6, 14], [0, 0, 0])),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_setting_counts_or_is_refused(subject, name):
    change, before, after, expected = CHANGES[name]
    change(subject, after)
    try:
        if subject.snn.device == "runtime" or name in ("active", "synapses"):
            assert subject.run() == expected
        else:
            with pytest.raises(
                RuntimeError, match=r"already compiled, and .* changed since.*undo the change, or call convert"
            ):
                subject.run()
    finally:
        change(subject, before)
    assert subject.run() == ([2, 6, 14], [0, 100, 100])


def switched(group, part):
    return {"state_updater": group.state_updater, "thresholder": group.thresholder["spike"], "group": group}[part]


@pytest.mark.parametrize("part", ["state_updater", "thresholder", "group"])
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("fused", [True, False])
def test_parts_of_populations_can_be_switched_off(networks, device, fused, part):
    snn, image = networks[device, fused]
    before, hidden = snn.run(image, duration=3 * ms), snn.populations["hidden"]
    assert before.spike_counts["hidden"] > 0 and bool(hidden.fused_parts) == fused
    obj = switched(hidden, part)
    obj.active = False
    try:
        if device != "runtime" and fused and part != "group":
            with pytest.raises(RuntimeError, match=f"{obj.name}.active was changed since"):
                snn.run(image, duration=3 * ms)
            return
        result = snn.run(image, duration=3 * ms)
        assert result.spike_counts["hidden"] == 0
        # S_dyn does not depend on spikes of its own population
        expected = before.states["hidden"]["S_dyn"] if part == "thresholder" else np.zeros((1, 3, 4))
        np.testing.assert_array_equal(result.states["hidden"]["S_dyn"], expected)
    finally:
        obj.active = True
        np.testing.assert_array_equal(snn.run(image, duration=3 * ms).output, before.output)


def test_spikes_delays_and_connections_count_or_are_refused():
    for device in DEVICES:
        subject = Subject(device)
        subject.run()
        changes = {
            "spikes": (lambda s: s.generator.set_spikes([0], [0] * ms), [100, 100, 100]),
            "delay": (lambda s: setattr(s.synapses, "delay", 2 * ms), [0, 0, 100]),
            "connections": (lambda s: (s.synapses.connect(), setattr(s.synapses, "delay", 0 * ms)), [200, 200, 200]),
        }
        for change, expected in changes.values():
            if device == "runtime":
                change(subject)
                assert subject.run(2)[1] == expected
            else:
                with pytest.raises((RuntimeError, ValueError), match=r"compiled.*call convert\(\) again"):
                    change(subject)
        assert subject.run(2)[0] == [2, 6, 14]


@pytest.mark.parametrize("device", DEVICES)
def test_a_monitor_can_be_replaced_by_one_of_its_name_or_not(device):
    snn = bs.convert(
        sequential(pytest.importorskip("keras").layers.Dense(2, name="out"), shape=(1, 1, 3)), device=device
    )
    readout = snn.populations["out"]
    first = StateMonitor(readout, "S", record=True, clock=readout.clock, name="probe")
    snn.network.add(first)
    image = np.ones((1, 1, 1, 3))
    snn.run(image, duration=3 * ms)
    snn.network.remove(first)
    second = StateMonitor(readout, "S", record=True, clock=readout.clock, name="probe_2")
    second._name = "probe"
    if device == "runtime":
        snn.network.add(second)
        snn.run(image, duration=3 * ms)
        assert len(second.t) == 3 == len(first.t)
    else:
        with pytest.raises(RuntimeError, match="already compiled, so 'probe' would never run"):
            snn.network.add(second)
        with pytest.raises(RuntimeError, match="already compiled, and probe was changed"):
            snn.run(image, duration=3 * ms)


def test_a_stopped_network_gives_no_result():
    subject = Subject("runtime")

    @network_operation(clock=subject.hidden.clock)
    def stop_at_1_ms(t):
        if t > 0.5 * ms:
            stop()

    subject.snn.network.add(stop_at_1_ms)
    with pytest.raises(RuntimeError, match=r"stopped with stop\(\) in image 0.*snn.network.run"):
        subject.run()
    subject.snn.network.remove(stop_at_1_ms)
    assert subject.run() == ([2, 6, 14], [0, 100, 100])


def test_what_a_device_cannot_run_is_refused_when_it_is_added():
    early = NeuronGroup(1, "z : 1")
    snn = bs.convert(
        sequential(pytest.importorskip("keras").layers.Dense(2, name="dense"), shape=(1, 1, 3)), device="cpp_standalone"
    )
    with pytest.raises(DeviceLimitError, match="calls a Python function.*run_regularly.*device='runtime'"):
        snn.network.add(NetworkOperation(lambda: None, name="python"))
    with pytest.raises(
        RuntimeError, match=r"network.add: .* was made while another device was active.*after .*convert"
    ):
        snn.network.add(early)
    with pytest.raises(RuntimeError, match="network.add: .* was made while another device was active"):
        bs.convert(snn.graph).network.add(NeuronGroup(1, "z : 1", name="of_the_first"), early, snn.populations)
    snn.populations["dense"].run_regularly(
        "S_dyn += 0.1", dt=1 * ms
    )  # its clock belongs to the second network's device
    with pytest.raises(RuntimeError, match="dense_run_regularly' was made while another device was active"):
        snn.build()


@pytest.mark.parametrize("device", DEVICES)
def test_an_array_that_does_not_fit_is_named_with_its_variable(device):
    group = bs.convert(
        sequential(pytest.importorskip("keras").layers.Dense(2, name="dense"), shape=(1, 1, 3)), device=device
    )["dense"]
    with pytest.raises(
        ValueError, match=r"dense.S_dyn: an array of shape \(7,\) does not fit 2 elements.*one for each"
    ):
        group.S_dyn = np.ones(7)
    with pytest.raises(ValueError, match=r"dense.S_dyn: an array of shape \(3,\) does not fit 1 elements"):
        group.S_dyn[1:] = np.ones(3)


def test_monitors_outlive_their_network():
    subject = Subject("cpp_standalone")
    subject.run()
    monitor = subject.monitor
    del subject
    gc.collect()
    np.testing.assert_array_equal(monitor.x[0], [2, 6, 14])


def test_the_seed_before_convert_determines_what_is_drawn_at_the_start():
    model = sequential(pytest.importorskip("keras").layers.Dense(2), shape=(1, 1, 3))
    found = []
    for number in (1, 1, 2):
        seed(number)
        snn = bs.convert(model, device="cpp_standalone")
        neurons = NeuronGroup(5, "z : 1", clock=next(iter(snn.populations.values())).clock)
        neurons.z = "rand()"
        snn.network.add(neurons)
        snn.run(np.ones((1, 1, 1, 3)), duration=1 * ms)
        found.append(neurons.z[:].tolist())
    assert found[0] == found[1] != found[2]


def test_a_run_leaves_the_random_numbers_of_other_simulations(subject):
    def drawn(between):
        seed(3)
        neurons = NeuronGroup(3, "z : 1", name="drawing*")
        neurons.run_regularly("z = rand() + randn()", dt=0.1 * ms)
        monitor = StateMonitor(neurons, "z", record=True)
        network = Network(neurons, monitor)
        network.run(1 * ms)
        between()
        network.run(1 * ms)
        return np.array(monitor.z)

    np.testing.assert_array_equal(drawn(lambda: None), drawn(subject.run))


@pytest.mark.parametrize("device", DEVICES)
def test_neurons_of_users_keep_their_precision(device):
    snn = bs.convert(
        sequential(pytest.importorskip("keras").layers.Dense(2, name="out"), shape=(1, 1, 3)), device=device
    )
    neurons = NeuronGroup(1, "x : 1\ny : 1", namespace={"third": 1 / 3}, clock=snn["out"].clock)
    neurons.run_regularly("x += third; y += 0.1", clock=snn["out"].clock)
    snn.network.add(neurons)
    snn.run(np.ones((1, 1, 1, 3)), duration=1 * ms)
    assert snn["out"].variables["S_dyn"].dtype == np.float32
    assert (neurons.x[0], neurons.y[0]) == (1 / 3, 0.1)


@pytest.mark.parametrize("device", DEVICES)
def test_a_cell_that_is_run_twice(device):
    model = sequential(pytest.importorskip("keras").layers.Dense(2, name="out"), shape=(1, 1, 3))
    snn = bs.convert(model, device=device)

    def cell(rate=1.0):
        neurons = NeuronGroup(1, "x : 1", clock=snn["out"].clock)
        neurons.run_regularly("x += rate", clock=snn["out"].clock)
        snn.network.add(neurons)
        snn.run(np.ones((1, 1, 1, 3)), duration=3 * ms)
        return neurons.x[0]

    assert cell() == 3
    if device == "runtime":
        assert cell(2.0) == 6
    else:
        with pytest.raises(RuntimeError, match=r"already compiled, so 'neurongroup\w*' would never run"):
            cell()


@pytest.mark.parametrize("device", DEVICES)
def test_an_object_that_cannot_be_prepared_is_named_with_its_place(device):
    snn = bs.convert(
        sequential(pytest.importorskip("keras").layers.Dense(2, name="out"), shape=(1, 1, 3)), device=device
    )
    neurons = NeuronGroup(1, "x : 1", clock=snn["out"].clock, name=f"wrong_{device}")
    neurons.run_regularly("x += nowhere", clock=snn["out"].clock)
    snn.network.add(neurons)
    with pytest.raises(
        ValueError, match=r"(?s)cannot prepare 'wrong_\w+': .*'?\"?nowhere.*made here:.*test_changed_settings.py"
    ) as error:
        snn.run(np.ones((1, 1, 1, 3)), duration=3 * ms)
    assert "See above" not in str(error.value)


def test_what_a_removed_object_has_changed_goes_back():
    snn = bs.convert(sequential(pytest.importorskip("keras").layers.Dense(2, name="out"), shape=(1, 1, 3)))
    readout = snn["out"]
    source = SpikeGeneratorGroup(1, [0], [1] * ms, clock=readout.clock)
    synapses = Synapses(source, readout, on_pre="bias_post += 1", clock=readout.clock)
    synapses.connect()
    image = np.ones((1, 1, 1, 3))
    expected = snn.run(image, duration=5 * ms).output
    snn.network.add(source, synapses)
    assert not np.array_equal(snn.run(image, duration=5 * ms).output, expected)
    snn.network.remove(source, synapses)
    np.testing.assert_array_equal(snn.run(image, duration=5 * ms).output, expected)
