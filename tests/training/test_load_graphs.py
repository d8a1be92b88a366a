"""Loading nested models, shared layers and weights with other names; random graphs are in tests/fuzz."""

import json

import numpy as np
import pytest
from keras_graphs import images, randomise

from brainsnn.training import ModelFileError, load_model
from brainsnn.training.keras_config import build_model

keras = pytest.importorskip("keras")
L = keras.layers


def _outputs(model, x):
    found = model(x, training=False)
    return [np.asarray(value) for value in (found if isinstance(found, (list, tuple)) else [found])]


def _twice(sequential):
    """Return a model that calls a nested one twice, and both calls are outputs too."""
    layers = [keras.Input((4, 4, 2)), L.Conv2D(2, 3, padding="same", activation="relu")]
    part = keras.Sequential(layers, name="part")
    part = part if sequential else keras.Model(part.inputs, part.outputs[0], name="part")
    pixels = keras.Input((4, 4, 2))
    first, second = part(pixels), part(L.Conv2D(2, 1)(pixels))
    return randomise(keras.Model(pixels, [L.Subtract()([second, first]), second, first]))


@pytest.mark.parametrize("sequential", [True, False])
def test_each_call_of_a_nested_model_is_found(sequential, tmp_path):
    model = _twice(sequential)
    x = images(model)
    expected = _outputs(model, x)
    assert np.abs(expected[1] - expected[2]).max() > 0.1
    model.save(tmp_path / "model.keras")
    np.testing.assert_allclose(_outputs(load_model(tmp_path / "model.keras"), x), expected, atol=1e-5)


@pytest.mark.parametrize("first", [0, 1])
def test_each_call_of_a_nested_model_of_keras_2_is_found(first):
    """Keras 2 counts the calls of a nested model from 1, or from 0 for a sequential one without an input layer."""
    model = _twice(sequential=True)
    config = json.loads(model.to_json())
    for entry in config["config"]["layers"]:
        nodes = []
        for node in entry["inbound_nodes"]:
            found = node["args"][0] if isinstance(node["args"][0], list) else [node["args"][0]]
            histories = [each["config"]["keras_history"] for each in found]
            nodes.append([[name, k + first * (name == "part"), t, {}] for name, k, t in histories])
        entry["inbound_nodes"] = nodes
    config["config"]["output_layers"] = [
        [name, k + first * (name == "part"), t] for name, k, t in config["config"]["output_layers"]
    ]
    built = build_model(config)
    built.set_weights(model.get_weights())
    x = images(model)
    np.testing.assert_allclose(_outputs(built, x), _outputs(model, x), atol=1e-5)


def _three_layers(first):
    """Return a model whose layers are called dense_<first>, dense_<first + 1>, ... as by Keras's automatic names."""
    layers = [L.Dense(3, name=f"dense_{first + k}") for k in range(3)]
    return randomise(keras.Sequential([keras.Input((1, 1, 3)), *layers]), first)


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_with_shifted_names_are_assigned_in_order(suffix, tmp_path):
    model, other = _three_layers(1), _three_layers(2)
    (tmp_path / "model.json").write_text(other.to_json())
    (model.save_weights if suffix == ".weights.h5" else model.save)(tmp_path / f"model{suffix}")
    with pytest.warns(UserWarning, match="differ from the model's; weights are assigned in order"):
        loaded = load_model(tmp_path / "model.json", weights=tmp_path / f"model{suffix}")
    x = images(model)
    np.testing.assert_allclose(_outputs(loaded, x), _outputs(model, x), rtol=1e-5)
    other.load_weights(tmp_path / f"model{suffix}")
    np.testing.assert_allclose(_outputs(loaded, x), _outputs(other, x), rtol=1e-5)


def test_weights_with_the_same_names_in_another_order_are_refused(tmp_path):
    model = _three_layers(1)
    layers = [L.Dense(3, name=f"dense_{k}") for k in (2, 1, 3)]
    (tmp_path / "model.json").write_text(keras.Sequential([keras.Input((1, 1, 3)), *layers]).to_json())
    model.save(tmp_path / "model.h5")
    with pytest.raises(ModelFileError, match=r"order \['dense_1', 'dense_2', .* belong to another model"):
        load_model(tmp_path / "model.json", weights=tmp_path / "model.h5")
    model.save_weights(tmp_path / "model.weights.h5")
    with pytest.raises(ModelFileError, match=r"order \['dense_1', 'dense_2', .* belong to another model"):
        load_model(tmp_path / "model.json", weights=tmp_path / "model.weights.h5")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".weights.h5", ".h5"])
def test_weights_of_nested_layers_are_assigned_in_order(suffix, tmp_path):
    """As Keras does, whatever the names; the same names in another order are refused."""

    def nested(names):
        part = keras.Sequential([keras.Input((1, 1, 3)), *[L.Dense(3, name=name) for name in names]], name="part")
        return randomise(keras.Sequential([keras.Input((1, 1, 3), name="pixels"), part]))

    nested("ab").save_weights(tmp_path / "model.weights.h5")
    nested("ab").save(tmp_path / "model.h5")
    other = nested("bc")
    (tmp_path / "model.json").write_text(other.to_json())
    loaded = load_model(tmp_path / "model.json", weights=tmp_path / f"model{suffix}")
    other.load_weights(tmp_path / f"model{suffix}")
    x = images(other)
    np.testing.assert_allclose(_outputs(loaded, x), _outputs(other, x), rtol=1e-5)
    (tmp_path / "model.json").write_text(nested("ba").to_json())
    with pytest.raises(ModelFileError, match=r"order \['a', 'b'\], the model in the order \['b', 'a'\]"):
        load_model(tmp_path / "model.json", weights=tmp_path / f"model{suffix}")


def test_frozen_layers_of_a_nested_model(tmp_path):
    """Frozen weights come after all others in an HDF5 file."""
    layers = L.Dense(3, name="a"), L.BatchNormalization(), L.Dense(3, name="b")
    part = keras.Sequential([keras.Input((1, 1, 3)), *layers])
    part.get_layer("a").trainable = False
    model = randomise(keras.Sequential([keras.Input((1, 1, 3)), part, L.Dense(2)]))
    model.save(tmp_path / "model.h5")
    x = images(model)
    np.testing.assert_allclose(_outputs(load_model(tmp_path / "model.h5"), x), _outputs(model, x), rtol=1e-5)


def test_weights_of_more_layers_are_refused(tmp_path):
    _three_layers(1).save_weights(tmp_path / "model.weights.h5")
    model = keras.Sequential([keras.Input((1, 1, 3)), L.Dense(3, name="dense_1")])
    (tmp_path / "model.json").write_text(model.to_json())
    with pytest.raises(
        ModelFileError, match=r"has weights for \['dense_1', 'dense_2'\], which the model does not have"
    ):
        load_model(tmp_path / "model.json", weights=tmp_path / "model.weights.h5")


def test_a_layer_that_two_models_share(tmp_path):
    """Keras loads it from .h5 files, too, and not from .keras files."""
    shared = L.Conv2D(2, 3, padding="same", name="shared")
    part = keras.Sequential([keras.Input((4, 4, 2)), shared, L.ReLU()])
    pixels = keras.Input((4, 4, 2))
    model = randomise(keras.Model(pixels, shared(part(pixels))))
    x = images(model)
    model.save(tmp_path / "model.h5")
    np.testing.assert_allclose(_outputs(load_model(tmp_path / "model.h5"), x), _outputs(model, x), rtol=1e-6)
    model.save(tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match="'shared'.*that two models share.*save such a model as .h5"):
        load_model(tmp_path / "model.keras")
