"""Run the trials of a network in Brian2's runtime mode."""

from contextlib import contextmanager

import numpy as np
from brian2 import SpikeMonitor, second, seed
from brian2.devices.device import RuntimeDevice, get_device

from brainsnn.builders.devices.active_device import active, make_active, runtime_device
from brainsnn.builders.devices.backend import Backend
from brainsnn.builders.devices.cython_compiler import check_cython, compiler_error
from brainsnn.builders.network.declared_state import DeclaredState
from brainsnn.builders.trials.divergence import all_finite, divergence_error
from brainsnn.builders.trials.trials import TrialRecord
from brainsnn.disk_space import is_full

__all__ = ["RuntimeBackend"]


class RuntimeBackend(Backend):
    """Trials one after the other in this process, code objects compiled by Cython."""

    name = "runtime"
    can_stream = True

    #: Of the arrays of its objects.
    device = runtime_device

    def __init__(self, threads=1):
        self._declared = self._objects = None

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
        """Keep what trials start from, for these objects."""
        self._objects = objects

    def before_preparing(self):
        """Note what trials start from, before anything can change it."""
        if self._objects is not None:
            self._declared.note(v for variables in self._objects.state.values() for v in variables.values())

    def before_compiling(self):
        """Refuse a compiler that does not work; see `~brainsnn.builders.devices.backend.Backend.before_compiling`."""
        check_cython()

    def compiler_error(self, error):
        """Explain an error of Cython; see `~brainsnn.builders.devices.backend.Backend.compiler_error`."""
        return compiler_error(error)

    @contextmanager
    def by_hand(self, what):
        """Let the user run, store or restore the network, which changes nothing of what trials start from."""
        with active(runtime_device), self._declared.running():
            yield

    # Running

    def run(self, objects, trials, processes, on_trial_done, on_record):
        """Run all trials in this process; see `~brainsnn.builders.devices.backend.Backend.run`."""
        self.activate()  # another network may have made its device the active one
        for obj in objects.added:
            if obj.name in objects.added_monitors:  # they hold one run, as in a compiled program
                _clear_monitor(obj)
        with _random_state_restored(), self._declared.running(), objects.network.trials():
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
