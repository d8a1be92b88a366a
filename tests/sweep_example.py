"""A sweep in a process of its own, for the tests that kill it: ``python sweep_example.py FOLDER WORKERS [ADDRESS]``."""

import os
import sys
import time

import numpy as np

import brainsnn as bs

PARAMETERS = {"gain": [0.5, 1.0, 2.0], "kind": ["sum", "peak"]}
IMAGES = np.random.default_rng(0).random((12, 4, 4))


def measure(images, gain, kind, seed):
    """
    A little arithmetic; ``MEASURE_LOG`` gets a line for each call, which then waits for a file ``MEASURE_GATE``, if there is to
    be one, and takes ``MEASURE_SECONDS``.
    """
    with open(os.environ["MEASURE_LOG"], "a") as log:
        log.write(f"{os.getpid()} {gain} {kind} {seed[0]}\n")
    while not os.path.exists(os.environ.get("MEASURE_GATE", ".")):
        time.sleep(0.01)
    time.sleep(float(os.environ.get("MEASURE_SECONDS", 0)))
    noise = np.array([np.random.default_rng(s).normal(size=3) for s in seed])
    values = images.sum(axis=(1, 2)) if kind == "sum" else images.max(axis=(1, 2))
    return {"value": (gain * values).astype("f4"), "noise": noise, "bright": values > 1, "name": [kind] * len(images)}


def run(folder, **options):
    """The sweep, in 18 units."""
    return bs.sweep(
        measure, PARAMETERS, IMAGES, folder=folder, chunk=4, seed=3, dims={"noise": "draw"}, progress=False, **options
    )


if __name__ == "__main__":
    run(sys.argv[1], workers=int(sys.argv[2]), cluster=sys.argv[3] if len(sys.argv) > 3 else None)
