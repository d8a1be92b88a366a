"""Write checkpoints, and identify them by a hash of their weights."""

import hashlib

import numpy as np

from brainsnn.files import atomic_path, write_atomically

__all__ = ["save", "weights_hash"]


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
