"""Find what the CUDA device needs (brian2cuda, nvcc, cuRAND, a GPU), and compile a program with nvcc."""

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from functools import cache
from multiprocessing.pool import ThreadPool
from pathlib import Path

from brainsnn.builders.devices.compiler import makefile_variables, merged_source
from brainsnn.builders.devices.compiler_command import output_of, run_compiler
from brainsnn.system.fallbacks import IS_POSIX

__all__ = [
    "Toolchain",
    "find_toolchain",
    "compute_capability",
    "check_gpu",
    "version",
    "release",
    "merge_sources",
    "compile_project",
]

NVCC = "Install the CUDA toolkit and g++ (Debian and Ubuntu: apt install g++), or set CUDA_PATH to another toolkit."
INSTEAD = "device='cpp_standalone' runs the same network on the processor."
#: Compute capability for which programs are compiled on a machine without a GPU.
WITHOUT_GPU = "9.0"


@dataclass(frozen=True)
class Toolchain:
    """
    Where the parts of CUDA are.

    Parameters
    ----------
    nvcc : `~pathlib.Path`
    include, library : tuple of `~pathlib.Path`
        Further directories of headers and libraries.
    """

    nvcc: Path
    include: tuple = ()
    library: tuple = ()

    @property
    def root(self):
        """Directory of the CUDA installation (`~pathlib.Path`)."""
        return self.nvcc.parent.parent


def find_toolchain():
    """
    Look for brian2cuda, nvcc and cuRAND.

    nvcc is looked for in ``$CUDA_PATH``, on the search path and in ``/usr/local/cuda``; cuRAND in the CUDA installation
    and in the wheel ``nvidia-curand``.

    Returns
    -------
    toolchain : `Toolchain`

    Raises
    ------
    ImportError
        If brian2cuda is not installed.
    RuntimeError
        If nvcc or cuRAND are missing; the message says what to use instead.
    """
    if importlib.util.find_spec("brian2cuda") is None:
        raise ImportError(
            "convert: device='cuda_standalone' needs brian2cuda; in a separate environment with Python 3.12, "
            f"pip install 'brainsnn[cuda]'. {INSTEAD}"
        )
    if not IS_POSIX:
        raise RuntimeError(
            f"convert: device='cuda_standalone' needs Linux; brian2cuda does not run on Windows. {INSTEAD}"
        )
    candidates = [
        os.environ.get("CUDA_PATH", "") and str(Path(os.environ["CUDA_PATH"]) / "bin" / "nvcc"),
        shutil.which("nvcc"),
        "/usr/local/cuda/bin/nvcc",
    ]
    nvcc = next((Path(path) for path in candidates if path and os.access(path, os.X_OK)), None)
    if nvcc is None:
        raise RuntimeError(
            "convert: device='cuda_standalone' needs the CUDA compiler; no nvcc in $CUDA_PATH/bin, on the search path "
            f"or in /usr/local/cuda/bin. Install the CUDA toolkit, or set CUDA_PATH. {INSTEAD}"
        )
    root = nvcc.parent.parent
    if (root / "include" / "curand.h").exists():
        return Toolchain(nvcc)
    wheel = _curand_wheel()
    if wheel is None:
        raise RuntimeError(
            f"convert: device='cuda_standalone' needs cuRAND; there is no curand.h in {root / 'include'}, and the "
            f"wheel of the CUDA version is not installed (pip install nvidia-curand). {INSTEAD}"
        )
    return Toolchain(nvcc, (wheel / "include",), (wheel / "lib",))


def _curand_wheel():
    """Directory with include/ and lib/ of an installed cuRAND wheel, or None."""
    spec = importlib.util.find_spec("nvidia")
    for parent in [] if spec is None else spec.submodule_search_locations:
        for header in sorted(Path(parent).glob("*/include/curand.h"), reverse=True):
            return header.parent.parent
    return None


@cache
def compute_capability():
    """
    Return the compute capability of the GPU.

    Returns
    -------
    capability : str or None
        Such as ``"9.0"``; None without a GPU.
    """
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader", "--id=0"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    found = re.match(r"\d+\.\d+", result.stdout.strip())
    return found[0] if result.returncode == 0 and found else None


def check_gpu():
    """
    Raise an error if there is no GPU.

    Raises
    ------
    RuntimeError
    """
    if compute_capability() is None:
        raise RuntimeError(
            "run: device='cuda_standalone' found no GPU (nvidia-smi lists none). The program can be compiled here "
            f"(snn.build()), not run. {INSTEAD}"
        )


@cache
def version(toolchain):
    """
    Return the version text of nvcc.

    Parameters
    ----------
    toolchain : `Toolchain`

    Returns
    -------
    version : str
    """
    return output_of([str(toolchain.nvcc), "--version"], NVCC)


def release(toolchain):
    """
    Return the release of the CUDA toolkit.

    Parameters
    ----------
    toolchain : `Toolchain`

    Returns
    -------
    release : float
        Such as 13.0.

    Raises
    ------
    RuntimeError
        If nvcc does not name one.
    """
    found = re.search(r"release (\d+\.\d+)", version(toolchain))
    if found is None:
        raise RuntimeError(f"{toolchain.nvcc} --version names no release of CUDA: {version(toolchain)[:200]!r}. {NVCC}")
    return float(found[1])


def merge_sources(project, n_files):
    """
    Merge the source files of a project into a few, because most of their compile time goes into the same headers.

    Each code object keeps its own namespace, together with what runs before and after it.

    Parameters
    ----------
    project : `~pathlib.Path`
    n_files : int
        Largest number of files for the code objects.

    Returns
    -------
    merged : list of str
        The new files in the project's folder; the first one holds everything that is not a code object.
    """
    parts = {}
    for path in sorted((project / "code_objects").glob("*.cu")):
        parts.setdefault(re.sub(r"^(before|after)_run_", "", path.stem), []).append(path)
    # The code object comes before what runs after it and calls its kernels.
    parts = [sorted(paths, key=lambda path: path.stem.startswith("after_run_")) for paths in parts.values()]
    # rand.cu comes last: it opens a namespace for all that follows.
    others = sorted((path.name for path in project.glob("*.cu")), key=lambda name: name == "rand.cu")
    others = [name for name in others if not name.startswith("merged_")]
    merged = {"merged_main.cu": "".join(f'#include "{name}"\n' for name in others)}
    for k in range(min(n_files, len(parts))):
        code_objects = [
            [line for path in paths for line in path.read_text().splitlines()] for paths in parts[k::n_files]
        ]
        merged[f"merged_{k}.cu"] = merged_source(code_objects)
    for name, source in merged.items():
        (project / name).write_text(source)
    return list(merged)


def _curand_library(toolchain):
    """Return linker flags. The wheel holds the library only under its versioned name, so it is linked by its path."""
    for directory in toolchain.library:
        for path in sorted(directory.glob("libcurand.so.*")):
            return ["-Xlinker", str(path), "-Xlinker", f"-rpath={directory}"]
    return ["-lcurand"]


def compile_project(project, toolchain):
    """
    Compile a project that brian2cuda wrote, with the flags of its makefile.

    Parameters
    ----------
    project : `~pathlib.Path`
    toolchain : `Toolchain`

    Raises
    ------
    RuntimeError
        If nvcc fails; the message holds the command and the end of its output.
    """
    flags = [flag for flag in shlex.split(makefile_variables(project)["NVCCFLAGS"]) if flag != "-std=c++11"]
    architecture = [flag for flag in flags if flag.startswith("-arch")]
    include = [f"-I{path}" for path in toolchain.include]
    jobs = os.cpu_count() or 1
    sources = merge_sources(project, max(1, jobs - 1))

    def run(arguments):
        """Run nvcc in the folder of the project."""
        run_compiler([str(toolchain.nvcc), *arguments], project, NVCC)

    with ThreadPool(jobs) as pool:
        pool.map(lambda source: run([*flags, *include, "-dc", source, "-o", f"{source}.o"]), sources, chunksize=1)
    run([*architecture, *(f"{source}.o" for source in sources), "-o", "main", *_curand_library(toolchain)])
