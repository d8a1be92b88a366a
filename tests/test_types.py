"""The public names are known to type checkers, annotated, and checked."""

import ast
import dataclasses
import inspect
import os
import re
import subprocess
import sys

import pytest
from locations import ROOT

import brainsnn as bs

STUB = ROOT / "brainsnn" / "__init__.pyi"
#: What is not a function or class of this package.
BRIAN2 = {"ms", "second"}


def signatures(thing):
    """(name, signature) of a function, or of a class and its public methods and properties, or of a module's functions."""
    if inspect.ismodule(thing):
        own = (getattr(thing, name) for name in thing.__all__)
        yield from (pair for f in own if f.__module__.startswith(thing.__name__) for pair in signatures(f))
        return
    if inspect.isfunction(thing):
        yield thing.__name__, inspect.signature(thing)
        return
    if not dataclasses.is_dataclass(thing):
        yield thing.__name__, inspect.signature(thing.__init__)
    for name, value in vars(thing).items():
        value = value.fget if isinstance(value, property) else value
        value = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if inspect.isfunction(value) and not name.startswith("_"):
            yield f"{thing.__name__}.{name}", inspect.signature(value)


def unannotated(thing):
    """Names of arguments and returned values without annotation."""
    for name, signature in signatures(thing):
        for argument in signature.parameters.values():
            if argument.annotation is inspect.Parameter.empty and argument.name not in ("self", "cls"):
                yield f"{name}({argument.name})"
        if signature.return_annotation is inspect.Signature.empty:
            yield f"{name} -> ?"


def test_the_stub_lists_the_names_of_the_package():
    imports = [node for node in ast.parse(STUB.read_text()).body if isinstance(node, ast.ImportFrom)]
    listed = {alias.name: node.module for node in imports for alias in node.names}
    # a module of the package
    listed["plot"] = f"{listed['plot']}.plot"
    assert listed == bs._HOME
    # only `name as name` is exported by a stub
    assert all(alias.asname == alias.name for node in imports for alias in node.names)


@pytest.mark.parametrize("name", sorted(set(bs.__all__) - BRIAN2))
def test_public_names_are_annotated(name):
    assert list(unannotated(getattr(bs, name))) == []


def test_the_search_for_annotations_finds_what_lacks_them():
    class Example:
        def __init__(self, size: int):
            pass

        def method(self, x) -> int:
            return 0

    assert list(unannotated(Example)) == ["Example -> ?", "Example.method(x)"]


@pytest.mark.slow
def test_a_type_checker_reports_wrong_arguments(tmp_path):
    pytest.importorskip("mypy")
    (tmp_path / "script.py").write_text(
        "import brainsnn as bs\n"
        "model: bs.NeuronModel = bs.ASN(m_f=0.1)\n"
        "bs.ASN(m_f='small')\n"
        "bs.SpatialAttention(center=(0.1, 0.2), width='wide')\n"
        "bs.load_model('digits', weight='w.h5')\n"
        "bs.sweep(3, {'m_f': [0.1]}, folder='out')\n"
        "bs.unknown\n"
    )
    command = [sys.executable, "-m", "mypy", "--config-file", ROOT / "pyproject.toml", "script.py"]
    # this checkout, and not an installed package of another version
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    reported = [line.split(":")[1] for line in answer.stdout.splitlines() if re.match(r"script.py:\d+: error:", line)]
    assert reported == ["3", "4", "5", "6", "7"], answer.stdout + answer.stderr
