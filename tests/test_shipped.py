"""Shipped networks are found by name, and unknown names list those that exist."""

import subprocess
import sys

import pytest
from locations import ROOT, WEIGHTS

import brainsnn as bs
from brainsnn.feedback import read_settings
from brainsnn.shipped import shipped_names, shipped_path


def test_every_network_has_its_name():
    assert shipped_names() == sorted(path.stem for path in WEIGHTS.glob("*.keras"))
    assert "digits" in shipped_names()
    for name in shipped_names():
        assert shipped_path(name) == WEIGHTS / f"{name}.keras"


def test_a_network_is_loaded_by_its_name(tmp_path, monkeypatch):
    pytest.importorskip("keras")
    monkeypatch.chdir(tmp_path)  # wherever the script runs
    (tmp_path / "digits").mkdir()  # a folder of that name is not a model
    model, same = bs.load_model("digits"), bs.load_model(WEIGHTS / "digits.keras")
    assert [layer.name for layer in model.layers] == [layer.name for layer in same.layers]
    for ours, theirs in zip(model.get_weights(), same.get_weights(), strict=True):
        assert (ours == theirs).all()


def test_settings_are_read_by_name():
    assert read_settings("digits_plain_if") == read_settings(WEIGHTS / "digits_plain_if.keras")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(bs.UnknownNameError, match="no shipped network named 'digit'. Did you mean 'digits'.*search"):
        bs.load_model("digit")


@pytest.mark.parametrize("path", ["digits.keras", "folder/digits", "digits.h5"])
def test_paths_are_not_names(path):
    assert shipped_path(path) == path
    with pytest.raises(ValueError, match="there is no file"):
        bs.load_model(path)


def test_an_installed_package_has_its_weights_inside(tmp_path):
    """`make release-check` does the same with a wheel."""
    package = tmp_path / "brainsnn"
    (package / "weights").mkdir(parents=True)
    (package / "weights" / "mine.keras").touch()
    for name in ("__init__.py", "errors.py", "html_tables.py", "one_line.py", "shipped.py"):
        (package / name).write_bytes((ROOT / "brainsnn" / name).read_bytes())
    code = "from brainsnn.shipped import *; print(shipped_names(), shipped_path('mine'))"
    answer = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["['mine']", str(package / "weights" / "mine.keras")]
