"""SpikingNetwork.to_nir: networks that are written and read again fire the same spikes; the package nir reads the files."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from keras_graphs import L, functional, sequential
from nir_files import chain, lif, write_nir
from nir_reference import LINEAR, run

import brainsnn as bs
from brainsnn.builders.operators import ConvOperator
from brainsnn.builders.to_nir.projections import as_convolution
from brainsnn.errors import ConversionError

nir = pytest.importorskip("nir")
pytestmark = pytest.mark.filterwarnings("ignore:to_nir", "ignore::brainsnn.errors.SaturationWarning")


def cnn(seed=0, bias=0.1):
    """A small network with strides, uneven padding, batch normalisation, a depthwise convolution, pooling and a softmax."""
    model = sequential(
        L.Conv2D(4, 3, strides=2, padding="same"), L.ReLU(name="r1"), L.AveragePooling2D(2),
        L.DepthwiseConv2D(2, padding="same"), L.BatchNormalization(), L.ReLU(name="r2"), L.Flatten(), L.Dense(5),
        L.ReLU(name="r3"), L.Dense(3, activation="softmax"), shape=(8, 7, 2),
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    for layer in model.layers:
        new = [w + rng.normal(0, 0.4, w.shape) if w.ndim > 1 else np.abs(w) + bias for w in layer.get_weights()]
        layer.set_weights(new)
    return model


LAYERS = {name: ["spikes"] for name in ("r1", "r2", "r3")}
SPIKES = np.random.default_rng(0).choice([-1, 0, 1], size=(2, 30, 8, 7, 2), p=[0.1, 0.4, 0.5])


def assert_round_trip(snn, path, record=None, images=None, **options):
    """The file gives the same spikes and outputs."""
    graph = bs.read_nir(snn.to_nir(path))
    again = bs.convert(
        graph, schedule=snn.schedule, encoder=snn.encoder, dtype=snn.dtype.name, record=record or LAYERS, **options
    )
    inputs = {"spikes": SPIKES} if images is None else {"images": images, "duration": 30 * snn.dt * bs.second}
    first, second = snn.run(**inputs), again.run(**inputs)
    for layer in record or LAYERS:
        expected, found = first.raster(layer), second.raster(layer)
        if found.shape != expected.shape:  # a vector in the file, channels first
            height, width, channels = expected.shape[2:]
            found = found.reshape(*found.shape[:2], channels, height, width).transpose(0, 1, 3, 4, 2)
        np.testing.assert_array_equal(found, expected, err_msg=layer)
    outputs = zip(first.outputs.values(), second.outputs.values())
    for expected, found in outputs:
        np.testing.assert_allclose(found, expected, atol=1e-12)
    return first


@pytest.mark.parametrize("schedule", ["synchronous", "pipelined"])
@pytest.mark.parametrize(
    ("neuron", "encoder"),
    [
        (bs.IF(), None),
        (bs.IF(leak=0.9, threshold=0.7), None),
        (bs.IF(reset="hard"), None),
        (bs.IF(leak=0.9, threshold=0.7, reset="hard"), None),
        (bs.LIF(threshold=0.3), "poisson"),
        (bs.LIF(threshold=0.1), "current"),
    ],
    ids=["IF", "leaky IF", "hard IF", "leaky hard IF", "LIF", "LIF current"],
)
def test_round_trip(tmp_path, neuron, encoder, schedule):
    snn = bs.convert(cnn(), neuron=neuron, encoder=encoder, schedule=schedule, dtype="float64", record=LAYERS)
    snn.set_parameters("r2", v_th=np.linspace(0.3, 0.5, snn.graph.populations["r2"].size))
    images = np.random.default_rng(1).random((2, 8, 7, 2)) if encoder == "current" else None
    result = assert_round_trip(snn, tmp_path / "net.nir", images=images)
    assert result.raster("r1").any() and result.raster("r2").any()


def test_parameters_that_were_set_are_written(tmp_path):
    """Heights, thresholds and constants have their current values, also where they differ between neurons."""
    snn = bs.convert(cnn(), neuron=bs.LIF(threshold=0.3), encoder="poisson", dtype="float64", record=LAYERS)
    rng = np.random.default_rng(2)
    snn.set_parameters("r1", h=rng.uniform(2, 4, snn.graph.populations["r1"].size), tau_m=15 * bs.ms)
    snn.set_parameters("r3", tau_s=rng.uniform(3, 6, 5) * bs.ms)
    assert assert_round_trip(snn, tmp_path / "net.nir").raster("r3").any()


def test_parameters_that_were_assigned_are_written(tmp_path):
    snn = bs.convert(cnn(), neuron=bs.LIF(threshold=0.3), encoder="poisson", dtype="float64", record=LAYERS)
    before = snn.run(spikes=SPIKES).raster("r1").sum()
    n = snn.graph.populations["r2"].size
    snn["r1"].v_th = 0.2
    snn["r2"].v_th = np.linspace(0.2, 0.4, n)
    snn["r2"].h[: n // 2] = 3
    snn["r3"].bias = "0.1*rand()"
    result = assert_round_trip(snn, tmp_path / "net.nir")  # also: a run leaves potentials, with which no trial starts
    assert result.raster("r1").sum() > before and result.raster("r3").any()


@pytest.mark.parametrize("connectivity", ["event_driven", "synapses"])
@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_assigned_values_on_each_device(tmp_path, device, connectivity):
    snn = bs.convert(cnn(), neuron=bs.IF(), device=device, connectivity=connectivity, dtype="float64")
    snn["r1"].v_th = 0.5
    snn["r2"].v_th[:3] = 0.25
    graph = bs.read_nir(snn.to_nir(tmp_path / "net.nir"))
    assert np.unique(graph.neurons["r1"].parameters["v_threshold"]) == 0.5
    np.testing.assert_array_equal(
        np.unique(graph.neurons["r2"].parameters["v_threshold"], return_counts=True)[0], [0.25, 1]
    )
    snn["r2"].v[1] = 0.1
    with pytest.raises(ConversionError, match="'v' of 'r2' starts at 0, 0.1, and a NIR neuron at 0"):
        snn.to_nir(tmp_path / "other.nir")
    assert [file.name for file in tmp_path.iterdir()] == ["net.nir"]


def test_a_bias_of_each_position_and_a_transposed_convolution(tmp_path):
    """Behind what no Conv2d can express, maps are vectors and projections matrices."""
    model = sequential(
        L.Conv2D(2, 3, padding="same"), L.Conv2D(3, 3, padding="same"), L.ReLU(name="r1"),
        L.Conv2DTranspose(2, 2, strides=2), L.ReLU(name="r2"), L.Conv2D(2, 3), L.ReLU(name="r3"), L.GlobalAveragePooling2D(),
        shape=(8, 7, 2),
    )  # fmt: skip
    for layer in model.layers:
        layer.set_weights([w + 0.1 if w.ndim > 1 else w + 0.05 for w in layer.get_weights()])
    snn = bs.convert(model, neuron=bs.IF(), dtype="float64", record=LAYERS)
    assert snn.graph.populations["r1"].bias.shape[:2] == (8, 7)
    assert assert_round_trip(snn, tmp_path / "net.nir").raster("r3").any()
    kinds = {name: type(node).__name__ for name, node in nir.read(tmp_path / "net.nir").nodes.items()}
    assert kinds["r1_flatten"] == "Flatten" and "Conv2d" not in kinds.values()


def test_residual_networks_are_written_without_junctions(tmp_path):
    import keras

    x = keras.Input((8, 7, 2))
    a = L.ReLU(name="r1")(L.Conv2D(3, 3, padding="same")(x))
    b = L.ReLU(name="r2")(L.Conv2D(3, 3, padding="same")(a))
    c = L.ReLU(name="r3")(L.BatchNormalization()(L.Add()([a, b])))
    model = keras.Model(x, L.Dense(2)(L.Flatten()(c)))
    for layer in model.layers:
        layer.set_weights([np.abs(w) + 0.02 for w in layer.get_weights()])
    snn = bs.convert(model, neuron=bs.IF(), dtype="float64", record=LAYERS)
    assert assert_round_trip(snn, tmp_path / "net.nir").raster("r3").any()


def test_two_conventions_in_one_file(tmp_path):
    """Each node says its own reset and integration."""
    neuron = {"r1": bs.IF(leak=0.8), "r2": bs.LIF(threshold=0.2), "r3": bs.IF(), ...: bs.IF()}
    snn = bs.convert(cnn(), neuron=neuron, encoder="poisson", dtype="float64", record=LAYERS)
    assert assert_round_trip(snn, tmp_path / "net.nir").raster("r2").any()


@st.composite
def networks(draw):
    """Nodes of a random small network of NIR neurons: dense layers, or a convolution, and perhaps a loop."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    shape, layers = (2, 5, 4), []
    if draw(st.booleans()):
        stride = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        weight, padding = rng.normal(size=(2, 2, 3, 2)), draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
        fields = {
            "weight": weight,
            "bias": rng.normal(0.2, 0.1, 2),
            "stride": stride,
            "padding": padding,
            "dilation": (1, 1),
            "groups": 1,
        }
        shape = LINEAR["Conv2d"](np.zeros(shape), **fields).shape
        layers += [("Conv2d", fields), lif(*shape, v_threshold=rng.uniform(0.3, 0.6, shape), tau=2e-3)]
    n = int(np.prod(shape))
    layers += [("Flatten", {}), ("Linear", {"weight": rng.normal(0, 1.5, (4, n))})]
    kind = draw(st.sampled_from(["LIF", "IF", "CubaLIF", "Threshold"]))
    fields = {
        "LIF": lif(4, tau=rng.uniform(2e-3, 5e-3, 4), v_reset=-0.1)[1],
        "IF": {"r": np.full(4, 500.0), "v_threshold": np.ones(4), "v_reset": np.full(4, 0.1)},
        "CubaLIF": {"tau_syn": np.full(4, 2e-3), "tau_mem": rng.uniform(2e-3, 5e-3, 4), "r": np.ones(4), "v_leak": np.zeros(4),
                    "v_threshold": np.full(4, 0.3), "v_reset": np.zeros(4), "w_in": np.full(4, 2.0)},
        "Threshold": {"threshold": np.full(4, 0.5)},
    }[kind]  # fmt: skip
    nodes, edges = chain(*layers, (kind, fields), shape=(2, 5, 4), out=(4,))
    if draw(st.booleans()):
        nodes["loop"] = "Linear", {"weight": rng.normal(0, 0.5, (4, 4))}
        last = edges[-1][0]
        edges += [(last, "loop"), ("loop", last)]
    return nodes, edges, draw(st.sampled_from(["snntorch", "norse", "spikingjelly", "sinabs", "nir"]))


@settings(deadline=None, max_examples=8, suppress_health_check=list(HealthCheck))
@given(network=networks())
def test_random_networks(tmp_path, network):
    """What was read is written, and read again: the same operators, equations and parameters; nir finds its types right."""
    nodes, edges, library = network
    graph = bs.read_nir(write_nir(tmp_path / "first.nir", nodes, edges), library, dt=1 * bs.ms)
    path = bs.convert(graph, schedule="synchronous").to_nir(tmp_path / "second.nir", overwrite=True)
    again = bs.read_nir(path)
    sizes = [
        node.weight.shape[2:]
        for node in nir.read(path, type_check=False).nodes.values()
        if isinstance(node, nir.Conv2d)
    ]
    if all(height == width for height, width in sizes):  # nir takes every kernel for a square one
        nir.read(path)
    assert again.dt == graph.dt
    for name, model in graph.neurons.items():
        other = again.neurons[name]
        shown = [
            set(m.equations.splitlines()) | {m.threshold, m.reset, m.update, str(m.method)} for m in (model, other)
        ]
        assert shown[0] == shown[1]
        for parameter, value in model.parameters.items():
            np.testing.assert_allclose(
                np.ravel(other.parameters[parameter]), np.ravel(value), rtol=1e-6, err_msg=parameter
            )
    x = np.random.default_rng(0).normal(size=(1, graph.input.size))
    for first in graph.projections:
        (second,) = [p for p in again.projections if (p.source, p.target) == (first.source, first.target)]
        sized = (
            x[:, : first.operator.size_in] if first.operator.size_in <= x.size else np.ones((1, first.operator.size_in))
        )
        expected = first.operator.apply(sized).ravel()
        np.testing.assert_allclose(second.operator.apply(sized).ravel(), expected, atol=1e-5)


@settings(deadline=None, max_examples=200)
@given(
    n_in=st.tuples(st.integers(1, 7), st.integers(1, 7)), n_out=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)), first=st.tuples(st.integers(-4, 3), st.integers(-4, 3)),
    size=st.tuples(st.integers(1, 4), st.integers(1, 4)), groups=st.integers(1, 3), seed=st.integers(0, 99),
)  # fmt: skip
def test_every_convolution_is_a_conv2d(n_in, n_out, stride, first, size, groups, seed):
    """Whatever the padding, crop and size of an operator: zeros in the kernel make it a Conv2d of exactly this size."""
    rng = np.random.default_rng(seed)
    channels = groups * 2
    operator = ConvOperator(
        (*n_in, channels), (*n_out, groups * 3), rng.normal(size=(*size, channels, 3)), np.arange(channels) // 2 * 3,
        *(np.arange(k) + f for k, f in zip(size, first)), stride=stride,
    )  # fmt: skip
    arguments = as_convolution(operator, operator.input_shape, operator.output_shape)
    assert arguments["groups"] == groups
    x = rng.normal(size=(*n_in, channels))
    found = LINEAR["Conv2d"](x.transpose(2, 0, 1), bias=0.0, **arguments)
    np.testing.assert_allclose(found.transpose(1, 2, 0), operator.apply(x[None])[0], atol=1e-12)


def test_the_file_means_what_it_says(tmp_path):
    """A simulator of NIR that never saw brainsnn fires the spikes of the network that wrote the file, told only the reset."""
    from brainsnn.builders.from_nir.conventions import Convention

    snn = bs.convert(cnn(), neuron=bs.IF(), schedule="synchronous", dtype="float64", record=LAYERS)
    graph = nir.read(snn.to_nir(tmp_path / "net.nir"), type_check=False)  # which knows no groups
    nodes = {name: (type(node).__name__, node.to_dict()) for name, node in graph.nodes.items()}
    fields = {name: {key: value for key, value in node.items() if key not in ("type", "metadata", "input_type")}
              for name, (_, node) in nodes.items()}  # fmt: skip
    edges = [tuple(edge) for edge in graph.edges]
    order = [name for name in nodes if nodes[name][0] == "Input"]
    while len(order) < len(nodes):
        order += [b for a, b in edges if a in order and b not in order and all(c in order for c, d in edges if d == b)]
        order = list(dict.fromkeys(order))
    result = snn.run(spikes=SPIKES[:1])
    found = run(
        {name: (nodes[name][0], fields[name]) for name in order}, edges, SPIKES[0].transpose(0, 3, 1, 2),
        Convention(1e-3, "euler", "subtract", ">"),
    )  # fmt: skip
    for layer in LAYERS:
        raster = result.raster(layer)[0].transpose(0, 3, 1, 2)
        assert raster.any()
        np.testing.assert_array_equal(found[layer].reshape(raster.shape), raster, err_msg=layer)


def test_other_resets_are_said_aloud(tmp_path):
    snn = bs.convert(cnn(), neuron=bs.IF())
    with pytest.warns(UserWarning, match="the neurons of 'r1', 'r2', 'r3' lose v_threshold when they spike"):
        snn.to_nir(tmp_path / "net.nir")


def max_pooled():
    model = sequential(L.Conv2D(2, 3), L.ReLU(name="r1"), L.MaxPooling2D(2), L.Flatten(), L.Dense(2), shape=(8, 7, 2))
    return bs.convert(model, neuron=bs.IF())


def attended():
    snn = bs.convert(cnn(), neuron=bs.LIF())
    snn.attend(bs.SpatialAttention(center=(0.5, 0.5), output_gain=0.3), layers=["r1"])
    return snn


def extended():
    from brian2 import Synapses

    snn = bs.convert(cnn(), neuron=bs.IF())
    snn.network.add(Synapses(snn["r1"], snn["r1"], on_pre="I_post += 1", name="lateral"))
    return snn


def changed(change, **options):
    """A network of which something was changed after it was converted."""

    def make():
        snn = bs.convert(cnn(), **{"neuron": bs.LIF(), **options})
        change(snn)
        return snn

    return make


def residual(x):
    both = L.Add(name="sum")([x, L.ReLU(name="r1")(L.Conv2D(2, 3, padding="same")(x))])
    return L.Dense(2)(L.Flatten()(L.ReLU(name="r2")(L.Add()([both, L.ReLU(name="r3")(both)]))))


def with_a_current_in_a_junction():
    snn = bs.convert(functional(residual, (4, 4, 2)), neuron=bs.LIF(), encoder="poisson")
    (junction,) = [name for name, p in snn.graph.populations.items() if p.kind == "junction"]
    snn[junction].I = 0.1
    return snn


def huge():
    model = sequential(L.Conv2DTranspose(1, 2, strides=2), L.ReLU(), L.Flatten(), L.Dense(1), shape=(70, 70, 1))
    return bs.convert(model, neuron=bs.IF())


REFUSED = {
    "ASN": (
        lambda: bs.convert(cnn(), neuron=bs.ASN()),
        "adaptive, multiplicative threshold of the ASN, .* have no counterpart in NIR",
    ),
    "edited": (
        lambda: bs.convert(cnn(), neuron=bs.LIF().replace("dv/dt = (I - v)/tau_m : 1", "dv/dt = (2*I - v)/tau_m : 1")),
        "'r1' has neurons of the model 'LIF': NIR has a fixed set of neurons, and these equations are neither",
    ),
    "edited statement": (lambda: bs.convert(cnn(), neuron=bs.IF().edit(on_pre="I_post += 2*w*h_pre")), "NIR has a fixed set"),
    "refractory": (lambda: bs.convert(cnn(), neuron=bs.IF().edit(refractory=2 * bs.ms)), "NIR has a fixed set of neurons"),
    "initial": (lambda: bs.convert(cnn(), neuron=bs.IF(initial=0.5)), "'v' of 'r1' starts at 0.5, and a NIR neuron at 0: files"),
    "initial LIF": (lambda: bs.convert(cnn(), neuron=bs.LIF().edit(initial={"I": 0.1})), "'I' of 'r2' starts at 0.1"),
    "spike counts": (max_pooled, "takes the maximum over the spike counts of 'r1'; NIR has no such node"),
    "attention": (attended, "attention changes parameters from image to image"),
    "added": (extended, "'lateral' was added to the network and is in no layer"),
    "assigned start": (changed(lambda snn: setattr(snn["r1"], "v", 0.3)), "'v' of 'r1' starts at 0.3, and a NIR neuron at 0"),
    "assigned current": (
        changed(lambda snn: setattr(snn["r2"], "I", [*np.arange(4) / 4, *[0] * 12]) , encoder="poisson"),
        r"'I' of 'r2' starts at 0, 0.25, 0.5, \.\.\., and",
    ),
    "current of a junction": (with_a_current_in_a_junction, "NIR has no such current: it is written as sums of spikes"),
    "NaN": (changed(lambda snn: setattr(snn["r1"], "v_th", np.nan)), "'v_th' of 'r1' was set to NaN. Assign finite values"),
    "run_regularly": (
        changed(lambda snn: snn["r1"].run_regularly("v = 0", dt=5 * bs.ms, name="clear")), "'clear' was added to the network"
    ),
    "switched off": (
        changed(lambda snn: setattr(snn["r1"].resetter["spike"], "active", False)), "'r1_spike_resetter' was switched off"
    ),
    "threshold": (
        changed(lambda snn: snn["r1"].events.update(spike="S > 2*v_th")),
        "the threshold of 'r1' was changed from 'S > v_th' to 'S > 2[*]v_th'. Give convert a neuron model that has it",
    ),
    "weights": (
        changed(lambda snn: setattr(snn.projections[0], "w", 0.5), connectivity="synapses", encoder="poisson"),
        "weights were assigned to '.*_to_r1', and the file gets those of the graph",
    ),
    "delay": (
        changed(lambda snn: setattr(snn.projections[0], "delay", 5 * bs.ms), connectivity="synapses", encoder="poisson"),
        "a delay was assigned to '.*_to_r1_pre'",
    ),
    "large matrix": (huge, r"the projection .* a matrix in its place would have 96,040,000 weights; 16,777,216 are allowed"),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_refused(tmp_path, name):
    make, message = REFUSED[name]
    with pytest.raises(ConversionError, match=f"to_nir: .*{message}"):
        make().to_nir(tmp_path / "net.nir")
    assert not list(tmp_path.iterdir())


def test_max_pooling_is_refused(tmp_path):
    model = sequential(L.Conv2D(2, 3), L.ReLU(), L.MaxPooling2D(2), L.Flatten(), L.Dense(2), shape=(8, 7, 2))
    with pytest.raises(ConversionError, match="is pooled before spikes are generated"):
        bs.convert(model, neuron=bs.ASN()).to_nir(tmp_path / "net.nir")


def test_files_are_not_overwritten_unless_asked(tmp_path):
    snn, path = bs.convert(cnn(), neuron=bs.IF()), tmp_path / "net.nir"
    path.write_text("mine")
    with pytest.raises(FileExistsError, match=r"net.nir' exists. Give another path, or overwrite=True"):
        snn.to_nir(path)
    assert path.read_text() == "mine"
    assert snn.to_nir(path, overwrite=True) == path and bs.read_nir(path).input.shape == (8, 7, 2)
    with pytest.raises(ValueError, match="is a folder"):
        snn.to_nir(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["net.nir"]


def test_the_start_of_neurons_that_lose_their_threshold(tmp_path):
    """Their v_reset is where they start, and nothing else."""
    node = ("IF", {"r": np.full(4, 1e4), "v_threshold": np.ones(4), "v_reset": np.array([0.0, 0.5, -0.5, 0.25])})
    path = write_nir(
        tmp_path / "net.nir", *chain(("Linear", {"weight": np.full((4, 3), 0.3)}), node, shape=(3,), out=(4,))
    )
    graph = bs.read_nir(path, reset="subtract")
    copy = bs.read_nir(bs.convert(graph).to_nir(tmp_path / "copy.nir"))
    (name,) = (name for name, model in graph.neurons.items() if model.initial)
    np.testing.assert_array_equal(copy.neurons[name].initial["v"], graph.neurons[name].initial["v"])


def test_a_start_that_was_assigned_to_neurons_that_lose_their_threshold(tmp_path):
    node = ("IF", {"r": np.full(4, 1e4), "v_threshold": np.ones(4), "v_reset": np.zeros(4)})
    path = write_nir(
        tmp_path / "net.nir", *chain(("Linear", {"weight": np.full((4, 3), 0.3)}), node, shape=(3,), out=(4,))
    )
    graph = bs.read_nir(path, reset="subtract")
    snn = bs.convert(graph)
    (name,) = (name for name, model in graph.neurons.items() if model.threshold)
    snn[name].v = [0.5, 0.25, 0, 0]
    copy = bs.read_nir(snn.to_nir(tmp_path / "copy.nir"))
    np.testing.assert_array_equal(np.ravel(copy.neurons[name].initial["v"]), [0.5, 0.25, 0, 0])
