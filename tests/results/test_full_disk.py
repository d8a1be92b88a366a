"""A disk that becomes full during a run: the error says what was needed, and complete images can be read."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from brian2 import NeuronGroup, SpikeMonitor, StateMonitor

import brainsnn as bs
from brainsnn import ms
from brainsnn.builders.devices.monitor_files import MonitorFiles
from brainsnn.results import streaming

#: conv1 of this network has 12544 neurons; its states take 50 kB per step.
LAYER, DIGITS = "conv1", "digits"


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((8, 28, 28, 1))


@pytest.fixture
def filling(small_disk, monkeypatch):
    """A disk of 2 MB that has plenty of room when the run begins, as if others filled it later."""
    monkeypatch.setattr(streaming, "disk_usage", lambda path: SimpleNamespace(free=10**12))
    return small_disk


def convert(variables, device="cpp_standalone"):
    return bs.convert(bs.load_model(DIGITS), neuron=bs.ASN(m_f=0.1), device=device, record={LAYER: variables})


@pytest.mark.parametrize(
    ("device", "variables", "processes", "steps", "complete"),
    [
        ("cpp_standalone", ["S"], 1, 25, [0]),
        ("cpp_standalone", ["spikes"], 1, 60, [0, 1, 2]),
        ("cpp_standalone", ["S", "spikes"], 2, 12, [0, 4]),
        ("runtime", ["S", "spikes"], 1, 12, [0, 1]),
    ],
)
def test_complete_images_can_be_read(filling, images, device, variables, processes, steps, complete):
    pytest.importorskip("zarr", reason="streaming needs zarr")
    snn = convert(variables, device)
    needed = r"is full after \d of 8 images, which need about \d+\.\d MiB together\. The complete images"
    with pytest.raises(OSError, match=needed) as error:
        snn.run(images, duration=steps * ms, stream_to=filling / "run", processes=processes)
    assert [path.name for path in filling.iterdir()] == ["run.incomplete"] and str(filling / "run.incomplete") in str(
        error.value
    )
    kept = bs.Result.load(filling / "run.incomplete")
    expected = snn.run(images, duration=steps * ms)  # the network works as before
    here = kept.settings["images"]
    assert len(here) == kept.n_images < 8
    # Which of two programs fills the disk, and how far the other is then, is chance.
    assert (any if processes > 1 else all)(image in here for image in complete)
    np.testing.assert_array_equal(kept.output, expected.output[here])
    np.testing.assert_array_equal(kept.spike_counts[LAYER], expected.spike_counts[LAYER][here])
    if "S" in variables:
        np.testing.assert_array_equal(kept.states[LAYER]["S"][:], expected.states[LAYER]["S"][here])
    if "spikes" in variables:
        np.testing.assert_array_equal(kept.raster(LAYER), expected.raster(LAYER)[here])


def test_without_a_complete_image_nothing_is_left(filling, images):
    pytest.importorskip("zarr", reason="streaming needs zarr")
    with pytest.raises(
        OSError, match=r"after 0 of 8 images, which need at least 76\.\d MiB together. No image was complete"
    ):
        convert(["S"]).run(images, duration=200 * ms, stream_to=filling / "run")
    assert not list(filling.iterdir())


def test_outputs_that_do_not_fit_are_refused_before_the_run(filling, images):
    """They have their space on the disk from the beginning."""
    pytest.importorskip("zarr", reason="streaming needs zarr")
    with pytest.raises(OSError, match=r"need at least 3\.\d MiB together. The run was not begun"):
        convert(["spikes"]).run(images, duration=10**4 * ms, stream_to=filling / "run")
    assert not list(filling.iterdir())


def moved(snn, folder):
    """Let a network keep its files in another folder, once its program, which is larger, has been compiled."""
    snn.build()
    shutil.copytree(snn._backend.project / "static_arrays", folder / "project" / "static_arrays")
    snn._backend.directory = folder
    return snn


@pytest.mark.parametrize(
    ("variables", "words"), [(["S"], "need 23.* MiB"), (["spikes"], r"spikes had taken 0\.[1-9] MiB")]
)
def test_a_full_folder_for_temporary_files(filling, images, variables, words):
    """Recordings in memory go through files there."""
    snn = moved(convert(variables), filling)
    with pytest.raises(OSError, match=f"no space is left on the disk of '{filling}' .*{words}.* TMPDIR"):
        snn.run(images, duration=60 * ms)


def test_results_that_a_program_cannot_write_at_its_end(filling, images):
    """Monitors of the user's are written by Brian2's code, which ignores a full disk."""
    snn = bs.convert(bs.load_model(DIGITS), neuron=bs.ASN(m_f=0.1), device="cpp_standalone")
    bs.monitor(snn, LAYER, ["S"])
    moved(snn, filling)
    with pytest.raises(OSError, match="no space is left .*Cannot write results: No space left on device"):
        snn.run(images[:1], duration=60 * ms)


def test_short_files_of_other_programs_are_noticed(tmp_path):
    """Those of GeNN and CUDA keep their recordings until the end."""
    group = NeuronGroup(2, "v : 1", threshold="v > 1", name="neurons")
    monitors = [SpikeMonitor(group, name="spikes"), StateMonitor(group, "v", record=True, name="states")]
    (tmp_path / "results").mkdir()
    ends = np.array([[3, 4], [5, 8]], np.int64)  # spikes, and steps of two neurons
    arrays = {"i": np.array([0, 1, 1, 0, 1]), "t": np.arange(5) * 1e-3, "v": np.arange(16.0)}
    files = MonitorFiles(monitors, SimpleNamespace(dt=1e-3), lambda folder, variable: arrays[variable.name])
    ends.tofile(tmp_path / "results" / "trial_ends")
    (_, first), (_, second) = files.records([(tmp_path, range(2))])
    assert list(second.spikes["spikes"][0]) == [0, 1] and first.states["states"]["v"].shape == (4, 2)
    for name, what in (("i", "4 of 5 values of 'i' of 'spikes'"), ("v", "15 of 16 values of 'v' of 'states'")):
        whole = arrays[name]
        arrays[name] = whole[:-1]
        with pytest.raises(OSError, match=f"wrote {what} .*Is the disk full"):
            list(files.records([(tmp_path, range(2))]))
        arrays[name] = whole
    ends[:1].tofile(tmp_path / "results" / "trial_ends")
    with pytest.raises(OSError, match="2 of 4 values of 'ends'"):
        list(files.records([(tmp_path, range(2))]))


def test_a_result_that_does_not_fit_leaves_the_old_file(small_disk):
    path = bs.Result({"a": (1, 1, 1)}, 1e-3, 2).save(small_disk / "result")
    large = bs.Result({"a": (1, 1, 10**6)}, 1e-3, 1)
    large.outputs["a"] = np.random.default_rng(0).random((1, 1, 10**6))
    with pytest.raises(OSError, match="No space left"):
        large.save(path)
    assert bs.Result.load(path).shapes["a"] == (1, 1, 1) and [*small_disk.iterdir()] == [path]
