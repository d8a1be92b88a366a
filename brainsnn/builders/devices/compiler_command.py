"""Run compilers: which command it is, and an error with command, output and fix if it cannot run or fails."""

import os
import shlex
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path

from brainsnn.leftovers import process_mark
from brainsnn.system.compilers import PROGRAM, refused_compiler, split_command

__all__ = ["CPP", "check_compiler", "check_openmp", "compiler_version", "cpp_compiler", "output_of", "run_compiler"]

#: What to do about a C++ compiler that cannot be run or fails.
CPP = (
    "Install a C++ compiler (Debian and Ubuntu: apt install g++; macOS: xcode-select --install; Windows: GCC of MSYS2 or of "
    "conda-forge's gxx), or set CXX to one: GCC or clang."
)

#: What to do about one without OpenMP.
OPENMP = (
    "Use threads=1, or device='runtime', whose threads need no OpenMP; or install OpenMP (Debian and Ubuntu, for clang: apt "
    "install libomp-dev; macOS: brew install gcc, and set CXX to that compiler, such as CXX=g++-15)."
)

#: Lines of the compiler's output that a message shows, and how long they and the command may be.
N_LINES, LENGTH, COMMAND_LENGTH = 30, 3000, 300


def cpp_compiler():
    """
    Return the C++ compiler: ``$CXX``, which may have arguments, or ``c++``.

    Returns
    -------
    command : list of str

    Raises
    ------
    RuntimeError
        If ``$CXX`` has a quotation mark too many, or is Visual C++.
    """
    given = os.environ.get("CXX", "")
    try:
        command = split_command(given) or ["c++"]
    except ValueError as error:
        raise RuntimeError(
            f"The environment variable CXX={given!r} is not a command: {error}. Set it to a C++ compiler, such as CXX=g++."
        ) from None
    if (reason := refused_compiler(command)) is not None:
        raise RuntimeError(f"The environment variable CXX={given!r} cannot be used: {reason}. {CPP}")
    return command


def output_of(command, fix, folder=None, **environment):
    """
    Run a compiler, or a build tool, and return what it prints.

    Parameters
    ----------
    command : list of str
    fix : str
        What the user can do if it fails.
    folder : `~pathlib.Path`, optional
        Where it runs.
    **environment : str
        Variables to be set for it.

    Returns
    -------
    output : str

    Raises
    ------
    RuntimeError
        If it cannot be run, or fails. The message holds the command, the end of its output and the fix.
    """
    try:
        result = subprocess.run(
            command, cwd=folder, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", check=False,
        )  # fmt: skip
    except OSError as error:
        raise RuntimeError(f"{_shown(command)}\ncannot be run: {error.strerror}. {fix}") from None
    if result.returncode == 0:
        return result.stdout
    status = result.returncode
    how = f"exit status {status}" if status > 0 else f"signal {-status} ({signal.strsignal(-status)})"
    lines = "\n".join(result.stdout.strip().splitlines()[-N_LINES:])[-LENGTH:]
    said = f"The end of its output:\n{lines}\n" if lines else "It printed nothing.\n"
    raise RuntimeError(f"{_shown(command)}\nended with {how}. {said}If the compiler itself is at fault: {fix}")


def _shown(command):
    text = shlex.join(map(str, command))
    half = COMMAND_LENGTH // 2
    return text if len(text) <= COMMAND_LENGTH else f"{text[:half]} ... {text[-half:]}"


def run_compiler(command, project, fix=CPP, **environment):
    """
    Run a compiler, or a build tool, in the folder of a project.

    Parameters
    ----------
    command : list of str
    project : `~pathlib.Path`
    fix : str, optional
        What the user can do if it fails.
    **environment : str
        Variables to be set for it.

    Raises
    ------
    RuntimeError
        If it cannot be run, fails (see `output_of`), or does not make the file that is named after ``-o``.
    """
    try:
        output_of(command, fix, project, **environment)
        product = Path(project) / command[command.index("-o") + 1] if "-o" in command else None
        if product is not None and not product.exists():
            raise RuntimeError(f"{_shown(command)}\nended without an error, but has not made {product.name!r}. {fix}")
    except RuntimeError as error:
        raise RuntimeError(f"Compiling the network in {project} failed:\n{error}") from None


@cache
def compiler_version(command):
    """
    Return what a compiler says of its version.

    Parameters
    ----------
    command : str
        It may have arguments.

    Returns
    -------
    version : str
        The first line of its output; a sentence if there is none, since programs from the cache run without a compiler.
    """
    try:
        return output_of([*split_command(command), "--version"], CPP).strip().partition("\n")[0]
    except (RuntimeError, ValueError):
        return f"{command!r} did not say its version"


@cache  # of those that work
def check_compiler(command, fix=CPP):
    """
    Refuse a C++ compiler that cannot be run, or that cannot compile an empty program.

    Parameters
    ----------
    command : tuple of str
    fix : str, optional
        What the user can do.

    Raises
    ------
    RuntimeError
        As from `output_of`.
    """
    why = "Compiling is not possible; the compiler fails on an empty program"
    _check_program([*command, "-fsyntax-only"], "empty.cpp", "int main() { return 0; }\n", fix, why)


@cache  # of those that have it
def check_openmp(command):
    """
    Refuse a C++ compiler without OpenMP, such as the one of macOS.

    Parameters
    ----------
    command : tuple of str

    Raises
    ------
    RuntimeError
        As from `output_of`.
    """
    source = "#include <omp.h>\nint main() { return omp_get_max_threads() < 1; }\n"
    why = "threads above 1 need OpenMP on this device; the compiler has none"
    _check_program([*command, "-fopenmp", "-o", PROGRAM], "openmp.cpp", source, OPENMP, why)


def _check_program(command, name, source, fix, why):
    """Refuse a compiler that fails on a small program, with what this means and what to do."""
    with tempfile.TemporaryDirectory(prefix=f"brainsnn_{process_mark()}_") as folder:
        (Path(folder) / name).write_text(source)
        try:
            output_of([*command, name], fix, folder)
        except RuntimeError as error:
            raise RuntimeError(f"{why}:\n{error}") from None
