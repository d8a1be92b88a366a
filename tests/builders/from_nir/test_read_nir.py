"""read_nir: operators, neurons and loops against a NumPy simulator of NIR, with random networks."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nir_files import chain, lif, write_nir
from nir_reference import LINEAR, run

import brainsnn as bs
from brainsnn.builders.from_nir.conventions import CONVENTIONS, Convention

pytest.importorskip("h5py")
rng = np.random.default_rng(0)


def spikes_like(shape, n_steps=25, seed=0):
    """Random input, (n_steps, *shape) of -1, 0 and 1."""
    return np.random.default_rng(seed).choice([-1, 0, 1], size=(n_steps, *shape), p=[0.1, 0.5, 0.4])


def channels_last(values):
    """(n_steps, C, H, W) or (n_steps, n) as run() takes it: (1, n_steps, H, W, C)."""
    return (values.transpose(0, 2, 3, 1) if values.ndim == 4 else values[:, None, None])[None]


def simulate(path, graph, inputs, **options):
    """What each spiking population and each readout of a file gives."""
    spiking = [name for name, population in graph.populations.items() if population.kind == "spiking"]
    snn = bs.convert(
        graph, schedule="synchronous", dtype="float64", record={name: ["spikes"] for name in spiking}, **options
    )
    result = snn.run(spikes=channels_last(inputs))
    found = {name: result.raster(name)[0] for name in spiking}
    return {name: values.transpose(0, 3, 1, 2) for name, values in found.items()}, result.outputs


def assert_equal_run(path, nodes, edges, convention, shape, library=None, seed=0):
    """The network of a file fires what the simulator says."""
    options = {"dt": convention.dt * bs.second, "reset": convention.reset, "integration": convention.integration}
    graph = bs.read_nir(write_nir(path, nodes, edges), library, condition=convention.condition, **options)
    inputs = spikes_like(shape, seed=seed)
    rasters, outputs = simulate(path, graph, inputs)
    expected = run(nodes, edges, inputs, convention)
    assert rasters or outputs
    for name, raster in rasters.items():
        assert expected[name].any(), f"{name} is silent: the comparison would be empty"
        np.testing.assert_array_equal(raster.reshape(expected[name].shape), expected[name], err_msg=name)
    for name, values in outputs.items():
        np.testing.assert_allclose(values[0].reshape(expected[name].shape), expected[name], atol=1e-10, err_msg=name)


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@st.composite
def linear_nodes(draw):
    """A convolution or a pooling, and the shape of its input."""
    size, stride, dilation = draw(pairs), draw(pairs), draw(pairs)
    groups, per_group = draw(st.integers(1, 2)), draw(st.integers(1, 2))
    shape = (groups * per_group, draw(st.integers(7, 9)), draw(st.integers(7, 9)))
    seeded = np.random.default_rng(draw(st.integers(0, 100)))
    kind = draw(st.sampled_from(["Conv2d", "SumPool2d", "AvgPool2d"]))
    padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
    if kind != "Conv2d":
        return kind, {"kernel_size": size, "stride": stride, "padding": padding}, shape
    named = draw(st.sampled_from([None, "same", "valid"]))
    n_out = groups * draw(st.integers(1, 2))
    return kind, {
        "weight": seeded.normal(size=(n_out, per_group, *size)), "bias": seeded.normal(size=n_out),
        "stride": (1, 1) if named == "same" else stride, "dilation": dilation, "groups": groups,
        "padding": padding if named is None else named,
    }, shape  # fmt: skip


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(node=linear_nodes(), flatten=st.booleans())
def test_geometry(tmp_path, node, flatten):
    """Kernel, stride, padding, dilation and groups are PyTorch's; a Flatten is followed by weights in its order."""
    kind, fields, shape = node
    x = np.random.default_rng(1).normal(size=shape)
    expected = LINEAR[kind](x, **fields)
    layers, out = [(kind, fields)], expected.shape
    if flatten:
        weight = np.random.default_rng(2).normal(size=(3, expected.size))
        layers += [("Flatten", {"start_dim": 0, "end_dim": -1}), ("Linear", {"weight": weight})]
        expected, out = weight @ expected.ravel(), (3,)
    graph = bs.read_nir(write_nir(tmp_path / "net.nir", *chain(*layers, shape=shape, out=out)))
    (projection,) = graph.projections
    found = projection.operator.apply(x.transpose(1, 2, 0)[None])[0] + graph.populations["output"].bias
    found = found.transpose(2, 0, 1) if len(out) == 3 else found.ravel()
    np.testing.assert_allclose(found, expected, atol=1e-10)


def neurons_of(kind, shape, seed):
    """A spiking node or an integrator whose neurons differ."""
    seeded = np.random.default_rng(seed)

    def between(low, high):
        return seeded.uniform(low, high, shape)

    r = between(400, 800) if kind in ("IF", "I") else between(1, 2)
    fields = {
        "LIF": ("tau", "v_leak", "v_threshold", "v_reset"), "IF": ("v_threshold", "v_reset"), "Threshold": (), "I": (),
        "CubaLIF": ("tau_syn", "tau_mem", "v_leak", "w_in", "v_threshold", "v_reset"), "LI": ("tau", "v_leak"),
        "CubaLI": ("tau_syn", "tau_mem", "v_leak", "w_in"),
    }[kind]  # fmt: skip
    ranges = {"tau": (2e-3, 8e-3), "tau_syn": (2e-3, 5e-3), "tau_mem": (2e-3, 8e-3), "v_leak": (-0.1, 0.1), "w_in": (2, 4),
              "v_threshold": (0.2, 0.5), "v_reset": (-0.2, 0.0)}  # fmt: skip
    values = {name: between(*ranges[name]) for name in fields}
    return kind, {"threshold": between(0.5, 1)} if kind == "Threshold" else {"r": r, **values}


@pytest.mark.parametrize("condition", [">", ">="])
@pytest.mark.parametrize("reset", ["value", "subtract", "subtract_next"])
@pytest.mark.parametrize("integration", ["euler", "exact"])
def test_neurons(tmp_path, integration, reset, condition):
    """All nodes with neurons that differ, one after the other, in each convention."""
    convention = Convention(1e-3, integration, reset, condition)
    seeded = np.random.default_rng(5)

    def affine(n_out, n_in):
        return "Affine", {"weight": seeded.normal(0, 1.5, (n_out, n_in)), "bias": seeded.normal(0.3, 0.1, n_out)}

    nodes, edges = chain(
        ("Conv2d", {"weight": seeded.normal(size=(3, 2, 3, 2)), "bias": seeded.normal(size=3), "stride": (1, 1),
                    "padding": (1, 0), "dilation": (1, 1), "groups": 1}),
        neurons_of("LIF", (3, 4, 3), 1), ("Scale", {"scale": seeded.uniform(0.5, 1.5, (3, 4, 3))}),
        ("AvgPool2d", {"kernel_size": (2, 1), "stride": (2, 1), "padding": (0, 0)}), ("Flatten", {"start_dim": 0, "end_dim": -1}),
        affine(8, 18), neurons_of("IF", (8,), 2), affine(7, 8), neurons_of("CubaLIF", (7,), 3), affine(6, 7),
        neurons_of("Threshold", (6,), 4), affine(4, 6), neurons_of("CubaLI", (4,), 5),
        shape=(2, 4, 4), out=(4,),
    )  # fmt: skip
    assert_equal_run(tmp_path / "net.nir", nodes, edges, convention, (2, 4, 4))


@pytest.mark.parametrize("kind", ["LI", "CubaLI", "I", "spikes", "weighted"])
def test_outputs(tmp_path, kind):
    """What the Output gets in each step: a membrane, spikes, or weighted spikes; also in the order of a Flatten."""
    lif_node = neurons_of("LIF", (2, 3, 3), 7)
    weight = np.random.default_rng(8).normal(size=(4, 18))
    ends = [("Flatten", {})]
    if kind == "weighted":
        ends.append(("Affine", {"weight": weight, "bias": np.arange(4.0)}))
    elif kind != "spikes":
        ends.append(neurons_of(kind, (18,), 9))
    layers = [("Scale", {"scale": np.full((2, 3, 3), 1.5)}), lif_node, *ends]
    nodes, edges = chain(*layers, shape=(2, 3, 3), out=(4,) if kind == "weighted" else (18,))
    assert_equal_run(tmp_path / "net.nir", nodes, edges, Convention(1e-3, "euler"), (2, 3, 3))


@pytest.mark.parametrize("delay", [True, False], ids=["delay", "direct"])
def test_loops(tmp_path, delay):
    """A loop over one layer and one over two act one step later, with and without a Delay; their biases act, too."""
    seeded = np.random.default_rng(3)
    nodes = {
        "input": ("Input", {"shape": np.array([5])}),
        "a_in": ("Linear", {"weight": seeded.normal(0, 1.5, (6, 5))}), "a": neurons_of("LIF", (6,), 1),
        "a_self": ("Affine", {"weight": seeded.normal(0, 1, (6, 6)), "bias": seeded.normal(0.2, 0.1, 6)}),
        "b_in": ("Linear", {"weight": seeded.normal(0, 1.5, (4, 6))}), "b": neurons_of("CubaLIF", (4,), 2),
        "b_to_a": ("Linear", {"weight": seeded.normal(0, 1, (6, 4))}), "output": ("Output", {"shape": np.array([4])}),
    }  # fmt: skip
    edges = [
        ("input", "a_in"),
        ("a_in", "a"),
        ("a", "a_self"),
        ("a", "b_in"),
        ("b_in", "b"),
        ("b", "b_to_a"),
        ("b", "output"),
    ]
    if delay:
        nodes["wait"] = ("Delay", {"delay": np.full(6, 1e-3)})
        edges += [("a_self", "a"), ("b_to_a", "wait"), ("wait", "a")]
    else:
        edges += [("a_self", "a"), ("b_to_a", "a")]
    convention = Convention(1e-3, "euler")
    path = write_nir(tmp_path / "net.nir", nodes, edges)
    graph = bs.read_nir(path, "norse")
    inputs = spikes_like((5,))
    rasters, _ = simulate(path, graph, inputs)
    # The simulator takes what its loops send from the step before, the bias of a loop from the first step on.
    expected = run_with_loops(nodes, edges, inputs, convention, late=("a_self", "b_to_a", "wait"))
    for name in ("a", "b"):
        assert expected[name].any()
        np.testing.assert_array_equal(rasters[name].reshape(expected[name].shape), expected[name], err_msg=name)


def run_with_loops(nodes, edges, inputs, convention, late):
    """Run with the late nodes read from the step before; at first they send what they make of no spikes."""
    from nir_reference import step

    state, sent = {}, {"a": [], "b": []}
    a, b = np.zeros(6), np.zeros(4)
    for frame in inputs:
        x = (
            nodes["a_in"][1]["weight"] @ frame
            + LINEAR["Affine"](a, **nodes["a_self"][1])
            + nodes["b_to_a"][1]["weight"] @ b
        )
        a = step("LIF", nodes["a"][1], state, "a", x, convention)
        b = step("CubaLIF", nodes["b"][1], state, "b", nodes["b_in"][1]["weight"] @ a, convention)
        sent["a"].append(a)
        sent["b"].append(b)
    return {name: np.array(values) for name, values in sent.items()}


def test_images_are_currents(tmp_path):
    """With encoder='current', an image is the input of every step."""
    nodes, edges = chain(
        ("Scale", {"scale": np.full((1, 3, 3), 2.0)}), neurons_of("CubaLIF", (1, 3, 3), 4), ("Flatten", {}),
        ("Linear", {"weight": np.ones((4, 9))}), neurons_of("LIF", (4,), 5), shape=(1, 3, 3), out=(4,),
    )  # fmt: skip
    graph = bs.read_nir(write_nir(tmp_path / "net.nir", nodes, edges), "norse")
    image = np.random.default_rng(1).random((1, 3, 3, 1))
    snn = bs.convert(
        graph, encoder="current", schedule="synchronous", dtype="float64", record={"cubalif_2": ["spikes"]}
    )
    raster = snn.run(image, duration=30 * bs.ms).raster("cubalif_2")[0]
    frames = np.broadcast_to(image[0].transpose(2, 0, 1), (30, 1, 3, 3))
    expected = run(nodes, edges, frames, CONVENTIONS["norse"])["cubalif_2"]
    assert expected.any()
    np.testing.assert_array_equal(raster.transpose(0, 3, 1, 2), expected)


def test_nested_graphs_are_opened(tmp_path):
    inner = {
        "input": ("Input", {"shape": np.array([4])}),
        "lif": lif(4),
        "output": ("Output", {"shape": np.array([4])}),
    }
    nested = "NIRGraph", (inner, [("input", "lif"), ("lif", "output")])
    nodes, edges = chain(("Linear", {"weight": np.eye(4)}), nested, shape=(4,), out=(4,))
    graph = bs.read_nir(write_nir(tmp_path / "net.nir", nodes, edges))
    assert [name for name, p in graph.populations.items() if p.kind == "spiking"] == ["nirgraph_2.lif"]
    assert [row.note for row in graph.rows if row.class_name.startswith("nested")] == ["opened", "opened"]


def test_a_graph_shows_its_neurons_and_edits_them(tmp_path):
    """The equations of the file are ordinary models, with units, and an edited one takes the place of the file's."""
    nodes, edges = chain(("Linear", {"weight": 2 * np.eye(3)}), lif(3), shape=(3,), out=(3,))
    graph = bs.read_nir(write_nir(tmp_path / "net.nir", nodes, edges), dt=1 * bs.ms)
    model = graph.neurons["lif_2"]
    assert model.equations.splitlines()[0] == "dv/dt = (v_leak - v + r*x)/tau : 1"
    assert model.parameters["tau"] == 5 * bs.ms and "tau = 5. ms" in str(model)
    silent = {**graph.neurons, "lif_2": model.edit(v_threshold=100.0)}
    spikes = np.ones((1, 20, 1, 1, 3), int)
    fired = [bs.convert(graph, neuron=neuron, record={"lif_2": ["spikes"]}).run(spikes=spikes).raster("lif_2").sum()
             for neuron in (None, silent)]  # fmt: skip
    assert fired[0] > 0 and fired[1] == 0


def test_a_whole_layer_of_one_parameter_is_a_constant(tmp_path):
    nodes, edges = chain(
        lif(3, tau=np.array([1e-3, 2e-3, 3e-3]), v_leak=np.array([0.1, 0.2, 0.3])), shape=(3,), out=(3,)
    )
    graph = bs.read_nir(write_nir(tmp_path / "net.nir", nodes, edges))
    model = graph.neurons["lif_1"]
    assert set(model.neuron_parameters) >= {"tau", "v_leak"} and "r" in model.constants
    snn = bs.convert(graph)
    np.testing.assert_allclose(np.array(snn["lif_1"].tau), [1e-3, 2e-3, 3e-3])
    np.testing.assert_allclose(np.array(snn["lif_1"].v), [0.1, 0.2, 0.3], rtol=1e-6)  # membranes start at v_leak


def test_the_time_step_belongs_to_the_file(tmp_path):
    nodes, edges = chain(lif(3), shape=(3,), out=(3,))
    path = write_nir(tmp_path / "net.nir", nodes, edges)
    assert bs.convert(bs.read_nir(path)).dt == 1e-4
    assert bs.convert(bs.read_nir(path, "norse")).dt == 1e-3
    graph = bs.read_nir(path, dt=0.5 * bs.ms)
    assert bs.convert(graph, dt=0.5 * bs.ms).dt == 5e-4
    with pytest.raises(ValueError, match=r"dt=1\. ms, and the neurons of 'net' were read for a time step of 0\.5 ms"):
        bs.convert(graph, dt=1 * bs.ms)


def test_a_spiking_network_has_no_activations(tmp_path):
    nodes, edges = chain(lif(3), shape=(3,), out=(3,))
    graph = bs.read_nir(write_nir(tmp_path / "net.nir", nodes, edges))
    with pytest.raises(ValueError, match="was read as a spiking network, whose layers have no activations"):
        graph.activations(np.ones((1, 1, 1, 3)))
