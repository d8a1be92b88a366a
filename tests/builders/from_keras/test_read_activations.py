"""Piecewise linear activations are sums of rectified populations, equal to Keras; others are refused by their name."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_graphs import L, close, images, randomise, sequential

import brainsnn as bs
from brainsnn.builders.from_keras.activations import NO_COUNTERPART

keras = pytest.importorskip("keras")


@settings(max_examples=25, deadline=None)
@given(
    max_value=st.sampled_from([None, 0.25, 6.0]), slope=st.sampled_from([0.0, 0.1, 1.0]),
    padded=st.booleans(), junctions=st.booleans(),
)  # fmt: skip
def test_relu_with_a_ceiling_and_a_slope(max_value, slope, padded, junctions):
    layers = [L.BatchNormalization(), L.Conv2D(3, 3, padding="same")] if padded else [L.Conv2D(3, 3)]
    model = sequential(*layers, L.ReLU(max_value, slope, name="a"), L.Conv2D(2, 3, name="b"), L.Flatten())
    graph = bs.read_keras(model, junctions=junctions)
    close(graph, model)
    expected = {"a", *(["a_above"] if max_value else []), *(["a_below"] if slope else [])}
    assert {p.name for p in graph.populations.values() if p.kind == "spiking"} == expected


@pytest.mark.parametrize(
    "activation", ["relu6", "leaky_relu", "hard_sigmoid", L.LeakyReLU(0.3), L.PReLU(), L.ReLU(1.0)]
)
@pytest.mark.parametrize("as_layer", [False, True])
def test_activations_by_name_and_by_layer(activation, as_layer):
    if isinstance(activation, L.PReLU) and not as_layer:
        pytest.skip("Keras does not build the weights of a layer that is the activation of another")
    act = activation if not as_layer or not isinstance(activation, str) else None
    layer = L.Conv2D(3, 3, name="c") if as_layer else L.Conv2D(3, 3, activation=act, name="c")
    layers = (
        [layer] if not as_layer else [layer, L.Activation(activation) if isinstance(activation, str) else activation]
    )
    model = sequential(*layers, L.Flatten(), L.Dense(3))
    close(bs.read_keras(model), model)


def test_slopes_of_channels_and_of_all_neurons():
    for shared in (None, [1, 2]):
        model = sequential(L.Conv2D(3, 3), L.PReLU(shared_axes=shared, name="slopes"), L.Flatten(), L.Dense(3))
        values = np.random.default_rng(0).normal(size=model.get_layer("slopes").alpha.shape)
        model.get_layer("slopes").set_weights([values])
        close(bs.read_keras(model), model)


def test_an_input_that_can_be_negative():
    """The rectified populations read the image itself."""
    model = sequential(L.LeakyReLU(0.2, name="leaky"), L.Flatten(), L.Dense(2))
    close(bs.read_keras(model), model, images(model) - 0.5)


def test_readouts_and_pooling_after_them():
    model = sequential(L.ReLU(0.5, name="six"), L.MaxPooling2D(2), L.Flatten(), L.ReLU(negative_slope=0.1, name="last"))
    graph = bs.read_keras(model)
    close(graph, model)
    assert [p.name for p in graph.readouts] == ["last_readout"] or graph.readouts


@pytest.mark.parametrize("name", sorted(NO_COUNTERPART))
def test_refused_by_name_with_advice(name):
    function = getattr(keras.activations, name, None)
    if function is None:
        pytest.skip(f"this Keras has no activation {name}")
    given_name = function.__name__
    with pytest.raises(bs.ConversionError, match=rf"'c' \(Conv2D\): the activation '{given_name}' .*\. (Train|Use)"):
        bs.read_keras(sequential(L.Conv2D(2, 3, activation=name, name="c")))


def test_the_scaled_residual_of_inception_resnet():
    application = pytest.importorskip("keras.src.applications.inception_resnet_v2")
    inputs = keras.Input((6, 6, 2))
    x = L.ReLU(name="a")(L.Conv2D(3, 3, padding="same")(inputs))
    x = application.CustomScaleLayer(0.17, name="residual")([x, L.Conv2D(3, 1)(x)])
    model = randomise(keras.Model(inputs, L.Flatten()(L.ReLU(name="b")(x))))
    close(bs.read_keras(model), model)
