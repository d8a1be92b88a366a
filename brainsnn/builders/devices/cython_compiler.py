"""The compiler that Brian2 finds for Cython, and tries its flags with: an error that says what is wrong with it."""

import os
import sys
import sysconfig
import traceback
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from brian2.codegen.runtime.cython_rt import CythonCodeObject
from brian2.utils.logger import catch_logs

from brainsnn.builders.devices.brian_versions import forget_refused_flags, note_working_flags, wanted_flags
from brainsnn.builders.devices.compiler_command import check_compiler
from brainsnn.system.fallbacks import IS_POSIX

__all__ = ["check_brian_compiler", "check_cython", "check_translated", "compiler_error"]

#: What to do if Cython's compiler cannot be run or fails.
CYTHON = (
    "Install a C++ compiler and Python's headers (Debian and Ubuntu: apt install g++ python3-dev; macOS: xcode-select "
    "--install), or set CC and CXX to such a compiler."
)


def check_brian_compiler():
    """
    Refuse a compiler with which Brian2 could not find out which flags can be used: it would use none, in silence.

    Raises
    ------
    RuntimeError
        The message holds the command, its output and the fix.
    """
    forget_refused_flags()
    if not IS_POSIX:
        return
    from distutils.ccompiler import new_compiler
    from distutils.sysconfig import customize_compiler

    compiler = new_compiler()
    try:
        customize_compiler(compiler)
    except ValueError as error:
        given = ", ".join(f"{name}={os.environ[name]!r}" for name in ("CC", "CXX", "CFLAGS") if name in os.environ)
        raise RuntimeError(f"The environment variables {given} are not commands: {error}. {CYTHON}") from None
    # The first compiles; newer versions of setuptools have another one for C++. The last links.
    found = compiler.compiler_so, getattr(compiler, "compiler_so_cxx", compiler.compiler_so), compiler.compiler_cxx
    commands, flags = dict.fromkeys(map(tuple, found)), wanted_flags()
    try:
        for command in commands:
            check_compiler((*command, *flags), CYTHON)
    except RuntimeError:  # Brian2 tries the flags one by one if it is a flag that fails
        for command in commands:
            check_compiler(command, CYTHON)
    else:
        note_working_flags(compiler, flags)


def check_cython():
    """
    Refuse to compile with Cython if its compiler fails, unless Brian2 has everything in its cache.

    Without this, Brian2 would warn of each flag, fall back to NumPy and fail at the first of our own objects.

    Raises
    ------
    RuntimeError
        The message holds the command, its output and the fix.
    """
    try:
        _check_everything()
    except RuntimeError:
        with catch_logs(), redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            is_available = CythonCodeObject.is_available()
        forget_refused_flags()
        if not is_available:
            raise


def _check_everything():
    check_brian_compiler()
    header = Path(sysconfig.get_path("include")) / "Python.h"
    if IS_POSIX and not header.is_file():
        raise RuntimeError(f"There is no {header}, one of the headers of Python {sys.version.split()[0]}. {CYTHON}")


def check_translated(code_objects):
    """
    Refuse code that Cython could not translate: Brian2 prints why, and skips it in each step.

    Parameters
    ----------
    code_objects : list of `~brian2.codegen.codeobject.CodeObject`

    Raises
    ------
    ValueError
    """
    # Written for Brian2 2.5.4 to 2.11: there is code, and nothing to be run.
    if any(isinstance(code, CythonCodeObject) and code.compiled_code["run"] is None for code in code_objects):
        raise ValueError(
            "Cython cannot translate its code, and has printed why. Perhaps a name means something in Cython, such as 'range' or "
            "'len': use another one."
        )


def compiler_error(error):
    """
    Return the error of a compiler that failed while Brian2 prepared an object.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    error : RuntimeError or None
        None if it was raised somewhere else.
    """
    # Written for Brian2 2.5.4 to 2.11: this module calls Cython and the compiler.
    frames = [frame for cause in _causes(error) for frame in traceback.extract_tb(cause.__traceback__)]
    if any(frame.name == check_cython.__name__ for frame in frames):
        return error
    if not any(Path(frame.filename).name == "extension_manager.py" for frame in frames):
        return None
    try:
        check_compiler.cache_clear()
        _check_everything()
    except RuntimeError as found:
        return found
    return RuntimeError(f"Compiling with Cython failed: {list(_causes(error))[-1]}. {CYTHON}")


def _causes(error):
    while error is not None:
        yield error
        error = error.__cause__
