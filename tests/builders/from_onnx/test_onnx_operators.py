"""Each operator of ONNX with random settings: the graph gives what onnxruntime computes (float32, 1e-5 of the largest value)."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx_models import close, make, node, onnx, read, run, values

from brainsnn.builders.trials.inputs import image_range_check
from brainsnn.errors import ConversionError

SEEDS = st.integers(0, 2**31)
PAD_MODES = st.sampled_from(["NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"])
SIZES = st.tuples(st.integers(1, 3), st.integers(1, 3))


def padding(draw, mode, largest):
    """Attributes of padding for a mode; ``largest`` is the greatest number at each edge."""
    if mode != "NOTSET":
        return {"auto_pad": mode}
    return {"pads": [draw(st.integers(0, n)) for n in (*largest, *largest)]}


@st.composite
def maps(draw, channels=(1, 4)):
    return (draw(st.integers(*channels)), draw(st.integers(4, 9)), draw(st.integers(4, 9)))


@settings(max_examples=40, deadline=None)
@given(st.data(), SEEDS)
def test_conv(tmp_path_factory, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    group = draw(st.integers(1, 3))
    shape = draw(maps())
    shape = (shape[0] * group, *shape[1:])
    size, strides, dilations = (draw(SIZES) for _ in range(3))
    if max(dilations) > 1 and draw(st.booleans()):
        strides = (1, 1)
    mode = draw(PAD_MODES)
    assume(all((k - 1) * d + 1 <= n for k, d, n in zip(size, dilations, shape[1:])))
    assume(mode in ("NOTSET", "VALID") or max(dilations) == 1)  # onnxruntime refuses some of the others
    filters = group * draw(st.integers(1, 3))
    weights = {"w": values(rng, filters, shape[0] // group, *size), "b": values(rng, filters)}
    inputs = "x w b" if draw(st.booleans()) else "x w"
    settings_ = {"strides": strides, "dilations": dilations, "group": group, **padding(draw, mode, (2, 2))}
    close(make([node("Conv", inputs, "y", **settings_)], shape, weights), tmp_path_factory.mktemp("conv"))


@settings(max_examples=40, deadline=None)
@given(st.data(), SEEDS)
def test_conv_transpose(tmp_path_factory, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    group = draw(st.integers(1, 2))
    shape = draw(maps())
    shape = (shape[0] * group, *shape[1:])
    size, strides, dilations = (draw(SIZES) for _ in range(3))
    targets = draw(st.integers(1, 3))
    weights = {"w": values(rng, shape[0], targets, *size), "b": values(rng, targets * group)}
    settings_ = {"strides": strides, "dilations": dilations, "group": group}
    kind = draw(st.sampled_from(["pads", "auto_pad", "output_shape"]))
    if kind == "pads":
        settings_["pads"] = [draw(st.integers(0, 1)) for _ in range(4)]
        settings_["output_padding"] = [draw(st.integers(0, s - 1)) for s in strides]
    elif kind == "auto_pad":
        settings_["auto_pad"] = draw(st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
        reach = [(k - 1) * d + 1 for k, d in zip(size, dilations)]
        assume(all(r >= s for r, s in zip(reach, strides)))  # else padding would be negative
    else:
        full = [(n - 1) * s + (k - 1) * d + 1 for n, s, k, d in zip(shape[1:], strides, size, dilations)]
        # onnx infers no shape for outputs that are smaller than the input
        settings_["output_shape"] = [m - draw(st.integers(0, min(2, m - n))) for m, n in zip(full, shape[1:])]
    close(
        make([node("ConvTranspose", "x w b", "y", **settings_)], shape, weights), tmp_path_factory.mktemp("transpose")
    )


@settings(max_examples=60, deadline=None)
@given(st.data())
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pooling(tmp_path_factory, op, data):
    draw = data.draw
    shape, size, strides = draw(maps()), draw(SIZES), draw(SIZES)
    mode = draw(PAD_MODES)
    assume(not mode.startswith("SAME") or all(k >= step for k, step in zip(size, strides)))  # else padding is negative
    settings_ = {"kernel_shape": size, "strides": strides, **padding(draw, mode, [k // 2 for k in size])}
    if mode == "NOTSET":
        settings_["ceil_mode"] = draw(st.integers(0, 1))
    if op == "AveragePool":
        settings_["count_include_pad"] = draw(st.integers(0, 1))
        if mode == "NOTSET" and draw(st.booleans()):
            settings_["dilations"] = draw(SIZES)
            reach = [(k - 1) * d + 1 for k, d in zip(size, settings_["dilations"])]
            assume(all(r <= n for r, n in zip(reach, shape[1:])) and not settings_["ceil_mode"])
    opset = 19 if op == "AveragePool" else 17
    close(make([node(op, "x", "y", **settings_)], shape, opset=opset), tmp_path_factory.mktemp("pool"))


@pytest.mark.parametrize("op", ["GlobalAveragePool", "GlobalMaxPool"])
def test_global_pooling(op, tmp_path):
    close(make([node(op, "x", "y")], (3, 5, 4)), tmp_path)


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_reduce_mean(tmp_path_factory, data):
    draw = data.draw
    axes = draw(st.sampled_from([[2, 3], [-2, -1], [2], [3], [-1]]))
    kept, new = draw(st.integers(0, 1)), draw(st.booleans())
    weights = {"axes": np.array(axes)} if new else None
    given_axes = {} if new else {"axes": axes}
    nodes = [node("ReduceMean", "x axes" if new else "x", "y", keepdims=kept, **given_axes)]
    close(make(nodes, draw(maps()), weights, opset=18 if new else 13), tmp_path_factory.mktemp("mean"))


def test_mean_over_rows_and_columns_that_became_one_axis(tmp_path):
    for kept in (0, 1):
        nodes = [node("Reshape", "x to", "flat"), node("ReduceMean", "flat", "y", axes=[-1], keepdims=kept)]
        graph = close(make(nodes, (3, 4, 5), {"to": np.array([0, 3, -1])}), tmp_path)
        assert {type(p.operator).__name__ for p in graph.projections} == {"ConvOperator"}


@settings(max_examples=40, deadline=None)
@given(st.data(), SEEDS)
def test_gemm_after_flatten_keeps_the_order_of_the_map(tmp_path_factory, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    shape, units = draw(maps()), draw(st.integers(1, 5))
    n = int(np.prod(shape))
    transposed = draw(st.integers(0, 1))
    bias = draw(st.sampled_from([None, (), (1,), (units,), (1, units)]))
    weights = {"w": values(rng, *((units, n) if transposed else (n, units)))}
    if bias is not None:
        weights["b"] = values(rng, *bias)
    attributes = {
        "transB": transposed,
        "alpha": draw(st.sampled_from([1.0, 0.5])),
        "beta": draw(st.sampled_from([1.0, 2.0, 0.0])),
    }
    flat = draw(st.sampled_from(["Flatten", "Reshape"]))
    weights["to"] = np.array(draw(st.sampled_from([[0, -1], [-1, n], [0, n]])))
    nodes = [
        node("Flatten", "x", "f") if flat == "Flatten" else node("Reshape", "x to", "f"),
        node("Gemm", "f w" if bias is None else "f w b", "y", **attributes),
    ]
    graph = close(make(nodes, shape, weights), tmp_path_factory.mktemp("gemm"))
    assert [type(p.operator).__name__ for p in graph.projections] == ["ConvOperator"]


@settings(max_examples=20, deadline=None)
@given(st.booleans(), SEEDS)
def test_matmul_and_add(tmp_path_factory, of_rows, seed):
    rng = np.random.default_rng(seed)
    weights = {"w": values(rng, 6, 3), "b": values(rng, 3)}
    nodes = [node("MatMul", "x w", "m"), node("Add", "b m", "y")]
    close(make(nodes, (4, 6) if of_rows else (6,), weights), tmp_path_factory.mktemp("matmul"))


@settings(max_examples=20, deadline=None)
@given(st.sampled_from([(3, 4, 5), (3,), (3, 4)]), st.sampled_from([9, 14, 15]), st.floats(1e-6, 0.1), SEEDS)
def test_batch_normalization(tmp_path_factory, shape, opset, epsilon, seed):
    rng = np.random.default_rng(seed)
    weights = {
        "gamma": values(rng, 3),
        "beta": values(rng, 3),
        "mean": values(rng, 3),
        "var": values(rng, 3) ** 2 + 0.1,
    }
    nodes = [node("BatchNormalization", "x gamma beta mean var", "y", epsilon=epsilon)]
    close(make(nodes, shape, weights, opset=opset), tmp_path_factory.mktemp("bn"))


@settings(max_examples=60, deadline=None)
@given(st.data(), SEEDS)
def test_nonlinearities(tmp_path_factory, data, seed):
    rng = np.random.default_rng(seed)
    draw = data.draw
    shape = draw(st.sampled_from([(3, 4, 5), (6,)]))
    op = draw(st.sampled_from(["Relu", "LeakyRelu", "PRelu", "Clip", "Clip6", "HardSigmoid"]))
    weights, opset = {"slope": values(rng, shape[0], *(1,) * (len(shape) - 1))}, 17
    if op in ("LeakyRelu", "HardSigmoid"):
        names = ["alpha"] if op == "LeakyRelu" else ["alpha", "beta"]
        nodes = [node(op, "x", "y", **{name: draw(st.floats(-1, 1)) for name in names if draw(st.booleans())})]
    elif op == "Clip":
        weights |= {"low": np.float32(0), "high": np.float32(draw(st.floats(0.125, 4, width=32)))}
        nodes = [node(op, draw(st.sampled_from(["x low high", "x low"])), "y")]
    elif op == "Clip6":
        nodes, opset = [node("Clip", "x", "y", min=0.0, max=draw(st.sampled_from([6.0, 3.4028234663852886e38])))], 10
    else:
        nodes = [node(op, "x slope" if op == "PRelu" else "x", "y")]
    close(make(nodes, shape, weights, opset=opset), tmp_path_factory.mktemp("relu"))


@settings(max_examples=60, deadline=None)
@given(st.data(), SEEDS)
def test_arithmetic_with_constants_and_tensors(tmp_path_factory, data, seed):
    draw, rng = data.draw, np.random.default_rng(seed)
    shape = draw(st.sampled_from([(3, 4, 5), (6,), (4, 6)]))
    op = draw(st.sampled_from(["Add", "Sub", "Mul", "Div", "Sum"]))
    flipped = draw(st.booleans()) and op != "Div"
    constant = draw(st.sampled_from([(), (1,), (shape[-1],), (shape[0], *(1,) * (len(shape) - 1)), (1, *shape)]))
    weights = {"k": values(rng, *constant) + 3, "w": values(rng, *shape)}
    nodes = [node("Mul", "x w", "other")]
    other = "k" if op in ("Mul", "Div") or draw(st.booleans()) else "other"
    names = [other, "x"] if flipped else ["x", other]
    nodes.append(node(op, " ".join([*names, *(["k", "x"] if op == "Sum" else [])]), "s"))
    nodes.append(node("Neg", "s", "y"))
    close(make(nodes, shape, weights), tmp_path_factory.mktemp("sum"))


@settings(max_examples=40, deadline=None)
@given(st.data(), SEEDS)
def test_concat(tmp_path_factory, data, seed):
    """Of images along each axis; of rows of values in the orders that they have."""
    draw, rng = data.draw, np.random.default_rng(seed)
    shape = draw(maps())
    if draw(st.booleans()):
        axis = draw(st.sampled_from([1, 2, 3, -1, -2, -3]))
        nodes = [node("Relu", "x", "r"), node("Concat", "r x r", "y", axis=axis)]
        close(make(nodes, shape), tmp_path_factory.mktemp("concat"))
        return
    n = int(np.prod(shape))
    nodes = [
        node("Relu", "x", "r"), node("Flatten", "x", "f"), node("Flatten", "r", "g"), node("Concat", "f g", "c", axis=1),
        node("Gemm", "c w", "y"),
    ]  # fmt: skip
    close(make(nodes, shape, {"w": values(rng, 2 * n, 3)}), tmp_path_factory.mktemp("concat"))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_pad(tmp_path_factory, data):
    draw = data.draw
    shape, opset = draw(maps()), draw(st.sampled_from([10, 13, 18]))
    pads = [0, draw(st.integers(0, 2)), *(draw(st.integers(-1, 2)) for _ in range(2))] * 2
    pads[5:] = [draw(st.integers(0, 2)), *(draw(st.integers(-1, 2)) for _ in range(2))]
    if opset == 10:
        model = make([node("Pad", "x", "y", pads=pads)], shape, opset=opset)
    elif opset == 18:
        axes = [-1, 2]
        weights = {"pads": np.array([pads[3], pads[2], pads[7], pads[6]]), "axes": np.array(axes)}
        model = make([node("Pad", "x pads - axes", "y")], shape, weights, opset=opset)
    else:
        model = make(
            [node("Pad", "x pads zero", "y")], shape, {"pads": np.array(pads), "zero": np.float32(0)}, opset=opset
        )
    close(model, tmp_path_factory.mktemp("pad"))


COORDINATES = ["half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel", "half_pixel_symmetric"]
ROUNDING = ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"]


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_resize(tmp_path_factory, data):
    """What is read is exact; what repeats pixels by whole numbers, as onnxruntime has it, is read."""
    draw = data.draw
    shape, factors = (2, draw(st.integers(1, 5)), draw(st.integers(1, 5))), draw(SIZES)
    attributes = {
        "mode": "nearest", "coordinate_transformation_mode": draw(st.sampled_from(COORDINATES)),
        "nearest_mode": draw(st.sampled_from(ROUNDING)),
    }  # fmt: skip
    if draw(st.booleans()):
        weights, inputs = {"scales": np.array([1, 1, *factors], np.float32)}, "x - scales"
    else:
        weights, inputs = {"sizes": np.array([1, 2, *(n * f for n, f in zip(shape[1:], factors))])}, "x - - sizes"
    model = make([node("Resize", inputs, "y", **attributes)], shape, weights, opset=19, batch=1)
    folder = tmp_path_factory.mktemp("resize")
    images = np.arange(np.prod(shape), dtype=np.float32).reshape(1, *shape)
    repeated = images.repeat(factors[0], axis=2).repeat(factors[1], axis=3)
    try:
        read(model, folder)
    except ConversionError as error:
        assert "does not repeat each pixel" in str(error)
        assert not np.array_equal(run(model, images)[0], repeated)
    else:
        close(model, folder)


def test_resize_of_version_10(tmp_path):
    weights = {"scales": np.array([1, 1, 2, 3], np.float32)}
    close(make([node("Resize", "x scales", "y")], (2, 3, 4), weights, opset=10), tmp_path)


@pytest.mark.parametrize(
    "op, opset", [("Softmax", 11), ("Softmax", 13), ("Sigmoid", 13), ("Tanh", 13), ("Softplus", 13)]
)
@pytest.mark.parametrize("shape", [(6,), (6, 1, 1)], ids=str)
def test_output_activations(op, opset, shape, tmp_path):
    attributes = {"axis": 1} if op == "Softmax" else {}
    nodes = [node(op, "x", "s", **attributes), node("Flatten", "s", "y")]
    graph = close(make(nodes, shape, opset=opset), tmp_path)
    assert graph.readouts[0].activation == op.lower()


def test_softmax_over_the_channels_of_images_and_the_last_axis_of_rows(tmp_path):
    close(make([node("Softmax", "x", "y", axis=1)], (3, 4, 5)), tmp_path)
    close(make([node("Softmax", "x", "y", axis=-1)], (4, 5)), tmp_path)


@settings(max_examples=40, deadline=None)
@given(st.data(), SEEDS)
def test_shapes_and_orders(tmp_path_factory, data, seed):
    """Chains of Reshape, Transpose, Squeeze, Unsqueeze and values between them: all orders end in the right place."""
    draw, rng = data.draw, np.random.default_rng(seed)
    shape = (draw(st.sampled_from([2, 4])), 2, 3)
    nodes, weights, now, name = [node("Neg", "x", "t")], {}, list(shape), "t"
    for k in range(draw(st.integers(1, 5))):
        kind, new = draw(st.sampled_from(["reshape", "transpose", "unsqueeze", "squeeze", "scale", "relu"])), f"t{k}"
        if kind == "reshape":
            n, sizes = int(np.prod(now)), []
            while n > 1 and len(sizes) < 3:
                sizes.append(draw(st.sampled_from([d for d in range(1, n + 1) if n % d == 0])))
                n //= sizes[-1]
            now = [*sizes, n]
            weights[f"s{k}"] = np.array([0, *now])
            nodes.append(node("Reshape", f"{name} s{k}", new))
        elif kind == "transpose":
            perm = draw(st.permutations(range(len(now))))
            nodes.append(node("Transpose", name, new, perm=[0, *(p + 1 for p in perm)]))
            now = [now[p] for p in perm]
        elif kind == "unsqueeze":
            place = draw(st.integers(1, len(now) + 1))
            weights[f"s{k}"] = np.array([place])
            nodes.append(node("Unsqueeze", f"{name} s{k}", new))
            now.insert(place - 1, 1)
        elif kind == "squeeze" and 1 in now and len(now) > 1:
            weights[f"s{k}"] = np.array([now.index(1) + 1])
            nodes.append(node("Squeeze", f"{name} s{k}", new))
            now.remove(1)
        elif kind == "scale":
            weights[f"s{k}"] = values(rng, *now) + 2
            nodes.append(node(draw(st.sampled_from(["Mul", "Add"])), f"{name} s{k}", new))
        else:
            nodes.append(node("Relu", name, new))
        name = new
    nodes.append(node("Identity", name, "y"))
    close(make(nodes, shape, weights), tmp_path_factory.mktemp("orders"))


def test_shuffled_channels_stay_a_convolution(tmp_path):
    """ShuffleNet: the order of channels is changed by Reshape, Transpose, Reshape."""
    rng = np.random.default_rng(0)
    weights = {"a": np.array([0, 2, 3, 4, 4]), "b": np.array([0, 6, 4, 4]), "w": values(rng, 3, 2, 3, 3)}
    nodes = [
        node("Relu", "x", "r"), node("Reshape", "r a", "g"), node("Transpose", "g", "t", perm=[0, 2, 1, 3, 4]),
        node("Reshape", "t b", "s"), node("Conv", "s w", "y", group=3),
    ]  # fmt: skip
    graph = close(make(nodes, (6, 4, 4), weights), tmp_path)
    assert all(type(p.operator).__name__ == "ConvOperator" for p in graph.projections)


def test_models_with_channels_last_are_read_without_a_permutation(tmp_path):
    """As converters of TensorFlow models write them."""
    rng = np.random.default_rng(0)
    nodes = [node("Transpose", "x", "t", perm=[0, 3, 1, 2]), node("Conv", "t w", "y")]
    graph = close(make(nodes, (5, 6, 2), {"w": values(rng, 3, 2, 3, 3)}), tmp_path, channels_last=True)
    assert graph.input.shape == (5, 6, 2)
    assert [type(p.operator).__name__ for p in graph.projections] == ["ConvOperator"]


def test_dropout_cast_and_identity_change_nothing(tmp_path):
    nodes = [
        node("Dropout", "x", "d mask"), node("Cast", "d", "c", to=onnx.TensorProto.FLOAT), node("Identity", "c", "i"),
        node("Relu", "i", "y"),
    ]  # fmt: skip
    graph = close(make(nodes, (2, 3, 3)), tmp_path)
    assert "ignored (does nothing at inference)" in str(graph)
    close(make([node("Dropout", "x", "d", ratio=0.5), node("Relu", "d", "y")], (2, 3, 3), opset=7), tmp_path)


@pytest.mark.parametrize(
    ("nodes", "takes_8_bit"),
    [
        ([node("Div", "x large", "z")], True),
        ([node("Sub", "x mean", "z")], True),
        ([node("Div", "x large", "y0"), node("Sub", "y0 small", "y1"), node("Mul", "y1 factor", "z")], True),
        ([node("BatchNormalization", "x one zero mean large", "z")], True),
        ([node("Sub", "x small", "y0"), node("Mul", "y0 factor", "z")], False),
        ([node("BatchNormalization", "x one zero small small", "z")], False),
        ([node("Identity", "x", "z")], False),
    ],
)
def test_8_bit_values_are_taken_where_the_network_scales_them(nodes, takes_8_bit, tmp_path):
    rng = np.random.default_rng(0)
    weights = {"large": [255.0] * 3, "small": [0.48, 0.45, 0.4], "factor": [4.0] * 3, "mean": [104.0, 117.0, 124.0]}
    by_channel = any(each.op_type == "BatchNormalization" for each in nodes)
    weights |= {"one": [1.0] * 3, "zero": [0.0] * 3}
    weights = {
        name: np.array(value, dtype=np.float32).reshape((3,) if by_channel else (3, 1, 1))
        for name, value in weights.items()
    }
    weights["w"] = values(rng, 2, 3, 3, 3)
    nodes = [*nodes, node("Conv", "z w", "c"), node("Relu", "c", "y")]
    used = {name for each in nodes for name in each.input}
    model = make(nodes, (3, 5, 5), {name: value for name, value in weights.items() if name in used})
    graph = close(model, tmp_path)
    image = rng.integers(0, 256, (1, 5, 5, 3)).astype(float)
    if takes_8_bit:
        np.testing.assert_array_equal(image_range_check(graph, image, "current"), image)
    else:
        with pytest.raises(ValueError, match="look like 8-bit values"):
            image_range_check(graph, image, "current")
