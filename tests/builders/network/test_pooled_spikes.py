"""Max pooling of spikes: a pooled neuron has spiked as often as the neuron of its window that has spiked most."""

import numpy as np
import pytest
from keras_graphs import L, images, randomise

import brainsnn as bs
from brainsnn import ms

keras = pytest.importorskip("keras")

NEURONS = {
    "if": bs.IF(initial=0.5),
    "hard": bs.IF(leak=0.9, reset="hard"),
    "lif": bs.LIF(threshold=0.1),
    "asn": bs.ASN(),
}


def network(pool=(2, 2), strides=None, branches=False, before=False):
    x = inputs = keras.Input((7, 6, 2), name="pixels")
    x = L.Conv2D(3, 3, padding="same", name="conv")(x)
    if before:
        x = L.ReLU(name="relu")(L.MaxPooling2D(pool, strides, name="pool")(x))
    else:
        x = relu = L.ReLU(name="relu")(x)
        x = L.MaxPooling2D(pool, strides, padding="same", name="pool")(x)
        if branches:
            x = L.Concatenate(name="both")([L.Flatten()(x), L.Flatten()(relu)])
    model = randomise(keras.Model(inputs, L.Dense(3, name="out")(L.Flatten(name="flat")(x))), 3)
    return model, images(model, 3)


def pooled_counts(raster, operator):
    """Return the largest number of spikes in each window after each step, (n, steps, H, W, C)."""
    counts = np.cumsum(raster, axis=1, dtype=float)
    return operator.apply(counts.reshape(-1, *raster.shape[2:])).reshape(*raster.shape[:2], *operator.output_shape)


@pytest.mark.parametrize("schedule, delay", [("pipelined", 1), ("synchronous", 0)])
@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("pool, strides", [((2, 2), None), ((3, 2), (1, 2))])
def test_pooled_neurons_follow_the_winner(name, schedule, delay, pool, strides):
    model, x = network(pool, strides)
    graph = bs.calibrate(model, x)
    record = {"relu": ["spikes", "n_spikes"], "pool": ["spikes"]}
    snn = bs.convert(graph, neuron=NEURONS[name], schedule=schedule, max_pooling="spikes", record=record)
    assert list(snn.populations) == ["relu", "pool", "out"]
    result = snn.run(x, duration=60 * ms)
    raster, passed = result.raster("relu"), result.raster("pool")
    most = pooled_counts(raster, snn.graph.incoming("pool")[0].operator)
    np.testing.assert_array_equal(passed.cumsum(1)[:, delay:], most[:, : 60 - delay])
    assert most[:, -1].max() > 3 and not passed[:, :delay].any()


@pytest.mark.parametrize("options", [{"device": "cpp_standalone"}, {"connectivity": "synapses"}, {"threads": 2}])
def test_equal_on_other_devices(options):
    model, x = network()
    graph = bs.calibrate(model, x)
    expected = bs.convert(graph, neuron=bs.IF(), record={"pool": ["spikes"]}).run(x, duration=30 * ms)
    result = bs.convert(graph, neuron=bs.IF(), record={"pool": ["spikes"]}, **options).run(x, duration=30 * ms)
    np.testing.assert_array_equal(result.raster("pool"), expected.raster("pool"))
    np.testing.assert_allclose(result.output, expected.output, rtol=1e-5)


def test_a_layer_that_is_also_read_elsewhere_is_not_copied():
    model, x = network(branches=True)
    graph = bs.calibrate(model, x)
    snn = bs.convert(graph, neuron=bs.IF(initial=0.5))
    assert list(snn.populations) == ["relu", "pool", "out"] and "relu_membrane" not in snn.graph.populations
    output = snn.run(x, duration=2000 * ms).output[:, -1] / 2000
    np.testing.assert_allclose(output, bs.read_keras(model).activations(x)["out"].reshape(3, 3), atol=0.02)


def test_pooling_before_the_nonlinearity():
    model, x = network(before=True)
    snn = bs.convert(bs.calibrate(model, x), neuron=bs.IF(initial=0.5))
    assert list(snn.populations) == ["conv", "relu", "out"]
    output = snn.run(x, duration=2000 * ms).output[:, -1] / 2000
    np.testing.assert_allclose(output, bs.read_keras(model).activations(x)["out"].reshape(3, 3), atol=0.02)


def test_a_maximum_of_a_maximum():
    x = inputs = keras.Input((8, 8, 1), name="pixels")
    x = L.ReLU(name="relu")(L.Conv2D(2, 3, name="conv")(x))
    x = L.MaxPooling2D(2, 1, name="second")(L.MaxPooling2D(2, name="first")(x))
    model = randomise(keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(x))), 1)
    x = images(model, 2)
    snn = bs.convert(bs.calibrate(model, x, 100), neuron=bs.IF(initial=0.5))
    assert list(snn.populations) == ["relu", "second", "out"]  # one maximum
    output = snn.run(x, duration=2000 * ms).output[:, -1] / 2000
    np.testing.assert_allclose(output, bs.read_keras(model).activations(x)["out"].reshape(2, 2), atol=0.02)


def test_membranes_stay_the_default_where_they_can_be_pooled():
    model, x = network()
    graph = bs.calibrate(model, x)
    assert list(bs.convert(graph).populations) == ["relu", "out"]
    assert list(bs.convert(graph, max_pooling="spikes").populations) == ["relu", "pool", "out"]
    mixed = bs.convert(graph, neuron={"relu": bs.IF(), ...: bs.ASN()})
    assert list(mixed.populations) == ["relu", "pool", "out"] and mixed.models["pool"].name == "IF, passing spikes"


def test_what_cannot_be_honoured_is_refused():
    model, x = network()
    graph = bs.calibrate(model, x)
    with pytest.raises(ValueError, match="max_pooling='mean'; choose one of 'membrane', 'spikes'"):
        bs.convert(graph, max_pooling="mean")
    with pytest.raises(ValueError, match="IF.membrane: the model names no membrane variable"):
        bs.convert(graph, neuron=bs.IF(), max_pooling="membrane")
    with pytest.raises(ValueError, match="'pool' of this LayerGraph pools spikes.*leave max_pooling out"):
        bs.convert(bs.calibrate(model, x, method="balance"), max_pooling="membrane")
    with pytest.raises(ValueError, match="'pool' passes on the spikes of 'relu' and has its model. Name 'relu'"):
        bs.convert(graph, neuron={"pool": bs.IF(), ...: bs.IF()}, max_pooling="spikes")
    snn = bs.convert(graph, max_pooling="spikes")
    attention = bs.SpatialAttention(center=(0.5, 0.5), width=0.2, output_gain=0.3)
    with pytest.raises(ValueError, match="output_gain"):
        snn.attend(attention, layers=["relu"])
    snn.attend(attention, layers=["pool"])
    state = bs.LIF().edit(reset="v -= v_th; h *= 0.9")
    with pytest.raises(ValueError, match="'h' depends on h, which neurons that pass on spikes do not have"):
        bs.convert(graph, neuron=state, max_pooling="spikes")


def test_attention_that_switches_the_height_of_passed_spikes():
    model, x = network()
    attention = bs.SpatialAttention(center=(0.5, 0.5), width=0.2, output_gain=0.5, onset=10 * ms)
    snn = bs.convert(bs.calibrate(model, x), neuron=bs.switchable(bs.ASN()), max_pooling="spikes")
    plain = snn.run(x, duration=20 * ms).output
    snn.attend(attention, layers=["pool"])
    attended = snn.run(x, duration=20 * ms).output
    np.testing.assert_array_equal(attended[:, :10], plain[:, :10])
    assert np.abs(attended[:, 15:] - plain[:, 15:]).max() > 1e-4


def test_the_output_gain_of_passed_spikes():
    model, x = network()
    snn = bs.convert(bs.calibrate(model, x), neuron=bs.IF())
    plain = snn.run(x, duration=20 * ms).output
    snn.set_parameters("pool", h=2.0)
    bias = np.asarray(model.get_layer("out").bias) * np.arange(1, 21)[:, None]
    np.testing.assert_allclose(snn.run(x, duration=20 * ms).output - bias, 2 * (plain - bias), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pooling", ["membrane", "spikes"])
def test_spikes_that_never_arrive_are_not_printed(pooling):
    """Neurons that pool others, and those that get the image as a current, have no synapses."""
    model, x = network(before=pooling == "membrane")
    snn = bs.convert(bs.calibrate(model, x), neuron=bs.ASN(), max_pooling=pooling)
    printed = {name: "spike arrives" in str(one) for name, one in snn.models.items()}
    receives = {name: bool(snn._assembly.inputs[name].spikes) for name in printed}
    assert printed == receives and sum(receives.values()) == 1 and printed["out"]
    rows = snn.describe().tables["D"].rows
    assert sum(row[0] == "Spike arrives" for row in rows) == 1
    assert "spike arrives" in str(bs.ASN()) and "spike arrives" in str(bs.IF())
