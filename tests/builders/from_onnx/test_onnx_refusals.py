"""Every refusal of read_onnx: a model that triggers it, and that the message names operator and node."""

import numpy as np
import pytest
from onnx_models import make, node, onnx, read, small_network, values
from refusals import check_refusal, check_table

import brainsnn as bs

MODULES = ("builders/from_onnx/*.py",)
RNG = np.random.default_rng(0)
IMAGE = (4, 6, 6)


def one(op, inputs="x", weights=None, shape=IMAGE, opset=17, outputs=("y",), before=(), **attributes):
    """A model of one node, after others that make ``r`` of ``x``."""
    nodes = [*before, node(op, inputs, " ".join(outputs), "the_node", **attributes)]
    return make(nodes, shape, {key: np.asarray(value) for key, value in (weights or {}).items()}, outputs[:1], opset)


def conv(shape=(2, 4, 3, 3), bias=2, **attributes):
    return one("Conv", "x w b", {"w": values(RNG, *shape), "b": values(RNG, bias)}, **attributes)


def spoiled(name, value):
    """The small network with another array under a name."""
    model = small_network()
    tensor = next(tensor for tensor in model.graph.initializer if tensor.name == name)
    tensor.CopyFrom(onnx.numpy_helper.from_array(np.asarray(value), name))
    return model


def normalization(var=1.0, n=4, **options):
    weights = {"g": np.ones(4, "f"), "b": np.ones(4, "f"), "m": np.ones(n, "f"), "v": np.full(4, var, "f")}
    return one("BatchNormalization", "x g b m v", weights, **options)


def two(op, first, second, shape=IMAGE, **attributes):
    """A model of two nodes."""
    return make([node(*first[:2], "r", **first[2]), node(op, second, "y", "the_node", **attributes)], shape, WEIGHTS)


def edited(change):
    """The small network after a change of its message."""
    model = small_network()
    change(model)
    return model


def add_function(model):
    body = [onnx.helper.make_node("Neg", ["a"], ["b"])]
    model.functions.append(onnx.helper.make_function("", "Relu", ["a"], ["b"], body, model.opset_import))


def of_other_type(model):
    model.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT64


def wrong_shape(model):
    model.graph.value_info.append(onnx.helper.make_tensor_value_info("c1", 1, ("n", 4, 5, 5)))


def raw(**changes):
    """A model with an array whose message was changed."""
    tensor = onnx.helper.make_tensor("w", 1, [4, 3], np.ones(12, "f").tobytes(), raw=True)
    for name, value in changes.items():
        setattr(tensor, name, value)
    return make([node("MatMul", "x w", "y", "the_node")], (4,), {"w": tensor}, output_shape=("n", 3))


def external(folder, **entries):
    """A model whose array lies in a file of 48 bytes."""
    (folder / "w.data").write_bytes(np.ones(12, "f").tobytes())
    model = raw(data_location=1)
    (tensor,) = model.graph.initializer
    tensor.ClearField("raw_data")
    for key, value in {"location": "w.data", **entries}.items():
        tensor.external_data.add(key=key, value=value)
    return model


def dims(shape, kind=1):
    model = raw(data_type=kind)
    del model.graph.initializer[0].dims[:]
    model.graph.initializer[0].dims.extend(shape)
    return model


SIX = {"six": np.float32(6)}
WEIGHTS = {
    "six": np.float32(6), "nan": np.float32(np.nan), "zeros": np.zeros(4, "f"), "four": np.ones((4, 3), "f"),
    "three": np.array([3]), "flat": np.array([0, -1]), "half": np.array([1, 1, 0.5, 0.5], "f"), "int": np.array([1]),
    "int0": np.array([0]),
}  # fmt: skip

#: Words of the refusal -> what gives the model, for a folder, and whether a node is to blame.
MODELS = {
    "its input number {k} is left out": lambda f: one("Concat", "x -", axis=1),
    "is not a finite number": lambda f: one("LeakyRelu", alpha=float("nan")),
    "must depend on the image, and is": lambda f: one("Gemm", "w x", {"w": np.ones((3, 4), "f")}, (4,)),
    "it reads a tensor of the shape {(self.batch": lambda f: one("GlobalAveragePool", shape=(4, 6)),
    "where a constant is needed": lambda f: one("Conv", "x x"),
    "must be whole numbers.": lambda f: one("Unsqueeze", "x a", {"a": np.ones((1, 1), int)}),
    "its weight {name!r} is {what}": lambda f: one("MatMul", "x w", {"w": np.ones((6, 3, 1, 1), "f")}, (6,)),
    "the weight {name!r} has {bad}": lambda f: spoiled("w2", np.full((4, 4, 3, 3), np.inf, "f")),
    "{call.node.op_type} {reason}": lambda f: one("HardSwish"),
    "must be single numbers": lambda f: one("Clip", "x zeros", {"zeros": np.zeros(2, "f")}),
    "it clips to the range": lambda f: one("Clip", "x low high", {"low": np.float32(-1), "high": np.float32(1)}),
    "is not the axis of the": lambda f: one("Softmax", axis=2),
    "tensors that depend on the image must be of one shape": lambda f: two("Add", ("GlobalAveragePool", "x", {}), "x r"),
    "a constant of the shape {values.shape}": lambda f: one("Add", "x k", {"k": np.ones((2, 4, 6, 6), "f")}),
    "it multiplies or divides two tensors": lambda f: two("Mul", ("Relu", "x", {}), "x r"),
    "it divides by a tensor that": lambda f: one("Div", "six x", SIX),
    "which holds 0": lambda f: one("Div", "x k", {"k": np.float32([0])}),
    "it joins tensors of the shapes": lambda f: two("Concat", ("Relu", "x", {}), "x r", axis=0),
    "it drops values at random": lambda f: one("Dropout", "x ratio on", {"ratio": np.float32(0.5), "on": np.array(True)}),
    "it rounds to the type number": lambda f: one("Cast", to=10),
    "all that it reads is constant, and": lambda f: make(
        [node("Exp", "six", "k", "the_node"), node("Add", "x k", "y")], (4,), SIX
    ),
    "it divides whole numbers by 0": lambda f: make(
        [node("Div", "int int0", "k", "the_node"), node("Reshape", "x k", "y")], (4,), WEIGHTS
    ),
    "it casts to the type number": lambda f: make(
        [node("Cast", "six", "k", "the_node", to=16), node("Add", "x k", "y")], (4,), SIX
    ),
    "it counts in steps of 0": lambda f: make(
        [node("Range", "int three int0", "k", "the_node"), node("Reshape", "x k", "y")], (4,),
        {"int": np.array(0), "three": np.array(3), "int0": np.array(0)},
    ),
    "it has no value that can be read": lambda f: make(
        [node("Constant", "", "k", "the_node", sparse_value=onnx.helper.make_sparse_tensor(
            onnx.helper.make_tensor("v", 1, [1], [1.0]), onnx.helper.make_tensor("i", 7, [1], [0]), [4])),
         node("Add", "x k", "y")], (4,),
    ),
    "a kernel of the shape {kernel.shape}": lambda f: conv(kernel_shape=[5, 5]),
    "a bias of {len(bias)} numbers": lambda f: conv(bias=3),
    "its weights are for {channels} channels": lambda f: conv((2, 3, 3, 3)),
    "transA=1 mixes the images": lambda f: one("Gemm", "x w", {"w": np.ones((4, 3), "f")}, (4,), transA=1),
    "a bias of the shape {bias.shape}": lambda f: one(
        "Gemm", "x w b", {"w": np.ones((4, 3), "f"), "b": np.ones((2, 3), "f")}, (4,)
    ),
    "axes; two are supported": lambda f: one("Gemm", "x w", {"w": np.ones((6, 3), "f")}, (4, 6)),
    "a constant stands to the left": lambda f: one("MatMul", "w x", {"w": np.ones((3, 4), "f")}, (4, 4)),
    "it is a product over the last axis": lambda f: one("MatMul", "x w", {"w": np.ones((6, 3), "f")}),
    "its weights are for {len(matrix)} inputs": lambda f: one("MatMul", "x w", {"w": np.ones((5, 3), "f")}, (4,)),
    "it normalizes with the statistics of a batch": lambda f: normalization(training_mode=1, outputs=("y", "p", "q")),
    "spatial=0 is not supported": lambda f: normalization(spatial=0, opset=7),
    "its weights do not fit {n} channels": lambda f: normalization(n=3),
    "it divides by the root of a variance": lambda f: normalization(var=-1.0),
    "is not supported in a maximum": lambda f: one("MaxPool", kernel_shape=[2, 2], dilations=[2, 2]),
    "one of its windows holds padding only": lambda f: one(
        "AveragePool", kernel_shape=[2, 2], dilations=[3, 3], pads=[3] * 4, opset=19, shape=(1, 1, 1)
    ),
    "it is a mean over the axes": lambda f: one("ReduceMean", axes=[1]),
    "does not repeat each pixel": lambda f: one("Resize", "x - s", {"s": np.float32([1, 1, 2, 2])}, mode="linear"),
    "axes and antialias are not supported": lambda f: one("Resize", "x - s", {"s": np.float32([2, 2])}, opset=18, axes=[2, 3]),
    "keep_aspect_ratio_policy is not supported": lambda f: one(
        "Resize", "x - - s", {"s": np.array([1, 4, 12, 12])}, opset=18, keep_aspect_ratio_policy="not_larger"
    ),
    "must have a number for each of four axes": lambda f: one("Resize", "x - s", {"s": np.float32([1, 2, 2, 2])}),
    "changes the order of values after the softmax": lambda f: make(
        [node("Softmax", "x", "s", axis=1), node("Flatten", "s", "y", "the_node")], IMAGE
    ),
    "it names no version of its operators": lambda f: edited(lambda m: m.ClearField("opset_import")),
    "has operators of version": lambda f: edited(lambda m: setattr(m.opset_import[0], "version", 6)),
    "has names that are not text": lambda f: small_network().SerializeToString().replace(b"/bn1/", b"/b\xff1/"),
    "has sparse weights": lambda f: edited(lambda m: m.graph.sparse_initializer.add()),
    "is not an array of floating-point numbers": lambda f: edited(of_other_type),
    "is not an ONNX model, or is truncated": lambda f: b"\x08\x07\x12",
    "redefines {function.name!r}, an operator": lambda f: edited(add_function),
    "is not a valid ONNX model": lambda f: make([node("Relu", "b", "y"), node("Relu", "y", "b")], (2,), output_shape=("n", 2)),
    "average_pooling must be 'spikes' or 'membrane'": lambda f: {"average_pooling": "none"},
    "inputs: {list(model.inputs)}": lambda f: make([node("Add", "x z", "y")], (2,), inputs=("x", "z")),
    "the number of neurons must be known": lambda f: make([node("Relu", "x", "y")], (2, None, 4)),
    "this operator has no spiking counterpart": lambda f: one("Erf"),
    "its output was read as": lambda f: edited(wrong_shape),
    "does not depend on the image.": lambda f: make([node("Neg", "six", "y")], (2,), SIX, output_shape=()),
    "is used, and only the first one is read": lambda f: make(
        [node("Split", "x", "a b", "the_node", axis=1), node("Add", "a b", "y")], (4,)
    ),
    "str(error), node": lambda f: (
        make([node("Neg", "x", "m"), node("MaxPool", "m", "p", kernel_shape=[1, 2]), node("Add", "p p", "s"),
              node("Relu", "s", "y", "the_node")], IMAGE), {"junctions": False}
    ),  # fmt: skip
    "do not fit together ({error})": lambda f: one("Reshape", "x to", {"to": np.array([0, -1, -1])}),
    "is not a shape; one size may be -1": lambda f: one("Reshape", "x to", {"to": np.array([0, -2])}),
    "does not have the {math.prod(shape)} values": lambda f: one("Reshape", "x to", {"to": np.array([1, 7])}),
    "do not have size 1": lambda f: one("Squeeze", "x a", {"a": np.array([1])}),
    "are not axes of a tensor of": lambda f: one("Squeeze", "x a", {"a": np.array([9])}),
    "which mixes the images of a batch": lambda f: one("Reshape", "x to", {"to": np.array([-1, 4])}),
    "it removes all axes of size 1": lambda f: one("Squeeze"),
    "does not keep the batch of a tensor": lambda f: one("Transpose", perm=[1, 0, 2, 3]),
    "with the value {value} is not supported": lambda f: one("Pad", "x p", {"p": np.zeros(8, int)}, mode="reflect"),
    "it pads the batch": lambda f: one("Pad", "x p", {"p": np.array([1] + [0] * 7)}),
    "it makes {(call.batch, *padded)}": lambda f: one("Pad", "x p", {"p": np.array([0, -1] + [0] * 6)}),
    "does not have two numbers for each": lambda f: one("Pad", "x p", {"p": np.zeros(6, int)}),
    "has values of the type number": lambda f: dims([4, 3], onnx.TensorProto.BFLOAT16),
    "declares the shape {dims}": lambda f: dims([2**40, 2**40]),
    "bytes, and {name} of its shape": lambda f: raw(raw_data=b"1234"),
    "lies at offset": lambda f: external(f, offset="-4"),
    "takes {length:,} bytes from": lambda f: external(f, offset="4"),
    "which is {'not an ordinary file' if inside": lambda f: external(f, location="../../../../../../../etc/hostname"),
    "which is not there": lambda f: external(f, location="no.data"),
    "values, and its shape {dims} needs": lambda f: make(
        [node("MatMul", "x w", "y")], (4,), {"w": onnx.TensorProto(name="w", data_type=1, dims=[4, 3], float_data=[1.0, 2.0])},
        output_shape=("n", 3),
    ),
    "must have two numbers, 1 or greater": lambda f: one("MaxPool", kernel_shape=[2, 2], pads=[2, 0, 0, 0]),
    "a window of {reach} pixels does not fit": lambda f: one("MaxPool", kernel_shape=[7, 7]),
    "nothing is left of its output": lambda f: one("ConvTranspose", "x w", {"w": np.ones((4, 1, 3, 3), "f")}, pads=[4] * 4),
    "is none of NOTSET": lambda f: conv(auto_pad="SAME"),
    "must be two whole numbers, {low}": lambda f: make(  # old versions of onnx divide by 0 when they infer its shape
        [node("Conv", "x w", "y", "the_node", strides=[0, 1])], IMAGE, {"w": np.ones((2, 4, 3, 3), "f")},
        output_shape=("n", 2, 4, 4),
    ),
    "must be four whole numbers": lambda f: conv(pads=[1, 1, -1, 1]),
    "is larger than what its kernel covers": lambda f: one(
        "ConvTranspose", "x w", {"w": np.ones((4, 1, 3, 3), "f")}, output_shape=[20, 20]
    ),
}  # fmt: skip


def test_every_refusal_has_a_model():
    check_table(MODULES, MODELS)


@pytest.mark.parametrize("words", MODELS)
def test_refused(words, tmp_path):
    given = MODELS[words](tmp_path)
    given, options = given if isinstance(given, tuple) else (given, given if isinstance(given, dict) else {})
    if isinstance(given, bytes):
        (tmp_path / "model.onnx").write_bytes(given)
        message = check_refusal(MODULES, words, lambda: bs.read_onnx(tmp_path / "model.onnx"))
    else:
        model = small_network() if isinstance(given, dict) else given
        message = check_refusal(MODULES, words, lambda: read(model, tmp_path, **options))
        names = [each.name for each in model.graph.node]
        if "the_node" in names and "The array" not in message:
            operator = next(each.op_type for each in model.graph.node if each.name == "the_node")
            assert message.startswith((f"Node 'the_node' ({operator}): ", "'the_node' changes the order"))
    assert message.rstrip().endswith((".", ")")) and "\n" not in message


@pytest.mark.parametrize(
    "op", ["If", "Loop", "QuantizeLinear", "LSTM", "com.example.Own", "GridSample", "Sin", "Split", "TopK"]
)
def test_other_operators_are_refused_by_name(op, tmp_path):
    graph = onnx.helper.make_graph(
        [node("Relu", "x", "z")], "g", [], [onnx.helper.make_tensor_value_info("z", 1, None)]
    )
    branches = {"If": {"then_branch": graph, "else_branch": graph}, "Loop": {"body": graph}, "LSTM": {"hidden_size": 2}}
    inputs = {
        "If": "on",
        "Loop": "- on x",
        "QuantizeLinear": "x six",
        "LSTM": "x w w",
        "GridSample": "x x",
        "TopK": "x k",
    }
    domain, _, name = op.rpartition(".")
    # What no input of the image reaches is constant, and computed or refused when the model is read.
    outputs = {"TopK": "y i", "Split": "y i"}.get(op, "y")
    nodes = [node(name, inputs.get(op, "x"), outputs, "the_node", domain=domain, **branches.get(op, {}))]
    weights = {"on": np.array(True), "six": np.float32(1), "w": np.ones((1, 8, 4), "f"), "k": np.array([1])}
    model = make(nodes, (4, 4, 4), weights, opset=16)
    with pytest.raises(bs.ConversionError, match=rf"Node 'the_node' \({op}\): |Op registered for|{op}"):
        read(model, tmp_path)


def test_after_a_softmax_nothing_is_computed(tmp_path):
    model = make([node("Softmax", "x", "s", "/soft/Softmax"), node("Relu", "s", "y", "the_node")], (4,))
    with pytest.raises(bs.ConversionError, match=r"^Node 'the_node' \(Relu\): it reads the softmax of layer 'soft'"):
        read(model, tmp_path)


@pytest.mark.parametrize("n", [0, -1, "a"])
def test_max_bytes_must_be_a_number(n, tmp_path):
    with pytest.raises(ValueError, match="read_onnx: max_bytes must be a positive number"):
        read(small_network(), tmp_path, max_bytes=n)
