"""Tests of streamed recordings: equal to those in memory, opened lazily, and complete or absent."""

import os
import resource
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from chosen_device import DEVICE
from example_models import example_models
from locations import HELPERS, ROOT
from numpy.testing import assert_array_equal

import brainsnn as bs
from brainsnn import ms
from brainsnn.results import streaming
from brainsnn.training.asn_transfer import ASNTransfer

pytest.importorskip("zarr", reason="streaming needs zarr")
STEPS = 45


@pytest.fixture(scope="module")
def graph():
    return bs.read_keras(example_models(ASNTransfer, ["plain_cnn"])["plain_cnn"])


@pytest.fixture(scope="module")
def images(graph):
    return np.random.default_rng(3).random((5, *graph.input.shape))


def spiking_layers(graph):
    return [p.name for p in graph.populations.values() if p.kind == "spiking"]


def convert(graph, device):
    first, second = spiking_layers(graph)[:2]
    record = {first: ["spikes", "S", "theta"], second: {"spikes": [0, 3, 8], "S": [5, 2]}}
    return bs.convert(graph, device=device, record=record)


@pytest.fixture(scope="module")
def compiled(graph):
    if DEVICE == "runtime":
        pytest.skip("runtime mode compiles no program")
    return convert(graph, DEVICE)


def assert_equal_results(streamed, expected):
    assert_array_equal(streamed.output, expected.output)
    for name, variables in expected.states.items():
        for variable, values in variables.items():
            assert streamed.states[name][variable].shape == values.shape
            assert_array_equal(streamed.states[name][variable][:], values)
            assert streamed.states[name][variable].dtype == values.dtype
    for name, counts in expected.spike_counts.items():
        assert_array_equal(streamed.spike_counts[name], counts)
    for name in expected.spikes:
        assert_array_equal(streamed.raster(name), expected.raster(name))


@pytest.mark.parametrize("processes", [1, 2])
def test_standalone_streams_the_same_numbers(compiled, images, tmp_path, monkeypatch, processes):
    # With chunks of 7 steps, the last chunk of a trial is not full.
    monkeypatch.setattr(streaming, "CHUNK_BYTES", 7 * compiled._monitors.state_bytes())
    expected = compiled.run(images, duration=STEPS * ms)
    streamed = compiled.run(images, duration=STEPS * ms, processes=processes, stream_to=tmp_path / "run")
    assert expected.spike_counts[next(iter(expected.spikes))].sum() > 100
    first = next(iter(expected.states))
    assert streamed.states[first]["S"].chunks[:2] == (1, 7)
    assert_equal_results(streamed, expected)
    assert_equal_results(bs.Result.load(tmp_path / "run"), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_runtime_streams_the_same_numbers(graph, images, tmp_path, monkeypatch):
    snn = convert(graph, "runtime")
    monkeypatch.setattr(streaming, "CHUNK_BYTES", 7 * snn._monitors.state_bytes())
    expected = snn.run(images[:2], duration=STEPS * ms)
    assert_equal_results(snn.run(images[:2], duration=STEPS * ms, stream_to=tmp_path / "run"), expected)


def test_access_is_that_of_a_result_in_memory(compiled, images, tmp_path):
    expected = compiled.run(images, duration=STEPS * ms)
    streamed = compiled.run(images, duration=STEPS * ms, stream_to=tmp_path / "run")
    first = next(iter(expected.states))
    assert_array_equal(streamed.trace(first, "S", 4, image=2), expected.trace(first, "S", 4, image=2))
    assert_array_equal(streamed.raster(first, slice(1, 3)), expected.raster(first)[1:3])
    assert_array_equal(streamed.raster(first, 4), expected.raster(first)[4:])
    labels = np.zeros(len(images), int)
    assert_array_equal(streamed.accuracy(labels, window=3), expected.accuracy(labels, window=3))
    assert streamed.mean_firing_rate == expected.mean_firing_rate
    streamed.save(tmp_path / "result.npz")
    assert_equal_results(bs.Result.load(tmp_path / "result.npz"), expected)


def test_a_slower_clock_stays_in_phase_across_chunks(graph, images, tmp_path, monkeypatch):
    snn = convert(graph, DEVICE)
    first = spiking_layers(graph)[0]
    snn.network.add(snn.populations[first].run_regularly("S_dyn *= 0.5", dt=5 * ms))
    monkeypatch.setattr(streaming, "CHUNK_BYTES", 7 * snn._monitors.state_bytes())
    expected = snn.run(images[:2], duration=STEPS * ms)
    assert_equal_results(snn.run(images[:2], duration=STEPS * ms, stream_to=tmp_path / "run"), expected)


def test_results_outlive_the_next_run_and_can_be_changed(compiled, images):
    layer = next(iter(compiled.run(images[:1], duration=5 * ms).states))
    first = compiled.run(images[:2], duration=STEPS * ms)
    before = first.states[layer]["S"].copy()
    compiled.run(images[2:4], duration=STEPS * ms, processes=2)
    assert_array_equal(first.states[layer]["S"], before)
    first.states[layer]["S"][0] = 7
    assert (first.states[layer]["S"][0] == 7).all()
    assert_array_equal(compiled.run(images[:2], duration=STEPS * ms).states[layer]["S"], before)


def test_invalid_targets_are_rejected_before_the_run(compiled, images, tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    with pytest.raises(FileExistsError, match="there.*choose another folder"):
        compiled.run(images, duration=5 * ms, stream_to=tmp_path / "there")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(FileExistsError, match="link"):
        compiled.run(images, duration=5 * ms, stream_to=tmp_path / "link")
    (tmp_path / "link").unlink()
    with pytest.raises(OSError, match="room for"):
        compiled.run(images, duration=10**9 * ms, stream_to=tmp_path / "new")
    monkeypatch.setattr(compiled._backend, "can_stream", False, raising=False)
    with pytest.raises(ValueError, match="cannot stream.*cpp_standalone"):
        compiled.run(images, duration=5 * ms, stream_to=tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["there"]


def test_spikes_without_states_are_streamed_in_chunks(graph, images, tmp_path, monkeypatch):
    snn = bs.convert(graph, device=DEVICE, record={name: ["spikes"] for name in spiking_layers(graph)})
    monkeypatch.setattr(streaming, "SPIKE_CHUNK_BYTES", 7 * snn._monitors.spike_bytes())
    pieces = []
    original = streaming.StreamFolder.__enter__
    monkeypatch.setattr(
        streaming.StreamFolder, "__enter__", lambda self: pieces.append(self.chunk_steps) or original(self)
    )
    expected = snn.run(images, duration=STEPS * ms)
    assert_equal_results(snn.run(images, duration=STEPS * ms, stream_to=tmp_path / "run"), expected)
    assert pieces == [7]


def test_an_incomplete_recording_is_rejected(compiled, images, tmp_path):
    compiled.run(images, duration=STEPS * ms, stream_to=tmp_path / "run")
    for path in [
        next((tmp_path / "run" / "states").glob("*/c.1.0.0")),
        next((tmp_path / "run" / "spikes").glob("*steps")),
    ]:
        content = path.read_bytes()
        path.write_bytes(content[:-8])
        with pytest.raises(ValueError, match=f"is incomplete; 1 of its .*{path.name}"):
            bs.Result.load(tmp_path / "run")
        path.unlink()
        with pytest.raises(ValueError, match=f"is incomplete; 1 of its .*{path.name}"):
            bs.Result.load(tmp_path / "run")
        path.write_bytes(content)
    bs.Result.load(tmp_path / "run")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no result")
    np.savez(tmp_path / "arrays.npz", x=1)
    for name in ("empty", "text", "arrays.npz"):
        with pytest.raises(ValueError, match=f"{name}' is not a result"):
            bs.Result.load(tmp_path / name)


def test_a_folder_that_appears_during_the_run_does_not_lose_the_recording(compiled, images, tmp_path, monkeypatch):
    original = compiled._backend.run

    def run(*arguments):
        found = original(*arguments)
        (tmp_path / "run").write_text("somebody else's")
        return found

    monkeypatch.setattr(compiled._backend, "run", run)
    with pytest.raises(OSError, match="the recording is complete.*rename") as error:
        compiled.run(images, duration=STEPS * ms, stream_to=tmp_path / "run")
    assert (tmp_path / "run").read_text() == "somebody else's"
    kept = tmp_path / "run.complete"  # not hidden: the next run removes hidden folders of processes that have ended
    assert str(kept) in str(error.value)
    monkeypatch.undo()
    assert_equal_results(bs.Result.load(kept), compiled.run(images, duration=STEPS * ms))


def test_a_failed_run_leaves_no_folder(compiled, images, tmp_path):
    """The program fails when a file exceeds 1 MB, and leaves no folder."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, limits[1]))
        with pytest.raises(RuntimeError, match="File size limit exceeded"):
            compiled.run(images, duration=2000 * ms, stream_to=tmp_path / "run")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_reported(compiled, images, small_disk, monkeypatch):
    monkeypatch.setattr(
        streaming, "disk_usage", lambda path: SimpleNamespace(free=10**12)
    )  # as if others filled the disk during the run
    with pytest.raises(
        OSError, match="is full after 0 of 5 images, which need at least .* MiB together. No image was complete"
    ):
        compiled.run(images, duration=2000 * ms, stream_to=small_disk / "run")
    assert not list(small_disk.iterdir())


SCRIPT = """
import sys, numpy as np, brainsnn as bs
sys.path.insert(0, sys.argv[1])
from example_models import example_models
from brainsnn.training.asn_transfer import ASNTransfer
graph = bs.read_keras(example_models(ASNTransfer, ["plain_cnn"])["plain_cnn"])
layer = next(p.name for p in graph.populations.values() if p.kind == "spiking")
snn = bs.convert(graph, device="cpp_standalone", record={layer: ["S"]})
images = np.full((1, *graph.input.shape), 0.5)
print("start", flush=True)
snn.run(images, duration=10**6*bs.ms, stream_to=sys.argv[2])
"""


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_under_the_final_name(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", SCRIPT, str(HELPERS), str(tmp_path / "run")]
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    try:
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob(".run.*.part/states/*/c.0.2.0")):
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # and its compiled program
        process.wait()
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_more_states_than_memory(tmp_path):
    """A small version of the benchmark: the states exceed the address space of the process."""
    command = [sys.executable, str(ROOT / "benchmarks" / "streaming.py"), "--no-docs", "--gigabytes", "2.5",
               "--limit", "2", "--folder", str(tmp_path)]  # fmt: skip
    result = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    assert "equal" in result.stdout and not list(tmp_path.iterdir())
