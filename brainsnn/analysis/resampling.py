"""Bootstrap over images: stratified by class, or clustered by what images have in common."""

import numpy as np

from brainsnn.plain_arrays import plain_array, whole_number

__all__ = ["bootstrap_draws", "draw_interval", "resampled_items"]


def resampled_items(n_items, draw, strata=None, clusters=None):
    """
    Return the items of one bootstrap draw.

    Parameters
    ----------
    n_items : int
    draw : int
        Number of the draw, which is its seed.
    strata : (n_items,) array_like, optional
        Class of each item; as many of each class are drawn as there are.
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
        If both strata and clusters are given, or there is not one for each item.

    References
    ----------
    Davison, Hinkley (1997), Bootstrap methods and their application, chapters 2 and 3.

    Examples
    --------
    >>> from brainsnn.analysis import resampled_items
    >>> classes = [0, 0, 1, 1]
    >>> [classes[k] for k in resampled_items(4, 7, strata=classes)]
    [0, 0, 1, 1]
    """
    n_items = whole_number(n_items, "resampled_items: n_items", 1)
    random = np.random.default_rng(whole_number(draw, "resampled_items: draw", 0))
    if strata is not None and clusters is not None:
        raise ValueError("resampled_items: strata and clusters are two designs; give one of them.")
    if strata is None and clusters is None:
        return random.integers(n_items, size=n_items)
    name, groups = ("strata", strata) if clusters is None else ("clusters", clusters)
    groups = plain_array(groups, f"resampled_items: {name}")
    if groups.shape != (n_items,):
        raise ValueError(
            f"resampled_items: {name} of shape {groups.shape} for {n_items} items; give one for each item."
        )
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    if clusters is None:
        return np.concatenate([own[random.integers(len(own), size=len(own))] for own in members])
    return np.concatenate([members[k] for k in random.integers(len(members), size=len(members))])


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
    return np.array([statistic(resampled_items(n_items, draw, strata, clusters)) for draw in range(n_draws)])


def draw_interval(draws, confidence=0.95):
    """
    Return the percentile interval of bootstrap draws; draws that are NaN are left out.

    Parameters
    ----------
    draws : (n_draws, ...) array_like
    confidence : float, optional

    Returns
    -------
    low, high : float or ndarray
        NaN where all draws are.

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
    known = np.isfinite(draws).any(axis=0)
    found = np.nanpercentile(np.where(known, draws, 0.0), [tail, 100 - tail], axis=0)
    low, high = np.where(known, found, np.nan)
    return (float(low), float(high)) if draws.ndim == 1 else (low, high)
