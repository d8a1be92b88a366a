"""Layers in model files are read, or refused for the reason that is true: every refusal, and its advice followed."""

import inspect
import json

import numpy as np
import pytest
from keras_graphs import close, functional, images, randomise
from refusals import check_refusal, check_table

import brainsnn as bs
from brainsnn.builders.from_keras import registry
from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.errors import ConversionError
from brainsnn.training import ModelFileError, load_model
from brainsnn.training.keras_config import build_model
from brainsnn.training.keras_layers import ACTIVATIONS, LAYER_CLASSES

keras = pytest.importorskip("keras")
L = keras.layers
FORMATS = ["model.keras", "model.h5"]
MODULES = ("training/keras_config.py", "training/keras_layers.py")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "make",
    [
        L.Identity,
        lambda: L.SpatialDropout2D(0.2),
        L.ActivityRegularization,
        lambda: L.Rescaling(np.array([2.0, 3.0]), np.array([0.0, 1.0])),
        lambda: L.Dense(3, activation=L.ReLU()),
        lambda: L.Activation(L.ReLU()),
    ],
)
def test_read_from_a_file(make, name, tmp_path):
    model = randomise(keras.Sequential([keras.Input((4, 4, 2)), make(), L.Dense(2)]))
    model.save(tmp_path / name)
    loaded = load_model(tmp_path / name)
    x = images(model)
    np.testing.assert_allclose(np.asarray(loaded(x)), np.asarray(model(x)), rtol=1e-6)
    close(read_keras(model), model)


def _of(function, shape=(4, 4, 2)):
    return functional(function, shape)


class Dense(L.Layer):
    """Not Keras's."""

    def __init__(self, units=2, **kwargs):
        super().__init__(**kwargs)
        self.units = units

    def call(self, x):
        return 2 * x

    def get_config(self):
        return {**super().get_config(), "units": self.units}


class Sum(L.Layer):
    """Called with two tensors, a list or a dictionary."""

    def call(self, a, b=None):
        a, b = (a.values() if isinstance(a, dict) else a) if b is None else (a, b)
        return a + b

    def compute_output_shape(self, *shapes):
        return (None, 4, 4, 2)


class Own(keras.Model):
    def call(self, x):
        return 2 * super().call(x)


def own():
    part = _of(L.ReLU())
    return Own(part.inputs, part.outputs[0])


def parsed(model, change=lambda config: None, **layer):
    """Build a model from its JSON after a change, of all or of the arguments of its last layer."""

    def build():
        config = json.loads((model() if callable(model) and not isinstance(model, keras.Model) else model).to_json())
        change(config["config"])
        config["config"]["layers"][-1]["config"].update(layer)
        return build_model(config)

    return build


def plainly(layer, **config):
    """Build a functional model with one layer, whose arguments are changed in the JSON."""
    return parsed(lambda: _of(layer), **config)


def registered(call):
    """Build a model of a registered class that is called in a way of its own."""

    def build():
        bs.register_layer(Sum, lambda layer, *shapes: "identity")
        return parsed(lambda: _of(lambda x: call(Sum(), x, L.ReLU()(x))))()

    return build


def nested_with(inputs):
    """Build a model with a nested one that takes its inputs as a list or as a dictionary."""

    def call(x):
        a, b = keras.Input((4, 4, 2), name="a"), keras.Input((4, 4, 2), name="b")
        part = keras.Model(inputs(a, b), L.Add()([a, b]))
        return part(inputs(x, L.ReLU()(x)))

    return parsed(lambda: _of(call))


def listed(*values):
    return list(values)


def named(a, b):
    return {"a": a, "b": b}


def quantized(mode=None):
    model = _of(lambda x: L.Dense(2)(L.Flatten()(x)))
    if mode:
        model.quantize(mode)
    return model


def nested(depth):
    """Sequential models of one layer each, in each other."""
    entry = {"class_name": "InputLayer", "config": {"name": "x", "batch_shape": [None, 4]}}
    for k in range(depth):
        layers = [{"class_name": "InputLayer", "config": {"name": f"x{k}", "batch_shape": [None, 4]}}, entry]
        entry = {"class_name": "Sequential", "config": {"name": f"m{k}", "layers": layers if k else layers[:1]}}
    return entry


def sequential_of(*layers):
    return lambda: build_model({"class_name": "Sequential", "config": {"layers": json.loads(json.dumps(list(layers)))}})


DENSE = {"class_name": "Dense", "config": {"name": "d", "units": 2}}
RELU = plainly(L.ReLU())

#: Words of the statement that refuses -> (an input that it refuses, its advice followed).
REFUSALS = {
    "The model configuration has no 'class_name'": (lambda: build_model([1]), RELU),
    "only functional and sequential": (lambda: build_model(json.loads(own().to_json())), RELU),
    "is damaged or of an unknown form": (parsed(_of(L.ReLU()), lambda config: config.pop("output_layers")), RELU),
    "nested in each other so deeply": (lambda: build_model(nested(400)), lambda: build_model(nested(20))),
    "The sequential model has no layers": (sequential_of(), RELU),
    "does not say its input shape": (
        sequential_of(DENSE),
        lambda: build_model(json.loads(keras.Sequential([keras.Input((4,)), L.Dense(2)]).to_json())),
    ),
    "inputs or outputs are not among": (
        parsed(_of(L.ReLU()), lambda config: config.update(output_layers=[["no", 0, 0]])),
        RELU,
    ),
    "which is not text": (parsed(_of(L.ReLU()), lambda config: config["layers"][1].update(name=["r"])), RELU),
    "two layers of that name": (
        parsed(_of(L.ReLU(name="r")), lambda config: config["layers"].append(config["layers"][1])),
        RELU,
    ),
    "from a layer that is not in the model": (parsed(_of(L.ReLU()), lambda config: config["layers"].pop(0)), RELU),
    "arguments; one is supported": (
        registered(lambda layer, a, b: layer(a, b)),
        registered(lambda layer, a, b: layer([a, b])),
    ),
    "and only tensors": (
        registered(lambda layer, a, b: layer({"a": a, "b": b})),
        registered(lambda layer, a, b: layer([a, b])),
    ),
    '"which is not supported. "': (
        parsed(lambda: _of(lambda x: L.BatchNormalization()(x, training=True))),
        parsed(lambda: _of(lambda x: L.BatchNormalization()(x))),
    ),
    "has a dictionary of inputs": (nested_with(named), nested_with(listed)),
    "cannot be built from its configuration": (plainly(L.Conv2D(2, 3), filters=-1), plainly(L.Conv2D(2, 3))),
    "and no code that a file names": (
        plainly(L.Lambda(lambda x: x)),
        lambda: registered(lambda layer, a, b: layer([a, b]))(),
    ),
    "is not among those that can be read. Replace": (
        parsed(lambda: _of(L.Conv1D(2, 3), (8, 2))),
        lambda: [plainly(L.Conv2D(2, 3))(), plainly(L.RandomFlip())()],
    ),
    "it is a function of keras.ops (": (
        parsed(lambda: _of(lambda x: x + L.ReLU()(x))),
        parsed(lambda: _of(lambda x: L.Add()([x, L.ReLU()(x)]))),
    ),
    "does not keep the batch axis": (
        parsed(lambda: _of(lambda x: keras.ops.reshape(x, (-1, 16)))),
        lambda: [
            parsed(lambda: _of(lambda x: keras.ops.reshape(x, (-1, 32))))(),
            plainly(L.Reshape((2, 16)))(),
        ],
    ),
    "an input needs a shape": (
        parsed(_of(L.ReLU()), lambda config: config["layers"][0]["config"].update(sparse=True)),
        RELU,
    ),
    "batch renormalization": (
        plainly(L.BatchNormalization(), renorm=True),
        plainly(L.BatchNormalization(), renorm=False),
    ),
    "no counterpart in Keras 3": (plainly(L.Dense(2), implementation=2), plainly(L.Dense(2))),
    "its activation {value!r} {reason}": (
        plainly(L.Dense(2), activation="hard_sigmoid"),
        lambda: [plainly(L.Dense(2), activation=name)() for name in ACTIVATIONS],
    ),
    "its activation is a layer 'ReLU'": (
        plainly(L.Dense(2, activation=L.ReLU(6))),
        lambda: [plainly(L.Dense(2), activation="relu")(), parsed(lambda: _of(lambda x: L.ReLU(6)(L.Dense(2)(x))))()],
    ),
    "it is quantized": (parsed(lambda: quantized("int8")), parsed(quantized)),
    "data type {value!r}": (plainly(L.Dense(2), dtype="float8"), plainly(L.Dense(2), dtype="float32")),
    "unexpected object": (
        plainly(L.Dense(2), units={"class_name": "function", "config": "getcwd"}),
        plainly(L.Dense(2)),
    ),
}


@pytest.fixture(autouse=True)
def no_registrations(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", {})


def test_every_refusal_has_an_input():
    check_table(MODULES, REFUSALS)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("words", REFUSALS)
def test_refused_and_its_advice(words):
    trigger, advice = REFUSALS[words]
    check_refusal(MODULES, words, trigger)
    advice()


def test_what_is_called_a_layer_of_keras_is_one():
    """Refusals list classes and activations that can be read: each is one of Keras, and none holds code."""
    assert all(issubclass(getattr(keras.layers, name), L.Layer) for name in LAYER_CLASSES)
    assert not {"Lambda", "TorchModuleWrapper", "TFSMLayer", "Pipeline"} & LAYER_CLASSES
    assert all(callable(keras.activations.get(name)) for name in ACTIVATIONS)


def test_what_has_no_counterpart_in_keras_is_no_argument_there():
    build = plainly(L.Dense(2), swirl=3)
    with pytest.raises(ModelFileError, match="its argument swirl=3 has no counterpart in Keras 3"):
        build()
    assert "swirl" not in inspect.signature(L.Dense.__init__).parameters
    with pytest.raises(ModelFileError, match="'Conv1D' is not among those that can be read"):
        parsed(lambda: _of(L.Conv1D(2, 3), (8, 2)))()


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    "model, reason",
    [
        (lambda: _of(L.Conv1D(2, 3, name="c"), (8, 2)), "'c': Keras's class 'Conv1D' is not among.*Replace it by"),
        (
            lambda: _of(lambda x: keras.ops.reshape(x, (-1, 16))),
            "'reshape.*': keras.ops.reshape .*does not keep the batch",
        ),
        (lambda: _of(lambda x: x + L.Dense(2)(x)), r"'add.*': it is a function of keras.ops \('add'"),
        (lambda: _of(keras.ops.relu), r"'relu.*': it is a function of keras.ops \('relu'"),
        (lambda: _of(L.Dense(2, activation="hard_sigmoid", name="d")), "'hard_sigmoid' is another function in Keras 2"),
        (lambda: _of(L.Dense(2, activation=L.ReLU(6), name="d")), "'d'.*'ReLU' of keras.*'max_value': 6"),
        (lambda: _of(L.Lambda(lambda x: x, name="l")), "'l'.*'Lambda' holds code of its own.*could execute code"),
    ],
)
def test_refused_from_a_file(model, reason, name, tmp_path):
    model().save(tmp_path / name)
    with pytest.raises(ModelFileError, match=reason):
        load_model(tmp_path / name)


def test_a_class_named_like_one_of_keras_is_not_taken_for_it(tmp_path):
    """A .keras file names no module for a class that was not registered with Keras."""
    model = _of(Dense(name="mine"))
    model.save(tmp_path / "model.keras")
    with pytest.raises(ModelFileError, match="'mine': its class 'Dense' is a custom class.*register_layer"):
        load_model(tmp_path / "model.keras")
    bs.register_layer(Dense, lambda layer, shape: bs.builders.operators.scale(2, shape))
    close(read_keras(load_model(tmp_path / "model.keras")), model)


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"class_name": "Swirl"}, "'Swirl' is not among the layers of Keras 3"),
        ({"module": "os", "registered_name": "evil>ReLU"}, "'evil>ReLU' is a custom class"),
        ({"class_name": "Lambda"}, "'Lambda' holds code"),
    ],
)
def test_no_code_is_loaded(change, reason):
    with pytest.raises(ModelFileError, match=f"its class {reason}.*could execute code"):
        parsed(_of(L.ReLU()), lambda config: config["layers"][-1].update(change))()


def test_the_settings_of_an_activation_layer_count():
    with pytest.raises(ConversionError, match="threshold=0.5"):
        read_keras(_of(L.Dense(2, activation=L.ReLU(threshold=0.5))))


@pytest.mark.parametrize(
    "activation", [{}, {"class_name": None}, {"config": {}}, {"config": None, "module": "keras"}, 0, "", []]
)
def test_a_damaged_activation_is_not_taken_for_none(activation):
    with pytest.raises(ModelFileError, match="its activation .* is not one of those that can be read"):
        plainly(L.Dense(2), activation=activation)()
