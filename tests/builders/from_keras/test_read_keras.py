"""Keras models read as layer graphs: same activations, the right populations, and errors that name the fix."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from keras_graphs import (
    ASNTransfer,
    close,
    functional,
    hidden_equal,
    images,
    kinds,
    randomise,
    residual_network,
    sequential,
)

from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.errors import ConversionError, UnknownNameError

keras = pytest.importorskip("keras")
L = keras.layers


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
    # No layer here pads a map that holds a bias, so every bias is one number per channel.
    assert graph.populations["asn1"].bias.shape == (1, 1, 4)
    assert isinstance(graph, LayerGraph)
    assert "folded into asn1 -> conv2" in str(graph) and "ignored (does nothing at inference)" in str(graph)


def test_bias_after_a_padded_convolution_is_a_map():
    model = sequential(L.BatchNormalization(name="bn"), L.Conv2D(3, 3, padding="same", activation="relu", name="conv"))
    graph = read_keras(model)
    close(graph, model)
    assert graph.populations["conv"].bias.shape == (8, 8, 3)
    assert list(graph.populations)[-1] == "conv_readout"


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
    assert graph.incoming("up3")[0].operator.input_dilation == (2, 2)
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


def test_the_second_call_of_a_layer_takes_no_name_of_another_one():
    inputs = keras.Input((1, 1, 3))
    twice = L.ReLU(name="a")
    x = twice(L.Conv2D(3, 1, name="first")(inputs))
    x = twice(L.Conv2D(2, 1, name="second")(x))
    x = L.ReLU(name="a_call2")(L.Conv2D(4, 1, name="third")(x))
    model = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x))))
    graph, image = read_keras(model), images(model, 1)
    expected = keras.Model(inputs, model.get_layer("a_call2").output)(image)
    np.testing.assert_allclose(graph.activations(image)["a_call2"].ravel(), np.ravel(expected), rtol=1e-5, atol=1e-6)
    assert "a_call3" in graph.populations


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
    # The shortcut of ResNet V2: max pooling with a window of one pixel is linear.
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


# Any chain of these must equal Keras, however it is cut into populations.
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
@example(["max", "max"], False, False)
def test_any_chain_of_layers(names, shortcut, junctions):
    inputs = x = keras.Input((6, 5, 2))
    for name in names:
        if min(x.shape[1:3]) > 1 or name != "crop":
            x = LAYERS[name]()(x)
    if shortcut and "max" not in names:
        x = L.Add()([L.Conv2D(x.shape[-1], 3, padding="same")(x), x])
    model = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x))))
    try:
        close(read_keras(model, junctions=junctions), model)
    except ConversionError as error:
        assert not junctions and names.count("max") > 1 and "to be pooled itself" in str(error)


class Strange(L.Layer):
    def call(self, x):
        return x * 2


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: sequential(L.UnitNormalization(name="unit")), r"Layer 'unit' \(UnitNormalization\).*Supported"),
        (lambda: sequential(L.ELU(name="elu")), r"Layer 'elu' \(ELU\): ELU is negative for some inputs.*leaky_relu"),
        (lambda: sequential(L.ReLU(threshold=0.5, name="jump")), r"'jump' \(ReLU\): threshold=0.5.*threshold=0\."),
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
        (lambda: keras.Sequential([L.Dense(2)], name="empty"), "'empty' .*is not built.*keras.Input"),
        (lambda: object(), "neither a functional nor a sequential"),
    ],
)
def test_refusals_name_layer_and_class(make, message):
    with pytest.raises(ConversionError, match=message):
        read_keras(make())


def test_refuses_channels_first_and_two_inputs():
    a, b = keras.Input((8, 8, 2), name="left"), keras.Input((8, 8, 2), name="right")
    with pytest.raises(ConversionError, match=r"2 inputs: 'left' \(8, 8, 2\), 'right' \(8, 8, 2\). A network has one"):
        read_keras(keras.Model([a, b], L.Add()([a, b])))
    pool = L.MaxPooling2D(data_format="channels_first", name="first")
    with pytest.raises(ConversionError, match=r"'first' \(MaxPooling2D\): data_format"):
        read_keras(keras.Model(a, pool(a)))


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
    with pytest.raises(KeyError, match="did not become a population: ignored"):
        graph.population("drop")
    with pytest.raises(ValueError, match=r"\(2, 7, 7, 2\) do not fit the input.*\(8, 8, 2\)"):
        graph.activations(np.zeros((2, 7, 7, 2)))
    shared = read_keras(residual_network(), junctions=False)
    with pytest.raises(UnknownNameError, match="'stem' is part of several populations: block0_a"):
        shared.population("stem")
