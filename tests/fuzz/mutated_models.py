"""Small Keras models that look like others than they are: each is refused, or loaded and read as what it is."""

import numpy as np
from model_values import close, layer_values
from random_layers import L, keras

__all__ = ["MUTATIONS", "shifted_weights"]

#: Classes that a class of another package may be named like, with arguments for one that inherits from Keras's.
NAMES = {
    "Identity": {}, "Dropout": {"rate": 0.5}, "GaussianNoise": {"stddev": 0.5}, "Dense": {"units": 3}, "ReLU": {},
    "BatchNormalization": {}, "Flatten": {}, "Rescaling": {"scale": 0.5}, "Activation": {"activation": "relu"},
    "SpatialDropout2D": {"rate": 0.5}, "MaxPooling2D": {}, "GlobalAveragePooling2D": {}, "ZeroPadding2D": {},
    "Softmax": {}, "ActivityRegularization": {}, "Layer": {}, "InputLayer": None, "Functional": None, "Sequential": None,
}  # fmt: skip
#: Modules of such a class. Keras writes none for one of a script.
MODULES = ("mine", "keras_mine", "__main__")


def _model(middle, shape=(4, 4, 2), first=None):
    """Return a model with something between a convolution and a readout."""
    pixels = keras.Input(shape)
    x = middle((first or L.Conv2D(2, 3, padding="same", activation="relu"))(pixels))
    return keras.Model(pixels, L.Dense(2)(x))


def _other(self, x, *arguments, **options):
    return 3.0 - 2.0 * x


def _custom_class(dice):
    """A class of another package, named like one of Keras's, on its own or as a subclass with another call."""
    name = dice.pick(*NAMES)
    base, options = L.Layer, {}
    if NAMES[name] is not None and dice.chance(2):
        base, options = getattr(L, name), NAMES[name]
    body = {"call": _other, "compute_output_shape": lambda self, shape: shape, "__module__": dice.pick(*MODULES)}
    layer_class = type(dice.pick(name, name, "My" + name), (base,), body)
    if dice.chance(2):
        keras.saving.register_keras_serializable(dice.pick("mine", "Custom"))(layer_class)
    return _model(layer_class(**options))


def _own_call(dice):
    """A functional or sequential model of a class with a call of its own."""

    def call(self, inputs, training=None, mask=None):
        return 3.0 - 2.0 * super(model_class, self).call(inputs)

    base = dice.pick(keras.Model, keras.Sequential)
    name = dice.pick("Mine", base.__name__, "Functional")
    model_class = type(name, (base,), {dice.pick("call", "__call__"): call, "__module__": dice.pick(*MODULES)})
    layers = [keras.Input((4, 4, 2)), L.Dense(2, activation="relu")]
    if base is keras.Sequential:
        made = model_class(layers)
    else:
        made = model_class(layers[0], layers[1](layers[0]))
    if dice.chance(2):
        return made if base is keras.Sequential or not dice.chance(2) else keras.Sequential([layers[0], made])
    return _model(made)


def _training(dice):
    """A layer or a nested model that is called for training."""
    part = dice.pick(
        L.BatchNormalization(), L.Dropout(0.5), L.GaussianNoise(1.0),
        keras.Sequential([keras.Input((4, 4, 2)), L.BatchNormalization(), L.Dropout(0.5)]),
    )  # fmt: skip
    return _model(lambda x: part(x, training=dice.pick(True, 1)))


def _mixed_batch(dice):
    """A function of keras.ops that mixes the images of a batch."""
    operation = dice.pick(
        lambda x: keras.ops.reshape(keras.ops.transpose(x, (1, 0, 2, 3)), (-1, 4, 4, 2)),
        lambda x: keras.ops.reshape(x, (-1, 2)),
        lambda x: keras.ops.reshape(x, (-1, 8, 4, 2)),
        lambda x: keras.ops.concatenate([x, x], axis=0),
        lambda x: keras.ops.flip(x, 0),
        lambda x: L.Concatenate(0)([x, x]),
        lambda x: x - keras.ops.mean(x, 0, keepdims=True),
    )
    return _model(operation)


def _activation(dice):
    """A function of another package that is named like an activation of Keras."""

    def relu(x):
        return 3.0 - 2.0 * x

    relu.__name__ = dice.pick("relu", "linear", "softmax", "mine")
    relu.__module__ = "mine"
    relu = dice.pick(relu, type("ReLU", (L.Layer,), {"call": _other, "__module__": "mine"})(), keras.ops.square)
    return _model(dice.pick(L.Dense(2, activation=relu), L.Activation(relu)))


def _quantized(dice):
    model = _model(L.Dense(3, activation="relu"))
    model.quantize(dice.pick("int8", "float8"))
    return model


def _lora(dice):
    """Kernels with the matrices of LoRA, which are neither 0 nor part of the kernel."""
    layer = dice.pick(L.Dense(3), L.Conv2D(3, 1))
    model = _model(layer)
    layer.enable_lora(2)
    for matrix in (layer.lora_kernel_a, layer.lora_kernel_b):
        matrix.assign(np.random.default_rng(0).normal(size=matrix.shape))
    return model


def _settings(dice):
    """Settings of layers that change what they compute, and that few models have."""
    setting = dice.pick(
        lambda x: L.BatchNormalization(axis=1)(x),
        lambda x: L.BatchNormalization(axis=3)(x),
        lambda x: L.Softmax(axis=dice.pick(1, 2, (1, 2), 3))(x),
        lambda x: L.Rescaling(np.arange(32.0).reshape(4, 4, 2))(x),
        lambda x: L.Rescaling(np.arange(4.0).reshape(4, 1))(x),
        lambda x: L.Rescaling(0.5, np.arange(4.0).reshape(4, 1))(x),
        lambda x: L.Dense(2, dtype="float64")(x),
        lambda x: L.Dense(2, dtype="float64")(x) * 1.0,
        lambda x: L.Add()([x, L.GlobalAveragePooling2D(keepdims=True)(x)]),
        lambda x: L.Subtract()([x, L.GlobalMaxPooling2D()(x)]),
        lambda x: L.ReLU(max_value=dice.pick(1.0, 6.0), negative_slope=dice.pick(0, 0.5))(x),
        lambda x: L.Dense(3, activation=dice.pick("relu6", "hard_sigmoid", "leaky_relu", "selu"))(x),
        lambda x: L.UpSampling2D(2, interpolation=dice.pick("bicubic", "lanczos3", "bilinear"))(x),
        lambda x: L.Rescaling(np.full((1, 1, 2), 0.5), np.full((1, 1), 0.1))(x),
        lambda x: L.Permute((2, 1, 3))(x),
        lambda x: L.Flatten(data_format="channels_first")(x),
        lambda x: L.MaxPooling2D(2, data_format="channels_first")(x),
        lambda x: L.ZeroPadding2D(1, data_format="channels_first")(x),
        lambda x: L.GlobalMaxPooling2D(data_format="channels_first")(x),
        lambda x: L.UpSampling2D(2, data_format="channels_first")(x),
    )
    return _model(setting)


def _after_softmax(dice):
    """A softmax on a map, and what changes its last axis or not."""
    pixels = keras.Input((4, 2, 3))
    x = dice.pick(L.Dense(2, activation="softmax"), L.Softmax(), L.Activation("softmax"))(pixels)
    after = dice.pick(
        L.Flatten(), L.Reshape((8, -1)), L.Reshape((-1, 4)), L.Permute((2, 1, 3)), L.Dropout(0.1), L.Reshape((2, 4, -1)),
        L.Permute((3, 1, 2)), L.Reshape((-1, 1)),
    )  # fmt: skip
    outputs = [after(x), x] if dice.chance(3) else after(x)
    return keras.Model(pixels, outputs)


#: Name -> function (dice) that returns a model.
MUTATIONS = {
    "class of another package": _custom_class,
    "model with its own call": _own_call,
    "called for training": _training,
    "mixed batch": _mixed_batch,
    "activation of another package": _activation,
    "quantized": _quantized,
    "LoRA": _lora,
    "settings": _settings,
    "after a softmax": _after_softmax,
}


def shifted_weights(dice, folder, load):
    """
    Save the weights of a model, and load them into the JSON of one with other names.

    It checks that the result has the values of one of both: of what Keras loads, which is by order.
    """
    names = [f"dense_{k}" if k else "dense" for k in range(4)]
    ours, theirs = dice.shuffle(names), dice.shuffle(names)
    if dice.chance(2):
        first = dice.whole(0, 3)
        ours, theirs = names[:3], [f"dense_{k + first}" for k in range(3)]
    models = [_named(each) for each in (ours, theirs)]
    for seed, model in enumerate(models):
        rng = np.random.default_rng(seed)
        model.set_weights([rng.normal(size=w.shape) for w in model.get_weights()])
    (folder / "model.json").write_text(models[0].to_json())
    weights = folder / dice.pick("model.weights.h5", "model.h5")
    (models[1].save_weights if weights.name == "model.weights.h5" else models[1].save)(weights)
    images = [np.random.default_rng(0).uniform(size=(3, 3)).astype("float32")]
    found = layer_values(load(folder / "model.json", weights=weights), images)[0][0]
    by_keras = models[0]
    by_keras.load_weights(weights)
    assert close(found, layer_values(by_keras, images)[0][0])


def _named(names):
    return keras.Sequential([keras.Input((3,)), *[L.Dense(3, name=name) for name in names]])
