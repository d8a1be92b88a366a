"""Corrections, McNemar, power and the bootstrap against scipy, scikit-learn, simulations and brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

import brainsnn.analysis as am

RANDOM = np.random.default_rng(1)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_corrections(p):
    ranked = np.sort(p)
    by_hand = np.minimum.accumulate((ranked * len(p) / np.arange(1, len(p) + 1))[::-1])[::-1]
    np.testing.assert_allclose(np.sort(am.adjusted_p_values(p, "benjamini-hochberg")), np.minimum(by_hand, 1))
    np.testing.assert_allclose(am.adjusted_p_values(p), np.minimum(np.array(p) * len(p), 1))
    assert (am.adjusted_p_values(p) >= np.array(p)).all()


def test_mcnemar_is_the_binomial_test_of_discordant_images():
    first, second = RANDOM.random((2, 60)) < [[0.8], [0.6]]
    b, c = (first & ~second).sum(), (second & ~first).sum()
    found = am.mcnemar_test(first, second)
    assert found.p == pytest.approx(stats.binomtest(int(b), int(b + c)).pvalue)
    assert found.p == pytest.approx(min(1, 2 * stats.binom.cdf(min(b, c), b + c, 0.5)))
    assert found.difference == pytest.approx(first.mean() - second.mean())
    assert am.mcnemar_test(first, first) == (0, 1)


def test_power_by_simulation():
    """With the number that is asked for, a test finds the effect in the wanted share of experiments."""
    effect, sd, n = 0.4, 1.0, 50
    needed = am.required_images(effect, sd / np.sqrt(n), n, power=0.8)
    samples = np.random.default_rng(2).normal(effect, sd, (4000, needed))
    found = np.abs(samples.mean(axis=1)) * np.sqrt(needed) / sd > stats.norm.ppf(0.975)
    assert found.mean() == pytest.approx(0.8, abs=0.025)
    assert am.required_images(effect / 2, sd / np.sqrt(n), n) == pytest.approx(4 * needed, abs=4)


def test_bootstrap_p_value():
    assert am.bootstrap_p_value([1, 2, 3, -1]) == 0.5
    assert am.bootstrap_p_value([0, 0, 0, 0]) == 1
    assert am.bootstrap_p_value([1, 2]) == 0


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 1000))
def test_strata_keep_their_numbers(classes, draw):
    items = am.resampled_items(len(classes), draw, strata=classes)
    assert sorted(np.array(classes)[items]) == sorted(classes)


@given(st.lists(st.integers(0, 3), min_size=1, max_size=30), st.integers(0, 1000))
def test_clusters_are_drawn_as_a_whole(clusters, draw):
    clusters = np.array(clusters)
    items = am.resampled_items(len(clusters), draw, clusters=clusters)
    times = np.bincount(items, minlength=len(clusters))
    for cluster in np.unique(clusters):
        assert len(set(times[clusters == cluster])) == 1
    assert sum(times[clusters == c][0] for c in np.unique(clusters)) == len(np.unique(clusters))


def test_intervals_against_scipy():
    values = RANDOM.normal(size=80)
    low, high = am.draw_interval(am.bootstrap_draws(lambda i: values[i].mean(), 80, 4000))
    expected = stats.bootstrap(
        (values,), np.mean, method="percentile", n_resamples=4000, random_state=3
    ).confidence_interval
    assert (low, high) == (pytest.approx(expected.low, abs=0.02), pytest.approx(expected.high, abs=0.02))


def test_strata_and_clusters_change_the_width():
    """Strata take out the differences between classes; clusters that differ make the mean less certain."""
    groups = np.repeat(np.arange(8), 10)
    values = groups + RANDOM.normal(size=80)
    width = {
        name: np.ptp(am.draw_interval(am.bootstrap_draws(lambda i: values[i].mean(), 80, 600, **design)))
        for name, design in (("plain", {}), ("strata", {"strata": groups}), ("clusters", {"clusters": groups}))
    }
    assert 1.5 * width["strata"] < width["plain"] < width["clusters"] / 1.5
    between = values.reshape(8, 10).mean(axis=1).std() / np.sqrt(8)
    assert width["clusters"] == pytest.approx(2 * 1.96 * between, rel=0.15)


def test_intervals_of_curves_and_of_nothing():
    draws = np.array([[1.0, np.nan, np.nan], [3.0, 2.0, np.nan]])
    low, high = am.draw_interval(draws, 0.5)
    np.testing.assert_allclose(low, [1.5, 2, np.nan])
    np.testing.assert_allclose(high, [2.5, 2, np.nan])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: am.adjusted_p_values([0.1, 2]), "numbers from 0 to 1"),
        (lambda: am.adjusted_p_values([0.1, np.nan]), "numbers from 0 to 1"),
        (lambda: am.adjusted_p_values([0.1], "holm"), "choose one of 'bonferroni'"),
        (lambda: am.mcnemar_test([1], [1, 0]), "two lists of one length"),
        (lambda: am.mcnemar_test([2], [1]), "give booleans"),
        (lambda: am.bootstrap_p_value([np.nan]), "NaN in it"),
        (lambda: am.required_images(0, 1, 10), "other than 0"),
        (lambda: am.required_images(1, 1, 10, power=1), "power=1"),
        (lambda: am.required_images(1, 0, 10), "standard_error=0"),
        (lambda: am.resampled_items(3, 0, [1, 2, 3], [1, 2, 3]), "two designs"),
        (lambda: am.resampled_items(3, 0, [1, 2]), "strata of shape"),
        (lambda: am.resampled_items(3, -1), "draw=-1"),
        (lambda: am.bootstrap_draws(np.mean, 3, 0), "n_draws=0"),
        (lambda: am.draw_interval([]), "hold none"),
        (lambda: am.draw_interval([1, 2], 1), "between 0 and 1"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
