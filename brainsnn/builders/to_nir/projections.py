"""Operators as the linear nodes of NIR: convolutions with symmetric padding, and matrices."""

import numpy as np

from brainsnn.builders.operators.composition import to_matrix
from brainsnn.builders.operators.linear import ConvOperator, dense_channels
from brainsnn.errors import ConversionError

__all__ = ["DENSE_LIMIT", "as_convolution", "as_matrix", "flat_order"]

#: Weights that a matrix may have beside those of the operator that it stands for.
DENSE_LIMIT = 2**24


def flat_order(shape):
    """
    Return where the values of an (H, W, C) map stand after NIR's Flatten of (C, H, W).

    Parameters
    ----------
    shape : (H, W, C)

    Returns
    -------
    order : (H*W*C,) ndarray of int
        ``flattened = values[order]`` for values in the order of the network.
    """
    return np.arange(np.prod(shape)).reshape(shape).transpose(2, 0, 1).ravel()


def as_matrix(operator, source_shape, target_shape, what):
    """
    Return an operator as the weight of a Linear node between flattened maps.

    Parameters
    ----------
    operator : ConvOperator or SparseOperator
    source_shape, target_shape : (H, W, C)
        Of the populations, from which those of the operator may differ.
    what : str
        Projection, for the message.

    Returns
    -------
    weight : (n_out, n_in) ndarray

    Raises
    ------
    ConversionError
        If it would have more than `DENSE_LIMIT` weights, and more than twice those of the operator.
    """
    n = operator.size_in * operator.size_out
    if n > max(DENSE_LIMIT, 2 * operator.n_weights):
        raise ConversionError(
            f"to_nir: the projection {what} ({operator!r}) is not a Conv2d with one bias for each channel between (C, H, W) "
            f"maps, and a matrix in its place would have {n:,} weights; {DENSE_LIMIT:,} are allowed. Replace the layer, such as "
            "a transposed convolution, or make its maps smaller."
        )
    weight = to_matrix(operator).toarray().T
    return weight[flat_order(target_shape)][:, flat_order(source_shape)]


def as_convolution(operator, source_shape, target_shape):
    """
    Return the arguments of a Conv2d node that does what an operator does.

    Parameters
    ----------
    operator : ConvOperator or SparseOperator
    source_shape, target_shape : (H, W, C)
        Of the populations.

    Returns
    -------
    arguments : dict or None
        ``weight`` (C_out, C_in / groups, KH, KW), ``stride``, ``padding``, ``dilation``, ``groups``. None for an operator that
        is none, such as a transposed convolution or one after a reshape. Zeros are added to a kernel whose padding is not
        symmetric.
    """
    if not isinstance(operator, ConvOperator) or operator.input_dilation != (1, 1):
        return None
    if (operator.input_shape, operator.output_shape) != (tuple(source_shape), tuple(target_shape)):
        return None
    kernel, padding = operator.kernel, []
    taps_of = operator.row_taps, operator.col_taps
    sides = list(zip(operator.input_shape, operator.output_shape, operator.stride, taps_of))
    windows = [_window(*side) for side in sides]
    size = max(last - first + 1 for first, last in windows)
    square = [_window(*side, size=size) for side in sides]
    # The checks of nir 1.0 take every kernel for a square one.
    windows = square if all(last - first + 1 == size for first, last in square) else windows
    for axis, ((first, last), taps) in enumerate(zip(windows, taps_of)):
        spread = np.zeros((*kernel.shape[:axis], last - first + 1, *kernel.shape[axis + 1 :]), kernel.dtype)
        index = [slice(None)] * 4
        index[axis] = np.asarray(taps) - first
        spread[tuple(index)] = kernel
        kernel = spread
        padding.append(-first)
    kernel, groups = _grouped(kernel, operator.channel_start, operator.output_shape[2])
    return {
        "weight": np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)), "stride": operator.stride, "padding": tuple(padding),
        "dilation": (1, 1), "groups": groups,
    }  # fmt: skip


def _window(n_in, n_out, stride, taps, size=1):
    """Return the first and last offset of a window, of this size if possible, that gives n_out values along an axis."""
    first = min(int(np.min(taps)), 0)
    last = max(int(np.max(taps)), first)
    # With padding -first on both sides, the axis has (n_in - first - last - 1)//stride + 1 windows.
    low, high = (n_out - 1) * stride - n_in + 1, n_out * stride - n_in
    if -first - last < low:
        first = -last - low
    elif -first - last > high:
        last = -first - high
    while (missing := size - (last - first + 1)) > 0:
        wider = [(first - 1, last), (first, last + 1), *([(first - 1, last + 1)] if missing > 1 else [])]
        fitting = [(a, b) for a, b in wider if low <= -a - b <= high]
        if not fitting:
            break
        first, last = fitting[0]
    return first, last


def _grouped(kernel, start, n_out):
    """Return (KH, KW, C, F) with the channels that each input channel reaches as a grouped kernel."""
    n_in, width = kernel.shape[2:]
    groups = n_out // width
    per_group = n_in // groups if groups and n_in % groups == 0 else 0
    if n_out % width == 0 and per_group and np.array_equal(start, np.arange(n_in) // per_group * width):
        # (KH, KW, groups, per_group, width) -> the input channel in its group, then all output channels
        split = kernel.reshape(*kernel.shape[:2], groups, per_group, width).transpose(0, 1, 3, 2, 4)
        return split.reshape(*kernel.shape[:2], per_group, n_out), groups
    return dense_channels(kernel, start, n_out), 1
