"""One handler per operator that moves values: Reshape and its relatives, Transpose, Pad."""

import math

import numpy as np

import brainsnn.builders.operators as ops
from brainsnn.builders.from_onnx.layout import Tensor
from brainsnn.builders.from_onnx.shape_rules import reshaped, squeezed, unsqueezed

__all__ = ["SHAPE_HANDLERS"]


def _viewed(call, shape):
    """Return the input in another shape, given with the batch; the values keep their order."""
    tensor = call.tensor()
    if not shape or shape[0] != call.batch or math.prod(shape[1:]) != math.prod(tensor.shape):
        raise call.refuse(
            f"it makes {tuple(shape)} of a tensor of the shape {(call.batch, *tensor.shape)}, which mixes the images of a batch.",
            "Keep the first axis: torch.flatten(x, 1).",
        )
    return tensor.viewed(tuple(shape[1:]), tensor.places, call.label)


def _full_shape(call):
    return (call.batch, *call.tensor().shape)


def _flatten(call):
    shape, axis = _full_shape(call), call.attribute("axis", 1)
    axis = axis + len(shape) if axis < 0 else axis
    return _viewed(call, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def _reshape(call):
    wanted = call.whole_numbers(1)
    return _viewed(call, reshaped(_full_shape(call), wanted, call.attribute("allowzero", 0)))


def _squeeze(call):
    axes = call.whole_numbers(1, "axes")
    if axes is None:
        raise call.refuse(
            "it removes all axes of size 1, also that of a batch of one image.", "Name the axes to remove."
        )
    return _viewed(call, squeezed(_full_shape(call), axes))


def _unsqueeze(call):
    return _viewed(call, unsqueezed(_full_shape(call), call.whole_numbers(1, "axes")))


def _transpose(call):
    tensor = call.tensor()
    rank = len(tensor.shape) + 1
    axes = call.attribute("perm", list(range(rank))[::-1])
    if sorted(axes) != list(range(rank)) or axes[0] != 0:
        raise call.refuse(
            f"perm={axes} does not keep the batch of a tensor of {rank} axes as the first axis.",
            "Permute the other axes only.",
        )
    kept = [axis - 1 for axis in axes[1:]]
    order = tensor.places.reshape(tensor.shape).transpose(kept).ravel()
    return tensor.viewed(tuple(tensor.shape[axis] for axis in kept), order, call.label)


def _pad(call):
    edges = _edges(call)
    mode, value = call.attribute("mode", "constant"), call.constant(2, "value") if call.node.version > 10 else None
    value = np.asarray(call.attribute("value", 0.0)) if value is None else value
    if mode != "constant" or value.size != 1 or value.ravel()[0] != 0:
        raise call.refuse(f"mode={mode!r} with the value {value} is not supported.", "Pad with zeros.")
    if edges[0] != (0, 0):
        raise call.refuse("it pads the batch.", "Pad images only.")
    tensor = call.standard()
    shape, edges = tensor.shape, edges[1:]
    padded = tuple(n + low + high for n, (low, high) in zip(shape, edges))
    if len(shape) not in (1, 3) or min(padded) < 1 or min(edges[0]) < 0:
        raise call.refuse(
            f"it makes {(call.batch, *padded)} of a tensor of the shape {(call.batch, *shape)}.",
            "Pad or crop rows and columns of images (n, C, H, W), or add channels.",
        )
    call.check_size(math.prod(padded))
    affine = tensor.affine
    if len(shape) == 3 and any(edges[1] + edges[2]):
        affine = call.apply(affine, ops.zero_pad(affine.shape, edges[1:]))
    if any(edges[0]):
        affine = call.apply(affine, ops.channel_embed(affine.shape, edges[0][0], padded[0]))
    return tensor if affine is tensor.affine else Tensor(padded, affine)


def _edges(call):
    """Return (before, after) for each axis, that of the batch first."""
    rank = len(call.tensor().shape) + 1
    pads = call.whole_numbers(1, "pads") if call.node.version > 10 else call.attribute("pads")
    axes = call.whole_numbers(3)
    axes = list(range(rank)) if axes is None else [axis + rank if axis < 0 else axis for axis in axes]
    if len(set(axes)) < len(axes) or not all(0 <= axis < rank for axis in axes) or len(pads or ()) != 2 * len(axes):
        raise call.refuse(
            f"pads={pads} does not have two numbers for each of the axes {axes}.", "Export the model again."
        )
    found = dict(zip(axes, zip(pads[: len(axes)], pads[len(axes) :])))
    return [found.get(axis, (0, 0)) for axis in range(rank)]


#: Operator -> function (call) -> Tensor.
SHAPE_HANDLERS = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Transpose": _transpose,
    "Pad": _pad,
}
