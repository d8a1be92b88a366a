"""Signal detection: the interval of an accuracy, the area under the ROC curve, and d'."""

from statistics import NormalDist

import numpy as np

from brainsnn.plain_arrays import plain_array, truth_values, whole_number

__all__ = ["accuracy_interval", "auc", "d_prime"]


def accuracy_interval(n_correct, n, confidence=0.95):
    """
    Return Wilson's confidence interval of a proportion, such as an accuracy.

    Parameters
    ----------
    n_correct, n : int or ndarray of whole numbers
        Number of successes and of trials.
    confidence : float, optional

    Returns
    -------
    low, high : float or ndarray
        NaN where there are no trials.

    Raises
    ------
    ValueError
        If a count is not a whole number, or not in 0 ... n, if n_correct and n have different lengths, or if the confidence
        is not between 0 and 1.

    See Also
    --------
    scipy.stats.binomtest

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22:209.

    Examples
    --------
    >>> from brainsnn.analysis import accuracy_interval
    >>> low, high = accuracy_interval(57, 60)
    >>> round(float(low), 3), round(float(high), 3)
    (0.863, 0.983)
    """
    from scipy.stats import binomtest

    def interval(successes, trials):
        """Return the interval of one proportion."""
        if trials == 0:
            return np.nan, np.nan
        return binomtest(int(successes), int(trials)).proportion_ci(confidence, method="wilson")

    if not 0 < confidence < 1:
        raise ValueError(f"accuracy_interval: confidence={confidence!r} must be between 0 and 1.")
    successes, trials = (plain_array(count, "accuracy_interval", float) for count in (n_correct, n))
    if successes.ndim and trials.ndim and successes.shape != trials.shape:
        raise ValueError(f"accuracy_interval: n_correct of shape {successes.shape} for n of shape {trials.shape}.")
    whole = all(np.all(np.isfinite(count) & (count == np.rint(count))) for count in (successes, trials))
    if not whole or not np.all((successes >= 0) & (successes <= trials)):
        raise ValueError(
            f"accuracy_interval: n_correct={n_correct!r} and n={n!r} must be whole numbers, 0 <= n_correct <= n."
        )
    low, high = np.vectorize(interval, otypes=[float, float])(successes, trials)
    return low[()], high[()]


def auc(scores, labels):
    """
    Return the area under the receiver operating characteristic.

    Parameters
    ----------
    scores : (n,) array_like of float
    labels : (n,) array_like of bool
        True where the target is present.

    Returns
    -------
    auc : float
        0.5 is chance level. Ties count one half. NaN if a score is NaN.

    Raises
    ------
    ValueError
        If the labels are all the same or other values than 0 and 1, or their number is not that of the scores.

    Examples
    --------
    >>> from brainsnn.analysis import auc
    >>> auc([0.1, 0.4, 0.35, 0.8], [False, False, True, True])
    0.75
    """
    from scipy.stats import rankdata

    scores, labels = plain_array(scores, "auc: scores", float), truth_values(labels, "auc: labels")
    if scores.ndim != 1 or scores.shape != labels.shape:
        raise ValueError(
            f"auc: expected (n,) scores and (n,) labels, got the shapes {scores.shape} and {labels.shape}."
        )
    n_present, n_absent = labels.sum(), (~labels).sum()
    if n_present == 0 or n_absent == 0:
        raise ValueError(
            f"auc: needs trials with and trials without the target, got {n_present} with and {n_absent} without."
        )
    # The statistic of scipy.stats.mannwhitneyu, without its p-value, which takes ten times as long.
    u = rankdata(scores)[labels].sum() - n_present * (n_present + 1) / 2
    return float(u / (n_present * n_absent))


def d_prime(n_hits, n_present, n_false_alarms, n_absent):
    """
    Return the sensitivity d' of a detector, z(hit rate) - z(false alarm rate).

    The log-linear correction keeps d' finite at rates of 0 and 1: it adds 0.5 to each count and 1 to each number of trials.

    Parameters
    ----------
    n_hits, n_present, n_false_alarms, n_absent : int

    Returns
    -------
    d : float
        NaN without trials with the target, or without trials that lack it.

    Raises
    ------
    ValueError
        If a count is not a whole number, or there are more hits or false alarms than trials.

    References
    ----------
    Hautus (1995), Behav. Res. Methods 27:46.

    Examples
    --------
    >>> from brainsnn.analysis import d_prime
    >>> round(d_prime(n_hits=45, n_present=50, n_false_alarms=10, n_absent=50), 2)
    2.06
    """
    for what, count, n in (("hits", n_hits, n_present), ("false alarms", n_false_alarms, n_absent)):
        whole_number(n, f"d_prime: number of trials for {what}", 0)
        whole_number(count, f"d_prime: number of {what}", 0, n)
    if 0 in (n_present, n_absent):
        return float("nan")
    z = NormalDist().inv_cdf
    return z((n_hits + 0.5) / (n_present + 1)) - z((n_false_alarms + 0.5) / (n_absent + 1))
