"""Keys of functions: source files, versions, the brainsnn package."""

import os
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from swept_code import function

import brainsnn as bs
from brainsnn.sweeps import content_key, sources
from brainsnn.sweeps.grid import Grid, name_of

# Source files

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


def study(factor=2, comment="pass", title="a", doc="b"):
    return STUDY.format(factor=factor, comment=comment, title=title, doc=doc)


def test_any_edit_of_the_file_counts(load):
    sources = [
        study(**change)
        for change in ({}, {"comment": "# why\n    pass"}, {"title": "another plot"}, {"doc": "better words"},
                       {"factor": 3}, {"comment": "x = x + 1"})
    ]  # fmt: skip
    keys = [content_key(load(study_of_test=source).unit) for source in sources]
    assert len(set(keys)) == len(keys)
    assert keys == [content_key(load(study_of_test=source).unit) for source in sources]


def test_line_endings_do_not_count(load, tmp_path):
    module = load(study_of_test=study())
    first = content_key(module.unit)
    path = tmp_path / "study_of_test.py"
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert content_key(module.unit) == first


def test_code_under_the_guard_of_a_script_does_not_count(load):
    keys = [
        content_key(load(study_of_test=study() + guarded).unit)
        for guarded in (
            "",
            '\nif __name__ == "__main__":\n    bs.sweep(unit, {"x": [1]}, folder="a")\n',
            '\nif __name__ == "__main__":\n    x = [1, 2]\n\n    # a larger grid\n    bs.sweep(unit, {"x": x}, folder="a")\n',
            '\nif __name__ == "__main__":\n    X = 1\nelse:\n    X = 2\n',
            '\nif __name__ == "__main__":\n    X = 1\nelse:\n    X = 3\n',
        )
    ]
    assert keys[1] == keys[2] and len(set(keys)) == 4


SCRIPT = """
from brainsnn.sweeps import content_key
from brainsnn.sweeps.grid import name_of

def unit(x):
    class Local:
        module = __name__
    return {"y": Local.module}

if __name__ == "__main__":
    print(content_key(unit), name_of(unit), name_of(lambda: 1).split()[0])
"""


def test_a_script_has_the_key_of_the_imported_module(load, tmp_path):
    module = load(script_of_test=SCRIPT)
    ended = subprocess.run([sys.executable, "script_of_test.py"], cwd=tmp_path, text=True, check=True, capture_output=True,
                           env={**os.environ, "PYTHONPATH": str(sources.PACKAGE.parent)})  # fmt: skip
    assert ended.stdout.split() == [content_key(module.unit), name_of(module.unit), "script_of_test.<lambda>"]


def test_code_edited_after_its_import_has_a_key_of_its_own(load, tmp_path):
    """It must not be taken for the edited code, which did not run."""
    module = load(study_of_test=study(comment="pass"))
    first = content_key(module.unit)
    (tmp_path / "study_of_test.py").write_text(study(comment="x = x + 1"))
    stale = content_key(module.unit)
    fresh = content_key(load(study_of_test=study(comment="x = x + 1")).unit)
    assert len({first, stale, fresh}) == 3


def test_a_function_without_source_needs_a_version():
    variables = {"__name__": "__main__"}
    exec("K = 1\ndef f(x):\n    return {'y': K * x}", variables)
    with pytest.raises(TypeError, match=r"(?s)source of 'f'.*cannot be read.*file or a notebook cell.*version=\"1\""):
        content_key(variables["f"])
    assert (
        keys_of_units(variables["f"], "1") == keys_of_units(variables["f"], "1") != keys_of_units(variables["f"], "2")
    )


def keys_of_units(swept, version=None, constants=None):
    return list(Grid(swept, {"x": [1, 2]}, None, None, constants, 0, version).units)


def test_a_version_replaces_the_code_and_nothing_else(load):
    def keys(version, source, power=2, **constants):
        return keys_of_units(partial(load(study_of_test=source).unit, power=power), version, constants)

    longer = STUDY.replace("power=2", "power=2, k=None")
    source, edited = (
        longer.format(factor=2, comment="pass", title="a", doc="b"),
        "import math\n" + longer.format(factor=2, comment="x = x + 1", title="a", doc="b"),
    )
    first = keys("1", source)
    assert keys("1", edited) == first
    for other in (keys("2", source), keys(None, source), keys("1", source, power=3), keys("1", source, k=lambda: 1),
                  keys("1", source, k=lambda: 2), keys("1", study(factor=3).replace("power=2", "power=2, k=None"))):  # fmt: skip
        assert not set(other) & set(first)
    helpers = [load(helper_of_test=f"def helper(x): return x*{k}").helper for k in (2, 3)]
    one, other = (keys("1", source, k=helper) for helper in helpers)
    assert one == other  # a function among the constants is code, too
    with pytest.raises(TypeError, match='version=2 must be a text, such as version="1"'):
        keys(2, source)


def test_every_file_of_brainsnn_counts(load, monkeypatch, tmp_path):
    copy = tmp_path / "brainsnn"
    shutil.copytree(sources.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "PACKAGE", copy)
    module = load(study_of_test=study(), other_of_test="def f(x): return x")

    def keys():
        sources.environment_digest.cache_clear()
        return [content_key(one) for one in (module.unit, module.simulate, function("def f(x): return x"), bs.ASN())]

    found = [keys()]
    assert keys() == found[0]
    template = next((copy / "builders" / "codegen" / "templates").rglob("*.cpp"))
    for path, text in (
        (copy / "builders/spiking_network.py", "\n# a comment\n"), (copy / "analysis/plots.py", "\nX = 1\n"),
        (copy / "training/surrogate.py", "\nX = 1\n"), (copy / "analysis/metrics.py", "\nX = 1\n"), (template, "\n"),
        (copy / "new.py", ""),
    ):  # fmt: skip
        with open(path, "a") as file:
            file.write(text)
        found.append(keys())
    for changed in zip(*found):
        assert len(set(changed)) == len(changed)
    (copy / "__pycache__").mkdir()
    (copy / "__pycache__" / "new.cpython-311.pyc").touch()
    assert keys() == found[-1]
    monkeypatch.undo()
    sources.environment_digest.cache_clear()


@pytest.mark.parametrize("package", ["brian2", "numpy", "python"])
def test_versions_count(monkeypatch, package):
    def key():
        sources.environment_digest.cache_clear()
        return content_key(function("def f(x): return x"))

    first = key()
    if package == "brian2":
        monkeypatch.setattr(sources, "version", lambda name: "0.0")
    elif package == "numpy":
        monkeypatch.setattr(np, "__version__", "0.0")
    else:
        monkeypatch.setattr(sys, "version_info", (3, 99, 0, "final", 0))
    assert key() != first
    monkeypatch.undo()
    assert key() == first
