"""Measure the peak rates of this machine (machine.cpp) and estimate the least time for a piece of work."""

import functools
import os
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

#: `y += s*x`, the loop of a synaptic event and of a state update, moves 12 bytes and does two operations per element.
BYTES_PER_EVENT, OPERATIONS_PER_EVENT = 12, 2


@dataclass
class Machine:
    """
    Measured rates of one or more threads, summed.

    Parameters
    ----------
    threads : int
    copy, triad : float
        Bytes per second to and from memory, as STREAM counts them.
    working_sets, axpy : (n,) ndarray
        Bytes per second of ``y += s*x`` for each working set (bytes per thread, repeated passes).
    fma : float
        Peak float32 operations per second; a fused multiply-add counts as two.
    """

    threads: int
    copy: float
    triad: float
    working_sets: np.ndarray
    axpy: np.ndarray
    fma: float

    def bandwidth(self, working_set):
        """Return bytes per second for repeated passes over a working set, which a cache may hold."""
        return np.exp(np.interp(np.log(max(working_set, 1)), np.log(self.working_sets), np.log(self.axpy)))

    def seconds(self, n_bytes, operations, working_set):
        """
        Return the least time for a piece of work.

        Parameters
        ----------
        n_bytes, operations : float
            Bytes read and written, and float32 operations.
        working_set : float
            Number of distinct bytes touched; it determines which cache they come from.

        Returns
        -------
        seconds : float
        """
        return max(n_bytes / self.bandwidth(working_set), operations / self.fma)

    def __str__(self):
        sizes = ((16 << 10, "16 kB"), (256 << 10, "256 kB"), (8 << 20, "8 MB"), (256 << 20, "256 MB"))
        caches = ", ".join(f"{self.bandwidth(size) / 1e9:.0f} ({text})" for size, text in sizes)
        return (
            f"measured, {self.threads} thread{'s' * (self.threads > 1)}: copy {self.copy / 1e9:.0f} and triad "
            f"{self.triad / 1e9:.0f} GB/s of 256 MB arrays; y += s*x {caches} GB/s by the bytes touched; "
            f"{self.fma / 1e9:.0f} GFLOP/s of float32 multiply-adds"
        )


@functools.cache
def measure(threads=1):
    """
    Compile and run machine.cpp, which takes a few seconds.

    Parameters
    ----------
    threads : int

    Returns
    -------
    machine : `Machine`
    """
    source = Path(__file__).with_name("machine.cpp")
    flags = ["-w", "-O3", "-ffast-math", "-march=native", "-std=c++17", "-pthread"]
    with tempfile.TemporaryDirectory(prefix="machine_") as folder:
        program = Path(folder) / "machine"
        subprocess.run([os.environ.get("CXX", "c++"), *flags, str(source), "-o", str(program)], check=True)
        output = subprocess.run([str(program), str(threads)], check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in output.splitlines()]
    rates = {words[0]: float(words[1]) * 1e9 for words in lines if len(words) == 2}
    curve = np.array([[float(words[1]), float(words[2]) * 1e9] for words in lines if len(words) == 3])
    return Machine(threads, rates["copy"], rates["triad"], curve[:, 0], curve[:, 1], rates["fma"])
