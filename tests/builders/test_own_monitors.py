"""Monitors of the user's: the same record on every device, over images and runs; neurons by place and by index."""

import numpy as np
import pytest
from brian2 import PopulationRateMonitor, SpikeMonitor, StateMonitor, get_device, ms
from hypothesis import given, settings
from hypothesis import strategies as st
from one_layer import FOLDED, LAYER, SHAPE, one_layer_graph

import brainsnn as bs
from brainsnn.builders.devices.genn.backend import GennBackend

STEPS = 7
NEURONS = [(0, 1, 2), (2, 1, 0)]


class Monitored:
    """A network with monitors of the user's, run twice: with two images, and with three in a trial of another length."""

    def __init__(self, graph, images, device):
        self.snn = bs.convert(graph, device=device, dtype="float64", record={LAYER: ["spikes", "S", "theta"]})
        bs.convert(graph, device="cpp_standalone")  # its device is the active one now
        active = get_device()
        self.probe = bs.monitor(self.snn, FOLDED, ["S", "theta"], neurons=NEURONS)
        assert get_device() is active
        self.snn._backend.activate()
        group = self.snn[LAYER]
        self.others = [StateMonitor(group, "S", record=[3]), SpikeMonitor(group), PopulationRateMonitor(group)]
        self.snn.network.add(self.others)
        self.records = [self.run(images[:2], STEPS), self.run(images, STEPS + 2)]

    def run(self, images, n_steps):
        result = self.snn.run(images, duration=n_steps * ms)
        states, spikes, rate = self.others
        arrays = {
            "S": self.probe.S[:], "theta": self.probe.theta[:], "t": self.probe.t[:], "early": states.S[:], "i": spikes.i[:],
            "count": spikes.count[:], "rate": rate.rate[:], "images": bs.monitored_images(self.probe),
            "rate_images": bs.monitored_images(rate),
        }  # fmt: skip
        return {name: np.array(values) for name, values in arrays.items()} | {"result": result}


@pytest.fixture(scope="module")
def graph():
    return one_layer_graph()


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, *SHAPE))


@pytest.fixture(scope="module")
def monitored(graph, images):
    return {device: Monitored(graph, images, device) for device in ("runtime", "cpp_standalone")}


@pytest.mark.parametrize("run", [0, 1])
def test_devices_keep_the_same_record(monitored, run):
    one, other = (monitored[device].records[run] for device in ("runtime", "cpp_standalone"))
    for name in one.keys() - {"result"}:
        np.testing.assert_allclose(one[name], other[name], rtol=1e-12, err_msg=name)
    assert one["count"].sum() == len(one["i"]) == one["result"].spike_counts[LAYER].sum() > 20


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
@pytest.mark.parametrize("run", [0, 1])
def test_rows_are_those_of_the_result(monitored, device, run):
    record, snn = monitored[device].records[run], monitored[device].snn
    n, n_steps = record["result"].n_images, record["result"].n_steps
    np.testing.assert_array_equal(record["images"], np.repeat(np.arange(n), n_steps))
    np.testing.assert_array_equal(record["rate_images"], record["images"])
    np.testing.assert_allclose(record["t"], np.tile(np.arange(n_steps) * 1e-3, n))
    columns = [snn.index(LAYER, *place) for place in NEURONS]
    for variable in ("S", "theta"):
        expected = record["result"].states[LAYER][variable][..., columns]
        for image in range(n):
            np.testing.assert_array_equal(record[variable][:, record["images"] == image].T, expected[image])
    # Brian2's own default records one step earlier than results.
    of_result = record["result"].states[LAYER]["S"][:, :, 3]
    np.testing.assert_array_equal(record["early"][0].reshape(n, n_steps)[:, 1:], of_result[:, :-1])
    assert not np.array_equal(record["early"][0], of_result.ravel())


def test_what_a_monitor_refuses(monitored, graph):
    snn = bs.convert(graph)
    for arguments, error, message in (
        (("conv_22", "S"), bs.UnknownNameError, "Did you mean 'conv_2'"),
        ((FOLDED, ["S", "thet"]), bs.UnknownNameError, "Did you mean 'theta'"),
        ((FOLDED, "spikes"), bs.UnknownNameError, "SpikeMonitor records spikes"),
        ((FOLDED, "S", [(0, 0, 99)]), IndexError, "'asn_2', neurons: neurons must lie in"),
        ((FOLDED, "S", [4, 4]), ValueError, "neuron 4 is given twice"),
        ((FOLDED, 5), ValueError, "monitor: 'asn_2': variables must be names, such as .*, got 5"),
        ((FOLDED, None), ValueError, "variables must be names, such as .*, got None"),
        ((FOLDED, [["S"]]), ValueError, r"variables must be names, such as .*, got \[\['S'\]\]"),
        ((FOLDED, []), ValueError, r"monitor: 'asn_2': there are no variables to record. Name some, such as \['S'\]"),
    ):
        with pytest.raises(error, match=message):
            bs.monitor(snn, *arguments)
        assert not snn.network.added
    with pytest.raises(ValueError, match="monitor: snn must be what convert returns, got None"):
        bs.monitor(None, FOLDED, "S")
    with pytest.raises(ValueError, match="monitored_images: give a monitor, such as .*, got 5"):
        bs.monitored_images(5)
    with pytest.raises(ValueError, match="records events"):
        bs.monitored_images(monitored["runtime"].others[1])
    assert len(bs.monitored_images(bs.monitor(snn, FOLDED, "S"))) == 0  # before the first run


def test_devices_refuse_a_monitor_that_comes_too_late_or_never(monitored):
    snn = monitored["cpp_standalone"].snn
    with pytest.raises(RuntimeError, match="already compiled.*before its first run"):
        bs.monitor(snn, LAYER, "S")
    snn = monitored["runtime"].snn
    late = bs.monitor(snn, LAYER, "gain", neurons=0)  # at any time
    snn.run(np.zeros((2, *SHAPE)), duration=3 * ms)
    np.testing.assert_array_equal(late.gain[:], np.ones((1, 6)))
    genn = GennBackend.__new__(GennBackend)
    with pytest.raises(ValueError, match="device='genn' runs only what convert makes.*record="):
        genn.check_added()


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_index_and_position_are_inverse(monitored, data):
    snn = monitored["runtime"].snn
    layer = data.draw(st.sampled_from([LAYER, FOLDED, "dense"]))
    height, width, channels = snn.graph.population(layer).shape
    row, column, channel = (data.draw(st.integers(0, n - 1)) for n in (height, width, channels))
    index = snn.index(layer, row, column, channel)
    assert index == (row * width + column) * channels + channel
    assert snn.position(layer, index) == (row, column, channel)
    assert snn[layer] is snn.populations[layer] and index < len(snn[layer])


@pytest.mark.parametrize("place", [(-1, 0, 0), (0, 99, 0), (0, 0, 1.5), (0, 0, "a"), (None, 0, 0)])
def test_a_place_outside_of_the_layer_is_refused(monitored, place):
    snn = monitored["runtime"].snn
    axis = next(k for k in range(3) if place[k] != 0)
    with pytest.raises(IndexError, match=f"'conv_2' has the shape .*{('row', 'column', 'channel')[axis]}="):
        snn.index(FOLDED, *place)
    for index in (-1, len(snn[LAYER]), 0.5):
        with pytest.raises(IndexError, match="'conv_2' has the shape .*index="):
            snn.position(FOLDED, index)


def test_a_network_takes_all_names_everywhere(monitored):
    snn = monitored["runtime"].snn
    for values in (snn.models, snn.parameters, snn.recorded):
        assert values[FOLDED] is values[LAYER]
        with pytest.raises(bs.UnknownNameError, match="Did you mean 'conv_2'"):
            values["conf_2"]
    with pytest.raises(bs.UnknownNameError, match="Did you mean 'conv_2'"):
        snn["conf_2"]
    with pytest.raises(bs.UnknownNameError, match="Did you mean 'S'"):
        snn.recorded[FOLDED]["SS"]
