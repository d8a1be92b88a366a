"""Training of predictive networks: architectures, surrogate gradients, the unrolled network, resuming."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

from dense_feedback_reference import balanced_thresholds, simulate_feedback  # noqa: E402

from brainsnn.training.balancing import balance_thresholds  # noqa: E402
from brainsnn.training.predictive_training import Recipe, Trainer  # noqa: E402
from brainsnn.training.predictive_vgg import predictive_vgg  # noqa: E402
from brainsnn.training.surrogate import (  # noqa: E402
    linear_surrogate,
    spike_time_surrogate,
    squash_for_training,
    time_weights,
)
from brainsnn.training.unroll import SpikingUnroll  # noqa: E402


def _shapes(model):
    return {layer.name: tuple(layer.output.shape[1:]) for layer in model.layers if layer.weights}


def test_published_vgg5():
    """Channels and sizes of the published feedback network; it has 11 thresholds, 3 of them in the generator."""
    shapes = _shapes(predictive_vgg(5, (28, 28, 1)))
    assert shapes["conv1"] == (28, 28, 64) and shapes["conv3"] == (14, 14, 128) and shapes["pool2"] == (7, 7, 128)
    assert shapes["generator1"] == (14, 14, 128) and shapes["generator2"] == (14, 14, 64)
    assert shapes["prediction"] == (28, 28, 1) and shapes["dense2"] == (4096,)
    plain = predictive_vgg(5, (28, 28, 1), feedback=False)
    assert "pool1" not in _shapes(plain) and len(plain.outputs) == 1


@pytest.mark.parametrize("channels", [1, 3])
def test_vgg9_mirror(channels):
    shapes = _shapes(predictive_vgg(9, (32, 32, channels), width=1 / 32, dense=(8,)))
    assert [shapes[f"conv{k}"][-1] for k in range(1, 8)] == [2, 4, 8, 8, 16, 16, 16]
    assert [shapes[f"generator{k}"] for k in range(1, 7)] == [
        (2, 2, 16), (4, 4, 16), (8, 8, 8), (8, 8, 8), (16, 16, 4), (16, 16, 2),
    ]  # fmt: skip
    assert shapes["prediction"] == (32, 32, channels)


def test_size_that_cannot_be_halved():
    with pytest.raises(ValueError, match="pad them to 32 x 32"):
        predictive_vgg(9, (28, 28, 1))
    with pytest.raises(ValueError, match="depth=7"):
        predictive_vgg(7)


def test_surrogate_gradients():
    u = tf.constant([-2.0, -0.5, 0.0, 0.25, 1.5])
    since = tf.constant([0.0, 1.0, 10.0, 0.0, 50.0])
    for spike, expected in (
        (linear_surrogate(0.3), 0.3 * np.maximum(0, 1 - np.abs(u))),
        (spike_time_surrogate(0.3, 0.01), 0.3 * np.exp(-since) ** 0.01),
    ):
        with tf.GradientTape() as tape:
            tape.watch(u)
            fired = spike(u, since)
        np.testing.assert_array_equal(fired, [0, 0, 0, 1, 1])
        np.testing.assert_allclose(tape.gradient(fired, u), expected, rtol=1e-5)


def test_squash_reaches_silent_pixels():
    """Only the published sigmoid cannot; the clip's gradient leads back from outside."""
    silent = {name: float(squash_for_training(name, tf.constant(0.0))) for name in ("clip", "tanh", "sigmoid")}
    assert silent == {"clip": 0, "tanh": 0, "sigmoid": 0.5}
    x = tf.constant([2.0, 2.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum((squash_for_training("clip", x) - tf.constant([0.0, 1.5])) ** 2)
    np.testing.assert_allclose(tape.gradient(loss, x), [2.0, 0.0])


@pytest.mark.parametrize("kind", ["last", "late", "linear"])
def test_time_weights(kind):
    weights = time_weights(kind, 10)
    assert weights.sum() == pytest.approx(1) and np.all(np.diff(weights) >= 0)
    assert np.count_nonzero(weights) == {"last": 1, "late": 5, "linear": 10}[kind]


@pytest.fixture(scope="module")
def model():
    network = predictive_vgg(5, (8, 8, 1), 4, width=1 / 16, dense=(6,))
    rng = np.random.default_rng(3)
    for layer in network.layers:
        layer.set_weights([rng.normal(0.3, 0.5, w.shape) for w in layer.get_weights()])
    return network


@pytest.mark.parametrize("leak", [1.0, 0.9])
def test_unrolled_network_equals_dense_simulator(model, leak):
    """Pixels of 0 and 1 leave nothing to chance; single precision may flip a spike, but not at these seeds."""
    images = np.random.default_rng(1).integers(0, 2, (3, 8, 8, 1)).astype(np.float32)
    spikes = np.repeat(images[:, None], 30, axis=1)
    thresholds = balanced_thresholds(model, spikes, 0.4)
    expected = simulate_feedback(model, spikes, images, thresholds, leak, 0.1)
    outputs = SpikingUnroll(model, thresholds, leak).run(tf.constant(images), 30, gate_epsilon=0.1)
    for name, counts in outputs["spikes"].items():
        reference = expected["spikes"][name].reshape(3, -1).sum(1)
        np.testing.assert_array_equal(counts.numpy(), reference, err_msg=name)
    np.testing.assert_array_equal(outputs["predictions"][-1], expected["predictions"][:, -1])
    unroll = SpikingUnroll(model)
    balanced = balance_thresholds(unroll, images, 30, 0.4)
    assert balanced == pytest.approx(thresholds, rel=1e-4)


@pytest.mark.slow
def test_training_resumes(tmp_path):
    """A training that is interrupted after its first epoch ends with the same ANN; other settings are refused."""
    rng = np.random.default_rng(0)
    images = rng.random((32, 8, 8, 1)).astype(np.float32)
    labels = rng.integers(0, 4, 32)
    recipe = Recipe(ann_epochs=2, snn_epochs=1, steps=4, batch_size=16)

    def make(folder, report=lambda line: None):
        tf.keras.utils.set_random_seed(0)
        network = predictive_vgg(5, (8, 8, 1), 4, width=1 / 16, dense=(6,))
        return Trainer(network, recipe, tmp_path / folder, images, labels, (images, labels), report)

    def interrupt(line):
        raise KeyboardInterrupt

    whole = make("whole")
    whole.train_ann()
    with pytest.raises(KeyboardInterrupt):
        make("parts", interrupt).train_ann()
    resumed = make("parts")
    resumed.train_ann()
    for expected, found in zip(whole.model.get_weights(), resumed.model.get_weights()):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    resumed.train_snn()
    log = (tmp_path / "parts" / "log.csv").read_text()
    assert (log.count("ann,"), log.count("snn,")) == (2, 1) and resumed.thresholds
    recipe = Recipe(seed=1)
    with pytest.raises(ValueError, match="with other settings"):
        make("parts")
