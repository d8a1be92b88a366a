"""Running the trials of a network in C++ standalone mode: compiled once, then any number of images."""

import os
import secrets
import signal
import subprocess
import tempfile
import weakref
from dataclasses import replace
from pathlib import Path
from shutil import rmtree
from threading import Thread

import numpy as np
from brian2 import get_device, second
from brian2.core.variables import DynamicArrayVariable
from brian2.devices.cpp_standalone.device import CPPStandaloneDevice

from brainsnn.builders.codegen.codeobjects import ConnectionStandaloneCodeObject
from brainsnn.builders.devices.active_device import make_active, runtime_device
from brainsnn.builders.devices.backend import Backend
from brainsnn.builders.devices.brian_versions import SEED_GENERATORS, results_file, use_results
from brainsnn.builders.devices.program_cache import compiled_program
from brainsnn.builders.devices.standalone.assignments import AssignableArrays
from brainsnn.builders.devices.standalone.recordings import RecordingFiles, drain_code

__all__ = ["NetworkDevice", "StandaloneBackend"]

#: Connections and values that a user draws are those of the network's first run in each further one, and in each process.
SEED_CONSTRUCTION = f"""
    if (const char* directory = getenv("BRAINSNN_TRIALS"))
    {{
        using namespace brian;
        unsigned long trial_seed = 0;
        std::ifstream(std::string(directory) + "/construction_seed.txt") >> trial_seed;
        {SEED_GENERATORS}
    }}
"""


def _filled(target, values):
    """Values for all of a variable's array; the size of a vector is known to the program alone."""
    size = np.size(values) if isinstance(target, DynamicArrayVariable) else target.size
    return np.array(np.broadcast_to(np.ravel(values), size), dtype=target.dtype)


def trials_code(**parts):
    """
    The C++ code that runs all trials.

    Parameters
    ----------
    **parts : str
        Name of each place in ``templates/trials.cpp`` -> the code to put there.

    Returns
    -------
    code : str
    """
    return ConnectionStandaloneCodeObject.templater.env.get_template("trials.cpp").render(**parts)


class NetworkDevice(AssignableArrays, CPPStandaloneDevice):
    """A network's own C++ standalone device."""


class StandaloneBackend(Backend):
    """
    Trials in compiled programs, several of them at once if asked for.

    Every network has a Brian2 device of its own, so that several networks live side by side in one Python process.
    """

    name = "cpp_standalone"
    has_threads = True
    can_stream = True

    def __init__(self, threads=1):
        self.preferences = {"devices.cpp_standalone.openmp_threads": threads if threads > 1 else 0}
        self.device = self._make_device()
        self._values = {}
        self._persistent = []
        self._settable = {}
        self._construction_seed = secrets.randbits(32)
        self._program = None
        self._is_begun = False
        self._written = None
        self.directory = Path(tempfile.mkdtemp(prefix="brainsnn_"))
        weakref.finalize(self, rmtree, self.directory, ignore_errors=True)

    def _make_device(self):
        return NetworkDevice()

    def activate(self):
        """Make this network's device the active Brian2 device; objects added to the network must be made under it."""
        if get_device() is not self.device:
            make_active(self.device, build_on_run=False)

    def set_values(self, group, variable, values):
        """Keep an array for a group's variable; it is given to the program when it runs."""
        target = group.variables[variable]
        array = _filled(target, values)
        self._values[group.name, variable] = array
        self.device.live[target] = array

    def persist(self, owner, variable, values):
        """Name an array that a run changes for good, and the values with which the first run starts."""
        self._persistent.append((owner, variable))
        self.set_values(owner, variable, values)

    def get_values(self, group, variable):
        """A copy of the array that the next run starts with."""
        if (group.name, variable) in self._values:
            return self._values[group.name, variable].copy()
        return np.array(group.variables[variable].get_value(), copy=True)

    def run(self, objects, trials, processes, on_trial_done, on_record):
        """
        Run all trials; see `~brainsnn.builders.devices.runtime.RuntimeBackend.run` for the parameters.

        Returns
        -------
        arrays : dict
            Recorded states of all trials: (monitor name, variable name) -> (n_trials, n_steps, n_recorded) array.

        Raises
        ------
        ValueError
            If monitors of the user's would record in several processes, or an array was assigned to that is compiled in.
        RuntimeError
            If the network cannot be compiled, or if the program fails.
        """
        n_processes = max(1, min(processes, trials.n_trials))
        if n_processes > 1 and objects.added_monitors:
            raise ValueError(
                f"run: {', '.join(objects.added_monitors)} was added to the network and would hold the last process's "
                f"images alone, got processes={processes!r}. Use processes=1, or record with convert(record=...)."
            )
        self.build(objects)
        self._take_assigned()
        groups = objects.groups
        # Trials know populations by their Keras names, the program knows groups by their Brian2 names.
        shared, per_trial = (
            {(groups[name].name, variable): values for (name, variable), values in arrays.items()}
            for arrays in (trials.shared, trials.per_trial)
        )
        trials = replace(trials, shared=shared, per_trial=per_trial)
        bounds = np.linspace(0, trials.n_trials, n_processes + 1).astype(int)
        chunks = []
        for k, (first, last) in enumerate(zip(bounds[:-1], bounds[1:])):
            folder = self.directory / f"run_{k}"
            self._write_trials(folder, trials, range(first, last))
            chunks.append((folder, range(first, last)))
        recordings = self._recordings(objects.monitors, trials)
        for part, (folder, indices) in enumerate(chunks):
            recordings.link(folder, part, indices.start)
        self._execute(chunks, on_trial_done)
        self.device.forget_read()
        for variable in self.device.dynamic_arrays_2d:
            variable.size = (
                0,
                variable.size[1],
            )  # monitors of the user's: Brian2 takes the size of the first run for good
        for folder, _ in chunks:
            use_results(self.device, folder)
            for owner, variable in self._persistent:
                path = folder / "results" / results_file(self.device, owner.variables[variable])
                self.set_values(owner, variable, np.fromfile(path, owner.variables[variable].dtype))
        for trial, record in recordings.records(chunks):
            on_record(trial, record)
        return recordings.take_states()

    def _take_assigned(self):
        """Give the program what was assigned to variables since the last run."""
        for variable, array in self.device.assigned().items():
            name = f"{variable.owner.name}.{variable.name}"
            if name not in self._settable:
                raise ValueError(
                    f"run: {name} was assigned to, but is compiled into the program of device={self.name!r}. Assign to it "
                    "before the first run, and convert the network anew for that."
                )
            self._values[variable.owner.name, variable.name] = array
            self.device.array_cache[variable] = None  # what Brian2 knows from before the first run

    # Compiling

    @property
    def project(self):
        """Folder of the generated code (`~pathlib.Path`)."""
        return self.directory / "project"

    def build(self, objects):
        """
        Generate and compile the program of a network, unless that is done; see `~brainsnn.builders.devices.backend.Backend.build`.

        Raises
        ------
        RuntimeError
            If the compiler fails, or objects were added after the code was generated.
        """
        if self._written is None:
            self.write(objects)
        elif self._written != objects.names:
            raise RuntimeError(
                f"The network is compiled already and {', '.join(sorted(self._written ^ objects.names))} was added or removed "
                "since. Change the network before its first run, or convert it anew."
            )
        # Compiled again if that was interrupted, or if the cache was cleared meanwhile.
        if self._program is None or not self._program.exists():
            self._program = self._compiled()
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
            If that has been begun before, and failed or was interrupted.
        """
        if self._is_begun:
            raise RuntimeError(
                "Generating the code of this network has failed or was interrupted before; what is left of it would run "
                "twice. Convert the network anew."
            )
        self.activate()
        try:
            self._write(objects)
        finally:
            # Brian2 objects that the user makes from here on are none of this network's business.
            make_active(runtime_device)
        self._written = objects.names
        self._persistent += objects.learned
        delays = [pathway.variables["delay"] for pathway in objects.added_pathways]
        changed = [variable for variables in objects.state.values() for variable in variables.values()]
        self.device.close([*objects.assignable.values(), *delays], changed)

    def _write(self, objects):
        objects.network.run(0 * second, namespace={})
        self._is_begun = True
        self._insert_trials(objects.network, self._main_code(objects))
        self._drop_repeated_clock_settings()
        self.device.build(directory=str(self.project), compile=False, run=False)

    def _insert_trials(self, network, code):
        self.device.insert_code("after_start", SEED_CONSTRUCTION)
        self.device.insert_code("main", code)

    def _recordings(self, monitors, trials):
        """How the recordings of a run leave its programs."""
        return RecordingFiles(self.directory, monitors, trials)

    def _compiled(self):
        return compiled_program(self.project)

    def _drop_repeated_clock_settings(self):
        """
        Brian2 sets its default clock anew whenever a device becomes the active one; the program would differ, and be
        compiled again, with the order in which networks were made.
        """
        kept, last = [], None
        for entry in self.device.main_queue:
            if "defaultclock_dt" in repr(entry):
                if repr(entry) == last:
                    continue
                last = repr(entry)
            kept.append(entry)
        self.device.main_queue = kept

    def _main_code(self, objects):
        self._settable = objects.assignable
        settable = [self._entry(name, variable) for name, variable in self._settable.items()]
        settable += [
            self._persistent_entry(owner, name)
            for owner, name in self._persistent
            if f"{owner.name}.{name}" not in self._settable
        ]
        resets = [
            self._entry(f"{group}.{name}", variable)
            for group, variables in objects.state.items() for name, variable in variables.items()
        ]  # fmt: skip
        # Spikes of the last trial that are still under way
        forget = [
            f"for (auto* queue : {pathway.name}.queue) for (auto& spikes : queue->queue) spikes.clear();"
            for pathway in objects.added_pathways
        ]
        replays = objects.replays
        trains = {
            name: self.device.get_array_name(r.variables["train"], access_data=False) for name, r in replays.items()
        }
        return trials_code(
            settable="\n".join(settable),
            state="\n".join(resets),
            open_trains="\n".join(
                f'std::ifstream train_{name}(path + "/{name}.train", std::ios::binary);' for name in trains
            ),
            read_trains="\n".join(
                f"if (train_{name}) {{ {array}.resize(n_steps*{len(replays[name].target)}); "
                f"train_{name}.read((char*)&{array}[0], {array}.size()); }}"
                for name, array in trains.items()
            ),
            seed="\n".join([SEED_GENERATORS, *forget]),
            **drain_code(self.device, objects.network, objects.monitors),
        )

    def _entry(self, name, variable):
        array = self.device.get_array_name(variable, access_data=False)
        if isinstance(variable, DynamicArrayVariable):  # as long as there are synapses, which the program itself makes
            start, size = f"{array}.data()", f"{array}.size()"
        else:
            start, size = array, variable.size
        return f'        {{"{name}", (char*){start}, {size}*sizeof({array}[0])}},'

    def _persistent_entry(self, owner, name):
        """The settable array of a connection, which can be a vector (Synapses) or not."""
        variable = owner.variables[name]
        array = self.device.get_array_name(variable, access_data=False)
        n = len(self._values[owner.name, name])
        start = f"&{array}[0]"
        return f'        {{"{owner.name}.{name}", (char*){start}, {n}*sizeof({array}[0])}},'

    # Running

    def _write_trials(self, folder, trials, indices):
        rmtree(folder, ignore_errors=True)
        (folder / "results").mkdir(parents=True)
        (folder / "static_arrays").symlink_to(self.project / "static_arrays")
        shared = {**self._values, **trials.shared}
        per_trial = trials.per_trial
        shared = {key: values for key, values in shared.items() if key not in per_trial}
        counts = f"{indices[0]} {len(indices)} {trials.n_steps} {trials.piece}"
        lines = [f"{counts} {trials.dt!r} {len(shared)} {len(per_trial)}"]
        for k, ((group, variable), values) in enumerate(shared.items()):
            lines.append(f"{group}.{variable} shared_{k}")
            self._array(group, variable, values).tofile(folder / f"shared_{k}")
        for k, ((group, variable), values) in enumerate(per_trial.items()):
            lines.append(f"{group}.{variable} trial_{k}")
            with open(folder / f"trial_{k}", "wb") as file:
                for trial in indices:
                    self._array(group, variable, values(trial)).tofile(file)
        for name, train in trials.trains.items():
            with open(folder / f"{name}.train", "wb") as file:
                for trial in indices:
                    signs = np.asarray(train(trial), dtype=np.int8)
                    # Behind the end of the train nothing spikes.
                    np.pad(signs, [(0, trials.n_steps - len(signs)), (0, 0)]).tofile(file)
        (folder / "manifest.txt").write_text("\n".join(lines) + "\n")
        (folder / "construction_seed.txt").write_text(f"{self._construction_seed}\n")
        (folder / "seeds.txt").write_text("\n".join(str(trials.seed_of(trial)) for trial in indices) + "\n")

    def _array(self, group, variable, values):
        target = next(
            v for v in self.device.arrays if v.owner is not None and (v.owner.name, v.name) == (group, variable)
        )
        return _filled(target, values)

    def _command(self):
        return [str(self._program)]

    def _execute(self, chunks, on_trial_done):
        running = []
        for folder, indices in chunks:
            environment = {**os.environ, "BRAINSNN_TRIALS": str(folder), "LD_BIND_NOW": "1"}
            process = subprocess.Popen(
                self._command(),
                cwd=folder,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            running.append((process, indices))

        def listen(process):
            for line in process.stdout:
                if line == "trial\n":
                    on_trial_done()

        listeners = [Thread(target=listen, args=(process,), daemon=True) for process, _ in running]
        try:
            for listener in listeners:
                listener.start()
            for (process, _), listener in zip(running, listeners):
                errors = process.stderr.read()
                listener.join()
                if process.wait() != 0:
                    status = process.returncode
                    reason = errors.strip() or (signal.strsignal(-status) if status < 0 else None) or "no message"
                    raise RuntimeError(f"The compiled network stopped with exit status {status}: {reason}")
        finally:
            for process, _ in running:
                if process.poll() is None:
                    process.kill()
                    process.wait()
