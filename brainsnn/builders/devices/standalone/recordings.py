"""How recordings leave a compiled program: each trial, or each piece of one, goes straight into its file."""

import numpy as np
from brian2 import SpikeMonitor

from brainsnn.builders.trials.trials import TrialRecord

__all__ = ["RecordingFiles", "drain_code"]

STREAMS = """
    // A recorded variable. A piece of it goes behind the last one, or into a file of its own where the target is a
    // folder of pieces.
    struct Stream
    {
        std::string target;
        bool in_pieces;
        std::ofstream file;
        void open(const std::string& path, bool separate, std::streamoff start)
        {
            target = path;
            in_pieces = separate;
            if (in_pieces)
                return;
            file.open(path, std::ios::binary | std::ios::in | std::ios::out);
            file.seekp(start);
            check();
        }
        void begin(long trial, long number)
        {
            if (in_pieces)
                file.open(target + "/c." + std::to_string(trial) + "." + std::to_string(number) + ".0", std::ios::binary);
        }
        void end(size_t missing)
        {
            if (in_pieces)
            {
                const std::vector<char> nothing(missing, 0);
                file.write(nothing.data(), missing);
                file.close();
            }
            else
                file.flush();
            check();
        }
        void check()
        {
            if (file.fail())
            {
                std::cerr << "Cannot write recordings to '" << target << "'; is the disk full?" << std::endl;
                exit(1);
            }
        }
    };
    std::vector<Stream> streams(%N_STREAMS%);
    for (size_t k=0; k<streams.size(); k++)
    {
        int in_pieces;
        std::streamoff start;
        manifest >> in_pieces >> start;
        streams[k].open(path + "/stream_" + std::to_string(k), in_pieces, start);
    }
"""

STATE = """
            {{
                Stream& stream = streams[{k}];
                const size_t width = {width}*sizeof({array}((size_t)0, (size_t)0));
                const long n = {N}[0];
                stream.begin(first_trial + trial, first/piece);
                for (long row=0; row<n; row++)
                    stream.file.write((const char*)&{array}((size_t)row, (size_t)0), width);
                stream.end((piece - n)*width);
                {array}.resize(0, {width});
            }}"""

SPIKES = """
            {{
                const long n = {N}[0];
                std::vector<int32_t> steps(n);
                for (long k=0; k<n; k++)
                    steps[k] = (int32_t)lround({t}[k]/trial_dt);
                if (n > 0)
                    streams[{k}].file.write((const char*)&{i}[0], n*sizeof(int32_t));
                streams[{k}].end(0);
                streams[{k} + 1].file.write((const char*)steps.data(), n*sizeof(int32_t));
                streams[{k} + 1].end(0);
                {i}.resize(0);
            }}"""


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


# The network's time is set anew for each piece, so that rounding errors of the pieces do not add up.
RUN = """
        %CLOCKS%
        std::vector<int64_t> counts(%N_MONITORS%, 0);
        for (long first=0; first<n_steps; first+=piece)
        {
            %NETWORK%.t = first*trial_dt;
            %NETWORK%.run(std::min(piece, n_steps - first)*trial_dt, NULL, 10.0);
            %DRAIN%
        }
"""


def drain_code(device, network, monitors):
    """
    The parts of a standalone program's main function that run a trial and write what it records.

    Parameters
    ----------
    device : `~brian2.devices.cpp_standalone.device.CPPStandaloneDevice`
    network : `~brian2.core.network.Network`
    monitors : list

    Returns
    -------
    code : dict of str to str
        ``open_recordings`` (in front of the trials), ``run`` and ``write_recordings`` (of each trial).
    """

    def array(monitor, name, access_data=True):
        return device.get_array_name(monitor.variables[name], access_data=access_data)

    numbers = {(monitor.name, variable): k for k, (monitor, variable) in enumerate(_streams(monitors))}
    parts = []
    for m, monitor in enumerate(monitors):
        N = array(monitor, "N")
        if isinstance(monitor, SpikeMonitor):
            if monitor.record:
                i, t = (array(monitor, name, False) for name in ("i", "t"))
                parts.append(SPIKES.format(k=numbers[monitor.name, "neurons"], N=N, i=i, t=t))
        else:
            for variable in monitor.record_variables:
                states, k = array(monitor, variable, False), numbers[monitor.name, variable]
                parts.append(STATE.format(k=k, N=N, array=states, width=monitor.n_indices))
        parts.append(f"            counts[{m}] += {N}[0];\n            {N}[0] = 0;")
        if not isinstance(monitor, SpikeMonitor) or monitor.record:
            parts.append(f"            {array(monitor, 't', False)}.resize(0);")
    run = RUN
    for name, text in (
        ("DRAIN", "\n".join(parts).lstrip()),
        ("N_MONITORS", str(len(monitors))),
        ("NETWORK", network.name),
        ("CLOCKS", " ".join(sorted(f"{clock.name}.t[0] = 0;" for clock in network._clocks))),
    ):
        run = run.replace(f"%{name}%", text)
    counts_file = 'std::ofstream counts_file("results/trial_counts", std::ios::binary);'
    return {
        "open_recordings": counts_file + STREAMS.replace("%N_STREAMS%", str(len(numbers))),
        "run": run.strip(),
        "write_recordings": "counts_file.write((const char*)counts.data(), counts.size()*sizeof(int64_t));",
    }


class RecordingFiles:
    """
    The files into which the programs of a run write their recordings.

    States of all programs lie in one file for each variable, in the order of the trials, so that it is the result as it
    stands. Spikes, whose number is not known before, have a file for each program.

    Parameters
    ----------
    directory : `~pathlib.Path`
        Where files go that do not stream to a folder of the user's.
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
                path.unlink(missing_ok=True)  # an array of an earlier run may still be mapped from it
                self._shared[monitor.name, variable] = path
                with open(path, "wb") as file:
                    file.truncate(trials.n_trials * self._trial_bytes(monitor, variable))

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
        Show a program its files.

        Parameters
        ----------
        folder : `~pathlib.Path`
            The program's folder, with its manifest.
        part : int
            Number of the program.
        first : int
            Its first trial.
        """
        lines = []
        for k, (monitor, variable) in enumerate(self._streams):
            target, start, pieces = self._spike_file(folder, monitor, variable, part), 0, 0
            if self._is_state(monitor):
                target = self._folder_of(monitor, variable)
                pieces = int(target is not None)
                if not pieces:
                    target = self._shared[monitor.name, variable]
                    start = first * self._trial_bytes(monitor, variable)
            else:
                target.touch()
            (folder / f"stream_{k}").symlink_to(target)
            lines.append(f"{pieces} {start}\n")
        with open(folder / "manifest.txt", "a") as file:
            file.writelines(lines)

    def _spike_file(self, folder, monitor, variable, part):
        stream = self._trials.stream
        if stream is None or monitor.name not in stream.trains:
            return folder / "results" / f"{monitor.name}_{variable}"
        return stream.trains[monitor.name].file(part, variable)

    def records(self, chunks):
        """
        Read counts and spikes; states are whole as they stand.

        Parameters
        ----------
        chunks : list of (folder, range)
            Each program's folder and trials.

        Yields
        ------
        trial : int
        record : `~brainsnn.builders.trials.trials.TrialRecord`
        """
        stream = self._trials.stream
        for part, (folder, trials) in enumerate(chunks):
            counts = np.fromfile(folder / "results" / "trial_counts", np.int64).reshape(
                len(trials), len(self._monitors)
            )
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
                trains.firsts = [trials.start for _, trials in chunks]

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
        Recorded states of all trials, where they did not stream to a folder.

        Returns
        -------
        arrays : dict
            (monitor name, variable name) -> (n_trials, n_steps, n_recorded) array. It is mapped from a file that has no name
            any more, which saves copying; changes stay in memory.
        """
        arrays = {}
        for monitor, variable in self._streams:
            path = self._shared.get((monitor.name, variable))
            if path is not None:
                shape = (self._trials.n_trials, self._trials.n_steps, monitor.n_indices)
                mapped = np.memmap(path, monitor.variables[variable].dtype, "c", shape=shape)
                arrays[monitor.name, variable] = mapped.view(np.ndarray)
                path.unlink()
        return arrays
