"""What a run returns: outputs, spikes and states in memory, on disk, and streamed while a network runs."""

from brainsnn.results.result import Result
from brainsnn.results.streaming import SpikeTrains, StreamFolder

__all__ = ["Result", "SpikeTrains", "StreamFolder"]
