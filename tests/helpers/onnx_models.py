"""Small ONNX models for tests, made of lists of nodes, and comparisons of their graphs with onnxruntime."""

import numpy as np
import pytest

import brainsnn as bs

onnx = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
helper = onnx.helper

__all__ = ["close", "in_order_of_maps", "make", "node", "onnx", "read", "run", "small_network", "values"]

#: onnxruntime computes in float32 and the graph in float64: the largest difference, relative to the largest value.
TOLERANCE = 1e-5


def node(op, inputs, outputs, name="", **attributes):
    """Return a node; inputs and outputs are texts of names with spaces between them, '-' for one that is left out."""
    names = [["" if name == "-" else name for name in text.split()] for text in (inputs, outputs)]
    return helper.make_node(op, *names, name=name or f"{op}_{names[1][0]}", **attributes)


def values(rng, *shape, scale=1.0):
    """Return random float32 numbers."""
    return (scale * rng.normal(size=shape)).astype(np.float32)


def make(nodes, shape, weights=None, outputs=("y",), opset=17, batch="n", inputs=("x",), output_shape=None):
    """Return a model that reads ``x`` of a shape without the batch, with the shapes that ONNX infers."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, (batch, *shape)) for name in inputs],
        [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, output_shape) for name in outputs],
        [_initializer(value, name) for name, value in (weights or {}).items()],
    )
    versions = [helper.make_opsetid(domain, 1) for domain in {each.domain for each in nodes} - {""}]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset), *versions], ir_version=8)
    model = onnx.shape_inference.infer_shapes(model, data_prop=True) if output_shape is None else model
    for value in model.graph.output:  # where nothing could be inferred: a file must have one
        if not value.type.tensor_type.HasField("shape"):
            value.type.tensor_type.shape.dim.add(dim_param="n")
    return model


def _initializer(value, name):
    return value if isinstance(value, onnx.TensorProto) else onnx.numpy_helper.from_array(np.asarray(value), name)


def read(model, folder, name="model", **options):
    """Save a model and read it."""
    path = folder / f"{name}.onnx"
    path.write_bytes(model.SerializeToString())
    return bs.read_onnx(path, **options)


def run(model, images):
    """Return the outputs of onnxruntime."""
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = runtime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, {session.get_inputs()[0].name: images})


def in_order_of_maps(values):
    """Return images (n, C, H, W) as (n, H, W, C), and other arrays as they are."""
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 else values


def close(model, folder, n=3, channels_last=False, **options):
    """Check that the graph, with and without junctions, gives the outputs of onnxruntime; return the graph."""
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    images = np.random.default_rng(1).normal(size=(shape[0] or n, *shape[1:])).astype(np.float32)
    expected = run(model, images)
    graph = read(model, folder, **options)
    seen = images if channels_last else in_order_of_maps(images)
    for version in (graph, graph.expand_junctions()):
        found = version.activations(seen)
        assert len(version.readouts) == len(expected)
        for readout, value in zip(version.readouts, expected):
            value = in_order_of_maps(value)
            difference = np.abs(found[readout.name].ravel() - value.ravel().astype(float)).max()
            assert found[readout.name].size == value.size
            assert difference <= TOLERANCE * max(1.0, np.abs(value).max())
    return graph


def small_network(rng=None, opset=17):
    """Return a classifier of 8x8 images of two channels: convolutions, a residual block, pooling, a dense layer, softmax."""
    rng = np.random.default_rng(0) if rng is None else rng
    nodes = [
        node("Conv", "x w1 b1", "c1", "/conv1/Conv", pads=[1, 1, 1, 1]),
        node("BatchNormalization", "c1 gamma beta mean var", "n1", "/bn1/BatchNormalization"),
        node("Relu", "n1", "r1", "/relu1/Relu"),
        node("Conv", "r1 w2", "c2", "/block/conv/Conv", pads=[1, 1, 1, 1]),
        node("Add", "c2 r1", "s", "/block/Add"),
        node("Relu", "s", "r2", "/block/relu/Relu"),
        node("MaxPool", "r2", "p", "/pool/MaxPool", kernel_shape=[2, 2], strides=[2, 2]),
        node("Flatten", "p", "f", "/Flatten"),
        node("Gemm", "f w3 b3", "g", "/fc/Gemm", transB=1),
        node("Softmax", "g", "y", "/softmax/Softmax", axis=1),
    ]
    weights = {
        "w1": values(rng, 4, 2, 3, 3, scale=0.4), "b1": values(rng, 4, scale=0.3), "w2": values(rng, 4, 4, 3, 3, scale=0.2),
        "gamma": rng.uniform(0.5, 2, 4).astype(np.float32), "beta": values(rng, 4, scale=0.3),
        "mean": values(rng, 4, scale=0.3), "var": rng.uniform(0.5, 2, 4).astype(np.float32),
        "w3": values(rng, 3, 64, scale=0.3), "b3": values(rng, 3, scale=0.3),
    }  # fmt: skip
    return make(nodes, (2, 8, 8), weights, opset=opset)
