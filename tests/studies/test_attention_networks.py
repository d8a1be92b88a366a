"""The order of mechanisms over networks: effects, the order itself, and what is said of few networks."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from locations import STUDIES

sys.path.insert(0, str(STUDIES))

import attention_networks as networks
from attention_protocol import MECHANISMS
from common import Study


def responses(gains, n=200):
    """Made-up scores and times of scenes in which the cue of each mechanism helps by its gain."""
    random, targets = np.random.default_rng(0), np.arange(n) % 4
    noise, found = random.random((n, 4)), {}
    for mechanism, gain in zip(MECHANISMS, gains):
        for cue, sign in (("valid", 1), ("invalid", -1)):
            scores = noise + sign * gain * np.eye(4)[targets]
            found[f"{mechanism} {cue}"] = {"scores": scores, "times": 400 - 100 * sign * gain + random.random(n)}
    return found, targets


def test_effects_and_their_order():
    found, targets = responses([0.1, 0.2, 0.3])
    effects = networks.effects_of(found, targets, 750)
    assert effects["detection_ms"]["output_gain"] == pytest.approx(-60, abs=1)
    assert 0 < effects["auc"]["precision"] < effects["auc"]["input_gain"] < effects["auc"]["output_gain"]
    assert networks.holds("auc", effects["auc"]) and networks.holds("detection_ms", effects["detection_ms"])
    other = networks.effects_of(*responses([0.2, 0.1, 0.3]), 750)
    assert networks.holds("auc", other["auc"]) is False


def test_an_order_of_targets_that_are_missed_is_not_known():
    found, targets = responses([0.1, 0.2, 0.3])
    found["precision invalid"]["times"][:150] = np.nan
    effects = networks.effects_of(found, targets, 750)
    assert networks.holds("detection_ms", effects["detection_ms"]) is None


def test_a_tie_is_no_order():
    assert networks.holds("auc", {"precision": 0.1, "input_gain": 0.1, "output_gain": 0.2}) is False


def test_few_networks_have_a_wide_interval(tmp_path):
    rows = [{"measure": "auc", "holds": k != 2} for k in range(5)] + [{"measure": "detection_ms", "holds": None}]
    with Study("example", "A question?", {"k": 1}, {"k": 2}, ["--out", str(tmp_path)]) as study:
        networks.order_claims(study, rows)
    text = study.headline["order of auc"]
    assert "in 4 of 5 networks" in text and "[0.38, 0.96]" in text and "p = 0.0033" in text
    assert "not known" in study.headline["order of detection_ms"]


def test_networks_that_exist_are_not_trained_again(tmp_path, monkeypatch):
    """Those of another number of epochs are other networks."""
    (tmp_path / "networks").mkdir()
    for name in ("search_post_1_7_epochs", "search_post_2_8_epochs"):
        (tmp_path / "networks" / f"{name}.keras").touch()
    commands = []
    monkeypatch.setattr(subprocess, "run", lambda command, **options: commands.append(command))
    parameters = SimpleNamespace(n_networks=3, training_epochs=7)
    paths = networks.trained_networks(SimpleNamespace(folder=tmp_path, parameters=parameters))
    assert [path.name for path in paths] == ["search_post_1_7_epochs.keras", "search_post_2_7_epochs.keras"]
    (command,) = commands
    assert command[1:] == ["-m", "brainsnn.training.train_search", "post_activation", "--seed", "2", "--epochs", "7", "--out",
                           str(paths[1])]  # fmt: skip
