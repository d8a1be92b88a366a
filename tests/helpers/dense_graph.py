"""The Keras graph of the dense reference: the stages that every time step walks through, and their static bias maps."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from dense_layers import linear_operator, pool_function

__all__ = ["Node", "read_model", "static_maps", "apply_linear"]

IDENTITY_LAYERS = {"Dropout", "SpatialDropout2D", "GaussianDropout", "GaussianNoise", "Identity"}
SPIKING = {"relu", "ASNTransfer"}


@dataclass
class Node:
    """One stage of the walk: kind is input, linear, max_pool, population, readout."""

    kind: str
    name: str
    sources: list
    target: object
    shape: tuple  # of the output, without the batch axis
    operator: Callable | None = None  # linear: operator(tensors, with_bias)
    pool: Callable | None = None  # max_pool; population: pooling of its membrane
    activation: str = "linear"  # readout
    source_shapes: list = field(default_factory=list)


def activation_of(layer):
    """Name of the layer's nonlinearity: relu, ASNTransfer, softmax, sigmoid, ...; linear when it has none."""
    kind = type(layer).__name__
    if kind == "ASNTransfer":
        return kind
    if kind == "ReLU":
        if layer.max_value is not None or layer.negative_slope or layer.threshold:
            raise NotImplementedError(f"{layer.name}: ReLU with max_value, negative_slope or threshold")
        return "relu"
    if kind == "Softmax":
        return "softmax"
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else getattr(activation, "__name__", type(activation).__name__)


def keras_nodes(model):
    """Yield (layer, ids of its input tensors, id of its output tensor, output shape) in topological order."""
    functional = getattr(model, "_functional", model)  # a built Sequential holds a functional model
    for _, nodes in sorted(functional._nodes_by_depth.items(), reverse=True):
        for node in nodes:
            (output,) = node.outputs
            inputs = [id(tensor) for tensor in node.arguments.keras_tensors]
            yield node.operation, inputs, id(output), tuple(output.shape[1:])


def layer_stages(layer, sources, target, shape):
    """Stages of one Keras layer: its linear part, then its nonlinearity."""
    kind, activation = type(layer).__name__, activation_of(layer)
    stages = []
    if kind == "InputLayer":
        return [Node("input", layer.name, [], target, shape)]
    if kind == "MaxPooling2D":
        return [Node("max_pool", layer.name, sources, target, shape, pool=pool_function(layer))]
    if kind not in {"ASNTransfer", "ReLU", "Softmax", "Activation"}:
        middle = target if activation == "linear" else (target, "linear")
        stages.append(Node("linear", layer.name, sources, middle, shape, linear_operator(layer, shape)))
        sources = [middle]
    if activation != "linear":
        role = "population" if activation in SPIKING else "readout"
        stages.append(Node(role, layer.name, sources, target, shape, activation=activation))
    return stages


def merge_pools(nodes, average_layers):
    """Let a population that only a pooling reads pool its membrane, and spike at the pooled size."""
    readers = {}
    for node in nodes:
        for source in node.sources:
            readers.setdefault(source, []).append(node)
    merged = []
    for node in nodes:
        pools = [r for r in readers.get(node.target, []) if r.kind == "max_pool" or r.name in average_layers]
        if node.kind == "population" and pools:
            if len(readers[node.target]) > 1:
                raise NotImplementedError(f"{node.name}: read by a membrane pooling and by other layers")
            pool = pools[0]
            node.pool = pool.pool or (lambda x, mean=pool.operator: mean([x], False))
            node.shape, node.target = pool.shape, pool.target
            merged.append(pool)
    return [node for node in nodes if not any(node is pool for pool in merged)]


def read_model(model, average_pooling="spikes"):
    """List of `Node`, in topological order, of a functional or Sequential Keras model."""
    alias, nodes, average_layers = {}, [], set()
    for layer, sources, target, shape in keras_nodes(model):
        sources = [alias.get(s, s) for s in sources]
        kind = type(layer).__name__
        if kind in IDENTITY_LAYERS or (kind == "Activation" and activation_of(layer) == "linear"):
            alias[target] = sources[0]
            continue
        if kind in ("AveragePooling2D", "GlobalAveragePooling2D") and average_pooling == "membrane":
            average_layers.add(layer.name)
        nodes += layer_stages(layer, sources, target, shape)
    functional = getattr(model, "_functional", model)
    outputs = [alias.get(id(t), id(t)) for t in functional.outputs]
    nodes = merge_pools(nodes, average_layers)
    by_target = {node.target: node for node in nodes}
    for node in nodes:
        if node.kind == "readout" and node.target not in outputs:
            raise NotImplementedError(f"{node.name}: activation {node.activation!r} before the output")
    for output in outputs:
        last = by_target[output]
        if last.kind != "readout":  # no activation: the readout is named after the last layer
            nodes.append(Node("readout", last.name, [output], (output, "readout"), last.shape))
    shapes = {node.target: node.shape for node in nodes}
    for node in nodes:
        node.source_shapes = [shapes[s] for s in node.sources]
    return nodes


def static_maps(nodes):
    """Bias map (1, ...) that arrives at every max pooling, population and readout, by the node's target."""
    tensors, maps = {}, {}
    for node in nodes:
        inputs = [tensors[s] for s in node.sources]
        if node.kind == "linear":
            tensors[node.target] = node.operator(inputs, True)
            continue
        if inputs:
            maps[node.target] = inputs[0]
        passes_on = node.kind == "max_pool"
        tensors[node.target] = node.pool(inputs[0]) if passes_on else np.zeros((1,) + node.shape)
    return maps


def apply_linear(node, inputs):
    """The linear layer, without bias, on each part of its input tensors."""
    out = {}
    for part in {part for tensor in inputs for part in tensor}:
        n_images = next(len(tensor[part]) for tensor in inputs if part in tensor)
        silent = [np.zeros((n_images,) + shape) for shape in node.source_shapes]
        out[part] = node.operator([t.get(part, zeros) for t, zeros in zip(inputs, silent)], False)
    return out
