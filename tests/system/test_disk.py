"""Files and folders with what this system has, and with the fallbacks: the same content."""

import os

import numpy as np
import pytest

from brainsnn.disk_space import is_full, reserve
from brainsnn.results.names import file_name, free_name
from brainsnn.results.streaming import StreamFolder
from brainsnn.system import disk


def test_space_is_reserved(tmp_path, portable):
    path = tmp_path / "file"
    for n_bytes in (0, 3 * 2**20 + 5, 10):
        reserve(path, n_bytes)
    assert path.stat().st_size == 3 * 2**20 + 5 and not path.read_bytes().strip(b"\0")
    assert path.stat().st_blocks * 512 >= path.stat().st_size
    path.write_bytes(b"content")
    reserve(path, 20)
    assert path.read_bytes() == b"content" + bytes(13)


def test_a_disk_that_is_too_small(small_disk, portable):
    with pytest.raises(OSError) as error:
        reserve(small_disk / "file", 5 * 2**20)
    assert is_full(error.value)


def test_the_files_of_a_linked_folder_are_found(tmp_path, portable):
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    (folder / "a b").write_bytes(b"content")
    disk.link_folder(link, folder)
    assert (link / "a b").read_bytes() == b"content" and link.is_symlink() != portable


def test_files_on_another_disk_are_copied(tmp_path, small_disk, forced):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"content")
    disk.link_folder(small_disk / "link", tmp_path / "folder")
    assert (small_disk / "link" / "file").read_bytes() == b"content"


def test_the_array_of_a_file_is_taken(tmp_path, portable):
    path, values = tmp_path / "file", np.arange(12.0).reshape(3, 4)
    values.tofile(path)
    found = disk.take_array(path, np.float64, (3, 4))
    np.testing.assert_array_equal(found, values)
    found[0] = -1
    assert not path.exists() and type(found) is np.ndarray


def test_a_file_that_somebody_reads_is_replaced_when_that_is_over(tmp_path, forced, monkeypatch):
    """As on Windows, which refuses meanwhile."""
    source, target, refused = tmp_path / "new", tmp_path / "old", []
    source.write_text("new")
    target.write_text("old")
    rename = os.replace

    def refuse_twice(*paths):
        if len(refused) < 2:
            refused.append(paths)
            raise PermissionError("in use")
        rename(*paths)

    monkeypatch.setattr(os, "replace", refuse_twice)
    disk.replace(source, target)
    assert target.read_text() == "new" and not source.exists() and len(refused) == 2
    monkeypatch.setattr(disk, "PATIENCE", 0.1)
    refused.clear()
    monkeypatch.setattr(os, "replace", lambda *paths: (_ for _ in ()).throw(PermissionError("in use")))
    with pytest.raises(PermissionError):
        disk.replace(target, source)
    assert target.read_text() == "new"


def test_owners_count_also_if_fallbacks_are_forced(tmp_path, portable, monkeypatch):
    status = tmp_path.stat()
    assert disk.is_mine(status) and not disk.writable_by_others(status) and disk.has_mode(status, 0o700)
    tmp_path.chmod(0o720)
    assert disk.writable_by_others(tmp_path.stat()) and not disk.has_mode(tmp_path.stat(), 0o700)
    user = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: user + 1)
    assert not disk.is_mine(status)


def test_layers_whose_names_differ_in_capitals(tmp_path, portable):
    """On a disk that does not tell their files apart, one would overwrite the other."""
    pytest.importorskip("zarr", reason="streaming needs zarr")
    with StreamFolder(tmp_path / "run", 1, 2, 8) as stream:
        stream.output_array("out", 2, "f4")
        stream.output_array("Other", 2, "f4")
        stream.spike_trains("monitor", "OUT")  # in another folder
        if portable:
            with pytest.raises(ValueError, match="stream_to: the disk .* 'out' and 'OUT' apart.*Choose another disk"):
                stream.output_array("OUT", 2, "f4")
        else:
            stream.output_array("OUT", 2, "f4")


def test_a_layer_may_have_the_name_of_a_device_of_windows():
    assert file_name("aux") == "%61ux" and file_name("CON", "S") == "%43ON.S" and file_name("aux2", "S") == "aux2.S"
    assert free_name("aux", set()) == "aux"
