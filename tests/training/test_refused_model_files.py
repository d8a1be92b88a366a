"""Model files that are damaged, untrusted or misnamed are refused, and nothing in them is executed."""

import io
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest
from model_files import (
    legacy_config,
    legacy_weights,
    modern_model,
    write_legacy_model,
    write_legacy_weights,
)

import brainsnn as bs
from brainsnn.builders.from_keras import registry
from brainsnn.training import ModelFileError, load_model

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def modern():
    return modern_model()


def refused(match, *arguments, **keywords):
    with pytest.raises(ModelFileError, match=match) as caught:
        load_model(*arguments, **keywords)
    assert isinstance(caught.value, ValueError)
    assert "load_model" in str(caught.value)


def test_no_such_file(tmp_path):
    write_legacy_model(tmp_path / "digits.h5")
    refused("Did you mean 'digits.h5'", tmp_path / "digit.h5")
    refused("no file", tmp_path / "nowhere" / "m.keras")
    refused("must be the path", 3)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.json"])
def test_empty_and_nonsense(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    refused("empty", tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing of the kind" * 10)
    refused("no Keras model", tmp_path / name)


def test_pickle_is_not_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    (tmp_path / "m.h5").write_bytes(pickle.dumps(Bomb()))
    refused("pickle", tmp_path / "m.h5")
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Bomb()))
    refused("ends in '.pkl'", tmp_path / "m.pkl")
    assert not (tmp_path / "executed").exists()


def test_directories(tmp_path):
    refused("a directory", tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    refused("SavedModel", tmp_path)


def test_name_against_content(tmp_path, modern):
    os.rename(write_legacy_model(tmp_path / "m.h5"), tmp_path / "m.keras")
    refused("rename it to 'm.h5'", tmp_path / "m.keras")
    modern.save(tmp_path / "n.keras")
    os.rename(tmp_path / "n.keras", tmp_path / "n.h5")
    refused("rename it to 'n.keras'", tmp_path / "n.h5")
    (tmp_path / "m.onnx").write_bytes(b"x")
    refused("ends in '.onnx'", tmp_path / "m.onnx")


def test_truncated(tmp_path, modern):
    modern.save(tmp_path / "m.keras")
    write_legacy_model(tmp_path / "m.h5")
    for name in ("m.keras", "m.h5"):
        data = (tmp_path / name).read_bytes()
        for share in (0.02, 0.5, 0.99):
            (tmp_path / f"cut_{name}").write_bytes(data[: int(share * len(data))])
            refused("truncated or damaged", tmp_path / f"cut_{name}")
    (tmp_path / "m.json").write_text(modern.to_json()[:-20])
    refused("not valid JSON", tmp_path / "m.json", weights=tmp_path / "m.h5")


def test_zip_and_hdf5_that_are_no_models(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused("no config.json", tmp_path / "m.keras")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["x"] = 1
    refused("holds no Keras model", tmp_path / "m.h5")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_legacy_weights(file, ["conv2d_1"], legacy_weights())
    refused("weights but no model", tmp_path / "w.h5")
    (tmp_path / "m.json").write_text("[1, 2]")
    refused("not the JSON of a Keras model", tmp_path / "m.json", weights=tmp_path / "w.h5")
    (tmp_path / "m.json").write_text('{"class_name": "MyModel", "config": {}}')
    refused("'MyModel'", tmp_path / "m.json", weights=tmp_path / "w.h5")


def test_json_and_weights_belong_together(tmp_path, modern):
    (tmp_path / "m.json").write_text(modern.to_json())
    refused("holds no weights", tmp_path / "m.json")
    refused("no file", tmp_path / "m.json", weights=tmp_path / "w.h5")
    modern.save(tmp_path / "m.keras")
    refused("must be an HDF5 file", tmp_path / "m.json", weights=tmp_path / "m.keras")
    refused("holds its own weights", tmp_path / "m.keras", weights=tmp_path / "w.h5")


def edited(tmp_path, change):
    config = legacy_config()
    change({entry["name"]: entry for entry in config["layers"]}, config)
    return write_legacy_model(tmp_path / "m.h5", config)


def test_lambda_and_custom_layers_are_refused_by_name(tmp_path):
    def lambda_layer(layers, config):
        layers["leaky_1"] |= {"class_name": "Lambda"}
        layers["leaky_1"]["config"]["function"] = ["4wEAAAA=", None, None]

    refused("'leaky_1'.*'Lambda'", edited(tmp_path, lambda_layer))
    refused("'leaky_1'.*'Swirl'", edited(tmp_path, lambda layers, config: layers["leaky_1"].update(class_name="Swirl")))
    shadow = {"class_name": "Dense", "module": "os", "registered_name": "evil>Dense"}
    refused("'dense_1'.*'evil>Dense'", edited(tmp_path, lambda layers, config: layers["dense_1"].update(shadow)))
    custom = {"module": "evil", "class_name": "function", "config": "boom", "registered_name": "boom"}
    for value in (custom, "boom"):
        refused(
            "'conv2d_1'.*'boom'",
            edited(tmp_path, lambda layers, config, v=value: layers["conv2d_1"]["config"].update(activation=v)),
        )


def test_keras_3_lambda_is_refused(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1, output_shape=(3,), name="plus")(inputs))
    model.save(tmp_path / "m.keras")
    refused("'plus'.*'Lambda'", tmp_path / "m.keras")


def test_arguments_of_registered_classes_are_plain_values(tmp_path, monkeypatch):
    """An object in the arguments could name code to import; a registered Lambda gets no code to run."""
    monkeypatch.setattr(registry, "_REGISTERED", {})
    seen = []

    class Swirl(keras.layers.Layer):
        def __init__(self, turns=None, **kwargs):
            super().__init__(**kwargs)
            seen.append(turns)

        def call(self, x):
            return x

    def swirl(**arguments):
        def change(layers, config):
            layers["leaky_1"] |= {"class_name": "Swirl"}
            layers["leaky_1"]["config"] = {"name": "leaky_1", "trainable": True, **arguments}

        return change

    bs.register_layer(Swirl, lambda layer, shape: "identity")
    load_model(edited(tmp_path, swirl(turns=[1, 2])))
    assert seen == [(1, 2)]
    code = {"class_name": "function", "module": "os", "config": "getcwd", "registered_name": "function"}
    refused("'leaky_1'.*Swirl.*unexpected object", edited(tmp_path, swirl(turns=code)))
    refused("'leaky_1'.*Swirl.*depth=3 .*no counterpart", edited(tmp_path, swirl(depth=3)))
    assert seen == [(1, 2)]
    bs.register_layer(keras.layers.Lambda, lambda layer, shape: "identity")
    refused(
        "'leaky_1'.*'Lambda'", edited(tmp_path, lambda layers, config: layers["leaky_1"].update(class_name="Lambda"))
    )


def test_damaged_configurations(tmp_path):
    def set_config(name, **values):
        return lambda layers, config: layers[name]["config"].update(values)

    refused("'conv2d_1'.*swirl", edited(tmp_path, set_config("conv2d_1", swirl=3)))
    refused("'conv2d_1'.*hard_sigmoid", edited(tmp_path, set_config("conv2d_1", activation="hard_sigmoid")))
    refused("'bn_1'.*renormalization", edited(tmp_path, set_config("bn_1", renorm=True)))
    refused("'conv2d_1'.*float8", edited(tmp_path, set_config("conv2d_1", dtype="float8")))
    refused("'asn_transfer_1'.*m_f", edited(tmp_path, set_config("asn_transfer_1", m_f=-1)))
    refused("'conv2d_1'.*cannot be built", edited(tmp_path, set_config("conv2d_1", filters=-1)))
    refused("damaged", edited(tmp_path, lambda layers, config: config.pop("output_layers")))
    refused(
        "outputs are not among", edited(tmp_path, lambda layers, config: config.update(output_layers=[["no", 0, 0]]))
    )
    refused("'add_1'.*not in the model", edited(tmp_path, lambda layers, config: config["layers"].pop(4)))
    refused(
        "two layers of that name", edited(tmp_path, lambda layers, config: layers["conv2d_2"].update(name="conv2d_1"))
    )
    call = [[["conv2d_1", 0, 0, {"training": True}]]]
    refused("'bn_1'.*training=True", edited(tmp_path, lambda layers, config: layers["bn_1"].update(inbound_nodes=call)))


def test_unknown_asn_arguments_are_reported(tmp_path):
    path = edited(tmp_path, lambda layers, config: layers["asn_transfer_1"]["config"].update(h=0.5))
    with pytest.warns(UserWarning, match="'asn_transfer_1'.*h"):
        load_model(path)


def with_weights(tmp_path, change):
    weights = legacy_weights()
    change(weights)
    return write_legacy_model(tmp_path / "m.h5", weights=weights)


def test_weights_that_do_not_fit(tmp_path):
    wrong = np.zeros((3, 3, 2, 5), "float32")
    refused(
        r"'conv2d_1'.*'kernel'.*\(3, 3, 2, 5\).*\(3, 3, 2, 4\)",
        with_weights(tmp_path, lambda w: w["conv2d_1"].update(kernel=wrong)),
    )
    refused("no weights for the layers .'dense_1'", with_weights(tmp_path, lambda w: w.pop("dense_1")))
    refused("'dense_1'.*2 weights, the file has 1", with_weights(tmp_path, lambda w: w["dense_1"].pop("bias")))

    def poison(weights):
        weights["bn_2"]["gamma"][1:3] = np.nan, np.inf

    refused("'bn_2'.*'gamma' has 2 of 4", with_weights(tmp_path, poison))
    refused("'dense_1'.*floating", with_weights(tmp_path, lambda w: w["dense_1"].update(bias=np.zeros(3, int))))
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights"]
    refused("no weights", path)
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights/dense_1/dense_1/bias:0"]
    refused("has no 'dense_1/bias:0'", path)
    with h5py.File(path, "a") as file:
        file["model_weights"].attrs["backend"] = b"theano"
    refused("Theano", path)


def test_keras_3_weights_that_do_not_fit(tmp_path, modern):
    def archive_with(change):
        modern.save(tmp_path / "m.keras")
        with zipfile.ZipFile(tmp_path / "m.keras") as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        buffer = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(buffer, "a") as file:
            change(file)
        parts["model.weights.h5"] = buffer.getvalue()
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        return tmp_path / "m.keras"

    def replace(path, value):
        def change(file):
            del file[path]
            file[path] = value

        return change

    wrong = np.zeros((7, 5), "float64")
    bias = "layers/sequential/layers/dense/vars/1"
    refused(r"'dense'.*'kernel'.*\(7, 5\)", archive_with(replace("layers/dense/vars/0", wrong)))
    refused("NaN", archive_with(replace(bias, np.full(4, np.nan, "float32"))))
    refused("weights", archive_with(lambda file: file.__delitem__(bias)))
    refused("'separable'", archive_with(lambda file: file.__delitem__("layers/separable_conv2d")))


def test_links_to_other_files_are_refused(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.zeros(3, "float32")
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense_1/dense_1"]
        del group["bias:0"]
        group["bias:0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    refused("link to another place", path)
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense_1/dense_1"]
        del group["bias:0"]
        (tmp_path / "raw").write_bytes(b"\0" * 12)
        group.create_dataset("bias:0", (3,), "float32", external=[(str(tmp_path / "raw"), 0, 12)])
    refused("in another file", path)


@pytest.mark.parametrize("link", [h5py.ExternalLink("whole.h5", "/model_weights"), h5py.SoftLink("/elsewhere")])
def test_a_group_that_is_a_link_is_refused(tmp_path, link):
    write_legacy_model(tmp_path / "whole.h5")
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file.move("model_weights", "elsewhere")
        file["model_weights"] = link
    refused("'model_weights' is a link to another place", path)
