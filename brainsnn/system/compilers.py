"""How C++ is compiled on each system: by GCC or clang, also on Windows, where Brian2 itself uses Visual C++."""

import shlex

from brainsnn.system.fallbacks import IS_POSIX

__all__ = ["FLAGS", "FOR_LIBRARY", "PROGRAM", "WHEN_LINKING", "refused_compiler", "split_command", "written_makefile"]

#: Name of a compiled program.
PROGRAM = "main" if IS_POSIX else "main.exe"
#: Flags that Brian2 has for GCC and clang everywhere but on Windows.
FLAGS = ["-w", "-O3", "-ffast-math", "-fno-finite-math-only", "-march=native", "-std=c++11"]
#: Further flags for a library; and for linking: on Windows the libraries of GCC are not on the search path of Python.
FOR_LIBRARY, WHEN_LINKING = (["-fPIC"], []) if IS_POSIX else ([], ["-static"])


def split_command(text: str) -> list[str]:
    """
    Split a command into words; on Windows, paths hold backslashes.

    Parameters
    ----------
    text : str

    Returns
    -------
    words : list of str

    Raises
    ------
    ValueError
        If there is a quotation mark too many.
    """
    words = shlex.split(text, posix=IS_POSIX)
    return words if IS_POSIX else [word.strip('"') for word in words]


def refused_compiler(command: list[str]) -> str | None:
    """
    Say whether a compiler takes other options and another C++ than those of GCC.

    Parameters
    ----------
    command : list of str

    Returns
    -------
    reason : str or None

    Examples
    --------
    >>> refused_compiler(["clang++", "-v"]) is None
    True
    >>> refused_compiler(["cl"])
    "'cl' is Visual C++, whose options and C++ are others"
    """
    name = command[0].replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe")
    return f"{command[0]!r} is Visual C++, whose options and C++ are others" if name in ("cl", "clang-cl") else None


def written_makefile(flags: list[str], with_openmp: bool) -> str:
    """
    Return what Brian2 writes into ``makefile``, but on Windows, where it writes one for Visual C++ only.

    Parameters
    ----------
    flags : list of str
    with_openmp : bool

    Returns
    -------
    text : str
        The variables that `~brainsnn.builders.devices.compiler.makefile_variables` reads.
    """
    openmp = " -fopenmp" if with_openmp else ""
    return (
        f"OPTIMISATIONS = {' '.join(flags)}\nCXXFLAGS = -c -Wno-write-strings $(OPTIMISATIONS) -I.{openmp}\n"
        f"LFLAGS ={openmp}\n"
    )
