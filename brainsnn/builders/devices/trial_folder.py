"""The folder of a compiled program: what changes from trial to trial, as files that the program reads."""

from shutil import rmtree

import numpy as np

__all__ = ["write_trial_folder"]


def write_trial_folder(folder, trials, indices, fill):
    """
    Write the files that a compiled program reads to run some trials.

    Parameters
    ----------
    folder : `~pathlib.Path`
        Replaced if it exists.
    trials : `~brainsnn.builders.trials.trials.Trials`
        With groups under their names in Brian2.
    indices : range
        The trials of this program.
    fill : callable
        ``fill(group name, variable name, values)`` returns the whole array of the variable.
    """
    rmtree(folder, ignore_errors=True)
    (folder / "results").mkdir(parents=True)
    per_trial = trials.per_trial
    shared = {key: array for key, array in trials.shared.items() if key not in per_trial}
    counts = f"{indices[0]} {len(indices)} {trials.n_steps} {trials.chunk_steps}"
    lines = [f"{counts} {trials.dt!r} {len(shared)} {len(per_trial)}"]
    for k, ((group, variable), array) in enumerate(shared.items()):
        lines.append(f"{group}.{variable} shared_{k}")
        with open(folder / f"shared_{k}", "wb") as file:
            _write(file, fill(group, variable, array))
    for k, ((group, variable), of_trial) in enumerate(per_trial.items()):
        lines.append(f"{group}.{variable} trial_{k}")
        with open(folder / f"trial_{k}", "wb") as file:
            for trial in indices:
                _write(file, fill(group, variable, of_trial(trial)))
    for name, train in trials.trains.items():
        with open(folder / f"{name}.train", "wb") as file:
            for trial in indices:
                signs = np.asarray(train(trial), dtype=np.int8)
                # No spikes after the end of the train.
                _write(file, np.pad(signs, [(0, trials.n_steps - len(signs)), (0, 0)]))
    (folder / "manifest.txt").write_text("\n".join(lines) + "\n")
    (folder / "seeds.txt").write_text("\n".join(str(trials.seed_of(trial)) for trial in indices) + "\n")


def _write(file, array):
    """Write an array; unlike ``array.tofile(file)``, which does not say why it failed."""
    file.write(np.ascontiguousarray(array).tobytes())
