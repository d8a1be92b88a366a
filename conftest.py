"""Where pytest looks for tests: in the files of tests/, and in the examples of the docstrings of brainsnn; how it compiles."""

from pathlib import Path

import pytest
from brian2 import prefs

ROOT = Path(__file__).parent

collect_ignore = [
    # They import brian2cuda and brian2genn, which live in environments of their own.
    "brainsnn/builders/devices/cuda/device.py",
    "brainsnn/builders/devices/genn/device.py",
    # What tests import holds no tests and no examples.
    *(str(path) for path in ROOT.glob("tests/helpers/*.py") if not path.name.startswith("test_")),
    *(str(path) for path in ROOT.glob("tests/fuzz/fuzz*.py")),
]

#: Brian2's flags, which the fixture `full_optimisation` restores. Without most of the optimisation, a module of runtime mode
#: compiles in half the time, which is most of the time of the tests.
FULL_OPTIMISATION = list(prefs.codegen.cpp.extra_compile_args_gcc)
QUICK = ["-O1" if flag.startswith("-O") else flag for flag in FULL_OPTIMISATION]


def _compile_with(flags, cache):
    """Set the flags, and Brian2's folder of modules, whose names do not depend on the flags."""
    prefs.codegen.cpp.extra_compile_args_gcc = flags
    prefs.codegen.runtime.cython.cache_dir = cache


def pytest_configure():
    """Compile what tests run with little optimisation."""
    _compile_with(QUICK, str(Path("~/.cython/brainsnn_tests").expanduser()))


@pytest.fixture(scope="module")
def full_optimisation():
    """Compile with the flags that users have: tests of exactness and of the time that something takes."""
    _compile_with(FULL_OPTIMISATION, None)
    yield
    pytest_configure()


@pytest.fixture(autouse=True)
def folder_of_example(request, tmp_path, monkeypatch):
    """Let the example of a docstring write into a folder of its own."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(tmp_path)
