"""Computing the units of a sweep, one at a time."""

import errno
import threading
import traceback
from dataclasses import dataclass

from brainsnn.sweeps.store import UnfitResultError, UnitStore

__all__ = ["Job", "Outcome", "run_here"]

#: Brian2 keeps its devices and preferences for the whole process.
_one_at_a_time = threading.Lock()
_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Job:
    """
    What all units of a sweep have in common.

    Parameters
    ----------
    folder : str
        Absolute path of the sweep's folder, which all workers see.
    function : callable
    constants : dict
        Keyword arguments of every unit.
    """

    folder: str
    function: object
    constants: dict

    def compute(self, key, arguments):
        """
        Compute one unit.

        Parameters
        ----------
        key : str
        arguments : dict

        Returns
        -------
        outcome : `Outcome`
        """
        try:
            with _one_at_a_time:
                done = UnitStore(self.folder).compute(key, self.function, **arguments, **self.constants)
            return Outcome(key, "done" if done else "taken")
        except UnfitResultError as error:
            return Outcome(key, "unfit", f"{error}", traceback.format_exc())
        except OSError as error:
            kind = "full" if error.errno in _FULL else "failed"
            return Outcome(key, kind, f"{error}", traceback.format_exc())
        except Exception as error:
            return Outcome(key, "failed", f"{type(error).__name__}: {error}", traceback.format_exc())


@dataclass
class Outcome:
    """
    What became of a unit.

    Parameters
    ----------
    key : str
    kind : {"done", "taken", "failed", "unfit", "full"}
        Another process is computing a unit that is taken; ``"unfit"``: it returned what cannot be kept; ``"full"``: there is no
        room on the disk.
    error, trace : str
        What went wrong.
    """

    key: str
    kind: str
    error: str = ""
    trace: str = ""


def run_here(job, units):
    """
    Compute units one after the other in this process.

    Parameters
    ----------
    job : `Job`
    units : dict of str to callable
        Key -> function that gives the unit's arguments.

    Yields
    ------
    outcome : `Outcome`
    """
    for key, arguments in units.items():
        yield job.compute(key, arguments())
