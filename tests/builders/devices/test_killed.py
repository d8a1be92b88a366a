"""Processes that are killed in each phase of a run, a save, a compilation and a sweep."""

import os
import signal
import subprocess
import sys
import tempfile

import numpy as np
import psutil
import pytest
from locations import ROOT
from sweep_example import finally_killed, wait_for

import brainsnn as bs
from brainsnn.builders.devices import program_cache

#: Kills the process before a file appears whose name ends in the first argument.
KILLED = """
import os, sys
replace = os.replace
def killed(source, target):
    if str(target).endswith(sys.argv[1]):
        os.kill(os.getpid(), 9)
    replace(source, target)
os.replace = killed
"""
SAVE = "import brainsnn as bs; bs.Result({'a': (1, 1, 1)}, 1e-3, 7).save('result')"
SWEEP = """
import numpy as np, brainsnn as bs
def unit(images):
    return {"y": 2*images}
bs.sweep(unit, {}, np.arange(4.), folder="sweep", chunk=2, workers=1, progress=False, version="1").close()
"""
COMPILE = """
from pathlib import Path
from brainsnn.builders.devices.program_cache import compiled_program
compiled_program(Path("project"))
"""
RUN = """
import sys, numpy as np, brainsnn as bs
snn = bs.convert(bs.load_model("digits"), device="cpp_standalone", record={"conv1": ["spikes"]})
snn.run(np.full((1, 28, 28, 1), 0.5), duration=10**6*bs.ms, stream_to=sys.argv[1])
"""


def start(script, *arguments, folder, **environment):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.Popen([sys.executable, "-c", script, *arguments], cwd=folder, env=environment, text=True,
                            stderr=subprocess.PIPE, start_new_session=True)  # fmt: skip


def killed(script, before, folder, **environment):
    """Run a script that is killed before a file appears."""
    process = start(KILLED + script, before, folder=folder, **environment)
    with finally_killed(process):
        assert process.wait(timeout=120) == -signal.SIGKILL, process.stderr.read()


def temporary(folder):
    return [path for path in folder.rglob("*") if path.suffix == ".part"]


def test_killed_while_saving(tmp_path):
    path = bs.Result({"a": (1, 1, 1)}, 1e-3, 2).save(tmp_path / "folder" / "result")
    killed(SAVE, "result.npz", path.parent)
    assert bs.Result.load(path).n_steps == 2 and len(temporary(tmp_path)) == 1
    again = start(SAVE, folder=path.parent)
    assert again.wait(timeout=120) == 0, again.communicate()
    assert bs.Result.load(path).n_steps == 7 and not temporary(tmp_path)


@pytest.mark.parametrize("before", [".npz", "dataset.nc"])
def test_killed_while_a_sweep_writes(tmp_path, before):
    pytest.importorskip("h5netcdf", reason="sweeps need h5netcdf")
    import xarray as xr

    killed(SWEEP, before, tmp_path)
    assert not (tmp_path / "sweep" / "dataset.nc").exists() and len(temporary(tmp_path)) == 1
    again = start(SWEEP, folder=tmp_path)
    assert again.wait(timeout=120) == 0, again.communicate()
    with xr.open_dataset(tmp_path / "sweep" / "dataset.nc", engine="h5netcdf") as data:
        np.testing.assert_array_equal(data["y"], 2 * np.arange(4.0))
    assert not temporary(tmp_path)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project that exits with status 3, and an empty cache."""
    monkeypatch.setenv("BRAINSNN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "makefile").write_text("OPTIMISATIONS = -O0\nCXXFLAGS = -c $(OPTIMISATIONS)\nLFLAGS =\n")
    (tmp_path / "project" / "main.cpp").write_text("int main() { return 3; }")
    return tmp_path / "project"


def assert_compiled(project):
    program = program_cache.compiled_program(project)
    assert subprocess.run([program], check=False).returncode == 3
    assert not temporary(bs.cache_directory())


@pytest.mark.slow  # precompiled headers
@pytest.mark.parametrize("before", ["main", "headers.h.gch", "brainsnn.json"])
def test_killed_while_a_program_is_kept(project, before):
    killed(COMPILE, before, project.parent)
    assert temporary(bs.cache_directory()) and "main" not in [path.name for path, *_ in bs.cached_programs()]
    assert_compiled(project)


@pytest.mark.slow  # precompiled headers
def test_killed_while_the_compiler_runs(project, tmp_path, monkeypatch):
    compiler = tmp_path / "compiler"
    compiler.write_text(f'#!/bin/sh\ncase "$*" in *--version*) exit;; esac\ntouch {tmp_path}/begun\nsleep 600\n')
    compiler.chmod(0o755)
    process = start(COMPILE, folder=tmp_path, CXX=str(compiler), TMPDIR=str(tmp_path))
    with finally_killed(process):
        wait_for((tmp_path / "begun").exists, "compiler")
        process.kill()
        process.wait()
    assert not bs.cached_programs() and list(tmp_path.glob("brainsnn_*"))
    assert_compiled(project)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    bs.convert(bs.load_model("digits"), device="cpp_standalone")
    assert len(list(tmp_path.glob("brainsnn_*"))) == 1  # that of this network


@pytest.mark.slow  # a network in a process of its own
def test_a_program_ends_with_the_process_that_started_it(tmp_path, monkeypatch):
    """In a run, kill -9 reaches only Python. Its program ends too, and the next run removes its files, but no others."""
    pytest.importorskip("zarr", reason="streaming needs zarr")
    process = start(RUN, str(tmp_path / "run"), folder=tmp_path, TMPDIR=str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with finally_killed(process):

        def programs():
            return [child for child in psutil.Process(process.pid).children() if child.name() == "main"]

        wait_for(programs, "program", seconds=300)
        (program,) = programs()
        files = [*tmp_path.glob("brainsnn_*"), *tmp_path.glob(".run.*.part")]
        assert len(files) == 2
        snn = bs.convert(bs.load_model("digits"), device="cpp_standalone", record={"conv1": ["spikes"]})
        images = np.full((1, 28, 28, 1), 0.5)
        snn.run(images, duration=5 * bs.ms, stream_to=tmp_path / "other")
        assert all(path.exists() for path in files) and program.is_running()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        wait_for(lambda: not program.is_running() or program.status() == psutil.STATUS_ZOMBIE, "end of the program", 10)
    snn.run(images, duration=5 * bs.ms, stream_to=tmp_path / "run")
    bs.convert(bs.load_model("digits"), device="cpp_standalone")
    assert not [path for path in files if path.exists()]
    assert len(bs.Result.load(tmp_path / "run").spikes) == 1
