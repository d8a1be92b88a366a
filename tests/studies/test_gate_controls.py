"""The study of gates: what its controls let through, its statistics, and a short run of it all."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from locations import STUDIES, WEIGHTS

sys.path.insert(0, str(STUDIES))

import gate_controls as gates
from claims import NOT_SUPPORTED, REPRODUCED, SUPPORTED, UNDECIDABLE, Claims
from gate_statistics import accuracy_at, accuracy_bounds, contrast_rows, curve_rows, resampled_means

from brainsnn.analysis import accuracy_interval

seeds = st.integers(0, 2**31 - 1)


@given(seeds)
def test_shuffling_permutes_block_times_among_pixels_of_like_value_alone(seed):
    random = np.random.default_rng(seed)
    values = np.round(random.random((6, 5, 1)), 1)
    first = np.where(random.random(values.shape) < 0.3, np.inf, random.integers(1, 50, values.shape))
    times = gates.shuffled_times(first, values, random)
    for value in np.unique(np.ceil(values * gates.N_VALUE_BINS)):
        alike = np.ceil(values * gates.N_VALUE_BINS) == value
        np.testing.assert_array_equal(np.sort(times[alike]), np.sort(first[alike]))


def test_shuffling_moves_the_block_times():
    random, values = np.random.default_rng(0), np.full((20, 20, 1), 0.55)
    first = random.permutation(400).astype(float).reshape(values.shape)
    assert (gates.shuffled_times(first, values, random) == first).mean() < 0.05


@given(seeds)
@settings(deadline=None)
def test_a_sender_is_silent_while_what_it_has_sent_is_right(seed):
    random = np.random.default_rng(seed)
    images = random.random((2, 3, 3, 1))
    trains = gates.drawn_spikes(images, 40, [seed, seed + 1])
    passed = gates.send_on_delta(trains, images)
    assert (passed <= trains).all()
    for k, row, column in np.ndindex(2, 3, 3):
        sent = 0
        for t in range(40):
            is_open = t == 0 or abs(images[k, row, column, 0] - sent / t) > gates.EPSILON
            assert passed[k, t, row, column, 0] == trains[k, t, row, column, 0] * is_open
            sent += passed[k, t, row, column, 0]


def test_drawn_spikes_have_the_rate_of_the_pixel_and_depend_on_the_seed_alone():
    images = np.full((2, 8, 8, 1), 0.3)
    trains = gates.drawn_spikes(images, 400, [5, 6])
    assert abs(trains.mean() - 0.3) < 5 * np.sqrt(0.21 / trains.size)
    np.testing.assert_array_equal(trains[1:], gates.drawn_spikes(images[1:], 400, [6]))
    assert (trains[0] != trains[1]).any()
    reduced = gates.random_duty(trains[0], trains[0].sum() / 4, np.random.default_rng(0))
    assert (reduced <= trains[0]).all() and abs(reduced.sum() / trains[0].sum() - 0.25) < 0.02


@given(st.lists(st.lists(st.booleans(), min_size=7, max_size=7), min_size=1, max_size=5))
def test_the_oracle_ends_where_the_decision_stays_right(correct):
    ends = gates.oracle_end(np.array(correct))
    for own, end in zip(correct, ends):
        assert end == next((t for t in range(7) if all(own[t:])), 7)


@given(seeds, st.floats(0, 60))
def test_accuracy_within_a_budget(seed, budget):
    random = np.random.default_rng(seed)
    accuracy, spikes = random.random((3, 10)), np.cumsum(random.random((3, 10)) * 9, axis=1)
    found = accuracy_at(np.full(3, budget), accuracy, spikes)
    for k in range(3):
        within = [accuracy[k, t] for t in range(10) if spikes[k, t] <= budget]
        assert found[k] == (within[-1] if within else 0.0)


def test_resampling_images_and_networks_has_the_spread_of_their_means():
    random = np.random.default_rng(1)
    values = random.normal(size=(1, 400, 2))
    draws = resampled_means(values, 3000, 0)
    np.testing.assert_allclose(draws.mean(axis=0), values.mean(axis=(0, 1)), atol=0.01)
    np.testing.assert_allclose(draws.std(axis=0), values[0].std(axis=0) / 20, rtol=0.06)
    # Networks that differ widen the interval, images alone do not.
    apart = np.broadcast_to(np.array([0.0, 1.0])[:, None, None], (2, 400, 1))
    assert resampled_means(apart, 3000, 0).std() > 0.3
    np.testing.assert_array_equal(draws, resampled_means(values, 3000, 0))


def test_equality_needs_an_interval_within_the_margin_and_enough_images():
    claims = Claims(None)
    same = np.zeros(500)
    assert claims.equal("a", 0.0, same, 1000, "test", 0.01) == SUPPORTED
    assert claims.equal("a", 0.0, same, 1000, "test", 0.01, published=True) == REPRODUCED
    assert claims.equal("a", 0.0, same, 60, "test", 0.01) == UNDECIDABLE  # 3/60 is more than the margin
    assert claims.equal("a", 0.05, np.linspace(0.04, 0.06, 500), 1000, "test", 0.01) == NOT_SUPPORTED
    assert claims.equal("a", 0.01, np.linspace(0, 0.02, 500), 1000, "test", 0.01) == UNDECIDABLE


def test_rows_are_means_with_intervals_around_them():
    random = np.random.default_rng(2)
    found = {"a": {name: random.integers(0, 2, (2, 30, 4)) for name in ("correct", "input", "hidden")}}
    rows = curve_rows(found, 300, 0)
    assert [row["step"] for row in rows] == [0, 1, 2, 3]
    for row in rows:
        assert (
            row["accuracy"] == found["a"]["correct"][..., row["step"]].mean()
            and row["low"] < row["accuracy"] < row["high"]
        )
        assert row["total"] == row["input"] + row["hidden"]
    correct = random.integers(0, 2, (1, 3, 2, 30))
    (row,) = contrast_rows(correct, [0.15], 300, 0)
    assert row["gain"] == pytest.approx(row["contrast"] - row["sticky"]) and row["low"] <= row["gain"] <= row["high"]


def test_intervals_have_a_width_where_all_decisions_are_equal():
    correct = np.ones((1, 3, 1, 30), dtype=bool)
    (row,) = contrast_rows(correct, [0.15], 100, 0)
    assert (row["low"], row["high"]) == (-0.1, 0.1)
    assert (row["sticky_low"], row["sticky_high"]) == pytest.approx(accuracy_interval(30, 30))
    several = np.random.default_rng(0).random((4, 200)) < 0.7
    low, high = accuracy_bounds(several, 500, 0)
    assert low < several.mean() < high


@pytest.mark.slow
def test_the_study_runs_and_pairs_its_conditions(tmp_path, monkeypatch):
    files = {"feedback": "feedback", "plain": "plain", "narrow": "plain"}  # training a narrow one takes minutes
    paths = {(variant, 0): WEIGHTS / f"digits_{name}_if.keras" for variant, name in files.items()}
    monkeypatch.setattr(gates, "trained_networks", lambda study: paths)
    gates.main(["--quick", "--n-images", "6", "--out", str(tmp_path), "--processes", "1"])
    import xarray as xr

    data = xr.open_dataset(tmp_path / "controls" / "dataset.nc").isel(network=0)
    names = [str(name) for name in data.condition.values]
    spikes = {name: data["input"].isel(condition=k, step=-1).values for k, name in enumerate(names)}
    np.testing.assert_array_equal(spikes["plain, open"], spikes["feedback, open"])
    np.testing.assert_array_equal(spikes["plain, shuffled"], spikes["feedback, shuffled"])
    assert (spikes["feedback, sticky"] < spikes["feedback, open"]).all()
    # Shuffling keeps what the sticky gate lets through on average, and so does leaving spikes out at random.
    for control in ("shuffled", "random"):
        np.testing.assert_allclose(spikes[f"feedback, {control}"].sum(), spikes["feedback, sticky"].sum(), rtol=0.03)
    assert (tmp_path / "claims.md").read_text().count("\n") > 20
