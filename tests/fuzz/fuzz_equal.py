"""Comparison of two results: spikes, states and outputs."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

__all__ = ["ROUNDING", "Relation", "contents", "equal", "relations"]

ALL = slice(None)
#: Sums in another order round in the last digits of double precision.
ROUNDING = 1e-9


@dataclass(frozen=True)
class Relation:
    """What must be equal in two ways to get a result, and for which networks and runs it holds."""

    compare: Callable
    holds: Callable


def relations():
    """Return a dict of name -> `Relation`, and a decorator that enters a function into it."""
    found = {}

    def relation(name, when=lambda bench: True):
        def enter(function):
            found[name] = Relation(function, when)
            return function

        return enter

    return found, relation


def contents(result):
    """Return what a result holds: (kind, population, variable) -> array (n, n_steps, ...), counts (n,)."""
    found = {("spikes", name, ""): result.raster(name) for name in result.spikes}
    found |= {
        ("state", name, variable): np.asarray(values)
        for name, variables in result.states.items()
        for variable, values in variables.items()
    }
    found |= {("output", name, ""): np.asarray(values) for name, values in result.outputs.items()}
    return found | {("count", name, ""): np.asarray(values) for name, values in result.spike_counts.items()}


def equal(found, expected, images=ALL, steps=ALL, *, at=ALL, tolerance=0.0):
    """
    Compare what both results hold.

    Parameters
    ----------
    found, expected : brainsnn.Result
    images : optional
        Indices of the images of ``expected`` that ``found`` holds.
    steps : slice, optional
        Steps of ``expected`` that are compared with the steps ``at`` of ``found``.
    at : slice, optional
    tolerance : float, optional
        Relative to the largest value of a variable. Spikes must be equal.
    """
    found, expected = contents(found), contents(expected)
    common = [key for key in found if key in expected]
    assert {key[0] for key in common} >= {"output"}
    all_steps = steps == ALL and at == ALL
    for key in common:
        if key[0] == "count" and not all_steps:
            continue
        a, b = found[key], expected[key][images]
        if key[0] != "count":
            a, b = a[:, at], b[:, steps]
        exact = tolerance == 0 or key[0] in ("spikes", "count")
        atol = 0 if exact else tolerance * max(1e-30, float(np.abs(b).max(initial=0)))
        np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=" ".join(key))
