"""Every refusal of read_keras, register_layer, graphs and operators: an input that triggers it, and its advice followed."""

from dataclasses import replace

import numpy as np
import pytest
from keras_graphs import close, functional, randomise, sequential
from refusals import check_refusal, check_table

import brainsnn as bs
from brainsnn.builders import operators as ops
from brainsnn.builders.from_keras import registry
from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.builders.graph import LayerGraph
from brainsnn.builders.graph.layer_graph import Population, Projection
from brainsnn.builders.graph.pooled_spikes import with_pooled_spikes

keras = pytest.importorskip("keras")
L = keras.layers
MODULES = ("builders/from_keras/*.py", "builders/graph/[!r]*.py", "builders/operators/*.py")
SHAPE = (8, 8, 2)


@pytest.fixture(autouse=True)
def no_registrations(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", {})


class Own(L.Layer):
    def call(self, x):
        return x / 2


class Halves(L.Layer):
    def call(self, x):
        return x[..., :1], x[..., 1:]


class Top(L.Layer):
    def call(self, x):
        return x[:, 1:]


class First(L.Layer):
    def call(self, x):
        return x[0] + x[1]


class WithoutKernel(L.Dense):
    def build(self, shape):
        self.own = self.add_weight(shape=(shape[-1], self.units))


class OwnSequential(keras.Sequential):
    def call(self, x, **kwargs):
        return 3 * super().call(x, **kwargs)


class SameDense(L.Dense):
    def call(self, x):
        return 2 * super().call(x)


def read(*layers):
    """Read a sequential model, and check that it computes what Keras computes."""
    return lambda: _checked(
        sequential(*(layer() if callable(layer) and isinstance(layer, type) else layer for layer in layers))
    )


def _pooled(x, nonlinearity):
    return L.Flatten()(nonlinearity(L.MaxPooling2D()(L.Conv2D(2, 3)(x))))


def graph(function, shape=SHAPE):
    return lambda: _checked(randomise(functional(function, shape)))


def _checked(model):
    close(read_keras(model), model)


def returns(result, layer=Own, function=None):
    """Read a layer of a class of one's own whose handler returns this."""

    def trigger():
        bs.register_layer(layer, (lambda *given: result) if not callable(result) else result)
        model = functional(lambda x: L.Flatten()(L.ReLU()(function(layer(), x) if function else layer(name="own")(x))))
        close(read_keras(model), model)

    return trigger


def both(layer, x):
    return layer([x, L.ReLU()(x)])


def half(*given):
    return ops.scale(0.5, SHAPE)


def with_weight(value):
    def trigger():
        model = sequential(L.Dense(2))
        model.layers[0].bias.assign([0, value])
        _checked(model)

    return trigger


def slopes(value):
    def trigger():
        model = sequential(L.PReLU())
        model.layers[0].set_weights([np.full(SHAPE, value)])
        _checked(model)

    return trigger


def quantized(mode=None):
    def trigger():
        model = sequential(L.Flatten(), L.Dense(2))
        if mode:
            model.quantize(mode)
        _checked(model)

    return trigger


def linear_pool(x):
    return L.MaxPooling2D()(L.Conv2D(2, 1)(x))


def padded_pool(x, after=lambda x: x):
    """The bias of the batch norm differs at the borders of the convolution."""
    a = L.MaxPooling2D(2)(after(L.Conv2D(2, 3, padding="same")(L.Rescaling(1, 0.5)(x))))
    return L.ReLU()(L.Add()([a, L.Conv2D(2, 2, 2)(x)]))


def rectified_pool(x):
    return padded_pool(x, L.ReLU())


def no_junctions(make):
    return lambda: read_keras(functional(make), junctions=False)


def own_sequential(cls):
    model = cls([keras.Input(SHAPE), L.Dense(2, activation="relu")])
    model(np.zeros((1, *SHAPE), "float32"))
    return randomise(model)


def two_inputs():
    a, b = keras.Input(SHAPE), keras.Input(SHAPE)
    return _checked(keras.Model([a, b], L.Add()([a, b])))


def one_input():
    x = keras.Input((8, 8, 4))
    a, b = L.Cropping2D(0)(x), L.ReLU()(x)
    _checked(keras.Model(x, L.Add()([a, b])))


def padded_resizing():
    """Keras pads (8, 4) to the aspect ratio of (4, 4): to (8, 8)."""
    x = np.random.default_rng(0).uniform(size=(2, 8, 4, 2)).astype("float32")
    theirs = L.Resizing(4, 4, pad_to_aspect_ratio=True)(x)
    model = sequential(L.ZeroPadding2D(((0, 0), (2, 2))), L.Resizing(4, 4), shape=(8, 4, 2))
    np.testing.assert_allclose(np.asarray(model(x)), np.asarray(theirs), atol=1e-6)
    _checked(model)


def crop_at_inference():
    assert L.RandomCrop(4, 4)(np.zeros((1, *SHAPE)), training=False).shape == (1, *SHAPE)
    read(L.CenterCrop(4, 4))()


def gray(layer, **keywords):
    return lambda: functional(lambda x: layer(**keywords)(x), (6, 6))


def junction_of_a_maximum():
    """A junction holds a sum of currents, so that what reads it linearly can read its sources instead."""
    populations = {
        name: Population(name, kind, (size, size, 1), bias=np.zeros((1, 1, 1)), layers=(name,))
        for name, kind, size in [("pixels", "input", 4), ("current", "junction", 4), ("out", "readout", 3)]
    }
    projections = [
        Projection("pixels", "current", ops.scale(2.0, (4, 4, 1)), "spikes"),
        Projection("current", "out", ops.MaxPool((4, 4, 1), (3, 3, 1), (2, 2), (1, 1)), "current"),
    ]
    LayerGraph(populations, projections, [], "model").expand_junctions()


def keras_model(layers):
    return keras.Sequential([keras.Input(SHAPE), *layers])


def registered(layer_class):
    bs.register_layer(layer_class)
    _checked(sequential(layer_class(3)))


def conv(**changes):
    arguments = {
        "kernel": np.ones((1, 1, 2, 1)),
        "channel_start": [0, 1],
        "row_taps": [0],
        "col_taps": [0],
        "stride": (1, 1),
    }
    return ops.ConvOperator(SHAPE, SHAPE, **{**arguments, **changes})


DENSE = read(L.Dense(2))


def _normalised(variance):
    """Return a model with a batch normalization of this variance."""
    model = sequential(L.BatchNormalization(name="bn"), L.Dense(2))
    one = np.ones(SHAPE[2])
    model.get_layer("bn").set_weights([one, 0 * one, 0 * one, variance * one])
    return model


#: Words of the statement that refuses -> (an input that it refuses, its advice followed, or None where it gives none).
REFUSALS = {
    # the walk over the graph
    "average_pooling must be 'spikes' or": (
        lambda: read_keras(sequential(L.Dense(2)), average_pooling="mean"),
        lambda: read_keras(sequential(L.Dense(2)), average_pooling="membrane"),
    ),
    "batch_norm must be 'exact' or": (
        lambda: read_keras(sequential(L.Dense(2)), batch_norm="inexact"),
        lambda: read_keras(sequential(L.Dense(2)), batch_norm="published"),
    ),
    "of which batch_norm='published' takes the root": (
        lambda: read_keras(_normalised(-1e-4), batch_norm="published"),
        lambda: read_keras(_normalised(-1e-4), batch_norm="exact"),
    ),
    "A network has one. Make an input": (two_inputs, one_input),
    "is one name; give a list of layers": (
        lambda: read_keras(sequential(L.Dense(2, name="d")), spiking="d"),
        lambda: read_keras(sequential(L.Dense(2, name="d")), spiking=["d"]),
    ),
    "layer for read_keras.spiking": (
        lambda: read_keras(sequential(L.Dense(2, name="d")), spiking=["e"]),
        lambda: read_keras(sequential(L.Dense(2, name="d")), spiking=["d"]),
    ),
    "is not built: it has no input shape": (lambda: read_keras(keras.Sequential([L.Dense(2)])), DENSE),
    "of its own, so its layers do not say": (
        lambda: read_keras(own_sequential(OwnSequential)),
        lambda: _checked(own_sequential(keras.Sequential)),
    ),
    "is neither a functional nor a sequential": (lambda: read_keras(object()), DENSE),
    "names a network. Load it first": (lambda: read_keras("digits"), DENSE),
    "it is called with training=True": (
        graph(lambda x: L.BatchNormalization()(x, training=True)),
        graph(lambda x: L.BatchNormalization()(x)),
    ),
    "it divides by the root of a variance": (
        graph(lambda x: L.BatchNormalization(epsilon=float("nan"))(x)),
        graph(lambda x: L.BatchNormalization(epsilon=0.001)(x)),
    ),
    "its output was read as": (
        returns("identity", Top),
        returns(lambda layer, shape: ops.crop(shape, ((1, 0), (0, 0))), Top),
    ),
    "data_format='channels_first' is not": (
        graph(lambda x: L.MaxPooling2D(data_format="channels_first")(x)),
        graph(lambda x: L.MaxPooling2D()(L.ReLU()(x))),
    ),
    "it is quantized ({mode})": (quantized("int8"), quantized()),
    "outputs; one is supported": (
        returns("identity", Halves, lambda layer, x: L.Add()(layer(x))),
        graph(lambda x: L.Add()([L.Conv2D(1, 1)(x), L.Conv2D(1, 1)(x)])),
    ),
    "this function of keras.ops has no": (
        graph(lambda x: keras.ops.average(x, axis=1)),
        graph(lambda x: L.AveragePooling2D((8, 1))(x)),
    ),
    "this class has no spiking": (read(Own), returns(half)),
    "ConversionError(str(error), layer)": (no_junctions(padded_pool), no_junctions(rectified_pool)),
    "that can be negative, together with other": (no_junctions(padded_pool), no_junctions(rectified_pool)),
    "changes the last axis, over which": (
        read(L.Conv2D(2, 3, activation="softmax"), L.Flatten()),
        read(L.Conv2D(2, 3), L.Flatten(), L.Softmax()),
    ),
    # the layers
    "is not fixed; the number of neurons": (
        lambda: read_keras(functional(lambda x: L.Conv2D(2, 3)(x), (None, None, 2))),
        graph(lambda x: L.Conv2D(2, 3)(x), (32, 32, 2)),
    ),
    "tensors of shape {tuple(shape)} are": (
        graph(lambda x: L.Reshape((2, 4, 8, 2))(x)),
        graph(lambda x: L.Reshape((8, 8, 2))(x)),
    ),
    "it reads the {name} of layer": (
        read(L.Dense(3, activation="sigmoid"), L.Dense(2)),
        read(L.Dense(3, activation="relu"), L.Dense(2)),
    ),
    "the activation {name!r} {reason}": (
        read(L.Dense(3, activation="gelu")),
        read(L.Dense(3, activation="leaky_relu")),
    ),
    "{name} {reason}": (read(L.ELU()), read(L.LeakyReLU())),
    "is not a number greater than {low:g}": (read(L.ReLU(max_value=0)), read(L.ReLU(max_value=0.1))),
    "its weight 'alpha' has values that are": (slopes(np.nan), slopes(0.1)),
    "it has no weight": (lambda: registered(WithoutKernel), lambda: registered(type("Heir", (L.Dense,), {}))),
    "the weight '{name}' has {bad}": (with_weight(np.nan), with_weight(1.0)),
    "axis={layer.axis} is not the channel axis.": (read(L.Softmax(axis=(2, 3))), read(L.Softmax(axis=-1))),
    "it needs two or more inputs of one": (
        graph(lambda x: 1 + L.ReLU()(x)),
        graph(lambda x: L.Rescaling(1, 1)(L.ReLU()(x))),
    ),
    "it concatenates batches": (
        lambda: read_keras(functional(lambda x: L.Concatenate(axis=0)([x, L.ReLU()(x)]))),
        graph(lambda x: L.Concatenate(axis=-1)([x, L.ReLU()(x)])),
    ),
    "it mixes the images of a batch": (
        lambda: read_keras(functional(lambda x: keras.ops.reshape(x, (-1, 32)))),
        graph(lambda x: L.Reshape((4, 32))(x)),
    ),
    "has no spiking counterpart: the function jumps": (read(L.ReLU(threshold=1)), read(L.ReLU(threshold=0))),
    # preprocessing
    "Keras crops to": (lambda: read_keras(keras_model([L.RandomCrop(4, 4)])), crop_at_inference),
    "its {name} of shape": (read(L.Rescaling(np.ones((3, *SHAPE)))), read(L.Rescaling(np.arange(2.0)))),
    "its {name} has values that are": (read(L.Rescaling(np.nan)), read(L.Rescaling(2.0))),
    "for the rows of one image": (
        lambda: read_keras(gray(L.Resizing, height=4, width=4)()),
        graph(lambda x: L.Resizing(4, 4)(x), (6, 6, 1)),
    ),
    "pad_to_aspect_ratio=True is not": (read(L.Resizing(4, 4, pad_to_aspect_ratio=True)), padded_resizing),
    # register_layer
    "layer_class must be a subclass of": (lambda: bs.register_layer("Own", half), returns(half)),
    "handler must be a function": (lambda: bs.register_layer(Own, "relu"), returns(half)),
    "has no method to_operator, and none": (lambda: bs.register_layer(Own), returns(half)),
    "cannot be read as its parent": (
        lambda: bs.register_layer(SameDense),
        lambda: bs.register_layer(type("Heir", (SameDense,), {"to_operator": half})),
    ),
    "its handler raised": (returns(lambda *given: {}["factor"]), returns(half)),
    "{result!r} for {len(inputs)} inputs": (
        returns("identity", First, both),
        returns([ops.identity(SHAPE)] * 2, First, both),
    ),
    "an operator, 'identity', or one of": (returns("gelu"), None),
    "(operator, bias) or (operator, bias": (returns(()), returns((half(), None))),
    "an array of shape {operator.shape}": (returns(np.eye(128)), returns(half)),
    "operator(s) for {n_inputs}": (returns([half()] * 2), returns([half()])),
    "one from the input shape": (returns(ops.identity((4, 8, 2))), returns(half)),
    "an operator with weights that are NaN": (returns(ops.scale(np.inf, SHAPE)), returns(half)),
    "_wrong(layer, given, expected)": (returns((half(), np.zeros(3))), returns((half(), np.zeros(2)))),
    "a bias that is NaN or infinite": (returns((half(), [0, np.nan])), returns((half(), [0, 0]))),
    # graphs and operators
    "reads a maximum over values of '{projection": (
        lambda: with_pooled_spikes(read_keras(functional(linear_pool))),
        lambda: with_pooled_spikes(read_keras(functional(lambda x: L.Flatten()(L.MaxPooling2D()(L.ReLU()(x)))))),
    ),
    "read one maximum over '{projection.source}'": (
        lambda: with_pooled_spikes(read_keras(functional(lambda x: _pooled(x, L.ReLU(max_value=6.0))))),
        lambda: with_pooled_spikes(read_keras(functional(lambda x: _pooled(x, L.ReLU())))),
    ),
    "factors before a maximum must be equal": (
        lambda: ops.rescaled(ops.max_pool(SHAPE, 2), np.arange(128.0).reshape(SHAPE) + 1, 1),
        lambda: ops.rescaled(ops.max_pool(SHAPE, 2), [1.0, 2.0], 1),
    ),
    "takes a maximum over currents": (junction_of_a_maximum, None),
    "UnknownNameError(name, self.populations": (
        lambda: read_keras(sequential(L.Dense(2, activation="relu", name="d"))).population("e"),
        lambda: read_keras(sequential(L.Dense(2, activation="relu", name="d"))).population("d"),
    ),
    "was read as a spiking network": (
        lambda: replace(read_keras(sequential(L.ReLU())), neurons={"re_lu": bs.IF()}).activations(
            np.zeros((2, *SHAPE))
        ),
        lambda: read_keras(sequential(L.ReLU())).activations(np.zeros((2, *SHAPE))),
    ),
    "LayerGraph.activations: images": (
        lambda: read_keras(sequential(L.Dense(2))).activations(np.zeros((2, 7, 7, 2))),
        lambda: read_keras(sequential(L.Dense(2))).activations(np.zeros((2, *SHAPE))),
    ),
    "compose: the inner operator's output": (
        lambda: ops.compose(ops.identity(SHAPE), ops.crop(SHAPE, ((1, 0), (0, 0)))),
        lambda: ops.compose(ops.identity((7, 8, 2)), ops.crop(SHAPE, ((1, 0), (0, 0)))),
    ),
    "padding must be 'same' or 'valid'": (
        lambda: ops.max_pool(SHAPE, 2, padding="full"),
        lambda: [ops.max_pool(SHAPE, 2, padding=padding) for padding in ("same", "valid")],
    ),
    "A window of {extent} pixels": (
        lambda: ops.max_pool(SHAPE, 9),
        lambda: [ops.max_pool((9, 9, 2), 9), ops.max_pool(SHAPE, 9, padding="same")],
    ),
    "group(s) does not fit input": (lambda: ops.conv2d(np.ones((3, 3, 3, 1)), SHAPE), None),
    "interpolation must be 'nearest'": (
        lambda: ops.upsample(SHAPE, 2, "bicubic"),
        lambda: [ops.upsample(SHAPE, 2, name) for name in ("nearest", "bilinear")],
    ),
    "expected a shape (height, width, channels)": (lambda: ops.MaxPool((4, 4), (2, 2, 1), (2, 2), (2, 2)), None),
    "does not hold maps of": (
        lambda: ops.identity(SHAPE).apply(np.zeros((2, 7))),
        lambda: [ops.identity(SHAPE).apply(np.zeros(shape)) for shape in ((2, 128), (2, *SHAPE))],
    ),
    "ConvOperator.{name}: expected two": (lambda: conv(stride=(0, 1)), lambda: conv(stride=(1, 1))),
    "ConvOperator.kernel: expected shape": (lambda: conv(kernel=np.ones((2, 1, 2, 1))), conv),
    "ConvOperator.channel_start: expected": (lambda: conv(channel_start=[0, 2]), conv),
    "offsets must be unique": (lambda: conv(kernel=np.ones((2, 1, 2, 1)), row_taps=[0, 0]), conv),
    "SparseOperator.matrix: shape": (
        lambda: ops.SparseOperator(SHAPE, SHAPE, np.eye(3)),
        lambda: ops.SparseOperator(SHAPE, SHAPE, np.eye(128)),
    ),
    "the number of channels must not change": (lambda: ops.MaxPool(SHAPE, (4, 4, 1), (2, 2), (2, 2)), None),
    "holds no pixel": (lambda: ops.MaxPool(SHAPE, (9, 4, 2), (2, 2), (2, 2)), None),
}


def test_every_refusal_has_an_input():
    check_table(MODULES, REFUSALS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("words", REFUSALS)
def test_refused_and_its_advice(words):
    trigger, advice = REFUSALS[words]
    check_refusal(MODULES, words, trigger)
    if advice is not None:
        advice()


def test_the_supported_layers_are_those_that_are_read():
    """The message lists kinds of layers; each that it names is a layer of Keras with a handler."""
    from brainsnn.builders.from_keras.layers import HANDLERS, SUPPORTED

    named = {name.strip() for name in SUPPORTED.split(",")} - {"pooling", "augmentation", "dropout and noise"}
    assert named <= set(HANDLERS)
