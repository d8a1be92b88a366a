"""Compute grids of parameters x images in many processes, as one data set on disk that can be resumed."""

from brainsnn.sweeps.content import content_key
from brainsnn.sweeps.once import once
from brainsnn.sweeps.progress import SweepStatus, sweep_status
from brainsnn.sweeps.running import SweepError, sweep
from brainsnn.sweeps.store import UnitStore

__all__ = ["SweepError", "SweepStatus", "UnitStore", "content_key", "once", "sweep", "sweep_status"]
