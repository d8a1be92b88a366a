"""Random input for the analyses, against definitions written with loops, fractions, SciPy or scikit-learn."""

import warnings
from fractions import Fraction
from math import exp, isfinite, sqrt

import fuzz_activity
import numpy as np
from fuzz_numbers import agree, classes, mostly, numbers, require
from hypothesis import strategies as st
from scipy import stats
from sklearn import metrics

import brainsnn.analysis as am

__all__ = ["case"]


def case(draw, check):
    """Draw a function and its input, and compare the function with its definition."""
    name = draw(st.sampled_from(sorted(CASES)))
    function, definition, arguments = CASES[name](draw)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        check(name, lambda: agree(function, definition, arguments))


# --- detection and accuracy ---


def accuracy_interval(draw):
    def definition(n_correct, n, confidence):
        require(np.ndim(n_correct) == 0 or np.ndim(n) == 0 or np.shape(n_correct) == np.shape(n))
        successes, trials = np.broadcast_arrays(np.asarray(n_correct, float), np.asarray(n, float))
        require(np.all(successes == np.rint(successes)) and np.all(trials == np.rint(trials)))
        require(np.all(np.isfinite(trials)) and np.all((successes >= 0) & (successes <= trials)))
        require(0 < confidence < 1)
        z = stats.norm.ppf(0.5 + confidence / 2)
        low, high = np.full(trials.shape, np.nan), np.full(trials.shape, np.nan)
        for k in np.ndindex(trials.shape):
            if trials[k]:
                p, n_k = successes[k] / trials[k], trials[k]
                centre, half = p + z**2 / (2 * n_k), z * sqrt(p * (1 - p) / n_k + z**2 / (4 * n_k**2))
                low[k], high[k] = (centre - half) / (1 + z**2 / n_k), (centre + half) / (1 + z**2 / n_k)
        return np.clip(low, 0, 1), np.clip(high, 0, 1)

    count = mostly([0, 1, 2, 7, 10, 10**6], [-1, 0.5, np.nan, np.inf])
    counts = st.one_of(count, st.lists(count, min_size=0, max_size=3))
    n_correct, n = draw(counts), draw(counts)
    if draw(st.integers(0, 3)):
        n = np.maximum(n_correct, draw(st.integers(0, 20)))
    return am.accuracy_interval, definition, (n_correct, n, draw(mostly([0.95, 0.5, 0.999], [0, 1, 2, np.nan])))


def auc(draw):
    def definition(scores, labels):
        require(np.ndim(scores) == 1 and np.shape(scores) == np.shape(labels))
        require(set(np.unique(labels)) == {0, 1})
        scores, labels = np.asarray(scores, float), np.asarray(labels, bool)
        if np.isnan(scores).any():
            return np.nan
        if np.isfinite(scores).all():
            return metrics.roc_auc_score(labels, scores)
        pairs = [(a, b) for a in scores[labels] for b in scores[~labels]]
        return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs)

    n = draw(mostly(range(2, 9), [0, 1]))
    labels = draw(mostly([[0, 1], [False, True], [0.0, 1.0]], [[1], [0, 1, 2], [-1, 1], [0, 1, np.nan]]))
    m = n if draw(st.integers(0, 9)) else n + 1
    return (
        am.auc,
        definition,
        (numbers(draw, n), np.array(draw(st.lists(st.sampled_from(labels), min_size=m, max_size=m)))),
    )


def d_prime(draw):
    def definition(n_hits, n_present, n_false_alarms, n_absent):
        for count, n in ((n_hits, n_present), (n_false_alarms, n_absent)):
            require(np.ndim(count) == np.ndim(n) == 0 and isfinite(n) and isfinite(count) and 0 <= count <= n)
            require(count == int(count) and n == int(n))
        if 0 in (n_present, n_absent):
            return np.nan
        hit, false_alarm = (n_hits + 0.5) / (n_present + 1), (n_false_alarms + 0.5) / (n_absent + 1)
        return stats.norm.ppf(hit) - stats.norm.ppf(false_alarm)

    counts = mostly([0, 1, 3, 10, np.int64(4)], [-1, 0.5, np.nan, np.inf, [1, 2]])
    arguments = [draw(counts) for _ in range(4)]
    if draw(st.integers(0, 3)):  # most often as many trials
        arguments[1] = arguments[3] = draw(mostly([10, 1000, 10**9], [0, 2]))
    return am.d_prime, definition, arguments


def _scores(draw):
    """Outputs (n, n_classes), targets and labels of scenes; one in ten does not fit."""
    n, n_classes = draw(mostly(range(1, 8), [0])), draw(st.integers(1, 4))
    scores = numbers(draw, n, n_classes, nan=not draw(st.integers(0, 20)))
    targets = classes(draw, n, n_classes)
    labels = None
    if draw(st.booleans()):
        labels = np.array(numbers(draw, n, n_classes, kinds=["bits"]))
        for k, target in enumerate(targets[:n]):
            if target in range(n_classes) and draw(st.integers(0, 40)):
                labels[k, int(target)] = 1
        if not draw(st.integers(0, 9)) and labels.size:
            labels[0, 0] = draw(st.sampled_from([2, -1, np.nan]))
    return scores, targets, labels


def _checked(scores, targets, labels):
    require(scores.ndim == 2 and scores.size and not np.isnan(scores).any())
    require(targets.shape == (len(scores),) and all(t in range(scores.shape[1]) for t in targets))
    targets = targets.astype(int)
    if labels is None:
        labels = np.eye(scores.shape[1])[targets]
    require(labels.shape == scores.shape and np.isin(labels, (0, 1)).all())
    require(all(labels[k, t] == 1 for k, t in enumerate(targets)))
    return targets, labels


def top_k_accuracy(draw):
    def definition(scores, targets, k):
        targets, _ = _checked(scores, targets, None)
        require(k == int(k) and k >= 1)
        if scores.shape[1] > 2 and np.isfinite(scores).all():
            n = scores.shape[1]  # there, later classes win ties
            return metrics.top_k_accuracy_score(n - 1 - targets, scores[:, ::-1], k=int(k), labels=range(n))
        hits = 0
        for row, target in zip(scores, targets):
            above = sum(value > row[target] for value in row) + sum(value == row[target] for value in row[:target])
            hits += above < k
        return hits / len(scores)

    scores, targets, _ = _scores(draw)
    return (
        am.top_k_accuracy,
        definition,
        (scores, targets, draw(mostly([1, 2, 3, 9, np.int64(1)], [0, -1, 1.5]))),
    )


def target_auc(draw):
    """Also of a sample with repetitions: each scene counts as often as it is in the sample."""

    def definition(scores, targets, labels, sample):
        targets, labels = _checked(scores, targets, labels)
        found, of_all = [], []
        require(
            sample is None
            or (np.array(sample) == np.array(sample, int)).all()
            and np.isin(sample, range(len(scores))).all()
        )
        for c in range(scores.shape[1]):
            for into, scenes in (
                (of_all, range(len(scores))),
                (found, range(len(scores)) if sample is None else sample),
            ):
                with_it = [scores[int(k), c] for k in scenes if targets[int(k)] == c]
                without = [scores[int(k), c] for k in scenes if not labels[int(k), c]]
                wins = [1.0 if a > b else 0.5 if a == b else 0.0 for a in with_it for b in without]
                into += [np.mean(wins)] if wins else []
        require(of_all)
        return np.mean(found) if found else np.nan

    scores, targets, labels = _scores(draw)
    valid = st.integers(0, max(0, len(scores) - 1))
    sample = draw(
        st.one_of(st.none(), st.lists(valid, max_size=9), st.lists(mostly([0, 1], [-1, 50, 0.5]), max_size=2))
    )

    def function(scores, targets, labels, sample):
        measure = am.TargetAUC(scores, targets, labels)
        return am.target_auc(scores, targets, labels) if sample is None else measure(sample)

    return function, definition, (scores, targets, labels, sample)


def detection_scores(draw):
    def definition(scores, targets, labels, criterion):
        targets, labels = _checked(scores, targets, labels)
        require(not np.isnan(criterion))
        hits = false_alarms = n_present = n_absent = 0
        for k, c in np.ndindex(scores.shape):
            reported = scores[k, c] >= criterion
            if targets[k] == c:
                hits, n_present = hits + reported, n_present + 1
            elif not labels[k, c]:
                false_alarms, n_absent = false_alarms + reported, n_absent + 1
        rates = (hits + 0.5) / (n_present + 1), (false_alarms + 0.5) / (n_absent + 1)
        f1 = 2 * hits / (n_present + hits + false_alarms)
        false_alarm_rate = false_alarms / n_absent if n_absent else np.nan
        d = float(np.diff(stats.norm.ppf(rates))[0]) * -1 if n_absent else np.nan
        return [hits / n_present, false_alarm_rate, d, f1]

    def function(*arguments):
        found = am.detection_scores(*arguments)
        return [found[key] for key in ("hit_rate", "false_alarm_rate", "d_prime", "f1")]

    return function, definition, (*_scores(draw), draw(mostly([0.5, 0, -1, 1e300, np.inf], [np.nan])))


def detection_time(draw):
    def definition(output, targets, times, criterion, start):
        require(
            output.ndim == 3 and targets.shape == output.shape[:1] and times.shape == output.shape[1:2] and len(times)
        )
        require(
            all(t in range(output.shape[2]) for t in targets)
            and np.isfinite(times).all()
            and (np.diff(times) > 0).all()
        )
        require(not np.isnan(criterion) and not np.isnan(start))
        found = []
        for trial, target in zip(output, targets):
            reached = [t for t, row in zip(times, trial) if t >= start and row[int(target)] >= criterion]
            found.append(reached[0] if reached else np.nan)
        return found

    n, n_steps, n_classes = draw(st.integers(0, 4)), draw(mostly(range(1, 6), [0])), draw(st.integers(1, 3))
    times = np.arange(n_steps, dtype=float)
    if not draw(st.integers(0, 15)):
        times = numbers(draw, n_steps)
    return am.detection_time, definition, (
        numbers(draw, n, n_steps, n_classes), classes(draw, n, n_classes), times,
        draw(mostly([0.5, 0, -np.inf, 1e300], [np.nan])), draw(mostly([0.0, 2.0, 99.0], [np.nan])),
    )  # fmt: skip


def bootstrap_interval(draw):
    """The mean of the items of a sample; the percentile interval of the samples that SciPy's generator gives."""

    def definition(values, n_resamples, confidence, method, seed):
        require(len(values) >= 2 and n_resamples == int(n_resamples) and n_resamples >= 1 and 0 < confidence < 1)
        require(method in ("percentile", "basic", "BCa"))
        value = float(np.mean(values))
        if method == "percentile":
            random, n = np.random.default_rng(seed), len(values)
            samples = random.integers(0, n, (int(n_resamples), n))
            found = np.array([np.mean(values[row]) for row in samples])
            tail = 50 * (1 - confidence)
            low, high = np.nanpercentile(found, [tail, 100 - tail]) if not np.isnan(found).all() else (np.nan, np.nan)
            return value, low, high
        result = stats.bootstrap(
            (values,), np.mean, n_resamples=int(n_resamples), confidence_level=confidence, method=method,
            random_state=np.random.default_rng(seed),
        )  # fmt: skip
        return value, *result.confidence_interval

    def function(values, *arguments):
        return am.bootstrap_interval(lambda items: np.mean(values[items]), len(values), *arguments)

    method = draw(mostly(["percentile", "percentile", "basic", "BCa"], ["t"]))
    kinds = ["normal", "ties", "constant"] + (["nan"] if method == "percentile" else [])
    return function, definition, (
        numbers(draw, draw(mostly(range(2, 7), [0, 1])), kinds=kinds), draw(mostly([20, 1, 33], [0, -1, 2.5])),
        draw(mostly([0.95, 0.5], [0.0, 1.0, 2.0, np.nan])), method, draw(st.integers(0, 3)),
    )  # fmt: skip


# --- signals and patterns ---


def filtered_spikes(draw):
    def definition(neurons, steps, n_neurons, n_steps, decay, window):
        require(1 <= window <= n_steps and window == int(window) and 0 <= decay < 1)
        require(np.shape(neurons) == np.shape(steps) and np.ndim(neurons) == 1)
        require(all(k in range(n_neurons) for k in neurons) and all(k in range(n_steps) for k in steps))
        y, total = np.zeros(n_neurons), np.zeros(n_neurons)
        for step in range(n_steps):
            y *= decay
            for neuron, at in zip(neurons, steps):
                y[int(neuron)] += at == step
            total += y * (step >= n_steps - window)
        return total / window

    n_neurons, n_steps = draw(st.integers(0, 4)), draw(mostly(range(2, 7), [0, 1]))
    n = draw(st.integers(0, 6)) if n_neurons and n_steps else 0
    neurons = draw(st.lists(st.integers(0, max(0, n_neurons - 1)), min_size=n, max_size=n))
    steps = draw(st.lists(st.integers(0, max(0, n_steps - 1)), min_size=n, max_size=n))
    if not draw(st.integers(0, 15)):
        draw(st.sampled_from([neurons, steps])).append(draw(st.sampled_from([0, -1, 99, 0.5])))
    return am.filtered_spikes, definition, (
        np.array(neurons), np.array(steps), n_neurons, n_steps, draw(mostly([0, 0.5, 0.99, 1 - 1e-6], [1, -0.1, np.nan])),
        draw(mostly([1, 2, n_steps, n_steps], [0, 1.5])),
    )  # fmt: skip


def response_latency(draw):
    def definition(response, times, baseline, smoothing, percentile):
        require(response.ndim == 1 and response.shape == times.shape and len(times) >= 2 and np.isfinite(times).all())
        steps = np.diff(times)
        require((steps > 0).all() and np.allclose(steps, steps[0]) and smoothing >= 0 and 0 <= percentile <= 100)
        quiet = [k for k, t in enumerate(times) if baseline[0] <= t <= baseline[1]]
        require(quiet and isfinite(smoothing))
        if not np.isfinite(response).all() or len(set(response)) == 1:
            return np.nan
        smooth = _smoothed(response, smoothing / steps[0])
        smooth = [value - np.mean([smooth[k] for k in quiet]) for value in smooth]
        bound = np.percentile([smooth[k] for k in quiet], percentile)
        for k, height in enumerate(smooth[:-1]):
            if k and times[k] > baseline[1] and height > bound and smooth[k - 1] < height:
                later = next((value for value in smooth[k:] if value != height), -np.inf)
                if later < height:
                    before = [j for j in range(k) if smooth[j] < height / 2]
                    if not before:
                        return np.nan
                    j = before[-1]
                    return times[j] + steps[0] * (height / 2 - smooth[j]) / (smooth[j + 1] - smooth[j])
        return np.nan

    n = draw(mostly(range(8, 31), [0, 1, 2]))
    times = draw(mostly([1.0, 1.0, 2.0], [-1.0])) * np.arange(n)
    if n > 3 and not draw(st.integers(0, 20)):
        times[n // 2] += 0.3
    response = numbers(draw, n, kinds=["counts", "counts", "normal", "constant", "nan", "bits"])
    return am.response_latency, definition, (
        response, times, draw(mostly([(0, 5), (0, 8), (3, 3)], [(50, 90), (8, 0)])),
        draw(mostly([0.5, 1.0, 2.0, 0.0], [-1.0, np.nan])), draw(mostly([99.99, 50, 100, 0], [101, np.nan])),
    )  # fmt: skip


def _smoothed(values, sigma):
    """A Gaussian filter, cut off at 4 standard deviations, of values mirrored at their ends."""
    if sigma == 0:
        return list(values)
    radius, n = int(4 * sigma + 0.5), len(values)
    weights = [exp(-0.5 * (d / sigma) ** 2) for d in range(-radius, radius + 1)]
    mirrored = [*values, *values[::-1]]
    return [
        sum(w * mirrored[(k + d) % (2 * n)] for w, d in zip(weights, range(-radius, radius + 1))) / sum(weights)
        for k in range(n)
    ]


def dissimilarity_matrix(draw):
    """Pearson's correlation in exact fractions, up to the last square root."""

    def definition(patterns):
        require(patterns.ndim >= 2 and patterns.size)
        rows = patterns.reshape(len(patterns), -1)
        rdm = np.full((len(rows), len(rows)), np.nan)
        centred = {}
        for k, row in enumerate(rows):
            if np.isfinite(row).all() and len(set(row.tolist())) > 1:
                exact = [Fraction(float(value)) for value in row]
                centred[k] = [value - sum(exact) / len(exact) for value in exact]
        for i, j in np.ndindex(rdm.shape):
            if i in centred and j in centred:
                shared = sum(a * b for a, b in zip(centred[i], centred[j]))
                power = sum(a * a for a in centred[i]) * sum(b * b for b in centred[j])
                rdm[i, j] = 1 - (1 if shared > 0 else -1) * sqrt(shared**2 / power)
        return rdm

    shape = draw(mostly([(3, 4), (2, 2), (5, 9), (1, 3), (4, 1), (2, 2, 2)], [(0, 3), (3, 0), (4,)]))
    patterns = numbers(draw, *shape)
    if patterns.ndim > 1 and patterns.size and draw(st.booleans()):
        patterns[0] = draw(st.sampled_from([0.0, 0.1, 1e300, np.nan]))
    return am.dissimilarity_matrix, definition, (patterns,)


def rdm_fit(draw):
    def definition(rdm, model, method):
        require(method in ("spearman", "kendall", "pearson") and rdm.ndim == 2 and rdm.shape == (len(rdm), len(rdm)))
        if model.ndim == 1:
            model = np.array([[float(a != b) for b in model] for a in model]).reshape(len(model), len(model))
        require(model.shape == rdm.shape)
        pairs = [(rdm[i, j], model[i, j]) for i in range(len(rdm)) for j in range(i + 1, len(rdm))]
        pairs = [pair for pair in pairs if np.isfinite(pair).all()]
        x, y = np.array(pairs).reshape(-1, 2).T
        if len(pairs) < 3 or len(set(x)) == 1 or len(set(y)) == 1:
            return np.nan
        if method == "spearman":
            x, y = stats.rankdata(x), stats.rankdata(y)
        if method == "kendall":
            signs = np.array([[np.sign(x[i] - x[j]), np.sign(y[i] - y[j])] for i in range(len(x)) for j in range(i)]).T
            return (signs[0] @ signs[1]) / sqrt((signs[0] ** 2).sum() * (signs[1] ** 2).sum())
        return np.corrcoef(x, y)[0, 1]

    n = draw(st.integers(0, 5))
    kinds = ["normal", "ties", "constant", "nan", "bits"]
    model = (
        numbers(draw, n, n, kinds=kinds)
        if draw(st.booleans())
        else numbers(draw, n, kinds=["counts", "constant", "ties"])
    )
    rdm = numbers(draw, *((n, n) if draw(st.integers(0, 9)) else (n, n + 1)), kinds=kinds)
    return am.rdm_fit, definition, (rdm, model, draw(mostly(["spearman", "kendall", "pearson"], ["cosine"])))


def focus_masks(draw):
    def definition(shape, centers, width):
        require(np.shape(centers)[-1:] == (2,) and np.ndim(centers) <= 2 and np.isfinite(centers).all())
        require(np.shape(width) in ((), (2,)) and np.all(np.asarray(width) > 0) and min(shape[:2]) > 0)
        widths = (width, width) if np.ndim(width) == 0 else width
        masks = []
        for center in np.reshape(centers, (-1, 2)):
            away = [[((k + 0.5) / n - c) / w for k in range(n)] for n, c, w in zip(shape, center, widths)]
            distance = np.array([[row**2 + column**2 for column in away[1]] for row in away[0]])
            masks.append(np.sqrt(distance) <= max(1, np.sqrt(distance.min())) * (1 + 1e-9))
        return np.reshape(masks, (-1, *shape[:2]))

    shape = draw(mostly([(4, 5), (3, 3, 2), (1, 1, 1), (7, 2)], [(0, 3, 1)]))
    center = st.sampled_from([0.013, 0.27, 0.61, 1.43] + ([np.nan, np.inf] if not draw(st.integers(0, 15)) else []))
    centers = draw(st.lists(st.lists(center, min_size=2, max_size=2), min_size=1, max_size=3))
    if not draw(st.integers(0, 15)):
        centers = draw(st.sampled_from([[0.3, 0.2], [0.3], [[0.1, 0.2, 0.3]], 0.5, [[[0.1, 0.2]]]]))
    width = draw(mostly([0.171, 0.333, 1e-9, 1e9, (0.1, 0.4)], [0.0, -1, np.nan, (0.1,), (0.1, 0.2, 0.3)]))
    return am.focus_masks, definition, (shape, centers, width)


CASES = {
    function.__name__: function
    for function in (
        accuracy_interval, auc, d_prime, top_k_accuracy, target_auc, detection_scores, detection_time, bootstrap_interval,
        filtered_spikes, response_latency, dissimilarity_matrix, rdm_fit, focus_masks,
    )
} | fuzz_activity.CASES  # fmt: skip
