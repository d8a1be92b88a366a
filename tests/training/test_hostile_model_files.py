"""Model files that are made to do harm: they are refused before they allocate, follow, wait or crash."""

import json
import subprocess
import sys
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from model_files import legacy_weights, write_legacy_model

from brainsnn import hdf5_files
from brainsnn.training import ModelFileError, load_model

keras = pytest.importorskip("keras")
L = keras.layers

#: Loads a file in a process that may not use more than 1.5 GB beyond what the packages take, and prints what came of it.
CONFINED = """
import resource, sys
import brainsnn as bs, keras
from pathlib import Path
used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 1_500_000_000, resource.RLIM_INFINITY))
try:
    bs.load_model(*sys.argv[1:], max_bytes=2e8)
except bs.training.ModelFileError as error:
    print('refused:', error)
"""


def confined(*paths):
    """Return what a load in little memory prints."""
    command = [sys.executable, "-c", CONFINED, *map(str, paths)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def h5(path, change):
    """Return a Keras 2 file whose last bias was removed before a change of its group."""
    write_legacy_model(path)
    with h5py.File(path, "a") as file:
        group = file["model_weights/dense_1/dense_1"]
        del group["bias:0"]
        change(group)
    return path


def virtual(group):
    layout = h5py.VirtualLayout((3,), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (3,))
    group.create_virtual_dataset("bias:0", layout)


def external(group):
    group.create_dataset("bias:0", (3,), "f4", external=[("raw", 0, 12)])


def with_filter(number):
    def change(group):
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_chunk((3,))
        layout.set_filter(number, h5py.h5z.FLAG_OPTIONAL)
        h5py.h5d.create(group.id, b"bias:0", h5py.h5t.NATIVE_FLOAT, h5py.h5s.create_simple((3,)), layout)

    return change


def deflated(data, n_filters):
    """Write a chunk of numbers that was compressed from other data."""

    def change(group):
        layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        layout.set_chunk((10**5,))
        for _ in range(n_filters):
            layout.set_deflate(9)
        space = h5py.h5s.create_simple((3,), (h5py.h5s.UNLIMITED,))
        array = h5py.h5d.create(group.id, b"bias:0", h5py.h5t.IEEE_F32LE, space, layout)
        array.write_direct_chunk((0,), data)

    return change


def loop(group):
    group["bias:0"] = np.zeros(3, "f4")
    group["more"] = group.file["model_weights"]


#: Change of a file -> words of the refusal.
REFUSED_BY_THE_READER = {
    "virtual": (virtual, "keeps its values in another file"),
    "external": (external, "keeps its values in another file"),
    "soft link": (lambda group: group.update({"bias:0": h5py.SoftLink("/x")}), "a link to another place"),
    "external link": (lambda group: group.update({"bias:0": h5py.ExternalLink("o.h5", "x")}), "a link to another place"),
    "loop of groups": (loop, "a link to another place"),
    "a type": (lambda group: group.update({"bias:0": np.dtype("f4")}), "neither a group nor an array"),
    "plugin": (with_filter(32001), r"compressed by the filters \[32001\]"),
    "deflate twice": (deflated(b"x", 2), r"compressed by the filters \[1\]"),
    "szip": (with_filter(5), r"compressed by the filters \[5\]"),
}  # fmt: skip


@pytest.mark.parametrize("change", REFUSED_BY_THE_READER)
def test_features_of_hdf5_that_reach_elsewhere(change, tmp_path):
    write, words = REFUSED_BY_THE_READER[change]
    with pytest.raises(ModelFileError, match=rf"load_model: '.*m.h5': The file's 'model_weights.*{words}"):
        load_model(h5(tmp_path / "m.h5", write))


@pytest.mark.parametrize(
    "options", [{"compression": "gzip"}, {"compression": "lzf"}, {"shuffle": True}, {"fletcher32": True}]
)
def test_the_filters_of_h5py_are_read(options, tmp_path):
    bias = legacy_weights()["dense_1"]["bias"]
    path = h5(tmp_path / "m.h5", lambda group: group.create_dataset("bias:0", data=bias, chunks=(3,), **options))
    np.testing.assert_array_equal(load_model(path).get_layer("dense_1").get_weights()[1], bias)


@pytest.mark.parametrize("bit", range(8))
def test_flips_that_crash_the_library(bit, tmp_path):
    """The class of a text in the file; several of its flips end h5py with a segmentation fault."""
    keras.Sequential([keras.Input((3,)), L.Dense(2)]).save(tmp_path / "m.h5")
    data = bytearray((tmp_path / "m.h5").read_bytes())
    data[data.index(b"keras_version\0\0\0\x19") + 17] ^= 1 << bit
    (tmp_path / "m.h5").write_bytes(data)
    try:
        load_model(tmp_path / "m.h5")
    except ModelFileError as error:
        assert str(error).startswith(f"load_model: {str(tmp_path / 'm.h5')!r}: ")


def test_a_process_that_hangs_is_ended(tmp_path, monkeypatch):
    (tmp_path / "child.py").write_text("while True: pass\n")
    monkeypatch.setattr(hdf5_files, "_CHILD", tmp_path / "child.py")
    monkeypatch.setattr(hdf5_files, "SECONDS", 0.2)
    with pytest.raises(ModelFileError, match="took too long"):
        load_model(write_legacy_model(tmp_path / "m.h5"))


def test_declared_sizes_of_arrays(tmp_path):
    """Arrays that were never written take no place in the file, but all of it when they are read."""
    path = h5(tmp_path / "m.h5", lambda group: group.create_dataset("bias:0", (10**9,), "f4", chunks=(10**6,)))
    assert path.stat().st_size < 10**6
    assert "what its arrays declare takes 4.0 GB" in confined(path)
    chunk = h5(
        tmp_path / "c.h5", lambda group: group.create_dataset("bias:0", (3,), "f4", chunks=(10**8,), maxshape=(None,))
    )
    assert "what its arrays declare takes 400.0 MB" in confined(chunk)


def test_a_chunk_that_inflates(tmp_path):
    """The library makes as much room as a chunk inflates to, whatever the array declares."""
    compressor = zlib.compressobj(9)
    data = b"".join(compressor.compress(bytes(10**7)) for _ in range(150)) + compressor.flush()
    path = h5(tmp_path / "m.h5", deflated(data, 1))
    assert path.stat().st_size < 2 * 10**6
    said = confined(path)
    # Where the system cannot limit the memory of a process, it is ended instead (brainsnn/system/processes.py).
    assert "'model_weights/dense_1/dense_1/bias:0'" in said or "took too much memory" in said


def test_weights_beyond_the_range_of_their_type(tmp_path):
    path = h5(tmp_path / "m.h5", lambda group: group.create_dataset("bias:0", data=[0, 1e300, 0]))
    with pytest.raises(ModelFileError, match="'dense_1': weight 'bias' has 1 of 3 values that are NaN or infinite"):
        load_model(path)


def archive_of(folder, **parts):
    """Return a .keras file with other parts."""
    keras.Sequential([keras.Input((3,)), L.Dense(2)]).save(folder / "whole.keras")
    with (
        zipfile.ZipFile(folder / "whole.keras") as whole,
        zipfile.ZipFile(folder / "m.keras", "w", zipfile.ZIP_DEFLATED) as file,
    ):
        for name in ("config.json", "model.weights.h5"):
            file.writestr(name, parts.get(name, whole.read(name)))
    return folder / "m.keras"


def test_archives_that_grow(tmp_path):
    bomb = archive_of(tmp_path, **{"model.weights.h5": bytes(3 * 10**8)})
    assert bomb.stat().st_size < 10**6
    assert "model.weights.h5 takes 300.0 MB" in confined(bomb)
    text = archive_of(tmp_path, **{"config.json": b" " * 2 * 10**7})
    assert "config.json takes 400.0 MB" in confined(text)


def test_archives_that_declare_less_than_they_hold(tmp_path):
    path = archive_of(tmp_path, **{"model.weights.h5": bytes(10**9)})
    data = path.read_bytes().replace((10**9).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    path.write_bytes(data)
    assert "the archive is truncated or damaged" in confined(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_methods_of_compression(method, tmp_path):
    keras.Sequential([keras.Input((3,)), L.Dense(2)]).save(tmp_path / "whole.keras")
    with zipfile.ZipFile(tmp_path / "whole.keras") as whole, zipfile.ZipFile(tmp_path / "m.keras", "w", method) as file:
        for name in ("config.json", "model.weights.h5"):
            file.writestr(name, whole.read(name))
    with pytest.raises(ModelFileError, match="compressed in a way that Keras does not use"):
        load_model(tmp_path / "m.keras")


def _layers(*layers, shape=(3,)):
    return json.dumps(
        {
            "class_name": "Sequential",
            "config": {
                "name": "s",
                "layers": [
                    {"class_name": "InputLayer", "config": {"batch_shape": [None, *shape], "name": "i"}},
                    *(
                        {"class_name": name, "config": {"name": f"bomb_{k}", **config}}
                        for k, (name, config) in enumerate(layers)
                    ),
                ],
            },
        }
    )


#: Configurations of a few hundred bytes that ask for gigabytes of weights, in every class of layer that has weights.
BOMBS = {
    "Dense": _layers(("Dense", {"units": 10**9})),
    "a second Dense": _layers(("Dense", {"units": 10**4}), ("Dense", {"units": 10**6})),
    "Conv2D": _layers(("Conv2D", {"filters": 10**8, "kernel_size": [3, 3], "padding": "same"}), shape=(4, 4, 3)),
    "Conv2DTranspose": _layers(("Conv2DTranspose", {"filters": 3, "kernel_size": [20000, 20000]}), shape=(4, 4, 3)),
    "DepthwiseConv2D": _layers(("DepthwiseConv2D", {"kernel_size": 30000, "padding": "same"}), shape=(4, 4, 3)),
    "SeparableConv2D": _layers(("SeparableConv2D", {"filters": 10**8, "kernel_size": [1, 1]}), shape=(4, 4, 30)),
    "Normalization": _layers(("Normalization", {"axis": [1, 2, 3]}), shape=(30000, 30000, 3)),
    "BatchNormalization": _layers(("BatchNormalization", {}), shape=(10**9,)),
    "LayerNormalization": _layers(("LayerNormalization", {"axis": [1, 2]}), shape=(30000, 30000)),
    "PReLU": _layers(("PReLU", {}), shape=(30000, 30000)),
}  # fmt: skip


def test_configurations_that_ask_for_gigabytes(tmp_path):
    """In one process whose memory is too small for any of them."""
    write_legacy_model(tmp_path / "w.h5")
    for name, config in BOMBS.items():
        (tmp_path / f"{name}.json").write_text(config)
    script = CONFINED.partition("try:")[0] + (
        "for path in sys.argv[2:]:\n    try: bs.load_model(path, sys.argv[1], max_bytes=2e8)\n"
        "    except bs.training.ModelFileError as error: print(Path(path).stem, error)\n"
    )
    paths = [str(tmp_path / f"{name}.json") for name in BOMBS]
    command = [sys.executable, "-c", script, str(tmp_path / "w.h5"), *paths]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    for line, name in zip(done.stdout.splitlines(), BOMBS, strict=True):
        assert (
            line.startswith(f"{name} load_model: ")
            and "the model takes " in line
            and "above the limit of 200.0 MB" in line
        )


def test_max_bytes(tmp_path):
    path = write_legacy_model(tmp_path / "m.h5")
    for wrong in (0, -1, float("nan"), float("inf"), "1 GB", True, [1e9]):
        with pytest.raises(
            ValueError, match="load_model: max_bytes must be a positive number of bytes, such as 2e9, got"
        ):
            load_model(path, max_bytes=wrong)
    with pytest.raises(
        ModelFileError, match="what its arrays declare takes 2.8 kB in memory, above the limit of 1.0 kB"
    ):
        load_model(path, max_bytes=1e3)
    with pytest.raises(ModelFileError, match="its model_config takes .* kB in memory.* give a higher max_bytes"):
        load_model(path, max_bytes=1e4)
    assert load_model(path, max_bytes=1e6).layers


def test_the_limit_is_over_after_a_load(tmp_path):
    load_model(write_legacy_model(tmp_path / "m.h5"), max_bytes=1e6)
    keras.Sequential([keras.Input((100,)), L.Dense(10**5)])
