"""What a model gives if averages directly after a nonlinearity are taken before it, computed by the layers of Keras."""

from dataclasses import dataclass, replace

import numpy as np
from model_values import calls, is_model, run_node
from random_layers import keras

__all__ = ["Unclear", "membrane_outputs"]


class Unclear(Exception):
    """The model pools the maximum of something else than a nonlinearity, which may or may not be taken before one."""


@dataclass
class _Value:
    """The value of a tensor. If it is exactly the output of a nonlinearity, also the potential and the nonlinearity."""

    value: object
    potential: object = None
    nonlinearity: object = None
    reshaped: bool = False


def membrane_outputs(model, images):
    """Return the outputs of a model for images, with averages on the membrane."""
    return [np.asarray(each.value) for each in _walk(model, [_Value(x) for x in images])]


def _walk(model, inputs):
    graph, nodes = calls(model)
    known = {id(tensor): each for tensor, each in zip(graph.inputs, inputs, strict=True)}
    for node in nodes:
        if node.is_input:
            continue
        given = [known[id(t)] for t in node.input_tensors]
        if is_model(node.operation):
            found = _walk(node.operation, given)
        elif len(given) > 1:
            values = {id(t): each.value for t, each in zip(node.input_tensors, given, strict=True)}
            found = [_Value(run_node(node, values))]
        else:
            found = [_call(node, given[0])]
        known.update((id(tensor), each) for tensor, each in zip(node.outputs, found, strict=True))
    return [known[id(tensor)] for tensor in graph.outputs]


def _call(node, x):
    """Return the value of a call with one input."""

    def run(value):
        return run_node(node, {id(node.input_tensors[0]): value})

    layer, spikes = node.operation, x.nonlinearity is not None
    name = type(layer).__name__
    if name in ("ReLU", "Relu", "ASNTransfer"):
        return _Value(run(x.value), x.value, layer)
    if getattr(layer, "activation", None) is not None and _is_relu(layer.activation):
        activation, layer.activation = layer.activation, keras.activations.linear
        potential, layer.activation = run(x.value), activation
        return _Value(activation(potential), potential, activation)
    if name.endswith("AveragePooling2D") and spikes:
        potential = run(x.potential)
        return _Value(x.nonlinearity(potential), potential, x.nonlinearity)
    if name.endswith("MaxPooling2D") and getattr(layer, "pool_size", None) != (1, 1):
        if not spikes or x.reshaped:
            raise Unclear
        return _Value(run(x.value), run(x.potential), x.nonlinearity)
    value = run(x.value)
    if spikes and name in ("Flatten", "Reshape"):
        return _Value(value, run(x.potential), x.nonlinearity, reshaped=True)
    # These two count as another operator in between even where they change nothing.
    between = name == "Permute" or getattr(layer, "interpolation", None) == "bilinear"
    unchanged = not between and value.shape == x.value.shape and np.array_equal(value, x.value)
    return replace(x, value=value) if unchanged else _Value(value)


def _is_relu(activation):
    return activation is keras.activations.relu or isinstance(activation, keras.layers.ReLU)
