"""Dissimilarities per step, and partial correlations, against scipy and regressions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial.distance import pdist

import brainsnn.analysis as am
from brainsnn.analysis import rdm_dynamics

RANDOM = np.random.default_rng(5)


@pytest.mark.parametrize("chunk_bytes", [1, 2**28])
def test_distances_are_those_of_scipy(monkeypatch, chunk_bytes):
    monkeypatch.setattr(rdm_dynamics, "CHUNK_BYTES", chunk_bytes)
    values = RANDOM.normal(size=(6, 9, 40)).astype(np.float32)
    found = am.rdm_over_time(values, start=2, stop=8)
    expected = [pdist(values[:, t].astype(float), "correlation") for t in range(2, 8)]
    np.testing.assert_allclose(found, expected, atol=2e-6)
    some = am.rdm_over_time(values, images=[4, 1, 5])
    np.testing.assert_allclose(some[3], pdist(values[[4, 1, 5], 3].astype(float), "correlation"), atol=2e-6)


def test_a_constant_pattern_has_no_distance():
    values = RANDOM.normal(size=(3, 1, 5))
    values[1] = 4.0
    assert np.isnan(am.rdm_over_time(values)[0]).tolist() == [True, False, True]


def test_values_on_disk(tmp_path):
    zarr = pytest.importorskip("zarr")
    values = RANDOM.normal(size=(4, 6, 10))
    stored = zarr.create_array(store=tmp_path / "S", shape=values.shape, dtype="f8", chunks=(1, 2, 10))
    stored[:] = values
    np.testing.assert_array_equal(am.rdm_over_time(stored), am.rdm_over_time(values))


def residual_correlation(x, first, second):
    """Correlation of what a regression on the second leaves of x and of the first."""
    design = np.c_[np.ones(len(x)), second]
    left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (x, first)]
    return stats.pearsonr(*left).statistic


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_partial_correlations_are_those_of_residuals(seed):
    random = np.random.default_rng(seed)
    shared = random.normal(size=45)
    x, first, second = (random.normal(size=45) + random.uniform(0, 2) * shared for _ in range(3))
    r = [stats.pearsonr(*pair).statistic for pair in ((x, first), (x, second), (first, second))]
    found = am.partial_correlations(*r)
    assert found[0] == pytest.approx(residual_correlation(x, first, second), abs=1e-9)
    assert found[1] == pytest.approx(residual_correlation(x, second, first), abs=1e-9)


def test_a_model_that_explains_the_other_has_no_partial_correlation():
    assert np.isnan(am.partial_correlations(0.5, 0.5, 1.0)).all()
    assert np.isnan(am.partial_correlations(1.0, 0.5, 0.5)[1])


@pytest.mark.parametrize("resample", ["images", "pairs"])
def test_draws_are_correlations_of_drawn_pairs(monkeypatch, resample):
    monkeypatch.setattr(rdm_dynamics, "BATCH", 3)
    n_images, n_steps = 9, 4
    distances, models = RANDOM.random((n_steps, 36)), RANDOM.random((2, 36))
    found = am.rdm_draws(distances, *models, n_draws=5, resample=resample)
    first, second = np.triu_indices(n_images, 1)
    for draw in range(5):
        times = rdm_dynamics._weights(n_images, draw, resample).astype(int)
        chosen = np.repeat(np.arange(36), times)
        if draw == 0:
            np.testing.assert_array_equal(chosen, np.arange(36))
        if resample == "pairs" and draw:
            assert len(chosen) == 36
        for t in range(n_steps):
            r = [stats.pearsonr(distances[t, chosen], m[chosen]).statistic for m in models]
            between = stats.pearsonr(*models[:, chosen]).statistic
            np.testing.assert_allclose(found["correlation"][draw, t], r, atol=1e-9)
            np.testing.assert_allclose(found["partial"][draw, t], am.partial_correlations(*r, between), atol=1e-9)


def test_images_that_are_drawn_twice_count_in_all_their_pairs():
    times = rdm_dynamics._weights(5, 3, "images")
    counts = np.bincount(np.random.default_rng(3).integers(5, size=5), minlength=5)
    np.testing.assert_array_equal(times, [counts[i] * counts[j] for i in range(5) for j in range(i + 1, 5)])


def test_pairs_share_images_so_their_intervals_are_too_narrow():
    """The spread over new sets of images is that of drawn images, not that of drawn pairs."""

    def fit(random):
        """One set of images with a feature, and two models of which the first is noisy knowledge of it."""
        features = random.normal(size=(24, 3))
        noisy = features + 0.8 * random.normal(size=(24, 3))
        return pdist(features), pdist(noisy), random.random(276)

    truth = np.std([stats.pearsonr(*fit(np.random.default_rng(k))[:2]).statistic for k in range(200)])
    distances, first, second = fit(np.random.default_rng(900))
    spread = {
        name: am.rdm_draws(distances, first, second, 200, name)["correlation"][1:, 0, 0].std()
        for name in ("images", "pairs")
    }
    assert spread["pairs"] < 0.75 * truth < spread["images"] * 1.2


def test_constant_distances_fit_nothing():
    found = am.rdm_draws(np.ones((2, 6)), [0, 1, 0, 1, 0, 1], np.arange(6), 2)
    assert np.isnan(found["correlation"]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: am.rdm_over_time(np.zeros((1, 2, 3))), "two images or more"),
        (lambda: am.rdm_over_time(np.zeros((2, 2, 3)), start=2), "start=2"),
        (lambda: am.class_model([1]), "two images or more"),
        (lambda: am.rdm_draws(np.zeros((2, 4)), np.zeros(4), np.zeros(4)), "give all pairs of the same"),
        (lambda: am.rdm_draws(np.zeros((2, 6)), np.zeros(6), np.zeros(5)), "inhomogeneous|give all pairs"),
        (lambda: am.rdm_draws(np.zeros((2, 6)), np.zeros(6), np.zeros(6), 0), "n_draws=0"),
        (lambda: am.rdm_draws(np.zeros((2, 6)), np.zeros(6), np.zeros(6), resample="rows"), "choose one of 'images'"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
