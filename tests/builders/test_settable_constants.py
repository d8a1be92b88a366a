"""Time constants and other constants of the equations can be set like per-neuron parameters, before a network is compiled."""

import numpy as np
import pytest
from brian2 import ms, pF
from keras_graphs import functional, images, randomise, sequential
from printed_network import printed_network

import brainsnn as bs
from brainsnn.builders.copying import copy_network
from brainsnn.equations import spike_height

L = pytest.importorskip("keras").layers
DURATION = 40 * ms
TAUS = np.linspace(10, 80, 50)
RECORD = {"first": ["spikes"], "second": ["spikes"]}


@pytest.fixture(scope="module")
def model():
    return sequential(L.Conv2D(3, 3, padding="same", activation="relu", name="first"),
                      L.Conv2D(2, 3, padding="same", activation="relu", name="second"),
                      L.Flatten(), L.Dense(3, name="out"), shape=(5, 5, 2))  # fmt: skip


def trains(result, layer):
    return result.raster(layer)[0].reshape(40, -1)


def assert_as_printed(snn, image, result, given):
    spikes, outputs = printed_network(snn, image, DURATION, given)
    for name, (neurons, steps) in spikes.items():
        expected = np.zeros_like(trains(result, name))
        expected[steps, neurons] = True
        assert expected.sum() > 5
        np.testing.assert_array_equal(trains(result, name), expected, err_msg=name)
    np.testing.assert_allclose(result.output[0], outputs["out"], rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_constants_are_set_for_a_layer_and_for_each_neuron(model, device):
    image = 2 * images(model, 1)
    snn = bs.convert(model, device=device, record=RECORD, dtype="float64")
    snn.set_parameters("first", tau_phi=5 * ms)
    snn.set_parameters("second", tau_beta=TAUS * ms, tau_gamma=8 * ms)
    snn.set_parameters("out", tau_phi=20 * ms)
    assert "tau_beta : second (constant)" in snn.models["second"].equations
    assert "tau_gamma : second (shared, constant)" in snn.models["second"].equations
    given = {"first": {"tau_phi": 5 * ms}, "out": {"tau_phi": 20 * ms},
             "second": {"tau_beta": TAUS * ms, "tau_gamma": 8 * ms, "h": spike_height(0.1, TAUS, 50, 8)}}  # fmt: skip
    np.testing.assert_allclose(snn.populations["second"].h, given["second"]["h"])
    printed = str(snn.models["second"])
    assert "tau_beta = 10. ms ... 80. ms   (per neuron)" in printed and "tau_gamma = 8. ms   (shared)" in printed
    assert "tau_phi = 5. ms   (shared)" in str(snn.models["first"])
    assert_as_printed(snn, image, snn.run(image, DURATION), given)

    # Other values need no compiling, and what follows from them follows.
    program = snn.build()
    snn.set_parameters("second", tau_beta=TAUS[::-1] * ms, tau_gamma=20 * ms, m_f=0.2)
    given["second"] = {"tau_beta": TAUS[::-1] * ms, "tau_gamma": 20 * ms, "m_f": 0.2,
                       "h": spike_height(0.2, TAUS[::-1], 50, 20)}  # fmt: skip
    assert_as_printed(snn, image, snn.run(image, DURATION), given)
    assert snn.build() == program
    with pytest.raises(ValueError, match="'tau_eta' of 'second' is a constant of the program .* Call convert again"):
        snn.set_parameters("second", tau_eta=20 * ms)
    with pytest.raises(ValueError, match="second.tau_gamma: 50 values for a parameter that all neurons share"):
        snn.set_parameters("second", tau_gamma=TAUS * ms)


def test_a_set_constant_is_one_of_the_neuron_model(model):
    image = 2 * images(model, 1)
    edited = bs.convert(model, {"second": bs.ASN(tau_gamma=20 * ms, tau_eta=30 * ms), ...: bs.ASN()}, record=RECORD)
    snn = bs.convert(model, record=RECORD)
    snn.set_parameters("second", tau_gamma=20 * ms, tau_eta=30 * ms)
    one, other = (network.run(image, DURATION) for network in (edited, snn))
    np.testing.assert_array_equal(trains(one, "second"), trains(other, "second"))
    np.testing.assert_allclose(one.output, other.output, rtol=1e-4, atol=1e-5)

    copy = copy_network(snn, RECORD)
    assert {name: str(m) for name, m in copy.models.items()} == {name: str(m) for name, m in snn.models.items()}
    np.testing.assert_array_equal(trains(copy.run(image, DURATION), "second"), trains(other, "second"))
    tables = [bs.compare_activations(model, s, image, duration=60 * ms, window=40 * ms).table for s in (edited, snn)]
    np.testing.assert_allclose(tables[0].mean_snn, tables[1].mean_snn, rtol=1e-4)


def test_attention_uses_the_constants_that_were_set(model):
    edited, snn = bs.convert(model, bs.ASN(tau_gamma=5 * ms)), bs.convert(model)
    for layer in ("first", "second"):
        snn.set_parameters(layer, tau_gamma=5 * ms)
    for network in (edited, snn):
        network.attend(bs.SpatialAttention((0.2, 0.2), precision=0.05))
    for layer in ("first", "second"):
        np.testing.assert_allclose(snn.populations[layer].h, edited.populations[layer].h, rtol=1e-5)
    assert np.ptp(snn.populations["second"].h) > 0


def test_the_exact_method_takes_constants_that_were_set(model):
    neuron = bs.LIF(tau_m=20 * ms, threshold=0.3).edit(method="exact", encoder="poisson")
    snns = [bs.convert(model, neuron, device="cpp_standalone") for neuron in (neuron, neuron.edit(tau_m=8 * ms))]
    for layer in ("first", "second"):
        snns[0].set_parameters(layer, tau_m=8 * ms)
    counts = [snn.run(images(model, 1), DURATION).spike_counts["second"][0] for snn in snns]
    assert counts[0] == counts[1] > 0


@pytest.mark.parametrize(
    "layer, values, message",
    [
        ("second", {"tau_beta": -1 * ms}, "second.tau_beta: a time constant must be greater than 0"),
        ("second", {"tau_beta": 5}, "second.tau_beta: the value needs the unit"),
        ("second", {"tau_beta": 5 * pF}, "second.tau_beta: the value needs the unit"),
        ("second", {"tau_bta": 5 * ms}, "named 'tau_bta'. Did you mean 'tau_beta'"),
        ("out", {"tau_eta": 5 * ms}, "named 'tau_eta'"),
        ("second", {"tau_beta": TAUS[:7] * ms}, r"values of shape \(7,\) for 50 neurons"),
    ],
)
def test_values_of_constants_are_checked(model, layer, values, message):
    with pytest.raises((ValueError, bs.UnknownNameError), match=message):
        bs.convert(model).set_parameters(layer, **values)


def test_steps_that_a_method_cannot_take_are_refused(model):
    snn = bs.convert(model, bs.LIF().edit(method="euler"))
    with pytest.raises(ValueError, match="second.tau_m: 0.5 ms is shorter than the time step"):
        snn.set_parameters("second", tau_m=0.5 * ms)


def test_constants_of_what_a_spike_does_are_refused(model):
    neuron = bs.LIF().edit(on_pre="I_post += w*h_pre*kappa", kappa=0.5)
    with pytest.raises(
        ValueError, match="'kappa' of 'second' is a constant of what a spike does.*neuron={'second': model.edit"
    ):
        bs.convert(model, neuron).set_parameters("second", kappa=0.2)


def test_constants_of_junctions_and_pooled_membranes_are_refused():
    def build(x):
        x = L.Conv2D(2, 3, padding="same", name="stem")(L.ReLU(name="encode")(x))
        x = L.Add()([x, L.Conv2D(2, 3, padding="same")(L.ReLU(name="block")(x))])
        return L.Dense(2, name="out")(L.Flatten()(L.MaxPooling2D(2)(L.ReLU(name="last")(x))))

    snn = bs.convert(randomise(functional(build, (4, 4, 2))))
    junction = next(name for name, p in snn.graph.populations.items() if p.kind == "junction")
    with pytest.raises(ValueError, match="'tau_beta' of 'block' is a constant of the neurons that it reads"):
        snn.set_parameters("block", tau_beta=20 * ms)
    with pytest.raises(
        ValueError, match="'tau_phi' of 'last' is a constant of the neurons that it reads, 'last_membrane'"
    ):
        snn.set_parameters("last", tau_phi=20 * ms)
    with pytest.raises(ValueError, match="also determines h of the neurons that read it"):
        snn.set_parameters(junction, tau_beta=20 * ms)
    with pytest.raises(ValueError, match="'tau_eta' of 'last_membrane' also|has no effect"):
        snn.set_parameters("last_membrane", tau_eta=20 * ms)
    snn.set_parameters("last_membrane", tau_phi=20 * ms)
    assert "tau_phi : second (shared, constant)" in snn.models["last_membrane"].equations
