"""A neuron model per layer: the network is the one that is printed, layer by layer."""

import numpy as np
import pytest
from brian2 import ms, pA, volt
from example_models import current_based_lif
from keras_graphs import functional, images, randomise, sequential
from printed_network import printed_network

import brainsnn as bs

L = pytest.importorskip("keras").layers
SLOW, FAST, LIF = bs.ASN(tau_beta=90 * ms), bs.ASN(m_f=0.2, tau_beta=20 * ms), bs.LIF(threshold=0.2)
DURATION = 40 * ms


@pytest.fixture(scope="module")
def model():
    return sequential(L.Conv2D(3, 3, padding="same", activation="relu", name="first"),
                      L.Conv2D(2, 3, padding="same", activation="relu", name="second"),
                      L.Flatten(), L.Dense(4, activation="relu", name="third"), L.Dense(3, name="out"),
                      shape=(5, 5, 2))  # fmt: skip


def converted(model, neuron, **options):
    return bs.convert(model, neuron=neuron, dtype="float64", **options)


def recording_all(snn):
    return {name: ["spikes"] for name in snn.populations.spiking}


def assert_as_printed(model, neuron, device="runtime", scale=2.0):
    """Check spikes and output of a network with those of plain Brian2 objects made from the printed models."""
    record = recording_all(bs.convert(model, neuron=neuron))
    snn = converted(model, neuron, device=device, record=record)
    image = scale * images(model, 1)
    result = snn.run(image, DURATION)
    spikes, outputs = printed_network(snn, image, DURATION)
    for name, (neurons, steps) in spikes.items():
        assert len(neurons) > 5, name
        expected = np.zeros((40, snn.graph.populations[name].size), bool)
        expected[steps, neurons] = True
        np.testing.assert_array_equal(result.raster(name)[0].reshape(expected.shape), expected, err_msg=name)
    np.testing.assert_allclose(result.output[0], outputs["out"], rtol=1e-6, atol=1e-9)
    return snn


def with_units():
    """A neuron with currents, whose height has a name of its own."""
    neuron = current_based_lif()
    equations = neuron.equations.replace("h : amp", "amplitude : amp")
    parameters = {**neuron.parameters, "amplitude": neuron.parameters["h"]}
    parameters.pop("h")
    readout = neuron.readout.edit(bias="bias")
    return bs.NeuronModel("with units", equations, neuron.threshold, neuron.reset, parameters=parameters, readout=readout,
                          spike_height="amplitude", on_pre="I += w*amplitude_pre", input_unit=100 * pA)  # fmt: skip


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_every_layer_runs_the_equations_that_are_printed_for_it(model, device):
    snn = assert_as_printed(model, {"second": LIF, "third": SLOW, ...: FAST}, device)
    assert snn.neuron == FAST and snn.neurons["third"] == SLOW and snn.models["second"].name == "LIF"


def test_a_function_of_the_layer_chooses_models(model):
    asked = []

    def neuron(layer):
        asked.append((layer.name, layer.kind))
        return {(3,): LIF, (2,): SLOW}.get(layer.shape[2:], FAST)

    snn = assert_as_printed(model, neuron)
    assert dict(asked) == {"first": "spiking", "second": "spiking", "third": "spiking", "out": "readout"}
    assert [m.name for m in snn.models.values()] == ["LIF", "ASN", "ASN", "LIF readout"]


@pytest.mark.parametrize("default", [FAST, with_units()], ids=["to units", "from units"])
def test_spikes_between_models_keep_their_meaning_across_units(model, default):
    """A spike stands for the same multiple of input_unit everywhere, whatever its variable is called and its synapse is."""
    other = with_units() if default is FAST else FAST
    mixed = {"second": other, ...: default}
    snn = converted(model, mixed, record={"second": ["I"], "first": ["spikes"]})
    result = snn.run(2 * images(model, 1), DURATION)
    unit, source = float(other.input_unit), default
    height = float(source.parameters[source.spike_height] / source.input_unit)
    spikes = result.raster("first")[0].reshape(40, -1).astype(float)
    projection = next(p for p in snn.graph.projections if p.target == "second")
    decay, own = (np.exp(-1e-3 / float(m.parameters["tau_beta" if m is FAST else "tau_s"])) for m in (other, default))
    arriving = projection.operator.apply(spikes).reshape(40, -1) * height * unit * (1 - decay) / (1 - own)
    assert np.abs(arriving).max() > 0
    current = np.zeros(arriving.shape[1])
    for k in range(40):
        current = current * decay + arriving[k]
        np.testing.assert_allclose(result.states["second"]["I"][0, k], current, rtol=1e-9, atol=1e-25)


def stream():
    """A stream that four layers read."""

    def build(x):
        x = L.Conv2D(2, 3, padding="same", name="stem")(L.ReLU(name="encode")(x))
        for k in range(2):
            y = L.Conv2D(2, 3, padding="same", name=f"conv{k}")(L.ReLU(name=f"block{k}")(x))
            x = L.Add(name=f"add{k}")([x, y])
        return L.Dense(2, name="out")(L.Flatten()(x))

    return randomise(functional(build, (4, 4, 2)))


SLOW_OUT = SLOW.edit(readout=SLOW.readout.edit(tau_beta=90 * ms))


@pytest.mark.parametrize("apart", [["block0"], ["block1"], ["out"]])
def test_only_layers_with_a_synapse_of_their_own_leave_the_junctions(apart):
    graph = bs.read_keras(stream())
    snn = bs.convert(graph, neuron={**dict.fromkeys(apart, SLOW_OUT), ...: bs.ASN()})
    kept = {name for name, p in snn.graph.populations.items() if p.kind == "junction"}
    assert 0 < len(kept) <= sum(p.kind == "junction" for p in graph.populations.values())
    assert {p.target for p in snn.graph.projections if p.source in kept}.isdisjoint(apart)
    x = 2 * images(stream(), 2)
    for name, values in graph.activations(x).items():
        if name in snn.graph.populations:
            np.testing.assert_allclose(snn.graph.activations(x)[name], values, atol=1e-9)


def test_layers_with_a_synapse_of_their_own_read_the_stream_directly():
    """The graph with the remaining junctions gives the spikes of the one without any."""
    model, apart = stream(), ["block1"]
    graph = bs.read_keras(model)
    neuron = {**dict.fromkeys(apart, SLOW_OUT), ...: bs.ASN()}
    snns = [converted(g, neuron, device="cpp_standalone") for g in (graph, graph.expand_junctions())]
    results = [snn.run(2 * images(model, 1), DURATION) for snn in snns]
    for name, counts in results[0].spike_counts.items():
        assert counts.sum() > 0
        np.testing.assert_array_equal(counts, results[1].spike_counts[name])
    np.testing.assert_allclose(results[0].output, results[1].output, rtol=1e-6, atol=1e-9)


def test_a_readout_with_another_synapse_reads_the_stream_directly():
    graph = bs.read_keras(stream())
    edited = bs.ASN().edit(tau_beta=20 * ms)  # its readout still has 50 ms
    assert {p.mode for p in bs.convert(graph, neuron=edited).graph.incoming("out")} == {"spikes"}
    assert "current" in {p.mode for p in bs.convert(graph, neuron=bs.ASN()).graph.incoming("out")}


def test_pooled_membranes_have_the_model_of_the_layer_that_pools():
    model = sequential(L.Conv2D(3, 3, padding="same", activation="relu", name="first"), L.MaxPooling2D(2, name="pool"),
                       L.Conv2D(2, 3, padding="same", activation="relu", name="second"), L.MaxPooling2D(2),
                       L.Flatten(), L.Dense(3, name="out"), shape=(8, 8, 2))  # fmt: skip
    renamed = SLOW.edit(name="slow")
    snn = bs.convert(model, neuron={"second": renamed, ...: FAST})
    assert {n: m.name for n, m in snn.models.items()} == {
        "first_membrane": "ASN membrane", "first": "ASN", "second_membrane": "slow membrane", "second": "slow",
        "out": "ASN readout",
    }  # fmt: skip
    named = bs.convert(model, neuron={"second_membrane": FAST, "second": renamed, ...: FAST})
    assert named.models["second_membrane"].parameters["tau_beta"] == 20 * ms
    assert named.models["second"].parameters["tau_beta"] == 90 * ms
    with pytest.raises(ValueError, match="needs the unit volt. Give both one neuron model"):
        units = bs.NeuronModel("units", "dv/dt = (I - v)/ms : volt\ndI/dt = -I/ms : volt\nr : volt\nh : volt", "v > r", "r += mV",
                               membrane="v", bias=None, input_unit=1 * volt)  # fmt: skip
        bs.convert(model, {"second_membrane": FAST, "second": units, ...: FAST})


def test_a_readout_may_be_named(model):
    readout = FAST.readout.edit(tau_phi=10 * ms)
    snn = assert_as_printed(model, {"out": readout, ...: FAST})
    assert snn.models["out"].parameters["tau_phi"] == 10 * ms
    assert converted(model, {"out": LIF, ...: FAST}).models["out"].name == "LIF readout"


def test_encoder_is_that_of_the_first_layers(model):
    assert converted(model, {"first": bs.IF(), ...: LIF}).encoder == "poisson"
    assert converted(model, {"second": bs.IF(), ...: LIF}).encoder == "current"
    keras_input = bs.read_keras(_branches())
    with pytest.raises(ValueError, match=r"different encoders: 'poisson' \(left\), 'current' \(right\). Give encoder="):
        converted(keras_input, {"left": bs.IF(), ...: LIF})
    assert converted(keras_input, {"left": bs.IF(), ...: LIF}, encoder="poisson").encoder == "poisson"


def _branches():
    import keras

    inputs = keras.Input((4, 4, 1))
    branches = [L.Conv2D(1, 3, activation="relu", name=name)(inputs) for name in ("left", "right")]
    return keras.Model(inputs, L.Dense(2, name="out")(L.Flatten()(L.Add()(branches))))


def test_thresholds_are_those_of_each_model(model):
    snn = converted(model, {"second": bs.IF(), ...: SLOW}, encoder="poisson", thresholds={"second": 0.5})
    assert (snn.populations["second"].v_th == 0.5).all()
    with pytest.raises(ValueError, match="'ASN' of 'third' has no threshold parameter"):
        converted(model, {"second": bs.IF(), ...: SLOW}, encoder="poisson", thresholds={"third": 0.5})


def test_copies_comparisons_and_attention_know_the_models(model):
    snn = converted(model, {"second": LIF, ...: FAST})
    snn.attend(bs.SpatialAttention((0.5, 0.5), output_gain=0.5))
    x = 2 * images(model, 1)
    comparison = bs.compare_activations(model, snn, x, duration=100 * ms, window=50 * ms)
    snn.attend(None)
    from brainsnn.builders.copying import copy_network

    copy = copy_network(snn)
    assert {n: str(m) for n, m in copy.models.items()} == {n: str(m) for n, m in snn.models.items()}
    np.testing.assert_array_equal(copy.run(x, DURATION).output, snn.run(x, DURATION).output)
    # The activation of the first layer is what FAST encodes, with its own synapse.
    assert comparison.table.set_index("layer").correlation["first"] > 0.9


def test_the_key_of_a_sweep_tells_models_of_layers_apart():
    from brainsnn.sweeps import content_key

    keys = [
        content_key(neuron)
        for neuron in ({"a": SLOW, ...: FAST}, {"a": FAST, ...: FAST}, {"a": SLOW}, {"b": SLOW, ...: FAST})
    ]
    assert len(set(keys)) == 4 and content_key({"a": bs.ASN(tau_beta=90 * ms), ...: FAST}) == keys[0]


@pytest.mark.parametrize(
    "neuron, message",
    [
        ({"secnd": SLOW, ...: FAST}, "named 'secnd'. Did you mean 'second'"),
        ({"first": SLOW, "third": SLOW}, r"names no model for 'second', 'out'. Add the key \.\.\. \(Ellipsis\)"),
        ({"first": SLOW, ...: "ASN"}, "the model of Ellipsis is 'ASN'; give a NeuronModel"),
        ({"first": None, ...: SLOW}, "the model of 'first' is None; give a NeuronModel"),
        (lambda layer: None, "the model of 'first' is None; give a NeuronModel"),
        ("ASN", "neuron='ASN'; give a NeuronModel such as ASN"),
        ({"first": FAST.readout, ...: FAST}, "'ASN readout' of 'first' does not spike. Give it a threshold"),
        ({"out": FAST.edit(readout=None), ...: FAST}, "'ASN' has no readout, which 'out' needs"),
        ({"input": FAST, ...: FAST}, "is the input, whose neurons encoder and feedback choose"),
    ],
)
def test_what_a_layer_cannot_have_is_refused(model, neuron, message):
    if isinstance(neuron, dict) and "input" in neuron:
        neuron = {bs.read_keras(model).input.name: FAST, ...: FAST}
    with pytest.raises((ValueError, bs.UnknownNameError), match=message):
        bs.convert(model, neuron=neuron)


def test_two_names_of_one_layer_and_junctions_are_refused():
    graph = bs.read_keras(stream())
    folded = sequential(L.Conv2D(2, 3, name="conv"), L.ReLU(name="relu"), L.Flatten(), L.Dense(2), shape=(5, 5, 1))
    with pytest.raises(ValueError, match="'conv' and 'relu' are both 'relu'; give one of them"):
        bs.convert(folded, neuron={"conv": SLOW, "relu": FAST, ...: FAST})
    junction = next(name for name, p in graph.populations.items() if p.kind == "junction")
    with pytest.raises(ValueError, match="is a junction, which has the synaptic filter of the layers that read it"):
        bs.convert(graph, neuron={junction: SLOW, ...: FAST})
