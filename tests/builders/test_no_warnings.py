"""A run with default options warns of nothing, because nothing overflows: no warning is hidden, the user's least of all."""

import warnings

import numpy as np
import pytest
from brian2 import NetworkOperation, ms
from one_layer import SHAPE, one_layer_graph

import brainsnn as bs

IMAGES = np.full((2, *SHAPE), 0.5)


@pytest.fixture(scope="module")
def snn():
    """A network that calls a function of the user, here one whose numbers overflow."""
    snn = bs.convert(one_layer_graph())
    snn.network.add(NetworkOperation(overflow, dt=snn.dt * 1000 * ms, name="overflow"))
    return snn


def overflow():
    if overflow.acts:
        np.float32(1e30) * np.float32(1e30)


@pytest.mark.parametrize("acts", [False, True])
@pytest.mark.parametrize("by_hand", [False, True])
def test_only_what_overflows_is_reported(snn, by_hand, acts, monkeypatch):
    monkeypatch.setattr(overflow, "acts", acts, raising=False)
    with warnings.catch_warnings(record=True) as found, np.errstate(over="warn"):
        warnings.simplefilter("always")
        snn.network.run(3 * ms) if by_hand else snn.run(IMAGES, duration=3 * ms)
    messages = [str(warning.message) for warning in found if not issubclass(warning.category, DeprecationWarning)]
    assert [message for message in messages if "overflow" not in message] == []
    assert len(messages) == (0 if not acts else 3 if by_hand else 6)
