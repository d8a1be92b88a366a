"""Behaviour of a network that searches for a target: scores, chance, times of detection, and what attention adds over time."""

import warnings
from typing import NamedTuple

import numpy as np

from brainsnn.analysis.behaviour import largest_classes
from brainsnn.analysis.checks import check_range, part_of_trial, scores_and_targets
from brainsnn.analysis.resampling import draw_interval, sampler_of
from brainsnn.analysis.signal_detection import auc
from brainsnn.one_line import one_line
from brainsnn.optional import optional_packages
from brainsnn.plain_arrays import is_number, plain_array, whole_number, whole_numbers

__all__ = [
    "AttentionModulation",
    "attention_modulation",
    "chance_level",
    "detected_share",
    "median_detection_time",
    "weighted_f1",
    "window_mean",
]

MEASURES = ("top_1", "top_2", "top_3", "f1", "auc")


def window_mean(output, start, stop=None, dt=1e-3):
    """
    Return the mean output of each class over a part of the trial: what the decision is made from.

    Parameters
    ----------
    output : (n, n_steps, n_classes) array_like
    start, stop : float
        In ms; the end of the trial by default.
    dt : float, optional
        Time step in seconds.

    Returns
    -------
    scores : (n, n_classes) ndarray

    Raises
    ------
    ValueError
        If start and stop do not delimit a part of the trial, or the output has another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import window_mean
    >>> output = np.linspace(0, 1, 101)[None, :, None] * [1.0, 0.5]
    >>> window_mean(output, start=50).round(2)
    array([[0.75, 0.38]])
    """
    output = plain_array(output, "window_mean: output")
    if output.ndim != 3:
        raise ValueError(f"window_mean: output of shape {output.shape} must be (n, n_steps, n_classes).")
    first, last = part_of_trial("window_mean", start, stop, dt, output.shape[1])
    return output[:, first:last].mean(axis=1, dtype=float)


def weighted_f1(scores, targets, criterion=0.5):
    """
    Return the F1 score of detection at a criterion, averaged over classes with their numbers of targets as weights.

    Every class but the target counts as absent, also if it is in the picture.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
    criterion : float, optional

    Returns
    -------
    f1 : float

    Raises
    ------
    ValueError
        If the batch is empty, an output is NaN, or an argument does not fit the others.

    See Also
    --------
    brainsnn.analysis.detection_scores : F1 pooled over classes, rates of hits and of false alarms.
    sklearn.metrics.f1_score

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> from brainsnn.analysis import weighted_f1
    >>> weighted_f1([[0.9, 0.2], [0.6, 0.4]], [0, 1])
    0.3333333333333333
    """
    with optional_packages("weighted_f1"):
        from sklearn.metrics import f1_score

    scores, targets = scores_and_targets("weighted_f1", scores, targets)
    check_range("weighted_f1: criterion", criterion)
    one_hot = targets[:, None] == np.arange(scores.shape[1])
    return float(f1_score(one_hot, scores >= criterion, average="weighted", zero_division=0))


def chance_level(scores, targets, measure="auc", percentile=95.0, n_permutations=10_000, criterion=0.5, seed=0):
    """
    Return what a network reaches whose outputs are assigned to the classes at random.

    The columns of the scores are permuted. All measures are sums over pairs of column and class, which are computed once.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
    measure : {"top_1", "top_2", "top_3", "f1", "auc"}, optional
    percentile : float, optional
        Of the permutations.
    n_permutations : int, optional
    criterion : float, optional
        Of F1.
    seed : int, optional

    Returns
    -------
    level : float

    Raises
    ------
    ValueError
        If the measure does not exist, or an argument does not fit the others.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34: 10,000 permutations, 95th percentile.

    Examples
    --------
    >>> from brainsnn.analysis import chance_level
    >>> scores, targets = [[0.9, 0.1, 0.2], [0.1, 0.8, 0.3], [0.2, 0.1, 0.7]] * 10, [0, 1, 2] * 10
    >>> round(chance_level(scores, targets, "top_1", percentile=50, n_permutations=1000), 2)
    0.33
    """
    scores, targets = scores_and_targets("chance_level", scores, targets)
    check_range("chance_level: percentile", percentile, 0, 100, "from 0 to 100")
    n_permutations = whole_number(n_permutations, "chance_level: n_permutations", 1)
    if measure not in MEASURES:
        raise ValueError(f"chance_level: measure={measure!r}; choose one of {', '.join(map(repr, MEASURES))}.")
    table, weights = _of_column_and_class(scores, targets, measure, criterion)
    n_classes = scores.shape[1]
    random = np.random.default_rng(seed)
    drawn = random.permuted(np.tile(np.arange(n_classes), (n_permutations, 1)), axis=1)
    return float(np.percentile(table[drawn, np.arange(n_classes)] @ weights, percentile))


def _of_column_and_class(scores, targets, measure, criterion):
    """Return the measure of each output as that of each class, and the weights of the classes."""
    n_classes = scores.shape[1]
    present = targets[:, None] == np.arange(n_classes)
    shares = present.mean(axis=0)
    if measure.startswith("top"):
        order = largest_classes(scores, int(measure[-1]))
        among = (order[:, :, None] == np.arange(n_classes)).any(axis=1)
        return among.T.astype(float) @ present / len(targets), np.ones(n_classes)
    if measure == "f1":
        reported = scores >= criterion
        hits = reported.T.astype(float) @ present
        return 2 * hits / np.maximum(reported.sum(axis=0)[:, None] + present.sum(axis=0), 1), shares
    both = (shares > 0) & (shares < 1)
    if not both.any():
        raise ValueError(
            "chance_level: needs a class with images in which it is the target and images without it; add images."
        )
    areas = np.zeros((n_classes, n_classes))
    for column in range(n_classes):
        for label in np.flatnonzero(both):
            areas[column, label] = auc(scores[:, column], present[:, label])
    return areas, both / both.sum()


def detected_share(times, end, start=0.0):
    """
    Return the share of targets that are detected by each time, with those that are never detected as censored.

    One minus the estimate of Kaplan and Meier; without censoring before the end it is the plain share.

    Parameters
    ----------
    times : (n,) array_like
        Time of detection; NaN for a target that is not detected by ``end``.
    end : float or (n,) array_like
        End of the trial.
    start : float, optional
        First time of the curve, no later than any detection.

    Returns
    -------
    times : (n_times,) ndarray
        Times at which the share rises, after ``start``.
    share, low, high : (n_times,) ndarray
        The share, and its 95 % interval (log-log).

    Raises
    ------
    ValueError
        If times is empty, or a time lies before the start or after the end.

    References
    ----------
    Kaplan, Meier (1958), J. Am. Stat. Assoc. 53:457.

    Examples
    --------
    >>> from brainsnn.analysis import detected_share
    >>> times, share, low, high = detected_share([20.0, 10.0, float("nan"), 10.0], end=50.0)
    >>> times, share
    (array([ 0., 10., 20.]), array([0.  , 0.5 , 0.75]))
    """
    from scipy.stats import CensoredData, ecdf

    times, missed, last = _detections(times, end, start, "detected_share")
    found = ecdf(CensoredData.right_censored(np.where(missed, last, times), missed)).sf
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # undefined where none or all are detected
        bounds = found.confidence_interval(0.95, method="log-log")
    events = np.isin(found.quantiles, times[~missed])
    low, high = 1 - bounds.high.probabilities[events], 1 - bounds.low.probabilities[events]
    at, share = found.quantiles[events], 1 - found.probabilities[events]
    low, high = (np.where(np.isfinite(bound), bound, share) for bound in (low, high))
    return np.r_[start, at], np.r_[0.0, share], np.r_[0.0, low], np.r_[0.0, high]


def _detections(times, end, start, function):
    times = plain_array(times, f"{function}: times", float)
    if times.ndim != 1 or len(times) == 0:
        raise ValueError(f"{function}: times of shape {times.shape}; give one for each of one target or more.")
    end, missed = plain_array(end, f"{function}: end", float), np.isnan(times)
    if end.ndim and end.shape != times.shape:
        raise ValueError(f"{function}: end of shape {end.shape} for {len(times)} times; give one, or one for each.")
    last = np.broadcast_to(end, times.shape)
    if not is_number(start) or (times[~missed] < start).any():
        raise ValueError(
            f"{function}: a time lies before start={start!r}, or the start is not a finite number; give the time from which "
            "targets could be detected."
        )
    if not np.isfinite(last).all() or (times[~missed] > last[~missed]).any():
        raise ValueError(
            f"{function}: a time lies after end={end.tolist()!r}, or the end is not finite; give the end of the trial."
        )
    return times, missed, last


def median_detection_time(times, end):
    """
    Return the time by which half of the targets are detected, with those that are never detected as censored.

    Parameters
    ----------
    times : (n,) array_like
        NaN for a target that is not detected.
    end : float or (n,) array_like
        End of the trial.

    Returns
    -------
    median : float
        NaN if fewer than half are detected. The published median leaves missed targets out: ``numpy.nanmedian(times)``.

    Raises
    ------
    ValueError
        As `detected_share`.

    Examples
    --------
    >>> from brainsnn.analysis import median_detection_time
    >>> median_detection_time([10.0, 20.0, float("nan")], end=50.0)
    20.0
    """
    at, share, _, _ = detected_share(times, end)
    reached = np.flatnonzero(share >= 0.5 - 1e-12)
    return float(at[reached[0]]) if len(reached) else float("nan")


class AttentionModulation(NamedTuple):
    """
    What attention adds to the outputs over time.

    Attributes
    ----------
    target, others : (n_steps,) ndarray
        Mean over the outputs of the targets, and over all others.
    target_interval, others_interval : (2, n_steps) ndarray
        Bootstrap intervals.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import attention_modulation
    >>> neutral = np.random.default_rng(0).random((20, 50, 3))
    >>> attention_modulation(neutral + 0.1, neutral, targets=[0, 1] * 10, n_draws=50)
    <AttentionModulation: 50 steps, at the last one 0.1, others 0.1>
    """

    target: np.ndarray
    others: np.ndarray
    target_interval: np.ndarray
    others_interval: np.ndarray

    def __repr__(self):
        return one_line(
            self, f"{len(self.target)} steps, at the last one {self.target[-1]:.4g}, others {self.others[-1]:.4g}"
        )


def attention_modulation(attended, neutral, targets, n_draws=500, published=False):
    """
    Return how much attention changes the outputs at each step, for targets and for all other classes.

    Parameters
    ----------
    attended, neutral : (n, n_steps, n_classes) array_like
        Outputs with and without attention.
    targets : (n,) array_like of int
    n_draws : int, optional
        Bootstrap draws of images, stratified by target.
    published : bool, optional
        Whether the interval of the other classes is the published one, which holds only the first n of their n*(n_classes - 1)
        values, those of the first images.

    Returns
    -------
    modulation : `AttentionModulation`

    Raises
    ------
    ValueError
        If the shapes differ, or a target is not one of the classes.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import attention_modulation
    >>> neutral, targets = np.random.default_rng(0).random((20, 50, 3)), np.array([0, 1] * 10)
    >>> attended = neutral + 0.2 * (targets[:, None, None] == np.arange(3))
    >>> found = attention_modulation(attended, neutral, targets, n_draws=50)
    >>> float(found.target[-1].round(3)), float(found.others[-1].round(3))
    (0.2, 0.0)
    """
    n_draws = whole_number(n_draws, "attention_modulation: n_draws", 1)
    attended, neutral = np.asarray(attended), np.asarray(neutral)
    if attended.ndim != 3 or attended.shape != neutral.shape or attended.shape[2] < 2 or len(targets) != len(attended):
        raise ValueError(
            "attention_modulation: expected two outputs of shape (n, n_steps, n_classes), two classes or more, and n targets, "
            f"got the shapes {attended.shape}, {neutral.shape} and {np.shape(targets)}."
        )
    targets = whole_numbers(targets, "attention_modulation: targets", attended.shape[2], "classes")
    change = attended.astype(float) - neutral
    is_target = targets[:, None] == np.arange(change.shape[2])
    of_target = change.transpose(0, 2, 1)[is_target]
    others = change.transpose(0, 2, 1)[~is_target].reshape(len(change), -1, change.shape[1])
    sampler = sampler_of(len(change), strata=targets, function="attention_modulation")
    drawn = np.array([np.bincount(sampler(draw), minlength=len(change)) for draw in range(n_draws)]) / len(change)
    spread = others.reshape(-1, change.shape[1])[: len(change)] if published else others.mean(axis=1)
    return AttentionModulation(
        of_target.mean(axis=0), others.mean(axis=(0, 1)), np.array(draw_interval(drawn @ of_target)),
        np.array(draw_interval(drawn @ spread)),
    )  # fmt: skip
