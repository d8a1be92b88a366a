"""Damaged and hostile folders of streamed results: each is refused by its name and part, and nothing is executed."""

import json
import os
import re
import shutil

import numpy as np
import pytest
from executed_mark import Mark

import brainsnn as bs


@pytest.fixture(scope="module")
def streamed(tmp_path_factory):
    """A folder to which a network has streamed, once."""
    pytest.importorskip("zarr", reason="streaming needs zarr")
    record = {"conv1": {"spikes": True, "S": True}}
    snn = bs.convert(bs.load_model("digits"), device="cpp_standalone", record=record)
    folder = tmp_path_factory.mktemp("streamed") / "run"
    snn.run(np.full((2, 28, 28, 1), 0.5), duration=8 * bs.ms, stream_to=folder)
    return folder


@pytest.fixture
def copied(streamed, tmp_path):
    return shutil.copytree(streamed, tmp_path / "run")


def change_json(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def relist(folder):
    """Note the sizes of all files as they are, as somebody does who wants to deceive."""
    sizes = {p.relative_to(folder).as_posix(): p.stat().st_size for p in sorted(folder.rglob("*")) if p.is_file()}
    sizes.pop("result.json", None)
    change_json(folder / "result.json", lambda about: about.update(files=sizes))


ARRAY = "states/conv1_asn.S.zarr"
PICKLE = [{"id": "pickle"}]
ZARR = {
    "a pickle filter": lambda about: about.update(codecs=[{"name": "numcodecs.pickle", "configuration": {}}]),
    "filters of zarr 2": lambda about: about.update(filters=PICKLE),
    "another codec": lambda about: about["codecs"].append({"name": "gzip", "configuration": {"level": 1}}),
    "a storage transformer": lambda about: about.update(storage_transformers=[{"name": "x"}]),
    "zarr 2": lambda about: about.update(zarr_format=2),
    "a group": lambda about: about.update(node_type="group"),
    "another fill value": lambda about: about.update(fill_value=1),
    "more images": lambda about: about["shape"].__setitem__(0, 10**9),
    "more steps": lambda about: about["shape"].__setitem__(1, 10**9),
    "huge chunks": lambda about: about["chunk_grid"]["configuration"]["chunk_shape"].__setitem__(1, 10**9),
    "objects": lambda about: about.update(data_type="object"),
    "texts": lambda about: about.update(data_type="string"),
    "attributes": lambda about: about.update(attributes={"x": 1}),
    "folders of chunks": lambda about: about["chunk_key_encoding"]["configuration"].update(separator="/"),
    "no codecs": lambda about: about.pop("codecs"),
    "no shape": lambda about: about.pop("shape"),
    "no chunks": lambda about: about.pop("chunk_grid"),
}


@pytest.mark.parametrize("what", ZARR)
def test_only_the_zarr_that_we_write_is_opened(what, copied, monkeypatch):
    import zarr

    monkeypatch.setattr(zarr, "open_array", None)  # must not be reached
    change_json(copied / ARRAY / "zarr.json", ZARR[what])
    relist(copied)
    with pytest.raises(ValueError, match=rf"'{copied}' (is damaged: .*zarr.json|lacks chunks of its states)"):
        bs.Result.load(copied)


def test_a_pickle_filter_of_zarr_2_is_not_run(copied, tmp_path):
    """The attack itself: numcodecs would unpickle the chunk of this array."""
    import pickle

    folder = copied / ARRAY
    (folder / "zarr.json").unlink()
    about = {"zarr_format": 2, "shape": [2, 8, 2], "chunks": [1, 8, 2], "dtype": "|O", "compressor": None, "order": "C"}
    (folder / ".zarray").write_text(json.dumps(about | {"fill_value": None, "filters": PICKLE}))
    (folder / "0.0.0").write_bytes(pickle.dumps(Mark(tmp_path / "executed")))
    relist(copied)
    with pytest.raises(ValueError, match=rf"'{ARRAY}/zarr.json' is missing"):
        bs.Result.load(copied)
    shutil.copy(copied / ARRAY / ".zarray", copied / ".zarray")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("name", [".zarray", ".zattrs", "c.9.0.0", "c.0.0.1", "c.00.0.0", "0.0.0"])
def test_no_other_file_may_be_in_an_array(name, copied):
    (copied / ARRAY / name).write_bytes(b"{}")
    relist(copied)
    with pytest.raises(ValueError, match=rf"'{ARRAY}/{re.escape(name)}' is a file that brainsnn does not write"):
        bs.Result.load(copied)


@pytest.mark.parametrize(
    "name", ["arrays.npz", "result.json", f"{ARRAY}/c.0.0.0", "spikes/conv1_asn.0.steps", "outputs"]
)
def test_links_are_refused(name, copied, tmp_path):
    (copied / name).rename(tmp_path / "elsewhere")
    (copied / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match=rf"'{name}' is not a file: links and other special files are not followed"):
        bs.Result.load(copied)


def test_a_named_pipe_in_a_folder_is_refused_at_once(copied):
    (copied / "arrays.npz").unlink()
    os.mkfifo(copied / "arrays.npz")
    with pytest.raises(ValueError, match="'arrays.npz' is not a file"):
        bs.Result.load(copied)


def test_names_do_not_leave_the_folder(copied, tmp_path):
    name = f"../../{tmp_path.name}/secret"
    np.save(tmp_path / "secret.npy", np.zeros((2, 8, 10), "f4"))

    def change(about):
        about["shapes"][name] = [1, 1, 10]
        about["outputs"] = [name]

    change_json(copied / "result.json", change)
    with pytest.raises(ValueError, match=r"damaged: 'outputs/%2E%2E%2F.*secret.npy' is missing"):
        bs.Result.load(copied)


STREAM = {
    "not JSON": (lambda about: about.clear(), "the entry 'shapes' of 'result.json' is None"),
    "no steps": (lambda about: about.pop("n_steps"), "the entry 'n_steps' of 'result.json' is missing"),
    "states of no population": (lambda about: about["states"].update(x=["S"]), "names 'x', which is not a population"),
    "a variable that is not a name": (lambda about: about["states"].update(conv1_asn=[3]), "not a list of names"),
    "a lone surrogate": (lambda about: about["outputs"].append("\ud800"), "'outputs' of 'result.json' names"),
    "outputs that are not names": (lambda about: about["outputs"].append(3), "names 3, which is not a population"),
    "spikes from nowhere": (
        lambda about: about["spikes"].update(conv1_asn=[1]),
        r"begins in 'result.json' at the images",
    ),
    "spikes of too many": (
        lambda about: about["spikes"].update(conv1_asn=[0, 3]),
        r"begins in 'result.json' at the images",
    ),
    "a wrong model": (lambda about: about["about"]["models"].update(conv1_asn={}), "the model of 'conv1_asn'"),
    "far too many steps": (lambda about: about.update(n_steps=10**12), r"zarr.json.* has |outputs\["),
}


@pytest.mark.parametrize("what", STREAM)
def test_a_wrong_description_is_named(what, copied):
    change, words = STREAM[what]
    change_json(copied / "result.json", change)
    with pytest.raises(ValueError, match=rf"Result.load: '{copied}' is damaged: .*{words}"):
        bs.Result.load(copied)


def test_missing_chunks_are_zeros_within_the_limit(copied):
    """zarr leaves out chunks of zeros; their number must not ask for more than the memory."""
    for chunk in (copied / ARRAY).glob("c.*"):
        chunk.unlink()
    relist(copied)
    assert not bs.Result.load(copied).states["conv1"]["S"][:].any()
    with pytest.raises(ValueError, match="lacks chunks of its states, and what is not there takes"):
        bs.Result.load(copied, max_bytes=(copied / "arrays.npz").stat().st_size)


def test_streamed_spikes_outside_of_the_population_are_refused_when_they_are_read(copied):
    file = copied / "spikes" / "conv1_asn.0.neurons"
    values = np.fromfile(file, np.int32)
    values[0] = 10**6
    values.tofile(file)
    result = bs.Result.load(copied)
    with pytest.raises(ValueError, match=rf"{file}' is damaged: image 0 has spikes at the neurons 0 ... 1000000"):
        result.raster("conv1")


@pytest.mark.parametrize("name", ["arrays.npz", "result.json", f"{ARRAY}/zarr.json", "outputs/readout.npy"])
def test_a_damaged_byte_in_a_folder_is_reported_or_harmless(name, copied):
    path = next(copied.glob("outputs/*")) if name.startswith("outputs") else copied / name
    whole, n_refused = path.read_bytes(), 0
    places = (
        range(0, min(len(whole), 128), 3)
        if name.startswith("outputs")
        else range(0, len(whole), max(len(whole) // 60, 1))
    )
    for k in places:
        path.write_bytes(whole[:k] + bytes([whole[k] ^ 255]) + whole[k + 1 :])
        try:
            bs.Result.load(copied)
        except ValueError as error:
            assert str(error).startswith("Result.load: ") and str(copied) in str(error), error
            n_refused += 1
    assert n_refused > len(places) / 2


@pytest.mark.parametrize("change", [-1, 1])
def test_counts_of_a_folder_that_contradict_its_spikes(copied, change):
    with np.load(copied / "arrays.npz") as data:
        arrays = dict(data)
    arrays["count/conv1_asn"][1] += change
    np.savez(copied / "arrays.npz", **arrays)
    relist(copied)
    with pytest.raises(
        ValueError, match=rf"'{copied}' is damaged: spike_counts\['conv1_asn'\]\[1\] is .* recorded spikes"
    ):
        bs.Result.load(copied)


def test_a_spike_that_is_twice_in_a_folder_is_refused_when_it_is_read(copied):
    for what in ("neurons", "steps"):
        values = np.fromfile(copied / "spikes" / f"conv1_asn.0.{what}", np.int32)
        values[1] = values[0]
        values.tofile(copied / "spikes" / f"conv1_asn.0.{what}")
    with pytest.raises(ValueError, match="is damaged: image 0 has a spike of one neuron in one step twice"):
        bs.Result.load(copied).raster("conv1")


def test_indices_of_a_folder_that_are_no_list(copied):
    with np.load(copied / "arrays.npz") as data:
        arrays = {name: np.float64(3) if name.startswith("index/") else data[name] for name in data.files}
    np.savez(copied / "arrays.npz", **arrays)
    relist(copied)
    with pytest.raises(ValueError, match="'arrays.npz' has neurons of .* of the shape"):
        bs.Result.load(copied)
