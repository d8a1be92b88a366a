"""Operators that multiply values, and other operators in other units."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from brainsnn.builders.operators.composition import to_matrix
from brainsnn.builders.operators.linear import ConvOperator, SparseOperator
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain

__all__ = ["diagonal", "identity", "rescaled", "scale"]


def scale(factor, input_shape):
    """
    Return the operator that multiplies each channel by a number.

    Parameters
    ----------
    factor : float or (C,) array_like
    input_shape : (H, W, C)

    Returns
    -------
    ConvOperator

    Examples
    --------
    >>> from brainsnn.builders.operators import scale
    >>> scale([1, 10], (1, 2, 2)).apply([[1, 2, 3, 4]]).ravel()
    array([ 1., 20.,  3., 40.])
    """
    channels = input_shape[2]
    kernel = np.broadcast_to(np.asarray(factor, dtype=float), (channels,)).reshape(1, 1, channels, 1)
    return ConvOperator(input_shape, input_shape, kernel, np.arange(channels), [0], [0])


def diagonal(factors, input_shape):
    """
    Return the operator that multiplies each value by a number: a `scale` where channels have one number each.

    Parameters
    ----------
    factors : array_like
        Any shape that broadcasts to (H, W, C).
    input_shape : (H, W, C)

    Returns
    -------
    ConvOperator or SparseOperator

    Examples
    --------
    >>> from brainsnn.builders.operators import diagonal
    >>> diagonal([[[1], [10]]], (1, 2, 1)).apply([[3, 4]]).ravel()
    array([ 3., 40.])
    """
    factors = np.broadcast_to(np.asarray(factors, dtype=float), input_shape)
    if (factors == factors[:1, :1]).all():
        return scale(factors[0, 0], input_shape)
    return SparseOperator(input_shape, input_shape, sparse.diags(factors.ravel(), format="csr"))


def identity(input_shape):
    """
    Return the operator that changes nothing.

    Parameters
    ----------
    input_shape : (H, W, C)

    Returns
    -------
    ConvOperator

    Examples
    --------
    >>> from brainsnn.builders.operators import identity
    >>> identity((8, 8, 2)).is_identity
    True
    """
    return scale(1.0, input_shape)


def rescaled(operator, before, after):
    """
    Return ``after * operator(before * x)`` as one operator, or as a chain with a maximum in it.

    Parameters
    ----------
    operator : ConvOperator, SparseOperator, MaxPool or OperatorChain
    before : array_like
        Positive factors that broadcast to the input (H, W, C). Before a maximum, equal at all positions.
    after : array_like
        Positive factors that broadcast to the output (Ho, Wo, Co).

    Returns
    -------
    operator : ConvOperator, SparseOperator, MaxPool or OperatorChain
        Kernels keep their floating-point type.

    Raises
    ------
    ValueError
        If factors before a maximum differ between positions.

    Examples
    --------
    >>> from brainsnn.builders.operators import max_pool, rescaled
    >>> rescaled(max_pool((2, 2, 1), 2), before=2, after=5).apply([[1, 4, 2, 3]]).ravel()
    array([40.])
    """
    before = np.broadcast_to(np.asarray(before, dtype=float), operator.input_shape)
    after = np.broadcast_to(np.asarray(after, dtype=float), operator.output_shape)
    *first, last = operator.operators if isinstance(operator, OperatorChain) else (operator,)
    parts, factors = [], before
    for part in first:
        factors, part = _passed(part, factors)
        parts.append(part)
        factors = factors.reshape(-1)  # the next operator may have another shape of the same size
    if isinstance(last, MaxPool):
        factors, last = _passed(last, factors)
        parts.append(last)
        if not np.allclose(factors * after, 1, rtol=1e-12, atol=0):  # a factor and its inverse cancel up to rounding
            parts.append(diagonal(factors * after, last.output_shape))
    else:
        parts.append(_linear(last, factors.reshape(last.input_shape), after))
    return parts[0] if len(parts) == 1 else OperatorChain(tuple(parts))


def _passed(operator, factors):
    """Return the factors after an operator, and the operator: a maximum lets them pass, a linear one takes them up."""
    factors = factors.reshape(operator.input_shape)
    if not isinstance(operator, MaxPool):
        return np.ones(operator.output_shape), _linear(operator, factors, np.ones(operator.output_shape))
    if not (factors == factors[:1, :1]).all():
        raise ValueError("rescaled: factors before a maximum must be equal at all positions.")
    return np.broadcast_to(factors[:1, :1], operator.output_shape), operator


def _linear(operator, before, after):
    uniform = (before == before[:1, :1]).all() and (after == after[:1, :1]).all()
    if isinstance(operator, ConvOperator) and uniform:
        target = operator.channel_start[:, None] + np.arange(operator.kernel.shape[3])
        factor = before[0, 0][:, None] * after[0, 0][target]
        return replace(operator, kernel=operator.kernel * factor.astype(operator.kernel.dtype))
    matrix = sparse.diags(before.ravel()) @ to_matrix(operator) @ sparse.diags(after.ravel())
    return SparseOperator(operator.input_shape, operator.output_shape, matrix)
