"""Files that are no models, damaged, or made to harm: refused at once, with a message, before memory is taken."""

import os
import random
import time
import tracemalloc

import numpy as np
import pytest
from onnx_models import make, node, onnx, read, small_network

import brainsnn as bs

GOOD = small_network().SerializeToString()
READ = bs.read_onnx  # imports Brian2, which takes memory, too


def refused(path, **options):
    """Check that a file is refused within a second and with little memory, and return the message."""
    tracemalloc.start()
    started = time.perf_counter()
    try:
        with pytest.raises((bs.ConversionError, MemoryError)) as caught:
            READ(path, **options)
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()
    assert time.perf_counter() - started < 5
    return str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 100, b"PK\x03\x04 a zip", GOOD[:-100], GOOD[: len(GOOD) // 2], GOOD[1:]]
)
def test_files_that_are_no_models(content, tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    assert "m.onnx" in refused(path)


def test_what_is_not_a_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        bs.read_onnx(tmp_path / "no.onnx")
    assert "is a folder, not a file" in refused(tmp_path)
    os.mkfifo(tmp_path / "pipe.onnx")
    assert "is a named pipe, not a file" in refused(tmp_path / "pipe.onnx")
    with pytest.raises(ValueError, match=r"read_onnx: path=5 is not a path"):
        bs.read_onnx(5)


def test_a_file_above_the_limit(tmp_path):
    path = tmp_path / "m.onnx"
    path.write_bytes(GOOD)
    assert "above the limit of 1.0 kB" in refused(path, max_bytes=1000)


@pytest.mark.parametrize(
    "nodes, shape, weights",
    [
        ([node("Relu", "x", "y")], (10**6, 10**6, 10**6), {}),
        ([node("Pad", "x p", "z"), node("Relu", "z", "y")], (1, 4, 4), {"p": np.array([0, 0, 10**12, 10**6] + [0] * 4)}),
        ([node("Pad", "x p", "y")], (1, 4, 4), {"p": np.array([0, 2**62] + [0] * 6)}),
        ([node("Resize", "x - s", "y")], (1, 4, 4), {"s": np.array([1, 1, 2e9, 1e6], "f")}),
        ([node("Resize", "x - - s", "y")], (1, 4, 4), {"s": np.array([1, 1, 4 * 10**9, 4 * 10**6])}),
        ([node("Conv", "x w", "y", pads=[2**40, 2**40, 2**40, 2**40])], (1, 4, 4), {"w": np.ones((1, 1, 3, 3), "f")}),
        ([node("Conv", "x w", "y", dilations=[2**62, 2**62])], (1, 4, 4), {"w": np.ones((1, 1, 3, 3), "f")}),
        ([node("ConvTranspose", "x w", "y", strides=[2**40, 2**40])], (1, 4, 4), {"w": np.ones((1, 1, 3, 3), "f")}),
        ([node("AveragePool", "x", "y", kernel_shape=[2**40, 2**40], pads=[2**39] * 4)], (1, 4, 4), {}),
        ([node("MaxPool", "x", "y", kernel_shape=[2**40, 2**40], pads=[2**39] * 4)], (1, 4, 4), {}),
        ([node("ConstantOfShape", "s", "k"), node("Add", "x k", "y")], (4,), {"s": np.array([10**12])}),
        ([node("Expand", "a s", "k"), node("Add", "x k", "y")], (4,), {"s": np.array([10**12]), "a": np.ones(1, "f")}),
        (
            [node("Range", "a b c", "k"), node("Reshape", "x k", "y")], (4,),
            {"a": np.array(0), "b": np.array(2**60), "c": np.array(1)},
        ),
        (
            [node("Mul", "a b", "k"), node("Add", "x k", "y")], (4,),
            {"a": np.ones((10**5, 1), "f"), "b": np.ones((1, 10**6), "f")},
        ),
        ([node("Gather", "a i", "k"), node("Add", "x k", "y")], (4,), {"a": np.ones((2, 10**5), "f"), "i": np.zeros(10**6, int)}),
        ([node("Unsqueeze", "x a", "y")], (4,), {"a": np.arange(1, 100)}),
        ([node("Reshape", "x s", "t"), node("Transpose", "t", "y")], (4,), {"s": np.array([0, 4, *[1] * 80])}),
    ],
)  # fmt: skip
def test_sizes_that_no_machine_has(nodes, shape, weights, tmp_path):
    """Declared sizes are checked before anything of them is allocated."""
    path = tmp_path / "m.onnx"
    path.write_bytes(make(nodes, shape, weights, output_shape=("n",)).SerializeToString())
    refused(path, max_bytes=40e6)


def test_arrays_that_hold_less_than_they_declare(tmp_path):
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[2**31, 2**31, 2**31, 2**31])
    path = tmp_path / "m.onnx"
    path.write_bytes(make([node("MatMul", "x w", "y")], (4,), {"w": tensor}, output_shape=("n", 3)).SerializeToString())
    assert "declares the shape (2147483648, " in refused(path)
    tensor.dims[:] = [-1, 3]
    path.write_bytes(make([node("MatMul", "x w", "y")], (4,), {"w": tensor}, output_shape=("n", 3)).SerializeToString())
    assert "declares the shape (-1, 3)" in refused(path)


def in_other_file(folder, location):
    tensor = onnx.TensorProto(name="w", data_type=1, dims=[4, 3], data_location=1)
    tensor.external_data.add(key="location", value=location)
    path = folder / "m.onnx"
    path.write_bytes(make([node("MatMul", "x w", "y")], (4,), {"w": tensor}, output_shape=("n", 3)).SerializeToString())
    return path


def test_weights_outside_of_the_folder_are_not_read(tmp_path):
    folder, outside = tmp_path / "model", tmp_path / "secret"
    folder.mkdir()
    outside.write_bytes(np.ones(12, "f").tobytes())
    (folder / "link").symlink_to(outside)
    (folder / "links").symlink_to(tmp_path)
    (folder / "inner").mkdir()
    os.mkfifo(folder / "pipe")
    for location in ("../secret", str(outside), "link", "links/secret", "inner/../../secret"):
        assert "outside of the folder of the model" in refused(in_other_file(folder, location)), location
    for location in ("pipe", "inner", "."):
        assert "not an ordinary file" in refused(in_other_file(folder, location)), location
    for location in ("", "none", "a\0b", "x" * 5000):
        assert "outside" in (text := refused(in_other_file(folder, location))) or "not there" in text, location
    (folder / "inner" / "w").write_bytes(outside.read_bytes())
    assert bs.read_onnx(in_other_file(folder, "inner/w")).projections[0].operator.n_weights == 12


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_are_refused_or_read(seed, tmp_path):
    """Bytes of a good file are changed at random: an error of ours, or a graph; nothing else, and no wait."""
    rng = random.Random(seed)
    path = tmp_path / "m.onnx"
    for _ in range(150):
        content = bytearray(GOOD)
        for _ in range(rng.choice([1, 1, 2, 8])):
            place = rng.randrange(len(content)) if rng.random() < 0.3 else rng.randrange(1200)
            content[place] = rng.randrange(256)
        path.write_bytes(content)
        started = time.perf_counter()
        try:
            bs.read_onnx(path, max_bytes=100e6)
        except (bs.ConversionError, MemoryError) as error:
            assert str(error)
        assert time.perf_counter() - started < 5


def test_cyclic_graphs_and_tensors_of_two_origins(tmp_path):
    for nodes in (
        [node("Relu", "b", "y"), node("Relu", "y", "b")],
        [node("Relu", "x", "y"), node("Neg", "x", "y", "other")],
    ):
        with pytest.raises(bs.ConversionError, match="is not a valid ONNX model"):
            read(make(nodes, (2,), output_shape=("n", 2)), tmp_path)


def test_long_chains_need_no_recursion(tmp_path):
    names = ["x", *(f"t{k}" for k in range(3000)), "y"]
    model = make([node("Neg", a, b) for a, b in zip(names, names[1:])], (2,))
    graph = read(model, tmp_path)
    np.testing.assert_array_equal(graph.activations(np.ones((1, 2)))[graph.readouts[0].name].ravel(), [-1, -1])
