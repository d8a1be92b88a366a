"""Layers of Keras in model files are read, or refused for the reason that is true."""

import numpy as np
import pytest
from keras_graphs import close, images, randomise

from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.errors import ConversionError
from brainsnn.training import ModelFileError, load_model

keras = pytest.importorskip("keras")
L = keras.layers
FORMATS = ["model.keras", "model.h5"]


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "make",
    [
        L.Identity,
        lambda: L.SpatialDropout2D(0.2),
        L.ActivityRegularization,
        lambda: L.Rescaling(np.array([2.0, 3.0]), np.array([0.0, 1.0])),
        lambda: L.Dense(3, activation=L.ReLU()),
        lambda: L.Activation(L.ReLU()),
    ],
)
def test_read_from_a_file(make, name, tmp_path):
    model = randomise(keras.Sequential([keras.Input((4, 4, 2)), make(), L.Dense(2)]))
    model.save(tmp_path / name)
    loaded = load_model(tmp_path / name)
    x = images(model)
    np.testing.assert_allclose(np.asarray(loaded(x)), np.asarray(model(x)), rtol=1e-6)
    close(read_keras(model), model)


def _of(function, shape=(4, 4, 2)):
    pixels = keras.Input(shape)
    return keras.Model(pixels, function(pixels))


class Dense(L.Layer):
    """Not Keras's."""

    def call(self, x):
        return 2 * x


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "model, reason",
    [
        (lambda: _of(L.Conv1D(2, 3, name="c"), (8, 2)), "'c': Keras's class 'Conv1D' is not among.*Replace it by"),
        (lambda: _of(lambda x: keras.ops.reshape(x, (-1, 32))), "'reshape.*': it is a function of keras.ops"),
        (lambda: _of(lambda x: x + L.Dense(2)(x)), r"'add.*': it is a function of keras.ops \('add'"),
        (lambda: _of(keras.ops.relu), r"'relu.*': it is a function of keras.ops \('relu'"),
        (lambda: _of(L.Dense(2, activation="hard_sigmoid", name="d")), "'hard_sigmoid' is another function in Keras 2"),
        (lambda: _of(L.Dense(2, activation=L.ReLU(6), name="d")), "'d'.*'ReLU' of keras.*'max_value': 6"),
        (lambda: _of(L.Lambda(lambda x: x, name="l")), "'l'.*could execute code"),
    ],
)
def test_refused_from_a_file(model, reason, name, tmp_path):
    model().save(tmp_path / name)
    with pytest.raises(ModelFileError, match=reason):
        load_model(tmp_path / name)


def test_a_class_named_like_one_of_keras_is_not_taken_for_it(tmp_path):
    _of(Dense(name="mine")).save(tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match="'mine'"):
        load_model(tmp_path / "model.keras")


def test_pooled_tensors_can_be_neither_added_nor_concatenated():
    def pooled(x):
        return L.MaxPooling2D()(L.Conv2D(2, 3)(x))

    with pytest.raises(ConversionError, match="max-pooled tensor together with another tensor, added or concatenated"):
        read_keras(_of(lambda x: L.ReLU()(L.Concatenate()([pooled(x), pooled(x)]))))


def test_the_settings_of_an_activation_layer_count():
    with pytest.raises(ConversionError, match="max_value=6"):
        read_keras(_of(L.Dense(2, activation=L.ReLU(6))))
