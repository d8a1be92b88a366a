"""What could be read as another network is refused, with the reason that is true."""

from dataclasses import replace

import pytest
from keras_graphs import close, functional, images, randomise, sequential

import brainsnn as bs
from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.errors import ConversionError

keras = pytest.importorskip("keras")
L = keras.layers


@pytest.mark.parametrize(
    "last", [L.Flatten(name="last"), L.Reshape((9, 4, 3), name="last"), L.Reshape((6, 18), name="last")]
)
def test_a_softmax_keeps_its_axis(last):
    """A readout takes the softmax over its last axis, so no layer after the softmax can change that axis."""
    model = sequential(L.Conv2D(3, 3, activation="softmax", name="conv"), last)
    if last.output.shape[-1] == 3:
        close(read_keras(model), model)
        return
    with pytest.raises(ConversionError, match="'last'.*last axis, over which the softmax of layer 'conv' is taken"):
        read_keras(model)


def test_an_elementwise_output_can_be_flattened():
    model = sequential(L.Conv2D(3, 3, activation="sigmoid", name="conv"), L.Flatten(name="last"))
    close(read_keras(model), model)


class OwnCall(keras.Model):
    def call(self, x):
        return 3 * super().call(x)


class OwnSequentialCall(keras.Sequential):
    def __call__(self, *args, **kwargs):
        return 3 * super().__call__(*args, **kwargs)


class OwnName(keras.Sequential):
    """A subclass that computes what its parent does."""


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("own", [OwnCall, OwnSequentialCall])
def test_a_model_class_with_its_own_call_is_refused(own, nested):
    part = sequential(L.Dense(2, activation="relu"))
    model = OwnCall(part.inputs, part.outputs[0]) if own is OwnCall else own(part.layers)
    model(images(part))
    model = functional(lambda x: L.Flatten()(model(x))) if nested else model
    reason = f"{own.__name__}.* has a .*call.* of its own.*Build it functionally.*register_layer\\({own.__name__}"
    with pytest.raises(ConversionError, match=reason):
        read_keras(model)


def test_a_model_class_without_a_call_of_its_own_is_opened():
    model = randomise(OwnName([keras.Input((8, 8, 2)), L.Dense(2, activation="relu")]))
    close(read_keras(model), model)


def test_a_nested_model_called_for_training_is_refused():
    part = keras.Sequential([keras.Input((8, 8, 2)), L.BatchNormalization()], name="part")
    with pytest.raises(ConversionError, match="'part'.*called with training=True"):
        read_keras(functional(lambda x: part(x, training=True)))


def test_a_name_belongs_to_the_layer_of_the_outer_model():
    """A nested layer that comes first does not take the name of a layer that model.get_layer finds."""
    part = keras.Sequential([keras.Input((8, 8, 2)), L.Conv2D(2, 3, activation="relu", name="a")], name="part")
    model = randomise(functional(lambda x: L.Conv2D(4, 3, activation="relu", name="a")(part(x))))
    graph = read_keras(model)
    close(graph, model)
    assert list(graph.populations)[1:3] == ["part/a", "a"]
    assert graph.populations["a"].shape == model.get_layer("a").output.shape[1:] == (4, 4, 4)


def test_a_factor_for_each_value_after_max_pooling_and_flatten():
    layers = L.Conv2D(3, 3, padding="same"), L.MaxPooling2D(2), L.Flatten(), L.BatchNormalization()
    for last in [(), (L.ReLU(), L.Dense(3)), (L.Dense(3),)]:
        model = sequential(*map(_again, layers), *map(_again, last))
        close(read_keras(model), model)


def test_a_readout_of_a_maximum_needs_a_membrane():
    model = sequential(L.Conv2D(3, 3), L.MaxPooling2D(2), L.Flatten(), L.BatchNormalization(name="bn"))
    neuron = bs.ASN()
    readout = replace(neuron.readout, membrane=None)
    with pytest.raises(ConversionError, match="Readout 'bn' reads a maximum .*names no membrane variable"):
        bs.convert(model, neuron=replace(neuron, readout=readout))
    bs.convert(model, neuron=replace(neuron, readout=replace(readout, membrane="S_dyn")))


def _again(layer):
    return type(layer).from_config(layer.get_config())


def test_a_reshape_that_keeps_the_batch_is_read():
    model = functional(lambda x: keras.ops.reshape(x, (-1, 128)))
    close(read_keras(model), model)
