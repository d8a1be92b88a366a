"""What the CUDA device needs of the machine: brian2cuda, nvcc, cuRAND and a GPU; and compiling a program with nvcc."""

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

from brainsnn.builders.build_cache import merge_code_objects

__all__ = ["Toolchain", "find_toolchain", "compute_capability", "check_gpu", "compile_project"]

INSTEAD = "device='cpp_standalone' runs the same network on the processor."
#: Compute capability for which programs are compiled where there is no GPU to ask.
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
    RuntimeError
        If something is missing; the message says what it is and what to use instead.
    """
    if importlib.util.find_spec("brian2cuda") is None:
        raise RuntimeError(
            "convert: device='cuda_standalone' needs brian2cuda; in an environment of its own with Python 3.12, "
            f"pip install 'brainsnn[cuda]'. {INSTEAD}"
        )
    candidates = [
        os.environ.get("CUDA_PATH", "") and str(Path(os.environ["CUDA_PATH"]) / "bin" / "nvcc"),
        shutil.which("nvcc"),
        "/usr/local/cuda/bin/nvcc",
    ]
    nvcc = next((Path(path) for path in candidates if path and os.access(path, os.X_OK)), None)
    if nvcc is None:
        raise RuntimeError(
            "convert: device='cuda_standalone' needs the CUDA compiler; no nvcc in $CUDA_PATH/bin, on the search path or in "
            f"/usr/local/cuda/bin. Install the CUDA toolkit, or set CUDA_PATH. {INSTEAD}"
        )
    root = nvcc.parent.parent
    if (root / "include" / "curand.h").exists():
        return Toolchain(nvcc)
    wheel = _curand_wheel()
    if wheel is None:
        raise RuntimeError(
            f"convert: device='cuda_standalone' needs cuRAND; there is no curand.h in {root / 'include'}, and the wheel of the "
            f"CUDA version is not installed (pip install nvidia-curand). {INSTEAD}"
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
    Compute capability of the GPU.

    Returns
    -------
    capability : str or None
        Such as ``"9.0"``; None where there is no GPU.
    """
    command = ["nvidia-smi", "--query-gpu=compute_cap", "--format=csv,noheader", "--id=0"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    found = re.match(r"\d+\.\d+", result.stdout.strip())
    return found[0] if result.returncode == 0 and found else None


def check_gpu():
    """
    Raise an error where there is no GPU to run on.

    Raises
    ------
    RuntimeError
    """
    if compute_capability() is None:
        raise RuntimeError(
            "run: device='cuda_standalone' found no GPU (nvidia-smi names none). The program can be compiled here "
            f"(brainsnn.builders.cuda.backend.build), not run. {INSTEAD}"
        )


def _curand_library(toolchain):
    """The wheel has only the library with its version in the name; the linker takes it by its path."""
    for directory in toolchain.library:
        for path in sorted(directory.glob("libcurand.so.*")):
            return [str(path), "-Xlinker", f"-rpath={directory}"]
    return ["-lcurand"]


def compile_project(project, toolchain):
    """
    Compile a project that brian2cuda wrote, with the flags of its makefile.

    The code objects are merged into as many files as there are processors: most of the time goes into the headers.

    Parameters
    ----------
    project : `~pathlib.Path`
    toolchain : `Toolchain`

    Raises
    ------
    RuntimeError
        If nvcc fails; the message holds the end of what it said.
    """
    makefile = dict(re.findall(r"^(\w+) *= *(.*)$", (project / "makefile").read_text(), flags=re.MULTILINE))
    flags = shlex.split(makefile["NVCCFLAGS"])
    architecture = [flag for flag in flags if flag.startswith("-arch")]
    include = [f"-I{path}" for path in toolchain.include]
    jobs = os.cpu_count() or 1
    others, merged = merge_code_objects(project, jobs, ".cu")

    def run(arguments):
        result = subprocess.run(
            [str(toolchain.nvcc), *arguments], cwd=project, capture_output=True, text=True, check=False
        )
        if result.returncode != 0:
            raise RuntimeError(f"Compiling the network in {project} failed:\n{(result.stdout + result.stderr)[-3000:]}")

    with ThreadPool(jobs) as pool:
        compile_file = lambda source: run([*flags, *include, "-dc", source, "-o", f"{source}.o"])  # noqa: E731
        pool.map(compile_file, [*others, *merged], chunksize=1)
    objects = [f"{source}.o" for source in (*others, *merged)]
    run([*architecture, *objects, "-o", "main", *_curand_library(toolchain)])
