"""Sweeps: the data set, errors, and a spiking network."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
from locations import ROOT

import brainsnn as bs
from brainsnn.sweeps import SweepError, UnitStore

pytest.importorskip("xarray", reason="sweeps need xarray")
pytest.importorskip("distributed", reason="sweeps need dask.distributed")
import sweep_example
from sweep_example import calls

# The data set


def test_data_set_is_tidy_and_lazily_opened(tmp_path, log):
    labels = np.arange(12) % 3
    data = bs.sweep(
        sweep_example.measure, sweep_example.PARAMETERS, sweep_example.IMAGES, folder=tmp_path, chunk=5, workers=1,
        dims={"noise": "draw"}, coords={"label": ("image", labels), "draw": [10, 20, 30]}, progress=False,
    )  # fmt: skip
    assert data["value"].dims == ("gain", "kind", "image") and data["noise"].dims[-1] == "draw"
    assert not data["value"].variable._in_memory
    expected = 0.5 * sweep_example.IMAGES.sum(axis=(1, 2))
    np.testing.assert_array_equal(data["value"].sel(gain=0.5, kind="sum"), expected.astype("f4"))
    assert data["bright"].dtype == bool and data["value"].dtype == np.float32
    assert set(data["name"].sel(kind="peak").values.ravel()) == {"peak"}
    np.testing.assert_array_equal(data["value"].groupby("label").count(dim="image")["label"], [0, 1, 2])
    # One seed for each image, whatever the parameters and the chunks are.
    other = sweep_example.run(tmp_path / "other", workers=1)
    again = bs.sweep(sweep_example.measure, sweep_example.PARAMETERS, sweep_example.IMAGES, folder=tmp_path / "again",
                     chunk=12, seed=3, workers=1, progress=False)  # fmt: skip
    np.testing.assert_array_equal(other["noise"], again["noise"])
    assert (other["noise"] == other["noise"][0, 0]).all() and len(np.unique(other["noise"])) == 12 * 3


def count(a, path, b=0):
    with open(path, "a") as file:
        file.write("x")
    return {"sum": a + b, "vector": np.arange(3) + a}


def test_without_images_and_with_any_parameters(tmp_path):
    log = tmp_path / "log"
    run = partial(bs.sweep, folder=tmp_path / "sweep", constants={"path": str(log)}, workers=1, progress=False)
    data = run(count, {"a": [1, 2]})
    assert data["sum"].dims == ("a",) and data["vector"].dims == ("a", "vector_0")
    np.testing.assert_array_equal(data["sum"], [1, 2])
    # A larger grid computes only what is new, and a data set that is there is only opened.
    data.close()
    data = run(count, {"a": [2, 3, 1]})
    np.testing.assert_array_equal(data["sum"], [2, 3, 1])
    run(count, {"a": [2, 3, 1]})
    assert log.read_text() == "xxx"


def test_equal_images_are_computed_once_and_appear_everywhere(tmp_path, log):
    images = np.concatenate([sweep_example.IMAGES[:2]] * 3)
    data = bs.sweep(lambda images: {"mean": [*map(np.mean, images), open(log, "a").write("x\n")][:-1]}, {}, images,
                    folder=tmp_path, chunk=2, workers=1, progress=False)  # fmt: skip
    np.testing.assert_array_equal(data["mean"], images.mean(axis=(1, 2)))
    assert len(calls(log)) == 1


def overwrite(images, extra, vector, seed, constant):
    """Return what arrives, then change it all."""
    found = {
        "pixels": images.sum(axis=1), "times": extra.copy(), "seeds": seed.astype(float),
        "totals": np.repeat([sum(vector)], len(images)),
        "constants": np.repeat(sum(constant["array"]) + constant["list"][0], len(images)),
    }  # fmt: skip
    for values in (images, extra, vector, constant["array"], constant["list"]):
        values[-1] *= 3
    seed[:] = 0
    constant["more"] = True
    return found


def test_a_function_that_writes_into_its_arguments_changes_no_other_unit(tmp_path):
    images = {"images": np.arange(12.0).reshape(6, 2), "extra": np.arange(6) * bs.ms}
    parameters = {"vector": [np.array([1.0, 2.0]), [3.0, 4.0]]}
    constants = {"constant": {"array": np.array([5.0, 6.0]), "list": [7.0]}}
    given = repr((images, parameters, constants))
    run = partial(bs.sweep, overwrite, parameters, images, constants=constants, seed=2, workers=1, progress=False)
    small, whole = run(folder=tmp_path / "small", chunk=1), run(folder=tmp_path / "whole", chunk=6)
    assert repr((images, parameters, constants)) == given
    for data in (small, whole):
        np.testing.assert_array_equal(data["pixels"], [images["images"].sum(axis=1)] * 2)
        np.testing.assert_allclose(data["times"], [np.arange(6) * 1e-3] * 2)
        np.testing.assert_array_equal(data["totals"], np.repeat([[3], [7]], 6, axis=1))
        np.testing.assert_array_equal(data["constants"], np.full((2, 6), 18))
    np.testing.assert_array_equal(small["seeds"], whole["seeds"])
    np.testing.assert_array_equal(small["seeds"][0], small["seeds"][1])


# Errors


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"function": 3}, TypeError, "is not a function"),
        ({"parameters": {"gain": []}}, ValueError, "'gain' has no values"),
        ({"parameters": {"gain": [1, 1], "kind": ["sum"]}}, ValueError, "repeated"),
        ({"parameters": {"gain": [1]}}, TypeError, "missing a required argument: 'kind'"),
        ({"parameters": {"gain": [1], "kind": ["sum"], "size": [1]}}, TypeError, "'size'"),
        ({"constants": {"kind": "sum"}}, TypeError, "'kind' is given twice"),
        ({"chunk": 0}, ValueError, "chunk=0"),
        ({"workers": 0}, ValueError, "workers=0"),
        ({"cluster": "10.0.0.1"}, ValueError, "cluster='10.0.0.1' must be 'slurm' or the address"),
        ({"cluster": "slurm", "workers": None}, ValueError, "needs workers"),
        ({"images": {"images": np.zeros(3), "labels": np.zeros(2)}}, ValueError, "'labels': 2"),
        ({"images": np.zeros((0, 4, 4))}, ValueError, "one entry for each image"),
        ({"coords": {"label": ("image", [1, 2])}}, ValueError, "coordinates"),
        ({"dims": {"noise": "image"}}, ValueError, "name of a parameter or of the images"),
        ({"constants": {"extra": object()}}, TypeError, "extra"),
        ({"function": max}, TypeError, "are not known"),
        ({"parameters": 3}, TypeError, "dict of name -> values, got 3"),
        ({"parameters": {"gain": 3, "kind": ["sum"]}}, TypeError, "'gain' needs a list of values, got 3"),
        ({"parameters": {"gain": [1], "kind": "sum"}}, TypeError, "'kind' needs a list of values, got 'sum'"),
        ({"parameters": {"gain": [0.5, np.float32(0.5)], "kind": ["sum"]}}, ValueError, "'gain' are equal as numbers"),
        ({"parameters": {"gain": [1, 1.0], "kind": ["sum"]}}, ValueError, "'gain' are equal as numbers"),
        ({"parameters": {"gain": [1, True], "kind": ["sum"]}}, ValueError, "'gain' are equal as numbers"),
        ({"parameters": {"gain": [0.0, "a", False], "kind": ["sum"]}}, ValueError, "'gain' are equal as numbers"),
        ({"coords": {"gain": [5, 6]}}, ValueError, "'gain'.* would replace the values of 'gain'.*my_gain"),
        ({"coords": {"image": np.arange(12)}}, ValueError, "would replace the values of 'image'.*my_image"),
        ({"coords": 5}, TypeError, r"coords must be a dict of name -> values, got 5\. Give one such as .*'label'"),
        ({"coords": {"label": (5, 6)}}, ValueError, "the coordinates do not fit"),
        ({"dims": 5}, TypeError, r"dims must be a dict of name -> values, got 5\. Give one such as .*'time'"),
        ({"dims": {"noise": 5}}, TypeError, r"dims\['noise'\] must be a tuple of names, such as .*, got 5"),
        ({"dims": {"noise": [5]}}, ValueError, r"an axis in dims\['noise'\] is called 5"),
        (
            {"constants": 5},
            TypeError,
            r"constants must be a dict of name -> values, got 5\. Give one such as .*'model'",
        ),
        ({"function": lambda images, image: 0, "parameters": {"image": [1, 2]}}, ValueError, "called 'image'"),
        ({"function": lambda images, **more: 0, "parameters": {"a/b": [1]}}, ValueError, "called 'a/b'"),
        ({"seed": None}, ValueError, "seed=None must be a whole number"),
        ({"seed": -1}, ValueError, "seed=-1"),
        ({"seed": 1.7}, ValueError, "seed=1.7"),
        ({"chunk": 1.5}, ValueError, "chunk=1.5"),
        ({"images": [[1.0, 2.0], [3.0]]}, ValueError, "the images 'images' must be an array"),
        ({"dims": {"noise": ("a", "a")}}, ValueError, "holds a name twice"),
        ({"dims": {"noise": "a/b"}}, ValueError, "called 'a/b'"),
        ({"coords": {"": ("image", np.zeros(12))}}, ValueError, "called ''"),
        ({"folder": ""}, ValueError, r"sweep: folder='' is empty"),
        ({"folder": __file__}, NotADirectoryError, "is a file"),
        ({"folder": Path(__file__) / "sweep"}, NotADirectoryError, "is a file"),
    ],
)
def test_bad_arguments_are_named_before_anything_runs(tmp_path, log, change, error, message):
    arguments = {"function": sweep_example.measure, "parameters": sweep_example.PARAMETERS,
                 "images": sweep_example.IMAGES, "folder": tmp_path / "sweep", "workers": 1}  # fmt: skip
    with pytest.raises(error, match=message):
        bs.sweep(**(arguments | change))
    assert not calls(log) and not (tmp_path / "sweep").exists()


def test_results_that_do_not_fit_are_refused_at_the_first_unit(tmp_path, log):
    for options, message in (
        ({"dims": {"noise": ("a", "b")}}, "names 2 axes of a result of shape"),
        ({"dims": {"nose": "a"}}, r"dims has \['nose'\]"),
        ({"dims": {"noise": "value"}}, "'value' is the name of a result and of an axis"),
        ({"dims": {"noise": "a"}, "coords": {"a": [1, 2]}}, "'noise' has 3 entries along 'a', its coordinates have 2"),
        ({"coords": {"time": [1, 2]}}, r"coords has the axes \['time'\]"),
        ({"coords": {"value": ("image", np.zeros(12))}}, "'value' has the name of a dimension or a coordinate"),
    ):  # fmt: skip
        log.write_text("")
        with pytest.raises(ValueError, match=message):
            bs.sweep(sweep_example.measure, sweep_example.PARAMETERS, sweep_example.IMAGES, folder=tmp_path / message[:9],
                     workers=1, chunk=4, progress=False, **options)  # fmt: skip
        assert len(calls(log)) == 1
    with pytest.raises(ValueError, match="first axis must be that of the 4 images"):
        bs.sweep(lambda images: {"mean": images.mean()}, {}, sweep_example.IMAGES, folder=tmp_path, chunk=4, workers=1,
                 progress=False)  # fmt: skip


def fragile(a, path):
    if a == 2 and not Path(path).exists():
        raise ZeroDivisionError("no two")
    return {"square": a * a}


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_unit_is_named_and_the_others_go_on(tmp_path, workers):
    fixed = tmp_path / "fixed"
    run = partial(bs.sweep, fragile, {"a": [1, 2, 3]}, folder=tmp_path / "sweep", constants={"path": str(fixed)},
                  workers=workers, progress=False)  # fmt: skip
    with pytest.raises(SweepError, match="1 of 3 units failed") as error:
        run()
    assert "a=2: ZeroDivisionError: no two" in str(error.value) and "in fragile" in str(error.value)
    assert error.value.failures[0][0] == "a=2"
    assert len(list((tmp_path / "sweep" / "units").glob("*.npz"))) == 2
    assert not (tmp_path / "sweep" / "dataset.nc").exists()
    fixed.touch()
    np.testing.assert_array_equal(run()["square"], [1, 4, 9])


def test_a_folder_of_another_function_is_not_overwritten(tmp_path):
    bs.sweep(lambda a: {"x": a}, {"a": [1]}, folder=tmp_path, workers=1, progress=False)
    with pytest.raises(ValueError, match="choose another folder"):
        bs.sweep(count, {"a": [1]}, folder=tmp_path, workers=1, constants={"path": "log"}, progress=False)


def test_a_lambda_does_not_replace_the_data_set_of_another_one(tmp_path):
    bs.sweep(lambda a: {"x": a}, {"a": [1]}, folder=tmp_path, workers=1, progress=False)
    with pytest.raises(ValueError, match="choose another folder"):
        bs.sweep(lambda a: {"y": 3 * a}, {"a": [1]}, folder=tmp_path, workers=1, progress=False)


class Square:
    def __init__(self, power):
        self.power = power

    def __call__(self, a):
        return {"x": a**self.power}


def test_objects_that_can_be_called_and_partial_functions(tmp_path):
    run = partial(bs.sweep, parameters={"a": [1, 2, 3]}, workers=1, progress=False)
    np.testing.assert_array_equal(run(Square(2), folder=tmp_path / "object")["x"], [1, 4, 9])
    np.testing.assert_array_equal(run(Square(3), folder=tmp_path / "object")["x"], [1, 8, 27])
    data = run(partial(count, path=str(tmp_path / "log"), b=5), folder=tmp_path / "partial")
    np.testing.assert_array_equal(data["sum"], [6, 7, 8])


def test_the_home_folder_has_a_short_name(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    bs.sweep(lambda a: {"x": a}, {"a": [1]}, folder="~/sweep", workers=1, progress=False).close()
    assert [path.name for path in tmp_path.iterdir()] == ["sweep"]
    assert UnitStore("~/sweep").folder == tmp_path / "sweep" / "units"


# A spiking network


@bs.once
def small_network(graph):
    return bs.convert(graph, device="cpp_standalone")


def classify(images, m_f, graph, seed):
    snn = small_network(graph)
    for layer, group in snn.populations.items():
        if group.thresholder:
            snn.set_parameters(layer, m_f=m_f)
    result = snn.run(images, duration=40 * bs.ms, seed=seed)
    return {"output": result.output, "spikes": sum(result.spike_counts.values())}


@pytest.mark.slow
def test_spiking_networks_on_two_workers(tmp_path):
    from brainsnn.stimuli import load_digits

    graph = bs.read_keras(bs.load_model(ROOT / "weights" / "digits.keras"))
    images = load_digits("test")[0][:6]
    run = partial(bs.sweep, classify, {"m_f": [0.1, 0.3]}, images, chunk=2, constants={"graph": graph},
                  dims={"output": ("time", "class")}, progress=False)  # fmt: skip
    one, two = run(folder=tmp_path / "one", workers=1), run(folder=tmp_path / "two", workers=2)
    assert one.identical(two) and one["output"].shape == (2, 6, 40, 10)
    assert (one["spikes"].sel(m_f=0.1) > one["spikes"].sel(m_f=0.3)).all()
    whole = classify(images, 0.3, graph, seed=np.zeros(6, int))  # these neurons draw no random numbers
    np.testing.assert_array_equal(one["output"].sel(m_f=0.3), whole["output"])
