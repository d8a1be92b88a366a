"""Open an ONNX file: what it declares is checked before anything is made of it, and nothing of it is executed."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from brainsnn.builders.from_onnx.names import SCOPES
from brainsnn.builders.from_onnx.weights import Weights
from brainsnn.errors import ConversionError
from brainsnn.files import check_file, checked_path
from brainsnn.memory import check_size
from brainsnn.optional import optional_packages

__all__ = ["Model", "Node", "open_model"]

#: Oldest version of the operators that is read; broadcasting had other rules before.
OLDEST = 7
_STANDARD = ("", "ai.onnx")


@dataclass
class Node:
    """
    One node of the file.

    Parameters
    ----------
    name : str
        That of the first output if the node has none.
    op_type : str
    inputs, outputs : list of str
        Names of tensors; "" for one that is left out.
    attributes : dict of str to object
        Numbers, texts (str), lists of them, or a TensorProto.
    version : int
        Of the operators.
    scopes : str
        What PyTorch writes about the modules around the node.
    """

    name: str
    op_type: str
    inputs: list[str]
    outputs: list[str]
    attributes: dict[str, Any] = field(default_factory=dict)
    version: int = 0
    scopes: str = ""


@dataclass
class Model:
    """
    What a file holds.

    Parameters
    ----------
    name : str
        Of the file, without its ending.
    nodes : list of Node
        Each after those whose outputs it reads.
    inputs, outputs : dict of str to tuple
        Name of a tensor -> its shape with the batch, in which None stands for what is not fixed.
    shapes : dict of str to tuple
        The same for what the file tells of other tensors.
    initializers : dict of str to TensorProto
    weights : Weights
    """

    name: str
    nodes: list[Node]
    inputs: dict[str, tuple]
    outputs: dict[str, tuple]
    shapes: dict[str, tuple]
    initializers: dict[str, Any]
    weights: Weights


def open_model(path, limit):
    """
    Return what an ONNX file holds.

    Parameters
    ----------
    path : str or path-like
    limit : int
        Bytes that the file, and each array, may take.

    Returns
    -------
    Model

    Raises
    ------
    ConversionError
        If it is not an ONNX model, or holds what is not read whatever the operators are.
    """
    path = checked_path(path, "read_onnx: path", is_file=True)
    check_file(path, "read_onnx", ConversionError)
    check_size(path.stat().st_size, limit, f"read_onnx: '{path}'", ConversionError)
    with optional_packages("read_onnx"):
        import onnx
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except Exception as error:  # of protobuf, whose classes differ between its implementations
        raise ConversionError(f"'{path}' is not an ONNX model, or is truncated ({error}). Export it again.") from error
    version = _operator_version(proto, path, onnx)
    _check_contents(proto, path)
    _check_structure(proto, path, onnx)
    graph = proto.graph
    initializers = {tensor.name: tensor for tensor in graph.initializer}
    inputs = {value.name: value for value in graph.input if value.name not in initializers}
    for value in inputs.values():
        _check_is_float(value, path)
    return Model(
        Path(path).stem,
        [_node(node, version, onnx) for node in graph.node],
        {name: _shape(value) for name, value in inputs.items()},
        {value.name: _shape(value) for value in graph.output},
        {value.name: _shape(value) for value in graph.value_info},
        initializers,
        Weights(Path(path).parent, limit),
    )


def _operator_version(proto, path, onnx):
    """Return the version of the standard operators of a model."""
    versions = [entry.version for entry in proto.opset_import if entry.domain in _STANDARD]
    if len(versions) != 1:
        raise ConversionError(f"'{path}' is not an ONNX model: it names no version of its operators. Export it again.")
    newest = onnx.defs.onnx_opset_version()
    if not OLDEST <= versions[0] <= newest:
        raise ConversionError(
            f"'{path}' has operators of version {versions[0]}; {OLDEST} to {newest} are read with onnx {onnx.__version__}. "
            f"Export with opset_version={min(newest, 20)}, or install a newer onnx."
        )
    return versions[0]


def _texts(graph):
    """Yield all names in a graph; protobuf gives those that are not UTF-8 as bytes."""
    for node in graph.node:
        yield from (node.name, node.op_type, node.domain, *node.input, *node.output)
        yield from (attribute.name for attribute in node.attribute)
    for part in (graph.initializer, graph.input, graph.output, graph.value_info):
        yield from (each.name for each in part)


def _check_contents(proto, path):
    """Refuse names that are not text, functions that stand for standard operators, and sparse arrays."""
    if not all(isinstance(text, str) for text in _texts(proto.graph)):
        raise ConversionError(f"'{path}' has names that are not text in UTF-8; it is damaged. Export it again.")
    for function in proto.functions:
        if function.domain in _STANDARD:
            raise ConversionError(
                f"'{path}' redefines {function.name!r}, an operator of ONNX. Export it without local functions."
            )
    if proto.graph.sparse_initializer:
        raise ConversionError(f"'{path}' has sparse weights, which are not read. Export the model with dense weights.")


def _check_structure(proto, path, onnx):
    """
    Check nodes against the definitions of their operators, that each tensor has one origin, and that none precedes it.

    A copy is checked, in which the weights have no values: they can be larger than a message of protobuf.
    """
    small = onnx.ModelProto()
    small.ir_version = proto.ir_version
    small.opset_import.extend(proto.opset_import)
    small.functions.extend(proto.functions)
    graph = small.graph
    graph.name = "graph"
    for part in ("node", "input", "output", "value_info"):
        getattr(graph, part).extend(getattr(proto.graph, part))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                attribute.t.CopyFrom(_empty(attribute.t.name or "value", onnx))
    graph.initializer.extend(_empty(tensor.name, onnx) for tensor in proto.graph.initializer)
    try:
        onnx.checker.check_model(small)
    except Exception as error:  # ValidationError and what the binding makes of texts that are not UTF-8
        first = " ".join(str(error).split())[:300]
        raise ConversionError(f"'{path}' is not a valid ONNX model: {first}") from error


def _empty(name, onnx):
    """Return an array without values."""
    return onnx.TensorProto(name=name, data_type=onnx.TensorProto.FLOAT, dims=[0])


def _check_is_float(value, path):
    """Refuse an input that is not an array of floating-point numbers."""
    kind = value.type.tensor_type.elem_type
    if value.type.WhichOneof("value") != "tensor_type" or kind not in (1, 10, 11):
        raise ConversionError(
            f"'{path}': the input {value.name!r} is not an array of floating-point numbers (its type is number {kind}). Export "
            "the model for images of float32."
        )


def _shape(value):
    """Return the shape that a file tells of a tensor; None if it does not, and None in it for what is not fixed."""
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        return None
    return tuple(dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None for dim in tensor.shape.dim)


def _node(node, version, onnx):
    """Return a node with its attributes as Python's values."""
    attributes = {}
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, bytes):
            value = value.decode(errors="replace")
        is_sequence = not isinstance(value, str | int | float) and hasattr(value, "__len__")
        attributes[attribute.name] = list(value) if is_sequence else value
    node_type = node.op_type if node.domain in _STANDARD else f"{node.domain}.{node.op_type}"
    scopes = next((each.value for each in getattr(node, "metadata_props", ()) if each.key == SCOPES), "")
    name = node.name or next(filter(None, node.output), "")
    return Node(name, node_type, list(node.input), list(node.output), attributes, version, scopes)
