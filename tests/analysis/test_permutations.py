"""Permutation tests against scipy and brute force, and under the null hypothesis."""

import itertools
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

import brainsnn.analysis as am

RANDOM = np.random.default_rng(0)
SIX = np.random.default_rng(0).random((6, 2))


def exact_p(first, second, of=np.mean):
    """p over all divisions of the pooled values."""
    pooled, n = np.r_[first, second], len(first)
    observed = abs(of(first) - of(second))
    chosen = [list(c) for c in combinations(range(len(pooled)), n)]
    null = [abs(of(pooled[c]) - of(np.delete(pooled, c))) for c in chosen]
    return np.mean(np.array(null) >= observed - 1e-12)


@pytest.mark.parametrize("statistic, of", [("mean", np.mean), ("nanmedian", np.nanmedian)])
def test_equals_all_divisions(statistic, of):
    first, second = np.round(RANDOM.normal(1, 1, 6), 2), np.round(RANDOM.normal(0, 1, 6), 2)
    found = am.permutation_test(first, second, statistic, n_permutations=900)
    assert found.difference == pytest.approx(of(first) - of(second))
    assert found.p == pytest.approx(exact_p(first, second, of), abs=0.05)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=4, max_size=8), st.integers(2, 6), st.sampled_from([1, 1e-3, 1 / 3]))
def test_few_divisions_are_taken_all_and_counted_once(values, n, scale):
    """Against scipy's own p, and equal values up to rounding count as ties."""
    first, second = (
        scale * np.array(values[: min(n, len(values) - 2)]),
        scale * np.array(values[min(n, len(values) - 2) :]),
    )
    p = am.permutation_test(first, second).p
    assert p == pytest.approx(exact_p(first, second), abs=1e-12)
    expected = stats.permutation_test((first, second), lambda x, y: abs(x.mean() - y.mean()), alternative="greater")
    assert p == pytest.approx(expected.pvalue, abs=1e-12) or scale != 1


def test_no_permutation_with_values_in_both_halves():
    one = np.r_[1.0, np.full(40, np.nan)]
    with pytest.raises(ValueError, match="no permutation has values in both halves; give more permutations"):
        am.permutation_test(one, np.r_[np.full(999, np.nan), 2.0], "nanmedian", n_permutations=1, published=True)


def test_published_p_can_be_zero():
    first, second = np.arange(30.0), np.arange(30.0) + 100
    assert am.permutation_test(first, second, n_permutations=200, published=True).p == 0
    assert am.permutation_test(first, second, n_permutations=200).p == pytest.approx(1 / 201)


def test_missing_values_are_left_out_of_medians():
    first, second = np.array([1.0, 2, 3, np.nan]), np.array([2.0, np.nan, np.nan, 9])
    assert am.permutation_test(first, second, "nanmedian", 200).difference == 2 - 5.5


def test_unpaired_p_is_uniform_under_the_null():
    p = [am.permutation_test(*RANDOM.normal(size=(2, 12)), n_permutations=199, seed=k).p for k in range(60)]
    assert stats.kstest(p, "uniform").pvalue > 0.001


def brute_auc_test(first, second, targets, n, seed):
    """The same test with scikit-learn, one permutation at a time."""

    def area(scores, labels):
        return np.mean([roc_auc_score(labels == c, scores[:, c]) for c in range(scores.shape[1])])

    pooled, labels, size = np.r_[first, second], np.r_[targets, targets], len(first)
    observed, null, random = area(first, targets) - area(second, targets), [], np.random.default_rng(seed)
    for _ in range(n):
        order = random.permutation(2 * size)
        halves = order[:size], order[size:]
        null.append(abs(np.subtract(*(area(pooled[half], labels[half]) for half in halves))))
    return observed, np.mean(np.array(null) >= abs(observed))


def test_areas_against_scikit_learn():
    targets = np.repeat(np.arange(3), 12)
    strong, weak = (RANDOM.random((36, 3)) + gain * np.eye(3)[targets] for gain in (0.35, 0.15))
    difference, p = brute_auc_test(strong, weak, targets, 300, 1)
    found = am.auc_permutation_test(strong, weak, targets, n_permutations=2000)
    assert found.difference == pytest.approx(difference, abs=1e-6)
    assert found.p == pytest.approx(p, abs=0.08) and 0.005 < found.p < 0.5
    assert found.difference == pytest.approx(am.target_auc(strong, targets) - am.target_auc(weak, targets), abs=1e-6)


def test_equal_conditions_have_p_one():
    scores, targets = RANDOM.random((20, 3)), np.arange(20) % 3
    assert am.auc_permutation_test(scores, scores, targets, n_permutations=99).p > 0.9


def test_targets_of_both_halves():
    scores, targets = RANDOM.random((20, 3)), np.arange(20) % 3
    plain = am.auc_permutation_test(scores, scores[::-1], targets, targets[::-1], n_permutations=50)
    assert plain.difference == pytest.approx(0, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.floats(-1, 1))
def test_max_t_of_one_comparison_is_the_sign_flip_test(seed, shift):
    values = np.random.default_rng(seed).normal(shift, 1, (11, 1))
    t, p = am.max_t_test(values, 2000, seed)
    assert t[0] == pytest.approx(stats.ttest_1samp(values[:, 0], 0).statistic)
    signs = np.array(list(itertools.product([-1, 1], repeat=11)))  # all of them; |t| and |mean| have the same order
    exact = (np.abs(signs @ values[:, 0]) >= abs(values.sum()) - 1e-9).mean()
    assert abs(p[0] - exact) < 6 * np.sqrt(exact * (1 - exact) / 2000) + 0.001


def test_max_t_holds_for_all_comparisons_together():
    """Of 20 correlated null comparisons, one below 0.05 is as rare as it should be."""
    random, hits = np.random.default_rng(4), 0
    for k in range(80):
        shared = random.normal(size=(20, 1))
        hits += am.max_t_test(shared + random.normal(size=(20, 20)), 199, k)[1].min() < 0.05
    assert hits <= 12  # 4 expected
    t, p = am.max_t_test(np.c_[random.normal(2, 1, 30), random.normal(0, 1, (30, 5))], 999)
    assert p[0] < 0.01 and p[1:].min() > 0.05 and np.abs(t[1:]).max() < abs(t[0])


@pytest.mark.parametrize("size", [0.3, 1 / 3, -1.0, 1e-200, 1e300])
@pytest.mark.parametrize("n", [5, 7, 10])
def test_a_constant_difference_is_as_likely_as_equal_signs(size, n):
    t, p = am.max_t_test(np.full((n, 2), size) * [1.0, 0.0], 4000)
    exact = 2 / 2**n
    assert t.tolist() == [np.copysign(np.inf, size), 0.0] and p[1] == 1
    assert abs(p[0] - exact) < 5 * np.sqrt(exact / 4000)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: am.permutation_test([1], [1, 2]), "first needs two values"),
        (lambda: am.permutation_test([1, np.nan], [1, 2]), "NaN only with statistic"),
        (lambda: am.permutation_test([1, np.inf], [1, 2], published=True), "first has 1 infinite values"),
        (lambda: am.permutation_test([1, 2], [-np.inf, np.inf], "nanmedian"), "second has 2 infinite values"),
        (lambda: am.permutation_test([1, 2], [1, 2], "median"), "choose one of 'mean', 'nanmedian'"),
        (lambda: am.permutation_test([1, 2], [1, 2], n_permutations=0), "n_permutations=0"),
        (lambda: am.auc_permutation_test([[1, 0]], [[1, 0, 0]], [0], [0]), "give the same classes"),
        (lambda: am.auc_permutation_test([[1, 0]], [[1, 0]], [0]), "needs, in each condition, a class with images"),
        (lambda: am.auc_permutation_test(SIX, SIX[::-1], [0] * 6, [1] * 6, 99), "needs, in each condition, a class"),
        (
            lambda: am.auc_permutation_test(SIX, SIX, [0, 1] * 3, [1] * 6, 99, published=True),
            "needs, in each condition",
        ),
        (lambda: am.max_t_test([1, 2, 3]), "must be finite, of shape"),
        (lambda: am.max_t_test([[1, np.nan], [1, 2]]), "must be finite, of shape"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
