"""Representational dissimilarity matrices at each step, and their partial correlations with models."""

import numpy as np

from brainsnn.analysis.checks import known_groups
from brainsnn.plain_arrays import plain_array, whole_number
from brainsnn.results.selection import chosen_images

__all__ = ["class_model", "partial_correlations", "rdm_draws", "rdm_over_time"]

RESAMPLES = ("images", "pairs")
#: Bytes of potentials that are read at once.
CHUNK_BYTES = 2**28
#: Draws, and steps, whose correlations are computed at once.
BATCH = 50


def rdm_over_time(values, start=0, stop=None, images=None):
    """
    Return the dissimilarity of each pair of images at each step, 1 - Pearson's correlation over neurons.

    Parameters
    ----------
    values : (n, n_steps, n_neurons) array_like or zarr.Array
        Such as the potentials of a readout, ``result.states["after"]["S"]``. Values on disk are read a few steps at a time.
    start, stop : int, optional
        Steps, all by default.
    images : slice or array_like of int or bool, optional
        Two images or more to compare, all by default.

    Returns
    -------
    distances : (n_steps, n_pairs) ndarray of float32
        Pairs as in `scipy.spatial.distance.squareform`. NaN where a pattern is constant.

    Raises
    ------
    ValueError
        If there are fewer than two images or neurons, or the steps are not in the trial.
    IndexError
        If an image does not exist, or ``images`` names none.

    See Also
    --------
    brainsnn.analysis.dissimilarity_matrix : the same for one set of patterns, in double precision.

    References
    ----------
    Kriegeskorte, Mur, Bandettini (2008), Front. Syst. Neurosci. 2:4. Soerensen et al. (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import rdm_over_time
    >>> rdm_over_time(np.array([[[0, 1, 2]], [[0, 2, 4]], [[2, 1, 0]]])).round(3)
    array([[0., 2., 2.]], dtype=float32)
    """
    if not hasattr(values, "chunks"):  # in memory
        values = plain_array(values, "rdm_over_time: values")
    shape = values.shape
    if len(shape) != 3 or shape[0] < 2 or shape[2] < 2:
        raise ValueError(
            f"rdm_over_time: values of shape {shape} must be two images or more, steps, two neurons or more."
        )
    stop = shape[1] if stop is None else whole_number(stop, "rdm_over_time: stop", 1, shape[1])
    start = whole_number(start, "rdm_over_time: start", 0, stop - 1)
    images = chosen_images(images, shape[0], "rdm_over_time")
    if len(images) < 2:
        raise ValueError(f"rdm_over_time: images={images.tolist()} must be two or more; give those to compare.")
    pairs = np.triu_indices(len(images), 1)
    distances = np.empty((stop - start, len(pairs[0])), dtype=np.float32)
    width = max(1, CHUNK_BYTES // (len(images) * shape[2] * 8))
    for first in range(start, stop, width):
        last = min(first + width, stop)
        block = np.array([np.asarray(values[int(k), first:last]) for k in images])
        for t in range(last - first):
            normed = _normed(block[:, t])
            distances[first - start + t] = 1 - (normed @ normed.T)[pairs]
    return distances


def _normed(patterns):
    """Return patterns with mean 0 and length 1, of float32; NaN for a constant one."""
    patterns = np.asarray(patterns, dtype=float)
    centred = patterns - patterns.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    constant = (patterns == patterns[:, :1]).all(axis=1, keepdims=True)
    return np.where(constant, np.nan, centred / np.where(constant, 1, length)).astype(np.float32)


def class_model(classes):
    """
    Return the dissimilarities that a model of classes predicts: 0 within a class, 1 between classes.

    Parameters
    ----------
    classes : (n,) array_like of int

    Returns
    -------
    distances : (n_pairs,) ndarray
        Pairs as in `rdm_over_time`.

    Raises
    ------
    ValueError
        If there are fewer than two images, or a class is None or NaN.

    Examples
    --------
    >>> from brainsnn.analysis import class_model
    >>> class_model([3, 3, 5])
    array([0., 1., 1.])
    """
    classes = known_groups("class_model: classes", classes)
    if classes.ndim != 1 or len(classes) < 2:
        raise ValueError(f"class_model: expected the classes of two images or more, got shape {classes.shape}.")
    first, second = np.triu_indices(len(classes), 1)
    return (classes[first] != classes[second]).astype(float)


def partial_correlations(with_first, with_second, between):
    """
    Return the correlation of a variable with each of two models, with the other one held constant.

    Parameters
    ----------
    with_first, with_second : float or ndarray
        Pearson's correlations of the variable with both models.
    between : float or ndarray
        That of the models.

    Returns
    -------
    first, second : float or ndarray
        NaN where a model explains all of the other, or of the variable, or where no three variables have these correlations.

    Raises
    ------
    ValueError
        If a correlation does not lie in -1 to 1.

    Examples
    --------
    >>> from brainsnn.analysis import partial_correlations
    >>> first, second = partial_correlations(0.5, 0.5, 0.0)
    >>> round(float(first), 4)
    0.5774
    """
    given = {"with_first": with_first, "with_second": with_second, "between": between}
    a, b, c = (plain_array(value, f"partial_correlations: {name}", float) for name, value in given.items())
    for name, value in zip(given, (a, b, c)):
        if (np.abs(value) > 1).any():
            raise ValueError(
                f"partial_correlations: {name} must be correlations, from -1 to 1, got up to {np.nanmax(np.abs(value)):g}."
            )
    possible = 1 - a**2 - b**2 - c**2 + 2 * a * b * c >= -1e-9  # the determinant of their matrix

    def partial(one, other):
        """Return the correlation with one model given the other."""
        rest = (1 - other**2) * (1 - c**2)
        known = possible & (rest > 1e-12)
        return np.where(known, np.clip((one - other * c) / np.sqrt(np.where(known, rest, 1)), -1, 1), np.nan)

    return partial(a, b), partial(b, a)


def _weights(n_images, draw, resample):
    """Return how often a draw holds each pair; draw 0 holds each once."""
    first, second = np.triu_indices(n_images, 1)
    if draw == 0:
        return np.ones(len(first))
    random = np.random.default_rng(draw)
    if resample == "pairs":
        return np.bincount(random.integers(len(first), size=len(first)), minlength=len(first)).astype(float)
    times = np.bincount(random.integers(n_images, size=n_images), minlength=n_images)
    return (times[first] * times[second]).astype(float)


def _scaled(rows):
    """Return rows less their first value, in units of the largest: constants are 0 exactly, and no correlation changes."""
    rows = np.asarray(rows, dtype=float)
    rows = rows - rows[:, :1]
    largest = np.abs(rows).max(axis=1, keepdims=True)
    return rows / np.where(largest > 0, largest, 1)


def _mean_and_variance(weights, rows):
    """Return both for each draw and row; a variance that may be due to rounding is NaN."""
    mean, squares = weights @ rows.T, weights @ (rows**2).T
    variance = squares - mean**2
    return mean, np.where(variance > 1e-12 * squares, variance, np.nan)


def _correlations(distances, models, weights):
    """Return correlations of distances (n_steps, n_pairs) with both models, and of the models, for each draw's weights."""
    x, m = _scaled(distances), _scaled(models)
    w = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1)  # one image drawn n times has no pair
    (mean_x, var_x), (mean_m, var_m) = _mean_and_variance(w, x), _mean_and_variance(w, m)
    covariances = np.stack([(w * one) @ x.T for one in m], axis=-1) - mean_x[..., None] * mean_m[:, None]
    fits = np.clip(covariances / np.sqrt(var_x[..., None] * var_m[:, None]), -1, 1)
    together = w @ (m[0] * m[1]) - mean_m[:, 0] * mean_m[:, 1]
    between = np.clip(together / np.sqrt(var_m[:, 0] * var_m[:, 1]), -1, 1)
    return fits, between


def rdm_draws(distances, first, second, n_draws=500, resample="images"):
    """
    Return correlations and partial correlations of RDMs with two models at each step, for bootstrap draws.

    Parameters
    ----------
    distances : (n_steps, n_pairs) array_like
        As from `rdm_over_time`.
    first, second : (n_pairs,) array_like
        Dissimilarities of two models, such as `class_model` and the RDM of the artificial network.
    n_draws : int, optional
        Draw 0 holds all pairs once, the others are drawn with replacement with the number of the draw as seed.
    resample : {"images", "pairs"}, optional
        What is drawn. Pairs share images, so that intervals from drawn pairs, as published, are too narrow.

    Returns
    -------
    fits : dict of str to (n_draws, n_steps, 2) ndarray
        ``"correlation"`` and ``"partial"``, with both models.

    Raises
    ------
    ValueError
        If the numbers of pairs differ or are not those of a matrix, or an argument is not valid.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34. Nili et al. (2014), PLoS Comput. Biol.
    10:e1003553.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import class_model, rdm_draws
    >>> classes, other = class_model([0, 0, 1, 1]), np.random.default_rng(0).random(6)
    >>> fits = rdm_draws(classes[None] + 0.1 * other, classes, other, n_draws=20)  # one step
    >>> fits["correlation"].shape, bool(fits["correlation"][0, 0, 0] > 0.9)
    ((20, 1, 2), True)
    """
    n_draws = whole_number(n_draws, "rdm_draws: n_draws", 1)
    if resample not in RESAMPLES:
        raise ValueError(f"rdm_draws: resample={resample!r}; choose one of {', '.join(map(repr, RESAMPLES))}.")
    distances = np.atleast_2d(plain_array(distances, "rdm_draws: distances"))
    models = np.array([plain_array(model, "rdm_draws: models", float) for model in (first, second)])
    n_images = round((1 + np.sqrt(1 + 8 * distances.shape[1])) / 2)
    if models.shape != (2, distances.shape[1]) or n_images * (n_images - 1) // 2 != distances.shape[1]:
        raise ValueError(
            f"rdm_draws: distances of {distances.shape[1]} pairs and models of shape {models.shape}; give all pairs of the same "
            "images."
        )
    fits = np.empty((n_draws, len(distances), 2))
    partial = np.empty_like(fits)
    for first_draw in range(0, n_draws, BATCH):
        draws = slice(first_draw, min(first_draw + BATCH, n_draws))
        drawn = np.array([_weights(n_images, draw, resample) for draw in range(draws.start, draws.stop)])
        for first_step in range(0, len(distances), BATCH):
            steps = slice(first_step, first_step + BATCH)
            fits[draws, steps], between = _correlations(distances[steps], models, drawn)
            both = partial_correlations(*np.moveaxis(fits[draws, steps], -1, 0), between[:, None])
            partial[draws, steps] = np.stack(both, axis=-1)
    return {"correlation": fits, "partial": partial}
