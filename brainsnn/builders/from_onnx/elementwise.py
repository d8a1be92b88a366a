"""One handler per operator that acts value by value: nonlinearities, sums, products with constants, concatenations."""

import numpy as np

from brainsnn.builders.from_onnx.layers import scaled
from brainsnn.builders.from_onnx.layout import Tensor
from brainsnn.builders.graph.activations import NO_COUNTERPART, hard_sigmoid, with_output_activation
from brainsnn.builders.graph.merging import concatenate

__all__ = ["ELEMENTWISE_HANDLERS", "IDENTITIES", "REFUSALS"]

#: Operators that return their input -> what the printed table says of them.
IDENTITIES = {
    "Identity": "ignored (identity)",
    "Dropout": "ignored (does nothing at inference)",
    "Cast": "ignored (identity)",
}

#: Operators without a spiking counterpart -> their name in `NO_COUNTERPART`.
REFUSALS = {
    "Elu": "elu", "Selu": "selu", "Celu": "celu", "Gelu": "gelu", "Mish": "mish", "LogSoftmax": "log_softmax",
    "Softsign": "softsign", "Exp": "exponential", "ThresholdedRelu": "threshold", "HardSwish": "hard_swish", "Swish": "swish",
}  # fmt: skip

_SMALLEST, _LARGEST = np.finfo(np.float32).min, np.finfo(np.float32).max


def _mapped(tensor, affine):
    """Return a tensor of the same shape and order with other values."""
    return Tensor(tensor.shape, affine, tensor.order)


def _relu(call):
    tensor = call.tensor()
    return _mapped(tensor, call.builder.spike(tensor.affine, call.label, "relu"))


def _leaky_relu(call):
    tensor, slope = call.tensor(), call.number("alpha", 0.01)
    return _mapped(tensor, call.builder.rectify(tensor.affine, call.label, negative_slope=slope))


def _prelu(call):
    tensor, slope = call.tensor(), call.weight(1)
    return _mapped(tensor, call.builder.rectify(tensor.affine, call.label, negative_slope=tensor.laid_out(slope)))


def _clip(call):
    bounds = [call.constant(k, name) for k, name in ((1, "min"), (2, "max"))]
    if any(bound is not None and bound.size != 1 for bound in bounds):
        raise call.refuse(f"its bounds {bounds} must be single numbers.", "Export the model again.")
    low, high = (None if bound is None else float(bound.ravel()[0]) for bound in bounds)
    low = None if low is not None and low <= _SMALLEST else low  # what old versions write for no bound
    high = None if high is not None and high >= _LARGEST else high
    if (low, high) == (None, None):
        return call.tensor()
    if low != 0 or (high is not None and not high > 0):
        raise call.refuse(
            f"it clips to the range from {low} to {high}; the range must start at 0 and end above it, or be open there.",
            "Train with torch.nn.ReLU, ReLU6 or Hardtanh(0, 1).",
        )
    tensor = call.tensor()
    return _mapped(tensor, call.builder.rectify(tensor.affine, call.label, max_value=high))


def _hard_sigmoid(call):
    tensor, slope, offset = call.tensor(), call.number("alpha", 0.2), call.number("beta", 0.5)
    return _mapped(tensor, hard_sigmoid(tensor.affine, call.builder, call.label, slope, offset))


def _refused(call):
    reason, fix = NO_COUNTERPART[REFUSALS[call.node.op_type]]
    raise call.refuse(f"{call.node.op_type} {reason}.", f"{fix}.")


def _output_activation(name):
    """Return the handler of an activation that acts on each value, at the output of the model."""

    def handler(call):
        """Let a readout apply the activation."""
        tensor = call.tensor()
        return _mapped(tensor, with_output_activation(tensor.affine, name, call.label))

    return handler


def _softmax(call):
    tensor = call.standard()
    rank = len(tensor.shape) + 1
    given = call.attribute("axis", -1 if call.node.version > 12 else 1)
    axis = given % rank if -rank <= given < rank else 0
    if call.node.version < 13:  # all axes from this one on are one
        together = [k for k in range(axis, rank) if tensor.shape[k - 1] > 1] if axis else []
        axis = axis if not together else together[0] if len(together) == 1 else 0
    # Of images, the last axis of the map is that of the channels; else that of the tensor.
    last = 1 if rank == 4 else rank - 1
    if axis == 0 or axis != last or rank > 4:
        raise call.refuse(
            f"axis={given} of a tensor of the shape {(call.batch, *tensor.shape)} is not the axis of the classes.",
            "Take the softmax over axis 1, or over the last one of a tensor of two axes.",
        )
    return Tensor(tensor.shape, with_output_activation(tensor.affine, "softmax", call.label))


def _together(call, tensors):
    """Return the affine maps of tensors of one shape, in one order, and a tensor that has it."""
    shapes = [(call.batch, *tensor.shape) for tensor in tensors]
    if len(set(shapes)) > 1:
        raise call.refuse(
            f"its inputs have the shapes {', '.join(map(str, shapes))}; tensors that depend on the image must be of one shape.",
            "Make the shapes equal, for example with Resize.",
        )
    first = tensors[0]
    same = all(t.affine.shape == first.affine.shape and np.array_equal(t.places, first.places) for t in tensors[1:])
    ordered = tensors if same else [tensor.standard(call.builder) for tensor in tensors]
    return [tensor.affine for tensor in ordered], ordered[0]


def _sum(call, factors):
    """Return a weighted sum of the inputs, constants among them."""
    tensors = {k: call.tensor(k) for k, value in enumerate(call.inputs) if isinstance(value, Tensor)}
    first, weights, offset = next(iter(tensors.values())), [factors[k] for k in tensors], None
    for k in range(len(factors)):
        if k not in tensors:
            part = factors[k] * call.weight(k).astype(float)
            _check_broadcast(call, part, first)
            offset = part if offset is None else offset + part
    if len(tensors) == 1:
        return scaled(call, first, None if weights == [1] else weights[0], offset)
    maps, order = _together(call, list(tensors.values()))
    total = Tensor(order.shape, call.builder.add(maps, weights, call.label), order.order)
    return total if offset is None else scaled(call, total, None, offset)


def _check_broadcast(call, values, tensor):
    """Refuse constants that would enlarge a tensor."""
    try:
        fits = np.broadcast_shapes(values.shape, (1, *tensor.shape)) == (1, *tensor.shape)
    except ValueError:
        fits = False
    if not fits:
        raise call.refuse(
            f"a constant of the shape {values.shape} does not fit a tensor of the shape {(call.batch, *tensor.shape)}.",
            "Give a number, or one for each channel, of the shape (C, 1, 1).",
        )


def _multiply(call, divide=False):
    dynamic = [isinstance(value, Tensor) for value in call.inputs]
    if all(dynamic):
        raise call.refuse(
            "it multiplies or divides two tensors that depend on the image, and spikes are only added.",
            "Use a model without gates and attention between channels.",
        )
    k = dynamic.index(True)
    if divide and k == 1:
        raise call.refuse("it divides by a tensor that depends on the image.", "Replace this part of the model.")
    values = call.weight(1 - k).astype(float)
    if divide and not values.all():
        raise call.refuse(f"it divides by {call.node.inputs[1]!r}, which holds 0.", "Export the model again.")
    _check_broadcast(call, values, call.tensor(k))
    return scaled(call, call.tensor(k), 1 / values if divide else values)


def _concatenate(call):
    if len(call.inputs) == 1:
        return call.tensor()
    tensors = [call.tensor(k) for k in range(len(call.inputs))]
    rank = len(tensors[0].shape) + 1
    axis = call.attribute("axis", 1)
    place = axis % rank - 1
    rest = {(len(t.shape), t.shape[:place], t.shape[place + 1 :]) for t in tensors}
    if place < 0 or not -rank <= axis < rank or rank > 4 or len(rest) > 1:
        shapes = [(call.batch, *tensor.shape) for tensor in tensors]
        raise call.refuse(
            f"it joins tensors of the shapes {', '.join(map(str, shapes))} along axis {axis}.",
            "Join images along channels, rows or columns, of which the other two sizes agree.",
        )
    shape = list(tensors[0].shape)
    shape[place] = sum(tensor.shape[place] for tensor in tensors)
    call.check_size(int(np.prod(shape, dtype=object)))
    if rank == 2:  # rows of values are joined in the orders that they have
        starts = np.cumsum([0, *(len(tensor.places) for tensor in tensors)])
        order = np.concatenate([start + tensor.places for start, tensor in zip(starts, tensors)])
        joined = concatenate([tensor.flat() for tensor in tensors], 2, call.builder, call.label)
        return Tensor(tuple(shape), joined, None if np.array_equal(order, np.arange(len(order))) else order)
    maps = [call.standard(k).affine for k in range(len(tensors))]
    axis_of_map = (2, 0, 1)[place] if rank == 4 else place + 1
    return Tensor(tuple(shape), concatenate(maps, axis_of_map, call.builder, call.label))


def _identity(call):
    if call.attribute("training_mode", 0) or (call.has(2) and call.constant(2).any()):
        raise call.refuse("it drops values at random.", "Export the model in evaluation mode: model.eval().")
    if call.node.op_type == "Cast" and call.attribute("to") not in (1, 11):
        raise call.refuse(
            f"it rounds to the type number {call.attribute('to')} (as in onnx.TensorProto.DataType).",
            "Export with float32.",
        )
    return call.tensor()


def _negative(call):
    return scaled(call, call.tensor(), -1.0)


#: Operator -> function (call) -> Tensor.
ELEMENTWISE_HANDLERS = {
    **dict.fromkeys(IDENTITIES, _identity),
    **dict.fromkeys(REFUSALS, _refused),
    "Relu": _relu,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "Softmax": _softmax,
    "Sigmoid": _output_activation("sigmoid"),
    "Tanh": _output_activation("tanh"),
    "Softplus": _output_activation("softplus"),
    "Add": lambda call: _sum(call, [1, 1]),
    "Sum": lambda call: _sum(call, [1] * len(call.inputs)),
    "Sub": lambda call: _sum(call, [1, -1]),
    "Mul": _multiply,
    "Div": lambda call: _multiply(call, divide=True),
    "Neg": _negative,
    "Concat": _concatenate,
}
