"""What read_nir refuses, with the message that names the node and says what to do."""

import h5py
import numpy as np
import pytest
from nir_files import chain, lif, write_nir

import brainsnn as bs
from brainsnn.errors import ConversionError, UnknownNameError

CONV = {"weight": np.ones((2, 1, 3, 3)), "bias": np.zeros(2), "stride": 1, "padding": 0, "dilation": 1, "groups": 1}
LI = {"tau": np.ones(3), "r": np.ones(3), "v_leak": np.zeros(3)}
POOL = {"kernel_size": (2, 2), "stride": (2, 2), "padding": (0, 0)}


def conv(**changes):
    return "Conv2d", CONV | changes


def looped(*nodes_in_loop, spiking=True):
    """A network in which nodes lead from its layer back to it."""
    nodes, edges = chain(lif(3) if spiking else ("Scale", {"scale": np.ones(3)}), shape=(3,), out=(3,))
    layer = next(name for name in nodes if name not in ("input", "output"))
    names = [f"loop_{k}" for k in range(len(nodes_in_loop))]
    nodes |= dict(zip(names, nodes_in_loop))
    return nodes, edges + list(zip([layer, *names], [*names, layer]))


def sequence(*nodes, shape=(3,)):
    return chain(*nodes, shape=shape, out=(3,))


def changed(change):
    """A sequence with its nodes and edges changed."""
    nodes, edges = sequence(lif(3))
    change(nodes, edges)
    return nodes, edges


REFUSED = {
    "unknown type": (
        sequence(("Conv1d", {})), r"node 'conv1d_1' \(Conv1d\): this type of node cannot be converted. Supported: Linear, Affine",
    ),
    "negative time constant": (sequence(lif(3, tau=-1.0)), r"node 'lif_1' \(LIF\): 'tau' must be greater than 0 s, got -1"),
    "NaN": (sequence(lif(3, r=np.nan)), r"'r' holds NaN or infinite values"),
    "text": (sequence(("LIF", lif(3)[1] | {"r": "many"})), r"'r' must hold numbers, got <U4"),
    "missing field": (sequence(("LIF", {"tau": np.ones(3)})), r"\(LIF\): the file does not hold its 'r'"),
    "size of a field": (sequence(lif(4)), r"'tau' has the shape \(4,\), and its input \(3,\)"),
    "Linear": (
        sequence(("Linear", {"weight": np.ones((2, 4))})), r"a weight of shape \(2, 4\) does not fit its input of shape \(3,\)",
    ),
    "Linear on maps": (sequence(("Linear", {"weight": np.ones((2, 4))}), shape=(1, 2, 2)), "Put a Flatten node before it"),
    "bias of Affine": (
        sequence(("Affine", {"weight": np.ones((2, 3)), "bias": np.ones(3)})), r"a bias of shape \(3,\) does not fit the output",
    ),
    "Conv2d on a vector": (sequence(conv()), r"its input of shape \(3,\) is not \(channels, height, width\)"),
    "channels": (sequence(conv(), shape=(2, 5, 5)), r"a weight of shape \(2, 1, 3, 3\) in 1 group\(s\) does not fit"),
    "input_shape": (sequence(conv(input_shape=(4, 5)), shape=(1, 5, 5)), r"its input_shape \(4, 5\) is not that of its input"),
    "stride": (sequence(conv(stride=0), shape=(1, 5, 5)), r"'stride' must be 1 or greater, got \(0, 0\)"),
    "half a stride": (sequence(conv(stride=1.5), shape=(1, 5, 5)), r"'stride' must hold 2 whole number\(s\), got \[1.5\]"),
    "padding": (sequence(conv(padding="full"), shape=(1, 5, 5)), "padding='full'; give 'same', 'valid' or whole numbers"),
    "negative padding": (sequence(conv(padding=-1), shape=(1, 5, 5)), r"'padding' must not be negative, got \(-1, -1\)"),
    "same with a stride": (sequence(conv(padding="same", stride=2), shape=(1, 5, 5)), "padding='same' with a stride of"),
    "large window": (sequence(conv(dilation=3), shape=(1, 5, 5)), "a window of 7 pixels does not fit a map of 5 pixels"),
    "pool": (
        sequence(("SumPool2d", POOL | {"padding": (-1, 0)}), shape=(1, 4, 4)), r"'padding' must not be negative, got \(-1, 0\)",
    ),
    "scale": (sequence(("Scale", {"scale": np.ones(4)})), r"a scale of shape \(4,\) does not fit its input of shape \(3,\)"),
    "partial Flatten": (
        sequence(("Flatten", {"start_dim": 1, "end_dim": -1}), shape=(1, 2, 2)), "flattens the axes 1 to -1 of a tensor",
    ),
    "tensor of two axes": (sequence(shape=(3, 3)), r"tensors of shape \(3, 3\) are not supported"),
    "shape of the input": (sequence(shape=(0,)), r"'shape' must be a shape of positive whole numbers, got \[0"),
    "membrane in the middle": (
        sequence(("LI", LI), lif(3)),
        r"node 'li_1' \(LI\): its membrane is read by other nodes",
    ),
    "loop without neurons": (
        looped(("Scale", {"scale": np.ones(3)}), spiking=False), "stands in a loop without a spiking node, which has no delay",
    ),
    "long delay": (looped(("Delay", {"delay": np.full(3, 1e-2)})), r"a delay of 0.01 ... 0.01 s cannot be converted. In a loop"),
    "delay without a loop": (
        sequence(("Delay", {"delay": np.full(3, 1e-4)}), lif(3)),
        "Outside of loops, connections have no delays; let the delay be 0",
    ),
    "two inputs": (changed(lambda n, e: n.update(more=n["input"])), "the graph has 2 nodes of the type Input"),
    "unreached": (changed(lambda n, e: n.update(alone=lif(3))), r"node 'alone' \(LIF\): nothing reaches it"),
    "edge to nothing": (changed(lambda n, e: e.append(("input", "nobody"))), "names the node 'nobody', which it does not have"),
    "different shapes": (
        changed(lambda n, e: (n.update(w=("Linear", {"weight": np.ones((4, 3))})), e.extend([("input", "w"), ("w", "output")]))),
        r"tensors of different shapes reach it",
    ),
    "activation": (
        sequence(("LI", LI | {"metadata": {"brainsnn_activation": "eval"}})),
        "its metadata name the activation 'eval'",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    (nodes, edges), message = REFUSED[name]
    path = write_nir(tmp_path / "net.nir", nodes, edges)
    with pytest.raises(ConversionError, match=message):
        bs.read_nir(path)


ARGUMENTS = {
    "library": ({"library": "brian"}, UnknownNameError, "no library whose conventions read_nir knows named 'brian'"),
    "reset": ({"reset": "zero"}, ValueError, "reset='zero'; choose one of 'value', 'subtract', 'subtract_next'"),
    "integration": ({"integration": "rk4"}, ValueError, "integration='rk4'; choose one of 'euler', 'exact'"),
    "condition": ({"condition": "="}, ValueError, "condition='='; choose one of '>', '>='"),
    "dt": ({"dt": 1.0}, ValueError, r"read_nir: dt=1.0 must be a time greater than 0, such as 0.1\*ms"),
    "max_bytes": ({"max_bytes": 0}, ValueError, "max_bytes must be a positive number of bytes"),
    "size": ({"max_bytes": 10}, ConversionError, "takes .* in memory, above the limit of 10 bytes"),
    "short tau": (
        {"dt": 5 * bs.ms, "reset": "subtract_next", "integration": "euler"}, ConversionError,
        "'tau' of 0.005 s does not exceed",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ARGUMENTS)
def test_refused_arguments(tmp_path, name):
    options, error, message = ARGUMENTS[name]
    path = write_nir(tmp_path / "net.nir", *sequence(lif(3)))
    with pytest.raises(error, match=message):
        bs.read_nir(path, **options)


def test_a_time_step_longer_than_a_time_constant_is_refused(tmp_path):
    graph = bs.read_nir(write_nir(tmp_path / "net.nir", *sequence(lif(3))), integration="euler", dt=10 * bs.ms)
    with pytest.raises(ValueError, match="5 ms is shorter than the time step of 10 ms"):
        bs.convert(graph)


def test_what_is_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="read_nir: the file .* does not exist"):
        bs.read_nir(tmp_path / "nothing.nir")
    with pytest.raises(ConversionError, match="is a folder, not a file"):
        bs.read_nir(tmp_path)
    (tmp_path / "text.nir").write_text("no HDF5")
    with pytest.raises(ConversionError, match="text.nir': it cannot be opened as HDF5"):
        bs.read_nir(tmp_path / "text.nir")


def test_other_hdf5_files(tmp_path):
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["weights"] = np.ones(3)
    with pytest.raises(ConversionError, match="holds no NIR graph"):
        bs.read_nir(path)


DAMAGES = {
    "no edges": (lambda file: file.__delitem__("node/edges"), "the graph of the file has no nodes and edges"),
    "no type": (lambda file: file.__delitem__("node/nodes/lif_1/type"), "its node 'lif_1' has no type"),
    "edges of numbers": (lambda file: replaced(file, "node/edges", np.ones((2, 2))), "has no nodes and edges"),
    "edges of three": (
        lambda file: replaced(file, "node/edges", np.array([["a", "b", "c"]], object)), "its edges are not pairs of names",
    ),
    "link": (lambda file: file.__setitem__("node/nodes/lif_1/r2", h5py.SoftLink("/node")), "is a link to another place"),
    "other file": (lambda file: file.__setitem__("x", h5py.ExternalLink("/etc/passwd", "/")), "is a link to another place"),
}  # fmt: skip


def replaced(file, name, values):
    del file[name]
    file.create_dataset(name, data=values, dtype=h5py.string_dtype() if values.dtype == object else None)


@pytest.mark.parametrize("name", DAMAGES)
def test_damaged_files(tmp_path, name):
    change, message = DAMAGES[name]
    path = write_nir(tmp_path / "net.nir", *sequence(lif(3)))
    with h5py.File(path, "a") as file:
        change(file)
    with pytest.raises(ConversionError, match=message):
        bs.read_nir(path)


def test_huge_maps_are_refused_before_they_are_made(tmp_path):
    nodes, edges = chain(("Scale", {"scale": 1.0}), shape=(2**10, 2**20, 2**10), out=(3,))
    with pytest.raises(ConversionError, match=r"node 'input' \(Input\) takes .* in memory, above the limit"):
        bs.read_nir(write_nir(tmp_path / "net.nir", nodes, edges))


def test_deeply_nested_graphs_are_refused(tmp_path):
    graph = sequence(lif(3))
    for _ in range(20):
        graph = sequence(("NIRGraph", graph))
    with pytest.raises(ConversionError, match="stands in more than 16 others"):
        bs.read_nir(write_nir(tmp_path / "net.nir", *graph))


def test_bits_that_flip_never_crash(tmp_path):
    """A damaged file is refused or read; it neither crashes this process nor takes long."""
    path = write_nir(tmp_path / "net.nir", *sequence(("Linear", {"weight": np.eye(3)}), lif(3)))
    content, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(10):
        data = bytearray(content)
        data[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(data)
        try:
            bs.read_nir(path)
        except ValueError as error:  # a ConversionError, or a value that another check refuses
            assert str(error).startswith("read_nir")
