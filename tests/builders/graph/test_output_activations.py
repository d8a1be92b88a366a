"""Output activations of readouts against their formulas, at extreme values too."""

import numpy as np
import pytest

from brainsnn.builders.graph import OUTPUT_ACTIVATIONS

FORMULAS = {
    "linear": lambda x: x,
    "softmax": lambda x: (e := np.exp(x - x.max(axis=-1, keepdims=True))) / e.sum(axis=-1, keepdims=True),
    "sigmoid": lambda x: 0.5 * (1 + np.tanh(0.5 * x)),
    "tanh": lambda x: np.sinh(x) / np.cosh(x),
    "softplus": lambda x: np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_activation_equals_its_formula(name, dtype):
    x = np.random.default_rng(0).normal(0, 5, (4, 3, 2, 7)).astype(dtype)
    value = OUTPUT_ACTIVATIONS[name](x)
    assert value.dtype == dtype and set(FORMULAS) == set(OUTPUT_ACTIVATIONS)
    # One rounding or two apart: sums of different order.
    np.testing.assert_allclose(value, FORMULAS[name](x), rtol=8 * np.finfo(dtype).eps, atol=4 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", sorted(FORMULAS))
def test_activation_does_not_overflow(name):
    with np.errstate(over="raise", invalid="raise"):
        assert np.isfinite(OUTPUT_ACTIVATIONS[name](np.array([[-1e4, -800.0, 0.0, 800.0, 1e4]]))).all()
