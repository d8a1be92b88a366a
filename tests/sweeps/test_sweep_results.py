"""What a sweep keeps of what its function returns, and the coordinates of its parameters."""

from functools import partial

import numpy as np
import pytest

import brainsnn as bs
from brainsnn.sweeps import UnitStore

pytest.importorskip("xarray", reason="sweeps need xarray")
from brian2 import Quantity, ms, mV

IMAGES = np.arange(4.0)


def sweep(folder, values, parameters=None, images=IMAGES, **options):
    """A sweep that returns what ``values`` makes of the images and the parameter ``p``."""

    def unit(images, p):
        return values(images, p)

    return bs.sweep(unit, {"p": [1, 2]} if parameters is None else {"p": parameters}, images, folder=folder, chunk=3,
                    workers=1, progress=False, **options)  # fmt: skip


# Units on the disk


def test_any_name_and_unit_is_kept_in_a_unit(tmp_path):
    store = UnitStore(tmp_path)
    values = {
        name: np.arange(k + 1) for k, name in enumerate(["a/b", "", ".", "file", "allow_pickle", "contents", "0", "é"])
    }
    store.write(
        "key", {**values, "time": [1 * ms, 2 * ms], "v": np.eye(2) * mV, "one": 3 * ms / ms, "n": [[1 * mV], [2 * mV]]}
    )
    found = store.read("key")
    for name, array in values.items():
        np.testing.assert_array_equal(found[name], array)
    assert isinstance(found["time"], Quantity) and (found["time"] == [1, 2] * ms).all()
    assert found["v"].dim is mV.dim and found["v"][1, 1] == 1 * mV
    assert found["n"].dim is mV.dim and found["n"].shape == (2, 1)
    assert found["one"] == 3 and not isinstance(found["one"], Quantity)


def test_what_cannot_be_kept_is_refused(tmp_path):
    store = UnitStore(tmp_path)
    with pytest.raises(TypeError, match="dict of name"):
        store.write("key", [1])
    with pytest.raises(TypeError, match="'x' of type object"):
        store.write("key", {"x": object()})
    with pytest.raises(TypeError, match="'x' with masked entries"):
        store.write("key", {"x": np.ma.array([1.0, 2.0], mask=[0, 1])})
    store.write("key", {"x": np.ma.array([1.0, 2.0])})
    np.testing.assert_array_equal(store.read("key")["x"], [1, 2])


def test_a_unit_with_a_damaged_byte_is_computed_again(tmp_path):
    store = UnitStore(tmp_path)
    values = {"x": np.arange(20.0), "name": ["a", "b"]}
    store.write("key", values)
    whole, path = store.path("key").read_bytes(), store.path("key")
    damaged = [whole[:k] for k in (0, 40, len(whole) // 2, len(whole) - 1)]
    damaged += [whole[:k] + bytes([whole[k] ^ flip]) + whole[k + 1 :] for k in range(len(whole)) for flip in (1, 255)]
    lost = 0
    for data in damaged:
        path.write_bytes(data)
        found = store.read("key")
        if found is None:  # else it is a byte that means nothing, such as one of a date
            lost += 1
            assert "key" not in store
            continue
        assert list(found) == list(values)
        np.testing.assert_array_equal(found["x"], values["x"])
    assert lost > len(damaged) / 2
    path.write_bytes(whole[:40])
    assert store.get("key", lambda: {"x": 2})["x"] == 2


def test_a_unit_that_cannot_be_read_is_not_removed(tmp_path):
    store = UnitStore(tmp_path)
    store.path("key").mkdir(parents=True)
    with pytest.raises(OSError, match=f"sweep: '{store.path('key')}' is a folder, not a file"):
        store.read("key")


def test_files_of_units_under_the_names_of_others_are_not_taken_for_them(tmp_path):
    store = UnitStore(tmp_path)
    store.write("a", {"x": 1})
    store.write("b", {"x": 2})
    store.path("a").rename(tmp_path / "a")
    store.path("b").rename(store.path("a"))
    (tmp_path / "a").rename(store.path("b"))
    assert store.read("a") is None and store.read("b") is None
    assert [store.get(key, lambda key=key: {"x": key})["x"] for key in "ab"] == ["a", "b"]


# What becomes of damage in a sweep


def swept(images, log):
    with open(log, "a") as file:
        file.write("x")
    return {"y": 2 * images}


@pytest.fixture
def run(tmp_path):
    return partial(bs.sweep, swept, {}, IMAGES, folder=tmp_path / "sweep", chunk=2, workers=1, progress=False,
                   constants={"log": str(tmp_path / "log")})  # fmt: skip


def test_a_damaged_unit_of_a_sweep_is_computed_again(tmp_path, run):
    run().close()
    (tmp_path / "sweep" / "dataset.nc").unlink()
    unit = next((tmp_path / "sweep" / "units").glob("*.npz"))
    data = bytearray(unit.read_bytes())
    data[80] ^= 255  # within compressed numbers
    unit.write_bytes(data)
    np.testing.assert_array_equal(run()["y"], 2 * IMAGES)
    assert (tmp_path / "log").read_text() == "xxx"


def test_a_unit_that_vanishes_before_the_data_set_is_written(tmp_path, run, monkeypatch):
    from brainsnn.sweeps import dataset

    assemble = dataset.assemble

    def assemble_later(*arguments):
        next((tmp_path / "sweep" / "units").glob("*.npz")).unlink()
        return assemble(*arguments)

    monkeypatch.setattr(dataset, "assemble", assemble_later)
    np.testing.assert_array_equal(run()["y"], 2 * IMAGES)
    assert (tmp_path / "log").read_text() == "xxx"


@pytest.mark.parametrize("times", [1, 2])
def test_a_unit_that_vanishes_as_soon_as_it_is_there(tmp_path, run, monkeypatch, times):
    from brainsnn.sweeps import SweepError, running
    from brainsnn.sweeps.jobs import Job

    compute, removed = Job.compute, []

    def compute_and_lose(job, key, arguments):
        outcome = compute(job, key, arguments)
        if len(removed) < times and removed in ([], [key]):
            removed.append(key)
            UnitStore(job.folder).path(key).unlink()
        return outcome

    monkeypatch.setattr(Job, "compute", compute_and_lose)
    monkeypatch.setattr(running, "PATIENCE", 0)
    if times == 1:
        np.testing.assert_array_equal(run()["y"], 2 * IMAGES)
    else:
        with pytest.raises(SweepError, match="(?s)1 of 2 units failed.*images 0 ... 1: it was computed twice"):
            run()
    assert (tmp_path / "log").read_text() == "xxx"


@pytest.mark.parametrize("damage", ["text", "nothing", "half"])
def test_a_damaged_data_set_is_made_again_from_its_units(tmp_path, run, damage):
    run().close()
    path = tmp_path / "sweep" / "dataset.nc"
    path.write_bytes({"text": b"hello", "nothing": b"", "half": path.read_bytes()[: path.stat().st_size // 2]}[damage])
    np.testing.assert_array_equal(run()["y"], 2 * IMAGES)
    assert (tmp_path / "log").read_text() == "xx"


def _edited(path, change):
    """Change a data set and keep its attributes, which say which sweep made it."""
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf") as data:
        changed = change(data.load())
    changed.to_netcdf(path, engine="h5netcdf")


EDITS = {
    "another coordinate": lambda data: data.assign_coords(image=data.image + 1),
    "no coordinate": lambda data: data.drop_vars("image"),
    "fewer images": lambda data: data.isel(image=slice(2)),
    "another axis first": lambda data: data.assign(y=data.y.expand_dims("z")),
    "another label": lambda data: data.assign_coords(label=data.label[::-1].variable),
    "no results": lambda data: data.drop_vars("y"),
}


@pytest.mark.parametrize("edit", EDITS)
def test_a_data_set_that_has_been_changed_is_refused_and_kept(tmp_path, run, edit):
    """It names the sweep, but somebody has changed it, or a part of it was lost."""
    seconds = ("image", np.arange(len(IMAGES)) / 2, {"units": "seconds"})  # xarray reads it as time
    run = partial(run, coords={"label": ("image", [f"n{k}" for k in range(len(IMAGES))]), "onset": seconds})
    with run() as data:
        expected = data.load()
    path = tmp_path / "sweep" / "dataset.nc"
    before = path.stat()
    run().close()
    assert path.stat().st_ino == before.st_ino  # accepted as it is
    _edited(path, EDITS[edit])
    changed = path.read_bytes()
    with pytest.raises(ValueError, match=f"sweep: '{path}' has changed: .*Move it away"):
        run()
    assert path.read_bytes() == changed
    path.unlink()
    with run() as again:
        assert again.load().identical(expected)
    assert (tmp_path / "log").read_text() == "xx"  # from the units


def test_a_data_set_of_another_program_or_sweep_is_not_taken_for_this_one(tmp_path, run):
    with run() as data:
        expected = data.load()
    path = tmp_path / "sweep" / "dataset.nc"
    _edited(path, lambda data: data.assign_attrs(content="that of another sweep of the same function") * 0)
    _edited(path, lambda data: data.assign_attrs(expected.attrs, content="that of another sweep of the same function"))
    with run() as again:
        assert again.load().identical(expected)
    _edited(path, lambda data: data.assign_attrs(function="other.function", content="x"))
    before = path.read_bytes()
    with pytest.raises(ValueError, match="holds the data set of 'other.function'"):
        run()
    assert path.read_bytes() == before


def test_a_file_that_is_no_sweep_is_left_alone(tmp_path, run):
    import xarray as xr

    path = tmp_path / "sweep" / "dataset.nc"
    path.parent.mkdir()
    path.write_text("my notes")
    with pytest.raises(ValueError, match="no units of a sweep beside it, so move it away"):
        run()
    assert path.read_text() == "my notes"
    path.unlink()
    xr.Dataset({"q": 1}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(ValueError, match="was not made by a sweep"):
        run()
    assert not (tmp_path / "log").exists()


# Results


def test_results_with_units(tmp_path):
    data = sweep(tmp_path, lambda images, p: {"v": p * images * mV, "t": 3 * images * ms, "n": images}, [1, 2])
    assert data["v"].attrs == {"units": "V"} and data["t"].attrs == {"units": "s"} and not data["n"].attrs
    np.testing.assert_allclose(data["v"].sel(p=2), 2e-3 * IMAGES)
    assert data["t"].dtype == float


def test_images_keep_their_units(tmp_path):
    data = sweep(
        tmp_path, lambda images, p: {"y": images / ms, "u": [str(images.dim)] * len(images)}, images=IMAGES * ms
    )
    np.testing.assert_allclose(data["y"], [IMAGES, IMAGES])
    assert set(data["u"].values.ravel()) == {"s"}


def test_every_name_that_a_file_can_hold_is_kept(tmp_path):
    names = ["file", "allow_pickle", "contents", "x y", "_y", "é", "time"]
    data = sweep(tmp_path, lambda images, p: {name: images for name in names})
    assert sorted(data.data_vars) == sorted(names)


@pytest.mark.parametrize("name", ["a/b", "", ".", " y"])
def test_a_name_that_no_file_can_hold_is_an_error(tmp_path, name):
    with pytest.raises(ValueError, match="which a NetCDF file cannot hold"):
        sweep(tmp_path, lambda images, p: {name: images})


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        (lambda i, p: {"y": i if p == 1 else ["a"] * len(i)}, ValueError, "the type text for p=2.*number for p=1"),
        (lambda i, p: {"y": i * ms if p == 1 else i}, ValueError, "the unit 1 for p=2.*and s for p=1"),
        (lambda i, p: {"y": np.zeros((len(i), p))}, ValueError, r"the shape \(2,\) for p=2"),
        (lambda i, p: {"y": i} if p == 1 else {"z": i}, ValueError, "p=2.*returned"),
        (lambda i, p: {"y": i.astype(int) + 2**60 + 1 if p == 1 else i}, ValueError, "float64 does not hold"),
        (lambda i, p: {"y": i if p == 1 else i.astype(int) + 2**60 + 1}, ValueError, "float64 does not hold"),
        (lambda i, p: {"y": ["a\0b"] * len(i)}, ValueError, "holds the character 0"),
        (lambda i, p: {"y": np.ma.array(i, mask=i > 1)}, TypeError, "p=1, images 0 ... 2.*masked entries"),
        (lambda i, p: {"y": None}, TypeError, "p=1, images 0 ... 2.*of type object"),
        (lambda i, p: i, TypeError, "p=1, images 0 ... 2.*must return a dict"),
    ],
)
def test_results_that_do_not_fit_together_end_a_sweep_at_once(tmp_path, values, error, message):
    with pytest.raises(error, match=message):
        sweep(tmp_path, values, [1, 2, 3, 4])
    assert len(list((tmp_path / "units").glob("*.npz"))) <= 3
    assert not (tmp_path / "dataset.nc").exists()


def test_whole_numbers_stay_exact(tmp_path):
    big = 2**60 + 1
    data = sweep(tmp_path, lambda images, p: {"y": images.astype("i8" if p == 1 else "i4") + (big if p == 1 else 0)})
    assert data["y"].dtype == np.int64 and int(data["y"].sel(p=1)[0]) == big


# Coordinates of parameters


def double(x):
    return 2 * x


@pytest.mark.parametrize(
    ("values", "expected", "units"),
    [
        ([5 * ms, 10 * ms], [0.005, 0.01], "s"),
        ([1, 2] * mV, [0.001, 0.002], "V"),
        (range(3), [0, 1, 2], None),
        (np.linspace(0, 1, 3), [0, 0.5, 1], None),
        ([True, False], [True, False], None),
        ([2, True], ["2", "True"], None),
        (["1", 1], ["'1'", "1"], None),
        ([None, 0.5, "a"], ["None", "0.5", "a"], None),
        ([2**70, 1], [str(2**70), "1"], None),
        ([5 * ms, 5 * mV], ["5. ms", "5. mV"], None),
        ([double, np.mean], ["double", "mean"], None),
        ([[1, 2], [3]], ["[1, 2]", "[3]"], None),
    ],
)
def test_coordinates_of_parameters(tmp_path, values, expected, units):
    data = sweep(tmp_path, lambda images, p: {"y": images}, values)
    assert data["p"].values.tolist() == expected
    assert data["p"].attrs.get("units") == units


def test_a_quantity_finds_its_place(tmp_path):
    data = sweep(tmp_path, lambda images, p: {"y": images * (p / ms)}, [5 * ms, 10 * ms])
    np.testing.assert_allclose(data["y"].sel(p=10 * ms), 10 * IMAGES)


def test_values_that_look_alike_have_coordinates_that_differ(tmp_path):
    large = [np.zeros(2000), np.eye(1, 2000).ravel(), lambda: 1, lambda: 2]
    labels = [sweep(tmp_path / str(k), lambda images, p: {"y": images}, large)["p"].values.tolist() for k in range(2)]
    assert labels[0] == labels[1] and len(set(labels[0])) == 4
    assert not any("0x" in label for label in labels[0])


def test_a_grid_from_numpy_is_the_same_as_one_of_numbers(tmp_path):
    for k, values in enumerate(([0.5, 1.0], np.array([0.5, 1.0]))):
        sweep(tmp_path, lambda images, p: {"y": images * p}, values, coords={"label": ("image", IMAGES + k)}).close()
    assert len(list((tmp_path / "units").glob("*.npz"))) == 4


def test_coordinates_with_units(tmp_path):
    data = sweep(tmp_path, lambda images, p: {"y": np.zeros((len(images), 2))}, dims={"y": "time"},
                 coords={"time": [0, 5] * ms, "onset": ("image", IMAGES * ms)})  # fmt: skip
    assert data["time"].values.tolist() == [0, 0.005] and data["time"].attrs == data["onset"].attrs == {"units": "s"}
