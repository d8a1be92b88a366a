"""Damaged folders of sweeps: run again, a sweep gives what an undamaged one gives, or an error that names the folder."""

import shutil
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
from damage import damaged_bytes, damaged_json, replaced_file
from fuzzing import Refusal
from guarded import Guard, own_folder
from random_layers import Dice

__all__ = ["case", "measure", "sweep_again"]

runner = Guard("fuzz_sweeps:sweep_again", pickles=True)


def case(draw, check):
    """Damage the folder of a finished or unfinished sweep, and run the sweep again."""
    dice = Dice(draw)
    source, expected = original()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sweep"
        shutil.copytree(source, path)
        if dice.chance(2):  # an unfinished one, which computes its data set again
            (path / "dataset.nc").unlink()
        level = damage(path, dice)
        check(level, lambda: check_again(Path(folder), path, expected))


def check_again(folder, path, expected):
    """Check what the sweep gives."""
    found = runner(folder, path=str(path))
    assert found.kind != "raw", found.message
    if found.kind == "refused":
        assert str(path) in found.message, f"names no file: {found.message}"
        raise Refusal(found.message)
    assert found.value == expected, f"{found.value} is not {expected}"


def damage(path, dice):
    """Damage one or two files, and return in which way."""
    level = dice.pick("bytes", "bytes", "units exchanged", "files", "values")
    for _ in range(dice.pick(1, 1, 2)):
        files = sorted(file for file in path.rglob("*") if file.is_file())
        file = files[dice.whole(0, len(files) - 1)]
        if level == "bytes":
            file.write_bytes(damaged_bytes(file.read_bytes(), dice))
        elif level == "values":
            texts = [f for f in files if f.suffix == ".json"]
            if texts:
                text = dice.pick(*texts)
                try:
                    text.write_bytes(damaged_json(text.read_text(), dice))
                except ValueError:  # it is damaged already
                    pass
        elif level == "units exchanged":
            units = sorted((path / "units").glob("*"))
            first, second = dice.pick(*units), dice.pick(*units)
            contents = first.read_bytes(), second.read_bytes()
            second.write_bytes(contents[0])
            first.write_bytes(contents[1])
        else:
            action = dice.pick("remove", "empty", "folder", "link", "extra", "read-only")
            if action == "extra":
                (file.parent / f"{file.name}.part").write_bytes(b"x")
                continue
            if action == "read-only":
                file.chmod(0o400)
                continue
            replaced_file(file, action)
    return level


@cache
def original():
    """Return the folder of a finished sweep, and its data."""
    folder = own_folder("sweep")
    return folder, sweep_again(folder, str(folder))


def measure(images, gain, kind, seed):
    """A little arithmetic."""
    values = images.sum(axis=(1, 2)) if kind == "sum" else images.max(axis=(1, 2))
    return {"value": gain * values, "seeds": np.asarray(seed, dtype=float), "bright": values > 1}


def sweep_again(folder, path):
    """Run the sweep, and return its data."""
    import brainsnn as bs

    images = np.random.default_rng(0).random((4, 3, 3))
    data = bs.sweep(
        measure,
        {"gain": [0.5, 2.0], "kind": ["sum", "peak"]},
        images,
        folder=path,
        chunk=2,
        seed=3,
        workers=1,
        progress=False,
    )
    with data:
        return {name: [list(v.dims), str(v.dtype), v.values.tolist()] for name, v in data.variables.items()}
