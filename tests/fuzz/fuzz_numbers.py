"""Numbers that analyses meet (ties, constants, NaN, extremes), and the comparison of a function with its definition."""

import numpy as np
from fuzzing import outcome_of
from hypothesis import strategies as st

__all__ = ["Invalid", "agree", "classes", "mostly", "numbers", "require"]


class Invalid(Exception):
    """The definition has no value: the function must refuse the input."""


def require(condition):
    """State what the function needs."""
    if not condition:
        raise Invalid


def agree(function, definition, arguments):
    """Compare a function with its definition: equal where it has a value, refused elsewhere, arguments unchanged."""
    before = repr(arguments)
    try:
        expected = definition(*arguments)
    except Invalid:
        expected = Invalid
    try:
        found = function(*arguments)
    except Exception as error:
        if expected is not Invalid and outcome_of(error) == "refused":
            raise AssertionError(f"{before} is valid and was refused: {error}") from error
        raise
    assert expected is not Invalid, f"{before} is not valid and gave {found!r}"
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-9, err_msg=before)
    assert np.shape(found) == np.shape(expected)
    assert repr(arguments) == before, "the arguments were changed"


def mostly(valid, rarely):
    """Return a strategy that draws one of the valid values, and one time in ten or fewer another one."""
    return st.sampled_from([*valid] * (10 * len(rarely) // len(valid) + 1) + [*rarely])


def numbers(draw, *shape, kinds=None, nan=True):
    """Draw an array of one of the kinds."""
    kinds = kinds or ["normal", "ties", "constant", "extreme", "offset", *(["nan", "inf"] if nan else [])]
    kind, random = draw(st.sampled_from(kinds)), np.random.default_rng(draw(st.integers(0, 2**16)))
    if kind == "constant":
        return np.full(shape, random.choice([0.0, 0.1, -3.0]))
    if kind == "bits":
        return random.integers(0, 2, shape).astype(float)
    if kind == "counts":
        return random.poisson(random.choice([0.2, 3.0, 40.0]), shape).astype(float)
    if kind == "ties":
        return random.integers(0, 3, shape) / 2
    values = random.normal(size=shape)
    if kind == "extreme":
        return values * 10.0 ** random.choice([-300, -150, -8, 8, 150, 300])
    if kind == "offset":
        return 1e8 * random.choice([0, 1]) + values * 1e-6
    if kind in ("nan", "inf"):
        values[random.random(shape) < 0.3] = np.nan if kind == "nan" else random.choice([np.inf, -np.inf])
    return values


def classes(draw, n, n_classes):
    """Draw n classes; one in ten times they do not fit."""
    values = np.array(draw(st.lists(st.integers(0, n_classes - 1), min_size=n, max_size=n)), dtype=int)
    wrong = draw(st.integers(0, 19))
    if wrong == 0:
        return np.append(values, 0)
    if wrong == 1 and n:
        return np.append(values[1:], draw(st.sampled_from([n_classes, -1, 0.5, np.nan])))
    return values
