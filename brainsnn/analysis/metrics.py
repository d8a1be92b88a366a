"""Numbers that summarise results: rates, detection, latencies, potentials and dissimilarities."""

from statistics import NormalDist

import numpy as np

__all__ = [
    "accuracy_interval",
    "auc",
    "d_prime",
    "detection_time",
    "dissimilarity_matrix",
    "evoked_potential",
    "filtered_spikes",
    "response_latency",
    "spikes_per_image",
]


def spikes_per_image(result):
    """
    Number of spikes of the whole network for each image.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    n_spikes : (n,) ndarray of int
    """
    return np.sum(list(result.spike_counts.values()), axis=0)


def filtered_spikes(neurons, steps, n_neurons, n_steps, decay, window):
    """
    Mean of an exponentially filtered spike train over the last steps of a trial, for spikes of height 1.

    The filter is that of a synapse, ``y(t) = decay*y(t - 1) + spike(t)``; a neuron that spikes every k steps for ever
    has a mean of ``1/(k*(1 - decay))``.

    Parameters
    ----------
    neurons, steps : (n_spikes,) array_like of int
        Flat index of the neuron and step of each spike.
    n_neurons, n_steps : int
    decay : float
        What is left of the filtered train after one step, ``exp(-dt/tau)``; 0 gives spikes per step.
    window : int
        Number of steps over which the mean is taken, 1 ... n_steps.

    Returns
    -------
    mean : (n_neurons,) ndarray

    Raises
    ------
    ValueError
        If the window or the decay is out of range.

    Examples
    --------
    >>> from brainsnn.analysis import filtered_spikes
    >>> filtered_spikes([0], [2], n_neurons=2, n_steps=4, decay=0.5, window=2)
    array([0.75, 0.  ])
    """
    if not 1 <= window <= n_steps:
        raise ValueError(f"filtered_spikes: window={window} steps must lie in 1 ... {n_steps}.")
    if not 0 <= decay < 1:
        raise ValueError(f"filtered_spikes: decay={decay!r} must lie in [0, 1).")
    neurons, steps = np.asarray(neurons, dtype=np.int64), np.asarray(steps, dtype=np.int64)
    # A spike contributes the geometric series of what is left of it at each step of the window.
    first = np.maximum(steps, n_steps - window)
    share = float(decay) ** (first - steps) * (1 - float(decay) ** (n_steps - first)) / (1 - decay)
    return np.bincount(neurons, weights=share, minlength=n_neurons) / window


def accuracy_interval(n_correct, n, confidence=0.95):
    """
    Wilson's confidence interval of a share, such as an accuracy.

    Parameters
    ----------
    n_correct, n : int or ndarray of int
        Number of successes and of trials.
    confidence : float, optional

    Returns
    -------
    low, high : float or ndarray

    References
    ----------
    Wilson (1927), J. Am. Stat. Assoc. 22:209.
    """
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    share = np.asarray(n_correct) / n
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return centre - half, centre + half


def auc(scores, labels):
    """
    Area under the receiver operating characteristic; ties count one half.

    Parameters
    ----------
    scores : (n,) array_like of float
    labels : (n,) array_like of bool
        True where the target is present.

    Returns
    -------
    auc : float
        0.5 is chance.

    Raises
    ------
    ValueError
        If the labels are all the same.
    """
    scores, labels = np.asarray(scores, dtype=float), np.asarray(labels, dtype=bool)
    n_present, n_absent = labels.sum(), (~labels).sum()
    if n_present == 0 or n_absent == 0:
        raise ValueError("auc: needs trials with and trials without the target.")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = np.cumsum(counts) - (counts - 1) / 2  # mean rank of each distinct score
    return float((rank[inverse][labels].sum() - n_present * (n_present + 1) / 2) / (n_present * n_absent))


def d_prime(n_hits, n_present, n_false_alarms, n_absent):
    """
    Sensitivity of a detector, z(hit rate) - z(false alarm rate).

    Half a trial is added to each count and one to each number of trials, so that rates of 0 and 1 stay finite.

    Parameters
    ----------
    n_hits, n_present, n_false_alarms, n_absent : int

    Returns
    -------
    d : float

    References
    ----------
    Hautus (1995), Behav. Res. Methods 27:46.
    """
    z = NormalDist().inv_cdf
    return z((n_hits + 0.5) / (n_present + 1)) - z((n_false_alarms + 0.5) / (n_absent + 1))


def detection_time(output, targets, times, criterion=0.5, start=0.0):
    """
    First time at which the output of the target class reaches a criterion.

    Parameters
    ----------
    output : (n, n_steps, n_classes) ndarray
    targets : (n,) array_like of int
        Class of each image.
    times : (n_steps,) ndarray
        Time of each step in ms, such as ``result.times``.
    criterion : float, optional
    start : float, optional
        Earlier times do not count (ms).

    Returns
    -------
    time : (n,) ndarray
        In ms; NaN where the criterion is never reached.
    """
    of_target = np.take_along_axis(output, np.asarray(targets)[:, None, None], axis=2)[..., 0]
    reached = (of_target >= criterion) & (np.asarray(times) >= start)
    return np.where(reached.any(axis=1), np.asarray(times, dtype=float)[reached.argmax(axis=1)], np.nan)


def evoked_potential(result, layer, variable="S"):
    """
    Mean of a recorded state variable over neurons, as a scalp electrode would see it.

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
    """
    if variable not in result.states.get(layer, {}):
        from brainsnn.errors import UnknownNameError

        known = [f"{name}.{v}" for name, variables in result.states.items() for v in variables]
        raise UnknownNameError(f"{layer}.{variable}", known, "recorded variable")
    return result.states[layer][variable].mean(axis=2, dtype=float)


def response_latency(response, times, baseline, smoothing=8.0, percentile=99.99):
    """
    When a population response begins: half-height of its first peak above the baseline.

    The response is smoothed with a Gaussian and the mean of the baseline subtracted. The peak is the first maximum above
    the given percentile of the baseline, the latency the last time before it at which the response crosses half its height.

    Parameters
    ----------
    response : (n_steps,) array_like
        Such as spikes per step of a population.
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
        In ms; NaN if no peak stands out.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.
    """
    from scipy.ndimage import gaussian_filter1d

    times = np.asarray(times, dtype=float)
    smooth = gaussian_filter1d(np.asarray(response, dtype=float), smoothing / (times[1] - times[0]))
    quiet = (times >= baseline[0]) & (times <= baseline[1])
    if not quiet.any():
        raise ValueError(f"response_latency: no step lies in the baseline {baseline} ms.")
    smooth = smooth - smooth[quiet].mean()
    bound = np.percentile(smooth[quiet], percentile)
    inner = smooth[1:-1]
    is_peak = (inner > smooth[:-2]) & (inner >= smooth[2:]) & (inner > bound) & (times[1:-1] > baseline[1])
    if not is_peak.any():
        return float("nan")
    peak = int(is_peak.argmax()) + 1
    below = np.flatnonzero(smooth[:peak] < smooth[peak] / 2)
    if len(below) == 0:
        return float("nan")
    k = below[-1]  # the crossing lies between steps k and k + 1
    share = (smooth[peak] / 2 - smooth[k]) / (smooth[k + 1] - smooth[k])
    return float(times[k] + share * (times[k + 1] - times[k]))


def dissimilarity_matrix(patterns):
    """
    Representational dissimilarity matrix: 1 - Pearson's correlation between the patterns of all pairs of conditions.

    Parameters
    ----------
    patterns : (n_conditions, ...) array_like
        Activity of the same neurons in each condition.

    Returns
    -------
    rdm : (n_conditions, n_conditions) ndarray
        0 on the diagonal; NaN for a pattern without variance.

    References
    ----------
    Kriegeskorte, Mur, Bandettini (2008), Front. Syst. Neurosci. 2:4.
    """
    patterns = np.asarray(patterns, dtype=float).reshape(len(patterns), -1)
    centred = patterns - patterns.mean(axis=1, keepdims=True)
    length = np.linalg.norm(centred, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = centred @ centred.T / np.outer(length, length)
    np.fill_diagonal(correlation, np.where(length > 0, 1.0, np.nan))
    return 1 - correlation
