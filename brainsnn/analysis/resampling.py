"""Bootstrap over images: stratified by class, or clustered by what images have in common."""

import numpy as np

from brainsnn.analysis.checks import known_groups
from brainsnn.errors import warn
from brainsnn.plain_arrays import plain_array, whole_number

__all__ = ["bootstrap_draws", "draw_interval", "resampled_items", "sampler_of"]

#: Items that strata should have on average: with n of them, drawn items vary by a share 1/n too little.
ENOUGH = 5


def resampled_items(n_items, draw, strata=None, clusters=None):
    """
    Return the items of one bootstrap draw.

    Parameters
    ----------
    n_items : int
    draw : int
        Number of the draw, which is its seed.
    strata : (n_items,) array_like, optional
        Class of each item; as many of each class are drawn as there are. Strata of few items vary too little (one item not at
        all), so that intervals are too narrow: with fewer than five on average, or a single one, a warning says so.
    clusters : (n_items,) array_like, optional
        What items have in common, such as the photograph behind a scene. Whole clusters are drawn, so that the number of items
        differs between draws.

    Returns
    -------
    items : ndarray of int
        With repetitions.

    Raises
    ------
    ValueError
        If both strata and clusters are given, there is not one for each item, or one is missing (None or NaN).

    References
    ----------
    Davison, Hinkley (1997), Bootstrap methods and their application, chapters 2 and 3.

    Examples
    --------
    >>> from brainsnn.analysis import resampled_items
    >>> classes = [0] * 5 + [1] * 5
    >>> [classes[k] for k in resampled_items(10, 7, strata=classes)]
    [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    """
    draw = whole_number(draw, "resampled_items: draw", 0)
    return sampler_of(n_items, strata, clusters, "resampled_items")(draw)


def sampler_of(n_items, strata=None, clusters=None, function="resampled_items"):
    """
    Return what draws items, after one check of them and at most one warning, however many draws follow.

    Parameters
    ----------
    n_items, strata, clusters
        As of `resampled_items`.
    function : str, optional
        Its name, for messages.

    Returns
    -------
    sampler : callable
        Function of the number of a draw.

    Raises
    ------
    ValueError
        As `resampled_items`.
    """
    n_items = whole_number(n_items, f"{function}: n_items", 1)
    if strata is not None and clusters is not None:
        raise ValueError(f"{function}: strata and clusters are two designs; give one of them.")
    if strata is None and clusters is None:
        return lambda draw: np.random.default_rng(draw).integers(n_items, size=n_items)
    members = _members(n_items, *(("strata", strata) if clusters is None else ("clusters", clusters)), function)
    if clusters is None:
        _warn_of_small_strata(members, n_items, function)

    def sampled(draw):
        """Return the items of a draw."""
        random = np.random.default_rng(draw)
        if clusters is None:
            return np.concatenate([own[random.integers(len(own), size=len(own))] for own in members])
        return np.concatenate([members[k] for k in random.integers(len(members), size=len(members))])

    return sampled


def _members(n_items, name, groups, function):
    """Return the items of each group."""
    groups = known_groups(f"{function}: {name}", groups)
    if groups.shape != (n_items,):
        raise ValueError(f"{function}: {name} of shape {groups.shape} for {n_items} items; give one for each item.")
    return [np.flatnonzero(groups == group) for group in np.unique(groups)]


def _warn_of_small_strata(members, n_items, function):
    """Warn of strata in which few items, or one, can be drawn."""
    smallest = min(map(len, members))
    if smallest == 1 or n_items < ENOUGH * len(members):
        warn(
            f"{function}: {n_items} items in {len(members)} strata, {smallest} in the smallest: their draws vary too little, so "
            "that intervals are too narrow.",
            fix=f"Give {ENOUGH} items or more to each stratum, or draw without strata.",
        )


def bootstrap_draws(statistic, n_items, n_draws=500, strata=None, clusters=None):
    """
    Return a statistic of bootstrap draws of a set of items, such as scenes.

    Parameters
    ----------
    statistic : callable
        Function of an array of item indices (with repetitions) that returns a number or an array.
    n_items : int
    n_draws : int, optional
        Draws with the seeds 0, 1, ... ; equal numbers give equal draws in all conditions.
    strata, clusters : (n_items,) array_like, optional
        As of `resampled_items`.

    Returns
    -------
    draws : (n_draws, ...) ndarray

    Raises
    ------
    ValueError
        If n_draws is not a positive number, or as `resampled_items`.

    See Also
    --------
    brainsnn.analysis.bootstrap_interval : one interval of plain draws, also BCa.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34: 500 draws, stratified by target.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import bootstrap_draws
    >>> right = np.array([1, 1, 0, 1])
    >>> bootstrap_draws(lambda items: right[items].mean(), 4, n_draws=100).shape
    (100,)
    """
    n_draws = whole_number(n_draws, "bootstrap_draws: n_draws", 1)
    sampler = sampler_of(n_items, strata, clusters, "bootstrap_draws")
    return np.array([statistic(sampler(draw)) for draw in range(n_draws)])


def draw_interval(draws, confidence=0.95):
    """
    Return the percentile interval of bootstrap draws; draws that are NaN are left out, infinite ones count.

    Parameters
    ----------
    draws : (n_draws, ...) array_like
    confidence : float, optional

    Returns
    -------
    low, high : float or ndarray
        NaN where all draws are. Beside an infinite draw, such as a median beyond the end of the trial, nothing is interpolated:
        the bound is then the draw further out.

    Raises
    ------
    ValueError
        If the draws are empty, or the confidence is not between 0 and 1.

    Examples
    --------
    >>> from brainsnn.analysis import draw_interval
    >>> low, high = draw_interval(range(101))
    >>> round(low, 1), high
    (2.5, 97.5)
    """
    draws = plain_array(draws, "draw_interval: draws", float)
    if draws.ndim == 0 or len(draws) == 0:
        raise ValueError(f"draw_interval: draws of shape {draws.shape} hold none; give one or more.")
    if not 0 < confidence < 1:
        raise ValueError(f"draw_interval: confidence={confidence!r} must be between 0 and 1.")
    tail = 50 * (1 - confidence)
    known = ~np.isnan(draws).all(axis=0)
    draws = np.where(known, draws, 0.0)
    bounds = []
    for percentile, outer in ((tail, "lower"), (100 - tail, "higher")):
        with np.errstate(invalid="ignore"):  # between infinite draws
            found = np.nanpercentile(draws, percentile, axis=0)
        draw = np.nanpercentile(draws, percentile, axis=0, method=outer)
        bounds.append(np.where(known, np.where(np.isfinite(found), found, draw), np.nan))
    low, high = bounds
    return (float(low), float(high)) if draws.ndim == 1 else (low, high)
