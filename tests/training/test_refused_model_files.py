"""Every refusal of a file or of its weights: an input that triggers it, and its advice followed. Nothing is executed."""

import io
import os
import pickle
import warnings
import zipfile
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest
from model_files import legacy_config, legacy_weights, write_legacy_model, write_legacy_weights
from refusals import check_refusal, check_table

import brainsnn as bs
from brainsnn import hdf5_files
from brainsnn.builders.from_keras import registry
from brainsnn.training import ModelFileError, load_model

keras = pytest.importorskip("keras")
L = keras.layers
MODULES = ("training/keras_files.py", "training/keras_weights.py", "hdf5_files.py", "training/weight_limit.py")


def _dense(names=("a", "b"), nested=True):
    layers = [L.Dense(2, name=name) for name in names]
    part = keras.Sequential([keras.Input((3,)), *layers], name="part")
    return keras.Sequential([keras.Input((3,)), part, L.Dense(2, name="out")]) if nested else part


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A small model in all formats."""
    folder = tmp_path_factory.mktemp("saved")
    model = _dense()
    model.save(folder / "m.keras")
    model.save(folder / "m.h5")
    model.save_weights(folder / "m.weights.h5")
    (folder / "m.json").write_text(model.to_json())
    return folder


class Files:
    """What the inputs of the table need: the saved model, and a folder for changed copies of its files."""

    def __init__(self, saved, folder):
        self.saved, self.folder = saved, folder

    def load(self, name, content=None, weights=None):
        """Load a file of the folder, after it was written (text, bytes, or a saved file to copy)."""
        path = self.folder / name
        if content is not None:
            content = content.encode() if isinstance(content, str) else content
            path.write_bytes(content.read_bytes() if isinstance(content, Path) else content)
        return load_model(path, weights) if weights is not None else load_model(path)

    def hdf5(self, change, name="m.h5", source="m.h5"):
        """Return a saved HDF5 file after a change."""
        path = self.folder / name
        path.write_bytes((self.saved / source).read_bytes())
        with h5py.File(path, "a") as file:
            change(file)
        return path

    def archive(self, change=None, method=zipfile.ZIP_STORED, **parts):
        """Load the saved .keras archive after a change of its weights, or with other parts."""
        with zipfile.ZipFile(self.saved / "m.keras") as archive:
            found = {name: archive.read(name) for name in archive.namelist()} | parts
        if change is not None:
            buffer = io.BytesIO(found["model.weights.h5"])
            with h5py.File(buffer, "a") as file:
                change(file)
            found["model.weights.h5"] = buffer.getvalue()
        with zipfile.ZipFile(self.folder / "m.keras", "w", method) as archive:
            for name, data in found.items():
                if data is not None:
                    archive.writestr(name, data)
        return load_model(self.folder / "m.keras")

    def pair(self, model, source="m.weights.h5"):
        """Load another model with the saved weights."""
        (self.folder / "m.json").write_text(model.to_json())
        return load_model(self.folder / "m.json", self.saved / source)

    def legacy(self, change=lambda weights: None):
        """Load a Keras 2 file after a change of its weights."""
        weights = legacy_weights()
        change(weights)
        return load_model(write_legacy_model(self.folder / "old.h5", weights=weights))

    def legacy_file(self, change):
        """Load a Keras 2 file after a change of the file."""
        path = write_legacy_model(self.folder / "old.h5")
        with h5py.File(path, "a") as file:
            change(file["model_weights"])
        return load_model(path)


def put(path, value):
    """Return the change that puts a value, a link or nothing (None) at a path of an HDF5 file."""

    def change(file):
        del file[path]
        if value is not None:
            file[path] = value

    return change


def broken_checksum(files):
    path = write_legacy_model(files.folder / "old.h5")
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense_1/dense_1"]
        del group["bias:0"]
        place = group.create_dataset("bias:0", data=np.ones(3, "f4"), chunks=(3,), fletcher32=True).id.get_chunk_info(0)
    data = bytearray(path.read_bytes())
    data[place.byte_offset] ^= 1
    return files.load("old.h5", bytes(data))


def without_time(files):
    with mock.patch.object(hdf5_files, "SECONDS", 0):
        return whole(".h5")(files)


def twice_in_archive(files):
    with zipfile.ZipFile(files.saved / "m.keras") as archive, zipfile.ZipFile(files.folder / "m.keras", "w") as copy:
        for name in ("config.json", "model.weights.h5", "config.json"):
            with warnings.catch_warnings(action="ignore"):
                copy.writestr(name, archive.read(name))
    return load_model(files.folder / "m.keras")


def much_larger_than_its_weights(files):
    return files.pair(keras.Sequential([keras.Input((3,)), L.Dense(2, name="a"), L.Dense(50_000_000, name="b")]))


def with_lora(suffix):
    def load(files):
        model = _dense(nested=False)
        model.get_layer("a").enable_lora(1)
        model.save(files.folder / f"lora{suffix}")
        return files.load(f"lora{suffix}")

    return load


def shared_layer(suffix):
    def load(files):
        shared = L.Dense(3, name="shared")
        part = keras.Sequential([keras.Input((3,)), shared])
        pixels = keras.Input((3,))
        keras.Model(pixels, shared(part(pixels))).save(files.folder / f"s{suffix}")
        return files.load(f"s{suffix}")

    return load


def whole(suffix):
    """The saved model, whole and under its own name."""
    return lambda files: files.load(f"m{suffix}", files.saved / f"m{suffix}")


def weights_of_a_layer(**changes):
    return lambda files: files.legacy(lambda weights: weights["dense_1"].update(changes))


def both(files):
    return load_model(files.saved / "m.json", files.saved / "m.weights.h5")


OLD = Files.legacy
BIAS = "dense_1/dense_1/bias:0"
VALUES = "layers/dense/vars/1"

#: Words of the statement that refuses -> (an input that it refuses, its advice followed).
REFUSALS = {
    "holds its own weights": (lambda f: f.load("m.h5", f.saved / "m.h5", f.saved / "m.weights.h5"), both),
    "{str(path)!r}: {error}": (lambda f: f.archive(put(VALUES, None)), whole(".keras")),
    "must be the path of a file": (lambda f: load_model(3), whole(".keras")),
    "not a file. In the Keras": (lambda f: load_model(f.folder), whole(".h5")),
    "there is no file": (lambda f: load_model(f.saved / "n.h5"), lambda f: load_model(f.saved / "m.h5")),
    "ends in {path.suffix!r}": (lambda f: f.load("m.onnx", "x"), whole(".keras")),
    "is empty (0 bytes)": (lambda f: f.load("m.keras", ""), whole(".keras")),
    "which its name does not say": (lambda f: f.load("m.h5", f.saved / "m.keras"), whole(".keras")),
    "is {what}. {_KNOWN}": (lambda f: f.load("m.h5", "nothing of the kind"), whole(".h5")),
    "{what} is not the JSON": (lambda f: f.load("m.json", "[1, 2]", f.saved / "m.h5"), both),
    "is not valid JSON": (lambda f: f.load("m.json", '{"a": ', f.saved / "m.h5"), both),
    "the archive is truncated": (
        lambda f: f.load("m.keras", (f.saved / "m.keras").read_bytes()[:-40]),
        whole(".keras"),
    ),
    "the archive has no": (lambda f: f.archive(**{"config.json": None}), Files.archive),
    "holds no Keras model (no attribute": (
        lambda f: load_model(f.hdf5(lambda file: [file.pop("model_weights"), file.attrs.pop("model_config")])),
        whole(".h5"),
    ),
    "it holds a model but no weights": (
        lambda f: load_model(f.hdf5(lambda file: file.pop("model_weights"))),
        whole(".h5"),
    ),
    "it holds weights but no model": (lambda f: load_model(f.saved / "m.weights.h5"), both),
    "a .json file holds no weights": (lambda f: load_model(f.saved / "m.json"), both),
    "must be an HDF5 file": (lambda f: load_model(f.saved / "m.json", f.saved / "m.keras"), both),
    "it is not text in UTF-8": (lambda f: f.load("m.json", b'{"\xff', f.saved / "m.h5"), both),
    "cannot be read ({header['because']})": (broken_checksum, OLD),
    "it cannot be opened as HDF5": (lambda f: f.load("m.h5", (f.saved / "m.h5").read_bytes()[:3000]), whole(".h5")),
    "Theano backend": (
        lambda f: f.legacy_file(lambda group: group.attrs.update(backend=b"theano")),
        lambda f: f.legacy_file(lambda group: group.attrs.update(backend=b"tensorflow")),
    ),
    "no weights for the layers": (lambda f: f.legacy(lambda weights: weights.pop("dense_1")), OLD),
    "matrices of LoRA apart": (with_lora(".h5"), with_lora(".keras")),
    "has no group 'layers'": (
        lambda f: load_model(f.saved / "m.json", f.hdf5(lambda file: file.move("layers", "x"), source="m.weights.h5")),
        both,
    ),
    "the file has no weights for it": (shared_layer(".keras"), shared_layer(".h5")),
    "it has weights for {extra}": (lambda f: f.pair(keras.Sequential([keras.Input((3,)), L.ReLU()])), both),
    "has the layers in the order": (lambda f: f.pair(_dense("ba"), "m.h5"), lambda f: f.pair(_dense("ab"), "m.h5")),
    "values that are NaN or infinite": (weights_of_a_layer(bias=np.array([0, np.nan, np.inf], "f4")), OLD),
    "weights, the file has": (lambda f: f.archive(put(VALUES, None)), Files.archive),
    "has the shape {value.shape}": (lambda f: f.archive(put(VALUES, np.ones(7, "f4"))), Files.archive),
    "is stored as": (weights_of_a_layer(bias=np.zeros(3, int)), OLD),
    "{header['refused']}": (lambda f: f.legacy_file(put(BIAS, h5py.ExternalLink("other.h5", "x"))), OLD),
    "did not get through it": (without_time, whole(".h5")),
    "must hold arrays with numbers as names": (
        lambda f: f.archive(lambda file: file["layers/dense/vars"].move("1", "bias")),
        Files.archive,
    ),
    "the archive holds {name!r}": (twice_in_archive, Files.archive),
    "is compressed in a way": (lambda f: f.archive(method=zipfile.ZIP_BZIP2), Files.archive),
    "and the file holds {shown_bytes": (much_larger_than_its_weights, lambda f: f.pair(_dense())),
    "The file has no {path!r}": (lambda f: f.legacy_file(put(BIAS, None)), OLD),
    "is not {what}: the file": (
        lambda f: f.legacy_file(lambda group: [put(BIAS, None)(group), group.create_group(BIAS)]),
        OLD,
    ),
    "has no {name!r}: it is damaged": (
        lambda f: f.legacy_file(lambda group: group["dense_1"].attrs.pop("weight_names")),
        OLD,
    ),
}


def test_every_refusal_has_an_input():
    check_table(MODULES, REFUSALS)


@pytest.fixture
def files(saved, tmp_path):
    return Files(saved, tmp_path)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("words", REFUSALS)
def test_refused_and_its_advice(words, files):
    trigger, advice = REFUSALS[words]
    message = check_refusal(MODULES, words, lambda: trigger(files))
    assert message.startswith("load_model: ")
    assert isinstance(advice(files), keras.Model)


def refused(match, *arguments, **keywords):
    with pytest.raises(ModelFileError, match=match) as caught:
        load_model(*arguments, **keywords)
    assert isinstance(caught.value, ValueError)
    assert "load_model" in str(caught.value)


def test_the_nearest_file_is_named(tmp_path):
    write_legacy_model(tmp_path / "digits.h5")
    refused("Did you mean 'digits.h5'", tmp_path / "digit.h5")
    refused("no file", tmp_path / "nowhere" / "m.keras")


def test_pickle_is_not_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    (tmp_path / "m.h5").write_bytes(pickle.dumps(Bomb()))
    refused("pickle", tmp_path / "m.h5")
    assert not (tmp_path / "executed").exists()


def test_a_saved_model_directory(tmp_path):
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    refused("SavedModel", tmp_path)


@pytest.mark.parametrize("name", ["m.keras", "m.h5"])
def test_truncated(saved, tmp_path, name):
    data = (saved / name).read_bytes()
    for share in (0.02, 0.5, 0.99):
        (tmp_path / name).write_bytes(data[: int(share * len(data))])
        refused("truncated or damaged", tmp_path / name)


def test_weights_without_a_model_of_keras_2(tmp_path):
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_legacy_weights(file, ["conv2d_1"], legacy_weights())
    refused("weights but no model", tmp_path / "w.h5")


@pytest.mark.parametrize("link", [h5py.ExternalLink("whole.h5", "/model_weights"), h5py.SoftLink("/elsewhere")])
def test_a_group_that_is_a_link_is_refused(tmp_path, link):
    write_legacy_model(tmp_path / "whole.h5")
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        file.move("model_weights", "elsewhere")
        file["model_weights"] = link
    refused("'model_weights' is a link to another place", path)


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

    def saved_as(class_name, **arguments):
        config = legacy_config()
        entry = next(entry for entry in config["layers"] if entry["name"] == "leaky_1")
        entry |= {"class_name": class_name, "config": {"name": "leaky_1", "trainable": True, **arguments}}
        return write_legacy_model(tmp_path / "m.h5", config)

    bs.register_layer(Swirl, lambda layer, shape: "identity")
    load_model(saved_as("Swirl", turns=[1, 2]))
    assert seen == [(1, 2)]
    code = {"class_name": "function", "module": "os", "config": "getcwd", "registered_name": "function"}
    refused("'leaky_1'.*Swirl.*unexpected object", saved_as("Swirl", turns=code))
    refused("'leaky_1'.*Swirl.*depth=3 .*no counterpart", saved_as("Swirl", depth=3))
    assert seen == [(1, 2)]
    bs.register_layer(keras.layers.Lambda, lambda layer, shape: "identity")
    refused("'leaky_1'.*'Lambda'", saved_as("Lambda", function=["4wEAAAA=", None, None]))


def test_unknown_asn_arguments_are_reported(tmp_path):
    config = legacy_config()
    next(entry for entry in config["layers"] if entry["name"] == "asn_transfer_1")["config"]["h"] = 0.5
    with pytest.warns(UserWarning, match="'asn_transfer_1'.*h"):
        load_model(write_legacy_model(tmp_path / "m.h5", config))
