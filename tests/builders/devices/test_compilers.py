"""A compiler with arguments is used; one that is missing or fails is one error: its command, its output, what to install."""

import re
import shlex

import numpy as np
import pytest
from brian2 import get_device, ms
from brian2.codegen import cpp_prefs
from brian2.devices.device import RuntimeDevice
from brian2.utils.logger import catch_logs
from one_layer import SHAPE, one_layer_graph

import brainsnn as bs
from brainsnn.builders.devices import compiler_command, cython_compiler
from brainsnn.builders.devices.active_device import preferences
from brainsnn.builders.devices.brian_versions import wanted_flags
from brainsnn.builders.devices.compiler import makefile_variables
from brainsnn.builders.devices.compiler_command import cpp_compiler, run_compiler
from brainsnn.builders.devices.cuda import toolchain

DEVICES = ["runtime", "cpp_standalone"]
IMAGES = np.full((1, *SHAPE), 0.5)
#: A compiler -> what the message says about it.
COMPILERS = {
    "/nowhere/g++": r"/nowhere/g\+\+ .*empty.cpp\ncannot be run: No such file or directory",
    "{folder}": r"cannot be run: Permission denied",
    "sh -c 'echo no space left; echo on the disk >&2; exit 3'": (
        r"sh -c 'echo .*empty.cpp\nended with exit status 3. The end of its output:\nno space left\non the disk\n"
    ),
    "sh -c 'kill -9 $$'": r"ended with signal 9 \(Killed\). It printed nothing.",
    "true": r"ended without an error, but has not made",
    "'g++": r"CC=.*CXX=.*are not commands: .*quot",
}


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """Caches without a program or a module, and a process that has compiled nothing."""
    monkeypatch.setenv("BRAINSNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cpp_prefs, "_compiler_flag_compatibility", {})
    compiler_command.check_compiler.cache_clear()
    with preferences({"codegen.runtime.cython.cache_dir": str(tmp_path / "cython")}):
        yield
    compiler_command.check_compiler.cache_clear()


def broken(monkeypatch, command):
    monkeypatch.setenv("CC", command)
    monkeypatch.setenv("CXX", command)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("command", COMPILERS)
def test_one_error_names_command_output_and_package(command, device, empty_cache, tmp_path, monkeypatch, capfd):
    snn = bs.convert(one_layer_graph(), neuron=bs.LIF(), device=device)
    broken(monkeypatch, command.format(folder=tmp_path))
    with pytest.raises(RuntimeError, match=f"(?s){COMPILERS[command]}.*apt install g\\+\\+"):
        snn.run(IMAGES, duration=2 * ms)
    assert isinstance(get_device(), RuntimeDevice)
    # Brian2 would warn of each flag, and print what the compiler has said
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("command", ["", " "])
def test_an_empty_variable_means_the_default_compiler(command, monkeypatch):
    monkeypatch.setenv("CXX", command)
    assert cpp_compiler() == ["c++"]


def test_a_compiler_with_arguments_is_used(empty_cache, tmp_path, monkeypatch):
    used = tmp_path / "two words"
    used.write_text(f'#!/bin/sh\necho "$@" >> {shlex.quote(str(tmp_path / "log"))}\nshift\nexec g++ "$@"\n')
    used.chmod(0o755)
    monkeypatch.setenv("CXX", f"env {shlex.quote(str(used))} --fast")
    snn = bs.convert(one_layer_graph(), neuron=bs.LIF(), device="cpp_standalone")
    assert np.isfinite(snn.run(IMAGES, duration=2 * ms).output).all()
    calls = (tmp_path / "log").read_text().splitlines()
    assert all(call.startswith("--fast ") for call in calls) and any(" main" in call for call in calls)


def test_flags_survive_a_compiler_that_was_missing(empty_cache, monkeypatch):
    """Brian2 drops the flags that a compiler refuses, in silence and for the rest of the process."""
    snn = bs.convert(one_layer_graph(), neuron=bs.LIF(), device="cpp_standalone")
    with monkeypatch.context() as patch:
        broken(patch, "/nowhere/g++")
        with pytest.raises(RuntimeError, match="cannot be run"):
            snn.build()
        assert not snn._backend.project.exists()  # refused before code is generated
        cpp_prefs.get_compiler_and_args()  # as a user's own Brian2 network does
    monkeypatch.setattr(type(snn._backend), "_compiled", lambda self: self.project / "main")
    snn.build()
    assert "-ffast-math" in makefile_variables(snn._backend.project)["OPTIMISATIONS"]


def test_flags_are_tried_together(empty_cache, monkeypatch):
    """Brian2 would run the compiler for each flag; only if one is refused, it does."""
    tried = []
    monkeypatch.setattr(cpp_prefs, "_determine_flag_compatibility", lambda compiler, flag: tried.append(flag) or True)
    cython_compiler.check_brian_compiler()
    assert set(wanted_flags()) <= {*cpp_prefs.get_compiler_and_args()[1]}
    assert tried == []


def test_a_flag_that_the_compiler_refuses_is_dropped(empty_cache):
    with preferences({"codegen.cpp.extra_compile_args": ["-O2", "-fno-such-flag"]}), catch_logs():
        cython_compiler.check_brian_compiler()
        assert cpp_prefs.get_compiler_and_args()[1] == ["-O2"]


def test_missing_headers_of_python_are_named(empty_cache, tmp_path, monkeypatch, capfd):
    snn = bs.convert(one_layer_graph(), neuron=bs.LIF(), connectivity="synapses")  # which Cython compiles
    monkeypatch.setattr(cython_compiler.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(cython_compiler.CythonCodeObject, "is_available", classmethod(lambda cls: False))
    with pytest.raises(RuntimeError, match=r"There is no .*Python.h.*python3-dev"):
        snn.run(IMAGES, duration=2 * ms)
    assert capfd.readouterr() == ("", "")


def test_a_compiler_that_fails_later_is_explained(empty_cache, monkeypatch):
    """The compiler worked when it was checked, and fails at one of the objects."""
    snn = bs.convert(one_layer_graph(), neuron=bs.LIF(), connectivity="synapses")
    monkeypatch.setattr(type(snn._backend), "before_compiling", lambda self: None)
    broken(monkeypatch, "sh -c 'echo no space left; exit 3'")
    with pytest.raises(RuntimeError, match=r"(?s)exit status 3. The end of its output:\nno space left\n.*apt install"):
        snn.run(IMAGES, duration=2 * ms)


def test_a_long_output_and_a_long_command_are_shortened(tmp_path):
    script = "for k in $(seq 1000); do echo line $k; done; exit 1"
    with pytest.raises(RuntimeError, match="line 1000") as error:
        run_compiler(["sh", "-c", script, *(f"file_{k}.cpp" for k in range(1000))], tmp_path)
    message = str(error.value)
    assert "line 900" not in message and len(message) < 4000 and "file_999.cpp" in message
    assert re.search(r"^Compiling the network in .*failed:\nsh -c", message)


def test_an_nvcc_that_fails_is_one_error(tmp_path):
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\necho libcuda is broken\nexit 7\n")
    nvcc.chmod(0o755)
    with pytest.raises(RuntimeError, match=r"(?s)nvcc --version\nended with exit status 7.*broken\n.*CUDA toolkit"):
        toolchain.release(toolchain.Toolchain(nvcc))
    nvcc.write_text("#!/bin/sh\necho hello\n")
    found = toolchain.Toolchain(nvcc, include=(tmp_path,))  # not the one whose answer is kept
    with pytest.raises(RuntimeError, match=r"names no release of CUDA: 'hello\\n'.*CUDA toolkit"):
        toolchain.release(found)
