"""The published protocol of predictive feedback: counts, corrupted image, animation, objectives, and the table of verdicts."""

import io
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from locations import STUDIES

sys.path.insert(0, str(STUDIES))
pytest.importorskip("tensorflow")

import feedback_published
import predictive_feedback
from claims import NOT_REPRODUCED, REPRODUCED, UNDECIDABLE
from feedback_figures import published_gif
from feedback_published import Run, corrupted_example, dimmed_images, last_batch, measure, runs_of
from feedback_report import FULL_SIZE, UNLEARNED, from_the_paper, markdown
from published_reference import simulate_published

import brainsnn as bs
from brainsnn.training.predictive_measures import published_count
from brainsnn.training.predictive_vgg import predictive_vgg, spiking_layers

SPIKING = ("conv1", "conv2", "conv3", "generator1", "generator2", "prediction", "dense1", "dense2")


@pytest.fixture(scope="module")
def checkpoint():
    model = predictive_vgg(5, (8, 8, 1), 4, width=1 / 16, dense=(6, 5), published=True)
    rng = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([rng.normal(0.25, 0.3, w.shape) for w in layer.get_weights()])
    thresholds = dict(zip(SPIKING, (0.7, 3.0, 6.0, 3.0, 6.0, 4.0, 6.0, 1.5)))
    graph = bs.read_keras(model, spiking=spiking_layers(model))
    return model, {
        "graph": graph,
        "thresholds": thresholds,
        "leak": 1.0,
        "steps": 20,
        "ann": 0.5,
        "n_ann": 0,
        "parameters": 0,
    }


def test_a_network_that_was_trained_with_fewer_input_spikes_is_refused(tmp_path, checkpoint, monkeypatch):
    model, settings = checkpoint
    kept = {"thresholds": settings["thresholds"], "measures": {"ann": {"first_stage_accuracy": 0.5}}}
    monkeypatch.setattr(feedback_published.bs, "load_model", lambda path: model)
    for rate in (1.0, 0.9):
        monkeypatch.setattr(
            feedback_published, "read_settings", lambda path, rate=rate: kept | {"recipe": {"input_rate": rate}}
        )
        if rate == 1:
            assert feedback_published.load_network(tmp_path / "network.keras")["ann"] == 0.5
        else:
            with pytest.raises(ValueError, match="trained with an input rate of 0.9"):
                feedback_published.load_network(tmp_path / "network.keras")


def test_spike_count(checkpoint):
    """All neurons but the input, the last layer of the generator among them; errors and losses as published."""
    model, network = checkpoint
    images, labels = np.random.default_rng(1).integers(0, 2, (3, 8, 8, 1)).astype(float), np.array([0, 1, 2])
    expected = simulate_published(model, images, network["thresholds"], 20, 0.1)
    found = measure(images, labels, Run("objective 1", epsilon=0.1), {"feedback": network}, "runtime", 0)
    counts = {name: spikes.reshape(3, -1).sum(1) for name, spikes in expected["spikes"].items()}
    np.testing.assert_array_equal(found["spikes"], sum(counts.values()))
    assert counts["prediction"].all()
    np.testing.assert_array_equal(found["input_spikes"], (images[:, None] * expected["open"]).sum((1, 2, 3, 4)))
    p = 1 / (1 + np.exp(-expected["sums"][:, -1]))
    np.testing.assert_allclose(found["error"], ((p - images) ** 2).sum((1, 2, 3)), rtol=1e-5)
    np.testing.assert_array_equal(found["predicted"], (np.abs(2 * p - 1 - images) < 0.1).sum((1, 2, 3)))
    exp = np.exp(expected["logits"] - expected["logits"].max(1, keepdims=True))
    entropy = -np.log(exp[np.arange(3), labels] / exp.sum(1))
    np.testing.assert_allclose(found["cross_entropy"], entropy, rtol=1e-4, atol=1e-4)
    assert published_count({"input": 5.0, "conv1": 1.0, "pool1": 7.0, "prediction": 2.0}) == 3


def test_corrupted_image(checkpoint):
    """The sixth image of the last batch of 64, its upper half times 0.15, under objective 3; the class after every step."""
    assert [last_batch(np.zeros(n)) for n in (10_000, 64, 65, 3)] == [9984, 0, 64, 0]
    images = np.random.default_rng(0).random((70, 8, 8, 1))
    dimmed = dimmed_images(images)
    np.testing.assert_allclose(dimmed[:, :4], 0.15 * images[:, :4])
    np.testing.assert_array_equal(dimmed[:, 4:], images[:, 4:])
    found = corrupted_example(images, np.arange(70), checkpoint[1], "runtime", 0, [0.0, 0.1])
    assert (found["index"], found["label"]) == (69, 69)
    assert [len(found[f"epsilon {e}"]) for e in ("0", "0.1")] == [20, 20]


def test_gif():
    """Two grids, 8 digits a row; below, white is what is not predicted in this step; two frames per second."""
    from PIL import Image

    images = np.zeros((16, 4, 4, 1))
    images[:, 0, 0] = 1
    predictions = np.zeros((16, 3, 4, 4, 1))
    predictions[:, 1, 0, 0] = 0.95  # predicted in step 1 only
    gif = Image.open(io.BytesIO(published_gif(images, predictions, epsilon=0.2, scale=1)))
    assert gif.n_frames == 3 and gif.info["duration"] == 500
    height, width = 2 * (4 + 2) + 2, 8 * (4 + 2) + 2
    assert gif.size == (width, 20 + 2 * height)
    seen = []
    for t in range(3):
        gif.seek(t)
        frame = np.asarray(gif.convert("L")).astype(int)
        seen.append((frame[20 + 2, 2], frame[20 + height + 2, 2], frame[20 + height + 2, 3]))
    bright = [int(np.rint(255 * p)) for p in (0, 0.95, 0)]
    assert [s[0] for s in seen] == pytest.approx(bright, abs=2)
    assert [s[1:] for s in seen] == [(255, 0), (0, 0), (255, 0)]


def test_objective_2():
    """It has no code; the others keep their numbers."""
    names = [name for name, *_ in predictive_feedback.OBJECTIVES]
    assert names == ["none: gate open", "1: blocking", "3: contrast"]
    runs = {str(run) for run in runs_of([0.1])}
    assert {
        "plain",
        "no blocking",
        "objective 1, epsilon 0",
        "objective 1, epsilon 0.1",
        "objective 3, epsilon 0.1",
    } <= runs
    assert not any("objective 2" in run for run in runs)
    assert "has no code" in feedback_published.__doc__


def _measures(n, epsilon=0.1, **changes):
    rng = np.random.default_rng(0)
    found = {}
    for run in runs_of([epsilon]):
        spikes = changes.get(str(run), 1000.0) + rng.normal(0, 1, n)
        found[str(run)] = {
            "correct": np.ones(n),
            "cross_entropy": np.full(n, 0.04),
            "error": np.full(n, 163.375),
            "spikes": spikes,
        }
    return found


SPIKES = {"objective 1, epsilon 0": 3300.0, "objective 1, epsilon 0.1": 3069.0, "plain": 1000.0}
SMALL = {"plain": 1, "feedback": 2}


def _rows(measures, parameters=FULL_SIZE, epsilons=(0.0, 0.1), ann=0.9, n_ann=0):
    """Return the rows of the table by quantity."""
    common = {"ann": ann, "n_ann": n_ann}
    checkpoints = {name: common | {"parameters": n, "training": f"train {name}"} for name, n in parameters.items()}
    rows = from_the_paper(measures, checkpoints, SimpleNamespace(dataset="mnist"), epsilons, "run it")
    return {row["quantity"]: row for row in rows}


@pytest.mark.parametrize(("parameters", "absolute"), [(FULL_SIZE, "not reproduced"), (SMALL, "not comparable")])
def test_verdicts(parameters, absolute):
    """Only the published network on the published data can reproduce a figure; a ratio of another one has a direction."""
    rows = _rows(_measures(50, **SPIKES), parameters)
    verdicts = {quantity: row["verdict"] for quantity, row in rows.items()}
    assert verdicts["SNN plain: spikes per image, without input"].startswith(absolute)
    blocked = verdicts["spikes saved by blocking at epsilon 0.1 (%)"]
    assert blocked == ("reproduced" if parameters is FULL_SIZE else "same direction")
    unlearned = _measures(50, **SPIKES)
    unlearned["plain"]["correct"] = np.arange(50) < 30
    effect = _rows(unlearned, parameters)["spikes with feedback relative to plain"]["verdict"]
    assert (effect == UNLEARNED) == (parameters is not FULL_SIZE)
    if parameters is FULL_SIZE:
        assert verdicts["SNN no blocking: squared error per image"] == "reproduced"
    else:
        assert verdicts["accuracy lost by blocking (points)"] == "direction undecidable with this n"
    equal = rows["accuracy lost by blocking (points)"]
    assert (equal["low"], equal["high"]) == (-6, 6)  # no decision of 50 differs
    text = markdown(list(rows.values()))
    assert text.count("\n| ") == len(rows) and "    train plain\n    train feedback\n    run it\n" in text


def test_an_interval_that_is_too_wide_reproduces_nothing():
    """With 8 images, all of them right, the interval [67.6, 100] holds the published 99.35 %, and decides nothing."""
    few = _rows(_measures(8, **SPIKES))["SNN plain: accuracy (%)"]
    assert few["low"] < 68 and few["high"] == 100
    assert few["verdict"] == UNDECIDABLE
    many = _measures(1000, **SPIKES)
    for found in many.values():
        found["correct"][:7] = 0  # 99.3 % [98.6, 99.7]
    assert _rows(many)["SNN plain: accuracy (%)"]["verdict"] == REPRODUCED
    many["plain"]["spikes"] = np.where(np.arange(1000) % 2, 0.0, 2 * 116_808.1)
    assert _rows(many)["SNN plain: spikes per image, without input"]["verdict"] == UNDECIDABLE
    many["plain"]["spikes"] = np.where(np.arange(1000) % 2, 115_000.0, 2 * 116_808.1 - 115_000)
    assert _rows(many)["SNN plain: spikes per image, without input"]["verdict"] == REPRODUCED


def test_the_artificial_network_is_compared_where_its_test_images_are_known():
    measures, name = _measures(50, **SPIKES), "ANN plain: accuracy (%)"
    assert _rows(measures)[name]["verdict"] == "undecidable without an interval"
    row = _rows(measures, ann=0.9943, n_ann=10_000)[name]
    assert row["low"] < 99.43 < row["high"] and (row["n"], row["verdict"]) == (10_000, REPRODUCED)
    assert _rows(measures, ann=0.95, n_ann=10_000)[name]["verdict"] == NOT_REPRODUCED
    assert _rows(measures, ann=0.99, n_ann=100)[name]["verdict"] == UNDECIDABLE
    assert _rows(measures, SMALL, ann=0.9943, n_ann=10_000)[name]["verdict"].startswith("not comparable")


def test_few_errors_decide_no_cross_entropy_and_few_images_no_effect():
    """The loss of a good network is that of its errors: 0.86 % of 4.43 each are the published 0.0381."""
    name = "SNN no blocking: cross-entropy"
    for n_errors, verdict in ((0, UNDECIDABLE), (9, UNDECIDABLE), (40, NOT_REPRODUCED)):
        measures = _measures(1000, **SPIKES)
        wrong = np.arange(1000) < n_errors
        measures["no blocking"] |= {"correct": 1.0 * ~wrong, "cross_entropy": np.where(wrong, 4.43, 1e-6)}
        assert _rows(measures)[name]["verdict"] == verdict
    for n, small in ((4, "direction undecidable with this n"), (30, "same direction")):
        assert _rows(_measures(n, **SPIKES), SMALL)["spikes saved by blocking at epsilon 0.1 (%)"]["verdict"] == small


def test_an_effect_needs_an_interval_that_excludes_none():
    """0.09 points lost lie in the interval [-0.3, 0.3] of equal decisions, which holds 0, too."""
    lost = _rows(_measures(1000, **SPIKES))["accuracy lost by blocking (points)"]
    assert lost["low"] < 0.09 < lost["high"] and lost["verdict"] == UNDECIDABLE
    clear = _measures(10_000, **SPIKES)
    clear["objective 1, epsilon 0.1"]["correct"][:9] = 0
    assert _rows(clear)["accuracy lost by blocking (points)"]["verdict"] == REPRODUCED
    saved = _measures(1000, **SPIKES)
    random = np.random.default_rng(1).normal(0, 8000, 1000)  # an interval of twice what is saved and more
    saved["objective 1, epsilon 0.1"]["spikes"] += random - random.mean()
    row = _rows(saved)["spikes saved by blocking at epsilon 0.1 (%)"]
    assert row["low"] < 7 < row["high"] and row["verdict"] == UNDECIDABLE


def test_decisions_on_the_same_images_have_mcnemars_p():
    measures = _measures(1000, **SPIKES)
    measures["objective 1, epsilon 0.1"]["correct"][:8] = 0
    rows = _rows(measures, SMALL)
    lost = rows["accuracy lost by blocking (points)"]
    test, p = "McNemar, Bonferroni 4", 4 * 2 * 0.5**8
    assert (lost["test"], lost["p"]) == (test, p)
    assert lost["verdict"] == "same direction" and f"| {test} | {p:.3g} |" in markdown([lost])
    paired = [quantity for quantity, row in rows.items() if row["test"] == test]
    assert len(paired) == 4 and any("dimmed" in quantity for quantity in paired)
    # Five decisions that differ: the interval excludes 0, McNemar's test does not.
    measures["objective 1, epsilon 0.1"]["correct"][:3] = 1
    row = _rows(measures, SMALL)["accuracy lost by blocking (points)"]
    assert row["low"] > 0 and row["p"] > 0.05 and row["verdict"] == "direction undecidable with this n"


def test_effects_of_another_epsilon_were_never_published():
    both = {**_measures(50, 0.2, **SPIKES), **_measures(50, **SPIKES)}
    rows = _rows(both, epsilons=[0.0, 0.1, 0.2])
    assert rows["spikes saved by blocking at epsilon 0.1 (%)"]["published"] == 7.0
    rows = _rows(_measures(50, 0.2, **SPIKES), epsilons=[0.0, 0.2])
    other = ["spikes saved by blocking at epsilon 0.2 (%)", "accuracy lost by blocking (points)",
             "accuracy gained by contrast over blocking (points)"]  # fmt: skip
    assert all(np.isnan(rows[q]["published"]) and rows[q]["verdict"] == "never published" for q in other)
    assert rows["spikes with feedback relative to plain"]["published"] == pytest.approx(388_038.4 / 116_808.1)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--model vgg16", "choose one of vgg5, vgg9"), ("--dataset svhn", "choose one of digits"),
        ("--cost maybe", "neither 'yes' nor"), ("--snn-epochs 1", "must be 2 or more"),
        ("--weights none.keras", "none.keras does not exist"),
        ("--weights . --plain-weights . --width 0.9", "--width: 0.9 would be ignored"),
        ("--weights . --plain-weights . --model vgg9", "--model: vgg9 would be ignored"),
    ],
)  # fmt: skip
def test_refused(tmp_path, words, message, capsys):
    with pytest.raises(SystemExit):
        predictive_feedback.main(["--protocol", "published", *words.split(), "--out", str(tmp_path)])
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_from_training_to_table(tmp_path, capsys):
    """A tiny study: it trains both networks, evaluates all objectives, and writes every file."""
    words = (
        "--protocol published --n-images 6 --chunk 6 --processes 1 --train-images 64 --ann-epochs 2 --snn-epochs 2 "
        "--width 0.03125 --device cpp_standalone"
    )
    predictive_feedback.main([*words.split(), "--out", str(tmp_path)])
    for name in (
        "table.csv",
        "from_the_paper.csv",
        "from_the_paper.md",
        "corrupted_image.csv",
        "predictions.gif",
        "record.json",
    ):
        assert (tmp_path / name).stat().st_size > 0, name
    out = capsys.readouterr().out
    assert "| spikes saved by blocking at epsilon 0.1 (%) | 7 |" in out
    run = f"    python studies/predictive_feedback.py {' '.join(words.split())} --out {tmp_path}\n"
    assert (
        run in out and "--variant plain" in out and out.count("    python -m brainsnn.training.train_predictive") == 2
    )


@pytest.mark.parametrize("variant", ["plain", "feedback"])
def test_trainings_of_the_study_are_accepted(variant, tmp_path, monkeypatch):
    """No option is given that the variant does not use."""
    from brainsnn.training.predictive_options import parse_options

    seen = []
    monkeypatch.setattr("brainsnn.training.train_predictive.main", lambda words: seen.append(parse_options(words)))
    parameters = SimpleNamespace(
        model="vgg5", dataset="digits", width=0.125, train_images=64, snn_images=32, ann_epochs=2, snn_epochs=2
    )
    feedback_published.trained(SimpleNamespace(parameters=parameters, folder=tmp_path, seed=0), variant)
    assert seen[0].variant == variant and seen[0].width == 0.125
