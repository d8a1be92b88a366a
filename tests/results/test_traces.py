"""Plots of traces show what the threshold compares, or say what is missing for it."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from brian2 import ms, mV
from hypothesis import given, settings
from hypothesis import strategies as st
from one_layer import FOLDED, LAYER, SHAPE, one_layer_graph

import brainsnn as bs
from brainsnn import analysis
from brainsnn.results.description import PopulationModel
from brainsnn.results.threshold import threshold_sides

M_F = 0.1


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def result():
    record = {FOLDED: ["spikes", "S", "S_hat", "theta"]}
    snn = bs.convert(one_layer_graph(), neuron=bs.ASN(m_f=M_F), device="cpp_standalone", dtype="float64", record=record)
    return snn.run(np.random.default_rng(0).random((2, *SHAPE)), duration=80 * ms)


def lines(ax):
    return {line.get_label(): line.get_ydata() for line in ax.lines}


@pytest.mark.parametrize("image, rank", [(0, 0), (1, 0), (0, -1), (1, -9), (0, -20)])
def test_a_spike_comes_where_the_drawn_sides_say(result, image, rank):
    """Between spikes the left side is not above the right one; before the reset of a spike it was. Silent and busy neurons."""
    neuron = np.argsort(result.raster(LAYER)[image].sum(axis=0).ravel())[rank]
    ax = result.plot_traces(FOLDED, neuron, image)
    assert list(lines(ax)) == ["S - S_hat", "theta/2"] and ax.get_ylabel() == "value after the reset (ANN units)"
    left, right = lines(ax).values()
    spikes = result.raster(LAYER)[image].reshape(80, -1)[:, neuron]
    assert (left[~spikes] <= right[~spikes]).all()
    theta = 2 * right / (1 + M_F)  # before the reset, which adds m_f*theta to it
    assert (left + theta > theta / 2)[spikes].all() and (spikes.sum() > 2) == (rank < 0)


def test_variables_that_are_named_are_drawn(result):
    ax = result.plot_traces(LAYER, (0, 1, 0), variables=["S", "theta"])
    assert (
        list(lines(ax)) == ["S", "theta"]
        and ax.get_title() == "asn_2, neuron (0, 1, 0); spikes when S - S_hat > theta/2"
    )
    ax = result.plot_traces(LAYER, 3, variables="S", threshold=True)
    assert list(lines(ax)) == ["S", "S - S_hat", "theta/2"] and "spikes when" not in ax.get_title()
    assert list(lines(result.plot_traces(LAYER, 3, threshold=False))) == ["S", "S_hat", "theta"]


def made(threshold, constants=(), **states):
    """Return a result of one neuron with these variables."""
    result = bs.Result({"lif": (1, 1, 1)}, 1e-3, 4)
    result.outputs["readout"] = np.zeros((1, 4, 2))
    result.states["lif"] = {name: np.reshape(values, (1, 4, 1)) for name, values in states.items()}
    result.recorded["lif"] = dict.fromkeys(states, np.array([0]))
    units = {"v": "volt", "v_th": "volt", "w": "1"}
    result.models["lif"] = PopulationModel("", threshold, dict(constants), units)
    return result


def test_what_is_missing_is_said():
    result = made("v > v_th + w*mV", v=np.arange(4.0))
    message = r"no recorded variable of 'lif' named 'v_th'.*record v_th, w as well.*\['spikes', 'v', 'v_th', 'w'\]"
    with pytest.raises(bs.UnknownNameError, match=message):
        result.plot_traces("lif", 0, threshold=True)
    ax = result.plot_traces("lif", 0)
    assert list(lines(ax)) == ["v (volt)"] and "spikes when v > v_th + w*mV" in ax.get_title()


@settings(max_examples=5, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=4, max_size=4), st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_sides_are_evaluated_with_constants_units_and_time(v, w):
    sides = threshold_sides(
        PopulationModel("", "exp(-v/E)*w >= clip(w, 0, 0.5) + t/(10*ms)", {"E": 2.0}, {"v": "volt", "w": "1"})
    )
    assert sides.sides == ("exp(-v/E)*w", "clip(w, 0, 0.5) + t/(10*ms)") and sides.variables == ("v", "w")
    states, times = {"v": np.array(v), "w": np.array(w)}, np.arange(4) * 1e-3
    left, right = (sides.values(side, states, times) for side in sides.sides)
    np.testing.assert_allclose(left, np.exp(-states["v"] / 2) * states["w"], rtol=1e-12)
    np.testing.assert_allclose(right, np.minimum(states["w"], 0.5) + np.arange(4) / 10, rtol=1e-12)


def test_units_of_sides():
    ax = made("v > 10*mV", v=[0, 5e-3, 9e-3, 1e-3])
    ax = analysis.plot_traces(ax, "lif", 0, units={"v": mV, "10*mV": mV})
    assert {name: values.tolist() for name, values in lines(ax).items()} == {
        "v (mV)": [0, 5, 9, 1],
        "10*mV (mV)": [10] * 4,
    }
    with pytest.raises(bs.UnknownNameError, match="plotted variable, for units"):
        analysis.plot_traces(made("v > 10*mV", v=[0] * 4), "lif", 0, units={"w": mV})


@pytest.mark.parametrize(
    "condition", ["v > v_th and w < 1", "rand() > w", "w", "open(w) > 1", "w > unknown", "not w > 1"]
)
def test_what_is_not_a_comparison_of_recorded_values_is_not_drawn(condition):
    result = made(condition, v=[0] * 4, v_th=[1] * 4, w=[0] * 4)
    assert len(lines(result.plot_traces("lif", 0))) == 3
    with pytest.raises(ValueError, match="'lif' has the threshold .*compares two expressions. Leave threshold out"):
        result.plot_traces("lif", 0, threshold=True)
    result.models = {}
    with pytest.raises(ValueError, match="'lif' has no threshold that this result knows"):
        result.plot_traces("lif", 0, threshold=True)
