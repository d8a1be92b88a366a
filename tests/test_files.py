"""Tests of atomic file writes."""

import os
import stat

import pytest

from brainsnn.files import atomic_path, write_atomically


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path):
    path = tmp_path / "new" / "table.csv"
    with write_atomically(path) as file:
        file.write(b"first")
    with pytest.raises(RuntimeError), write_atomically(path) as file:
        file.write(b"sec")
        raise RuntimeError("interrupted")
    assert path.read_bytes() == b"first"
    with write_atomically(str(path), sync=True) as file:
        file.write(b"second")
        assert path.read_bytes() == b"first"
    assert path.read_bytes() == b"second"
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]


def test_writers_of_the_same_file_do_not_interfere(tmp_path):
    path = tmp_path / "model.keras"
    with atomic_path(path, suffix=".keras") as first, atomic_path(path, suffix=".keras") as second:
        assert first != second
        assert {part.suffix for part in (first, second)} == {".keras"}
        assert {part.parent for part in (first, second)} == {tmp_path}
        first.write_text("first")
        second.write_text("second")
    assert path.read_text() == "first"
    assert [p.name for p in tmp_path.iterdir()] == ["model.keras"]


def test_a_block_that_writes_nothing_leaves_the_old_file(tmp_path):
    path = tmp_path / "kept"
    path.write_text("old")
    with pytest.raises(FileNotFoundError), atomic_path(path):
        pass
    assert path.read_text() == "old"


def test_files_have_the_permissions_of_new_files(tmp_path):
    before = os.umask(0o027)
    try:
        with write_atomically(tmp_path / "file") as file:
            file.write(b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640
