"""Keras models for the tests of read_keras, and comparisons of models with their graphs."""

import numpy as np
import pytest

from brainsnn.builders.graph.pooled_spikes import has_maximum

keras = pytest.importorskip("keras")
L = keras.layers

__all__ = [
    "ASNTransfer", "L", "close", "functional", "hidden_equal", "images", "kinds", "randomise", "residual_network", "sequential",
]  # fmt: skip


@keras.saving.register_keras_serializable(package="test_read_keras")
class ASNTransfer(L.Layer):
    """A class of the name that the reader looks for, independent of the package's own."""

    def __init__(self, m_f=0.1, threshold=0.0, **kwargs):
        super().__init__(**kwargs)
        self.m_f, self.threshold = m_f, threshold

    def call(self, x):
        m, tg, te = self.m_f, 15.0, 50.0
        c1, c2 = 2 * m * tg**2, 2 * m * te * tg
        c3, c4 = tg * (m * tg + 2 * (m + 1) * te), m * te * (tg + te)

        def f(s):
            return 1 / (keras.ops.exp((c1 * s + c2) / (c3 * s + c4)) - 1)

        x = keras.ops.where(x >= self.threshold, x, 0.0)
        unit = f(keras.ops.maximum(x, 0)) - f(m / 2) + 0.5
        return keras.ops.maximum(unit / (f(1.0) - f(m / 2) + 0.5), 0.0)


def randomise(model, seed=0):
    """Set weights and batch norm statistics that are neither 0 nor 1."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        if not getattr(layer, "_layers", None) and layer.weights:
            new = []
            for weight in layer.weights:
                if weight.path.endswith(("gamma", "variance")):
                    new.append(rng.uniform(0.5, 2, weight.shape))
                else:
                    fan = max(1, int(np.prod(weight.shape[:-1])))
                    new.append(rng.normal(size=weight.shape) * (1.5 / np.sqrt(fan) if len(weight.shape) > 1 else 0.3))
            layer.set_weights(new)
    return model


def images(model, n=3, seed=1):
    return np.random.default_rng(seed).uniform(size=(n, *model.inputs[0].shape[1:])).astype("float32")


def close(graph, model, x=None):
    """Check that the graph, with and without junctions, gives the output of the model."""
    x = images(model) if x is None else x
    expected = model(x, training=False)
    expected = [np.asarray(value) for value in (expected if isinstance(expected, list) else [expected])]
    maxima = any(
        p.mode == "current" and has_maximum(p) for p in graph.projections
    )  # these have no form without junctions
    for version in (graph,) if maxima else (graph, graph.expand_junctions()):
        values = version.activations(x)
        assert [p.name for p in version.readouts] == [p.name for p in graph.readouts]
        for readout, value in zip(version.readouts, expected):
            scale = max(1e-3, np.abs(value).max())
            np.testing.assert_allclose(values[readout.name].reshape(value.shape) / scale, value / scale, atol=1e-4)
    # The table has a row for each layer and one for each projection.
    text = str(graph)
    for layer in model.layers:
        assert any(line.startswith(f"{layer.name} ") for line in text.splitlines()), layer.name
    for p in graph.projections:
        assert f"{p.source} -> {p.target} " in text


def hidden_equal(graph, model):
    """Check that every population that represents a layer gives the output of that layer."""
    x = images(model)
    values = graph.activations(x)
    names = {layer.name for layer in model.layers}
    for p in graph.populations.values():
        if p.keras_layer in names and p.kind in ("spiking", "input"):
            output = np.asarray(keras.Model(model.inputs, model.get_layer(p.keras_layer).output)(x, training=False))
            np.testing.assert_allclose(values[p.name].reshape(output.shape), output, atol=2e-4, err_msg=p.name)


def kinds(graph):
    return {name: p.kind for name, p in graph.populations.items()}


def sequential(*layers, shape=(8, 8, 2)):
    return randomise(keras.Sequential([keras.Input(shape), *layers]))


def functional(function, shape=(8, 8, 2)):
    inputs = keras.Input(shape)
    return keras.Model(inputs, function(inputs))


def residual_block(x, filters, stride, name, activation=ASNTransfer):
    y = activation(name=f"{name}_a")(L.BatchNormalization(name=f"{name}_bn1")(x))
    shortcut = L.Conv2D(filters, 1, strides=stride, name=f"{name}_shortcut")(y) if stride > 1 else x
    y = L.Conv2D(filters, 3, strides=stride, padding="same", name=f"{name}_conv1")(y)
    y = activation(name=f"{name}_b")(L.BatchNormalization(name=f"{name}_bn2")(y))
    y = L.Conv2D(filters, 3, padding="same", name=f"{name}_conv2")(y)
    return L.Add(name=f"{name}_add")([shortcut, y])


def residual_network(activation=ASNTransfer):
    inputs = keras.Input((12, 12, 3))
    x = activation(name="encode")(L.BatchNormalization(name="bn0")(inputs))
    x = L.Conv2D(4, 3, padding="same", name="stem")(x)
    for k, (filters, stride) in enumerate([(4, 1), (4, 1), (6, 2), (6, 1), (6, 1)]):
        x = residual_block(x, filters, stride, f"block{k}", activation)
    x = activation(name="last")(L.BatchNormalization(name="bn_last")(x))
    x = L.Dense(5, activation="sigmoid", name="out")(L.GlobalAveragePooling2D(name="gap")(x))
    return randomise(keras.Model(inputs, x))
