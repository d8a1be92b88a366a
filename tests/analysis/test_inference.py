"""Corrections, McNemar, power and the bootstrap against scipy, scikit-learn, simulations and brute force."""

import warnings

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


@pytest.mark.filterwarnings("ignore:resampled_items.*in the smallest")
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


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from([-np.inf, 1.0, 2.0, 5.0, np.inf, np.nan]), min_size=1, max_size=60),
    st.sampled_from([0.5, 0.9, 0.95]),
)
def test_infinite_draws_are_order_statistics(draws, confidence):
    """Bounds are those of very large numbers in place of infinite ones, or the draw further out."""
    low, high = am.draw_interval(draws, confidence)
    known = np.array(draws)[~np.isnan(draws)]
    if len(known) == 0:
        assert np.isnan([low, high]).all()
        return
    tail = 50 * (1 - confidence)
    for bound, percentile, outer in ((low, tail, "lower"), (high, 100 - tail, "higher")):
        if np.isfinite(known).all():
            assert bound == pytest.approx(np.percentile(known, percentile))
        else:
            inside = np.percentile(np.clip(known, -1e9, 1e9), percentile)
            draw = np.percentile(known, percentile, method=outer)
            assert bound == (pytest.approx(inside) if abs(inside) < 10 else draw)
    np.testing.assert_array_equal(np.ravel(am.draw_interval(np.c_[draws, draws], confidence)), [low, low, high, high])


def test_a_median_beyond_the_end_has_no_upper_bound():
    assert am.draw_interval([np.inf] * 10 + [1.0] * 10) == (1, np.inf)
    assert am.draw_interval([np.inf] * 3) == (np.inf, np.inf)


@pytest.mark.parametrize("strata", [range(4), [0] * 9 + [1], [0, 0, 1, 1]])
@pytest.mark.parametrize(
    "call",
    [
        lambda k: am.bootstrap_draws(np.mean, len(k), 50, strata=k),
        lambda k: am.resampled_items(len(k), 1, strata=k),
        lambda k: am.attention_modulation(*np.zeros((2, len(k), 3, 4)), k, 50),
    ],
)
def test_strata_of_few_items_are_warned_of_once(strata, call):
    with pytest.warns(UserWarning, match="intervals are too narrow.*or draw without strata") as caught:
        call(strata)
    assert len(caught) == 1 and caught[0].filename == __file__


def test_strata_of_enough_items_and_small_clusters_are_not_warned_of():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        am.bootstrap_draws(np.mean, 12, 5, strata=[0] * 10 + [1, 1])
        am.bootstrap_draws(np.mean, 4, 5, clusters=range(4))


@pytest.mark.parametrize("design", ["strata", "clusters"])
@pytest.mark.parametrize("groups", [[0, 0, np.nan, np.nan], ["a", "a", None, "b"], ["a", np.nan, "b", "b"], [None] * 4])
def test_items_without_a_group_are_refused(design, groups):
    for form in (groups, np.array(groups, dtype=object)):
        with pytest.raises(ValueError, match=rf"bootstrap_draws: {design} has no value for \d of 4 items"):
            am.bootstrap_draws(np.mean, 4, 5, **{design: form})


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
        (lambda: am.required_images(0.5, 0.1, 100, power=0.001), "power=0.001 must be greater than alpha=0.05"),
        (lambda: am.required_images(0.5, 0.1, 100, 0.2, alpha=0.2), "power=0.2 must be greater than alpha=0.2"),
        (lambda: am.required_images(1e-300, 0.1, 100), "effect=1e-300 is too small"),
        (lambda: am.required_images(1e-150, 1e200, 100), "effect=1e-150 is too small"),
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
