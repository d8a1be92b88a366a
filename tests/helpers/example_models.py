"""Small Keras models with seeded random weights, for comparing brainsnn with the dense reference.

Every model has nonzero biases and batch norms away from the identity, and is scaled so that each of its
layers spikes at a reasonable rate for `example_images`. Beside them a neuron model with real units.
"""

import keras
import numpy as np
from brian2 import ms, mV, pA
from keras import layers

import brainsnn as bs

__all__ = [
    "example_models",
    "example_images",
    "current_based_lif",
    "growing_lif",
    "randomise",
    "spiking_names",
    "MODEL_NAMES",
]

MODEL_NAMES = [
    "plain_cnn", "sequential_relu", "resnet", "max_pooling", "max_pooling_border", "max_pooling_stem",
    "average_pooling", "depthwise", "concatenate", "generator",
]  # fmt: skip


def spiking_names(model):
    """Names of a model's spiking populations, in the order of the graph."""
    return [p.name for p in bs.read_keras(model).populations.values() if p.kind == "spiking"]


def example_images(model, n_images=2, seed=0):
    """Images (n, H, W, C) in 0-1: a bright blob over noise, elsewhere in each image."""
    rng = np.random.default_rng(seed)
    shape = tuple(model.input_shape[1:])
    rows, cols = np.meshgrid(*(np.linspace(0, 1, size) for size in shape[:2]), indexing="ij")
    images = 0.4 * rng.random((n_images,) + shape)
    for image in images:
        row, col = rng.random(2)
        image += 0.6 * np.exp(-((rows - row) ** 2 + (cols - col) ** 2) / 0.08)[..., None]
    return images


def _evaluate(model, tensor, images):
    """Value of one tensor of a model with one input."""
    return keras.ops.convert_to_numpy(keras.Model(model.inputs[0], tensor)(images, training=False))


def randomise(model, seed=0):
    """Fill a model with random weights that keep the sd of every layer's output near 0.7.

    Layer by layer: random kernel and bias, then the kernel is scaled by the sd of the layer's output over a
    few images; the moving statistics of batch norms are those of their input, perturbed.
    """
    rng = np.random.default_rng(seed)
    images = example_images(model, 16, seed + 1).astype("float32")
    for layer in model.layers:
        if not layer.weights:
            continue
        if isinstance(layer, layers.BatchNormalization):
            incoming = _evaluate(model, layer.input, images)
            axes, channels = tuple(range(incoming.ndim - 1)), incoming.shape[-1]
            mean, variance = incoming.mean(axis=axes), incoming.var(axis=axes)
            layer.set_weights([
                rng.uniform(0.6, 1.0, channels), rng.normal(0.3, 0.2, channels),
                mean + 0.3 * np.sqrt(variance) * rng.normal(size=channels),
                variance * rng.uniform(0.7, 1.4, channels),
            ])  # fmt: skip
            continue
        weights = [rng.normal(size=w.shape) / np.sqrt(np.prod(w.shape[:-1])) for w in layer.weights]
        weights[-1] = rng.normal(0.2, 0.15, layer.weights[-1].shape)
        layer.set_weights([*weights[:-1], 0 * weights[-1]])
        outgoing = _evaluate(model, layer.output, images)
        layer.set_weights([weights[0] * 0.7 / max(outgoing.std(), 0.01), *weights[1:]])  # 0 after silent layers
    return model


def _plain_cnn(asn):
    x = inputs = layers.Input((9, 9, 2))
    x = asn(name="asn_1")(layers.Conv2D(4, 3, padding="same", name="conv_1")(x))
    x = layers.Conv2D(5, 3, strides=2, padding="same", name="conv_2")(x)
    x = asn(name="asn_2")(layers.BatchNormalization(name="bn_2")(x))
    x = layers.Dropout(0.3, name="dropout")(x)
    x = asn(name="asn_3")(layers.Conv2D(6, (2, 3), name="conv_3")(x))
    x = layers.Flatten(name="flatten")(x)
    x = asn(name="asn_4")(layers.Dense(12, name="dense_1")(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="dense_2")(x))


def _sequential_relu(asn):
    return keras.Sequential([
        layers.Input((8, 8, 1)),
        layers.Conv2D(4, 4, padding="same", activation="relu", name="conv_1"),
        layers.ZeroPadding2D(((1, 0), (0, 2)), name="padding"),
        layers.Conv2D(4, 3, strides=2, dilation_rate=1, name="conv_2"),
        layers.ReLU(name="relu_2"),
        layers.Conv2D(6, 2, dilation_rate=2, padding="same", name="conv_3"),
        layers.Activation("relu", name="relu_3"),
        layers.Reshape((-1,), name="reshape"),
        layers.Dense(10, activation="relu", name="dense_1"),
        layers.Dense(4, name="dense_2"),
        layers.Activation("sigmoid", name="sigmoid"),
    ])  # fmt: skip


def _residual_block(x, asn, channels, strides, name):
    """Pre-activation block; the shortcut is the stream itself, or a strided 1x1 convolution of it."""
    shortcut = x
    if strides > 1:
        shortcut = layers.Conv2D(channels, 1, strides=strides, name=f"{name}_shortcut")(x)
    x = asn(name=f"{name}_asn_1")(layers.BatchNormalization(name=f"{name}_bn_1")(x))
    x = layers.Conv2D(channels, 3, strides=strides, padding="same", name=f"{name}_conv_1")(x)
    x = asn(name=f"{name}_asn_2")(layers.BatchNormalization(name=f"{name}_bn_2")(x))
    x = layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv_2")(x)
    return layers.Add(name=f"{name}_add")([shortcut, x])


def _resnet(asn):
    x = inputs = layers.Input((8, 8, 2))
    x = asn(name="encoder_asn")(layers.BatchNormalization(name="encoder_bn")(x))
    x = layers.Conv2D(4, 3, padding="same", name="stem")(x)
    for stage, channels in enumerate((4, 6)):
        for block in range(2):
            strides = 2 if stage > 0 and block == 0 else 1
            x = _residual_block(x, asn, channels, strides, f"block_{stage + 1}{block + 1}")
    x = asn(name="final_asn")(layers.BatchNormalization(name="final_bn")(x))
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="dense")(x))


def _max_pooling(asn):
    x = inputs = layers.Input((9, 9, 2))
    x = asn(name="asn_1")(layers.Conv2D(4, 3, padding="same", name="conv_1")(x))
    x = layers.MaxPooling2D(2, padding="same", name="pool_1")(x)
    x = layers.BatchNormalization(name="bn_2")(layers.Conv2D(5, 3, padding="same", name="conv_2")(x))
    x = layers.MaxPooling2D(3, strides=2, name="pool_2")(asn(name="asn_2")(x))
    return keras.Model(inputs, layers.Dense(5, name="dense")(layers.Flatten(name="flatten")(x)))


def _max_pooling_border(asn):
    """Behind padding the first batch norm's bias is less at the borders: add it before the maximum."""
    x = inputs = layers.Input((8, 8, 2))
    x = layers.BatchNormalization(name="bn_1")(x)
    x = asn(name="asn_1")(layers.Conv2D(4, 3, padding="same", name="conv_1")(x))
    x = layers.MaxPooling2D(2, name="pool_1")(x)
    x = layers.BatchNormalization(name="bn_2")(x)
    x = layers.Conv2D(5, 3, padding="same", name="conv_2")(x)
    x = layers.MaxPooling2D(2, name="pool_2")(x)
    x = asn(name="asn_2")(layers.BatchNormalization(name="bn_3")(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="dense")(layers.Flatten()(x)))


def _max_pooling_stem(asn):
    x = inputs = layers.Input((9, 9, 2))
    x = layers.Conv2D(4, 3, padding="same", name="conv_1")(x)
    x = layers.MaxPooling2D(3, strides=2, padding="same", name="pool_1")(x)
    x = asn(name="asn_1")(layers.BatchNormalization(name="bn_1")(x))
    x = layers.Conv2D(5, 3, padding="same", name="conv_2")(x)
    x = layers.MaxPooling2D(2, padding="same", name="pool_2")(x)
    x = asn(name="asn_2")(layers.BatchNormalization(name="bn_2")(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="dense")(layers.Flatten()(x)))


def _average_pooling(asn):
    x = inputs = layers.Input((9, 9, 2))
    x = asn(name="asn_1")(layers.Conv2D(4, 3, padding="same", name="conv_1")(x))
    x = layers.AveragePooling2D(2, padding="same", name="pool_1")(x)
    x = layers.Conv2D(5, 3, padding="same", name="conv_2")(x)
    x = asn(name="asn_2")(layers.BatchNormalization(name="bn_2")(x))
    x = layers.AveragePooling2D((2, 3), strides=(2, 1), name="pool_2")(x)
    x = asn(name="asn_3")(layers.Conv2D(6, 2, name="conv_3")(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="dense")(layers.Flatten()(x)))


def _depthwise(asn):
    x = inputs = layers.Input((9, 9, 2))
    x = layers.DepthwiseConv2D(3, strides=2, padding="same", depth_multiplier=3, name="depthwise")(x)
    x = asn(name="asn_1")(layers.BatchNormalization(name="bn_1")(x))
    x = asn(name="asn_2")(layers.SeparableConv2D(5, 3, padding="same", name="separable")(x))
    x = asn(name="asn_3")(layers.DepthwiseConv2D(2, name="depthwise_2")(x))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="dense")(layers.Flatten()(x)))


def _concatenate(asn):
    """Branches that meet by concatenation and by subtraction; asn_3 gets both the stimulus and spikes."""
    x = inputs = layers.Input((8, 8, 2))
    x = asn(name="asn_1")(layers.Conv2D(3, 3, padding="same", name="conv_1")(x))
    y = asn(name="asn_2")(layers.Conv2D(3, 5, padding="same", name="conv_2")(inputs))
    x = layers.Concatenate(name="concatenate_1")([x, inputs, layers.Subtract(name="subtract")([x, y])])
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv_3")(x)
    x = asn(name="asn_3")(layers.BatchNormalization(name="bn_3")(x))
    y = layers.Conv2D(2, 2, strides=2, name="conv_4")(y)
    x = asn(name="asn_4")(layers.Concatenate(name="concatenate_2")([x, y]))
    return keras.Model(inputs, layers.Dense(5, activation="softmax", name="dense")(layers.Flatten()(x)))


def _generator(asn):
    x = inputs = layers.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="conv_1")(x)
    x = layers.Flatten(name="flatten")(asn(name="asn_1")(x))
    x = asn(name="asn_2")(layers.Dense(2 * 2 * 6, name="dense_1")(x))
    x = layers.Reshape((2, 2, 6), name="reshape")(x)
    x = layers.Conv2DTranspose(5, 3, strides=2, padding="same", name="transpose_1")(x)
    x = asn(name="asn_3")(layers.BatchNormalization(name="bn_3")(x))
    x = layers.UpSampling2D(2, name="upsampling")(x)
    x = asn(name="asn_4")(layers.Conv2DTranspose(4, 3, padding="same", name="transpose_2")(x))
    x = asn(name="asn_5")(layers.Conv2DTranspose(3, 2, strides=2, name="transpose_3")(x))
    x = layers.Conv2DTranspose(1, 3, padding="same", activation="sigmoid", name="pixels")(x)
    return keras.Model(inputs, x)


def example_models(asn_layer_class, names=MODEL_NAMES):
    """Dict name -> Keras model, with nonlinearities of the given class (called with a name only)."""
    makers = {name: globals()[f"_{name}"] for name in names}
    return {name: randomise(make(asn_layer_class), MODEL_NAMES.index(name)) for name, make in makers.items()}


def current_based_lif():
    """A neuron model of one's own with real units: leaky integrate-and-fire, with a readout that smooths its current."""
    return bs.NeuronModel(
        name="current-based LIF",
        equations="""
            dv/dt = (-v + I/(10*nS) + bias/(10*nS))/tau_m : volt
            dI/dt = -I/tau_s : amp
            h : amp
            bias : amp
        """,
        threshold="v > 10*mV", reset="v -= 10*mV",
        parameters={"tau_m": 20 * ms, "tau_s": 5 * ms, "h": 400 * pA}, input_unit=100 * pA, initial={"v": -5 * mV},
        readout=bs.NeuronModel(
            name="readout",
            equations="dI/dt = -I/tau_s : amp\ndS/dt = (I - S)/(50*ms) : amp\nbias : amp",
            parameters={"tau_s": 5 * ms}, spike_height=None,
        ),
    )  # fmt: skip


def growing_lif():
    """A neuron whose membrane grows without bound if it ever gets a positive input, and then never spikes."""
    plain = bs.LIF(tau_m=20 * ms)
    growing = plain.replace("dv/dt = (I - v)/tau_m : 1", "dv/dt = (I - v + 1e30*v**3)/tau_m : 1")
    return growing.edit(method="euler", threshold="S > v_th and v < 10", readout=plain.readout)
