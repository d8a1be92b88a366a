"""Networks that were trained as spiking networks run as they were trained, in Python and from the command line."""

import json
from dataclasses import replace

import numpy as np
import pytest
from called_command import brainsnn

import brainsnn as bs
from brainsnn.feedback import GATE_MODES, read_settings, trained_options
from brainsnn.feedback.settings import has_settings
from brainsnn.shipped import shipped_path
from brainsnn.stimuli import load_digits

SETTINGS = {"thresholds": {"conv1": 0.5, "prediction": 2.0}, "leak": 0.9}


@pytest.fixture
def written(tmp_path):
    """Return a function that writes settings beside a model, and returns the model's file."""

    def write(**settings):
        (tmp_path / "net.json").write_text(json.dumps({**SETTINGS, **settings}))
        return tmp_path / "net.keras"

    return write


@pytest.mark.parametrize("name", ["digits_plain_if", "digits_feedback_if"])
def test_shipped_networks(name):
    settings, options = read_settings(name), trained_options(name)
    assert options["thresholds"] == settings["thresholds"] and list(options) == ["neuron", "thresholds"]
    assert str(options["neuron"]) == str(bs.IF(leak=settings["leak"]))
    assert has_settings(shipped_path(name)) and not has_settings(shipped_path("digits"))


@pytest.mark.parametrize("mode", GATE_MODES)
def test_the_gate_is_that_of_the_training(written, mode):
    epsilon = None if mode == "none" else 0.2
    path = written(epsilon=0.2, squash="tanh", squash_step=0.5)
    expected = bs.PredictiveGate(mode=mode, epsilon=epsilon, squash="tanh", squash_step=0.5)
    assert trained_options(path, mode)["feedback"] == expected
    path = written(
        epsilon=0.2, squash="sigmoid", gate_squash="rescaled_sigmoid", squash_step=1.0, recipe={"strict_gate": True}
    )
    expected = replace(expected, squash="rescaled_sigmoid", squash_step=1.0, strict=mode != "none", model=None)
    assert trained_options(path, mode)["feedback"] == expected
    path = written(epsilon=None)  # no gate in training
    assert trained_options(path, mode)["feedback"] == bs.PredictiveGate(
        mode=mode, epsilon=None if mode == "none" else ...
    )


def test_what_cannot_run_is_refused(written):
    with pytest.raises(ValueError, match="has no thresholds"):
        trained_options(written(thresholds={}))
    with pytest.raises(ValueError, match="was trained without a prediction. Leave mode='sticky' out"):
        trained_options(written(thresholds={"conv1": 1.0}), "sticky")
    with pytest.raises(ValueError, match="mode='closed'; choose one of"):
        trained_options(written(), "closed")


def test_other_json_files_are_no_settings(tmp_path):
    path = tmp_path / "net.keras"
    assert not has_settings(path)
    for text, expected in (("{}", False), ("[1]", False), ("{", True), (json.dumps(SETTINGS), True)):
        path.with_suffix(".json").write_text(text)
        assert has_settings(path) is expected
    assert not has_settings(path.with_suffix(".json")) and not has_settings(path.with_suffix(".onnx"))


@pytest.mark.parametrize(("name", "gate"), [("digits_plain_if", None), ("digits_feedback_if", "dynamic")])
def test_the_command_runs_what_python_runs(tmp_path, name, gate):
    images, labels = (values[:2] for values in load_digits("test"))
    np.savez(tmp_path / "digits.npz", images=images, labels=labels)
    run = ["run", name, "-i", tmp_path / "digits.npz", "-t", "30ms", "-o", tmp_path / "r.npz"]
    answer = brainsnn(*run, *(() if gate is None else ("--gate", gate)))
    assert answer.exit_code == 0 and f"Neurons and thresholds of {name}.json" in answer.output, answer.output
    assert "Warning" not in answer.output
    found = bs.Result.load(tmp_path / "r.npz")
    expected = bs.convert(bs.load_model(name), **trained_options(name, gate)).run(images, 30 * bs.ms)
    np.testing.assert_array_equal(found.output, expected.output)
    for layer, counts in expected.spike_counts.items():
        np.testing.assert_array_equal(found.spike_counts[layer], counts)
    assert expected.accuracy(labels)[-1] == 1
