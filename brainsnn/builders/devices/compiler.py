"""Compile the generated source of a network, merged into few files, with the flags of Brian2's makefile."""

import hashlib
import os
import re
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path
from tempfile import TemporaryDirectory

from brian2 import get_logger

from brainsnn.builders.devices.cache import is_intact, keep
from brainsnn.builders.devices.compiler_command import CPP, cpp_compiler, output_of, run_compiler
from brainsnn.leftovers import process_mark
from brainsnn.system.compilers import PROGRAM, WHEN_LINKING, split_command

__all__ = ["compile_project", "makefile_variables", "merged_source"]

#: Users can silence it: ``BrianLogger.suppress_name("brainsnn")``.
LOGGER = get_logger("brian2.brainsnn")
#: What all files of Brian2's programs include. Reading it takes longer than compiling most of them.
_NAMES = "algorithm climits cmath csignal cstdint cstdlib ctime fstream iostream map random string tuple vector"
HEADERS = "".join(f"#include <{name}>\n" for name in _NAMES.split())

#: First lines of a file that runs once, so that optimising it takes longer than it saves.
NOT_OPTIMISED = '#if defined(__clang__)\n#pragma clang optimize off\n#else\n#pragma GCC optimize ("O0")\n#endif\n'


def merged_source(code_objects):
    """
    Merge the source files of several code objects, because most of their compile time goes into the same headers.

    Each code object keeps its own namespace, since each has its own copy of the functions that it uses.

    Parameters
    ----------
    code_objects : list of list of str
        The lines of each.

    Returns
    -------
    source : str
    """
    includes, bodies = {}, []
    for n, lines in enumerate(code_objects):
        includes.update(dict.fromkeys(line.strip() for line in lines if line.lstrip().startswith("#include")))
        body = "\n".join(line for line in lines if not line.lstrip().startswith("#include"))
        bodies.append(f"namespace part_{n} {{\n{body}\n}}")
        functions = re.findall(r"^void (\w+)\(\)$", body, flags=re.MULTILINE)
        bodies += [f"void {name}() {{ part_{n}::{name}(); }}" for name in functions]
        bodies += [f"#undef {name}" for name in re.findall(r"^\s*#define (\w+)", body, flags=re.MULTILINE)]
    return "\n".join([*includes, *bodies]) + "\n"


def makefile_variables(project):
    """
    Return the variables of the makefile that Brian2 wrote.

    Parameters
    ----------
    project : `~pathlib.Path`

    Returns
    -------
    variables : dict of str to str
    """
    return dict(re.findall(r"^(\w+) *= *(.*)$", (project / "makefile").read_text(), flags=re.MULTILINE))


def _merge_code_objects(project, n_files):
    """
    Merge the source files of all code objects into a few.

    Returns
    -------
    others, merged : list of str
        Brian2's other files, and the new ones.
    """
    others, parts = [], []
    for path in sorted((*project.rglob("*.cpp"), *project.rglob("*.c"))):
        if path.parent.name == "code_objects":
            parts.append(path)
        elif not path.name.startswith("merged_"):
            others.append(str(path.relative_to(project)))
    merged = []
    for k in range(min(n_files, len(parts))):
        source = merged_source([path.read_text().splitlines() for path in parts[k::n_files]])
        (project / f"merged_{k}.cpp").write_text(source)
        merged.append(f"merged_{k}.cpp")
    return others, merged


def _precompiled_headers(compiler, flags, cache):
    """
    Return the options that include precompiled headers, compiled first if they are not in the cache.

    They are an optimisation, so a compiler that cannot precompile headers gets no options; nor does clang, which wants the
    header where and when it was precompiled, and gains little.
    """
    command = [*compiler, *(flag for flag in flags if not flag.startswith("-I"))]
    version = output_of([*compiler, "--version"], CPP)
    if "clang" in version:
        return []
    key = hashlib.sha256("\0".join([HEADERS, version, *command]).encode()).hexdigest()[:32]
    folder = cache / f"headers_{key}"
    header = folder / "headers.h"
    try:
        if not is_intact(folder):
            with TemporaryDirectory(prefix=f"brainsnn_{process_mark()}_") as made:
                source, compiled = Path(made) / "headers.h", Path(made) / "headers.h.gch"
                source.write_text(HEADERS)
                run_compiler([*command, "-x", "c++-header", str(source), "-o", str(compiled)], made)
                keep(folder, {path.name: path for path in (source, compiled)})
        header.touch()  # records the last use
    except (OSError, RuntimeError):
        return []
    return ["-include", str(header)]


def compile_project(project, cache):
    """
    Compile a project with the flags of its makefile, only the code objects with full optimisation.

    Parameters
    ----------
    project : `~pathlib.Path`
        Folder that Brian2 wrote; the program in it is called ``main``.
    cache : `~pathlib.Path`
        Folder that keeps precompiled headers.

    Raises
    ------
    RuntimeError
        If the compiler fails; the message holds the end of its output.
    """
    makefile = makefile_variables(project)
    flags = split_command(makefile["CXXFLAGS"].replace("$(OPTIMISATIONS)", makefile["OPTIMISATIONS"]))
    # At link time this makes the program treat denormal numbers as 0, as the compiled code may assume.
    fast_math = [flag for flag in flags if flag == "-ffast-math"]
    others, merged = _merge_code_objects(project, os.cpu_count() or 1)
    if "objects.cpp" in others:
        # Thousands of assignments.
        path = project / "objects.cpp"
        path.write_text(f"{NOT_OPTIMISED}{path.read_text()}")
    others.sort(key=lambda source: source != "objects.cpp")
    sources = {**dict.fromkeys(others, (*flags, "-O1")), **dict.fromkeys(merged, tuple(flags))}
    _compile(
        project, cache, sources, ["-o", PROGRAM, "-pthread", *fast_math, *split_command(makefile.get("LFLAGS", ""))]
    )


def compile_library(project, cache, flags):
    """
    Compile all files of a folder into a shared library, ``library.so``.

    Parameters
    ----------
    project : `~pathlib.Path`
    cache : `~pathlib.Path`
        Folder that keeps precompiled headers.
    flags : list of str

    Raises
    ------
    RuntimeError
        If the compiler fails; the message holds the end of its output.
    """
    # Not -ffast-math when linking: it would change how all of this process treats denormal numbers.
    flags = [*flags, "-pthread"]
    sources = {path.name: ("-c", *flags, "-I.") for path in sorted(project.glob("part_*.cpp"))}
    _compile(
        project,
        cache,
        {**sources, "library.cpp": ("-c", *flags, "-I.", "-O1")},
        ["-shared", "-pthread", "-o", "library.so"],  # whatever the system would call it
    )


def _compile(project, cache, sources, link):
    """Compile files at once, each with its flags (dict of str to tuple of str), and link them. Says so: it takes seconds."""
    compiler, jobs, began = cpp_compiler(), os.cpu_count() or 1, time.monotonic()
    LOGGER.info(f"Compiling the network with {compiler[0]} ({len(sources)} files).")

    def compile_file(source):
        """Compile one file; without the precompiled headers if the compiler fails, so that its words are about this file."""
        command, end = [*compiler, *sources[source]], [source, "-o", f"{source}.o"]
        try:
            run_compiler([*command, *headers[sources[source]], *end], project)
        except RuntimeError:
            run_compiler([*command, *end], project)

    with ThreadPool(jobs) as pool:
        options = list(dict.fromkeys(sources.values()))
        headers = dict(zip(options, pool.starmap(_precompiled_headers, [(compiler, each, cache) for each in options])))
        pool.map(compile_file, sources, chunksize=1)
    run_compiler([*compiler, *(f"{source}.o" for source in sources), *link, *WHEN_LINKING], project)
    LOGGER.info(f"Compiled in {time.monotonic() - began:.1f} s.")
