"""Computing a grid of parameters x images: what is there, what is missing, and the data set that comes out."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike
from tqdm import tqdm

from brainsnn.optional import optional_packages
from brainsnn.sweeps.content import content_key
from brainsnn.sweeps.grid import Grid, whole_number
from brainsnn.sweeps.jobs import Job, run_here
from brainsnn.sweeps.store import UnfitResultError, UnitStore

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["SweepError", "sweep"]

#: Seconds until a file of another machine must be seen here; network file systems ask their server only now and then.
PATIENCE = 30
_UNREADABLE = "it was computed twice, and its file could not be read again"


class SweepError(RuntimeError):
    """
    Units of a sweep that could not be computed; all others are kept.

    Attributes
    ----------
    failures : list of (str, str, str)
        What was to be computed, the error, and its traceback.
    """

    def __init__(self, message, failures=()):
        super().__init__(message)
        self.failures = list(failures)


def sweep(
    function: Callable[..., Mapping[str, Any]],
    parameters: Mapping[str, Sequence[Any]],
    images: ArrayLike | Mapping[str, ArrayLike] | None = None,
    *,
    folder: str | PathLike[str],
    chunk: int = 50,
    constants: Mapping[str, Any] | None = None,
    seed: int = 0,
    dims: Mapping[str, tuple[str, ...]] | None = None,
    coords: Mapping[str, Any] | None = None,
    workers: int | None = None,
    cluster: Any = None,
    progress: bool = True,
) -> "xr.Dataset":
    """
    Compute a function for every combination of parameters and all images; the results become one data set on disk.

    The work is done in units: one combination of parameters and up to ``chunk`` images. Each finished unit is kept under the
    content of what computes it, so that an interrupted sweep goes on where it stopped, a larger grid computes only what is new,
    and several sweeps into one folder share the work. See `content_key` for what counts as content.

    Parameters
    ----------
    function : callable
        ``function(images, **parameters, **constants)`` returns a dict of name -> array whose first axis is that of the images;
        without images, name -> number or array. Quantities are kept as numbers in SI units, with the unit as the attribute
        ``units`` of the variable. If it has an argument ``seed``, it gets one whole number for each image, which
        depend on ``seed`` and the image's index alone and go into ``snn.run(images, seed=seed)``.
    parameters : dict of str to sequence
        Values of each parameter. Texts, numbers, and whatever else has content. Numbers become a numeric coordinate, quantities
        one in SI units (``data.sel(tau=0.005)``), and all else a text that names it.
    images : (n, ...) array_like or dict of str to (n, ...) array_like, optional
        A dict holds several arrays with one entry for each image, each an argument of its own. Arrays keep their units.
    folder : str or `~pathlib.Path`
        Where ``dataset.nc`` and the units go. On a cluster, all workers must see it.
    chunk : int
        Number of images of a unit, the most that a crash can cost for each worker. A unit is known by its images: with another
        ``chunk``, all is computed anew.
    constants : dict, optional
        Further arguments, the same for all units, such as a LayerGraph.
    seed : int
        0 or greater.
    dims : dict of str to tuple of str, optional
        Names of the axes of a result behind that of the images, such as ``{"output": ("time", "class")}``.
    coords : dict, optional
        Coordinates of these axes, and of the images, as in `xarray.Dataset`, such as ``{"label": ("image", labels)}``.
    workers : int, optional
        Number of processes, one for each core by default. With 1, everything is computed in this process. A script that asks
        for more must call `sweep` below ``if __name__ == "__main__":``, since each process imports it.
    cluster : optional
        ``"slurm"``: ``workers`` processes in jobs of SLURM, described in dask's configuration; or in place of ``workers`` the
        address of a dask scheduler, a cluster object of dask-jobqueue or another package, or a `distributed.Client`.
    progress : bool
        Whether to show a progress bar with an estimate of the time left.

    Returns
    -------
    dataset : `xarray.Dataset`
        With a dimension for each parameter and ``"image"``, lazily opened from ``folder/dataset.nc``.

    Raises
    ------
    TypeError, ValueError
        If an argument is not valid; nothing has been computed then. Or if a unit returns what cannot be kept, or does not fit
        the units before it; these are kept.
    SweepError
        If units failed. The others are kept, and the same call computes what is missing.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.equations import transfer_function
    >>> def response(m_f):
    ...     return {"activation": transfer_function(0.5, m_f)}
    >>> data = bs.sweep(response, {"m_f": [0.1, 0.2]}, folder="response", workers=1, progress=False)
    >>> data["activation"].values.round(3)
    array([0.564, 0.561])

    A network is converted once in each process:

    >>> @bs.once
    ... def network(graph):
    ...     return bs.convert(graph, device="cpp_standalone")
    >>> def classify(images, m_f, graph):
    ...     snn = network(graph)
    ...     for layer in ["encoding_asn", "conv1_asn", "conv2_asn", "dense1_asn"]:
    ...         snn.set_parameters(layer, m_f=m_f)
    ...     return {"decision": snn.run(images, duration=300*bs.ms).output[:, -1].argmax(axis=1)}
    >>> data = bs.sweep(classify, {"m_f": [0.1, 0.2]}, images, folder="m_f", constants={"graph": graph})  # doctest: +SKIP
    """
    with optional_packages("sweep"):
        from brainsnn.sweeps.dataset import Layout, assemble
        from brainsnn.sweeps.results import Results

    grid = Grid(function, parameters, images, chunk, constants, seed)
    workers = _checked_workers(workers, cluster)
    layout = Layout(grid.parameters, grid.n_images, dims, coords)
    place = _checked_folder(folder)
    path = place / "dataset.nc"
    content = content_key(grid.function, [key for key, _, _ in grid.parts], layout.content())
    found = _found(path, grid.function, content)
    if found is not None:
        return found
    job, store = Job(str(place), function, grid.constants), UnitStore(place)
    results = Results(grid, store, layout)
    _compute_all(grid, job, store, results, workers, cluster, progress)

    def read(key):
        return store.get(key, function, **grid.arguments(key), **grid.constants)

    return assemble(path, grid, results, read, layout, {"function": grid.function, "content": content})


def _checked_folder(folder: str | PathLike[str]) -> Path:
    folder = Path(folder).expanduser().absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise NotADirectoryError(f"sweep: folder={str(folder)!r}, but {str(there)!r} is a file.")
    if (folder / "dataset.nc").is_dir():
        raise IsADirectoryError(f"sweep: {str(folder / 'dataset.nc')!r} must be a file, not a folder; move it away.")
    return folder


def _found(path, function, content):
    """The data set, if it is there; an error if there is one that must not be replaced."""
    from brainsnn.sweeps.dataset import DamagedDatasetError, open_dataset

    try:
        found = open_dataset(path)
    except DamagedDatasetError as error:
        if next((path.parent / "units").glob("*.npz"), None) is None:
            raise ValueError(f"sweep: {error}. There are no units of a sweep beside it; move it away.") from None
        return None  # it is made again from the units
    if found is None or found.attrs.get("content") == content:
        return found
    found.close()
    other = found.attrs.get("function")
    if other is None:
        raise ValueError(f"sweep: {str(path)!r} was not made by a sweep; move it away, or choose another folder.")
    if other != function:
        hint = " or, of a lambda that you have changed, delete it" if "<lambda>" in other else ""
        raise ValueError(
            f"sweep: {str(path.parent)!r} holds the data set of {other!r}, this is {function!r}; choose another folder{hint}."
        )
    return None


def _checked_workers(workers, cluster):
    if isinstance(cluster, str) and cluster != "slurm" and "://" not in cluster:
        raise ValueError(
            f"sweep: cluster={cluster!r} must be 'slurm' or the address of a dask scheduler, such as 'tcp://10.0.0.1:8786'."
        )
    if workers is None:
        if cluster == "slurm":
            raise ValueError(
                "sweep: cluster='slurm' needs workers, the number of processes that jobs are submitted for."
            )
        workers = len(os.sched_getaffinity(0))
    return whole_number("workers", workers, 1)


def _compute_all(grid, job, store, results, workers, cluster, progress):
    """Compute what is not there; wait for what other processes compute."""
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
                for outcome in outcomes:
                    if outcome.kind == "full":
                        raise SweepError(
                            f"sweep: there is no room left for {str(store.folder)!r} ({outcome.error}). {bar.n} of {total} "
                            f"{unit}s are kept; make room, and the same call goes on from there."
                        )
                    elif outcome.kind == "unfit":
                        raise UnfitResultError(f"sweep: {grid.describe(outcome.key)}: {outcome.error}")
                    elif outcome.kind == "taken":
                        taken.append(outcome.key)
                    elif outcome.kind == "failed":
                        failures.append((grid.describe(outcome.key), outcome.error, outcome.trace))
                        bar.write(f"sweep: {failures[-1][0]} failed: {outcome.error}")
                    elif results.add(outcome.key):
                        bar.update(grid.size(outcome.key))
                    else:
                        lost.append(outcome.key)
            finally:
                outcomes.close()
            lost = _look_again(grid, store, results, lost, bar)
            failures += [(grid.describe(key), _UNREADABLE, _UNREADABLE) for key in lost if key in lost_before]
            missing = [key for key in lost if key not in lost_before]
            missing += _wait_for_others(grid, store, results, taken, bar)
    if failures:
        raise _failed(failures, len(grid.units))


def _failed(failures, n_units):
    shown = "".join(f"\n  {what}: {error}" for what, error, _ in failures[:10])
    more = f"\n  and {len(failures) - 10} more" if len(failures) > 10 else ""
    return SweepError(
        f"sweep: {len(failures)} of {n_units} units failed; the others are kept, and the same call tries again what is missing."
        f"{shown}{more}\n\nThe first one:\n{failures[0][2]}",
        failures,
    )


def _run(job, tasks, workers, cluster):
    if cluster is None and (workers == 1 or len(tasks) == 1):
        return run_here(job, tasks)
    with optional_packages("A sweep with more than one process"):
        from brainsnn.sweeps.dask_workers import run_on_dask
    return run_on_dask(job, tasks, min(workers, len(tasks)), cluster)


def _look_again(grid, store, results, lost, bar):
    """Wait for files that were written, and that are not seen; returns those that somebody has removed or a disk has spoilt."""
    deadline = time.monotonic() + PATIENCE
    while lost and time.monotonic() < deadline:
        time.sleep(0.3)
        os.listdir(store.folder)  # makes a network file system forget what it did not find
        found = [key for key in lost if results.add(key)]
        bar.update(sum(map(grid.size, found)))
        lost = [key for key in lost if key not in found]
    return lost


def _wait_for_others(grid, store, results, taken, bar):
    """Wait until units that other processes compute are there; returns those that they have given up."""
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
