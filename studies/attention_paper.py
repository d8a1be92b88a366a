"""What Soerensen et al. (2022) report, beside what this run found: figure, command, published value, ours, verdict."""

import shlex
import sys
from pathlib import Path

import numpy as np
from attention_measures import MEASURES, NAMES, TITLES
from attention_protocol import CUES, MECHANISMS
from claims import NOT_REPRODUCED, REPRODUCED, UNDECIDABLE

from brainsnn.analysis import draw_interval

#: Values of the paper for valid and invalid cues in the order of `MECHANISMS`, and neutral. Rates: 1.11 times too high.
PUBLISHED = {
    "auc": {"valid": (0.804, 0.810, 0.825), "invalid": (0.790, 0.788, 0.781), "neutral": 0.797},
    "detection_ms": {"valid": (263, 254, 249), "invalid": (267, 270, 275), "neutral": 267},
    "rate_hz": {"valid": (2.16, 2.58, 2.56), "invalid": (1.74, 1.88, 1.88), "neutral": 2.02},
    "potential": {"valid": (0.050, 0.058, 0.067), "invalid": (0.043, 0.042, 0.040), "neutral": 0.045},
    "latency_ms": {"valid": (115, 93, 82), "invalid": (125, 123, 123), "neutral": 132},
}  # fmt: skip
#: Strengths with the largest AUC, and that AUC.
STRENGTHS = {"precision": (0.45, 0.816), "input_gain": (0.15, 0.824), "output_gain": (0.30, 0.834)}
ANN_AUC = 0.839
#: Change of partial correlations against neutral, in the order of `MECHANISMS`.
FITS = {
    ("analog", "valid"): (0.012, 0.015, 0.012), ("analog", "invalid"): (-0.004, -0.015, -0.033),
    ("category", "valid"): (0.008, 0.018, 0.056), ("category", "invalid"): (-0.004, -0.008, -0.017),
}  # fmt: skip
NOT_COMPARED = "other network and pictures"
#: Width of an interval, as a share of the published value, in which that value is reproduced.
WIDEST = 0.2


class Paper:
    """
    The table of the paper.

    Parameters
    ----------
    study : `common.Study`
    claims : `claims.Claims`
        Verdicts on differences between conditions.
    """

    def __init__(self, study, claims):
        self.study, self.rows = study, []
        self.verdicts = {row.claim: row for row in claims.rows}
        self.compares_levels = study.parameters.data == "coco"
        self.command = shlex.join(["python", Path(sys.argv[0]).name or "spatial_attention.py", *sys.argv[1:]])

    def level(self, figure, what, published, ours, low=np.nan, high=np.nan, n=0):
        """
        Add a value of one condition; the published pictures alone give it a verdict.

        It is reproduced if it lies in our interval, and if this is not wider than a fifth of it, which would decide nothing.
        """
        verdict = NOT_COMPARED
        if self.compares_levels and np.isfinite([low, high]).all():
            verdict = NOT_REPRODUCED
            if low <= published <= high:
                verdict = REPRODUCED if high - low <= WIDEST * abs(published) else UNDECIDABLE
        self._add(figure, what, published, ours, low, high, n, verdict)

    def difference(self, figure, claim, published):
        """Add a difference that is one of the claims."""
        row = self.verdicts[claim]
        self._add(figure, claim.split(": ", 1)[1], published, row.effect, row.low, row.high, row.n, row.verdict)

    def _add(self, figure, what, published, ours, low, high, n, verdict):
        self.rows.append({"figure": figure, "quantity": what, "published": published, "ours": ours, "low": low, "high": high,
                          "n": n, "verdict": verdict, "command": self.command})  # fmt: skip

    def report(self):
        """Write the table as CSV and Markdown."""
        lines = ["| figure | quantity | published | ours [95 %] | n | verdict |", "|---|---|---|---|---|---|"]
        for row in self.rows:
            known = np.isfinite([row["low"], row["high"]]).all()
            ours = f"{row['ours']:.4g}" + (f" [{row['low']:.4g}, {row['high']:.4g}]" if known else "")
            lines.append(
                f"| {row['figure']} | {row['quantity']} | {row['published']:.4g} | {ours} | {row['n']} | {row['verdict']} |"
            )
        text = "\n".join([f"Command: `{self.command}`", "", *lines, ""])
        self.study.table(self.rows, "from_the_paper")
        self.study.text(text, "from_the_paper.md")
        print(text)


def paper_table(study, claims, responses, search, strengths, ann_auc, n_search):
    """Make the table, write and print it."""
    paper, n = Paper(study, claims), len(responses.scenes.targets)
    for mechanism, (strength, auc) in STRENGTHS.items():
        row = search[(search.mechanism == mechanism) & (search.strength == strengths[mechanism])].iloc[0]
        paper.level("3B", f"best strength, {TITLES[mechanism]}", strength, strengths[mechanism], n=n_search)
        paper.level("3B", f"AUC at it, {TITLES[mechanism]}", auc, row.auc, row.low, row.high, n_search)
    paper.level("4C", "AUC, ANN", ANN_AUC, ann_auc, n=n)
    for measure, (_, _, figure) in MEASURES.items():
        factor = 500 / 450 if measure == "rate_hz" else 1  # the paper's rates are so much too high; ours here, too
        names = [("neutral", PUBLISHED[measure]["neutral"])]
        names += [(f"{m} {cue}", PUBLISHED[measure][cue][k]) for cue in CUES for k, m in enumerate(MECHANISMS)]
        for condition, published in names:
            value, draws = responses.draws(measure, condition)
            low, high = draw_interval(draws)
            about = NAMES[measure] + (", x 1.11" if measure == "rate_hz" else "")
            paper.level(
                figure,
                f"{about}, {condition.replace('_', ' ')}",
                published,
                value * factor,
                low * factor,
                high * factor,
                n,
            )
        for k, mechanism in enumerate(MECHANISMS):
            published = (PUBLISHED[measure]["valid"][k] - PUBLISHED[measure]["invalid"][k]) / factor
            paper.difference(figure, f"{figure}: {NAMES[measure]}, {TITLES[mechanism]}: valid - invalid", published)
    for (model, cue), values in FITS.items():
        for mechanism, published in zip(MECHANISMS, values):
            paper.difference(
                "6E", f"6E: partial correlation with {model}, {TITLES[mechanism]} {cue} - neutral", published
            )
    paper.report()
