"""Where should attention act: on precision, input gain or output gain? Cued visual search in a spiking ResNet.

The protocol of Soerensen, Zambrano, Slagter, Bohte and Scholte (2022), J. Cogn. Neurosci. 34, on scenes made from shipped
images. Strengths are chosen on the first half of the scenes; valid, neutral and invalid cues are compared on the other half.

This is a short form of the protocol, with activity in all layers. The published one, with all its figures and tables::

    python studies/spatial_attention.py --protocol published
    python studies/spatial_attention.py --protocol published --full

Both forms run with the authors' network and COCO photographs; the short one with ``--scenes``, the published one with
``--data coco``::

    python -m brainsnn.stimuli.coco COCO --out street.json
    python studies/spatial_attention.py --scenes street.json --photographs COCO --model resnet18.json --weights resnet18.h5
    python studies/spatial_attention.py --protocol published --full --data coco --scenes street.json --photographs COCO \\
        --model resnet18.json --weights resnet18.h5
"""

import numpy as np
from attention_arguments import ALL, FILES, defaults_for, word_of
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
from attention_trials import N_ELECTRODE, activity, behaviour, load_network, load_scenes, trial_of
from claims import Claims, paired_p
from common import Study
from figures import image_draws, mean_interval
from photographs import output_effects, report_photographs

import brainsnn as bs
from brainsnn.analysis import (
    TargetAUC,
    bootstrap_draws,
    bootstrap_interval,
    detection_scores,
    dissimilarity_matrix,
    draw_interval,
    rdm_fit,
    top_k_accuracy,
)
from brainsnn.stimuli.coco.scene_file import INTERPOLATIONS

QUICK = {
    "protocol": "short", "n_scenes": 80, "n_analysed": 20, "strengths": [0.2, 0.5], "m_f": 0.45, "width": 0.18,
    "duration_ms": 400, "n_resamples": 300, "processes": 2, **FILES,
}  # fmt: skip
FULL = {
    "protocol": "short", "n_scenes": 1200, "n_analysed": 80,
    "strengths": [0.15, 0.3, 0.45, 0.6, 0.75], "m_f": 0.45, "width": 0.18,
    "duration_ms": 500, "n_resamples": 2000, "processes": 2, **FILES,
}  # fmt: skip
#: Scenes per unit of work: at most this many are lost per process after an interruption.
CHUNK = 50


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
        n_draws = study.parameters.n_resamples
        auc = bootstrap_interval(TargetAUC(found["scores"], scenes.targets, scenes.labels), len(scenes), n_draws)
        rate = mean_interval(found["rates"])
        row = {"strength": condition.strength, **dict(zip(("auc", "auc_low", "auc_high"), auc))}
        row |= dict(zip(("rate_hz", "rate_hz_low", "rate_hz_high"), rate))
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


def cue_effects(measures):
    """Return the effect of each cue, valid - invalid, as functions of scene indices, by measure and mechanism."""

    def effect(measure, mechanism):
        valid, invalid = (measures[f"{mechanism} {cue}"][measure] for cue in CUES)
        return lambda index: valid(index) - invalid(index)

    return {
        f"{measure}, {mechanism}": effect(measure, mechanism)
        for measure in measures["neutral"]
        for mechanism in MECHANISMS
    }


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


def fit_interval(patterns, targets, n_draws=200):
    """Return how well classes explain an RDM, and its interval of drawn images; pairs of an image with itself are left out."""
    rdm, n = dissimilarity_matrix(patterns), len(targets)

    def fit(index):
        own = rdm[np.ix_(index, index)]
        return rdm_fit(np.where(index[:, None] == index, np.nan, own), targets[index])

    return rdm_fit(rdm, targets), *draw_interval(bootstrap_draws(fit, n, n_draws))


def activity_table(study, found):
    """Make a table by layer and condition: rates, latency, and how well the target's class explains the RDM."""
    targets = study.test.targets[: study.parameters.n_analysed]
    rows = []
    for condition, values in found.items():
        for key in values:
            kind, _, name = key.partition("/")
            if kind != "inside":
                continue
            latency, neutral = values[f"latency/{name}"], found["neutral"]
            row = {"condition": condition, "layer": name, "n_images": len(targets)}
            for where in ("inside", "outside", "own_inside"):
                of = f"{where.removesuffix('_inside')}/{name}"
                row[f"{where}_hz"] = np.nanmean(values[of])
                if where != "own_inside":
                    ratios = image_draws(values[of]) / image_draws(neutral[of])
                    row |= dict(zip((f"{where}_ratio_low", f"{where}_ratio_high"), draw_interval(ratios)))
            row |= dict(zip(("latency_ms", "latency_low", "latency_high"), mean_interval(latency)))
            row["n_latencies"] = int(np.isfinite(latency).sum())
            row |= dict(
                zip(("rdm_fit", "rdm_fit_low", "rdm_fit_high"), fit_interval(values[f"pattern/{name}"], targets))
            )
            rows.append(row)
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


def report_rates(study, activities):
    """Claim that a valid cue raises rates at the target, in the attended layers and after them (means over layers)."""
    claims = Claims(study)

    def rate(condition, where):
        values = activities[condition]
        return np.nanmean([values[key] for key in values if key.startswith(where)], axis=0)  # one for each scene

    for mechanism in MECHANISMS:
        for words, where in (("after the attended layers", "inside/"), ("in the attended layers", "own/")):
            cued, neutral = (rate(condition, where) for condition in (f"{mechanism} valid", "neutral"))
            draws, effect = image_draws(cued) / image_draws(neutral) - 1, np.nanmean(cued) / np.nanmean(neutral) - 1
            name = f"rate at the target {words}, {mechanism}: valid / neutral - 1"
            test, p = "paired bootstrap of scenes", paired_p(draws)
            claims.add(name, effect, draws, len(cued), test, p, 1, published=False, n_tests=2 * len(MECHANISMS))
    claims.report()


def make_figures(study, search, table, activities, layers, strengths):
    """Make all figures; those of layers are of the analysed scenes."""
    targets, drawn = study.test.targets[: study.parameters.n_analysed], "95 % of bootstrap draws of scenes"
    photographs, of_layers = len(np.unique(study.test.photographs)), f"{len(targets)} scenes"
    study.figure(
        plot_mechanisms(study.test, strengths, study.parameters), "mechanisms", "2 scenes; curves are computed"
    )
    study.figure(plot_search(search), "strength_search", f"{len(study.search)} scenes of the first half; bars: {drawn}")
    n = f"{len(study.test)} scenes of {photographs} photographs; bars: {drawn}"
    study.figure(plot_behaviour(table), "behaviour", n)
    study.figure(plot_rates(layers), "rates", f"{of_layers}; bars: {drawn}")
    n = f"{of_layers}, mean over up to {N_ELECTRODE} neurons of a layer; bands: {drawn}"
    study.figure(plot_evoked(activities, ONSET_MS), "evoked_potentials", n)
    study.figure(plot_latencies(layers), "latencies", f"{of_layers}, those with a latency; bars: {drawn}")
    study.figure(plot_representations(activities, layers, targets), "representations", f"{of_layers}; bars: {drawn}")


def main(argv=None):
    """Search strengths, compare cues, analyse activity, write figures and tables."""
    if word_of(argv, "protocol", "short") == "published":
        import attention_published

        attention_published.main(argv)
        return
    full = defaults_for(FULL, word_of(argv, "scenes", ""))
    study = Study("spatial_attention", __doc__, QUICK, full, argv, sweeps=True)
    parameters = study.parameters
    _check(study)
    try:
        study.search, study.test = load_scenes(parameters, study.seed + 1)
        study.graph = bs.read_keras(load_network(parameters))
    except (ValueError, OSError) as error:  # before an old record is removed
        study.error(str(error))
    parameters.n_scenes = len(study.search) + len(study.test)
    with study:
        search, strengths = search_strengths(study)
        found = test_conditions(study, strengths)
        table = make_table(study, found, strengths)
        activities = analyse(study, strengths)
        layers = activity_table(study, activities)
        make_figures(study, search, table, activities, layers, strengths)
        report(study, table, strengths)
        effects = cue_effects(statistics_of(found, study.test, parameters.duration_ms))
        report_photographs(study, effects | output_effects(found, study.test.targets), study.test.photographs)
        report_rates(study, activities)


def _check(study):
    """Refuse parameters that measure nothing, or that would be ignored."""
    parameters = study.parameters
    if parameters.protocol != "short":
        study.error(f"argument --protocol: {parameters.protocol!r}; choose short or published")
    if parameters.n_scenes < 2 and parameters.n_scenes != ALL:
        study.error(
            f"argument --n-scenes: {parameters.n_scenes} must be at least 2; strengths and conditions need a scene each"
        )
    if parameters.duration_ms <= EVALUATION_MS:
        study.error(
            f"argument --duration-ms: {parameters.duration_ms} is too short; outputs count from {EVALUATION_MS} ms on"
        )
    if parameters.scenes and not (parameters.photographs and parameters.model):
        study.error("argument --scenes: photographs need --photographs and --model as well")
    shipped = not parameters.scenes
    ignored = {"photographs": (shipped, "give --scenes as well"), "interpolation": (shipped, "give --scenes as well"),
               "weights": (not parameters.model, "give --model as well")}  # fmt: skip
    study.refuse_ignored(ignored)
    if parameters.interpolation not in INTERPOLATIONS:
        study.error(
            f"argument --interpolation: {parameters.interpolation!r}; choose one of {', '.join(INTERPOLATIONS)}"
        )


if __name__ == "__main__":
    main()
