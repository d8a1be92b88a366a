"""Folders that can only be read: refused before anything is computed, and read where that is all that is needed."""

import subprocess

import numpy as np
import pytest

import brainsnn as bs
from brainsnn import ms


@pytest.fixture
def lock(small_disk):
    """A function that makes the small disk read-only; permissions do not stop root."""
    return lambda: subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)


def unit(images):
    return {"y": 2 * images}


def test_saving(small_disk, lock):
    result = bs.Result({"a": (1, 1, 1)}, 1e-3, 2)
    path = result.save(small_disk / "result")
    lock()
    with pytest.raises(OSError, match=f"Read-only file system: '{small_disk}"):
        result.save(path)
    assert bs.Result.load(path).n_steps == 2


def test_sweeps(small_disk, lock):
    pytest.importorskip("h5netcdf", reason="sweeps need h5netcdf")
    bs.sweep(unit, {}, np.arange(2.0), folder=small_disk / "done", workers=1, progress=False).close()
    lock()
    with bs.sweep(unit, {}, np.arange(2.0), folder=small_disk / "done", workers=1, progress=False) as data:
        np.testing.assert_array_equal(data["y"], [0, 2])
    with pytest.raises(
        OSError, match="sweep: folder: .*new/units' cannot be written to .*Choose another one; nothing was computed"
    ):
        bs.sweep(lambda images: pytest.fail("computed"), {}, np.arange(2.0), folder=small_disk / "new", workers=1)


def test_streaming(small_disk, lock):
    pytest.importorskip("zarr", reason="streaming needs zarr")
    snn = bs.convert(bs.load_model("digits"), device="cpp_standalone")
    images = np.full((1, 28, 28, 1), 0.5)
    snn.run(images, duration=5 * ms, stream_to=small_disk / "run")
    lock()
    assert bs.Result.load(small_disk / "run").n_images == 1
    with pytest.raises(
        OSError, match=f"run: stream_to: '{small_disk}' cannot be written to .Read-only.*Choose another folder"
    ):
        snn.run(images, duration=5 * ms, stream_to=small_disk / "again")


def test_the_cache_of_programs(small_disk, lock, monkeypatch):
    (small_disk / "project").mkdir()
    makefile = "OPTIMISATIONS = -O0\nCXXFLAGS = -c $(OPTIMISATIONS)\nLFLAGS =\n"
    (small_disk / "project" / "makefile").write_text(makefile)
    (small_disk / "project" / "main.cpp").write_text("int main() { return 3; }")
    monkeypatch.setenv("BRAINSNN_CACHE", str(small_disk / "cache"))
    from brainsnn.builders.devices import compiler, program_cache

    monkeypatch.setattr(compiler, "_precompiled_headers", lambda *arguments: [])  # larger than this disk
    program = program_cache.compiled_program(small_disk / "project")
    lock()
    assert program_cache.compiled_program(small_disk / "project") == program
    monkeypatch.setattr(program_cache, "compile_project", None)  # refused before that
    monkeypatch.setattr(program_cache, "_content_key", lambda *arguments: "another")
    with pytest.raises(OSError, match="compile: .*cache' cannot be written to .*Set BRAINSNN_CACHE"):
        program_cache.compiled_program(small_disk / "project")
    monkeypatch.setenv("BRAINSNN_CACHE", str(small_disk / "none"))
    with pytest.raises(OSError, match="The cache folder '.*none' cannot be made .*Set BRAINSNN_CACHE"):
        program_cache.compiled_program(small_disk / "project")
