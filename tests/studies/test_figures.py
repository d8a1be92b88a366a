"""The law of figures: n above each, coinciding lines set apart, intervals, names of classes on RDMs."""

import sys

import numpy as np
import pytest
from locations import STUDIES

sys.path.insert(0, str(STUDIES))

import matplotlib.pyplot as plt
from common import Study
from figures import apply_law, bars, class_ticks, image_draws, mean_interval, paired_interval, set_apart, share_interval

from brainsnn.analysis import accuracy_interval


@pytest.fixture
def axes():
    figure, axes = plt.subplots(1, 2)
    yield axes
    plt.close(figure)


@pytest.mark.parametrize("mode, text", [("quick", "illustration, n = 60 digits"), ("full", "n = 60 digits")])
def test_n_stands_above_a_figure(axes, mode, text):
    figure = axes[0].figure
    apply_law(figure, mode, "60 digits")
    assert figure.get_suptitle() == text


def test_a_study_writes_no_figure_without_n(tmp_path, axes):
    with Study("example", "A question?", {"k": 1}, {"k": 2}, ["--out", str(tmp_path)]) as study:
        with pytest.raises(TypeError, match="'n'"):
            study.figure(axes[0].figure, "figure")
        study.figure(axes[0].figure, "figure", "3 neurons")
    assert "illustration, n = 3 neurons" in (tmp_path / "figure.svg").read_text()


def test_hidden_lines_are_widened_in_the_legend_too(axes):
    x = np.arange(50.0)
    below = axes[0].plot(x, np.sin(x), lw=1, label="below")[0]
    above = axes[0].plot(x, np.sin(x) + 1e-4, lw=1, label="above")[0]
    other = axes[0].plot(x, np.cos(x), lw=1, label="other")[0]
    elsewhere = axes[1].plot(x, np.sin(x), lw=1, label="below")[0]
    marks = dict(zip(("below", "above", "other"), axes[0].legend().legend_handles))
    set_apart(axes[0].figure)
    assert below.get_linewidth() == marks["below"].get_linewidth() > 3 > above.get_linewidth()
    assert {line.get_linewidth() for line in (above, other, elsewhere, marks["above"], marks["other"])} == {1}


def test_a_panel_says_how_many_lines_coincide(axes):
    x = np.arange(5.0)
    lines = [axes[0].plot(x, x, lw=1, label=str(k))[0] for k in range(4)]
    set_apart(axes[0].figure)
    assert [text.get_text() for text in axes[0].texts] == ["4 lines coincide"] and not axes[1].texts
    assert {line.get_linewidth() for line in lines} == {1}


def test_lines_that_cross_or_are_undefined_are_left_alone(axes):
    x = np.arange(10.0)
    lines = [axes[0].plot(x, y)[0] for y in (x, 9 - x, np.full(10, np.nan))]
    widths = [line.get_linewidth() for line in lines]
    set_apart(axes[0].figure)
    assert [line.get_linewidth() for line in lines] == widths
    level = axes[1].axhline(3.0, lw=1)
    axes[1].axhline(3.0, lw=1, color="red")
    axes[1].set_ylim(0, 10)
    one_series = [axes[1].plot(x, x / 2, color="0.7", lw=1)[0] for _ in range(2)]
    set_apart(axes[1].figure)
    assert level.get_linewidth() > 3
    assert [line.get_linewidth() for line in one_series] == [1, 1]


def test_shares_have_wilsons_interval():
    correct = np.random.default_rng(0).random((40, 7)) < np.linspace(0, 1, 7)
    share, low, high = share_interval(correct)
    expected = [accuracy_interval(int(count), 40) for count in correct.sum(axis=0)]
    np.testing.assert_allclose(np.transpose([low, high]), expected)
    np.testing.assert_allclose(share, correct.mean(axis=0))
    assert share_interval(correct[:, 3])[1] == pytest.approx(expected[3][0])


def test_draws_have_the_standard_error_of_the_mean_and_leave_nan_out():
    values = np.random.default_rng(1).normal(size=(200, 2))
    values[::2, 1] = np.nan
    draws = image_draws(values, 2000)
    errors = np.nanstd(values, axis=0) / np.sqrt([200, 100])
    np.testing.assert_allclose(draws.std(axis=0), errors, rtol=0.1)
    mean, low, high = mean_interval(values)
    np.testing.assert_allclose(mean, np.nanmean(values, axis=0))
    assert ((low < mean) & (mean < high)).all()
    paired = image_draws(values[:, 0] + 5) - image_draws(values[:, 0])
    np.testing.assert_allclose(paired, 5)
    assert np.isnan(mean_interval(np.full((3, 1), np.nan))).all()


def test_bars_are_never_negative():
    np.testing.assert_allclose(bars([1.0, 2.0], [0.5, 2.1], [1.5, 3.0]), [[0.5, 0], [0.5, 1]])


@pytest.mark.parametrize("names", [None, ["zero", "one", "two", "three"]])
def test_classes_are_named_in_the_middle_of_their_items(axes, names):
    class_ticks(axes[0], [1, 1, 1, 3, 3], names)
    shown = ["1", "3"] if names is None else ["one", "three"]
    for axis in (axes[0].xaxis, axes[0].yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == shown
        assert list(axis.get_ticklocs()) == [1.0, 3.5]


def test_paired_decisions_have_an_interval_even_if_none_differs():
    low, high = paired_interval(np.zeros(100, dtype=int))
    assert 0.01 < high == -low < 0.05
    random, covered = np.random.default_rng(0), 0
    for _ in range(400):  # 95 % of the intervals hold the true difference of 0.02
        low, high = paired_interval(random.choice([1, 0, -1], 200, p=[0.04, 0.94, 0.02]))
        covered += low <= 0.02 <= high
    assert covered >= 370
