"""The experiments of Soerensen et al. (2022) as published: scenes, conditions, and what is measured in each of them."""

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
    multi_unit_activity,
    rdm_draws,
    rdm_over_time,
    window_mean,
)
from brainsnn.attention import pixel_widths, residual_layers
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
#: Images that one unit of work holds in memory.
CHUNK = 50


class Condition(NamedTuple):
    """Mechanism, cue and strength; the cues are those of the scenes, or (as in the published rates) of the other half."""

    mechanism: str = "neutral"
    cue: str = ""
    strength: float = 0.0
    cues: str = "own"

    @property
    def name(self):
        """Mechanism and cue, such as "output_gain valid"."""
        return f"{self.mechanism} {self.cue}".strip()

    def __str__(self):
        other = "" if self.cues == "own" else " other half"
        return (f"{self.name} {self.strength:g}" if self.cue else self.name) + other


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
    """Return the half in which strengths are chosen, and the one that is reported; those of COCO are in the file."""
    if parameters.data == "coco":
        found = [
            load_coco_scenes(parameters.scenes, parameters.photographs, half, size, parameters.n_scenes // 2)
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
        images, _ = load_coco_training(parameters.scenes, parameters.photographs, n, size, seed)
    return images.reshape(-1, N_AVERAGED, *images.shape[1:]).mean(axis=1)


def rdm_scenes(scenes, n_per_class, seed):
    """Return the same number of scenes of each class, in the order of the classes, with new invalid cues."""
    random, chosen = np.random.default_rng([seed, 4]), []
    for label in range(scenes.labels.shape[1]):
        own = np.flatnonzero(scenes.targets == label)
        if len(own) < n_per_class:
            raise ValueError(
                f"rdm_scenes: {len(own)} scenes of class {label}, and {n_per_class} are needed; add scenes."
            )
        chosen.append(np.sort(random.choice(own, n_per_class, replace=False)))
    found = scenes.chosen(np.concatenate(chosen))
    return found._replace(invalid=invalid_cues(found.valid, seed + 1))


# The network -----------------------------------------------------------------------------------------
def load_network(parameters):
    """Load the trained network: one of those in weights/, or the user's."""
    if parameters.model:
        return bs.load_model(parameters.model, weights=parameters.weights or None)
    return bs.load_model(ROOT / "weights" / f"{parameters.network}.keras")


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
        snn.attend(bs.SpatialAttention(cues, widths, **{condition.mechanism: condition.strength}), layers=layers)
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


def potentials(scenes, condition, graph, m_f, device, trial, seed, processes, folder):
    """Return the potentials behind the last block, (n, n_steps, n_neurons) on disk, step by step."""
    snn = make_network(graph, m_f, device, for_rdms=True)
    shape = (trial["duration_ms"], len(scenes.images), int(np.prod(snn.graph.populations["representation"].shape)))
    stored = np.memmap(Path(folder) / "potentials", dtype=np.float32, mode="w+", shape=shape)
    cues = scenes.valid if condition.cue == "valid" else scenes.invalid
    for first in range(0, shape[1], CHUNK):
        part = slice(first, first + CHUNK)
        result = run(snn, scenes.images[part], cues[part], condition, trial, seed + first, processes)
        stored[:, part] = result.states["representation"]["S"].transpose(1, 0, 2)
    return stored.transpose(1, 0, 2)


def representation(scenes, analog, condition, graph, m_f, device, trial, n_draws, seed, processes):
    """
    Return how RDMs of one condition fit the models of classes and of the artificial network.

    ``correlation`` and ``partial`` over time (n_steps, 2) with intervals, ``draws_images`` and ``draws_pairs`` of the mean
    partial correlation from 250 ms on, and whole RDMs at some times.
    """
    with tempfile.TemporaryDirectory() as folder:
        distances = rdm_over_time(
            potentials(scenes, condition, graph, m_f, device, trial, seed, processes, folder), ONSET_MS
        )
    values = {"rdms": distances[[t for t in RDM_MS if t < len(distances)]]}
    for resample in ("pairs", "images"):
        fits = rdm_draws(distances, class_model(scenes.targets), analog, n_draws, resample)
        values[f"draws_{resample}"] = np.nanmean(fits["partial"][:, EVALUATION_MS - ONSET_MS :], axis=1)
        for name in ("correlation", "partial") if resample == "images" else ():
            values[name] = fits[name][0]
            values[f"{name}_interval"] = np.nanpercentile(fits[name], [2.5, 97.5], axis=0)
    return values
