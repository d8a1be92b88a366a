"""How far the sweep of a folder is: a note beside its units says what it consists of and how it was started."""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from brainsnn.files import checked_path, write_atomically
from brainsnn.one_line import fields_line
from brainsnn.sweeps.store import UnitStore
from brainsnn.system.locks import is_locked

__all__ = ["SweepStatus", "note_sweep", "sweep_status"]

NOTE = "sweep.json"
DATASET = "dataset.nc"


@dataclass(frozen=True)
class SweepStatus:
    """
    How far the sweep of a folder is.

    Attributes
    ----------
    folder : `~pathlib.Path`
    function : str or None
        Function of the sweep, if units are there.
    n_units, n_done, n_running : int
        Units of the sweep, those that are saved, and those that a process computes now.
    dataset : `~pathlib.Path` or None
        The data set, if it is complete.
    command : list of str
        Python and the arguments that started the sweep.
    directory : str
        Where it was started.

    Examples
    --------
    >>> from pathlib import Path
    >>> from brainsnn.sweeps import SweepStatus
    >>> print(SweepStatus(Path("scan"), "study.respond", n_units=8, n_done=3, n_running=1, dataset=None))
    scan: 3 of 8 units of study.respond, 1 being computed; not complete
    """

    folder: Path
    function: str | None
    n_units: int
    n_done: int
    n_running: int
    dataset: Path | None
    command: list[str] = field(default_factory=list)
    directory: str = "."

    __repr__ = fields_line

    def __str__(self) -> str:
        if self.function is None:
            return f"{self.folder}: complete, {self.dataset}"
        running = f", {self.n_running} being computed" if self.n_running else ""
        state = f"complete, {self.dataset}" if self.dataset is not None else "not complete"
        return f"{self.folder}: {self.n_done} of {self.n_units} units of {self.function}{running}; {state}"


def note_sweep(store, grid):
    """
    Write beside the units what the sweep consists of, and the command that started it.

    Parameters
    ----------
    store : `UnitStore`
    grid : `~brainsnn.sweeps.grid.Grid`
    """
    command = [sys.executable, *sys.argv] if sys.argv and Path(sys.argv[0]).is_file() else []
    note = {"function": grid.function, "units": list(grid.units), "command": command, "directory": os.getcwd()}
    with write_atomically(store.folder / NOTE) as file:
        file.write(json.dumps(note).encode())


def sweep_status(folder):
    """
    Say how far the sweep of a folder is.

    Parameters
    ----------
    folder : str or path-like
        The ``folder`` of `brainsnn.sweep`.

    Returns
    -------
    status : SweepStatus

    Raises
    ------
    FileNotFoundError
        If the folder holds neither units of a sweep nor a data set.
    ValueError
        If the note beside the units cannot be read.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.sweeps import sweep_status
    >>> def square(x):
    ...     return {"y": x * x}
    >>> data = bs.sweep(square, {"x": [1, 2, 3]}, folder="squares", workers=1, progress=False)
    >>> sweep_status("squares").dataset is not None
    True
    """
    folder = checked_path(folder, "sweep_status: folder")
    store, dataset = UnitStore(folder), folder / DATASET
    complete = dataset if dataset.is_file() else None
    try:
        note = json.loads((store.folder / NOTE).read_bytes())
        keys, function = [str(key) for key in note["units"]], str(note["function"])
        command, directory = [str(part) for part in note["command"]], str(note["directory"])
    except (FileNotFoundError, NotADirectoryError):
        if complete is None:
            raise FileNotFoundError(
                f"{str(folder)!r} holds no sweep: neither {DATASET!r} nor 'units/{NOTE}'. Name the folder given to sweep."
            ) from None
        return SweepStatus(folder, None, 0, 0, 0, complete)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{str(store.folder / NOTE)!r} is damaged ({error}). Start the sweep again; units are kept."
        ) from None
    done = sum(key in store for key in keys)
    running = sum(is_locked(store.claim_path(key)) for key in keys)
    return SweepStatus(
        folder, function, len(keys), done, running, complete if done == len(keys) else None, command, directory
    )
