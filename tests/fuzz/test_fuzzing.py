"""Outcomes are told apart, and a short slice of each kind of ``make fuzz``."""

import numpy as np
import pytest
from fuzz_kinds import KINDS, run_batch
from fuzzing import Counting, Raising

import brainsnn as bs


def _refused():
    bs.convert(None, dtype="int7")


def _raw():
    np.zeros(3)[7]


def _wrong():
    np.testing.assert_allclose(1.0, 2.0)


def _inside_of_numpy():
    bs.ASN(m_f=np.zeros((2, 2)) @ np.zeros(3))


@pytest.mark.parametrize(
    "function, outcome",
    [(lambda: None, "equal"), (_refused, "refused"), (_wrong, "wrong"), (_raw, "raw"), (_inside_of_numpy, "raw")],
)
def test_outcomes(function, outcome):
    count = Counting()
    assert count("kind", function) == outcome
    assert dict(count.counts["kind"]) == {outcome: 1}
    assert len(count.failures) == (outcome in ("wrong", "raw"))
    if outcome in ("wrong", "raw"):
        with pytest.raises((AssertionError, IndexError, ValueError)):
            Raising()("kind", function)
    else:
        assert Raising()("kind", function) == outcome


@pytest.mark.parametrize("kind", KINDS)
def test_slice(kind):
    run_batch(kind, seed=0, n=KINDS[kind].in_tests, check=Raising())
