"""What the compiled devices share: a program that is built once and runs any number of trials."""

import os
import tempfile
import weakref
from abc import abstractmethod
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from shutil import rmtree

import numpy as np
from brian2 import NetworkOperation, SpikeMonitor, get_device
from brian2.core.variables import DynamicArrayVariable

from brainsnn.builders.devices.active_device import make_active, runtime_device
from brainsnn.builders.devices.backend import Backend
from brainsnn.builders.devices.brian_versions import check_result_files, results_file, use_results
from brainsnn.builders.devices.compiler_command import check_compiler, check_openmp, cpp_compiler
from brainsnn.builders.devices.cython_compiler import check_brian_compiler
from brainsnn.builders.devices.programs import run_programs
from brainsnn.builders.devices.trial_folder import write_trial_folder
from brainsnn.builders.network.arrays import assignable_arrays
from brainsnn.builders.network.assignments import watch
from brainsnn.builders.trials.divergence import divergence_error
from brainsnn.disk_space import disk_full_error, is_full
from brainsnn.errors import DeviceLimitError
from brainsnn.leftovers import process_mark, remove_leftovers
from brainsnn.memory import collection_paused
from brainsnn.system.disk import link_folder

__all__ = ["CompiledBackend"]


class CompiledBackend(Backend):
    """
    Trials in compiled programs, several of them at once if asked for.

    Every network has a Brian2 device of its own, so that several networks live side by side in one Python process. Images,
    onset times, seeds and parameters reach the program as files; it is never compiled again for them.

    Attributes
    ----------
    device : `~brian2.devices.cpp_standalone.device.CPPStandaloneDevice`
        A subclass of it, with `~brainsnn.builders.devices.standalone.assignments.AssignableArrays`.
    directory : `~pathlib.Path`
        Files of this network; removed with it.
    """

    has_processes = True

    def __init__(self, threads=1):
        self.device = self._make_device()
        self._values, self._initial = {}, {}
        self._persistent = []
        self._settable = {}
        self._program = self._program_state = None
        self._is_begun = False
        self._written = False
        remove_leftovers(tempfile.gettempdir())
        self.directory = Path(tempfile.mkdtemp(prefix=f"brainsnn_{process_mark()}_"))
        # The device lives as long as any of its objects: a monitor can be read after the network is gone.
        weakref.finalize(self.device, _remove_folder, self.directory, os.getpid())

    # What each device does in its own way

    @abstractmethod
    def _make_device(self):
        """Return a new Brian2 device for this network."""

    @abstractmethod
    def _write(self, objects):
        """Generate the code of a network, and set `_is_begun` once a second attempt would go wrong."""

    @abstractmethod
    def _compiled(self):
        """Return the path of the program, compiled if it is not in the cache."""

    @abstractmethod
    def _recordings(self, monitors, trials):
        """Return the object that reads the recordings of a run, with ``link``, ``records`` and ``take_states``."""

    def _compiled_in(self, network, changes):
        """Return the changes of settings, as `TrialNetwork.changes` returns them, that the program cannot take over."""
        return changes

    def _command(self):
        return [str(self._program)]

    def _write_trials(self, folder, trials, indices):
        write_trial_folder(folder, trials, indices, self._filled)
        link_folder(folder / "static_arrays", self.project / "static_arrays")

    # Values

    def activate(self):
        """Make this network's device the active Brian2 device; objects added to the network must be made under it."""
        if get_device() is not self.device:
            make_active(self.device, build_on_run=False)

    def set_values(self, group, variable, values):
        """Keep values for the next run; see `~brainsnn.builders.devices.backend.Backend.set_values`."""
        target = group.variables[variable]
        array = _filled(target, values)
        self._values[group.name, variable] = array
        self.device.input_arrays[target] = array

    def get_values(self, group, variable):
        """Return a copy of the values with which the next run starts (ndarray)."""
        if (group.name, variable) in self._values:
            return self._values[group.name, variable].copy()
        if initial := self._initial.get(f"{group.name}.{variable}"):
            return np.frombuffer(initial, group.variables[variable].dtype).copy()
        return np.array(group.variables[variable].get_value(), copy=True)

    def persist(self, owner, variable, values):
        """Keep what runs change; see `~brainsnn.builders.devices.backend.Backend.persist`."""
        self._persistent.append((owner, variable))
        self.set_values(owner, variable, values)

    def _filled(self, group, variable, values):
        target = next(
            v for v in self.device.arrays if v.owner is not None and (v.owner.name, v.name) == (group, variable)
        )
        return _filled(target, values)

    # The network that users hold

    def check_added(self, obj=None):
        """Refuse an object; see `~brainsnn.builders.devices.backend.Backend.check_added`."""
        if isinstance(obj, NetworkOperation):
            raise DeviceLimitError(
                f"network.add: {obj.name!r} calls a Python function, which a compiled program of device={self.name!r} cannot. "
                "Write it as statements of run_regularly(...), or convert with device='runtime'."
            )
        if self._written:
            what = "what is added" if obj is None else repr(obj.name)
            raise RuntimeError(
                f"network.add: the network is already compiled, so {what} would never run. Add objects before its first run: "
                "call convert() again, then add."
            )
        super().check_added(obj)

    # Building

    @property
    def project(self):
        """Folder of the generated code (`~pathlib.Path`)."""
        return self.directory / "project"

    def build(self, objects):
        """Generate and compile the program; see `~brainsnn.builders.devices.backend.Backend.build`."""
        if not self._written:
            try:
                check_brian_compiler()
                check_compiler(tuple(cpp_compiler()))
                if self.threads > 1:
                    check_openmp(tuple(cpp_compiler()))
            except RuntimeError:
                make_active(runtime_device)  # as after each error
                raise
            self.write(objects)
        elif changes := self._compiled_in(objects.network, objects.network.changes()):
            replaced = {name for name, what in changes if what == "object"}
            names = sorted(replaced | {f"{name}.{what}" for name, what in changes if name not in replaced})
            raise RuntimeError(
                f"The network is already compiled, and {', '.join(names)} was changed since. Change a network before its first "
                "run: undo the change, or call convert() again."
            )
        # Compiled again if that was interrupted, if the cache has been cleared, or if the program has changed.
        if self._program is None or _state(self._program) != self._program_state:
            self._program = self._compiled()
            self._program_state = _state(self._program)
        return self._program

    def write(self, objects):
        """
        Generate the code of a network, which needs no compiler.

        Parameters
        ----------
        objects : `~brainsnn.builders.network.objects.NetworkObjects`

        Raises
        ------
        RuntimeError
            If an earlier attempt failed or was interrupted.
        """
        if self._is_begun:
            raise RuntimeError(
                "Generating the code of this network failed or was interrupted before. What is left of that attempt would run "
                "twice: call convert() again."
            )
        for obj in objects.network.sorted_objects:
            self.check_device(obj, repr(obj.name))  # such as a run_regularly(..., dt=...)
        self.activate()
        # Written for Brian2 2.5.4 to 2.11: while it generates code, Brian2 forgets what the code changes.
        known = {variable: values.copy() for variable, values in self.device.array_cache.items() if values is not None}
        try:
            with collection_paused():
                self._write(objects)
            check_result_files(self.project)
        finally:
            # Brian2 objects that the user makes from now on do not belong to this network.
            make_active(runtime_device)
        self._written = True
        self._persistent += objects.learned
        arrays = [v for obj in objects.network.sorted_objects for v in assignable_arrays(obj).values()]
        arrays += objects.delays
        changed = [variable for variables in objects.state.values() for variable in variables.values()]
        self.device.close(arrays, changed, known)
        for variable in arrays:
            watch(variable, self)

    # Running

    def run(self, objects, trials, processes, on_trial_done, on_record):
        """Run all trials; see `~brainsnn.builders.devices.backend.Backend.run`."""
        n_processes = max(1, min(processes, trials.n_trials))
        if n_processes > 1 and objects.added_monitors:
            raise ValueError(
                f"run: {', '.join(objects.added_monitors)} was added to the network and would hold only the images of the last "
                f"process, got processes={processes!r}. Use processes=1, or record with convert(record=...)."
            )
        self.build(objects)
        trials = self._with_values(trials, objects.groups)
        bounds = np.linspace(0, trials.n_trials, n_processes + 1).astype(int)
        parts = [(self.directory / f"run_{k}", range(*bounds[k : k + 2])) for k in range(n_processes)]
        with self.device.running(), self._room_for(objects.monitors, trials):
            recordings = self._recordings(objects.monitors, trials)
            for part, (folder, indices) in enumerate(parts):
                self._write_trials(folder, trials, indices)
                if not self._initial:
                    (folder / "keep_initial").touch()
                recordings.link(folder, part, indices.start)
            try:
                run_programs(self._command(), [folder for folder, _ in parts], on_trial_done)
            except OSError as error:
                if not is_full(error) or trials.stream is None:
                    raise
                parts = [(folder, recordings.complete(folder, indices)) for folder, indices in parts]
                trials.stream.stop(error, [trial for _, indices in parts for trial in indices])
                _refuse_divergence(objects, [folder for folder, _ in parts])
                return self._recorded(recordings, parts, on_record)
        if not self._initial:
            self._initial = {
                path.name.removeprefix("initial_"): path.read_bytes() for path in parts[0][0].glob("initial_*")
            }
        self._use_results([folder for folder, _ in parts])
        _refuse_divergence(objects, [folder for folder, _ in parts])
        self._keep_persistent([folder for folder, _ in parts])
        return self._recorded(recordings, parts, on_record)

    def _recorded(self, recordings, parts, on_record):
        for trial, record in recordings.records(parts):
            on_record(trial, record)
        return recordings.take_states()

    @contextmanager
    def _room_for(self, monitors, trials):
        """Say what a run needed if the disk with this network's files becomes full."""
        try:
            yield
        except OSError as error:
            if not is_full(error):
                raise
            needed = trials.n_trials * trials.n_steps * sum(
                monitor.n_indices * np.dtype(monitor.variables[name].dtype).itemsize
                for monitor in monitors if not isinstance(monitor, SpikeMonitor)
                for name in monitor.record_variables
            )  # fmt: skip
            spikes = sum(file.stat().st_size for file in self.directory.glob("run_*/results/*"))
            raise disk_full_error(
                f"run: no space is left on the disk of {str(self.directory)!r} ({error.strerror}). The states of all images "
                f"need {needed / 2**20:.1f} MiB, and spikes had taken {spikes / 2**20:.1f} MiB by then. Free some space, record "
                "less, or set TMPDIR to a folder on a larger disk."
            ) from error

    def _with_values(self, trials, groups):
        """
        Return trials with all values, under Brian2's names of groups instead of the names of populations.

        The values are copies: what another thread assigns while the programs' files are written counts from the next run on.
        """
        shared, per_trial = (
            {(groups[name].name, variable): values for (name, variable), values in arrays.items()}
            for arrays in (trials.shared, trials.per_trial)
        )
        values = {key: array.copy() for key, array in self._values.items()}
        return replace(trials, shared={**values, **shared}, per_trial=per_trial)

    # Assignments, which `assignments.watch` reports

    def check_assignable(self, variable):
        """Refuse an assignment to an array that is compiled in."""
        name = f"{variable.owner.name}.{variable.name}"
        if name not in self._settable:
            raise ValueError(
                f"{name} is compiled into the program of device={self.name!r} and cannot be assigned to any more. Assign to it "
                "before the first run: call convert() again, then assign."
            )

    def note_assigned(self, variable, indices):
        """Start the next run with what was assigned to elements of an array."""
        if variable in self.device.input_arrays:
            return  # that array was changed in place
        key, current = (variable.owner.name, variable.name), self.device.get_value(variable)
        if key not in self._values:
            initial = self._initial.get(".".join(key))
            self._values[key] = current.copy() if initial is None else np.frombuffer(initial, variable.dtype).copy()
        self._values[key][indices] = current[indices]
        # Written for Brian2 2.5.4 to 2.11: the cache holds what Brian2 knows from before the first run.
        self.device.array_cache[variable] = None

    def _use_results(self, folders):
        """Let Brian2 read arrays from the results of the last program."""
        self.device.clear_values()
        for variable in self.device.dynamic_arrays_2d:
            # Written for Brian2 2.5.4 to 2.11: for the user's monitors, Brian2 would keep the size of the first run.
            variable.size = (0, variable.size[1])
        use_results(self.device, folders[-1])

    def _keep_persistent(self, folders):
        """Start the next run with what this one has learned."""
        for folder in folders:
            for owner, variable in self._persistent:
                path = folder / "results" / results_file(self.device, owner.variables[variable])
                self.set_values(owner, variable, np.fromfile(path, owner.variables[variable].dtype))


def _refuse_divergence(objects, folders):
    """Raise an error if a program has noted a state that is not finite; programs run successive trials."""
    for folder in folders:
        note = folder / "results" / "not_finite"
        if note.exists():
            trial, group, variable = note.read_text().split()
            raise divergence_error(objects.population_of(group), variable, int(trial))


def _state(program):
    """What changes with the content of a file; None if it does not exist."""
    try:
        status = program.stat()
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def _remove_folder(directory, process):
    """Remove a folder, unless this is a forked process: the folder belongs to its parent."""
    if os.getpid() == process:
        rmtree(directory, ignore_errors=True)


def _filled(target, values):
    """Values for all of a variable's array; only the program knows the size of a vector."""
    size = np.size(values) if isinstance(target, DynamicArrayVariable) else target.size
    return np.array(np.broadcast_to(np.ravel(values), size), dtype=target.dtype)
