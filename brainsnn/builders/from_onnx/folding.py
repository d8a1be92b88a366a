"""Compute the nodes of an ONNX file that depend on constants only, such as the shapes that exporters work out."""

import math

import numpy as np

from brainsnn.builders.from_onnx.layout import Tensor
from brainsnn.builders.from_onnx.shape_rules import reshaped, squeezed, unsqueezed

__all__ = ["FOLDED", "folded"]

#: Number of TensorProto.DataType -> NumPy's type, for Cast.
_TYPES = {
    1: np.float32, 2: np.uint8, 3: np.int8, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64,
}  # fmt: skip


def folded(call):
    """
    Return what a node computes whose inputs are all constants.

    Parameters
    ----------
    call : Call

    Returns
    -------
    array : ndarray

    Raises
    ------
    ConversionError
        If the operator is not among `FOLDED`, or its result would be too large.
    ValueError
        If its inputs do not fit together.
    """
    compute = FOLDED.get(call.node.op_type)
    if compute is None:
        raise call.refuse(
            f"all that it reads is constant, and {call.node.op_type} is not computed when the model is read. Computed are: "
            f"{', '.join(FOLDED)}.",
            "Fold constants when the model is exported: torch.onnx.export(..., do_constant_folding=True).",
        )
    with np.errstate(all="ignore"):  # what becomes NaN or infinite is refused where it is a weight
        return np.asarray(compute(call))


def _shape(call):
    """Return the shape of a constant, or of a tensor that depends on the image."""
    shape = np.array(_shape_tuple(call), dtype=np.int64)
    return shape[call.attribute("start", 0) : call.attribute("end")]


def _shape_tuple(call):
    value = call.inputs[0]
    return (call.batch, *value.shape) if isinstance(value, Tensor) else value.shape


def _elementwise(function):
    """Return the function of a node that acts value by value."""

    def compute(call):
        """Compute it, unless the result is too large."""
        values = [call.constant(k) for k in range(len(call.inputs))]
        call.check_size(math.prod(np.broadcast_shapes(*(value.shape for value in values))))
        return function(*values)

    return compute


def _divide(a, b):
    if a.dtype.kind == "f":
        return a / b
    if not b.all():
        raise ValueError("it divides whole numbers by 0")
    quotient = np.abs(a) // np.abs(b)  # whole numbers are rounded towards 0
    return (np.sign(a) * np.sign(b) * quotient).astype(a.dtype)


def _cast(call):
    kind = call.attribute("to")
    if kind not in _TYPES:
        raise call.refuse(f"it casts to the type number {kind}, which is not read.", "Export the model with float32.")
    return call.constant(0).astype(_TYPES[kind])


def _gather(call):
    data, index, axis = call.constant(0), call.constant(1), call.attribute("axis", 0)
    call.check_size(index.size * (data.size // max(data.shape[axis], 1)))
    return np.take(data, index, axis=axis)


def _slice(call):
    data = call.constant(0)
    if call.node.version < 10:
        starts, ends, axes, steps = (call.attribute(name) for name in ("starts", "ends", "axes", "steps"))
    else:
        starts, ends, axes, steps = (call.whole_numbers(k) for k in range(1, 5))
    axes = range(len(starts)) if axes is None else axes
    index = [slice(None)] * data.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps or [1] * len(starts), strict=True):
        n = data.shape[axis]
        bounds = [value if value >= -n else -n - 1 for value in (start, end)]  # below the first value, also backwards
        end = None if step < 0 and bounds[1] == -n - 1 else bounds[1]
        index[axis] = slice(max(bounds[0], -n) if step > 0 else bounds[0], end, step)
    return data[tuple(index)]


def _filled(call):
    shape = call.whole_numbers(0)
    call.check_size(math.prod(shape))
    value = call.attribute("value")
    return np.full(shape, np.float32(0) if value is None else value.ravel()[0])


def _expand(call):
    data = call.constant(0)
    shape = np.broadcast_shapes(data.shape, tuple(call.whole_numbers(1)))
    call.check_size(math.prod(shape))
    return np.broadcast_to(data, shape)


def _range(call):
    start, end, step = (call.constant(k).ravel()[0] for k in range(3))
    if step == 0:
        raise ValueError("it counts in steps of 0")
    call.check_size(max(math.ceil((float(end) - float(start)) / float(step)), 0))
    return np.arange(start, end, step, dtype=np.asarray(start).dtype)


def _product(call):
    axes, data = call.whole_numbers(1, "axes"), call.constant(0)
    if not axes and call.attribute("noop_with_empty_axes", 0):
        return data
    return np.prod(
        data, axis=tuple(axes) if axes else None, keepdims=bool(call.attribute("keepdims", 1)), dtype=data.dtype
    )


def _constant(call):
    value = next((v for name, v in call.node.attributes.items() if name.startswith("value")), None)
    if value is None:
        raise call.refuse("it has no value that can be read.", "Export the model with dense constants.")
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64, "value_ints": np.int64}
    kind = next((kinds[name] for name in call.node.attributes if name in kinds), None)
    return np.asarray(value, dtype=kind)


def _transposed(call):
    data = call.constant(0)
    return data.transpose(call.attribute("perm", range(data.ndim)[::-1]))


def _flattened(call):
    data, axis = call.constant(0), call.attribute("axis", 1)
    return data.reshape(math.prod(data.shape[:axis]), -1) if data.size else data.reshape(0, 0)


#: Operator -> function (call) -> array, for nodes that read no values that depend on the image.
FOLDED = {
    "Constant": _constant,
    "ConstantOfShape": _filled,
    "Identity": lambda call: call.constant(0),
    "Shape": _shape,
    "Size": lambda call: np.int64(math.prod(_shape_tuple(call))),
    "Cast": _cast,
    "Gather": _gather,
    "Slice": _slice,
    "Concat": lambda call: np.concatenate(
        [call.constant(k) for k in range(len(call.inputs))], axis=call.attribute("axis")
    ),
    "Reshape": lambda call: call.constant(0).reshape(
        reshaped(call.constant(0).shape, call.whole_numbers(1), call.attribute("allowzero", 0))
    ),
    "Squeeze": lambda call: call.constant(0).reshape(squeezed(call.constant(0).shape, call.whole_numbers(1, "axes"))),
    "Unsqueeze": lambda call: call.constant(0).reshape(
        unsqueezed(call.constant(0).shape, call.whole_numbers(1, "axes"))
    ),
    "Flatten": _flattened,
    "Transpose": _transposed,
    "Expand": _expand,
    "Range": _range,
    "ReduceProd": _product,
    "Add": _elementwise(np.add),
    "Sub": _elementwise(np.subtract),
    "Mul": _elementwise(np.multiply),
    "Div": _elementwise(_divide),
    "Min": _elementwise(lambda *values: np.minimum.reduce(np.broadcast_arrays(*values))),
    "Max": _elementwise(lambda *values: np.maximum.reduce(np.broadcast_arrays(*values))),
    "Neg": _elementwise(np.negative),
    "Abs": _elementwise(np.abs),
    "Sqrt": _elementwise(np.sqrt),
    "Reciprocal": _elementwise(np.reciprocal),
    "Floor": _elementwise(np.floor),
    "Ceil": _elementwise(np.ceil),
    "Equal": _elementwise(np.equal),
    "Where": _elementwise(np.where),
}
