"""Sweeps: what a unit is known by, resuming, errors, and faults of real dask workers."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

import brainsnn as bs
from brainsnn.sweeps import SweepError, UnitStore, content_key, sources

xr = pytest.importorskip("xarray", reason="sweeps need xarray")
pytest.importorskip("distributed", reason="sweeps need dask.distributed")
import sweep_example  # noqa: E402

ROOT = Path(__file__).resolve().parent.parent
N_UNITS = 18


@pytest.fixture
def log(tmp_path, monkeypatch):
    """File with a line for each call of the swept function."""
    path = tmp_path / "log"
    path.touch()
    monkeypatch.setenv("MEASURE_LOG", str(path))
    return path


def calls(log):
    return log.read_text().splitlines()


def bits(folder):
    """All that a data set holds, as bytes; the file itself also tells when it was made."""
    with xr.open_dataset(folder / "dataset.nc", engine="h5netcdf") as data:
        found = {name: (v.dims, v.dtype, v.values.tobytes(), v.attrs) for name, v in data.variables.items()}
        return found, data.attrs


@pytest.fixture
def undisturbed(tmp_path, log):
    """The data set of a run in which nothing happened."""
    sweep_example.run(tmp_path / "undisturbed", workers=1).close()
    log.write_text("")
    return bits(tmp_path / "undisturbed")


def start(folder, workers, *arguments, seconds=0.3):
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}", "MEASURE_SECONDS": str(seconds)}
    command = [sys.executable, str(ROOT / "tests" / "sweep_example.py"), str(folder), str(workers), *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


@contextlib.contextmanager
def finally_killed(*processes):
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def wait_for(condition, what, seconds=120):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.02)


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


# Errors


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"function": 3}, TypeError, "no function"),
        ({"parameters": {"gain": []}}, ValueError, "'gain' has no values"),
        ({"parameters": {"gain": [1, 1], "kind": ["sum"]}}, ValueError, "repeated"),
        ({"parameters": {"gain": [1]}}, TypeError, "missing a required argument: 'kind'"),
        ({"parameters": {"gain": [1], "kind": ["sum"], "size": [1]}}, TypeError, "'size'"),
        ({"constants": {"kind": "sum"}}, TypeError, "'kind' is given twice"),
        ({"chunk": 0}, ValueError, "chunk=0"),
        ({"workers": 0}, ValueError, "workers=0"),
        ({"images": {"images": np.zeros(3), "labels": np.zeros(2)}}, ValueError, "'labels': 2"),
        ({"images": np.zeros((0, 4, 4))}, ValueError, "one entry for each image"),
        ({"coords": {"label": ("image", [1, 2])}}, ValueError, "coordinates"),
        ({"dims": {"noise": "image"}}, ValueError, "name of a parameter or of the images"),
        ({"constants": {"extra": object()}}, TypeError, "extra"),
    ],
)
def test_bad_arguments_are_named_before_anything_runs(tmp_path, log, change, error, message):
    arguments = {"function": sweep_example.measure, "parameters": sweep_example.PARAMETERS,
                 "images": sweep_example.IMAGES, "folder": tmp_path / "sweep", "workers": 1}  # fmt: skip
    with pytest.raises(error, match=message):
        bs.sweep(**(arguments | change))
    assert not calls(log) and not (tmp_path / "sweep").exists()


def test_results_that_do_not_fit_are_refused_at_the_first_unit(tmp_path, log):
    with pytest.raises(ValueError, match="names 2 axes of a result of shape"):
        bs.sweep(sweep_example.measure, sweep_example.PARAMETERS, sweep_example.IMAGES, folder=tmp_path, workers=1,
                 dims={"noise": ("a", "b")}, chunk=4, progress=False)  # fmt: skip
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


def test_a_spoilt_unit_is_computed_again(tmp_path):
    store = UnitStore(tmp_path)
    store.write("key", {"x": 1.5})
    store.path("key").write_bytes(store.path("key").read_bytes()[:40])
    assert store.read("key") is None and "key" not in store
    assert store.get("key", lambda: {"x": 2})["x"] == 2
    with pytest.raises(TypeError, match="dict of name"):
        store.write("key", [1])
    with pytest.raises(TypeError, match="'x' of type object"):
        store.write("key", {"x": object()})


# What a unit is known by

STUDY = """
import numpy as np
import brainsnn as bs
from brainsnn.analysis import spikes_per_image

FACTOR = {factor}

def helper(x):
    {comment}
    return x * FACTOR

def draw():
    return "{title}"

def unit(x, power=2):
    "{doc}"
    return {{"y": helper(x) ** power, "n": spikes_per_image}}

def simulate(graph):
    return bs.convert(graph)
"""


def functions(monkeypatch, name="study_of_test", factor=2, comment="pass", title="a", doc="b"):
    module = type(sys)(name)
    exec(compile(STUDY.format(factor=factor, comment=comment, title=title, doc=doc), name, "exec"), vars(module))
    monkeypatch.setitem(sys.modules, name, module)
    return module


def test_code_that_computes_counts_and_other_code_does_not(monkeypatch):
    keys = [
        content_key(functions(monkeypatch, **change).unit)
        for change in ({}, {"comment": "# why\n    pass"}, {"title": "another plot"}, {"doc": "better words"},
                       {"factor": 3}, {"comment": "x = x + 1"})
    ]  # fmt: skip
    assert keys[0] == keys[1] == keys[2] == keys[3]
    assert len(set(keys[3:])) == 3


def test_files_of_brainsnn_count_where_they_compute(monkeypatch, tmp_path):
    import shutil

    copy = tmp_path / "brainsnn"
    shutil.copytree(sources.PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(sources, "PACKAGE", copy)
    module = functions(monkeypatch)

    def keys():
        return content_key(module.unit), content_key(module.simulate)

    def edit(name, text):
        path = copy / name
        path.write_text(path.read_text() + text)

    first = keys()
    for name, text in {
        "builders/runtime.py": "\n# a comment\n", "analysis/plots.py": "\nX = 1\n", "training/surrogate.py": "\nX = 1\n",
        "attention/fields.py": "\nX = 1\n",
    }.items():  # fmt: skip
        edit(name, text)
    assert keys() == first
    edit("builders/runtime.py", "\nX = 1\n")
    assert keys()[0] == first[0] and keys()[1] != first[1]
    second = keys()
    template = next((copy / "builders" / "templates").rglob("*.cpp"))
    template.write_text(template.read_text() + "\n")
    assert keys()[1] != second[1]
    edit("analysis/metrics.py", "\nX = 1\n")
    assert keys()[0] != first[0]


def test_content_of_values():
    from brian2 import defaultclock, ms, mV, second

    assert content_key(0.1) == content_key(np.float64(0.1)) != content_key(np.float32(0.1))
    assert content_key(1) != content_key(1.0) != content_key("1.0") != content_key(True)
    assert content_key([1, 2]) == content_key((1, 2)) != content_key([2, 1])
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    x = np.arange(6.0)
    assert content_key(x.reshape(2, 3)) != content_key(x.reshape(3, 2)) != content_key(x)
    assert content_key(x.reshape(2, 3).T) == content_key(x.reshape(2, 3).T.copy())
    assert content_key(1 * ms) == content_key(0.001 * second) != content_key(0.001)
    assert content_key(1 * mV) != content_key(1 * ms)
    assert content_key(defaultclock) == content_key(defaultclock)
    assert content_key(bs.ASN(m_f=0.1)) == content_key(bs.ASN(m_f=0.1)) != content_key(bs.ASN(m_f=0.2))
    assert content_key(bs.ASN()) != content_key(
        bs.ASN().replace("dS_hat/dt = -S_hat/tau_eta : 1", "dS_hat/dt = 0/ms : 1")
    )


def test_content_of_files_and_graphs(tmp_path):
    path = tmp_path / "a"
    path.write_text("1")
    before = content_key(path)
    path.write_text("2")
    assert content_key(path) != before
    with pytest.raises(FileNotFoundError, match="does not exist"):
        content_key(tmp_path / "b")
    graph, again = (bs.read_keras(bs.load_model(ROOT / "weights" / "digits.keras")) for _ in range(2))
    assert content_key(graph) == content_key(again)
    k, old = next((k, p) for k, p in enumerate(again.projections) if hasattr(p.operator, "kernel"))
    kernel = old.operator.kernel + np.eye(1, old.operator.kernel.size).reshape(old.operator.kernel.shape) * 1e-3
    again.projections[k] = replace(old, operator=replace(old.operator, kernel=kernel))
    assert content_key(graph) != content_key(again)
    with pytest.raises(TypeError, match="Make it inside the function"):
        content_key(bs.convert(graph, device="cpp_standalone"))


def test_once_keeps_what_it_made_for_equal_arguments():
    made = []
    make = bs.once(lambda x, y=0: made.append((x, y)) or len(made))
    assert make(np.arange(3)) == make(np.arange(3)) == make(x=np.arange(3)) == 1
    assert make(np.arange(4)) == 2 and make(np.arange(3), 1) == 3
    assert len(made) == 3


# Faults


def test_dask_workers_compute_the_same(tmp_path, undisturbed, log):
    sweep_example.run(tmp_path / "sweep", workers=2)
    assert bits(tmp_path / "sweep") == undisturbed
    assert len(calls(log)) == N_UNITS and len({line.split()[0] for line in calls(log)}) == 2


def test_a_worker_killed_in_the_middle(tmp_path, undisturbed, log):
    process = start(tmp_path / "sweep", 2)
    with finally_killed(process):
        wait_for(lambda: len(calls(log)) >= 4, "unit")
        victim = int(calls(log)[-1].split()[0])
        os.kill(victim, signal.SIGKILL)
        errors = process.communicate(timeout=180)[1]
    assert process.returncode == 0, errors
    assert bits(tmp_path / "sweep") == undisturbed
    pids = {int(line.split()[0]) for line in calls(log)}
    assert len(pids) == 3  # one took the place of the victim
    assert len(calls(log)) <= N_UNITS + 1


@pytest.mark.parametrize("workers", [1, 2])
def test_the_client_killed_and_restarted(tmp_path, undisturbed, log, workers):
    process = start(tmp_path / "sweep", workers)
    with finally_killed(process):
        wait_for(lambda: len(calls(log)) >= 6, "unit")
        process.kill()
        process.wait()
        assert not (tmp_path / "sweep" / "dataset.nc").exists()
    sweep_example.run(tmp_path / "sweep", workers=workers)
    assert bits(tmp_path / "sweep") == undisturbed
    assert len(calls(log)) <= N_UNITS + workers  # no more than the units in flight twice


def test_a_full_disk(tmp_path, undisturbed, log, small_disk):
    sweep, filling = small_disk / "sweep", small_disk / "filling"
    process = start(sweep, 2, seconds=0.2)
    with finally_killed(process):
        wait_for(lambda: len(calls(log)) >= 4, "unit")
        with contextlib.suppress(OSError), open(filling, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        errors = process.communicate(timeout=180)[1]
    assert process.returncode != 0 and "no room left" in errors and "are kept" in errors
    assert not list(sweep.glob("*.nc")) and not list((sweep / "units").glob("*.part"))
    before = len(list((sweep / "units").glob("*.npz")))
    assert 0 < before < N_UNITS
    filling.unlink()
    log.write_text("")
    sweep_example.run(sweep, workers=2).close()
    assert bits(sweep) == undisturbed
    assert len(calls(log)) == N_UNITS - before


def test_two_sweeps_into_one_folder_share_the_work(tmp_path, undisturbed, log, monkeypatch):
    monkeypatch.setenv("MEASURE_GATE", str(tmp_path / "gate"))
    both = [start(tmp_path / "sweep", workers, seconds=0.1) for workers in (1, 2)]
    with finally_killed(*both):
        wait_for(lambda: len(calls(log)) == 3, "unit of all three processes")
        (tmp_path / "gate").touch()
        errors = [process.communicate(timeout=240)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert bits(tmp_path / "sweep") == undisturbed
    assert len(calls(log)) == N_UNITS
    assert len({line.split()[0] for line in calls(log)}) == 3
    assert not [path for path in (tmp_path / "sweep").rglob("*") if path.suffix in (".part", ".claim")]


def test_a_scheduler_elsewhere_needs_none_of_our_modules(tmp_path, undisturbed, log):
    """A scheduler and a worker started by hand, which do not find the module of the swept function."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    file = tmp_path / "scheduler.json"

    def spawn(*command):
        return subprocess.Popen([sys.executable, "-m", *command, "--scheduler-file", str(file)], cwd=tmp_path,
                                env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)  # fmt: skip

    scheduler = spawn("distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard")
    worker = spawn("distributed.cli.dask_worker", "--nthreads", "2", "--no-dashboard")
    with finally_killed(scheduler, worker):
        wait_for(file.exists, "scheduler")
        from distributed import Client

        with Client(scheduler_file=str(file)) as client:
            sweep_example.run(tmp_path / "sweep", cluster=client.scheduler.address)
            sweep_example.run(tmp_path / "again", cluster=client)
    for name in ("sweep", "again"):
        assert bits(tmp_path / name) == undisturbed


def test_a_cluster_object(tmp_path, undisturbed, log):
    """What dask-jobqueue's clusters are to a client: an object that knows its scheduler."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=2, dashboard_address=":0", memory_limit=0) as cluster:
        sweep_example.run(tmp_path / "sweep", cluster=cluster)
    assert bits(tmp_path / "sweep") == undisturbed
    assert len(calls(log)) == N_UNITS


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
