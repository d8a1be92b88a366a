"""How recordings leave a C++ standalone program: each trial, or each chunk of a trial, goes straight into its file."""

import numpy as np
from brian2 import SpikeMonitor

from brainsnn.builders.trials.trials import TrialRecord
from brainsnn.disk_space import reserve
from brainsnn.system.disk import path_bytes, take_array

__all__ = ["RecordingFiles", "recorded_arrays"]


def _streams(monitors):
    """(monitor, variable) of each stream, in the order in which program and files number them."""
    return [
        (monitor, variable)
        for monitor in monitors
        for variable in (
            (("neurons", "steps") if monitor.record else ())
            if isinstance(monitor, SpikeMonitor)
            else monitor.record_variables
        )
    ]


def recorded_arrays(device, monitors):
    """
    Say where a standalone program keeps what its monitors record, for the template that runs the trials.

    Parameters
    ----------
    device : `~brian2.devices.cpp_standalone.device.CPPStandaloneDevice`
    monitors : list

    Returns
    -------
    arrays : dict
        ``n_streams`` and ``monitors``: names of C++ arrays, and the numbers of the streams that they are written to.
    """

    def array(monitor, name, access_data=False):
        """Return the name of an array in the program."""
        return device.get_array_name(monitor.variables[name], access_data=access_data)

    numbers = {(monitor.name, variable): k for k, (monitor, variable) in enumerate(_streams(monitors))}
    found = []
    for monitor in monitors:
        is_spikes = isinstance(monitor, SpikeMonitor)
        entry = {"count": array(monitor, "N", access_data=True), "width": None, "states": [], "spikes": None}
        entry["times"] = array(monitor, "t") if not is_spikes or monitor.record else None
        if not is_spikes:
            entry["width"] = monitor.n_indices
            entry["states"] = [
                {"array": array(monitor, variable), "stream": numbers[monitor.name, variable]}
                for variable in monitor.record_variables
            ]
        elif monitor.record:
            entry["spikes"] = {"neurons": array(monitor, "i"), "stream": numbers[monitor.name, "neurons"]}
        found.append(entry)
    return {"n_streams": len(numbers), "monitors": found}


class RecordingFiles:
    """
    The files into which the programs of a run write their recordings.

    The states of all programs are in one file for each variable, in the order of the trials, so that the file is the result.
    Spikes, whose number is not known beforehand, have one file for each program.

    Parameters
    ----------
    directory : `~pathlib.Path`
        Folder of the files that do not stream to a folder of the user.
    monitors : list
    trials : `~brainsnn.builders.trials.trials.Trials`
    """

    def __init__(self, directory, monitors, trials):
        self._monitors, self._trials = monitors, trials
        self._streams = _streams(monitors)
        self._shared = {}
        for k, (monitor, variable) in enumerate(self._streams):
            if self._is_state(monitor) and self._folder_of(monitor, variable) is None:
                path = directory / f"states_{k}"
                path.unlink(missing_ok=True)  # an array of an earlier run may still be mapped from this file
                self._shared[monitor.name, variable] = path
                reserve(path, trials.n_trials * self._trial_bytes(monitor, variable))

    @staticmethod
    def _is_state(monitor):
        return not isinstance(monitor, SpikeMonitor)

    def _folder_of(self, monitor, variable):
        stream = self._trials.stream
        return None if stream is None else stream.states.get((monitor.name, variable))

    def _trial_bytes(self, monitor, variable):
        return self._trials.n_steps * monitor.n_indices * np.dtype(monitor.variables[variable].dtype).itemsize

    def link(self, folder, part, first):
        """
        Give a program its files.

        Parameters
        ----------
        folder : `~pathlib.Path`
            The program's folder, with its manifest.
        part : int
            Number of the program.
        first : int
            Its first trial.
        """
        lines, targets = [], []
        for monitor, variable in self._streams:
            target, start, in_chunks = self._spike_file(folder, monitor, variable, part), 0, 0
            if self._is_state(monitor):
                target = self._folder_of(monitor, variable)
                in_chunks = int(target is not None)
                if not in_chunks:
                    target = self._shared[monitor.name, variable]
                    start = first * self._trial_bytes(monitor, variable)
            else:
                target.touch()
            targets.append(path_bytes(target) + b"\0")
            lines.append(f"{in_chunks} {start}\n")
        with open(folder / "manifest.txt", "a", encoding="ascii") as file:
            file.writelines(lines)
        (folder / "targets").write_bytes(b"".join(targets))

    def _spike_file(self, folder, monitor, variable, part):
        stream = self._trials.stream
        if stream is None or monitor.name not in stream.trains:
            return folder / "results" / f"{monitor.name}_{variable}"
        return stream.trains[monitor.name].file(part, variable)

    def complete(self, folder, trials):
        """
        Return the trials that a program has recorded to their ends, whether it ended or was stopped.

        Parameters
        ----------
        folder : `~pathlib.Path`
        trials : range
            Those that it was to run.

        Returns
        -------
        complete : range
        """
        counts = folder / "results" / "trial_counts"
        n_bytes = counts.stat().st_size if counts.exists() else 0
        return trials[: n_bytes // (8 * len(self._monitors))]

    def records(self, parts):
        """
        Read counts and spikes; the files of states need no reading.

        Parameters
        ----------
        parts : list of (folder, range)
            Each program's folder and trials.

        Yields
        ------
        trial : int
        record : `~brainsnn.builders.trials.trials.TrialRecord`
        """
        stream = self._trials.stream
        for part, (folder, trials) in enumerate(parts):
            if len(trials) == 0:  # ended before its first one: another program has found the disk full
                continue
            n_counts = len(trials) * len(self._monitors)
            counts = np.fromfile(folder / "results" / "trial_counts", np.int64, n_counts)
            counts = counts.reshape(len(trials), len(self._monitors))
            ends = counts.cumsum(axis=0)
            if stream is not None:
                for m, monitor in enumerate(self._monitors):
                    if monitor.name in stream.trains:
                        stream.trains[monitor.name].counts[trials.start : trials.stop] = counts[:, m]
            spikes = {} if stream is not None else self._spikes(folder, part)
            for k, trial in enumerate(trials):
                record = TrialRecord({}, {}, {})
                for m, monitor in enumerate(self._monitors):
                    if isinstance(monitor, SpikeMonitor):
                        record.spike_counts[monitor.name] = int(counts[k, m])
                        if monitor.name in spikes:
                            span = slice(ends[k, m] - counts[k, m], ends[k, m])
                            record.spikes[monitor.name] = tuple(values[span] for values in spikes[monitor.name])
                yield trial, record
        if stream is not None:
            for trains in stream.trains.values():
                trains.firsts = [trials.start for _, trials in parts]

    def _spikes(self, folder, part):
        return {
            monitor.name: tuple(
                np.fromfile(self._spike_file(folder, monitor, what, part), np.int32) for what in ("neurons", "steps")
            )
            for monitor in self._monitors
            if isinstance(monitor, SpikeMonitor) and monitor.record
        }

    def take_states(self):
        """
        Return the recorded states of all trials that did not stream to a folder.

        Returns
        -------
        arrays : dict
            (monitor name, variable name) -> (n_trials, n_steps, n_recorded) array. It is mapped from an unlinked file, which
            saves copying; changes stay in memory.
        """
        arrays = {}
        for monitor, variable in self._streams:
            path = self._shared.get((monitor.name, variable))
            if path is not None:
                shape = (self._trials.n_trials, self._trials.n_steps, monitor.n_indices)
                arrays[monitor.name, variable] = take_array(path, monitor.variables[variable].dtype, shape)
        return arrays
