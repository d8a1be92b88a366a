"""Random Keras graphs: saved in every format, loaded, and read, each compared with Keras layer by layer."""

import contextlib
import re
import tempfile
import warnings
from pathlib import Path

import keras_graphs
import tensorflow
from hypothesis import reject
from membrane_reference import Unclear, membrane_outputs
from model_formats import FORMATS, save
from model_values import close, layer_values, same_values
from mutated_models import MUTATIONS, shifted_weights
from random_graphs import random_images, random_model
from random_layers import Dice

from brainsnn.builders.from_keras import read_keras
from brainsnn.training import load_model

__all__ = ["case"]


def case(draw, check):
    """Draw a model; check one format of its files, and what is read of it. Some cases check a model that misleads, too."""
    dice = Dice(draw)
    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        model = random_model(draw)
        images = random_images(model)
        saved = _values(model, images)
        check_format(dice.pick(*FORMATS), model, images, saved, check, Path(folder))
        check_reading("read", model, images[0], saved, check, dice)
        if len(images) == 1 and dice.chance(3):
            check_membrane(model, images, check)
        if dice.chance(4):
            check_mutation(dice, check, Path(folder))


def _values(model, images):
    """Return what the layers of a model give; reject a model that TensorFlow cannot run on this machine."""
    try:
        return layer_values(model, images)
    except tensorflow.errors.OpError:  # such as some transposed convolutions, or channels_first on a CPU
        reject()


def check_format(name, model, images, saved, check, folder, what="load {}"):
    """
    Save a model in a format, and compare what is loaded with what was saved.

    The name of the check says where Keras itself cannot load the file, or loads another model from it. In the last case
    the file does not hold what was saved, and it can be either.
    """
    try:
        path, weights, load = save(model, name, folder)
    except ValueError:  # Keras cannot: two layers have weights of one name, for example
        return
    expected, why = [saved], ", Keras cannot"
    with contextlib.suppress(Exception):
        theirs, why = layer_values(load(), images), ""
        if not _equal(theirs, saved):
            expected, why = [saved, theirs], ", Keras differs"

    def compare():
        found = layer_values(load_model(path, weights=weights), images)
        if len(expected) == 1 or not _equal(found, saved):
            same_values(found, expected[-1])

    check(what.format(name) + why, compare)


def _equal(found, expected):
    try:
        same_values(found, expected)
    except AssertionError:
        return False
    return True


def check_reading(name, model, images, saved, check, dice):
    """Compare the populations and readouts of a graph with the layers of the model, with and without junctions."""

    def read():
        graph = read_keras(model, junctions=dice.pick(True, True, False))
        names = {layer.name for layer in model.layers}
        same_graph(graph, images, saved, names)
        if dice.chance(2):
            same_graph(graph.expand_junctions(), images, saved, names)
        assert all(f"\n{layer} " in f"\n{graph}" for layer in names), "the printed table leaves out a layer"

    check(name, read)


def check_membrane(model, images, check):
    """Compare the readouts of a graph that averages membrane potentials."""
    try:
        outputs = membrane_outputs(model, images)
    except Unclear:
        return

    def compare():
        graph = read_keras(model, average_pooling="membrane")
        values = graph.activations(images[0])
        for population, expected in zip(graph.readouts, outputs, strict=True):
            _same(population, values, [expected])

    check("read, averages on the membrane", compare)


def same_graph(graph, images, saved, names):
    """Check what a graph computes: its readouts, and each population that stands for a layer."""
    outputs, layers = saved
    values = graph.activations(images)
    assert len(graph.readouts) == len(outputs)
    for population, expected in zip(graph.readouts, outputs, strict=True):
        _same(population, values, [expected])
    for population in graph.populations.values():
        if population.keras_layer and population.kind in ("spiking", "membrane"):
            _same(population, values, _outputs_of(population.keras_layer, layers, names))


def _outputs_of(label, layers, names):
    """Return the outputs that a population of this label may stand for: calls of the layer that get_layer finds, if any."""
    if label in names:
        return layers[label,]
    last = label.split("/")[-1]
    found = [path for path in layers if path[-1] in (last, re.sub(r"_call\d+$", "", last))]
    return [value for path in found for value in layers[path]]


def _same(population, values, candidates):
    found = values[population.name]
    same = [found.size == each.size and close(found.reshape(each.shape), each) for each in candidates]
    assert any(same), f"{population.name} ({population.keras_layer}):\n{found}\nfor one of\n{candidates}"


def check_mutation(dice, check, folder):
    """Check a model that misleads: it is refused, or loaded and read as what it is."""
    kind = dice.pick(*MUTATIONS, "weights of other names")
    if kind == "weights of other names":
        check(f"{kind}: load", lambda: shifted_weights(dice, folder, load_model))
        return
    model = keras_graphs.randomise(MUTATIONS[kind](dice))
    images = random_images(model)
    saved = _values(model, images)
    check_reading(f"{kind}: read", model, images[0], saved, check, dice)
    name = dice.pick(".keras", ".h5", "json + .weights.h5")
    try:
        save(model, name, folder)
    except Exception:  # Keras cannot write every model
        return
    check_format(name, model, images, saved, check, folder, f"{kind}: load")
