"""Max pooling joined with other branches: pooled in a group of its own after a ReLU, as a graded maximum elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_graphs import ASNTransfer, L, close, hidden_equal, images, kinds, randomise

import brainsnn as bs
from brainsnn import ms

keras = pytest.importorskip("keras")

SHAPE = (8, 8, 2)


def separable(x, filters):
    """As in Xception: a convolution and a batch norm, no ReLU."""
    return L.BatchNormalization()(L.SeparableConv2D(filters, 3, padding="same", use_bias=False)(x))


def branch(kind, x, k, spikes):
    if kind == "relu":
        x = spikes(name=f"relu{k}")(L.Conv2D(2, 3, padding="same", name=f"conv{k}")(x))
    elif kind == "linear":
        x = L.Conv2D(3, 1, padding="same", name=f"conv{k}")(x)
    elif kind == "norm":
        x = separable(x, 2)
    return x


def block(joins, kinds_of_branches, pool, stride, after, seed, spikes=L.ReLU):
    inputs = keras.Input(SHAPE, name="pixels")
    x = spikes(name="first")(L.Conv2D(3, 3, padding="same", name="conv")(inputs))
    both = [branch(kind, x, k, spikes) for k, kind in enumerate(kinds_of_branches)]
    if joins == "concatenate, pool":  # Inception, DenseNet
        joined = L.Concatenate(name="joined")(both)
        x = L.MaxPooling2D(pool, stride, padding="same", name="pool")(joined)
        if after:
            x = L.Concatenate(name="again")(
                [x, L.Conv2D(2, pool, stride, padding="same", activation="relu", name="c")(joined)]
            )
    else:
        both = [L.MaxPooling2D(pool, stride, padding="same", name=f"pool{k}")(x) for k, x in enumerate(both)]
        both.append(L.Conv2D(2, 1, stride, padding="same", name="shortcut")(x))
        if joins == "pool, concatenate":
            x = L.Concatenate(name="joined")(both)
        else:  # Xception
            x = L.Add(name="joined")([L.Conv2D(4, 1)(x) for x in both])
    if after:
        x = L.Add(name="stream")([x, spikes(name="side")(L.Conv2D(x.shape[-1], 1)(x))])
    x = spikes(name="last")(L.Conv2D(3, 3)(x))
    return randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten(name="flat")(x))), seed)


@settings(max_examples=60, deadline=None)
@given(
    joins=st.sampled_from(["concatenate, pool", "pool, concatenate", "pool, add"]),
    branches=st.lists(st.sampled_from(["relu", "linear", "norm", "none"]), min_size=2, max_size=3),
    pool=st.sampled_from([2, 3]), stride=st.sampled_from([1, 2]), after=st.booleans(), seed=st.integers(0, 9),
)  # fmt: skip
def test_equal_to_keras(joins, branches, pool, stride, after, seed):
    model = block(joins, branches, pool, stride, after, seed)
    graph = bs.read_keras(model)
    x = images(model)
    expected, found = np.asarray(model(x)), graph.activations(x)["out"].reshape(3, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    hidden_equal(graph, model)
    assert all(p.kind != "membrane" or graph.outgoing(name) for name, p in graph.populations.items())


def test_branches_that_end_in_a_relu_are_pooled_one_by_one():
    model = block("concatenate, pool", ["relu", "relu"], 2, 2, False, 0)
    graph = bs.read_keras(model)
    close(graph, model)
    assert kinds(graph) == {
        "pixels": "input", "first": "spiking", "relu0_membrane": "membrane", "relu0": "spiking",
        "relu1_membrane": "membrane", "relu1": "spiking", "last": "spiking", "out": "readout",
    }  # fmt: skip


def test_branches_without_a_relu_are_graded_maxima():
    model = block("pool, add", ["norm", "linear"], 3, 2, True, 0)
    graph = bs.read_keras(model)
    assert "membrane" not in kinds(graph).values()
    maxima = [p for p in graph.projections if type(p.operator).__name__ == "MaxPool"]
    assert len(maxima) == 2 and all(
        p.mode == "current" and graph.populations[p.target].kind == "junction" for p in maxima
    )


@pytest.mark.parametrize(
    "options", [{}, {"schedule": "synchronous"}, {"connectivity": "synapses"}, {"device": "cpp_standalone"}]
)
@pytest.mark.parametrize("joins", ["pool, concatenate", "concatenate, pool", "pool, add"])
def test_spikes_follow_the_activations(joins, options):
    """The largest of several values that fluctuate is a little too large: 3% here, with the precision of 0.1."""
    model = block(joins, ["norm", "relu"], 2, 2, True, 1, ASNTransfer)
    x = images(model, 2)
    snn = bs.convert(model, record={"last": ["spikes"]}, **options)
    compared = bs.compare_activations(model, snn, x, 1000 * ms, 600 * ms)
    assert any(p.mode == "current" and type(p.operator).__name__ == "MaxPool" for p in snn.graph.projections)
    for layer in ("last", "out"):
        ann, found = compared.ann[layer].ravel(), compared.snn[layer].ravel()
        assert np.corrcoef(ann, found)[0, 1] > 0.99 and np.abs(ann - found).max() < 0.1 * np.abs(ann).max()


def test_refused_where_no_current_has_a_maximum():
    model = block("pool, add", ["norm", "linear"], 2, 2, False, 0)
    with pytest.raises(bs.ConversionError, match="'last' reads a maximum over values of .* such as IF, has no current"):
        bs.convert(model, neuron=bs.IF())
    rectified = block("pool, concatenate", ["relu", "relu"], 2, 2, False, 0)
    bs.convert(bs.calibrate(rectified, images(rectified)), neuron=bs.IF())


def padded(zeros="padding", spikes=L.ReLU, twice=False):
    """As in NASNet: zeros around a batch norm are pooled, so that its bias differs between the positions of a window."""
    inputs = keras.Input(SHAPE, name="pixels")
    x = spikes(name="first")(L.Conv2D(3, 3, padding="same", name="conv")(inputs))
    stream = (
        L.Add(name="stream")([L.Conv2D(3, 1)(x), L.BatchNormalization()(x)]) if twice else L.BatchNormalization()(x)
    )
    around = L.ZeroPadding2D(1)(stream)
    if zeros == "convolution":
        around = L.Conv2D(3, 3, padding="same")(stream)
    pooled = L.MaxPooling2D(3, 2, padding="same")(around)
    n = pooled.shape[1]
    side = L.Resizing(n, n)(stream) if twice else L.Resizing(n, n)(x)
    x = spikes(name="last")(L.Add(name="sum")([pooled, L.Conv2D(3, 1)(side)]))
    return randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten(name="flat")(x))), 4)


@pytest.mark.parametrize("twice", [False, True])
@pytest.mark.parametrize("zeros", ["padding", "convolution"])
def test_a_bias_of_each_position_is_added_before_a_maximum(zeros, twice):
    model = padded(zeros, twice=twice)
    graph = bs.read_keras(model)
    x = images(model)
    expected, found = np.asarray(model(x)), graph.activations(x)["out"].reshape(3, 2)
    np.testing.assert_allclose(found, expected, atol=1e-5 * max(1, np.abs(expected).max()))
    hidden_equal(graph, model)
    biased = [p for p in graph.populations.values() if p.kind == "junction" and p.bias.any()]
    assert biased and all(p.bias.shape == p.shape for p in biased)


@pytest.mark.parametrize(
    "options", [{}, {"schedule": "synchronous"}, {"connectivity": "synapses"}, {"device": "cpp_standalone"}]
)
def test_spikes_follow_the_activations_with_a_bias_of_each_position(options):
    model = padded(spikes=ASNTransfer, twice=options.get("connectivity") != "synapses")
    x = images(model, 2)
    snn = bs.convert(model, record={"last": ["spikes"]}, **options)
    compared = bs.compare_activations(model, snn, x, 1000 * ms, 600 * ms)
    for layer in ("last", "out"):
        ann, found = compared.ann[layer].ravel(), compared.snn[layer].ravel()
        assert np.corrcoef(ann, found)[0, 1] > 0.99 and np.abs(ann - found).max() < 0.1 * np.abs(ann).max()


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_currents_are_added_whatever_their_names(names):
    """Brian2 orders objects by their names: the current that is set must come before those that are added."""
    inputs = keras.Input(SHAPE, name="pixels")
    x = ASNTransfer(name="first")(L.Conv2D(3, 3, padding="same")(inputs))
    pools = [L.MaxPooling2D(2)(L.Conv2D(2, 1, name=name)(x)) for name in names]
    x = ASNTransfer(name="last")(L.Add(name="sum")(pools))
    model = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x))), 2)
    snn = bs.convert(model, record={"last": ["spikes"]})
    assert sum(p.target == "last" and p.mode == "current" for p in snn.graph.projections) == 2
    compared = bs.compare_activations(model, snn, images(model, 2), 800 * ms, 400 * ms)
    ann, found = compared.ann["last"].ravel(), compared.snn["last"].ravel()
    assert np.corrcoef(ann, found)[0, 1] > 0.99 and np.abs(ann - found).max() < 0.1 * np.abs(ann).max()


def test_the_current_of_an_image_gets_the_bias_before_a_maximum():
    inputs = keras.Input(SHAPE, name="pixels")
    pooled = L.MaxPooling2D(2)(L.Conv2D(2, 3, padding="same")(L.Rescaling(1, 0.5)(inputs)))
    x = ASNTransfer(name="last")(L.Add()([pooled, L.Conv2D(2, 2, 2)(inputs)]))
    model = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x))))
    snn = bs.convert(model, record={"last": ["spikes"]})
    compared = bs.compare_activations(model, snn, images(model, 2), 600 * ms, 300 * ms)
    ann, found = compared.ann["last"].ravel(), compared.snn["last"].ravel()
    assert np.corrcoef(ann, found)[0, 1] > 0.999


def test_the_image_and_spikes_have_no_common_maximum():
    inputs = keras.Input(SHAPE, name="pixels")
    relu = L.ReLU(name="relu")(L.Conv2D(2, 1)(inputs))
    pooled = L.MaxPooling2D(2)(L.Add()([L.Conv2D(3, 1)(relu), L.Conv2D(3, 1)(inputs)]))
    x = L.Add()([pooled, L.Conv2D(3, 2, 2)(relu)])
    model = randomise(keras.Model(inputs, L.Dense(2)(L.Flatten()(L.ReLU(name="last")(x)))))
    graph = bs.calibrate(model, images(model), encoder="poisson")
    with pytest.raises(
        bs.ConversionError, match="a maximum over currents of spikes and of the image.*encoder='poisson'"
    ):
        bs.convert(graph, encoder="current")
    bs.convert(graph)
