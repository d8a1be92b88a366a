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
