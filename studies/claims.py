"""Findings as a table: each claim with its effect, interval, number of images, test and verdict."""

from dataclasses import asdict, dataclass
from statistics import NormalDist

import numpy as np

from brainsnn.analysis import bootstrap_p_value, draw_interval

__all__ = [
    "NOT_REPRODUCED",
    "NOT_SUPPORTED",
    "REPRODUCED",
    "SUPPORTED",
    "UNDECIDABLE",
    "Claims",
    "check_draws",
    "difference_bounds",
    "paired_p",
    "verdict_of",
]

REPRODUCED, NOT_REPRODUCED, UNDECIDABLE = "reproduced", "not reproduced", "undecidable with this n"
NORMAL = NormalDist()
#: Share of draws that may be NaN, such as a median of too few values.
UNKNOWN = 0.05
#: Largest p of a decided claim, after correction.
ALPHA = 0.05
#: Of claims that are ours.
SUPPORTED, NOT_SUPPORTED = "supported", "not supported"


@dataclass
class Claim:
    """One row."""

    claim: str
    effect: float
    low: float
    high: float
    n: int
    test: str
    p: float
    verdict: str


def verdict_of(effect, low, high, p, sign, published=True):
    """
    Return the verdict on a claim that an effect has a sign.

    It is decided if both the test and the interval exclude 0.

    Parameters
    ----------
    effect, low, high, p : float
    sign : {1, -1}
    published : bool, optional
        Whether a paper claims it.

    Returns
    -------
    verdict : str

    Raises
    ------
    ValueError
        If another sign is claimed: that there is none is a claim for `Claims.equal`.
    """
    if sign not in (1, -1):
        raise ValueError(
            f"verdict_of: sign={sign!r} must be 1 or -1; claim with Claims.equal that two conditions are equal."
        )
    decided = np.isfinite([effect, low, high, p]).all() and p < ALPHA and (low > 0 or high < 0)
    return _words(published)[np.sign(effect) == sign] if decided else UNDECIDABLE


def _words(published):
    return {True: REPRODUCED, False: NOT_REPRODUCED} if published else {True: SUPPORTED, False: NOT_SUPPORTED}


def check_draws(study, name, n_tests):
    """
    Refuse so few bootstrap draws that no claim can be decided: `paired_p` is that of one draw at least.

    Parameters
    ----------
    study : `common.Study`
    name : str
        Of the parameter.
    n_tests : int
        Largest number of claims that are tested together.
    """
    n, least = getattr(study.parameters, name), int(2 * n_tests / ALPHA) + 1
    if n < least:
        study.error(
            f"argument --{name.replace('_', '-')}: {n} draws can decide no claim that is one of {n_tests}; give {least} or more"
        )


def _is_unknown(draws):
    """Return whether so many draws are NaN that the others say nothing of them: they are not drawn at random."""
    return np.mean(~np.isfinite(draws)) > UNKNOWN


def _corrected(p, test, n_tests):
    """Return a p-value for several tests, and the name of the test with its correction."""
    return float(np.minimum(n_tests * p, 1)), f"{test}, Bonferroni {n_tests}" if n_tests > 1 else test


def paired_p(draws):
    """
    Return the two-sided p of paired bootstrap draws.

    Parameters
    ----------
    draws : (n_draws,) array_like

    Returns
    -------
    p : float
        At least that of one draw, ``2/n_draws``: draws that are all on one side do not show more.
    """
    known = draws[np.isfinite(draws)]
    return min(1.0, max(bootstrap_p_value(known), 2 / len(known))) if len(known) else float("nan")


def difference_bounds(effect, draws, n):
    """
    Return the interval of a difference of accuracies: the percentile interval, at least 3/n wide to both sides.

    A bootstrap of few images that differ is too narrow: rule of three (Hanley and Lippman-Hand 1983, JAMA 249).

    Parameters
    ----------
    effect : (...,) array_like
    draws : (n_draws, ...) ndarray
    n : int
        Number of images.

    Returns
    -------
    low, high : (...,) ndarray
    """
    low, high = draw_interval(draws)
    return np.minimum(low, effect - 3 / n), np.maximum(high, effect + 3 / n)


class Claims:
    """
    The claims of a study, in the order in which they are added.

    Parameters
    ----------
    study : `common.Study`
        Prints them, and stores them as ``claims.csv`` and ``claims.md``.
    """

    def __init__(self, study):
        self.study, self.rows = study, []

    def add(self, claim, effect, draws, n, test, p, sign, published=True, n_tests=1):
        """
        Add a claim.

        Parameters
        ----------
        claim : str
        effect : float
        draws : (n_draws,) array_like or (low, high)
            Bootstrap draws of the effect, or its interval as a tuple of two.
        n : int
            Number of images.
        test : str
            Name of the test.
        p : float
            Not used, and the claim undecidable, if too many draws are NaN.
        sign : {1, -1}
            Sign of the effect that is claimed.
        published : bool, optional
            Whether a paper claims it; else the claim is ours, and is supported or not.
        n_tests : int, optional
            Number of tests by which p is multiplied (Bonferroni).

        Returns
        -------
        verdict : str
        """
        if not isinstance(draws, tuple):
            p, draws = (np.nan, 2 * (np.nan,)) if _is_unknown(draws) else (p, draw_interval(draws))
        low, high = draws
        p, test = _corrected(p, test, n_tests)
        verdict = verdict_of(effect, low, high, p, sign, published)
        self.rows.append(Claim(claim, float(effect), float(low), float(high), int(n), test, p, verdict))
        return verdict

    def equal(self, claim, effect, draws, n, test, margin, published=False, n_tests=1):
        """
        Add a claim that two conditions differ by less than a margin (two one-sided tests).

        If no image differs, p is the chance of that where a share of images as large as the margin does.

        Parameters
        ----------
        claim : str
        effect : float
        draws : (n_draws,) array_like
            Bootstrap draws of the difference.
        n : int
        test : str
        margin : float
        published : bool, optional
            As of `add`.
        n_tests : int, optional
            Number of tests by which p is multiplied (Bonferroni).

        Returns
        -------
        verdict : str
            Supported (reproduced) if the interval lies within the margin and p is below 0.05, not so if it lies outside of it.
        """
        draws = np.asarray(draws)
        p = max((draws >= margin).mean(), (draws <= -margin).mean(), 1 / len(draws), np.exp(-n * margin))
        low, high = difference_bounds(effect, draws, n)
        if _is_unknown(draws):
            p = low = high = np.nan
        p, test = _corrected(p, f"equivalence, {test}", n_tests)
        outside = low > margin or high < -margin
        inside = -margin < low and high < margin and p < ALPHA
        verdict = _words(published)[inside] if inside or outside else UNDECIDABLE
        name = f"{claim} (within {margin:g})"
        self.rows.append(Claim(name, float(effect), float(low), float(high), int(n), test, p, verdict))
        return verdict

    def below(self, claim, effect, bounds, n, test, limit, n_tests=1):
        """
        Add a claim of ours that an effect is smaller than a limit; that it was found smaller is not enough.

        Parameters
        ----------
        claim : str
        effect : float
        bounds : (float, float)
            95 % interval of the effect.
        n : int
        test : str
        limit : float
        n_tests : int, optional
            Number of tests by which p is multiplied (Bonferroni).

        Returns
        -------
        verdict : str
            Supported if the interval lies below the limit and p is below 0.05, not supported if above it.
        """
        low, high = map(float, bounds)
        error = (high - low) / (2 * NORMAL.inv_cdf(0.975))
        # one-sided, of the normal distribution with this interval
        p = 1 - NORMAL.cdf((limit - (low + high) / 2) / error) if error > 0 else np.nan
        p, test = _corrected(p, test, n_tests)
        verdict = SUPPORTED if high < limit and p < ALPHA else NOT_SUPPORTED if low > limit else UNDECIDABLE
        self.rows.append(Claim(f"{claim} (below {limit:g})", float(effect), low, high, int(n), test, p, verdict))
        return verdict

    def report(self):
        """Print the table and store it."""
        columns = ("claim", "effect [95 % interval]", "n", "test", "p", "verdict")
        lines = [f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}"]
        for row in self.rows:
            known = np.isfinite([row.low, row.high]).all()
            effect = f"{row.effect:+.3g} [{f'{row.low:+.3g}, {row.high:+.3g}' if known else 'not known'}]"
            lines.append(f"| {row.claim} | {effect} | {row.n} | {row.test} | {row.p:.4g} | {row.verdict} |")
        self.study.table([asdict(row) for row in self.rows], "claims")
        self.study.text("\n".join(lines) + "\n", "claims.md")
        print("\n".join(lines))
