"""A result as an xarray tree and its files: what goes out comes back equal, and what does not fit is refused by its name."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from one_layer import FOLDED, LAYER, SHAPE, one_layer_graph
from random_results import assert_equal, results

import brainsnn as bs
from brainsnn import ms
from brainsnn.results.xarray_form import ABOUT

xr = pytest.importorskip("xarray", reason="the extra formats is not installed")
pytest.importorskip("h5netcdf", reason="the extra formats is not installed")
pytest.importorskip("zarr", reason="the extra formats is not installed")
STEPS = 40


@pytest.fixture(scope="module")
def snn():
    record = {FOLDED: {"spikes": [0, 7, 8, 9, 31], "S": True, "theta": [(1, 2, 0), (3, 4, 2)]}}
    return bs.convert(one_layer_graph(), dt=0.5 * ms, dtype="float64", record=record)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((3, *SHAPE))


@pytest.fixture(scope="module")
def result(snn, images):
    snn.attend(bs.SpatialAttention([(0.1, 0.2), (0.5, 0.5), (0.9, 0.1)], output_gain=0.3))
    result = snn.run(2 * images, duration=STEPS * 0.5 * ms, seed=[4, 5, 6], onset=[0, 2, 5] * ms)
    snn.attend(None)
    result.labels = np.array([1, 0, 1])
    return result


@settings(max_examples=60, deadline=None)
@given(results())
def test_a_tree_comes_back_equal(result):
    assert_equal(bs.Result.from_xarray(result.to_xarray()), result)


@settings(max_examples=25, deadline=None)
@given(results())
def test_files_come_back_equal(result):
    """Ours, and the tree that xarray itself reads."""
    tree = result.to_xarray()
    with tempfile.TemporaryDirectory() as folder:
        paths = [result.to_netcdf(Path(folder) / "r.nc"), result.to_zarr(Path(folder) / "r.zarr")]
        assert sorted(Path(folder).iterdir()) == paths  # nothing temporary is left
        for path, options in zip(paths, ({"engine": "h5netcdf"}, {"engine": "zarr", "consolidated": False})):
            assert_equal(bs.Result.from_xarray(path), result)
            with xr.open_datatree(path, decode_timedelta=False, **options) as opened:
                assert {node.path for node in opened.subtree} == {node.path for node in tree.subtree}
                for node in tree.subtree:
                    assert opened[node.path].to_dataset(inherit=False).equals(node.to_dataset(inherit=False))


@settings(max_examples=25, deadline=None)
@given(results())
def test_a_saved_result_comes_back_equal(result):
    """The ``.npz`` file as well, with the neurons whose spikes were recorded."""
    with tempfile.TemporaryDirectory() as folder:
        loaded = bs.Result.load(result.save(Path(folder) / "r.npz"))
    loaded.spikes, expected = dict(loaded.spikes), dict(result.spikes)
    for name, trains in expected.items():
        assert [list(map(list, train)) for train in loaded.spikes[name]] == [list(map(list, train)) for train in trains]
    np.testing.assert_equal(dict(loaded.spike_neurons), dict(result.spike_neurons))
    np.testing.assert_equal(dict(loaded.outputs), dict(result.outputs))


def test_the_axes_of_a_run(result):
    tree = result.to_xarray()
    assert tree.attrs["device"] == "runtime" and tree.attrs["brainsnn"] == bs.__version__ and tree.attrs["dt_ms"] == 0.5
    assert tree.output.dims == ("image", "time", "class") and tree.time.attrs["units"] == "ms"
    np.testing.assert_allclose(tree.time, 0.5 * np.arange(STEPS))
    np.testing.assert_array_equal(tree.label, [1, 0, 1])
    layer = tree[LAYER]
    xr.testing.assert_identical(layer["S"].reset_coords(drop=True), result.state(FOLDED, "S").reset_coords(drop=True))
    assert layer.attrs["equations"] == str(result.models[LAYER]) and layer.attrs["folded_layers"] == FOLDED
    theta = layer["theta"]
    assert theta.dims == ("image", "time", "neuron_theta") and theta.attrs["units"] == "1"
    for row, column, channel in ((1, 2, 0), (3, 4, 2)):
        flat = int(np.ravel_multi_index((row, column, channel), result.shapes[LAYER]))
        trace = theta.sel(neuron_theta=flat)
        assert (trace.row_theta, trace.column_theta, trace.channel_theta) == (row, column, channel)
        np.testing.assert_array_equal(trace[2], result.trace(LAYER, "theta", (row, column, channel), 2))


def test_variables_of_one_set_of_neurons_have_the_axes_of_state():
    result = bs.Result({"lif": (2, 3, 1)}, 1e-3, 4)
    result.recorded["lif"] = {"v": np.array([4, 1]), "w": np.array([4, 1])}
    result.states["lif"] = {"v": np.arange(16.0).reshape(2, 4, 2), "w": np.zeros((2, 4, 2))}
    for variable in ("v", "w"):
        xr.testing.assert_identical(result.to_xarray()["lif"][variable], result.state("lif", variable))


def test_each_spike_is_an_event(result):
    """The raster is where the coordinates say."""
    spikes, raster = result.to_xarray()[f"{LAYER}/spikes"].to_dataset(inherit=False), result.raster(FOLDED)
    assert 10 < spikes.sizes["event"] == raster.sum() < raster.size / 10
    steps = np.rint(spikes.time.values / 0.5).astype(int)
    assert raster[spikes.image.values, steps, spikes.row.values, spikes.column.values, spikes.channel.values].all()
    np.testing.assert_array_equal(result.to_xarray()[LAYER].spike_neuron, [0, 7, 8, 9, 31])
    assert set(spikes.neuron.values) <= {0, 7, 8, 9, 31} and spikes.attrs["shape"] == list(result.shapes[LAYER])
    frame = spikes.to_dataframe()  # pandas, one row for each spike
    counts = frame.groupby("image").size()
    np.testing.assert_array_equal(counts.reindex(range(3), fill_value=0), [len(n) for n, _ in result.spikes[LAYER]])


def test_a_run_comes_back_equal(result, tmp_path):
    for source in (result.to_xarray(), result.to_netcdf(tmp_path / "r.nc"), result.to_zarr(tmp_path / "r")):
        found = bs.Result.from_xarray(source)
        assert_equal(found, result)
        np.testing.assert_array_equal(found.accuracy(), result.accuracy())
        assert found.settings["attention"]["center"] == [[0.1, 0.2], [0.5, 0.5], [0.9, 0.1]]
        assert found.states[LAYER]["S"].flags.writeable


def test_a_streamed_result_is_read_when_it_is_indexed(snn, images, tmp_path):
    streamed = snn.run(images, duration=STEPS * 0.5 * ms, stream_to=tmp_path / "run")
    expected = snn.run(images, duration=STEPS * 0.5 * ms)
    np.testing.assert_array_equal(streamed.spike_neurons[FOLDED], [0, 7, 8, 9, 31])
    tree = streamed.to_xarray()
    assert not tree[LAYER]["S"].variable._in_memory
    np.testing.assert_array_equal(tree[LAYER]["S"][1, 3:9, 2, :, 1], expected.state(FOLDED, "S")[1, 3:9, 2, :, 1])
    np.testing.assert_array_equal(
        tree[LAYER]["theta"].isel(neuron_theta=[1, 0])[..., 0], expected.states[LAYER]["theta"][..., 1]
    )
    for source in (tree, streamed.to_netcdf(tmp_path / "r.nc"), streamed.to_zarr(tmp_path / "r.zarr")):
        assert_equal(bs.Result.from_xarray(source), expected)


# Refusals


def test_existing_files_are_kept(result, tmp_path):
    (tmp_path / "r").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError, match=r"to_netcdf: .*r' exists. Choose another path, or give overwrite=True"):
        result.to_netcdf(tmp_path / "r")
    with pytest.raises(FileExistsError, match=r"to_zarr: .*r' exists. Remove it or choose another folder"):
        result.to_zarr(tmp_path / "r")
    with pytest.raises(FileExistsError, match=r"to_netcdf: .*folder' is a folder"):
        result.to_netcdf(tmp_path / "folder", overwrite=True)
    with pytest.raises(ValueError, match="overwrite must be True or False, got 'yes'"):
        result.to_netcdf(tmp_path / "r", overwrite="yes")
    assert (tmp_path / "r").read_text() == "mine"
    result.to_netcdf(tmp_path / "r", overwrite=True)
    assert_equal(bs.Result.from_xarray(tmp_path / "r"), result)


def test_a_result_that_does_not_fit_is_not_written(tmp_path):
    result = bs.Result({"conv": (2, 1, 1)}, 1e-3, 2)
    result.spike_neurons["conv"] = np.array([0])
    result.spikes["conv"] = [(np.array([1]), np.array([0]))]
    with pytest.raises(
        ValueError, match=r"to_xarray: spikes\['conv'\]\[0\] has a spike of the neuron 1, which spike_neurons"
    ):
        result.to_netcdf(tmp_path / "r.nc")
    flat = bs.Result({"conv": (4,)}, 1e-3, 2)
    with pytest.raises(ValueError, match=r"shapes\['conv'\] is \(4,\), not \(rows, columns, channels\)"):
        flat.to_xarray()
    assert not list(tmp_path.iterdir())


def changed(tree, path, variable, change):
    node = tree[path] if path else tree
    node.dataset = change(node.to_dataset(inherit=False), variable)


def replaced(values):
    return lambda data, name: data.assign({name: (data[name].dims, values(data[name].values.copy()))})


def with_first(value):
    def change(values):
        values.reshape(-1)[0] = value
        return values

    return replaced(change)


EVENTS = f"{LAYER}/spikes"


def replaced_neurons(data, _):
    return data.assign_coords(spike_neuron=[1, 2, 3, 4, 5])


#: What is changed in the tree -> words of the refusal.
DAMAGES = {
    "no description": ("", "", lambda data, _: data.assign_attrs({ABOUT: None}), f"the attribute '{ABOUT}' is missing"),
    "not JSON": ("", "", lambda data, _: data.assign_attrs({ABOUT: "{"}), "is not JSON"),
    "another format": ("", "", lambda data, _: data.assign_attrs({ABOUT: '{"format": 9}'}), "is of the format 9"),
    "no output": ("", "output", lambda data, name: data.drop_vars(name), "the variable 'output' is missing"),
    "part of the images": ("", "image", lambda data, _: data.assign_coords(image=[0, 1, 3]), "'image' is not that of 3 images"),
    "other times": ("", "time", lambda data, _: data.assign_coords(time=np.arange(STEPS)), "'time' is not that of 40 steps"),
    "text": ("", "output", replaced(lambda values: values.astype(str)), "'output' holds values of type <U"),
    "axes": (LAYER, "S", lambda data, name: data.assign({name: data[name].isel(row=0)}), r"'.*/S' has the dimensions"),
    "no neurons": (LAYER, "neuron_theta", lambda data, name: data.drop_vars(name), "'.*/neuron_theta' is missing"),
    "a neuron": (EVENTS, "neuron", with_first(10**6), "'.*/spikes/neuron' holds .* 1000000, and there are 60"),
    "negative": (EVENTS, "step", with_first(-1), "'.*/spikes/step' holds -1 "),
    "order": (EVENTS, "image", with_first(2), "'.*/spikes/image' is not in the order of the images"),
    "place": (EVENTS, "row", with_first(3), "'.*/spikes/row' contradicts the neurons and steps"),
    "time of a spike": (EVENTS, "time", with_first(-3.0), "'.*/spikes/time' contradicts the neurons and steps"),
    "fractions": (EVENTS, "step", replaced(lambda values: values + 0.5), "'.*/spikes/step' has the shape .* float64"),
    "counts": (LAYER, "spike_count", with_first(10**6), r"spike_counts\[.*\]\[0\] is 1000000"),
    "not recorded": (LAYER, "spike_neuron", replaced_neurons, "which spike_neurons does not name"),
    "labels": ("", "label", lambda data, _: data.assign_coords(label=("image", [0.5, 1, 2])), "'labels' .* whole numbers"),
}  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_trees_and_files_are_refused(damage, result, tmp_path):
    """In the tree, and in a file of it."""
    path, variable, change, words = DAMAGES[damage]
    tree = result.to_xarray().copy(deep=True)
    changed(tree, path, variable, change)
    with pytest.raises(ValueError, match=f"Result.from_xarray: in the tree, .*{words}"):
        bs.Result.from_xarray(tree)
    if damage not in ("axes", "no description", "text", "no neurons"):
        tree.to_netcdf(tmp_path / "r.nc", engine="h5netcdf")
        with pytest.raises(ValueError, match=f"Result.from_xarray: '{tmp_path}/r.nc' is damaged: .*{words}"):
            bs.Result.from_xarray(tmp_path / "r.nc")


def test_transposed_variables_are_read(result):
    tree = result.to_xarray()
    tree.dataset = tree.to_dataset().transpose("class", "time", "image")
    assert_equal(bs.Result.from_xarray(tree), result)


def edited(folder, name, **changes):
    about = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(about | changes))


#: Changes of a Zarr folder -> words of the refusal.
ZARR = {
    "codec": (lambda f: edited(f, f"{LAYER}/S/zarr.json", codecs=[{"name": "numcodecs.pickle"}]), "has codecs="),
    "compressed": (lambda f: edited(f, "output/zarr.json", codecs=[{"name": "bytes"}, {"name": "zstd"}]), "has codecs="),
    "type": (lambda f: edited(f, "output/zarr.json", data_type="string"), "has the data_type 'string'"),
    "shape": (lambda f: edited(f, "output/zarr.json", shape=[3, -1, 2]), "has the shape"),
    "chunks": (lambda f: edited(f, "output/zarr.json", chunk_grid={}), "has the chunk_grid"),
    "dims": (lambda f: edited(f, "output/zarr.json", dimension_names=["a"]), "has the dimension_names"),
    "fill": (lambda f: edited(f, "output/zarr.json", fill_value=7), "has fill_value=7"),
    "chunk": (lambda f: (f / "output/c/0/0/0").write_bytes(b"x"), "is of 1 bytes, and a chunk takes"),
    "link": (lambda f: (f / "link").symlink_to("/etc/passwd"), "'link' is not a file"),
    "root": (lambda f: (f / "zarr.json").unlink(), "'zarr.json' is missing"),
    "JSON": (lambda f: (f / "output/zarr.json").write_text("["), "'output/zarr.json' is not JSON"),
    "huge": (lambda f: edited(f, "output/zarr.json", shape=[10**6, 10**9, 2]), "takes .* in memory, above the limit"),
}  # fmt: skip


@pytest.mark.parametrize("damage", ZARR)
def test_damaged_zarr_folders_are_refused(damage, result, tmp_path):
    change, words = ZARR[damage]
    change(result.to_zarr(tmp_path / "r"))
    with pytest.raises(ValueError, match=f"Result.from_xarray: '{tmp_path}/r'.*{words}"):
        bs.Result.from_xarray(tmp_path / "r")


def test_hostile_netcdf_files_are_refused(result, tmp_path):
    """Links out of the file, sizes that are only declared, what is no HDF5 at all, and no file."""
    import h5py

    path = result.to_netcdf(tmp_path / "r.nc")
    with pytest.raises(ValueError, match="what its arrays declare takes .* above the limit of 1.0 kB"):
        bs.Result.from_xarray(path, max_bytes=1000)
    with h5py.File(path, "a") as file:
        del file["output"]
        file["output"] = h5py.ExternalLink("/etc/passwd", "x")
    with pytest.raises(ValueError, match="'output' is a link to another place, which is not followed"):
        bs.Result.from_xarray(path)
    path.write_bytes(b"no HDF5")
    with pytest.raises(ValueError, match=f"{path}': it cannot be opened as HDF5"):
        bs.Result.from_xarray(path)
    with pytest.raises(FileNotFoundError, match=r"no\.nc"):
        bs.Result.from_xarray(tmp_path / "no.nc")
    with pytest.raises(ValueError, match="source=3 is not a path"):
        bs.Result.from_xarray(3)
