"""The folder of compiled programs: what is used, what is removed, and who may write to it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from locations import ROOT

import brainsnn as bs
from brainsnn.builders.devices import cache as cache_module
from brainsnn.builders.devices import program_cache

MAKEFILE = "OPTIMISATIONS = -O0\nCXXFLAGS = -c $(OPTIMISATIONS)\nLFLAGS =\n"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("BRAINSNN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def program(cache, tmp_path):
    """A function that returns the program of a project that exits with a number."""

    def compiled(number):
        project = tmp_path / f"project{number}"
        project.mkdir(exist_ok=True)
        (project / "makefile").write_text(MAKEFILE)
        (project / "main.cpp").write_text(f"int main() {{ return {number}; }}")
        return program_cache.compiled_program(project)

    return compiled


def exit_status(path):
    return subprocess.run([path], check=False).returncode


@pytest.mark.parametrize("value", ["", "relative/folder", "."])
def test_variables_that_are_not_absolute_paths_are_ignored(value, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    monkeypatch.delenv("BRAINSNN_CACHE", raising=False)
    assert bs.cache_directory() == tmp_path / ".cache" / "brainsnn"
    monkeypatch.setenv("BRAINSNN_CACHE", value)
    if value:
        with pytest.warns(RuntimeWarning, match=f"BRAINSNN_CACHE='{value}' is not an absolute path"):
            assert bs.cache_directory() == tmp_path / ".cache" / "brainsnn"
    else:
        assert bs.cache_directory() == tmp_path / ".cache" / "brainsnn"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.delenv("BRAINSNN_CACHE")
    assert bs.cache_directory() == tmp_path / "xdg" / "brainsnn"


def test_clearing_removes_what_brainsnn_has_made_and_nothing_else(cache, program, tmp_path):
    compiled = program(3)
    thesis, beside, elsewhere = cache / "thesis" / "main", compiled.with_name("notes.txt"), tmp_path / "elsewhere"
    thesis.parent.mkdir()
    elsewhere.mkdir()
    (elsewhere / "brainsnn.json").write_text('{"files": {"../cache/thesis/main": ""}}')
    (cache / "link").symlink_to(elsewhere)
    for path in (thesis, beside, cache / "file.txt"):
        path.write_text("years of work")
    hostile = cache / "hostile"
    hostile.mkdir()
    (hostile / "brainsnn.json").write_text('{"files": {"../thesis/main": "", "/etc/hostname": ""}}')
    listed = {folder.name for folder, _, _ in bs.cached_programs()}
    assert compiled.parent.name in listed and not listed & {"thesis", "link", "hostile"}
    assert bs.clear_cache(days=1) == 0 and compiled.exists()
    assert bs.clear_cache() > 0
    assert not compiled.exists() and not list(cache.glob("headers_*"))
    for path in (thesis, beside, cache / "file.txt", elsewhere / "brainsnn.json"):
        assert path.exists(), path
    assert Path("/etc/hostname").exists()


#: Where in a folder of the cache something else than an ordinary file lies: its name, and what makes it.
OTHERS = {
    "a pipe as the list of files": ("brainsnn.json", os.mkfifo),
    "a folder as the list of files": ("brainsnn.json", os.mkdir),
    "a pipe as a program": ("main", os.mkfifo),
    "a folder as a program": ("main", os.mkdir),
    "a link as a program": ("main", lambda path: path.symlink_to(Path(__file__))),
}


@pytest.mark.parametrize("what", OTHERS)
def test_only_ordinary_files_count(what, cache):
    name, make = OTHERS[what]
    cache_module.make_private(cache / "own")
    make(cache / "own" / name)
    if name != "brainsnn.json":
        (cache / "own" / "brainsnn.json").write_text(json.dumps({"files": {name: "0"}}))
    script = f"""
from pathlib import Path
from contextlib import suppress
from brainsnn.command_line import main
from brainsnn.builders.devices.cache import is_intact
assert not is_intact(Path({str(cache / "own")!r}))
for command in ("list", "clear"):
    with suppress(SystemExit):
        main(["cache", command])
"""
    subprocess.run([sys.executable, "-c", script], timeout=60, check=True)  # reading a pipe would wait for ever
    assert os.path.lexists(cache / "own" / name)


@pytest.mark.parametrize("name", ["", ".", "..", "/", "../other", "a/b", "x" * 300, "a\0b", "\ud800"])
def test_names_in_the_list_that_are_no_files_of_the_folder(name, cache):
    for folder in ("own", "other"):
        cache_module.make_private(cache / folder)
    (cache / "other" / "thesis").write_text("mine")
    (cache / "own" / "brainsnn.json").write_text(json.dumps({"files": {name: "0"}}))
    assert not cache_module.is_intact(cache / "own")
    bs.cached_programs()
    bs.clear_cache()
    assert (cache / "other" / "thesis").read_text() == "mine"


def _cut(path):
    path.write_bytes(path.read_bytes()[:100])


def _flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


DAMAGES = {
    "cut": _cut,
    "one bit": _flip,
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
    "no checksums": lambda path: path.with_name("brainsnn.json").unlink(),
    "damaged checksums": lambda path: path.with_name("brainsnn.json").write_text('{"files": 3}'),
    "not executable": lambda path: path.chmod(0o644),
    "others can write": lambda path: path.chmod(0o777),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_program_is_compiled_again(damage, program):
    path = program(5)
    DAMAGES[damage](path)
    assert program(5) == path and exit_status(path) == 5
    assert path.stat().st_mode & 0o777 == 0o755


def test_a_network_heals_the_program_that_it_has_already_run(cache):
    snn = bs.convert(bs.load_model("digits"), device="cpp_standalone")
    images = np.full((1, 28, 28, 1), 0.5)
    first = snn.run(images, duration=5 * bs.ms).output
    _flip(snn.build())
    np.testing.assert_array_equal(snn.run(images, duration=5 * bs.ms).output, first)


def test_the_cache_is_private(cache, program, monkeypatch):
    path = program(1)
    assert cache.stat().st_mode & 0o777 == path.parent.stat().st_mode & 0o777 == 0o700
    cache.chmod(0o777)
    with pytest.raises(PermissionError, match="can write to the cache folder.*chmod go-w.*BRAINSNN_CACHE"):
        program(1)
    cache.chmod(0o700)
    path.parent.chmod(0o770)
    with pytest.raises(PermissionError, match=f"{path.parent.name}.*chmod go-w"):
        program(1)
    path.parent.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: 12345)
    with pytest.raises(PermissionError, match="belongs to another user.*BRAINSNN_CACHE"):
        program(1)


def test_a_clock_that_was_ahead_does_not_keep_programs(program):
    compiled = program(6)
    for path in compiled.parent.iterdir():
        os.utime(path, (2**32, 2**32))  # in the year 2106
    assert bs.clear_cache(days=1) == 0 and compiled.exists()
    assert bs.clear_cache() > 0 and not compiled.exists()


TWO = """
import sys, time
from pathlib import Path
from brainsnn.builders.devices.program_cache import compiled_program
Path(f"ready{sys.argv[1]}").touch()
while not Path("ready0").exists() or not Path("ready1").exists():
    time.sleep(0.001)
print(compiled_program(Path(f"project{sys.argv[1]}")))
"""


@pytest.mark.slow  # precompiled headers, twice
def test_two_processes_compile_one_program_at_once(cache, tmp_path):
    for number in "01":
        (tmp_path / f"project{number}").mkdir()
        (tmp_path / f"project{number}" / "makefile").write_text(MAKEFILE)
        (tmp_path / f"project{number}" / "main.cpp").write_text("int main() { return 7; }")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    both = [
        subprocess.Popen([sys.executable, "-c", TWO, number], cwd=tmp_path, env=environment, text=True,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for number in "01"
    ]  # fmt: skip
    answers = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    (path,) = {answer.strip() for answer, _ in answers}
    assert exit_status(path) == 7 and cache_module.is_intact(Path(path).parent)
    assert not [part for part in cache.rglob("*") if part.suffix == ".part"]
