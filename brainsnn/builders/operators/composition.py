"""Compose and add linear operators, where one operator gives exactly the same result."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from brainsnn.builders.operators.axes import axis_sources
from brainsnn.builders.operators.linear import ConvOperator, SparseOperator, dense_channels

__all__ = ["LARGE_KERNEL", "compose", "compose_sparse", "add_operators", "composed_size", "to_matrix"]

#: Weights of a kernel above which two operators may be cheaper than one: if it has more than four times theirs as well.
LARGE_KERNEL = 2**22


def compose(outer, inner):
    """
    Return one operator equal to ``outer(inner(x))``.

    Parameters
    ----------
    outer, inner : operator
        `inner` is applied first. If its output differs from the input of `outer` in shape but not in size, it is
        reshaped in between, as by a ``Flatten`` or ``Reshape`` layer.

    Returns
    -------
    ConvOperator, SparseOperator or None
        None where one convolution may give another result: zero padding between the two would be filled by a composed
        kernel, a stride is followed by up-sampling, no kernel expresses the reshape, or one of them is a maximum.

    Raises
    ------
    ValueError
        If the sizes between the operators differ.

    Notes
    -----
    Call the inner operator A, the outer B, stride s, input dilation u and taps t. With ``m*sA + tA = i*uA`` and
    ``o*sB + tB = m*uB``, the middle position m can be eliminated if uB = 1 (taps ``tB*sA + tA``) or sA = 1 (taps
    ``tB + tA*uB``). The result is exact if every m outside of the middle map, which B reads as 0, would not have read
    any pixel of the input.

    Examples
    --------
    >>> from brainsnn.builders.operators import compose, max_pool, scale
    >>> print(compose(scale(3, (4, 4, 1)), scale(2, (4, 4, 1))).kernel.ravel())
    [6.]
    >>> print(compose(scale(3, (2, 2, 1)), max_pool((4, 4, 1), 2)))
    None
    """
    if inner.size_out != outer.size_in:
        raise ValueError(
            f"compose: the inner operator's output {inner.output_shape} and the outer's input {outer.input_shape} must have "
            f"the same size."
        )
    if inner.is_identity:
        return outer
    if outer.is_identity:
        return inner
    types = {type(inner), type(outer)}
    if types <= {ConvOperator, SparseOperator} and SparseOperator in types:
        other = inner if isinstance(outer, SparseOperator) else outer
        # A scale or an embedding keeps the number of connections. Other operators would fill the matrix.
        return compose_sparse(outer, inner) if other.is_channelwise else None
    if types != {ConvOperator}:
        return None
    if inner.output_shape != outer.input_shape:
        outer, inner = _reshaped(outer, inner)
        if outer is None or inner.is_identity:
            return outer
    if outer.is_scale:
        return _scaled(_canonical(inner), outer.kernel[0, 0, :, 0])
    return _compose_convolutions(_canonical(outer), _canonical(inner))


def _scaled(operator, factor):
    """Return an operator whose output channels are multiplied by factors, in float64; its kernel may be large."""
    start, n_targets = operator.channel_start, operator.kernel.shape[3]
    if np.ptp(start) == 0:
        factors = factor[start[0] : start[0] + n_targets].astype(float)
    else:
        factors = factor[start[:, None] + np.arange(n_targets)].astype(float)
    return replace(operator, kernel=operator.kernel * factors)


def compose_sparse(outer, inner):
    """
    Return ``outer(inner(x))`` as a sparse matrix, which is always exact.

    Parameters
    ----------
    outer, inner : ConvOperator or SparseOperator

    Returns
    -------
    SparseOperator

    Examples
    --------
    >>> from brainsnn.builders.operators import compose_sparse, upsample, zero_pad
    >>> compose_sparse(upsample((4, 4, 1), 2), zero_pad((2, 2, 1), ((1, 1), (1, 1))))
    <SparseOperator (2, 2, 1) -> (8, 8, 1), 16 connections>
    """
    return SparseOperator(inner.input_shape, outer.output_shape, to_matrix(inner) @ to_matrix(outer))


def to_matrix(operator):
    """
    Return the sparse matrix of a linear operator.

    Parameters
    ----------
    operator : ConvOperator or SparseOperator

    Returns
    -------
    (size_in, size_out) scipy.sparse.csr_matrix

    Examples
    --------
    >>> from brainsnn.builders.operators import scale, to_matrix
    >>> to_matrix(scale([2, 3], (1, 1, 2))).toarray()
    array([[2., 0.],
           [0., 3.]])
    """
    if isinstance(operator, SparseOperator):
        return operator.matrix
    i, j, w = operator.to_coo()
    return sparse.csr_matrix((w, (i, j)), shape=(operator.size_in, operator.size_out))


def composed_size(outer, inner):
    """
    Return an upper bound of the number of weights that `compose` would store.

    Parameters
    ----------
    outer, inner : operator

    Returns
    -------
    int
        0 if the result cannot be a convolution.
    """
    if not (isinstance(outer, ConvOperator) and isinstance(inner, ConvOperator)):
        return 0
    width = max(outer.kernel.shape[3], inner.kernel.shape[3])
    if inner.output_shape != outer.input_shape:
        # Flatten and Dense: one kernel position for each pixel of the middle map.
        middle = np.maximum(inner.output_shape[:2], outer.input_shape[:2])
        return int(np.prod(middle + np.array(inner.kernel.shape[:2]))) * inner.input_shape[2] * width
    n_taps = 1
    for a, b, stride, dilation in zip(_taps(inner), _taps(outer), inner.stride, outer.input_dilation):
        n_taps *= min(len(a) * len(b), int(np.ptp(b) * stride + np.ptp(a) * dilation + 1))
    return n_taps * inner.input_shape[2] * width


def add_operators(first, second):
    """
    Return one operator equal to ``first(x) + second(x)``.

    Parameters
    ----------
    first, second : operator

    Returns
    -------
    ConvOperator, SparseOperator or None
        None if shapes, strides or types differ, or if the sum of two small kernels would be a large one, mostly of zeros.

    Examples
    --------
    >>> from brainsnn.builders.operators import add_operators, identity, scale
    >>> add_operators(identity((1, 1, 1)), scale(2, (1, 1, 1))).apply([[5]]).ravel()
    array([15.])
    """
    if (first.input_shape, first.output_shape) != (second.input_shape, second.output_shape):
        return None
    if isinstance(first, SparseOperator) and isinstance(second, SparseOperator):
        return SparseOperator(first.input_shape, first.output_shape, first.matrix + second.matrix)
    if not (isinstance(first, ConvOperator) and isinstance(second, ConvOperator)):
        return None
    if (first.stride, first.input_dilation) != (second.stride, second.input_dilation):
        return None
    rows, cols = (np.union1d(a, b) for a, b in zip(_taps(first), _taps(second)))
    start, width = _union_ranges(first, second)
    large = len(rows) * len(cols) * first.input_shape[2] * width
    if large > max(LARGE_KERNEL, 4 * (first.kernel.size + second.kernel.size)):
        return None
    kernel = np.zeros((len(rows), len(cols), first.input_shape[2], width))
    for part in (first, second):
        dense = dense_channels(part.kernel, part.channel_start - start, width)
        kernel[np.ix_(np.searchsorted(rows, part.row_taps), np.searchsorted(cols, part.col_taps))] += dense
    return replace(first, kernel=kernel, channel_start=start, row_taps=rows, col_taps=cols)


def _union_ranges(first, second):
    """Return start and width of channel ranges that include those of both operators."""
    low = np.minimum(first.channel_start, second.channel_start)
    high = np.maximum(first.channel_start + first.kernel.shape[3], second.channel_start + second.kernel.shape[3])
    width = int((high - low).max())
    return np.minimum(low, first.output_shape[2] - width), width


def _taps(operator):
    """Return row and column offsets."""
    return operator.row_taps, operator.col_taps


def _canonical(operator):
    """Return the same operator with stride 1 along output axes of length 1, and dilation 1 along such input axes."""
    stride = tuple(1 if n == 1 else s for n, s in zip(operator.output_shape, operator.stride))
    dilation = tuple(1 if n == 1 else u for n, u in zip(operator.input_shape, operator.input_dilation))
    if (stride, dilation) == (operator.stride, operator.input_dilation):
        return operator
    return replace(operator, stride=stride, input_dilation=dilation)


def _reshaped(outer, inner):
    """Return the pair with equal shapes in between, or (None, None)."""
    one_pixel = (1, 1)
    if outer.is_pointwise and outer.input_shape[:2] == one_pixel and np.ptp(outer.channel_start) == 0:
        height, width, channels = inner.output_shape
        kernel = outer.kernel.reshape(height, width, channels, -1)
        start = np.full(channels, outer.channel_start[0])
        return (
            ConvOperator(inner.output_shape, outer.output_shape, kernel, start, np.arange(height), np.arange(width)),
            inner,
        )
    if inner.is_pointwise and inner.input_shape[:2] == one_pixel and np.ptp(inner.channel_start) == 0:
        height, width, channels = outer.input_shape
        full = dense_channels(inner.kernel, inner.channel_start, inner.output_shape[2])[0, 0]
        kernel = full.reshape(-1, height, width, channels).transpose(1, 2, 0, 3)
        start = np.zeros(inner.input_shape[2], dtype=int)
        return outer, ConvOperator(
            inner.input_shape, outer.input_shape, kernel, start, -np.arange(height), -np.arange(width)
        )
    return None, None


def _compose_axis(inner, outer, axis):
    """
    Compose along one axis.

    Returns
    -------
    taps, index, stride, input_dilation
        `index` (n_outer, n_inner) is the composed tap that each pair of taps adds to, -1 for pairs that read nothing.
        None if the composition is not exact.
    """
    tap_in, tap_out = _taps(inner)[axis], _taps(outer)[axis]
    n_in, n_mid, n_out = inner.input_shape[axis], inner.output_shape[axis], outer.output_shape[axis]
    if outer.input_dilation[axis] == 1:
        stride, dilation = inner.stride[axis] * outer.stride[axis], inner.input_dilation[axis]
        sums = tap_out[:, None] * inner.stride[axis] + tap_in
    elif inner.stride[axis] == 1:
        stride, dilation = outer.stride[axis], inner.input_dilation[axis] * outer.input_dilation[axis]
        sums = tap_out[:, None] + tap_in * outer.input_dilation[axis]
    else:
        return None
    # Middle positions in the padding must not see the input.
    position = np.arange(n_out)[:, None] * outer.stride[axis] + tap_out
    middle, rest = np.divmod(position, outer.input_dilation[axis])
    outside = np.unique(middle[(rest == 0) & ((middle < 0) | (middle >= n_mid))])
    seen, rest = np.divmod(outside[:, None] * inner.stride[axis] + tap_in, inner.input_dilation[axis])
    if np.any((rest == 0) & (seen >= 0) & (seen < n_in)):
        return None
    common = np.gcd(stride, dilation)
    taps = np.unique(sums[sums % common == 0]) // common
    taps = taps[(axis_sources(taps, stride // common, dilation // common, n_in, n_out) >= 0).any(axis=0)]
    if len(taps) == 0:
        return None
    found = np.minimum(np.searchsorted(taps * common, sums), len(taps) - 1)
    return taps, np.where(taps[found] * common == sums, found, -1), int(stride // common), int(dilation // common)


def _compose_convolutions(outer, inner):
    """Return the composed `ConvOperator`, or None if it is not exact."""
    axes = [_compose_axis(inner, outer, axis) for axis in (0, 1)]
    if None in axes:
        return None
    (rows, row_index, *_), (cols, col_index, *_) = axes
    start, width, product = _channel_product(outer, inner)
    kernel = np.zeros((len(rows), len(cols), inner.input_shape[2], width))
    for r in range(len(inner.row_taps)):
        outer_rows = np.flatnonzero(row_index[:, r] >= 0)
        for c in range(len(inner.col_taps)):
            outer_cols = np.flatnonzero(col_index[:, c] >= 0)
            if len(outer_rows) and len(outer_cols):
                # For one inner tap all sums differ, so no position occurs twice on the left.
                part = outer.kernel[np.ix_(outer_rows, outer_cols)].astype(float)
                added = product(inner.kernel[r, c].astype(float), part)
                kernel[np.ix_(row_index[outer_rows, r], col_index[outer_cols, c])] += added
    return ConvOperator(
        inner.input_shape, outer.output_shape, kernel, start, rows, cols,
        stride=(axes[0][2], axes[1][2]), input_dilation=(axes[0][3], axes[1][3]),
    )  # fmt: skip


def _channel_product(outer, inner):
    """
    Return how channels compose: start and width of the composed ranges, and the product of kernels.

    Returns
    -------
    start : (C,) ndarray of int
    width : int
    product : callable
        Maps an inner tap (C, F) and outer taps (n, m, Cm, F) to (n, m, C, width).
    """
    start_in, start_out = inner.channel_start, outer.channel_start
    f_in, f_out = inner.kernel.shape[3], outer.kernel.shape[3]
    n_channels = outer.output_shape[2]
    if f_in == 1:
        return start_out[start_in], f_out, lambda a, b: b[:, :, start_in] * a
    reached = start_in[:, None] + np.arange(f_in)
    if f_out == 1 and np.array_equal(start_out, start_out[0] + np.arange(len(start_out))):
        return start_out[start_in], f_in, lambda a, b: b[:, :, reached, 0] * a
    low = start_out[reached].min(axis=1)
    width = int((start_out[reached].max(axis=1) + f_out - low).max())
    start = np.minimum(low, n_channels - width)
    columns = start[:, None] + np.arange(width)

    def product(a, b):
        """Return the weights of one tap after those of another."""
        left = dense_channels(a[None, None], start_in, inner.output_shape[2])[0, 0]
        full = left @ dense_channels(b, start_out, n_channels)
        return full[:, :, np.arange(len(start))[:, None], columns]

    return start, width, product
