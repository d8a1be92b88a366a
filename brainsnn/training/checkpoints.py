"""What the commands that train the shipped networks share: threads of TensorFlow, checkpoints, cards."""

import hashlib
import os
import textwrap

import numpy as np

from brainsnn.files import atomic_path, write_atomically

__all__ = ["prepare_tensorflow", "save", "weights_hash", "wrapped"]


def prepare_tensorflow(threads):
    """
    Let TensorFlow be quiet and use a number of threads; without effect if it is running already in this process.

    Parameters
    ----------
    threads : int
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    try:
        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    except RuntimeError:
        pass


def weights_hash(model):
    """
    SHA-256 over all weights of a model, in order.

    Parameters
    ----------
    model : keras.Model
        Any built model.

    Returns
    -------
    digest : str
        64 hexadecimal digits. The file itself holds the date and differs each time.
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
        Gives the text of the card, when the checkpoint is there.
    """
    with atomic_path(out, suffix=out.suffix) as part:
        model.save(part)
    with write_atomically(out.with_suffix(".md")) as file:
        file.write(card().encode())


def wrapped(card):
    """
    A card with its paragraphs wrapped, tables and commands left alone.

    Parameters
    ----------
    card : str

    Returns
    -------
    card : str
    """
    paragraphs = card.strip().split("\n\n")
    return "\n\n".join(textwrap.fill(p, 110) if p.startswith("**") else p for p in paragraphs) + "\n"
