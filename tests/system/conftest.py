"""Tests with what this system has, and with the fallbacks."""

import pytest


@pytest.fixture(params=["0", "1"], ids=["of this system", "fallback"])
def portable(request, monkeypatch):
    """Whether fallbacks are forced."""
    monkeypatch.setenv("BRAINSNN_PORTABLE", request.param)
    return request.param == "1"


@pytest.fixture
def forced(monkeypatch):
    """Force the fallbacks."""
    monkeypatch.setenv("BRAINSNN_PORTABLE", "1")
