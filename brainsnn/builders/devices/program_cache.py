"""Keep compiled programs, by the content of their source."""

import contextlib
import hashlib
import os
import platform
import re
from pathlib import Path

import brian2

from brainsnn.builders.devices.cache import cache_directory, is_intact, keep, make_private
from brainsnn.builders.devices.compiler import compile_project
from brainsnn.builders.devices.compiler_command import CPP, cpp_compiler, output_of
from brainsnn.files import check_writable
from brainsnn.system.compilers import PROGRAM
from brainsnn.system.processes import processor_flags

__all__ = ["compiled_program"]


def _machine():
    """What -march=native depends on. Where the system does not tell, the compiler does: what it defines."""
    flags = processor_flags()
    if flags is None:
        command = [*cpp_compiler(), "-march=native", "-dM", "-E", "-x", "c++", os.devnull]
        try:
            flags = "\n".join(sorted(output_of(command, CPP).splitlines()))
        except RuntimeError:  # it does not know -march=native
            flags = platform.processor()
    return f"{platform.machine()} {flags}"


def _content_key(project, extra_key=""):
    version = output_of([*cpp_compiler(), "--version"], CPP)
    digest = hashlib.sha256(f"{brian2.__version__}\n{version}\n{_machine()}\n{extra_key}".encode())
    rename = _canonical_names()
    # brian2genn writes its counts of synapses in a different order in each process; they follow from the other files.
    paths = [
        path
        for path in project.rglob("*")
        if (path.suffix in (".cpp", ".c", ".cu", ".h") or path.name == "makefile")
        and "_max_row_length" not in path.name
    ]
    texts = {}
    # main.cpp or main.cu names all code objects, always in the same order
    for path in sorted(paths, key=lambda path: (path.stem != "main", path)):
        texts[rename(str(path.relative_to(project)))] = rename(path.read_text())
    for name in sorted(texts):
        digest.update(f"{name}\0{texts[name]}\0".encode())
    return digest.hexdigest()[:32]


def _canonical_names():
    """
    A function that renames code objects by the order in which it meets them.

    Brian2 numbers the code objects of one Python process; the same network built twice would look different.
    """
    names, counts = {}, {}

    def canonical(match):
        """Return the name with a number that counts from 1 in each project."""
        if match[0] not in names:
            counts[match[1]] = counts.get(match[1], 0) + 1
            names[match[0]] = f"{match[1]}_{counts[match[1]]}"
        return names[match[0]]

    # Written for Brian2 2.5.4 to 2.11: code objects are called NAME_codeobject_NUMBER.
    pattern = re.compile(r"\b(\w+?_codeobject)(?:_\d+)?(?=\b|_before|_after|_profiling|_rand|_affer)")
    return lambda text: pattern.sub(canonical, text)


def compiled_program(project, build=None, products=(PROGRAM,), extra_key=""):
    """
    Return the program of a standalone project, compiled if it is not in the cache.

    The key is the content of all source files, the makefile, Brian2's version, the compiler and the processor. Two
    processes that need the same program at the same time both compile it, and one of the equal results is kept.

    Parameters
    ----------
    project : `~pathlib.Path`
        Directory that Brian2 wrote.
    build : callable, optional
        Makes the program from the project, the C++ compiler by default.
    products : tuple of str
        Files of the project to keep, the program first.
    extra_key : str
        Text on which the program depends beside its source.

    Returns
    -------
    program : `~pathlib.Path`

    Raises
    ------
    RuntimeError
        If the compiler fails; the message holds the end of its output.
    PermissionError
        If other users can write to the cache.
    """
    make_private(cache_directory())
    folder = cache_directory() / _content_key(project, extra_key)
    program = folder / Path(products[0]).name
    if is_intact(folder):
        with contextlib.suppress(OSError):  # a cache that can only be read
            program.touch()  # records the last use
        return program
    check_writable(cache_directory(), "compile", "Set BRAINSNN_CACHE to a folder of your own.")
    if build is None:
        compile_project(project, cache_directory())
    else:
        build()
    keep(folder, {Path(product).name: project / product for product in products})
    return program
