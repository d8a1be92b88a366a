"""Which range of pixels a network takes, told by how its first layers scale them."""

import numpy as np

from brainsnn.builders.operators.linear import ConvOperator

__all__ = ["gain_after", "unit_of_pixels"]


def gain_after(gain, operator):
    """
    Return by how much pixels have been multiplied after one more operator.

    Parameters
    ----------
    gain : float or None
        Before it. None if layers have mixed the pixels already.
    operator : ConvOperator or SparseOperator

    Returns
    -------
    gain : float or None
        That of most values, if the factors differ. Unchanged by layers that move, repeat, interpolate or average pixels.
    """
    if gain is None:
        return None
    factors = _factors(operator)
    if factors is not None:
        factors = np.abs(factors[factors != 0])
        return gain * float(np.median(factors)) if factors.size else None
    if isinstance(operator, ConvOperator) and operator.kernel.shape[3] > 1:
        return None
    answer = operator.transfer(np.ones(operator.input_shape))
    return gain if (np.isclose(answer, 0, atol=1e-3) | np.isclose(answer, 1, atol=1e-3)).all() else None


def _factors(operator):
    """Return the factors of an operator that multiplies each value by a number, None for others."""
    if isinstance(operator, ConvOperator):
        return operator.kernel.ravel() if operator.is_scale else None
    matrix = operator.matrix
    if matrix.shape[0] != matrix.shape[1] or matrix.nnz != np.count_nonzero(matrix.diagonal()):
        return None
    return matrix.diagonal()


def unit_of_pixels(gain, bias):
    """
    Return the size of pixels that become values of about 1.

    Parameters
    ----------
    gain : float or None
    bias : (H, W, C) ndarray or None
        What was added to the pixels afterwards.

    Returns
    -------
    unit : float
        255 for a layer that divides by 255. A layer that subtracts 120 takes pixels of that size, too. 1 where nothing is known.
    """
    if not gain:
        return 1.0
    offsets = np.zeros(0) if bias is None else np.abs(bias[bias != 0])
    return max(1.0, float(np.median(offsets)) if offsets.size else 0.0) / gain
