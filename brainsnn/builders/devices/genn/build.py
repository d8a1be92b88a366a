"""Build a program from the files that brian2genn writes: GeNN's generator, the compiler, and the cache."""

import hashlib
import os
import re
from pathlib import Path

from brian2 import prefs

from brainsnn.builders.devices.cache import cache_directory
from brainsnn.builders.devices.compiler_command import output_of, run_compiler
from brainsnn.builders.devices.program_cache import compiled_program
from brainsnn.system.fallbacks import IS_POSIX
from brainsnn.system.locks import lock

__all__ = ["LIBRARY_FOLDER", "find_genn", "missing_cuda", "compiled_genn"]

#: What to do if GeNN's generator or the compiler fails.
TOOLS = (
    "Install a C++ compiler and make (Debian and Ubuntu: apt install g++ make), and GeNN 4.9 "
    "(git clone --branch 4.9.0 https://github.com/genn-team/genn)."
)
#: The program looks for the network's library in a folder of this name in its working directory.
LIBRARY_FOLDER = "magicnetwork_model_CODE"


def find_genn():
    """
    Return the folder of GeNN.

    Returns
    -------
    path : `~pathlib.Path`
        Brian2's preference ``devices.genn.path``, or ``$GENN_PATH``.

    Raises
    ------
    RuntimeError
        If neither names a GeNN of version 4.
    """
    if not IS_POSIX:
        raise RuntimeError(
            "GeNN's generator is built here by shell scripts and make, which Windows lacks: use device='cpp_standalone'."
        )
    path = prefs.devices.genn.path or os.environ.get("GENN_PATH")
    if not path:
        raise RuntimeError(
            "GeNN was not found: git clone --branch 4.9.0 https://github.com/genn-team/genn, and set the environment variable "
            "GENN_PATH to that folder."
        )
    version = Path(path) / "version.txt"
    found = version.read_text().strip() if version.exists() else None
    if found is None or found.split(".")[0] != "4":
        raise RuntimeError(
            f"GENN_PATH={path!r} holds {'no GeNN' if found is None else f'GeNN {found}'}; brian2genn needs GeNN 4, such as 4.9.0."
        )
    return Path(path)


def missing_cuda():
    """
    Say what GeNN's CUDA backend lacks on this machine.

    Returns
    -------
    reason : str or None
    """
    path = Path(os.environ.get("CUDA_PATH", "/usr/local/cuda"))
    if not (path / "bin" / "nvcc").exists():
        return f"no CUDA compiler at {path / 'bin' / 'nvcc'}; set CUDA_PATH to the folder of CUDA."
    # GeNN 4.9.0 calls cuCtxCreate with the arguments that it had until CUDA 12
    try:
        text = output_of([path / "bin" / "nvcc", "--version"], "Set CUDA_PATH to the folder of CUDA.")
    except RuntimeError as error:
        return str(error)
    if (release := re.search(r"release (\d+)", text)) and int(release[1]) >= 13:
        return (
            f"GeNN 4.9's CUDA backend does not compile with CUDA {release[1]}, the version in {path}; set CUDA_PATH to the "
            "folder of CUDA 12 or older, or use device='cuda_standalone'."
        )
    if not list(Path("/dev").glob("nvidia[0-9]*")):
        return "there is no graphics card for CUDA; use device='genn', GeNN on the processor."
    return None


def compiled_genn(project, use_gpu):
    """
    Return the program of a GeNN project, built if it is not in the cache; the network's library is beside it.

    Parameters
    ----------
    project : `~pathlib.Path`
        Folder that brian2genn wrote.
    use_gpu : bool

    Returns
    -------
    program : `~pathlib.Path`

    Raises
    ------
    RuntimeError
        If GeNN or the compiler fail; the message holds the end of their output.
    """
    genn = find_genn()
    # GeNN's generator reads the connections: their number goes into its code.
    digest = hashlib.sha256(f"{(genn / 'version.txt').read_text()}{use_gpu}".encode())
    for path in (project / "Makefile", *sorted((project / "static_arrays").iterdir())):
        digest.update(path.read_bytes())
    return compiled_program(
        project,
        build=lambda: _build(project, genn, use_gpu),
        products=("main", f"{LIBRARY_FOLDER}/librunner.so"),
        extra_key=digest.hexdigest(),
    )


def _build(project, genn, use_gpu):
    def run(*command):
        """Run a command in the folder of the project."""
        run_compiler(command, project, TOOLS, GENN_PATH=str(genn))

    include = f"{project}:{project / 'brianlib' / 'randomkit'}"
    # The generator compiles GeNN itself when it runs for the first time.
    cache_directory().mkdir(parents=True, exist_ok=True)
    with lock(cache_directory() / "genn.lock", wait=True):
        backend = [] if use_gpu else ["-c"]
        run(str(genn / "bin" / "genn-buildmodel.sh"), *backend, "-i", include, "magicnetwork_model.cpp")
    flags = list(prefs.codegen.cpp.extra_compile_args or prefs.codegen.cpp.extra_compile_args_gcc)
    if not use_gpu:
        # GeNN's makefile does not optimise. With the flags of the other devices, rounding is the same as theirs.
        run("make", "-j2", "-C", LIBRARY_FOLDER, " ".join(["CXXFLAGS=-c -fPIC -MMD -MP", *flags]))
    # The main program only reads and writes arrays: optimising it takes longer than it saves.
    flags = ["-I.", "-Ibrianlib/randomkit", *(flag for flag in flags if flag != "-O3"), "-O1"]
    run("make", " ".join(["CXXFLAGS=", *flags]))
