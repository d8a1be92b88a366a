"""What compiled programs ask of the operating system, with what this one has and with the fallback; and other compilers."""

import os
import shlex
import shutil
import subprocess
import sys

import numpy as np
import psutil
import pytest
from brian2 import ms
from brian2.codegen import cpp_prefs
from one_layer import LAYER, SHAPE, one_layer_graph
from sweep_example import wait_for

import brainsnn as bs
from brainsnn.builders.codegen.codeobjects import render
from brainsnn.builders.devices import program_cache
from brainsnn.builders.devices.brian_versions import compiler_flags
from brainsnn.builders.devices.compiler_command import check_compiler, check_openmp, cpp_compiler, run_compiler
from brainsnn.system.compilers import written_makefile

PROGRAM = """
#include <iostream>
#include <string>
void end_with(const char* process);
bool disk_is_full(int error);
int main()
{
    end_with(getenv("BRAINSNN_PARENT"));
    std::cout << "running " << disk_is_full(ENOSPC) << disk_is_full(EACCES) << std::endl;
    std::string line;
    std::getline(std::cin, line);
    return 0;
}
"""
#: Starts the program, says its number, and waits.
PARENT = """
import os, subprocess, sys
pipe = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
program = subprocess.Popen([sys.argv[1]], env={**os.environ, "BRAINSNN_PARENT": str(os.getpid())}, **pipe)
print(program.stdout.readline().strip(), program.pid, flush=True)
input()
program.communicate("end")
print(program.returncode, flush=True)
"""


@pytest.fixture
def program(tmp_path, portable):
    source = render("system.cpp")
    assert ("prctl" in source) and (f"!{int(portable)}" in source)
    (tmp_path / "main.cpp").write_text(f"{source}{PROGRAM}")
    run_compiler([*cpp_compiler(), "-std=c++11", "-pthread", "main.cpp", "-o", "main"], tmp_path)
    return tmp_path / "main"


def parent_of(program):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, str(program)], text=True, stdin=subprocess.PIPE,
                              stdout=subprocess.PIPE)  # fmt: skip
    said, full, number = parent.stdout.readline().split()
    assert (said, full) == ("running", "10")
    return parent, psutil.Process(int(number))


def test_a_program_ends_with_its_parent(program):
    parent, child = parent_of(program)
    output, _ = parent.communicate("end\n", timeout=60)
    assert output == "0\n"
    parent, child = parent_of(program)
    parent.kill()
    parent.communicate()
    wait_for(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, "end of the program", 20)


def test_a_program_whose_parent_has_ended_does_not_begin(program):
    done = subprocess.run(
        [program],
        env={**os.environ, "BRAINSNN_PARENT": "1234567"},
        capture_output=True,
        timeout=60,
        input=b"",
        check=False,
    )
    assert done.returncode != 0


# Other compilers


def spikes(device, **options):
    snn = bs.convert(one_layer_graph(), device=device, record={LAYER: ["spikes", "S"]}, **options)
    result = snn.run(np.full((2, *SHAPE), 0.5), duration=50 * ms, progress=False)
    assert sum(len(result.spikes[LAYER][k][0]) for k in range(2)) > 20
    return [np.concatenate(result.spikes[LAYER][k]) for k in range(2)], result.states[LAYER]["S"]


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    """A cache without a program, and a process that knows no compiler."""
    monkeypatch.setenv("BRAINSNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cpp_prefs, "_compiler_flag_compatibility", {})
    for check in (check_compiler, check_openmp):
        check.cache_clear()
    yield
    for check in (check_compiler, check_openmp):
        check.cache_clear()


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_fallbacks_change_no_bit(device, monkeypatch):
    found = []
    for value in ("0", "1"):
        monkeypatch.setenv("BRAINSNN_PORTABLE", value)
        found.append(spikes(device))
    np.testing.assert_equal(*found)


@pytest.mark.slow  # compiled twice, without precompiled headers
@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_clang_gives_the_same_spikes(device, empty_cache, monkeypatch):
    """Not always the same bits of the states: with Brian2's -ffast-math, each compiler adds in its own order."""
    if shutil.which("clang++") is None:
        pytest.skip("clang++ is not installed (Debian and Ubuntu: apt install clang)")
    expected = spikes(device, dtype="float64")
    bs.clear_cache()
    monkeypatch.setenv("CXX", "clang++")
    found = spikes(device, dtype="float64")
    np.testing.assert_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=0, atol=1e-13)
    assert len(bs.cached_programs()) == 1  # and no header that it could not use


@pytest.mark.parametrize("command", ["cl", r"C:/Tools/CL.exe /nologo", "clang-cl"])
def test_visual_cpp_is_refused(command, monkeypatch):
    monkeypatch.setenv("CXX", command)
    with pytest.raises(RuntimeError, match="CXX=.*cannot be used: .* is Visual C.*Windows: GCC of MSYS2"):
        cpp_compiler()


def test_threads_without_openmp_are_refused(empty_cache, tmp_path, monkeypatch):
    """As Apple's clang does."""
    compiler = tmp_path / "compiler"
    refuse = 'case "$*" in *-fopenmp*) echo "unsupported option -fopenmp"; exit 1;; esac'
    compiler.write_text(f'#!/bin/sh\n{refuse}\nexec c++ "$@"\n')
    compiler.chmod(0o755)
    monkeypatch.setenv("CXX", shlex.quote(str(compiler)))
    snn = bs.convert(one_layer_graph(), device="cpp_standalone", threads=2)
    with pytest.raises(
        RuntimeError, match="(?s)need OpenMP.*unsupported option.*threads=1, or device='runtime'.*brew install"
    ):
        snn.run(np.full((1, *SHAPE), 0.5), duration=2 * ms)
    assert not snn._backend.project.exists()
    spikes("runtime", threads=2)


@pytest.mark.slow  # compiled twice, with new precompiled headers
@pytest.mark.parametrize("threads", [1, 2])
def test_the_makefile_of_windows(threads, empty_cache, monkeypatch):
    """Where Brian2 writes none for GCC and clang, ours gives the same program."""
    expected, compile_project, made = spikes("cpp_standalone", threads=threads), program_cache.compile_project, []

    def with_ours(project, cache):
        text = written_makefile(compiler_flags(), threads > 1)
        made.append((project / "makefile").write_text(f"{text}"))
        compile_project(project, cache)

    monkeypatch.setattr(program_cache, "compile_project", with_ours)
    bs.clear_cache()
    np.testing.assert_equal(spikes("cpp_standalone", threads=threads), expected)
    assert len(made) == 1


def test_the_compiler_tells_what_the_processor_can_do(forced):
    assert "__SIZEOF_POINTER__" in program_cache._machine()
