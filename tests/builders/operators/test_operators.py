"""Operators against TensorFlow's layers, and compositions against one operator after the other."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from brainsnn.builders import operators as ops

keras = pytest.importorskip("keras")

# Large enough for every branch, small enough that one Keras layer per example stays quick.
EXTENT = st.integers(1, 9)
KERNEL = st.integers(1, 5)
PADDING = st.sampled_from(["same", "valid"])


@st.composite
def windows(draw, max_stride=3, max_dilation=3):
    """Input extents, kernel sizes, strides, dilations and padding that TensorFlow accepts."""
    kernel = draw(st.tuples(KERNEL, KERNEL))
    strides = (draw(st.integers(1, max_stride)),) * 2
    # TensorFlow has no dilation together with a stride.
    dilation = draw(st.integers(1, max_dilation)) if strides == (1, 1) else 1
    padding = draw(PADDING)
    shape = draw(st.tuples(EXTENT, EXTENT))
    if padding == "valid":
        shape = tuple(max(n, (k - 1) * dilation + 1) for n, k in zip(shape, kernel))
    return shape, kernel, strides, (dilation, dilation), padding, draw(st.integers(0, 2**31))


def keras_layer(layer, x, weights):
    layer.build(x.shape)
    layer.set_weights([np.asarray(w, dtype="float32") for w in weights])
    return np.asarray(layer(x.astype("float32")))


def check_coo(operator, x):
    """`to_coo` is the same map as `apply`, and the counts are those of its entries."""
    i, j, w = operator.to_coo()
    matrix = np.zeros((operator.size_in, operator.size_out))
    assert len(set(zip(i, j))) == len(i) == operator.n_connections
    matrix[i, j] = w
    np.testing.assert_allclose(x.reshape(len(x), -1) @ matrix, operator.apply(x).reshape(len(x), -1), atol=1e-10)
    assert operator.fan_in == (np.bincount(j).max() if len(j) else 0)


@settings(max_examples=40, deadline=None)
@given(windows(), st.integers(1, 3), st.integers(1, 3), st.integers(1, 2))
def test_conv2d_equals_keras(window, channels, filters, groups):
    shape, kernel, strides, dilation, padding, seed = window
    rng = np.random.default_rng(seed)
    channels, filters = channels * groups, filters * groups
    weights = rng.normal(size=(*kernel, channels // groups, filters))
    x = rng.normal(size=(2, *shape, channels))
    layer = keras.layers.Conv2D(
        filters, kernel, strides, padding, dilation_rate=dilation, groups=groups, use_bias=False
    )
    operator = ops.conv2d(weights, x.shape[1:], strides, padding, dilation, groups)
    np.testing.assert_allclose(operator.apply(x), keras_layer(layer, x, [weights]), atol=1e-4)
    check_coo(operator, x)


@settings(max_examples=30, deadline=None)
@given(windows(), st.integers(1, 3), st.integers(1, 3))
def test_depthwise_equals_keras(window, channels, multiplier):
    shape, kernel, strides, dilation, padding, seed = window
    rng = np.random.default_rng(seed)
    weights = rng.normal(size=(*kernel, channels, multiplier))
    x = rng.normal(size=(2, *shape, channels))
    layer = keras.layers.DepthwiseConv2D(
        kernel, strides, padding, depth_multiplier=multiplier, dilation_rate=dilation, use_bias=False
    )
    operator = ops.depthwise_conv2d(weights, x.shape[1:], strides, padding, dilation)
    np.testing.assert_allclose(operator.apply(x), keras_layer(layer, x, [weights]), atol=1e-4)
    check_coo(operator, x)


@settings(max_examples=50, deadline=None)
@given(windows(), st.data())
def test_transposed_equals_keras(window, data):
    shape, kernel, strides, dilation, padding, seed = window
    rng = np.random.default_rng(seed)
    output_padding = data.draw(st.sampled_from([None, *range(strides[0])])) if padding == "same" else None
    if output_padding is not None:
        # TensorFlow needs an output that the convolution maps back onto the input.
        reach = [(k - 1) * dilation[0] + 1 for k in kernel]
        extent = [(n - 1) * strides[0] + r % 2 + output_padding for n, r in zip(shape, reach)]
        assume(all(-(-out // strides[0]) == n and out > 0 for n, out in zip(shape, extent)))
    weights = rng.normal(size=(*kernel, 2, 3))
    x = rng.normal(size=(2, *shape, 3))
    layer = keras.layers.Conv2DTranspose(
        2, kernel, strides, padding, output_padding=output_padding, dilation_rate=dilation, use_bias=False
    )
    operator = ops.conv2d_transpose(weights, x.shape[1:], strides, padding, output_padding, dilation)
    np.testing.assert_allclose(operator.apply(x), keras_layer(layer, x, [weights]), atol=1e-4)
    check_coo(operator, x)


@settings(max_examples=30, deadline=None)
@given(windows(max_dilation=1), st.sampled_from(["average", "max"]))
def test_pooling_equals_keras(window, kind):
    shape, pool, strides, _, padding, seed = window
    x = np.random.default_rng(seed).normal(size=(2, *shape, 3))
    layer = {"average": keras.layers.AveragePooling2D, "max": keras.layers.MaxPooling2D}[kind](pool, strides, padding)
    operator = {"average": ops.average_pool, "max": ops.max_pool}[kind](x.shape[1:], pool, strides, padding)
    np.testing.assert_allclose(operator.apply(x), np.asarray(layer(x.astype("float32"))), atol=1e-5)
    if kind == "average":
        check_coo(operator, x)
    else:
        i, j, _ = operator.to_coo()
        expected = np.full((2, operator.size_out), -np.inf)
        np.maximum.at(expected, (slice(None), j), x.reshape(2, -1)[:, i])
        np.testing.assert_array_equal(operator.apply(x).reshape(2, -1), expected)
        assert operator.n_connections == len(i)
        assert operator.fan_in == np.bincount(j).max()


@pytest.mark.parametrize("interpolation", ["nearest", "bilinear"])
@pytest.mark.parametrize("size", [(2, 2), (3, 1), (1, 4)])
def test_upsampling_equals_keras(interpolation, size):
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 2))
    expected = np.asarray(keras.layers.UpSampling2D(size, interpolation=interpolation)(x.astype("float32")))
    operator = ops.upsample(x.shape[1:], size, interpolation)
    np.testing.assert_allclose(operator.apply(x), expected, atol=1e-5)
    check_coo(operator, x)


def test_shifts_embeddings_and_scales():
    x = np.random.default_rng(1).normal(size=(2, 4, 5, 3))
    shape = x.shape[1:]
    padded = ops.zero_pad(shape, ((1, 2), (0, 3)))
    np.testing.assert_array_equal(padded.apply(x), np.pad(x, ((0, 0), (1, 2), (0, 3), (0, 0))))
    np.testing.assert_array_equal(ops.crop(shape, ((1, 1), (2, 0))).apply(x), x[:, 1:-1, 2:])
    np.testing.assert_array_equal(ops.channel_embed(shape, 2, 6).apply(x)[..., 2:5], x)
    np.testing.assert_array_equal(ops.scale([1, 2, -3], shape).apply(x), x * [1, 2, -3])
    assert ops.identity(shape).is_identity and not ops.scale(2, shape).is_identity
    back = ops.compose(ops.crop(padded.output_shape, ((1, 2), (0, 3))), padded)
    assert back.is_identity


def test_float_type_flat_input_and_transfer():
    operator = ops.conv2d(np.ones((3, 3, 2, 4)), (5, 5, 2), padding="same")
    x = np.ones((3, 5, 5, 2), dtype="float32")
    assert operator.apply(x).dtype == np.float32
    assert operator.apply(x.astype(int)).dtype == np.float64
    np.testing.assert_array_equal(operator.apply(x.reshape(3, -1)), operator.apply(x))
    border = operator.transfer(np.ones((1, 1, 2)))
    assert border.shape == (5, 5, 4) and border[0, 0, 0] == 8 and border[2, 2, 0] == 18
    with pytest.raises(ValueError, match=r"\(3, 7\) does not hold maps of \(5, 5, 2\)"):
        operator.apply(np.ones((3, 7)))


@st.composite
def operators(draw, input_shape):
    """A random operator on maps of `input_shape`."""
    height, width, channels = input_shape
    rng = np.random.default_rng(draw(st.integers(0, 2**31)))
    kind = draw(
        st.sampled_from("conv depthwise transposed average upsample bilinear pad crop scale embed dense flat".split())
    )
    size = draw(st.tuples(st.integers(1, min(height, 4)), st.integers(1, min(width, 4))))
    strides = (draw(st.integers(1, 3)),) * 2
    padding = draw(PADDING)
    if kind == "conv":
        return ops.conv2d(rng.normal(size=(*size, channels, 2)), input_shape, strides, padding)
    if kind == "depthwise":
        return ops.depthwise_conv2d(rng.normal(size=(*size, channels, 2)), input_shape, strides, padding)
    if kind == "transposed":
        return ops.conv2d_transpose(rng.normal(size=(*size, 2, channels)), input_shape, strides, padding)
    if kind == "average":
        return ops.average_pool(input_shape, size, strides, padding)
    if kind in ("upsample", "bilinear"):
        return ops.upsample(input_shape, strides, "nearest" if kind == "upsample" else kind)
    if kind == "pad":
        return ops.zero_pad(input_shape, ((1, 0), (2, 1)))
    if kind == "crop" and min(height, width) > 1:
        return ops.crop(input_shape, ((1, 0), (0, 1)))
    if kind == "embed":
        return ops.channel_embed(input_shape, 1, channels + 2)
    if kind == "dense":
        return ops.dense(rng.normal(size=(channels, 3)), input_shape)
    if kind == "flat":
        return ops.dense(rng.normal(size=(height * width * channels, 12)))
    return ops.scale(rng.normal(size=channels), input_shape)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_composition_equals_one_after_the_other(data):
    shape = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 7), st.integers(1, 3)))
    inner = data.draw(operators(shape))
    middle = data.draw(st.sampled_from([inner.output_shape, (1, 1, inner.size_out), (2, 2, -1)]))
    if middle[2] == -1:
        middle = (2, 2, inner.size_out // 4) if inner.size_out % 4 == 0 else inner.output_shape
    outer = data.draw(operators(middle))
    if outer.size_in != inner.size_out:
        return
    x = np.random.default_rng(0).normal(size=(2, *shape))
    expected = outer.apply(inner.apply(x).reshape(2, -1)).reshape(2, -1)
    composed = ops.compose(outer, inner)
    if composed is not None:
        np.testing.assert_allclose(composed.apply(x).reshape(2, -1), expected, atol=1e-9)
        check_coo(composed, x)
    np.testing.assert_allclose(ops.compose_sparse(outer, inner).apply(x).reshape(2, -1), expected, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_sum_of_operators(data):
    shape = data.draw(st.tuples(st.integers(1, 6), st.integers(1, 6), st.integers(1, 3)))
    first, second = data.draw(operators(shape)), data.draw(operators(shape))
    added = ops.add_operators(first, second)
    if added is not None:
        x = np.random.default_rng(0).normal(size=(2, *shape))
        expected = first.apply(x) + second.apply(x)
        np.testing.assert_allclose(added.apply(x), expected, atol=1e-10)


def random_kernel(*shape):
    return np.random.default_rng(0).normal(size=shape)


def test_average_pool_then_convolution_is_one_strided_kernel():
    pool = ops.average_pool((8, 8, 3), 2)
    conv = ops.conv2d(random_kernel(3, 3, 3, 4), pool.output_shape, padding="same")
    composed = ops.compose(conv, pool)
    assert composed.kernel.shape == (6, 6, 3, 4) and composed.stride == (2, 2)
    strided = ops.conv2d(random_kernel(2, 2, 3, 3), (8, 8, 3), strides=2)
    assert ops.compose(conv, strided).kernel.shape == (6, 6, 3, 4)


def test_average_pool_of_odd_map_is_refused():
    # A composed kernel would see row 8, which the pooling leaves out and the convolution reads as zero.
    pool = ops.average_pool((9, 9, 3), 2)
    conv = ops.conv2d(random_kernel(3, 3, 3, 4), pool.output_shape, padding="same")
    assert ops.compose(conv, pool) is None
    valid = ops.conv2d(random_kernel(3, 3, 3, 4), pool.output_shape, padding="valid")
    assert ops.compose(valid, pool).kernel.shape == (6, 6, 3, 4)


def test_transposed_then_convolution():
    # With padding="same" the border of the up-sampled map is padding, which the composed kernel would not look into.
    transposed = ops.conv2d_transpose(random_kernel(2, 2, 4, 3), (5, 5, 3), strides=2)
    for padding in ("valid", "same"):
        conv = ops.conv2d(random_kernel(3, 3, 4, 2), transposed.output_shape, padding=padding)
        composed = ops.compose(conv, transposed)
        assert composed.kernel.shape == (4, 4, 3, 2) and composed.input_dilation == (2, 2) and composed.stride == (1, 1)


def test_two_padded_convolutions_are_refused_and_two_valid_ones_compose():
    first = ops.conv2d(random_kernel(3, 3, 2, 4), (7, 7, 2), padding="same")
    assert ops.compose(ops.conv2d(random_kernel(3, 3, 4, 2), (7, 7, 4), padding="same"), first) is None
    assert ops.compose(ops.conv2d(random_kernel(3, 3, 4, 2), (7, 7, 4)), first).kernel.shape == (5, 5, 2, 2)


def test_convolution_then_flatten_then_dense():
    conv = ops.conv2d(random_kernel(3, 3, 2, 4), (6, 6, 2))
    composed = ops.compose(ops.dense(random_kernel(64, 5)), conv)
    assert composed.kernel.shape == (6, 6, 2, 5) and composed.output_shape == (1, 1, 5)
    generator = ops.compose(
        ops.conv2d_transpose(random_kernel(2, 2, 3, 4), (4, 4, 4), 2), ops.dense(random_kernel(7, 64))
    )
    assert generator.input_shape == (1, 1, 7) and generator.output_shape == (8, 8, 3)


def test_maximum_does_not_compose():
    pool = ops.max_pool((4, 4, 2), 2)
    assert ops.compose(ops.scale(2, pool.output_shape), pool) is None
    chain = ops.OperatorChain((pool, ops.scale([1, -1], pool.output_shape)))
    x = random_kernel(2, 4, 4, 2)
    np.testing.assert_array_equal(chain.apply(x), pool.apply(x) * [1, -1])


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: ops.conv2d(np.ones((3, 3, 2, 4)), (5, 5, 3)), r"kernel \(3, 3, 2, 4\) in 1 group"),
        (lambda: ops.conv2d(np.ones((5, 5, 2, 4)), (4, 4, 2)), "window of 5 pixels"),
        (lambda: ops.max_pool((4, 4, 2), 2, padding="full"), "'same' or 'valid'"),
        (lambda: ops.upsample((4, 4, 2), 2, "bicubic"), "'bicubic'"),
        (lambda: ops.MaxPool((4, 4, 2), (4, 4, 2), (1, 1), (2, 2)), "holds no pixel"),
        (lambda: ops.ConvOperator((4, 4, 2), (4, 4, 2), np.ones((1, 1, 2, 1)), [0, 2], [0], [0]), "from 0 to 1"),
        (lambda: ops.ConvOperator((4, 4, 1), (4, 4, 1), np.ones((2, 1, 1, 1)), [0], [0, 0], [0]), "occurs twice"),
        (lambda: ops.SparseOperator((1, 1, 2), (1, 1, 3), np.ones((3, 2))), "needs"),
    ],
)
def test_errors_name_the_value(make, message):
    with pytest.raises(ValueError, match=message):
        make()
