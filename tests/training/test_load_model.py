"""Loading model files: every format gives the same network."""

import json

import h5py
import numpy as np
import pytest
from model_files import (
    IMAGES,
    conv,
    layer,
    legacy_config,
    legacy_weights,
    modern_model,
    numpy_forward,
    output,
    write_legacy_model,
    write_legacy_weights,
)

import brainsnn as bs
from brainsnn.builders import operators as ops
from brainsnn.builders.from_keras import registry
from brainsnn.training import ModelFileError, load_model

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def modern():
    return modern_model()


def test_keras_2_2_4_whole_model(tmp_path):
    model = load_model(write_legacy_model(tmp_path / "model.h5"))
    assert [layer.name for layer in model.layers] == [entry["name"] for entry in legacy_config()["layers"]]
    assert model.get_layer("asn_transfer_1").m_f == 0.2
    assert model.get_layer("asn_transfer_2").m_f == 0.1
    np.testing.assert_allclose(output(model), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)


def test_keras_2_2_4_json_and_weights(tmp_path):
    config = legacy_config()
    text = {"class_name": "Model", "config": config, "keras_version": "2.2.4", "backend": "tensorflow"}
    (tmp_path / "m.json").write_text(json.dumps(text))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        write_legacy_weights(file, [entry["name"] for entry in config["layers"]], legacy_weights())
    model = load_model(str(tmp_path / "m.json"), weights=str(tmp_path / "m.h5"))
    np.testing.assert_allclose(output(model), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)
    whole = write_legacy_model(tmp_path / "whole.hdf5")
    np.testing.assert_array_equal(output(load_model(tmp_path / "m.json", weights=whole)), output(model))


@pytest.mark.parametrize("as_list", [True, False])
def test_keras_2_sequential(tmp_path, as_list):
    """Before 2.2.3 the configuration of a sequential model was a bare list; the first layer holds the shape."""
    first = conv("conv_a", "x", 3, activation="relu")
    first["config"]["batch_input_shape"] = [None, 6, 6, 2]
    layers = [
        first,
        layer("Flatten", "flat", []),
        layer("Dense", "out", [], units=2, activation="linear", use_bias=False),
    ]
    for entry in layers:
        del entry["inbound_nodes"], entry["name"]
    random = np.random.default_rng(3)
    weights = {
        "conv_a": {"kernel": random.normal(size=(3, 3, 2, 3)), "bias": random.normal(size=3)},
        "out": {"kernel": random.normal(size=(108, 2))},
    }
    config = layers if as_list else {"name": "sequential_1", "layers": layers}
    model = load_model(write_legacy_model(tmp_path / "s.h5", config, weights, "Sequential"))
    assert model.input_shape == (None, 6, 6, 2)
    np.testing.assert_allclose(model.get_layer("out").get_weights()[0], weights["out"]["kernel"], rtol=1e-6)
    assert output(model).shape == (3, 2)


def test_tf_keras_2_words(tmp_path):
    """tf.keras 2.4 to 2.15 wrote Functional, policies, modules and keys that Keras 3 dropped."""
    config = legacy_config()
    for entry in config["layers"]:
        entry |= {"module": "keras.layers", "registered_name": None}
        if entry["class_name"] == "ASNTransfer":
            entry["registered_name"] = "somebody>ASNTransfer"
        if entry["class_name"] == "Conv2D":
            entry["config"] |= {"groups": 1, "dtype": {"class_name": "Policy", "config": {"name": "float32"}}}
        if entry["class_name"] == "BatchNormalization":
            entry["config"] |= {"fused": True, "virtual_batch_size": None, "renorm": False}
    model = load_model(write_legacy_model(tmp_path / "m.h5", config, class_name="Functional"))
    np.testing.assert_allclose(output(model), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)


def test_chunked_layer_names(tmp_path):
    """Keras spreads attributes of more than 64 kB over name0, name1, ..."""
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        attrs = file["model_weights"].attrs
        names = list(attrs["layer_names"])
        del attrs["layer_names"]
        attrs["layer_names0"], attrs["layer_names1"] = names[:4], names[4:]
    np.testing.assert_allclose(output(load_model(path)), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)


def test_weights_in_order_if_names_differ(tmp_path):
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        group = file["model_weights"]
        group.attrs["layer_names"] = [
            bytes(name).replace(b"conv2d", b"convolution") for name in group.attrs["layer_names"]
        ]
        group.move("conv2d_1", "convolution_1")
        group.move("conv2d_2", "convolution_2")
    with pytest.warns(UserWarning, match="in order"):
        model = load_model(path)
    np.testing.assert_allclose(output(model), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras_3_whole_model(tmp_path, modern, suffix):
    path = tmp_path / f"m{suffix}"
    modern.save(path)
    loaded = load_model(path)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in modern.layers]
    np.testing.assert_array_equal(output(loaded), output(modern))
    assert not getattr(loaded, "compiled", False)


def test_keras_3_json_and_weights(tmp_path, modern):
    (tmp_path / "m.json").write_text(modern.to_json())
    modern.save_weights(tmp_path / "m.weights.h5")
    loaded = load_model(tmp_path / "m.json", weights=tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(output(loaded), output(modern))


def test_keras_3_without_layer_names_in_the_weights(tmp_path, modern):
    """Early Keras 3 wrote no names beside the weights: the numbering by class decides."""
    modern.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "m.json").write_text(modern.to_json())

    def strip(name, item):
        if "name" in item.attrs:
            del item.attrs["name"]

    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        file.visititems(strip)
    loaded = load_model(tmp_path / "m.json", weights=tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(output(loaded), output(modern))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_frozen_layers_keep_the_order_of_their_weights(tmp_path, suffix):
    """The four weights of a batch norm have one shape: a swap would pass all other checks."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(trainable=False, name="bn")])
    values = [np.full(4, k, "float32") for k in (1, 2, 3, 4)]
    model.set_weights(values)
    model.save(tmp_path / f"m{suffix}")
    loaded = load_model(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(loaded.get_layer("bn").get_weights(), values)
    assert not loaded.get_layer("bn").trainable


def test_batch_size_is_left_open(tmp_path):
    model = keras.Sequential([keras.Input((4,), batch_size=8), keras.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").input_shape == (None, 4)


def test_layer_called_twice(tmp_path):
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(3, name="shared")
    model = keras.Model(inputs, keras.layers.Add()([dense(inputs), dense(dense(inputs))]))
    model.save(tmp_path / "m.keras")
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(output(load_model(tmp_path / "m.keras"), x), output(model, x))


class Gain(keras.layers.Conv2D):
    """A layer of a user's own, with an argument, weights and a parent that takes most of its arguments."""

    def __init__(self, filters, gain=1.0, **kwargs):
        super().__init__(filters, **kwargs)
        self.gain = gain

    def call(self, x):
        return self.gain * super().call(x)

    def to_operator(self, input_shape):
        kernel = self.gain * np.asarray(self.kernel)
        return ops.conv2d(kernel, input_shape, padding=self.padding), self.gain * np.asarray(self.bias)

    def get_config(self):
        return {**super().get_config(), "gain": self.gain}


@keras.saving.register_keras_serializable(package="laboratory")
class PackagedGain(Gain):
    """The same, with a name of its package in the file."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".keras", ".h5", ".json"])
@pytest.mark.parametrize("layer_class", [Gain, PackagedGain])
def test_registered_classes_are_found_by_their_registered_name(tmp_path, monkeypatch, layer_class, suffix):
    monkeypatch.setattr(registry, "_REGISTERED", {})
    inputs = keras.Input((6, 6, 2))
    x = layer_class(3, gain=2.5, kernel_size=3, padding="same", name="gain1")(inputs)
    x = layer_class(2, gain=0.5, kernel_size=3, name="gain2")(keras.layers.ReLU(name="relu")(x))
    model = keras.Model(inputs, keras.layers.Dense(3, name="out")(keras.layers.Flatten()(x)))
    random = np.random.default_rng(4)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    path, weights = tmp_path / f"m{suffix}", None
    if suffix == ".json":
        path.write_text(model.to_json())
        weights = tmp_path / "m.weights.h5"
        model.save_weights(weights)
    else:
        model.save(path)
    with pytest.raises(ModelFileError, match=r"'gain1'.*brainsnn.register_layer\("):
        load_model(path, weights=weights)
    bs.register_layer(layer_class)
    loaded = load_model(path, weights=weights)
    assert type(loaded.get_layer("gain1")) is layer_class and loaded.get_layer("gain2").gain == 0.5
    np.testing.assert_array_equal(output(loaded), output(model))
    graph = bs.read_keras(loaded)
    np.testing.assert_allclose(graph.activations(IMAGES)["out"].reshape(3, 3), output(model), rtol=1e-4, atol=1e-4)


def test_registered_class_with_the_name_of_one_of_keras(tmp_path, monkeypatch):
    """Each file's layer becomes what it was: Keras's own class, or the user's of the same name."""
    monkeypatch.setattr(registry, "_REGISTERED", {})

    class Dropout(keras.layers.Layer):
        def call(self, x):
            return 2 * x

    inputs = keras.Input((4,))
    own = keras.Model(inputs, Dropout(name="drop")(inputs))
    theirs = keras.Model(inputs, keras.layers.Dropout(0.5, name="drop")(inputs))
    own.save(tmp_path / "own.keras")
    theirs.save(tmp_path / "theirs.keras")
    with pytest.raises(ModelFileError, match=r"'drop'.*its class 'Dropout'.*brainsnn.register_layer\("):
        load_model(tmp_path / "own.keras")
    bs.register_layer(Dropout, lambda layer, shape: ops.scale(2, shape))
    assert type(load_model(tmp_path / "own.keras").get_layer("drop")) is Dropout
    assert type(load_model(tmp_path / "theirs.keras").get_layer("drop")) is keras.layers.Dropout
