"""Random Keras graphs: saved in every format, loaded, and read, each compared with Keras layer by layer."""

import contextlib
import os
import tempfile
import warnings
from pathlib import Path

# Without oneDNN, TensorFlow cannot run convolutions in groups or dilated transposed ones on a CPU.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")

from model_formats import FORMATS, save
from model_values import layer_values, same_values
from random_graphs import random_images, random_model
from random_layers import Dice

from brainsnn.training import load_model

__all__ = ["case"]


def case(draw, check):
    """Draw a model; check one format of its files, and what is read of it."""
    dice = Dice(draw)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = random_model(draw)
        images = random_images(model)
        saved = layer_values(model, images)
        check_format(dice.pick(*FORMATS), model, images, saved, check)


def check_format(name, model, images, saved, check):
    """Save a model in a format, and compare what is loaded with what Keras loads and with what was saved."""
    with tempfile.TemporaryDirectory() as folder:
        path, weights, load = save(model, name, Path(folder))
        theirs, why = None, "Keras cannot"
        with contextlib.suppress(Exception):
            theirs, why = layer_values(load(), images), "Keras differs"
            same_values(theirs, saved)
            why = None
        check(f"load {name}" + (f", {why}" if why else ""), lambda: same_values(
            layer_values(load_model(path, weights=weights), images), saved))  # fmt: skip
