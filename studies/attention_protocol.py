"""The experiments of Soerensen et al. (2022) as published: scenes, conditions, and what is measured in each of them."""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
from brian2 import ms
from common import ROOT

import brainsnn as bs
from brainsnn.analysis import (
    class_model,
    column_places,
    column_potential,
    detection_time,
    draw_interval,
    multi_unit_activity,
    rdm_draws,
    rdm_over_time,
    window_mean,
)
from brainsnn.attention import pixel_widths, residual_layers
from brainsnn.disk_space import reserve
from brainsnn.stimuli import load_search_scenes
from brainsnn.stimuli.coco import halves, invalid_cues, load_coco_scenes, load_coco_training

MECHANISMS, CUES = ("precision", "input_gain", "output_gain"), ("valid", "invalid")
#: The scene appears after 100 ms of gray, and outputs are evaluated from 250 ms on.
ONSET_MS, EVALUATION_MS = 100, 250
#: Gray level before a scene appears: the mean of the shipped scenes, and the published level for photographs.
BACKGROUNDS = {"search": 0.3, "coco": 0.5}
#: Cues of the average images that set the criterion for latencies.
BASELINE_CUES = {"valid": (0.5, 0.5), "invalid": (0.1, 0.2)}
#: Training scenes in each average image.
N_AVERAGED = 25
#: Times after onset at which whole RDMs are kept.
RDM_MS = (150, 200, 250, 300)
#: Resting threshold of a neuron that never fires.
NEVER = 1e9
#: Images that one unit of work holds in memory.
CHUNK = 50


class Condition(NamedTuple):
    """
    Mechanism, cue and strength.

    The cues are those of the scenes, or (as in the published rates) of the other half. Where precision is 0, heights of
    spikes are finite, or (as published) undefined.
    """

    mechanism: str = "neutral"
    cue: str = ""
    strength: float = 0.0
    cues: str = "own"
    heights: str = "finite"

    @property
    def name(self):
        """Mechanism and cue, such as "output_gain valid"."""
        return f"{self.mechanism} {self.cue}".strip()

    def __str__(self):
        other = "" if self.cues == "own" else " other half"
        other += "" if self.heights == "finite" else " undefined heights"
        return (f"{self.name} {self.strength:g}" if self.cue else self.name) + other


class UndefinedHeights(bs.SpatialAttention):
    """
    Precision as published where it comes down to m = 0: the height h = 0/0 there, so neurons that read one never fire.

    In the published code, NaN is added to their inputs, and no comparison with it is true.
    """

    def __init__(self, cues, widths, precision, graph):
        self.graph, self.attended = graph, residual_layers(graph)
        super().__init__(cues, widths, precision=dict.fromkeys(self.attended, precision))

    def parameters_for(self, layer, shape, parameters, model, image=0):
        """Return the changed precision of attended layers, and an infinite one (as good as) of neurons that read m = 0."""
        if layer in self.attended:
            return super().parameters_for(layer, shape, parameters, model, image)
        m_f, of_zero = np.broadcast_to(parameters["m_f"], np.prod(shape)), np.zeros(shape)
        for projection in self.graph.incoming(layer):
            if projection.source in self.attended:
                own = self.graph.populations[projection.source].shape
                R = np.broadcast_to(self.field.modulation(own, image, projection.source), own)
                of_zero = of_zero + projection.operator.transfer(
                    np.where(m_f[0] <= self.strength("precision", projection.source) * R, np.nan, 0.0)
                )
        return {"m_f": np.where(np.isnan(of_zero).ravel(), NEVER, m_f)}


def analysed_layers(graph):
    """Return the layer of rates, latencies and potentials (the third last attended one), and that of the RDMs (the last one)."""
    layers = residual_layers(graph)
    return layers[-3], graph.outgoing(layers[-1])[0].target


# Scenes ----------------------------------------------------------------------------------------------
class Scenes(NamedTuple):
    """Images, targets, labels of all classes in them, cues, and names of photographs, each with one entry per scene."""

    images: np.ndarray
    targets: np.ndarray
    labels: np.ndarray
    valid: np.ndarray
    invalid: np.ndarray
    photographs: np.ndarray

    def chosen(self, index):
        """Return some of the scenes."""
        return Scenes(*(values[index] for values in self))


def load_halves(parameters, size, seed):
    """
    Return the half in which strengths are chosen, and the one that is reported; those of COCO are in the file.

    Without a number (`attention_arguments.ALL`), all scenes of COCO are taken, as published; or that many are drawn, stratified
    by target.
    """
    if parameters.data == "coco":
        n = parameters.n_scenes // 2 or None
        found = [
            load_coco_scenes(parameters.scenes, parameters.photographs, half, size, n, parameters.interpolation, seed)
            for half in ("search", "test")
        ]
        return tuple(Scenes(f.images, f.targets, f.labels, f.cues, f.invalid_cues, f.photographs) for f in found)
    found = load_search_scenes(parameters.n_scenes, "test", seed=seed)
    scenes = Scenes(
        found.images, found.targets, found.labels, found.cues, invalid_cues(found.cues, seed), found.photographs
    )
    names = halves(scenes.targets, seed)
    return tuple(scenes.chosen(np.flatnonzero(names == half)) for half in ("search", "test"))


def joined(*parts):
    """Return scenes one after the other."""
    return Scenes(*(np.concatenate(values) for values in zip(*parts)))


def average_images(parameters, size, seed):
    """Return means of training scenes, which show nothing in particular."""
    n = parameters.n_averages * N_AVERAGED
    if parameters.data == "search":
        images = load_search_scenes(n, "train", seed=seed).images
    else:
        images, _ = load_coco_training(
            parameters.scenes, parameters.photographs, n, size, seed, parameters.interpolation
        )
    return images.reshape(-1, N_AVERAGED, *images.shape[1:]).mean(axis=1)


def rdm_scenes(scenes, n_per_class, seed):
    """Return the same number of scenes of each class, in the order of the classes, with new invalid cues from all scenes."""
    random, chosen = np.random.default_rng([seed, 4]), []
    for label in range(scenes.labels.shape[1]):
        own = np.flatnonzero(scenes.targets == label)
        if len(own) < n_per_class:
            raise ValueError(
                f"rdm_scenes: {len(own)} scenes of class {label}, and {n_per_class} are needed; give more --n-scenes or a "
                "smaller --n-per-class."
            )
        chosen.append(np.sort(random.choice(own, n_per_class, replace=False)))
    index = np.concatenate(chosen)
    return scenes.chosen(index)._replace(invalid=invalid_cues(scenes.valid, seed + 1, scenes.valid[index], index))


# The network -----------------------------------------------------------------------------------------
def load_network(parameters):
    """Load the trained network: one of those in weights/, or the user's."""
    if parameters.model:
        return bs.load_model(parameters.model, weights=parameters.weights or None)
    return bs.load_model(ROOT / "weights" / f"{parameters.network}.keras")


def read_network(model, batch_norm):
    """Return the graph of a trained network, with averages of membranes as published."""
    return bs.read_keras(model, average_pooling="membrane", batch_norm=batch_norm)


@bs.once
def make_network(graph, m_f, device, for_rdms=False):
    """Return the spiking network with readouts behind the analysed layers."""
    middle, last = analysed_layers(graph)
    if for_rdms:
        readouts = {"representation": bs.Readout(last, kind="potential")}
        record = {"representation": ["S"]}
    else:
        readouts = {"behind": middle, "field": bs.Readout(middle, kind="potential", sum_channels=True)}
        record = {"behind": ["spikes"], "field": ["S"]}
    return bs.convert(
        graph, neuron=bs.ASN(m_f=m_f), schedule="synchronous", device=device, readouts=readouts, record=record
    )


def run(snn, images, cues, condition, trial, seed, processes=1):
    """Run scenes in one condition; cues are those to which it attends."""
    if condition.mechanism == "neutral":
        snn.attend(None)
    else:
        layers = residual_layers(snn.graph)
        widths = pixel_widths(snn.graph, layers, trial["width"] * snn.graph.input.shape[0])
        if condition.heights == "finite":
            attention = bs.SpatialAttention(cues, widths, **{condition.mechanism: condition.strength})
        else:
            attention = UndefinedHeights(cues, widths, condition.strength, snn.graph)
            readers = [p.target for layer in layers for p in snn.graph.outgoing(layer)]
            layers = [*layers, *(name for name in readers if name in snn.populations.of_model)]  # and no readouts
        snn.attend(attention, layers=layers)
    return snn.run(
        images, duration=trial["duration_ms"] * ms, seed=seed, onset=ONSET_MS * ms, background=trial["background"],
        processes=processes,
    )  # fmt: skip


def respond(
    images, valid, invalid, other_valid, other_invalid, targets, condition, graph, m_f, device, trial, over_time, seed
):
    """Return behaviour, rates and, if asked for, outputs, activity and potentials over time of scenes in one condition."""
    own = condition.cues == "own"
    cues = {"valid": valid if own else other_valid, "invalid": invalid if own else other_invalid}
    snn = make_network(graph, m_f, device)
    result = run(snn, images, cues.get(condition.cue), condition, trial, seed)
    of_model = snn.populations.of_model
    n_neurons = sum(np.prod(result.shapes[name]) for name in of_model)
    values = {
        "scores": window_mean(result.output, EVALUATION_MS),
        "times": detection_time(result.output, targets, result.times, start=EVALUATION_MS),
        "rates": np.sum([result.spike_counts[name] for name in of_model], axis=0)
        / n_neurons
        / (result.n_steps * result.dt),
    }
    if over_time:
        places = column_places(result.shapes["behind"], cues["valid"])
        values["output"] = result.output.astype(np.float32)
        values["activity"] = multi_unit_activity(result, "behind", places).astype(np.uint16)
        values["potential"] = column_potential(result, "field", places).astype(np.float32)
    return values


def baseline(images, condition, graph, m_f, device, trial, seed, processes):
    """Return the activity in response to average images, (n, n_steps), at the place of the central cue."""
    snn = make_network(graph, m_f, device)
    cues = np.tile(BASELINE_CUES[condition.cue or "valid"], (len(images), 1))
    result = run(snn, images, cues, condition, trial, seed, processes)
    places = column_places(result.shapes["behind"], np.tile(BASELINE_CUES["valid"], (len(images), 1)))
    return {"activity": multi_unit_activity(result, "behind", places)}


def n_bytes_of(graph, n_scenes, trial):
    """Return what the potentials of one condition need on disk, in bytes."""
    n_neurons = int(np.prod(graph.populations[analysed_layers(graph)[1]].shape))
    return trial["duration_ms"] * n_scenes * n_neurons * np.dtype(np.float32).itemsize


def check_space(graph, n_scenes, trial, folder):
    """Refuse a disk on which the potentials of one condition do not fit."""
    needed, free = n_bytes_of(graph, n_scenes, trial), shutil.disk_usage(folder).free
    if needed > free:
        raise OSError(
            f"potentials: those of {n_scenes} scenes need {needed / 1e9:.3g} GB in {folder} for a while, and {free / 1e9:.3g} GB "
            "are free. Name a folder on a larger disk with --out, or give a smaller --n-per-class."
        )


def potentials(scenes, condition, graph, m_f, device, trial, seed, processes, folder):
    """Return the potentials behind the last block, (n, n_steps, n_neurons) on disk, step by step."""
    snn = make_network(graph, m_f, device, for_rdms=True)
    shape = (trial["duration_ms"], len(scenes.images), int(np.prod(snn.graph.populations["representation"].shape)))
    check_space(graph, shape[1], trial, folder)
    path = Path(folder) / "potentials"
    reserve(path, n_bytes_of(graph, shape[1], trial))  # so that a full disk is an error, and no crash
    stored = np.memmap(path, dtype=np.float32, mode="r+", shape=shape)
    cues = scenes.valid if condition.cue == "valid" else scenes.invalid
    for first in range(0, shape[1], CHUNK):
        part = slice(first, first + CHUNK)
        result = run(snn, scenes.images[part], cues[part], condition, trial, seed + first, processes)
        stored[:, part] = result.states["representation"]["S"].transpose(1, 0, 2)
    return stored.transpose(1, 0, 2)


def representation(scenes, analog, condition, graph, m_f, device, trial, n_draws, seed, processes, folder):
    """
    Return how RDMs of one condition fit the models of classes and of the artificial network.

    ``correlation`` and ``partial`` over time (n_steps, 2) with intervals, ``draws_images`` and ``draws_pairs`` of the mean
    partial correlation from 250 ms on, and whole RDMs at some times. Potentials lie in the study's folder meanwhile: those of
    the published network and number of scenes take 30 GB.
    """
    units = Path(folder) / "units"  # what an interruption leaves there goes when the study is finished
    units.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=units, prefix="potentials_") as part:
        stored = potentials(scenes, condition, graph, m_f, device, trial, seed, processes, part)
        distances = rdm_over_time(stored, ONSET_MS)
        del stored  # an open file cannot be removed everywhere
    values = {"rdms": distances[[t for t in RDM_MS if t < len(distances)]]}
    for resample in ("pairs", "images"):
        fits = rdm_draws(distances, class_model(scenes.targets), analog, n_draws, resample)
        values[f"draws_{resample}"] = np.nanmean(fits["partial"][:, EVALUATION_MS - ONSET_MS :], axis=1)
        for name in ("correlation", "partial") if resample == "images" else ():
            values[name] = fits[name][0]
            values[f"{name}_interval"] = np.array(draw_interval(fits[name]))
    return values
