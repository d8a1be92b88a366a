"""From a Keras model to a `LayerGraph`."""

from collections import Counter
from typing import TYPE_CHECKING

from brainsnn.builders.from_keras.graph_builder import GraphBuilder
from brainsnn.builders.from_keras.layers import IDENTITIES, convert_layer, shape3
from brainsnn.builders.graph.layer_graph import LayerGraph, LayerRow
from brainsnn.errors import ConversionError

if TYPE_CHECKING:
    import keras

__all__ = ["read_keras"]


def read_keras(model: "keras.Model", average_pooling: str = "spikes", junctions: bool = True) -> LayerGraph:
    """
    Read a Keras model as populations and the linear operators between them.

    Parameters
    ----------
    model : keras.Model
        Functional or sequential, built, with one input. Nested models and layers called more than once are fine.
    average_pooling : {"spikes", "membrane"}, optional
        ``"spikes"``: average pooling is part of the operator that follows, which is exact. ``"membrane"``: directly
        behind a nonlinearity, potentials are averaged, and spikes come at the pooled size.
    junctions : bool, optional
        Whether streams that several layers read, and chains that do not compose into one convolution, get a
        graded population. Without, each layer reads all sources directly, through sparse matrices where need be.

    Returns
    -------
    LayerGraph

    Raises
    ------
    ConversionError
        If the model cannot be read or a layer has no counterpart; it names the layer and a way out.

    Notes
    -----
    Each nonlinearity becomes a spiking population with the name of the layer that carries it. Between nonlinearities,
    everything is linear and composed: each tensor is a sum of operators on populations plus a bias. Max pooling
    behind a nonlinearity is taken before the spike, on the membrane; max pooling of a linear tensor makes that
    tensor a membrane population.

    See Also
    --------
    brainsnn.builders.graph.layer_graph.LayerGraph
    """
    if average_pooling not in ("spikes", "membrane"):
        raise ValueError(f"read_keras: average_pooling must be 'spikes' or 'membrane', got {average_pooling!r}.")
    graph = _functional(model)
    if len(graph.inputs) != 1:
        names = [tensor._keras_history.operation.name for tensor in graph.inputs]
        raise ConversionError(
            f"Model '{model.name}' has {len(names)} inputs: {names}. Concatenate them into one input before the model."
        )
    reader = _Reader(GraphBuilder(average_pooling, junctions))
    layer = graph.inputs[0]._keras_history.operation
    shape = tuple(graph.inputs[0].shape[1:])
    form_shape = shape3(shape, layer)
    # A gray-scale image without channel axis is one with one channel.
    form = reader.builder.input(layer.name, (*shape, 1) if len(shape) == 2 else form_shape, form_shape)
    reader.used.add(layer.name)
    reader.rows.append(LayerRow(layer.name, type(layer).__name__, shape))
    outputs = reader.walk(graph, [form], prefix="")
    for output in outputs:
        reader.builder.readout(output)
    return reader.builder.finish(reader.rows, model.name)


def _functional(model):
    """The model's graph, or an error that says what it is instead."""
    what = f"'{getattr(model, 'name', model)}' ({type(model).__name__})"
    names = [base.__name__ for base in type(model).__mro__]
    if "Sequential" in names and getattr(model, "_functional", None) is None:
        raise ConversionError(
            f"Model {what} is not built: it has no input shape. Start it with keras.Input((height, width, channels)), "
            f"or call it once on an image."
        )
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise ConversionError(
            f"{what} is neither a functional nor a sequential model of Keras 3. Write it as "
            f"keras.Model(inputs, outputs)."
        )
    return graph


def _key(tensor):
    """What identifies a tensor in a graph."""
    operation, node, index = tensor._keras_history
    return id(operation), node, index


def _node(tensor):
    """The call that made a tensor."""
    operation, node, _ = tensor._keras_history
    return operation._inbound_nodes[node]


class _Reader:
    """Walks a graph and keeps the linear form of each tensor."""

    def __init__(self, builder):
        self.builder = builder
        self.rows = []
        self.used = set()

    def walk(self, graph, forms, prefix):
        """
        Forms of a model's outputs from those of its inputs.

        Parameters
        ----------
        graph : keras Functional
        forms : list of AffineMap
        prefix : str
            Path of a nested model, used where its layers' names are taken.

        Returns
        -------
        list of AffineMap
        """
        known = {_key(tensor): form for tensor, form in zip(graph.inputs, forms)}
        nodes = _sorted_nodes(graph.outputs, set(known))
        readers = Counter(_key(tensor) for node in nodes for tensor in node.input_tensors)
        readers.update(_key(tensor) for tensor in graph.outputs)
        for node in nodes:
            outputs = self._call(node, [known[_key(tensor)] for tensor in node.input_tensors], prefix)
            for tensor, form in zip(node.outputs, outputs):
                known[_key(tensor)] = self.builder.shared(form) if readers[_key(tensor)] > 1 else form
        return [known[_key(tensor)] for tensor in graph.outputs]

    def _call(self, node, forms, prefix):
        """Forms of the outputs of one call."""
        layer = node.operation
        label = self._label(layer.name, prefix)
        shape = tuple(node.outputs[0].shape[1:])
        row = LayerRow(label, type(layer).__name__, shape)
        self.rows.append(row)
        if hasattr(layer, "_nodes_by_depth") or "Sequential" in [base.__name__ for base in type(layer).__mro__]:
            row.note = "opened"
            return self.walk(_functional(layer), forms, f"{label}/")
        if not forms:
            raise ConversionError("it has no input in this model.", layer, "Constants are not supported.")
        form = convert_layer(layer, node, forms, self.builder, label)
        row.note = IDENTITIES.get(type(layer).__name__, "")
        expected = shape3(shape, layer)
        if form.shape != expected:
            raise ConversionError(f"its output was read as {form.shape}, but is {expected} in Keras.", layer)
        return [form]

    def _label(self, name, prefix):
        """Name of a call that no other has: the layer's, with the model's in front or a number where it is taken."""
        label = name if name not in self.used else prefix + name
        number = 2
        while label in self.used:
            label = f"{prefix}{name}_call{number}"
            number += 1
        self.used.add(label)
        return label


def _sorted_nodes(outputs, known):
    """Calls that the outputs need, each behind those it needs; a stack, because deep models exceed recursion."""
    done, order = set(known), []
    stack = [tensor for tensor in reversed(outputs)]
    while stack:
        tensor = stack[-1]
        if _key(tensor) in done:
            stack.pop()
            continue
        node = _node(tensor)
        missing = [t for t in node.input_tensors if _key(t) not in done]
        if missing:
            stack += reversed(missing)
            continue
        order.append(node)
        done.update(_key(t) for t in node.outputs)
        stack.pop()
    return order
