"""Train a model epoch by epoch, with a log and checkpoints from which an interrupted training goes on."""

import json
import sys
import time
from pathlib import Path

from brainsnn.files import atomic_path, write_atomically

__all__ = ["fit_resumably"]

LAST, BEST, LOG = "last.weights.h5", "best.weights.h5", "log.json"


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
        If the folder holds another training.
    """
    folder, sign = Path(folder), -1 if monitor == "val_loss" else 1
    history, settings = _read_log(folder, settings)
    model.optimizer.build(model.trainable_variables)
    if history:
        model.load_weights(folder / LAST)
        report(f"going on after epoch {len(history)}")
    for epoch in range(len(history), epochs):
        start, training.epoch = time.perf_counter(), epoch
        if before_epoch:
            before_epoch(history)
        fitted = model.fit(training, validation_data=validation, shuffle=False, verbose=int(sys.stdout.isatty()))
        history.append({name: float(values[0]) for name, values in fitted.history.items()})
        names = [LAST, BEST] if history[-1] is max(history, key=lambda row: sign * row[monitor]) else [LAST]
        for name in names:
            with atomic_path(folder / name, suffix=".weights.h5") as part:
                model.save_weights(part)
        with write_atomically(folder / LOG) as file:  # last, so that the weights of a logged epoch exist
            file.write(json.dumps({"settings": settings, "history": history}, indent=1).encode())
        numbers = "  ".join(f"{name} {value:.4f}" for name, value in history[-1].items())
        report(f"epoch {epoch + 1}/{epochs}  {numbers}  {time.perf_counter() - start:.0f} s")
    model.load_weights(folder / (BEST if keep == "best" else LAST))
    return history


def _read_log(folder, settings):
    """Return the history so far, and the settings as the log stores them."""
    settings = json.loads(json.dumps(settings))
    if not (folder / LOG).is_file():
        return [], settings
    log = json.loads((folder / LOG).read_text())
    changed = sorted(k for k in {*log["settings"], *settings} if log["settings"].get(k) != settings.get(k))
    if changed:
        raise ValueError(
            f"train_resnet: {folder} holds a training with other settings ({', '.join(changed)}). Remove it, or give another "
            "folder with --checkpoints."
        )
    return log["history"], settings
