"""Behavioural measures of search and attention: accuracy, detection, and confidence intervals."""

import numpy as np

from brainsnn.analysis.checks import check_range, scores_and_targets
from brainsnn.analysis.signal_detection import d_prime
from brainsnn.one_line import one_line
from brainsnn.optional import optional_packages
from brainsnn.plain_arrays import truth_values, whole_number, whole_numbers

__all__ = ["TargetAUC", "bootstrap_interval", "detection_scores", "target_auc", "top_k_accuracy"]

BOOTSTRAP_METHODS = ("percentile", "basic", "BCa")


def top_k_accuracy(scores, targets, k=1):
    """
    Return the fraction of images whose target is among the k largest outputs.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
    k : int, optional

    Returns
    -------
    accuracy : float
        Of equal outputs, those of earlier classes count as larger, as in `~brainsnn.results.result.Result.accuracy`.

    Raises
    ------
    ValueError
        If there is no image, an output is NaN, or an argument does not fit the others.

    See Also
    --------
    sklearn.metrics.top_k_accuracy_score : of equal outputs, those of later classes count as larger; refuses two classes.

    Examples
    --------
    >>> from brainsnn.analysis import top_k_accuracy
    >>> top_k_accuracy([[0.1, 0.7, 0.2], [0.5, 0.1, 0.4]], targets=[1, 2], k=1)
    0.5
    """
    scores, targets = scores_and_targets("top_k_accuracy", scores, targets)
    k = whole_number(k, "top_k_accuracy: k", 1)
    return float((largest_classes(scores, k) == targets[:, None]).any(axis=1).mean())


def largest_classes(scores, k):
    """Return the classes of the k largest outputs, (n, k), the largest first; of equal ones the first, as `numpy.argmax` does."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :k]


class TargetAUC:
    """
    Area under the ROC curve of the target's output, for resampled scenes.

    For each class, scenes with it as target are compared with scenes without it; scenes with it as a distractor are
    excluded. The area is the mean over classes. All pairs of scenes are compared once, when the object is made, so
    that each bootstrap sample takes only a matrix product.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
        Class of the target of each scene.
    labels : (n, n_classes) array_like
        1 for every class in the scene. By default, only the target.

    Raises
    ------
    ValueError
        If no class has both scenes with it as target and scenes without it, if an output is NaN, or if an argument does not
        fit the others.

    Examples
    --------
    >>> from brainsnn.analysis import TargetAUC, bootstrap_interval
    >>> area = TargetAUC([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2]], targets=[0, 0, 1, 1])
    >>> area()
    0.75
    >>> value, low, high = bootstrap_interval(area, 4, n_resamples=200)
    >>> low <= value <= high
    True
    """

    def __init__(self, scores, targets, labels=None):
        scores, targets = scores_and_targets("TargetAUC", scores, targets)
        present = targets[:, None] == np.arange(scores.shape[1])
        absent = ~present if labels is None else _absent("TargetAUC", labels, present)
        self.n_scenes = len(scores)
        self.classes = []
        for digit in range(scores.shape[1]):
            with_it, without = np.flatnonzero(present[:, digit]), np.flatnonzero(absent[:, digit])
            if len(with_it) and len(without):
                one, other = scores[with_it, digit][:, None], scores[without, digit]
                wins = ((one > other) + 0.5 * (one == other)).astype(np.float32)
                self.classes.append((with_it, without, wins))
        if not self.classes:
            raise ValueError(
                "TargetAUC: needs a class with scenes in which it is the target and scenes without it; add scenes."
            )

    def __repr__(self):
        return one_line(self, f"{self.n_scenes} scenes, {len(self.classes)} classes, area {self():.4g}")

    def __call__(self, indices=None):
        """
        Return the area for a sample of the scenes.

        Parameters
        ----------
        indices : (n_sample,) array_like of int, optional
            Scenes, which may be repeated. By default, all scenes once.

        Returns
        -------
        auc : float
            NaN if the sample has no class with both kinds of scenes.

        Raises
        ------
        ValueError
            If an index is not that of a scene.
        """
        if indices is None:
            indices = np.arange(self.n_scenes)
        indices = whole_numbers(indices, "TargetAUC: indices of scenes", self.n_scenes)
        times = np.bincount(indices, minlength=self.n_scenes)
        times = times.astype(np.float32)
        areas = []
        for with_it, without, wins in self.classes:
            n_pairs = times[with_it].sum() * times[without].sum()
            if n_pairs:
                areas.append(times[with_it] @ wins @ times[without] / n_pairs)
        return float(np.mean(areas)) if areas else float("nan")


def target_auc(scores, targets, labels=None):
    """
    Return the area under the ROC curve of the target's output, averaged over classes; see `TargetAUC`.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
    labels : (n, n_classes) array_like, optional

    Returns
    -------
    auc : float
        0.5 is chance level.

    Examples
    --------
    >>> from brainsnn.analysis import target_auc
    >>> target_auc([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2]], targets=[0, 0, 1, 1])
    0.75
    """
    return TargetAUC(scores, targets, labels)()


def detection_scores(scores, targets, labels=None, criterion=0.5):
    """
    Return hit rate, false-alarm rate, d' and F1 score of detection at a criterion.

    A class is reported if its output is at or above the criterion.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
        Class of the target of each scene.
    labels : (n, n_classes) array_like, optional
        1 for every class in the scene. By default, only the target.
    criterion : float, optional

    Returns
    -------
    scores : dict of str to float
        ``hit_rate``, ``false_alarm_rate``, ``d_prime`` and ``f1``. Distractors are excluded. A rate is NaN if it is that of
        no output, and d' with it.

    Raises
    ------
    ValueError
        If there is no scene, an output is NaN, or an argument does not fit the others.

    Examples
    --------
    >>> from brainsnn.analysis import detection_scores
    >>> found = detection_scores([[0.9, 0.1], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2]], targets=[0, 0, 1, 1])
    >>> float(found["hit_rate"]), float(found["false_alarm_rate"])
    (0.5, 0.5)
    """
    with optional_packages("detection_scores"):
        from sklearn.metrics import confusion_matrix, f1_score

    scores, targets = scores_and_targets("detection_scores", scores, targets)
    check_range("detection_scores: criterion", criterion)
    target = targets[:, None] == np.arange(scores.shape[1])
    absent = ~target if labels is None else _absent("detection_scores", labels, target)
    counted = target | absent
    present, reported = target[counted], scores[counted] >= criterion
    (rejections, false_alarms), (misses, hits) = confusion_matrix(present, reported, labels=[False, True])
    n_present, n_absent = hits + misses, false_alarms + rejections
    return {
        "hit_rate": hits / n_present if n_present else np.nan,
        "false_alarm_rate": false_alarms / n_absent if n_absent else np.nan,
        "d_prime": d_prime(hits, n_present, false_alarms, n_absent),
        "f1": float(f1_score(present, reported, zero_division=0)),
    }


def _absent(function, labels, target):
    """Return which classes are in no part of the scenes, (n, n_classes) ndarray of bool; target says which is the target."""
    labels = truth_values(labels, f"{function}: labels")
    if labels.shape != target.shape:
        raise ValueError(
            f"{function}: labels of shape {labels.shape} for scores of shape {target.shape}; give one each."
        )
    if not labels[target].all():
        k = int(np.argmin(labels[target]))
        raise ValueError(f"{function}: scene {k} has no label for its own target; set labels[{k}, target] = 1.")
    return ~labels


def bootstrap_interval(statistic, n_items, n_resamples=2000, confidence=0.95, method="percentile", seed=0):
    """
    Return a bootstrap confidence interval of a statistic of a set of items, such as scenes.

    Parameters
    ----------
    statistic : callable
        Function of an array of item indices (with repetitions) that returns a number. For a paired comparison, return the
        difference between two conditions at the same indices.
    n_items : int
    n_resamples : int, optional
    confidence : float, optional
    method : {"percentile", "basic", "BCa"}, optional
    seed : int, optional

    Returns
    -------
    value, low, high : float
        The statistic of all items, and its interval.

    Raises
    ------
    ValueError
        If there are fewer than two items or no resample, the confidence is not between 0 and 1, or the method does not exist.

    See Also
    --------
    scipy.stats.bootstrap

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import bootstrap_interval
    >>> right = np.array([1, 1, 1, 0, 1, 0, 1, 1, 1, 1])
    >>> value, low, high = bootstrap_interval(lambda items: right[items].mean(), len(right), n_resamples=500)
    >>> value, low < value < high
    (0.8, True)
    """
    from scipy.stats import bootstrap

    n_items = whole_number(n_items, "bootstrap_interval: n_items", 2)
    n_resamples = whole_number(n_resamples, "bootstrap_interval: n_resamples", 1)
    if not 0 < confidence < 1:
        raise ValueError(f"bootstrap_interval: confidence={confidence!r} must be between 0 and 1.")
    if method not in BOOTSTRAP_METHODS:
        raise ValueError(
            f"bootstrap_interval: method={method!r}; choose one of {', '.join(map(repr, BOOTSTRAP_METHODS))}."
        )
    items = np.arange(n_items)
    result = bootstrap(
        (items,), statistic, n_resamples=n_resamples, vectorized=False, confidence_level=confidence, method=method,
        random_state=np.random.default_rng(seed),
    )  # fmt: skip
    low, high = result.confidence_interval
    if method == "percentile":  # the statistic of a small sample may be NaN, for example without targets
        tail = 50 * (1 - confidence)
        low, high = np.nanpercentile(result.bootstrap_distribution, [tail, 100 - tail])
    return float(statistic(items)), float(low), float(high)
