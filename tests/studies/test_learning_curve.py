"""The learning curve: the fitted law, its interval, what is refused, and a run."""

import sys

import numpy as np
import pytest
from locations import STUDIES

sys.path.insert(0, str(STUDIES))

import learning_curve
from common import Study
from learning_curve import fit_power_law, held_out_difference, law_draws, published_difference, wrong_draws

SIZES = [500, 1000, 2000, 3600]


def errors_of(a, b):
    return np.exp(a) * np.array(SIZES, dtype=float) ** -b


@pytest.mark.parametrize("a, b", [(2.0, 0.7), (0.0, 0.4), (-2.0, 0.0)])
def test_exact_errors_give_their_law(a, b):
    n = 10**6
    assert fit_power_law(SIZES, errors_of(a, b) * n, n) == pytest.approx((a, b), abs=1e-6)


def test_the_fit_is_the_most_likely_law():
    """As a general minimiser finds it."""
    from scipy.optimize import minimize
    from scipy.stats import binom

    wrong = np.array([90, 61, 33, 28])

    def loss(parameters):
        return -binom.logpmf(wrong, 1000, np.clip(errors_of(*parameters), 1e-9, 1 - 1e-9)).sum()

    best = minimize(loss, [1.0, 0.5], method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-10})
    assert fit_power_law(SIZES, wrong, 1000) == pytest.approx(best.x, abs=1e-4)


def test_no_error_at_all_is_a_small_one():
    a, b = fit_power_law(SIZES, [5, 2, 1, 0], 1000)
    assert np.isfinite([a, b]).all() and b > 0


def test_the_interval_covers_the_law():
    random, covered = np.random.default_rng(0), 0
    truth = np.exp(2.0) * 60_000.0**-0.7
    for _ in range(40):
        correct = random.random((4, 1, 1000)) >= errors_of(2.0, 0.7)[:, None, None]
        low, high = np.percentile(law_draws(correct, SIZES, [60_000], 60)[:, 0], [2.5, 97.5])
        covered += low <= truth <= high
    assert covered >= 34


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--sizes", "500"], "two or more"),
        (["--sizes", "500", "4000"], "to 3600"),
        (["--sizes", "5", "400"], "from 10"),
        (["--stage", "both"], "choose one of ann, snn"),
        (["--device", "runtime"], "runtime would be ignored"),
    ],
)
def test_refused(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        learning_curve.main(["--out", str(tmp_path), *arguments])
    assert message in capsys.readouterr().err


def correct_with(errors, n_images=1000, n_seeds=1, seed=0):
    """Return decisions with these error rates."""
    return np.random.default_rng(seed).random((len(errors), n_seeds, n_images)) >= np.asarray(errors)[:, None, None]


def test_draws_share_their_images():
    """Equal decisions at two sizes are equally wrong in each draw."""
    correct = correct_with([0.1, 0.1, 0.2])
    correct[1] = correct[0]
    drawn = wrong_draws(correct, 50)
    np.testing.assert_array_equal(drawn[:, 0], drawn[:, 1])
    assert drawn[:, 0].std() > 0 and abs(drawn.mean(axis=0) - (~correct).sum(axis=(1, 2))).max() < 6


def test_the_difference_to_the_law_covers_none_where_the_law_holds():
    covered = 0
    for seed in range(40):
        _, draws = held_out_difference(correct_with(errors_of(2.0, 0.7), seed=seed), SIZES, 100)
        low, high = np.percentile(draws, [2.5, 97.5])
        covered += low <= 0 <= high
    assert covered >= 34


def test_a_law_is_contradicted_by_the_interval_of_the_difference(tmp_path, capsys):
    """Where the intervals of prediction and finding overlap, but that of their difference excludes 0."""
    with Study("example", "A question?", {"n_draws": 400, "stage": "ann"}, {"n_draws": 1, "stage": "ann"},
               ["--out", str(tmp_path)]) as study:  # fmt: skip
        errors = errors_of(2.0, 0.7)
        correct = correct_with(errors, 4000)
        correct[-1] = correct_with([0.0375], 4000, seed=1)[0]  # the law says 0.024
        learning_curve.report(study, correct, SIZES)
        difference, draws = held_out_difference(correct, SIZES, 400)
        assert difference == pytest.approx(0.0375 - errors[-1], abs=0.01) and np.percentile(draws, 2.5) > 0
        assert study.headline["check of the law"].endswith("the law is contradicted")
        learning_curve.report(study, correct_with(errors, 4000), SIZES)
        assert study.headline["check of the law"].endswith("the law is not contradicted")
    verdicts = [line.split("|")[-2].strip() for line in (tmp_path / "claims.md").read_text().splitlines()[2:]]
    assert len(verdicts) == 2 and "published error equals the law's" in capsys.readouterr().out


def test_the_published_value_varies_with_its_test_images():
    correct = correct_with(errors_of(2.0, 0.7), 20_000)
    difference, draws = published_difference(correct, SIZES, "ann", 300)
    predicted = law_draws(correct, SIZES, [60_000], 300)[:, 0]
    assert difference == pytest.approx(0.0081 - predicted.mean(), abs=1e-3)
    assert draws.std() > np.hypot(predicted.std(), 0.8 * np.sqrt(0.0081 * 0.9919 / 10_000)) * 0.9


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["ann", "snn"])
def test_a_run(tmp_path, capsys, monkeypatch, stage):
    pytest.importorskip("tensorflow")
    monkeypatch.setattr(learning_curve, "SNN_EPOCHS", 1)
    monkeypatch.setattr(learning_curve, "SNN_IMAGES", 40)
    words = ["--sizes", "20", "40", "--n-passes", "80", "--n-draws", "100", "--stage", stage]
    learning_curve.main([*words, "--out", str(tmp_path)])
    assert (tmp_path / "learning_curve.png").stat().st_size > 0
    assert len((tmp_path / "learning_curve.csv").read_text().splitlines()) == 3
    assert "published on full MNIST" in capsys.readouterr().out
