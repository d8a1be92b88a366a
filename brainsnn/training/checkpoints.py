"""What the commands that train the shipped networks share: threads of TensorFlow, files that are whole, cards."""

import hashlib
import os
import textwrap

import numpy as np

__all__ = ["prepare_tensorflow", "save", "weights_hash", "wrapped", "write_whole"]


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


def write_whole(path, write):
    """
    Write a file so that it is there whole or not at all.

    Parameters
    ----------
    path : `~pathlib.Path`
        Its folder is made.
    write : callable
        Called with the path of a temporary file of the same ending, in the same folder.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    try:
        write(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


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
    write_whole(out, model.save)
    write_whole(out.with_suffix(".md"), lambda path: path.write_text(card(), encoding="utf-8"))


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
