"""Sweeps on real dask workers, and what happens when they, their client, or the disk fail."""

import contextlib
import os
import signal
import subprocess
import sys

import pytest
from locations import ROOT

pytest.importorskip("xarray", reason="sweeps need xarray")
pytest.importorskip("distributed", reason="sweeps need dask.distributed")
import sweep_example
from sweep_example import (
    N_PASSING,
    N_UNITS,
    bits,
    calls,
    finally_killed,
    meanwhile,
    n_saved,
    start,
    wait_for,
    wait_for_calls,
)


def test_dask_workers_compute_the_same(tmp_path, undisturbed, log, gate):
    def open_when_both_work():
        wait_for_calls(log, tmp_path / "sweep", n_waiting=2)
        gate.touch()

    with meanwhile(open_when_both_work):
        sweep_example.run(tmp_path / "sweep", workers=2)
    assert bits(tmp_path / "sweep") == undisturbed
    assert len(calls(log)) == N_UNITS and len({line.split()[0] for line in calls(log)}) == 2


def test_a_worker_killed_in_the_middle(tmp_path, undisturbed, log, gate):
    process = start(tmp_path / "sweep", 2)
    with finally_killed(process):
        wait_for_calls(log, tmp_path / "sweep", n_waiting=2)
        victim = int(calls(log)[-1].split()[0])
        os.kill(victim, signal.SIGKILL)
        wait_for_calls(log, tmp_path / "sweep", n_waiting=3)  # one took the place of the victim
        gate.touch()
        errors = process.communicate(timeout=180)[1]
    assert process.returncode == 0, errors
    assert bits(tmp_path / "sweep") == undisturbed
    assert len({line.split()[0] for line in calls(log)}) == 3
    assert len(calls(log)) == N_UNITS + 1


@pytest.mark.parametrize("workers", [1, 2])
def test_the_client_killed_and_restarted(tmp_path, undisturbed, log, gate, monkeypatch, workers):
    process = start(tmp_path / "sweep", workers)
    with finally_killed(process):
        wait_for_calls(log, tmp_path / "sweep", n_waiting=workers)
        process.kill()
        process.wait()
        assert not (tmp_path / "sweep" / "dataset.nc").exists()
        monkeypatch.delenv("MEASURE_GATE")  # for the workers to come, not for those that the client left
        sweep_example.run(tmp_path / "sweep", workers=workers)
    assert bits(tmp_path / "sweep") == undisturbed
    assert len(calls(log)) == N_UNITS + workers  # the units in flight twice


def test_a_full_disk(tmp_path, undisturbed, log, gate, small_disk):
    sweep, filling = small_disk / "sweep", small_disk / "filling"
    process = start(sweep, 2)
    with finally_killed(process):
        wait_for_calls(log, sweep, n_waiting=2)
        with contextlib.suppress(OSError), open(filling, "wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))
        gate.touch()
        errors = process.communicate(timeout=180)[1]
    assert process.returncode != 0 and "no disk space left" in errors and "are saved" in errors
    assert not list(sweep.glob("*.nc")) and not list((sweep / "units").glob("*.part"))
    assert n_saved(sweep) == N_PASSING
    filling.unlink()
    log.write_text("")
    sweep_example.run(sweep, workers=2).close()
    assert bits(sweep) == undisturbed
    assert len(calls(log)) == N_UNITS - N_PASSING


def test_two_sweeps_into_one_folder_share_the_work(tmp_path, undisturbed, log, gate):
    both = [start(tmp_path / "sweep", workers) for workers in (1, 2)]
    with finally_killed(*both):
        wait_for_calls(log, tmp_path / "sweep", n_waiting=3)
        gate.touch()
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


SCRIPT = """
import numpy as np, brainsnn as bs

def unit(images, p):
    return {"y": images * p}

bs.sweep(unit, {"p": [1, 2]}, np.arange(4.0), folder="sweep", chunk=1, workers=2, progress=False, version="1")
"""


@pytest.mark.parametrize("how", ["file", "standard input"])
def test_a_script_without_a_guard_is_told_what_to_do(tmp_path, how):
    (tmp_path / "script.py").write_text(SCRIPT)
    ended = subprocess.run(
        [sys.executable, "script.py" if how == "file" else "-"], input=SCRIPT, cwd=tmp_path, text=True, timeout=180,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    assert 'sweep below `if __name__ == "__main__":`' in ended.stderr.splitlines()[-1]
    assert ended.stderr.count("Traceback") == 1
