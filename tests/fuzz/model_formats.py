"""Save a Keras model in every format that `load_model` reads, and load it with Keras itself."""

import json
import logging

import h5py
import pytest

keras = pytest.importorskip("keras")
logging.getLogger("absl").setLevel(logging.ERROR)  # Keras recommends another format with each HDF5 file

__all__ = ["FORMATS", "keras_2_json", "save"]


def save(model, name, folder):
    """Save a model; return the path, that of its weights or None, and a function that loads it with Keras."""
    return FORMATS[name](model, folder)


def _whole(suffix):
    def saved(model, folder):
        path = folder / f"model{suffix}"
        model.save(path)
        return path, None, lambda: keras.models.load_model(path, compile=False)

    return saved


def _json(text, weights):
    def saved(model, folder):
        path = folder / "model.json"
        path.write_text(text(model))
        where = weights(model, folder)
        return path, where, lambda: _load_json(path, where)

    return saved


def _load_json(path, weights):
    model = keras.models.model_from_json(path.read_text())
    model.load_weights(weights)
    return model


def _keras_3_weights(model, folder):
    model.save_weights(folder / "model.weights.h5")
    return folder / "model.weights.h5"


def _whole_model_weights(model, folder):
    model.save(folder / "model.h5")
    return folder / "model.h5"


def _legacy_weights(model, folder):
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(folder / "weights.h5", "w") as file:
        save_weights_to_hdf5_group(file, model)
    return folder / "weights.h5"


def _keras_2_file(model, folder):
    """Save a whole model, and write its configuration in the words of Keras 2."""
    model.save(folder / "model.h5")
    with h5py.File(folder / "model.h5", "a") as file:
        file.attrs["model_config"] = keras_2_json(model)
    return folder / "model.h5", None, lambda: keras.models.load_model(folder / "model.h5", compile=False)


def _to_json(model):
    return model.to_json()


def keras_2_json(model):
    """Return the JSON of a model in the words of Keras 2: calls as nested lists, counted from 1 for nested models."""
    return json.dumps(_keras_2(json.loads(model.to_json())))


def _keras_2(entry):
    for key in ("module", "registered_name", "build_config"):
        entry.pop(key, None)
    config = entry["config"]
    if isinstance(config.get("dtype"), dict) and "config" in config["dtype"]:
        config["dtype"] = config["dtype"]["config"]["name"]
    if "batch_shape" in config:
        config["batch_input_shape"] = config.pop("batch_shape")
    layers = config.get("layers", [])
    for layer in layers:
        _keras_2(layer)
    if "output_layers" in config:
        models = {layer["config"]["name"] for layer in layers if "layers" in layer["config"]}
        for layer in layers:
            layer["inbound_nodes"] = [_keras_2_node(node, models) for node in layer["inbound_nodes"]]
        nested = {layer["config"]["name"] for layer in layers if layer["class_name"] == "Functional"}
        single = isinstance(config["output_layers"][0], str)
        outputs = [config["output_layers"]] if single else config["output_layers"]
        # Keras 3 counts the calls of functional models from 1 there already.
        config["output_layers"] = [[n, k + (n in models - nested), t] for n, k, t in outputs]
        if isinstance(config["input_layers"][0], str):
            config["input_layers"] = [config["input_layers"]]
    return entry


def _keras_2_node(node, models):
    arguments = node["args"][0]
    tensors = arguments if isinstance(arguments, list) else [arguments]
    histories = [tensor["config"]["keras_history"] for tensor in tensors]
    return [[name, k + (name in models), t, {}] for name, k, t in histories]


#: Name -> function (model, folder) as `save`.
FORMATS = {
    ".keras": _whole(".keras"),
    ".h5": _whole(".h5"),
    "json + .weights.h5": _json(_to_json, _keras_3_weights),
    "json + .h5": _json(_to_json, _whole_model_weights),
    "json + weights of Keras 2": _json(_to_json, _legacy_weights),
    ".h5 of Keras 2": _keras_2_file,
    "json of Keras 2 + weights": _json(keras_2_json, _legacy_weights),
}
