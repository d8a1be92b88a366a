"""Tests of the command line: the cache of compiled programs."""

import os
import time

import pytest

from brainsnn.__main__ import main
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


def test_cache_is_shown_and_cleared(cache, capsys):
    main(["cache"])
    assert f"2 compiled networks, 3.0 MB in {cache}" in capsys.readouterr().out
    main(["cache", "--clear", "--days", "5"])
    assert "2.0 MB freed" in capsys.readouterr().out
    assert [path.name for path in cache.iterdir()] == ["new"]
    main(["cache", "--clear"])
    assert not list(cache.iterdir())
    main(["cache"])
    assert "0 compiled networks" in capsys.readouterr().out


@pytest.mark.parametrize("days", ["-1", "nan", "inf"])
def test_bad_arguments(days, capsys):
    with pytest.raises(SystemExit):
        main(["cache", "--clear", "--days", days])
    assert f"--days: must be 0 or more, got {days}" in capsys.readouterr().err
