"""Classes and models of other packages and of scripts in .keras files are not taken for those of Keras with their name."""

import pytest

from brainsnn.training import ModelFileError, load_model

keras = pytest.importorskip("keras")
L = keras.layers


class Dropout(L.Dropout):
    """It takes the same arguments as Keras's."""

    def call(self, x, training=None):
        return 2 * x


class InputLayer(L.Layer):
    def call(self, x):
        return 2 * x


class Functional(keras.Model):
    def call(self, x, training=None, mask=None):
        return 2 * super().call(x)


class Sequential(keras.Sequential):
    def call(self, x, training=None, mask=None):
        return 2 * super().call(x)


def _functional(**name):
    pixels = keras.Input((4, 4, 2))
    return Functional(pixels, L.Dense(2)(pixels), **name)


def _sequential(**name):
    return Sequential([keras.Input((4, 4, 2)), L.Dense(2)], **name)


@pytest.mark.parametrize("module", ["__main__", "mine", "keras_mine"])
@pytest.mark.parametrize("make", [lambda **name: Dropout(0.5, **name), InputLayer, _functional, _sequential])
def test_a_layer_or_nested_model(make, module, tmp_path, monkeypatch):
    for layer_class in (Dropout, InputLayer, Functional, Sequential):
        monkeypatch.setattr(layer_class, "__module__", module)
    pixels = keras.Input((4, 4, 2))
    keras.Model(pixels, L.Dense(2)(make(name="mine")(pixels))).save(tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match=r"'mine': its class .*brainsnn.register_layer\("):
        load_model(tmp_path / "model.keras")


@pytest.mark.parametrize("make, name", [(_functional, "Functional"), (_sequential, "Sequential")])
def test_a_whole_model(make, name, tmp_path):
    make().save(tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match=f"of class '{name}' of '{__name__}'; only functional and sequential"):
        load_model(tmp_path / "model.keras")
