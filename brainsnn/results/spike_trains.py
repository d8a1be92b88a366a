"""Spikes on disk, which are read when they are indexed."""

import os
from pathlib import Path

import numpy as np

from brainsnn.one_line import brief, one_line
from brainsnn.results.checks import check_spikes

__all__ = ["SpikeTrains"]


class SpikeTrains:
    """
    Spikes on disk: ``trains[k]`` is (neurons, steps) of image k, memory-mapped when it is read.

    Parameters
    ----------
    path : `~pathlib.Path`
        Common start of the file names. Each program that runs a part of the trials writes its own files.
    counts : (n_trials,) ndarray of int
        Number of spikes in the files.
    firsts : list of int
        First image of each program.
    wanted : (n,) ndarray of int, optional
        Neurons whose spikes are returned, all by default.
    limits : (int, int), optional
        Number of neurons and of steps. Spikes outside of them are an error.

    Examples
    --------
    >>> import tempfile
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
    >>> images = load_digits("test")[0][:2]
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     result = snn.run(images, duration=50 * bs.ms, stream_to=f"{folder}/result")
    ...     neurons, steps = result.spikes["conv1"][0]  # a SpikeTrains
    >>> len(neurons) == len(steps) > 0
    True
    """

    def __init__(self, path, counts, firsts, wanted=None, limits=None):
        self.path, self.counts, self.firsts, self.wanted = Path(path), counts, firsts, wanted
        self.limits = limits

    def file(self, part, what):
        """Return the path of a program's file of ``"neurons"`` or ``"steps"`` (`~pathlib.Path`)."""
        return self.path.with_name(f"{self.path.name}.{part}.{what}")

    def append(self, trial: int, neurons: np.ndarray, steps: np.ndarray) -> None:
        """Append spikes of the latest trial."""
        for what, values in (("neurons", neurons), ("steps", steps)):
            with open(self.file(0, what), "ab") as file:
                file.write(np.ascontiguousarray(values, dtype=np.int32).data)
        self.counts[trial] += len(neurons)

    def keep(self, trials):
        """
        Keep the spikes of some trials, and cut those of later trials off the files.

        Parameters
        ----------
        trials : list of int
            The first ones of each program.
        """
        ends = [*self.firsts[1:], len(self.counts)]
        kept = [[trial for trial in trials if first <= trial < end] for first, end in zip(self.firsts, ends)]
        for part, of_part in enumerate(kept):
            for what in ("neurons", "steps"):
                if self.file(part, what).exists():
                    os.truncate(self.file(part, what), 4 * int(self.counts[of_part].sum()))
        self.counts = self.counts[trials]
        self.firsts = [sum(map(len, kept[:part])) for part in range(len(kept))]

    def __repr__(self) -> str:
        return one_line(self, f"{int(self.counts.sum()):,} spikes of {len(self)} images in {brief(self.path, 100)}")

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, trial: int) -> tuple[np.ndarray, np.ndarray]:
        trial = range(len(self))[trial]
        part = int(np.searchsorted(self.firsts, trial, side="right")) - 1
        before, n = int(self.counts[self.firsts[part] : trial].sum()), int(self.counts[trial])
        if n == 0:
            return np.zeros(0, np.int32), np.zeros(0, np.int32)
        neurons: np.ndarray
        steps: np.ndarray
        neurons, steps = (
            np.memmap(self.file(part, what), np.int32, "r", offset=4 * before, shape=n) for what in ("neurons", "steps")
        )
        if self.limits is not None and (problem := check_spikes(neurons, steps, *self.limits)):
            raise ValueError(f"Result: {str(self.file(part, 'neurons'))!r} is damaged: image {trial} {problem}.")
        if self.wanted is not None:
            is_wanted = np.isin(neurons, self.wanted)
            neurons, steps = neurons[is_wanted], steps[is_wanted]
        return neurons, steps
