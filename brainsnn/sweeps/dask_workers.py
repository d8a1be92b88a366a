"""Compute the units of a sweep on dask workers: processes of this machine, or a cluster."""

import contextlib
import importlib
import logging
import multiprocessing
import os
import sys
import time
import traceback
import uuid

import cloudpickle
import dask
from distributed import Client, LocalCluster, WorkerPlugin, as_completed, get_worker

from brainsnn.optional import optional_packages
from brainsnn.sweeps.jobs import Outcome
from brainsnn.sweeps.module_origin import origin_of

__all__ = ["JobPlugin", "run_on_dask"]

#: Units that are queued for each worker, in addition to the one it computes.
QUEUED = 2
#: Dask's monitoring of its processes, which costs 2 % of two cores and is not used here.
_NO_MONITORING = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.admin.tick.interval": "1s",
}
_ADVICE = (
    'Keep the script in a file and call sweep below `if __name__ == "__main__":`, since each process imports the file. '
    "Or compute in this process with workers=1."
)


class JobPlugin(WorkerPlugin):
    """
    Plugin that brings a job to each worker. A worker unpacks it once for all of its units.

    Parameters
    ----------
    packed : bytes
    name : str
    """

    def __init__(self, packed, name):
        self.packed, self.name, self._job = packed, name, None

    def setup(self, worker):
        """Import Brian2 in the worker's main thread: only it may set signal handlers, and units run in another thread."""
        importlib.import_module("brian2")

    @property
    def job(self):
        """Return the `~brainsnn.sweeps.jobs.Job`."""
        if self._job is None:
            self._job = cloudpickle.loads(self.packed)
        return self._job


def run_on_dask(job, units, workers=None, cluster=None):
    """
    Compute units on dask workers.

    Parameters
    ----------
    job, units
        See `run_here`.
    workers : int, optional
        Number of processes on this machine or in SLURM jobs.
    cluster : optional
        ``"slurm"``; or, instead of ``workers``, the address of a scheduler, a cluster, or a client.

    Yields
    ------
    outcome : `Outcome`
        In the order in which units finish.
    """
    name = f"brainsnn-{uuid.uuid4().hex[:12]}"
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(_client(workers, cluster))
        # A plugin also reaches workers that start later, such as the replacement of a killed one.
        client.register_plugin(JobPlugin(_pack(job), name))
        stack.callback(client.unregister_worker_plugin, name)
        waiting, running = iter(units.items()), {}

        def submit_more(pool):
            limit = (1 + QUEUED) * max(1, sum(client.nthreads().values()))
            while len(running) < limit and (unit := next(waiting, None)):
                key, arguments = unit
                future = client.submit(_compute_on_worker, name, key, arguments(), key=f"{name}-{key}", pure=False)
                running[future] = key
                pool.add(future)

        pool = as_completed()
        try:
            submit_more(pool)
            while running:
                future = next(pool)
                key = running.pop(future)
                try:
                    outcome = future.result()
                except Exception as error:  # this unit killed several workers, or a worker cannot import brainsnn
                    outcome = Outcome(key, "failed", f"{type(error).__name__}: {error}", traceback.format_exc())
                future.release()
                submit_more(pool)
                yield outcome
        finally:
            client.cancel(list(running))


@contextlib.contextmanager
def _client(workers, cluster):
    if isinstance(cluster, Client):
        yield cluster
        return
    if cluster is None:
        own = _local(workers)
    elif cluster == "slurm":
        own = _slurm(workers)
    else:
        own = contextlib.nullcontext(cluster)
    with own as entered, Client(entered) as client:
        yield client


def _local(workers):
    """Start processes on this machine. Each imports the running script, and reaches its sweep if no guard prevents that."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # multiprocessing's own test for this
        raise SystemExit(1)  # the script's first process reports the error
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is not None and not os.path.isfile(script):
        raise RuntimeError(f"sweep: several processes need a script that they can import, not {script}. {_ADVICE}")
    try:
        with dask.config.set(_NO_MONITORING):
            return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0", memory_limit=0,
                                silence_logs=logging.CRITICAL)  # fmt: skip
    except RuntimeError as error:
        raise RuntimeError(f"sweep: the processes could not be started ({error}). {_ADVICE}") from None


def _slurm(workers):
    """Start SLURM jobs as dask's configuration describes them. A job that ends too early is replaced."""
    with optional_packages("cluster='slurm'"):
        from dask_jobqueue import SLURMCluster
    for name, example in (("cores", "1"), ("memory", "4GB")):
        if dask.config.get(f"jobqueue.slurm.{name}", None) is None:
            raise ValueError(
                f"sweep: cluster='slurm', but dask's configuration does not set {name!r} of a job. Set jobqueue: slurm: "
                f"{name}: {example} in ~/.config/dask/jobqueue.yaml, or DASK_JOBQUEUE__SLURM__{name.upper()}={example}."
            )
    # A process computes one unit at a time, no matter how many threads it has.
    processes = dask.config.get("jobqueue.slurm.processes", None) or dask.config.get("jobqueue.slurm.cores")
    cluster = SLURMCluster(processes=processes)
    cluster.adapt(minimum=workers, maximum=workers)
    return cluster


def _pack(job):
    """Return the job as bytes, including the user's own modules, which workers elsewhere cannot import."""
    modules = [
        module for name, module in list(sys.modules.items())
        if name not in ("__main__", "__mp_main__") and getattr(module, "__file__", None) and origin_of(name) == "user"
    ]  # fmt: skip
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(job)
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _compute_on_worker(name, key, arguments):
    worker = get_worker()
    deadline = time.monotonic() + 60
    while name not in worker.plugins:  # the worker has just started
        if time.monotonic() > deadline:
            raise RuntimeError(f"the worker {worker.name!r} did not receive the job {name!r} within 60 s")
        time.sleep(0.05)
    return worker.plugins[name].job.compute(key, arguments)
