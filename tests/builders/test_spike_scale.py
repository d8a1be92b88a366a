"""A spike carries the same activation to every synapse, and convert says where it cannot know how large that is."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import brainsnn as bs
from brainsnn import ms

L = keras.layers
STEPS = 400
LIF = bs.LIF(tau_m=100 * ms, threshold=0.02)
MODELS = {
    "IF": bs.IF(initial=0.5), "ASN": bs.ASN(m_f=0.05, tau_gamma=5 * ms),
    "fast ASN": bs.ASN(m_f=0.05, tau_gamma=5 * ms, tau_beta=10 * ms),
    "edited ASN": bs.ASN(m_f=0.05, tau_gamma=5 * ms).edit(tau_beta=8 * ms), "LIF": LIF, "slow LIF": LIF.edit(tau_s=30 * ms),
}  # fmt: skip


def network(seed=1):
    keras.utils.set_random_seed(seed)
    inputs = L.Input((4, 4, 1), name="pixels")
    x = L.Conv2D(2, 1, activation="relu", name="first", kernel_initializer="ones")(inputs)
    x = L.Conv2D(2, 1, name="second", activation="relu", kernel_initializer="ones")(x)
    return keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(x)))


GRAPH = bs.calibrate(network(), np.ones((2, 4, 4, 1)))


def received(result, layer):
    """What a layer receives at the end of a run (mean of 200 steps), of neurons whose input acts for one step what they send."""
    if "dI/dt" not in str(result.models[layer]):
        return result.raster(layer)[0, -200:].mean(axis=0)
    return result.states[layer]["I"][0, -200:].mean(axis=0)


@settings(deadline=None, max_examples=12)
@given(source=st.sampled_from(sorted(MODELS)), target=st.sampled_from(sorted(MODELS)))
def test_activations_pass_between_any_two_models(source, target):
    images = np.full((1, 4, 4, 1), 0.6)
    snn = bs.convert(GRAPH, {"first": MODELS[source], "second": MODELS[target], ...: MODELS["ASN"]}, encoder="current",
                     record={"second": ["spikes", "I"]})  # fmt: skip
    result = snn.run(images, STEPS * ms)
    activations = GRAPH.activations(images)
    operator = next(p.operator for p in GRAPH.projections if p.target == "second")
    expected = operator.apply(activations["first"].reshape(1, 4, 4, 2)).ravel()
    # Neurons express activations to within some hundredths; a synapse of another decay would be wrong by a factor of 1.7 or more.
    np.testing.assert_allclose(received(result, "second").ravel(), expected, rtol=0.12, atol=0.02)


@pytest.mark.parametrize("name", ["ASN", "fast ASN", "LIF", "IF"])
def test_a_spike_of_the_image_in_every_step_is_a_current_of_1(name):
    snn = bs.convert(GRAPH, MODELS[name], encoder="poisson", record={"first": ["spikes", "I"]})
    result = snn.run(np.full((1, 4, 4, 1), 1.0), STEPS * ms)
    operator = next(p.operator for p in GRAPH.projections if p.target == "first")
    expected = operator.apply(np.ones((1, 4, 4, 1))).ravel()
    np.testing.assert_allclose(received(result, "first").ravel(), expected, rtol=0.03)


def test_equal_synapses_leave_the_statement_of_a_spike_as_it_is():
    snn = bs.convert(GRAPH, {"first": bs.ASN(m_f=0.3), ...: bs.ASN()}, connectivity="synapses")
    statements = {c.name: c._pathways[0].code for c in snn._assembly.connections if getattr(c, "_pathways", None)}
    assert statements and all("scale" not in code for code in statements.values())
    snn = bs.convert(GRAPH, {"first": bs.IF(), ...: bs.ASN()}, connectivity="synapses", encoder="current")
    codes = [c._pathways[0].code for c in snn._assembly.connections if getattr(c, "_pathways", None)]
    assert sum("spike_scale" in code for code in codes) == 1


@pytest.mark.filterwarnings("error::brainsnn.errors.UncalibratedWarning")
def test_models_with_known_synapses_do_not_warn():
    for other in MODELS.values():
        bs.convert(GRAPH, {"first": other, ...: bs.ASN()}, encoder="poisson")


def test_an_unknown_scale_is_said():
    saturating = bs.ASN().replace("dI/dt = -I/tau_beta : 1", "dI/dt = -I/tau_beta - I**3/tau_beta : 1")
    with pytest.warns(
        bs.UncalibratedWarning,
        match="the spikes of 'first' .IF. reach 'second' .ASN., and the synapse there is another",
    ):
        bs.convert(GRAPH, {"first": bs.IF(), "second": saturating, ...: bs.ASN()}, encoder="current")
    with pytest.warns(bs.UncalibratedWarning, match=r"the spikes of '.*' \(pixels\) reach 'first'"):
        bs.convert(GRAPH, saturating, encoder="poisson")
    own = bs.IF().edit(update="v = leak*v + I + bias; I = 0.9*I")
    with pytest.warns(bs.UncalibratedWarning, match="neither an exponential filter nor cleared each step"):
        bs.convert(GRAPH, {"second": own, ...: bs.ASN()}, encoder="current")


def test_leaky_neurons_that_would_be_silent_are_said():
    with pytest.warns(
        bs.UncalibratedWarning, match="silent for activations below their threshold of 1.0.*LIF.tau_m=100"
    ):
        bs.convert(GRAPH, bs.LIF())


def test_a_sigmoid_of_a_sum_is_said_and_the_readout_that_is_advised_gives_that_of_the_network():
    keras.utils.set_random_seed(3)
    inputs = L.Input((4, 4, 1), name="pixels")
    x = L.Conv2D(4, 2, activation="relu", name="first")(inputs)
    model = keras.Model(inputs, L.Dense(3, activation="sigmoid", name="out")(L.Flatten()(x)))
    images = np.random.default_rng(0).random((3, 4, 4, 1))
    graph = bs.calibrate(model, images)
    with pytest.warns(bs.UncalibratedWarning, match=r"'out' .IF readout. adds up .* sigmoid .*ASN\(\).readout"):
        bs.convert(graph, bs.IF())
    snn = bs.convert(graph, bs.IF(initial=0.5).edit(readout=bs.ASN().readout), encoder="current")
    output = snn.run(images, STEPS * ms).output[:, -200:].mean(axis=1)
    np.testing.assert_allclose(output, model.predict(images, verbose=0), atol=0.02)


def test_images_in_the_range_of_8_bits_are_said():
    snn = bs.convert(GRAPH, bs.ASN())
    with pytest.warns(UserWarning, match="images from 0.5 to 254.5: resized 8-bit values"):
        snn.run(np.linspace(0.5, 254.5, 16).reshape(1, 4, 4, 1), 5 * ms)


def test_a_synapse_that_is_set_afterwards_is_said():
    snn = bs.convert(GRAPH, bs.ASN())
    with pytest.warns(bs.UncalibratedWarning, match="'tau_beta' of 'second' is a constant of its synapse"):
        snn.set_parameters("second", tau_beta=20 * ms)


def test_exchanged_neurons_of_a_network_that_was_read_as_spiking_are_said(tmp_path, recwarn):
    graph = bs.read_nir(bs.convert(GRAPH, bs.IF()).to_nir(tmp_path / "network.nir"))
    bs.convert(graph)
    assert not [w for w in recwarn if issubclass(w.category, bs.UncalibratedWarning)]
    with pytest.warns(bs.UncalibratedWarning, match="the weights of this network were made for other neurons"):
        bs.convert(graph, {**graph.neurons, "second": bs.ASN()})


def test_describe_names_the_factor():
    text = str(bs.convert(GRAPH, {"first": bs.IF(), ...: bs.ASN()}, encoder="current").describe())
    assert f"spikes * {1 - np.exp(-1 / 50):.4g}" in text


@pytest.mark.parametrize("name", ["IF", "ASN", "LIF"])
def test_a_prediction_is_that_of_the_network_whatever_neurons_make_it(name):
    keras.utils.set_random_seed(4)
    inputs = L.Input((4, 4, 1), name="pixels")
    x = L.Conv2D(4, 3, padding="same", activation="relu", name="hidden")(inputs)
    predicted = L.Conv2D(1, 3, padding="same", activation="relu", name="prediction")(x)
    model = keras.Model(inputs, [L.Dense(3, name="out")(L.Flatten()(x)), predicted])
    images = np.random.default_rng(0).random((2, 4, 4, 1))
    graph = bs.calibrate(model, images, encoder="poisson")
    gate = bs.PredictiveGate(mode="none", squash_step=1e-3)
    result = bs.convert(graph, MODELS[name], feedback=gate).run(images, STEPS * ms)
    predicted = result.predicted_input[:, -1].ravel() / (STEPS * 1e-3)
    expected = graph.activations(images)["prediction"].ravel()
    assert np.corrcoef(predicted, expected)[0, 1] > 0.95
    assert predicted.sum() == pytest.approx(expected.sum(), rel=0.15)


def test_relu6_after_pooling_is_refused_where_spikes_are_pooled():
    inputs = L.Input((8, 8, 1), name="pixels")
    x = L.ReLU(max_value=6.0, name="clipped")(L.MaxPooling2D(2)(L.Conv2D(3, 3, name="conv")(inputs)))
    model = keras.Model(inputs, L.Dense(3, name="out")(L.Flatten()(x)))
    images = np.random.default_rng(0).random((2, 8, 8, 1))
    graph = bs.calibrate(model, images)
    with pytest.raises(bs.ConversionError, match="'clipped.*' and 'clipped.*' read one maximum .* without max_value"):
        bs.convert(graph, bs.IF(), encoder="current")
    bs.convert(graph, bs.ASN())


def test_a_prediction_of_unknown_size_is_said():
    inputs = keras.Input((4, 4, 1), name="pixels")
    x = L.Conv2D(2, 3, padding="same", activation="relu", name="hidden")(inputs)
    predicted = L.Conv2D(1, 3, padding="same", activation="relu", name="prediction")(x)
    model = keras.Model(inputs, [L.Dense(3, name="out")(L.Flatten()(x)), predicted])
    saturating = bs.ASN().replace("dI/dt = -I/tau_beta : 1", "dI/dt = -I/tau_beta - I**3/tau_beta : 1")
    with pytest.warns(bs.UncalibratedWarning, match="how large a prediction a spike of 'prediction' is"):
        bs.convert(model, {"prediction": saturating, ...: bs.IF()}, feedback=bs.PredictiveGate(mode="none"))
