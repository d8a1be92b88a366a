"""Make the operator of each kind of layer, with the geometry of TensorFlow."""

import numpy as np
from scipy import sparse

from brainsnn.builders.operators.linear import ConvOperator
from brainsnn.builders.operators.operator import as_kernel
from brainsnn.builders.operators.pooling import MaxPool
from brainsnn.builders.operators.separable import separable, window_mean

__all__ = [
    "conv2d",
    "depthwise_conv2d",
    "conv2d_transpose",
    "dense",
    "average_pool",
    "max_pool",
    "upsample",
]


def _pair(value):
    """Return two ints from one or two."""
    return (int(value), int(value)) if np.ndim(value) == 0 else tuple(int(v) for v in value)


def _window(n_in, size, stride, padding, dilation=1):
    """Return the output extent and the padding before, for a window along one axis."""
    extent = (size - 1) * dilation + 1
    if padding == "same":
        n_out = -(-n_in // stride)
        # TensorFlow puts the odd pixel of padding at the end.
        return n_out, max((n_out - 1) * stride + extent - n_in, 0) // 2
    if padding != "valid":
        raise ValueError(f"padding must be 'same' or 'valid', got {padding!r}.")
    if extent > n_in:
        raise ValueError(
            f"A window of {extent} pixels with padding='valid' does not fit a map of {n_in} pixels. Use a larger map or "
            f"padding='same'."
        )
    return (n_in - extent) // stride + 1, 0


def _windows(input_shape, size, strides, padding, dilation=(1, 1)):
    """Return the output extent (rows, columns) and the taps of each axis."""
    axes = [_window(*axis[:3], padding, axis[3]) for axis in zip(input_shape, size, strides, dilation)]
    taps = [np.arange(k) * d - before for k, d, (_, before) in zip(size, dilation, axes)]
    return tuple(n_out for n_out, _ in axes), taps


def conv2d(kernel, input_shape, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1):
    """
    Return the convolution of Keras' ``Conv2D``.

    Parameters
    ----------
    kernel : (KH, KW, C // groups, Co) array_like
    input_shape : (H, W, C)
    strides, dilation : int or pair of int, optional
    padding : {"valid", "same"}, optional
    groups : int, optional

    Returns
    -------
    ConvOperator

    Raises
    ------
    ValueError
        If the kernel does not fit the input.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.builders.operators import conv2d
    >>> conv2d(np.ones((3, 3, 2, 4)), (8, 8, 2), padding="same")
    <ConvOperator (8, 8, 2) -> (8, 8, 4), 3,872 connections>
    """
    kernel = as_kernel(kernel)
    channels, n_filters = input_shape[2], kernel.shape[3]
    if kernel.shape[2] * groups != channels or n_filters % groups:
        raise ValueError(f"conv2d: kernel {kernel.shape} in {groups} group(s) does not fit input {input_shape}.")
    strides, dilation = _pair(strides), _pair(dilation)
    extent, taps = _windows(input_shape, kernel.shape, strides, padding, dilation)
    group = np.arange(channels) // kernel.shape[2]
    width = n_filters // groups
    if groups > 1:
        split = kernel.reshape(*kernel.shape[:3], groups, width)
        kernel = split[:, :, np.arange(channels) % kernel.shape[2], group]
    return ConvOperator(input_shape, (*extent, n_filters), kernel, group * width, *taps, stride=strides)


def depthwise_conv2d(kernel, input_shape, strides=(1, 1), padding="valid", dilation=(1, 1)):
    """
    Return the convolution of Keras' ``DepthwiseConv2D``.

    Parameters
    ----------
    kernel : (KH, KW, C, multiplier) array_like
    input_shape, strides, padding, dilation
        As in `conv2d`.

    Returns
    -------
    ConvOperator

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.builders.operators import depthwise_conv2d
    >>> depthwise_conv2d(np.ones((3, 3, 2, 1)), (8, 8, 2)).output_shape
    (6, 6, 2)
    """
    kernel = np.asarray(kernel, dtype=float)
    strides, dilation = _pair(strides), _pair(dilation)
    extent, taps = _windows(input_shape, kernel.shape, strides, padding, dilation)
    channels, multiplier = kernel.shape[2:]
    start = np.arange(channels) * multiplier
    return ConvOperator(input_shape, (*extent, channels * multiplier), kernel, start, *taps, stride=strides)


def conv2d_transpose(kernel, input_shape, strides=(1, 1), padding="valid", output_padding=None, dilation=(1, 1)):
    """
    Return the convolution of Keras' ``Conv2DTranspose``.

    Parameters
    ----------
    kernel : (KH, KW, Co, C) array_like
        Output channels come before input channels, as Keras stores them.
    input_shape : (H, W, C)
    strides, dilation : int or pair of int, optional
    padding : {"valid", "same"}, optional
    output_padding : int or pair of int, optional
        Rows and columns added to the output, as in Keras.

    Returns
    -------
    ConvOperator

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.builders.operators import conv2d_transpose
    >>> conv2d_transpose(np.ones((3, 3, 4, 2)), (4, 4, 2), strides=2, padding="same").output_shape
    (8, 8, 4)
    """
    kernel = np.asarray(kernel, dtype=float)
    strides, dilation = _pair(strides), _pair(dilation)
    added = (None, None) if output_padding is None else _pair(output_padding)
    extent, taps = [], []
    for n_in, size, stride, rate, more in zip(input_shape, kernel.shape, strides, dilation, added):
        reach = (size - 1) * rate + 1
        if padding == "valid":
            n_out = (n_in - 1) * stride + reach + (max(reach, stride) - reach if more is None else more)
        else:
            n_out = n_in * stride if more is None else (n_in - 1) * stride + reach % 2 + more
        # TensorFlow uses the gradient, and the padding, of the convolution that maps n_out to n_in.
        before = 0 if padding == "valid" else max((n_in - 1) * stride + reach - n_out, 0) // 2
        extent.append(n_out)
        taps.append(before - np.arange(size) * rate)
    start = np.zeros(input_shape[2], dtype=int)
    kernel = kernel.transpose(0, 1, 3, 2)
    return ConvOperator(input_shape, (*extent, kernel.shape[3]), kernel, start, *taps, input_dilation=strides)


def dense(kernel, input_shape=None):
    """
    Return the matrix product over the last axis, as in Keras' ``Dense``.

    Parameters
    ----------
    kernel : (C, units) array_like
    input_shape : (H, W, C), optional
        (1, 1, C) by default.

    Returns
    -------
    ConvOperator

    Examples
    --------
    >>> from brainsnn.builders.operators import dense
    >>> dense([[1.0, 2.0], [3.0, 4.0]]).apply([[1, 1]]).ravel()
    array([4., 6.])
    """
    kernel = as_kernel(kernel)
    return conv2d(kernel[None, None], input_shape or (1, 1, len(kernel)))


def average_pool(input_shape, pool, strides=None, padding="valid"):
    """
    Return the mean over windows. Padding does not count, as in TensorFlow.

    Parameters
    ----------
    input_shape : (H, W, C)
    pool, strides : int or pair of int
        `strides` is `pool` by default.
    padding : {"valid", "same"}, optional

    Returns
    -------
    ConvOperator or SparseOperator
        Sparse if windows at the border hold fewer pixels, because then the weights differ between positions.

    Examples
    --------
    >>> from brainsnn.builders.operators import average_pool
    >>> average_pool((2, 2, 1), 2).apply([[1, 4, 2, 3]]).ravel()
    array([2.5])
    """
    pool = _pair(pool)
    strides = pool if strides is None else _pair(strides)
    channels = input_shape[2]
    extent, taps = _windows(input_shape, pool, strides, padding)
    kernel = np.ones((*pool, channels, 1))
    sums = ConvOperator(input_shape, (*extent, channels), kernel, np.arange(channels), *taps, stride=strides)
    return window_mean(sums, [np.count_nonzero(source >= 0, axis=1) for source in (sums.row_sources, sums.col_sources)])


def max_pool(input_shape, pool, strides=None, padding="valid"):
    """
    Return the maximum over windows, as in Keras' ``MaxPooling2D``.

    Parameters
    ----------
    input_shape, pool, strides, padding
        As in `average_pool`.

    Returns
    -------
    MaxPool

    Examples
    --------
    >>> from brainsnn.builders.operators import max_pool
    >>> max_pool((2, 2, 1), 2).apply([[1, 4, 2, 3]]).ravel()
    array([4.])
    """
    pool = _pair(pool)
    strides = pool if strides is None else _pair(strides)
    extent, taps = _windows(input_shape, pool, strides, padding)
    before = tuple(-int(tap[0]) for tap in taps)
    return MaxPool(input_shape, (*extent, input_shape[2]), pool, strides, before)


def upsample(input_shape, size, interpolation="nearest"):
    """
    Return the operator that repeats or interpolates pixels, as in Keras' ``UpSampling2D``.

    Parameters
    ----------
    input_shape : (H, W, C)
    size : int or pair of int
    interpolation : {"nearest", "bilinear"}, optional

    Returns
    -------
    ConvOperator or SparseOperator
        Sparse for ``"bilinear"``, which repeats the last pixel at the border.

    Raises
    ------
    ValueError
        If the interpolation is unknown.

    Examples
    --------
    >>> from brainsnn.builders.operators import upsample
    >>> upsample((1, 2, 1), (1, 2)).apply([[1, 2]]).ravel()
    array([1., 1., 2., 2.])
    """
    size = _pair(size)
    height, width, channels = input_shape
    if interpolation == "nearest":
        kernel = np.ones((*size, channels, 1))
        taps = [-np.arange(n) for n in size]
        output_shape = (height * size[0], width * size[1], channels)
        return ConvOperator(input_shape, output_shape, kernel, np.arange(channels), *taps, input_dilation=size)
    if interpolation != "bilinear":
        raise ValueError(f"upsample: interpolation must be 'nearest' or 'bilinear', got {interpolation!r}.")
    axes = []
    for n_in, factor in zip((height, width), size):
        out = np.arange(n_in * factor)
        position = (out + 0.5) / factor - 0.5
        low = np.floor(position).astype(int)
        fraction = position - low
        axis = sparse.lil_matrix((n_in, len(out)))
        for o, (i, f) in enumerate(zip(low, fraction)):
            axis[max(i, 0), o] += 1 - f
            axis[min(i + 1, n_in - 1), o] += f
        axes.append(axis.tocsr())
    return separable(input_shape, *axes)
