"""Where pytest looks for tests: in the files of tests/, and in the examples of the docstrings of brainsnn; how it compiles."""

import os
import re
from pathlib import Path

import pytest
from brian2 import prefs
from brian2.codegen.runtime.cython_rt import cython_rt

ROOT = Path(__file__).parent

collect_ignore = [
    # They import brian2cuda and brian2genn, which live in environments of their own.
    "brainsnn/builders/devices/cuda/device.py",
    "brainsnn/builders/devices/genn/device.py",
    # What tests import holds no tests and no examples.
    *(str(path) for path in ROOT.glob("tests/helpers/*.py") if not path.name.startswith("test_")),
    *(str(path) for path in ROOT.glob("tests/fuzz/fuzz*.py")),
]

#: The compiler in the name of Brian2's folder of modules, if it is not the usual one.
COMPILER = re.sub(r"\W+", "_", f"_{os.environ['CC']}") if os.environ.get("CC") else ""
#: Most of the time of the tests is that of compiling the modules of runtime mode. Without optimisation they need a quarter of it.
get_compiler_and_args = cython_rt.get_compiler_and_args


def _compile_modules(quickly):
    """Set how modules are compiled, and Brian2's folder of modules, whose names do not depend on the flags."""
    compiler, flags = get_compiler_and_args()
    quick = compiler, [flag for flag in flags if not flag.startswith("-O")] + ["-O0"]
    cython_rt.get_compiler_and_args = (lambda: quick) if quickly else get_compiler_and_args
    prefs.codegen.runtime.cython.cache_dir = f"~/.cython/brainsnn_tests{COMPILER}" if quickly else None


def pytest_configure():
    """Compile modules without optimisation."""
    _compile_modules(quickly=True)


@pytest.fixture(scope="module")
def full_optimisation():
    """Compile modules with the flags that users have, in tests of exactness."""
    _compile_modules(quickly=False)
    yield
    _compile_modules(quickly=True)


@pytest.fixture(autouse=True)
def folder_of_example(request, tmp_path, monkeypatch):
    """Let the example of a docstring write into a folder of its own."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(tmp_path)
