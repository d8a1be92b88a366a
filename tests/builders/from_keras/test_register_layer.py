"""Layer classes of a user's own: read through a handler, a method or their parent, and refused with the fix."""

import numpy as np
import pytest
from keras_graphs import close, functional, hidden_equal, kinds, randomise, sequential

import brainsnn as bs
from brainsnn.builders import operators as ops
from brainsnn.builders.from_keras import registry
from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.errors import ConversionError

keras = pytest.importorskip("keras")
L = keras.layers


@pytest.fixture(autouse=True)
def table(monkeypatch):
    """Registrations of one test do not reach the next."""
    monkeypatch.setattr(registry, "_REGISTERED", {})


class Halve(L.Layer):
    def call(self, x):
        return x / 2


class MaskedConv(L.Layer):
    """A convolution with weights and a bias of its own, and the operator that it is."""

    def build(self, shape):
        self.kernel = self.add_weight(shape=(3, 3, shape[-1], 4), name="kernel")
        self.bias = self.add_weight(shape=(4,), name="bias")

    def call(self, x):
        return keras.ops.conv(x, self.kernel, strides=2, padding="same") + self.bias

    def to_operator(self, input_shape):
        return ops.conv2d(self.kernel, input_shape, strides=2, padding="same"), np.asarray(self.bias)


def network(*layers):
    return sequential(
        L.Conv2D(2, 3, padding="same", name="conv"), *layers, L.ReLU(name="relu"), L.Flatten(), L.Dense(3, name="out")
    )


def test_handler_returns_an_operator():
    assert bs.register_layer(Halve, lambda layer, shape: ops.scale(0.5, shape)) is Halve
    model = network(Halve(name="half"))
    graph = read_keras(model)
    close(graph, model)
    hidden_equal(graph, model)
    assert graph.population("half").name == "relu"


def test_method_of_the_class_with_weights_and_bias():
    bs.register_layer(MaskedConv)
    heir = bs.register_layer(type("Heir", (MaskedConv,), {}))
    for layer_class in (MaskedConv, heir):
        model = network(layer_class(name="masked"))
        graph = read_keras(model)
        close(graph, model)
        assert graph.population("masked").shape == (4, 4, 4)


def test_decorator_and_a_bias_that_is_a_map():
    @bs.register_layer
    class Position(L.Layer):
        def call(self, x):
            return x + np.arange(64.0).reshape(8, 8, 1).astype("float32")

        def to_operator(self, input_shape):
            return ops.identity(input_shape), np.broadcast_to(np.arange(64.0).reshape(8, 8, 1), input_shape)

    model = network(Position(name="position"))
    graph = read_keras(model)
    close(graph, model)
    assert graph.populations["relu"].bias.shape == (8, 8, 2)


@pytest.mark.parametrize("activation", ["relu", "asn"])
def test_handler_names_an_activation(activation):
    class Rectify(L.Layer):
        m_f = 0.2

        def call(self, x):
            return keras.ops.maximum(x, 0)

    bs.register_layer(Rectify, lambda layer, shape: activation)
    model = sequential(L.Conv2D(2, 3, name="conv"), Rectify(name="mine"), L.Flatten(), L.Dense(3, name="out"))
    graph = read_keras(model)
    assert kinds(graph)["mine"] == "spiking" and graph.populations["mine"].activation == activation
    if activation == "relu":
        close(graph, model)
    else:
        assert graph.populations["mine"].m_f == 0.2 and graph.populations["mine"].threshold == 0.0


def test_operator_bias_and_activation_together():
    class Block(L.Layer):
        def call(self, x):
            return keras.ops.relu(3 * x - 1)

    bs.register_layer(Block, lambda layer, shape: (ops.scale(3, shape), [-1, -1], "relu"))
    model = sequential(L.Conv2D(2, 3, name="conv"), Block(name="block"), L.Flatten(), L.Dense(3, name="out"))
    graph = read_keras(model)
    close(graph, model)
    hidden_equal(graph, model)
    assert graph.population("conv").name == "block" and kinds(graph)["block"] == "spiking"


def test_several_inputs():
    class Opponent(L.Layer):
        def call(self, inputs):
            return 2 * inputs[0] - inputs[1] + 1

    def handler(layer, centre, surround):
        return [ops.scale(2, centre), ops.scale(-1, surround)], np.ones(2)

    bs.register_layer(Opponent, handler)
    inputs = keras.Input((8, 8, 2))
    parts = [L.Conv2D(2, 3, activation="relu", name="a")(inputs), L.Conv2D(2, 3, activation="relu", name="b")(inputs)]
    x = L.ReLU(name="relu")(Opponent(name="opponent")(parts))
    model = randomise(keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(x))))
    graph = read_keras(model)
    close(graph, model)
    hidden_equal(graph, model)
    assert {p.source for p in graph.incoming("relu")} == {"a", "b"}


def test_identity_may_follow_the_output_activation():
    class Monitor(L.Layer):
        def call(self, x):
            return x + 0

    bs.register_layer(Monitor, lambda layer, shape: "identity")
    model = sequential(L.Flatten(), L.Dense(3, name="out"), L.Softmax(name="soft"), Monitor(name="monitor"))
    graph = read_keras(model)
    close(graph, model)
    assert "monitor" in str(graph) and "ignored (identity)" in str(graph)
    assert graph.populations["soft"].activation == "softmax"


def test_subclass_without_a_call_is_read_as_its_parent():
    @bs.register_layer
    class Narrow(L.Conv2D):
        def __init__(self, filters, **kwargs):
            super().__init__(filters, 3, padding="same", **kwargs)

    class Silent(L.Dropout):
        pass

    bs.register_layer(Silent)
    model = network(Narrow(3, activation="relu", name="narrow"), Silent(0.5, name="silent"))
    graph = read_keras(model)
    close(graph, model)
    assert kinds(graph)["narrow"] == "spiking" and "ignored (does nothing at inference)" in str(graph)


def test_subclass_that_computes_something_else_is_refused():
    class Loud(L.Conv2D):
        def call(self, x):
            return 2 * super().call(x)

    class Standardised(L.Conv2D):
        def convolution_op(self, x, kernel):
            return super().convolution_op(x, kernel - keras.ops.mean(kernel))

    class Masked(MaskedConv):
        def call(self, x):
            return super().call(x) * 2

    for layer_class, method in ((Loud, "call"), (Standardised, "convolution_op"), (Masked, "call")):
        with pytest.raises(
            ConversionError, match=f"{layer_class.__name__} cannot be read as .*Conv.*overrides {method}"
        ):
            bs.register_layer(layer_class)
    with pytest.raises(ConversionError, match=r"Halve has no method to_operator.*register_layer\(Halve, handler\)"):
        bs.register_layer(Halve)


def test_registration_is_by_class_and_not_by_name():
    """Classes that share their names with layers of Keras, and a subclass of a registered class."""
    for name in ("Identity", "Dropout", "Conv2D", "Flatten", "Sequential"):
        layer_class = type(name, (L.Layer,), {"call": lambda self, x: 2 * x})
        with pytest.raises(
            ConversionError, match=rf"'mine' \({name}\): this class .*register_layer\({name}, handler\)"
        ):
            read_keras(network(layer_class(name="mine")))
    bs.register_layer(Halve, lambda layer, shape: ops.scale(0.5, shape))
    with pytest.raises(ConversionError, match=r"'mine' \(Quarter\)"):
        read_keras(network(type("Quarter", (Halve,), {})(name="mine")))

    def relu(x):
        return x * x

    with pytest.raises(ConversionError, match=r"'mine' \(Dense\): the activation .*relu' has no spiking counterpart"):
        read_keras(network(L.Dense(2, activation=relu, name="mine")))


def test_registering_again_replaces_the_handler():
    bs.register_layer(Halve, lambda layer, shape: "identity")
    bs.register_layer(Halve, lambda layer, shape: ops.scale(0.5, shape))
    model = network(Halve(name="half"))
    close(read_keras(model), model)


def test_a_class_of_keras_can_be_registered():
    bs.register_layer(L.LeakyReLU, lambda layer, shape: "relu")
    graph = read_keras(network(L.LeakyReLU(name="leaky")))
    assert graph.populations["leaky"].activation == "relu"


def test_registered_model_is_not_opened():
    class Inner(keras.Model):
        def call(self, x):
            return x * 3

    bs.register_layer(Inner, lambda layer, shape: ops.scale(3, shape))
    model = network(Inner(name="inner"))
    close(read_keras(model), model)


SHAPE = (8, 8, 2)


@pytest.mark.parametrize(
    "result, message",
    [
        (ops.scale(1, (4, 8, 2)), r"from \(4, 8, 2\) to .*expected one from the input shape \(8, 8, 2\)"),
        (ops.zero_pad(SHAPE, ((1, 0), (0, 0))), r"to \(9, 8, 2\); expected .*to the output shape \(8, 8, 2\)"),
        ((ops.scale(1, SHAPE), np.zeros(3)), r"a bias of shape \(3,\); expected a bias of shape \(2,\) or \(8, 8, 2\)"),
        ((ops.scale(1, SHAPE), np.zeros((1, 8, 8, 2))), r"a bias of shape \(1, 8, 8, 2\)"),
        ((ops.scale(1, SHAPE), "relu"), r"returned 'relu'; expected a bias of shape"),
        ((ops.scale(1, SHAPE), [0, np.nan]), "a bias that is NaN"),
        (ops.scale(np.inf, SHAPE), "weights that are NaN or infinite"),
        ([ops.scale(1, SHAPE)] * 2, r"2 operator\(s\) for 1 input\(s\); expected one operator for each input"),
        (np.eye(128), r"an array of shape \(128, 128\); expected a ConvOperator or SparseOperator"),
        (ops.max_pool(SHAPE, 1), "MaxPool.*expected a ConvOperator or SparseOperator"),
        (None, "returned None; expected a ConvOperator"),
        ("gelu", "returned 'gelu'; expected an operator, 'identity', or one of 'linear', 'relu', 'relu6', "),
        ((ops.scale(1, SHAPE), None, "gelu"), "returned 'gelu'"),
        ((), "a tuple of 0"),
    ],
)
def test_what_a_handler_returns_is_checked(result, message):
    bs.register_layer(Halve, lambda layer, shape: result)
    with pytest.raises(ConversionError, match=r"Layer 'half' \(Halve\): its handler returned .*") as caught:
        read_keras(sequential(Halve(name="half"), L.ReLU(), L.Flatten()))
    assert caught.match(message)


def test_an_error_of_a_handler_names_the_layer():
    bs.register_layer(Halve, lambda layer, shape: {}["factor"])
    with pytest.raises(ConversionError, match=r"Layer 'half' \(Halve\): its handler raised KeyError.*\(8, 8, 2\)"):
        read_keras(sequential(Halve(name="half"), L.ReLU(), L.Flatten()))


def test_activation_of_another_shape_and_several_inputs_for_a_word():
    class Crop(L.Layer):
        def call(self, x):
            return x[:, 1:]

    bs.register_layer(Crop, lambda layer, shape: "relu")
    with pytest.raises(ConversionError, match=r"'crop' \(Crop\): .*read as \(8, 8, 2\), but its shape in Keras is \(7"):
        read_keras(functional(lambda x: Crop(name="crop")(x)))

    class Pair(L.Layer):
        def call(self, inputs):
            return inputs[0] + inputs[1]

    bs.register_layer(Pair, lambda layer, *shapes: "identity")
    with pytest.raises(ConversionError, match="'pair'.*'identity' for 2 inputs; expected a list with one operator"):
        read_keras(functional(lambda x: Pair(name="pair")([x, L.ReLU()(x)])))


def test_several_outputs_are_refused():
    class Split(L.Layer):
        def call(self, x):
            return x[..., :1], x[..., 1:]

    bs.register_layer(Split, lambda layer, shape: "identity")
    with pytest.raises(ConversionError, match=r"'split' \(Split\): it has 2 outputs; one is supported"):
        read_keras(functional(lambda x: L.Add()(Split(name="split")(x))))


def test_a_registered_layer_cannot_follow_a_softmax():
    bs.register_layer(Halve, lambda layer, shape: ops.scale(0.5, shape))
    with pytest.raises(ConversionError, match=r"'half' \(Halve\): it reads the softmax of layer 'soft'"):
        read_keras(sequential(L.Flatten(), L.Softmax(name="soft"), Halve(name="half")))


@pytest.mark.parametrize("wrong", [Halve(), "Halve", int])
def test_only_layer_classes_can_be_registered(wrong):
    with pytest.raises(TypeError, match="layer_class must be a subclass of keras.layers.Layer.*Pass the class"):
        bs.register_layer(wrong, lambda layer, shape: "identity")
    with pytest.raises(TypeError, match=r"handler must be a function.*got 'relu' for Halve"):
        bs.register_layer(Halve, "relu")
