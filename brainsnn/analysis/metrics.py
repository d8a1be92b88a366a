"""Metrics of results: spike counts, times of detection, latency, potentials and dissimilarity."""

import numpy as np

from brainsnn.analysis.checks import check_pair, check_range
from brainsnn.plain_arrays import plain_array, whole_number, whole_numbers

__all__ = [
    "detection_time",
    "dissimilarity_matrix",
    "evoked_potential",
    "filtered_spikes",
    "response_latency",
    "spikes_per_image",
]


def spikes_per_image(result):
    """
    Return the number of spikes of the whole network for each image.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    n_spikes : (n,) ndarray of int

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import spikes_per_image
    >>> result = bs.Result({"conv": (2, 2, 1), "dense": (1, 1, 3)}, dt=1e-3, n_steps=100)
    >>> result.spike_counts["conv"], result.spike_counts["dense"] = np.array([40, 60]), np.array([5, 2])
    >>> spikes_per_image(result)
    array([45, 62])
    """
    if not result.spike_counts:
        return np.zeros(result.n_images, dtype=int)
    return np.sum(list(result.spike_counts.values()), axis=0)


def filtered_spikes(neurons, steps, n_neurons, n_steps, decay, window):
    """
    Average exponentially filtered spike trains over the last steps of a trial.

    Spikes have height 1. The filter is that of a synapse, ``y(t) = decay*y(t - 1) + spike(t)``. The stationary mean of a
    neuron that spikes every k steps is ``1/(k*(1 - decay))``.

    Parameters
    ----------
    neurons, steps : (n_spikes,) array_like of int
        Flat index of the neuron and step of each spike.
    n_neurons, n_steps : int
    decay : float
        Factor by which the filtered train decays in one step, ``exp(-dt/tau)``. With 0 the mean is in spikes per step.
    window : int
        Number of steps to average over, 1 to n_steps.

    Returns
    -------
    mean : (n_neurons,) ndarray

    Raises
    ------
    ValueError
        If the window or the decay is out of range, or a spike is not one of the neurons and steps.

    Examples
    --------
    >>> from brainsnn.analysis import filtered_spikes
    >>> filtered_spikes([0], [2], n_neurons=2, n_steps=4, decay=0.5, window=2)
    array([0.75, 0.  ])
    """
    window = whole_number(window, "filtered_spikes: window", 1, n_steps)
    if not 0 <= decay < 1:
        raise ValueError(f"filtered_spikes: decay={decay!r} must lie in [0, 1).")
    neurons = whole_numbers(neurons, "filtered_spikes: neurons", n_neurons)
    steps = whole_numbers(steps, "filtered_spikes: steps", n_steps)
    if neurons.shape != steps.shape:
        raise ValueError(f"filtered_spikes: {neurons.size} neurons for {steps.size} steps; give one of each per spike.")
    # Each spike contributes a geometric series: its decayed value at every step of the window.
    first = np.maximum(steps, n_steps - window)
    share = float(decay) ** (first - steps) * (1 - float(decay) ** (n_steps - first)) / (1 - decay)
    return np.bincount(neurons, weights=share, minlength=n_neurons) / window


def detection_time(output, targets, times, criterion=0.5, start=0.0):
    """
    Return the first time at which the output of the target class reaches a criterion.

    Parameters
    ----------
    output : (n, n_steps, n_classes) ndarray
    targets : (n,) array_like of int
        Class of each image.
    times : (n_steps,) ndarray
        Time of each step in ms, increasing, such as ``result.times``.
    criterion : float, optional
    start : float, optional
        Time from which to look, in ms.

    Returns
    -------
    time : (n,) ndarray
        In ms. NaN where the criterion is never reached. An output of NaN does not reach it.

    Raises
    ------
    ValueError
        If the outputs have no step, a shape does not fit them, the times do not increase, a target is not one of the classes, or
        criterion or start are NaN, or have a unit.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import detection_time
    >>> output = np.array([[[0.1, 0.2], [0.4, 0.6], [0.7, 0.3]], [[0.1, 0.2], [0.2, 0.3], [0.3, 0.3]]])
    >>> detection_time(output, targets=[1, 0], times=[0.0, 1.0, 2.0])  # the second is never detected
    array([ 1., nan])
    """
    output, targets, times = (
        plain_array(values, f"detection_time: {name}", dtype)
        for name, values, dtype in (("output", output, None), ("targets", targets, None), ("times", times, float))
    )
    if output.ndim != 3 or not len(times) or (targets.shape, times.shape) != (output.shape[:1], output.shape[1:2]):
        raise ValueError(
            "detection_time: expected outputs of shape (n, n_steps, n_classes), n targets and n_steps times, got the shapes "
            f"{output.shape}, {targets.shape} and {times.shape}."
        )
    targets = whole_numbers(targets, "detection_time: targets", output.shape[2], "classes")
    if not (np.isfinite(times).all() and (np.diff(times) > 0).all()):
        raise ValueError(f"detection_time: times must be finite and increase, got {times}.")
    check_range("detection_time: criterion", criterion)
    check_range("detection_time: start", start, allowed="a number in ms")
    of_target = np.take_along_axis(output, targets[:, None, None], axis=2)[..., 0]
    reached = (of_target >= criterion) & (times >= start)
    return np.where(reached.any(axis=1), times[reached.argmax(axis=1)], np.nan)


def evoked_potential(result, layer, variable="S"):
    """
    Average a recorded state variable over the neurons of a layer, as a model of an evoked potential.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer : str
    variable : str, optional

    Returns
    -------
    potential : (n, n_steps) ndarray

    Raises
    ------
    UnknownNameError
        If the variable was not recorded.

    Examples
    --------
    >>> import numpy as np
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import evoked_potential
    >>> result = bs.Result({"conv": (1, 2, 1)}, dt=1e-3, n_steps=3)
    >>> result.states["conv"], result.recorded["conv"] = {"S": np.array([[[0, 2], [1, 3], [4, 4]]])}, {"S": np.array([0, 1])}
    >>> evoked_potential(result, "conv")
    array([[1., 2., 4.]])
    """
    values = result.states[layer][variable]  # on disk if the run was streamed: read one image at a time
    potential = [np.mean(values[k], axis=1, dtype=float) for k in range(values.shape[0])]
    return np.reshape(potential, values.shape[:2])


def response_latency(response, times, baseline, smoothing=8.0, percentile=99.99):
    """
    Return the latency of a population response: half-height of its first peak.

    The response is smoothed with a Gaussian, and the mean of the baseline is subtracted. The peak is the first maximum after
    the baseline that exceeds the given percentile of the baseline. The latency is the last time before the peak at which
    the response crosses half the peak's height.

    Parameters
    ----------
    response : (n_steps,) array_like
        For example spikes per step of a population.
    times : (n_steps,) array_like
        Time of each step in ms, evenly spaced.
    baseline : (float, float)
        First and last time of the baseline in ms.
    smoothing : float, optional
        Standard deviation of the Gaussian in ms.
    percentile : float, optional

    Returns
    -------
    latency : float
        In ms. NaN if no peak exceeds the baseline, if the response never lies below half the peak's height before it, or if it
        is not finite.

    Raises
    ------
    ValueError
        If the baseline is not two numbers, or no step lies in it; if there are fewer than two steps, if there is not one time
        for each step or the times are not evenly spaced, or if smoothing or percentile are out of range.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.analysis import response_latency
    >>> times = np.arange(300.0)
    >>> response = 10 * np.exp(-(((times - 160) / 15) ** 2))  # half of its height at 147.5 ms
    >>> round(response_latency(response, times, baseline=(0, 100), smoothing=0), 1)
    147.5
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import find_peaks

    response = plain_array(response, "response_latency: response", float)
    times = plain_array(times, "response_latency: times", float)
    if response.ndim != 1 or response.shape != times.shape or len(times) < 2:
        raise ValueError(
            f"response_latency: expected a response and times of two or more steps, got the shapes {response.shape} and "
            f"{times.shape}."
        )
    steps = np.diff(times)
    if not (steps > 0).all() or not np.allclose(steps, steps[0]):
        raise ValueError(f"response_latency: times must increase in equal steps, got {times}.")
    check_range("response_latency: smoothing", smoothing, 0, np.finfo(float).max, "0 or greater, in ms")
    check_range("response_latency: percentile", percentile, 0, 100, "from 0 to 100")
    first, last = check_pair("response_latency: baseline", baseline, "(0, 100), in ms")
    smooth = gaussian_filter1d(response, smoothing / steps[0]) if smoothing else response
    quiet = (times >= first) & (times <= last)
    if not quiet.any():
        raise ValueError(
            f"response_latency: no step lies in the baseline {baseline} ms; the trial covers {times[0]:g} to {times[-1]:g} ms."
        )
    smooth = smooth - smooth[quiet].mean()
    bound = np.percentile(smooth[quiet], percentile)
    # A response that stays at its maximum until the end has a peak too: its plateau ends at the appended value. One
    # that still rises in the last step has none.
    peaks = find_peaks(np.append(smooth, -np.inf), plateau_size=1)[1]["left_edges"]
    peaks = peaks[(peaks < len(times) - 1) & (smooth[peaks] > bound) & (times[peaks] > last)][:1]
    if len(peaks) == 0 or not 0 < np.ptp(response) < np.inf:
        return float("nan")
    half = smooth[peaks[0]] / 2  # of the height above the baseline
    below = np.flatnonzero(smooth[: peaks[0]] < half)
    if len(below) == 0:
        return float("nan")
    k = below[-1]
    return float(times[k] + steps[0] * (half - smooth[k]) / (smooth[k + 1] - smooth[k]))


def dissimilarity_matrix(patterns):
    """
    Return the representational dissimilarity matrix, 1 - Pearson's correlation of each pair of patterns.

    Parameters
    ----------
    patterns : (n_conditions, ...) array_like
        Activity of the same neurons in each condition.

    Returns
    -------
    rdm : (n_conditions, n_conditions) ndarray
        0 on the diagonal. NaN in the row and column of a pattern that is constant or not finite, with its diagonal.

    Raises
    ------
    ValueError
        If there is no pattern, or the patterns have no neuron.

    References
    ----------
    Kriegeskorte, Mur, Bandettini (2008), Front. Syst. Neurosci. 2:4.

    Examples
    --------
    >>> from brainsnn.analysis import dissimilarity_matrix
    >>> dissimilarity_matrix([[1, 2, 3], [2, 4, 6], [3, 2, 1]]).round(2)
    array([[0., 0., 2.],
           [0., 0., 2.],
           [2., 2., 0.]])
    """
    from scipy.spatial.distance import pdist, squareform

    patterns = plain_array(patterns, "dissimilarity_matrix: patterns", float)
    if patterns.ndim < 2 or patterns.size == 0:
        raise ValueError(
            "dissimilarity_matrix: expected patterns of shape (n_conditions, ...) with one condition and one neuron or more, "
            f"got {patterns.shape}."
        )
    patterns = patterns.reshape(len(patterns), -1)
    defined = np.isfinite(patterns).all(axis=1) & (patterns != patterns[:, :1]).any(axis=1)
    varying = patterns[defined]
    # A power of 2 as scale and one neuron as origin change no correlation. Without them, squares of very large or small numbers
    # leave the range of floats, and a small variation around a large mean is lost.
    varying = np.ldexp(varying, -np.frexp(np.abs(varying).max(axis=1, keepdims=True))[1])
    varying -= varying[:, :1]
    rdm = np.full((len(patterns), len(patterns)), np.nan)
    rdm[np.ix_(defined, defined)] = squareform(pdist(varying, "correlation")) if len(varying) > 1 else 0.0
    return rdm
