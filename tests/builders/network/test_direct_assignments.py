"""Direct assignments that a run cannot honour are not silent."""

import warnings

import numpy as np
import pytest
from brian2 import ms
from one_layer import LAYER, SHAPE, one_layer_graph

import brainsnn as bs

IMAGES = np.full((1, *SHAPE), 0.5)


@pytest.fixture(scope="module", params=["runtime", "cpp_standalone"])
def snn(request):
    return bs.convert(one_layer_graph(), device=request.param)


def run(snn):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message="run: ")
        return snn.run(IMAGES, 5 * ms)


def test_what_the_run_sets(snn):
    run(snn)
    snn[LAYER].t_on = 3 * ms
    with pytest.warns(UserWarning, match=f"{LAYER}.t_on was assigned to, and run sets it again") as caught:
        snn.run(IMAGES, 5 * ms)
    assert caught[0].filename == __file__
    run(snn)


def test_nan(snn):
    expected = run(snn).output
    snn[LAYER].gain[2] = np.nan
    for _ in range(2):
        with pytest.raises(ValueError, match=f"{LAYER}.gain was set to NaN"):
            run(snn)
    snn[LAYER].gain = 1
    np.testing.assert_array_equal(run(snn).output, expected)


def test_a_parameter_from_which_another_follows(snn):
    expected, height = run(snn).output, np.array(snn[LAYER].h)
    snn[LAYER].m_f = 0.3
    with pytest.warns(
        UserWarning, match=f"{LAYER}.m_f was assigned to, and 'h', which follows from it, keeps its value"
    ):
        snn.run(IMAGES, 5 * ms)
    run(snn)  # which was said once
    snn[LAYER].m_f, snn[LAYER].h = 0.1, height
    np.testing.assert_array_equal(run(snn).output, expected)


def test_a_shared_kernel(snn):
    with pytest.raises(AttributeError, match="a kernel that many connections share"):
        snn.projections[0].w = 0


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [("gain", np.inf, "gain: the values hold NaN or infinity"), ("m_f", -1, "m_f: must be greater than 0, since 'h'")],
)
def test_what_set_parameters_refuses_as_well(snn, variable, value, message):
    expected, before = run(snn).output, np.array(getattr(snn[LAYER], variable))
    setattr(snn[LAYER], variable, value)
    with pytest.raises(ValueError, match=f"run: {LAYER}.{message}"):
        snn.run(IMAGES, 5 * ms)
    setattr(snn[LAYER], variable, before)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # h keeps its value
        np.testing.assert_array_equal(snn.run(IMAGES, 5 * ms).output, expected)


def test_time_constants():
    snn = bs.convert(one_layer_graph())
    snn.set_parameters(LAYER, tau_phi=3 * ms)  # a parameter from now on
    snn[LAYER].tau_phi = 0 * ms
    with pytest.raises(ValueError, match=f"run: {LAYER}.tau_phi"):
        run(snn)


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
@pytest.mark.parametrize("value", [np.nan, "sqrt(gain - 2)"])
def test_before_the_first_run(device, value):
    snn = bs.convert(one_layer_graph(), device=device)
    snn[LAYER].gain = value
    with pytest.raises(ValueError, match=f"{LAYER}.gain was set to NaN"):
        run(snn)


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_expressions_without_a_result(device):
    snn = bs.convert(one_layer_graph(), device=device)
    for item in (slice(None), 0, "gain > 0"):
        with pytest.raises(ValueError, match="gain: 'gain/0' divides by 0"):
            snn[LAYER].gain[item] = "gain/0"
