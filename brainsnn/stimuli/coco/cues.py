"""Valid and invalid cues of a set of pictures, and its two halves."""

import numpy as np

from brainsnn.optional import optional_packages
from brainsnn.plain_arrays import finite_array, plain_array, truth_values, whole_numbers

__all__ = ["CUE_SEED", "center_of_mass", "halves", "invalid_cues"]

#: Seed of the invalid cues, and of the halves.
CUE_SEED = 3
#: Smallest distance of an invalid cue from the valid one, in fractions of the image.
MIN_DISTANCE = 0.5
HALVES = ("search", "test")
#: Draws of one invalid cue, before it is said that nearly none would do.
MAX_DRAWS = 100_000


def center_of_mass(mask):
    """
    Return the valid cue: the centre of mass of a target.

    Parameters
    ----------
    mask : (height, width) array_like of bool

    Returns
    -------
    cue : tuple of float
        (row, column) in fractions of the image. Pixel indices start at 0 and are those of corners, as published: the centre of a
        pixel would be half a pixel further.

    Raises
    ------
    ValueError
        If the mask is empty, or holds other values than true and false.

    Examples
    --------
    >>> import numpy as np
    >>> center_of_mass(np.array([[0, 0, 0], [0, 0, 1], [0, 0, 1]]))
    (0.5, 0.6666666666666666)
    """
    mask = truth_values(mask, "center_of_mass: mask")
    if mask.ndim != 2 or not mask.any():
        raise ValueError(
            f"center_of_mass: mask of shape {mask.shape} with {mask.sum()} pixels; give rows and columns, with a target in them."
        )
    rows, columns = np.nonzero(mask)
    return float(rows.mean() / mask.shape[0]), float(columns.mean() / mask.shape[1])


def invalid_cues(valid, seed=CUE_SEED, ranges=None, chosen=None):
    """
    Return an invalid cue for each picture: the valid cue of another one, drawn at random.

    Parameters
    ----------
    valid : (n, 2) array_like
        Valid cues as (row, column) in fractions of the image.
    seed : int, optional
        Of numpy's legacy generator, as published.
    ranges : (n, 2) array_like, optional
        Cues whose smallest and largest row and column bound what is drawn again; the valid ones by default.
    chosen : (n_chosen,) array_like of int, optional
        Pictures that get a cue; all by default. The cues of all pictures are drawn from.

    Returns
    -------
    invalid : (n_chosen, 2) ndarray
        At least half of the image away from the valid cue. Where that of the other picture is nearer, both coordinates are drawn
        from the ranges until it is not.

    Raises
    ------
    ValueError
        If a valid cue is nearer to all places in the ranges, or to nearly all; or if cues are not fractions of the image.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> invalid_cues([(0.1, 0.2), (0.8, 0.9)])
    array([[0.8, 0.9],
           [0.1, 0.2]])
    """
    valid = _fractions(valid, "valid")
    limits = valid if ranges is None else _fractions(ranges, "ranges")
    low, high = limits.min(axis=0), limits.max(axis=0)
    random = np.random.RandomState(seed)
    invalid = valid[random.permutation(len(valid))]
    if chosen is not None:
        chosen = whole_numbers(chosen, "invalid_cues: chosen", len(valid), "numbers of pictures")
        valid, invalid = valid[chosen], invalid[chosen]
    farthest = np.linalg.norm(np.maximum(valid - low, high - valid), axis=1)
    too_near = [int(farthest.argmin())] if len(farthest) and farthest.min() <= MIN_DISTANCE else []
    for k, (cue, target) in enumerate(zip(invalid, valid)):
        n_draws = 0
        while not too_near and np.linalg.norm(cue - target) < MIN_DISTANCE:
            cue[:] = random.uniform(low[0], high[0]), random.uniform(low[1], high[1])
            n_draws += 1
            if n_draws == MAX_DRAWS and np.linalg.norm(cue - target) < MIN_DISTANCE:
                too_near = [k]
    if too_near:
        k = too_near[0]
        raise ValueError(
            f"invalid_cues: no place, or nearly none, between {low.tolist()} and {high.tolist()} is {MIN_DISTANCE} away from cue "
            f"{k}, {valid[k].tolist()}. Use more pictures, with targets in more places."
        )
    return invalid


def _fractions(cues, name):
    """Return cues, after a check that they are (row, column) in fractions of the image."""
    cues = finite_array(cues, f"invalid_cues: {name}")
    if cues.ndim != 2 or cues.shape[1] != 2 or not ((cues >= 0) & (cues <= 1)).all():
        raise ValueError(
            f"invalid_cues: {name} must be (row, column) pairs in fractions of the image, from 0 to 1, got shape {cues.shape} "
            f"and values from {cues.min():g} to {cues.max():g}; for pixel k of n, give k/n."
        )
    return cues


def halves(targets, seed=CUE_SEED):
    """
    Divide pictures into two halves, stratified by target: one for the search of strengths, one for what is reported.

    Parameters
    ----------
    targets : (n,) array_like of int
    seed : int, optional

    Returns
    -------
    names : (n,) ndarray of str
        ``"search"`` or ``"test"``.

    Raises
    ------
    ValueError
        If a target occurs only once, or none is given.
    ImportError
        If scikit-learn is not installed.

    Examples
    --------
    >>> from brainsnn.stimuli.coco import halves
    >>> sorted(halves([0, 0, 0, 0, 1, 1])[:4].tolist())  # of the first class
    ['search', 'search', 'test', 'test']
    """
    with optional_packages("coco scenes", extra="coco"):
        from sklearn.model_selection import StratifiedShuffleSplit
    targets = plain_array(targets, "halves: targets")
    if targets.ndim != 1 or len(targets) == 0:
        raise ValueError(f"halves: targets of shape {targets.shape}; give one for each of two pictures or more.")
    values, counts = np.unique(targets, return_counts=True)
    if counts.min() < 2:
        raise ValueError(
            f"halves: target {values[counts.argmin()]} has one picture; both halves need one. Use more pictures."
        )
    split = StratifiedShuffleSplit(n_splits=1, test_size=0.5, random_state=np.random.RandomState(seed))
    search, test = next(split.split(np.zeros((len(targets), 1)), targets))
    names = np.empty(len(targets), dtype="<U6")
    names[search], names[test] = HALVES
    return names
