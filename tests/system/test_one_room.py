"""Only `brainsnn.system`, and two C++ templates, ask which system it is; and all modules import without its parts."""

import json
import os
import re
import subprocess
import sys

import pytest
from locations import HELPERS, ROOT

PACKAGE = ROOT / "brainsnn"
#: What only some systems have, or what asks which one it is.
ONLY_SOME = (
    r"\b(import|from) (fcntl|resource|mmap|pwd|grp|termios|msvcrt|winreg|posix)\b|\bos\.(name|uname|fork|getuid|geteuid"
    r"|sched_\w+|posix_\w+|register_at_fork|symlink|link|mkfifo|killpg|setsid|nice|statvfs)\b|symlink_to|hardlink_to|sys\.platform"
    r"|platform\.system|[\"']/(proc|sys)/|preexec_fn|start_new_session"
)
ONLY_SOME_CPP = (
    r"<(sys/|unistd|windows|fcntl|pthread|signal\.h)|__linux__|__unix__|__APPLE__|_WIN32|posix_memalign|madvise|prctl"
    r"|#pragma (GCC|clang)|EDQUOT"
)
#: Imports all modules.
ALL = """
import importlib, json, os, pkgutil, sys
import numpy as np

def all_modules():
    import brainsnn
    names = [module.name for module in pkgutil.walk_packages(brainsnn.__path__, "brainsnn.", onerror=lambda name: None)]
    # Of other environments; studies that run; a program.
    left_out = ("devices.cuda.device", "devices.genn.device", "__main__", "brainsnn.studies", "brainsnn.hdf5_child")
    return [name for name in names if not any(part in name for part in left_out)]
"""
#: Prints the packages of others that they import.
OTHERS = """
for name in all_modules():
    importlib.import_module(name)
print(json.dumps(sorted({name for name in sys.modules if name.partition(".")[0] not in ("brainsnn", "__main__")})))
"""
#: Imports all modules without what is named, after the packages of others, which may need it.
WITHOUT = """
for name in json.load(open(sys.argv[3])):
    try:
        importlib.import_module(name)
    except ImportError:
        pass
for name in ("fcntl", "resource", "pwd", "grp", "termios"):
    sys.modules[name] = None
for name in ("sched_getaffinity", "posix_fallocate", "register_at_fork", "getuid", "symlink") if sys.argv[1] == "windows" else ():
    delattr(os, name)
import mmap
for name in ("MADV_HUGEPAGE", "MAP_ANONYMOUS", "MAP_PRIVATE"):
    delattr(mmap, name)
import brainsnn.system.fallbacks
brainsnn.system.fallbacks.IS_POSIX = sys.argv[1] != "windows"
for name in all_modules():
    importlib.import_module(name)
"""
#: Runs networks, and prints their spikes and states.
RUN = """
import json
import numpy as np
import brainsnn as bs
from one_layer import LAYER, SHAPE, one_layer_graph
found = {}
for device in ("runtime", "cpp_standalone"):
    snn = bs.convert(one_layer_graph(), device=device, record={LAYER: ["spikes", "S"]})
    result = snn.run(np.full((2, *SHAPE), 0.5), duration=50 * bs.ms, progress=False)
    found[device] = [[np.asarray(part).tolist() for part in result.spikes[LAYER][k]] for k in range(2)]
    found[f"{device} S"] = np.asarray(result.states[LAYER]["S"]).view(np.uint32).ravel().tolist()
print(json.dumps(found))
"""
FILES = """
from pathlib import Path
from brainsnn.builders.devices.cache import is_intact, keep
from brainsnn.builders.devices.compiler_command import cpp_compiler
from brainsnn.files import write_atomically
from brainsnn.sweeps.store import UnitStore
from brainsnn.disk_space import reserve
folder = Path(sys.argv[2])
with write_atomically(folder / "file", sync=True) as file:
    file.write(b"content")
keep(folder / "cache" / "program", {"main": folder / "file"})
assert is_intact(folder / "cache" / "program")
store = UnitStore(folder)
assert store.compute("key", lambda: {"x": 1.0}) and store.read("key")["x"] == 1
reserve(folder / "space", 5000)
os.environ["CXX"] = chr(34) + "C:" + chr(92) + "a b" + chr(92) + "g++.exe" + chr(34) + " -v"
print(json.dumps([sorted(path.name for path in folder.rglob("*")), cpp_compiler()]))
"""


def source_of(paths, comment):
    return {path.relative_to(PACKAGE).as_posix(): re.sub(comment, "", path.read_text()) for path in paths}


def test_only_one_room_asks_which_system_it_is():
    found = source_of(PACKAGE.rglob("*.py"), r"(?m)#.*$")
    asking = {name: match[0] for name, text in found.items() if (match := re.search(ONLY_SOME, text))}
    assert {name for name in asking if not name.startswith("system/")} == set(), asking
    assert {"system/locks.py", "system/processes.py", "system/memory.py", "system/disk.py"} <= asking.keys()


def test_only_two_templates_ask_which_system_it_is():
    templates = PACKAGE / "builders" / "codegen" / "templates"
    found = source_of((path for path in templates.iterdir() if path.suffix in (".cpp", ".h")), r"//.*")
    asking = {name.rpartition("/")[2] for name, text in found.items() if re.search(ONLY_SOME_CPP, text)}
    assert asking == {"system.cpp", "memory.cpp", "independent.cpp"}


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """File with the names of what the package imports of others."""
    path = tmp_path_factory.mktemp("others") / "names.json"
    path.write_text(json.dumps(in_another_process(ALL + OTHERS)))
    return path


def in_another_process(code, *arguments, **environment):
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(HELPERS)]), "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow  # imports everything twice
def test_networks_run_without_what_only_linux_has(others):
    expected = in_another_process(RUN)
    assert sum(map(len, expected["runtime"][0])) > 20
    assert expected["runtime"] == expected["cpp_standalone"]
    assert in_another_process(ALL + WITHOUT + RUN, "linux", "", others) == expected
    assert in_another_process(RUN, BRAINSNN_PORTABLE="1") == expected


@pytest.mark.slow  # imports everything twice
def test_files_as_on_windows(tmp_path, others):
    names, compiler = in_another_process(ALL + WITHOUT + FILES, "windows", tmp_path, others)
    assert names == ["brainsnn.json", "cache", "file", "key.npz", "main", "program", "space", "units"]
    assert compiler == [r"C:\a b\g++.exe", "-v"]
