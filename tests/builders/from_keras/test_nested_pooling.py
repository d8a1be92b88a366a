"""Pooling layers one after the other: one maximum, with the values and the spikes of two."""

import keras
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import brainsnn as bs
from brainsnn.builders.graph.nested_pooling import composed_maximum
from brainsnn.builders.operators.layers import max_pool

L = keras.layers
sizes = st.integers(1, 3)


@given(
    st.integers(3, 11),
    st.integers(3, 11),
    sizes,
    sizes,
    sizes,
    sizes,
    st.sampled_from(("same", "valid")),
    st.sampled_from(("same", "valid")),
)
@settings(deadline=None)
def test_two_maxima_are_one_wherever_one_reads_the_same(rows, columns, n, step, m, stride, before, after):
    random = np.random.default_rng(0)
    x = random.normal(size=(2, rows, columns, 3))
    first = max_pool(x.shape[1:], (n, n), (step, step), before)
    assume(after == "same" or min(first.output_shape[:2]) >= m)
    second = max_pool(first.output_shape, (m, m), (stride, stride), after)
    joined = composed_maximum(first, second)
    if joined is not None:
        np.testing.assert_array_equal(joined.apply(x), second.apply(first.apply(x)))
    elif step <= n and (rows - n) % step == (columns - n) % step == 0 and before == after == "valid":
        pytest.fail("valid windows without gaps or left-over rows can always be joined")


def networks():
    """Pooling twice; pooling beside a branch and again (Inception); twice with overlapping windows; the image."""
    i = L.Input((8, 8, 2), name="pixels")
    x = L.Conv2D(3, 3, activation="relu", padding="same", name="c")(i)
    yield L.MaxPooling2D(2, name="second")(L.MaxPooling2D(2, name="first")(x)), i
    y = L.MaxPooling2D(2, name="once")(x)
    branch = L.Conv2D(2, 1, name="branch", activation="relu")(y)
    yield L.Concatenate(name="joined")([branch, L.MaxPooling2D(3, 1, padding="same", name="again")(y)]), i
    yield L.MaxPooling2D(3, 1, padding="same")(L.MaxPooling2D(3, 2, padding="same")(x)), i
    pixels = L.MaxPooling2D(3, 2, padding="same")(L.MaxPooling2D(3, 2, padding="same")(i))
    yield L.Conv2D(4, 2, activation="relu", padding="same", name="d")(pixels), i
    yield L.MaxPooling2D(2, name="last")(L.Conv2D(4, 3, activation="relu", name="e")(L.MaxPooling2D(2, 1)(i))), i


@pytest.mark.parametrize("neuron", [bs.ASN(m_f=0.05, tau_gamma=5 * bs.ms), bs.IF(initial=0.5)], ids=["ASN", "IF"])
@pytest.mark.parametrize("k", range(5))
def test_spikes_follow_pooling_of_pooling(k, neuron):
    if k > 2 and neuron.name == "IF":
        pytest.skip("pixels are pooled by membranes")
    keras.utils.set_random_seed(4)
    x, i = list(networks())[k]
    model = keras.Model(i, L.Dense(3, name="out")(L.Flatten()(x)))
    images = np.random.default_rng(1).random((3, 8, 8, 2))
    graph = bs.read_keras(model)
    expected = model.predict(images, verbose=0)
    np.testing.assert_allclose(graph.activations(images)["out"].reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    result = bs.convert(bs.calibrate(graph, images), neuron).run(images, 400 * bs.ms)
    # a readout of IF sums up over the steps
    output = result.output[:, -1] / (result.n_steps if neuron.name == "IF" else 1)
    assert np.corrcoef(output.ravel(), expected.ravel())[0, 1] > 0.98


def test_a_convolution_between_maxima_needs_a_neuron_with_a_filter():
    i = L.Input((8, 8, 2), name="pixels")
    x = L.Conv2D(3, 3, activation="relu", name="c")(L.MaxPooling2D(2, name="first")(i))
    with pytest.raises(
        bs.ConversionError, match="or to be pooled itself, and a neuron model without a linear .* such as IF"
    ):
        bs.read_keras(keras.Model(i, L.MaxPooling2D(2, name="second")(x)), junctions=False)
