"""Balanced thresholds: those of the training, and those of neurons simulated one by one."""

import numpy as np
import pytest
from keras_graphs import L, randomise

import brainsnn as bs

keras = pytest.importorskip("keras")


def test_balanced_scales_are_the_thresholds_of_the_training():
    """Pixels of 0 and 1 leave nothing to chance. There a spike has the height 1, here that of its threshold."""
    from brainsnn.training.balancing import balance_thresholds
    from brainsnn.training.predictive_vgg import predictive_vgg
    from brainsnn.training.unroll import SpikingUnroll

    network = predictive_vgg(5, (8, 8, 1), 4, width=1 / 16, dense=(6,))
    rng = np.random.default_rng(3)
    for layer in network.layers:
        layer.set_weights([rng.normal(0.3, 0.5, w.shape) for w in layer.get_weights()])
    images = rng.integers(0, 2, (3, 8, 8, 1)).astype(np.float32)
    # The unrolled network is pipelined: its last layers see fewer steps.
    thresholds = balance_thresholds(SpikingUnroll(network), images, 40, 0.4)
    graph = bs.calibrate(network, images, method="balance", factor=0.4, steps=40, encoder="poisson")
    before = 1.0
    for name in [p.name for p in graph.populations.values() if p.activation == "relu"][:4]:
        assert graph.populations[name].scale[0] == pytest.approx(before * thresholds[name], rel=1e-4), name
        before = graph.populations[name].scale[0]


def test_balancing_follows_biases_batch_norms_pooling_and_sums():
    x = inputs = keras.Input((6, 6, 2), name="pixels")
    a = x = L.ReLU(name="a")(L.BatchNormalization()(L.Conv2D(3, 3, padding="same")(x)))
    x = L.ReLU(name="b")(L.Add()([L.Conv2D(3, 3, padding="same")(x), a]))
    x = L.ReLU(name="c")(L.Conv2D(3, 1)(L.MaxPooling2D(2)(x)))
    model = randomise(keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(x))), 2)
    images = np.random.default_rng(0).uniform(size=(4, 6, 6, 2))
    graph = bs.calibrate(model, images, method="balance", factor=0.9, steps=50)
    np.testing.assert_allclose(
        graph.activations(images)["out"], bs.read_keras(model).activations(images)["out"], rtol=1e-5, atol=1e-6
    )
    expected = _thresholds_one_by_one(bs.read_keras(model), images, 50, 0.9)
    assert {name: float(graph.populations[name].scale[0]) for name in "abc"} == pytest.approx(expected, rel=1e-4)


def _thresholds_one_by_one(graph, images, steps, factor):
    """The same rule with matrices, step by step, for this network."""
    flat = graph.expand_junctions()
    thresholds, spikes = {}, {"pixels": np.repeat(images.reshape(1, 4, -1), steps, axis=0)}
    pooled = "b_membrane"
    order = {"a": ["a"], "b": [pooled], "c": ["c"]}
    for name, (target,) in order.items():
        drive = np.zeros((steps, 4, flat.populations[target].size))
        for p in flat.incoming(target):
            source = {"b": "max"}.get(p.source, p.source)
            matrix = np.zeros((p.operator.size_in, p.operator.size_out))
            np.add.at(matrix, p.operator.to_coo()[:2], p.operator.to_coo()[2])
            drive += spikes[source] @ matrix
        bias = flat.populations["b" if name == "b" else target].bias
        drive += np.broadcast_to(bias, flat.populations[target].shape).ravel()
        thresholds[name] = theta = factor * drive.max()
        v, found = 0, []
        for t in range(steps):
            v = v + drive[t]
            found.append((v > theta) * theta)
            v = v - found[-1]
        spikes[name] = np.array(found)
        if name == "b":
            counts = (
                np.cumsum(spikes[name] > 0, axis=0).reshape(steps, 4, 3, 2, 3, 2, 3).max((3, 5)).reshape(steps, 4, -1)
            )
            spikes["max"] = np.diff(counts, axis=0, prepend=0) * theta
    return thresholds
