"""Run the trials of a network in this process, in Brian2's runtime mode."""

from contextlib import contextmanager
from threading import RLock

import numpy as np
from brian2 import BrianObject, SpikeMonitor, prefs, second, seed
from brian2.devices.device import RuntimeDevice, get_device
from brian2.synapses.synapses import SynapticPathway

from brainsnn.builders.codegen.codeobjects import LibraryCodeObject
from brainsnn.builders.devices.active_device import active, make_active, preferences, runtime_device
from brainsnn.builders.devices.backend import Backend
from brainsnn.builders.devices.compiler_command import check_compiler, cpp_compiler
from brainsnn.builders.devices.cython_compiler import (
    check_brian_compiler,
    check_cython,
    check_translated,
    compiler_error,
)
from brainsnn.builders.devices.runtime.library import Library
from brainsnn.builders.devices.runtime.memory import place_arrays
from brainsnn.builders.network.arrays import own_arrays
from brainsnn.builders.network.declared_state import DeclaredState
from brainsnn.builders.trials.divergence import all_finite, divergence_error
from brainsnn.builders.trials.trials import TrialRecord
from brainsnn.disk_space import is_full
from brainsnn.equations.checks import innermost
from brainsnn.memory import collection_paused
from brainsnn.system.processes import after_fork

__all__ = ["RuntimeBackend"]


#: How the code of a library is generated: by Brian2's C++ target, for one thread.
LIBRARY = {"codegen.target": LibraryCodeObject.class_name, "devices.cpp_standalone.openmp_threads": 0}


class RuntimeBackend(Backend):
    """
    Trials one after the other in this process.

    All code is compiled into one `~brainsnn.builders.devices.runtime.library.Library`, which runs many steps in one call. Python
    functions, synapses with one object for each connection, and objects with a clock of their own need Brian2 between the
    steps; it then calls the library for each object. What only Brian2 can compile, it compiles with Cython.
    """

    name = "runtime"
    has_threads = True
    can_stream = True

    #: Of the arrays of its objects.
    device = runtime_device

    #: Held while a network runs. The random numbers of Brian2, and of a library that equal networks share, belong to the process.
    _turn = RLock()

    def __init__(self, threads=1):
        self._declared = self._objects = self._library = None
        self._is_by_hand = False

    def activate(self):
        """Make Brian2's runtime device the active one."""
        if not isinstance(get_device(), RuntimeDevice):
            make_active(runtime_device)

    def set_values(self, group, variable, values):
        """Write values into a group's variable at once; see `~brainsnn.builders.devices.backend.Backend.set_values`."""
        self._declared.set(group.variables[variable], values)

    def get_values(self, group, variable):
        """Return a copy of the values with which the next run starts (ndarray)."""
        variable = group.variables[variable]
        return np.array(self._declared[variable] if variable in self._declared else variable.get_value(), copy=True)

    def build(self, objects):
        """Return None: there is no program, and Brian2 compiles code objects at the first run."""

    # The network that users hold

    def own_objects(self, clock):
        """Return the object that keeps what trials start from."""
        self._declared = DeclaredState(clock)
        return [self._declared]

    def follow(self, objects):
        """Keep what trials start from, for these objects, and place their arrays."""
        self._objects = objects
        place_arrays(variable for obj in objects.network.sorted_objects for variable in own_arrays(obj).values())

    def before_preparing(self):
        """Note what trials start from, before anything can change it."""
        if self._objects is not None:
            self._declared.note(v for variables in self._objects.state.values() for v in variables.values())

    def before_compiling(self):
        """Refuse a compiler that does not work; see `~brainsnn.builders.devices.backend.Backend.before_compiling`."""
        check_brian_compiler()
        check_compiler(tuple(cpp_compiler()))

    def prepare_object(self, obj, namespace):
        """Generate code for the library, or leave the object to Brian2 and Cython if it cannot run in a library."""
        # The queue of a pathway is Brian2's. A target that the user has chosen, such as "numpy", is used.
        if not isinstance(obj, SynapticPathway) and prefs.codegen.target == "auto":
            try:
                with preferences(LIBRARY):
                    obj.before_run(namespace)
                return
            except Exception as error:
                if not _needs_cython(error):
                    raise
        check_cython()
        obj.before_run(namespace)
        check_translated(_code_objects(obj))

    def before_running(self, network):
        """Compile the library if code is new, and attach the arrays of this network."""
        codes = [(obj, code) for obj in network.sorted_objects for code in _code_objects(obj)]
        codes = [(obj, code) for obj, code in codes if isinstance(code, LibraryCodeObject)]
        if self._library is None or self._library.code_objects != [code for _, code in codes]:
            with collection_paused():
                self._library = Library(codes, self.threads)
        self._library.begin()
        if self._is_by_hand and self._library.draws:
            self._library.seed(int(np.random.randint(2**32, dtype=np.uint32)))  # noqa: NPY002  (set by Brian2's seed)

    def run_steps(self, network, duration):
        """Run many steps in each call of the library; see `~brainsnn.builders.devices.backend.Backend.run_steps`."""
        acting = [obj for obj in network.sorted_objects if obj.active]
        codes = [code for obj in acting for code in _code_objects(obj)]
        clocks = {obj.clock for obj in network.sorted_objects}
        if (
            len(clocks) > 1
            or any(type(obj).run is not BrianObject.run for obj in acting)
            or not all(isinstance(code, LibraryCodeObject) for code in codes)
        ):
            return False
        (clock,) = clocks
        n_steps = _set_clock(clock, network.t_, float(duration))
        end = network.t_ + float(duration)
        network.before_run({})
        self._library.run(codes, n_steps, clock, lambda: network.is_stopped)
        network.t_ = clock.t_ if network.is_stopped else end
        network.after_run()
        return True

    def compiler_error(self, error):
        """Explain an error of Cython; see `~brainsnn.builders.devices.backend.Backend.compiler_error`."""
        return compiler_error(error)

    @contextmanager
    def by_hand(self, what):
        """Let the user run, store or restore the network, which changes nothing of what trials start from."""
        with self._turn, active(runtime_device), self._declared.running():
            self._is_by_hand = True
            try:
                yield
            finally:
                self._is_by_hand = False

    # Running

    def run(self, objects, trials, processes, on_trial_done, on_record):
        """Run all trials in this process; see `~brainsnn.builders.devices.backend.Backend.run`."""
        with self._turn:
            return self._run(objects, trials, on_trial_done, on_record)

    def _run(self, objects, trials, on_trial_done, on_record):
        self.activate()  # another network may have made its device the active one
        for obj in objects.added:
            if obj.name in objects.added_monitors:  # they hold one run, as in a compiled program
                _clear_monitor(obj)
        with _random_state_restored(), self._declared.running(), objects.network.trials():
            self.before_running(objects.network)
            state = [variable for variables in objects.state.values() for variable in variables.values()]
            # Also what objects have changed that were removed since, such as parameters of populations.
            start = {variable: self._declared[variable] for variable in {*self._declared, *state} - objects.persistent}
            start |= {_variable(objects, key): values for key, values in trials.shared.items()}
            for variable, values in start.items():
                variable.get_value()[:] = values
            checked = [entry for entry in objects.checked if all_finite(entry[2].get_value())]
            kept = [variable for _, _, variable in checked if variable not in start]
            with _kept_on_divergence(kept) as restore:
                for trial in range(trials.n_trials):
                    self._start_trial(objects, trials, trial, {variable: start[variable] for variable in state})
                    try:
                        self._run_trial(objects, trials, trial, on_record)
                    except OSError as error:
                        if not is_full(error) or trials.stream is None:
                            raise
                        trials.stream.stop(error, range(trial))
                        restore()
                        return {}
                    for group, name, variable in checked:
                        if not all_finite(variable.get_value()):
                            raise divergence_error(objects.population_of(group), name, trial)
                    on_trial_done()
        return {}

    def _start_trial(self, objects, trials, trial, start):
        for variable, values in start.items():
            variable.get_value()[:] = values
        for pathway in objects.pathways:
            _clear_queue(pathway.queue)
        for key, values in trials.per_trial.items():
            _variable(objects, key).get_value()[:] = values(trial)
        for name, train in trials.trains.items():
            signs = train(trial).ravel()
            objects.replays[name].variables["train"].resize(len(signs))
            objects.replays[name].variables["train"].set_value(signs)
        seed(trials.seed_of(trial))
        self._library.seed(trials.seed_of(trial))

    def _run_trial(self, objects, trials, trial, on_record):
        for first in range(0, trials.n_steps, trials.chunk_steps):
            last = min(first + trials.chunk_steps, trials.n_steps)
            for monitor in objects.monitors:
                _clear_monitor(monitor)
            # Set t for each chunk: adding up chunk lengths would accumulate rounding errors.
            objects.network.t_ = first * trials.dt
            objects.network.run_trial((last - first) * trials.dt * second)
            if objects.network.is_stopped:
                raise RuntimeError(
                    f"run: the network was stopped with stop() in image {trial} at {objects.network.t}, and a result holds whole "
                    "trials. Give a shorter duration, or run by hand: snn.network.run(...)."
                )
            on_record(trial, _trial_record(objects.monitors, trials.dt, first))


def _forget_turn():
    """Forget, in a process that was forked, that a thread of its parent was running a network."""
    RuntimeBackend._turn = RLock()


after_fork(_forget_turn)


def _set_clock(clock, start, duration):
    """Set a clock to a time in seconds, and return the number of its steps in a duration."""
    dt = clock.dt_
    first, n_steps = round(start / dt), round(duration / dt)
    is_changed = getattr(clock, "_old_dt", None) is not None
    if is_changed or max(abs(first - start / dt), abs(n_steps - duration / dt)) > 1e-9:
        clock.set_interval(start * second, (start + duration) * second)  # which rounds, or refuses
        return int(clock._i_end - clock.variables["timestep"].get_value()[0])  # Brian2 2.5.4 to 2.11
    # As set_interval does, which also writes a text for Brian2's log, for a millisecond.
    clock.variables["timestep"].get_value()[0] = first
    clock.variables["t"].get_value()[0] = first * dt
    return n_steps


def _code_objects(obj):
    """Return the code objects of a Brian2 object, which keeps weak proxies of them."""
    return [code.run_block.__self__ for code in obj.code_objects]


def _needs_cython(error):
    """Return whether an object cannot be in a library: it prepares each run, or a function has no C++ implementation."""
    # Written for Brian2 2.5.4 to 2.11: the words of its error.
    cause = innermost(error)
    is_missing = isinstance(cause, KeyError) and "No implementation available" in str(cause)
    return is_missing or isinstance(cause, NotImplementedError)


def _variable(objects, key):
    group, variable = key
    return objects.groups[group].variables[variable]


@contextmanager
def _random_state_restored():
    """Restore the state of the user's random numbers, NumPy's and Brian2's."""
    device = get_device()
    state = device.get_random_state()
    try:
        yield
    finally:
        device.set_random_state(state)


@contextmanager
def _kept_on_divergence(variables):
    """Restore arrays that persist, such as weights, if a run diverges: what it learned is of no use."""
    before = {variable: variable.get_value().copy() for variable in variables}

    def restore():
        """Put the values from before back."""
        for variable, values in before.items():
            variable.get_value()[:] = values

    try:
        yield restore
    except FloatingPointError:
        restore()
        raise


def _clear_queue(queue):
    # Written for Brian2 2.5.4 to 2.11: SpikeQueue has no method that clears it.
    if hasattr(queue, "X"):  # the queue that Brian2 uses without Cython
        queue.n[:] = 0
    else:
        offset, spikes = queue._full_state()
        queue._restore_from_full_state((offset, [[] for _ in spikes]))


def _clear_monitor(monitor):
    monitor.resize(0)
    monitor.variables["N"].set_value(0)
    if "count" in monitor.variables:
        monitor.variables["count"].set_value(0)


def _trial_record(monitors, dt, first_step):
    record = TrialRecord({}, {}, {}, first_step)
    for monitor in monitors:
        if isinstance(monitor, SpikeMonitor):
            record.spike_counts[monitor.name] = int(monitor.variables["N"].get_value()[0])
            if monitor.record:
                steps = np.rint(monitor.variables["t"].get_value() / dt).astype(np.int32)
                record.spikes[monitor.name] = (monitor.variables["i"].get_value().copy(), steps)
        else:
            record.states[monitor.name] = {
                name: monitor.variables[name].get_value().copy() for name in monitor.record_variables
            }
    return record
