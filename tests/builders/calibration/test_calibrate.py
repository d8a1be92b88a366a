"""Calibrated networks compute what they computed, with activations that reach 1, and spike as the artificial network says."""

import warnings
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras_graphs import L, images, randomise

import brainsnn as bs
from brainsnn import ms
from brainsnn.errors import SilentNeuronsWarning

keras = pytest.importorskip("keras")


def random_network(kinds, size, residual, concatenated, seed):
    """A ReLU network with the layers that calibration must scale along."""
    x = inputs = keras.Input((size, size, 2), name="pixels")
    for k, kind in enumerate(kinds):
        before = x
        x = L.Conv2D(3, 3, padding="same", name=f"conv{k}")(x)
        if kind == "norm":
            x = L.BatchNormalization(name=f"norm{k}")(x)
        if residual and k:
            x = L.Add(name=f"add{k}")([x, before])
        if kind == "pool first":
            x = L.MaxPooling2D(2, 1, padding="same", name=f"first{k}")(x)
        if kind == "leaky":
            x = L.LeakyReLU(0.1, name=f"relu{k}")(x)
        elif kind == "six":
            x = L.ReLU(1.5, name=f"relu{k}")(x)
        else:
            x = L.ReLU(name=f"relu{k}")(x)
        if kind in ("max", "average"):
            pool = L.MaxPooling2D if kind == "max" else L.AveragePooling2D
            pooled = pool(2, 1, padding="same", name=f"pool{k}")(x)
            x = L.Concatenate(name=f"both{k}")([x, pooled]) if concatenated else pooled
            x = L.Conv2D(3, 1, activation="relu", name=f"mix{k}")(x)
    x = L.Dense(4, activation="relu", name="hidden")(L.Flatten(name="flat")(x))
    return randomise(keras.Model(inputs, L.Dense(3, activation="softmax", name="out")(x)), seed)


networks = st.builds(
    random_network,
    st.lists(
        st.sampled_from(["plain", "norm", "max", "average", "pool first", "leaky", "six"]), min_size=1, max_size=3
    ),
    st.integers(3, 6),
    st.booleans(),
    st.booleans(),
    st.integers(0, 99),
)


@settings(max_examples=40, deadline=None)
@given(model=networks, per=st.sampled_from(["layer", "channel"]), percentile=st.sampled_from([50, 99.9, 100]))
def test_nothing_changes_but_the_scales(model, per, percentile):
    x = images(model, 6)
    plain, graph = bs.read_keras(model), bs.calibrate(model, x, percentile, per=per)
    before, after = plain.activations(x), graph.activations(x)
    np.testing.assert_allclose(after["out"], before["out"], rtol=1e-5, atol=1e-6)
    for name, population in graph.populations.items():
        assert population.kind == plain.populations[name].kind
        if population.activation == "relu":
            scaled = after[name] * population.scale
            np.testing.assert_allclose(
                scaled, before[name], rtol=1e-5, atol=1e-6 + 1e-5 * before[name].max(), err_msg=name
            )
    counted = bs.builders.graph.pooled_spikes.with_pooled_spikes
    if all(p.kind != "membrane" or _is_rectified(graph, name) for name, p in graph.populations.items()):
        pooled = counted(graph).activations(x)
        np.testing.assert_allclose(pooled["out"], before["out"], rtol=1e-5, atol=1e-6)


def _is_rectified(graph, name):
    return all(
        graph.populations[p.target].kind == "spiking" and type(p.operator).__name__ == "MaxPool"
        for p in graph.outgoing(name)
    )


def test_the_percentile_becomes_1():
    model = random_network(["norm", "plain"], 6, False, False, 1)
    x = images(model, 8)
    for percentile in (100, 90):
        values = bs.calibrate(model, x, percentile).activations(x)
        for name in ("relu0", "relu1", "hidden"):
            positive = values[name][values[name] > 0]
            assert np.percentile(positive, percentile) == pytest.approx(1, rel=1e-5)
    values = bs.calibrate(model, x, 100, per="channel").activations(x)
    largest = values["relu1"].max((0, 1, 2))
    np.testing.assert_allclose(largest[largest > 0], 1, rtol=1e-5)


def test_the_scales_print_as_a_table():
    model = random_network(["plain"], 4, False, False, 0)
    x = images(model)
    graph = bs.calibrate(bs.read_keras(model), x, 100)
    largest = bs.read_keras(model).activations(x)["hidden"].max()
    assert graph.scales.loc["hidden", "scale"] == pytest.approx(largest, rel=1e-5)
    assert list(graph.scales.index) == ["relu0", "hidden"] and "hidden" in str(graph.scales)
    again = bs.calibrate(graph, x, 100)
    np.testing.assert_allclose(again.scales["scale"], graph.scales["scale"], rtol=1e-5)


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_counts_of_if_neurons_follow_the_activations(per):
    """A soft reset and a first potential of half a threshold leave an error of half a spike for each neuron and layer."""
    model = random_network(["norm", "max", "six", "leaky"], 6, True, True, 5)
    x = images(model, 4)
    graph = bs.calibrate(model, x, 100, per=per)
    snn = bs.convert(
        graph, neuron=bs.IF(initial=0.5), schedule="synchronous", dtype="float64", record={"relu0": ["spikes"]}
    )
    result = snn.run(x, duration=4000 * ms)
    expected = graph.activations(x)["relu0"]
    np.testing.assert_allclose(result.raster("relu0").mean(1), np.clip(expected, 0, 1), atol=0.51 / 4000)
    output = bs.read_keras(model).activations(x)["out"]
    assert (result.output[:, -1].argmax(1) == output.reshape(4, 3).argmax(1)).all()


def test_silent_layers_have_the_scale_before_them():
    model = random_network(["plain", "plain"], 4, False, False, 0)
    model.get_layer("conv1").bias.assign([-1e3] * 3)
    with pytest.warns(UserWarning, match="no image excites 'relu1', whose scale"):
        graph = bs.calibrate(model, images(model))
    assert graph.scales.loc["relu1", "scale"] == graph.scales.loc["relu0", "scale"]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"method": "rate"}, "method='rate'; choose one of 'data', 'balance'"),
        ({"per": "neuron"}, "per='neuron'; choose one of 'layer', 'channel'"),
        ({"encoder": "latency"}, "encoder='latency'; choose one of 'current', 'poisson'"),
        ({"percentile": 0}, r"percentile must lie in \(0, 100\], got 0"),
        ({"factor": -1}, "factor must be greater than 0, got -1"),
        ({"method": "balance", "per": "channel"}, "method='balance' finds one threshold for each layer"),
        ({"method": "balance", "steps": 0}, "calibrate: steps"),
        ({"method": "balance", "seed": -1}, "calibrate: seed"),
    ],
)
def test_options_that_are_refused(options, message):
    model = random_network(["plain"], 4, False, False, 0)
    with pytest.raises(ValueError, match=message):
        bs.calibrate(model, images(model), **options)


def test_networks_and_images_that_are_refused():
    model = random_network(["plain"], 4, False, False, 0)
    with pytest.raises(ValueError, match=r"calibrate: images of shape \(3, 4, 4\); the network takes \(n, 4, 4, 2\)"):
        bs.calibrate(model, images(model)[..., 0])
    digits = bs.load_model("digits")
    with pytest.raises(ValueError, match="has no ReLU layer. Layers with ASNTransfer were trained"):
        bs.calibrate(digits, np.zeros((1, 28, 28, 1)))
    spiking = replace(bs.read_keras(model), neurons={"relu0": bs.IF()})
    with pytest.raises(ValueError, match="was read as a spiking network, whose neurons have their thresholds already"):
        bs.calibrate(spiking, images(model))
    mixed = keras.Sequential([keras.Input((4, 4, 2)), L.ReLU(), bs.training.ASNTransfer(name="asn"), L.Flatten()])
    with pytest.raises(bs.ConversionError, match="'asn' has the activation 'asn'. Use method='data'"):
        bs.calibrate(mixed, images(mixed), method="balance")


def test_convert_warns_of_a_network_that_was_not_calibrated():
    model = random_network(["plain"] * 3, 4, False, False, 0)
    with pytest.warns(
        bs.UncalibratedWarning, match="'relu0', 'relu1', 'relu2' and 1 more.*brainsnn.calibrate"
    ) as caught:
        bs.convert(model)
    assert [str(w.message)[:8] for w in caught if w.category is bs.UncalibratedWarning] == ["convert:"]
    assert caught.pop(bs.UncalibratedWarning).filename == __file__


@pytest.mark.filterwarnings("error::brainsnn.errors.UncalibratedWarning")
def test_convert_does_not_warn_of_calibrated_balanced_or_other_networks():
    model = random_network(["plain"], 4, False, False, 0)
    bs.convert(bs.calibrate(model, images(model)))
    bs.convert(model, neuron=bs.IF(), thresholds={"relu0": 2, "hidden": 3})
    bs.convert(bs.load_model("digits"))


def test_a_spike_counts_as_its_threshold():
    """With a threshold of 1/2 neurons spike twice as often, and their spikes must count half."""
    model = random_network(["plain"], 4, False, False, 0)
    x = images(model)
    graph = bs.calibrate(model, x, 100)
    with pytest.raises(
        ValueError, match=r"'relu0' \(IF\) have the threshold 0.5 and the spike height 1.0.*edit\(h=0.5\)"
    ):
        bs.convert(graph, neuron=bs.IF(threshold=0.5))
    with pytest.raises(ValueError, match="thresholds of 'relu0', and the graph is calibrated"):
        bs.convert(graph, neuron=bs.IF(), thresholds={"relu0": 0.5})
    plain, half = (bs.convert(graph, neuron=neuron) for neuron in (bs.IF(), bs.IF(threshold=0.5).edit(h=0.5)))
    outputs = [snn.run(0.5 * x, duration=2000 * ms).output[:, -1] for snn in (plain, half)]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=0.01)


def test_the_encoder_of_the_calibration_is_the_default():
    model = random_network(["plain"], 4, False, False, 0)
    x = images(model)
    for encoder in ("current", "poisson"):
        graph = bs.calibrate(model, x, encoder=encoder)
        has_input = "pixels" in bs.convert(graph, neuron=bs.IF())._assembly.groups
        assert has_input == (encoder == "poisson")


def test_neurons_that_cannot_express_what_adaptive_ones_were_trained_to():
    graph = bs.read_keras(bs.load_model("digits"))
    with pytest.warns(bs.UncalibratedWarning, match="'encoding_asn' was trained with .*Neurons of IF cannot"):
        bs.convert(graph, neuron=bs.IF())
    with pytest.warns(SilentNeuronsWarning, match=r"\(LIF\) are silent for activations below"):
        bs.convert(graph, neuron=bs.LIF())
    with warnings.catch_warnings():
        warnings.simplefilter("error", bs.UncalibratedWarning)
        bs.convert(graph)
        bs.convert(graph, neuron=bs.LIF(tau_m=100 * bs.ms, threshold=0.02))
