"""Compute the units of a sweep, one at a time."""

import copy
import errno
import threading
import traceback
from dataclasses import dataclass

import numpy as np

from brainsnn.sweeps.store import UnfitResultError, UnitStore

__all__ = ["Job", "Outcome", "run_here"]

#: Brian2's device and preferences are global to a process.
_lock = threading.Lock()
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass
class Job:
    """
    The part of a sweep that all of its units share.

    Parameters
    ----------
    folder : str
        Absolute path of the sweep's folder, which all workers must see.
    function : callable
    constants : dict
        Keyword arguments of every unit.
    """

    folder: str
    function: object
    constants: dict

    def call(self, arguments):
        """
        Call the function with copies of its arguments, so that it changes neither later units nor the caller's data.

        Parameters
        ----------
        arguments : dict

        Returns
        -------
        values : dict of str to number or array_like
        """
        return self.function(**_copied(arguments), **_copied(self.constants))

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
            with _lock:
                done = UnitStore(self.folder).compute(key, self.call, arguments)
            return Outcome(key, "done" if done else "taken")
        except UnfitResultError as error:
            return Outcome(key, "unfit", f"{error}", traceback.format_exc())
        except OSError as error:
            status = "full" if error.errno in _DISK_FULL else "failed"
            return Outcome(key, status, f"{error}", traceback.format_exc())
        except Exception as error:
            return Outcome(key, "failed", f"{type(error).__name__}: {error}", traceback.format_exc())


def _copied(value):
    """Return a copy of arrays and of containers with their contents. Other objects, such as networks, are not copied."""
    if isinstance(value, np.ndarray):
        return copy.deepcopy(value)
    if type(value) is dict:
        return {key: _copied(entry) for key, entry in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(_copied, value))
    return copy.copy(value) if type(value) is set else value


@dataclass
class Outcome:
    """
    Outcome of computing a unit.

    Parameters
    ----------
    key : str
    status : {"done", "taken", "failed", "unfit", "full"}
        ``"taken"``: another process is computing the unit. ``"unfit"``: its result cannot be saved. ``"full"``: the disk is
        full.
    error, trace : str
        Error message and traceback.
    """

    key: str
    status: str
    error: str = ""
    trace: str = ""


def run_here(job, units):
    """
    Compute units in this process, one after the other.

    Parameters
    ----------
    job : `Job`
    units : dict of str to callable
        Key -> function that returns the unit's arguments.

    Yields
    ------
    outcome : `Outcome`
    """
    for key, arguments in units.items():
        yield job.compute(key, arguments())
