"""From responses to numbers: measures of each condition with bootstrap draws, tests, claims, and the table of the paper."""

from functools import cached_property

import numpy as np
from attention_protocol import CUES, EVALUATION_MS, MECHANISMS, ONSET_MS
from claims import ALPHA, Claims, difference_bounds, paired_p
from figures import image_draws

from brainsnn.analysis import (
    TargetAUC,
    adjusted_p_values,
    attention_modulation,
    auc_permutation_test,
    bootstrap_draws,
    chance_level,
    column_rate,
    detection_scores,
    draw_interval,
    latency_criterion,
    max_t_test,
    mcnemar_test,
    median_detection_time,
    midpoint_latency,
    permutation_test,
    required_images,
    smoothed_response,
    top_k_accuracy,
    weighted_f1,
)

#: Measure -> (statistic of the permutation test, sign of valid - invalid in the paper, its figure).
MEASURES = {
    "auc": ("auc", 1, "4C"), "detection_ms": ("nanmedian", -1, "4D"), "rate_hz": ("mean", 1, "5D"),
    "potential": ("mean", 1, "5E"), "latency_ms": ("nanmedian", -1, "5F"),
}  # fmt: skip
#: Of measures, in claims and tables for readers.
NAMES = {"auc": "AUC", "detection_ms": "median detection time (ms)", "rate_hz": "rate (Hz)", "potential": "mean potential",
         "latency_ms": "median latency (ms)"}  # fmt: skip
#: Shares of scenes: measure whose values they count -> (its figure, name).
SHARES = {"detection_ms": ("4B", "detected targets"), "latency_ms": ("5C", "columns without a latency")}
#: Of representations, in the order of their columns.
MODELS = ("category", "analog")
#: Claims of one model's correlations, which are tested together.
N_OF_RDMS = len(CUES) * len(MECHANISMS)
PAIRED = "paired bootstrap of scenes"
#: Scenes of a class that can be drawn among themselves: of fewer, a bootstrap within classes is too narrow.
LEAST_OF_CLASS = 5
TITLES = {"precision": "precision", "input_gain": "input gain", "output_gain": "output gain"}


class Responses:
    """
    Responses of the test half in all conditions.

    Parameters
    ----------
    found : dict of str to dict of str to ndarray
        Condition -> values of `attention_protocol.respond`.
    scenes : `attention_protocol.Scenes`
    n_channels : int
        Neurons in the analysed column.
    baselines : dict of str to ndarray
        Condition -> activity in response to average images.
    n_draws : int
    """

    def __init__(self, found, scenes, n_channels, baselines, n_draws):
        self.found, self.scenes, self.n_channels, self.n_draws = found, scenes, n_channels, n_draws
        self.criteria = {name: latency_criterion(smoothed_response(activity)) for name, activity in baselines.items()}

    @cached_property
    def values(self):
        """Measure -> condition -> one value for each scene (scores for AUC)."""
        found, trial = self.found, next(iter(self.found.values()))["activity"].shape[1]
        late = slice(EVALUATION_MS, trial)
        return {
            "auc": {name: values["scores"] for name, values in found.items()},
            "detection_ms": {name: values["times"] - ONSET_MS for name, values in found.items()},
            "rate_hz": {n: column_rate(v["activity"], self.n_channels, EVALUATION_MS) for n, v in found.items()},
            "potential": {n: v["potential"][:, late].mean(axis=1) / self.n_channels for n, v in found.items()},
            "latency_ms": {
                name: midpoint_latency(smoothed_response(values["activity"]), self.criteria[name.removesuffix(" other half")])
                for name, values in found.items()
            },
        }  # fmt: skip

    def statistic(self, measure, condition):
        """Return a function of scene indices."""
        values = self.values[measure][condition]
        if measure == "auc":
            return TargetAUC(values, self.scenes.targets)
        return lambda index: (
            _median(values[index]) if MEASURES[measure][0] == "nanmedian" else float(values[index].mean())
        )

    @cached_property
    def _draws(self):
        return {}

    def draws(self, measure, condition):
        """Return the value of all scenes, and bootstrap draws; those of AUC are stratified by target (`strata_of`)."""
        if (measure, condition) not in self._draws:
            statistic, n = self.statistic(measure, condition), len(self.scenes.targets)
            strata = strata_of(self.scenes.targets) if measure == "auc" else None
            drawn = bootstrap_draws(statistic, n, self.n_draws, strata=strata)
            self._draws[measure, condition] = float(statistic(np.arange(n))), drawn
        return self._draws[measure, condition]

    def difference(self, measure, first, second):
        """Return the difference of two conditions, and its draws of the same scenes."""
        (a, a_draws), (b, b_draws) = self.draws(measure, first), self.draws(measure, second)
        return a - b, a_draws - b_draws

    def test(self, measure, first, second, n_permutations, published=False):
        """Return p of the published unpaired permutation test; NaN if nothing can be compared."""
        one, other = self.values[measure][first], self.values[measure][second]
        try:
            if measure == "auc":
                return auc_permutation_test(
                    one, other, self.scenes.targets, n_permutations=n_permutations, published=published
                ).p
            return permutation_test(one, other, MEASURES[measure][0], n_permutations, published=published).p
        except ValueError:  # a median of nothing
            return float("nan")


def strata_of(targets):
    """
    Return the classes within which scenes are drawn, as published; None if a class has too few scenes for that.

    Parameters
    ----------
    targets : (n_scenes,) ndarray of int

    Returns
    -------
    strata : (n_scenes,) ndarray of int or None
    """
    return targets if np.unique(targets, return_counts=True)[1].min() >= LEAST_OF_CLASS else None


def _median(values):
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else float("nan")


def behaviour_table(study, responses, ann_scores):
    """Write all measures of all conditions with intervals, ours and the published forms; return the table."""
    rows, scenes = [], responses.scenes
    for condition, values in responses.found.items():
        for measure in MEASURES:
            value, draws = responses.draws(measure, condition)
            low, high = draw_interval(draws)
            row = {"condition": condition, "measure": measure, "value": value, "low": low, "high": high}
            rows.append(row | {"n": int(np.isfinite(np.atleast_2d(responses.values[measure][condition].T)[0]).sum())})
            if measure == "rate_hz":  # as printed in the paper, 1.11 times too high
                printed = {key: row[key] * 500 / 450 for key in ("value", "low", "high")}
                rows.append(rows[-1] | printed | {"measure": "rate_hz_as_printed"})
        times = values["times"]
        end = values["output"].shape[1]
        extra = scored(values["scores"], scenes) | {"network_rate_hz": values["rates"].mean()}
        rows.append(
            {"condition": condition, "measure": "detection_ms_kaplan_meier"} | _censored(times, end, responses.n_draws)
        )
        rows += [{"condition": condition, "measure": k, "value": v, "n": len(times)} for k, v in extra.items()]
    extra = scored(ann_scores, scenes)
    extra["auc"] = TargetAUC(ann_scores, scenes.targets)()
    extra |= {
        f"chance_{m}": chance_level(ann_scores, scenes.targets, m) for m in ("top_1", "top_2", "top_3", "f1", "auc")
    }
    rows += [{"condition": "ANN", "measure": k, "value": v, "n": len(ann_scores)} for k, v in extra.items()]
    return study.table(rows, "behaviour")


def _censored(times, end, n_draws):
    """Return the median detection time with misses as censored, and its interval; infinite if it lies after the end."""

    def median(index):
        found = median_detection_time(times[index], end) - ONSET_MS
        return found if np.isfinite(found) else np.inf

    low, high = draw_interval(bootstrap_draws(median, len(times), n_draws))
    return {"value": median(np.arange(len(times))), "low": low, "high": high, "n": len(times)}


def modulation_table(study, responses):
    """Write the change of outputs from 250 ms on, for targets and other classes, with the published interval of the latter."""
    late, targets, rows = slice(EVALUATION_MS, None), responses.scenes.targets, []
    outputs = {
        name: v["output"][:, late].mean(axis=1, keepdims=True, dtype=float) for name, v in responses.found.items()
    }
    for condition in (name for name in outputs if name != "neutral"):
        for published in (False, True):
            found = attention_modulation(outputs[condition], outputs["neutral"], targets, responses.n_draws, published)
            parts = {"target": (found.target, found.target_interval), "others": (found.others, found.others_interval)}
            rows += [
                {"condition": condition, "outputs": name, "interval": "as published" if published else "all classes",
                 "change": float(change[0]), "low": float(low[0]), "high": float(high[0])}
                for name, (change, (low, high)) in parts.items() if name == "others" or not published
            ]  # fmt: skip
    return study.table(rows, "modulation")


def scored(scores, scenes):
    """Return accuracies, weighted F1, rates, and the AUC without visible distractors."""
    rates = detection_scores(scores, scenes.targets)
    return {
        **{f"top_{k}": top_k_accuracy(scores, scenes.targets, k) for k in (1, 2, 3)},
        "f1_weighted": weighted_f1(scores, scenes.targets), "true_positive_rate": rates["hit_rate"],
        "false_positive_rate": rates["false_alarm_rate"],
        "auc_without_distractors": TargetAUC(scores, scenes.targets, scenes.labels)(),
    }  # fmt: skip


def comparisons_table(study, responses, ann_scores, other_neutral, n_permutations):
    """Write the published tests, Bonferroni-corrected for each mechanism, and what the published faults make of them."""
    rows = []
    for measure in MEASURES:
        for mechanism in MECHANISMS:
            valid, invalid = (f"{mechanism} {cue}" for cue in CUES)
            pairs = [(valid, invalid), (valid, "neutral"), (invalid, "neutral")]
            found = []
            for first, second in pairs:
                effect, draws = responses.difference(measure, first, second)
                found.append(
                    (
                        f"{first} - {second}",
                        effect,
                        *draw_interval(draws),
                        responses.test(measure, first, second, n_permutations),
                    )
                )
            if measure == "auc":
                one = responses.values["auc"][valid]
                test = auc_permutation_test(one, ann_scores, responses.scenes.targets, n_permutations=n_permutations)
                found.append((f"{valid} - ANN", test.difference, np.nan, np.nan, test.p))
            adjusted = adjusted_p_values([p if np.isfinite(p) else 1.0 for *_, p in found])
            rows += [
                {
                    "measure": measure,
                    "comparison": name,
                    "effect": effect,
                    "low": low,
                    "high": high,
                    "p": p,
                    "p_bonferroni": a,
                }
                for (name, effect, low, high, p), a in zip(found, adjusted)
            ]
            if (
                measure == "auc" and other_neutral is not None
            ):  # the published neutral of the first half, with labels of the second
                n = min(len(one), len(other_neutral))
                test = auc_permutation_test(
                    one[:n],
                    other_neutral[:n],
                    responses.scenes.targets[:n],
                    n_permutations=n_permutations,
                    published=True,
                )
                rows.append({"measure": measure, "comparison": f"{valid} - neutral of the other half (published fault)",
                             "effect": test.difference, "p": test.p})  # fmt: skip
    return study.table(rows, "comparisons")


def make_claims(study, responses, representations):
    """Return the claims of the paper, with effect, interval, test and verdict; the published tests are in comparisons.csv."""
    claims, n = Claims(study), len(responses.scenes.targets)
    for measure, (_, sign, figure) in MEASURES.items():
        about = f"{figure}: {NAMES[measure]}"
        found = {m: responses.difference(measure, f"{m} valid", f"{m} invalid") for m in MECHANISMS}
        for mechanism, (effect, draws) in found.items():
            name = f"{about}, {TITLES[mechanism]}: valid - invalid"
            claims.add(name, effect, draws, n, PAIRED, paired_p(draws), sign, n_tests=len(MECHANISMS))
        for better, worse in (("output_gain", "input_gain"), ("input_gain", "precision")):
            effect, draws = (one - other for one, other in zip(found[better], found[worse]))
            name = f"{about}: effect of {TITLES[better]} - {TITLES[worse]}"
            # The paper's effects of both gains on rates are equal: 0.68 and 0.70 Hz.
            published = (measure, better) != ("rate_hz", "output_gain")
            claims.add(name, effect, draws, n, PAIRED, paired_p(draws), sign, published=published, n_tests=2)
    precise = responses.difference("rate_hz", "precision valid", "neutral")
    for mechanism in ("input_gain", "output_gain"):
        rise = responses.difference("rate_hz", f"{mechanism} valid", "neutral")
        effect, draws = (one - other for one, other in zip(rise, precise))
        name = f"5D: rate: rise with {TITLES[mechanism]} - rise with precision"
        claims.add(name, effect, draws, n, PAIRED, paired_p(draws), 1, n_tests=2)
    for measure, sign in (("detection_ms", 1), ("latency_ms", -1)):
        figure, what = SHARES[measure]
        for mechanism in MECHANISMS:
            effect, draws = _ratio(responses, measure, mechanism)
            name = f"{figure}: {what}, {TITLES[mechanism]}: valid / invalid - 1"
            claims.add(name, effect, draws, n, PAIRED, paired_p(draws), sign, n_tests=len(MECHANISMS))
    for k, model in enumerate(MODELS):
        for mechanism in MECHANISMS:
            for cue, sign in zip(CUES, (1, -1)):
                draws = fit_draws(representations, f"{mechanism} {cue}", "images")[:, k]
                name = f"6E: partial correlation with {model}, {TITLES[mechanism]} {cue} - neutral"
                test, p = "bootstrap of images", paired_p(draws)
                claims.add(name, draws[0], draws, n_images(representations), test, p, sign, n_tests=N_OF_RDMS)
    further_claims(claims, responses)
    return claims


def _ratio(responses, measure, mechanism):
    """Return by how much the number of scenes with (or without) a value differs between valid and invalid cues, and draws."""
    counted = [
        np.isfinite(responses.values[measure][f"{mechanism} {cue}"]) == (measure == "detection_ms") for cue in CUES
    ]

    def ratio(index):
        valid, invalid = (values[index].mean() for values in counted)
        return valid / invalid - 1 if invalid else np.nan

    n = len(counted[0])
    return ratio(np.arange(n)), bootstrap_draws(ratio, n, responses.n_draws)


def further_claims(claims, responses):
    """Add what the paper does not test: detection times with misses as censored, accuracies, and all outputs at once (max-T)."""
    targets, n = responses.scenes.targets, len(responses.scenes.targets)
    strata = strata_of(targets)
    end = responses.found["neutral"]["output"].shape[1] - ONSET_MS
    for mechanism in MECHANISMS:
        times = [responses.values["detection_ms"][f"{mechanism} {cue}"] for cue in CUES]
        medians = [lambda i, own=own: median_detection_time(own[i], end) for own in times]
        draws = bootstrap_draws(lambda i, m=medians: m[0](i) - m[1](i), n, responses.n_draws)
        effect = medians[0](np.arange(n)) - medians[1](np.arange(n))
        name = f"median detection time (ms), misses as censored (Kaplan-Meier), {TITLES[mechanism]}: valid - invalid"
        p, k = paired_p(draws), len(MECHANISMS)
        claims.add(name, effect, draws, n, PAIRED, p, -1, published=False, n_tests=k)
    correct = {name: scores.argmax(axis=1) == targets for name, scores in responses.values["auc"].items()}
    of_target = {name: scores[np.arange(n), targets] for name, scores in responses.values["auc"].items()}
    differences = np.array([of_target[f"{m} valid"] - of_target[f"{m} invalid"] for m in MECHANISMS]).T
    for mechanism, change, p in zip(MECHANISMS, differences.T, max_t_test(differences)[1]):
        draws = bootstrap_draws(lambda i, d=change: d[i].mean(), n, responses.n_draws, strata=strata)
        name = f"output of the target, {TITLES[mechanism]}: valid - invalid"
        claims.add(name, change.mean(), draws, n, "max-T over mechanisms", p, 1, published=False)
    for mechanism in MECHANISMS:
        one, other = correct[f"{mechanism} valid"], correct[f"{mechanism} invalid"]
        test, change = mcnemar_test(one, other), one.astype(float) - other
        drawn, name = image_draws(change, responses.n_draws), f"accuracy, {TITLES[mechanism]}: valid - invalid"
        bounds = tuple(map(float, difference_bounds(test.difference, drawn, n)))
        claims.add(name, test.difference, bounds, n, "McNemar", test.p, 1, published=False, n_tests=len(MECHANISMS))


def valid_invalid_effects(responses):
    """Return the effect of each cue, valid - invalid, as functions of scene indices, by measure and mechanism."""

    def effect(measure, mechanism):
        valid, invalid = (responses.statistic(measure, f"{mechanism} {cue}") for cue in CUES)
        return lambda index: valid(index) - invalid(index)

    return {f"{NAMES[measure]}, {TITLES[m]}": effect(measure, m) for measure in MEASURES for m in MECHANISMS}


def power_table(study, responses):
    """Write how many scenes decide each effect, if it is as large as it was found here."""
    rows = []
    for measure in MEASURES:
        for mechanism in MECHANISMS:
            effect, draws = responses.difference(measure, f"{mechanism} valid", f"{mechanism} invalid")
            error = np.nanstd(draws)
            n, alpha = len(responses.scenes.targets), ALPHA / len(MECHANISMS)  # as the claims are corrected
            needed = required_images(effect, error, n, alpha=alpha) if effect and error > 0 else np.nan
            rows.append(
                {
                    "measure": measure,
                    "mechanism": mechanism,
                    "effect": effect,
                    "standard_error": error,
                    "n_needed": needed,
                }
            )
    return study.table(rows, "power")


def _known(draws):
    known = draws[np.isfinite(draws)]
    return known if len(known) else np.zeros(1)


def n_images(representations):
    """Return the number of images of the RDMs."""
    return round((1 + np.sqrt(1 + 8 * representations["neutral"]["rdms"].shape[1])) / 2)


def fit_draws(representations, condition, resample):
    """
    Return the change of the fits against neutral for each draw, (n_draws, 2).

    Drawn images are the same in both conditions. Of drawn pairs, the mean over all draws of neutral is taken off, as published.
    """
    neutral = representations["neutral"][f"draws_{resample}"]
    return representations[condition][f"draws_{resample}"] - (neutral.mean(axis=0) if resample == "pairs" else neutral)
