"""The dense reference is itself checked: against published traces, TensorFlow and hand-written loops."""

import dense_layers
import dense_reference as ref
import keras
import numpy as np
import pytest
import tensorflow as tf
from dense_graph import Node
from example_models import MODEL_NAMES, example_images, example_models
from keras import layers
from locations import DATA
from numpy.testing import assert_allclose, assert_array_equal

TRACES = np.load(DATA / "asn_neuron.npz")
RNG = np.random.default_rng(0)


class ASNTransfer(layers.Layer):
    """Stand-in of the training layer: only its class name matters to the reference, and that it rectifies."""

    def call(self, x):
        return keras.ops.relu(x)


def relu(x):
    return np.maximum(x, 0.0)


@pytest.fixture(scope="module")
def models():
    return example_models(ASNTransfer)


def dense_chain(sizes, bias=0.0, seed=0):
    """Dense layers with ASNs between them, seeded weights, one bias everywhere; the last is the readout."""
    rng = np.random.default_rng(seed)
    x = inputs = layers.Input((sizes[0],))
    for i, size in enumerate(sizes[1:-1]):
        x = ASNTransfer(name=f"asn_{i + 1}")(layers.Dense(size, name=f"dense_{i + 1}")(x))
    model = keras.Model(inputs, layers.Dense(sizes[-1], name="readout")(x))
    for layer in model.layers:
        if layer.weights:
            shape = layer.kernel.shape
            layer.set_weights([rng.normal(0.5, 1.0, shape) / np.sqrt(shape[0]), np.full(shape[1], bias)])
    return model


# One neuron ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("case", range(6))
def test_neuron_equals_published_traces(case):
    m_f, bias, filtered = TRACES[f"cfg{case}"]
    population = ref.ASNPopulation(Node("population", "asn", [], 0, (1,)), bias, m_f=m_f, h=1.0)
    next_membrane = ref.Membrane()
    part = "spikes" if filtered else "stimulus"
    for t in range(TRACES[f"cur{case}"].shape[1]):
        out = population.step({part: TRACES[f"cur{case}"][:, t]})
        signal = next_membrane.step(out)  # the published neuron scales it by h afterwards, so h is 1 here
        assert_array_equal(population.spikes, TRACES[f"spk{case}"][:, t] > 0)
        assert_allclose(population.S, TRACES[f"S{case}"][:, t], rtol=0, atol=1e-9)
        assert_allclose(population.S_hat, TRACES[f"Shat{case}"][:, t], rtol=0, atol=1e-9)
        assert_allclose(m_f + population.theta_dyn, TRACES[f"theta{case}"][:, t], rtol=0, atol=1e-9)
        assert_allclose(signal, TRACES[f"Snext{case}"][:, t], rtol=0, atol=1e-9)


def test_spike_height():
    assert ref.spike_height(0.1) == pytest.approx(0.12443, abs=5e-6)  # the value in the design
    m_f = np.array([0.03, 0.1, 0.45])
    assert_allclose(ref.transfer(1.0, m_f), 1.0)
    assert ref.transfer(-1.0) == ref.transfer(0.0) == 0.0


def test_mean_output_follows_the_transfer_function():
    # 2000 ms are 40 synaptic time constants; 3% is the formula's own error at m_f = 0.1
    model = dense_chain([1, 1, 1])
    model.set_weights([np.eye(1), np.zeros(1), np.eye(1), np.zeros(1)])
    signal = np.array([[0.3], [0.6], [1.0], [1.5]])
    output = ref.simulate(model, signal, 2000)["output"][:, 500:, 0].mean(axis=1)
    assert_allclose(output, ref.transfer(signal[:, 0]), rtol=0.03)


# Geometry against TensorFlow ----------------------------------------------------------------------
CONVOLUTIONS = [  # size, kernel, strides, dilation
    ((8, 8), (3, 3), (1, 1), (1, 1)),
    ((9, 7), (3, 3), (2, 2), (1, 1)),
    ((8, 8), (3, 3), (2, 2), (1, 1)),
    ((7, 10), (2, 4), (1, 1), (1, 1)),
    ((9, 9), (4, 2), (3, 3), (1, 1)),
    ((8, 5), (1, 1), (2, 2), (1, 1)),
    ((9, 8), (1, 5), (4, 4), (1, 1)),
    ((11, 9), (3, 2), (1, 1), (2, 3)),
    ((5, 5), (5, 4), (1, 1), (1, 1)),
]


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size, window, strides, dilation", CONVOLUTIONS)
def test_convolutions_equal_tensorflow(size, window, strides, dilation, padding):
    x = RNG.normal(size=(2, *size, 3))
    options = dict(strides=strides, padding=padding, dilation=dilation)
    kernel = RNG.normal(size=(*window, 3, 4))
    expected = tf.nn.conv2d(x, kernel, strides, padding.upper(), dilations=dilation)
    assert_allclose(dense_layers.conv2d(x, kernel, **options), expected, atol=1e-12)
    expected = tf.nn.depthwise_conv2d(x, kernel, (1, *strides, 1), padding.upper(), dilations=dilation)
    assert_allclose(dense_layers.depthwise_conv2d(x, kernel, **options), expected, atol=1e-12)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size, window, strides, dilation", CONVOLUTIONS)
def test_transposed_convolution_equals_tensorflow(size, window, strides, dilation, padding):
    kernel = RNG.normal(size=(*window, 4, 3))
    image = RNG.normal(size=(2, *size, 4))
    options = dict(strides=strides, padding=padding, dilation=dilation)
    forward = dense_layers.conv2d(image, kernel, **options)
    x = RNG.normal(size=forward.shape)
    out = dense_layers.conv2d_transpose(x, kernel, size, **options)
    assert np.sum(forward * x) == pytest.approx(np.sum(image * out))  # the adjoint, by definition
    if dilation == (1, 1):  # TensorFlow has no dilated transposed convolution on a CPU
        expected = tf.nn.conv2d_transpose(x, kernel, image.shape, strides, padding.upper())
        assert_allclose(out, expected, atol=1e-12)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("size, window, strides", [
    ((8, 8), (2, 2), (2, 2)), ((9, 7), (2, 2), (2, 2)), ((9, 8), (3, 3), (2, 2)), ((7, 7), (3, 2), (1, 3)),
])  # fmt: skip
def test_pooling_equals_tensorflow(size, window, strides, padding):
    x = RNG.normal(size=(2, *size, 3)) - 5.0  # negative: a zero of the padding would win a maximum
    expected = tf.nn.max_pool2d(x, window, strides, padding.upper())
    assert_allclose(dense_layers.max_pool(x, window, strides, padding), expected, atol=1e-12)
    expected = tf.nn.avg_pool2d(x, window, strides, padding.upper())
    assert_allclose(dense_layers.average_pool(x, window, strides, padding), expected, atol=1e-12)


# Layers and walks against Keras -------------------------------------------------------------------
LINEAR_LAYERS = {
    "conv_groups": lambda: layers.Conv2D(4, 3, groups=2, padding="same"),
    "conv_dilated": lambda: layers.Conv2D(3, (2, 3), dilation_rate=(2, 1), padding="same"),
    "conv_no_bias": lambda: layers.Conv2D(3, 2, strides=2, use_bias=False),
    "depthwise": lambda: layers.DepthwiseConv2D(3, strides=2, depth_multiplier=2, padding="same"),
    "separable": lambda: layers.SeparableConv2D(5, 3, strides=2, depth_multiplier=2, padding="same"),
    "separable_dilated": lambda: layers.SeparableConv2D(5, 2, dilation_rate=2),
    "transpose_same": lambda: layers.Conv2DTranspose(3, 3, strides=2, padding="same"),
    "transpose_valid": lambda: layers.Conv2DTranspose(3, 4, strides=(2, 3)),
    "transpose_small_kernel": lambda: layers.Conv2DTranspose(3, 2, strides=3),
    "transpose_padding_0": lambda: layers.Conv2DTranspose(3, 3, strides=2, padding="same", output_padding=0),
    "transpose_padding_1": lambda: layers.Conv2DTranspose(3, 4, strides=3, padding="valid", output_padding=1),
    "batch_norm": lambda: layers.BatchNormalization(),
    "batch_norm_plain": lambda: layers.BatchNormalization(scale=False, center=False, epsilon=0.1),
    "average_pool": lambda: layers.AveragePooling2D(3, strides=2, padding="same"),
    "global_pool": lambda: layers.GlobalAveragePooling2D(keepdims=True),
    "max_pool": lambda: layers.MaxPooling2D(2, padding="same"),
    "dense": lambda: layers.Dense(3),
    "reshape": lambda: layers.Reshape((-1, 4)),
    "zero_padding": lambda: layers.ZeroPadding2D(((1, 2), (0, 3))),
    "up_sampling": lambda: layers.UpSampling2D((2, 3)),
    "noise": lambda: layers.GaussianNoise(0.5),
}


@pytest.mark.parametrize("name", LINEAR_LAYERS)
def test_linear_layer_equals_keras(name):
    inputs = layers.Input((7, 6, 4))
    model = keras.Model(inputs, LINEAR_LAYERS[name]()(inputs))
    model.set_weights([RNG.uniform(0.2, 1.0, w.shape) for w in model.get_weights()])
    images = RNG.normal(size=(2, 7, 6, 4))
    expected = model(images.astype("float32"), training=False)
    assert_allclose(ref.activations(model, images, relu)[1], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", MODEL_NAMES)
def test_walk_equals_keras(models, name):
    model = models[name]
    images = example_images(model, 3)
    populations, output = ref.activations(model, images, relu)
    single = images.astype("float32")
    assert_allclose(output, model.predict(single, verbose=0), atol=1e-4)
    for layer, value in populations.items():
        expected = keras.Model(model.inputs[0], model.get_layer(layer).output)(single)
        assert_allclose(value, expected, atol=1e-4, rtol=1e-4)


def test_two_outputs_are_named():
    inputs = layers.Input((4,))
    hidden = layers.Dense(5, activation="relu", name="hidden")(inputs)
    outputs = [layers.Dense(2, name="a")(hidden), layers.Dense(3, activation="softmax", name="b")(hidden)]
    model = keras.Model(inputs, outputs)
    result = ref.simulate(model, np.ones((2, 4)), 5)
    assert {name: out.shape for name, out in result["output"].items()} == {"a": (2, 5, 2), "b": (2, 5, 3)}
    assert list(result["spikes"]) == ["hidden"]


# Networks -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", MODEL_NAMES)
def test_example_models_spike_everywhere(models, name):
    result = ref.simulate(models[name], example_images(models[name]), 60)
    for layer, spikes in result["spikes"].items():
        assert spikes.dtype == bool and spikes.shape == result["S"][layer].shape
        assert 0.005 < spikes.mean() < 0.4, layer


@pytest.mark.parametrize("name", ["plain_cnn", "resnet", "average_pooling", "concatenate", "depthwise"])
def test_network_approximates_the_artificial_one(models, name):
    """The ANN with the transfer function; softmax hides one number per image, so logits are centred."""
    model = models[name]
    images = example_images(model, 3)
    S = list(ref.simulate(model, images, 1000)["S"].values())[-1][:, 300:].mean(axis=1)
    logits = np.log(ref.activations(model, images, ref.transfer)[1])
    S, logits = (x - x.mean(axis=1, keepdims=True) for x in (S, logits))
    # coding noise was at most 2.7% of the range; with m_f 0.01, whose rates saturate, it is above 25%
    assert np.abs(S - logits).max() < 0.05 * np.ptp(logits)


def test_three_layers_against_a_loop():
    """A chain of single neurons, written out: the order of updates, the delay and the biases."""
    weights, bias = np.array([1.3, 0.9, 1.1]), 0.07
    model = dense_chain([1, 1, 1, 1])
    model.set_weights([w for weight in weights for w in (np.full((1, 1), weight), np.full(1, bias))])
    weights, bias = np.float64(np.float32(weights)), np.float64(np.float32(bias))  # as Keras holds them
    h, e, e_out, b = ref.spike_height(0.1), np.exp(-1 / 2.5), np.exp(-1 / 50), np.exp(-1 / 50)
    for schedule in ("synchronous", "pipelined"):
        result = ref.simulate(model, np.array([[0.8]]), 80, schedule=schedule)
        current, S_dyn, S_hat, theta_dyn, last = (np.zeros(3) for _ in range(5))
        for t in range(80):
            spikes = np.zeros(3)
            for k in range(3):
                source = last if schedule == "pipelined" else spikes
                current[k] = current[k] * b + (weights[k] * h * source[k - 1] if k else 0.0)
                drive = current[k] if k else weights[0] * 0.8
                decay = e if k < 2 else e_out
                S_dyn[k] = (1 - decay) * drive + decay * S_dyn[k]
                if k == 2:
                    break
                S_hat[k] *= b
                theta = 0.1 + theta_dyn[k]
                spikes[k] = S_dyn[k] + bias - S_hat[k] > theta / 2
                S_hat[k] += theta * spikes[k]
                theta_dyn[k] = (theta_dyn[k] + 0.1 * theta * spikes[k]) * np.exp(-1 / 15)
                assert result["spikes"][f"asn_{k + 1}"][0, t, 0] == spikes[k]
            assert result["output"][0, t, 0] == pytest.approx(S_dyn[2] + bias, abs=1e-12)
            last = spikes


def test_pipelined_delays_each_layer_by_one_step():
    # without biases, nothing happens before the first spike: every layer is the synchronous one, later
    model, image = dense_chain([4, 8, 8, 8, 3]), RNG.random((2, 4))
    fast = ref.simulate(model, image, 60)
    slow = ref.simulate(model, image, 60, schedule="pipelined")
    for delay, name in enumerate(fast["spikes"]):
        assert fast["spikes"][name].any()
        assert_array_equal(slow["spikes"][name][:, delay:], fast["spikes"][name][:, : 60 - delay])
    assert_allclose(slow["output"][:, 3:], fast["output"][:, :-3], atol=1e-12)
    replay = RNG.integers(-1, 2, (2, 60, 4))
    fast = ref.simulate(model, spikes=replay)["spikes"]["asn_1"]
    slow = ref.simulate(model, spikes=replay, schedule="pipelined")["spikes"]["asn_1"]
    assert_array_equal(slow[:, 1:], fast[:, :-1])


def test_onset_offset_and_background():
    model, image = dense_chain([4, 8, 3]), RNG.random((2, 4))
    early = ref.simulate(model, image, 50, offset=20)
    late = ref.simulate(model, image, 50, onset=10, offset=30)
    assert_array_equal(late["spikes"]["asn_1"][:, 10:], early["spikes"]["asn_1"][:, :-10])
    assert not late["spikes"]["asn_1"][:, :10].any()
    gray = ref.simulate(model, np.full_like(image, 0.5), 10)["output"]
    assert_array_equal(ref.simulate(model, image, 30, onset=10, background=0.5)["output"][:, :10], gray)


def test_images_do_not_influence_each_other(models):
    model = models["resnet"]
    images = example_images(model, 3)
    together = ref.simulate(model, images, 30)["output"]
    assert_allclose(together[1:2], ref.simulate(model, images[1:2], 30)["output"], atol=1e-12)


def test_parameters_per_neuron(models):
    model = models["plain_cnn"]
    images = example_images(model)
    shape = (2, *model.get_layer("asn_2").output.shape[1:])
    scalars = {"asn_2": {"gain": 1.2, "m_f": 0.2, "h": 0.3}}
    arrays = {"asn_2": {name: np.full(shape, value) for name, value in scalars["asn_2"].items()}}
    result = ref.simulate(model, images, 30, parameters=arrays)
    uniform = ref.simulate(model, images, 30, parameters=scalars)
    assert_allclose(result["output"], uniform["output"], atol=1e-12)
    arrays["asn_2"]["gain"][1] = 0.0  # only the bias is left in the second image
    muted = ref.simulate(model, images, 30, parameters=arrays)["S"]["asn_2"]
    assert_array_equal(muted[0], result["S"]["asn_2"][0])
    assert_array_equal(muted[1], np.broadcast_to(muted[1, 0], muted[1].shape))
    own = ref.simulate(model, images, 30, parameters={"asn_2": {"m_f": 0.2}})
    with_h = ref.simulate(model, images, 30, parameters={"asn_2": {"m_f": 0.2, "h": ref.spike_height(0.2)}})
    assert_array_equal(own["output"], with_h["output"])


def pooled_pair(pool_class, before):
    """The same network with the pooling after the first ASN, and before it."""

    def build(pool_first):
        x = inputs = layers.Input((9, 9, 2))
        x = layers.BatchNormalization(name="bn")(x)  # after it, the bias of conv_1 is smaller at the borders
        x = layers.Conv2D(4, 3, padding="same", name="conv_1")(x)
        pool, asn = pool_class(2, strides=2, padding="same", name="pool"), ASNTransfer(name="asn_1")
        x = asn(pool(x)) if pool_first else pool(asn(x))
        x = ASNTransfer(name="asn_2")(layers.Conv2D(4, 2, name="conv_2")(x))
        return keras.Model(inputs, layers.Dense(3, name="dense")(layers.Flatten(name="flatten")(x)))

    model = build(before)
    rng = np.random.default_rng(3)
    model.set_weights([rng.uniform(0.1, 0.5, w.shape) * rng.choice([-1, 1, 1], w.shape) if w.ndim > 1
                       else rng.uniform(0.2, 0.6, w.shape) for w in model.get_weights()])  # fmt: skip
    return model


@pytest.mark.parametrize("pool_class", [layers.MaxPooling2D, layers.AveragePooling2D])
def test_membrane_pooling_is_pooling_of_currents(pool_class):
    """S of a pooled population is the pooled S, whether Keras pools before or after the nonlinearity."""
    after, before = pooled_pair(pool_class, False), pooled_pair(pool_class, True)
    images = example_images(after)
    first = ref.simulate(after, images, 40, average_pooling="membrane")
    second = ref.simulate(before, images, 40, average_pooling="membrane")
    assert first["spikes"]["asn_1"].shape == (2, 40, 5, 5, 4)
    assert 0 < first["spikes"]["asn_2"].mean() < 1
    for name in ("asn_1", "asn_2"):
        assert_allclose(first["S"][name], second["S"][name], atol=1e-12)
        assert_array_equal(first["spikes"][name], second["spikes"][name])


def test_average_pooling_of_spikes(models):
    model = models["average_pooling"]
    images = example_images(model)
    spikes = ref.simulate(model, images, 20)["spikes"]["asn_1"]
    pooled = ref.simulate(model, images, 20, average_pooling="membrane")["spikes"]["asn_1"]
    assert spikes.shape[2:] == (9, 9, 4) and pooled.shape[2:] == (5, 5, 4)


# Integrate and fire -------------------------------------------------------------------------------
@pytest.mark.parametrize("schedule", ["synchronous", "pipelined"])
def test_integrate_and_fire_against_a_loop(schedule):
    model = dense_chain([3, 6, 5, 2], bias=0.125)
    w1, w2, w3 = (np.asarray(model.get_layer(n).kernel, "float64") for n in ("dense_1", "dense_2", "readout"))
    thresholds, leak, steps = {"asn_1": 0.8, "asn_2": 0.5}, 0.9, 50
    replay = RNG.integers(-1, 2, (1, steps, 3))
    options = dict(neuron="if", thresholds=thresholds, leak=leak, schedule=schedule)
    result = ref.simulate(model, spikes=replay, **options)
    v1, v2, v3, s1, s2, s0 = np.zeros(6), np.zeros(5), np.zeros(2), np.zeros(6), np.zeros(5), np.zeros(3)
    for t in range(steps):
        if schedule == "pipelined":  # everything from the step before
            v1 = leak * v1 + s0 @ w1 - 0.8 * s1 + 0.125
            v2 = leak * v2 + s1 @ w2 - 0.5 * s2 + 0.125
            v3 = v3 + s2 @ w3 + 0.125
            s0, s1, s2 = replay[0, t], v1 > 0.8, v2 > 0.5
        else:
            v1 = leak * v1 + replay[0, t] @ w1 - 0.8 * s1 + 0.125
            s1 = v1 > 0.8
            v2 = leak * v2 + s1 @ w2 - 0.5 * s2 + 0.125
            s2 = v2 > 0.5
            v3 = v3 + s2 @ w3 + 0.125
        assert_array_equal(result["spikes"]["asn_1"][0, t], s1)
        assert_array_equal(result["spikes"]["asn_2"][0, t], s2)
        assert_allclose(result["S"]["asn_2"][0, t], v2, atol=1e-12)
        assert_allclose(result["output"][0, t], v3, atol=1e-12)
    assert result["spikes"]["asn_2"].any()


# Refusals -----------------------------------------------------------------------------------------
def test_unknown_names_and_ambiguous_input(models):
    model = models["plain_cnn"]
    images = example_images(model)
    with pytest.raises(ValueError, match="asn_9"):
        ref.simulate(model, images, 2, parameters={"asn_9": {"gain": 1.0}})
    with pytest.raises(ValueError, match="either"):
        ref.simulate(model)
    with pytest.raises(ValueError, match="schedule"):
        ref.simulate(model, images, 2, schedule="parallel")
    with pytest.raises(ValueError, match="steps"):
        ref.simulate(model, spikes=np.zeros((1, 3, 9, 9, 2)), steps=4)
    with pytest.raises(NotImplementedError, match="max pooling"):
        ref.simulate(models["max_pooling_stem"], images, 2, neuron="if")


def test_pooled_membrane_with_a_second_reader_is_refused():
    inputs = layers.Input((4, 4, 1))
    asn = ASNTransfer(name="asn")(inputs)
    x = layers.Concatenate()([layers.MaxPooling2D(2)(asn), layers.AveragePooling2D(2)(asn)])
    with pytest.raises(NotImplementedError, match="asn"):
        ref.simulate(keras.Model(inputs, x), np.ones((1, 4, 4, 1)), 2)


def test_unknown_layer_is_refused():
    inputs = layers.Input((4, 4, 1))
    with pytest.raises(NotImplementedError, match="LayerNormalization"):
        ref.simulate(keras.Model(inputs, layers.LayerNormalization()(inputs)), np.ones((1, 4, 4, 1)), 2)
