"""Where pytest looks for tests: in the files of tests/, and in the examples of the docstrings of brainsnn."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent

collect_ignore = [
    # They import brian2cuda and brian2genn, which live in environments of their own.
    "brainsnn/builders/devices/cuda/device.py",
    "brainsnn/builders/devices/genn/device.py",
    # What tests import holds no tests and no examples.
    *(str(path) for path in ROOT.glob("tests/helpers/*.py") if not path.name.startswith("test_")),
]


@pytest.fixture(autouse=True)
def folder_of_example(request, tmp_path, monkeypatch):
    """Let the example of a docstring write into a folder of its own."""
    if isinstance(request.node, pytest.DoctestItem):
        monkeypatch.chdir(tmp_path)
