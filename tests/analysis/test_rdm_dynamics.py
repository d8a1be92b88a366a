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


def test_images_are_chosen_as_in_a_result():
    values = RANDOM.normal(size=(4, 2, 7))
    expected = am.rdm_over_time(values, images=[1, 3])
    for images in ([False, True, False, True], slice(1, None, 2), [1, -1], np.array([1, 3])):
        np.testing.assert_array_equal(am.rdm_over_time(values, images=images), expected)
    np.testing.assert_array_equal(am.rdm_over_time(values.tolist(), images=[1, 3]), expected)
    for images in ([0.9, 1.9], [0, 7], [True, False], "ab", [[0, 1]]):
        with pytest.raises(IndexError, match="rdm_over_time: images="):
            am.rdm_over_time(values, images=images)


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


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=3, max_size=3))
def test_partial_correlations_exist_where_three_variables_do(r):
    """A matrix of correlations has no negative eigenvalue."""
    smallest = np.linalg.eigvalsh([[1, r[0], r[1]], [r[0], 1, r[2]], [r[1], r[2], 1]])[0]
    found = np.array(am.partial_correlations(*r))
    if smallest < -1e-6:
        assert np.isnan(found).all()
    elif smallest > 1e-6:
        assert (np.abs(found) <= 1).all()


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1e12])
def test_constants_fit_nothing(value):
    with np.errstate(invalid="raise", divide="raise"):
        found = am.rdm_draws(np.full((2, 6), value), [0, 1, 0, 1, 0, 1], np.arange(6), 20)
        assert np.isnan(found["correlation"]).all()
        found = am.rdm_draws(RANDOM.random((2, 6)), np.full(6, value), np.arange(6), 20)
        assert np.isnan(found["correlation"][..., 0]).all() and np.isfinite(found["correlation"][0, :, 1]).all()
        assert np.isnan(found["partial"]).all()


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e100])
def test_the_scale_of_distances_does_not_matter(scale):
    distances, models = RANDOM.random((2, 15)), RANDOM.random((2, 15))
    expected, found = am.rdm_draws(distances, *models, 9), am.rdm_draws(scale * distances, *(scale * models), 9)
    for name in expected:
        np.testing.assert_allclose(found[name], expected[name], atol=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: am.rdm_over_time(np.zeros((1, 2, 3))), "two images or more"),
        (lambda: am.rdm_over_time(np.zeros((2, 2, 3)), start=2), "start=2"),
        (lambda: am.rdm_over_time(np.zeros((3, 2, 3)), images=[0]), r"images=\[0\] must be two or more"),
        (lambda: am.rdm_over_time(np.zeros((3, 2, 3)), images=[]), r"images=\[\] must be two or more"),
        (lambda: am.class_model([1]), "two images or more"),
        (lambda: am.class_model([np.nan, np.nan, 1]), "class_model: classes has no value for 2 of 3 items"),
        (lambda: am.partial_correlations(2, 0.3, 0.4), "with_first must be correlations, from -1 to 1, got up to 2"),
        (lambda: am.partial_correlations(0.2, 0.3, [0.4, -1.5]), "between must be correlations"),
        (lambda: am.rdm_draws(np.zeros((2, 4)), np.zeros(4), np.zeros(4)), "give all pairs of the same"),
        (lambda: am.rdm_draws(np.zeros((2, 6)), np.zeros(6), np.zeros(5)), "inhomogeneous|give all pairs"),
        (lambda: am.rdm_draws(np.zeros((2, 6)), np.zeros(6), np.zeros(6), 0), "n_draws=0"),
        (lambda: am.rdm_draws(np.zeros((2, 6)), np.zeros(6), np.zeros(6), resample="rows"), "choose one of 'images'"),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
