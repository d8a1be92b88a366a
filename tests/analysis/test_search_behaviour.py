"""Scores, chance, detection times and modulation against scikit-learn, scipy and brute force."""

from itertools import permutations

import numpy as np
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score, roc_auc_score, top_k_accuracy_score

import brainsnn.analysis as am

RANDOM = np.random.default_rng(7)


def scores_of(n=60, classes=4, gain=0.4):
    targets = np.arange(n) % classes
    return RANDOM.random((n, classes)) + gain * np.eye(classes)[targets] - gain / 2, targets


def test_decision_is_the_mean_of_the_window():
    output = RANDOM.random((2, 10, 3))
    np.testing.assert_allclose(am.window_mean(output, 4, 8), output[:, 4:8].mean(axis=1))
    np.testing.assert_allclose(am.window_mean(output, 2.0, dt=5e-4), output[:, 4:].mean(axis=1))


def test_f1_is_weighted_with_supports():
    scores, targets = scores_of()
    one_hot = np.eye(4)[targets]
    each = [f1_score(one_hot[:, c], scores[:, c] >= 0.5) for c in range(4)]
    assert am.weighted_f1(scores, targets) == pytest.approx(np.average(each, weights=one_hot.sum(axis=0)))


def test_auc_and_rates_are_one_against_the_rest():
    scores, targets = scores_of()
    one_hot = np.eye(4)[targets]
    assert am.target_auc(scores, targets) == pytest.approx(roc_auc_score(one_hot, scores, average="macro"))
    found = am.detection_scores(scores, targets)
    assert found["hit_rate"] == pytest.approx((scores[one_hot == 1] >= 0.5).mean())
    assert found["false_alarm_rate"] == pytest.approx((scores[one_hot == 0] >= 0.5).mean())


MEASURES = {
    "top_1": lambda s, t: top_k_accuracy_score(t, s, k=1),
    "top_2": lambda s, t: top_k_accuracy_score(t, s, k=2),
    "top_3": lambda s, t: top_k_accuracy_score(t, s, k=3),
    "f1": lambda s, t: f1_score(np.eye(4)[t], s >= 0.5, average="weighted", zero_division=0),
    "auc": lambda s, t: roc_auc_score(np.eye(4)[t], s, average="macro"),
}


@pytest.mark.parametrize("measure", MEASURES)
def test_chance_is_that_of_permuted_columns(measure):
    scores, targets = scores_of()
    every = [MEASURES[measure](scores[:, list(order)], targets) for order in permutations(range(4))]
    for percentile in (0, 100):
        found = am.chance_level(scores, targets, measure, percentile, n_permutations=2000)
        assert found == pytest.approx(np.percentile(every, percentile), abs=1e-6)
    median = am.chance_level(scores, targets, measure, 50, n_permutations=2000)
    assert np.percentile(every, 30) - 1e-6 <= median <= np.percentile(every, 70) + 1e-6


def test_chance_with_a_class_without_targets():
    scores, targets = scores_of()
    wide = np.c_[scores, RANDOM.random(60)]
    assert 0 < am.chance_level(wide, targets, "auc", n_permutations=200) < 1


def test_detection_without_misses_is_the_plain_share():
    times = np.array([30.0, 10.0, 20.0, 10.0])
    at, share, low, high = am.detected_share(times, 50)
    np.testing.assert_array_equal(at, [0, 10, 20, 30])
    np.testing.assert_allclose(share, [(times <= t).mean() for t in at])
    assert (low <= share).all() and (share <= high).all()


def kaplan_meier(times, ends):
    """The product over times of detection, by hand."""
    at, left = np.unique(times[np.isfinite(times)]), 1.0
    shares = []
    for t in at:
        at_risk = (np.where(np.isnan(times), ends, times) >= t).sum()
        left *= 1 - (times == t).sum() / at_risk
        shares.append(1 - left)
    return at, shares


@settings(max_examples=50, deadline=None)
@given(st.lists(st.one_of(st.just(np.nan), st.integers(1, 20).map(float)), min_size=1, max_size=25))
def test_misses_are_censored(times):
    times = np.array(times)
    ends = np.where(np.isnan(times), RANDOM.integers(5, 25, len(times)), 30.0)
    at, share, low, high = am.detected_share(times, ends)
    expected = kaplan_meier(times, ends)
    np.testing.assert_array_equal(at[1:], expected[0])
    np.testing.assert_allclose(share[1:], expected[1])


def test_medians_of_all_targets_and_of_those_detected():
    times = [10.0, 20.0, 30.0, np.nan, np.nan]
    assert am.median_detection_time(times, 50) == 30
    assert np.nanmedian(times) == 20
    assert np.isnan(am.median_detection_time([10.0, np.nan, np.nan], 50))


def test_modulation_and_its_published_interval():
    n, n_steps, classes = 30, 6, 5
    targets = np.arange(n) % classes
    neutral, attended = RANDOM.random((2, n, n_steps, classes))
    found = am.attention_modulation(attended, neutral, targets, 200)
    change = attended - neutral
    np.testing.assert_allclose(
        found.target, [np.mean([change[k, t, targets[k]] for k in range(n)]) for t in range(n_steps)]
    )
    others = [change[k, :, c] for k in range(n) for c in range(classes) if c != targets[k]]
    np.testing.assert_allclose(found.others, np.mean(others, axis=0))
    for draws, interval in ((found.target, found.target_interval), (found.others, found.others_interval)):
        assert (interval[0] <= draws).all() and (draws <= interval[1]).all()
    published = am.attention_modulation(attended, neutral, targets, 200, published=True)
    np.testing.assert_array_equal(published.target_interval, found.target_interval)
    items = [am.resampled_items(n, k, targets) for k in range(200)]
    expected = np.percentile([np.mean(np.array(others)[:n][i], axis=0) for i in items], [2.5, 97.5], axis=0)
    np.testing.assert_allclose(published.others_interval, expected)


def test_the_interval_of_modulation_is_stratified():
    """What differs between classes only does not widen it."""
    targets = np.repeat([0, 1], 20)
    attended = np.zeros((40, 2, 2)) + targets[:, None, None]
    found = am.attention_modulation(attended, np.zeros((40, 2, 2)), targets, 50)
    assert np.ptp(found.target_interval, axis=0).max() < 1e-12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: am.window_mean(np.zeros((1, 5, 2)), 9), "must delimit a part of the trial"),
        (lambda: am.window_mean(np.zeros((1, 5, 2)), 0, dt=1 * ms), "dt=.* must be a positive number of seconds"),
        (lambda: am.window_mean(np.zeros((1, 5, 2)), 2 * ms), "start=2. ms must be a number in ms, without a unit"),
        (lambda: am.window_mean(np.zeros((5, 2)), 0), r"output of shape \(5, 2\) must be"),
        (lambda: am.weighted_f1([[np.nan, 1]], [0]), "contain NaN"),
        (lambda: am.chance_level([[1, 0]], [0], "accuracy"), "choose one of 'top_1'"),
        (lambda: am.chance_level([[1, 0]], [0], "auc"), "needs a class with images"),
        (lambda: am.detected_share([], 5), "one target or more"),
        (lambda: am.detected_share([9.0], 5), "a time lies after end=5"),
        (lambda: am.detected_share([10, 20], end=50, start=15), "a time lies before start=15"),
        (lambda: am.detected_share([-1.0, 20], end=50), "a time lies before start=0.0"),
        (lambda: am.detected_share([5, -np.inf], 50), "a time lies before start=0.0"),
        (lambda: am.detected_share([5, 9], 50, start=np.nan), "start=nan, or the start is not a finite"),
        (lambda: am.detected_share([5, 9], [50] * 3), r"end of shape \(3,\) for 2 times"),
        (lambda: am.median_detection_time([10, 20], end=50 * ms), "end: got values with the unit ms"),
        (lambda: am.attention_modulation(np.zeros((2, 3)), np.zeros((2, 3)), [0, 1]), "two outputs of shape"),
        (lambda: am.attention_modulation(np.zeros((2, 3, 2)), np.zeros((2, 3, 2)), [0, 5]), "targets must be classes"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
