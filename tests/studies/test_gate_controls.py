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
from gate_figures import plot_contrast, plot_curves
from gate_statistics import (
    PAIRS,
    accuracy_at,
    accuracy_bounds,
    contrast_rows,
    control_claims,
    curve_rows,
    max_t_p,
    resampled_means,
)

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
    for one, other in PAIRS:
        name = f"{one} - {other}"
        assert (
            row[name] == pytest.approx(row[one] - row[other]) and row[f"{name} low"] < row[name] < row[f"{name} high"]
        )


def test_intervals_have_a_width_where_all_decisions_are_equal():
    correct = np.ones((1, 3, 1, 30), dtype=bool)
    (row,) = contrast_rows(correct, [0.15], 100, 0)
    assert all((row[f"{a} - {b} low"], row[f"{a} - {b} high"], row[f"{a} - {b} p"]) == (-0.1, 0.1, 1) for a, b in PAIRS)
    assert (row["sticky_low"], row["sticky_high"]) == pytest.approx(accuracy_interval(30, 30))
    several = np.random.default_rng(0).random((4, 200)) < 0.7
    low, high = accuracy_bounds(several, 500, 0)
    assert low < several.mean() < high


@given(seeds, st.integers(1, 6))
@settings(deadline=None, max_examples=20)
def test_max_t_is_no_smaller_than_one_test(seed, k):
    random = np.random.default_rng(seed)
    effects = random.normal(0, 2, k)
    draws = effects + random.normal(size=(400, k))
    together = max_t_p(effects, draws)
    alone = np.array([max_t_p(effects[[j]], draws[:, [j]])[0] for j in range(k)])
    assert (together >= alone).all() and (together > 0).all() and (together <= 1).all()


def test_max_t_keeps_the_chance_of_any_false_finding():
    random, false = np.random.default_rng(0), 0
    for _ in range(400):
        effects = random.normal(size=6)
        false += (max_t_p(effects, effects + random.normal(size=(200, 6))) < 0.05).any()
    assert 8 <= false <= 36  # 5 % of 400 are 20


def _found(n_networks, n_images=40):
    """Return the measures of all conditions; send-on-delta lets through twice as many spikes as the sticky gate."""
    random, found = np.random.default_rng(3), {}
    for condition in map(str, gates.CONDITIONS):
        shape, factor = (n_networks, n_images, 5), 2.0 if "send-on-delta" in condition else 1.0
        steps = factor * np.arange(1.0, 6) * np.ones(shape)
        found[condition] = {"correct": random.random(shape) < 0.9, "input": steps, "hidden": 10 * steps}
    return found


@pytest.mark.parametrize("n_networks", [1, 5])
def test_claims_name_what_is_resampled_budgets_and_corrections(n_networks):
    import pandas as pd

    correct = np.random.default_rng(4).random((2, 3, n_networks, 40)) < 0.8
    rows, claims = pd.DataFrame(contrast_rows(correct, [0.1, 1.0], 100, 0)), Claims(None)
    control_claims(claims, _found(n_networks), rows, 100, 0)
    tests = {row.claim: row.test for row in claims.rows}
    drawn = "40 images and 5 networks" if n_networks == 5 else "40 images, 1 network"
    assert all(f"bootstrap of {drawn}" in test for test in tests.values())
    better = [claim for claim in tests if "more accurate than the control" in claim]
    assert len(better) == 6 and all(tests[claim].endswith("Bonferroni 6") for claim in better)
    budgets = next(claim for claim in better if "(plain, send-on-delta)" in claim)
    assert "5 against 10 input spikes and 55 against 110 spikes in all" in budgets
    dimmed = [claim for claim in tests if "half dimmed to" in claim]
    assert len(dimmed) == 6 and all(tests[claim].endswith("max-T of 2 dimmings") for claim in dimmed)
    assert any(claim.startswith("sticky is less accurate than open") for claim in dimmed)


def test_differences_of_accuracy_have_intervals_of_one_kind():
    """Those of "more accurate" and of "as accurate" are the same, also where few decisions differ."""
    import pandas as pd

    found = _found(1)
    for measures in found.values():
        measures["correct"][:] = True
    found["feedback, sticky"]["correct"][0, 0] = False
    claims = Claims(None)
    control_claims(claims, found, pd.DataFrame(contrast_rows(np.ones((1, 3, 1, 40)), [1.0], 50, 0)), 100, 0)
    bounds = {row.claim: (row.low, row.high) for row in claims.rows if "the control (feedback, shuffled)" in row.claim}
    assert len(bounds) == 2 and len(set(bounds.values())) == 1
    assert bounds.popitem()[1] == pytest.approx((-0.1, 0.05))


def test_figures_show_input_hidden_and_all_spikes_and_all_differences():
    import matplotlib.pyplot as plt
    import pandas as pd

    curves = pd.DataFrame(curve_rows(_found(1), 50, 0))
    axes = plot_curves(curves).axes
    assert [ax.get_xlabel() for ax in axes] == 2 * [f"{part} spikes per image" for part in ("input", "hidden", "all")]
    correct = np.random.default_rng(4).random((2, 3, 1, 40)) < 0.8
    left, right = plot_contrast(pd.DataFrame(contrast_rows(correct, [0.1, 1.0], 50, 0))).axes
    names = [[text.get_text() for text in ax.get_legend().get_texts()] for ax in (left, right)]
    assert names == [["open", "sticky", "contrast"], ["contrast - sticky", "contrast - open", "sticky - open"]]
    plt.close("all")


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
