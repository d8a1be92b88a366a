"""A fixture of the tests of the keys of sweeps."""

import importlib
import sys

import pytest


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Return a function that writes modules of the user's and imports the first one again."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    names = set()

    def load(**modules):
        for name, source in modules.items():
            (tmp_path / f"{name}.py").write_text(source)
        names.update(modules)
        for name in modules:
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        return importlib.import_module(next(iter(modules)))

    yield load
    for name in names:
        sys.modules.pop(name, None)
