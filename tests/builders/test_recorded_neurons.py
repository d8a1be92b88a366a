"""Which neurons are recorded: masks and indices mean what they say, and anything else is refused."""

from types import MappingProxyType

import numpy as np
import pytest
from brian2 import ms

import brainsnn as bs

LAYER = "conv1_asn"


@pytest.fixture(scope="module")
def graph():
    return bs.read_keras(bs.load_model("digits"))


def recorded(graph, neurons, variable="S"):
    return bs.convert(graph, record={LAYER: {variable: neurons}}).recorded[LAYER][variable]


@pytest.mark.parametrize("variable", ["S", "spikes"])
def test_a_mask_records_the_neurons_that_it_selects(graph, variable):
    shape = graph.populations[LAYER].shape
    mask = np.random.default_rng(0).random(shape) < 0.1
    np.testing.assert_array_equal(recorded(graph, mask, variable), np.flatnonzero(mask))
    np.testing.assert_array_equal(recorded(graph, mask.ravel().tolist(), variable), np.flatnonzero(mask))
    np.testing.assert_array_equal(recorded(graph, np.True_, variable), np.arange(mask.size))


def test_indices_and_tuples(graph):
    shape = graph.populations[LAYER].shape
    np.testing.assert_array_equal(recorded(graph, 3), [3])
    np.testing.assert_array_equal(recorded(graph, [5, 2]), [5, 2])
    np.testing.assert_array_equal(recorded(graph, [(1, 2, 0)]), [np.ravel_multi_index((1, 2, 0), shape)])


def test_masked_states_are_those_of_a_complete_recording(graph):
    mask = np.zeros(graph.populations[LAYER].shape, dtype=bool)
    mask[1:3, 4, 0] = True
    networks = [bs.convert(graph, record={LAYER: {"S": neurons}}) for neurons in (mask, True)]
    images = np.random.default_rng(0).random((1, *graph.input.shape))
    some, every = (network.run(images, duration=5 * ms).states[LAYER]["S"] for network in networks)
    np.testing.assert_array_equal(some, every[..., mask.ravel()])


@pytest.mark.parametrize(
    ("neurons", "error", "message"),
    [
        ([1.7], ValueError, "whole numbers or a boolean mask"),
        (["a"], ValueError, "whole numbers or a boolean mask"),
        (1 * ms, ValueError, "whole numbers or a boolean mask"),
        (False, ValueError, "mask of shape"),
        (np.ones(7, dtype=bool), ValueError, r"mask of shape \(7,\); give one of shape"),
        (np.ma.masked_array([1, 2], [True, False]), ValueError, "masked array"),
        ([3, 1, 3], ValueError, "neuron 3 is given twice"),
        ([(0, 0, 0), (0, 0, 0)], ValueError, "neuron 0 is given twice"),
        ([(0, 1)], ValueError, r"\(row, column, channel\)"),
        ([[[0]]], ValueError, r"\(row, column, channel\)"),
        ([-1], IndexError, "neurons must lie in"),
        ([], IndexError, "neurons must lie in"),
        ([(0, 99, 0)], IndexError, "neurons must lie in"),
    ],
)
def test_anything_else_is_refused(graph, neurons, error, message):
    with pytest.raises(error, match=message):
        recorded(graph, neurons)


@pytest.mark.parametrize("wanted", [[["S"]], [5], [None], {("S",): True}, ({1, 2},)], ids=repr)
def test_variables_that_are_no_names_are_refused(graph, wanted):
    with pytest.raises(ValueError, match=f"convert: record: '{LAYER}': variables must be names, such as"):
        bs.convert(graph, record={LAYER: wanted})


def test_neurons_of_any_mapping_are_recorded(graph):
    snn = bs.convert(graph, record={LAYER: MappingProxyType({"S": [3, 5]})})
    assert snn.recorded[LAYER]["S"].tolist() == [3, 5]


def test_an_empty_mask_and_a_mask_of_another_order_are_refused(graph):
    shape = graph.populations[LAYER].shape
    with pytest.raises(IndexError, match="neurons must lie in"):
        recorded(graph, np.zeros(shape, dtype=bool))
    with pytest.raises(ValueError, match="mask of shape"):
        recorded(graph, np.ones(shape[::-1], dtype=bool))
