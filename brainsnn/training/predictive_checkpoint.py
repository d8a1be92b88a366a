"""The checkpoint of a training with predictive feedback: one file that holds weights, settings and log, so that all agree."""

import csv
import io
import json
from dataclasses import asdict

import numpy as np

from brainsnn.files import check_file, write_atomically
from brainsnn.training.checkpoints import refuse_changes
from brainsnn.training.predictive_recipe import Recipe

__all__ = ["read_checkpoint", "write_checkpoint"]

CHECKPOINT, LOG, ACCURACY = "checkpoint.npz", "log.csv", "ann_accuracy.json"


def read_checkpoint(folder, recipe, settings):
    """
    Return what `write_checkpoint` has written, if it is of the same training.

    Parameters
    ----------
    folder : `~pathlib.Path`
    recipe : `~brainsnn.training.predictive_recipe.Recipe`
    settings : dict
        What the training depends on besides the recipe, as JSON returns it.

    Returns
    -------
    state : dict or None
        None if the folder holds no checkpoint. Those of older versions know nothing of ``"settings"``.
    variables : list of ndarray

    Raises
    ------
    ValueError
        If the checkpoint is of another recipe or other settings, or a log has lost its checkpoint.
    """
    if not (folder / CHECKPOINT).exists():
        for name in (LOG, ACCURACY):  # written after the first checkpoint
            if (folder / name).exists():
                raise ValueError(
                    f"{folder} holds {name} of an earlier training, whose {CHECKPOINT} is missing. Remove the whole folder to "
                    "start again, or choose another one with --checkpoints."
                )
        return None, []
    check_file(folder / CHECKPOINT, "Training")
    with np.load(folder / CHECKPOINT, allow_pickle=False) as data:
        state = json.loads(str(data["state"]))
        # Checkpoints of older versions lack newer fields, whose defaults do what there was before them.
        before, now = asdict(Recipe()) | state["recipe"], asdict(recipe)
        if "settings" in state:
            before, now = before | state["settings"], now | settings
        refuse_changes(folder, before, now)
        if "settings" not in state:
            state |= _older_files(folder)
        return state, [data[f"variable_{k}"] for k in range(len(data.files) - 1)]


def _older_files(folder):
    """Return accuracy and log, which older versions wrote beside the checkpoint."""
    accuracy, log = folder / ACCURACY, folder / LOG
    return {
        "ann_accuracy": json.loads(accuracy.read_text()) if accuracy.exists() else None,
        "log": list(csv.DictReader(log.read_text().splitlines())) if log.exists() else [],
    }


def write_checkpoint(folder, state, variables):
    """
    Write a checkpoint, then a copy of its log for readers.

    Parameters
    ----------
    folder : `~pathlib.Path`
    state : dict
        With ``"log"``, a list of dict with equal keys.
    variables : list of ndarray
    """
    with write_atomically(folder / CHECKPOINT) as file:
        np.savez(file, state=json.dumps(state), **{f"variable_{k}": value for k, value in enumerate(variables)})
    if state["log"]:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, state["log"][0])
        writer.writeheader()
        writer.writerows(state["log"])
        with write_atomically(folder / LOG) as file:
            file.write(text.getvalue().encode())
