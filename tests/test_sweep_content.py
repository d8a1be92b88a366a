"""What a unit of a sweep is known by: the content of all that computes it."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import brainsnn as bs
from brainsnn.sweeps import content_key, sources

ROOT = Path(__file__).resolve().parent.parent

STUDY = """
import numpy as np
import brainsnn as bs
from brainsnn.analysis import spikes_per_image

FACTOR = {factor}

def helper(x):
    {comment}
    return x * FACTOR

def draw():
    return "{title}"

def unit(x, power=2):
    "{doc}"
    return {{"y": helper(x) ** power, "n": spikes_per_image}}

def simulate(graph):
    return bs.convert(graph)
"""


def functions(monkeypatch, name="study_of_test", factor=2, comment="pass", title="a", doc="b"):
    module = type(sys)(name)
    exec(compile(STUDY.format(factor=factor, comment=comment, title=title, doc=doc), name, "exec"), vars(module))
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_code_that_computes_counts_and_other_code_does_not(monkeypatch):
    keys = [
        content_key(functions(monkeypatch, **change).unit)
        for change in ({}, {"comment": "# why\n    pass"}, {"title": "another plot"}, {"doc": "better words"},
                       {"factor": 3}, {"comment": "x = x + 1"})
    ]  # fmt: skip
    assert keys[0] == keys[1] == keys[2] == keys[3]
    assert len(set(keys[3:])) == 3


def test_files_of_brainsnn_count_where_they_compute(monkeypatch, tmp_path):
    import shutil

    copy = tmp_path / "brainsnn"
    shutil.copytree(sources.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "PACKAGE", copy)
    module = functions(monkeypatch)

    def keys():
        return content_key(module.unit), content_key(module.simulate)

    def edit(name, text):
        path = copy / name
        path.write_text(path.read_text() + text)

    first = keys()
    for name, text in {
        "builders/runtime.py": "\n# a comment\n", "analysis/plots.py": "\nX = 1\n", "training/surrogate.py": "\nX = 1\n",
        "attention/fields.py": "\nX = 1\n",
    }.items():  # fmt: skip
        edit(name, text)
    assert keys() == first
    edit("builders/runtime.py", "\nX = 1\n")
    assert keys()[0] == first[0] and keys()[1] != first[1]
    second = keys()
    template = next((copy / "builders" / "templates").rglob("*.cpp"))
    template.write_text(template.read_text() + "\n")
    assert keys()[1] != second[1]
    edit("analysis/metrics.py", "\nX = 1\n")
    assert keys()[0] != first[0]


@dataclass
class Setting:
    strength: float
    names: list = field(default_factory=list)


def test_content_of_values():
    from brian2 import defaultclock, ms, mV, second

    assert content_key(0.1) == content_key(np.float64(0.1)) != content_key(np.float32(0.1))
    assert content_key(1) != content_key(1.0) != content_key("1.0") != content_key(True)
    assert content_key([1, 2]) == content_key((1, 2)) != content_key([2, 1])
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    x = np.arange(6.0)
    assert content_key(x.reshape(2, 3)) != content_key(x.reshape(3, 2)) != content_key(x)
    assert content_key(x.reshape(2, 3).T) == content_key(x.reshape(2, 3).T.copy())
    assert content_key(1 * ms) == content_key(0.001 * second) != content_key(0.001)
    assert content_key(1 * mV) != content_key(1 * ms)
    assert content_key(defaultclock) == content_key(defaultclock)
    assert content_key(bs.ASN(m_f=0.1)) == content_key(bs.ASN(m_f=0.1)) != content_key(bs.ASN(m_f=0.2))
    assert content_key(Setting(1)) == content_key(Setting(1)) != content_key(Setting(2))
    assert content_key(bs.ASN()) != content_key(
        bs.ASN().replace("dS_hat/dt = -S_hat/tau_eta : 1", "dS_hat/dt = 0/ms : 1")
    )


def test_content_of_files_and_graphs(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    before = content_key(path)
    path.write_text("2")
    assert content_key(path) != before
    with pytest.raises(FileNotFoundError, match="does not exist"):
        content_key(tmp_path / "b")
    graph, again = (bs.read_keras(bs.load_model(ROOT / "weights" / "digits.keras")) for _ in range(2))
    assert content_key(graph) == content_key(again)
    k, old = next((k, p) for k, p in enumerate(again.projections) if hasattr(p.operator, "kernel"))
    kernel = old.operator.kernel + np.eye(1, old.operator.kernel.size).reshape(old.operator.kernel.shape) * 1e-3
    again.projections[k] = replace(old, operator=replace(old.operator, kernel=kernel))
    assert content_key(graph) != content_key(again)
    with pytest.raises(TypeError, match="Make it inside the function"):
        content_key(bs.convert(graph, device="cpp_standalone"))


def test_once_keeps_what_it_made_for_equal_arguments():
    made = []
    make = bs.once(lambda x, y=0: made.append((x, y)) or len(made))
    assert make(np.arange(3)) == make(np.arange(3)) == make(x=np.arange(3)) == 1
    assert make(np.arange(4)) == 2 and make(np.arange(3), 1) == 3
    assert len(made) == 3
