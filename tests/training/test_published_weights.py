"""PyTorch state dicts of the published predictive-feedback networks: equal outputs, the table, and refusals."""

import os
import subprocess
from pathlib import Path

import numpy as np
import psutil
import pytest

pytest.importorskip("tensorflow")
safetensors = pytest.importorskip("safetensors.numpy")

from locations import ROOT  # noqa: E402

import brainsnn as bs  # noqa: E402
from brainsnn.training import read_published_feedback  # noqa: E402
from brainsnn.training.torch_files import read_torch_file  # noqa: E402

PYTHON = Path(os.environ.get("BRAINSNN_PEER_PYTHON", ROOT / ".venv-peers/bin/python"))
needs_torch = pytest.mark.skipif(not PYTHON.exists(), reason="no interpreter with PyTorch (make peers)")
CASES = {"vgg5": (5, 1, True), "plain": (5, 1, False), "vgg9": (9, 3, True)}


@pytest.fixture(scope="module", params=CASES)
def saved(request, tmp_path_factory):
    """A small network that PyTorch built, as safetensors, beside what PyTorch returns of it."""
    folder = tmp_path_factory.mktemp(request.param)
    script = ROOT / "tests/helpers/torch_reference.py"
    subprocess.run([PYTHON, script, folder, *map(str, CASES[request.param])], check=True, timeout=120)
    with np.load(folder / "reference.npz") as data:
        reference = dict(data)
    tensors = {name.removeprefix("tensor "): value for name, value in reference.items() if name.startswith("tensor ")}
    tensors["thresholds"] = np.asarray(reference["thresholds"], np.float32)
    safetensors.save_file(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, folder / "net.safetensors"
    )
    return folder, reference, tensors


@needs_torch
def test_equal_to_pytorch(saved):
    folder, reference, _ = saved
    network = read_published_feedback(folder / "net.safetensors")
    outputs = network.model(reference["images"])
    logits, *prediction = outputs if "prediction" in reference else [outputs]
    for values, expected in zip([logits, *prediction], [reference["logits"], reference.get("prediction")]):
        assert np.ptp(expected) > 0.1
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-5 * max(1, np.abs(expected).max()))
    shown = str(network)
    assert "features.0.weight" in shown and "channels last, transposed" in shown and "thresholds: conv1 0.1" in shown
    graph = bs.read_keras(network.model, spiking=network.spiking)
    assert set(network.thresholds) == {name for name, p in graph.populations.items() if p.kind == "spiking"}


@needs_torch
def test_reads_pth_where_torch_is_installed(saved, tmp_path):
    """In the interpreter with PyTorch: the file of the published scripts, and one that would execute code."""
    folder, _, _ = saved
    code = f"""
import sys, types
sys.path.append({str(Path(psutil.__file__).parent.parent)!r})  # what brainsnn.files needs
for name in ("brainsnn", "brainsnn.training"):  # without what their __init__ imports
    package = types.ModuleType(name)
    package.__path__ = [{str(ROOT)!r} + "/" + name.replace(".", "/")]
    sys.modules[name] = package
import numpy as np
from brainsnn.training.torch_files import read_torch_file
found = read_torch_file({str(folder / "net.pth")!r})
np.savez({str(tmp_path / "found.npz")!r}, **found.tensors)
assert found.settings["steps"] == 50 and found.settings["leak"] == 1 and found.settings["thresholds"][0] == 0.1, found.settings
class Bad:
    def __reduce__(self): return print, ("executed",)
import torch
torch.save({{"features.0.weight": Bad()}}, {str(tmp_path / "bad.pth")!r})
try: read_torch_file({str(tmp_path / "bad.pth")!r})
except ValueError as error: print("refused", "objects other than tensors" in str(error))
"""
    done = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "refused True"
    with np.load(tmp_path / "found.npz") as data:
        expected = read_torch_file(folder / "net.safetensors").tensors
        assert {name.removeprefix("module.") for name in data} == set(expected)
        for name in data:
            np.testing.assert_array_equal(data[name], expected[name.removeprefix("module.")])


@needs_torch
@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: t.pop("classifier.3.weight"), "missing: 'classifier.3.weight'"),
        (lambda t: t.update({"extra.weight": np.ones(2, np.float32)}), "without a layer: 'extra.weight'"),
        (lambda t: t.pop("features.0.weight"), "convolutions as 'features.N.weight'"),
        (lambda t: t.update(thresholds=np.ones(3, np.float32)), "has 3 thresholds"),
        (lambda t: t.update(thresholds=0 * t["thresholds"]), "that are greater than 0"),
        (lambda t: t.update({"classifier.3.weight": np.ones((12, 11), np.float32)}), "'classifier.3.weight' of shape"),
        (lambda t: t.update({"classifier.0.weight": np.ones((12, 50), np.float32)}), "not a square map"),
    ],
)
def test_refuses_by_name(saved, tmp_path, change, words):
    _, _, tensors = saved
    tensors = dict(tensors)
    change(tensors)
    safetensors.save_file(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()}, tmp_path / "x.safetensors"
    )
    with pytest.raises(ValueError, match=words):
        read_published_feedback(tmp_path / "x.safetensors")


def test_damaged_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        read_published_feedback(tmp_path / "none.pth")
    (tmp_path / "x.safetensors").write_bytes(b"no tensors")
    with pytest.raises(ValueError, match="is damaged"):
        read_published_feedback(tmp_path / "x.safetensors")
    (tmp_path / "x.h5").write_bytes(b"")
    with pytest.raises(ValueError, match=r"must end in \.safetensors"):
        read_published_feedback(tmp_path / "x.h5")
