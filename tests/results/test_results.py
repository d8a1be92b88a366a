"""Results: one way to name a layer, axes and units, and files that keep how a run was made."""

import copy
import pickle

import matplotlib.pyplot as plt
import numpy as np
import pytest
from brian2 import ms
from hypothesis import given, settings
from hypothesis import strategies as st
from one_layer import FOLDED, LAYER, SHAPE, one_layer_graph

import brainsnn as bs
from brainsnn import analysis
from brainsnn.results.description import PopulationModel

STEPS = 60


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def snn():
    return bs.convert(
        one_layer_graph(), device="cpp_standalone", dtype="float64", record={FOLDED: ["spikes", "S", "S_hat", "theta"]}
    )


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, *SHAPE))


@pytest.fixture(scope="module")
def result(snn, images):
    return snn.run(images, duration=STEPS * ms, seed=[4, 5, 6], onset=[0, 2, 5] * ms)


# Names

#: What takes the name of a layer.
LOOKUPS = {
    **{
        name: lambda result, layer, name=name: getattr(result, name)[layer]
        for name in ("shapes", "spike_counts", "firing_rates", "spikes", "states", "recorded", "models")
    },
    "raster": lambda result, layer: result.raster(layer),
    "state": lambda result, layer: result.state(layer, "S").values,
    "trace": lambda result, layer: result.trace(layer, "S", 3),
    "index_of": lambda result, layer: result.index_of(layer, (1, 2, 0)),
    "plot_traces": lambda result, layer: [line.get_ydata() for line in result.plot_traces(layer, 3).lines],
    "plot_raster": lambda result, layer: analysis.plot_raster(result, layer).collections[0].get_offsets(),
    "evoked_potential": lambda result, layer: analysis.evoked_potential(result, layer),
    "response_rate": lambda result, layer: analysis.response_rate(result, layer),
    "focus_rates": lambda result, layer: analysis.focus_rates(result, layer, (0.5, 0.5), 0.2),
    "layer_patterns": lambda result, layer: analysis.layer_patterns(result, layer),
    "layer_rdm": lambda result, layer: analysis.layer_rdm(result, layer),
    "firing_latency": lambda result, layer: analysis.firing_latency(result, layer, (0, 10)),
}


@pytest.mark.parametrize("name", LOOKUPS)
def test_every_lookup_takes_all_names_of_a_layer(result, name):
    """Also after a copy, and from a file."""
    lookup = LOOKUPS[name]
    for one in (result, copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        np.testing.assert_equal(lookup(one, FOLDED), lookup(result, LAYER))
        with pytest.raises(bs.UnknownNameError, match="Did you mean 'conv_2'"):
            lookup(one, "conf_2")


def test_an_error_says_which_population_holds_nothing(result):
    with pytest.raises(
        bs.UnknownNameError, match=r"no population with recorded spikes named 'dense'. Convert with record="
    ):
        result.raster("dense")
    with pytest.raises(
        bs.UnknownNameError, match=r"no readout named 'conv_2'. The layer is part of 'asn_2'. Known: dense"
    ):
        result.outputs[FOLDED]
    for values in (result.states[FOLDED], result.recorded[LAYER]):
        with pytest.raises(
            bs.UnknownNameError, match="no recorded variable of 'asn_2' named 'S_ht'. Did you mean 'S_hat'"
        ):
            values["S_ht"]


def test_assigned_dicts_take_the_names_too():
    result = bs.Result({"asn": (1, 1, 2)}, 1e-3, 4, {"conv": "asn"})
    result.states = {"asn": {"v": np.zeros((1, 4, 2))}}
    assert result.states["conv"]["v"].shape == (1, 4, 2)
    with pytest.raises(bs.UnknownNameError, match="Did you mean 'v'"):
        result.states["conv"]["vv"]


# Axes and units


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_states_have_axes(data):
    """Each value lies where its coordinates say, for any shape, and any neurons in any order."""
    pytest.importorskip("xarray")
    shape = tuple(data.draw(st.integers(1, 3)) for _ in range(3))
    size, n, n_steps = int(np.prod(shape)), data.draw(st.integers(1, 3)), data.draw(st.integers(1, 4))
    neurons = np.array(data.draw(st.lists(st.integers(0, size - 1), min_size=1, max_size=size, unique=True)))
    values = np.random.default_rng(0).random((n, n_steps, len(neurons)))
    result = bs.Result({"asn": shape}, 5e-4, n_steps, {"conv": "asn"})
    result.states["asn"], result.recorded["asn"] = {"v": values}, {"v": neurons}
    result.models["asn"] = PopulationModel("", None, {}, {"v": "volt"})
    images = data.draw(st.sampled_from([None, [n - 1], slice(0, 1)]))
    state = result.state("conv", "v", images)
    assert state.dims == (
        ("image", "time", "row", "column", "channel") if len(neurons) == size else ("image", "time", "neuron")
    )
    assert state.name == "v" and state.attrs == {"layer": "asn", "units": "volt"} and state.time.attrs["units"] == "ms"
    np.testing.assert_allclose(state.time, 0.5 * np.arange(n_steps))
    np.testing.assert_array_equal(state.image, np.arange(n) if images is None else np.arange(n)[images])
    for k, neuron in enumerate(neurons):
        row, column, channel = np.unravel_index(neuron, shape)
        if len(neurons) == size:
            trace = state.sel(row=row, column=column, channel=channel)
        else:
            trace = state.sel(neuron=neuron)
            assert (trace.row, trace.column, trace.channel) == (row, column, channel)
        np.testing.assert_array_equal(trace, values[state.image.values, :, k])


def test_a_run_knows_its_equations_units_and_times(snn, result):
    assert str(result.models[FOLDED]) == str(snn.models[LAYER])
    assert result.models[FOLDED].units["S_hat"] == "1"
    assert result.state(FOLDED, "S").shape == (3, STEPS, 4, 5, 3) and result.state(FOLDED, "S").attrs["units"] == "1"
    np.testing.assert_allclose(result.t / ms, result.times)
    with pytest.raises(IndexError, match=r"Result.state: images=7; the result has 3 images"):
        result.state(FOLDED, "S", 7)


# Settings and files


def test_settings_say_how_the_run_was_made(snn, result, images):
    expected = {
        "device": "cpp_standalone", "dtype": "float64", "schedule": "pipelined", "encoder": "current", "dt": 1e-3, "n_images": 3,
        "seed": [4, 5, 6], "onset": [0, 2e-3, 5e-3], "offset": None, "attention": None, "background": None, "feedback": None,
    }  # fmt: skip
    assert {name: result.settings[name] for name in expected} == expected
    assert result.settings["duration"] == pytest.approx(STEPS * 1e-3)
    assert result.settings["parameters"][LAYER]["m_f"] == 0.1 and "image" not in result.settings["parameters"][LAYER]
    cues = [(0.1, 0.2), (0.3, 0.4), (0.5, 0.6)]
    snn.attend(bs.SpatialAttention(cues, output_gain=0.2))
    try:
        about = snn.run(images, duration=5 * ms, background=0.5, offset=3 * ms).settings
    finally:
        snn.attend(None)
    assert np.allclose(about["attention"]["center"], cues) and about["attention"]["layers"] == [LAYER]
    assert about["attention"]["strengths"]["output_gain"] == 0.2 and about["seed"] == 0 and about["background"] == 0.5


def assert_same(loaded, result):
    assert loaded.settings == result.settings and loaded.models == result.models
    np.testing.assert_array_equal(loaded.output, result.output)
    for variable, values in result.states[LAYER].items():
        np.testing.assert_array_equal(loaded.states[FOLDED][variable][:], values)
    np.testing.assert_array_equal(loaded.raster(FOLDED), result.raster(FOLDED))


def test_a_file_keeps_everything(result, tmp_path):
    path = result.save(tmp_path / "run.1", labels=[0, 1, 1])
    assert path == tmp_path / "run.1.npz" and [*tmp_path.iterdir()] == [path]
    for name in (path, tmp_path / "run.1"):
        loaded = bs.Result.load(name)
        assert_same(loaded, result)
        np.testing.assert_array_equal(loaded.labels, [0, 1, 1])
        np.testing.assert_array_equal(loaded.accuracy(), result.accuracy([0, 1, 1]))
    loaded.save(path)  # keeps the labels
    np.testing.assert_array_equal(bs.Result.load(path).labels, [0, 1, 1])


@pytest.mark.parametrize("labels", [[0, 1], [0.5, 1, 2], [[0], [1], [2]]])
def test_wrong_labels_do_not_touch_a_file(result, tmp_path, labels):
    path = result.save(tmp_path / "run.npz")
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Result.save: labels of shape .* for 3 images"):
        result.save(path, labels)
    assert path.read_bytes() == before


def test_accuracy_needs_labels():
    result = bs.Result({"out": (1, 1, 2)}, 1e-3, 1)
    result.outputs["out"] = np.zeros((1, 1, 2))
    with pytest.raises(ValueError, match="has no labels"):
        result.accuracy()


def test_files_of_the_first_version_load(result, tmp_path):
    """They hold no settings and may have no suffix."""
    path = result.save(tmp_path / "new")
    with np.load(path) as data, open(tmp_path / "old", "wb") as file:
        np.savez(file, **{name: data[name] for name in data.files if name != "about"})
    path.unlink()
    old = bs.Result.load(tmp_path / "old")
    assert old.settings == {} and not old.models and old.labels is None
    np.testing.assert_array_equal(old.states[FOLDED]["S"], result.states[LAYER]["S"])
    assert "units" not in old.state(FOLDED, "S").attrs
    old.save(tmp_path / "old")
    with pytest.raises(ValueError, match="two files.*old'.*old.npz"):
        bs.Result.load(tmp_path / "old")


def test_a_missing_file_says_what_is_there(result, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=f"'{tmp_path}/run' does not exist.*'{tmp_path}' holds: nothing"):
        bs.Result.load("run")
    result.save("run_1")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileNotFoundError, match=f"'{tmp_path}/no/run.npz'.*'{tmp_path}' holds: folder/, run_1.npz"):
        bs.Result.load("no/run.npz")


def test_a_streamed_result_keeps_its_settings(snn, images, result, tmp_path):
    pytest.importorskip("zarr", reason="streaming needs zarr")
    run = {"duration": STEPS * ms, "seed": [4, 5, 6], "onset": [0, 2, 5] * ms}
    streamed = snn.run(images, **run, stream_to=tmp_path / "run")
    for one in (streamed, bs.Result.load(tmp_path / "run"), bs.Result.load(streamed.save(tmp_path / "copy"))):
        assert_same(one, result)
    np.testing.assert_array_equal(streamed.state(FOLDED, "S", [2, 0]), result.state(FOLDED, "S")[[2, 0]])
