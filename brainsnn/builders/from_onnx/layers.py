"""One handler per operator with weights or windows: convolutions, matrix products, normalization, pooling, resizing."""

import math
from fractions import Fraction

import numpy as np

import brainsnn.builders.operators as ops
from brainsnn.builders.from_onnx.layout import Tensor
from brainsnn.builders.from_onnx.windows import clipped, transposed_windows, windows
from brainsnn.builders.graph.merging import average

__all__ = ["LAYER_HANDLERS"]


def _kernel(call, n_channels):
    """Return the weights of a convolution, its groups, and its bias; ``n_channels`` gives (inputs, outputs) of a kernel."""
    kernel, group = call.weight(1, 4), call.attribute("group", 1)
    declared = call.attribute("kernel_shape", kernel.shape[2:])
    channels, filters = n_channels(kernel, group)
    if group < 1 or kernel.size == 0 or tuple(declared) != kernel.shape[2:] or channels % group or filters % group:
        raise call.refuse(
            f"a kernel of the shape {kernel.shape} does not go with kernel_shape={declared} and group={group}.",
            "Export the model again.",
        )
    bias = call.weight(2, 1) if call.has(2) else None
    if bias is not None and len(bias) != filters:
        raise call.refuse(f"a bias of {len(bias)} numbers does not fit {filters} channels.", "Export the model again.")
    return kernel, group, bias


def _check_channels(call, shape, channels):
    """Refuse a map with another number of channels than the weights are for."""
    if shape[2] != channels:
        raise call.refuse(
            f"its weights are for {channels} channels, and it reads {shape[2]}.", "Images must be (n, C, H, W)."
        )


def _conv(call):
    kernel, group, bias = _kernel(call, lambda kernel, group: (kernel.shape[1] * group, kernel.shape[0]))
    affine = call.image().affine
    _check_channels(call, affine.shape, kernel.shape[1] * group)
    window = windows(call, affine.shape, kernel.shape[2:])
    kernel = kernel.transpose(2, 3, 1, 0)
    operator = ops.conv2d(kernel, window.padded(affine.shape), window.strides, "valid", window.dilations, group)
    return _image(call.apply(affine, clipped(operator, affine.shape, window.before), bias))


def _conv_transpose(call):
    kernel, group, bias = _kernel(call, lambda kernel, group: (kernel.shape[0], kernel.shape[1] * group))
    affine = call.image().affine
    _check_channels(call, affine.shape, kernel.shape[0])
    window = transposed_windows(call, affine.shape, kernel.shape[2:])
    n_targets = kernel.shape[1]
    start = np.arange(affine.shape[2]) // (affine.shape[2] // group) * n_targets
    operator = ops.ConvOperator(
        affine.shape, (*window.extent, n_targets * group), kernel.transpose(2, 3, 0, 1), start, *(-t for t in window.taps),
        input_dilation=window.strides,
    )  # fmt: skip
    return _image(call.apply(affine, operator, bias))


def _image(affine):
    """Return a map as a tensor (C, H, W)."""
    height, width, channels = affine.shape
    return Tensor((channels, height, width), affine)


def _gemm(call):
    if call.attribute("transA", 0):
        raise call.refuse("transA=1 mixes the images of a batch.", "Transpose the weights, not the images.")
    rank = len(call.tensor().shape) + 1
    if rank != 2:
        raise call.refuse(f"it reads a tensor of {rank} axes; two are supported.", "Flatten it.")
    matrix = call.weight(1, 2)
    matrix = matrix.T if call.attribute("transB", 0) else matrix
    alpha, beta = call.number("alpha", 1.0), call.number("beta", 1.0)
    bias = beta * call.weight(2, 0, 1, 2).astype(float) if call.has(2) and beta else None
    if bias is not None and bias.shape not in ((), (1,), (1, 1), (matrix.shape[1],), (1, matrix.shape[1])):
        raise call.refuse(f"a bias of the shape {bias.shape} does not fit {matrix.shape[1]} outputs.", "Give one each.")
    return _product(
        call, matrix if alpha == 1 else alpha * matrix.astype(float), None if bias is None else bias.ravel()
    )


def _matmul(call):
    if not isinstance(call.inputs[0], Tensor):
        raise call.refuse("a constant stands to the left of the product.", "Write it as x @ W.")
    matrix = call.weight(1, 2)
    if len(call.tensor().shape) > 2:
        raise call.refuse(
            f"it is a product over the last axis of a tensor of {len(call.tensor().shape) + 1} axes; two or three are "
            "supported.",
            "Use a 1x1 convolution, or flatten the tensor.",
        )
    return _product(call, matrix, None)


def _product(call, matrix, bias):
    """Return the product of a tensor's last axis with a matrix (n, units), plus a bias (units,) or (1,)."""
    tensor = call.tensor()
    if len(tensor.shape) == 0 or tensor.shape[-1] != len(matrix):
        raise call.refuse(
            f"its weights are for {len(matrix)} inputs, and it reads a tensor of the shape {(call.batch, *tensor.shape)}.",
            "Export the model again.",
        )
    if len(tensor.shape) == 1:
        if tensor.order is not None:  # the rows of the matrix take the order of the map
            ordered = np.empty(matrix.shape, matrix.dtype)  # in the order of memory that operators want
            ordered[tensor.order] = matrix
            matrix = ordered
        return Tensor((matrix.shape[1],), call.apply(tensor.flat(), ops.dense(matrix), bias))
    affine = tensor.standard(call.builder).affine
    return Tensor((tensor.shape[0], matrix.shape[1]), call.apply(affine, ops.dense(matrix, affine.shape), bias))


def _batch_normalization(call):
    if call.attribute("training_mode", 0) or len([name for name in call.node.outputs if name]) > 1:
        raise call.refuse(
            "it normalizes with the statistics of a batch.", "Export the model in evaluation mode: model.eval()."
        )
    if not call.attribute("spatial", 1):
        raise call.refuse("spatial=0 is not supported.", "Export the model with a newer opset_version.")
    tensor, epsilon = call.tensor(), call.number("epsilon", 1e-5)
    gamma, beta, mean, variance = (call.weight(k, 1).astype(float) for k in range(1, 5))
    n = tensor.shape[0] if tensor.shape else 0
    if {len(gamma), len(beta), len(mean), len(variance)} != {n}:
        raise call.refuse(f"its weights do not fit {n} channels.", "Export the model again.")
    if (variance + epsilon).min() <= 0:
        raise call.refuse(
            f"it divides by the root of a variance, the smallest of which is {variance.min():g}, plus epsilon={epsilon!r}. This "
            "sum must be greater than 0.",
            "Train again or load another checkpoint.",
        )
    factor = gamma / np.sqrt(variance + epsilon)
    return scaled(call, tensor, *(_by_channel(values, tensor) for values in (factor, beta - mean * factor)))


def _by_channel(values, tensor):
    """Return one number per channel in a shape that broadcasts to a tensor."""
    return values.reshape(-1, *(1,) * (len(tensor.shape) - 1))


def scaled(call, tensor, factor=None, offset=None):
    """Return a tensor times an array plus an array, which broadcast to it as in NumPy."""
    affine = tensor.affine
    operator = ops.identity(affine.shape) if factor is None else ops.diagonal(tensor.laid_out(factor), affine.shape)
    return Tensor(
        tensor.shape, call.apply(affine, operator, None if offset is None else tensor.laid_out(offset)), tensor.order
    )


def _pool_window(call, affine):
    """Return the windows of a pooling node."""
    return windows(call, affine.shape, call.attribute("kernel_shape", ()), pools=True)


def _max_pool(call):
    affine = call.image().affine
    window = _pool_window(call, affine)
    shape = (*window.extent, affine.shape[2])
    if window.size == (1, 1):  # only skips pixels, which is linear
        return _image(call.apply(affine, _sums(affine.shape, window)))
    if window.dilations != (1, 1):
        raise call.refuse(f"dilations={window.dilations} is not supported in a maximum.", "Use dilations of 1.")
    call.check_size(math.prod(shape))
    operator = ops.MaxPool(affine.shape, shape, window.size, window.strides, window.before)
    return _image(call.builder.max_pool(affine, operator, call.label))


def _global_max_pool(call):
    affine = call.image().affine
    return _image(call.builder.max_pool(affine, ops.max_pool(affine.shape, affine.shape[:2]), call.label))


def _sums(shape, window):
    """Return the operator that adds up the pixels of each window."""
    kernel = np.ones((*window.size, shape[2], 1))
    extent = (*window.extent, shape[2])
    return ops.ConvOperator(shape, extent, kernel, np.arange(shape[2]), *window.taps, stride=window.strides)


def _average_pool(call):
    affine = call.image().affine
    window = _pool_window(call, affine)
    call.check_size(math.prod(window.size) * affine.shape[2], "its window")
    call.check_size(math.prod(window.extent) * affine.shape[2])
    sums = _sums(affine.shape, window)
    if call.attribute("count_include_pad", 0):
        ends = [n + after for n, after in zip(affine.shape, window.after)]
        firsts = [np.arange(n)[:, None] * step for n, step in zip(window.extent, window.strides)]
        counts = [np.count_nonzero(f + taps < end, axis=1) for f, taps, end in zip(firsts, window.taps, ends)]
    else:
        counts = [np.count_nonzero(sources >= 0, axis=1) for sources in (sums.row_sources, sums.col_sources)]
    if min(count.min() for count in counts) < 1:
        raise call.refuse("one of its windows holds padding only.", "Use less padding.")
    return _image(average(affine, ops.window_mean(sums, counts), call.builder, call.label))


def _global_average_pool(call):
    return _mean(call, call.image().affine, rows=True, cols=True)


def _mean(call, affine, rows, cols):
    """Return the mean over rows, columns or both."""
    size = (affine.shape[0] if rows else 1, affine.shape[1] if cols else 1)
    return _image(average(affine, ops.average_pool(affine.shape, size), call.builder, call.label))


def _reduce_mean(call):
    tensor, axes = call.tensor(), call.whole_numbers(1, "axes")
    rank = len(tensor.shape) + 1
    if not axes:
        if call.attribute("noop_with_empty_axes", 0):
            return tensor
        axes = range(rank)
    axes = {axis % rank for axis in axes if -rank <= axis < rank}
    image = tensor
    if rank == 3 and axes == {2}:  # rows and columns may have become one axis
        height, width, channels = tensor.affine.shape
        if tensor.shape == (channels, height * width):
            image, axes = tensor.viewed((channels, height, width), tensor.places, call.label), {2, 3}
    if len(image.shape) != 3 or not axes <= {2, 3}:
        raise call.refuse(
            f"it is a mean over the axes {sorted(axes)} of a tensor of the shape {(call.batch, *tensor.shape)}; rows and columns "
            "of images (n, C, H, W) are supported, the axes 2 and 3.",
            "Write it as a convolution.",
        )
    found = _mean(call, image.standard(call.builder).affine, 2 in axes, 3 in axes)
    kept = call.attribute("keepdims", 1)
    shape = tuple(n for axis, n in enumerate(found.shape, start=1) if kept or axis not in axes)
    if kept and rank == 3:
        shape = shape[:2]
    return found if shape == found.shape else found.viewed(shape, found.places, call.label)


def _resize(call):
    mode = call.attribute("mode", "nearest")
    affine = call.image().affine
    factors = _resize_factors(call, (call.batch, affine.shape[2], *affine.shape[:2]))
    sizes = [int(factor) for factor in factors]
    call.check_size(math.prod(affine.shape) * math.prod(sizes))
    if mode != "nearest" or sizes != factors or not all(_repeats(call, f, n) for f, n in zip(sizes, affine.shape)):
        raise call.refuse(
            f"mode={mode!r} with the factors {tuple(map(float, factors))}, coordinate_transformation_mode="
            f"{_coordinates(call)!r} and nearest_mode={_rounding(call)!r} does not repeat each pixel a whole number of times.",
            "Use torch.nn.Upsample(scale_factor=2, mode='nearest'), or ConvTranspose2d.",
        )
    return _image(call.apply(affine, ops.upsample(affine.shape, sizes)))


def _resize_factors(call, shape):
    """Return the factors of rows and columns as fractions."""
    old = call.node.version < 11
    scales, sizes = call.constant(1 if old else 2), None if old else call.whole_numbers(3)
    if call.attribute("antialias", 0) or call.attribute("axes") is not None:
        raise call.refuse("axes and antialias are not supported.", "Give scales for all four axes.")
    if sizes and call.attribute("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise call.refuse("keep_aspect_ratio_policy is not supported.", "Give scales.")
    if sizes:
        factors = [Fraction(n, before) for n, before in zip(sizes, shape)] if min(sizes) > 0 else []
    else:
        values = [] if scales is None else scales.ravel().tolist()
        factors = [Fraction(value) for value in values] if all(0 < v < 2**31 for v in values) else []
    if len(factors) != 4 or factors[:2] != [1, 1]:
        raise call.refuse(
            f"scales={scales} and sizes={sizes} must have a number for each of four axes, which keeps batch and channels.",
            "Resize rows and columns only.",
        )
    return factors[2:]


def _coordinates(call):
    return call.attribute("coordinate_transformation_mode", "half_pixel" if call.node.version > 10 else "asymmetric")


def _rounding(call):
    return call.attribute("nearest_mode", "round_prefer_floor" if call.node.version > 10 else "floor")


def _repeats(call, factor, n):
    """Return whether ``factor*n`` pixels read each of n pixels ``factor`` times: in whole numbers, without rounding errors."""
    out, n_out = np.arange(n * factor), n * factor
    half_pixel = 2 * out + 1 - factor, 2 * factor
    places = {
        "half_pixel": half_pixel,
        "half_pixel_symmetric": half_pixel,  # the same for whole factors
        "pytorch_half_pixel": half_pixel if n_out > 1 else (out, 1),
        "asymmetric": (out, factor),
        "align_corners": (out * (n - 1), max(n_out - 1, 1)),
    }.get(_coordinates(call))
    if places is None:
        return False
    above, below = places
    rounded = {
        "round_prefer_floor": -((below - 2 * above) // (2 * below)),
        "round_prefer_ceil": (2 * above + below) // (2 * below),
        "floor": above // below,
        "ceil": -(-above // below),
    }.get(_rounding(call))
    return rounded is not None and np.array_equal(np.clip(rounded, 0, n - 1), out // factor)


#: Operator -> function (call) -> Tensor.
LAYER_HANDLERS = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "BatchNormalization": _batch_normalization,
    "MaxPool": _max_pool,
    "GlobalMaxPool": _global_max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": _global_average_pool,
    "ReduceMean": _reduce_mean,
    "Resize": _resize,
}
