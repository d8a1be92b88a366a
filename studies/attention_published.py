"""The command ``spatial_attention.py --protocol published``: run everything, and make all figures and tables."""

import numpy as np
from attention_arguments import ALL, FILES, defaults_for, word_of
from attention_choices import FOLDINGS, choices_table
from attention_conditions import compute, conditions_of, constants_of, search_strengths
from attention_measures import (
    N_OF_RDMS,
    Responses,
    behaviour_table,
    comparisons_table,
    make_claims,
    modulation_table,
    n_images,
    power_table,
    strata_of,
    valid_invalid_effects,
)
from attention_networks import rank_orders
from attention_neurons import traces, transfer_curves
from attention_panels import (
    plot_activity,
    plot_behaviour,
    plot_one_picture,
    plot_strengths,
    plot_traces,
    plot_transfer,
)
from attention_paper import is_published, paper_table
from attention_protocol import (
    BACKGROUNDS,
    CUES,
    EVALUATION_MS,
    Condition,
    analysed_layers,
    average_images,
    baseline,
    check_space,
    joined,
    load_halves,
    load_network,
    rdm_scenes,
    read_network,
    representation,
)
from attention_rdms import fits_table, plot_representations
from claims import check_draws
from common import Study
from photographs import output_effects, report_photographs
from scipy.spatial.distance import pdist

from brainsnn.analysis import TargetAUC, column_rate
from brainsnn.stimuli.coco import read_selection
from brainsnn.stimuli.coco.scene_file import INTERPOLATIONS

COMMON = {
    "protocol": "published",
    "data": "search",
    "network": "search_post",
    "m_f": 0.45,
    "width": 40 / 224,
    "batch_norm": "exact",
    "duration_ms": 750,
    "n_networks": 1,
    "training_epochs": 16,
}
#: Published: 50 scenes of each class in the RDMs, 16 average images, 500 draws, 10,000 permutations.
QUICK = {
    **COMMON, "n_scenes": 60, "strengths": [0.15, 0.3, 0.45], "n_per_class": 3, "n_averages": 4, "n_draws": 500,
    "n_permutations": 1000, "faults": "no", "processes": 2, **FILES,
}  # fmt: skip
FULL = {
    **COMMON, "n_scenes": 1200, "strengths": [round(0.05 * k, 2) for k in range(1, 16)], "n_per_class": 50, "n_averages": 16,
    "n_draws": 500, "n_permutations": 10_000, "faults": "yes", "processes": 2, **FILES,
}  # fmt: skip
#: The picture of figure 2 in the first half, as published.
PICTURE = 105


def main(argv=None):
    """Run the published protocol."""
    full = defaults_for(FULL, word_of(argv, "data", "search") == "coco")
    study = Study("spatial_attention_published", __doc__, QUICK, full, argv, sweeps=True)
    parameters = study.parameters
    _check(study)
    try:
        model = prepare(study)
    except (ValueError, OSError) as error:  # hours earlier than where it is needed, and before an old record is removed
        study.error(str(error))
    with study:
        names = class_names(parameters)
        study.report("scenes", study.drawn)
        study.figure(plot_transfer(transfer_curves()), "figure1_transfer", "1 neuron for each line, without noise")
        study.figure(plot_traces(traces()), "figure1_traces", "1 neuron for each line, without noise")
        search, strengths, neutral_search = search_strengths(study)
        ann_first, ann = (model.predict(half.images, verbose=0) for half in (study.first, study.second))
        neutral_auc = float(search[search.strength == 0].auc.iloc[0])
        auc_first = TargetAUC(ann_first, study.first.targets)()
        n = f"{len(ann_first)} {study.kind} in B; bars and band: 95 %; A is computed"
        study.figure(plot_strengths(search, auc_first), "figure3", n)
        one_picture(study, strengths, names)
        responses = respond_all(study, strengths)
        behaviour_table(study, responses, ann)
        if parameters.faults == "yes":
            choices_table(study, responses)
        print(modulation_table(study, responses).to_string(index=False))
        comparisons_table(study, responses, ann, neutral_search, parameters.n_permutations)
        ann_auc = TargetAUC(ann, study.second.targets)()
        comparable = is_published(parameters, model.count_params(), study.graph.input.shape)
        n = f"{len(ann)} {study.kind} in every panel"
        drawn = "bars and bands: 95 % of bootstrap draws"
        study.figure(plot_behaviour(responses, ann_auc), "figure4", f"{n}, detected ones in B and D; {drawn}")
        n += ", those with a latency in C and F; lines in D: ±5, 10, 20, 30 % of neutral"
        study.figure(plot_activity(responses), "figure5", f"{n}; {drawn}")
        representations, chosen, analog = represent(study, strengths)
        fits_table(study, representations)
        n = f"{n_images(representations)} {study.kind} in every panel; bands and bars: 95 % of draws of images"
        figure = plot_representations(representations, chosen.targets, names, analog)
        study.figure(figure, "figure6", f"{n}; thin bars in E: of pairs, as published")
        power_table(study, responses)
        effects = valid_invalid_effects(responses) | output_effects(responses.found, study.second.targets)
        strata = dict.fromkeys((e for e in effects if e.startswith(("AUC", "output"))), strata_of(study.second.targets))
        report_photographs(study, effects, study.second.photographs, parameters.n_draws, strata)
        claims = make_claims(study, responses, representations)
        claims.report()
        paper_table(study, claims, responses, representations, search, strengths, (ann_first, ann), comparable)
        if parameters.n_networks > 1:
            rank_orders(study, responses, strengths)
        study.report("neutral AUC", neutral_auc)


def _check(study):
    """Refuse parameters that measure nothing."""
    parameters = study.parameters
    choices = {"protocol": ("published",), "data": tuple(BACKGROUNDS), "faults": ("yes", "no"), "batch_norm": FOLDINGS,
               "interpolation": INTERPOLATIONS}  # fmt: skip
    for name, allowed in choices.items():
        value, option = getattr(parameters, name), name.replace("_", "-")
        if value not in allowed:
            study.error(f"argument --{option}: {value!r}; choose one of {', '.join(allowed)}")
    if parameters.data == "coco" and not (parameters.scenes and parameters.photographs and parameters.model):
        study.error("argument --data: coco needs --scenes, --photographs and --model")
    if parameters.duration_ms <= EVALUATION_MS + 150:
        study.error(
            f"argument --duration-ms: {parameters.duration_ms} is too short; RDMs are drawn up to {EVALUATION_MS + 150} ms"
        )
    if parameters.n_networks > 1 and (parameters.data != "search" or parameters.model):
        study.error(
            f"argument --n-networks: {parameters.n_networks} networks are trained on the shipped scenes alone; leave out --data "
            "and --model"
        )
    check_draws(study, "n_draws", N_OF_RDMS)
    if parameters.n_networks > 1 and parameters.network != "search_post":
        study.error(
            f"argument --network: {parameters.network}, but the networks of --n-networks have the architecture of search_post; "
            "leave out one of the two"
        )
    if parameters.n_scenes < 40 and parameters.n_scenes != ALL:
        study.error(
            f"argument --n-scenes: {parameters.n_scenes} is too few for two halves with all classes; give 40 or more"
        )
    no_photographs = (parameters.data != "coco", "it is for photographs: give --data coco as well")
    ignored = dict.fromkeys(("scenes", "photographs", "interpolation"), no_photographs) | {
        "weights": (not parameters.model, "give --model as well"),
        "network": (bool(parameters.model), "leave out --network or --model"),
        "training_epochs": (parameters.n_networks == 1, "networks are trained with --n-networks of 2 or more"),
    }
    study.refuse_ignored(ignored)


def prepare(study):
    """
    Load the network and all scenes; return the network as Keras has it.

    Raises
    ------
    ValueError
        If they do not fit together, or a class has too few scenes.
    OSError
        If a file cannot be read, or the disk is too small.
    """
    parameters = study.parameters
    model = load_network(parameters)
    foldings = FOLDINGS if parameters.faults == "yes" else (parameters.batch_norm,)
    study.graphs = {how: read_network(model, how) for how in foldings}
    study.graph = study.graphs[parameters.batch_norm]
    size = study.graph.input.shape[0]
    study.kind = {"search": "search scenes", "coco": "COCO scenes"}[parameters.data]
    study.trial = {key: getattr(parameters, key) for key in ("width", "duration_ms")}
    study.trial["background"] = BACKGROUNDS[parameters.data]
    study.first, study.second = load_halves(parameters, size, study.seed + 1)
    study.drawn = scenes_in_words(study)
    parameters.n_scenes = len(study.first.targets) + len(study.second.targets)
    of_network = (study.graph.input.shape, model.output_shape[1:])
    of_scenes = (study.first.images.shape[1:], study.first.labels.shape[1:])
    if of_network != of_scenes:
        raise ValueError(
            f"spatial_attention: inputs and outputs of the network have the shapes {of_network}, the {study.kind} and their "
            f"labels {of_scenes}. Give a --model that was trained on them."
        )
    study.chosen = rdm_scenes(joined(study.first, study.second), parameters.n_per_class, study.seed)
    study.averages = average_images(parameters, size, study.seed + 2)
    check_space(study.graph, len(study.chosen.targets), study.trial, study.folder)
    return model


def scenes_in_words(study):
    """Say how many scenes the halves have, and how they came there."""
    numbers = f"{len(study.first.targets)} and {len(study.second.targets)} {study.kind}"
    if study.parameters.data == "search":
        return f"{numbers}, made with seed {study.seed + 1}"
    if study.parameters.n_scenes == ALL:
        return f"{numbers}: all of the file"
    return f"{numbers}: drawn from the file, stratified by target, with seed {study.seed + 1}"


def class_names(parameters):
    """Return the names of the classes, in the order of the outputs."""
    return read_selection(parameters.scenes).categories if parameters.data == "coco" else [str(k) for k in range(10)]


def one_picture(study, strengths, names):
    """Make figure 2 from one picture of the first half."""
    k = PICTURE % len(study.first.targets)
    half = study.first.chosen([k])
    conditions = [Condition(), *(Condition("output_gain", cue, strengths["output_gain"]) for cue in CUES)]
    found = compute(study, half, half, conditions, "one_picture", over_time=True)
    outputs = dict(zip(("neutral", *CUES), (values["output"][0] for values in found)))
    figure = plot_one_picture(outputs, names, int(half.targets[0]), study.parameters.duration_ms)
    study.figure(figure, "figure2", "1 picture; output gain")


def respond_all(study, strengths):
    """Measure the second half in all conditions, and the criteria for latencies; report what the published faults change."""
    parameters, conditions = study.parameters, [Condition(), *conditions_of(strengths)]
    faulty = (
        [Condition(cues="other half"), *conditions_of(strengths, "other half")] if parameters.faults == "yes" else []
    )
    found = compute(study, study.second, study.first, conditions + faulty, "conditions", over_time=True)
    baselines = {
        c.name: study.unit(baseline, study.averages, c, *constants_of(study).values(), study.seed, study.processes)[
            "activity"
        ]
        for c in study.progress(conditions, unit="condition")
    }
    n_channels = study.graph.populations[analysed_layers(study.graph)[0]].shape[2]
    by_name = {c.name: values for c, values in zip(conditions, found)}
    responses = Responses(by_name, study.second, n_channels, baselines, parameters.n_draws)
    rows = []
    for c, values in zip(conditions + faulty, found):
        rate = column_rate(values["activity"], n_channels, EVALUATION_MS).mean()
        rows.append(
            {"condition": c.name, "cues and places": c.cues, "rate_hz": rate, "rate_hz_as_printed": rate * 500 / 450}
        )
    print(study.table(rows, "rates_and_faults").to_string(index=False))
    return responses


def represent(study, strengths):
    """Return what `attention_protocol.representation` finds in each condition, the scenes, and the RDM of the ANN."""
    parameters, chosen = study.parameters, study.chosen
    last = analysed_layers(study.graph)[1]
    of_ann = next(values for p, _, values in study.graph.evaluated(chosen.images, np.float32) if p.name == last)
    analog = pdist(of_ann.reshape(len(of_ann), -1).astype(float), "correlation")
    found = {}
    for condition in study.progress([Condition(), *conditions_of(strengths)], unit="RDM"):
        found[condition.name] = study.unit(
            representation, chosen, analog, condition, *constants_of(study).values(), parameters.n_draws, study.seed,
            study.processes, study.folder,
        )  # fmt: skip
    return found, chosen, analog
