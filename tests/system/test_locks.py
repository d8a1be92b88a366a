"""Locks on files: one owner at a time, among processes and threads, and none that outlives its process."""

import pytest
from file_lock import counting, holding
from sweep_example import wait_for

from brainsnn.sweeps.store import UnitStore
from brainsnn.system.locks import is_locked, lock


def test_another_process_is_kept_out_until_it_ends(tmp_path, portable):
    path = tmp_path / "claim"
    process = holding(path)
    with lock(path) as is_mine:
        assert not is_mine and is_locked(path)
    process.communicate("end\n", timeout=60)
    assert process.returncode == 0 and not list(tmp_path.iterdir()) and not is_locked(path)
    with lock(path) as is_mine:
        assert is_mine


def test_a_killed_process_holds_nothing(tmp_path, portable):
    path = tmp_path / "claim"
    process = holding(path)
    process.kill()
    process.communicate()
    assert path.exists() and not is_locked(path)
    with lock(path, remove=True) as is_mine:
        assert is_mine
    assert not list(tmp_path.iterdir())


def test_two_owners_in_one_process(tmp_path, portable):
    path = tmp_path / "claim"
    with lock(path, remove=True) as first, lock(path, remove=True) as second:
        assert first and not second and is_locked(path)
    assert not list(tmp_path.iterdir())


def test_a_lock_that_is_kept_leaves_an_empty_file(tmp_path, portable):
    with lock(tmp_path / "lock", wait=True) as is_mine:
        assert is_mine and [path.name for path in tmp_path.iterdir()] == ["lock"]
    assert (tmp_path / "lock").read_bytes() == b""


def test_an_error_releases(tmp_path, portable):
    with pytest.raises(ZeroDivisionError), lock(tmp_path / "lock", remove=True):
        1 / 0  # noqa: B018
    assert not list(tmp_path.iterdir())


def test_processes_that_wait_take_turns(tmp_path, portable):
    (tmp_path / "n").write_text("0")
    both = [counting(tmp_path, 30) for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert (tmp_path / "n").read_text() == "60"


def test_a_folder_that_does_not_exist_is_an_error(tmp_path, portable):
    with pytest.raises(OSError), lock(tmp_path / "nowhere" / "lock"):
        pass


def test_the_fallback_refuses_what_is_not_its_file(tmp_path, forced):
    path = tmp_path / "lock"
    path.write_text("the text of somebody else, which is longer than the header of a data base" * 20)
    with pytest.raises(OSError, match="lock' cannot be locked"), lock(path):
        pass


def test_a_unit_is_computed_once(tmp_path, portable):
    store = UnitStore(tmp_path)
    store.folder.mkdir()
    process = holding(store.claim_path("key"))
    assert not store.compute("key", lambda: pytest.fail("another process computes it"))
    process.kill()
    wait_for(lambda: store.compute("key", lambda: {"x": 1}), "claim that is free")
    assert store.read("key")["x"] == 1 and not store.claim_path("key").exists()
