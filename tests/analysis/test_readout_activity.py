"""Multi-unit activity, rates, potentials and latencies against loops over neurons and steps."""

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st

import brainsnn.analysis as am
from brainsnn.results.result import Result

SHAPE, N_STEPS = (3, 4, 5), 40
RANDOM = np.random.default_rng(3)


@pytest.fixture
def result():
    """Random spikes and potentials of a layer, and the potentials summed over channels."""
    made = Result({"layer": SHAPE, "sum": (3, 4, 1)}, 1e-3, N_STEPS)
    dense = RANDOM.random((2, N_STEPS, *SHAPE)) < 0.2
    made.spikes["layer"] = [tuple(np.nonzero(image.reshape(N_STEPS, -1))[::-1]) for image in dense]
    potentials = RANDOM.normal(size=(2, N_STEPS, *SHAPE))
    made.states["layer"] = {"S": potentials.reshape(2, N_STEPS, -1)}
    made.states["sum"] = {"S": potentials.sum(axis=-1).reshape(2, N_STEPS, -1)}
    made.dense, made.potentials = dense, potentials
    return made


def test_activity_of_a_column_and_of_a_layer(result):
    places = [(1, 3), (2, 0)]
    activity = am.multi_unit_activity(result, "layer", places)
    expected = [result.dense[k, :, r, c].sum(axis=1) for k, (r, c) in enumerate(places)]
    np.testing.assert_array_equal(activity, expected)
    np.testing.assert_array_equal(am.multi_unit_activity(result, "layer"), result.dense.sum(axis=(2, 3, 4)))


def test_rates_and_their_published_factor(result):
    activity = am.multi_unit_activity(result, "layer", [(1, 3), (2, 0)])
    rate = am.column_rate(activity, 5, 10, 30)
    np.testing.assert_allclose(rate, activity[:, 10:30].sum(axis=1) / 5 / 0.020)
    np.testing.assert_allclose(am.column_rate(activity, 5, 10, 30, published=True), rate * 1000 / 900)
    # The published code: sum of t = 250 ... 749 over 256 neurons, times 1000/450.
    long = RANDOM.integers(0, 9, (3, 750))
    published = long[:, 250:750].sum(axis=1) / 256 * (1000 / 450)
    np.testing.assert_allclose(am.column_rate(long, 256, 250, published=True), published)


def test_potentials_of_a_column(result):
    places = [(1, 3), (2, 0)]
    expected = [result.potentials[k, :, r, c].sum(axis=1) for k, (r, c) in enumerate(places)]
    np.testing.assert_allclose(am.column_potential(result, "layer", places), expected)
    np.testing.assert_allclose(am.column_potential(result, "sum", places), expected)


@given(st.floats(0, 1), st.floats(0, 1), st.integers(1, 30))
def test_places_hold_their_cues(row, column, n):
    (r, c) = am.column_places((n, n, 2), [(row, column)])[0]
    assert 0 <= r < n and 0 <= c < n
    assert r <= row * n < r + 1 or (row == 1 and r == n - 1)


def reflected(response, taps):
    """Convolution with mirrored edges, written out: tap j of an even kernel reads step t + len/2 - 1 - j, or one beside it."""
    n, half = len(response), len(taps) // 2
    mirrored = np.r_[response[::-1], response, response[::-1]]
    return [
        np.array([mirrored[n + t + shift - np.arange(len(taps))] @ taps for t in range(n)])
        for shift in (half - 1, half)
    ]


def test_smoothing_is_a_gaussian_with_mirrored_edges():
    activity = RANDOM.random((1, 200))
    taps = np.exp(-((np.arange(80) - 39.5) ** 2) / (2 * 8**2))
    one_of = [each - each[50:100].mean() for each in reflected(activity[0], taps / taps.sum())]
    found = am.smoothed_response(activity)[0]
    assert min(np.abs(found - each).max() for each in one_of) < 1e-12  # half a step off, to one of the sides
    assert found[50:100].mean() == pytest.approx(0, abs=1e-12)


def test_a_baseline_of_whole_floats():
    activity = RANDOM.random(200)
    np.testing.assert_array_equal(
        am.smoothed_response(activity, baseline=(50.0, 100.0)), am.smoothed_response(activity)
    )


def brute_latency(response, criterion, onset):
    """The definition, step by step."""
    for peak in range(onset, len(response) - 1):
        if response[peak - 1] < response[peak] > response[peak + 1] and response[peak] >= criterion.peak:
            middle = criterion.rest + (response[peak] - criterion.rest) / 2
            for t in range(peak - 1, onset, -1):
                if response[t] >= middle > response[t - 1]:
                    return t - onset
            return np.nan
    return np.nan


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**6), st.floats(-1, 3), st.floats(-1, 1))
def test_latency_equals_the_definition(seed, peak, rest):
    response = np.random.default_rng(seed).normal(size=60).cumsum() / 3
    criterion = am.LatencyCriterion(peak, rest)
    np.testing.assert_array_equal(
        am.midpoint_latency(response, criterion, 20), [brute_latency(response, criterion, 20)]
    )


def test_latency_of_a_known_response():
    """A smooth step at 130 has its half height there, up to the half sample by which the published Gaussian is off."""
    activity = np.zeros((1, 300))
    activity[0, 130:180] = 20
    responses = am.smoothed_response(activity)
    assert am.midpoint_latency(responses, am.LatencyCriterion(1, 0))[0] == pytest.approx(30, abs=1)
    assert np.isnan(am.midpoint_latency(responses, am.LatencyCriterion(30, 0))[0])


def test_criterion_of_average_images():
    responses = RANDOM.normal(size=(16, 750))
    criterion = am.latency_criterion(responses)
    assert criterion.peak == np.percentile(responses[:, 100:], 99.99) and criterion.rest == responses[:, 100:].mean()


def some(result):
    result.states["layer"]["S"] = result.states["layer"]["S"][..., :7]
    return am.column_potential(result, "layer", [(0, 0), (0, 0)])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda r: am.multi_unit_activity(r, "layer", [(0, 0)]), r"places must be \(2, 2\)"),
        (lambda r: am.multi_unit_activity(r, "layer", [(0, 0), (3, 0)]), r"places must be \(2, 2\)"),
        (lambda r: am.multi_unit_activity(r, "layer", [(0.5, 0.25)] * 2), r"give column_places\(\(3, 4, 5\), cues\)"),
        (lambda r: am.multi_unit_activity(r, "layer", [(True, False)] * 2), r"places must be \(2, 2\)"),
        (lambda r: am.column_potential(r, "layer", [(0.5, 0.25)] * 2), r"give column_places\(\(3, 4, 5\), cues\)"),
        (some, "was recorded of 7 of 60 neurons"),
        (lambda r: am.column_places(SHAPE, [(1.2, 0)]), "pairs from 0 to 1"),
        (lambda r: am.column_rate([[1, 2]], 0, 0), "n_neurons=0"),
        (lambda r: am.column_rate([[1, 2]], 1, 5), "must delimit a part of the trial"),
        (lambda r: am.column_rate([1, 2, 3], 10, 0), r"activity of shape \(3,\) must be"),
        (
            lambda r: am.column_rate([[1, 2]], 1, 0, dt=1 * ms),
            "dt=.* must be a positive number of seconds, without a unit",
        ),
        (lambda r: am.column_rate([[1, 2]], 1, "0"), "start='0' must be a number in ms"),
        (lambda r: am.smoothed_response([1, 2, 3]), "baseline="),
        (lambda r: am.smoothed_response(np.zeros(200), baseline=(50.5, 100)), "must be two whole numbers"),
        (lambda r: am.smoothed_response(np.zeros(200), baseline=100), "baseline=100 must be two whole numbers"),
        (lambda r: am.smoothed_response(np.zeros(200), baseline=(0 * ms, 9 * ms)), "must be two whole numbers"),
        (lambda r: am.smoothed_response(np.zeros(200), sd=0), "sd=0"),
        (lambda r: am.latency_criterion(np.zeros((2, 50))), "no step follows onset=100"),
        (lambda r: am.midpoint_latency(np.zeros(200), 3), "criterion=3 is none"),
        (lambda r: am.LatencyCriterion(np.nan, 0), "peak=nan"),
    ],
)
def test_refused(result, call, message):
    with pytest.raises(ValueError, match=message):
        call(result)
