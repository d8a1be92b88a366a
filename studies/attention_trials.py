"""The short form of the attention protocol: its network, scenes, and what is measured in one condition."""

import numpy as np
from attention_protocol import EVALUATION_MS, ONSET_MS
from brian2 import ms
from common import ROOT

import brainsnn as bs
from brainsnn.analysis import detection_time, evoked_potential, firing_latency, focus_masks, focus_rates, layer_patterns
from brainsnn.stimuli import load_search_scenes
from brainsnn.stimuli.coco import load_coco_scenes

#: Gray level before a scene appears: the mean of the shipped scenes, and the published level for photographs.
BACKGROUND, PHOTOGRAPH_BACKGROUND = 0.3, 0.5
#: Number of neurons per layer whose membrane is recorded.
N_ELECTRODE = 300


def attended_layers(graph):
    """Return the spiking populations of residual blocks or, if no name contains \"block\", all but the first and the last."""
    names = [name for name, p in graph.populations.items() if p.kind == "spiking" and p.reads is None]
    return [name for name in names if "block" in name] or names[1:-1]


def load_network(parameters):
    """Load the trained network: the shipped one, or the user's."""
    if parameters.model:
        return bs.load_model(parameters.model, weights=parameters.weights or None)
    return bs.load_model(ROOT / "weights" / "search.keras")


def load_scenes(parameters, seed):
    """Return the scenes in which strengths are chosen, and those that are reported: the shipped ones, or photographs."""
    half = parameters.n_scenes // 2
    if not parameters.scenes:
        scenes = load_search_scenes(2 * half, "test", seed=seed)
        return scenes[:half], scenes[half:]
    size, n = load_network(parameters).input_shape[1], half or None
    return tuple(
        load_coco_scenes(parameters.scenes, parameters.photographs, name, size, n, parameters.interpolation, seed)
        for name in ("search", "test")
    )


def trial_of(parameters):
    """Return the settings that all trials share."""
    return {
        "width": parameters.width,
        "duration_ms": parameters.duration_ms,
        "background": PHOTOGRAPH_BACKGROUND if parameters.scenes else BACKGROUND,
    }


@bs.once
def make_network(graph, m_f, device, record=None):
    """Return the spiking network; if it records, with a readout behind each attended layer."""
    readouts = {f"behind_{name}": name for name in attended_layers(graph)} if record else None
    return bs.convert(graph, neuron=bs.ASN(m_f=m_f), device=device, record=record, readouts=readouts)


def run(snn, images, cues, invalid_cues, condition, trial, seed, processes=1):
    """Run scenes in one condition."""
    if condition.mechanism == "neutral":
        snn.attend(None)
    else:
        places = cues if condition.cue == "valid" else invalid_cues
        attention = bs.SpatialAttention(places, trial["width"], **{condition.mechanism: condition.strength})
        snn.attend(attention, layers=attended_layers(snn.graph))
    return snn.run(
        images, duration=trial["duration_ms"] * ms, seed=seed, onset=ONSET_MS * ms, background=trial["background"],
        processes=processes,
    )  # fmt: skip


def behaviour(images, cues, invalid_cues, targets, condition, graph, m_f, device, trial, seed):
    """Return for each scene the score of each class, the detection time of the target and the mean firing rate."""
    snn = make_network(graph, m_f, device)
    result = run(snn, images, cues, invalid_cues, condition, trial, seed)
    n_neurons = sum(np.prod(result.shapes[name]) for name in result.spike_counts)
    seconds = result.n_steps * result.dt
    return {
        "scores": result.output[:, EVALUATION_MS:].mean(axis=1),
        "times": detection_time(result.output, targets, result.times, start=EVALUATION_MS),
        "rates": np.sum(list(result.spike_counts.values()), axis=0) / n_neurons / seconds,
    }


def electrodes(graph, seed):
    """Return what to record: spikes of all blocks and of what reads them, and membranes of some neurons in every other one."""
    random, record = np.random.default_rng(seed), {}
    for k, name in enumerate(attended_layers(graph)):
        n = int(np.prod(graph.populations[name].shape))
        chosen = np.sort(random.choice(n, min(N_ELECTRODE, n), replace=False))
        record[name] = {"spikes": True, "S": chosen} if k % 2 == 0 else {"spikes": True}
        record[f"behind_{name}"] = {"spikes": True}
    return record


def activity(scenes, condition, graph, m_f, device, trial, seed, processes):
    """
    Return rates at the target and elsewhere, latencies, potentials and patterns of all blocks.

    Rates are those of a readout behind each layer, which is not attended: in the layer itself, precision changes what a spike
    stands for. ``own`` is the rate at the target in the layer itself.
    """
    snn, width = make_network(graph, m_f, device, electrodes(graph, seed)), trial["width"]
    result = run(snn, scenes.images, scenes.cues, scenes.invalid_cues, condition, trial, seed, processes)
    values = {}
    for name in attended_layers(snn.graph):
        masks = focus_masks(result.shapes[name], scenes.cues, width)
        inside, outside = focus_rates(result, f"behind_{name}", scenes.cues, width, EVALUATION_MS)
        values[f"own/{name}"] = focus_rates(result, name, scenes.cues, width, EVALUATION_MS)[0]
        latency = firing_latency(result, name, (ONSET_MS / 2, ONSET_MS), masks) - ONSET_MS
        values |= {f"inside/{name}": inside, f"outside/{name}": outside, f"latency/{name}": latency}
        values[f"pattern/{name}"] = layer_patterns(result, name, EVALUATION_MS)
        if name in result.states:
            values[f"evoked/{name}"] = evoked_potential(result, name)
    return values
