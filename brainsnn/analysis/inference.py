"""Accuracies on the same images, corrections for several tests, and how many images decide an effect."""

from statistics import NormalDist

import numpy as np

from brainsnn.analysis.permutations import Comparison
from brainsnn.plain_arrays import is_number, plain_array, truth_values, whole_number

__all__ = ["adjusted_p_values", "bootstrap_p_value", "mcnemar_test", "required_images"]

CORRECTIONS = ("bonferroni", "benjamini-hochberg")


def mcnemar_test(first, second):
    """
    Test whether two conditions differ in accuracy on the same images (McNemar's exact test).

    Parameters
    ----------
    first, second : (n,) array_like of bool
        Whether each image was right.

    Returns
    -------
    result : `Comparison`
        Difference of the accuracies, and p from the binomial distribution of the images that only one condition got right.

    Raises
    ------
    ValueError
        If the samples differ in length, are empty, or hold other values than true and false.

    References
    ----------
    McNemar (1947), Psychometrika 12:153.

    Examples
    --------
    >>> from brainsnn.analysis import mcnemar_test
    >>> mcnemar_test([True] * 8 + [False] * 2, [False] * 8 + [False] * 2)
    Comparison(difference=0.8, p=0.0078125)
    """
    from scipy.stats import binomtest

    first, second = truth_values(first, "mcnemar_test: first"), truth_values(second, "mcnemar_test: second")
    if first.ndim != 1 or first.shape != second.shape or len(first) == 0:
        raise ValueError(
            f"mcnemar_test: expected two lists of one length, got the shapes {first.shape} and {second.shape}."
        )
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    n = only_first + only_second
    return Comparison((only_first - only_second) / len(first), float(binomtest(only_first, n).pvalue) if n else 1.0)


def adjusted_p_values(p_values, method="bonferroni"):
    """
    Return p-values that are corrected for their number.

    Parameters
    ----------
    p_values : (n,) array_like
    method : {"bonferroni", "benjamini-hochberg"}, optional
        For the chance of any false finding, or for the share of false ones among the findings.

    Returns
    -------
    adjusted : (n,) ndarray

    Raises
    ------
    ValueError
        If a p-value does not lie in 0 to 1, or the method does not exist.

    See Also
    --------
    scipy.stats.false_discovery_control

    Examples
    --------
    >>> from brainsnn.analysis import adjusted_p_values
    >>> adjusted_p_values([0.01, 0.02, 0.5])
    array([0.03, 0.06, 1.  ])
    """
    from scipy.stats import false_discovery_control

    p_values = plain_array(p_values, "adjusted_p_values: p_values", float)
    if p_values.ndim != 1 or not ((p_values >= 0) & (p_values <= 1)).all():
        raise ValueError(f"adjusted_p_values: p_values must be a list of numbers from 0 to 1, got {p_values}.")
    if method not in CORRECTIONS:
        raise ValueError(f"adjusted_p_values: method={method!r}; choose one of {', '.join(map(repr, CORRECTIONS))}.")
    if method == "bonferroni" or len(p_values) == 0:
        return np.minimum(p_values * len(p_values), 1)
    return false_discovery_control(p_values, method="bh")


def bootstrap_p_value(draws):
    """
    Return the two-sided p-value of a difference from its bootstrap draws.

    Parameters
    ----------
    draws : (n_draws,) array_like

    Returns
    -------
    p : float
        2*min(q, 1 - q), where q is the share of draws above 0, with half of those that are 0.

    Raises
    ------
    ValueError
        If the draws are empty, or one is NaN.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import bootstrap_p_value
    >>> round(bootstrap_p_value(np.r_[np.full(97, 0.2), np.full(3, -0.1)]), 2)
    0.06
    """
    draws = plain_array(draws, "bootstrap_p_value: draws", float)
    if draws.ndim != 1 or len(draws) == 0 or np.isnan(draws).any():
        raise ValueError(f"bootstrap_p_value: draws must be a list of numbers, got shape {draws.shape}, or NaN in it.")
    share = float((draws > 0).mean() + (draws == 0).mean() / 2)
    return 2 * min(share, 1 - share)


def required_images(effect, standard_error, n_images, power=0.8, alpha=0.05):
    """
    Return how many images a two-sided test needs to find an effect of a given size.

    Parameters
    ----------
    effect : float
        Size of the effect that is to be found.
    standard_error : float
        Of the measured effect, for example the standard deviation of its bootstrap draws.
    n_images : int
        Number of images that gave this standard error; it falls with the square root of their number.
    power, alpha : float, optional

    Returns
    -------
    n : int

    Raises
    ------
    ValueError
        If the effect is 0 or too small for any number of images, power is not greater than alpha (which a test of nothing
        reaches), or an argument is out of range.

    References
    ----------
    Cohen (1988), Statistical power analysis for the behavioral sciences.

    Examples
    --------
    >>> from brainsnn.analysis import required_images
    >>> required_images(effect=0.5, standard_error=1 / 10, n_images=100)
    32
    """
    for name, value, top in (("power", power, 1), ("alpha", alpha, 1), ("standard_error", standard_error, np.inf)):
        if not (is_number(value, above=0) and value < top):
            raise ValueError(
                f"required_images: {name}={value!r} must be greater than 0" + (" and less than 1." * (top == 1))
            )
    if not is_number(effect) or effect == 0:
        raise ValueError(f"required_images: effect={effect!r} must be a number other than 0.")
    if power <= alpha:
        raise ValueError(f"required_images: power={power!r} must be greater than alpha={alpha!r}, such as 0.8.")
    n_images = whole_number(n_images, "required_images: n_images", 1)
    z = NormalDist().inv_cdf(1 - alpha / 2) + NormalDist().inv_cdf(power)
    with np.errstate(over="ignore"):
        n = np.ceil(n_images * (standard_error * np.float64(z) / effect) ** 2)
    if not np.isfinite(n):
        raise ValueError(
            f"required_images: effect={effect!r} is too small beside standard_error={standard_error!r}; give the effect in the "
            "same unit."
        )
    return int(n)
