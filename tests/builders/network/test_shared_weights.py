"""Layers that are called twice, and sub-models that are used twice, store their weights once."""

import numpy as np
import pytest
from brian2.core.variables import ArrayVariable
from keras_graphs import ASNTransfer, L, close, images, randomise

import brainsnn as bs
from brainsnn import ms

keras = pytest.importorskip("keras")
SHAPE = (8, 8, 6)


def block():
    """A sub-model with a batch norm, which is composed with the convolution in each call."""
    x = inputs = keras.Input(SHAPE)
    x = L.BatchNormalization(name="norm")(L.Conv2D(6, 3, padding="same", use_bias=False, name="conv")(x))
    return keras.Model(inputs, ASNTransfer(name="asn")(x), name="block")


def network():
    """A sub-model and a layer that are called twice, and a layer that two streams read."""
    both, conv = block(), L.Conv2D(6, 3, padding="same", name="twice")
    x = inputs = keras.Input(SHAPE, name="pixels")
    x = both(both(x))
    for k in range(2):
        x = ASNTransfer(name=f"asn{k}")(conv(x))
    sums = [L.Add(name=f"sum{k}")([x, L.Conv2D(6, 1, name=f"side{k}")(x)]) for k in range(2)]
    tail = L.Conv2D(6, 1, name="tail")
    last = [ASNTransfer(name=f"last{k}")(L.Add()([L.UpSampling2D(1)(tail(each)), each])) for k, each in enumerate(sums)]
    return keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(L.Add()(last))))


def stored(snn):
    """Return the bytes of all weights of the projections, each array once."""
    arrays = {
        v for p in snn.projections for v in p.variables.values() if isinstance(v, ArrayVariable) and v.name == "w"
    }
    return sum(v.size * np.dtype(v.dtype).itemsize for v in arrays)


def test_kernels_are_stored_once_in_the_graph():
    model = randomise(network())
    graph = bs.read_keras(model)
    close(graph, model)
    by_target = {p.target: p.operator.kernel for p in graph.projections}
    names = [name for name in graph.populations if name.endswith("asn")]
    assert len(names) == 2 and by_target[names[0]] is by_target[names[1]]  # composed with the batch norm in each call
    assert by_target["asn0"] is by_target["asn1"]
    assert len({id(p.operator.kernel) for p in graph.projections}) <= len(graph.projections) - 2


@pytest.mark.parametrize("options", [{}, {"schedule": "synchronous"}, {"device": "cpp_standalone"}, {"threads": 2}])
def test_projections_share_an_array_and_give_the_same_spikes(options):
    model = randomise(network())
    x = images(model, 2)
    record = {name: ["spikes"] for name in ("asn0", "asn1", "last0", "last1")}
    snn = bs.convert(model, record=record, **options)
    plain = bs.convert(model, record=record, connectivity="synapses", schedule=snn.schedule)
    assert stored(snn) < 0.75 * sum(p.operator.kernel.size for p in snn.graph.projections) * 4
    results = [each.run(x, duration=60 * ms) for each in (snn, plain)]
    for name in record:
        rasters = [result.raster(name) for result in results]
        assert rasters[0].any() and (rasters[0] != rasters[1]).mean() < 1e-3, (
            name
        )  # sums in another order are rounded otherwise
    np.testing.assert_allclose(results[0].output[:, -1], results[1].output[:, -1], atol=0.02)


def test_equal_kernels_that_are_visited_in_another_order_are_stored_apart():
    """A stride sorts the columns of a kernel otherwise."""
    x = inputs = keras.Input((9, 9, 2), name="pixels")
    x = ASNTransfer(name="first")(L.Conv2D(2, 3, padding="same")(x))
    one, two = L.Conv2D(3, 3, name="one"), L.Conv2D(3, 3, strides=2, name="two")
    both = [L.Flatten()(ASNTransfer(name=f"asn_{conv.name}")(conv(x))) for conv in (one, two)]
    model = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Concatenate()(both))))
    two.set_weights(one.get_weights())
    graph = bs.read_keras(model)
    found = {p.target: p for p in graph.projections}
    assert found["asn_one"].operator.kernel is found["asn_two"].operator.kernel
    x = images(model, 2)
    first, second = (
        bs.convert(graph, connectivity=c, record={"asn_two": ["spikes"]}).run(x, duration=50 * ms)
        for c in ("event_driven", "synapses")
    )
    assert first.raster("asn_two").any() and (first.raster("asn_two") != second.raster("asn_two")).mean() < 1e-3
