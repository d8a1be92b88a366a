"""Random results, against definitions that loop over images, steps and neurons of a dense raster."""

import os
import tempfile

import numpy as np
from fuzz_numbers import classes, mostly, numbers, require
from hypothesis import strategies as st

import brainsnn.analysis as am
from brainsnn.results.result import Result

__all__ = ["CASES"]


def _result(draw):
    """Return a result, and the raster (n, n_steps, H, W, C) of its layer."""
    n, n_steps = draw(mostly(range(1, 5), [0])), draw(mostly(range(4, 13), [1, 2, 3]))
    shape = draw(st.sampled_from([(2, 3, 2), (1, 1, 1), (3, 1, 4)]))
    random = np.random.default_rng(draw(st.integers(0, 2**16)))
    raster = random.random((n, n_steps, *shape)) < random.choice([0.0, 0.1, 0.5, 1.0])
    result = Result(
        {"layer": shape, "readout": (1, 1, 3)}, draw(st.sampled_from([1e-3, 5e-4])), n_steps, {"alias": "layer"}
    )
    result.outputs["readout"] = numbers(draw, n, n_steps, 3)
    steps_and_neurons = [np.nonzero(trial.reshape(n_steps, -1)) for trial in raster]
    result.spikes["layer"] = [(neurons, steps) for steps, neurons in steps_and_neurons]
    result.spike_counts["layer"] = raster.sum(axis=(1, 2, 3, 4))
    result.recorded["layer"] = {"S": np.arange(0, np.prod(shape), 2)}
    result.states["layer"] = {"S": numbers(draw, n, n_steps, len(result.recorded["layer"]["S"]))}
    return result, raster


def _layer(draw):
    return draw(mostly(["layer", "alias"], ["other"]))


def _masks(draw, n, shape):
    if draw(st.booleans()):
        return None
    wrong = draw(st.integers(0, 20)) == 0
    return numbers(draw, n + wrong, *shape[:2], kinds=["bits", "constant"]) == 1


def _part(draw, result):
    end = result.n_steps * result.dt * 1e3
    start = draw(mostly([0.0, 0.0, 0.5, end / 3], [1.3, -1.0, 99.0, np.nan]))
    return start, draw(mostly([None, None, end, end * 0.7], [1.0, 0.0, 99.0, np.nan]))


def _steps_of(result, start, stop):
    """Return the steps that begin in [start, stop)."""
    end = result.n_steps * result.dt * 1e3
    stop = end if stop is None else stop
    require(not np.isnan(start) and not np.isnan(stop) and 0 <= start and stop <= end + 1e-6)
    steps = [k for k in range(result.n_steps) if start - 1e-6 <= k * result.dt * 1e3 < stop - 1e-6]
    require(steps)
    return steps


def _known(layer):
    require(layer in ("layer", "alias"))


def response_rate(draw):
    result, raster = _result(draw)

    def definition(_, layer, masks):
        _known(layer)
        n, n_steps, height, width, channels = raster.shape
        require(masks is None or np.shape(masks) == (n, height, width))
        rate = np.full((n, n_steps), np.nan)
        for k in range(n):
            places = [(i, j) for i, j in np.ndindex(height, width) if masks is None or masks[k][i, j]]
            for t in range(n_steps if places else 0):
                rate[k, t] = sum(raster[k, t, i, j].sum() for i, j in places) / (len(places) * channels * result.dt)
        return rate

    return am.response_rate, definition, (result, _layer(draw), _masks(draw, len(raster), raster.shape[2:]))


def layer_patterns(draw):
    result, raster = _result(draw)
    return am.layer_patterns, _patterns(result, raster), (
        result, _layer(draw), *_part(draw, result), _masks(draw, len(raster), raster.shape[2:]),
    )  # fmt: skip


def _patterns(result, raster):
    def definition(_, layer, start, stop, masks):
        _known(layer)
        steps = _steps_of(result, start, stop)
        n, _, height, width, channels = raster.shape
        require(masks is None or np.shape(masks) == (n, height, width))
        patterns = np.full((n, channels), np.nan)
        for k in range(n):
            places = [(i, j) for i, j in np.ndindex(height, width) if masks is None or masks[k][i, j]]
            for c in range(channels if places else 0):
                count = sum(int(raster[k, t, i, j, c]) for t in steps for i, j in places)
                patterns[k, c] = count / (len(places) * len(steps) * result.dt)
        return patterns

    return definition


def layer_rdm(draw):
    result, raster = _result(draw)
    patterns = _patterns(result, raster)

    def definition(*arguments):
        values = patterns(*arguments)
        require(len(values))
        rdm = np.full((len(values), len(values)), np.nan)
        varies = np.isfinite(values).all(axis=1) & (np.ptp(values, axis=1) > 0)
        for i, j in np.argwhere(varies[:, None] & varies):
            rdm[i, j] = 1 - np.corrcoef(values[i], values[j])[0, 1]
        return rdm

    return (
        am.layer_rdm,
        definition,
        (result, _layer(draw), *_part(draw, result), _masks(draw, len(raster), raster.shape[2:])),
    )


def focus_rates(draw):
    result, raster = _result(draw)

    def definition(_, layer, centers, width, start, stop):
        _known(layer)
        steps = _steps_of(result, start, stop)
        n, _, height, w, channels = raster.shape
        require(len(centers) in {1, n} - {0})
        rates = np.full((2, n), np.nan)
        for k in range(n):
            row, column = centers[k if len(centers) > 1 else 0]
            far = {(i, j): np.hypot((i + 0.5) / height - row, (j + 0.5) / w - column) for i, j in np.ndindex(height, w)}
            focus = {place for place, d in far.items() if d <= width or d == min(far.values())}
            for side, places in enumerate((focus, set(far) - focus)):
                count = sum(raster[k, t, i, j].sum() for t in steps for i, j in places)
                rates[side, k] = count / (len(places) * channels * len(steps) * result.dt) if places else np.nan
        return rates

    n = draw(mostly([1, max(1, len(raster))], [len(raster) + 1]))
    place = st.sampled_from([0.111, 0.523, 0.871])
    centers = draw(st.lists(st.tuples(place, place), min_size=n, max_size=n))
    return am.focus_rates, definition, (
        result, _layer(draw), centers, draw(st.sampled_from([0.219, 0.511, 9.0])), *_part(draw, result),
    )  # fmt: skip


def evoked_potential(draw):
    result, _ = _result(draw)

    def definition(_, layer, variable):
        require(layer in ("layer", "alias") and variable == "S")
        values = result.states["layer"]["S"]
        return [[sum(row) / len(row) for row in trial] for trial in values.tolist()] or np.zeros(values.shape[:2])

    return am.evoked_potential, definition, (result, _layer(draw), draw(mostly(["S"], ["v"])))


def counts_and_rates(draw):
    """Counts, rates and raster of a result, and of one that holds nothing."""
    result, raster = _result(draw)
    images = draw(mostly([None, slice(1, 3), [], [0], 0, [0, 0], -1], [99, [0.5]]))
    n = len(raster)

    def definition(result, images):
        indices = [images] if np.ndim(images) == 0 and not isinstance(images, slice) else images
        if images is None or isinstance(images, slice):
            indices = range(n)[images or slice(None)]
        require(all(k == int(k) and -n <= k < n for k in indices))
        seconds = result.n_steps * result.dt
        rates = [trial.sum() / trial[0].size / seconds for trial in raster]
        chosen = np.array([raster[int(k)] for k in indices]).reshape(-1, *raster.shape[1:])
        return np.concatenate([
            raster.sum(axis=(1, 2, 3, 4)), rates, [np.mean(rates) if rates else np.nan, n],
            result.dt * 1e3 * np.arange(result.n_steps),
            chosen.ravel(),
        ])  # fmt: skip

    def function(result, images):
        found = am.spikes_per_image(result), result.firing_rates["alias"], [result.mean_firing_rate, result.n_images]
        return np.concatenate([*found, result.times, result.raster("layer", images).ravel()])

    return function, definition, (result, images)


def accuracy(draw):
    result, _ = _result(draw)

    def definition(result, labels, window):
        require(labels.shape == (result.n_images,) and all(k in range(3) for k in labels))
        require(window == int(window) and window >= 1)
        output, right = result.outputs["readout"], np.zeros(result.n_steps)
        for t in range(result.n_steps):
            mean = [[np.sum(trial[max(0, t + 1 - int(window)) : t + 1, c]) for c in range(3)] for trial in output]
            if not len(labels) or np.isnan(output[:, : t + 1]).any() or np.isnan(mean).any():
                right[t:] = np.nan
                break
            right[t] = np.mean([max(range(3), key=row.__getitem__) == k for row, k in zip(mean, labels)])
        return right

    arguments = result, classes(draw, result.n_images, 3), draw(mostly([1, 1, 2, 3, 50], [0, 1.5]))
    return lambda result, *rest: result.accuracy(*rest), definition, arguments


def saved_and_loaded(draw):
    result, raster = _result(draw)
    empty = draw(st.sampled_from(["", "", "outputs", "spikes", "states", "spike_counts"]))
    if empty:
        getattr(result, empty).clear()
    if empty == "states":
        result.recorded.clear()  # one without the other is refused

    def values(result):
        neurons = [np.ravel(a) for trains in result.spikes.values() for train in trains for a in train]
        states = [np.ravel(result.states[layer]["S"]) for layer in result.states]
        return np.concatenate([[result.n_images, result.n_steps, result.dt], *map(np.ravel, result.outputs.values()),
                               *result.spike_counts.values(), *neurons, *states])  # fmt: skip

    def function(result):
        with tempfile.TemporaryDirectory() as folder:
            result.save(os.path.join(folder, "result.npz"))
            return values(Result.load(os.path.join(folder, "result.npz")))

    return function, values, (result,)


def trace_and_output(draw):
    """One neuron's trace, and the output of a result that may lack them."""
    result, raster = _result(draw)
    n_neurons = int(np.prod(raster.shape[2:]))
    if not draw(st.integers(0, 9)):
        result.outputs.clear()

    def definition(result, layer, variable, neuron, image):
        require(result.outputs and layer in ("layer", "alias") and variable == "S")
        index = neuron if np.ndim(neuron) == 0 else None
        if index is None:
            require(len(neuron) == 3 and all(0 <= k < n for k, n in zip(neuron, raster.shape[2:])))
            index = (neuron[0] * raster.shape[3] + neuron[1]) * raster.shape[4] + neuron[2]
        require(index in range(0, n_neurons, 2) and -len(raster) <= image < len(raster))
        return np.r_[result.states["layer"]["S"][image, :, index // 2], result.outputs["readout"].ravel()]

    def function(result, *where):
        return np.r_[result.trace(*where), result.output.ravel()]

    neuron = draw(mostly([0, (0, 0, 0)], [2, 1, -1, 99, (1, 2, 0), (0, 0), (5, 0, 0)]))
    return (
        function,
        definition,
        (result, _layer(draw), draw(mostly(["S"], ["v"])), neuron, draw(mostly([0, -1], [1, 9]))),
    )


def firing_latency(draw):
    """The latency of the rate; the definition of each has a check of its own."""
    result, raster = _result(draw)

    def definition(result, layer, baseline):
        _known(layer)
        require(result.n_steps >= 2 or not len(raster))
        rates = raster.mean(axis=(2, 3, 4)) / result.dt
        return [am.response_latency(rate, np.arange(result.n_steps) * result.dt * 1e3, baseline) for rate in rates]

    return am.firing_latency, definition, (result, _layer(draw), draw(st.sampled_from([(0, 1), (0, 3)])))


CASES = {
    function.__name__: function
    for function in (
        response_rate, layer_patterns, layer_rdm, focus_rates, evoked_potential, counts_and_rates, accuracy, saved_and_loaded,
        trace_and_output, firing_latency,
    )
}  # fmt: skip
