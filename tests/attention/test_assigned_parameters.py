"""A parameter that is assigned to under per-image cues keeps the assigned value."""

import numpy as np
import pytest
from brian2 import ms

import brainsnn as bs

CUES = np.array([[0.2, 0.2], [0.8, 0.8]])
ASSIGNED, OTHER = "conv1_asn", "conv2_asn"


@pytest.fixture(scope="module")
def graph():
    return bs.read_keras(bs.load_model("digits"))


@pytest.fixture(params=["cpp_standalone", "runtime"])
def snn(graph, request):
    return bs.convert(graph, device=request.param, record={ASSIGNED: ["gain"], OTHER: ["gain"]})


def gains(snn, layer):
    """Gain of each neuron in each image of a run."""
    images = np.full((2, *snn.graph.input.shape), 0.5)
    return snn.run(images, duration=2 * ms).states[layer]["gain"][:, 0]


@pytest.mark.parametrize("runs_before", [0, 2])
def test_assignment(snn, runs_before):
    snn.attend(bs.SpatialAttention(CUES, input_gain=0.5))
    for _ in range(runs_before):
        attended = gains(snn, ASSIGNED)
        assert (attended[0] != attended[1]).any()
    snn.populations[ASSIGNED].gain = 3
    for _ in range(2):
        np.testing.assert_array_equal(gains(snn, ASSIGNED), 3)
        other = gains(snn, OTHER)
        assert (other[0] != other[1]).any()
    snn.attend(None)
    np.testing.assert_array_equal(gains(snn, ASSIGNED), 3)
    np.testing.assert_array_equal(gains(snn, OTHER), 1)


def test_attention_goes_without_assignment(snn):
    snn.attend(bs.SpatialAttention(CUES, input_gain=0.5))
    gains(snn, ASSIGNED)
    snn.attend(None)
    np.testing.assert_array_equal(gains(snn, ASSIGNED), 1)


def test_restore_brings_back_the_cue(graph):
    snn = bs.convert(graph, device="runtime", record={ASSIGNED: ["gain"], OTHER: ["gain"]})
    attended = bs.SpatialAttention(CUES, input_gain=0.5)
    plain = gains(snn, ASSIGNED)
    snn.network.store()
    snn.attend(attended)
    expected = gains(snn, ASSIGNED)
    snn.network.store("attended")
    snn.network.restore()
    np.testing.assert_array_equal(gains(snn, ASSIGNED), plain)
    snn.network.restore("attended")
    np.testing.assert_array_equal(gains(snn, ASSIGNED), expected)
    snn.attend(None)
    np.testing.assert_array_equal(gains(snn, ASSIGNED), plain)
