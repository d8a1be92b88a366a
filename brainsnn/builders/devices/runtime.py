"""Run the trials of a network in Brian2's runtime mode."""

from contextlib import contextmanager

import numpy as np
from brian2 import SpikeMonitor, second, seed
from brian2.devices.device import RuntimeDevice, get_device

from brainsnn.builders.devices.active_device import make_active, runtime_device
from brainsnn.builders.devices.backend import Backend
from brainsnn.builders.trials.trials import TrialRecord

__all__ = ["RuntimeBackend"]


class RuntimeBackend(Backend):
    """Trials one after the other in this process, code objects compiled by Cython."""

    name = "runtime"
    can_stream = True

    def __init__(self, threads=1):
        #: Values of state variables at the start of each trial, and those that the last one left behind.
        self._initial, self._final = {}, {}

    def activate(self):
        """Make Brian2's runtime device the active one."""
        if not isinstance(get_device(), RuntimeDevice):
            make_active(runtime_device)

    def set_values(self, group, variable, values):
        """Write an array into a group's variable, at once."""
        group.variables[variable].get_value()[:] = values

    def get_values(self, group, variable):
        """A copy of the array of a group's variable."""
        return np.array(group.variables[variable].get_value(), copy=True)

    def run(self, objects, trials, processes, on_trial_done, on_record):
        """
        Run all trials.

        Parameters
        ----------
        objects : `~brainsnn.builders.network.objects.NetworkObjects`
        trials : `~brainsnn.builders.trials.trials.Trials`
        processes : int
            Has no effect here.
        on_trial_done : callable
            Called without arguments whenever a trial has ended, to show progress.
        on_record : callable
            Called with the index and the `~brainsnn.builders.trials.trials.TrialRecord` of each trial, or of each chunk of it,
            as soon as its recordings can be read.

        Returns
        -------
        arrays : dict
            Recorded states that were not passed to ``on_record``: none here.
        """
        self.activate()  # another network may have made its device the active one
        state = [variable for variables in objects.state.values() for variable in variables.values()]
        pathways = objects.added_pathways
        self._note_initial(state)
        for (group, variable), values in trials.shared.items():
            self.set_values(objects.groups[group], variable, values)
        with _random_numbers_kept(), self._note_final(state):
            for trial in range(trials.n_trials):
                for variable in state:
                    variable.get_value()[:] = self._initial[variable]
                for pathway in pathways:
                    _forget_spikes_under_way(pathway.queue)
                for (group, variable), values in trials.per_trial.items():
                    self.set_values(objects.groups[group], variable, values(trial))
                for name, train in trials.trains.items():
                    signs = train(trial).ravel()
                    objects.replays[name].variables["train"].resize(len(signs))
                    objects.replays[name].variables["train"].set_value(signs)
                seed(trials.seed_of(trial))
                self._run_trial(objects, trials, trial, on_record)
                on_trial_done()
        return {}

    def _note_initial(self, state):
        """Trials start from what the first run found, or from what the user has set since."""
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
        for first in range(0, trials.n_steps, trials.piece):
            last = min(first + trials.piece, trials.n_steps)
            for monitor in objects.monitors:
                _clear(monitor)
            # Set anew, so that rounding errors of the pieces do not add up.
            objects.network.t_ = first * trials.dt
            objects.network.run((last - first) * trials.dt * second, namespace={})
            record = _trial_record(objects.monitors, trials.dt)
            record.first_step, record.is_last = first, last == trials.n_steps
            on_record(trial, record)


@contextmanager
def _random_numbers_kept():
    """Give the generator that the user draws from, NumPy's and Brian2's, its state back."""
    device = get_device()
    state = device.get_random_state()
    try:
        yield
    finally:
        device.set_random_state(state)
        # What compiled code has drawn ahead are numbers of the last trial.
        device.rand_buffer_index[:] = device.randn_buffer_index[:] = 0


def _forget_spikes_under_way(queue):
    if hasattr(queue, "X"):  # Brian2's queue without Cython
        queue.n[:] = 0
    else:
        offset, spikes = queue._full_state()
        queue._restore_from_full_state((offset, [[] for _ in spikes]))


def _clear(monitor):
    monitor.resize(0)
    monitor.variables["N"].set_value(0)


def _trial_record(monitors, dt):
    record = TrialRecord({}, {}, {})
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
