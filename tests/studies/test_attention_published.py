"""The published protocol of spatial attention: cues, halves, fields, and a whole run."""

import json
import math
import shutil
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from locations import ROOT

import brainsnn as bs
from brainsnn.equations import transfer_function

sys.path.insert(0, str(ROOT / "studies"))

import attention_neurons as single
import attention_protocol as protocol
import attention_published as published
from attention_paper import published_values
from claims import NOT_REPRODUCED, REPRODUCED, UNDECIDABLE

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


def test_schedule_pooling_readouts_and_sizes_are_the_published_ones():
    graph = bs.read_keras(bs.load_model("search_post"), average_pooling="membrane")
    assert graph.averages_membranes
    snn = protocol.make_network(graph, 0.45, "runtime")
    assert snn.schedule == "synchronous" and set(np.unique(snn["behind"].m_f[:])) == {np.float32(0.45)}
    middle, last = protocol.analysed_layers(graph)
    assert snn.graph.populations["behind"].reads == snn.graph.populations["field"].reads == middle
    assert protocol.make_network(graph, 0.45, "runtime", True).graph.populations["representation"].reads == last
    names = ("duration_ms", "width", "m_f", "n_per_class", "n_averages", "n_draws", "n_permutations")
    assert [published.FULL[name] for name in names] == [750, 40 / 224, 0.45, 50, 16, 500, 10_000]
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
    with pytest.raises(ValueError, match="50 are needed; give more --n-scenes or a smaller --n-per-class"):
        protocol.rdm_scenes(scenes, 50, 0)


def test_invalid_cues_of_rdms_come_from_all_scenes():
    """The permutation is over all selected scenes, as published, not over those of the RDMs alone."""
    scenes = protocol.joined(*protocol.load_halves(SimpleNamespace(data="search", n_scenes=200), 56, 1))
    chosen = protocol.rdm_scenes(scenes, 2, 0)
    index = [np.flatnonzero((scenes.images == image).all(axis=(1, 2, 3)))[0] for image in chosen.images]
    others = scenes.valid[np.random.RandomState(1).permutation(len(scenes.valid))][index]
    far = np.linalg.norm(others - chosen.valid, axis=1) >= 0.5
    assert far.any()
    np.testing.assert_array_equal(chosen.invalid[far], others[far])


@pytest.fixture(scope="module")
def coco(tmp_path_factory):
    """Arguments for COCO's files, made up."""
    pytest.importorskip("pycocotools")
    from coco_files import write_coco

    from brainsnn.stimuli.coco import STREET, select, write_selection

    folder = tmp_path_factory.mktemp("coco")
    write_selection(select(write_coco(folder / "coco", n_train=80, n_val=160), STREET), folder / "street.json")
    return {"data": "coco", "scenes": str(folder / "street.json"), "photographs": str(folder / "coco")}


def files_of(coco):
    return [word for name, value in coco.items() for word in (f"--{name}", value)]


def test_all_scenes_of_coco_or_a_stratified_draw(coco):
    """All by default of a complete run, as published; a number is drawn from the whole file, not from its beginning."""
    everything = SimpleNamespace(
        **coco, n_scenes=published.defaults_for(published.FULL, True)["n_scenes"], interpolation="nearest"
    )
    some = SimpleNamespace(**coco, n_scenes=40, interpolation="nearest")
    whole, drawn = (protocol.load_halves(parameters, 12, 1) for parameters in (everything, some))
    stored = [picture.half for picture in published.read_selection(coco["scenes"]).test]
    for half, part, name in zip(whole, drawn, ("search", "test")):
        assert len(half.targets) == stored.count(name) and len(part.targets) == 20
        expected = 20 * np.bincount(half.targets, minlength=8) / len(half.targets)
        assert (abs(np.bincount(part.targets, minlength=8) - expected) <= 1).all()
        assert not np.array_equal(part.valid, half.valid[:20])
    some.n_scenes = 9_999
    with pytest.raises(ValueError, match="Use at most these"):
        protocol.load_halves(some, 12, 1)


def test_the_record_says_which_scenes():
    def said(data, n_scenes):
        half = SimpleNamespace(targets=range(3))
        study = SimpleNamespace(parameters=SimpleNamespace(data=data, n_scenes=n_scenes), first=half, second=half, seed=0,
                                kind="scenes")  # fmt: skip
        return published.scenes_in_words(study)

    assert said("coco", 0) == "3 and 3 scenes: all of the file"
    assert said("coco", 6).endswith("drawn from the file, stratified by target, with seed 1")
    assert said("search", 6).endswith("made with seed 1")


def test_interpolation_is_that_of_the_arguments(coco):
    halves = [
        protocol.load_halves(SimpleNamespace(**coco, n_scenes=40, interpolation=how), 12, 1)[0]
        for how in ("nearest", "bilinear")
    ]
    np.testing.assert_array_equal(halves[0].valid, halves[1].valid)
    assert len(np.unique(halves[1].images)) > len(np.unique(halves[0].images))  # means of pixels


def test_potentials_that_do_not_fit_on_the_disk_are_refused(tmp_path):
    graph = bs.read_keras(bs.load_model("search_post"), average_pooling="membrane")
    trial = {"duration_ms": 750}
    assert protocol.n_bytes_of(graph, 400, trial) == 750 * 400 * 4 * 4 * 96 * 4
    protocol.check_space(graph, 1, trial, tmp_path)
    with pytest.raises(
        OSError, match=r"need 4\.61e\+06 GB in .* GB are free\. .* --out, or give a smaller --n-per-class"
    ):
        protocol.check_space(graph, 10**9, trial, tmp_path)


# Published choices


def test_readers_of_undefined_heights_never_fire():
    """At m = 0 the published h is 0/0: all that a convolution reads from there is not a number."""
    graph = bs.read_keras(bs.load_model("search_post"), average_pooling="membrane")
    first, second = "stage1_block1_asn1", "stage1_block1_asn2"
    shape, model = graph.populations[first].shape, bs.ASN(m_f=0.45)
    widths = protocol.pixel_widths(graph, protocol.residual_layers(graph), 10)
    attention = protocol.UndefinedHeights([0.3, 0.3], widths, 0.75, graph)
    values = {"m_f": np.full(np.prod(shape), 0.45), "h": np.full(np.prod(shape), 0.498)}
    zero = attention.parameters_for(first, shape, values, model)["m_f"].reshape(shape) == 0
    found = attention.parameters_for(second, shape, values, model)["m_f"].reshape(shape)
    near = np.pad(zero.any(axis=2), 1)
    around = np.any([near[r : r + shape[0], c : c + shape[1]] for r in range(3) for c in range(3)], axis=0)
    assert 0 < zero.sum() < zero.size / 4
    np.testing.assert_array_equal(found, np.where(around[..., None], protocol.NEVER, 0.45) * np.ones(shape))
    weak = protocol.UndefinedHeights([0.3, 0.3], widths, 0.3, graph)
    np.testing.assert_array_equal(weak.parameters_for(second, shape, values, model)["m_f"], 0.45)


def test_both_foldings_of_batch_normalization_can_be_read():
    model = bs.load_model("search_post")
    graphs = [protocol.read_network(model, how) for how in published.FOLDINGS]
    one, other = (graph.incoming("stage1_block1_asn1")[0].operator.kernel for graph in graphs)
    assert np.abs(one - other).max() > 0 and published.COMMON["batch_norm"] == "exact"


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


# The command


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "imagenet"], "choose one of search, coco"),
        (["--data", "coco"], "coco needs --scenes"),
        (["--duration-ms", "300"], "is too short"),
        (["--n-scenes", "10"], "give 40 or more"),
        (["--n-draws", "100"], "can decide no claim that is one of 6; give 241 or more"),
        (["--faults", "some"], "choose one of yes, no"),
        (["--n-networks", "2", "--model", "own.keras"], "leave out --data and --model"),
        (["--n-networks", "2", "--network", "search"], "leave out one of the two"),
        (
            ["--scenes", "s.json", "--photographs", "COCO"],
            "--scenes: s.json would be ignored; it is for photographs: give --data coco",
        ),
        (["--photographs", "COCO"], "--photographs: COCO would be ignored"),
        (["--interpolation", "bilinear"], "--interpolation: bilinear would be ignored"),
        (["--interpolation", "cubic"], "choose one of nearest, bilinear"),
        (["--batch-norm", "folded"], "--batch-norm: 'folded'; choose one of exact, published"),
        (["--weights", "w.h5"], "--weights: w.h5 would be ignored; give --model as well"),
        (["--network", "search", "--model", "own.keras"], "--network: search would be ignored"),
        (["--training-epochs", "3"], "--training-epochs: 3 would be ignored; networks are trained with --n-networks"),
        (["--network", "nothing"], "nothing.keras"),
        (["--network", "digits"], "Give a --model that was trained on them"),
        (["--n-per-class", "50"], "scenes of class 0, and 50 are needed; give more --n-scenes"),
    ],
)
def test_bad_arguments(tmp_path, capsys, arguments, message):
    """They are refused before anything is computed, and before the record of an earlier run is removed."""
    import spatial_attention

    (tmp_path / "record.json").write_text("{}")
    with pytest.raises(SystemExit):
        spatial_attention.main(["--protocol", "published", "--out", str(tmp_path), *arguments])
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["record.json"]


def test_a_network_for_other_pictures_is_refused(tmp_path, coco, capsys):
    import spatial_attention

    model = ["--model", str(ROOT / "weights" / "search_post.keras")]
    with pytest.raises(SystemExit):
        spatial_attention.main(
            ["--protocol", "published", "--out", str(tmp_path), *files_of(coco), *model, "--n-scenes", "40"]
        )
    assert "Give a --model that was trained on them" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


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
    shutil.copy(ROOT / "weights" / "search_post.keras", tmp_path / "networks" / "search_post_1_16_epochs.keras")
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
        "published_choices",
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
    assert len(photographs) == 18 and photographs.n_scenes.between(20, 40).all()
    assert "cannot decide" in record["headline"]["photographs"]
    order = pd.read_csv(tmp_path / "rank_order.csv").set_index(["measure", "seed"])
    # The second network is a copy of the first one, so it finds the same.
    np.testing.assert_allclose(order.loc[("auc", 0), list(protocol.MECHANISMS)].astype(float),
                               order.loc[("auc", 1), list(protocol.MECHANISMS)].astype(float))  # fmt: skip
    rates = pd.read_csv(tmp_path / "rates_and_faults.csv")
    assert len(rates) == 14 and np.allclose(rates.rate_hz_as_printed, rates.rate_hz * 500 / 450, rtol=1e-4)
    choices = pd.read_csv(tmp_path / "published_choices.csv").set_index("choice")
    assert len(choices) == 4 and choices.auc.between(0.3, 1).all()
    assert choices.network_rate_hz["exact"] != choices.network_rate_hz["published"]
    assert choices.network_rate_hz["h at m = 0.001"] > choices.network_rate_hz["published: 0/0"]
    assert record["headline"]["scenes"] == "30 and 30 search scenes, made with seed 1"
    assert not (tmp_path / "units").exists()
    behaviour = pd.read_csv(tmp_path / "behaviour.csv").set_index(["condition", "measure"]).value
    assert (
        behaviour["neutral", "auc"] == pytest.approx(behaviour["precision valid", "auc"], abs=0.2)
        and behaviour["ANN", "auc"] > 0.6
    )


@pytest.mark.slow
def test_the_published_protocol_on_photographs(tmp_path, coco):
    """COCO's files, made up, and an untrained network of the published architecture for small pictures."""
    import keras
    import pandas as pd
    import spatial_attention

    from brainsnn.training import asn_resnet

    keras.utils.set_random_seed(0)
    asn_resnet(18, classes=8, input_shape=(36, 36, 3), width=4).save(tmp_path / "model.keras")
    spatial_attention.main([
        "--protocol", "published", *files_of(coco), "--model", str(tmp_path / "model.keras"), "--out", str(tmp_path / "out"),
        "--n-scenes", "40",
        "--strengths", "0.3", "--n-averages", "1", "--n-per-class", "2", "--n-draws", "250", "--n-permutations", "50",
        "--duration-ms", "450",
    ])  # fmt: skip
    paper = pd.read_csv(tmp_path / "out" / "from_the_paper.csv")
    # The network is another one: its levels get no verdict.
    assert not set(paper.verdict) & {REPRODUCED, NOT_REPRODUCED} and len(paper) == len(published_values())
