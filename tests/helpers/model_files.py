"""Model files for the tests of load_model: a network as Keras 2.2.4 wrote it, and a model for the formats of Keras 3."""

import json

import h5py
import numpy as np
import pytest

from brainsnn.equations.transfer import transfer_function

keras = pytest.importorskip("keras")

__all__ = [
    "IMAGES", "batch_norm", "conv", "initializer", "layer", "legacy_config", "legacy_weights", "modern_model",
    "numpy_forward", "output", "write_legacy_model", "write_legacy_weights",
]  # fmt: skip

IMAGES = np.random.default_rng(0).uniform(0, 1, (3, 6, 6, 2)).astype("float32")


def initializer(name):
    # Initializers of Keras 2.2.4 have keys that Keras 3 does not know.
    return {
        "class_name": "VarianceScaling",
        "config": {"scale": 1.0, "mode": "fan_avg", "distribution": name, "seed": None},
    }


def layer(class_name, name, inputs, **config):
    entry = {"class_name": class_name, "name": name, "config": {"name": name, "trainable": True, **config}}
    entry["inbound_nodes"] = [[[source, 0, 0, {}] for source in inputs]] if inputs else []
    return entry


def conv(name, source, filters, activation="linear"):
    return layer(
        "Conv2D",
        name,
        [source],
        filters=filters,
        kernel_size=[3, 3],
        strides=[1, 1],
        padding="same",
        data_format="channels_last",
        dilation_rate=[1, 1],
        activation=activation,
        use_bias=True,
        kernel_initializer=initializer("uniform"),
        bias_initializer={"class_name": "Zeros", "config": {}},
        kernel_regularizer={"class_name": "L1L2", "config": {"l1": 0.0, "l2": 1e-4}},
        bias_regularizer=None,
        activity_regularizer=None,
        kernel_constraint=None,
        bias_constraint=None,
    )


def batch_norm(name, source, axis):
    return layer("BatchNormalization", name, [source], axis=axis, momentum=0.99, epsilon=0.001, center=True, scale=True)


def legacy_config():
    """A residual block with ASNTransfer layers, with and without their arguments."""
    return {
        "name": "model_1",
        "layers": [
            layer("InputLayer", "input_1", [], batch_input_shape=[None, 6, 6, 2], dtype="float32", sparse=False),
            conv("conv2d_1", "input_1", 4),
            batch_norm("bn_1", "conv2d_1", -1),
            layer("ASNTransfer", "asn_transfer_1", ["bn_1"], m_f=0.2, threshold=0.0),
            conv("conv2d_2", "asn_transfer_1", 4),
            layer("Add", "add_1", ["conv2d_2", "conv2d_1"]),
            batch_norm("bn_2", "add_1", [3]),
            layer("ASNTransfer", "asn_transfer_2", ["bn_2"]),
            layer("LeakyReLU", "leaky_1", ["asn_transfer_2"], alpha={"type": "ndarray", "value": 0.3}),
            layer("Flatten", "flatten_1", ["leaky_1"], data_format="channels_last"),
            layer("Dense", "dense_1", ["flatten_1"], units=3, activation="softmax", use_bias=True),
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["dense_1", 0, 0]],
    }


def legacy_weights():
    random = np.random.default_rng(1)

    def draw(*shape):
        return random.normal(0, 0.3, shape).astype("float32")

    def norm():
        return {"gamma": 1 + draw(4), "beta": draw(4), "moving_mean": draw(4), "moving_variance": 1 + draw(4) ** 2}

    return {
        "conv2d_1": {"kernel": draw(3, 3, 2, 4), "bias": draw(4)},
        "bn_1": norm(),
        "conv2d_2": {"kernel": draw(3, 3, 4, 4), "bias": draw(4)},
        "bn_2": norm(),
        "dense_1": {"kernel": draw(144, 3), "bias": draw(3)},
    }


def write_legacy_weights(group, layer_names, weights):
    group.attrs["layer_names"] = np.array([name.encode() for name in layer_names])  # bytes of fixed length
    group.attrs["backend"] = b"tensorflow"
    group.attrs["keras_version"] = b"2.2.4"
    for name in layer_names:
        layer_group = group.create_group(name)
        values = weights.get(name, {})
        layer_group.attrs["weight_names"] = np.array([f"{name}/{key}:0".encode() for key in values])
        for key, value in values.items():
            layer_group.create_dataset(f"{name}/{key}:0", data=value)


def write_legacy_model(path, config=None, weights=None, class_name="Model"):
    """A file in the layout of model.save in Keras 2.2.4, with its optimizer."""
    config = legacy_config() if config is None else config
    weights = legacy_weights() if weights is None else weights
    layers = config if isinstance(config, list) else config["layers"]
    with h5py.File(path, "w") as file:
        file.attrs["keras_version"] = b"2.2.4"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps({"class_name": class_name, "config": config}).encode()
        optimizer = {"optimizer_config": {"class_name": "Adam", "config": {"lr": 0.001}}, "loss": "my_own_loss"}
        file.attrs["training_config"] = json.dumps(optimizer).encode()
        write_legacy_weights(file.create_group("model_weights"), [entry["config"]["name"] for entry in layers], weights)
        file.create_group("optimizer_weights")
    return path


def numpy_forward(images, weights):
    """Evaluate the network of legacy_config in numpy."""

    def convolve(x, name):
        padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
        kernel = weights[name]["kernel"]
        size = x.shape[1]
        terms = [padded[:, r : r + size, c : c + size] @ kernel[r, c] for r in range(3) for c in range(3)]
        return sum(terms) + weights[name]["bias"]

    def normalise(x, name):
        w = weights[name]
        return w["gamma"] * (x - w["moving_mean"]) / np.sqrt(w["moving_variance"] + 0.001) + w["beta"]

    stream = convolve(images, "conv2d_1")
    x = transfer_function(normalise(stream, "bn_1"), 0.2)
    x = convolve(x, "conv2d_2") + stream
    x = transfer_function(normalise(x, "bn_2"), 0.1)
    logits = x.reshape(len(x), -1) @ weights["dense_1"]["kernel"] + weights["dense_1"]["bias"]
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def output(model, images=IMAGES):
    return np.asarray(model(images, training=False))


def modern_model():
    """Build a model with a nested model, a layer of another dtype, and layers without weights."""
    from keras import layers

    from brainsnn.training import ASNTransfer

    inputs = keras.Input((6, 6, 2))
    x = layers.SeparableConv2D(4, 3, name="separable")(inputs)
    x = ASNTransfer(0.3, name="asn")(layers.BatchNormalization(name="bn")(x))
    y = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(layers.Dropout(0.5)(x))
    x = layers.Concatenate()([x, layers.ZeroPadding2D(((1, 1), (0, 2)))(layers.Cropping2D(((1, 1), (0, 2)))(y))])
    x = layers.Conv2DTranspose(3, 2, strides=2, activation="relu", name="up")(x)
    x = layers.Conv2D(3, 3, name="other_b")(layers.Conv2D(3, 3, name="other_a")(x))
    x = layers.Dense(5, dtype="float64", name="dense")(layers.Reshape((-1,))(x))
    head = keras.Sequential([keras.Input((5,)), layers.Dense(4, activation="tanh"), layers.Dense(3)], name="head")
    model = keras.Model(inputs, layers.Softmax()(head(x)))
    random = np.random.default_rng(2)
    model.set_weights([random.uniform(0.1, 0.9, w.shape) for w in model.get_weights()])
    return model
