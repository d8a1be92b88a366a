"""Train a model epoch by epoch, with a log and checkpoints from which an interrupted training goes on."""

import json
import math
import sys
import time
from pathlib import Path

from brainsnn.files import atomic_path, write_atomically
from brainsnn.training.checkpoints import refuse_changes

__all__ = ["best_epoch", "fit_resumably"]

LOG = "log.json"


def best_epoch(history, monitor):
    """
    Return the number of the best epoch, from 1; the first of equal ones. NaN is worse than any number.

    Parameters
    ----------
    history : list of dict
        Loss and metrics of each epoch.
    monitor : {"val_accuracy", "val_loss"}
        The largest accuracy is best, or the smallest loss.

    Returns
    -------
    number : int

    Examples
    --------
    >>> from brainsnn.training.epochs import best_epoch
    >>> best_epoch([{"val_loss": float("nan")}, {"val_loss": 2.0}, {"val_loss": 3.0}], "val_loss")
    2
    """
    sign = -1 if monitor == "val_loss" else 1
    values = [-math.inf if math.isnan(row[monitor]) else sign * row[monitor] for row in history]
    return 1 + values.index(max(values))


def fit_resumably(model, training, validation, epochs, folder, settings, monitor, keep, report, before_epoch=None):
    """
    Train a compiled model; a training that was interrupted goes on after its last whole epoch.

    Parameters
    ----------
    model : keras.Model
    training, validation : `~brainsnn.training.photographs.Pictures`
    epochs : int
    folder : path-like
        For weights and log.
    settings : dict
        What the training depends on, for the check that the folder belongs to it.
    monitor : {"val_accuracy", "val_loss"}
        By which the best epoch is chosen: the largest accuracy, or the smallest loss.
    keep : {"best", "last"}
        The epoch whose weights the model has at the end.
    report : callable
        Called with one line of text per epoch.
    before_epoch : callable, optional
        Called with the history before each epoch.

    Returns
    -------
    history : list of dict
        Loss and metrics of each epoch.

    Raises
    ------
    ValueError
        If the folder holds another training, or lacks the weights of an epoch in its log.
    """
    folder = Path(folder)
    history, settings = _read_log(folder, settings)
    model.optimizer.build(model.trainable_variables)
    if history:
        model.load_weights(_weights(folder, len(history)))
        report(f"going on after epoch {len(history)}")
    for epoch in range(len(history), epochs):
        start, training.epoch = time.perf_counter(), epoch
        if before_epoch:
            before_epoch(history)
        fitted = model.fit(training, validation_data=validation, shuffle=False, verbose=int(sys.stdout.isatty()))
        history.append({name: float(values[0]) for name, values in fitted.history.items()})
        with atomic_path(_weights(folder, epoch + 1), suffix=".weights.h5") as part:
            model.save_weights(part)
        with write_atomically(folder / LOG) as file:  # it names the weights by their epoch, so both agree
            file.write(json.dumps({"settings": settings, "history": history}, indent=1).encode())
        needed = {_weights(folder, number) for number in (best_epoch(history, monitor), epoch + 1)}
        for path in {*folder.glob("epoch*.weights.h5")} - needed:
            path.unlink()
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in history[-1].items())
        report(f"epoch {epoch + 1}/{epochs}  {numbers}  {time.perf_counter() - start:.0f} s")
    model.load_weights(_weights(folder, best_epoch(history, monitor) if keep == "best" else len(history)))
    return history


def _weights(folder, number):
    """Return the file of the weights after an epoch."""
    return folder / f"epoch{number}.weights.h5"


def _read_log(folder, settings):
    """Return the history so far, and the settings as the log stores them."""
    settings = json.loads(json.dumps(settings))
    if not (folder / LOG).is_file():
        return [], settings
    log = json.loads((folder / LOG).read_text())
    refuse_changes(folder, log["settings"], settings)
    last = _weights(folder, len(log["history"]))
    if not last.is_file():
        raise ValueError(
            f"train_resnet: {last} is missing, the weights of the last epoch in {LOG}. Remove the whole folder to start "
            "again, or give another one with --checkpoints."
        )
    return log["history"], settings
