"""What Soerensen et al. (2022) report, beside what this run found: figure, command, published value, ours, verdict."""

import shlex
import sys
from pathlib import Path

import numpy as np
from attention_measures import MEASURES, MODELS, NAMES, SHARES, TITLES, n_images, strata_of
from attention_protocol import CUES, MECHANISMS, ONSET_MS
from claims import NOT_REPRODUCED, REPRODUCED, UNDECIDABLE

from brainsnn.analysis import TargetAUC, attention_modulation, bootstrap_draws, draw_interval

#: Values of the paper for valid and invalid cues in the order of `MECHANISMS`, and neutral. Rates: 1.11 times too high.
PUBLISHED = {
    "auc": {"valid": (0.804, 0.810, 0.825), "invalid": (0.790, 0.788, 0.781), "neutral": 0.797},
    "detection_ms": {"valid": (263, 254, 249), "invalid": (267, 270, 275), "neutral": 267},
    "rate_hz": {"valid": (2.16, 2.58, 2.56), "invalid": (1.74, 1.88, 1.88), "neutral": 2.02},
    "potential": {"valid": (0.050, 0.058, 0.067), "invalid": (0.043, 0.042, 0.040), "neutral": 0.045},
    "latency_ms": {"valid": (115, 93, 82), "invalid": (125, 123, 123), "neutral": 132},
}  # fmt: skip
#: Strengths with the largest AUC, and that AUC; AUC of the neutral and of the artificial network in both halves.
STRENGTHS = {"precision": (0.45, 0.816), "input_gain": (0.15, 0.824), "output_gain": (0.30, 0.834)}
OTHER_AUC = {("3B", "AUC, neutral"): 0.805, ("3B", "AUC, ANN"): 0.842, ("4C", "AUC, ANN"): 0.839}
#: Largest change of the target's output with a valid cue, in the order of `MECHANISMS`, and the smallest with an invalid one.
PEAKS, TROUGH = (0.025, 0.045, 0.085), -0.04
#: Detected targets, and columns without a latency: with a valid and with an invalid cue. The number of images is not published.
COUNTS = {
    "detected targets": ((517, 511, 525), (481, 475, 460)),
    "columns without a latency": ((55, 34, 25), (112, 96, 96)),
}
#: Change of partial correlations against neutral, in the order of `MECHANISMS`; and two of them at 300 ms.
FITS = {
    ("analog", "valid"): (0.012, 0.015, 0.012), ("analog", "invalid"): (-0.004, -0.015, -0.033),
    ("category", "valid"): (0.008, 0.018, 0.056), ("category", "invalid"): (-0.004, -0.008, -0.017),
}  # fmt: skip
FIT_MS, LATE_FITS = 300, {("analog", "neutral"): 0.75, ("category", "output_gain valid"): 0.05}
#: Width of an interval, as a share of the published value, where no effect on it was published.
WIDEST = 0.2
NOT_COMPARED = "other network and pictures"
#: Of a difference in another network or with other pictures, of which the direction alone is compared.
DIRECTIONS = {REPRODUCED: "same direction", NOT_REPRODUCED: "opposite direction"}
#: Weights of the published network, its image, and the parameters of its experiments.
N_WEIGHTS, IMAGE = 11_193_492, (224, 224, 3)
SETTINGS = {"data": "coco", "m_f": 0.45, "width": 40 / 224, "duration_ms": 750}
#: The published rates are so much too high.
FACTOR = 500 / 450


def is_published(parameters, n_weights, image):
    """Return whether network, pictures and trial are those of the paper, so that levels can be compared."""
    return {key: getattr(parameters, key) for key in SETTINGS} == SETTINGS and (n_weights, image) == (N_WEIGHTS, IMAGE)


def resolution(measure):
    """Return the largest published effect of a cue on a measure: a wider interval says nothing about its levels."""
    published = PUBLISHED[measure]
    return float(np.abs(np.subtract(published["valid"], published["invalid"])).max())


def condition_title(measure, condition):
    """Return how a level of a condition is called."""
    return NAMES[measure] + (", x 1.11, " if measure == "rate_hz" else ", ") + condition.replace("_", " ")


def published_values():
    """
    Return what the paper reports.

    Returns
    -------
    values : dict of (str, str) to float
        (figure, quantity), as in ``from_the_paper.csv``, to the published value.
    """
    values = {}
    for mechanism, (strength, auc) in STRENGTHS.items():
        values["3B", f"best strength, {TITLES[mechanism]}"] = strength
        values["3B", f"AUC at it, {TITLES[mechanism]}"] = auc
    values |= OTHER_AUC
    for mechanism, peak in zip(MECHANISMS, PEAKS):
        values["4A", f"largest change of the target's output, {TITLES[mechanism]} valid"] = peak
    values["4A", "smallest change of the target's output, output gain invalid"] = TROUGH
    for measure, (_, _, figure) in MEASURES.items():
        published = PUBLISHED[measure]
        values[figure, condition_title(measure, "neutral")] = published["neutral"]
        for cue in CUES:
            for mechanism, value in zip(MECHANISMS, published[cue]):
                values[figure, condition_title(measure, f"{mechanism} {cue}")] = value
        for mechanism, valid, invalid in zip(MECHANISMS, published["valid"], published["invalid"]):
            change = (valid - invalid) / (FACTOR if measure == "rate_hz" else 1)
            values[figure, f"{NAMES[measure]}, {TITLES[mechanism]}: valid - invalid"] = change
    for (figure, what), (valid, invalid) in zip(SHARES.values(), COUNTS.values()):
        for mechanism, one, other in zip(MECHANISMS, valid, invalid):
            values[figure, f"{what}, {TITLES[mechanism]}: valid / invalid - 1"] = one / other - 1
    for (model, condition), value in LATE_FITS.items():
        values["6D", f"partial correlation with {model} at {FIT_MS} ms, {condition.replace('_', ' ')}"] = value
    for (model, cue), fits in FITS.items():
        for mechanism, value in zip(MECHANISMS, fits):
            values["6E", f"partial correlation with {model}, {TITLES[mechanism]} {cue} - neutral"] = value
    return values


class Paper:
    """
    The table of the paper.

    Parameters
    ----------
    study : `common.Study`
    claims : `claims.Claims`
        Verdicts on differences between conditions.
    comparable : bool
        Whether network and pictures are the published ones, from `is_published`.
    """

    def __init__(self, study, claims, comparable):
        self.study, self.comparable, self.rows, self.published = study, comparable, [], published_values()
        self.claims = {row.claim: row for row in claims.rows}
        self.command = shlex.join(
            ["python", f"studies/{Path(sys.argv[0]).name or 'spatial_attention.py'}", *sys.argv[1:]]
        )

    def level(self, figure, what, ours, low=np.nan, high=np.nan, n=0, widest=np.inf):
        """
        Add a value of one condition; the published network and pictures alone give it a verdict.

        It is reproduced if the published one lies in our interval, and if this is not wider than ``widest``.
        """
        published, verdict = self.published[figure, what], NOT_COMPARED
        if self.comparable:
            inside = UNDECIDABLE if high - low > widest else REPRODUCED
            verdict = inside if low <= published <= high else NOT_REPRODUCED
            verdict = verdict if np.isfinite([low, high]).all() else "no interval"
        self._add(figure, what, ours, low, high, n, verdict)

    def difference(self, claim):
        """Add a difference that is one of the claims: its size is compared as levels are, otherwise its direction."""
        row, (figure, what) = self.claims[claim], claim.split(": ", 1)
        verdict = DIRECTIONS.get(row.verdict, row.verdict)
        if self.comparable:
            verdict = row.verdict if row.low <= self.published[figure, what] <= row.high else NOT_REPRODUCED
            verdict = verdict if np.isfinite([row.low, row.high]).all() else UNDECIDABLE
        self._add(figure, what, row.effect, row.low, row.high, row.n, verdict)

    def _add(self, figure, what, ours, low, high, n, verdict):
        self.rows.append({"figure": figure, "quantity": what, "published": self.published[figure, what], "ours": ours, "low": low,
                          "high": high, "n": n, "verdict": verdict, "command": self.command})  # fmt: skip

    def report(self):
        """Write the table as CSV and Markdown."""
        lines = ["| figure | quantity | published | ours [95 %] | n | verdict |", "|---|---|---|---|---|---|"]
        for row in self.rows:
            known = np.isfinite([row["low"], row["high"]]).all()
            ours = f"{row['ours']:.4g}" + (f" [{row['low']:.4g}, {row['high']:.4g}]" if known else "")
            lines.append(
                f"| {row['figure']} | {row['quantity']} | {row['published']:.4g} | {ours} | {row['n']} | {row['verdict']} |"
            )
        about = f"Command: `{self.command}`. Intervals are of drawn scenes; photographs.md has those over photographs."
        text = "\n".join([about, "", *lines, ""])
        self.study.table(self.rows, "from_the_paper")
        self.study.text(text, "from_the_paper.md")
        print(text)


def paper_table(study, claims, responses, representations, search, strengths, ann, comparable):
    """
    Make the table, write and print it.

    Parameters
    ----------
    study : `common.Study`
    claims : `claims.Claims`
    responses : `attention_measures.Responses`
    representations : dict
        Of `attention_published.represent`.
    search : `~pandas.DataFrame`
        AUC at each strength.
    strengths : dict of str to float
        The best ones.
    ann : pair of ndarray
        Outputs of the artificial network for both halves.
    comparable : bool
        From `is_published`.
    """
    paper, auc = Paper(study, claims, comparable), resolution("auc")
    n_first = len(study.first.targets)
    for mechanism in MECHANISMS:
        row = search[(search.mechanism == mechanism) & (search.strength == strengths[mechanism])].iloc[0]
        paper.level("3B", f"best strength, {TITLES[mechanism]}", strengths[mechanism], n=n_first)
        paper.level("3B", f"AUC at it, {TITLES[mechanism]}", row.auc, row.low, row.high, n_first, auc)
    row = search[search.strength == 0].iloc[0]
    paper.level("3B", "AUC, neutral", row.auc, row.low, row.high, n_first, auc)
    for half, figure, scores in zip((study.first, study.second), ("3B", "4C"), ann):
        statistic = TargetAUC(scores, half.targets)
        draws = bootstrap_draws(statistic, len(scores), responses.n_draws, strata=strata_of(half.targets))
        paper.level(figure, "AUC, ANN", statistic(), *draw_interval(draws), len(scores), auc)
    _add_peaks(paper, responses)
    n = len(responses.scenes.targets)
    for measure, (_, _, figure) in MEASURES.items():
        factor = FACTOR if measure == "rate_hz" else 1  # ours here as the paper's
        for condition in ("neutral", *(f"{m} {cue}" for cue in CUES for m in MECHANISMS)):
            value, draws = responses.draws(measure, condition)
            values = (factor * x for x in (value, *draw_interval(draws)))
            paper.level(figure, condition_title(measure, condition), *values, n, resolution(measure))
        for mechanism in MECHANISMS:
            paper.difference(f"{figure}: {NAMES[measure]}, {TITLES[mechanism]}: valid - invalid")
    for figure, what in SHARES.values():
        for mechanism in MECHANISMS:
            paper.difference(f"{figure}: {what}, {TITLES[mechanism]}: valid / invalid - 1")
    for model, condition in LATE_FITS:
        found, k = representations[condition], MODELS.index(model)
        known = FIT_MS < len(found["partial"])  # a short trial ends earlier
        values = (found["partial"][FIT_MS, k], *found["partial_interval"][:, FIT_MS, k]) if known else [np.nan] * 3
        what = f"partial correlation with {model} at {FIT_MS} ms, {condition.replace('_', ' ')}"
        paper.level("6D", what, *values, n_images(representations), WIDEST * LATE_FITS[model, condition])
    for model, cue in FITS:
        for mechanism in MECHANISMS:
            paper.difference(f"6E: partial correlation with {model}, {TITLES[mechanism]} {cue} - neutral")
    paper.report()


def _add_peaks(paper, responses):
    """Add the largest and smallest change of outputs, with the interval at that time."""
    found, neutral = responses.found, responses.found["neutral"]["output"]
    wanted = [(f"{m} valid", "largest", np.argmax, peak) for m, peak in zip(MECHANISMS, PEAKS)]
    for condition, size, where, published in [*wanted, ("output_gain invalid", "smallest", np.argmin, TROUGH)]:
        change = attention_modulation(found[condition]["output"], neutral, responses.scenes.targets, responses.n_draws)
        late = ONSET_MS + where(change.target[ONSET_MS:])
        what = f"{size} change of the target's output, {condition.replace('_', ' ')}"
        interval = change.target_interval[:, late]
        paper.level("4A", what, change.target[late], *interval, len(neutral), WIDEST * abs(published))
