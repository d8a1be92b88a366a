"""Multi-unit activity, rates, potentials and latencies of a readout population, as in the published model of attention."""

import numpy as np

from brainsnn.analysis.checks import check_pair, check_range, part_of_trial
from brainsnn.analysis.layer_activity import _spikes_in
from brainsnn.plain_arrays import plain_array, whole_number

__all__ = [
    "LatencyCriterion",
    "column_places",
    "column_potential",
    "column_rate",
    "latency_criterion",
    "midpoint_latency",
    "multi_unit_activity",
    "smoothed_response",
]

#: Standard deviation and number of taps of the Gaussian with which multi-unit activity is smoothed, in steps of 1 ms.
SMOOTHING, N_TAPS = 8.0, 80
#: First step of the baseline, and the one after its last; the baseline ends where the image comes on.
BASELINE = (50, 100)
#: By how much the published rates are too high: their window of 500 ms was divided by 450 ms.
PUBLISHED_RATE_FACTOR = 500 / 450


def column_places(shape, cues):
    """
    Return the column of neurons at each cue.

    Parameters
    ----------
    shape : tuple of int
        (H, W, C) or (H, W) of the layer.
    cues : (n, 2) array_like
        (row, column) in fractions of the image.

    Returns
    -------
    places : (n, 2) ndarray of int
        ``floor(H*row), floor(W*column)``; the last row or column for a cue at 1.

    Raises
    ------
    ValueError
        If a cue does not lie in the image.

    Examples
    --------
    >>> from brainsnn.analysis import column_places
    >>> column_places((14, 14, 256), [(0.5, 0.99)])
    array([[ 7, 13]])
    """
    cues = np.atleast_2d(plain_array(cues, "column_places: cues", float))
    if cues.shape[1:] != (2,) or not ((cues >= 0) & (cues <= 1)).all():
        raise ValueError(f"column_places: cues must be (row, column) pairs from 0 to 1, got {cues.tolist()}.")
    return np.minimum((cues * shape[:2]).astype(int), np.array(shape[:2]) - 1)


def _checked_places(function, places, n_images, shape):
    places = np.atleast_2d(plain_array(places, f"{function}: places"))
    are_whole = places.dtype.kind in "iuf" and (places == np.rint(places)).all()
    if places.shape != (n_images, 2) or not (are_whole and ((places >= 0) & (places < shape[:2])).all()):
        raise ValueError(
            f"{function}: places must be ({n_images}, 2), a (row, column) of a layer of shape {tuple(shape)} for each image, got "
            f"{places.tolist()!r:.200}; for cues in fractions of the image, give column_places({tuple(shape)}, cues)."
        )
    return places.astype(int)


def multi_unit_activity(result, layer, places=None):
    """
    Return how many neurons of one column spike in each step.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
        With the spikes of all neurons of the layer, usually of a readout (`brainsnn.Readout`).
    layer : str
    places : (n, 2) array_like of int, optional
        (row, column) of each image, such as from `column_places`; the whole layer by default.

    Returns
    -------
    activity : (n, n_steps) ndarray of int

    Raises
    ------
    UnknownNameError
        If the spikes of the layer were not recorded.
    ValueError
        If only some neurons were recorded, or there is not one place in the layer, in whole numbers, for each image.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import multi_unit_activity
    >>> result = bs.Result({"readout": (1, 2, 2)}, dt=1e-3, n_steps=4)
    >>> result.spikes["readout"] = [(np.array([0, 1, 3]), np.array([1, 1, 2]))]
    >>> multi_unit_activity(result, "readout", places=[(0, 0)])
    array([[0, 2, 0, 0]])
    """
    trains, _ = _spikes_in(result, layer, 0.0, None)
    shape = result.shapes[layer]
    if places is not None:
        places = _checked_places("multi_unit_activity", places, len(trains), shape)
    activity = np.zeros((len(trains), result.n_steps), dtype=int)
    for k, (neurons, steps) in enumerate(trains):
        if places is not None:
            steps = steps[neurons // shape[2] == places[k, 0] * shape[1] + places[k, 1]]
        activity[k] = np.bincount(steps, minlength=result.n_steps)
    return activity


def column_rate(activity, n_neurons, start, stop=None, dt=1e-3, published=False):
    """
    Return the mean firing rate of each image from its multi-unit activity.

    Parameters
    ----------
    activity : (n, n_steps) array_like
        As from `multi_unit_activity`.
    n_neurons : int
        Neurons in the column.
    start, stop : float
        Part of the trial in ms.
    dt : float, optional
        Time step in seconds.
    published : bool, optional
        Whether to multiply by 500/450, as the published rates are: a window of 500 ms was divided by 450 ms.

    Returns
    -------
    rate : (n,) ndarray
        In Hz.

    Raises
    ------
    ValueError
        If start and stop do not delimit a part of the trial, n_neurons is not positive, or activity has another shape.

    Examples
    --------
    >>> from brainsnn.analysis import column_rate
    >>> column_rate([[0] * 50 + [2] * 50], n_neurons=10, start=50)  # 2 of 10 neurons in each step of 1 ms
    array([200.])
    """
    activity = plain_array(activity, "column_rate: activity", float)
    if activity.ndim != 2:
        raise ValueError(
            f"column_rate: activity of shape {activity.shape} must be (n, n_steps); give activity[None] for one image."
        )
    n_neurons = whole_number(n_neurons, "column_rate: n_neurons", 1)
    first, last = part_of_trial("column_rate", start, stop, dt, activity.shape[1])
    rate = activity[:, first:last].sum(axis=1) / (n_neurons * (last - first) * dt)
    return rate * PUBLISHED_RATE_FACTOR if published else rate


def column_potential(result, layer, places, variable="S"):
    """
    Return the potential of one column of a readout over time, summed over its channels.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
        With the variable of all neurons of the readout.
    layer : str
        A readout, with all channels or with ``sum_channels=True`` (`brainsnn.Readout`).
    places : (n, 2) array_like of int
        (row, column) of each image.
    variable : str, optional

    Returns
    -------
    potential : (n, n_steps) ndarray

    Raises
    ------
    UnknownNameError
        If the variable was not recorded.
    ValueError
        If it was recorded of some neurons only, or there is not one place in the layer, in whole numbers, for each image.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import column_potential
    >>> result = bs.Result({"readout": (1, 2, 2)}, dt=1e-3, n_steps=2)
    >>> result.states["readout"] = {"S": np.array([[[1.0, 2.0, 0.0, 0.0], [3.0, 4.0, 0.0, 0.0]]])}
    >>> column_potential(result, "readout", places=[(0, 0)])
    array([[3., 7.]])
    """
    values, shape = result.states[layer][variable], result.shapes[layer]
    if values.shape[2] != np.prod(shape):
        raise ValueError(
            f"column_potential: {variable} of {layer!r} was recorded of {values.shape[2]} of {np.prod(shape)} neurons; record "
            f"all of them: record={{{layer!r}: [{variable!r}]}}."
        )
    places = _checked_places("column_potential", places, values.shape[0], shape)
    first = (places[:, 0] * shape[1] + places[:, 1]) * shape[2]
    potential = [np.sum(values[k][:, n : n + shape[2]], axis=1, dtype=float) for k, n in enumerate(first)]
    return np.reshape(potential, values.shape[:2])


def smoothed_response(activity, sd=SMOOTHING, n_taps=N_TAPS, baseline=BASELINE):
    """
    Return multi-unit activity smoothed with a Gaussian, less its mean before the image.

    Parameters
    ----------
    activity : (..., n_steps) array_like
    sd : float, optional
        Standard deviation of the Gaussian in steps.
    n_taps : int, optional
        Length of the Gaussian, which has a sum of 1. The published one is even, so that the response is half a step off. Edges
        are reflected.
    baseline : (int, int), optional
        First step of the baseline, and the one after its last.

    Returns
    -------
    response : (..., n_steps) ndarray

    Raises
    ------
    ValueError
        If the baseline is not a part of the trial, or sd or n_taps are not positive.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import smoothed_response
    >>> activity = np.r_[np.full(100, 2.0), np.full(200, 12.0)]  # the image comes on after 100 steps
    >>> smoothed_response(activity)[[60, 250]].round(2)
    array([-0.69,  9.31])
    """
    from scipy.ndimage import convolve1d
    from scipy.signal.windows import gaussian

    activity = plain_array(activity, "smoothed_response: activity", float)
    check_range("smoothed_response: sd", sd, np.finfo(float).tiny, np.finfo(float).max, "greater than 0, in steps")
    n_taps = whole_number(n_taps, "smoothed_response: n_taps", 1)
    first, last = check_pair("smoothed_response: baseline", baseline, "(50, 100), in steps", whole=True)
    if activity.ndim == 0 or not 0 <= first < last <= activity.shape[-1]:
        raise ValueError(
            f"smoothed_response: baseline={baseline} must be steps of a trial, for activity of shape {activity.shape}."
        )
    taps = gaussian(n_taps, sd)
    smooth = convolve1d(activity, taps / taps.sum(), axis=-1, mode="reflect")
    return smooth - smooth[..., first:last].mean(axis=-1, keepdims=True)


class LatencyCriterion:
    """
    What a response must exceed to count as one, from responses to average images.

    Parameters
    ----------
    peak : float
        Height that a peak must have.
    rest : float
        Level from which half the height is measured.

    See Also
    --------
    brainsnn.analysis.latency_criterion

    Examples
    --------
    >>> from brainsnn.analysis import LatencyCriterion
    >>> LatencyCriterion(peak=2, rest=0.5)
    <LatencyCriterion: peaks of 2, from 0.5>
    """

    def __init__(self, peak, rest):
        check_range("LatencyCriterion: peak", peak)
        check_range("LatencyCriterion: rest", rest)
        self.peak, self.rest = float(peak), float(rest)

    def __repr__(self):
        return f"<LatencyCriterion: peaks of {self.peak:.4g}, from {self.rest:.4g}>"


def latency_criterion(responses, onset=100, percentile=99.99):
    """
    Return the criterion for latencies from responses to images that show nothing in particular.

    Parameters
    ----------
    responses : (n, n_steps) array_like
        Smoothed responses to average images, shown like the others.
    onset : int, optional
        Step at which the image comes on; earlier steps do not count.
    percentile : float, optional

    Returns
    -------
    criterion : `LatencyCriterion`
        Its peak is the percentile of all steps from the onset on, its rest their mean.

    Raises
    ------
    ValueError
        If no step follows the onset, or the percentile is out of range.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import latency_criterion
    >>> responses = np.c_[np.zeros((2, 100)), [np.linspace(0, 2, 101), np.linspace(0, 4, 101)]]
    >>> latency_criterion(responses, onset=100, percentile=100)
    <LatencyCriterion: peaks of 4, from 1.5>
    """
    responses = np.atleast_2d(plain_array(responses, "latency_criterion: responses", float))
    check_range("latency_criterion: percentile", percentile, 0, 100, "from 0 to 100")
    after = responses[:, whole_number(onset, "latency_criterion: onset", 0) :]
    if after.size == 0:
        raise ValueError(f"latency_criterion: no step follows onset={onset} in responses of shape {responses.shape}.")
    return LatencyCriterion(np.percentile(after, percentile), after.mean())


def midpoint_latency(responses, criterion, onset=100):
    """
    Return the latency of responses: where they last rise through half the height of their first peak.

    The peak is the first local maximum from the onset on that is at least as high as the criterion. The latency is the last step
    between onset and peak that is at or above the midpoint of rest and peak while the step before is below it. Nothing is
    interpolated.

    Parameters
    ----------
    responses : (n, n_steps) array_like
        As from `smoothed_response`.
    criterion : `LatencyCriterion`
    onset : int, optional
        Step at which the image comes on.

    Returns
    -------
    latency : (n,) ndarray
        In steps after the onset, 1 or more. NaN without a peak or a rise.

    Raises
    ------
    ValueError
        If the criterion is none.

    See Also
    --------
    brainsnn.analysis.response_latency : without average images, with interpolation.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> from brainsnn.analysis import LatencyCriterion, midpoint_latency
    >>> midpoint_latency([[0, 0, 0, 0, 1, 3, 4, 2, 0]], LatencyCriterion(peak=2, rest=0), onset=2)
    array([3.])
    """
    from scipy.signal import find_peaks

    if not isinstance(criterion, LatencyCriterion):
        raise ValueError(
            f"midpoint_latency: criterion={criterion!r} is none; take that of latency_criterion(responses)."
        )
    responses = np.atleast_2d(plain_array(responses, "midpoint_latency: responses", float))
    onset = whole_number(onset, "midpoint_latency: onset", 0, responses.shape[1] - 1)
    latency = np.full(len(responses), np.nan)
    for k, response in enumerate(responses):
        peaks = find_peaks(response, height=criterion.peak)[0]
        peaks = peaks[peaks >= onset]
        if len(peaks) == 0:
            continue
        middle = criterion.rest + (response[peaks[0]] - criterion.rest) / 2
        above = response[: peaks[0]] >= middle
        rises = np.flatnonzero(above[1:] & ~above[:-1]) + 1
        if len(rises) and rises[-1] > onset:
            latency[k] = rises[-1] - onset
    return latency
