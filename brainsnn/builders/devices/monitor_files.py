"""Recordings of programs that keep them until the end of a run, as those of GeNN and CUDA do."""

import numpy as np
from brian2 import SpikeMonitor

from brainsnn.builders.trials.trials import TrialRecord
from brainsnn.disk_space import disk_full_error

__all__ = ["MonitorFiles"]


class MonitorFiles:
    """
    The recordings of all trials of a program: one file for each variable, and where each trial ends in it.

    Parameters
    ----------
    monitors : list
    trials : `~brainsnn.builders.trials.trials.Trials`
    read : callable
        ``read(folder, variable)`` returns the whole array of a monitor's variable.
    sort_spikes : bool
        Whether the spikes of a step can be in any order.

    See Also
    --------
    brainsnn.builders.devices.standalone.recordings.RecordingFiles : for programs that write each trial when it ends.
    """

    def __init__(self, monitors, trials, read, sort_spikes=False):
        self._monitors, self._trials, self._read, self._sort_spikes = monitors, trials, read, sort_spikes

    def link(self, folder, part, first):
        """Do nothing: the program makes its files itself."""

    def take_states(self):
        """Return no states beside those of the records (dict)."""
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
            ends = np.fromfile(folder / "results" / "trial_ends", dtype=np.int64)
            _check_lengths("trials", {"ends": ends}, shape[0] * shape[1], folder)
            ends = ends.reshape(shape)
            starts = np.vstack([np.zeros((1, len(self._monitors)), dtype=np.int64), ends[:-1]])
            arrays = {monitor.name: self._arrays(folder, monitor) for monitor in self._monitors}
            for m, monitor in enumerate(self._monitors):
                width = 1 if isinstance(monitor, SpikeMonitor) else monitor.n_indices
                _check_lengths(monitor.name, arrays[monitor.name], int(ends[-1, m]) * width, folder)
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


def _check_lengths(monitor, arrays, n, folder):
    """Refuse files that are shorter than what was recorded: the program could not write all of it."""
    for name, values in arrays.items():
        if values.size != n:
            raise disk_full_error(
                f"run: the program wrote {values.size} of {n} values of {name!r} of {monitor!r} to {str(folder)!r}. Is the disk "
                "full? Free some space, record less, or set TMPDIR to a folder on a larger disk."
            )
