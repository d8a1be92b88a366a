"""From responses to claims and to the table of the paper: measures, verdicts, and a row for each published value."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from attention_responses import responses
from locations import ROOT

from brainsnn.analysis import draw_interval

sys.path.insert(0, str(ROOT / "studies"))

import attention_measures as measures
import attention_protocol as protocol
from attention_paper import Paper, is_published, paper_table, published_values, resolution
from claims import NOT_REPRODUCED, NOT_SUPPORTED, REPRODUCED, SUPPORTED, UNDECIDABLE, Claims, paired_p, verdict_of
from common import Study
from photographs import effect_row

RANDOM = np.random.default_rng(0)


# Measures


def test_effects_that_are_there_are_reproduced():
    made = responses()
    for measure, (_, sign, _) in measures.MEASURES.items():
        effect, draws = made.difference(measure, "output_gain valid", "output_gain invalid")
        assert np.sign(effect) == sign, measure
        p = made.test(measure, "output_gain valid", "output_gain invalid", 199)
        assert verdict_of(effect, *np.nanpercentile(draws, [2.5, 97.5]), p, sign) == REPRODUCED, measure


def test_equal_conditions_are_undecidable():
    made = responses(gain=0.0)
    made.found["output_gain invalid"] = made.found["output_gain valid"]
    effect, draws = made.difference("auc", "output_gain valid", "output_gain invalid")
    assert effect == 0 and verdict_of(effect, *np.percentile(draws, [2.5, 97.5]), 1.0, 1) == UNDECIDABLE


def test_fits_are_compared_in_the_same_drawn_images():
    shared = RANDOM.normal(size=(100, 2))
    made = {
        "neutral": {f"draws_{r}": shared for r in ("images", "pairs")},
        "a": {f"draws_{r}": shared + 0.1 for r in ("images", "pairs")},
    }
    np.testing.assert_allclose(measures.fit_draws(made, "a", "images"), 0.1)
    np.testing.assert_allclose(measures.fit_draws(made, "a", "pairs"), shared + 0.1 - shared.mean(axis=0))


def test_p_of_draws_is_never_below_one_draw():
    assert paired_p(np.ones(200)) == pytest.approx(0.01)
    assert paired_p(np.r_[np.ones(50), -np.ones(50)]) == 1
    assert np.isnan(paired_p(np.full(5, np.nan)))


# Claims


@pytest.mark.parametrize(
    ("values", "sign", "verdict"),
    [
        ((0.2, 0.1, 0.3, 0.001), 1, REPRODUCED),
        ((0.2, 0.1, 0.3, 0.001), -1, NOT_REPRODUCED),
        ((-0.2, -0.3, -0.1, 0.001), -1, REPRODUCED),
        ((0.2, 0.1, 0.3, 0.2), 1, UNDECIDABLE),
        ((0.2, -0.1, 0.3, 0.001), 1, UNDECIDABLE),
        ((np.nan, np.nan, np.nan, np.nan), 1, UNDECIDABLE),
    ],
)
def test_verdicts(values, sign, verdict):
    assert verdict_of(*values, sign) == verdict
    ours = {REPRODUCED: SUPPORTED, NOT_REPRODUCED: NOT_SUPPORTED}
    assert verdict_of(*values, sign, published=False) == ours.get(verdict, verdict)


def test_no_effect_is_a_claim_of_its_own():
    with pytest.raises(ValueError, match="Claims.equal"):
        verdict_of(0.0, -0.1, 0.1, 0.5, 0)


def test_claims_are_printed_and_stored(tmp_path, capsys):
    with Study("example", "?", {"n": 1}, {"n": 1}, ["--out", str(tmp_path)]) as study:
        claims = Claims(study)
        assert claims.add("rate: a - b", 0.2, np.linspace(0.1, 0.3, 100), 20, "permutation", 0.01, 1) == REPRODUCED
        claims.add("rate: c - d", 0.1, (-0.1, 0.3), 20, "McNemar", 0.4, 1)
        claims.report()
    text = (tmp_path / "claims.md").read_text()
    assert "| rate: a - b | +0.2 [+0.105, +0.295] | 20 | permutation | 0.01 | reproduced |" in text
    assert text in capsys.readouterr().out and "undecidable with this n" in (tmp_path / "claims.csv").read_text()


def test_one_of_several_claims_needs_a_smaller_p():
    """Of all three kinds: p is multiplied, at most to 1, the test is named so, and the verdict follows."""
    draws, equal = np.linspace(0.001, 0.3, 1000), np.linspace(-0.009, 0.009, 1000)
    for n_tests in (1, 2, 20, 2000):
        claims, decided = Claims(None), n_tests < 20
        claims.add("a", 0.15, draws, 1000, "test", 0.01, 1, published=False, n_tests=n_tests)
        claims.equal("a", 0.0, equal, 1000, "test", 0.01, n_tests=n_tests)
        claims.below("a", 0.0, (-0.01, 0.01), 1000, "test", 0.012, n_tests=n_tests)
        for row in claims.rows:
            assert row.verdict == (SUPPORTED if decided or row.p < 0.05 else UNDECIDABLE) and row.p <= 1
            assert row.test.removeprefix("equivalence, ") == ("test" if n_tests == 1 else f"test, Bonferroni {n_tests}")
        assert [row.p for row in claims.rows][:2] == pytest.approx([min(1, 0.01 * n_tests), min(1, 0.001 * n_tests)])
        assert {row.verdict for row in claims.rows} == ({SUPPORTED} if decided else {SUPPORTED, UNDECIDABLE} if n_tests == 20
                                                        else {UNDECIDABLE})  # fmt: skip


def test_draws_that_cannot_be_measured_decide_nothing():
    draws = np.linspace(0.1, 0.3, 100)
    draws[:6] = np.nan
    assert Claims(None).add("median: a - b", 0.2, draws, 20, "bootstrap", 0.01, 1) == UNDECIDABLE
    assert Claims(None).add("median: a - b", 0.2, draws[2:], 20, "bootstrap", 0.01, 1) == REPRODUCED
    claims, equal = Claims(None), np.zeros(1000)
    assert claims.equal("a", 0.0, equal, 1000, "bootstrap", 0.01) == SUPPORTED
    equal[:60] = np.nan
    assert claims.equal("a", 0.0, equal, 1000, "bootstrap", 0.01) == UNDECIDABLE
    assert claims.below("a", 0.0, (0.0, 0.0), 10, "test", 0.01) == UNDECIDABLE
    assert np.isnan([claims.rows[k].p for k in (1, 2)]).all() and np.isnan(claims.rows[1].low)


def published_study(**changes):
    return SimpleNamespace(**{"data": "coco", "m_f": 0.45, "width": 40 / 224, "duration_ms": 750} | changes)


def test_levels_are_compared_with_the_published_network_and_pictures_alone():
    assert is_published(published_study(), 11_193_492, (224, 224, 3))
    for change in ({"data": "search"}, {"m_f": 0.4}, {"width": 0.2}, {"duration_ms": 500}):
        assert not is_published(published_study(**change), 11_193_492, (224, 224, 3))
    assert not is_published(published_study(), 11_193_491, (224, 224, 3))
    assert not is_published(published_study(), 11_193_492, (112, 112, 3))


@pytest.mark.parametrize(
    ("comparable", "interval", "verdict"),
    [
        (True, (0.785, 0.815), REPRODUCED),
        (True, (0.74, 0.86), UNDECIDABLE),  # wider than the effects of cues, 0.044 at most
        (True, (0.81, 0.83), NOT_REPRODUCED),
        (True, (np.nan, np.nan), "no interval"),
        (False, (0.785, 0.815), "other network and pictures"),
    ],
)
def test_verdicts_on_levels(comparable, interval, verdict):
    table = Paper(None, SimpleNamespace(rows=[]), comparable)
    table.level("4C", "AUC, neutral", 0.8, *interval, 100, resolution("auc"))
    assert table.rows[0]["published"] == 0.797 and table.rows[0]["verdict"] == verdict


@pytest.mark.parametrize(
    ("comparable", "low", "high", "verdict"),
    [
        (True, 0.02, 0.06, REPRODUCED),  # published: 0.044
        (True, 0.1, 0.3, NOT_REPRODUCED),  # the direction alone
        (True, -0.02, 0.01, NOT_REPRODUCED),
        (True, -0.02, 0.06, UNDECIDABLE),
        (False, 0.1, 0.3, "same direction"),
        (False, -0.3, -0.1, "opposite direction"),
        (False, -0.02, 0.01, UNDECIDABLE),
    ],
)
def test_verdicts_on_differences(comparable, low, high, verdict):
    name, draws = "4C: AUC, output gain: valid - invalid", np.linspace(low, high, 2001)
    claims = Claims(None)
    claims.add(name, (low + high) / 2, (low, high), 600, "bootstrap", paired_p(draws), 1)
    table = Paper(None, claims, comparable)
    table.difference(name)
    assert table.rows[0]["published"] == pytest.approx(0.044) and table.rows[0]["verdict"] == verdict


def test_every_published_value_has_its_row(tmp_path):
    """Claims and the paper's table of made-up responses, in which valid cues help."""
    import pandas as pd

    made, strengths = responses(), dict.fromkeys(protocol.MECHANISMS, 0.3)
    made.n_draws = 250  # as many as three tests need
    fits = {"rdms": np.zeros((4, 780)), "partial": np.full((350, 2), 0.1), "partial_interval": np.zeros((2, 350, 2))}
    draws = {f"draws_{name}": np.full((250, 2), 0.1) for name in ("images", "pairs")}
    representations = dict.fromkeys(made.found, fits | draws)
    half = SimpleNamespace(targets=made.scenes.targets)
    scores, search = made.found["neutral"]["scores"], [("neutral", 0.0), *((m, 0.3) for m in protocol.MECHANISMS)]
    search = pd.DataFrame(search, columns=["mechanism", "strength"]).assign(auc=0.8, low=0.7, high=0.9)
    with Study("example", "?", {"n": 1}, {"n": 1}, ["--out", str(tmp_path)]) as study:
        study.first = study.second = half
        claims = measures.make_claims(study, made, representations)
        paper_table(study, claims, made, representations, search, strengths, (scores, scores), False)
    table = pd.read_csv(tmp_path / "from_the_paper.csv", dtype={"figure": str})
    assert list(zip(table.figure, table.quantity)) == list(published_values())
    np.testing.assert_allclose(table.published, list(published_values().values()), rtol=1e-5)
    assert {row.claim.split(": ")[0] for row in claims.rows} >= {"4B", "4C", "4D", "5C", "5D", "5E", "5F", "6E"}
    verdicts = {row.claim: row.verdict for row in claims.rows}
    later = "median detection time (ms), misses as censored (Kaplan-Meier), output gain: valid - invalid"
    assert (
        verdicts[later] == SUPPORTED
        and verdicts["4D: median detection time (ms), output gain: valid - invalid"] == REPRODUCED
    )
    assert verdicts["4B: detected targets, precision: valid / invalid - 1"] == UNDECIDABLE  # all but one in both


def test_an_effect_has_one_interval_in_claims_and_over_scenes():
    made = responses()
    effects = measures.valid_invalid_effects(made)
    photographs, strata = np.arange(len(made.scenes.targets)) % 4, measures.strata_of(made.scenes.targets)
    for name, measure in (("AUC, output gain", "auc"), ("rate (Hz), output gain", "rate_hz")):
        _, draws = made.difference(measure, "output_gain valid", "output_gain invalid")
        own = strata if measure == "auc" else None
        row = effect_row(name, effects[name], photographs, made.n_draws, own)
        assert (row["low_scenes"], row["high_scenes"]) == pytest.approx(draw_interval(draws))


def test_scenes_are_drawn_within_classes_of_five_or_more():
    many, few = np.repeat(range(4), 5), np.repeat(range(4), [5, 5, 5, 4])
    assert measures.strata_of(many) is many and measures.strata_of(few) is None


def test_a_median_after_the_end_is_not_known_to_be_earlier():
    """Half of the targets are missed, so many draws have no median within the trial."""
    found = measures._censored(np.r_[np.full(10, 300.0), np.full(9, np.nan)], 750, 400)
    assert found["value"] == 200 and found["high"] == np.inf
    assert measures._censored(np.full(9, np.nan), 750, 50)["value"] == np.inf


def test_detected_targets_are_compared_as_a_ratio(tmp_path):
    made = responses()
    made.found["output_gain invalid"]["times"][:14] = np.nan
    effect, draws = measures._ratio(made, "detection_ms", "output_gain")
    assert effect == pytest.approx(39 / 26 - 1) and draw_interval(draws)[0] > 0
