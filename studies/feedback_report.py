"""What the published logs say of predictive feedback, and what we found: a row per figure, with an interval and a verdict."""

import numpy as np

from brainsnn.analysis import accuracy_interval, bootstrap_interval

__all__ = ["FULL_SIZE", "UNLEARNED", "from_the_paper", "markdown"]

#: Logged figures of the SNNs: run -> accuracy (%), cross-entropy, squared error, spikes per image. MNIST, VGG5, 50 steps.
LOGGED = {
    "plain": (99.35, 0.0397, None, 116_808.1),
    "no blocking": (99.14, 0.0381, 163.375, None),
    "objective 1, epsilon 0": (99.14, 0.0381, 163.375, 388_038.4),
    "objective 1, epsilon 0.1": (99.05, 0.0371, 163.371, 360_811.3),
    "objective 3, epsilon 0": (99.13, 0.0382, 163.376, None),
    "objective 3, epsilon 0.1": (99.06, 0.0371, 163.372, None),
}
LOGGED_ANN = {"plain": 99.43, "feedback": 99.19}
#: Weights of the published networks.
FULL_SIZE = {"plain": 42_730_048, "feedback": 43_115_648}
QUANTITIES = ("accuracy (%)", "cross-entropy", "squared error per image", "spikes per image, without input")
TRAIN = "python -m brainsnn.training.train_predictive --preset published --dataset mnist --ann-trade-off 1 --variant"
STUDY = "python studies/predictive_feedback.py --protocol published --dataset mnist --weights FILE --plain-weights FILE"


def from_the_paper(measures, checkpoints, parameters, epsilons):
    """
    Compare measures with the published logs.

    Parameters
    ----------
    measures : dict of str to dict of ndarray
        Name of a run to its measures per image.
    checkpoints : dict
        Networks, by variant.
    parameters : object
        ``dataset`` and ``n_images``.
    epsilons : list of float

    Returns
    -------
    rows : list of dict
        ``quantity``, ``command``, ``published``, ``ours``, ``low`` and ``high`` (95 %), ``n`` and ``verdict``.
    """
    same = {
        variant: parameters.dataset == "mnist" and checkpoints[variant]["parameters"] == size
        for variant, size in FULL_SIZE.items()
    }  # fmt: skip
    rows = [_ann_row(variant, checkpoints[variant]["ann"], same[variant]) for variant in LOGGED_ANN]
    for run, published in LOGGED.items():
        if run in measures:
            rows += _rows_of(run, published, measures[run], same["plain" if run == "plain" else "feedback"])
    return rows + _effects(measures, max(epsilons), all(same.values()))


def _ann_row(variant, accuracy, same):
    """Return the row of an ANN; its test images are not known here, so it has no interval."""
    return {
        "quantity": f"ANN {variant}: accuracy (%)", "command": f"{TRAIN} {variant}", "published": LOGGED_ANN[variant],
        "ours": 100 * accuracy, "low": np.nan, "high": np.nan, "n": 0,
        "verdict": "undecidable without an interval" if same else OTHER,
    }  # fmt: skip


OTHER = "not comparable: another network or other data"
#: Of effects between networks that classify less than this share of the images, which say nothing of trained ones.
UNLEARNED, LEARNED = "undecidable: a network has learned too little", 0.9


def _rows_of(run, published, measures, same):
    """Return the rows of a run."""
    rows, n = [], len(measures["correct"])
    for quantity, expected, name in zip(QUANTITIES, published, ("correct", "cross_entropy", "error", "spikes")):
        if expected is None:
            continue
        values = measures[name]
        if name == "correct":
            ours, (low, high) = 100 * values.mean(), np.multiply(100, accuracy_interval(values.sum(), n))
        else:
            ours, low, high = bootstrap_interval(lambda k, values=values: values[k].mean(), n)
        verdict = ("reproduced" if low <= expected <= high else "not reproduced") if same else OTHER
        rows.append({
            "quantity": f"SNN {run}: {quantity}", "command": STUDY, "published": expected, "ours": ours, "low": low, "high": high,
            "n": n, "verdict": verdict,
        })  # fmt: skip
    return rows


def _effects(measures, epsilon, same):
    """Return the rows of what the logs imply: ratios and differences, which a smaller network can show as well."""
    plain, opened = measures["plain"], measures["objective 1, epsilon 0"]
    blocked, contrast = (measures[f"objective {k}, epsilon {epsilon:g}"] for k in (1, 3))
    dimmed = [measures[f"objective 3, dimmed, epsilon {e:g}"]["correct"] for e in (0, epsilon)]

    def saved(k):
        """Spikes saved by blocking, in percent."""
        return 100 * (1 - blocked["spikes"][k].mean() / opened["spikes"][k].mean())

    def cost(k):
        """Spikes with feedback relative to those without."""
        return opened["spikes"][k].mean() / plain["spikes"][k].mean()

    def difference(one, other):
        """Difference of two accuracies, in points."""
        return lambda k: 100 * (one[k].mean() - other[k].mean())

    tests = (
        (f"spikes saved by blocking at epsilon {epsilon:g} (%)", 7.0, saved, 0),
        ("spikes with feedback relative to plain", 388_038.4 / 116_808.1, cost, 1),
        ("accuracy lost by blocking (points)", 0.09, difference(opened["correct"], blocked["correct"]), 0),
        ("accuracy lost by feedback (points)", 0.21, difference(plain["correct"], opened["correct"]), 0),
        (
            "accuracy gained by contrast over blocking (points)",
            0.01,
            difference(contrast["correct"], blocked["correct"]),
            0,
        ),
        ("the same, upper half dimmed: blocking over none (points)", np.nan, difference(*dimmed[::-1]), 0),
    )
    rows, learned = [], min(plain["correct"].mean(), opened["correct"].mean()) >= LEARNED
    for quantity, published, statistic, neutral in tests:
        ours, low, high = bootstrap_interval(statistic, len(plain["correct"]))
        if low == high:  # no decision differs: rule of three (Hanley and Lippman-Hand 1983, JAMA 249)
            low, high = (ours + sign * 300 / len(plain["correct"]) for sign in (-1, 1))
        verdict = _verdict(published, low, high, neutral, same) if same or learned else UNLEARNED
        rows.append({
            "quantity": quantity, "command": STUDY, "published": published, "ours": ours, "low": low, "high": high,
            "n": len(plain["correct"]), "verdict": verdict,
        })  # fmt: skip
    return rows


def _verdict(published, low, high, neutral, same):
    """Return whether an interval contains the published value, or, with another network, lies on its side of no effect."""
    if np.isnan(published):
        return "never published"
    if same:
        return "reproduced" if low <= published <= high else "not reproduced"
    if low <= neutral <= high:
        return "direction undecidable with this n"
    return "same direction" if (low > neutral) == (published > neutral) else "opposite direction"


def markdown(rows):
    """
    Return rows as a table in Markdown.

    Parameters
    ----------
    rows : list of dict

    Returns
    -------
    text : str
    """
    lines = ["| quantity | published | ours | 95 % | n | verdict |", "|---|---|---|---|---|---|"]
    for row in rows:
        published = "" if np.isnan(row["published"]) else f"{row['published']:,.6g}"
        interval = "" if np.isnan(row["low"]) else f"{row['low']:,.5g} to {row['high']:,.5g}"
        n = row["n"] or ""
        lines.append(f"| {row['quantity']} | {published} | {row['ours']:,.6g} | {interval} | {n} | {row['verdict']} |")
    commands = "\n".join(dict.fromkeys(f"    {row['command']}" for row in rows))
    return "\n".join([*lines, "", "Commands:", "", commands, ""])
