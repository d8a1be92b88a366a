"""Read an ONNX file as a `LayerGraph`: walk its nodes and hand each to the handler of its operator."""

import math
from collections import Counter
from os import PathLike

import numpy as np

from brainsnn.builders.from_onnx.call import Call
from brainsnn.builders.from_onnx.elementwise import ELEMENTWISE_HANDLERS, IDENTITIES, REFUSALS
from brainsnn.builders.from_onnx.folding import folded
from brainsnn.builders.from_onnx.layers import LAYER_HANDLERS
from brainsnn.builders.from_onnx.layout import Tensor, map_shape
from brainsnn.builders.from_onnx.model_file import open_model
from brainsnn.builders.from_onnx.names import readable_names
from brainsnn.builders.from_onnx.shapes import SHAPE_HANDLERS
from brainsnn.builders.graph.activations import check_open
from brainsnn.builders.graph.graph_builder import GraphBuilder
from brainsnn.builders.graph.layer_graph import LayerGraph, LayerRow
from brainsnn.errors import ConversionError
from brainsnn.memory import check_size, named_memory_errors, size_limit

__all__ = ["read_onnx"]

HANDLERS = {**LAYER_HANDLERS, **ELEMENTWISE_HANDLERS, **SHAPE_HANDLERS}
#: Operators that can follow an output activation: they change no value.
AFTER_OUTPUT = frozenset({*IDENTITIES, "Flatten", "Reshape", "Squeeze", "Unsqueeze"})
#: Operators whose result is known from the shape of what they read.
SHAPES = ("Shape", "Size")
SUPPORTED = ", ".join(sorted({*HANDLERS, *SHAPES} - {*REFUSALS}))
#: What damaged files can lead to in a handler: sizes that do not fit together, values of another type.
DAMAGE = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError)


def read_onnx(
    path: str | PathLike[str],
    average_pooling: str = "spikes",
    junctions: bool = True,
    *,
    max_bytes: float | None = None,
) -> LayerGraph:
    """
    Read an ONNX file, such as PyTorch exports, as populations and the linear operators between them.

    Parameters
    ----------
    path : str or path-like
        Model for inference with one input: images (n, C, H, W), or features (n, F). Weights in further files must lie in the
        same folder.
    average_pooling : {"spikes", "membrane"}, optional
        As in `read_keras`.
    junctions : bool, optional
        As in `read_keras`.
    max_bytes : float, optional
        How many bytes the file, each array of weights and each tensor may take in memory; half of what is available by
        default. What a file declares is checked before anything is allocated.

    Returns
    -------
    LayerGraph
        Channels come last, for images of shape (n, H, W, C).

    Raises
    ------
    ConversionError
        If the file is not a valid model, or an operator or one of its settings has no spiking counterpart. The message names
        operator, node and fix.
    MemoryError
        If a layer does not fit into the memory; the message names it.
    ModuleNotFoundError
        If the package onnx is not installed. The message names the extra to install.

    Notes
    -----
    Populations are named after the PyTorch modules, where the exporter tells them: ``layer1.0.relu``. Several nodes of one
    module have their operators in their names (``layer1.0.Add``); other nodes keep their own name. Nothing in the file is
    executed. A batch of another size than 1 is read as one image.

    See Also
    --------
    brainsnn.read_keras : the same for Keras models.
    brainsnn.LayerGraph

    Examples
    --------
    >>> import brainsnn as bs
    >>> graph = bs.read_onnx("resnet18.onnx")                          # doctest: +SKIP
    >>> snn = bs.convert(graph, neuron=bs.ASN(m_f=0.1))                # doctest: +SKIP
    """
    if average_pooling not in ("spikes", "membrane"):
        raise ValueError(f"read_onnx: average_pooling must be 'spikes' or 'membrane', got {average_pooling!r}.")
    limit = size_limit(max_bytes, "read_onnx")
    model = open_model(path, limit)
    if len(model.inputs) != 1:
        raise ConversionError(
            f"Model '{model.name}' has {len(model.inputs)} inputs: {list(model.inputs)}. A network has one. Store fixed ones as "
            "constants, or export a module whose input has the channels of all, of which each part takes its own with a 1x1 "
            "Conv2d with fixed weights."
        )
    reader = _Reader(model, GraphBuilder(average_pooling, junctions), limit)
    fix = "Make the layer or the images smaller, or read the model on a machine with more memory."
    with named_memory_errors(lambda: f"read_onnx: node {reader.current!r} of {model.name!r}", fix):
        reader.walk()
        return reader.builder.finish(reader.rows, model.name)


class _Reader:
    """Walk a graph and keep the value of each tensor."""

    def __init__(self, model, builder, limit):
        self.model, self.builder, self.limit = model, builder, limit
        self.rows, self.known, self.current, self.batch = [], {}, "", 1
        self.nodes = _needed(model)
        (self.input,) = model.inputs
        self.dynamic = {self.input}  # names of tensors that depend on the image
        for node in self.nodes:
            if node.op_type not in SHAPES and not self.dynamic.isdisjoint(node.inputs):
                self.dynamic.update(filter(None, node.outputs))
        self.layers = [node for node in self.nodes if self._is_layer(node)]
        names = readable_names(self.layers, taken=[self.input])
        self.labels = {node.outputs[0]: name for node, name in zip(self.layers, names)}

    def _is_layer(self, node):
        """Return whether the output of a node depends on the image."""
        return not self.dynamic.isdisjoint(node.outputs)

    def walk(self):
        """Build the populations of all nodes that the outputs of the model need."""
        readers = Counter(name for node in self.layers for name in node.inputs)
        readers.update(list(self.model.outputs))
        left = Counter(name for node in self.nodes for name in node.inputs)
        left.update(list(self.model.outputs))
        first = self._read_input(readers)
        self.known[self.input] = self._shared(first, readers[self.input])
        for node in self.nodes:
            self.current = node.name
            value = self._call(node)
            left.subtract(node.inputs)
            for name in set(node.inputs):
                if not left[name]:
                    self.known.pop(name, None)  # its operators may be large
            self.known[node.outputs[0]] = self._shared(value, readers[node.outputs[0]])
        for name in self.model.outputs:
            value = self._value(name)
            if not isinstance(value, Tensor):
                raise ConversionError(f"The output {name!r} of '{self.model.name}' does not depend on the image.")
            self.builder.readout(value.standard(self.builder).affine)

    def _shared(self, value, n_readers):
        """Return a value for several readers."""
        if n_readers < 2 or not isinstance(value, Tensor):
            return value
        return Tensor(value.shape, self.builder.shared(value.affine), value.order)

    def _read_input(self, readers):
        """Add the input population and return its tensor."""
        shape = self.model.inputs[self.input]
        if shape is None or len(shape) < 2 or len(shape) > 4 or None in shape[1:]:
            raise ConversionError(
                f"The input {self.input!r} of '{self.model.name}' has the shape {shape}; the number of neurons must be known. "
                "Export the model for images (n, C, H, W) of a fixed size; only the batch may be open."
            )
        self.batch, shape = shape[0] or 1, shape[1:]
        what = f"The input {self.input!r} of the shape {shape}"
        check_size(8 * math.prod(shape), self.limit, what, ConversionError)
        order = None
        if len(shape) == 3 and self._channels_last():
            (height, width, channels), order = shape, np.arange(math.prod(shape))
            tensor_shape = population = (height, width, channels)
        else:
            tensor_shape = map_shape(shape)
            population = (*shape, 1) if len(shape) == 2 else tensor_shape  # an image without channels has one
        self.rows.append(LayerRow(self.input, "Input", population))
        return Tensor(tuple(shape), self.builder.input(self.input, population, tensor_shape), order)

    def _channels_last(self):
        """Return whether all that reads the images first moves their channels from the last place to the first."""
        nodes = [node for node in self.layers if self.input in node.inputs]
        moved = [node.op_type == "Transpose" and node.attributes.get("perm") == [0, 3, 1, 2] for node in nodes]
        return bool(nodes) and all(moved) and self.input not in self.model.outputs

    def _value(self, name):
        """Return what is known of a tensor: a Tensor, an array, or None for an input that is left out."""
        if name in self.known or not name:
            return self.known.get(name)
        return self.model.weights.array(self.model.initializers[name])

    def _call(self, node):
        """Return the value of the first output of a node."""
        for output in node.outputs[1:]:
            if output and (output in self.model.outputs or any(output in each.inputs for each in self.nodes)):
                raise ConversionError(
                    f"its output {output!r} is used, and only the first one is read.", node, "Remove what reads it."
                )
        arrays = self.model.weights
        node.attributes = {
            name: arrays.array(value) if hasattr(value, "data_type") else value
            for name, value in node.attributes.items()
        }
        inputs = [self._value(name) for name in node.inputs]
        label = self.labels.get(node.outputs[0], node.name)
        call = Call(node, inputs, self.builder, label, self.batch, self.limit)
        try:
            if not self._is_layer(node):
                return folded(call)
            return self._layer(call)
        except ConversionError as error:
            if error.layer_name:
                raise
            raise ConversionError(str(error), node) from error
        except DAMAGE as error:
            raise call.refuse(
                f"its inputs and settings do not fit together ({error}).", "Export the model again."
            ) from error

    def _layer(self, call):
        """Return the tensor that a node makes of tensors that depend on the image."""
        node = call.node
        handler = HANDLERS.get(node.op_type)
        if handler is None:
            raise call.refuse(
                "this operator has no spiking counterpart.",
                f"Replace it, or export the part of the model before it. Supported: {SUPPORTED}.",
            )
        row = LayerRow(call.label, node.op_type, ())
        self.rows.append(row)
        tensors = [value for value in call.inputs if isinstance(value, Tensor)]
        if node.op_type not in AFTER_OUTPUT:
            check_open([tensor.affine for tensor in tensors], node)
        found = handler(call)
        if found is tensors[0]:
            row.note = IDENTITIES.get(node.op_type, "ignored (identity)")
        row.shape = map_shape(found.shape) if len(found.shape) == 3 else found.shape
        self._check_declared(call, found)
        return found

    def _check_declared(self, call, tensor):
        """Compare a shape with what the file says, if it does."""
        name, shape = call.node.outputs[0], (call.batch, *tensor.shape)
        declared = self.model.outputs.get(name) or self.model.shapes.get(name)
        if declared is None or call.attribute(
            "ceil_mode"
        ):  # onnx counts windows that start in the padding, no runtime does
            return
        fits = len(declared) == len(shape) and all(n in (None, m) for n, m in zip(declared[1:], shape[1:]))
        if not fits:
            raise call.refuse(
                f"its output was read as {shape}, and the file says {declared}.",
                "Export the model again, or report this.",
            )


def _needed(model):
    """Return the nodes that the outputs of a model depend on, in order."""
    wanted, nodes = set(model.outputs), []
    for node in reversed(model.nodes):
        if not wanted.isdisjoint(node.outputs):
            nodes.append(node)
            wanted.update(node.inputs)
    return nodes[::-1]
