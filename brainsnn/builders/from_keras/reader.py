"""Read a Keras model as a `LayerGraph`: walk its calls and hand each to the handler of its layer."""

from collections import Counter
from collections.abc import Iterable
from os import PathLike
from typing import TYPE_CHECKING

from brainsnn.builders.from_keras.classes import is_operation, keras_name, trains_by_default
from brainsnn.builders.from_keras.layers import AFTER_OUTPUT, BATCH_NORMS, IDENTITIES, SUPPORTED, shape3
from brainsnn.builders.from_keras.registry import find_handler, is_registered
from brainsnn.builders.graph.activations import check_open
from brainsnn.builders.graph.graph_builder import GraphBuilder
from brainsnn.builders.graph.layer_graph import LayerGraph, LayerRow
from brainsnn.errors import ConversionError, UnknownNameError
from brainsnn.memory import named_memory_errors

if TYPE_CHECKING:
    import keras

__all__ = ["read_keras"]


def read_keras(
    model: "keras.Model",
    average_pooling: str = "spikes",
    junctions: bool = True,
    batch_norm: str = "exact",
    spiking: Iterable[str] = (),
) -> LayerGraph:
    """
    Read a Keras model as populations and the linear operators between them.

    Parameters
    ----------
    model : keras.Model
        Functional or sequential, built, with one input. It may hold nested models, layers that are called more than
        once, and layers of classes added with `register_layer`.
    average_pooling : {"spikes", "membrane"}, optional
        ``"spikes"``: average pooling becomes part of the operator that follows, which is exact. ``"membrane"``:
        average pooling directly after a nonlinearity averages membrane potentials, and the pooled neurons spike.
    junctions : bool, optional
        Whether to insert a graded population where several layers read a stream, or where a chain does not compose
        into one convolution. If False, each layer reads all its sources directly, through sparse matrices if needed.
    batch_norm : {"exact", "published"}, optional
        What batch normalization is divided by: ``"exact"``, the root of variance + epsilon, as in Keras; ``"published"``, the
        root of the variance, plus 1e-5, as in the code of Soerensen et al. (2022), which amplifies channels of small variance.
    spiking : iterable of str, optional
        Layers that become spiking populations although they are linear or leaky ReLUs, as in networks that are trained further
        with spikes. What the trained layer returns below 0 is lost; the printed graph says so. Layers with a ReLU may be
        among them.

    Returns
    -------
    LayerGraph

    Raises
    ------
    ConversionError
        If the model cannot be read or a layer has no spiking counterpart. The message names the layer and a fix.
    UnknownNameError
        If a layer of ``spiking`` does not exist.
    MemoryError
        If a layer does not fit into the memory; the message names it.

    Notes
    -----
    Each nonlinearity becomes a spiking population named after its layer. All layers between nonlinearities are linear
    and are composed: each tensor is a sum of operators on populations plus a bias. Max pooling after a nonlinearity
    takes the maximum of the membrane potentials, before spikes are generated. Max pooling of a linear tensor turns that
    tensor into a membrane population.

    See Also
    --------
    brainsnn.LayerGraph
    brainsnn.register_layer : make layers of your own class readable.

    Examples
    --------
    >>> import brainsnn as bs
    >>> graph = bs.read_keras(bs.load_model("digits"))
    >>> list(graph.populations)
    ['pixels', 'encoding_asn', 'conv1_asn', 'conv2_asn', 'dense1_asn', 'readout']
    >>> print(str(graph).splitlines()[0])
    LayerGraph of 'digits': 6 populations, 19,696 spiking neurons, 5 projections, 3,988,240 connections
    """
    if average_pooling not in ("spikes", "membrane"):
        raise ValueError(f"read_keras: average_pooling must be 'spikes' or 'membrane', got {average_pooling!r}.")
    if batch_norm not in BATCH_NORMS:
        raise ValueError(f"read_keras: batch_norm must be 'exact' or 'published', got {batch_norm!r}.")
    if isinstance(spiking, str):
        raise ValueError(f"read_keras: spiking={spiking!r} is one name; give a list of layers, such as [{spiking!r}].")
    graph = _functional(model)
    if len(graph.inputs) != 1:
        names = [f"{t._keras_history.operation.name!r} {tuple(t.shape[1:])}" for t in graph.inputs]
        raise ConversionError(
            f"Model '{model.name}' has {len(names)} inputs: {', '.join(names)}. A network has one. Make an input with the "
            "channels of all, of which each part of the model takes its own with a Conv2D(channels, 1, use_bias=False) whose "
            "weights are 1 for the channels that it takes and 0 for the others."
        )
    own_names = frozenset(node.operation.name for node in _sorted_nodes(graph.outputs, ()))
    builder = GraphBuilder(average_pooling, junctions, frozenset(spiking))
    reader = _Reader(builder, own_names, BATCH_NORMS[batch_norm])
    layer = graph.inputs[0]._keras_history.operation
    shape = tuple(graph.inputs[0].shape[1:])
    tensor_shape = shape3(shape, layer)
    # A gray-scale image without a channel axis has one channel.
    affine = reader.builder.input(layer.name, (*shape, 1) if len(shape) == 2 else tensor_shape, tensor_shape)
    reader.used.add(layer.name)
    reader.rows.append(LayerRow(layer.name, type(layer).__name__, shape))
    fix = "Make the layer or the images smaller, or read the model on a machine with more memory."
    with named_memory_errors(lambda: f"read_keras: layer {reader.rows[-1].name!r} of {model.name!r}", fix):
        outputs = reader.walk(graph, [affine], prefix="")
        for name in spiking:
            if name not in reader.used:
                raise UnknownNameError(name, sorted(reader.used), "layer for read_keras.spiking")
        for output in outputs:
            reader.builder.readout(output)
        return reader.builder.finish(reader.rows, model.name)


def _functional(model):
    """Return the model's graph, or raise an error that says what was given instead."""
    what = f"'{getattr(model, 'name', model)}' ({type(model).__name__})"
    if _is_sequential(type(model)) and getattr(model, "_functional", None) is None:
        raise ConversionError(
            f"Model {what} is not built: it has no input shape. Start it with keras.Input((height, width, channels)), "
            f"or call it once on an image."
        )
    for method in ("call", "__call__"):
        owner = next((base for base in type(model).__mro__ if method in vars(base)), None)
        if owner is not None and keras_name(owner) is None:
            raise ConversionError(
                f"Model {what} has a {method} of its own, so its layers do not say what it computes. Build it "
                f"functionally, as keras.Model(inputs, outputs), or, if it is nested in another model, say what it computes "
                f"with brainsnn.register_layer({type(model).__name__}, handler)."
            )
    graph = getattr(model, "_functional", None) or model
    if isinstance(model, str | PathLike):
        raise ConversionError(
            f"{model!r} names a network. Load it first: brainsnn.load_model({model!r}), brainsnn.read_onnx or brainsnn.read_nir."
        )
    if not hasattr(graph, "_nodes_by_depth"):
        raise ConversionError(
            f"{what} is neither a functional nor a sequential model of Keras 3. Write it as "
            f"keras.Model(inputs, outputs)."
        )
    return graph


def _is_sequential(layer_class):
    """Return whether a class is Keras's Sequential model or a subclass of it."""
    return any(keras_name(base) == "Sequential" for base in layer_class.__mro__)


def _key(tensor):
    """Return what identifies a tensor in a graph."""
    operation, node, index = tensor._keras_history
    return id(operation), node, index


def _node(tensor):
    """Return the call that made a tensor."""
    operation, node, _ = tensor._keras_history
    return operation._inbound_nodes[node]


class _Reader:
    """Walk a graph and keep the affine map of each tensor."""

    def __init__(self, builder, names, batch_norm):
        self.builder = builder
        self.batch_norm = batch_norm  # the handler of batch normalization
        self.names = names  # of the layers that are not nested: model.get_layer finds these
        self.rows = []
        self.used, self.calls = set(), {}

    def walk(self, graph, inputs, prefix):
        """
        Return the affine maps of a model's outputs, given those of its inputs.

        Parameters
        ----------
        graph : keras Functional
        inputs : list of AffineMap
        prefix : str
            Path of a nested model, put before the names of its layers where these are taken.

        Returns
        -------
        list of AffineMap
        """
        known = {_key(tensor): affine for tensor, affine in zip(graph.inputs, inputs)}
        nodes = _sorted_nodes(graph.outputs, set(known))
        readers = Counter(_key(tensor) for node in nodes for tensor in node.input_tensors)
        readers.update(_key(tensor) for tensor in graph.outputs)
        left = Counter(readers)
        for node in nodes:
            outputs = self._call(node, [known[_key(tensor)] for tensor in node.input_tensors], prefix)
            left.subtract(_key(tensor) for tensor in node.input_tensors)
            for key in {_key(tensor) for tensor in node.input_tensors if not left[_key(tensor)]}:
                del known[key]  # its operators may be large
            for tensor, affine in zip(node.outputs, outputs):
                known[_key(tensor)] = self.builder.shared(affine) if readers[_key(tensor)] > 1 else affine
        return [known[_key(tensor)] for tensor in graph.outputs]

    def _call(self, node, inputs, prefix):
        """Return the affine maps of the outputs of one call."""
        layer = node.operation
        label = self._label(layer.name, prefix)
        shape = tuple(node.outputs[0].shape[1:])
        row = LayerRow(label, type(layer).__name__, shape)
        self.rows.append(row)
        if node.arguments.kwargs.get("training") and not trains_by_default(layer):
            raise ConversionError(
                "it is called with training=True.", layer, "Call it without; spiking networks run in inference mode."
            )
        nested = hasattr(layer, "_nodes_by_depth") or _is_sequential(type(layer))
        if nested and not is_registered(type(layer)):
            row.note = "opened"
            return self.walk(_functional(layer), inputs, f"{label}/")
        name, handler = find_handler(type(layer))
        handler = self.batch_norm if name == "BatchNormalization" else handler
        affine = _convert_layer(name, handler, node, inputs, self.builder, label)
        row.note = IDENTITIES.get(name, "ignored (identity)" if affine is inputs[0] else "")
        if label in self.builder.spiking:
            affine, row.note = _spiking(affine, layer, self.builder, label)
        expected = shape3(shape, layer)
        if affine.shape != expected:
            raise ConversionError(
                f"its output was read as {affine.shape}, but its shape in Keras is {expected}.",
                layer,
                "'identity' and activations keep the shape: let its handler return an operator.",
            )
        return [affine]

    def _label(self, name, prefix):
        """Return a unique name for a call: the layer's, after the model's name and with a number where it is taken."""

        def is_taken(label):
            """Return whether a call has this name, or another layer keeps it."""
            return label in self.used or (label in self.names and (prefix or label != name))

        label = prefix + name if is_taken(name) else name
        while is_taken(label):
            number = self.calls[prefix, name] = self.calls.get((prefix, name), 1) + 1
            label = f"{prefix}{name}_call{number}"
        self.used.add(label)
        return label


def _spiking(affine, layer, builder, label):
    """Return the output of a layer as that of the neurons that were asked for, and what the printed table says of it."""
    check_open([affine], layer)
    if label in builder.populations:
        leaky = keras_name(type(layer)) == "LeakyReLU"
        return affine, f"spikes; its slope of {layer.negative_slope:g} below 0 is lost" if leaky else ""
    return builder.spike(affine, label, "relu"), "spikes although linear; what is below 0 is lost"


def _sorted_nodes(outputs, known):
    """Return the calls that the outputs need, in order; with a stack, since deep models exceed the recursion limit."""
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


def _convert_layer(name, handler, node, inputs, builder, label):
    """
    Return the affine map of one call of a layer.

    Parameters
    ----------
    name, handler
        As returned by `find_handler` for the layer's class.
    node : keras.Node
        The call.
    inputs : list of AffineMap
    builder : GraphBuilder
    label : str
        Name of the call.

    Returns
    -------
    AffineMap

    Raises
    ------
    ConversionError
        If the layer or one of its settings has no spiking counterpart. The message names the layer.
    """
    layer = node.operation
    if name is not None and name not in AFTER_OUTPUT:
        check_open(inputs, layer)
    if getattr(layer, "data_format", None) == "channels_first":
        raise ConversionError(
            "data_format='channels_first' is not supported.", layer, "Build the model with 'channels_last'."
        )
    if mode := getattr(layer, "quantization_mode", None):
        raise ConversionError(
            f"it is quantized ({mode}): Keras rounds its inputs, too, which no spiking network does.",
            layer,
            "Convert the model as it was before model.quantize().",
        )
    if len(node.outputs) != 1:
        raise ConversionError(f"it has {len(node.outputs)} outputs; one is supported.", layer, "Split it into layers.")
    if handler is None and is_operation(type(layer)):
        raise ConversionError(
            "this function of keras.ops has no spiking counterpart.",
            layer,
            f"Use layers, or convert the part of the model before it. Supported: {SUPPORTED}.",
        )
    if handler is None:
        register = f"Say what it computes with brainsnn.register_layer({type(layer).__name__}, handler), replace it"
        raise ConversionError(
            "this class has no spiking counterpart.",
            layer,
            f"{register}, or convert the part of the model before it. Supported: {SUPPORTED}.",
        )
    try:
        return handler(layer, node, inputs, builder, label)
    except ConversionError as error:
        if error.layer_name:
            raise
        raise ConversionError(str(error), layer) from error
