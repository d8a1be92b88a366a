"""Recordings of programs that keep them to the end of a run, as GeNN's and CUDA's do."""

import numpy as np
from brian2 import SpikeMonitor

from brainsnn.builders.trials.trials import TrialRecord

__all__ = ["MonitorFiles"]


class MonitorFiles:
    """
    What monitors hold of all trials of a program, in one file for each variable, and where each trial ends in it.

    Parameters
    ----------
    monitors : list
    trials : `~brainsnn.builders.trials.trials.Trials`
    read : callable
        Gives the whole array of a variable of a monitor from the folder of a program.
    sort_spikes : bool
        Whether the spikes of a step stand in any order.

    See Also
    --------
    brainsnn.builders.devices.standalone.recordings.RecordingFiles : for programs that hand over each trial when it ends.
    """

    def __init__(self, monitors, trials, read, sort_spikes=False):
        self._monitors, self._trials, self._read, self._sort_spikes = monitors, trials, read, sort_spikes

    def link(self, folder, part, first):
        """Nothing to prepare: the program makes its files itself."""

    def take_states(self):
        """No states beside those of the records (dict)."""
        return {}

    def records(self, parts):
        """
        Read everything.

        Parameters
        ----------
        parts : list of (folder, range)
            Each program's folder and trials.

        Yields
        ------
        trial : int
        record : `~brainsnn.builders.trials.trials.TrialRecord`
        """
        for folder, trials in parts:
            shape = (len(trials), len(self._monitors))
            ends = np.fromfile(folder / "results" / "trial_ends", dtype=np.int64).reshape(shape)
            starts = np.vstack([np.zeros((1, len(self._monitors)), dtype=np.int64), ends[:-1]])
            arrays = {monitor.name: self._arrays(folder, monitor) for monitor in self._monitors}
            for k, trial in enumerate(trials):
                record = TrialRecord({}, {}, {})
                for m, monitor in enumerate(self._monitors):
                    self._add(record, monitor, arrays[monitor.name], slice(starts[k, m], ends[k, m]))
                yield trial, record

    def _arrays(self, folder, monitor):
        if isinstance(monitor, SpikeMonitor):
            names = ("i", "t") if monitor.record else ()
        else:
            names = monitor.record_variables
        return {name: self._read(folder, monitor.variables[name]) for name in names}

    def _add(self, record, monitor, data, part):
        if not isinstance(monitor, SpikeMonitor):
            width = monitor.n_indices
            record.states[monitor.name] = {name: values.reshape(-1, width)[part] for name, values in data.items()}
            return
        record.spike_counts[monitor.name] = int(part.stop - part.start)
        if monitor.record:
            neurons, steps = data["i"][part], np.rint(data["t"][part] / self._trials.dt).astype(np.int32)
            if self._sort_spikes:
                order = np.lexsort((neurons, steps))
                neurons, steps = neurons[order], steps[order]
            record.spikes[monitor.name] = (neurons, steps)
