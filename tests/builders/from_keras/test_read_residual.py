"""Residual streams, junctions and pooling in layer graphs: same activations, and only the populations needed."""

import numpy as np
import pytest
from keras_graphs import (
    ASNTransfer,
    close,
    hidden_equal,
    images,
    kinds,
    randomise,
    residual_network,
    sequential,
)

from brainsnn.builders.from_keras.reader import read_keras

keras = pytest.importorskip("keras")
L = keras.layers


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
def test_max_pooling_after_a_nonlinearity(padding, size):
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
    # The pool reads a copy without spikes. A batch norm before a padded convolution makes the bias a map, which cannot
    # move to the other side of the maximum.
    assert [p.source for p in graph.incoming("pool")] == ["conv_membrane"]
    assert graph.incoming("conv_membrane")[0].operator is graph.incoming("conv")[0].operator
    assert graph.populations["conv_membrane"].bias.shape == graph.populations["conv"].bias.shape == (8, 8, 3)
    assert not np.any(graph.populations["pool"].bias)


def test_pooling_twice_after_a_nonlinearity():
    inputs = keras.Input((12, 12, 2))
    x = L.Conv2D(3, 3, padding="same", activation="relu", name="conv")(inputs)
    once = L.MaxPooling2D(2, name="pool1")(x)
    twice = L.MaxPooling2D(2, name="pool2")(once)
    only = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(twice))))
    graph = read_keras(only)
    close(graph, only)
    assert kinds(graph) == {
        graph.input.name: "input", "conv_membrane": "membrane", "conv": "spiking", "out": "readout",
    }  # one maximum for two  # fmt: skip
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
    # The positive scale of the batch norm is applied before the maximum: the projection is the maximum alone.
    assert graph.incoming("asn")[0].operator.kind == "MaxPool"
    gamma, *rest = model.get_layer("bn").get_weights()
    model.get_layer("bn").set_weights([gamma * [1, -1, 1, 1], *rest])
    graph = read_keras(model)
    close(graph, model)
    assert graph.incoming("asn")[0].operator.kind == "MaxPool + ConvOperator"


def test_max_pooling_after_padding_and_negative_scale():
    # keras.applications pads explicitly before pooling; a negative scale after ReLU turns the maximum into a minimum.
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
