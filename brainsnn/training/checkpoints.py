"""Write checkpoints, and identify them by a hash of their weights."""

import hashlib

import numpy as np

from brainsnn.files import atomic_path, write_atomically
from brainsnn.training.keras_files import load_model

__all__ = ["copy_fitting_weights", "refuse_changes", "save", "weights_hash"]


def weights_hash(model):
    """
    Return the SHA-256 of all weights of a model, in order.

    Parameters
    ----------
    model : keras.Model
        Any built model.

    Returns
    -------
    digest : str
        64 hexadecimal digits. The file itself also holds the date, so a hash of the file would differ each time.
    """
    digest = hashlib.sha256()
    for value in model.get_weights():
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def copy_fitting_weights(model, path):
    """
    Copy the weights of a file into a model, where a layer has the same name and shapes.

    Parameters
    ----------
    model : keras.Model
        Changed in place.
    path : str or `~pathlib.Path`
        A ``.keras`` file.

    Returns
    -------
    copied, left : list of str
        Layers whose weights were copied, and those that keep theirs.

    Raises
    ------
    ValueError
        If no layer fits.
    """
    source = {layer.name: layer.get_weights() for layer in load_model(path).layers if layer.weights}
    copied, left = [], []
    for layer in model.layers:
        if layer.weights:
            own, found = layer.get_weights(), source.get(layer.name, [])
            fits = [w.shape for w in own] == [w.shape for w in found]
            (copied if fits else left).append(layer.name)
            if fits:
                layer.set_weights(found)
    if not copied:
        shown = ", ".join(source) or "none"
        raise ValueError(
            f"{path}: no layer has the name and shape of one of {model.name!r}; its layers with weights: {shown}."
        )
    return copied, left


def refuse_changes(folder, before, now):
    """
    Refuse to go on with a training that was begun with other settings.

    Parameters
    ----------
    folder : path-like
        Of the checkpoints, for the message.
    before, now : dict
        Settings by name, as JSON returns them.

    Raises
    ------
    ValueError
        The message names each setting that differs, both values and the fix.
    """
    changed = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    if changed:
        shown = "; ".join(f"{name}: {before.get(name)!r} there, {now.get(name)!r} now" for name in changed)
        raise ValueError(
            f"{folder} holds a training with other settings ({shown}). Give the settings of that training, choose another folder "
            "with --checkpoints, or remove the whole folder to start again."
        )


def save(model, out, card):
    """
    Write a checkpoint, then its card beside it.

    Parameters
    ----------
    model : keras.Model
    out : `~pathlib.Path`
        The ``.keras`` file.
    card : callable
        Returns the text of the card. Called after the checkpoint has been written.
    """
    with atomic_path(out, suffix=out.suffix) as part:
        model.save(part)
    with write_atomically(out.with_suffix(".md")) as file:
        file.write(card().encode())
