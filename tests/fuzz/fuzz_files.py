"""Damaged model files: each loads as what it holds, or is refused by an error that names it, in limited time and memory."""

import json
import shutil
import tempfile
from functools import cache
from pathlib import Path

import h5py
import numpy as np
from damage import NOTES, damaged_bytes, damaged_hdf5, damaged_json, damaged_zip
from guarded import Guard, own_folder
from random_layers import Dice

__all__ = ["case", "load_values", "load_values_by_keras"]

#: What is damaged, for each format.
LEVELS = {
    ".keras": ("bytes", "archive", "values", "objects"),
    ".h5": ("bytes", "objects", "values"),
    ".h5 of Keras 2": ("bytes", "objects", "values"),
    "json + .weights.h5": ("bytes", "objects", "values"),
    "json of Keras 2 + weights": ("bytes", "objects", "values"),
}
ours, keras_own = Guard("fuzz_files:load_values"), Guard("fuzz_files:load_values_by_keras")


def case(draw, check):
    """Damage a file of one of three models in one format, and load it."""
    dice = Dice(draw)
    name = dice.pick(*LEVELS)
    level, number = dice.pick(*LEVELS[name]), dice.whole(0, 2)
    files, images, expected = original(number, name)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        paths = [folder / Path(path).name for path in files]
        for path, source in zip(paths, files, strict=True):
            shutil.copy(source, path)
        if not damage(paths, level, dice):
            return
        known = number if level != "values" and "Keras 2" in name else None
        check(f"{level} of {name}", lambda: check_loaded(folder, paths, images, expected, known))


def check_loaded(folder, paths, images, expected, known=None):
    """
    Check what came of loading damaged files: the same values, those that Keras reads in them, or a refusal.

    Keras itself cannot read all that Keras 2 wrote; ``known`` is then the number of the model, whose weights it can read.
    """
    names, images = [str(path) for path in paths], [image.tolist() for image in images]
    found = ours(folder, paths=names, images=images)
    assert found.kind != "raw", found.message
    if found.kind == "refused":
        assert any(name in found.message for name in names), f"names no file: {found.message}"
        refuse(found.message)
    if same(found.value, expected):
        return
    other = keras_own(folder, paths=names, images=images)
    if other.kind != "value" and known is not None:
        other = keras_own(folder, paths=names, images=images, known=known)
    assert other.kind == "value", f"other values, and Keras cannot load it: {other.message}\n{NOTES}"
    assert same(found.value, other.value), (
        f"other values than saved, and than Keras reads:\n{found.value}\n{other.value}"
    )


def same(found, expected):
    """Return whether two models give the same outputs, up to rounding."""
    return len(found) == len(expected) and all(
        np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-4, atol=1e-5, equal_nan=True)
        for a, b in zip(found, expected, strict=True)
    )


def refuse(message):
    """Raise what the guarded process was refused with, as an error of the package would be."""
    from fuzzing import Refusal

    raise Refusal(message)


def damage(paths, level, dice):
    """Damage the files of a model; return whether it could be done."""
    first, last = paths[0], paths[-1]
    if level == "bytes":
        path = dice.pick(*paths)
        path.write_bytes(damaged_bytes(path.read_bytes(), dice))
    elif level == "objects" and last.suffix == ".keras":
        damaged_zip(last, _Only(dice), {"model.weights.h5": _hdf5_bytes})
    elif level == "objects":
        damaged_hdf5(last, dice)
    elif level == "archive":
        damaged_zip(first, dice, {"config.json": damaged_bytes, "model.weights.h5": damaged_bytes})
    elif first.suffix == ".json":
        first.write_bytes(damaged_json(first.read_text(), dice))
    elif first.suffix == ".keras":
        damaged_zip(first, _Only(dice), {"config.json": damaged_json})
    else:
        with h5py.File(first, "a") as file:
            text = damaged_json(file.attrs["model_config"], dice).decode("utf-8", "surrogatepass")
            try:
                file.attrs["model_config"] = text
            except (ValueError, OSError):  # HDF5 has no such text, or no place for so much
                return False
    return True


class _Only:
    """Dice that choose the first action, to change what is inside of a member."""

    def __init__(self, dice):
        self.dice, self.is_first = dice, True

    def pick(self, *values):
        if self.is_first:
            self.is_first = False
            return values[0]
        return self.dice.pick(*values)

    def __getattr__(self, name):
        return getattr(self.dice, name)


def _hdf5_bytes(data, dice):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "w.h5"
        path.write_bytes(data)
        damaged_hdf5(path, dice)
        return path.read_bytes()


# --- the models ---


@cache
def original(number, name):
    """Return the files of a model in one format, images, and the outputs of the model."""
    from model_formats import save

    folder = own_folder(f"model {number} {name}")
    model, images = models()[number]
    path, weights, _ = save(model, name, folder)
    outputs = model(images if len(images) > 1 else images[0], training=False)
    outputs = outputs if isinstance(outputs, list | tuple) else [outputs]
    return [path] if weights is None else [path, weights], images, [np.asarray(value).tolist() for value in outputs]


@cache
def models():
    """Return three small models with images: a chain, a residual graph with batch norm, and nested ones with two outputs."""
    from model_formats import keras

    from brainsnn.training import ASNTransfer

    L, rng = keras.layers, np.random.default_rng(0)
    pixels = keras.Input((6, 6, 2))
    chain = keras.Sequential([
        keras.Input((6, 6, 2)), L.Conv2D(3, 3, padding="same", activation="relu", name="first conv"), L.MaxPooling2D(),
        L.Flatten(), L.Dense(4, activation="softmax"),
    ])  # fmt: skip
    x = L.ReLU()(L.BatchNormalization()(L.Conv2D(4, 3, strides=2, padding="same", use_bias=False)(pixels)))
    y = L.Add()([ASNTransfer(0.1)(L.DepthwiseConv2D(3, padding="same")(x)), x])
    residual = keras.Model(pixels, L.Dense(3)(L.GlobalAveragePooling2D()(y)))
    part = keras.Sequential(
        [keras.Input((6, 6, 2)), L.AveragePooling2D(2), L.Conv2D(3, 1, activation="relu")], name="part"
    )
    z = part(L.ZeroPadding2D(((0, 0), (0, 0)))(pixels))
    nested = keras.Model(pixels, [L.Dense(2)(L.Flatten()(z)), L.UpSampling2D()(z)])
    for model in (chain, residual, nested):
        model.set_weights(
            [rng.uniform(0.1, 1, w.shape) * rng.choice([1, 1, -0.5], w.shape) for w in model.get_weights()]
        )
        for layer in model.layers:
            if isinstance(layer, L.BatchNormalization):
                layer.moving_variance.assign(rng.uniform(0.5, 1, layer.moving_variance.shape))
    return [(model, [rng.uniform(0, 1, (2, 6, 6, 2)).astype("float32")]) for model in (chain, residual, nested)]


# --- in the guarded processes ---


def _outputs(model, images):
    images = [np.asarray(image, "float32") for image in images]
    found = model(images if len(images) > 1 else images[0], training=False)
    found = found if isinstance(found, list | tuple) else [found]
    return [np.asarray(value).tolist() for value in found]


def load_values(folder, paths, images):
    """Load a model with brainsnn and return its outputs; [] where the model no longer fits to the images."""
    import warnings

    from brainsnn.training import load_model

    warnings.simplefilter("ignore")
    model = load_model(*paths)
    return _answer(model, images)


def load_values_by_keras(folder, paths, images, known=None):
    """Load a model with Keras, or weights into a known one, and return its outputs."""
    import keras

    from brainsnn.training import ASNTransfer

    path, *weights = paths
    with keras.saving.custom_object_scope({"ASNTransfer": ASNTransfer}):
        if known is not None:
            model = models()[known][0]
        elif weights:
            model = keras.models.model_from_json(Path(path).read_text())
        else:
            return _answer(keras.models.load_model(path, compile=False), images)
    model.load_weights(weights[0] if weights else path)
    return _answer(model, images)


def _answer(model, images):
    try:
        return _outputs(model, images)
    except Exception:  # a model with another input: what it is, is in its configuration
        config = json.dumps(
            [(layer.name, str(getattr(layer.input, "shape", ""))) for layer in model.layers if layer.weights]
        )
        return [[sum(map(ord, config))], *(np.asarray(w).ravel().tolist() for w in model.weights)]
