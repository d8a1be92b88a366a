"""Behaviour of a network that searches or attends: accuracy, detection, and their confidence intervals."""

import numpy as np

from brainsnn.analysis.metrics import d_prime
from brainsnn.optional import optional_packages

__all__ = ["TargetAUC", "bootstrap_interval", "detection_scores", "target_auc", "top_k_accuracy"]


def top_k_accuracy(scores, targets, k=1):
    """
    Share of images whose target is among the k largest outputs.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
    k : int, optional

    Returns
    -------
    accuracy : float

    See Also
    --------
    sklearn.metrics.top_k_accuracy_score
    """
    with optional_packages("top_k_accuracy"):
        from sklearn.metrics import top_k_accuracy_score

    scores = np.asarray(scores, dtype=float)
    return float(top_k_accuracy_score(targets, scores, k=k, labels=np.arange(scores.shape[1])))


class TargetAUC:
    """
    Area under the ROC curve of the target's output, for any resampling of the scenes.

    For each class: scenes in which it is the target against scenes in which it is absent; where it is a distractor a scene is
    left out. The mean over the classes. All pairs are compared once, so that a bootstrap sample costs a matrix product.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
        Class of the target of each scene.
    labels : (n, n_classes) array_like
        1 for every class in the scene; the target alone by default.

    Raises
    ------
    ValueError
        If no class has both scenes with it as target and scenes without it.
    """

    def __init__(self, scores, targets, labels=None):
        scores, targets = np.asarray(scores, dtype=float), np.asarray(targets)
        present = targets[:, None] == np.arange(scores.shape[1])
        absent = ~present if labels is None else np.asarray(labels) == 0
        self.n_scenes = len(scores)
        self.classes = []
        for digit in range(scores.shape[1]):
            with_it, without = np.flatnonzero(present[:, digit]), np.flatnonzero(absent[:, digit])
            if len(with_it) and len(without):
                difference = scores[with_it, digit][:, None] - scores[without, digit]
                wins = ((difference > 0) + 0.5 * (difference == 0)).astype(np.float32)
                self.classes.append((with_it, without, wins))
        if not self.classes:
            raise ValueError("TargetAUC: no class has scenes with and scenes without it.")

    def __call__(self, indices=None):
        """
        The area for a sample of the scenes.

        Parameters
        ----------
        indices : (n_sample,) array_like of int, optional
            Scenes, with repetitions; all of them once by default.

        Returns
        -------
        auc : float
        """
        times = np.ones(self.n_scenes) if indices is None else np.bincount(indices, minlength=self.n_scenes)
        times = times.astype(np.float32)
        areas = []
        for with_it, without, wins in self.classes:
            n_pairs = times[with_it].sum() * times[without].sum()
            if n_pairs:
                areas.append(times[with_it] @ wins @ times[without] / n_pairs)
        return float(np.mean(areas)) if areas else float("nan")


def target_auc(scores, targets, labels=None):
    """
    Area under the ROC curve of the target's output, mean over the classes; see `TargetAUC`.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
    labels : (n, n_classes) array_like, optional

    Returns
    -------
    auc : float
        0.5 is chance.
    """
    return TargetAUC(scores, targets, labels)()


def detection_scores(scores, targets, labels=None, criterion=0.5):
    """
    Hits, false alarms, d' and F1 of reporting each class whose output reaches a criterion.

    Parameters
    ----------
    scores : (n, n_classes) array_like
    targets : (n,) array_like of int
        Class of the target of each scene.
    labels : (n, n_classes) array_like, optional
        1 for every class in the scene; the target alone by default.
    criterion : float, optional

    Returns
    -------
    scores : dict of str to float
        ``hit_rate``, ``false_alarm_rate``, ``d_prime`` and ``f1``; distractors count neither as hits nor as false alarms.
    """
    with optional_packages("detection_scores"):
        from sklearn.metrics import f1_score

    scores, targets = np.asarray(scores), np.asarray(targets)
    target = targets[:, None] == np.arange(scores.shape[1])
    absent = ~target if labels is None else np.asarray(labels) == 0
    reported, counted = scores >= criterion, target | absent
    hits, false_alarms = int(reported[target].sum()), int(reported[absent].sum())
    return {
        "hit_rate": hits / target.sum(),
        "false_alarm_rate": false_alarms / absent.sum(),
        "d_prime": d_prime(hits, int(target.sum()), false_alarms, int(absent.sum())),
        "f1": float(f1_score(target[counted], reported[counted], zero_division=0)),
    }


def bootstrap_interval(statistic, n_items, n_resamples=2000, confidence=0.95, method="percentile", seed=0):
    """
    Bootstrap confidence interval of any statistic of a set of items, such as scenes.

    Parameters
    ----------
    statistic : callable
        Function of an array of indices of items (with repetitions) that gives a number. A difference between two conditions
        that takes both from the same indices is a paired comparison.
    n_items : int
    n_resamples : int, optional
    confidence : float, optional
    method : {"percentile", "basic", "BCa"}, optional
    seed : int, optional

    Returns
    -------
    value, low, high : float
        The statistic of all items, and its interval.

    See Also
    --------
    scipy.stats.bootstrap
    """
    from scipy.stats import bootstrap

    items = np.arange(n_items)
    result = bootstrap(
        (items,), statistic, n_resamples=n_resamples, vectorized=False, confidence_level=confidence, method=method,
        random_state=np.random.default_rng(seed),
    )  # fmt: skip
    low, high = result.confidence_interval
    if method == "percentile":  # a sample of few items may hold none of a kind, for which there is no value
        tail = 50 * (1 - confidence)
        low, high = np.nanpercentile(result.bootstrap_distribution, [tail, 100 - tail])
    return float(statistic(items)), float(low), float(high)
