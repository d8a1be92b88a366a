"""Loading random graphs, saved in each format: the same outputs as from the model that Keras itself loads."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_graphs import images, randomise

from brainsnn.training import ModelFileError, load_model
from brainsnn.training.keras_config import build_model

keras = pytest.importorskip("keras")
L = keras.layers


def _layer(draw):
    return draw(
        st.sampled_from(
            [
                lambda: L.Conv2D(2, 3, padding="same"),
                lambda: L.DepthwiseConv2D(3, padding="same"),
                lambda: L.BatchNormalization(),
                lambda: L.ReLU(),
                lambda: L.Dense(2, activation="relu"),
            ]
        )
    )()


def _part(draw, depth):
    """Return a layer or a nested model, from (4, 4, 2) to the same shape; or from two or to two tensors of it."""
    kind = (
        draw(st.sampled_from(["layer", "sequential", "bare", "functional", "two in", "two out"])) if depth else "layer"
    )
    if kind == "layer":
        return _layer(draw), 1, 1
    if kind in ("sequential", "bare"):
        start = [keras.Input((4, 4, 2))] if kind == "sequential" else []
        return keras.Sequential([*start, _layer(draw), *[_layer(draw) for _ in range(draw(st.integers(0, 1)))]]), 1, 1
    n_in, n_out = 1 + (kind == "two in"), 1 + (kind == "two out")
    return _graph(draw, depth - 1, n_in, n_out), n_in, n_out


def _graph(draw, depth, n_in, n_out):
    """Return a functional model that calls a few layers and nested models, some more than once."""
    inputs = [keras.Input((4, 4, 2)) for _ in range(n_in)]
    parts = [_part(draw, depth) for _ in range(draw(st.integers(1, 3)))]
    tensors = list(inputs)
    for _ in range(draw(st.integers(len(parts), 5))):
        part, takes, gives = draw(st.sampled_from(parts))
        given_ = [draw(st.sampled_from(tensors)) for _ in range(takes)]
        made = part(given_ if takes > 1 else given_[0])
        tensors += made if gives > 1 else [made]
        if draw(st.booleans()):
            tensors.append(L.Add()([tensors[-1], draw(st.sampled_from(tensors))]))
    outputs = [tensors[-1], *[draw(st.sampled_from(tensors[n_in:])) for _ in range(n_out - 1)]]
    if len({id(tensor) for tensor in outputs}) < n_out:
        outputs[1] = L.ReLU()(outputs[0])
    # Every input must lead to an output.
    outputs[0] = L.Add()([outputs[0], *inputs])
    return keras.Model(inputs, outputs if n_out > 1 else outputs[0])


@st.composite
def graphs(draw):
    keras.utils.clear_session()
    n_in, n_out = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    return randomise(_graph(draw, 2, n_in, n_out), draw(st.integers(0, 99)))


def _outputs(model, x):
    found = model(x, training=False)
    return [np.asarray(value) for value in (found if isinstance(found, (list, tuple)) else [found])]


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=6, deadline=None)
@given(model=graphs())
def test_random_graphs_in_every_format(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("graph")
    x = [images(model, seed=k) for k in range(len(model.inputs))]
    x = x if len(x) > 1 else x[0]
    saved = _outputs(model, x)
    for name in ("model.keras", "model.h5"):
        model.save(folder / name)
    (folder / "model.json").write_text(model.to_json())
    model.save_weights(folder / "model.weights.h5")
    loaded = {
        "keras": load_model(folder / "model.keras"),
        "h5": load_model(folder / "model.h5"),
        "json": load_model(folder / "model.json", weights=folder / "model.weights.h5"),
        "json, whole-model weights": load_model(folder / "model.json", weights=folder / "model.h5"),
    }
    for name, ours in loaded.items():
        for value, expected in zip(_outputs(ours, x), saved, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max(), err_msg=name)
    theirs = keras.models.load_model(folder / "model.keras", compile=False)
    for value, expected in zip(_outputs(theirs, x), saved, strict=True):
        np.testing.assert_allclose(value, expected, rtol=1e-5, atol=1e-5 * np.abs(expected).max())


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
