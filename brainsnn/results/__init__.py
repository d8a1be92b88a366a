"""Results of runs: outputs, spikes and states, in memory, on disk, or streamed to disk during a run."""

from brainsnn.results.result import Result
from brainsnn.results.spike_trains import SpikeTrains
from brainsnn.results.streaming import StreamFolder

__all__ = ["Result", "SpikeTrains", "StreamFolder"]
