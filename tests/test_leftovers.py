"""What killed processes leave is removed by the next one; what belongs to others, or to those that run, is not."""

import os
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from locations import ROOT

import brainsnn as bs
from brainsnn.files import write_atomically
from brainsnn.leftovers import process_mark, remove_leftovers
from brainsnn.system import processes


@pytest.fixture(scope="module")
def gone():
    """The mark of a process that has ended."""
    code = "from brainsnn.leftovers import process_mark; print(process_mark())"
    return subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=True
    ).stdout.strip()  # fmt: skip


def made(folder, name, as_folder=False):
    path = folder / name
    if as_folder:
        path.mkdir()
        path = path / "file"
    path.write_text("content")
    return folder / name


def test_only_what_a_killed_process_of_ours_has_left_is_removed(tmp_path, gone):
    machine, process, start = gone[1:].split("-")
    left = [
        made(tmp_path, f".result.npz.{gone}.0123abcd.part"),
        made(tmp_path, f".model.{gone}.0123abcd.keras"),
        made(tmp_path, f".run.{gone}.ab_c1.part", as_folder=True),
        made(tmp_path, f"brainsnn_{gone}_x_y1", as_folder=True),
    ]
    complete = made(tmp_path, f".run.{gone}.complete.part", as_folder=True)
    (complete / "result.json").write_text("{}")
    kept = [
        complete,
        made(tmp_path, f".result.npz.{process_mark()}.0123abcd.part"),  # of this process
        made(tmp_path, f".other.p{'0' * 12}-{process}-{start}.0123abcd.part"),  # of another machine
        made(tmp_path, f"brainsnn_p{'0' * 12}-{process}-{start}_x", as_folder=True),
        made(tmp_path, f"result.npz.{gone}.0123abcd.part"),  # the names below are not ours
        made(tmp_path, f"my_{gone}_x"),
        made(tmp_path, f".result.{gone}.part and more words"),
        made(tmp_path, "brainsnn_notes", as_folder=True),
        made(tmp_path, ".thesis.part"),
    ]
    elsewhere = made(tmp_path, "elsewhere", as_folder=True)
    link = tmp_path / f"brainsnn_{gone}_link"
    link.symlink_to(elsewhere)
    remove_leftovers(tmp_path)
    assert not [path for path in left if path.exists()]
    assert all(path.exists() for path in [*kept, elsewhere / "file"]) and link.is_symlink()


def test_a_number_that_another_process_has_by_now(tmp_path):
    machine, process, start = process_mark()[1:].split("-")
    path = made(tmp_path, f".x.p{machine}-{process}-{int(start) + 10**5}.0123abcd.part")
    remove_leftovers(tmp_path)
    assert not path.exists() or sys.platform != "linux"  # elsewhere the start of a process is not known


def test_a_zombie_has_ended(tmp_path):
    code = "from brainsnn.leftovers import process_mark; print(process_mark(), flush=True); input()"
    process = subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # fmt: skip
    path = made(tmp_path, f".x.{process.stdout.readline().strip()}.0123abcd.part")
    remove_leftovers(tmp_path)
    assert path.exists()
    process.kill()
    while psutil.Process(process.pid).status() != psutil.STATUS_ZOMBIE:
        time.sleep(0.01)
    remove_leftovers(tmp_path)
    assert not path.exists()
    process.communicate()


def test_what_belongs_to_another_user_is_kept(tmp_path, gone, monkeypatch):
    path = made(tmp_path, f".x.{gone}.0123abcd.part")
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    remove_leftovers(tmp_path)
    assert path.exists()


def test_a_clock_that_jumps_changes_no_mark(tmp_path, monkeypatch):
    before, path = process_mark(), made(tmp_path, f".x.{process_mark()}.0123abcd.part")
    for name in ("time", "monotonic"):
        monkeypatch.setattr(time, name, lambda: 1e12)
    monkeypatch.setattr(psutil, "boot_time", lambda: 1e12)
    processes._machine_name.cache_clear()
    remove_leftovers(tmp_path)
    assert process_mark() == before and path.exists()


def test_the_next_writer_into_a_folder_removes_them(tmp_path, gone):
    path = made(tmp_path, f".result.npz.{gone}.0123abcd.part")
    with write_atomically(tmp_path / "table.csv") as file:
        file.write(b"1")
    assert not path.exists() and (tmp_path / "table.csv").read_bytes() == b"1"


def test_the_next_sweep_removes_them(tmp_path, gone):
    units = tmp_path / "sweep" / "units"
    units.mkdir(parents=True)
    left = [made(units, f".key.npz.{gone}.0123abcd.part"), made(units.parent, f".dataset.nc.{gone}.0123abcd.part")]
    alive = made(units, f".key.npz.{process_mark()}.0123abcd.part")
    pytest.importorskip("h5netcdf", reason="sweeps need h5netcdf")
    bs.sweep(
        lambda images: {"y": images}, {}, np.arange(2.0), folder=tmp_path / "sweep", workers=1, progress=False
    ).close()
    assert not [path for path in left if path.exists()] and alive.exists()
