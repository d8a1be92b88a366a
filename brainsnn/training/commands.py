"""Shared parts of the training commands: options, TensorFlow's threads, the optimizer, epochs, the closing message."""

import argparse
import os
import time
from pathlib import Path

import numpy as np

__all__ = [
    "accuracy_of", "adamw", "check_out", "fit_epochs", "parse_options", "prepare_tensorflow", "remake_command", "report_written",
]  # fmt: skip

BATCH_SIZE = 64
PEAK_LEARNING_RATE = 3e-3
WEIGHT_DECAY = 1e-3


def parse_options(arguments, name, description, epochs, shipped, quick_out, helps):
    """
    Parse the options that all commands have.

    Parameters
    ----------
    arguments : list of str or None
        Command line; that of the process if None.
    name : str
        Module in this package, such as ``"train_digits"``.
    description : str
    epochs : int
        Default; 1 with ``--quick``.
    shipped, quick_out : `~pathlib.Path`
        File to write by default, and with ``--quick``.
    helps : dict of str to str
        Help of ``epochs``, ``seed`` and ``quick``.

    Returns
    -------
    options : argparse.Namespace
        ``epochs``, ``seed``, ``out``, ``quick``, ``threads``. An invalid one ends the process with a message.
    """
    parser = argparse.ArgumentParser(
        allow_abbrev=False, prog=f"python -m brainsnn.training.{name}", description=description
    )
    parser.add_argument("--epochs", type=int, help=f"{helps['epochs']} ({epochs}; 1 with --quick)")
    parser.add_argument("--seed", type=int, default=0, help=f"{helps['seed']} (0)")
    parser.add_argument(
        "--out", type=Path, help=f"file to write, with its card beside it ({shipped}; {quick_out} with --quick)"
    )
    parser.add_argument("--quick", action="store_true", help=helps["quick"])
    parser.add_argument("--threads", type=int, default=2, help="threads of TensorFlow (2)")
    options = parser.parse_args(arguments)
    if options.epochs is None:
        options.epochs = 1 if options.quick else epochs
    if options.out is None:
        options.out = quick_out if options.quick else shipped
    if options.epochs < 1 or options.threads < 1:
        parser.error(f"--epochs and --threads must be at least 1, got {options.epochs} and {options.threads}.")
    if options.seed < 0:
        parser.error(f"--seed must be 0 or greater, got {options.seed}.")
    check_out(parser, options.out)
    return options


def check_out(parser, out):
    """End the process with a message unless a path ends in ``.keras``."""
    if out.suffix != ".keras":
        parser.error(f"--out must end in .keras, got {str(out)!r}.")


def remake_command(name, options):
    """
    Return the command line that makes a checkpoint again.

    Parameters
    ----------
    name : str
        Module in this package.
    options : argparse.Namespace
        From `parse_options`.

    Returns
    -------
    command : str
    """
    quick = "--quick " * options.quick
    return (
        f"python -m brainsnn.training.{name} {quick}--epochs {options.epochs} --seed {options.seed} --out {options.out}"
    )


def prepare_tensorflow(threads):
    """
    Silence TensorFlow and set its number of threads. No effect on a TensorFlow that has already run.

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


def adamw(n_images, epochs):
    """
    Return the optimizer of the classifiers: AdamW, a short warm-up, and a cosine down to 0.

    Parameters
    ----------
    n_images : int
        Images per epoch, in batches of `BATCH_SIZE`.
    epochs : int

    Returns
    -------
    optimizer : keras.optimizers.AdamW
    """
    import keras

    steps = -(-n_images // BATCH_SIZE)
    schedule = keras.optimizers.schedules.CosineDecay(
        PEAK_LEARNING_RATE / 10,
        epochs * steps,
        warmup_target=PEAK_LEARNING_RATE,
        warmup_steps=min(2, epochs) * steps // 2,
    )
    return keras.optimizers.AdamW(schedule, weight_decay=WEIGHT_DECAY)


def fit_epochs(model, epochs, examples, what, report):
    """
    Train a compiled classifier, with new examples in each epoch.

    Parameters
    ----------
    model : keras.Model
        With accuracy as its metric.
    epochs : int
    examples : callable
        ``examples()`` returns the images (n, H, W, C) and targets of an epoch, in the order in which they are shown.
    what : str
        What the examples are, for the report.
    report : callable
        Called with one line of text per epoch.
    """
    start = time.perf_counter()
    for epoch in range(epochs):
        images, targets = examples()
        history = model.fit(images, targets, batch_size=BATCH_SIZE, shuffle=False, verbose=0).history
        report(
            f"epoch {epoch + 1:3d}/{epochs}  loss {history['loss'][0]:.4f}  accuracy on {what} "
            f"{100 * history['accuracy'][0]:6.2f} %  {time.perf_counter() - start:5.0f} s"
        )


def accuracy_of(model, images, labels):
    """
    Return the share of images that a classifier assigns to their class.

    Parameters
    ----------
    model : keras.Model
    images : (n, H, W, C) ndarray
    labels : (n,) ndarray of int

    Returns
    -------
    accuracy : float
    """
    return float(np.mean(model.predict(images, batch_size=200, verbose=0).argmax(axis=1) == labels))


def report_written(out):
    """Print which files were written, and the size of the checkpoint."""
    print(f"wrote {out} ({out.stat().st_size / 1024:.0f} KiB) and {out.with_suffix('.md')}")
