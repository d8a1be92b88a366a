"""What differs between Brian2 versions, and what is read from or changed in Brian2's standalone device."""

import os
import re

from brian2 import prefs
from brian2.codegen import cpp_prefs
from brian2.codegen.cpp_prefs import get_compiler_and_args
from brian2.devices.cpp_standalone.codeobject import generate_rand_code
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

from brainsnn.builders.codegen.codeobjects import render
from brainsnn.builders.devices.programs import DISK_FULL
from brainsnn.system.compilers import FLAGS
from brainsnn.system.fallbacks import IS_POSIX

__all__ = [
    "HAS_STANDARD_GENERATORS",
    "check_result_files",
    "compiler_flags",
    "drop_repeated_clock_settings",
    "forget_refused_flags",
    "note_working_flags",
    "results_file",
    "use_results",
    "wanted_flags",
]

#: Whether standalone programs draw from C++'s standard library; older ones draw from NumPy's C library.
HAS_STANDARD_GENERATORS = "_random_generators" in generate_rand_code("rand", None)["support_code"]

# Newer devices can be told where the results are; older ones look in the project's folder.
_HAS_RESULTS_DIRECTORY = hasattr(CPPStandaloneDevice(), "results_dir")


def results_file(device, variable):
    """
    Return the name of the file into which a standalone program writes an array.

    Parameters
    ----------
    device : `~brian2.devices.cpp_standalone.device.CPPStandaloneDevice`
    variable : `~brian2.core.variables.ArrayVariable`

    Returns
    -------
    name : str
        Within the folder ``results`` of the program's working directory.
    """
    return os.path.basename(device.get_array_filename(variable))


def use_results(device, folder):
    """
    Let a device read arrays from the results of a program.

    Parameters
    ----------
    device : `~brian2.devices.cpp_standalone.device.CPPStandaloneDevice`
    folder : `~pathlib.Path`
        Working directory of the program.
    """
    if _HAS_RESULTS_DIRECTORY:
        device.results_dir = f"{folder / 'results'}{os.sep}"
    else:
        device.project_dir = str(folder)
    device.has_been_run = True


def drop_repeated_clock_settings(device):
    """
    Remove repeated settings of the default clock from what a device is going to write.

    Brian2 sets its default clock again whenever a device becomes the active one. Without this, the program would depend on
    the order in which networks were made, and be compiled again.

    Parameters
    ----------
    device : `~brian2.devices.cpp_standalone.device.CPPStandaloneDevice`
    """
    # Written for Brian2 2.5.4 to 2.11: entries of the main queue are (statement, arguments), the first argument is the array.
    array = device.get_array_name(device.defaultclock.variables["dt"], access_data=False)
    kept, last = [], None
    for entry in device.main_queue:
        what, arguments = entry
        if what.startswith("set_by_") and arguments[0] == array:
            if entry == last:
                continue
            last = entry
        kept.append(entry)
    device.main_queue = kept


def check_result_files(project):
    """
    Make a program fail if it cannot write its results; Brian2's code would end as if all were well.

    Parameters
    ----------
    project : `~pathlib.Path`
        Folder of the generated code.

    Returns
    -------
    n_files : int
        Number of result files that are checked.
    """
    # Written for Brian2 2.5.4 to 2.11: objects.cpp, or objects.cu, writes all arrays at the end.
    n_files = 0
    for path in [*project.rglob("objects.cpp"), *project.rglob("objects.cu")]:
        text, n_closed = re.subn(r"\b(outfile_\w+)\.close\(\);", r"close_results(\1);", path.read_text())
        text, n_opened = re.subn(r'std::cout << "Error writing [^;]*;', "results_not_written();", text)
        if n_closed:
            path.write_text(f"{render('result_files.cpp', disk_full=DISK_FULL)}\n{text}")
        n_files += min(n_closed, n_opened)
    return n_files


def forget_refused_flags():
    """
    Let Brian2 try again the flags that a compiler has refused in this process.

    It notes them whatever the reason and the compiler, and drops them in silence from then on: after a compiler that was
    missing, programs would be compiled without any flag.
    """
    # Written for Brian2 2.5.4 to 2.11: (compiler, flag) -> whether it can be used.
    known = cpp_prefs._compiler_flag_compatibility
    for key in [key for key, is_known in known.items() if not is_known]:
        del known[key]


def wanted_flags():
    """
    Return the flags with which Brian2 compiles if the compiler knows them.

    Returns
    -------
    flags : list of str
    """
    given = prefs.codegen.cpp.extra_compile_args
    return list(prefs.codegen.cpp.extra_compile_args_gcc if given is None else given)


def compiler_flags():
    """
    Return the flags with which GCC or clang compile: those of `wanted_flags` that Brian2 has found the compiler to know.

    Returns
    -------
    flags : list of str
    """
    if IS_POSIX:
        return get_compiler_and_args()[1]
    given = prefs.codegen.cpp.extra_compile_args
    return list(FLAGS if given is None else given)


def note_working_flags(compiler, flags):
    """
    Spare Brian2 from trying flags that are known to work, each with a run of the compiler.

    Parameters
    ----------
    compiler : `distutils.ccompiler.CCompiler`
    flags : list of str
    """
    command = " ".join(compiler.executables["compiler_cxx"])
    cpp_prefs._compiler_flag_compatibility.update({(command, flag): True for flag in flags})
