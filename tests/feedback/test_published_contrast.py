"""The published contrast: per image over all colours, the open pixels of this step, no limit, from the first step on."""

import numpy as np
import pytest
from chosen_device import DEVICE

import brainsnn as bs

keras = pytest.importorskip("keras")
SHAPE, N_STEPS, EPSILON = (4, 4, 3), 40, 0.3


@pytest.fixture(scope="module")
def model():
    """Predicts its input, colour by colour, sooner where it is bright."""
    pixels = keras.Input(SHAPE, name="input")
    x = keras.layers.Conv2D(3, 1, use_bias=False, activation="relu", name="conv1")(pixels)
    prediction = keras.layers.Conv2DTranspose(3, 1, use_bias=False, activation="relu", name="prediction")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    network = keras.Model(pixels, [keras.layers.Dense(2, use_bias=False, name="classifier")(x), prediction])
    for name in ("conv1", "prediction"):
        network.get_layer(name).set_weights([np.eye(3).reshape(1, 1, 3, 3)])
    return network


@pytest.fixture(scope="module")
def images():
    """One image many times, from -0.4 to 0.6, and one of which all pixels are equal."""
    rng = np.random.default_rng(0)
    image = rng.uniform(-0.4, 0.6, SHAPE)
    return np.concatenate([np.repeat(image[None], 60, 0), np.full((1, *SHAPE), 0.5)])


def _scaled(y):
    """The published formula, with its superfluous z-scoring."""
    z = (y - y.mean((-3, -2, -1), keepdims=True)) / y.std((-3, -2, -1), ddof=1, keepdims=True)
    low, high = z.min((-3, -2, -1), keepdims=True), z.max((-3, -2, -1), keepdims=True)
    return (z - low) / (high - low + 1e-5)


@pytest.mark.parametrize("schedule", ["pipelined", "synchronous"])
def test_contrast(model, images, schedule):
    gate = bs.PredictiveGate(epsilon=EPSILON, squash="rescaled_sigmoid", strict=True, contrast="published")
    snn = bs.convert(
        model, neuron=bs.IF(), thresholds={"conv1": 1.5, "prediction": 2.5}, feedback=gate, device=DEVICE, schedule=schedule,
        record={"input": ["spikes", "smallest", "span"]},
    )  # fmt: skip
    result = snn.run(images, duration=N_STEPS * bs.ms)
    gate, spikes = result.gate[:-1], result.raster("input")[:-1]
    # No lag: what is blocked in this step is out of the scaling in this step. The gate is that of the unscaled image.
    right = np.abs(result.predicted_input[:-1] - images[:-1, None]) < EPSILON
    assert np.array_equal(~gate[:, 1:], np.maximum.accumulate(right, 1)[:, :-1]) and gate[:, 0].all()
    assert 0 < (~gate[:, -1]).mean() < 1
    shown = images[:-1, None] * gate
    smallest, span = (result.states["input"][name].reshape(61, N_STEPS, *SHAPE)[:-1] for name in ("smallest", "span"))
    expected = np.broadcast_to(shown.min((2, 3, 4), keepdims=True), smallest.shape)
    np.testing.assert_allclose(smallest, expected, atol=1e-6)
    deviation = shown.std((2, 3, 4), ddof=1, keepdims=True)
    expected = shown.max((2, 3, 4), keepdims=True) - shown.min((2, 3, 4), keepdims=True) + 1e-5 * deviation
    np.testing.assert_allclose(span, np.broadcast_to(expected, span.shape), rtol=1e-4)
    chance = _scaled(shown)
    assert chance[:, 0].max() > 0.99 and images.max() < 0.61  # no limit on the factor, from step 0 on
    first, later = slice(0, 1), slice(5, N_STEPS)
    for steps in (first, later):
        n, p = spikes[:, steps].sum(), chance[:, steps]
        assert abs(n - p.sum()) < 5 * np.sqrt((p * (1 - p)).sum()), steps
    assert (images[0] < 0).any()
    assert not result.raster("input")[-1].any()  # all equal


@pytest.mark.slow
def test_equal_with_each_connectivity_and_device(model, images):
    """What is drawn does not depend on how connections are stored, nor on the device."""
    gate = bs.PredictiveGate(epsilon=EPSILON, squash="rescaled_sigmoid", strict=True, contrast="published")
    found = [
        bs.convert(
            model, neuron=bs.IF(), thresholds={"conv1": 1.5, "prediction": 2.5}, feedback=gate, device=device,
            connectivity=connectivity, record={"input": ["spikes"]},
        ).run(images[:2], duration=N_STEPS * bs.ms).raster("input")
        for device in ("runtime", "cpp_standalone") for connectivity in ("event_driven", "synapses")
    ]  # fmt: skip
    assert found[0].any() and all(np.array_equal(found[0], raster) for raster in found[1:])


def test_contrast_of_the_unrolled_network(model, images):
    tf = pytest.importorskip("tensorflow")
    from brainsnn.training.unroll import SpikingUnroll

    unroll = SpikingUnroll(model, {"conv1": 1.5, "prediction": 2.5}, contrast="published")
    many = tf.constant(np.repeat(images[:1], 4000, 0).astype(np.float32))
    opened = tf.constant((np.random.default_rng(1).random((1, *SHAPE)) < 0.8).astype(np.float32))
    drawn = unroll._drawn(many, opened).numpy()
    chance = _scaled(images[:1] * opened.numpy())
    assert set(np.unique(drawn)) == {0.0, 1.0}  # the sign is lost
    np.testing.assert_allclose(drawn.mean(0), chance[0], atol=5 * 0.5 / np.sqrt(4000))
    assert not unroll._drawn(tf.constant(images[-1:].astype(np.float32)), tf.ones((1, *SHAPE))).numpy().any()
    with pytest.raises(ValueError, match="contrast=True; choose None or 'published'"):
        SpikingUnroll(model, contrast=True)


def test_options():
    with pytest.raises(ValueError, match="max_contrast=5 has no effect with contrast='published'"):
        bs.PredictiveGate(contrast="published", max_contrast=5)
    with pytest.raises(ValueError, match="contrast: must be True, False or 'published'"):
        bs.PredictiveGate(contrast="max")
    gate = bs.PredictiveGate(contrast="published", epsilon=0.2)
    assert gate.edit(epsilon=0.3).epsilon == 0.3
    with pytest.raises(ValueError, match="contradicts model.*contrast='published'"):
        bs.PredictiveGate(model=gate.model)
    with pytest.raises(ValueError, match="contrast has no effect beside model, which has no variable 'span'"):
        bs.PredictiveGate(contrast="published", model=bs.PredictiveGate(contrast=True).model)


def test_edited_statements_that_lack_what_the_network_reads(model):
    gate = bs.PredictiveGate(contrast="published")
    edited = gate.edit(update=gate.model.update.replace("squared = shown*shown\n", ""))
    with pytest.raises(ValueError, match="reads 'squared', which no statement of the model assigns to"):
        bs.convert(model, neuron=bs.IF(), thresholds={"conv1": 1, "prediction": 1}, feedback=edited)
