"""Run the trials of a network in Brian2's runtime mode."""

from contextlib import contextmanager

import numpy as np
from brian2 import SpikeMonitor, second, seed
from brian2.devices.device import RuntimeDevice, get_device

from brainsnn.builders.devices.active_device import make_active, runtime_device
from brainsnn.builders.devices.backend import Backend
from brainsnn.builders.trials.divergence import all_finite, divergence_error
from brainsnn.builders.trials.trials import TrialRecord

__all__ = ["RuntimeBackend"]


class RuntimeBackend(Backend):
    """Trials one after the other in this process, code objects compiled by Cython."""

    name = "runtime"
    can_stream = True

    def __init__(self, threads=1):
        #: Values of state variables at the start of each trial, and those at the end of the last one.
        self._initial, self._final = {}, {}

    def activate(self):
        """Make Brian2's runtime device the active one."""
        if not isinstance(get_device(), RuntimeDevice):
            make_active(runtime_device)

    def set_values(self, group, variable, values):
        """Write values into a group's variable at once; see `~brainsnn.builders.devices.backend.Backend.set_values`."""
        group.variables[variable].get_value()[:] = values

    def get_values(self, group, variable):
        """Return a copy of the values of a group's variable (ndarray)."""
        return np.array(group.variables[variable].get_value(), copy=True)

    def build(self, objects):
        """Return None: there is no program, and Brian2 compiles code objects at the first run."""

    def run(self, objects, trials, processes, on_trial_done, on_record):
        """Run all trials in this process; see `~brainsnn.builders.devices.backend.Backend.run`."""
        self.activate()  # another network may have made its device the active one
        state = [variable for variables in objects.state.values() for variable in variables.values()]
        pathways = objects.added_pathways
        for obj in objects.added:
            if obj.name in objects.added_monitors:  # they hold one run, as in a compiled program
                _clear_monitor(obj)
        self._note_initial(state)
        checked = [entry for entry in objects.checked if all_finite(self._initial.get(entry[2], entry[2].get_value()))]
        kept = [variable for _, _, variable in checked if variable not in self._initial]
        for (group, variable), values in trials.shared.items():
            self.set_values(objects.groups[group], variable, values)
        with _random_state_restored(), _kept_on_divergence(kept), self._note_final(state):
            for trial in range(trials.n_trials):
                for variable in state:
                    variable.get_value()[:] = self._initial[variable]
                for pathway in pathways:
                    _clear_queue(pathway.queue)
                for (group, variable), values in trials.per_trial.items():
                    self.set_values(objects.groups[group], variable, values(trial))
                for name, train in trials.trains.items():
                    signs = train(trial).ravel()
                    objects.replays[name].variables["train"].resize(len(signs))
                    objects.replays[name].variables["train"].set_value(signs)
                seed(trials.seed_of(trial))
                self._run_trial(objects, trials, trial, on_record)
                for group, name, variable in checked:
                    if not all_finite(variable.get_value()):
                        raise divergence_error(objects.population_of(group), name, trial)
                on_trial_done()
        return {}

    def _note_initial(self, state):
        """Trials start from the values before the first run, or from what the user has set since."""
        for variable in state:
            values = variable.get_value()
            if variable not in self._final or not np.array_equal(values, self._final[variable], equal_nan=True):
                self._initial[variable] = values.copy()

    @contextmanager
    def _note_final(self, state):
        try:
            yield
        finally:
            self._final = {variable: variable.get_value().copy() for variable in state}

    def _run_trial(self, objects, trials, trial, on_record):
        for first in range(0, trials.n_steps, trials.chunk_steps):
            last = min(first + trials.chunk_steps, trials.n_steps)
            for monitor in objects.monitors:
                _clear_monitor(monitor)
            # Set t for each chunk: adding up chunk lengths would accumulate rounding errors.
            objects.network.t_ = first * trials.dt
            objects.network.run((last - first) * trials.dt * second, namespace={})
            on_record(trial, _trial_record(objects.monitors, trials.dt, first))


@contextmanager
def _random_state_restored():
    """Restore the state of the user's random numbers, NumPy's and Brian2's."""
    device = get_device()
    state = device.get_random_state()
    try:
        yield
    finally:
        device.set_random_state(state)
        # Written for Brian2 2.5.4 to 2.11: discard what compiled code has drawn in advance, numbers of the last trial.
        device.rand_buffer_index[:] = device.randn_buffer_index[:] = 0


@contextmanager
def _kept_on_divergence(variables):
    """Restore arrays that persist, such as weights, if a run diverges: what it learned is of no use."""
    before = {variable: variable.get_value().copy() for variable in variables}
    try:
        yield
    except FloatingPointError:
        for variable, values in before.items():
            variable.get_value()[:] = values
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
