"""The published protocol of spatial attention: cues, halves, fields, measures, verdicts, and a whole run."""

import json
import math
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from locations import ROOT

import brainsnn as bs
from brainsnn.analysis import draw_interval, smoothed_response, target_auc
from brainsnn.equations import transfer_function

sys.path.insert(0, str(ROOT / "studies"))

import attention_measures as measures
import attention_neurons as single
import attention_protocol as protocol
import attention_published as published
from attention_paper import Paper, is_published, paper_table, published_values, resolution
from claims import NOT_REPRODUCED, NOT_SUPPORTED, REPRODUCED, SUPPORTED, UNDECIDABLE, Claims, paired_p, verdict_of
from common import Study

RANDOM = np.random.default_rng(0)


def test_halves_and_cues_of_the_shipped_scenes():
    first, second = protocol.load_halves(SimpleNamespace(data="search", n_scenes=60), 56, 1)
    assert abs(np.bincount(first.targets, minlength=10) - np.bincount(second.targets, minlength=10)).max() <= 1
    for half in (first, second):
        assert (np.linalg.norm(half.valid - half.invalid, axis=1) >= 0.5).all()


@pytest.mark.parametrize(
    ("rows", "width", "central", "corner"),
    [
        (56, 0.1786, 0.667, 0.815),
        (28, 0.1786, 0.661, 0.812),
        (14, 0.2143, 0.544, 0.763),
        (7, 0.2857, 0.392, 0.647),
    ],
)
def test_fields_are_the_published_ones(rows, width, central, corner):
    """Widths and largest modulations for 40 pixels of 224."""
    found = [bs.GaussianField(cue, math.ceil(40 / (224 / rows)) / rows).modulation((rows, rows, 1)).max()
             for cue in ((0.5, 0.5), (0.1, 0.1))]  # fmt: skip
    assert found == [pytest.approx(central, abs=6e-4), pytest.approx(corner, abs=6e-4)]
    assert math.ceil(40 / (224 / rows)) / rows == pytest.approx(width, abs=5e-5)


def test_eight_layers_are_attended_and_those_behind_the_published_ones_analysed():
    graph = bs.read_keras(bs.load_model("search_post"), average_pooling="membrane")
    assert protocol.residual_layers(graph) == [f"stage{s}_block{b}_asn1" for s in (1, 2, 3, 4) for b in (1, 2)]
    assert protocol.analysed_layers(graph) == ("stage3_block2_asn1", "stage4_block2_asn2")


def test_schedule_pooling_readouts_and_grid_are_the_published_ones():
    graph = bs.read_keras(bs.load_model("search_post"), average_pooling="membrane")
    assert graph.averages_membranes
    snn = protocol.make_network(graph, 0.45, "runtime")
    assert snn.schedule == "synchronous" and set(np.unique(snn["behind"].m_f[:])) == {np.float32(0.45)}
    middle, last = protocol.analysed_layers(graph)
    assert snn.graph.populations["behind"].reads == snn.graph.populations["field"].reads == middle
    assert protocol.make_network(graph, 0.45, "runtime", True).graph.populations["representation"].reads == last
    full = published.FULL
    assert full["strengths"] == [0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75]
    names = ("duration_ms", "width", "m_f", "n_per_class", "n_averages", "n_draws", "n_permutations")
    assert [full[name] for name in names] == [750, 40 / 224, 0.45, 50, 16, 500, 10_000]
    assert (protocol.ONSET_MS, protocol.EVALUATION_MS, protocol.BACKGROUNDS["coco"]) == (100, 250, 0.5)


def test_average_images_are_means_of_25_training_scenes():
    parameters = SimpleNamespace(data="search", n_averages=2)
    images = protocol.average_images(parameters, 56, 4)
    scenes = protocol.load_search_scenes(50, "train", seed=4).images
    np.testing.assert_allclose(images, [scenes[:25].mean(axis=0), scenes[25:].mean(axis=0)], atol=1e-6)


def test_rdm_scenes_hold_each_class_in_order():
    scenes = protocol.joined(*protocol.load_halves(SimpleNamespace(data="search", n_scenes=80), 56, 1))
    chosen = protocol.rdm_scenes(scenes, 2, 0)
    assert chosen.targets.tolist() == np.repeat(np.arange(10), 2).tolist()
    assert (np.linalg.norm(chosen.valid - chosen.invalid, axis=1) >= 0.5).all()
    with pytest.raises(ValueError, match="are needed; add scenes"):
        protocol.rdm_scenes(scenes, 50, 0)


# Single neurons


def test_transfer_curves_of_single_neurons():
    """The mean potential of the next neuron is the transfer function, scaled by the gains."""
    curves = single.transfer_curves(500, 250)
    k = np.flatnonzero(np.isin(single.CURRENTS, (1, 2, 4)))
    neutral = transfer_function(single.CURRENTS[k], 0.45)
    np.testing.assert_allclose(curves["input_gain"][1][0][k], neutral, rtol=0.12)
    for panel in ("input_gain", "output_gain"):
        np.testing.assert_array_equal(curves[panel][1], curves["precision"][1])
    for setting, factor in ((0, 0.833), (2, 1.278)):
        np.testing.assert_allclose(curves["output_gain"][setting][0], factor * curves["output_gain"][1][0], rtol=1e-9)
    sd = [curves["precision"][k][1][8:].mean() for k in range(3)]
    assert sd[0] > sd[1] > sd[2]  # more precise neurons vary less


def test_traces_of_single_neurons():
    rows = single.traces()
    spikes = {name: [len(row["spikes"]) for row in found] for name, found in rows.items()}
    assert len(set(spikes["output_gain"])) == 1 and spikes["precision"][0] < spikes["precision"][2]
    assert all((row["spikes"] >= 25).all() for found in rows.values() for row in found)


# Measures


def responses(n=40, gain=0.3, seed=0):
    """Made-up responses in which valid cues help, and invalid ones harm."""
    random, targets = np.random.default_rng(seed), np.arange(n) % 4
    noise = random.random((n, 4))
    bumps = np.clip(np.arange(400) - 120, 0, 60) / 60
    found = {}
    for k, name in enumerate(["neutral", *(f"{m} {cue}" for m in protocol.MECHANISMS for cue in protocol.CUES)]):
        help_ = 0 if k == 0 else gain * (1 if k % 2 else -1)
        late = 10 * help_
        activity = random.poisson(1 + (6 + 8 * help_) * np.clip(np.roll(bumps, int(-20 * help_)), 0, 1), (n, 400))
        found[name] = {
            "scores": noise + (0.3 + help_) * np.eye(4)[targets], "times": np.full(n, 300.0 - late) + random.normal(size=n),
            "rates": random.random(n), "output": np.repeat(noise[:, None], 400, axis=1), "activity": activity,
            "potential": 0.1 * activity.astype(float),
        }  # fmt: skip
        found[name]["times"][0] = np.nan
    scenes = protocol.Scenes(
        np.zeros((n, 2, 2, 1)), targets, np.eye(4)[targets], *np.zeros((2, n, 2)), np.tile(list("abcde"), n)[:n]
    )
    baselines = {name: random.poisson(1, (3, 400)) for name in found}
    return measures.Responses(found, scenes, 16, baselines, 60)


def test_measures_are_those_of_the_protocol():
    made = responses()
    values = made.found["neutral"]
    n = len(made.scenes.targets)
    assert made.draws("auc", "neutral")[0] == pytest.approx(target_auc(values["scores"], made.scenes.targets))
    assert made.draws("detection_ms", "neutral")[0] == pytest.approx(np.nanmedian(values["times"]) - 100)
    rate = values["activity"][:, 250:].sum() / n / 16 / 0.150
    assert made.draws("rate_hz", "neutral")[0] == pytest.approx(rate)
    assert made.draws("potential", "neutral")[0] == pytest.approx(values["potential"][:, 250:].mean() / 16)
    response = smoothed_response(values["activity"])
    assert response[:, 50:100].mean() == pytest.approx(0, abs=1e-9)
    assert np.isfinite(made.draws("latency_ms", "neutral")[0])


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
    assert paired_p(np.ones(200), 3) == pytest.approx(0.03)
    assert paired_p(np.r_[np.ones(50), -np.ones(50)]) == 1
    assert np.isnan(paired_p(np.full(5, np.nan)))


def test_modulation_and_its_published_interval(tmp_path):
    made = responses()
    made.found["precision valid"]["output"] = made.found["neutral"]["output"] + np.eye(4)[made.scenes.targets][:, None]
    with Study("example", "?", {"n": 1}, {"n": 1}, ["--out", str(tmp_path)]) as study:
        table = measures.modulation_table(study, made).set_index(["condition", "outputs", "interval"])
    assert len(table) == 18 and table.loc[("precision valid", "target", "all classes"), "change"] == pytest.approx(1)
    assert table.loc[("precision valid", "others", "as published"), "change"] == pytest.approx(0, abs=1e-9)


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


def test_draws_that_cannot_be_measured_decide_nothing():
    draws = np.linspace(0.1, 0.3, 100)
    draws[:6] = np.nan
    assert Claims(None).add("median: a - b", 0.2, draws, 20, "bootstrap", 0.01, 1) == UNDECIDABLE
    assert Claims(None).add("median: a - b", 0.2, draws[2:], 20, "bootstrap", 0.01, 1) == REPRODUCED


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


def test_detected_targets_are_compared_as_a_ratio(tmp_path):
    made = responses()
    made.found["output_gain invalid"]["times"][:14] = np.nan
    effect, draws = measures._ratio(made, "detection_ms", "output_gain")
    assert effect == pytest.approx(39 / 26 - 1) and draw_interval(draws)[0] > 0


# The command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "imagenet"], "choose one of search, coco"),
        (["--data", "coco"], "coco needs --scenes"),
        (["--duration-ms", "300"], "is too short"),
        (["--n-scenes", "10"], "give 40 or more"),
        (["--n-draws", "100"], "give 250 or more"),
        (["--faults", "some"], "choose one of yes, no"),
        (["--n-networks", "2", "--model", "own.keras"], "leave out --data and --model"),
    ],
)
def test_bad_arguments(tmp_path, capsys, arguments, message):
    import spatial_attention

    with pytest.raises(SystemExit):
        spatial_attention.main(["--protocol", "published", "--out", str(tmp_path), *arguments])
    assert message in capsys.readouterr().err


def test_unknown_protocols_are_refused(tmp_path, capsys):
    import spatial_attention

    with pytest.raises(SystemExit):
        spatial_attention.main(["--protocol", "long", "--out", str(tmp_path)])
    assert "choose short or published" in capsys.readouterr().err


@pytest.mark.slow
def test_the_published_protocol(tmp_path):
    import pandas as pd
    import spatial_attention

    (tmp_path / "networks").mkdir()
    shutil.copy(ROOT / "weights" / "search_post.keras", tmp_path / "networks" / "search_post_1.keras")
    spatial_attention.main([
        "--protocol", "published", "--out", str(tmp_path), "--n-scenes", "60", "--strengths", "0.3", "--n-averages", "1",
        "--n-per-class", "2", "--n-draws", "250", "--n-permutations", "50", "--duration-ms", "450", "--faults", "yes",
        "--n-networks", "2",
    ])  # fmt: skip
    record = json.loads((tmp_path / "record.json").read_text())
    figures = ["figure1_transfer", "figure1_traces", "figure2", "figure3", "figure4", "figure5", "figure6"]
    tables = [
        "strengths",
        "behaviour",
        "comparisons",
        "rates_and_faults",
        "rdm_fits",
        "power",
        "claims",
        "from_the_paper",
        "photographs",
        "rank_order",
    ]
    for name in [*(f"{f}.png" for f in figures), *(f"{t}.csv" for t in tables), "claims.md", "from_the_paper.md"]:
        assert (tmp_path / name).stat().st_size > 0 and name in record["files"]
    paper = pd.read_csv(tmp_path / "from_the_paper.csv")
    assert list(zip(paper.figure, paper.quantity)) == list(published_values())
    assert set(paper.verdict) <= {"same direction", "opposite direction", UNDECIDABLE, "other network and pictures"}
    photographs = pd.read_csv(tmp_path / "photographs.csv")
    assert len(photographs) == 15 and photographs.n_scenes.between(20, 40).all()
    assert "cannot decide" in record["headline"]["photographs"]
    order = pd.read_csv(tmp_path / "rank_order.csv").set_index(["measure", "seed"])
    # The second network is a copy of the first one, so it finds the same.
    np.testing.assert_allclose(order.loc[("auc", 0), list(protocol.MECHANISMS)].astype(float),
                               order.loc[("auc", 1), list(protocol.MECHANISMS)].astype(float))  # fmt: skip
    rates = pd.read_csv(tmp_path / "rates_and_faults.csv")
    assert len(rates) == 14 and np.allclose(rates.rate_hz_as_printed, rates.rate_hz * 500 / 450, rtol=1e-4)
    behaviour = pd.read_csv(tmp_path / "behaviour.csv").set_index(["condition", "measure"]).value
    assert (
        behaviour["neutral", "auc"] == pytest.approx(behaviour["precision valid", "auc"], abs=0.2)
        and behaviour["ANN", "auc"] > 0.6
    )


@pytest.mark.slow
def test_the_published_protocol_on_photographs(tmp_path):
    """COCO's files, made up, and an untrained network of the published architecture for small pictures."""
    import keras
    import pandas as pd
    import spatial_attention
    from coco_files import write_coco

    from brainsnn.stimuli.coco import STREET, select, write_selection
    from brainsnn.training import asn_resnet

    write_selection(select(write_coco(tmp_path / "coco", n_train=80, n_val=160), STREET), tmp_path / "street.json")
    keras.utils.set_random_seed(0)
    asn_resnet(18, classes=8, input_shape=(36, 36, 3), width=4).save(tmp_path / "model.keras")
    spatial_attention.main([
        "--protocol", "published", "--data", "coco", "--scenes", str(tmp_path / "street.json"), "--photographs",
        str(tmp_path / "coco"), "--model", str(tmp_path / "model.keras"), "--out", str(tmp_path / "out"), "--n-scenes", "40",
        "--strengths", "0.3", "--n-averages", "1", "--n-per-class", "2", "--n-draws", "250", "--n-permutations", "50",
        "--duration-ms", "450",
    ])  # fmt: skip
    paper = pd.read_csv(tmp_path / "out" / "from_the_paper.csv")
    # The network is another one: its levels get no verdict.
    assert not set(paper.verdict) & {REPRODUCED, NOT_REPRODUCED} and len(paper) == len(published_values())
