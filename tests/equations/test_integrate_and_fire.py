"""IF neurons against the map written out: two resets, a first potential, and constant input."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brainsnn as bs
from brainsnn import ms

keras = pytest.importorskip("keras")


@pytest.fixture(scope="module")
def model():
    layers = keras.layers
    made = keras.Sequential(
        [keras.Input((1, 1, 3), name="pixels"), layers.Conv2D(4, 1, activation="relu", name="conv"),
         layers.Conv2D(2, 1, activation="relu", name="second"), layers.Flatten(), layers.Dense(2, name="out")]
    )  # fmt: skip
    rng = np.random.default_rng(0)
    for layer in made.layers:
        layer.set_weights([rng.integers(-8, 16, w.shape) / 16 for w in layer.get_weights()])
    return made


def simulated(model, image, leak, threshold, reset, initial, steps):
    """Return the spikes of both layers; a spike acts in the same step."""
    w1, b1, w2, b2 = (np.array(w, dtype=float) for w in model.get_weights()[:4])
    v, spent, found = [np.full(n, float(initial)) for n in (4, 2)], [np.zeros(4), np.zeros(2)], [[], []]
    for _ in range(steps):
        drive = image.ravel() @ w1[0, 0] + b1
        for k in range(2):
            v[k] = leak * v[k] + drive - spent[k]
            spikes = v[k] > threshold
            spent[k] = spikes * (threshold if reset == "soft" else leak * v[k])
            found[k].append(spikes)
            if k == 0:
                drive = spikes @ w2[0, 0] + b2
    return [np.array(spikes) for spikes in found]


@settings(max_examples=12, deadline=None)
@given(
    leak=st.sampled_from([1.0, 0.75]), threshold=st.sampled_from([0.5, 1.0]), reset=st.sampled_from(["soft", "hard"]),
    initial=st.sampled_from([0.0, 0.5, -0.25]), pixels=st.lists(st.integers(0, 16), min_size=3, max_size=3),
)  # fmt: skip
def test_constant_input(model, leak, threshold, reset, initial, pixels):
    """Numbers with few bits, so that no sum depends on its order."""
    image = np.array(pixels, dtype=float).reshape(1, 1, 1, 3) / 16
    neuron = bs.IF(leak, threshold, reset, initial)
    thresholds = {"conv": threshold, "second": threshold}
    snn = bs.convert(
        model, neuron=neuron, encoder="current", schedule="synchronous", dtype="float64", thresholds=thresholds,
        record={"conv": ["spikes"], "second": ["spikes"]},
    )  # fmt: skip
    result = snn.run(image, duration=25 * ms)
    first, second = simulated(model, image, leak, threshold, reset, initial, 25)
    np.testing.assert_array_equal(result.raster("conv")[0].reshape(25, 4), first)
    np.testing.assert_array_equal(result.raster("second")[0].reshape(25, 2), second)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"reset": "none"}, "IF.reset: must be 'soft' or 'hard', got 'none'"),
        ({"initial": float("nan")}, "IF.initial: must be a number such as threshold/2, got nan"),
        ({"leak": 0}, "IF.leak"),
        ({"threshold": 0}, "IF.threshold"),
    ],
)
def test_arguments_that_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        bs.IF(**options)
