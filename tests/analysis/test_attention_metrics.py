"""Tests of the analyses of attention on cases that can be computed by hand."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import roc_auc_score

import brainsnn.analysis as am
from brainsnn.results.result import Result

# Two classes of scenes, three outputs. Scene 3 has class 0 as a distractor.
TARGETS = np.array([0, 0, 1, 1])
LABELS = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
SCORES = np.array([[0.9, 0.1, 0.0], [0.4, 0.6, 0.1], [0.5, 0.7, 0.2], [0.99, 0.2, 0.9]])


def test_top_k():
    assert am.top_k_accuracy(SCORES, TARGETS, 1) == 0.5
    assert am.top_k_accuracy(SCORES, TARGETS, 2) == 0.75


def test_target_auc_by_hand():
    # Class 0: 0.9 and 0.4 against 0.5 (scene 3 is excluded), 1 of 2. Class 1: 0.7 and 0.2 against 0.1 and 0.6, 3 of 4.
    assert_allclose(am.target_auc(SCORES, TARGETS, LABELS), (0.5 + 0.75) / 2)
    # Without labels, scene 3 is a scene without class 0: 0.9 and 0.4 against 0.5 and 0.99.
    assert_allclose(am.target_auc(SCORES, TARGETS), (0.25 + 0.75) / 2)


def test_target_auc_equals_scikit_learn_on_any_sample():
    random = np.random.default_rng(0)
    scores, targets = random.integers(0, 9, (200, 4)) / 8, random.integers(0, 4, 200)  # with ties
    area = am.TargetAUC(scores, targets)
    for sample in (np.arange(200), random.integers(0, 200, 200)):
        expected = [roc_auc_score(targets[sample] == c, scores[sample, c]) for c in range(4)]
        assert_allclose(area(sample), np.mean(expected), rtol=1e-6)


def test_detection_scores_by_hand():
    # Targets: .9 .4 .7 .2, two of four are reported. Absent classes: .1 0 .6 .1 .5 .2 .9, three of seven are reported.
    scores = am.detection_scores(SCORES, TARGETS, LABELS)
    assert scores["hit_rate"] == 0.5
    assert_allclose(scores["false_alarm_rate"], 3 / 7)
    assert_allclose(scores["f1"], 2 * 2 / (2 * 2 + 3 + 2))
    assert_allclose(scores["d_prime"], 0 - (-0.157310685), atol=1e-6)  # z(2.5/5) - z(3.5/8)


def test_bootstrap_interval_of_a_mean():
    values = np.random.default_rng(1).normal(3.0, 1.0, 400)
    value, low, high = am.bootstrap_interval(lambda index: values[index].mean(), 400)
    assert_allclose(value, values.mean())
    # 1.96 standard errors, within the few percent that 2,000 bootstrap samples allow
    assert_allclose([value - low, high - value], 1.96 * values.std() / 20, rtol=0.15)


def make_result():
    """Two images, 10 steps of 1 ms, a layer of 4x4x2."""
    result = Result({"layer": (4, 4, 2)}, 1e-3, 10)
    result.outputs = {"readout": np.zeros((2, 10, 3))}
    corner = np.array([0, 1, 0])  # location (0, 0), both channels
    last = np.array([31, 30])  # location (3, 3)
    result.spikes = {"layer": [(corner, np.array([2, 3, 9])), (np.r_[last, 0], np.array([5, 6, 7]))]}
    return result


def test_focus_masks():
    masks = am.focus_masks((4, 4, 2), [(0.125, 0.125), (0.5, 0.5)], 0.25)
    assert_array_equal(masks[0], np.outer([1, 1, 0, 0], [1, 1, 0, 0]) - np.diag([0, 1, 0, 0]) > 0)
    assert_array_equal(masks[1], np.outer([0, 1, 1, 0], [0, 1, 1, 0]) > 0)
    assert am.focus_masks((1, 1, 9), [(0.9, 0.9)], 0.01).all()  # never empty


def test_focus_rates():
    inside, outside = am.focus_rates(make_result(), "layer", [(0.125, 0.125), (0.875, 0.875)], 0.1)
    assert_allclose(inside, [3 / (2 * 0.01), 2 / (2 * 0.01)])  # one location with two channels
    assert_allclose(outside, [0, 1 / (30 * 0.01)])
    inside, _ = am.focus_rates(make_result(), "layer", (0.125, 0.125), 0.1, start=3, stop=8)
    assert_allclose(inside, [1 / (2 * 0.005), 1 / (2 * 0.005)])
    with pytest.raises(ValueError, match="must delimit a part of the trial, 0 to 10 ms"):
        am.focus_rates(make_result(), "layer", (0.5, 0.5), 0.1, start=8, stop=11)
    with pytest.raises(KeyError, match="record"):
        am.focus_rates(make_result(), "other", (0.5, 0.5), 0.1)


def test_response_rate():
    rate = am.response_rate(make_result(), "layer")
    assert_allclose(rate[0, [2, 3, 4, 9]], np.array([1, 1, 0, 1]) / (32 * 1e-3))
    masks = am.focus_masks((4, 4), [(0.9, 0.9), (0.9, 0.9)], 0.1)
    rate = am.response_rate(make_result(), "layer", masks)
    assert_array_equal(rate[0], 0)
    assert_allclose(rate[1, [5, 6, 7]], np.array([1, 1, 0]) / (2 * 1e-3))


def test_firing_latency_of_a_step():
    # No spikes until 100 ms, then half of the neurons in each step: the smoothed response is half as high at 100 ms.
    result = Result({"layer": (1, 1, 100)}, 1e-3, 300)
    random = np.random.default_rng(0)
    steps = np.repeat(np.arange(100, 300), 50)
    result.spikes = {"layer": [(random.integers(0, 100, len(steps)), steps)]}
    latency = am.firing_latency(result, "layer", (50, 90))
    assert_allclose(latency, 99.5, atol=1.5)


def test_patterns_and_rdm_fits():
    patterns = am.layer_patterns(make_result(), "layer")
    assert_allclose(patterns, np.array([[2, 1], [2, 1]]) / (16 * 0.01))
    random = np.random.default_rng(0)
    classes = np.repeat([0, 1, 2], 5)
    signal = np.eye(3)[classes] @ random.normal(size=(3, 40))
    from brainsnn.analysis.metrics import dissimilarity_matrix

    clear, noisy = (dissimilarity_matrix(signal + s * random.normal(size=signal.shape)) for s in (0.1, 3.0))
    fits = [am.rdm_fit(rdm, classes) for rdm in (clear, noisy)]
    assert fits[0] > 0.7 > 0.4 > fits[1]  # the model's ranks are tied, so Spearman's rho cannot be much above 0.7
    assert np.isnan(am.rdm_fit(np.zeros((3, 3)), [0, 1, 2]))
    with pytest.raises(ValueError, match="shape"):
        am.rdm_fit(clear, [0, 1])
