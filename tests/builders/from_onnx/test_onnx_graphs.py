"""Whole ONNX graphs: random ones against onnxruntime, names, options, several outputs, constants, and weights in other files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx_models import close, in_order_of_maps, make, node, onnx, read, run, small_network, values

import brainsnn as bs
from brainsnn.builders.from_onnx.names import readable_names

SEEDS = st.integers(0, 2**31)


class Network:
    """A random graph under construction: nodes, weights, and the tensors there are with their shapes (C, H, W)."""

    def __init__(self, draw, rng):
        self.draw, self.rng, self.nodes, self.weights = draw, rng, [], {}
        self.tensors = [("x", (2, 6, 7))]

    def add(self, op, inputs, shape, **attributes):
        name = f"t{len(self.nodes)}"
        self.nodes.append(node(op, inputs, name, **attributes))
        self.tensors.append((name, shape))
        return name

    def weight(self, *shape, positive=False):
        name = f"w{len(self.weights)}"
        self.weights[name] = values(self.rng, *shape, scale=(int(np.prod(shape[1:])) or 1) ** -0.5)
        if positive:
            self.weights[name] = np.abs(self.weights[name]) + np.float32(0.5)
        return name

    def step(self):
        name, (channels, height, width) = self.draw(st.sampled_from(self.tensors))
        kind = self.draw(
            st.sampled_from(["conv", "norm", "relu", "pool", "average", "add", "concat", "clip", "leaky", "up"])
        )
        if kind == "conv":
            w = self.weight(self.draw(st.integers(1, 3)), channels, 3, 3)
            shape = (self.weights[w].shape[0], height, width)
            self.add("Conv", f"{name} {w} {self.weight(shape[0])}", shape, pads=[1, 1, 1, 1])
        elif kind == "norm":
            w = [
                self.weight(channels),
                self.weight(channels),
                self.weight(channels),
                self.weight(channels, positive=True),
            ]
            self.add("BatchNormalization", " ".join([name, *w]), (channels, height, width))
        elif kind in ("pool", "average") and min(height, width) > 1:
            op = "MaxPool" if kind == "pool" else "AveragePool"
            # onnxruntime's maximum of a sum has other rounding errors, but each is below the tolerance
            self.add("Relu", name, (channels, height, width))
            shape = (channels, (height + 1) // 2, (width + 1) // 2)
            self.add(op, self.tensors[-1][0], shape, kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1)
        elif kind in ("add", "concat"):
            others = [other for other, shape in self.tensors if shape == (channels, height, width)]
            other = self.draw(st.sampled_from(others))
            if kind == "add":
                self.add(self.draw(st.sampled_from(["Add", "Sub"])), f"{name} {other}", (channels, height, width))
            else:
                self.add("Concat", f"{name} {other}", (2 * channels, height, width), axis=1)
        elif kind == "up" and height * width < 20:
            self.weights["double"] = np.array([1, 1, 2, 2], np.float32)
            self.add("Resize", f"{name} - double", (channels, 2 * height, 2 * width), mode="nearest")
        else:
            op, attributes = ("LeakyRelu", {"alpha": 0.1}) if kind == "leaky" else ("Relu", {})
            self.add(op, name, (channels, height, width), **attributes)

    def output(self, name, shape, k):
        flat = self.add("Flatten", name, (int(np.prod(shape)),))
        self.nodes.append(node("Gemm", f"{flat} {self.weight(int(np.prod(shape)), 3)}", f"y{k}"))


@settings(max_examples=60, deadline=None)
@given(st.data(), SEEDS)
def test_random_graphs(tmp_path_factory, data, seed):
    network = Network(data.draw, np.random.default_rng(seed))
    for _ in range(data.draw(st.integers(2, 8))):
        network.step()
    ends = network.tensors[-1:] + data.draw(st.lists(st.sampled_from(network.tensors), max_size=1))
    for k, (name, shape) in enumerate(ends):
        network.output(name, shape, k)
    outputs = [f"y{k}" for k in range(len(ends))]
    model = make(network.nodes, (2, 6, 7), network.weights, outputs, opset=data.draw(st.sampled_from([13, 17, 20])))
    try:
        close(model, tmp_path_factory.mktemp("graph"), junctions=data.draw(st.booleans()))
    except bs.ConversionError as error:  # the maximum of a tensor has no other tensor beside it
        assert "reads a max-pooled tensor together with another" in str(error)


def test_a_small_network_and_its_table(tmp_path):
    graph = close(small_network(), tmp_path)
    assert list(graph.populations) == ["x", "relu1", "block.relu_membrane", "block.relu", "softmax"]
    assert graph.name == "model"
    assert [(row.name, row.class_name, row.shape) for row in graph.rows][1:4] == [
        ("conv1", "Conv", (8, 8, 4)), ("bn1", "BatchNormalization", (8, 8, 4)), ("relu1", "Relu", (8, 8, 4)),
    ]  # fmt: skip
    assert "folded into x -> relu1" in str(graph)


@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_a_shape_that_is_worked_out(batch, tmp_path):
    """What exporters write for ``x.view(x.size(0), -1)``."""
    nodes = [
        node("Shape", "x", "s"), node("Gather", "s zero", "n", axis=0), node("Unsqueeze", "n zeros", "m"),
        node("Concat", "m minus", "to", axis=0), node("Reshape", "x to", "f"), node("Gemm", "f w", "y"),
    ]  # fmt: skip
    weights = {"zero": np.array(0), "zeros": np.array([0]), "minus": np.array([-1])}
    weights["w"] = values(np.random.default_rng(0), 30, 4)
    graph = close(make(nodes, (2, 3, 5), weights, batch=batch), tmp_path)
    assert [row.class_name for row in graph.rows] == ["Input", "Reshape", "Gemm"]
    assert not graph.outgoing("x")[1:]  # reading the shape of a tensor does not make it shared


FOLDED = {
    "Constant": [node("Constant", "", "k", value_floats=[1.0, 2.0, 3.0])],
    "ConstantOfShape": [node("ConstantOfShape", "three", "k", value=onnx.helper.make_tensor("v", 1, [1], [0.5]))],
    "Identity": [node("Identity", "a", "k")],
    "Cast": [node("Cast", "three", "k", to=1)],
    "Gather": [node("Gather", "m one", "g", axis=1), node("Squeeze", "g axis1", "k")],
    "Slice": [node("Slice", "b four minus6 zeros minus2", "k")],
    "Concat": [node("Concat", "a b", "c", axis=0), node("Slice", "c three five9 zeros", "k")],
    "Reshape": [node("Reshape", "m flat", "f"), node("Slice", "f zeros three", "k")],
    "Squeeze": [node("Squeeze", "row", "k")],
    "Unsqueeze": [node("Unsqueeze", "a zeros", "k")],
    "Flatten": [node("Flatten", "row", "k", axis=0)],
    "Transpose": [node("Transpose", "m", "mt"), node("Reshape", "mt flat", "f"), node("Slice", "f zeros three", "k")],
    "Expand": [node("Expand", "half", "k2"), node("Mul", "k2 a", "k")],
    "Range": [node("Range", "r0 r1 r2", "k")],
    "ReduceProd": [node("ReduceProd", "m", "k", axes=[0], keepdims=0)],
    "Add": [node("Add", "a b3", "k")],
    "Sub": [node("Sub", "a b3", "k")],
    "Mul": [node("Mul", "a b3", "k")],
    "Div": [node("Div", "seven minus2", "q"), node("Cast", "q", "k", to=1)],
    "Min": [node("Min", "a b3", "k")],
    "Max": [node("Max", "a b3", "k")],
    "Neg": [node("Neg", "a", "k")],
    "Abs": [node("Abs", "a", "k")],
    "Sqrt": [node("Sqrt", "b3", "k")],
    "Reciprocal": [node("Reciprocal", "b3", "k")],
    "Floor": [node("Floor", "a", "k")],
    "Ceil": [node("Ceil", "a", "k")],
    "Equal": [node("Equal", "a b3", "e"), node("Cast", "e", "k", to=1)],
    "Where": [node("Equal", "a a", "e"), node("Where", "e a b3", "k")],
    "Shape": [node("Shape", "m", "s"), node("Cast", "s", "c", to=1), node("Gather", "c index", "k")],
    "Size": [node("Size", "m", "s"), node("Cast", "s", "k", to=1)],
}
CONSTANTS = {
    "a": np.array([-1.5, 0.25, 2.5], np.float32), "b": np.arange(5, dtype=np.float32), "b3": np.float32([0.5, 0.25, 4]),
    "m": np.arange(1, 7, dtype=np.float32).reshape(2, 3) / 4, "row": np.float32([[1, 2, 3]]), "half": np.array([0.5], np.float32),
    "three": np.array([3]), "one": np.array([1]), "axis1": np.array([1]), "zeros": np.array([0]),
    "four": np.array([4]), "minus6": np.array([-6]),
    "minus2": np.array([-2]), "five9": np.array([6]), "flat": np.array([-1]), "one1": np.array([1]), "seven": np.array([7]),
    "r0": np.float32(1), "r1": np.float32(4), "r2": np.float32(1), "index": np.array([1, 1, 0]),
}  # fmt: skip


@pytest.mark.parametrize("op", FOLDED)
def test_constants_are_computed_as_onnxruntime_computes_them(op, tmp_path):
    """The constant k is added to x, and to x through a product, so that its values and its shape count."""
    nodes = list(FOLDED[op])
    if op == "Expand":
        nodes[0] = node("Expand", "half three", "k2")
    if op == "Gather":
        nodes = [node("Gather", "m one", "g", axis=0), node("Squeeze", "g zeros", "k")]
    nodes += [node("Add", "x k", "t"), node("Mul", "t w", "y")]
    weights = {**CONSTANTS, "w": np.float32([[1, 2, 3]])}
    close(make(nodes, (3,), weights), tmp_path)


def test_every_folded_operator_is_tested():
    from brainsnn.builders.from_onnx.folding import FOLDED as computed

    assert set(FOLDED) == set(computed)


def test_several_outputs_have_a_readout_each(tmp_path):
    nodes = [node("Relu", "x", "r"), node("Flatten", "r", "f"), node("Gemm", "f w", "y"), node("Sigmoid", "y", "z")]
    weights = {"w": values(np.random.default_rng(0), 8, 3)}
    graph = close(make(nodes, (2, 2, 2), weights, outputs=("y", "z", "r")), tmp_path)
    assert [p.activation for p in graph.readouts] == ["linear", "sigmoid", "linear"]


def test_images_without_channels_and_rows_of_values(tmp_path):
    graph = close(make([node("Relu", "x", "y")], (4, 5)), tmp_path)
    assert graph.input.shape == (4, 5, 1)
    assert close(make([node("Relu", "x", "y")], (7,)), tmp_path).input.shape == (1, 1, 7)


def test_nodes_that_no_output_needs_are_not_read(tmp_path):
    nodes = [node("Relu", "x", "y"), node("Erf", "x", "unused")]
    assert [row.class_name for row in close(make(nodes, (2, 3, 3)), tmp_path).rows] == ["Input", "Relu"]


def test_average_pooling_on_membranes(tmp_path):
    nodes = [node("Relu", "x", "r"), node("AveragePool", "r", "y", kernel_shape=[2, 2], strides=[2, 2])]
    model = make(nodes, (2, 4, 4))
    assert not read(model, tmp_path).averages_membranes
    graph = read(model, tmp_path, average_pooling="membrane")
    assert graph.averages_membranes
    images = np.random.default_rng(0).normal(size=(2, 2, 4, 4)).astype(np.float32)
    mean = images.reshape(2, 2, 2, 2, 2, 2).mean(axis=(3, 5))
    found = graph.activations(in_order_of_maps(images))[graph.readouts[0].name]
    np.testing.assert_allclose(found, np.maximum(in_order_of_maps(mean), 0), atol=1e-6)


def test_without_junctions_streams_are_read_directly(tmp_path):
    graph = close(small_network(), tmp_path, junctions=False)
    assert not [p for p in graph.populations.values() if p.kind == "junction"]


def test_weights_in_files_of_the_same_folder(tmp_path):
    model = small_network()
    expected = read(model, tmp_path).activations(np.ones((1, 8, 8, 2)))["softmax"]
    folder = tmp_path / "other"
    folder.mkdir()
    onnx.save_model(model, folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    assert (folder / "m.data").stat().st_size > 1000
    found = bs.read_onnx(folder / "m.onnx").activations(np.ones((1, 8, 8, 2)))["softmax"]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind, exact", [("FLOAT16", False), ("DOUBLE", True), ("FLOAT", True)])
def test_types_and_fields_of_weights(kind, exact, tmp_path):
    """Weights of other types are read exactly, whether they stand in the message or as raw bytes."""
    number = getattr(onnx.TensorProto, kind)
    array = values(np.random.default_rng(0), 3, 4).astype(onnx.helper.tensor_dtype_to_np_dtype(number))
    for raw in (False, True):
        content = array.tobytes() if raw else array.ravel()
        weights = {"w": onnx.helper.make_tensor("w", number, array.shape, content, raw=raw)}
        model = make([node("Cast", "w", "v", to=1), node("MatMul", "x v", "y")], (3,), weights)
        (projection,) = read(model, tmp_path).projections
        np.testing.assert_array_equal(projection.operator.kernel[0, 0], array.astype(np.float32))
        assert exact == (array.dtype != np.float16)


@pytest.mark.parametrize(
    "names, expected",
    [
        (["/conv/conv.1/Conv", "/conv/Relu", "/conv/conv.2/Conv"], ["conv.1", "conv.Relu", "conv.2"]),
        (["/act/Mul", "/act/HardSigmoid"], ["act.Mul", "act.HardSigmoid"]),
        (["/relu/Relu", "/relu/Relu"], ["relu", "relu_2"]),
        (["node_relu_3", "/", "a/b"], ["relu_3", "Relu", "a/b"]),
        (["/features/features.1/conv/conv.0/conv.0.2/Clip"], ["features.1.conv.0.2"]),
    ],
    ids=str,
)
def test_names(names, expected):
    nodes = [type("Node", (), {"name": n, "op_type": n.split("/")[-1] or "Relu", "scopes": ""}) for n in names]
    assert readable_names(nodes) == expected


def test_names_that_pytorch_writes_beside_the_nodes(tmp_path):
    model = make(
        [node("Conv", "x w", "c", "node_Conv_1"), node("Relu", "c", "y", "n4")],
        (1, 3, 3),
        {"w": np.ones((1, 1, 1, 1), "f")},
    )
    for each, scopes in zip(model.graph.node, ("['', 'a', 'a.0', 'conv2d']", "['', 'a', 'a.1', 'relu_1']")):
        each.metadata_props.add(key="pkg.torch.onnx.name_scopes", value=scopes)
    assert [row.name for row in read(model, tmp_path).rows] == ["x", "a.0", "a.1"]
    for wrong in ("[" * 9000, "__import__('os')", "['a', 1]", "{}", "'a'"):
        model.graph.node[1].metadata_props[0].value = wrong
        assert [row.name for row in read(model, tmp_path).rows] == ["x", "a.0", "n4"]


def test_names_are_unique(tmp_path):
    nodes = [node("Relu", "x", "r", "x"), node("Neg", "r", "s", "x"), node("Neg", "s", "y", "x_2")]
    assert [row.name for row in read(make(nodes, (2, 2, 2)), tmp_path).rows] == ["x", "x_2", "x_3", "x_2_2"]


def test_a_large_dense_layer_after_flatten_is_one_kernel(tmp_path):
    """As in VGG: the rows of the matrix take the order of the map; nothing is permuted when the network runs."""
    rng = np.random.default_rng(0)
    nodes = [
        node("Relu", "x", "r"), node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]), node("Flatten", "p", "f"),
        node("Dropout", "f", "d"), node("Gemm", "d w b", "g"), node("Relu", "g", "y"),
    ]  # fmt: skip
    model = make(nodes, (64, 14, 14), {"w": values(rng, 3136, 256, scale=0.02), "b": values(rng, 256)})
    graph = close(model, tmp_path)
    assert max(p.operator.n_weights for p in graph.projections) == 3136 * 256
    assert {type(p.operator).__name__ for p in graph.projections} <= {"ConvOperator", "MaxPool"}


def test_the_spiking_network_of_a_file_finds_the_same_class(tmp_path):
    model = small_network(np.random.default_rng(10))
    images = np.random.default_rng(3).uniform(size=(6, 2, 8, 8)).astype(np.float32)
    snn = bs.convert(read(model, tmp_path), neuron=bs.ASN(m_f=0.05))
    output = snn.run(in_order_of_maps(images), duration=400 * bs.ms).output[:, 200:].mean(axis=1)
    expected = run(model, images)[0]
    np.testing.assert_array_equal(output.argmax(axis=1), expected.argmax(axis=1))
    assert len(set(expected.argmax(axis=1))) > 1
    np.testing.assert_allclose(output, expected, atol=0.1)  # no activation is above 1
