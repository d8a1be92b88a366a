"""Reading model files: every format gives the same network, and everything else is refused by name."""

import io
import json
import os
import pickle
import zipfile

import h5py
import numpy as np
import pytest

from brainsnn.equations.transfer import transfer_function
from brainsnn.training import ModelFileError, load_model

keras = pytest.importorskip("keras")

IMAGES = np.random.default_rng(0).uniform(0, 1, (3, 6, 6, 2)).astype("float32")


# --- a network as Keras 2.2.4 wrote it --------------------------------------------------------------------------------


def initializer(name):
    # Keras 2.2.4's initializers carry keys that Keras 3 does not know
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
    """The network of legacy_config, written out."""

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
    """A model with nesting, an own dtype, and layers without weights, for the formats of Keras 3."""
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


@pytest.fixture(scope="module")
def modern():
    return modern_model()


# --- formats ----------------------------------------------------------------------------------------------------------


def test_keras_2_2_4_whole_model(tmp_path):
    model = load_model(write_legacy_model(tmp_path / "model.h5"))
    assert [layer.name for layer in model.layers] == [entry["name"] for entry in legacy_config()["layers"]]
    assert model.get_layer("asn_transfer_1").m_f == 0.2
    assert model.get_layer("asn_transfer_2").m_f == 0.1
    np.testing.assert_allclose(output(model), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)


def test_keras_2_2_4_json_and_weights(tmp_path):
    config = legacy_config()
    text = {"class_name": "Model", "config": config, "keras_version": "2.2.4", "backend": "tensorflow"}
    (tmp_path / "m.json").write_text(json.dumps(text))
    with h5py.File(tmp_path / "m.h5", "w") as file:
        write_legacy_weights(file, [entry["name"] for entry in config["layers"]], legacy_weights())
    model = load_model(str(tmp_path / "m.json"), weights=str(tmp_path / "m.h5"))
    np.testing.assert_allclose(output(model), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)
    whole = write_legacy_model(tmp_path / "whole.hdf5")
    np.testing.assert_array_equal(output(load_model(tmp_path / "m.json", weights=whole)), output(model))


@pytest.mark.parametrize("as_list", [True, False])
def test_keras_2_sequential(tmp_path, as_list):
    """Before 2.2.3 the configuration of a sequential model was a bare list; the first layer holds the shape."""
    first = conv("conv_a", "x", 3, activation="relu")
    first["config"]["batch_input_shape"] = [None, 6, 6, 2]
    layers = [
        first,
        layer("Flatten", "flat", []),
        layer("Dense", "out", [], units=2, activation="linear", use_bias=False),
    ]
    for entry in layers:
        del entry["inbound_nodes"], entry["name"]
    random = np.random.default_rng(3)
    weights = {
        "conv_a": {"kernel": random.normal(size=(3, 3, 2, 3)), "bias": random.normal(size=3)},
        "out": {"kernel": random.normal(size=(108, 2))},
    }
    config = layers if as_list else {"name": "sequential_1", "layers": layers}
    model = load_model(write_legacy_model(tmp_path / "s.h5", config, weights, "Sequential"))
    assert model.input_shape == (None, 6, 6, 2)
    np.testing.assert_allclose(model.get_layer("out").get_weights()[0], weights["out"]["kernel"], rtol=1e-6)
    assert output(model).shape == (3, 2)


def test_tf_keras_2_words(tmp_path):
    """What tf.keras 2.4 to 2.15 wrote differently: Functional, policies, modules, keys that Keras 3 dropped."""
    config = legacy_config()
    for entry in config["layers"]:
        entry |= {"module": "keras.layers", "registered_name": None}
        if entry["class_name"] == "ASNTransfer":
            entry["registered_name"] = "somebody>ASNTransfer"
        if entry["class_name"] == "Conv2D":
            entry["config"] |= {"groups": 1, "dtype": {"class_name": "Policy", "config": {"name": "float32"}}}
        if entry["class_name"] == "BatchNormalization":
            entry["config"] |= {"fused": True, "virtual_batch_size": None, "renorm": False}
    model = load_model(write_legacy_model(tmp_path / "m.h5", config, class_name="Functional"))
    np.testing.assert_allclose(output(model), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)


def test_chunked_layer_names(tmp_path):
    """Keras spreads attributes of more than 64 kB over name0, name1, ..."""
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        attrs = file["model_weights"].attrs
        names = list(attrs["layer_names"])
        del attrs["layer_names"]
        attrs["layer_names0"], attrs["layer_names1"] = names[:4], names[4:]
    np.testing.assert_allclose(output(load_model(path)), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)


def test_weights_in_order_if_names_differ(tmp_path):
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        group = file["model_weights"]
        group.attrs["layer_names"] = [
            bytes(name).replace(b"conv2d", b"convolution") for name in group.attrs["layer_names"]
        ]
        group.move("conv2d_1", "convolution_1")
        group.move("conv2d_2", "convolution_2")
    with pytest.warns(UserWarning, match="in order"):
        model = load_model(path)
    np.testing.assert_allclose(output(model), numpy_forward(IMAGES, legacy_weights()), atol=2e-6)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_keras_3_whole_model(tmp_path, modern, suffix):
    path = tmp_path / f"m{suffix}"
    modern.save(path)
    loaded = load_model(path)
    assert [layer.name for layer in loaded.layers] == [layer.name for layer in modern.layers]
    np.testing.assert_array_equal(output(loaded), output(modern))
    assert not getattr(loaded, "compiled", False)


def test_keras_3_json_and_weights(tmp_path, modern):
    (tmp_path / "m.json").write_text(modern.to_json())
    modern.save_weights(tmp_path / "m.weights.h5")
    loaded = load_model(tmp_path / "m.json", weights=tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(output(loaded), output(modern))


def test_keras_3_without_layer_names_in_the_weights(tmp_path, modern):
    """Early Keras 3 wrote no names beside the weights: the numbering by class decides."""
    modern.save_weights(tmp_path / "m.weights.h5")
    (tmp_path / "m.json").write_text(modern.to_json())

    def strip(name, item):
        if "name" in item.attrs:
            del item.attrs["name"]

    with h5py.File(tmp_path / "m.weights.h5", "a") as file:
        file.visititems(strip)
    loaded = load_model(tmp_path / "m.json", weights=tmp_path / "m.weights.h5")
    np.testing.assert_array_equal(output(loaded), output(modern))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_frozen_layers_keep_the_order_of_their_weights(tmp_path, suffix):
    """The four weights of a batch norm have one shape: a swap would pass all other checks."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.BatchNormalization(trainable=False, name="bn")])
    values = [np.full(4, k, "float32") for k in (1, 2, 3, 4)]
    model.set_weights(values)
    model.save(tmp_path / f"m{suffix}")
    loaded = load_model(tmp_path / f"m{suffix}")
    np.testing.assert_array_equal(loaded.get_layer("bn").get_weights(), values)
    assert not loaded.get_layer("bn").trainable


def test_batch_size_is_left_open(tmp_path):
    model = keras.Sequential([keras.Input((4,), batch_size=8), keras.layers.Dense(2)])
    model.save(tmp_path / "m.keras")
    assert load_model(tmp_path / "m.keras").input_shape == (None, 4)


def test_layer_called_twice(tmp_path):
    inputs = keras.Input((3,))
    dense = keras.layers.Dense(3, name="shared")
    model = keras.Model(inputs, keras.layers.Add()([dense(inputs), dense(dense(inputs))]))
    model.save(tmp_path / "m.keras")
    x = np.ones((2, 3), "float32")
    np.testing.assert_array_equal(output(load_model(tmp_path / "m.keras"), x), output(model, x))


# --- refusals ---------------------------------------------------------------------------------------------------------


def refused(match, *arguments, **keywords):
    with pytest.raises(ModelFileError, match=match) as caught:
        load_model(*arguments, **keywords)
    assert isinstance(caught.value, ValueError)
    assert "load_model" in str(caught.value)


def test_no_such_file(tmp_path):
    write_legacy_model(tmp_path / "digits.h5")
    refused("Did you mean 'digits.h5'", tmp_path / "digit.h5")
    refused("no file", tmp_path / "nowhere" / "m.keras")
    refused("must be the path", 3)


@pytest.mark.parametrize("name", ["m.keras", "m.h5", "m.json"])
def test_empty_and_nonsense(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    refused("empty", tmp_path / name)
    (tmp_path / name).write_bytes(b"nothing of the kind" * 10)
    refused("no Keras model", tmp_path / name)


def test_pickle_is_not_opened(tmp_path):
    class Bomb:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "executed"),)

    (tmp_path / "m.h5").write_bytes(pickle.dumps(Bomb()))
    refused("pickle", tmp_path / "m.h5")
    (tmp_path / "m.pkl").write_bytes(pickle.dumps(Bomb()))
    refused("ends in '.pkl'", tmp_path / "m.pkl")
    assert not (tmp_path / "executed").exists()


def test_directories(tmp_path):
    refused("a directory", tmp_path)
    (tmp_path / "saved_model.pb").write_bytes(b"x")
    refused("SavedModel", tmp_path)


def test_name_against_content(tmp_path, modern):
    os.rename(write_legacy_model(tmp_path / "m.h5"), tmp_path / "m.keras")
    refused("rename it to 'm.h5'", tmp_path / "m.keras")
    modern.save(tmp_path / "n.keras")
    os.rename(tmp_path / "n.keras", tmp_path / "n.h5")
    refused("rename it to 'n.keras'", tmp_path / "n.h5")
    (tmp_path / "m.onnx").write_bytes(b"x")
    refused("ends in '.onnx'", tmp_path / "m.onnx")


def test_truncated(tmp_path, modern):
    modern.save(tmp_path / "m.keras")
    write_legacy_model(tmp_path / "m.h5")
    for name in ("m.keras", "m.h5"):
        data = (tmp_path / name).read_bytes()
        for share in (0.02, 0.5, 0.99):
            (tmp_path / f"cut_{name}").write_bytes(data[: int(share * len(data))])
            refused("truncated or damaged", tmp_path / f"cut_{name}")
    (tmp_path / "m.json").write_text(modern.to_json()[:-20])
    refused("not valid JSON", tmp_path / "m.json", weights=tmp_path / "m.h5")


def test_zip_and_hdf5_that_are_no_models(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
        archive.writestr("readme.txt", "hello")
    refused("no config.json", tmp_path / "m.keras")
    with h5py.File(tmp_path / "m.h5", "w") as file:
        file["x"] = 1
    refused("holds no Keras model", tmp_path / "m.h5")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        write_legacy_weights(file, ["conv2d_1"], legacy_weights())
    refused("weights but no model", tmp_path / "w.h5")
    (tmp_path / "m.json").write_text("[1, 2]")
    refused("not the JSON of a Keras model", tmp_path / "m.json", weights=tmp_path / "w.h5")
    (tmp_path / "m.json").write_text('{"class_name": "MyModel", "config": {}}')
    refused("'MyModel'", tmp_path / "m.json", weights=tmp_path / "w.h5")


def test_json_and_weights_belong_together(tmp_path, modern):
    (tmp_path / "m.json").write_text(modern.to_json())
    refused("holds no weights", tmp_path / "m.json")
    refused("no file", tmp_path / "m.json", weights=tmp_path / "w.h5")
    modern.save(tmp_path / "m.keras")
    refused("must be an HDF5 file", tmp_path / "m.json", weights=tmp_path / "m.keras")
    refused("holds its own weights", tmp_path / "m.keras", weights=tmp_path / "w.h5")


def edited(tmp_path, change):
    config = legacy_config()
    change({entry["name"]: entry for entry in config["layers"]}, config)
    return write_legacy_model(tmp_path / "m.h5", config)


def test_lambda_and_custom_layers_are_refused_by_name(tmp_path):
    def lambda_layer(layers, config):
        layers["leaky_1"] |= {"class_name": "Lambda"}
        layers["leaky_1"]["config"]["function"] = ["4wEAAAA=", None, None]

    refused("'leaky_1'.*'Lambda'", edited(tmp_path, lambda_layer))
    refused("'leaky_1'.*'Swirl'", edited(tmp_path, lambda layers, config: layers["leaky_1"].update(class_name="Swirl")))
    shadow = {"class_name": "Dense", "module": "os", "registered_name": "evil>Dense"}
    refused("'dense_1'.*'evil>Dense'", edited(tmp_path, lambda layers, config: layers["dense_1"].update(shadow)))
    custom = {"module": "evil", "class_name": "function", "config": "boom", "registered_name": "boom"}
    for value in (custom, "boom"):
        refused(
            "'conv2d_1'.*'boom'",
            edited(tmp_path, lambda layers, config, v=value: layers["conv2d_1"]["config"].update(activation=v)),
        )


def test_keras_3_lambda_is_refused(tmp_path):
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1, output_shape=(3,), name="plus")(inputs))
    model.save(tmp_path / "m.keras")
    refused("'plus'.*'Lambda'", tmp_path / "m.keras")


def test_damaged_configurations(tmp_path):
    def set_config(name, **values):
        return lambda layers, config: layers[name]["config"].update(values)

    refused("'conv2d_1'.*swirl", edited(tmp_path, set_config("conv2d_1", swirl=3)))
    refused("'conv2d_1'.*hard_sigmoid", edited(tmp_path, set_config("conv2d_1", activation="hard_sigmoid")))
    refused("'bn_1'.*renormalization", edited(tmp_path, set_config("bn_1", renorm=True)))
    refused("'conv2d_1'.*float8", edited(tmp_path, set_config("conv2d_1", dtype="float8")))
    refused("'asn_transfer_1'.*m_f", edited(tmp_path, set_config("asn_transfer_1", m_f=-1)))
    refused("'conv2d_1'.*cannot be built", edited(tmp_path, set_config("conv2d_1", filters=-1)))
    refused("damaged", edited(tmp_path, lambda layers, config: config.pop("output_layers")))
    refused(
        "outputs are not among", edited(tmp_path, lambda layers, config: config.update(output_layers=[["no", 0, 0]]))
    )
    refused("'add_1'.*not in the model", edited(tmp_path, lambda layers, config: config["layers"].pop(4)))
    refused(
        "two layers of that name", edited(tmp_path, lambda layers, config: layers["conv2d_2"].update(name="conv2d_1"))
    )
    call = [[["conv2d_1", 0, 0, {"training": True}]]]
    refused("'bn_1'.*training=True", edited(tmp_path, lambda layers, config: layers["bn_1"].update(inbound_nodes=call)))


def test_unknown_asn_arguments_are_reported(tmp_path):
    path = edited(tmp_path, lambda layers, config: layers["asn_transfer_1"]["config"].update(h=0.5))
    with pytest.warns(UserWarning, match="'asn_transfer_1'.*h"):
        load_model(path)


def with_weights(tmp_path, change):
    weights = legacy_weights()
    change(weights)
    return write_legacy_model(tmp_path / "m.h5", weights=weights)


def test_weights_that_do_not_fit(tmp_path):
    wrong = np.zeros((3, 3, 2, 5), "float32")
    refused(
        r"'conv2d_1'.*'kernel'.*\(3, 3, 2, 5\).*\(3, 3, 2, 4\)",
        with_weights(tmp_path, lambda w: w["conv2d_1"].update(kernel=wrong)),
    )
    refused("no weights for the layers .'dense_1'", with_weights(tmp_path, lambda w: w.pop("dense_1")))
    refused("'dense_1'.*2 weights, the file has 1", with_weights(tmp_path, lambda w: w["dense_1"].pop("bias")))

    def poison(weights):
        weights["bn_2"]["gamma"][1:3] = np.nan, np.inf

    refused("'bn_2'.*'gamma' has 2 of 4", with_weights(tmp_path, poison))
    refused("'dense_1'.*floating", with_weights(tmp_path, lambda w: w["dense_1"].update(bias=np.zeros(3, int))))
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights"]
    refused("no weights", path)
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        del file["model_weights/dense_1/dense_1/bias:0"]
    refused("has no 'dense_1/bias:0'", path)
    with h5py.File(path, "a") as file:
        file["model_weights"].attrs["backend"] = b"theano"
    refused("Theano", path)


def test_keras_3_weights_that_do_not_fit(tmp_path, modern):
    def archive_with(change):
        modern.save(tmp_path / "m.keras")
        with zipfile.ZipFile(tmp_path / "m.keras") as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        buffer = io.BytesIO(parts["model.weights.h5"])
        with h5py.File(buffer, "a") as file:
            change(file)
        parts["model.weights.h5"] = buffer.getvalue()
        with zipfile.ZipFile(tmp_path / "m.keras", "w") as archive:
            for name, data in parts.items():
                archive.writestr(name, data)
        return tmp_path / "m.keras"

    def replace(path, value):
        def change(file):
            del file[path]
            file[path] = value

        return change

    wrong = np.zeros((7, 5), "float64")
    bias = "layers/sequential/layers/dense/vars/1"
    refused(r"'dense'.*'kernel'.*\(7, 5\)", archive_with(replace("layers/dense/vars/0", wrong)))
    refused("NaN", archive_with(replace(bias, np.full(4, np.nan, "float32"))))
    refused("weights", archive_with(lambda file: file.__delitem__(bias)))
    refused("'separable'", archive_with(lambda file: file.__delitem__("layers/separable_conv2d")))


def test_links_to_other_files_are_refused(tmp_path):
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["x"] = np.zeros(3, "float32")
    path = write_legacy_model(tmp_path / "m.h5")
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense_1/dense_1"]
        del group["bias:0"]
        group["bias:0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "x")
    refused("link to another place", path)
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense_1/dense_1"]
        del group["bias:0"]
        (tmp_path / "raw").write_bytes(b"\0" * 12)
        group.create_dataset("bias:0", (3,), "float32", external=[(str(tmp_path / "raw"), 0, 12)])
    refused("in another file", path)
