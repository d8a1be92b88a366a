"""Compute the missing units of a grid of parameters x images, and write the data set."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike
from tqdm import tqdm

from brainsnn.files import check_writable, checked_path
from brainsnn.leftovers import remove_leftovers
from brainsnn.optional import optional_packages
from brainsnn.plain_arrays import whole_number
from brainsnn.sweeps.content import content_key
from brainsnn.sweeps.grid import Grid
from brainsnn.sweeps.jobs import Job, run_here
from brainsnn.sweeps.progress import DATASET, note_sweep
from brainsnn.sweeps.store import UnfitResultError, UnitStore
from brainsnn.system.processes import n_cores

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SweepError", "sweep"]

#: Seconds until a file written on another machine must be visible here; network file systems update with a delay.
PATIENCE = 30
_UNREADABLE = "it was computed twice, and its file could not be read afterwards. Check the disk of the folder"


class SweepError(RuntimeError):
    """
    Units of a sweep could not be computed. All others are saved.

    Attributes
    ----------
    failures : list of (str, str, str)
        The unit in words, the error, and its traceback.

    Examples
    --------
    >>> import tempfile
    >>> import brainsnn as bs
    >>> from brainsnn.analysis import accuracy_interval
    >>> from brainsnn.sweeps import SweepError
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +ELLIPSIS
    ...     try:
    ...         bs.sweep(accuracy_interval, {"n_correct": [5], "n": [3]}, folder=folder, progress=False)
    ...     except SweepError as error:
    ...         print(len(error.failures))
    sweep: n_correct=5, n=3 failed: ValueError: accuracy_interval: ...
    1
    """

    def __init__(self, message, failures=()):
        super().__init__(message)
        self.failures = list(failures)


def sweep(
    function: Callable[..., Mapping[str, Any]], parameters: Mapping[str, Sequence[Any]],
    images: ArrayLike | Mapping[str, ArrayLike] | None = None, *, folder: str | PathLike[str], chunk: int | None = None,
    constants: Mapping[str, Any] | None = None, seed: int = 0, dims: Mapping[str, tuple[str, ...]] | None = None,
    coords: Mapping[str, Any] | None = None, workers: int | None = None, cluster: Any = None, progress: bool = True,
    version: str | None = None,
) -> "xr.Dataset":  # fmt: skip
    """
    Compute a function for every combination of parameters and all images, as one data set on disk.

    See ``docs/sweeps.md`` for units of work, resuming, clusters, and what makes a unit out of date.

    Parameters
    ----------
    function : callable
        ``function(images, **parameters, **constants)`` returns a dict of name -> array whose first axis is that of the images;
        without images, name -> number or array. An argument ``seed`` receives one whole number per image. It may write into
        its arrays, lists and dicts: each unit gets copies. Other objects are shared by the units of a process.
    parameters : dict of str to sequence
        Values of each parameter.
    images : (n, ...) array_like or dict of str to (n, ...) array_like, optional
        A dict holds several arrays with one entry per image. Each is an argument of the function.
    folder : str or `~pathlib.Path`
        Where ``dataset.nc`` and the units go. On a cluster, all workers must see it.
    chunk : int, optional
        Number of images in a unit of work, 50 by default.
    constants : dict, optional
        Further arguments, the same for all units, such as a LayerGraph.
    seed : int
        0 or greater.
    dims : dict of str to tuple of str, optional
        Names of the axes of a result that follow that of the images, such as ``{"output": ("time", "class")}``.
    coords : dict, optional
        Coordinates of these axes and of the images, as in `xarray.Dataset`, such as ``{"label": ("image", labels)}``.
    workers : int, optional
        Number of processes, one per core by default. With 1, everything is computed in this process. A cluster that is
        already there has its own number of workers.
    cluster : optional
        ``"slurm"``; or, instead of ``workers``, the address of a dask scheduler, a cluster object or a `distributed.Client`.
    progress : bool
        Show a progress bar.
    version : str, optional
        Stands for the code of ``function`` and of your modules, which then may change without recomputing units.

    Returns
    -------
    dataset : `xarray.Dataset`
        With a dimension for each parameter and ``"image"``, lazily opened from ``folder/dataset.nc``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not valid, before anything is computed; or if a result cannot be saved or does not fit the others.
    SweepError
        If units failed. The others are saved, and the same call computes what is missing.

    Examples
    --------
    >>> import brainsnn as bs
    >>> import numpy as np
    >>> def scaled(images, factor):
    ...     return {"mean": factor * images.mean(axis=(1, 2))}
    >>> images = np.ones((3, 4, 4))
    >>> data = bs.sweep(scaled, {"factor": [1, 2]}, images, folder="results", workers=1, progress=False)
    >>> data["mean"].sel(factor=2).values
    array([2., 2., 2.])
    """
    with optional_packages("sweep", "sweep"):
        from brainsnn.sweeps.dataset import Layout

    grid = Grid(function, parameters, images, chunk, constants, seed, version)
    workers = _checked_workers(workers, cluster)
    layout = Layout(grid.parameters, grid.n_images, dims, coords)
    job = Job(str(_checked_folder(folder)), function, grid.constants)
    return _open_or_compute(grid, layout, job, workers, cluster, progress)


def _open_or_compute(grid, layout, job, workers, cluster, progress):
    """Return the data set of a grid, and compute what is missing."""
    from brainsnn.sweeps.dataset import assemble
    from brainsnn.sweeps.results import Results

    path, store = Path(job.folder) / DATASET, UnitStore(job.folder)
    content = content_key(grid.function, [key for key, _, _ in grid.parts], layout.content())
    attributes = {"function": grid.function, "content": content}
    if (existing := _open_existing(path, attributes, layout)) is not None:
        return existing
    check_writable(store.folder, "sweep: folder", "Choose another one; nothing was computed.")
    for place in (path.parent, store.folder):
        remove_leftovers(place)
    if cluster is None:
        note_sweep(store, grid)
    results = Results(grid, store, layout)
    _compute_all(grid, job, store, results, workers, cluster, progress)

    def read(key):
        """Return a unit; one that has vanished is computed again."""
        return store.get(key, job.call, grid.arguments(key))

    return assemble(path, grid, results, read, layout, attributes)


def _checked_folder(folder):
    folder = checked_path(folder, "sweep: folder").absolute()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise NotADirectoryError(
            f"sweep: folder={str(folder)!r}, but {str(existing)!r} is a file. Choose another folder."
        )
    if (folder / DATASET).is_dir():
        raise IsADirectoryError(f"sweep: {str(folder / DATASET)!r} must be a file, not a folder. Move it away.")
    return folder


def _open_existing(path, attributes, layout):
    """Return the data set if it is up to date, or None if it must be written. Another data set is an error."""
    from brainsnn.sweeps.dataset import DamagedDatasetError, check_coordinates, open_dataset

    try:
        existing = open_dataset(path)
    except DamagedDatasetError as error:
        if next((path.parent / "units").glob("*.npz"), None) is None:
            raise ValueError(f"sweep: {error}. There are no units of a sweep beside it, so move it away.") from None
        return None  # it is written again from the units
    if existing is None:
        return None
    if existing.attrs.get("content") == attributes["content"]:
        try:
            check_coordinates(path, existing, layout)
        except DamagedDatasetError as error:  # somebody's work may be in it
            existing.close()
            raise ValueError(f"sweep: {error}. Move it away; the same call then writes it again.") from None
        return existing
    existing.close()
    other, function = existing.attrs.get("function"), attributes["function"]
    if other is None:
        raise ValueError(f"sweep: {str(path)!r} was not made by a sweep. Move it away or choose another folder.")
    if other != function:
        hint = ", or delete this one if it belongs to a lambda that you have changed" if "<lambda>" in other else ""
        raise ValueError(
            f"sweep: {str(path.parent)!r} holds the data set of {other!r}, not of {function!r}. Please "
            f"choose another folder{hint}."
        )
    return None


def _checked_workers(workers, cluster):
    if isinstance(cluster, str) and cluster != "slurm" and "://" not in cluster:
        raise ValueError(
            f"sweep: cluster={cluster!r} must be 'slurm' or the address of a dask scheduler, such as 'tcp://10.0.0.1:8786'."
        )
    if workers is not None and cluster not in (None, "slurm"):
        raise ValueError(
            f"sweep: workers={workers!r} has no effect with cluster={cluster!r}, which has its own. Leave one of them out."
        )
    if workers is None:
        if cluster == "slurm":
            raise ValueError(
                "sweep: cluster='slurm' needs workers, the number of processes to submit jobs for, such as workers=40."
            )
        workers = n_cores()
    return whole_number(workers, "sweep: workers", 1)


def _compute_all(grid, job, store, results, workers, cluster, progress):
    """Compute the missing units, and wait for those that other processes compute."""
    failures, lost, unit = [], [], "image" if grid.n_images else "unit"
    missing = [key for key in grid.units if not results.add(key)]
    total = sum(map(grid.size, grid.units))
    done = total - sum(map(grid.size, missing))
    with tqdm(total=total, initial=done, unit=unit, desc="sweep", disable=not progress, smoothing=0.05) as bar:
        while missing:
            tasks = {key: lambda key=key: grid.arguments(key) for key in missing}
            taken, lost, lost_before = [], [], lost
            outcomes = _run(job, tasks, workers, cluster)
            try:
                for k, outcome in enumerate(outcomes):
                    if k == 0 and cluster is not None:  # before, the cluster may refuse its settings
                        note_sweep(store, grid)
                    if outcome.status == "full":
                        raise SweepError(
                            f"sweep: no disk space left for {str(store.folder)!r} ({outcome.error}). {bar.n} of {total} "
                            f"{unit}s are saved. Free some space, then repeat the call to compute the rest."
                        )
                    elif outcome.status == "unfit":
                        raise UnfitResultError(f"sweep: {grid.describe(outcome.key)}: {outcome.error}")
                    elif outcome.status == "taken":
                        taken.append(outcome.key)
                    elif outcome.status == "failed":
                        failures.append((grid.describe(outcome.key), outcome.error, outcome.trace))
                        bar.write(f"sweep: {failures[-1][0]} failed: {outcome.error}")
                    elif results.add(outcome.key):
                        bar.update(grid.size(outcome.key))
                    else:
                        lost.append(outcome.key)
            finally:
                outcomes.close()
            lost = _wait_for_files(grid, store, results, lost, bar)
            failures += [(grid.describe(key), _UNREADABLE, _UNREADABLE) for key in lost if key in lost_before]
            missing = [key for key in lost if key not in lost_before]
            missing += _wait_for_others(grid, store, results, taken, bar)
    if failures:
        raise _failed(failures, len(grid.units))


def _failed(failures, n_units):
    shown = "".join(f"\n  {what}: {error}" for what, error, _ in failures[:10])
    more = f"\n  and {len(failures) - 10} more" if len(failures) > 10 else ""
    return SweepError(
        f"sweep: {len(failures)} of {n_units} units failed. The others are saved; repeat the call to try the failed ones again."
        f"{shown}{more}\n\nThe first one:\n{failures[0][2]}",
        failures,
    )


def _run(job, tasks, workers, cluster):
    if cluster is None and (workers == 1 or len(tasks) == 1):
        return run_here(job, tasks)
    with optional_packages("A sweep with several processes"):
        from brainsnn.sweeps.dask_workers import run_on_dask
    return run_on_dask(job, tasks, min(workers, len(tasks)), cluster)


def _wait_for_files(grid, store, results, lost, bar):
    """Wait for files that were written but are not visible yet. Return the keys of those that stay missing or damaged."""
    deadline = time.monotonic() + PATIENCE
    while lost and time.monotonic() < deadline:
        time.sleep(0.3)
        os.listdir(store.folder)  # makes a network file system look for new files
        found = [key for key in lost if results.add(key)]
        bar.update(sum(map(grid.size, found)))
        lost = [key for key in lost if key not in found]
    return lost


def _wait_for_others(grid, store, results, taken, bar):
    """Wait for units that other processes compute. Return the keys of those that they gave up."""
    waiting, given_up = list(taken), []
    while waiting:
        still = []
        for key in waiting:
            if results.add(key):
                bar.update(grid.size(key))
                continue
            with store.claim(key) as is_free:
                (given_up if is_free and key not in store else still).append(key)
        if waiting := still:
            time.sleep(0.3)
    return given_up
