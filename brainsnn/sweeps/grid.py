"""A grid of parameters x images: splitting it into units, having them computed, and the data set that comes out."""

import inspect
import itertools
import os
import sys
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from brainsnn.sweeps.content import content_key
from brainsnn.sweeps.jobs import Job, run_here
from brainsnn.sweeps.store import UnitStore

__all__ = ["SweepError", "sweep"]


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
    function, parameters, images=None, *, folder, chunk=50, constants=None, seed=0, dims=None, coords=None, workers=None,
    cluster=None, progress=True,
):  # fmt: skip
    """
    Compute a function for every combination of parameters and all images; the results become one data set on disk.

    The work is done in units: one combination of parameters and up to ``chunk`` images. Each finished unit is kept under the
    content of what computes it, so that an interrupted sweep goes on where it stopped, a larger grid computes only what is new,
    and several sweeps into one folder share the work. See `content_key` for what counts as content.

    Parameters
    ----------
    function : callable
        ``function(images, **parameters, **constants)`` returns a dict of name -> array whose first axis is that of the images;
        without images, name -> number or array. If it has an argument ``seed``, it gets one whole number for each image, which
        depend on ``seed`` and the image's index alone and go into ``snn.run(images, seed=seed)``.
    parameters : dict of str to sequence
        Values of each parameter. Texts, numbers, and whatever else has content.
    images : (n, ...) array_like or dict of str to (n, ...) array_like, optional
        A dict holds several arrays with one entry for each image, each an argument of its own.
    folder : str or `~pathlib.Path`
        Where ``dataset.nc`` and the units go. On a cluster, all workers must see it.
    chunk : int
        Number of images of a unit, the most that a crash can cost for each worker.
    constants : dict, optional
        Further arguments, the same for all units, such as a LayerGraph.
    seed : int
    dims : dict of str to tuple of str, optional
        Names of the axes of a result behind that of the images, such as ``{"output": ("time", "class")}``.
    coords : dict, optional
        Coordinates of these axes, and of the images, as in `xarray.Dataset`, such as ``{"label": ("image", labels)}``.
    workers : int, optional
        Number of processes, one for each core by default. With 1, everything is computed in this process.
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
        If an argument is not valid; nothing has been computed then.
    SweepError
        If units failed. The others are kept, and the same call computes what is missing.

    Examples
    --------
    >>> @bs.once
    ... def network(graph):
    ...     return bs.convert(graph, device="cpp_standalone")
    >>> def classify(images, m_f, graph):
    ...     snn = network(graph)
    ...     for layer in snn.graph.populations: ...
    ...     return {"decision": snn.run(images, duration=300*bs.ms).output[:, -1].argmax(axis=1)}
    >>> data = bs.sweep(classify, {"m_f": [0.1, 0.2]}, images, folder="results/m_f", constants={"graph": graph})  # doctest: +SKIP
    """
    from brainsnn.sweeps.dataset import Layout, assemble, open_dataset

    grid = _Grid(function, parameters, images, chunk, constants, seed)
    workers = _checked_workers(workers, cluster)
    layout = Layout(grid.parameters, grid.n_images, dims, coords)
    folder = Path(folder).absolute()
    name = _name_of(function)
    path, content = folder / "dataset.nc", content_key(name, [key for key, _, _ in grid.parts], layout.content())
    found = open_dataset(path)
    if found is not None:
        if found.attrs.get("content") == content:
            return found
        found.close()
        if found.attrs.get("function") != name:
            raise ValueError(
                f"sweep: {str(folder)!r} holds the data set of {found.attrs.get('function')!r}, this is {name!r}; choose "
                "another folder."
            )
    job, store = Job(str(folder), function, grid.constants), UnitStore(folder)
    _compute_all(grid, job, store, layout, workers, cluster, progress)
    return assemble(path, grid, store, layout, {"function": name, "content": content})


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
    if workers != int(workers) or workers < 1:
        raise ValueError(f"sweep: workers={workers!r} must be a whole number, 1 or greater.")
    return int(workers)


class _Grid:
    """A grid, cut into units."""

    def __init__(self, function, parameters, images, chunk, constants, seed):
        if not callable(function) or not hasattr(function, "__qualname__"):
            raise TypeError(f"sweep: {function!r} is no function.")
        self.parameters = {name: list(values) for name, values in dict(parameters).items()}
        for name, values in self.parameters.items():
            if not values:
                raise ValueError(f"sweep: the parameter {name!r} has no values.")
            if len({content_key(value) for value in values}) < len(values):
                raise ValueError(f"sweep: values of the parameter {name!r} are repeated: {values}.")
        if int(chunk) != chunk or chunk < 1:
            raise ValueError(f"sweep: chunk={chunk!r} must be a whole number, 1 or greater.")
        self.constants = dict(constants or {})
        self.images = {} if images is None else images if isinstance(images, dict) else {"images": images}
        self.images = {name: np.asarray(values) for name, values in self.images.items()}
        lengths = {name: len(values) for name, values in self.images.items()}
        if len(set(lengths.values())) > 1 or 0 in lengths.values():
            raise ValueError(f"sweep: the arrays of the images need one entry for each image, got {lengths}.")
        self.n_images = next(iter(lengths.values()), None)
        n = 1 if self.n_images is None else self.n_images
        self.spans = [slice(first, min(first + int(chunk), n)) for first in range(0, n, int(chunk))]
        signature = inspect.signature(function)
        self._seeds = None
        if "seed" in signature.parameters and "seed" not in (*self.parameters, *self.constants):
            self._seeds = np.random.SeedSequence(int(seed)).generate_state(n)
        self._check_names(function, signature)
        #: (key, combination of parameters, images) of each part of the data set.
        self.parts = self._make_parts(function)
        #: Parts of equal content, such as the same images twice, are one unit.
        self.units = {}
        for key, place, span in self.parts:
            self.units.setdefault(key, (place, span))

    def _check_names(self, function, signature):
        groups = (self.images, self.parameters, self.constants, () if self._seeds is None else ("seed",))
        names = [name for group in groups for name in group]
        for name in set(names):
            if names.count(name) > 1:
                raise TypeError(f"sweep: the argument {name!r} is given twice, as images, parameter, or constant.")
        try:
            signature.bind(**dict.fromkeys(names))
        except TypeError as error:
            raise TypeError(
                f"sweep: {function.__qualname__}{signature} does not fit the arguments {names}: {error}"
            ) from None

    def _make_parts(self, function):
        code = content_key(function, self.constants)
        pieces = [content_key(self._images(span)) for span in self.spans]
        parts = []
        for place in itertools.product(*(range(len(values)) for values in self.parameters.values())):
            values = content_key(self._values(place))
            for span, piece in zip(self.spans, pieces):
                parts.append((content_key(code, values, piece), place, span))
        return parts

    def _values(self, place):
        return {name: values[k] for (name, values), k in zip(self.parameters.items(), place)}

    def _images(self, span):
        images = {name: values[span] for name, values in self.images.items()}
        if self._seeds is not None:
            images["seed"] = self._seeds[span] if self.n_images else int(self._seeds[0])
        return images

    def arguments(self, key):
        """Arguments of a unit (dict), without the constants."""
        place, span = self.units[key]
        return {**self._values(place), **self._images(span)}

    def size(self, key):
        """Number of images of a unit, 1 without images (int)."""
        return self.units[key][1].stop - self.units[key][1].start

    def describe(self, key):
        """A unit in words."""
        place, span = self.units[key]
        words = [f"{name}={value!r:.60}" for name, value in self._values(place).items()]
        if self.n_images:
            words.append(f"images {span.start} ... {span.stop - 1}")
        return ", ".join(words) or "the only unit"


def _name_of(function):
    """Module and name, the same whether its file is run as a script or imported."""
    module = function.__module__
    if module in ("__main__", "__mp_main__"):
        module = Path(getattr(sys.modules[module], "__file__", None) or "notebook").stem
    return f"{module}.{function.__qualname__}"


def _compute_all(grid, job, store, layout, workers, cluster, progress):
    """Compute what is not there; wait for what other processes compute."""
    from brainsnn.sweeps.dataset import check_unit

    failures, checked = [], False
    total = sum(map(grid.size, grid.units))
    missing = [key for key in grid.units if key not in store]
    done = total - sum(map(grid.size, missing))
    unit = "image" if grid.n_images else "unit"
    with tqdm(total=total, initial=done, unit=unit, desc="sweep", disable=not progress, smoothing=0.05) as bar:
        while missing:
            tasks = {key: lambda key=key: grid.arguments(key) for key in missing}
            taken = []
            outcomes = _run(job, tasks, workers, cluster)
            try:
                for outcome in outcomes:
                    if outcome.kind == "full":
                        raise SweepError(
                            f"sweep: there is no room left for {str(store.folder)!r} ({outcome.error}). {bar.n} of {total} "
                            f"{unit}s are kept; make room, and the same call goes on from there."
                        )
                    if outcome.kind == "taken":
                        taken.append(outcome.key)
                        continue
                    if outcome.kind == "failed":
                        failures.append((grid.describe(outcome.key), outcome.error, outcome.trace))
                        bar.write(f"sweep: {failures[-1][0]} failed: {outcome.error}")
                        continue
                    if not checked:
                        check_unit(grid, store, layout, outcome.key)
                        checked = True
                    bar.update(grid.size(outcome.key))
            finally:
                outcomes.close()
            missing = _wait_for_others(grid, store, taken, bar)
    if failures:
        shown = "".join(f"\n  {what}: {error}" for what, error, _ in failures[:10])
        more = f"\n  and {len(failures) - 10} more" if len(failures) > 10 else ""
        raise SweepError(
            f"sweep: {len(failures)} of {len(grid.units)} units failed; the others are kept, and the same call tries again what "
            f"is missing.{shown}{more}\n\nThe first one:\n{failures[0][2]}",
            failures,
        )


def _run(job, tasks, workers, cluster):
    if cluster is None and (workers == 1 or len(tasks) == 1):
        return run_here(job, tasks)
    try:
        from brainsnn.sweeps.dask_workers import run_on_dask
    except ImportError as error:
        raise ImportError(
            f"Several processes are dask workers, which need {error.name!r}: pip install 'brainsnn[sweep]', or compute in "
            "this process with workers=1."
        ) from error
    return run_on_dask(job, tasks, min(workers, len(tasks)), cluster)


def _wait_for_others(grid, store, taken, bar):
    """Wait until units that other processes compute are there; returns those that they have given up."""
    waiting, given_up = list(taken), []
    while waiting:
        still = []
        for key in waiting:
            if key in store:
                bar.update(grid.size(key))
                continue
            with store.claim(key) as is_free:
                (given_up if is_free and key not in store else still).append(key)
        if waiting := still:
            time.sleep(0.3)
    return given_up
