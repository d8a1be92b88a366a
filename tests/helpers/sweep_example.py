"""A sweep in a process of its own, for the tests that kill it: ``python sweep_example.py FOLDER WORKERS [ADDRESS]``."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
from locations import HELPERS, ROOT

import brainsnn as bs

N_UNITS = 18
N_PASSING = 4

PARAMETERS = {"gain": [0.5, 1.0, 2.0], "kind": ["sum", "peak"]}
IMAGES = np.random.default_rng(0).random((12, 4, 4))


def measure(images, gain, kind, seed):
    """
    A little arithmetic. ``MEASURE_LOG`` gets a line for each call; where there is a ``MEASURE_GATE``, all calls but the first
    `N_PASSING` wait until this file is made.
    """
    with open(os.environ["MEASURE_LOG"], "a") as log:
        log.write(f"{os.getpid()} {gain} {kind} {seed[0]}\n")
        end = log.tell()
    with open(os.environ["MEASURE_LOG"]) as log:
        n_calls = log.read(end).count("\n")
    if n_calls > N_PASSING and "MEASURE_GATE" in os.environ:
        wait_for(Path(os.environ["MEASURE_GATE"]).exists, "gate")
    noise = np.array([np.random.default_rng(s).normal(size=3) for s in seed])
    values = images.sum(axis=(1, 2)) if kind == "sum" else images.max(axis=(1, 2))
    return {"value": (gain * values).astype("f4"), "noise": noise, "bright": values > 1, "name": [kind] * len(images)}


def run(folder, **options):
    """The sweep, in `N_UNITS` units."""
    return bs.sweep(
        measure, PARAMETERS, IMAGES, folder=folder, chunk=4, seed=3, dims={"noise": "draw"}, progress=False, **options
    )


def calls(log):
    """A line for each call of `measure`, which starts with the number of its process."""
    return log.read_text().splitlines()


def n_saved(folder):
    """Number of units whose results are on disk."""
    return len(list((folder / "units").glob("*.npz")))


def wait_for_calls(log, folder, n_waiting):
    """Wait until the calls that pass the gate are saved, and others wait in front of it."""
    wait_for(lambda: n_saved(folder) == N_PASSING and len(calls(log)) == N_PASSING + n_waiting, "unit")


def bits(folder):
    """All that a data set holds, as bytes; the file itself also tells when it was made."""
    import xarray as xr

    with xr.open_dataset(folder / "dataset.nc", engine="h5netcdf") as data:
        found = {name: (v.dims, v.dtype, v.values.tobytes(), v.attrs) for name, v in data.variables.items()}
        return found, data.attrs


def start(folder, workers, *arguments):
    """The sweep in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{HELPERS}"}
    command = [sys.executable, __file__, str(folder), str(workers), *arguments]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


@contextlib.contextmanager
def finally_killed(*processes):
    """Leave none of some processes, nor what they started, behind."""
    try:
        yield
    finally:
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@contextlib.contextmanager
def meanwhile(function):
    """Call a function in a thread of its own."""
    thread = threading.Thread(target=function)
    thread.start()
    yield
    thread.join()


def wait_for(condition, what, seconds=120):
    """Wait until a condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what} after {seconds} s"
        time.sleep(0.02)


if __name__ == "__main__":
    run(sys.argv[1], workers=int(sys.argv[2]), cluster=sys.argv[3] if len(sys.argv) > 3 else None)
