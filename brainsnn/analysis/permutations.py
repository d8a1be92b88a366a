"""Permutation tests: of two conditions, of two areas under the ROC curve, and of several paired differences at once."""

import math
from typing import NamedTuple

import numpy as np

from brainsnn.analysis.checks import scores_and_targets
from brainsnn.plain_arrays import plain_array, whole_number

__all__ = ["Comparison", "auc_permutation_test", "max_t_test", "permutation_test"]

#: Permutations that are computed at once.
BATCH = 500
#: Share of the largest value by which equal statistics may differ through rounding.
ROUNDING = 1e-12
STATISTICS = {"mean": np.mean, "nanmedian": np.nanmedian}


class Comparison(NamedTuple):
    """
    Difference of two conditions, and the p-value of a test.

    Attributes
    ----------
    difference : float
        Statistic of the first sample minus that of the second.
    p : float
        Two-sided.

    Examples
    --------
    >>> from brainsnn.analysis import permutation_test
    >>> found = permutation_test([1, 2, 3, 4], [11, 12, 13, 14], n_permutations=500)
    >>> found.difference, found.p < 0.05
    (-10.0, True)
    """

    difference: float
    p: float


def _p_value(function, null, observed, drawn_alone=False):
    """Return the share of permutations at least as large; the observed one counts as one of them unless they hold it already."""
    if len(null) == 0:
        raise ValueError(
            f"{function}: no permutation has values in both halves; give more permutations, or more values."
        )
    n_larger = int((null >= observed).sum())
    return n_larger / len(null) if drawn_alone else (n_larger + 1) / (len(null) + 1)


def permutation_test(first, second, statistic="mean", n_permutations=10_000, seed=0, published=False):
    """
    Test whether two conditions differ, with permutations of all images between them (unpaired).

    Parameters
    ----------
    first, second : (n,) array_like
        A value for each image. NaN is allowed with ``statistic="nanmedian"``.
    statistic : {"mean", "nanmedian"}, optional
    n_permutations : int, optional
        Permutations to draw. If the values can be divided in no more ways than these, p is exact: the share of all divisions.
    seed : int, optional
    published : bool, optional
        Whether p is the share of permutations alone, which can be 0; by default the observed data count as a permutation.

    Returns
    -------
    result : `Comparison`
        The test statistic is the absolute difference.

    Raises
    ------
    ValueError
        If a sample has fewer than two values, or only NaN, or an infinite one, or an argument is not valid.

    See Also
    --------
    scipy.stats.permutation_test

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34. Phipson, Smyth (2010), Permutation p-values
    should never be zero, Stat. Appl. Genet. Mol. Biol. 9:39.

    Examples
    --------
    >>> from brainsnn.analysis import permutation_test
    >>> permutation_test([1, 2, 3, 4], [11, 12, 13, 14], n_permutations=2000).p < 0.05
    True
    """
    from scipy import stats

    if statistic not in STATISTICS:
        raise ValueError(
            f"permutation_test: statistic={statistic!r}; choose one of {', '.join(map(repr, STATISTICS))}."
        )
    n_permutations = whole_number(n_permutations, "permutation_test: n_permutations", 1)
    samples = [plain_array(x, f"permutation_test: {name}", float) for name, x in (("first", first), ("second", second))]
    for name, sample in zip(("first", "second"), samples):
        missing = np.isnan(sample)
        if sample.ndim != 1 or len(sample) < 2 or missing.all() or (missing.any() and statistic == "mean"):
            raise ValueError(
                f"permutation_test: {name} needs two values or more, NaN only with statistic='nanmedian', got {sample}."
            )
        if np.isinf(sample).any():
            raise ValueError(
                f"permutation_test: {name} has {np.isinf(sample).sum()} infinite values; give finite ones."
            )
    of = STATISTICS[statistic]

    def absolute_difference(x, y, axis):
        """Return the test statistic; permutations without any value in a half say nothing."""
        return np.abs(of(x, axis=axis) - of(y, axis=axis))

    found = stats.permutation_test(
        samples, absolute_difference, permutation_type="independent", vectorized=True, n_resamples=n_permutations, batch=BATCH,
        alternative="greater", random_state=np.random.default_rng(seed),
    )  # fmt: skip
    null = found.null_distribution[np.isfinite(found.null_distribution)]
    pooled = np.concatenate(samples)
    # Then scipy takes all of them, the observed one too.
    is_exact = math.comb(len(pooled), len(samples[0])) <= n_permutations
    bound = float(found.statistic) - ROUNDING * np.nanmax(np.abs(pooled))
    p = _p_value("permutation_test", null, bound, published or is_exact)
    return Comparison(float(of(samples[0]) - of(samples[1])), p)


def _pooled_wins(scores, targets):
    """Return for each class the positive and the negative images, and how often the one beats the other."""
    for label in range(scores.shape[1]):
        with_it, without = np.flatnonzero(targets == label), np.flatnonzero(targets != label)
        if len(with_it) and len(without):
            one, other = scores[with_it, label][:, None], scores[without, label]
            yield with_it, without, ((one > other) + 0.5 * (one == other)).astype(np.float32)


def _areas(chosen, wins):
    """Return the AUC, averaged over classes, of subsets of images; chosen is (n_subsets, n_images) of 0 and 1."""
    areas = []
    for with_it, without, won in wins:
        positive, negative = chosen[:, with_it], chosen[:, without]
        n_pairs = positive.sum(axis=1) * negative.sum(axis=1)
        area = np.einsum("ij,ij->i", positive @ won, negative)
        areas.append(np.divide(area, n_pairs, out=np.full(len(area), np.nan, dtype=area.dtype), where=n_pairs > 0))
    return _nanmean(np.array(areas, dtype=float))


def _nanmean(values):
    """Return the mean along the first axis of what is known; NaN where nothing is."""
    known = np.isfinite(values)
    n = known.sum(axis=0)
    return np.divide(np.where(known, values, 0).sum(axis=0), n, out=np.full(n.shape, np.nan), where=n > 0)


def auc_permutation_test(
    first, second, first_targets, second_targets=None, n_permutations=10_000, seed=0, published=False
):
    """
    Test whether the AUC of the target differs between two conditions, with permutations of all images between them (unpaired).

    Parameters
    ----------
    first, second : (n, n_classes) array_like
        Outputs in both conditions.
    first_targets, second_targets : (n,) array_like of int
        Class of the target of each image, those of the first condition by default.
    n_permutations, seed, published
        As of `permutation_test`.

    Returns
    -------
    result : `Comparison`
        Difference of the areas, each the mean of one-vs-rest areas.

    Raises
    ------
    ValueError
        If, in one of the conditions, no class has images with and without it as target, or an argument is not valid.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> from brainsnn.analysis import auc_permutation_test
    >>> good, targets = [[0.9, 0.1], [0.8, 0.2], [0.2, 0.8], [0.1, 0.9]] * 5, [0, 0, 1, 1] * 5
    >>> poor = [[0.5, 0.4], [0.2, 0.8], [0.6, 0.5], [0.1, 0.9]] * 5
    >>> auc_permutation_test(good, poor, targets, n_permutations=500).p < 0.05
    True
    """
    n_permutations = whole_number(n_permutations, "auc_permutation_test: n_permutations", 1)
    second_targets = first_targets if second_targets is None else second_targets
    first, first_targets = scores_and_targets("auc_permutation_test", first, first_targets)
    second, second_targets = scores_and_targets("auc_permutation_test", second, second_targets)
    if first.shape[1] != second.shape[1]:
        raise ValueError(
            f"auc_permutation_test: outputs of {first.shape[1]} and {second.shape[1]} classes; give the same classes."
        )
    wins = list(_pooled_wins(np.r_[first, second], np.r_[first_targets, second_targets]))
    one_of = np.zeros(len(first) + len(second), dtype=np.float32)
    one_of[: len(first)] = 1

    def differences(chosen):
        """Return the difference of AUC between the chosen images and the others."""
        return _areas(chosen, wins) - _areas(1 - chosen, wins)

    observed = float(differences(one_of[None])[0]) if wins else np.nan
    if np.isnan(observed):
        raise ValueError(
            "auc_permutation_test: needs, in each condition, a class with images in which it is the target and images without "
            "it; add images."
        )
    random, null = np.random.default_rng(seed), []
    for start in range(0, n_permutations, BATCH):
        rows = np.tile(one_of, (min(BATCH, n_permutations - start), 1))
        null.append(differences(random.permuted(rows, axis=1)))
    null = np.abs(np.concatenate(null))
    # Single precision decides ties at 1e-6.
    return Comparison(
        observed, _p_value("auc_permutation_test", null[np.isfinite(null)], abs(observed) - 1e-7, published)
    )


def max_t_test(differences, n_permutations=10_000, seed=0):
    """
    Test several paired differences at once, with p-values that hold for all of them together (max-T).

    The signs of all differences of an image are flipped together, which keeps their correlations; each t is compared with the
    largest t of each permutation.

    Parameters
    ----------
    differences : (n_images, n_comparisons) array_like
        Difference of two conditions in each image, one column for each comparison.
    n_permutations, seed : int, optional

    Returns
    -------
    t, p : (n_comparisons,) ndarray
        One-sample t, infinite for a difference that is the same in all images, and the adjusted two-sided p.

    Raises
    ------
    ValueError
        If there are fewer than two images, or a value is not finite.

    References
    ----------
    Westfall, Young (1993), Resampling-based multiple testing. Nichols, Holmes (2002), Hum. Brain Mapp. 15:1.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import max_t_test
    >>> noise = np.random.default_rng(0).normal(size=(40, 3))
    >>> t, p = max_t_test(noise + [1.0, 0.0, 0.0], n_permutations=1000)  # only the first difference is one
    >>> p < 0.05
    array([ True, False,  True])
    """
    n_permutations = whole_number(n_permutations, "max_t_test: n_permutations", 1)
    values = plain_array(differences, "max_t_test: differences", float)
    if values.ndim != 2 or len(values) < 2 or values.shape[1] == 0 or not np.isfinite(values).all():
        raise ValueError(
            f"max_t_test: differences must be finite, of shape (n_images, n_comparisons) with two images or more, got "
            f"{values.shape}."
        )
    values = values / np.where(values.any(axis=0), np.abs(values).max(axis=0), 1)  # no t depends on the scale
    n, length = len(values), np.sqrt(np.mean(values**2, axis=0))

    def size(signs):
        """Return |mean| over root mean square, which orders as |t| does, and is exactly known where the variance is 0."""
        return np.abs(signs @ values / n) / np.where(length > 0, length, 1)

    random, largest = np.random.default_rng(seed), []
    for start in range(0, n_permutations, BATCH):
        signs = random.choice([-1.0, 1.0], size=(min(BATCH, n_permutations - start), n))
        largest.append(size(signs).max(axis=1))
    largest = np.concatenate(largest)
    mean, error = values.mean(axis=0), values.std(axis=0, ddof=1) / np.sqrt(n)
    is_constant = (values == values[0]).all(axis=0)
    t = np.where(
        is_constant, np.where(mean == 0, 0.0, np.copysign(np.inf, mean)), mean / np.where(is_constant, 1, error)
    )
    return t, np.array([_p_value("max_t_test", largest, one - ROUNDING) for one in size(np.ones(n))])
