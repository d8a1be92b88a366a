"""Compiled programs, kept by the content of their source."""

import hashlib
import os
import platform
import re
import shlex
import subprocess
import time
from multiprocessing.pool import ThreadPool
from pathlib import Path
from shutil import copyfile, rmtree

import brian2

from brainsnn.files import atomic_path

__all__ = [
    "cache_directory",
    "cached_programs",
    "clear_cache",
    "compiled_program",
    "makefile_variables",
    "merged_source",
    "run_compiler",
]


def cache_directory():
    """
    Where compiled programs are kept.

    Returns
    -------
    directory : `~pathlib.Path`
        ``$BRAINSNN_CACHE``, or ``brainsnn`` in the user's cache directory.
    """
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "brainsnn"
    return Path(os.environ.get("BRAINSNN_CACHE", default))


def cached_programs():
    """
    The compiled programs in the cache.

    Returns
    -------
    programs : list of (`~pathlib.Path`, int, float)
        Folder, size in bytes, and time of the last use in seconds since the epoch, the oldest first.
    """
    found = []
    for folder in cache_directory().glob("*"):
        files = [path.stat() for path in folder.iterdir()] if folder.is_dir() else []
        if files:
            found.append((folder, sum(file.st_size for file in files), max(file.st_mtime for file in files)))
    return sorted(found, key=lambda program: program[2])


def clear_cache(days=0.0):
    """
    Remove compiled programs; a network that wants one again compiles it again.

    Parameters
    ----------
    days : float
        Only those that have not been used for so many days.

    Returns
    -------
    n_bytes : int
        Disk space that was freed.

    Raises
    ------
    ValueError
        If ``days`` is negative.
    """
    if not days >= 0:
        raise ValueError(f"clear_cache: days={days!r} must be 0 or more.")
    limit = time.time() - days * 86400
    old = [(folder, size) for folder, size, used in cached_programs() if used <= limit]
    for folder, _ in old:
        rmtree(folder, ignore_errors=True)
    return sum(size for _, size in old)


def _machine():
    """What -march=native depends on."""
    try:
        flags = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("flags"))
    except (OSError, StopIteration):
        flags = platform.processor()
    return f"{platform.machine()} {flags}"


def _content_key(project, also=""):
    compiler = os.environ.get("CXX", "c++")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False).stdout
    digest = hashlib.sha256(f"{brian2.__version__}\n{version}\n{_machine()}\n{also}".encode())
    rename = _canonical_names()
    # brian2genn writes its counts of synapses in another order in each process; they follow from the other files.
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
        if match[0] not in names:
            counts[match[1]] = counts.get(match[1], 0) + 1
            names[match[0]] = f"{match[1]}_{counts[match[1]]}"
        return names[match[0]]

    pattern = re.compile(r"\b(\w+?_codeobject)(?:_\d+)?(?=\b|_before|_after|_profiling|_rand|_affer)")
    return lambda text: pattern.sub(canonical, text)


def merged_source(code_objects):
    """
    One source file from those of several code objects; most of their compile time goes into the same headers.

    Every code object keeps a namespace of its own, since each brings its own copy of the functions it uses.

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
    What the makefile that Brian2 wrote defines.

    Parameters
    ----------
    project : `~pathlib.Path`

    Returns
    -------
    variables : dict of str to str
    """
    return dict(re.findall(r"^(\w+) *= *(.*)$", (project / "makefile").read_text(), flags=re.MULTILINE))


def run_compiler(command, project, **environment):
    """
    Run a compiler, or what calls one, in the folder of a project.

    Parameters
    ----------
    command : list of str
    project : `~pathlib.Path`
    **environment : str
        Variables to be set for it.

    Raises
    ------
    RuntimeError
        If it fails; the message holds the end of what it said.
    """
    environment = {**os.environ, **environment}
    result = subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)
    if result.returncode != 0:
        raise RuntimeError(
            f"Compiling the network in {project} failed; {Path(command[0]).name} said:\n"
            f"{(result.stdout + result.stderr)[-3000:]}"
        )


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


def _compile(project):
    """Compile a project with the flags of its makefile, only the code objects with full optimisation."""
    makefile = makefile_variables(project)
    flags = shlex.split(makefile["CXXFLAGS"].replace("$(OPTIMISATIONS)", makefile["OPTIMISATIONS"]))
    # At link time this makes the program treat denormal numbers as 0, as the compiled code may assume.
    fast_math = [flag for flag in flags if flag == "-ffast-math"]
    compiler = os.environ.get("CXX", "c++")
    jobs = os.cpu_count() or 1
    others, merged = _merge_code_objects(project, jobs)

    def compile_file(source):
        run_compiler([compiler, *flags, *([] if source in merged else ["-O1"]), source, "-o", f"{source}.o"], project)

    with ThreadPool(jobs) as pool:
        pool.map(compile_file, [*sorted(others, key=lambda s: s != "objects.cpp"), *merged], chunksize=1)
    objects = [f"{source}.o" for source in (*others, *merged)]
    run_compiler([compiler, *objects, "-o", "main", *fast_math, *shlex.split(makefile.get("LFLAGS", ""))], project)


def compiled_program(project, build=None, products=("main",), also=""):
    """
    The program of a standalone project, compiled if it is not in the cache.

    The key is the content of all source files, the makefile, Brian2's version, the compiler and the processor. Two
    processes that want the same program at once both compile it and one of the equal results stays.

    Parameters
    ----------
    project : `~pathlib.Path`
        Directory that Brian2 wrote.
    build : callable, optional
        Makes the program from the project, the C++ compiler by default.
    products : tuple of str
        Files in the project that are to be kept, the program first.
    also : str
        What else the program depends on.

    Returns
    -------
    program : `~pathlib.Path`

    Raises
    ------
    RuntimeError
        If the compiler fails; the message holds the end of what it said.
    """
    folder = cache_directory() / _content_key(project, also)
    program = folder / "main"
    if program.exists():
        program.touch()  # the time of its last use
        return program
    if build is None:
        _compile(project)
    else:
        build()
    for product in reversed(products):  # the program last: where it is, the others are
        with atomic_path(folder / Path(product).name) as part:
            copyfile(project / product, part)
            part.chmod(0o755)
    return program
