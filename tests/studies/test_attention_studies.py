"""Functions of the attention studies, and the closed loop: without a goal it must not change a single spike."""

import sys
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from locations import ROOT
from numpy.testing import assert_allclose, assert_array_equal

import brainsnn as bs
from brainsnn.analysis import target_auc
from brainsnn.stimuli import load_search_scenes

sys.path.insert(0, str(ROOT / "studies"))

import closed_loop_attention as loop


def test_interpolation_keeps_constants_and_places():
    weights = loop.interpolation(7, 28)
    assert_allclose(weights.sum(axis=1), 1)
    assert weights.min() >= 0
    assert_array_equal(loop.interpolation(7, 7), np.eye(7))
    assert_array_equal(loop.interpolation(1, 3), np.ones((3, 1)))


def test_detection_auc_of_all_and_of_a_sample():
    statistic = loop.detection_auc(np.array([0.9, 0.4]), np.array([0.5, 0.1]))
    assert statistic(np.arange(2)) == 0.75
    assert statistic(np.array([0, 0])) == 1.0
    assert statistic(np.array([1, 0])) == 0.75
    assert statistic(np.array([0, 0, 1])) == pytest.approx(7 / 9)  # drawn photographs have other numbers of scenes


def test_absent_classes_are_absent():
    scenes = load_search_scenes(20)
    assert (scenes.labels[np.arange(20), loop.draw_absent(scenes, 0)] == 0).all()


@pytest.fixture(scope="module")
def search_model():
    return bs.load_model(ROOT / "weights" / "search.keras")


def test_the_shipped_network_leaves_room_for_attention(search_model):
    scenes = load_search_scenes(300, seed=5)
    outputs = search_model.predict(scenes.images, batch_size=100, verbose=0)
    assert 0.78 < target_auc(outputs, scenes.targets, scenes.labels) < 0.91  # see the card for 2,000 scenes


@pytest.mark.slow
def test_loop_without_a_goal_changes_nothing(search_model):
    parameters = SimpleNamespace(strength=0.5, tau_ms=50, sigma=0.02)
    scenes, outputs, n_spikes = load_search_scenes(3), [], []
    for closed in (False, True):
        snn = bs.convert(search_model, neuron=loop.searching_neuron(0.45), device="cpp_standalone")
        if closed:
            loop.close_the_loop(snn, search_model, parameters)
        result = snn.run(scenes.images, duration=120 * bs.ms)
        outputs.append(result.output)
        n_spikes.append(result.spike_counts)
    assert_array_equal(*outputs)
    # the same compiled network with a goal: its second trial equals the first trial of another run, so no state is left over
    snn.set_parameters("readout", goal=np.eye(10)[scenes.targets[1]])
    searched = snn.run(scenes.images, duration=120 * bs.ms)
    alone = snn.run(scenes.images[1:2], duration=120 * bs.ms)
    assert any((searched.spike_counts[name] != n_spikes[1][name]).any() for name in loop.ATTENDED)
    assert_array_equal(searched.output[1], alone.output[0])


def test_rates_are_compared_in_attended_layers_and_after_them(tmp_path):
    """A cue that doubles the rates of attended layers alone."""
    from common import Study
    from spatial_attention import report_rates

    random = np.random.default_rng(1)
    neutral = {f"{where}/conv{k}": random.uniform(1, 3, 20) for where in ("own", "inside") for k in (1, 2)}
    neutral["own/conv1"][0] = neutral["inside/conv2"][3] = np.nan
    activities = {"neutral": neutral}
    for mechanism in ("precision", "input_gain", "output_gain"):
        activities[f"{mechanism} valid"] = {
            key: values * (2 if key.startswith("own") else random.uniform(0.9, 1.1, 20))
            for key, values in neutral.items()
        }
    with Study("example", "?", {"n": 1}, {"n": 1}, ["--out", str(tmp_path)]) as study:
        report_rates(study, activities)
    table = pd.read_csv(tmp_path / "claims.csv")
    inside, after = table[table.claim.str.contains(" in the")], table[table.claim.str.contains(" after the")]
    assert len(inside) == len(after) == 3 and set(table.n) == {20}
    assert_allclose(inside[["effect", "low", "high"]], 1)
    assert set(inside.verdict) == {"supported"}
    assert (after.effect.abs() < 0.05).all() and set(after.verdict) == {"undecidable with this n"}


@pytest.mark.parametrize(("n", "equal"), [(40, "undecidable with this n"), (1000, "supported")])
def test_the_loop_and_its_controls_are_compared(tmp_path, n, equal):
    """A loop and an oracle that find each target are better than an open loop; equality of a uniform gain needs many scenes."""
    from common import Study

    random = np.random.default_rng(0)
    scenes = SimpleNamespace(
        targets=random.integers(0, 5, n), photographs=np.array(["a", "b", "c", "d"])[np.arange(n) % 4]
    )
    absent, plain = np.full(n, 7), random.random((n, 10))
    better = plain + np.eye(10)[scenes.targets]
    scores = {"none": plain, "target": better, "absent": plain}
    found = {name: {"scores": values, "late": plain} for name, values in scores.items()}
    controls = {"oracle": better, "wrong scene": plain - np.eye(10)[scenes.targets], "uniform": plain}
    controls = {name: {"scores": values, "late": values} for name, values in controls.items()}
    with Study("example", "?", {"n_resamples": 300}, {"n_resamples": 300}, ["--out", str(tmp_path)]) as study:
        claims = loop.make_claims(study, scenes, found, controls, absent)
    assert {row.claim.removeprefix("AUC, "): row.verdict for row in claims.rows} == {
        "closed loop - open loop": "supported",
        "closed loop - open loop, late window": "undecidable with this n",
        "control: oracle - open loop": "supported",
        "control: wrong scene - open loop (within 0.01)": "not supported",
        "closed loop - control: wrong scene": "supported",
        "control: uniform - open loop (within 0.01)": equal,
        "closed loop - control: uniform": "supported",
    }
    assert study.headline["scenes needed: AUC, control: oracle - open loop"] < 40


@pytest.mark.slow
def test_closed_loop_with_its_controls(tmp_path):
    loop.main(["--out", str(tmp_path), "--n-scenes", "6", "--n-resamples", "250", "--duration-ms", "400"])
    text = (tmp_path / "claims.md").read_text()
    assert text.count("| AUC, ") == 7 and text.count("(within 0.01)") == 2


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--duration-ms", "300"], "evaluated from 325 ms on"),
        (["--n-scenes", "3"], "give 4 or more"),
        (
            ["--n-resamples", "240"],
            "argument --n-resamples: 240 draws can decide no claim that is one of 6; give 241 or more",
        ),
    ],
)
def test_the_loop_refuses_what_it_cannot_evaluate(tmp_path, capsys, arguments, message):
    with pytest.raises(SystemExit):
        loop.main(["--out", str(tmp_path), *arguments])
    assert message in capsys.readouterr().err
