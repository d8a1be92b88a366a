"""Damaged and hostile files of results: each is refused by its name and part, and nothing is executed."""

import io
import json
import zipfile

import numpy as np
import pytest
from executed_mark import Mark

import brainsnn as bs
from brainsnn import memory
from brainsnn.results import Result
from brainsnn.results.description import PopulationModel

N, STEPS = 3, 6
SHAPES = {"conv": (2, 2, 1), "readout": (1, 1, 2)}


def example():
    """Return a result with every kind of part."""
    random = np.random.default_rng(0)
    result = Result(SHAPES, 1e-3, STEPS, {"relu": "conv"})
    result.outputs["readout"] = random.random((N, STEPS, 2)).astype("f4")
    result.spike_counts["conv"] = np.array([2, 0, 3])
    result.spikes["conv"] = [
        (np.array([0, 3]), np.array([1, 5])),
        (np.zeros(0, int),) * 2,
        (np.array([1, 1, 2]), np.array([1, 2, 2])),
    ]
    result.states["conv"] = {"S": random.random((N, STEPS, 2)).astype("f4")}
    result.recorded["conv"] = {"S": np.array([0, 3])}
    result.models["conv"] = PopulationModel("dv/dt = 0 : 1", "v > 1", {"tau": 0.1}, {"v": "1"})
    result.settings, result.labels = {"device": "runtime"}, np.array([0, 1, 1])
    return result


@pytest.fixture
def saved(tmp_path):
    """A function that saves the example with some arrays replaced, or None for removed."""

    def saved(**changes):
        path = example().save(tmp_path / "result")
        with np.load(path) as data:
            arrays = dict(data)
        arrays |= changes
        if "about" not in changes:  # an older file, with which parts may be missing that nothing misses
            description = json.loads(str(arrays["about"]))
            arrays["about"] = json.dumps({**description, "arrays": []})
        np.savez_compressed(path, **{name: values for name, values in arrays.items() if values is not None})
        return path

    return saved


def about(**changes):
    description = {"settings": {}, "models": {}, "labels": None} | changes
    return json.dumps({name: value for name, value in description.items() if value is not ...})


#: What is wrong: array, value, and the words of the error. None stands for a missing array.
WRONG = [
    ("dt", None, "is not a result; it contains"),
    ("n_steps", None, "is not a result; it contains"),
    ("aliases", None, "is not a result; it contains"),
    ("dt", "x", "array 'dt' .* not one number"),
    ("dt", [1e-3], "array 'dt' .* not one number"),
    ("dt", -1e-3, "'dt' is -0.001, not a time step"),
    ("dt", np.nan, "'dt' is nan, not a time step"),
    ("n_steps", 1.5, "'n_steps' is 1.5, not a number of steps"),
    ("n_steps", -6, "'n_steps' is -6"),
    ("n_steps", STEPS + 1, r"outputs\['readout'\] has the shape"),
    ("aliases", ["conv"], "array 'aliases' holds .*'conv'"),
    ("aliases", [1, 2], "array 'aliases' is .* not texts"),
    ("aliases", ["relu\tother"], "alias 'relu' stands for 'other', which is not a population"),
    ("shape/conv", [2.0, 2, 1], "shape of 'conv'"),
    ("shape/conv", [2, -2, 1], "shape of 'conv'"),
    ("shape/conv", 4, "shape of 'conv'"),
    ("output/readout", np.zeros((N, STEPS, 3)), r"outputs\['readout'\] has the shape \(3, 6, 3\), not \(3, 6, 2\)"),
    ("output/readout", np.zeros(N), r"outputs\['readout'\] has the shape"),
    ("output/readout", 1.0, r"outputs\['readout'\]"),
    ("output/readout", np.full((N, STEPS, 2), "x"), r"outputs\['readout'\] holds values of type <U1"),
    ("output/readout", np.zeros((N, STEPS, 2), complex), r"outputs\['readout'\] holds values of type complex128"),
    ("output/other", np.zeros((N, STEPS, 2)), r"outputs\['other'\] belongs to no population"),
    ("count/conv", [1, -1, 0], r"spike_counts\['conv'\] holds negative numbers"),
    ("count/conv", [1.5, 1, 0], r"spike_counts\['conv'\] holds values of type float64"),
    ("count/conv", [1, 0], r"spike_counts\['conv'\] is of 2 images"),
    (
        "count/conv",
        [2, 0, 2],
        r"spike_counts\['conv'\]\[2\] is 2, and there are 3 recorded spikes and 0 neurons without",
    ),
    (
        "count/conv",
        [2, 1, 3],
        r"spike_counts\['conv'\]\[1\] is 1, and there are 0 recorded spikes and 0 neurons without",
    ),
    (
        "count/readout",
        [0, 2 * STEPS + 1, 0],
        r"spike_counts\['readout'\]\[1\] is 13, .* 2 neurons without any, in 6 steps",
    ),
    ("count/readout", np.array([2**63, 0, 0], "u8"), r"spike_counts\['readout'\]\[0\] is 9223372036854775808"),
    ("spikes_t/conv", [0, 1, 1, 1, 2], r"spikes\['conv'\]\[2\] has a spike of one neuron in one step twice"),
    ("spikes_n/conv", None, "'spikes_n/conv' is missing"),
    ("spikes_n/conv", [3, -1, 3], "'spikes_n/conv' holds negative numbers"),
    ("spikes_n/conv", [2, 1, 3], "'spikes_i/conv' holds 5 spikes, not 6"),
    ("spikes_n/conv", [2.0, 0, 3], "'spikes_n/conv' has the shape .* float64"),
    ("spikes_n/conv", [2, 3], r"spikes\['conv'\] is of 2 images"),
    ("spikes_i/conv", None, "'spikes_i/conv' is missing"),
    ("spikes_i/conv", [0, 4, 1, 1, 2], r"spikes\['conv'\]\[0\] has spikes at the neurons 0 ... 4, and there are 4"),
    ("spikes_i/conv", [0, 3, 1, 1, -2], r"spikes\['conv'\]\[2\] has spikes at the neurons -2"),
    ("spikes_t/conv", [0, STEPS, 1, 1, 2], r"spikes\['conv'\]\[0\] has spikes at the steps 0 ... 6"),
    ("spikes_t/conv", [0, 1, 1, 1, 2.5], "'spikes_t/conv' has the shape"),
    ("spikes_t/conv", [0, 1, 1], "'spikes_t/conv' holds 3 spikes, not 5"),
    ("state/conv", np.zeros((N, STEPS, 2)), "'state/conv' names no variable"),
    ("state/conv\tS", None, r"states\['conv'\]\['S'\] is missing"),
    ("state/conv\tS", np.zeros((N, STEPS, 3)), r"states\['conv'\]\['S'\] has the shape"),
    ("index/conv\tS", None, r"recorded\['conv'\]\['S'\] is missing"),
    ("index/conv\tS", [0, 4], r"recorded\['conv'\]\['S'\] holds the neurons 0 ... 4 of a population of 4"),
    ("index/conv\tS", [-1, 3], r"recorded\['conv'\]\['S'\] holds the neurons -1"),
    ("index/conv\tS", [3, 3], r"recorded\['conv'\]\['S'\] holds a neuron twice"),
    ("index/conv\tS", [0.0, 3.0], r"recorded\['conv'\]\['S'\] has the shape"),
    ("about", "{", "array 'about' is not JSON"),
    ("about", "[" * 100000, "array 'about' is not JSON"),
    ("about", "[]", "array 'about' holds .*, not a dict"),
    ("about", 3, "array 'about' is .* not texts"),
    ("about", about(labels=...), "the description is .* not a dict of settings, models and labels"),
    ("about", about(arrays=[["x"]]), "'arrays' of the description is .*, not a list of names"),
    ("about", about(settings=[]), "'settings' of the description is .*, not a dict"),
    ("about", about(models={"conv": {"text": ""}}), "model of 'conv' in the description"),
    ("about", about(models={"conv": 3}), "model of 'conv' in the description"),
    ("about", about(labels=[0, 1]), "'labels' of the description has 2 labels for 3 images"),
    ("about", about(labels=["a", "b", "c"]), "'labels' of the description is .* whole numbers"),
    ("about", about(labels=[0, 1, 2**70]), "'labels' of the description is .* whole numbers"),
]


@pytest.mark.parametrize(
    ("array", "value", "words"), WRONG, ids=[f"{array}-{k}" for k, (array, *_) in enumerate(WRONG)]
)
def test_a_wrong_part_is_named(array, value, words, saved):
    value = None if value is None else np.asarray(value)
    path = saved(**{array: value})
    with pytest.raises(ValueError, match=rf"Result\.load: '{path}' .*{words}"):
        bs.Result.load(path)


def test_the_example_itself_loads(saved):
    loaded, expected = bs.Result.load(saved()), example()
    np.testing.assert_array_equal(loaded.raster("relu"), expected.raster("conv"))
    np.testing.assert_array_equal(loaded.states["conv"]["S"], expected.states["conv"]["S"])
    np.testing.assert_array_equal(loaded.output, expected.output)
    assert loaded.models == expected.models and list(loaded.labels) == [0, 1, 1]


def test_spikes_in_any_order_and_of_some_neurons_only(saved):
    path = saved(**{"spikes_i/conv": np.array([3, 0, 0, 3, 3]), "spikes_t/conv": np.array([5, 1, 2, 2, 1])})
    assert len(bs.Result.load(path).spikes["conv"][2][0]) == 3
    path = saved(**{"spikes_i/conv": np.array([3, 0, 0, 3, 3]), "spikes_t/conv": np.array([5, 1, 2, 2, 1]),
                    "count/conv": np.array([2 + 2 * STEPS, 1, 3])})  # fmt: skip
    assert list(bs.Result.load(path).spike_counts["conv"]) == [14, 1, 3]


@pytest.mark.parametrize("n_steps", [10**12, 2**62])
def test_more_steps_than_the_memory_holds(n_steps, tmp_path):
    path = bs.Result({"a": (1, 1, 1)}, 1e-3, n_steps).save(tmp_path / "long")
    with pytest.raises(
        ValueError, match=rf"'{path}' is of {n_steps} steps, and the list of their times takes .* max_bytes"
    ):
        bs.Result.load(path)
    loaded = bs.Result.load(path, max_bytes=1e30)
    loaded.spikes["a"] = [(np.array([0]), np.array([3]))] * 2
    with pytest.raises(
        MemoryError, match=rf"Result\.raster: 2 images, {n_steps} steps and 1 neurons take .*fewer images"
    ):
        loaded.raster("a")


def test_an_array_that_was_taken_out_is_missed(tmp_path):
    path = example().save(tmp_path / "result")
    with np.load(path) as data:
        np.savez(path, **{name: data[name] for name in data.files if not name.startswith("spikes")})
    with pytest.raises(ValueError, match=f"'{path}' is damaged: the array 'spikes_n/conv' is missing"):
        bs.Result.load(path)


def test_what_could_not_be_loaded_is_not_saved(tmp_path):
    path, result = example().save(tmp_path / "result"), example()
    before = path.read_bytes()
    result.states["conv"]["S"] = result.states["conv"]["S"][:, ::2]
    with pytest.raises(ValueError, match=r"Result\.save: states\['conv'\]\['S'\] has the shape .* could not be loaded"):
        result.save(path)
    assert path.read_bytes() == before


def assert_named_or_equal(path, expected, name):
    """A damaged file is refused by its name, or loads as before: not every byte of a file has a meaning."""
    try:
        loaded = bs.Result.load(path)
        np.testing.assert_array_equal(loaded.output, expected.output)
        np.testing.assert_array_equal(loaded.raster("conv"), expected.raster("conv"))
        np.testing.assert_array_equal(loaded.states["conv"]["S"][:], expected.states["conv"]["S"])
    except ValueError as error:
        assert str(error).startswith("Result") and repr(str(path))[1:-1] in str(error), (name, error)
        return 1
    return 0


def test_a_damaged_byte_anywhere_is_reported_or_harmless(tmp_path):
    """Every twentieth byte, and the last 600, with the list of the arrays. Compressed arrays have checksums."""
    expected = example()
    path = expected.save(tmp_path / "result")
    whole = path.read_bytes()
    places = [*range(0, len(whole) - 600, 20), *range(len(whole) - 600, len(whole))]
    n_refused = 0
    for k in places:
        for flip in (1, 255):
            path.write_bytes(whole[:k] + bytes([whole[k] ^ flip]) + whole[k + 1 :])
            n_refused += assert_named_or_equal(path, expected, k)
    for k in (0, 1, 40, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        path.write_bytes(whole[:k])
        with pytest.raises(ValueError, match=rf"{path}' is not a result, or is damaged"):
            bs.Result.load(path)
    assert n_refused > len(places) / 2


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compressions_are_refused(method, saved):
    path = saved()
    with zipfile.ZipFile(path) as data:
        entries = {name: data.read(name) for name in data.namelist()}
    with zipfile.ZipFile(path, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    with pytest.raises(ValueError, match=r"the array '\S+' cannot be read \(compressed by method \d+"):
        bs.Result.load(path)


def test_a_pickle_is_not_opened(saved, tmp_path):
    path = saved(**{"output/readout": np.array([Mark(tmp_path / "executed")], dtype=object)})
    with pytest.raises(ValueError, match="the array 'output/readout' cannot be read .values of type object"):
        bs.Result.load(path)
    assert not (tmp_path / "executed").exists()


def test_declared_sizes_are_summed_before_anything_is_allocated(saved, monkeypatch):
    path = saved(**{f"output/x{k}": np.zeros((N, STEPS, 20000)) for k in range(3)})  # 2.9 MB each
    with pytest.raises(ValueError, match=r"takes 8\.\d MB in memory, above the limit of 4\.0 MB"):
        bs.Result.load(path, max_bytes=4_000_000)
    with pytest.raises(ValueError, match="belongs to no population"):  # read, and refused for another reason
        bs.Result.load(path, max_bytes=10_000_000)
    with pytest.raises(ValueError, match="max_bytes"):
        bs.Result.load(path, max_bytes=-1)
    monkeypatch.setattr(memory, "available_memory", lambda: 8_000_000)
    with pytest.raises(ValueError, match=r"above the limit of 4\.0 MB"):
        bs.Result.load(path)


def header_only(shape, descr="<f8"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize("content", [header_only((2**40,)), header_only((), f"<U{2**28}"), header_only((2**62, 2**62))])
def test_a_header_for_more_than_there_is_allocates_nothing(content, saved):
    path = saved()
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("output/conv.npy", content)
    with pytest.raises(ValueError, match="the array 'output/conv' cannot be read .its header is of"):
        bs.Result.load(path)


def test_two_arrays_of_one_name_are_refused(saved):
    path = saved()
    with zipfile.ZipFile(path, "a") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("dt.npy", header_only((0,)))
    with pytest.raises(ValueError, match="two of its arrays have one name"):
        bs.Result.load(path)
