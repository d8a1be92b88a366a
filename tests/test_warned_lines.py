"""Warnings are about the line of the user's program, whatever lies between."""

import ast
import warnings
from pathlib import Path

import keras
import numpy as np
import pytest

import brainsnn as bs

PACKAGE = Path(bs.__file__).parent
IMAGES = np.random.default_rng(0).random((2, 6, 6, 1))
EIGHT_BIT = 254.3 * IMAGES / IMAGES.max()


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((6, 6, 1), name="pixels")
    x = keras.layers.Conv2D(2, 3, activation="relu", use_bias=False, name="conv")(inputs)
    outputs = keras.layers.Dense(3, name="classes")(keras.layers.Flatten()(x))
    return keras.Model(inputs, outputs)


@pytest.fixture(scope="module")
def calibrated(model):
    return bs.calibrate(model, IMAGES)


def renamed(model, folder):
    """Return files of a model and of the weights of one whose layers have other names."""
    other = keras.models.clone_model(model, clone_function=lambda layer: _renamed_layer(layer))
    other.save(folder / "other.h5")
    (folder / "model.json").write_text(model.to_json())
    return {"path": folder / "model.json", "weights": folder / "other.h5"}


def _renamed_layer(layer):
    config = layer.get_config()
    return type(layer).from_config({**config, "name": f"{config['name']}_2"})


def with_unknown_argument(folder):
    """Return the file of a model whose ASNTransfer layer has an argument that brainsnn does not know."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2), bs.training.ASNTransfer(name="asn")])
    path = folder / "unknown.json"
    path.write_text(model.to_json().replace('"m_f"', '"flavour": "sweet", "m_f"'))
    model.save_weights(folder / "unknown.weights.h5")
    return {"path": path, "weights": folder / "unknown.weights.h5"}


# Each function has the line that a warning must name, which ends with its comment.
def run_of_8_bit_images(model, calibrated, folder):
    snn = bs.convert(calibrated, bs.IF())
    snn.run(EIGHT_BIT, 3 * bs.ms)  # here


def calibrate_with_8_bit_images(model, calibrated, folder):
    bs.calibrate(model, EIGHT_BIT)  # here


def calibrate_by_spikes_with_8_bit_images(model, calibrated, folder):
    bs.calibrate(model, EIGHT_BIT, method="balance")  # here


def calibrate_with_images_that_excite_nothing(model, calibrated, folder):
    bs.calibrate(model, np.zeros((1, 6, 6, 1)))  # here


def convert_an_uncalibrated_network(model, calibrated, folder):
    bs.convert(model)  # here


def convert_with_silent_neurons(model, calibrated, folder):
    bs.convert(calibrated, bs.LIF())  # here


def set_a_constant_of_a_synapse(model, calibrated, folder):
    snn = bs.convert(calibrated)
    snn.set_parameters("classes", tau_beta=20 * bs.ms)  # here


def assign_what_the_run_sets(model, calibrated, folder):
    snn = bs.convert(calibrated)
    snn["conv"].t_on = 1 * bs.ms
    snn.run(IMAGES, 3 * bs.ms)  # here


def write_soft_resets(model, calibrated, folder):
    bs.convert(calibrated, bs.IF()).to_nir(folder / "net.nir")  # here


def give_a_relative_cache(model, calibrated, folder):
    bs.cache_directory()  # here


def load_weights_of_other_names(model, calibrated, folder):
    files = renamed(model, folder)
    bs.load_model(**files)  # here


def load_an_unknown_argument(model, calibrated, folder):
    files = with_unknown_argument(folder)
    bs.load_model(**files)  # here


CASES = [
    run_of_8_bit_images, calibrate_with_8_bit_images, calibrate_by_spikes_with_8_bit_images,
    calibrate_with_images_that_excite_nothing,
    convert_an_uncalibrated_network, convert_with_silent_neurons, set_a_constant_of_a_synapse, assign_what_the_run_sets,
    write_soft_resets, give_a_relative_cache, load_weights_of_other_names, load_an_unknown_argument,
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=[case.__name__ for case in CASES])
def test_a_warning_names_the_line_of_the_caller(case, model, calibrated, tmp_path, monkeypatch):
    if case is give_a_relative_cache:
        monkeypatch.setenv("BRAINSNN_CACHE", "here")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        case(model, calibrated, tmp_path)
    ours = [entry for entry in caught if hasattr(entry.message, "problem")]
    assert ours, [str(entry.message) for entry in caught]
    lines = Path(__file__).read_text().splitlines()
    for entry in ours:
        assert entry.filename == __file__ and lines[entry.lineno - 1].endswith("# here"), (entry.filename, entry.lineno)
        assert str(entry.message).startswith(entry.message.problem)
        assert entry.message.fix is None or str(entry.message).endswith(entry.message.fix)


def test_all_warnings_of_the_package_are_made_in_one_place():
    calls = [
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "warnings.warn"
    ]
    assert calls == ["errors.py"]
