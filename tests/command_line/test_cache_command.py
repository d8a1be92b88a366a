"""``brainsnn cache`` shows and clears the cache of compiled programs."""

import os
import time

import pytest
from called_command import brainsnn

from brainsnn.builders.devices.cache import keep, make_private


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Create two programs: one of 1 MB that was just used, and one of 2 MB that was used ten days ago."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("BRAINSNN_CACHE", str(folder))
    make_private(folder)
    for name, megabytes, days in (("new", 1, 0), ("old", 2, 10)):
        (tmp_path / "main").write_bytes(bytes(10**6 * megabytes))
        keep(folder / name, {"main": tmp_path / "main"})
        used = time.time() - days * 86400
        for path in (folder / name).iterdir():
            os.utime(path, (used, used))
    return folder


def test_cache_is_shown_and_cleared(cache):
    shown = brainsnn("cache", "list").output
    assert f"2 compiled networks, 3.0 MB in {cache}" in shown and str(cache / "old") in shown
    assert "2.0 MB freed" in brainsnn("cache", "clear", "--days", "5").output
    assert [path.name for path in cache.iterdir()] == ["new"]
    assert brainsnn("cache", "clear").exit_code == 0
    assert not list(cache.iterdir())
    assert "0 compiled networks" in brainsnn("cache", "list").output


@pytest.mark.parametrize("days", ["-1", "nan", "inf", "many"])
def test_bad_days_clear_nothing(cache, days):
    answer = brainsnn("cache", "clear", "--days", days)
    assert answer.exit_code == 2 and "--days" in answer.output
    assert len(list(cache.iterdir())) == 2
