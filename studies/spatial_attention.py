"""Where should attention act: on precision, input gain or output gain? Cued visual search in a spiking ResNet.

The protocol of Soerensen, Zambrano, Slagter, Bohte and Scholte (2022), J. Cogn. Neurosci. 34, on scenes made from shipped
images. Strengths are chosen on the first half of the scenes; valid, neutral and invalid cues are compared on the other half.

This is a short form of the protocol, with activity in all layers. The published one, with all its figures and tables::

    python studies/spatial_attention.py --protocol published
    python studies/spatial_attention.py --protocol published --full

To run the same protocol with the authors' network and COCO photographs::

    python -m brainsnn.stimuli.coco COCO --out street.json
    python studies/spatial_attention.py --full --model resnet18.json --weights resnet18.h5 --scenes street.json \\
        --photographs COCO --n-scenes 400 --duration-ms 750
"""

import argparse

import numpy as np
from attention_figures import (
    plot_behaviour,
    plot_evoked,
    plot_latencies,
    plot_mechanisms,
    plot_rates,
    plot_representations,
    plot_search,
)
from attention_protocol import CUES, EVALUATION_MS, MECHANISMS, ONSET_MS, Condition
from brian2 import ms
from common import ROOT, Study

import brainsnn as bs
from brainsnn.analysis import (
    TargetAUC,
    bootstrap_interval,
    detection_scores,
    detection_time,
    dissimilarity_matrix,
    evoked_potential,
    firing_latency,
    focus_masks,
    focus_rates,
    layer_patterns,
    rdm_fit,
    top_k_accuracy,
)
from brainsnn.stimuli import SearchScenes, load_search_scenes
from brainsnn.stimuli.coco import load_coco_scenes

#: The user's own network, file of selected scenes and folder of COCO instead of what ships.
FILES = {"model": "", "weights": "", "scenes": "", "photographs": ""}
QUICK = {
    "protocol": "short", "n_scenes": 80, "n_analysed": 8, "strengths": [0.2, 0.5], "m_f": 0.45, "width": 0.18,
    "duration_ms": 400, "n_resamples": 300, "processes": 2, **FILES,
}  # fmt: skip
FULL = {
    "protocol": "short", "n_scenes": 1200, "n_analysed": 80,
    "strengths": [0.15, 0.3, 0.45, 0.6, 0.75], "m_f": 0.45, "width": 0.18,
    "duration_ms": 500, "n_resamples": 2000, "processes": 2, **FILES,
}  # fmt: skip
#: Gray level before a scene appears: the mean of the shipped scenes, and the published level for photographs.
BACKGROUND, PHOTOGRAPH_BACKGROUND = 0.3, 0.5
#: Scenes per unit of work: at most this many are lost per process after an interruption.
CHUNK = 50
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
    """Load an even number of scenes: the shipped ones, or photographs."""
    n_scenes = 2 * (parameters.n_scenes // 2)
    if not parameters.scenes:
        return load_search_scenes(n_scenes, "test", seed=seed)
    size = load_network(parameters).input_shape[1]
    halves = [
        load_coco_scenes(parameters.scenes, parameters.photographs, half, size, n_scenes // 2)
        for half in ("search", "test")
    ]
    n = min(map(len, halves))
    fields = SearchScenes.__dataclass_fields__
    return SearchScenes(*(np.concatenate([getattr(half[:n], name) for half in halves]) for name in fields))


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


def compute(study, scenes, conditions, name):
    """Compute the behaviour in all scenes as a data set; return the values of each condition, in the given order."""
    parameters = study.parameters
    images = {key: getattr(scenes, key) for key in ("images", "cues", "invalid_cues", "targets")}
    coords = {key: ("condition", [getattr(c, key) for c in conditions]) for key in Condition._fields}
    coords |= {"target": ("image", scenes.targets), "label": (("image", "class"), scenes.labels)}
    with study.sweep(
        behaviour, {"condition": conditions}, images, name=name, dims={"scores": "class"}, coords=coords,
        constants={"graph": study.graph, "m_f": parameters.m_f, "device": study.device, "trial": trial_of(parameters)},
        chunk=CHUNK, workers=study.workers,
    ) as data:  # fmt: skip
        return [
            {key: values.isel(condition=k).values for key, values in data.data_vars.items()}
            for k in range(len(conditions))
        ]


def search_strengths(study):
    """Return the AUC table for valid cues of all mechanisms and strengths (first half of scenes), and the best strengths."""
    scenes, rows, best = study.search, [], {}
    strengths = dict.fromkeys(study.parameters.strengths)
    conditions = [Condition(), *(Condition(m, "valid", strength) for m in MECHANISMS for strength in strengths)]
    for condition, found in zip(conditions, compute(study, scenes, conditions, "strengths")):
        auc = TargetAUC(found["scores"], scenes.targets, scenes.labels)()
        row = {"strength": condition.strength, "auc": auc, "rate_hz": found["rates"].mean()}
        rows += [{"mechanism": m} | row for m in MECHANISMS if condition.mechanism in (m, "neutral")]
    rows.sort(key=lambda row: MECHANISMS.index(row["mechanism"]))
    for mechanism in MECHANISMS:
        tried = [row for row in rows if row["mechanism"] == mechanism and row["strength"]]
        best[mechanism] = max(tried, key=lambda row: row["auc"])["strength"]
    return study.table(rows, "strengths"), best


def conditions_of(strengths):
    """Return the neutral condition, and valid and invalid cues for each mechanism at its strength."""
    return [Condition(), *(Condition(m, cue, strengths[m]) for m in MECHANISMS for cue in CUES)]


def test_conditions(study, strengths):
    """Measure behaviour in the second half of the scenes; return condition name -> values."""
    conditions = conditions_of(strengths)
    found = compute(study, study.test, conditions, "conditions")
    return {condition.name: values for condition, values in zip(conditions, found)}


def statistics_of(found, scenes, duration_ms):
    """Return condition -> measure -> function of an array of scene indices."""

    def mean_of(values):
        return lambda index: float(np.mean(values[index]))

    measures = {}
    for condition, values in found.items():
        # A target that is not detected within the trial gets the end of the trial as its time.
        times = np.where(np.isnan(values["times"]), duration_ms, values["times"])
        measures[condition] = {
            "auc": TargetAUC(values["scores"], scenes.targets, scenes.labels),
            "detection_ms": mean_of(times),
            "rate_hz": mean_of(values["rates"]),
        }
    return measures


def make_table(study, found, strengths):
    """Make a table with intervals: conditions, benefits, costs and comparisons of mechanisms, for each measure."""
    scenes, parameters, rows = study.test, study.parameters, []
    measures = statistics_of(found, scenes, parameters.duration_ms)

    def add(comparison, measure, statistic):
        value, low, high = bootstrap_interval(statistic, len(scenes), parameters.n_resamples, seed=study.seed)
        rows.append({"comparison": comparison, "measure": measure, "value": value, "low": low, "high": high})

    def difference(a, b, measure):
        first, second = measures[a][measure], measures[b][measure]
        return lambda index: first(index) - second(index)

    for condition, values in measures.items():
        for measure, statistic in values.items():
            add(condition, measure, statistic)
        scores = found[condition]["scores"]
        extra = detection_scores(scores, scenes.targets, scenes.labels)
        extra["top_1"] = top_k_accuracy(scores, scenes.targets, 1)
        extra["strength"] = strengths.get(condition.split()[0], 0.0)
        rows += [{"comparison": condition, "measure": name, "value": value} for name, value in extra.items()]
    for measure in ("auc", "detection_ms", "rate_hz"):
        for mechanism in MECHANISMS:
            add(f"{mechanism} benefit", measure, difference(f"{mechanism} valid", "neutral", measure))
            add(f"{mechanism} cost", measure, difference("neutral", f"{mechanism} invalid", measure))
            add(f"{mechanism} effect", measure, difference(f"{mechanism} valid", f"{mechanism} invalid", measure))
        for better, worse in (("output_gain", "input_gain"), ("input_gain", "precision")):
            add(
                f"{better} - {worse}", measure,
                lambda index, a=better, b=worse, m=measure: difference(f"{a} valid", f"{a} invalid", m)(index)
                - difference(f"{b} valid", f"{b} invalid", m)(index),
            )  # fmt: skip
    return study.table(rows, "behaviour")


# Activity ------------------------------------------------------------------------------------------
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
            values[f"evoked/{name}"] = evoked_potential(result, name).mean(axis=0)
    return values


def analyse(study, strengths):
    """Measure activity in some of the test scenes; return condition name -> values."""
    parameters = study.parameters
    scenes = study.test[: parameters.n_analysed]
    return {
        condition.name: study.unit(
            activity, scenes, condition, study.graph, parameters.m_f, study.device, trial_of(parameters), study.seed,
            study.processes,
        )
        for condition in study.progress(conditions_of(strengths), unit="condition")
    }  # fmt: skip


def activity_table(study, found):
    """Make a table by layer and condition: rates, latency, and how well the target's class explains the RDM."""
    targets = study.test.targets[: study.parameters.n_analysed]
    rows = []
    for condition, values in found.items():
        for key in values:
            kind, _, name = key.partition("/")
            if kind != "inside":
                continue
            latency = values[f"latency/{name}"]
            rdm = dissimilarity_matrix(values[f"pattern/{name}"])
            rows.append({
                "condition": condition, "layer": name,
                "inside_hz": values[key].mean(), "outside_hz": np.nanmean(values[f"outside/{name}"]),
                "own_inside_hz": values[f"own/{name}"].mean(),
                "latency_ms": np.nanmean(latency) if np.isfinite(latency).any() else np.nan,
                "n_latencies": int(np.isfinite(latency).sum()), "rdm_fit": rdm_fit(rdm, targets),
            })  # fmt: skip
    return study.table(rows, "activity")


# Report -----------------------------------------------------------------------------------------
def report(study, table, strengths):
    """Print the benefit and cost of each mechanism, and whether the published order holds."""
    index = table.set_index(["comparison", "measure"])

    def text(comparison, measure, digits):
        row = index.loc[(comparison, measure)]
        return f"{row.value:+.{digits}f} [{row.low:+.{digits}f}, {row.high:+.{digits}f}]"

    neutral = index.loc[("neutral", "auc")]
    study.report(
        "neutral AUC", float(neutral.value), f"neutral AUC {neutral.value:.3f} [{neutral.low:.3f}, {neutral.high:.3f}]"
    )
    for mechanism in MECHANISMS:
        line = ", ".join(
            f"{what} {name} {text(f'{mechanism} {what}', measure, digits)}"
            for measure, name, digits in (("auc", "AUC", 3), ("detection_ms", "ms", 1), ("rate_hz", "Hz", 2))
            for what in ("benefit", "cost")
        )
        study.report(mechanism, line, f"{mechanism} (a = {strengths[mechanism]}): {line}")
    for measure, sign in (("auc", 1), ("detection_ms", -1)):
        for pair in ("output_gain - input_gain", "input_gain - precision"):
            row = index.loc[(pair, measure)]
            low, high = sorted((sign * row.low, sign * row.high))
            verdict = "as published" if low > 0 else "opposite to the published order" if high < 0 else "undecided"
            study.report(f"order {measure}: {pair}", f"{verdict}; valid - invalid differ by {text(pair, measure, 3)}")


def _protocol_of(argv):
    """Return the protocol that the command line names; the study refuses unknown ones."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--protocol", default="short")
    return parser.parse_known_args(argv)[0].protocol


def report_rates(study, layers):
    """Report how a valid cue changes rates at the target in the attended layers and behind them."""
    means = layers.groupby("condition")[["inside_hz", "own_inside_hz"]].mean()
    for mechanism in MECHANISMS:
        change = 100 * (means.loc[f"{mechanism} valid"] / means.loc["neutral"] - 1)
        text = f"behind the attended layers {change.inside_hz:+.1f} %, in them {change.own_inside_hz:+.1f} %"
        study.report(f"rates at the target, {mechanism} valid", text)


def main(argv=None):
    """Search strengths, compare cues, analyse activity, write figures and tables."""
    if _protocol_of(argv) == "published":
        import attention_published

        attention_published.main(argv)
        return
    study = Study("spatial_attention", __doc__, QUICK, FULL, argv, sweeps=True)
    parameters = study.parameters
    if parameters.protocol != "short":
        study.error(f"argument --protocol: {parameters.protocol!r}; choose short or published")
    if parameters.n_scenes < 2:
        study.error(
            f"argument --n-scenes: {parameters.n_scenes} must be at least 2; strengths and conditions need a scene each"
        )
    if parameters.duration_ms <= EVALUATION_MS:
        study.error(
            f"argument --duration-ms: {parameters.duration_ms} is too short; outputs count from {EVALUATION_MS} ms on"
        )
    with study:
        scenes = load_scenes(parameters, study.seed + 1)
        half = len(scenes) // 2
        study.search, study.test = scenes[:half], scenes[half:]
        study.graph = bs.read_keras(load_network(parameters))
        search, strengths = search_strengths(study)
        found = test_conditions(study, strengths)
        table = make_table(study, found, strengths)
        activities = analyse(study, strengths)
        layers = activity_table(study, activities)
        study.figure(plot_mechanisms(study.test, strengths, parameters), "mechanisms")
        study.figure(plot_search(search), "strength_search")
        study.figure(plot_behaviour(table), "behaviour")
        study.figure(plot_rates(layers), "rates")
        study.figure(plot_evoked(activities, ONSET_MS), "evoked_potentials")
        study.figure(plot_latencies(layers), "latencies")
        study.figure(
            plot_representations(activities, layers, study.test.targets[: parameters.n_analysed]), "representations"
        )
        report(study, table, strengths)
        report_rates(study, layers)


if __name__ == "__main__":
    main()
