"""Random results for round trips through files and formats, and what makes two results equal."""

import numpy as np
from hypothesis import strategies as st

import brainsnn as bs
from brainsnn.results.description import PopulationModel

__all__ = ["assert_equal", "results"]

NAMES = st.one_of(
    st.sampled_from(["conv", "conv/1", "output", "label", "spikes", "image", "__x", "a.b", "Größe %", "row", "x_"]),
    st.text(st.characters(codec="utf-8", min_codepoint=32, exclude_categories=("Cc", "Cs")), min_size=1, max_size=8),
)
VARIABLES = st.sampled_from(
    ["S", "theta", "row", "time", "spike_count", "output", "spikes", "neuron", "neuron_S", "row_S"]
)
DTYPES = st.sampled_from(["f4", "f8", "f2", "i1", "i8", "u2", "?", ">f4"])
VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False), st.sampled_from(["", "µ", "a/b"])
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["a", "b", "seed"]), inner, max_size=2),
    max_leaves=6,
)


@st.composite
def results(draw):
    """A result with any parts: silent layers and images, some neurons only, no images, no steps, several readouts."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    names = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    shapes = {name: tuple(draw(st.integers(1, 3)) for _ in range(3)) for name in names}
    n_images, n_steps = draw(st.integers(0, 3)), draw(st.integers(0, 6))
    aliases = {f"alias{k}": draw(st.sampled_from(names)) for k in range(draw(st.integers(0, 2)))}
    result = bs.Result(shapes, draw(st.sampled_from([1e-3, 5e-4, 1e-4, 1 / 3e3])), n_steps, aliases)
    for name, shape in shapes.items():
        size = int(np.prod(shape))
        if draw(st.booleans()):
            result.outputs[name] = _values(rng, (n_images, n_steps, size), draw(DTYPES))
        if draw(st.booleans()):
            _add_spikes(draw, rng, result, name, size, n_images)
        for variable in draw(st.lists(VARIABLES, max_size=3, unique=True)):
            neurons = np.arange(size) if draw(st.booleans()) else rng.permutation(size)[: rng.integers(1, size + 1)]
            result.recorded.setdefault(name, {})[variable] = neurons
            values = _values(rng, (n_images, n_steps, len(neurons)), draw(DTYPES))
            result.states.setdefault(name, {})[variable] = values
        if draw(st.booleans()):
            result.models[name] = PopulationModel(
                "x\ndv/dt : 1", draw(st.sampled_from([None, "v > 1"])), {"a": 0.1}, {"S": "V"}
            )
    result.settings = draw(st.dictionaries(st.sampled_from(["seed", "device", "dt", "attention"]), VALUES, max_size=3))
    if draw(st.booleans()) and result.n_images == n_images:
        result.labels = rng.integers(-3, 9, n_images)
    return result


def _values(rng, shape, dtype):
    values = (rng.normal(0, 9, shape)).astype(dtype)
    if values.dtype.kind == "f" and values.size:
        values.flat[0] = rng.choice([np.nan, np.inf, -0.0])
    return values


def _add_spikes(draw, rng, result, name, size, n_images):
    wanted = None
    if draw(st.booleans()):
        wanted = result.spike_neurons[name] = rng.permutation(size)[: rng.integers(1, size + 1)]
    dtype, trains = draw(st.sampled_from(["i4", "i8"])), []
    for _ in range(n_images):
        raster = rng.random((result.n_steps, size)) < draw(st.sampled_from([0, 0.3]))
        if wanted is not None:
            raster[:, np.setdiff1d(np.arange(size), wanted)] = False
        steps, neurons = np.nonzero(raster)
        trains.append((neurons.astype(dtype), steps.astype(dtype)))
    result.spikes[name] = trains
    result.spike_counts[name] = np.array([len(neurons) for neurons, _ in trains], int)


def assert_equal(found, expected):
    """Both results hold the same values of the same types, under the same names in the same order."""
    assert (found.dt, found.n_steps, found.n_images) == (expected.dt, expected.n_steps, expected.n_images)
    assert (found.shapes, found.aliases) == (expected.shapes, expected.aliases)
    assert (found.settings, dict(found.models)) == (expected.settings, dict(expected.models))
    assert (found.labels is None) == (expected.labels is None)
    np.testing.assert_array_equal(found.labels, expected.labels)
    for store in ("outputs", "spike_counts", "spike_neurons"):
        _assert_dict(getattr(found, store), getattr(expected, store))
    for store in ("states", "recorded"):
        assert list(getattr(found, store)) == list(getattr(expected, store))
        for name, values in getattr(expected, store).items():
            _assert_dict(getattr(found, store)[name], values)
    assert list(found.spikes) == list(expected.spikes)
    for name, trains in expected.spikes.items():
        assert len(found.spikes[name]) == len(trains)
        for k in range(len(trains)):
            np.testing.assert_array_equal(found.spikes[name][k], trains[k])
            assert not len(trains[k][0]) or found.spikes[name][k][0].dtype == trains[k][0].dtype


def _assert_dict(found, expected):
    assert list(found) == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)
        kinds = [
            np.asarray(one).dtype.newbyteorder("=") for one in (found[name], values)
        ]  # Zarr keeps no order of bytes
        assert kinds[0] == kinds[1], name
