"""Compiles the CUDA program of a network for the processor, to run the code that a GPU would run where there is none."""

import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from brainsnn.builders.devices.cuda import toolchain

HEADERS = Path(__file__).parent / "cuda_emulation"
#: A launch becomes a loop over the threads that it would start.
LAUNCH = re.compile(r"(\w+)<<<(.*),(.*)>>>\(")


def emulate(monkeypatch):
    """
    Let the CUDA device compile with the C++ compiler and `cuda_emulation/emulated_cuda.h` in place of nvcc and CUDA.

    What runs is the program as it was generated, kernel by kernel, thread after thread.
    """
    monkeypatch.setattr(toolchain, "find_toolchain", lambda: toolchain.Toolchain(Path("/usr/local/cuda/bin/nvcc")))
    monkeypatch.setattr(toolchain, "version", lambda _: "emulated release 13.0")
    monkeypatch.setattr(toolchain, "compute_capability", lambda: "9.0")
    monkeypatch.setattr(toolchain, "compile_project", _compile)


def gpu_or_emulated(monkeypatch):
    """Let the CUDA device use the GPU where there is one with a CUDA compiler, and emulate it elsewhere."""
    try:
        toolchain.find_toolchain()
        found = toolchain.compute_capability() is not None
    except (ImportError, RuntimeError):
        found = False
    if not found:
        emulate(monkeypatch)


def _compile(project, _):
    sources = toolchain.merge_sources(project, 1)
    for path in project.rglob("*.cu"):
        path.write_text(LAUNCH.sub(r"for (emulated::Grid _grid(\2,\3); _grid.next(); ) \1(", path.read_text()))

    def run(*arguments):
        command = ["c++", "-std=c++17", "-O1", "-w", "-I.", f"-I{HEADERS}", *arguments]
        result = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr[:3000]

    def compile_file(source):
        run("-include", "emulated_cuda.h", "-x", "c++", "-c", source, "-o", f"{source}.o")

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(compile_file, sources))
    run(*(f"{source}.o" for source in sources), "-o", "main")
