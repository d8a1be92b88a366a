"""The published predictive-feedback networks: layers, neurons and gate, one test per deviation that the older networks had."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow")

import keras  # noqa: E402
from published_reference import simulate_published  # noqa: E402

import brainsnn as bs  # noqa: E402
from brainsnn.training.hybrid_resnet import hybrid_resnet  # noqa: E402
from brainsnn.training.predictive_vgg import predictive_vgg, published_order, spiking_layers  # noqa: E402
from brainsnn.training.surrogate import NEVER, spike_time_surrogate, squash_for_training  # noqa: E402
from brainsnn.training.unroll import SpikingUnroll  # noqa: E402

N_STEPS, EPSILON = 30, 0.1
SPIKING = ("conv1", "conv2", "conv3", "generator1", "generator2", "prediction", "dense1", "dense2")


def _network(**options):
    model = predictive_vgg(
        5, (8, 8, 1), 4, width=1 / 16, dense=(6, 5), published=True, conv_dropout=0.3, dropout=0.5, **options
    )
    rng = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([rng.normal(0.25, 0.3, w.shape) for w in layer.get_weights()])
    return model


class Case:
    """A small published network, images of 0 and 1, and what the three simulators make of them."""

    def __init__(self):
        self.model = _network()
        self.images = np.random.default_rng(1).integers(0, 2, (2, 8, 8, 1)).astype(np.float32)
        # Sizes that let spikes through: a third of what the layer gets from a step in which all of the input spikes.
        self.thresholds = dict(zip(SPIKING, (0.7, 3.0, 6.0, 3.0, 6.0, 4.0, 6.0, 1.5)))
        self.expected = simulate_published(self.model, self.images, self.thresholds, N_STEPS, EPSILON)
        self.unroll = SpikingUnroll(
            self.model, self.thresholds, squash="sigmoid", step=1.0, spiking=spiking_layers(self.model),
            gate_squash="rescaled_sigmoid", strict=True,
        )  # fmt: skip
        self.outputs = self.unroll.run(tf.constant(self.images), N_STEPS, EPSILON)
        self.graph = bs.read_keras(self.model, spiking=spiking_layers(self.model))
        gate = bs.PredictiveGate(epsilon=EPSILON, squash="rescaled_sigmoid", strict=True)
        record = {name: ["spikes"] for name in self.thresholds} | {
            "classifier": ["I"],
            "input": ["predicted", "is_open"],
        }
        self.result = bs.convert(
            self.graph, neuron=bs.IF(), thresholds=self.thresholds, feedback=gate, record=record, dtype="float64"
        ).run(self.images.astype(float), duration=N_STEPS * bs.ms)

    def assert_equal(self, name):
        """Spikes of a layer: Brian2 in every step, and the unrolled network in total."""
        spikes = self.expected["spikes"][name]
        assert spikes.any() and not spikes.all(), name
        np.testing.assert_array_equal(self.result.raster(name).reshape(spikes.shape), spikes != 0, name)
        np.testing.assert_array_equal(self.outputs["spikes"][name], spikes.reshape(2, -1).sum(1), name)


@pytest.fixture(scope="module")
def case():
    return Case()


def test_down_sampling(case):
    """A linear 2x2 convolution of stride 2: no neurons, no threshold, no delay."""
    for name in ("pool1", "pool2"):
        layer = case.model.get_layer(name)
        assert (layer.activation.__name__, layer.kernel_size, layer.strides) == ("linear", (2, 2), (2, 2))
    assert not {"pool1", "pool2"} & set(case.outputs["spikes"])
    case.assert_equal("conv2")
    case.assert_equal("conv3")
    case.assert_equal("dense1")  # after the second one, which the generator reads as well


def test_up_sampling(case):
    """A learned linear 2x2 transposed convolution of stride 2, through which spikes pass in the same step."""
    for name in ("up1", "up2"):
        layer = case.model.get_layer(name)
        assert isinstance(layer, keras.layers.Conv2DTranspose) and layer.activation.__name__ == "linear"
        assert (layer.kernel_size, layer.strides, layer.trainable_weights != []) == ((2, 2), (2, 2), True)
    case.assert_equal("generator1")


def test_generator_hidden(case):
    """LeakyReLU 0.01 in the ANN; in the SNN neurons, which the printed graph says. Without the request: two populations."""
    layer = case.model.get_layer("generator1")
    assert isinstance(layer, keras.layers.LeakyReLU) and layer.negative_slope == pytest.approx(0.01)
    case.assert_equal("generator1")
    case.assert_equal("generator2")
    assert "its slope of 0.01 below 0 is lost" in str(case.graph)
    assert {"generator1", "generator1_below"} <= set(bs.read_keras(case.model).populations)
    with pytest.raises(ValueError, match=r"spiking=\['generator1'\]"):
        SpikingUnroll(case.model)
    with pytest.raises(bs.UnknownNameError, match="generator3"):
        bs.read_keras(case.model, spiking=["generator3"])
    with pytest.raises(ValueError, match="is one name"):
        bs.read_keras(case.model, spiking="prediction")
    with pytest.raises(bs.UnknownNameError, match="generator3"):
        SpikingUnroll(case.model, spiking=["generator1", "generator2", "generator3"])


def test_generator_last(case):
    """Linear in the ANN, which may be negative; neurons in the SNN."""
    assert case.model.get_layer("prediction").activation.__name__ == "linear"
    assert case.model(case.images)[1].numpy().min() < case.model(case.images)[1].numpy().max()
    case.assert_equal("prediction")
    assert "spikes although linear" in str(case.graph)
    with pytest.raises(bs.ConversionError, match=r"read_keras\(model, spiking=\['prediction'\]\)"):
        bs.convert(case.model, neuron=bs.IF(), feedback=bs.PredictiveGate())


def test_squash(case):
    """The loss sees the sigmoid of the sum of spikes; the gate 2*sigmoid - 1 of it. For colour tanh and 2*tanh - 1."""
    sums = case.expected["sums"]
    last = 1 / (1 + np.exp(-sums[:, -1]))
    np.testing.assert_allclose(case.outputs["predictions"][-1], last, rtol=1e-5)
    np.testing.assert_array_equal(next(case.unroll.steps(tf.constant(case.images), 1))["prediction"], 0.5)  # silent
    np.testing.assert_allclose(case.result.predicted_input, 2 / (1 + np.exp(-sums)) - 1, rtol=1e-6, atol=1e-9)
    counts = tf.constant([0.0, 1.0, 2.0])
    np.testing.assert_allclose(squash_for_training("rescaled_sigmoid", counts), np.tanh(counts / 2), rtol=1e-5)
    np.testing.assert_allclose(squash_for_training("rescaled_tanh", counts), [-1, 0.523188, 0.928055], rtol=1e-5)
    gate = bs.PredictiveGate(squash="rescaled_tanh")
    assert "2*tanh(squash_step*predicted) - 1" in gate.model.equations and gate.model.parameters["squash_step"] == 1


def test_epsilon_test(case):
    """Strict on both sides: an epsilon of 0 blocks nothing, and an error of exactly epsilon does not."""
    np.testing.assert_array_equal(case.result.gate, case.expected["open"])
    dark = case.images == 0
    assert case.expected["open"][:, 0].all() and not case.expected["open"][:, 1][dark].any()
    bright = case.expected["open"][:, :, ~dark[0]]
    assert bright[0, 3].any() and not bright[0, -1].any()
    outputs = case.unroll.run(tf.constant(case.images), N_STEPS, 0.0)
    assert outputs["open"].numpy().all()
    loose = SpikingUnroll(case.model, case.thresholds, step=0.125, spiking=spiking_layers(case.model))
    assert not loose.run(tf.constant(case.images), N_STEPS, 0.0)["open"].numpy().all()
    assert "<= epsilon" in bs.PredictiveGate().model.update
    strict = bs.PredictiveGate(strict=True, epsilon=0.0).model.update
    assert "int(prediction < stimulus + epsilon)*int(prediction > stimulus - epsilon)" in strict
    with pytest.raises(ValueError, match="strict=True has no effect with mode='none'"):
        bs.PredictiveGate(mode="none", strict=True)
    with pytest.raises(ValueError, match="strict=False has no effect beside model, whose strict is True"):
        bs.PredictiveGate(model=bs.PredictiveGate(strict=True).model)


def test_epsilon_none():
    """None means no gate."""
    gate = bs.PredictiveGate(epsilon=None)
    assert (gate.mode, gate.epsilon) == ("none", None) and gate.model.update.startswith("is_open = 1")
    assert bs.PredictiveGate().epsilon == 0.1
    with pytest.raises(ValueError, match="epsilon=None has no effect beside model, whose epsilon is 0.1"):
        bs.PredictiveGate(epsilon=None, model=bs.PredictiveGate().model)


def test_stdb_age():
    """Exactly 0 for a neuron that has not spiked, 1 in the step after a spike, and 0 again after about 100 steps."""
    spike, since = spike_time_surrogate(0.3, 0.01), tf.constant([NEVER, 1.0, 80.0, 105.0])
    u = tf.zeros(4)
    with tf.GradientTape() as tape:
        tape.watch(u)
        fired = spike(u, since)
    gradient = tape.gradient(fired, u).numpy()
    assert gradient[0] == 0 and gradient[3] == 0 and NEVER == 999
    np.testing.assert_allclose(gradient[1:3], 0.3 * np.exp(-0.01 * np.array([1.0, 80.0])), rtol=1e-4)
    ages = []

    def watching(u, since):
        ages.append(float(tf.reduce_max(since)))
        return tf.cast(u > 0, tf.float32)

    pixels = keras.Input((1, 1, 1), name="input")
    layer = keras.layers.Conv2D(1, 1, use_bias=False, activation="relu", name="conv1", kernel_initializer="ones")
    network = keras.Model(pixels, layer(pixels))
    unroll = SpikingUnroll(network, {"conv1": 1.5}, spike=watching)
    unroll.run(tf.ones((1, 1, 1, 1)), 5)  # v is 0, 1, 2, 1.5, 2.5: it fires in steps 2 and 4
    assert ages == [999, 1000, 1001, 1, 2]


def test_conv_dropout(case):
    """Only after convolutions that no down- or up-sampling follows, also in the generator; one mask per trial and image."""
    names = [layer.name for layer in case.model.layers if layer.name.endswith("_dropout")]
    assert names == ["conv2_dropout", "generator1_dropout"]
    nine = predictive_vgg(9, (32, 32, 3), width=1 / 32, dense=(8,), published=True, conv_dropout=0.2)
    dropped = {layer.name.removesuffix("_dropout") for layer in nine.layers if layer.name.endswith("_dropout")}
    assert dropped == {"conv2", "conv4", "conv7", "generator3", "generator5"}


def test_dense_and_snn_dropout(case):
    """Inverted masks of 0 or 1/(1-p), held over all steps, on the spikes that are sent on; counted before them."""
    masks = {}
    stage = next(stage for stage in case.unroll.stages if stage.name == "dense2")
    for _ in range(2):
        current = stage.current({stage.branches[0].source: tf.ones((2, 6))}, masks)
    name = stage.branches[0].layers[0].name
    assert set(np.unique(masks[name])) <= {0.0, 2.0} and 0 < masks[name].numpy().mean() < 2
    np.testing.assert_allclose(current, masks[name] @ np.asarray(stage.layer.kernel), rtol=1e-5)
    tf.random.set_seed(4)
    found = case.unroll.run(tf.constant(case.images), N_STEPS, training=True)
    tf.random.set_seed(4)
    drawn = {}  # the same random numbers in the same order
    next(case.unroll.steps(tf.constant(case.images), 1, training=True))
    tf.random.set_seed(4)
    tf.random.uniform(case.images.shape)
    for stage in case.unroll.stages:
        for layer in stage.branches[0].layers:
            if type(layer).__name__ == "Dropout":
                kept = tf.random.uniform((2, *layer.input.shape[1:])) >= layer.rate
                drawn[layer.name] = kept.numpy() / (1 - layer.rate)
    expected = simulate_published(case.model, case.images, case.thresholds, N_STEPS, masks=drawn)
    for name in SPIKING:
        np.testing.assert_array_equal(found["spikes"][name], expected["spikes"][name].reshape(2, -1).sum(1), name)
    np.testing.assert_allclose(found["logits"], expected["logits"], rtol=1e-4, atol=1e-4)


def test_initialisation():
    """Normal, by output channels; dense layers 0.01."""
    model = predictive_vgg(5, (28, 28, 1), width=0.5, dense=(512, 64), published=True)
    for name, size in (("conv2", 3), ("pool2", 2), ("up1", 2), ("generator1_current", 3), ("dense1", None)):
        kernel = model.get_layer(name).kernel.numpy()
        std = 0.01 if size is None else np.sqrt(2 / (size**2 * model.get_layer(name).filters))
        assert kernel.std() == pytest.approx(std, rel=0.05) and abs(kernel.mean()) < 0.1 * std
        assert np.abs(kernel).max() > 3 * std  # not uniform, not truncated at 2


def test_size_and_architectures():
    """Parameters and neurons as published, the other VGGs, and ResNets, which convert."""
    with tf.device("cpu"):
        sizes = {"feedback": {"feedback": True}, "narrow": {"feedback": True, "width": 0.5}}
        counts = {name: predictive_vgg(5, published=True, **options) for name, options in sizes.items()}
        assert counts["feedback"].count_params() == 43_115_648 and counts["narrow"].count_params() == 29_815_360
        assert predictive_vgg(9, (32, 32, 3), published=True).count_params() == 43_675_008
    assert _n_neurons(counts["feedback"]) == 146_960
    assert _n_neurons(predictive_vgg(5, published=True, feedback=False)) == 108_544
    flat = {5: 128 * 7 * 7, 9: 512, 13: 512, 16: 512, 19: 512}
    for depth, n_flat in flat.items():
        plain = predictive_vgg(depth, feedback=False, width=1 / 64, dense=(3,))
        assert plain.get_layer("flatten").output.shape[1] == n_flat // 64, depth
    assert (
        sum("conv" in layer.name for layer in predictive_vgg(19, feedback=False, width=1 / 64, dense=(3,)).layers) == 16
    )
    with pytest.raises(ValueError, match="depth=16 has no generator"):
        predictive_vgg(16)
    for depth in (6, 12, 20, 34):
        model = hybrid_resnet(depth, width=1 / 64, conv_dropout=0.2)
        graph = bs.read_keras(model)
        n_blocks = sum(layer.name.endswith("_sum") for layer in model.layers)
        assert n_blocks == {6: 2, 12: 4, 20: 8, 34: 15}[depth]
        assert sum(p.kind == "spiking" for p in graph.populations.values()) == 3 + 2 * n_blocks
    with pytest.raises(ValueError, match="depth=18"):
        hybrid_resnet(18)
    inputs = keras.Input((4, 4, 1))
    branches = [keras.layers.Conv2D(1, 1, use_bias=False)(inputs) for _ in range(2)]
    with pytest.raises(ValueError, match="joins 2 branches, which the unrolled network can only add"):
        SpikingUnroll(
            keras.Model(inputs, keras.layers.Conv2D(1, 1, use_bias=False)(keras.layers.Concatenate()(branches)))
        )


def _n_neurons(model):
    named = spiking_layers(model)
    return sum(
        int(np.prod(layer.output.shape[1:])) for layer in model.layers
        if layer.name in named or (layer.weights and layer.activation.__name__ == "relu")
    )  # fmt: skip


def test_order_of_thresholds(case):
    """Three convolutions, three of the generator, two dense layers."""
    assert published_order(s.name for s in case.unroll.stages if s.spikes) == list(SPIKING)


def test_logits_in_brian2(case):
    """S + I at the end of the last step are the logits with its spikes; S alone lacks them."""
    last = case.result.output[:, -1] + case.result.states["classifier"]["I"][:, -1].reshape(2, 4)
    np.testing.assert_allclose(last, case.expected["logits"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(case.outputs["logits"], last, rtol=1e-4, atol=1e-4)
    assert not np.allclose(case.result.output[:, -1], last)


def test_no_deviation_in_time():
    """The earliest spikes are as published: convolutions in steps 1, 2, 3, generator 4, 5, 6, dense layers 4 and 5."""
    model = _network()
    for layer in model.layers:
        layer.set_weights([np.ones_like(w) for w in layer.get_weights()])
    found = simulate_published(model, np.ones((1, 8, 8, 1)), dict.fromkeys(SPIKING, 0.5), 8)
    first = {name: int(spikes.reshape(8, -1).any(1).argmax()) for name, spikes in found["spikes"].items()}
    assert [first[name] for name in SPIKING] == [1, 2, 3, 4, 5, 6, 4, 5]
    unroll = SpikingUnroll(model, dict.fromkeys(SPIKING, 0.5), spiking=spiking_layers(model))
    moments = list(unroll.steps(tf.ones((1, 8, 8, 1)), 8))
    seen = [next(t for t, m in enumerate(moments) if m["spikes"][name].numpy().any()) for name in SPIKING]
    assert seen == [1, 2, 3, 4, 5, 6, 4, 5]
