"""Computing the units of a sweep on dask workers: processes of this machine, or a cluster."""

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
from brainsnn.sweeps.owners import owner_of

__all__ = ["JobPlugin", "run_on_dask"]

#: Units that a worker may have waiting beside the one it computes.
AHEAD = 2
#: What dask watches in its processes takes 2 % of two cores, and nobody looks at it here.
_QUIET = {
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "60s",
    "distributed.admin.tick.interval": "1s",
}
_ADVICE = (
    'Keep the script in a file and call sweep below `if __name__ == "__main__":`, since each process imports the file; '
    "or compute in this process with workers=1."
)


class JobPlugin(WorkerPlugin):
    """
    Hands a job to each worker, which unpacks it once for all of its units.

    Parameters
    ----------
    packed : bytes
    name : str
    """

    def __init__(self, packed, name):
        self.packed, self.name, self._job = packed, name, None

    def setup(self, worker):
        """Import Brian2 here, in the worker's main thread, which alone may set handlers of signals; units run in another."""
        importlib.import_module("brian2")

    @property
    def job(self):
        """The `~brainsnn.sweeps.jobs.Job`."""
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
        Number of processes on this machine, or in jobs of SLURM.
    cluster : optional
        ``"slurm"``; or in place of ``workers`` the address of a scheduler, a cluster, or a client of it.

    Yields
    ------
    outcome : `Outcome`
        In the order in which units get done.
    """
    name = f"brainsnn-{uuid.uuid4().hex[:12]}"
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(_client(workers, cluster))
        # A plugin reaches workers that start later, too, such as the one that takes the place of a killed one.
        client.register_plugin(JobPlugin(_pack(job), name))
        stack.callback(client.unregister_worker_plugin, name)
        waiting, running = iter(units.items()), {}

        def submit_more(pool):
            limit = (1 + AHEAD) * max(1, sum(client.nthreads().values()))
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
                except Exception as error:  # the worker died several times over this unit, or does not find brainsnn
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
    with own as there, Client(there) as client:
        yield client


def _local(workers):
    """Processes of this machine. Each one imports the script that is run, and comes to its sweep where nothing guards it."""
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # what multiprocessing itself looks at
        raise SystemExit(1)  # the script's first process tells what is wrong
    script = getattr(sys.modules["__main__"], "__file__", None)
    if script is not None and not os.path.isfile(script):
        raise RuntimeError(f"sweep: several processes need a script that they can import, not {script}. {_ADVICE}")
    try:
        with dask.config.set(_QUIET):
            return LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=":0", memory_limit=0,
                                silence_logs=logging.CRITICAL)  # fmt: skip
    except RuntimeError as error:
        raise RuntimeError(f"sweep: the processes do not start ({error}). {_ADVICE}") from None


def _slurm(workers):
    """Jobs of SLURM as dask's configuration describes them, each replaced by another one when it ends too early."""
    with optional_packages("cluster='slurm'"):
        from dask_jobqueue import SLURMCluster
    for name, example in (("cores", "1"), ("memory", "4GB")):
        if dask.config.get(f"jobqueue.slurm.{name}", None) is None:
            raise ValueError(
                f"sweep: cluster='slurm', but dask's configuration does not tell {name!r} of a job; set jobqueue: slurm: "
                f"{name}: {example} in ~/.config/dask/jobqueue.yaml, or DASK_JOBQUEUE__SLURM__{name.upper()}={example}."
            )
    # A process computes one unit at a time, whatever number of threads dask gives it.
    processes = dask.config.get("jobqueue.slurm.processes", None) or dask.config.get("jobqueue.slurm.cores")
    cluster = SLURMCluster(processes=processes)
    cluster.adapt(minimum=workers, maximum=workers)
    return cluster


def _pack(job):
    """The job as bytes, with the user's own modules in it, which workers elsewhere do not have."""
    modules = [
        module for name, module in list(sys.modules.items())
        if name not in ("__main__", "__mp_main__") and getattr(module, "__file__", None) and owner_of(name) == "user"
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
    while name not in worker.plugins:  # a worker that has just started
        if time.monotonic() > deadline:
            raise RuntimeError(f"the worker {worker.name!r} did not get the job {name!r}")
        time.sleep(0.05)
    return worker.plugins[name].job.compute(key, arguments)
