"""Neurons that spike in every step are noticed: exactly where spikes are recorded, and never where counts do not show it."""

import warnings

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st
from one_layer import FOLDED, LAYER, SHAPE, one_layer_graph

import brainsnn as bs
from brainsnn.equations.transfer import spike_height, transfer_coefficients, transfer_function
from brainsnn.results.saturation import least_share, saturated_share

STEPS = 100


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10**6),
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(2, 60),
    st.sampled_from([0.5, 0.9, 0.97, 1]),
)
def test_shares_are_those_of_a_dense_raster(seed, n, n_neurons, n_steps, rate):
    rates = np.random.default_rng(seed).choice([0.3, rate], (n, 1, n_neurons))
    raster = np.random.default_rng(seed).random((n, n_steps, n_neurons)) < rates
    late = raster[:, n_steps // 2 :]
    expected = (late.sum(axis=1) >= 0.9 * late.shape[1]).mean()
    trains = [np.nonzero(one)[::-1] for one in raster]
    assert saturated_share(trains, n_steps, n_neurons) == pytest.approx(expected)
    least = least_share(raster.sum(axis=(1, 2)), n_steps, n_neurons)
    assert 0 <= least <= expected + 1e-12
    assert least_share(np.full(n, n_steps * n_neurons), n_steps, n_neurons) == 1


class Networks:
    """The same network with and without recorded spikes, for inputs that its neurons can or cannot express."""

    def __init__(self):
        graph = one_layer_graph()
        self.recording = bs.convert(graph, device="cpp_standalone", record={LAYER: ["spikes"]})
        self.counting = bs.convert(graph, device="cpp_standalone")
        self.image = np.full((2, *SHAPE), 1.0)

    def run(self, snn, m_f, bias, n_steps=STEPS):
        """Return the result, and the warnings of saturation."""
        snn.set_parameters(LAYER, m_f=m_f, bias=bias)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", bs.SaturationWarning)
            result = snn.run(self.image, duration=n_steps * ms)
        return result, [entry for entry in caught if entry.category is bs.SaturationWarning]


@pytest.fixture(scope="module")
def networks():
    return Networks()


def test_a_warning_names_layer_share_and_fix(networks):
    bias = np.zeros((4, 5, 3))
    bias[..., 0], bias[..., 1] = 3.0, -9.0  # far above the largest activation at m_f=0.02; silent
    result, (warning,) = networks.run(networks.recording, 0.02, bias)
    late = result.raster(LAYER)[:, STEPS // 2 :]
    share = (late.mean(axis=1) >= 0.9).mean()
    assert 1 / 3 <= share < 1
    message = str(warning.message)
    assert message.startswith(f"run: {share:.1%} of the neurons of 'asn_2' spike in nearly every step")
    assert "scale the activations of the layer down, or use a shorter dt, or raise m_f" in message
    assert warning.filename == __file__
    # Where spikes are only counted, silent neurons hide saturated ones.
    assert networks.run(networks.counting, 0.02, bias)[1] == []


def test_counts_that_imply_saturation(networks):
    _, (warning,) = networks.run(networks.counting, 0.02, 9.0)
    assert "at least 100.0% of the neurons of 'asn_2'" in str(warning.message)


@pytest.mark.parametrize("m_f, bias, n_steps", [(0.1, 0.5, STEPS), (0.02, 9.0, 30)], ids=["expressed", "short trial"])
def test_no_warning(networks, m_f, bias, n_steps):
    assert networks.run(networks.recording, m_f, bias, n_steps)[1] == []
    assert networks.run(networks.counting, m_f, bias, n_steps)[1] == []


def test_a_streamed_run_warns_too(networks, tmp_path):
    pytest.importorskip("zarr", reason="streaming needs zarr")
    networks.recording.set_parameters(LAYER, m_f=0.02, bias=9.0)
    with pytest.warns(bs.SaturationWarning, match="100.0% of the neurons"):
        networks.recording.run(networks.image, duration=STEPS * ms, stream_to=tmp_path / "run")


def test_compare_activations_has_the_share_in_its_table(networks):
    bias = np.zeros((4, 5, 3))
    bias[..., 0], bias[..., 1], bias[..., 2] = 9.0, -9.0, 0.3
    networks.recording.set_parameters(LAYER, m_f=0.02, bias=bias)
    with warnings.catch_warnings():
        warnings.simplefilter("error", bs.SaturationWarning)  # the table says it
        comparison = bs.compare_activations(
            networks.recording.graph, networks.recording, 0 * networks.image, 200 * ms, 100 * ms
        )
    row = comparison.table.set_index("layer").loc[LAYER]
    assert row["saturated"] == pytest.approx(1 / 3)
    np.testing.assert_array_equal(comparison.snn[FOLDED], comparison.snn[LAYER])
    # What they express is h/(1 - exp(-dt/tau_beta)), the range that docs/recording.md gives, for any larger input.
    bound = spike_height(0.02) / (1 - np.exp(-1 / 50))
    np.testing.assert_allclose(comparison.snn[LAYER][..., 0], bound * (1 - np.exp(-150 / 50)), rtol=0.06)


def test_the_documented_range(request):
    """The table of docs/recording.md: what the transfer function reaches, and what a spike in each step expresses."""
    text = (request.config.rootpath / "docs" / "recording.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split("|") for line in text.splitlines() if line.startswith("| 0.")]
    assert len(rows) >= 4
    for m_f, h, bound, reached, largest in ([float(cell) for cell in row] for row in rows):
        c1, _, c3, _ = transfer_coefficients(m_f)
        assert spike_height(m_f) == pytest.approx(h, abs=1e-4)
        assert bound == pytest.approx(spike_height(m_f) / (1 - np.exp(-1 / 50)), abs=0.006)
        assert reached == pytest.approx(float(transfer_function(1e12, m_f)), abs=0.006)
        assert reached == pytest.approx(spike_height(m_f) * (1 / np.expm1(c1 / c3) + 0.5 - _occupancy(m_f)), abs=0.006)
        assert largest == min(bound, reached)


def _occupancy(m_f):
    c1, c2, c3, c4 = transfer_coefficients(m_f)
    return 1 / np.expm1((c1 * m_f / 2 + c2) / (c3 * m_f / 2 + c4))
