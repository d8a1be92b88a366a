"""Activity of layers under attention: firing rates, latencies and representations."""

import numpy as np

from brainsnn.analysis.checks import check_masks, part_of_trial
from brainsnn.analysis.metrics import dissimilarity_matrix, response_latency
from brainsnn.plain_arrays import plain_array

__all__ = [
    "firing_latency",
    "focus_masks",
    "focus_rates",
    "layer_patterns",
    "layer_rdm",
    "rdm_fit",
    "response_rate",
]


def focus_masks(shape, centers, width):
    """
    Return which locations of a layer lie within one standard deviation of a cue.

    Parameters
    ----------
    shape : tuple of int
        (H, W, C) of the layer, or (H, W).
    centers : (n, 2) array_like
        Cues as (row, column) in fractions.
    width : float or (row, column)
        Standard deviation of the field in fractions.

    Returns
    -------
    inside : (n, H, W) ndarray of bool
        The location nearest to the cue is always inside, even in a coarse layer.

    Raises
    ------
    ValueError
        If a cue is not a pair of finite numbers, the width is not positive, or the layer has no location.

    Examples
    --------
    >>> from brainsnn.analysis import focus_masks
    >>> focus_masks((4, 4, 16), centers=[(0.125, 0.125)], width=0.3)[0].astype(int)
    array([[1, 1, 0, 0],
           [1, 0, 0, 0],
           [0, 0, 0, 0],
           [0, 0, 0, 0]])
    """
    centers = np.atleast_2d(plain_array(centers, "focus_masks: centers", float))
    if centers.shape[1:] != (2,) or not np.isfinite(centers).all():
        raise ValueError(f"focus_masks: centers must be finite (row, column) pairs, got {centers.tolist()}.")
    if np.shape(width) not in ((), (2,)) or not np.all(np.asarray(width) > 0):
        raise ValueError(f"focus_masks: width={width!r} must be a positive number, or one for each axis.")
    if not np.all(np.asarray(shape[:2]) > 0):
        raise ValueError(f"focus_masks: a layer of shape {tuple(shape)} has no location.")
    widths = np.broadcast_to(np.asarray(width, dtype=float), 2)
    rows, cols = (
        ((np.arange(n) + 0.5) / n - centers[:, axis, None]) / widths[axis] for axis, n in enumerate(shape[:2])
    )
    distance = np.hypot(rows[:, :, None], cols[:, None, :])
    # Rounding errors must not decide between locations at the same distance.
    return distance <= np.maximum(1, distance.min(axis=(1, 2), keepdims=True)) * (1 + 1e-9)


def _spikes_in(result, layer, start, stop):
    """Return (neurons, steps) of each image's spikes in [start, stop) ms, and the duration in seconds."""
    recorded, known = result.spikes[layer], result.spike_counts.get(layer)
    totals = [len(neurons) for neurons, _ in recorded]
    if known is not None and np.less(totals, known).any():
        raise ValueError(
            f"{layer}: only the spikes of some of its neurons were recorded, {sum(totals)} of {np.sum(known)}; rates need all "
            f"of them. Convert with record={{{layer!r}: ['spikes']}}."
        )
    first, last = part_of_trial(layer, start, stop, result.dt, result.n_steps)
    trains = []
    for neurons, steps in recorded:
        inside = (steps >= first) & (steps < last)
        trains.append((neurons[inside], steps[inside]))
    return trains, (last - first) * result.dt


def _at_locations(neurons, shape, mask):
    """Return an index of the spikes inside a mask, and the number of locations; all of them if the mask is None."""
    if mask is None:
        return slice(None), shape[0] * shape[1]
    mask = mask.ravel()
    return mask[neurons // shape[2]], mask.sum() or np.nan


def focus_rates(result, layer, centers, width, start=0.0, stop=None):
    """
    Return mean firing rates inside and outside the focus of attention.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
        With the spikes of all neurons of the layer.
    layer : str
    centers : (n, 2) or (2,) array_like
        Cue of each image, or one for all images, as (row, column) in fractions.
    width : float or (row, column)
        Standard deviation of the field in fractions. The focus is the area within one standard deviation.
    start, stop : float, optional
        Part of the trial in ms.

    Returns
    -------
    inside, outside : (n,) ndarray
        In Hz. ``outside`` is NaN if the focus covers the whole layer.

    Raises
    ------
    UnknownNameError
        If the spikes of the layer were not recorded.
    ValueError
        If ``start`` and ``stop`` do not delimit a part of the trial, or the number of cues is not that of the images.

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import focus_rates
    >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=100)
    >>> result.spikes["conv"] = [(np.array([0, 0, 3]), np.array([10, 60, 70]))]
    >>> inside, outside = focus_rates(result, "conv", centers=(0.25, 0.25), width=0.2)
    >>> inside, outside.round(1)
    (array([20.]), array([3.3]))
    """
    trains, seconds = _spikes_in(result, layer, start, stop)
    shape = result.shapes[layer]
    masks = focus_masks(shape, centers, width)
    if len(masks) not in (1, len(trains)):
        raise ValueError(f"focus_rates: {len(masks)} cues for {len(trains)} images; give one, or one for each image.")
    masks = np.broadcast_to(masks, (len(trains), *shape[:2]))
    rates = np.full((2, len(trains)), np.nan)
    for k, (neurons, _) in enumerate(trains):
        counts = np.bincount(neurons // shape[2], minlength=shape[0] * shape[1]).reshape(shape[:2])
        for row, mask in enumerate((masks[k], ~masks[k])):
            if mask.any():
                rates[row, k] = counts[mask].sum() / (mask.sum() * shape[2] * seconds)
    return rates[0], rates[1]


def response_rate(result, layer, masks=None):
    """
    Return the firing rate of a population over time, for each image.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer : str
    masks : (n, H, W) array_like of bool, optional
        Locations to include, all by default.

    Returns
    -------
    rate : (n, n_steps) ndarray
        In Hz. NaN if a mask includes no location.

    Raises
    ------
    UnknownNameError
        If the spikes of the layer were not recorded.
    ValueError
        If the masks do not fit the images and the layer.

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import response_rate
    >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=100)
    >>> result.spikes["conv"] = [(np.array([0, 0, 3]), np.array([10, 60, 60]))]
    >>> response_rate(result, "conv")[0, [9, 10, 60]]  # Hz per neuron in a step of 1 ms
    array([  0., 250., 500.])
    """
    trains, _ = _spikes_in(result, layer, 0.0, None)
    shape = result.shapes[layer]
    masks = check_masks("response_rate", masks, len(trains), shape)
    rate = np.zeros((len(trains), result.n_steps))
    for k, (neurons, steps) in enumerate(trains):
        here, n_locations = _at_locations(neurons, shape, None if masks is None else masks[k])
        rate[k] = np.bincount(steps[here], minlength=result.n_steps) / (n_locations * shape[2] * result.dt)
    return rate


def firing_latency(result, layer, baseline, masks=None, smoothing=8.0, percentile=99.99):
    """
    Return the latency of a population's firing, for each image.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
        With the spikes of all neurons of the layer.
    layer : str
    baseline : (float, float)
        First and last time of the baseline in ms.
    masks : (n, H, W) array_like of bool, optional
        Locations to include, all by default.
    smoothing, percentile : float, optional
        See `~brainsnn.analysis.metrics.response_latency` for the definition.

    Returns
    -------
    latency : (n,) ndarray
        In ms from the start of the trial. NaN if no peak exceeds the baseline.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import firing_latency
    >>> result = bs.Result({"conv": (2, 2, 1)}, dt=1e-3, n_steps=200)
    >>> steps = np.arange(110, 160)  # one of the four neurons spikes in each of these steps
    >>> result.spikes["conv"] = [(steps % 4, steps)]
    >>> firing_latency(result, "conv", baseline=(0, 100)).round()
    array([110.])
    """
    rates = response_rate(result, layer, masks)
    return np.array([response_latency(rate, result.times, baseline, smoothing, percentile) for rate in rates])


def layer_patterns(result, layer, start=0.0, stop=None, masks=None):
    """
    Return the firing rate of each channel, averaged over locations.

    The resulting pattern does not depend on the position of an object in the image.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
        With the spikes of all neurons of the layer.
    layer : str
    start, stop : float, optional
        Part of the trial in ms.
    masks : (n, H, W) array_like of bool, optional
        Locations to include, all by default.

    Returns
    -------
    patterns : (n, C) ndarray
        In Hz. NaN if a mask includes no location.

    Raises
    ------
    UnknownNameError
        If the spikes of the layer were not recorded.
    ValueError
        If ``start`` and ``stop`` do not delimit a part of the trial, or the masks do not fit the images and the layer.

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import layer_patterns
    >>> result = bs.Result({"conv": (1, 1, 4)}, dt=1e-3, n_steps=100)
    >>> result.spikes["conv"] = [(np.array([0, 0, 3]), np.array([10, 60, 70]))]
    >>> layer_patterns(result, "conv")
    array([[20.,  0.,  0., 10.]])
    """
    trains, seconds = _spikes_in(result, layer, start, stop)
    shape = result.shapes[layer]
    masks = check_masks("layer_patterns", masks, len(trains), shape)
    patterns = np.zeros((len(trains), shape[2]))
    for k, (neurons, _) in enumerate(trains):
        here, n_locations = _at_locations(neurons, shape, None if masks is None else masks[k])
        patterns[k] = np.bincount(neurons[here] % shape[2], minlength=shape[2]) / (n_locations * seconds)
    return patterns


def rdm_fit(rdm, model, method="spearman"):
    """
    Return the correlation of a representational dissimilarity matrix with a model.

    Parameters
    ----------
    rdm : (n, n) array_like
        For example from `~brainsnn.analysis.metrics.dissimilarity_matrix`.
    model : (n, n) array_like, or (n,) array_like of classes
        Predicted dissimilarities. Classes predict 0 within a class and 1 between classes.
    method : {"spearman", "kendall", "pearson"}, optional
        Correlation over the pairs of items above the diagonal. Pairs with NaN are excluded.

    Returns
    -------
    fit : float
        NaN if one of the two has no variance, or if fewer than three pairs remain.

    Raises
    ------
    ValueError
        If the matrices are not square or their shapes differ, or if the method does not exist.

    References
    ----------
    Nili, Wingfield, Walther, Su, Marslen-Wilson, Kriegeskorte (2014), PLoS Comput. Biol. 10:e1003553.

    Examples
    --------
    >>> from brainsnn.analysis import rdm_fit
    >>> rdm_fit([[0, 0.1, 1], [0.1, 0, 0.9], [1, 0.9, 0]], [0, 0, 1], method="pearson") > 0.99
    True
    """
    from scipy import stats

    methods = {"spearman": stats.spearmanr, "kendall": stats.kendalltau, "pearson": stats.pearsonr}
    if method not in methods:
        raise ValueError(f"rdm_fit: method={method!r}; choose one of {', '.join(map(repr, methods))}.")
    rdm, model = plain_array(rdm, "rdm_fit: rdm", float), plain_array(model, "rdm_fit: model")
    if model.ndim == 1:
        model = (model[:, None] != model[None]).astype(float)
    if rdm.shape != model.shape or rdm.shape != (len(rdm), len(rdm)):
        raise ValueError(
            f"rdm_fit: rdm and model must be square matrices of the same shape, got {rdm.shape} and {model.shape}."
        )
    pairs = np.triu_indices(len(rdm), 1)
    observed, predicted = rdm[pairs], model[pairs]
    valid = np.isfinite(observed) & np.isfinite(predicted)
    observed, predicted = observed[valid], predicted[valid]
    if len(observed) < 3 or np.ptp(observed) == 0 or np.ptp(predicted) == 0:
        return float("nan")
    return float(methods[method](observed, predicted).statistic)


def layer_rdm(result, layer, start=0.0, stop=None, masks=None):
    """
    Return the representational dissimilarity matrix of the images in one layer.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer : str
    start, stop : float, optional
        Part of the trial in ms.
    masks : (n, H, W) array_like of bool, optional
        Locations to include, all by default.

    Returns
    -------
    rdm : (n, n) ndarray
        See `~brainsnn.analysis.metrics.dissimilarity_matrix`; the patterns are those of `layer_patterns`.

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import layer_rdm
    >>> result = bs.Result({"conv": (1, 1, 4)}, dt=1e-3, n_steps=100)
    >>> result.spikes["conv"] = [(np.array(neurons), np.arange(len(neurons))) for neurons in ([0, 0, 1], [0, 0, 1], [2, 3, 3])]
    >>> layer_rdm(result, "conv").round(1)
    array([[0. , 0. , 1.8],
           [0. , 0. , 1.8],
           [1.8, 1.8, 0. ]])
    """
    return dissimilarity_matrix(layer_patterns(result, layer, start, stop, masks))
