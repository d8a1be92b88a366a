"""Keras models read as layer graphs: same activations, the right populations, and refusals that say what to do."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainsnn.builders.keras_reader import read_keras
from brainsnn.builders.layer_graph import LayerGraph
from brainsnn.errors import ConversionError, UnknownNameError

keras = pytest.importorskip("keras")
L = keras.layers


@keras.saving.register_keras_serializable(package="test_read_keras")
class ASNTransfer(L.Layer):
    """A stand-in of the class name that the reader looks for, independent of the package's."""

    def __init__(self, m_f=0.1, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        self.m_f, self.threshold = m_f, threshold

    def call(self, x):
        m, tg, te = self.m_f, 15.0, 50.0
        c1, c2 = 2 * m * tg**2, 2 * m * te * tg
        c3, c4 = tg * (m * tg + 2 * (m + 1) * te), m * te * (tg + te)

        def f(s):
            return 1 / (keras.ops.exp((c1 * s + c2) / (c3 * s + c4)) - 1)

        x = keras.ops.where(x >= self.threshold, x, 0.0)
        unit = f(keras.ops.maximum(x, 0)) - f(m / 2) + 0.5
        return keras.ops.maximum(unit / (f(1.0) - f(m / 2) + 0.5), 0.0)


def randomise(model, seed=0):
    """Weights and batch norm statistics that are neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if not getattr(layer, "_layers", None) and layer.weights:
            new = []
            for weight in layer.weights:
                if weight.path.endswith(("gamma", "variance")):
                    new.append(rng.uniform(0.5, 2, weight.shape))
                else:
                    fan = max(1, int(np.prod(weight.shape[:-1])))
                    new.append(rng.normal(size=weight.shape) * (1.5 / np.sqrt(fan) if len(weight.shape) > 1 else 0.3))
            layer.set_weights(new)
    return model


def images(model, n=3, seed=1):
    return np.random.default_rng(seed).uniform(size=(n, *model.inputs[0].shape[1:])).astype("float32")


def close(graph, model, x=None):
    """The graph, with and without junctions, gives what the model predicts."""
    x = images(model) if x is None else x
    expected = model(x, training=False)
    expected = [np.asarray(value) for value in (expected if isinstance(expected, list) else [expected])]
    for version in (graph, graph.expand_junctions()):
        values = version.activations(x)
        assert [p.name for p in version.readouts] == [p.name for p in graph.readouts]
        for readout, value in zip(version.readouts, expected):
            scale = max(1e-3, np.abs(value).max())
            np.testing.assert_allclose(values[readout.name].reshape(value.shape) / scale, value / scale, atol=1e-4)
    # The table has a row for each layer and one for each projection.
    text = str(graph)
    for layer in model.layers:
        assert any(line.startswith(f"{layer.name} ") for line in text.splitlines()), layer.name
    for p in graph.projections:
        assert f"{p.source} -> {p.target} " in text


def hidden_equal(graph, model):
    """Every population that stands for a layer's output gives it."""
    x = images(model)
    values = graph.activations(x)
    names = {layer.name for layer in model.layers}
    for p in graph.populations.values():
        if p.keras_layer in names and p.kind in ("spiking", "input"):
            output = np.asarray(keras.Model(model.inputs, model.get_layer(p.keras_layer).output)(x, training=False))
            np.testing.assert_allclose(values[p.name].reshape(output.shape), output, atol=2e-4, err_msg=p.name)


def kinds(graph):
    return {name: p.kind for name, p in graph.populations.items()}


def sequential(*layers, shape=(8, 8, 2)):
    return randomise(keras.Sequential([keras.Input(shape), *layers]))


def test_plain_network():
    model = sequential(
        L.Conv2D(4, 3, padding="same", name="conv1"),
        L.BatchNormalization(name="bn1"),
        ASNTransfer(name="asn1"),
        L.AveragePooling2D(2, name="pool"),
        L.Conv2D(5, 3, padding="same", activation="relu", name="conv2"),
        L.Dropout(0.5, name="drop"),
        L.Flatten(name="flat"),
        L.Dense(7, activation="relu", name="hidden"),
        L.Dense(3, activation="softmax", name="out"),
    )
    graph = read_keras(model)
    close(graph, model)
    hidden_equal(graph, model)
    assert list(graph.populations)[1:] == ["asn1", "conv2", "hidden", "out"]
    assert graph.population("conv1") is graph.population("bn1") is graph.population("asn1")
    assert graph.population("pool").name == "conv2" and graph.population("flat").name == "hidden"
    assert graph.populations["out"].activation == "softmax"
    assert graph.populations["asn1"].m_f == 0.1 and graph.populations["asn1"].activation == "asn"
    pooled = graph.incoming("conv2")[0].operator
    assert pooled.kernel.shape == (6, 6, 4, 5) and pooled.stride == (2, 2)
    # Only the projection's first layer pads a bias: none here, so all biases are one number for each channel.
    assert graph.populations["asn1"].bias.shape == (1, 1, 4)
    assert isinstance(graph, LayerGraph)
    assert "folded into asn1 -> conv2" in str(graph) and "ignored (does nothing at inference)" in str(graph)


def test_bias_behind_a_padded_convolution_is_a_map():
    model = sequential(L.BatchNormalization(name="bn"), L.Conv2D(3, 3, padding="same", activation="relu", name="conv"))
    graph = read_keras(model)
    close(graph, model)
    assert graph.populations["conv"].bias.shape == (8, 8, 3)
    assert list(graph.populations)[-1] == "conv_readout"


def residual_block(x, filters, stride, name, activation=ASNTransfer):
    y = activation(name=f"{name}_a")(L.BatchNormalization(name=f"{name}_bn1")(x))
    shortcut = L.Conv2D(filters, 1, strides=stride, name=f"{name}_shortcut")(y) if stride > 1 else x
    y = L.Conv2D(filters, 3, strides=stride, padding="same", name=f"{name}_conv1")(y)
    y = activation(name=f"{name}_b")(L.BatchNormalization(name=f"{name}_bn2")(y))
    y = L.Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(y)
    return L.Add(name=f"{name}_add")([shortcut, y])


def residual_network(activation=ASNTransfer):
    inputs = keras.Input((12, 12, 3))
    x = activation(name="encode")(L.BatchNormalization(name="bn0")(inputs))
    x = L.Conv2D(4, 3, padding="same", name="stem")(x)
    for k, (filters, stride) in enumerate([(4, 1), (4, 1), (6, 2), (6, 1), (6, 1)]):
        x = residual_block(x, filters, stride, f"block{k}", activation)
    x = activation(name="last")(L.BatchNormalization(name="bn_last")(x))
    x = L.Dense(5, activation="sigmoid", name="out")(L.GlobalAveragePooling2D(name="gap")(x))
    return randomise(keras.Model(inputs, x))


@pytest.mark.parametrize("activation", [ASNTransfer, L.ReLU])
def test_residual_network_is_linear_in_depth(activation):
    model = residual_network(activation)
    graph = read_keras(model)
    close(graph, model)
    hidden_equal(graph, model)
    junctions = [name for name, kind in kinds(graph).items() if kind == "junction"]
    # Tensors read by two layers; the shortcut of a strided block reads the nonlinearity.
    assert junctions == ["stem", "block0_add", "block2_add", "block3_add"]
    assert all(len(graph.incoming(name)) <= 2 for name in graph.populations)
    assert graph.population("bn0").name == "encode" and graph.population("block1_conv2").name == "block2_a"
    assert all(p.mode == "current" for name in junctions for p in graph.outgoing(name))
    assert all(not np.any(graph.populations[name].bias) for name in junctions)


def test_reader_without_junctions():
    model = residual_network()
    graph = read_keras(model, junctions=False)
    close(graph, model)
    assert "junction" not in kinds(graph).values()
    assert {p.mode for p in graph.projections} == {"spikes"}


def test_chain_that_does_not_compose_gets_a_junction():
    model = sequential(
        L.Conv2D(3, 3, padding="same", name="first"), L.Conv2D(4, 3, padding="same", name="second"), L.ReLU()
    )
    graph = read_keras(model)
    close(graph, model)
    assert kinds(graph)["first"] == "junction" and graph.outgoing("first")[0].mode == "current"
    flat = read_keras(model, junctions=False)
    assert "first" not in flat.populations and flat.projections[0].operator.kind == "SparseOperator"
    close(flat, model)


@pytest.mark.parametrize("padding, size", [("valid", 8), ("same", 7)])
def test_max_pooling_behind_a_nonlinearity(padding, size):
    model = sequential(
        L.Conv2D(4, 3, name="conv", padding="same"),
        ASNTransfer(name="asn"),
        L.MaxPooling2D(3, 2, padding=padding, name="pool"),
        L.Conv2D(4, 2, name="conv2", activation="relu"),
        L.GlobalMaxPooling2D(name="gmp"),
        L.Dense(3, name="out"),
        shape=(size, size, 2),
    )
    graph = read_keras(model)
    close(graph, model)
    hidden_equal(graph, model)
    assert kinds(graph)["asn_membrane"] == "membrane" and kinds(graph)["asn"] == "spiking"
    assert graph.population("pool").name == graph.population("conv").name == "asn"
    assert graph.populations["asn"].shape == graph.incoming("asn")[0].operator.output_shape
    assert graph.incoming("asn")[0].mode == "membrane" and not np.any(graph.populations["asn_membrane"].bias)
    assert graph.populations["asn"].bias.shape == (1, 1, 4) and np.any(graph.populations["asn"].bias)


def test_max_pooling_with_other_readers_of_the_nonlinearity():
    inputs = keras.Input((8, 8, 2))
    x = L.Conv2D(3, 3, padding="same", activation="relu", name="conv")(L.BatchNormalization()(inputs))
    y = L.Conv2D(3, 3, strides=2, padding="same", name="strided")(x)
    x = L.BatchNormalization(name="bn")(x)
    x = L.Concatenate(name="cat")([L.MaxPooling2D(name="pool")(x), y])
    model = randomise(keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(L.ReLU(name="relu")(x)))))
    graph = read_keras(model)
    close(graph, model)
    hidden_equal(graph, model)
    assert kinds(graph)["conv"] == "spiking" and graph.populations["pool"].shape == (4, 4, 3)
    assert {p.source for p in graph.incoming("relu")} == {"conv", "pool"}
    # The pool reads a twin without spikes. The bias of a batch norm in front of a padded convolution is a map: it
    # stays in front of the maximum.
    assert [p.source for p in graph.incoming("pool")] == ["conv_membrane"]
    assert graph.incoming("conv_membrane")[0].operator is graph.incoming("conv")[0].operator
    assert graph.populations["conv_membrane"].bias.shape == graph.populations["conv"].bias.shape == (8, 8, 3)
    assert not np.any(graph.populations["pool"].bias)


def test_pooling_twice_behind_a_nonlinearity():
    inputs = keras.Input((12, 12, 2))
    x = L.Conv2D(3, 3, padding="same", activation="relu", name="conv")(inputs)
    once = L.MaxPooling2D(2, name="pool1")(x)
    twice = L.MaxPooling2D(2, name="pool2")(once)
    only = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(twice))))
    graph = read_keras(only)
    close(graph, only)
    assert kinds(graph) == {
        graph.input.name: "input", "conv_membrane": "membrane", "conv_membrane_2": "membrane", "conv": "spiking",
        "out": "readout",
    }  # fmt: skip
    assert graph.population("pool2").name == graph.population("pool1").name == "conv"
    flat = L.Concatenate()([L.Flatten()(twice), L.Flatten()(once), L.Flatten()(L.MaxPooling2D(3, name="pool3")(x))])
    several = randomise(keras.Model(inputs, L.Dense(2, name="out")(flat)))
    graph = read_keras(several)
    close(graph, several)
    hidden_equal(graph, several)
    for p in graph.projections:
        assert (graph.populations[p.source].kind == "membrane") == (p.mode == "membrane")


def test_max_pooling_of_a_linear_tensor():
    inputs = keras.Input((9, 9, 2))
    x = L.Conv2D(4, 3, padding="same", name="conv")(inputs)
    x = L.MaxPooling2D(3, 2, padding="same", name="pool")(x)
    positive = ASNTransfer(name="asn")(L.BatchNormalization(name="bn")(x))
    model = randomise(keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(positive))))
    graph = read_keras(model)
    close(graph, model)
    assert kinds(graph)["conv"] == "membrane"
    # The positive scale of the batch norm stands in front of the maximum: the projection is the maximum alone.
    assert graph.incoming("asn")[0].operator.kind == "MaxPool"
    gamma, *rest = model.get_layer("bn").get_weights()
    model.get_layer("bn").set_weights([gamma * [1, -1, 1, 1], *rest])
    graph = read_keras(model)
    close(graph, model)
    assert graph.incoming("asn")[0].operator.kind == "MaxPool + ConvOperator"


def test_max_pooling_behind_padding_and_negative_scale():
    # keras.applications pads by hand before the pooling; a negative scale behind ReLU turns maximum to minimum.
    for middle in (L.ZeroPadding2D(1, name="pad"), L.BatchNormalization(name="bn")):
        model = sequential(
            L.Conv2D(3, 3, name="conv"), L.ReLU(name="relu"), middle, L.MaxPooling2D(3, 2, name="pool"),
            L.Conv2D(2, 2, name="conv2"), L.ReLU(name="relu2"), L.Flatten(), L.Dense(2),
        )  # fmt: skip
        if middle.name == "bn":
            gamma, *rest = middle.get_weights()
            middle.set_weights([gamma * [1, -1, 1], *rest])
        graph = read_keras(model)
        close(graph, model)
        assert ("bn" in graph.populations) == (middle.name == "bn")


def test_padding_before_a_maximum_of_a_linear_tensor_counts():
    model = sequential(
        L.Conv2D(3, 3, name="conv"),
        L.ZeroPadding2D(1, name="pad"),
        L.MaxPooling2D(3, 2, name="pool"),
        L.ReLU(),
        L.Flatten(),
    )
    graph = read_keras(model)
    close(graph, model)
    assert kinds(graph)["pad"] == "membrane" and graph.populations["pad"].bias.shape == (8, 8, 3)


def test_average_pooling_on_the_membrane():
    model = sequential(
        L.Conv2D(4, 3, name="conv"),
        ASNTransfer(name="asn"),
        L.GlobalAveragePooling2D(name="gap"),
        L.Dense(3, name="out"),
    )
    graph = read_keras(model, average_pooling="membrane")
    assert kinds(graph) == {
        graph.input.name: "input",
        "asn_membrane": "membrane",
        "asn": "spiking",
        "out": "readout",
    }
    assert graph.populations["asn"].shape == (1, 1, 4) and graph.incoming("asn")[0].mode == "membrane"
    x = images(model)
    linear = np.asarray(keras.Model(model.inputs, model.get_layer("conv").output)(x))
    expected = graph.populations["asn"].transfer(linear.mean(axis=(1, 2), keepdims=True))
    np.testing.assert_allclose(graph.activations(x)["asn"], expected, atol=1e-5)
    with pytest.raises(ValueError, match="'spikes' or 'membrane', got 'max'"):
        read_keras(model, average_pooling="max")


def test_merging_layers():
    inputs = keras.Input((6, 6, 3))
    a = L.Conv2D(4, 3, padding="same", activation="relu", name="a")(inputs)
    b = L.Conv2D(4, 1, name="b")(inputs)
    c = L.Subtract(name="sub")([a, b])
    d = L.Average(name="mean")([a, b, c])
    e = ASNTransfer(m_f=0.3, threshold=0.1, name="e")(L.Concatenate(name="cat")([c, d, a]))
    rows = L.Concatenate(axis=1, name="rows")([a, L.ReLU(name="r")(b)])
    flat = L.Concatenate(name="flat")([L.Flatten()(e), L.Flatten()(b), L.Flatten()(rows)])
    model = randomise(keras.Model(inputs, [L.Dense(3, activation="tanh", name="out")(flat), rows]))
    graph = read_keras(model)
    close(graph, model)
    hidden_equal(graph, model)
    assert [p.name for p in graph.readouts] == ["out", "rows_readout"] or len(graph.readouts) == 2
    assert graph.populations["e"].m_f == 0.3 and graph.populations["e"].threshold == 0.1


def test_generator():
    model = sequential(
        L.Dense(3 * 3 * 4, name="dense"),
        L.Reshape((3, 3, 4), name="reshape"),
        L.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu", name="up1"),
        L.UpSampling2D(2, name="up2"),
        L.Conv2DTranspose(3, 3, padding="same", activation="relu", name="up3"),
        L.UpSampling2D(2, interpolation="bilinear", name="up4"),
        L.Cropping2D(2, name="crop"),
        L.Conv2D(1, 3, padding="same", activation="sigmoid", name="pixels"),
        shape=(10,),
    )
    graph = read_keras(model)
    close(graph, model)
    assert graph.incoming("up3")[0].operator.up == (2, 2)
    assert graph.populations["pixels"].shape == (20, 20, 1)


def test_nested_models_and_layers_called_twice():
    branch = keras.Sequential([keras.Input((8, 8, 2)), L.Conv2D(3, 3, name="conv"), L.ReLU(name="relu")], name="branch")
    inputs = keras.Input((8, 8, 2))
    shared = L.BatchNormalization(name="shared")
    x = L.Add(name="add")([branch(shared(inputs)), branch(shared(shared(inputs)))])
    x = L.Conv2D(3, 3, activation="relu", name="conv")(x)
    model = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x))))
    graph = read_keras(model)
    close(graph, model)
    assert sum(p.kind == "spiking" for p in graph.populations.values()) == 3
    assert "relu" in graph.populations and "branch_call2/relu" in graph.populations


def test_separable_depthwise_grouped_and_permuted():
    model = sequential(
        L.Rescaling(2.0, offset=-1.0),
        L.SeparableConv2D(4, 3, padding="same", depth_multiplier=2, activation="relu", name="sep"),
        L.DepthwiseConv2D(3, depth_multiplier=2, name="depth"),
        L.Conv2D(4, 1, groups=2, name="grouped"),
        ASNTransfer(name="asn"),
        L.AveragePooling2D(2, padding="same", name="odd"),
        L.Permute((2, 1, 3)),
        L.Conv2D(2, 2),
        L.ReLU(),
        L.Flatten(),
        L.Softmax(name="soft"),
        shape=(7, 7, 2),
    )
    graph = read_keras(model)
    close(graph, model)
    assert "soft" in graph.populations


def test_gray_images_without_channel_axis_and_saved_models(tmp_path):
    model = sequential(L.Flatten(), L.Dense(5, activation="relu", name="h"), L.Dense(2, name="out"), shape=(6, 6))
    graph = read_keras(model)
    assert graph.input.shape == (6, 6, 1)
    close(graph, model)
    model.save(tmp_path / "m.keras")
    close(read_keras(keras.saving.load_model(tmp_path / "m.keras")), model)


def test_keras_operations_and_pooling_that_only_leaves_out_pixels():
    inputs = keras.Input((6, 6, 2))
    x = L.Conv2D(3, 3, padding="same", name="conv")(inputs)
    # The shortcut of ResNet V2: a window of one pixel is linear.
    x = L.MaxPooling2D(1, strides=2, name="skip")(x) + L.Conv2D(3, 3, strides=2, padding="same", name="side")(x)
    model = randomise(keras.Model(inputs, L.Flatten(name="flat")(keras.ops.relu(x) - keras.ops.relu(-1 * x))))
    with pytest.raises(ConversionError, match=r"\(Multiply\)"):
        read_keras(model)
    model = randomise(keras.Model(inputs, L.Flatten(name="flat")(keras.ops.relu(x))))
    graph = read_keras(model)
    assert "membrane" not in kinds(graph).values()
    np.testing.assert_allclose(
        graph.activations(images(model))[graph.readouts[0].name].reshape(3, -1),
        np.asarray(model(images(model))),
        atol=1e-5,
    )


# Any chain of these must give what Keras gives, whichever way it is cut into populations.
LAYERS = {
    "conv": lambda: L.Conv2D(2, 3, padding="same"),
    "strided": lambda: L.Conv2D(3, 2, strides=2, padding="same"),
    "transposed": lambda: L.Conv2DTranspose(2, 3, strides=2, padding="same"),
    "norm": L.BatchNormalization,
    "relu": L.ReLU,
    "average": lambda: L.AveragePooling2D(2, padding="same"),
    "max": lambda: L.MaxPooling2D(3, 2, padding="same"),
    "pad": lambda: L.ZeroPadding2D(((1, 0), (0, 2))),
    "crop": lambda: L.Cropping2D(((0, 1), (1, 0))),
    "up": lambda: L.UpSampling2D(2),
}


@settings(max_examples=30, deadline=None)
@given(st.lists(st.sampled_from(sorted(LAYERS)), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_any_chain_of_layers(names, shortcut, junctions):
    inputs = x = keras.Input((6, 5, 2))
    for name in names:
        if min(x.shape[1:3]) > 1 or name != "crop":
            x = LAYERS[name]()(x)
    if shortcut and "max" not in names:
        x = L.Add()([L.Conv2D(x.shape[-1], 3, padding="same")(x), x])
    model = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x))))
    close(read_keras(model, junctions=junctions), model)


class Strange(L.Layer):
    def call(self, x):
        return x * 2


def functional(function, shape=(8, 8, 2)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: sequential(L.LeakyReLU(name="leaky")), r"Layer 'leaky' \(LeakyReLU\).*Supported"),
        (lambda: sequential(L.ReLU(max_value=6, name="six")), r"'six' \(ReLU\): max_value=6.*max_value=None"),
        (lambda: sequential(L.Conv2D(2, 3, activation="gelu", name="c")), r"'c' \(Conv2D\): the activation 'gelu'"),
        (lambda: sequential(Strange(name="odd")), r"Layer 'odd' \(Strange\)"),
        (
            lambda: sequential(L.Softmax(name="s"), L.Flatten(), L.Dense(2, name="d")),
            r"'d' \(Dense\).*softmax of layer 's'",
        ),
        (lambda: functional(lambda x: L.Multiply(name="mul")([x, x])), r"'mul' \(Multiply\)"),
        (lambda: functional(lambda x: x + 1.0), r"\(Add\): it needs two or more inputs"),
        (lambda: functional(lambda x: L.Dropout(0.5, name="mc")(x, training=True)), "'mc'.*training=True"),
        (lambda: functional(lambda x: L.Conv2D(2, 3)(x), (None, None, 2)), r"\(InputLayer\).*not fixed"),
        (lambda: sequential(L.BatchNormalization(axis=1, name="bn")), r"'bn' \(BatchNormalization\): axis=1"),
        (lambda: sequential(L.UpSampling2D(interpolation="bicubic", name="u")), r"'u' \(UpSampling2D\).*'bicubic'"),
        (lambda: keras.Sequential([L.Dense(2)], name="empty"), "'empty' .*is not built.*keras.Input"),
        (lambda: object(), "neither a functional nor a sequential"),
    ],
)
def test_refusals_name_layer_and_class(make, message):
    with pytest.raises(ConversionError, match=message):
        read_keras(make())


def test_refuses_channels_first_two_inputs_and_mixed_pooling():
    a, b = keras.Input((8, 8, 2), name="left"), keras.Input((8, 8, 2), name="right")
    with pytest.raises(ConversionError, match=r"2 inputs: \['left', 'right'\]"):
        read_keras(keras.Model([a, b], L.Add()([a, b])))
    pool = L.MaxPooling2D(data_format="channels_first", name="first")
    with pytest.raises(ConversionError, match=r"'first' \(MaxPooling2D\): data_format"):
        read_keras(keras.Model(a, pool(a)))
    linear = L.Conv2D(2, 3, name="linear")(a)
    mixed = L.Add()([L.MaxPooling2D()(linear), L.Conv2D(2, 3, strides=2, padding="same")(linear)])
    with pytest.raises(ConversionError, match="max-pooled tensor"):
        read_keras(keras.Model(a, L.ReLU(name="relu")(mixed)))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_refuses_weights_that_are_no_numbers(value):
    model = sequential(L.Conv2D(2, 3, name="conv"), L.ReLU(), L.Flatten())
    kernel, bias = model.get_layer("conv").get_weights()
    kernel[0, 0, 0, 0] = value
    model.get_layer("conv").set_weights([kernel, bias])
    with pytest.raises(ConversionError, match=r"'conv' \(Conv2D\): the weight 'kernel' has 1 of 36 values"):
        read_keras(model)


def test_unknown_names_and_shapes():
    graph = read_keras(
        sequential(L.Conv2D(2, 3, activation="relu", name="conv1"), L.Dropout(0.1, name="drop"), L.Flatten())
    )
    with pytest.raises(UnknownNameError, match="Did you mean 'conv1'"):
        graph.population("conv2")
    with pytest.raises(KeyError, match="became no population: ignored"):
        graph.population("drop")
    with pytest.raises(ValueError, match=r"\(2, 7, 7, 2\) do not fit the input.*\(8, 8, 2\)"):
        graph.activations(np.zeros((2, 7, 7, 2)))
    shared = read_keras(residual_network(), junctions=False)
    with pytest.raises(UnknownNameError, match="'stem' is part of several populations: block0_a"):
        shared.population("stem")
