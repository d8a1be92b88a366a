"""Photographs as the unit: intervals that draw them, exact tests, and what is said of too few."""

import sys

import numpy as np
import pytest
from locations import STUDIES

sys.path.insert(0, str(STUDIES))

from common import Study
from photographs import effect_row, in_words, output_effects, report_photographs, smallest_p

from brainsnn.analysis import TargetAUC


def scenes(n_photographs, per_photograph, between=1.0, seed=0):
    """Effects of scenes that share what their photograph adds."""
    random = np.random.default_rng(seed)
    names = np.repeat([f"photograph {k}" for k in range(n_photographs)], per_photograph)
    shared = np.repeat(random.normal(0, between, n_photographs), per_photograph)
    return 0.5 + shared + random.normal(0, 0.1, len(names)), names


def mean_of(values):
    return lambda index: values[index].mean()


def test_the_interval_over_photographs_has_their_standard_error():
    values, names = scenes(60, 10)
    row = effect_row("gain", mean_of(values), names, 1000)
    error = values.reshape(60, 10).mean(axis=1).std() / np.sqrt(60)
    assert row["high_photographs"] - row["low_photographs"] == pytest.approx(2 * 1.96 * error, rel=0.15)
    assert row["high_scenes"] - row["low_scenes"] < (row["high_photographs"] - row["low_photographs"]) / 2
    assert row["n_photographs"] == 60 and row["n_scenes"] == 600


@pytest.mark.parametrize("n", [2, 4, 6])
def test_p_of_an_effect_of_one_sign_is_the_smallest(n):
    values, names = scenes(n, 5, between=0.01)
    row = effect_row("gain", mean_of(values), names, 50)
    assert row["same_sign"] == n
    assert row["p_photographs"] == pytest.approx(smallest_p(n)) and smallest_p(4) == 0.125


def test_photographs_in_which_nothing_can_be_measured_are_left_out():
    values, names = scenes(4, 5)
    row = effect_row(
        "gain", lambda index: np.nan if (names[index] == names[0]).all() else values[index].mean(), names, 50
    )
    assert row["n_photographs"] == 3


def test_the_words_say_how_many_photographs_are_needed():
    assert "has p = 0.125" in in_words(np.array(["coins", "grass", "camera", "chelsea"]))
    assert "6 photographs are the fewest" in in_words(np.array(["coins", "coins", "grass"]))
    assert "cannot decide" not in in_words(np.array(list("abcdef")))
    assert "2 scenes are cut from 1 photograph (coins): what holds for others cannot" in in_words(
        np.array(["coins", "coins"])
    )


def test_four_photographs_are_too_few_for_their_bootstrap():
    """The statement of the report: its interval covers the truth far too rarely."""
    covered = 0
    for seed in range(100):
        values, names = scenes(4, 3, seed=seed)
        row = effect_row("gain", mean_of(values), names, 200)
        covered += row["low_photographs"] <= 0.5 <= row["high_photographs"]
    assert covered < 85


def test_the_report_is_printed_and_stored(tmp_path, capsys):
    values, names = scenes(4, 5)
    with Study("example", "A question?", {"k": 1}, {"k": 2}, ["--out", str(tmp_path)]) as study:
        report_photographs(study, {"gain": mean_of(values)}, names, 50)
    out, text = capsys.readouterr().out, (tmp_path / "photographs.md").read_text()
    assert "cannot decide whether any effect holds for other photographs" in out and "| gain |" in out
    assert "| gain |" in text and "p = 0.125" in text
    assert (tmp_path / "photographs.csv").read_text().startswith("effect,value,low_scenes")


@pytest.mark.parametrize("per_photograph", [1, 2])
def test_an_auc_within_photographs_of_one_scene_is_not_defined(tmp_path, per_photograph, capsys):
    """The change of the target's output is: every scene has one."""
    random, targets = np.random.default_rng(0), np.arange(60) % 8
    scores = random.random((60, 8))
    found = {"precision valid": {"scores": scores + 0.2 * np.eye(8)[targets]}, "precision invalid": {"scores": scores}}
    names = np.array([f"photograph {k // per_photograph}" for k in range(60)])
    names[-1] = "alone"
    effects = {"AUC": TargetAUC(found["precision valid"]["scores"], targets)} | output_effects(found, targets)
    with Study("example", "A question?", {"k": 1}, {"k": 2}, ["--out", str(tmp_path)]) as study:
        report_photographs(study, effects, names, 50)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    auc, output = rows[1], rows[2]
    n = len(np.unique(names))
    assert output.startswith("| output of the target, precision | +0.2 | +0.2 to +0.2 | +0.2 to +0.2 |")
    assert f"| {n} of {n} |" in output and "not defined" not in output
    if per_photograph == 1:
        assert auc.endswith("| not defined: one scene per photograph | not defined |")
        assert "60 photographs, one each" in study.headline["photographs"]
    else:
        assert "of the 29 of 31 where it is defined |" in auc
