"""The linear nodes of NIR as operators, and tensors in channels-last order."""

import math
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

import brainsnn.builders.operators as ops
from brainsnn.builders.graph.affine import AffineMap
from brainsnn.builders.operators.scaling import diagonal

__all__ = ["LINEAR", "Tensor", "in_file_order", "shape3"]


@dataclass(frozen=True)
class Tensor:
    """
    The value of an edge.

    Attributes
    ----------
    affine : `~brainsnn.builders.graph.affine.AffineMap`
        In the order of the network: (H, W, C).
    shape : tuple of int
        In the file: (C, H, W) or (N,).
    flat_from : (C, H, W), optional
        Shape before a ``Flatten``. The affine map keeps the order of (H, W, C), and the weights that follow are reordered.
    """

    affine: AffineMap
    shape: tuple
    flat_from: tuple | None = None

    def arranged(self, values):
        """Return values in the shape of the file, or what broadcasts to it, as an (H, W, C) array."""
        return _channels_last(np.broadcast_to(values, self.shape), self.flat_from)


def _channels_last(values, flat_from):
    values = values.reshape(flat_from) if flat_from else values
    return values.transpose(1, 2, 0) if values.ndim == 3 else values.reshape(1, 1, -1)


def shape3(node, shape):
    """Return (C, H, W) or (N,) as (H, W, C); refuse other shapes."""
    if len(shape) == 1:
        return (1, 1, shape[0])
    if len(shape) == 3:
        return (shape[1], shape[2], shape[0])
    raise node.error(f"tensors of shape {shape} are not supported.", "Use (channels, height, width) or (n,).")


def _linear(node, tensor, builder):
    """Return what a matrix does to a vector."""
    weight = node.array("weight")
    if weight.ndim != 2 or tensor.shape != (weight.shape[1],):
        fix = "Put a Flatten node before it." if len(tensor.shape) == 3 else "Its weight must be (n_out, n_in)."
        raise node.error(f"a weight of shape {weight.shape} does not fit its input of shape {tensor.shape}.", fix)
    n_out, n_in = weight.shape
    affine = tensor.affine
    if tensor.flat_from:
        weight = weight.reshape(n_out, *tensor.flat_from).transpose(0, 2, 3, 1).reshape(n_out, n_in)
        affine = affine.reshape((1, 1, n_in), node.name)
    bias = node.array("bias") if node.type == "Affine" else None
    if bias is not None and bias.shape not in ((), (1,), (n_out,)):
        raise node.error(f"a bias of shape {bias.shape} does not fit the output of shape {(n_out,)}.")
    return Tensor(builder.apply(affine, ops.dense(weight.T), node.name, bias), (n_out,))


def _conv2d(node, tensor, builder):
    """Return a convolution, with the geometry of PyTorch."""
    channels, height, width = _image(node, tensor)
    weight, groups = node.array("weight"), node.integers("groups", 1, 1)[0]
    if weight.ndim != 4 or groups < 1 or weight.shape[1] * groups != channels or weight.shape[0] % groups:
        raise node.error(
            f"a weight of shape {weight.shape} in {groups} group(s) does not fit its input of shape {tensor.shape}."
        )
    declared = node.shape("input_shape")
    if declared is not None and declared != (height, width):
        raise node.error(f"its input_shape {declared} is not that of its input, {(height, width)}.")
    stride, dilation = _positive(node, "stride", 1), _positive(node, "dilation", 1)
    padding = _padding(node, weight.shape[2:], stride, dilation)
    extents = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation)]
    _check_windows(node, (height, width), padding, extents)
    padded = ops.zero_pad(tensor.affine.shape, padding)
    kernel = weight.transpose(2, 3, 1, 0)
    conv = ops.conv2d(kernel, padded.output_shape, stride, "valid", dilation, groups)
    operator = _exact(node, conv, padded)
    bias = node.array("bias", 0.0)
    if bias.shape not in ((), (1,), (weight.shape[0],)):
        raise node.error(f"a bias of shape {bias.shape} does not fit {weight.shape[0]} output channels.")
    return _from_image(builder.apply(tensor.affine, operator, node.name, bias))


def _pool(node, tensor, builder):
    """Return sums or means over windows; padding counts as zeros."""
    channels, *extent = _image(node, tensor)
    size = _positive(node, "kernel_size")
    stride = _positive(node, "stride", size)
    padding = tuple((p, p) for p in node.integers("padding", 2, 0))
    if min(p for pair in padding for p in pair) < 0:
        raise node.error(f"'padding' must not be negative, got {padding[0][0], padding[1][0]}.")
    _check_windows(node, extent, padding, size)
    padded = ops.zero_pad(tensor.affine.shape, padding)
    kernel = np.full((*size, channels, 1), 1.0 if node.type == "SumPool2d" else 1 / math.prod(size))
    pool = ops.depthwise_conv2d(kernel, padded.output_shape, stride)
    return _from_image(builder.apply(tensor.affine, _exact(node, pool, padded), node.name))


def _scale(node, tensor, builder):
    """Return the tensor times numbers."""
    scale = node.array("scale")
    try:
        factors = tensor.arranged(scale)
    except ValueError:
        raise node.error(f"a scale of shape {scale.shape} does not fit its input of shape {tensor.shape}.") from None
    return replace(tensor, affine=builder.apply(tensor.affine, diagonal(factors, tensor.affine.shape), node.name))


def _flatten(node, tensor, builder):
    """Return the tensor as a vector; its order stays, and what follows is reordered."""
    n = len(tensor.shape)
    start, end = node.integers("start_dim", 1, 0)[0], node.integers("end_dim", 1, -1)[0]
    if n == 1 or (start % n, end % n) == (0, n - 1):
        affine = tensor.affine.relabel(node.name)
        return replace(
            tensor, affine=affine, shape=(math.prod(tensor.shape),), flat_from=tensor.flat_from or _or_none(tensor)
        )
    raise node.error(
        f"it flattens the axes {start} to {end} of a tensor of shape {tensor.shape}; flattening all of them is supported.",
        "Dimensions are counted without the batch: start_dim 0, end_dim -1.",
    )


def _or_none(tensor):
    return tensor.shape if len(tensor.shape) == 3 else None


def _image(node, tensor):
    """Return (C, H, W), or refuse a vector."""
    if len(tensor.shape) != 3:
        raise node.error(f"its input of shape {tensor.shape} is not (channels, height, width).")
    return tensor.shape


def _from_image(affine):
    height, width, channels = affine.shape
    return Tensor(affine, (channels, height, width))


def _positive(node, name, default=None):
    values = node.integers(name, 2, default)
    if min(values) < 1:
        raise node.error(f"{name!r} must be 1 or greater, got {values}.")
    return values


def _padding(node, size, stride, dilation):
    """Return the rows and columns of padding before and after: ((top, bottom), (left, right))."""
    given = node.values.get("padding", 0)
    if not isinstance(given, str):
        padding = node.integers("padding", 2, 0)
        if min(padding) < 0:
            raise node.error(f"'padding' must not be negative, got {padding}.")
        return tuple((p, p) for p in padding)
    if given == "valid":
        return (0, 0), (0, 0)
    if given != "same":
        raise node.error(f"padding={given!r}; give 'same', 'valid' or whole numbers.")
    if stride != (1, 1):
        raise node.error(f"padding='same' with a stride of {stride} is not defined.", "Give the padding in numbers.")
    total = [d * (k - 1) for k, d in zip(size, dilation)]
    return tuple((n // 2, n - n // 2) for n in total)


def _check_windows(node, extent, padding, window):
    """Refuse a window that is larger than the map."""
    for n, pad, size in zip(extent, padding, window):
        if size > n + sum(pad):
            raise node.error(f"a window of {size} pixels does not fit a map of {n} pixels with {sum(pad)} of padding.")


def _exact(node, operator, padded):
    """Return an operator after padding; this always composes."""
    composed = ops.compose(operator, padded)
    if composed is None:  # pragma: no cover
        raise node.error("the padding cannot be composed with it.")
    return composed


#: Type of a linear node -> function of the node, its input and the graph builder that returns its output.
LINEAR = {
    "Linear": _linear, "Affine": _linear, "Conv2d": _conv2d, "SumPool2d": _pool, "AvgPool2d": _pool, "Scale": _scale,
    "Flatten": _flatten,
}  # fmt: skip


def in_file_order(node, tensor, builder):
    """Return a tensor whose values have the order of the file: after a ``Flatten``, channels come first."""
    if tensor.flat_from is None or tensor.flat_from[0] == 1 or tensor.flat_from[1:] == (1, 1):
        return tensor.affine if tensor.flat_from is None else tensor.affine.reshape((1, 1, *tensor.shape), node.name)
    n = math.prod(tensor.shape)
    order = _channels_last(np.arange(n), tensor.flat_from).ravel()
    matrix = sparse.csr_matrix((np.ones(n), (np.arange(n), order)), shape=(n, n))
    return builder.apply(
        tensor.affine.reshape((1, 1, n), node.name), ops.SparseOperator((1, 1, n), (1, 1, n), matrix), node.name
    )
