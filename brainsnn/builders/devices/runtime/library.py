"""A network's code objects as a C++ library in this process: it works on the arrays of Python and runs many steps in one call."""

import ctypes
import os
import shlex
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import WeakValueDictionary

import brian2
import numpy as np
from brian2 import Clock
from brian2.core.functions import Function
from brian2.core.variables import ArrayVariable

from brainsnn.builders.devices.brian_versions import compiler_flags
from brainsnn.builders.devices.cache import cache_directory
from brainsnn.builders.devices.compiler import compile_library
from brainsnn.builders.devices.program_cache import compiled_program
from brainsnn.builders.devices.runtime.library_source import library_source
from brainsnn.builders.devices.runtime.memory import kept_memory
from brainsnn.builders.time_blocks.accesses import access_of, n_spiking, plan_codes
from brainsnn.builders.time_blocks.plan import block_steps
from brainsnn.errors import warn
from brainsnn.leftovers import process_mark
from brainsnn.system.compilers import FOR_LIBRARY

__all__ = ["Library"]

#: Seconds after which Python gets its turn again, to be interrupted.
TURN = 0.05

#: Headers of Brian2 that its templates include. Written for Brian2 2.5.4 to 2.11.
HEADERS = ("devices/cpp_standalone/brianlib/common_math.h", "synapses/stdint_compat.h")


class Library:
    """
    Code objects that are compiled into one library.

    The library has pointers to the arrays of Brian2's runtime device, so that everything that Python sees or changes between
    runs is what the steps work on. What monitors record grows in the library, and goes to their arrays after each call.

    Parameters
    ----------
    codes : list of (`~brian2.core.base.BrianObject`, `~brainsnn.builders.codegen.codeobjects.LibraryCodeObject`)
        Objects and their code.
    n_threads : int
        Threads that run blocks of code at once.

    Raises
    ------
    RuntimeError
        If the compiler fails; the message holds the end of its output.
    """

    #: The library whose arrays are attached, for each file: networks with equal code share it.
    _attached: WeakValueDictionary = WeakValueDictionary()

    def __init__(self, codes, n_threads=1):
        self.code_objects = [code for _, code in codes]
        self._codes = {code.name: (obj, code) for obj, code in codes}
        sets = (v for obj, code in codes for v in access_of(obj, code).sets)
        self._places, self._n_threads = list(dict.fromkeys((*sets, *_times(self.code_objects)))), n_threads
        files, self._functions, self._slots, self._records = library_source(
            self.code_objects, self._places, os.cpu_count() or 1
        )
        path = _compiled(files)
        self._path, self._c = str(path), ctypes.PyDLL(str(path))
        self._c.run.restype = ctypes.c_bool
        self._data = (ctypes.c_void_p * max(1, len(self._slots)))()
        self._sizes = (ctypes.c_size_t * max(1, len(self._slots)))()
        self._record_data = (ctypes.c_void_p * max(1, len(self._records)))()
        self._record_sizes = (ctypes.c_size_t * max(1, len(self._records)))()
        self._varying = [k for k, slot in enumerate(self._slots) if slot.varies]
        self._generator = np.zeros(self._c.generator_size() // 8 + 1, dtype=np.uint64)
        self.seed(0)
        self._fill(range(len(self._slots)))
        self._chunk, self._planned = block_steps(), (None, None)
        self.draws = any(
            isinstance(v, Function) and not v.stateless for each in self.code_objects for v in each.variables.values()
        )
        for code_object in self.code_objects:
            code_object.library = self

    def _fill(self, slots):
        for k in slots:
            array = self._slots[k].array
            values = array.get_value() if isinstance(array, ArrayVariable) else array
            self._data[k], self._sizes[k] = values.ctypes.data, values.size

    def _attach(self):
        self._fill(self._varying)
        self._c.attach(self._data, self._sizes, _pointer(self._generator))
        if Library._attached.get(self._path) is not self:
            self._c.forget()
            Library._attached[self._path] = self

    def begin(self):
        """Start a run: attach the arrays of this network, and forget what an interrupted run has recorded."""
        Library._attached.pop(self._path, None)
        self._attach()

    def seed(self, seed):
        """
        Seed the random numbers of this network.

        Parameters
        ----------
        seed : int
        """
        self._c.seed(_pointer(self._generator), ctypes.c_ulong(seed))

    def call(self, code_object, block):
        """
        Run a block of one code object, as Brian2 does in each step when Python functions act between them.

        Parameters
        ----------
        code_object : `~brainsnn.builders.codegen.codeobjects.LibraryCodeObject`
        block : {"run", "after_run"}
        """
        is_step = block == "run"
        if (is_step and self._varying) or Library._attached.get(self._path) is not self:
            self._attach()  # what acts in between can change lengths, or run another network
        self._c.call(self._functions[code_object.name, block])
        if is_step and self._records:
            self._take_records()

    def run(self, code_objects, n_steps, clock, is_stopped):
        """
        Run steps.

        Parameters
        ----------
        code_objects : list of `~brainsnn.builders.codegen.codeobjects.LibraryCodeObject`
            In the order in which they run in each step.
        n_steps : int
        clock : `~brian2.core.clocks.Clock`
            Advanced in each step.
        is_stopped : callable
            Asked after each call of the library whether to stop before the end: about every 50 ms, or after the steps of a
            block, or of eight for each thread, if these take longer.
        """
        plan = self._plan([each.name for each in code_objects], clock)
        time_arrays = [_pointer(clock.variables[name].get_value()) for name in ("timestep", "t", "dt")]
        while n_steps > 0 and not is_stopped():
            now, started = min(self._chunk, n_steps), time.perf_counter()
            if not self._c.run(*plan.arguments, ctypes.c_long(now), *time_arrays):
                warn(
                    f"The network runs in one thread, because the system does not give this process {self._n_threads}. Raise its "
                    "limit of threads or of memory (ulimit -u, ulimit -v, a container's pids), or convert with threads=1.",
                    RuntimeWarning,
                )
            if self._records:
                self._take_records()
            taken, n_steps = time.perf_counter() - started, n_steps - now
            if now == self._chunk:
                # A new call makes threads wait for each other.
                least = block_steps() * (1 if self._n_threads == 1 else 8 * self._n_threads)
                whole = int(now * TURN / max(taken, 1e-6)) // block_steps() * block_steps()
                self._chunk = max(least, min(2 * now, whole))

    def _plan(self, names, clock):
        """Return how to run these pieces of code in blocks of time, with memory for what blocks hand to each other."""
        if self._planned[0] != names:
            plan = plan_codes([self._codes[name] for name in names])
            functions = [self._functions[name, "run"] for name in names]
            self._planned = names, _BlockMemory(plan, functions, self._places, clock, self._n_threads)
        return self._planned[1]

    def _take_records(self):
        """Append what the library has recorded to the arrays of the monitors."""
        self._c.recorded(self._record_data, self._record_sizes)
        lengths = {}
        for k, record in enumerate(self._records):
            n = self._record_sizes[k]
            variable = record.variable
            if n:
                before = variable.get_value()
                size = n * before.dtype.itemsize
                values = np.frombuffer(ctypes.string_at(self._record_data[k], size), before.dtype)
                if record.is_rows:
                    values = values.reshape(-1, before.shape[1])
                    variable.resize((len(before) + len(values), before.shape[1]))
                else:
                    variable.resize(len(before) + n)
                variable.get_value()[len(before) :] = values
            lengths[variable.owner.name] = variable.owner, len(variable.get_value())
        self._c.forget()
        for owner, length in lengths.values():
            owner.variables["N"].set_value(length)


class _Given(ctypes.Structure):
    """An array that blocks hand to each other, as ``library.cpp`` takes it."""

    _fields_ = [
        ("place", ctypes.c_int64),
        ("array", ctypes.c_void_p),
        ("n_bytes", ctypes.c_size_t),
        ("n_neurons", ctypes.c_size_t),
        ("memory", ctypes.c_void_p),
    ]


class _BlockMemory:
    """A plan as arguments of the library's ``run``, and the memory that it needs."""

    def __init__(self, plan, functions, places, clock, n_threads):
        variables, n_threads = plan.arrays, min(n_threads, len(plan.blocks))
        numbers = np.array(plan.numbers(functions, {v: k for k, v in enumerate(variables)}), dtype=np.int32)
        arrays = [variable.get_value() for variable in variables]
        n_neurons = [n_spiking(variable) for variable in variables]
        n_steps = block_steps(n_threads * sum(a.nbytes for a, n in zip(arrays, n_neurons) if n == 0))
        # Also for the step before.
        memory = [kept_memory(n_threads * n_steps + 1, a.nbytes, sparse=n > 0) for a, n in zip(arrays, n_neurons)]
        given = (_Given * max(1, len(arrays)))()
        for k, (variable, array) in enumerate(zip(variables, arrays)):
            place = places.index(variable)
            given[k] = _Given(place, array.ctypes.data, array.nbytes, n_neurons[k], memory[k].ctypes.data)
        times = [clock.variables[name] for name in ("timestep", "t")]
        time_places = np.array([places.index(v) if v in places else -1 for v in times], dtype=np.int32)
        cost = np.zeros(len(plan.blocks))
        self._kept = numbers, memory, time_places, cost
        self.arguments = (
            _pointer(numbers), ctypes.c_size_t(len(numbers)), ctypes.c_long(n_steps), given, ctypes.c_size_t(len(arrays)),
            ctypes.c_long(n_threads), _pointer(cost), _pointer(time_places),
        )  # fmt: skip


def _pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def _times(code_objects):
    """Yield the variables in which code finds the time."""
    for code_object in code_objects:
        for variable in code_object.variables.values():
            if isinstance(variable, ArrayVariable) and isinstance(variable.owner, Clock) and variable.name != "dt":
                yield variable


def _compiled(files):
    """Return the path of a library, compiled if it is not in the cache."""
    flags = [*compiler_flags(), *FOR_LIBRARY]
    with TemporaryDirectory(prefix=f"brainsnn_{process_mark()}_") as folder:
        project = Path(folder)
        (project / "brianlib").mkdir()
        for header in HEADERS:
            source = Path(brian2.__file__).parent / header
            (project / "brianlib" / source.name).write_text(source.read_text())
        for name, text in files.items():
            (project / name).write_text(text)
        return compiled_program(
            project,
            build=lambda: compile_library(project, cache_directory(), flags),
            products=("library.so",),
            extra_key=shlex.join(flags),
        )
