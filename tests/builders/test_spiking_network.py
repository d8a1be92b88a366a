"""Building and running networks: what a user may do, and what is refused before anything is built."""

import gc
import weakref
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
from brian2 import get_device, ms, mV
from brian2.devices.device import RuntimeDevice
from chosen_device import DEVICE
from example_models import current_based_lif, example_images, example_models, spiking_names

import brainsnn as bs
from brainsnn.builders.devices import program_cache
from brainsnn.builders.network.connections import SynapticProjection
from brainsnn.training.asn_transfer import ASNTransfer


@pytest.fixture(scope="module")
def model():
    return example_models(ASNTransfer, ["average_pooling"])["average_pooling"]


@pytest.fixture(scope="module")
def images(model):
    return example_images(model, 4)


@pytest.fixture(scope="module")
def snn(model):
    """A compiled network that several tests run; none of them changes its parameters for good."""
    first = spiking_names(model)[0]
    return bs.convert(model, device=DEVICE, record={first: ["spikes", "S"], spiking_names(model)[1]: {"S": [0, 5]}})


@pytest.fixture
def no_compiler(monkeypatch):
    """Any attempt to compile fails."""

    def refuse(project):
        raise AssertionError(f"a compiler was started for {project}")

    monkeypatch.setattr(program_cache, "compile_project", refuse)


def test_names_and_order(snn, model):
    assert list(snn.populations)[: len(spiking_names(model))] == spiking_names(model)
    readout = list(snn.populations)[len(spiking_names(model))]
    assert snn.graph.populations[readout].kind == "readout"
    conv = next(layer.name for layer in model.layers if type(layer).__name__ == "Conv2D")
    assert snn.populations[conv] is snn.populations[snn.graph.population(conv).name]
    with pytest.raises(bs.UnknownNameError, match="Did you mean"):
        snn.populations[spiking_names(model)[0] + "x"]


def test_groups_that_do_not_spike_are_found_but_not_listed():
    network = bs.convert(example_models(ASNTransfer, ["resnet"])["resnet"])
    kinds = [network.graph.populations[name].kind for name in network.populations]
    assert kinds == ["spiking"] * (len(kinds) - 1) + ["readout"]
    junction = next(p for p in network.graph.populations.values() if p.kind == "junction")
    assert len(network.populations[junction.name]) == junction.size


def test_projections_list_their_connections(snn):
    for projection in snn.projections:
        i, j, w = projection.to_coo()
        assert len(i) == len(j) == len(w) > 0
        assert i.max() < len(projection.source) and j.max() < len(projection.target)


def test_images_do_not_influence_each_other(snn, images):
    together = snn.run(images, duration=40 * ms)
    for k in (3, 1):
        alone = snn.run(images[k : k + 1], duration=40 * ms)
        np.testing.assert_array_equal(alone.output[0], together.output[k])
        for name, counts in together.spike_counts.items():
            assert alone.spike_counts[name][0] == counts[k]


@pytest.mark.skipif(DEVICE == "runtime", reason="runtime mode has one process")
def test_processes_give_the_same_result(snn, images):
    one, two = (snn.run(images, duration=40 * ms, processes=p) for p in (1, 2))
    np.testing.assert_array_equal(one.output, two.output)
    layer = next(iter(one.spikes))
    np.testing.assert_array_equal(one.raster(layer), two.raster(layer))
    np.testing.assert_array_equal(one.states[layer]["S"], two.states[layer]["S"])


def test_threads_give_the_same_result(model, images):
    layer = spiking_names(model)[1]
    one, two = (
        bs.convert(model, device="cpp_standalone", threads=n, record={layer: ["spikes"]}).run(images, duration=40 * ms)
        for n in (1, 2)
    )
    np.testing.assert_array_equal(one.output, two.output)
    np.testing.assert_array_equal(one.raster(layer), two.raster(layer))


def test_recordings(snn, images, model):
    result = snn.run(images[:2], duration=30 * ms)
    first, second = spiking_names(model)[:2]
    raster = result.raster(first)
    assert raster.dtype == bool and raster.shape == (2, 30, *snn.graph.populations[first].shape)
    np.testing.assert_array_equal(raster.reshape(2, -1).sum(axis=1), result.spike_counts[first])
    assert result.states[first]["S"].shape == (2, 30, len(snn.populations[first]))
    np.testing.assert_array_equal(result.recorded[second]["S"], [0, 5])
    assert result.trace(second, "S", 5).shape == (30,)
    with pytest.raises(IndexError, match="not recorded"):
        result.trace(second, "S", 1)
    with pytest.raises(bs.UnknownNameError, match="record="):
        result.raster(second)


def test_save_and_load(snn, images, tmp_path):
    result = snn.run(images[:2], duration=20 * ms)
    result.save(tmp_path / "result.npz")
    again = bs.Result.load(tmp_path / "result.npz")
    np.testing.assert_array_equal(again.output, result.output)
    layer = next(iter(result.spikes))
    np.testing.assert_array_equal(again.raster(layer), result.raster(layer))
    np.testing.assert_array_equal(again.states[layer]["S"], result.states[layer]["S"])
    # a folded layer's name finds its population, before and after
    folded = next(name for name, population in snn.populations.aliases().items() if population == layer != name)
    for one in (result, again):
        np.testing.assert_array_equal(one.raster(folded), result.raster(layer))
        assert folded in one.states and one.trace(folded, "S", 0).shape == (20,)
    assert [path.name for path in tmp_path.iterdir()] == ["result.npz"]


def test_parameters_and_durations_need_no_compiler(snn, images, model, monkeypatch):
    layer = spiking_names(model)[0]
    before = snn.run(images, duration=40 * ms)
    monkeypatch.setattr(program_cache, "compile_project", None)
    snn.set_parameters(layer, m_f=0.3)
    coarse = snn.run(images, duration=25 * ms, onset=5 * ms, seed=3)
    assert coarse.output.shape[1] == 25
    assert coarse.spike_counts[layer].sum() < before.spike_counts[layer].sum()
    from brainsnn.equations import spike_height

    np.testing.assert_allclose(snn.populations[layer].h[:], spike_height(0.3), rtol=1e-6)
    snn.set_parameters(layer, m_f=0.1)
    np.testing.assert_array_equal(snn.run(images, duration=40 * ms).output, before.output)


def test_a_second_network_is_not_compiled_again(model, images, snn, monkeypatch):
    expected = snn.run(images, duration=20 * ms).output
    monkeypatch.setattr(program_cache, "compile_project", None)
    first, second = spiking_names(model)[:2]
    again = bs.convert(model, device=DEVICE, record={first: ["spikes", "S"], second: {"S": [0, 5]}})
    np.testing.assert_array_equal(again.run(images, duration=20 * ms).output, expected)


def test_edited_statement_in_both_connectivities(model, images):
    # Half the weight at every arrival, written into on_pre, and the same with a variable of the target.
    plain = bs.ASN()
    outputs = []
    for connectivity in ("event_driven", "synapses"):
        halved = plain.edit(on_pre="I_post += 0.5*w*h_pre*gain_pre", readout=plain.readout)
        snn = bs.convert(model, neuron=halved, connectivity=connectivity, device=DEVICE, dtype="float64")
        outputs.append(snn.run(images[:1], duration=60 * ms).output)
    np.testing.assert_allclose(outputs[0], outputs[1], atol=1e-12)
    unedited = bs.convert(model, device=DEVICE, dtype="float64").run(images[:1], duration=60 * ms).output
    assert np.abs(outputs[0] - unedited).max() > 1e-3


def test_poisson_input_has_the_rate_and_sign_of_its_pixel(model):
    pixels = bs.read_keras(model).input.name
    snn = bs.convert(model, neuron=bs.IF(), device=DEVICE, record={pixels: ["spikes", "h"]})
    image = np.full((1, *snn.graph.input.shape), 0.25)
    image[0, 0] = -0.5
    first, again, other = (snn.run(image, duration=400 * ms, seed=seed) for seed in (1, 1, 2))
    raster = first.raster(pixels)[0]
    assert raster[:, 1:].mean() == pytest.approx(0.25, abs=0.01)
    assert raster[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    heights = first.states[pixels]["h"][0].reshape(raster.shape)
    np.testing.assert_array_equal(heights, raster * np.sign(image[0]))
    np.testing.assert_array_equal(again.raster(pixels), first.raster(pixels))
    assert (other.raster(pixels) != first.raster(pixels)).any()
    # One seed for each image: the place of an image among the others has no effect.
    three = snn.run(np.repeat(image, 3, axis=0), duration=400 * ms, seed=[7, 8, 7]).raster(pixels)
    np.testing.assert_array_equal(three[0], three[2])
    assert (three[0] != three[1]).any()


def test_threshold_and_reset_may_read_the_input(model, images):
    """As they would through an equation of their own."""
    plain = bs.LIF()
    named = plain.edit(equations=f"{plain.equations}\ncurrent = I : 1")
    results = [
        bs.convert(model, neuron=neuron, device=DEVICE, dtype="float64").run(images, duration=50 * ms)
        for neuron in (
            plain.edit(threshold="S > v_th and I < 2", reset="v -= v_th*(1 + 0.1*I)"),
            named.edit(threshold="S > v_th and current < 2", reset="v -= v_th*(1 + 0.1*current)"),
            plain,
        )
    ]
    for name, counts in results[0].spike_counts.items():
        np.testing.assert_array_equal(counts, results[1].spike_counts[name])
    assert any((counts != results[2].spike_counts[name]).any() for name, counts in results[0].spike_counts.items())


def test_runtime_leaves_the_users_random_numbers_alone(model, images):
    snn = bs.convert(model, encoder="poisson")
    np.random.seed(3)  # noqa: NPY002, the generator that Brian2 draws from
    expected = np.random.rand(2)  # noqa: NPY002
    np.random.seed(3)  # noqa: NPY002
    drawn = []
    for _ in range(2):
        snn.run(images[:1], duration=5 * ms)
        drawn.append(np.random.rand())  # noqa: NPY002
    np.testing.assert_array_equal(drawn, expected)
    first, again = (snn.run(images[:1], duration=20 * ms, seed=4).output for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_runtime_parameters_and_trials(model, images):
    snn = bs.convert(model, device="runtime", dtype="float64", record={spiking_names(model)[0]: ["spikes"]})
    compiled = bs.convert(model, device="cpp_standalone", dtype="float64", record={spiking_names(model)[0]: ["spikes"]})
    for network in (snn, compiled):
        network.set_parameters(spiking_names(model)[0], gain=1.2)
    ours, theirs = (network.run(images, duration=30 * ms) for network in (snn, compiled))
    np.testing.assert_allclose(ours.output, theirs.output, atol=1e-12)
    np.testing.assert_array_equal(ours.raster(spiking_names(model)[0]), theirs.raster(spiking_names(model)[0]))


def test_own_model_with_units_runs(model, images):
    layer = spiking_names(model)[0]
    snn = bs.convert(model, neuron=current_based_lif(), device=DEVICE, record={layer: ["v"]})
    result = snn.run(images[:2], duration=60 * ms)
    assert result.spike_counts[layer].sum() > 0
    assert 0 < np.abs(result.states[layer]["v"]).max() < 1  # volts
    # Every trial starts from the initial value and has made one step of 1 ms out of 20 ms when it is first recorded.
    assert np.all(result.states[layer]["v"][:, 0].min(axis=-1) < -3e-3)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"connectivity": "dense"}, ValueError, "connectivity='dense'"),
        ({"schedule": "later"}, ValueError, "pipelined"),
        ({"device": "gpu"}, ValueError, "cpp_standalone"),
        ({"dtype": "float16"}, ValueError, "float32"),
        ({"threads": 2, "device": "genn"}, ValueError, "one thread"),
        ({"threads": None}, ValueError, "threads=None"),
        ({"device": ["runtime"]}, ValueError, "choose one of"),
        ({"dt": 0 * ms}, ValueError, "dt=.* greater than 0"),
        ({"dt": 1}, ValueError, "dt=1 must be a time"),
        ({"device": "cpp_standalone", "record": {"nowhere": ["S"]}}, bs.UnknownNameError, "nowhere"),
        ({"neuron": bs.LIF().edit(threshold="S > v_th + Q")}, ValueError, "threshold 'S > v_th \\+ Q' .* uses 'Q'"),
        ({"neuron": bs.LIF().edit(reset="S = 0")}, ValueError, "writes 'S', which follows from the equation"),
        ({"record": {"nowhere": ["S"]}}, bs.UnknownNameError, "nowhere"),
        ({"record": {"asn_1": ["Z"]}}, bs.UnknownNameError, "'Z'"),
        ({"record": {"asn_1": {"S": [10**6]}}}, IndexError, "neurons must lie in"),
        ({"thresholds": {"asn_1": 1.0}}, ValueError, "threshold"),
        ({"neuron": bs.NeuronModel("x", "I : 1\nbias : 1", spike_height=None)}, ValueError, "readout"),
    ],
)
def test_bad_arguments_of_convert(model, arguments, error, message):
    with pytest.raises(error, match=message):
        bs.convert(model, **arguments)
    assert isinstance(get_device(), RuntimeDevice)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: {"images": x[0]}, r"images\[None\]"),
        (lambda x: {"images": x[:, :-1]}, "images of shape"),
        (lambda x: {"images": (255 * x).astype(np.uint8)}, "images/255"),
        (lambda x: {"images": np.rint(255 * x)}, "8-bit"),
        (lambda x: {"images": x * np.nan}, "NaN"),
        (lambda x: {"images": x[:0]}, "no image"),
        (lambda x: {"images": x, "duration": 10.5 * ms}, "not a multiple of the time step 1 ms"),
        (lambda x: {"images": x, "duration": 0.3 * ms}, "the nearest one is 1 ms"),
        (lambda x: {"images": x, "duration": 10}, "unit of time"),
        (lambda x: {"images": x, "duration": 10 * mV}, "unit of time"),
        (lambda x: {"images": x, "duration": 0 * ms}, "duration is 0"),
        (lambda x: {"images": x, "seed": [1] * (len(x) + 1)}, "one of 0 ... 2"),
        (lambda x: {"images": x, "seed": [0.5] * len(x)}, "whole number"),
        (lambda x: {"images": x, "seed": -1}, "seed=-1; give one whole number"),
        (lambda x: {"images": x, "seed": None}, "seed=None; give"),
        (lambda x: {"images": x, "seed": 1.7}, "seed=1.7; give"),
        (lambda x: {"images": x, "processes": 0}, "processes=0"),
        (lambda x: {"images": x, "processes": 1.5}, "processes=1.5"),
        (lambda x: {"images": x, "onset": [1, 2] * ms}, "2 values of onset"),
        (lambda x: {"images": x, "background": np.zeros(3)[:, None, None] if x.shape[1] != 3 else 0}, "background"),
        (lambda x: {"spikes": np.zeros((1, 5, *x.shape[1:]))}, "encoder='poisson'"),
        (lambda x: {"duration": 5 * ms}, "images or spikes"),
    ],
)
def test_bad_arguments_of_run(snn, images, change, message, no_compiler):
    with pytest.raises(ValueError, match=message):
        snn.run(**{"duration": 10 * ms, **change(images)})


def test_parameters_are_checked(snn, model):
    layer = spiking_names(model)[0]
    with pytest.raises(bs.UnknownNameError, match="Did you mean 'gain'"):
        snn.set_parameters(layer, gian=1.0)
    with pytest.raises(ValueError, match="values of shape"):
        snn.set_parameters(layer, gain=np.ones(7))
    with pytest.raises(ValueError, match="NaN"):
        snn.set_parameters(layer, gain=np.nan)


def test_a_recording_that_does_not_fit_is_refused(snn, images, monkeypatch):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=10**6))
    with pytest.raises(MemoryError, match="GiB"):
        snn.run(images, duration=1000 * ms)


def test_unreferenced_networks_are_freed(model, images):
    snn = bs.convert(model, device="cpp_standalone")
    snn.run(images[:1], duration=5 * ms)
    device, folder = weakref.ref(snn._backend.device), snn._backend.directory
    assert folder.exists()
    del snn
    gc.collect()
    assert device() is None and not folder.exists()


def test_synapses_are_ordinary_ones(model):
    snn = bs.convert(model, connectivity="synapses")
    synapses = [p for p in snn.projections if isinstance(p, SynapticProjection)]
    assert synapses
    for projection in synapses:
        i, j, w = projection.to_coo()
        np.testing.assert_array_equal(projection.i[:], i)
        np.testing.assert_array_equal(projection.j[:], j)
        np.testing.assert_allclose(projection.w[:], w, rtol=1e-6)
