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


class Dropout(L.Dropout):
    """Not Keras's either, with the same arguments."""

    def call(self, x, training=None):
        return 2 * x


class Functional(keras.Model):
    """A model that computes something else than its layers say."""

    def call(self, x, training=None, mask=None):
        return 2 * super().call(x)


def _functional():
    pixels = keras.Input((4, 4, 2))
    return Functional(pixels, L.Dense(2)(pixels), name="mine")


@pytest.mark.parametrize("module", ["__main__", "mine"])
@pytest.mark.parametrize(
    "part",
    [lambda: Dense(name="mine"), lambda: Dropout(0.5, name="mine"), _functional],
    ids=["layer", "same arguments", "model"],
)
def test_a_class_named_like_one_of_keras_is_not_taken_for_it(part, module, tmp_path, monkeypatch):
    for layer_class in (Dense, Dropout, Functional):
        monkeypatch.setattr(layer_class, "__module__", module)
    _of(part()).save(tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match="'mine'.*is not among those that can be read"):
        load_model(tmp_path / "model.keras")


def test_a_whole_model_of_another_class_is_not_taken_for_one_of_keras(tmp_path):
    _functional().save(tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match=f"of class 'Functional' of '{__name__}'; only functional and sequential"):
        load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("shape, fits", [((), True), ((1, 2), True), ((2,), True), ((4, 1), False), ((4, 4, 2), False)])
def test_rescaling_by_arrays(shape, fits):
    model = randomise(_of(lambda x: L.Dense(3)(L.Rescaling(np.full(shape, 0.5), np.full(shape, 0.1))(x))))
    if fits:
        close(read_keras(model), model)
    else:
        with pytest.raises(ConversionError, match=r"by an array of shape \(4, .* each of the 2 channels"):
            read_keras(model)


def test_pooled_tensors_can_be_neither_added_nor_concatenated():
    def pooled(x):
        return L.MaxPooling2D()(L.Conv2D(2, 3)(x))

    with pytest.raises(ConversionError, match="max-pooled tensor together with another tensor, added or concatenated"):
        read_keras(_of(lambda x: L.ReLU()(L.Concatenate()([pooled(x), pooled(x)]))))


def test_the_settings_of_an_activation_layer_count():
    with pytest.raises(ConversionError, match="max_value=6"):
        read_keras(_of(L.Dense(2, activation=L.ReLU(6))))
