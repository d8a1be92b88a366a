"""docs/onnx.md: its code runs, its names are those that the reader gives, and it names the operators that are read."""

import importlib.util
import re
import subprocess
import sys

import numpy as np
from locations import ROOT
from onnx_models import make, node, values

from brainsnn.builders.from_onnx.names import readable_names
from brainsnn.builders.from_onnx.reader import HANDLERS, REFUSALS

PAGE = (ROOT / "docs" / "onnx.md").read_text(encoding="utf-8")


def stand_in():
    """The model that the page exports, for machines without PyTorch."""
    rng = np.random.default_rng(0)
    nodes = [
        node("Conv", "x w b", "c", pads=[1, 1, 1, 1]), node("Relu", "c", "r"),
        node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Flatten", "p", "f"),
        node("Gemm", "f v", "g"), node("Softmax", "g", "y", axis=1),
    ]  # fmt: skip
    weights = {
        "w": values(rng, 4, 1, 3, 3, scale=0.3),
        "b": values(rng, 4, scale=0.1),
        "v": values(rng, 196, 3, scale=0.1),
    }
    return make(nodes, (1, 14, 14), weights)


def test_the_code_of_the_page(tmp_path, monkeypatch, capsys):
    export, use = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    monkeypatch.chdir(tmp_path)
    if importlib.util.find_spec("torch") is not None and importlib.util.find_spec("onnxscript") is not None:
        # in a process of its own: PyTorch and TensorFlow do not go together in one
        subprocess.run([sys.executable, "-c", export], check=True, capture_output=True)
    else:
        (tmp_path / "model.onnx").write_bytes(stand_in().SerializeToString())
    names = {}
    exec(use, names)
    assert "LayerGraph of 'model'" in (printed := capsys.readouterr().out) and "(2, 1, 1, 3)" in printed
    output = names["result"].output[:, 100:].mean(axis=1)
    expected = names["values"][names["graph"].readouts[0].name].reshape(2, 3)
    np.testing.assert_allclose(output, expected, atol=0.1)


def test_the_names_of_the_page():
    rows = re.findall(r"^\| `(/[\w/.]+)`[^|]*\| `([\w.]+)` \|$", PAGE, flags=re.MULTILINE)
    assert len(rows) == 3
    paths = [path for path, _ in rows] + ["/layer1/layer1.0/conv/Conv", "/conv1/conv/Conv"]
    nodes = [type("Node", (), {"name": path, "op_type": path.split("/")[-1], "scopes": ""}) for path in paths]
    assert readable_names(nodes)[: len(rows)] == [name for _, name in rows]


def test_the_page_names_the_operators_that_are_read():
    table = PAGE.split("## What is read")[1].split("\n\n")[1]
    named = set(re.findall(r"[A-Z]\w+", " ".join(line.split("|")[1] for line in table.splitlines())))
    assert set(HANDLERS) - set(REFUSALS) <= named


def test_the_page_shows_differences_below_its_goal():
    table = PAGE.split("<!-- begin check_onnx -->")[1]
    differences = re.findall(r"(\d\.\de-\d\d) \|$", table, flags=re.MULTILINE)
    assert len(differences) >= 8 and max(map(float, differences)) <= 1e-5
