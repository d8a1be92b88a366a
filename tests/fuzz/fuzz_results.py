"""Damaged results, saved in files and streamed to folders: each is read as it was, or refused by an error that names it."""

import json
import shutil
import tempfile
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
from damage import damaged_bytes, damaged_json, damaged_zip, replaced_file
from fuzzing import Refusal
from guarded import Guard, own_folder
from random_layers import Dice

__all__ = ["case", "read"]

reader = Guard("fuzz_results:read")
#: Files of a streamed result that hold nothing but numbers, without a checksum.
NUMBERS = ("c.", ".npy", ".neurons", ".steps")


def case(draw, check):
    """Damage a result in a file or in a folder, and read it."""
    dice = Dice(draw)
    kind = dice.pick("file", "folder")
    level = (
        dice.pick("bytes", "archive", "values") if kind == "file" else dice.pick("bytes", "values", "files", "arrays")
    )
    source, expected = originals()[kind]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / source.name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, path)
        changed = _damage_file(path, level, dice) if kind == "file" else _damage_folder(path, level, dice)
        check(f"{level} of a {kind}", lambda: check_read(Path(folder), path, expected, changed))


def check_read(folder, path, expected, changed):
    """
    Check what is read.

    Parameters
    ----------
    folder, path : Path
    expected : dict
        What was read before the damage.
    changed : int or None
        How many numbers may differ, if the damage is in numbers that have no checksum; None if what is written now is
        valid, so that all values may differ.
    """
    found = reader(folder, path=str(path))
    assert found.kind != "raw", found.message
    if found.kind == "refused":
        assert str(path) in found.message, f"names no file: {found.message}"
        raise Refusal(found.message)
    if changed is not None:
        n = _differing(found.value, expected)
        # A number is told in several places: outputs, spikes, rasters, counts, rates.
        assert n <= 6 * changed, f"{n} values differ, {changed} numbers changed: {_paths(found.value, expected)}"


def _differing(found, expected):
    """Return how many values differ; infinity where the forms do."""
    if isinstance(expected, dict) and isinstance(found, dict):
        if found.keys() != expected.keys():
            return float("inf")
        return sum(_differing(found[key], expected[key]) for key in expected)
    if isinstance(expected, list) and isinstance(found, list):
        if len(found) != len(expected):
            return float("inf")
        return sum(_differing(a, b) for a, b in zip(found, expected, strict=True))
    return int(not (found == expected or (found != found and expected != expected)))


def _paths(found, expected):
    """Return which parts differ."""
    return [key for key in expected if _differing(found.get(key), expected[key])]


def _damage_file(path, level, dice):
    if level == "bytes":
        path.write_bytes(damaged_bytes(path.read_bytes(), dice))
        return 0
    if level == "archive":
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        damaged_zip(path, dice, dict.fromkeys(names, damaged_bytes))
        return None
    _rewrite(path, dice)
    return None


def _rewrite(path, dice):
    """Write a file of arrays again with one that is removed, added, or of another form."""
    with np.load(path) as data:
        arrays = {name: data[name] for name in data.files}
    name = sorted(arrays)[dice.whole(0, len(arrays) - 1)]
    value = arrays.pop(name)
    action = dice.pick("remove", "rename", "form", "type", "value", "text", "description")
    if action == "rename":
        arrays[dice.pick("x", "count/x", "state/x", "state/a\tb", f"{name}x", "shape/", "spikes_n/x")] = value
    elif action == "form":
        arrays[name] = dice.pick(
            value[None], value.reshape(-1)[:-1], value.reshape(-1), np.zeros(0), np.zeros((2, 2, 2))
        )
    elif action == "type":
        arrays[name] = dice.pick(
            value.astype("U"), np.zeros(value.shape, "c8"), np.zeros(value.shape, "?"), np.zeros(value.shape, "S3")
        )
    elif action == "value" and value.dtype.kind in "iuf" and value.size:
        value = value.astype("f8") if dice.chance(2) else value.copy()
        extremes = (np.nan, np.inf, -1.0) if value.dtype.kind == "f" else (-1, 10**6, 0)
        value.reshape(-1)[dice.whole(0, value.size - 1)] = dice.pick(*extremes)
        arrays[name] = value
    elif action == "text":
        arrays[name] = np.array(dice.pick("", "{}", "x", "[1]", "null"))
    elif action == "description" and "about" in arrays:
        arrays[name] = value
        arrays["about"] = np.array(damaged_json(str(arrays["about"]), dice).decode("utf-8", "replace"))
    np.savez_compressed(path, **arrays)


def _damage_folder(path, level, dice):
    files = sorted(file for file in path.rglob("*") if file.is_file())
    file = files[dice.whole(0, len(files) - 1)]
    if level == "bytes":
        before = file.read_bytes()
        after = damaged_bytes(before, dice)
        file.write_bytes(after)
        is_number = file.name.startswith(NUMBERS[0]) or file.name.endswith(NUMBERS[1:])
        if file.suffix == ".json" and len(before) == len(after):
            return 1  # a letter of a text, which has no checksum either
        if not is_number or len(before) != len(after):
            return 0
        return sum(a != b for a, b in zip(before, after, strict=True))
    if level == "values":
        file = dice.pick(*[f for f in files if f.suffix == ".json"])
        file.write_bytes(damaged_json(file.read_text(), dice))
        _tell_sizes(path, dice)
        return None
    if level == "arrays":
        _rewrite(path / "arrays.npz", dice)
        _tell_sizes(path, dice)
        return None
    action = dice.pick("remove", "empty", "folder", "link", "other", "extra")
    if action == "extra":
        (file.parent / ".zarray").write_text(json.dumps({"zarr_format": 2, "filters": [{"id": "pickle"}]}))
        return 0
    replaced_file(file, action)
    if action == "other":
        shutil.copy(dice.pick(*[f for f in files if f.exists()]), file)
    return 0


def _tell_sizes(path, dice):
    """Let the description agree with the sizes of the files, as one who damages a folder on purpose would."""
    if dice.chance(3):
        return
    description = path / "result.json"
    try:
        about = json.loads(description.read_text())
        for name in about["files"]:
            about["files"][name] = (path / name).stat().st_size
        description.write_text(json.dumps(about))
    except (ValueError, KeyError, TypeError, OSError):
        pass


@cache
def originals():
    """Return {kind: (path, what is read there)} of a small result with spikes, states, two readouts, labels and a description."""
    import keras

    import brainsnn as bs

    folder = own_folder("results")
    L = keras.layers
    keras.utils.set_random_seed(0)
    pixels = keras.Input((4, 4, 1), name="pixels")
    x = L.ReLU(name="conv")(L.Conv2D(2, 3, padding="same")(pixels))
    model = keras.Model(pixels, [L.Dense(2, name="one")(L.Flatten()(x)), L.Dense(3, name="two")(L.Flatten()(x))])
    record = {"conv": ["S", "spikes"]}
    images = np.random.default_rng(0).uniform(0, 1, (3, 4, 4, 1))
    snn = bs.convert(model, record=record, device="runtime")
    snn.run(images, 8 * bs.ms).save(folder / "result.npz", labels=[0, 1, 1])
    snn.run(images, 8 * bs.ms, stream_to=folder / "stream")
    paths = {"file": folder / "result.npz", "folder": folder / "stream"}
    return {kind: (path, read(folder, str(path))) for kind, path in paths.items()}


def read(folder, path):
    """Read a result and return all that it tells."""
    import brainsnn as bs

    result = bs.Result.load(path)
    found = {
        "facts": [repr(result), result.dt, result.n_steps, result.n_images], "rates": result.firing_rates,
        "mean": result.mean_firing_rate, "outputs": result.outputs, "output": result.output, "counts": result.spike_counts,
        "recorded": result.recorded, "shapes": result.shapes, "aliases": result.aliases, "labels": result.labels,
        "settings": result.settings, "models": {name: str(model) for name, model in result.models.items()},
        "spikes": {name: [trains[k] for k in range(len(trains))] for name, trains in result.spikes.items()},
        "states": {name: {key: np.asarray(v) for key, v in kinds.items()} for name, kinds in result.states.items()},
        "rasters": {name: result.raster(name) for name in result.spikes},
        "times": result.times,
    }  # fmt: skip
    return _plain(found)


def _plain(value):
    if isinstance(value, dict) or hasattr(value, "keys"):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.ndarray | np.generic):
        return [str(value.dtype), *np.shape(value), value.tolist()] if np.ndim(value) else value.tolist()
    return value
