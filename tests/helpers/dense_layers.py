"""Keras layers of the dense reference as linear operators on arrays, with TensorFlow's geometry of convolutions.

Like all of the reference it imports neither brainsnn nor Keras: layers are known by their class names.
"""

import numpy as np

__all__ = [
    "linear_operator", "pool_function", "conv2d", "depthwise_conv2d", "conv2d_transpose", "max_pool", "average_pool",
]  # fmt: skip


def _pair(value):
    return (value, value) if np.isscalar(value) else tuple(value)


def axis_geometry(size, window, stride, padding, dilation=1):
    """Output size and zeros before and after along one axis of a convolution or pooling."""
    extent = (window - 1) * dilation + 1
    if padding == "valid":
        return (size - extent) // stride + 1, 0, 0
    if padding != "same":
        raise ValueError(f"padding {padding!r} is not 'same' or 'valid'")
    n_out = -(-size // stride)
    total = max((n_out - 1) * stride + extent - size, 0)
    return n_out, total // 2, total - total // 2


def taps(x, window, strides, padding, dilation=(1, 1), fill=0.0):
    """Yield (i, j, view): for each tap of the window, the input (n, H_out, W_out, C) that it sees."""
    rows, top, bottom = axis_geometry(x.shape[1], window[0], strides[0], padding, dilation[0])
    cols, left, right = axis_geometry(x.shape[2], window[1], strides[1], padding, dilation[1])
    x = np.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)), constant_values=fill)
    for i, j in np.ndindex(*window):
        row, col = i * dilation[0], j * dilation[1]
        yield i, j, x[:, row : row + (rows - 1) * strides[0] + 1 : strides[0],
                      col : col + (cols - 1) * strides[1] + 1 : strides[1]]  # fmt: skip


def conv2d(x, kernel, strides=(1, 1), padding="valid", dilation=(1, 1), groups=1):
    """Convolution of x (n, H, W, C_in) with kernel (kh, kw, C_in / groups, C_out)."""
    inputs, kernels = np.split(x, groups, axis=-1), np.split(kernel, groups, axis=-1)
    outputs = []
    for part, weights in zip(inputs, kernels):
        views = taps(part, kernel.shape[:2], strides, padding, dilation)
        outputs.append(sum(view @ weights[i, j] for i, j, view in views))
    return np.concatenate(outputs, axis=-1)


def depthwise_conv2d(x, kernel, strides=(1, 1), padding="valid", dilation=(1, 1)):
    """Depthwise convolution with kernel (kh, kw, C, m): output channel c*m + k sees input channel c."""
    views = taps(x, kernel.shape[:2], strides, padding, dilation)
    out = sum(view[..., None] * kernel[i, j] for i, j, view in views)
    return out.reshape(out.shape[:3] + (-1,))


def conv2d_transpose(x, kernel, size, strides=(1, 1), padding="valid", dilation=(1, 1)):
    """Adjoint of the convolution from (n, *size, C_out) to x (n, h, w, C_in).

    The kernel is (kh, kw, C_out, C_in).
    """
    rows, cols = x.shape[1:3]
    kh, kw = kernel.shape[:2]
    n_rows, top, bottom = axis_geometry(size[0], kh, strides[0], padding, dilation[0])
    n_cols, left, right = axis_geometry(size[1], kw, strides[1], padding, dilation[1])
    if (n_rows, n_cols) != (rows, cols):
        raise ValueError(f"a transposed convolution cannot map {(rows, cols)} to {tuple(size)}")
    out = np.zeros((x.shape[0], size[0] + top + bottom, size[1] + left + right, kernel.shape[2]))
    for i, j in np.ndindex(kh, kw):
        row, col = i * dilation[0], j * dilation[1]
        out[:, row : row + (rows - 1) * strides[0] + 1 : strides[0],
            col : col + (cols - 1) * strides[1] + 1 : strides[1]] += x @ kernel[i, j].T  # fmt: skip
    return out[:, top : top + size[0], left : left + size[1]]


def max_pool(x, window, strides, padding):
    """Maximum over each window; padding never wins."""
    views = [view for _, _, view in taps(x, window, strides, padding, fill=-np.inf)]
    return np.max(views, axis=0)


def average_pool(x, window, strides, padding):
    """Mean over each window; padding is not counted."""
    total = sum(view for _, _, view in taps(x, window, strides, padding))
    count = sum(view for _, _, view in taps(np.ones((1,) + x.shape[1:]), window, strides, padding))
    return total / count


# ----------------------------------------------------------------------------------------------------
# Keras layers as linear operators: operator(tensors, with_bias) -> tensor
# ----------------------------------------------------------------------------------------------------
def _weights(variable):
    return None if variable is None else np.asarray(variable, dtype=np.float64)


def _with_bias(linear, layer):
    """Operator of one tensor that adds the layer's bias when asked to."""
    bias = _weights(layer.bias) if layer.use_bias else None

    def operator(tensors, with_bias):
        out = linear(tensors[0])
        return out + bias if with_bias and bias is not None else out

    return operator


def _without_bias(linear):
    return lambda tensors, with_bias: linear(tensors[0])


def convolution_operator(layer, out_shape):
    """Operator of a Conv2D, DepthwiseConv2D, SeparableConv2D or Conv2DTranspose."""
    geometry = dict(strides=_pair(layer.strides), padding=layer.padding, dilation=_pair(layer.dilation_rate))
    kind = type(layer).__name__
    if kind == "SeparableConv2D":
        depthwise, pointwise = _weights(layer.depthwise_kernel), _weights(layer.pointwise_kernel)
        return _with_bias(lambda x: conv2d(depthwise_conv2d(x, depthwise, **geometry), pointwise), layer)
    kernel = _weights(layer.kernel)
    if kind == "DepthwiseConv2D":
        return _with_bias(lambda x: depthwise_conv2d(x, kernel, **geometry), layer)
    if kind == "Conv2DTranspose":
        return _with_bias(lambda x: conv2d_transpose(x, kernel, out_shape[:2], **geometry), layer)
    return _with_bias(lambda x: conv2d(x, kernel, groups=layer.groups, **geometry), layer)


def batch_norm_operator(layer, n_axes):
    """Operator of a BatchNormalization at inference: scale*x, and bias beta - mean*scale."""
    axis = layer.axis if np.isscalar(layer.axis) else layer.axis[0]
    if axis not in (-1, n_axes):
        raise NotImplementedError(f"{layer.name}: BatchNormalization over axis {axis}, not the last")
    scale = 1 / np.sqrt(_weights(layer.moving_variance) + layer.epsilon)
    if layer.scale:
        scale = scale * _weights(layer.gamma)
    bias = -_weights(layer.moving_mean) * scale
    if layer.center:
        bias = bias + _weights(layer.beta)
    return lambda tensors, with_bias: tensors[0] * scale + (bias if with_bias else 0.0)


def pool_function(layer):
    """Function of one tensor for a pooling layer."""
    kind = type(layer).__name__
    if kind == "GlobalAveragePooling2D":
        return lambda x: x.mean(axis=(1, 2), keepdims=layer.keepdims)
    pool = max_pool if kind == "MaxPooling2D" else average_pool
    return lambda x: pool(x, _pair(layer.pool_size), _pair(layer.strides), layer.padding)


def shape_function(layer, out_shape):
    """Function of one tensor for a layer that only moves values, or None."""
    kind = type(layer).__name__
    if kind in ("Flatten", "Reshape"):
        return lambda x: x.reshape((x.shape[0],) + tuple(out_shape))
    if kind == "ZeroPadding2D":
        return lambda x: np.pad(x, ((0, 0), *layer.padding, (0, 0)))
    if kind == "UpSampling2D":
        if layer.interpolation != "nearest":
            raise NotImplementedError(f"{layer.name}: interpolation {layer.interpolation!r}")
        rows, cols = _pair(layer.size)
        return lambda x: x.repeat(rows, axis=1).repeat(cols, axis=2)
    return None


def linear_operator(layer, out_shape):
    """operator(tensors, with_bias) of a linear Keras layer; `out_shape` is without the batch axis."""
    kind = type(layer).__name__
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise NotImplementedError(f"{layer.name}: data_format {layer.data_format!r}")
    if kind in ("Conv2D", "DepthwiseConv2D", "SeparableConv2D", "Conv2DTranspose"):
        return convolution_operator(layer, out_shape)
    if kind == "Dense":
        kernel = _weights(layer.kernel)
        return _with_bias(lambda x: x @ kernel, layer)
    if kind == "BatchNormalization":
        return batch_norm_operator(layer, len(out_shape))
    if kind in ("AveragePooling2D", "GlobalAveragePooling2D"):
        return _without_bias(pool_function(layer))
    if kind == "Add":
        return lambda tensors, with_bias: sum(tensors)
    if kind == "Subtract":
        return lambda tensors, with_bias: tensors[0] - tensors[1]
    if kind == "Concatenate":
        return lambda tensors, with_bias: np.concatenate(tensors, axis=layer.axis)
    move = shape_function(layer, out_shape)
    if move is None:
        raise NotImplementedError(f"{layer.name}: layer class {kind}")
    return _without_bias(move)
