"""What the published logs say of predictive feedback, and what we found: a row per figure, with interval, test and verdict."""

from typing import NamedTuple

import numpy as np
from claims import NOT_REPRODUCED, REPRODUCED, UNDECIDABLE

from brainsnn.analysis import accuracy_interval, bootstrap_interval, mcnemar_test

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
#: Epsilon of the logged effects.
LOGGED_EPSILON = 0.1
#: Weights of the published networks.
FULL_SIZE = {"plain": 42_730_048, "feedback": 43_115_648}
QUANTITIES = ("accuracy (%)", "cross-entropy", "squared error per image", "spikes per image, without input")
#: Width of the widest interval in which a published value is reproduced: points of accuracy, else a share of the value.
WIDEST = {"correct": 2.0, "cross_entropy": 0.5, "error": 0.05, "spikes": 0.05}
#: Fewest errors with which the cross-entropy is compared, and fewest images from which an effect is told.
LEAST_ERRORS, LEAST_IMAGES = 10, 30
OTHER = "not comparable: another network or other data"
#: Of effects between networks that classify less than this share of the images, which say nothing of trained ones.
UNLEARNED, LEARNED = "undecidable: a network has learned too little", 0.9
BOOTSTRAP, WILSON, MCNEMAR = "bootstrap of images", "Wilson's interval", "McNemar"
#: Spikes of the network with feedback, relative to those of the plain one.
LOGGED_COST = LOGGED["objective 1, epsilon 0"][3] / LOGGED["plain"][3]


def from_the_paper(measures, checkpoints, parameters, epsilons, command):
    """
    Compare measures with the published logs.

    Parameters
    ----------
    measures : dict of str to dict of ndarray
        Name of a run to its measures per image.
    checkpoints : dict
        Networks, by variant, with the command that trained each (``training``).
    parameters : object
        ``dataset`` and ``n_images``.
    epsilons : list of float
    command : str
        The command of this study.

    Returns
    -------
    rows : list of dict
        ``quantity``, ``command``, ``training`` (commands that trained the networks), ``published``, ``ours``, ``low`` and
        ``high`` (95 %), ``n``, ``test``, ``p`` and ``verdict``.
    """
    same = {
        variant: parameters.dataset == "mnist" and checkpoints[variant]["parameters"] == size
        for variant, size in FULL_SIZE.items()
    }  # fmt: skip
    training = {variant: checkpoints[variant]["training"] for variant in FULL_SIZE}
    rows = [_ann_row(variant, checkpoints[variant], same[variant]) for variant in LOGGED_ANN]
    for run, published in LOGGED.items():
        if run in measures:
            variant = "plain" if run == "plain" else "feedback"
            own = _rows_of(run, published, measures[run], same[variant])
            rows += [row | {"command": command, "training": training[variant]} for row in own]
    both = {"command": command, "training": "; ".join(training.values())}
    return rows + [row | both for row in _effects(measures, epsilons, all(same.values()))]


def _row(quantity, published, ours, low, high, n, test, p, verdict):
    return {"quantity": quantity, "command": "", "training": "", "published": published, "ours": ours, "low": low, "high": high,
            "n": n, "test": test, "p": p, "verdict": verdict}  # fmt: skip


def _ann_row(variant, checkpoint, same):
    """Return the row of an ANN, of the test images of its training; other files do not say how many these were."""
    ours, n, published = 100 * checkpoint["ann"], checkpoint["n_ann"], LOGGED_ANN[variant]
    low, high = np.multiply(100, accuracy_interval(round(checkpoint["ann"] * n), n)) if n else (np.nan, np.nan)
    verdict = _level_verdict(published, low, high, WIDEST["correct"]) if n else "undecidable without an interval"
    row = _row(f"ANN {variant}: accuracy (%)", published, ours, low, high, n, WILSON if n else "", np.nan,
               verdict if same else OTHER)  # fmt: skip
    return row | {"command": checkpoint["training"], "training": checkpoint["training"]}


def _rows_of(run, published, measures, same):
    """Return the rows of a run."""
    rows, n = [], len(measures["correct"])
    for quantity, expected, name in zip(QUANTITIES, published, WIDEST):
        if expected is None:
            continue
        values = measures[name]
        if name == "correct":
            ours, (low, high) = 100 * values.mean(), np.multiply(100, accuracy_interval(values.sum(), n))
        else:
            ours, low, high = bootstrap_interval(lambda k, values=values: values[k].mean(), n)
        widest = WIDEST[name] * (1 if name == "correct" else expected)
        # The loss of a good network is that of its few errors, so the bootstrap is too narrow where there are hardly any.
        decides = name != "cross_entropy" or np.count_nonzero(measures["correct"] == 0) >= LEAST_ERRORS
        verdict = _level_verdict(expected, low, high, widest, decides) if same else OTHER
        test = WILSON if name == "correct" else BOOTSTRAP
        rows.append(_row(f"SNN {run}: {quantity}", expected, ours, low, high, n, test, np.nan, verdict))
    return rows


def _level_verdict(published, low, high, widest, decides=True):
    """Return whether an interval holds the published value; one that is too wide decides nothing when it does."""
    if not decides:
        return UNDECIDABLE
    if not low <= published <= high:
        return NOT_REPRODUCED
    return REPRODUCED if high - low <= widest else UNDECIDABLE


class _Effect(NamedTuple):
    """What the logs imply: published value, statistic of chosen images, value without effect, and paired decisions if any."""

    quantity: str
    published: float
    statistic: object
    neutral: float = 0.0
    pair: tuple = ()


def _accuracies(quantity, published, one, other):
    """Return the effect that is the difference of two accuracies, in points."""
    return _Effect(quantity, published, lambda k: 100 * (one[k].mean() - other[k].mean()), pair=(one, other))


def _effects_of(measures, epsilons):
    """Return the effects; those of another epsilon than the logged one were never published."""
    logged = LOGGED_EPSILON in epsilons
    epsilon = LOGGED_EPSILON if logged else max(epsilons)
    plain, opened = measures["plain"], measures["objective 1, epsilon 0"]
    blocked, contrast = (measures[f"objective {k}, epsilon {epsilon:g}"] for k in (1, 3))
    dimmed = [measures[f"objective 3, dimmed, epsilon {e:g}"]["correct"] for e in (epsilon, 0)]

    def saved(k):
        """Spikes saved by blocking, in percent."""
        return 100 * (1 - blocked["spikes"][k].mean() / opened["spikes"][k].mean())

    def cost(k):
        """Spikes with feedback relative to those without."""
        return opened["spikes"][k].mean() / plain["spikes"][k].mean()

    of_epsilon = lambda value: value if logged else np.nan  # noqa: E731
    return (
        _Effect(f"spikes saved by blocking at epsilon {epsilon:g} (%)", of_epsilon(7.0), saved),
        _Effect("spikes with feedback relative to plain", LOGGED_COST, cost, neutral=1.0),
        _accuracies("accuracy lost by blocking (points)", of_epsilon(0.09), opened["correct"], blocked["correct"]),
        _accuracies("accuracy lost by feedback (points)", 0.21, plain["correct"], opened["correct"]),
        _accuracies("accuracy gained by contrast over blocking (points)", of_epsilon(0.01), contrast["correct"],
                    blocked["correct"]),
        _accuracies("the same, upper half dimmed: blocking over none (points)", np.nan, *dimmed),
    )  # fmt: skip


def _effects(measures, epsilons, same):
    """Return the rows of what the logs imply: ratios and differences, which a smaller network can show as well."""
    plain, opened = measures["plain"]["correct"], measures["objective 1, epsilon 0"]["correct"]
    rows, learned, n = [], min(plain.mean(), opened.mean()) >= LEARNED, len(plain)
    effects = _effects_of(measures, epsilons)
    n_tests = sum(bool(effect.pair) for effect in effects)
    for effect in effects:
        ours, low, high = bootstrap_interval(effect.statistic, n)
        if low == high:  # no decision differs: rule of three (Hanley and Lippman-Hand 1983, JAMA 249)
            low, high = (ours + sign * 300 / n for sign in (-1, 1))
        p = n_tests * mcnemar_test(*(right.astype(bool) for right in effect.pair)).p if effect.pair else np.nan
        p = np.minimum(p, 1.0)
        verdict = _verdict(effect, low, high, p, same, n) if same or learned else UNLEARNED
        test = f"{MCNEMAR}, Bonferroni {n_tests}" if effect.pair else BOOTSTRAP
        rows.append(_row(effect.quantity, effect.published, ours, low, high, n, test, p, verdict))
    return rows


def _verdict(effect, low, high, p, same, n):
    """
    Return whether an effect is the published one, or, with another network, whether it has the same direction.

    An interval that holds "no effect" decides no direction, nor does a pair that McNemar's test does not tell apart. The
    published effect is reproduced by a decided interval that holds it, and half of which is not wider than the effect.
    """
    if np.isnan(effect.published):
        return "never published"
    if n < LEAST_IMAGES:
        return UNDECIDABLE if same else "direction undecidable with this n"
    if same and not low <= effect.published <= high:
        return NOT_REPRODUCED
    decided = not low <= effect.neutral <= high and not p >= 0.05
    if same:
        return REPRODUCED if decided and (high - low) / 2 <= abs(effect.published - effect.neutral) else UNDECIDABLE
    if not decided:
        return "direction undecidable with this n"
    return "same direction" if (low > effect.neutral) == (effect.published > effect.neutral) else "opposite direction"


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
    lines = ["| quantity | published | ours | 95 % | n | test | p | verdict |", f"|{'---|' * 8}"]
    for row in rows:
        published = "" if np.isnan(row["published"]) else f"{row['published']:,.6g}"
        interval = "" if np.isnan(row["low"]) else f"{row['low']:,.5g} to {row['high']:,.5g}"
        p = "" if np.isnan(row["p"]) else f"{row['p']:.3g}"
        cells = (
            row["quantity"],
            published,
            f"{row['ours']:,.6g}",
            interval,
            row["n"] or "",
            row["test"],
            p,
            row["verdict"],
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    commands = [c for row in rows for c in (*row["training"].split("; "), row["command"])]
    listed = "\n".join(dict.fromkeys(f"    {command}" for command in commands))
    return "\n".join([*lines, "", "Commands:", "", listed, ""])
