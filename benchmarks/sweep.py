"""
How much faster is a sweep with two local workers? The shipped digit network with one worker and with two.

Each sweep computes the same grid of precisions x digits in a new folder and a new process, which has not converted the
network yet; its program is already compiled. A single worker computes in that process. Two workers are dask workers; each
starts, imports Brian2, converts the network, and stops. Seconds are those of the complete call of `bs.sweep`. Digits per
second are measured while all workers compute, as they do for most of a long sweep. For comparison, two processes that do only
arithmetic show the largest gain that the machine allows under its load.

    python benchmarks/sweep.py [--images 1000] [--rounds 1] [--no-docs]
"""

import argparse
import json
import os
import tempfile
import time
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from _report import ROOT, environment, in_process, publish, table

import brainsnn as bs

#: A sweep of about three minutes, so that the few seconds in which workers start matter little.
M_F, CHUNK, STEPS = [round(0.05 + 0.01 * k, 2) for k in range(16)], 50, 500
HEADERS = (
    "round",
    "load",
    "1 worker, s",
    "2 workers, s",
    "ratio",
    "1 worker, digits/s",
    "2 workers, digits/s",
    "ratio",
)


@bs.once
def network(graph):
    """Return the digit network; each worker makes it once."""
    return bs.convert(graph, bs.ASN(m_f=0.1), device="cpp_standalone")


def classify(images, m_f, graph, stamps):
    """Return decision and spikes of each digit; log the time and the process."""
    snn = network(graph)
    for layer, group in snn.populations.items():
        if group.thresholder:
            snn.set_parameters(layer, m_f=m_f)
    result = snn.run(images, duration=STEPS * bs.ms)
    with open(stamps, "a") as file:
        file.write(f"{os.getpid()} {time.time()} {len(images)}\n")
    return {"decision": result.output[:, -1].argmax(axis=1), "n_spikes": sum(result.spike_counts.values())}


def digits(n):
    """Return the graph of the shipped network and the first n test digits."""
    from brainsnn.stimuli import load_digits

    return bs.read_keras(bs.load_model(ROOT / "weights" / "digits.keras")), load_digits("test")[0][:n]


def timed_sweep(n_images, workers, parent):
    """Print as JSON the seconds of a sweep, and the digits per second while all workers computed."""
    graph, images = digits(n_images)
    stamps = Path(tempfile.mkstemp(dir=parent)[1])
    folder = tempfile.mkdtemp(dir=parent)
    start = time.perf_counter()
    bs.sweep(
        classify, {"m_f": M_F}, images, folder=folder, chunk=CHUNK, progress=False, workers=workers,
        constants={"graph": graph, "stamps": str(stamps)},
    )  # fmt: skip
    seconds = time.perf_counter() - start
    rows = [(pid, float(when), int(n)) for pid, when, n in map(str.split, stamps.read_text().splitlines())]
    pids = {pid for pid, _, _ in rows}
    # From when every worker has finished its first unit until the first worker finishes its last.
    begin = max(min(when for pid, when, _ in rows if pid == one) for one in pids)
    end = min(max(when for pid, when, _ in rows if pid == one) for one in pids)
    done = sum(n for _, when, n in rows if begin < when <= end)
    print(json.dumps({"folder": folder, "seconds": seconds, "rate": done / (end - begin)}))


def arithmetic(_):
    """Return the seconds for a fixed amount of work in the processor's caches."""
    x, start = np.full(20_000, 1.0001), time.perf_counter()
    for _ in range(60_000):
        np.multiply(x, 1.0000001, out=x)
    return time.perf_counter() - start


@lru_cache
def two_at_once():
    """Return how much more work two processes do than one, without brainsnn."""
    with get_context("spawn").Pool(2) as pool:
        pool.map(arithmetic, range(2), chunksize=1)
        alone = pool.apply(arithmetic, (0,))
        return 2 * alone / max(pool.map(arithmetic, range(2), chunksize=1))


def main():
    import xarray as xr

    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.split("\n")[1])
    parser.add_argument("--images", type=int, default=1000, help="number of digits (1000)")
    parser.add_argument("--rounds", type=int, default=1, help="number of rounds (1)")
    parser.add_argument("--quick", action="store_true", help="64 digits, without writing docs")
    parser.add_argument("--no-docs", action="store_true", help="do not write docs/benchmarks.md")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return timed_sweep(*json.loads(arguments.worker))
    if arguments.quick:
        arguments.images, arguments.no_docs = 64, True
    about = environment(("brainsnn", "Brian2", "numpy", "dask", "distributed", "xarray"))
    graph, images = digits(arguments.images)
    network(graph).run(images[:1], duration=1 * bs.ms)  # compiles
    rows, whole, steady, results = [], [], [], []
    with tempfile.TemporaryDirectory(prefix="brainsnn_sweep_") as parent:
        for k in range(arguments.rounds):
            load = os.getloadavg()[0]
            one, two = (in_process(__file__, [len(images), workers, parent]) for workers in (1, 2))
            whole.append(one["seconds"] / two["seconds"])
            steady.append(two["rate"] / one["rate"])
            rows.append((k + 1, f"{load:.1f}", f"{one['seconds']:.1f}", f"{two['seconds']:.1f}", f"{whole[-1]:.2f}",
                         f"{one['rate']:.1f}", f"{two['rate']:.1f}", f"{steady[-1]:.2f}"))  # fmt: skip
            results += [
                xr.open_dataset(Path(found["folder"]) / "dataset.nc").load().drop_attrs() for found in (one, two)
            ]
        equal = all(data.identical(results[0]) for data in results)
    blocks = [
        "\n".join(f"- {line}" for line in about),
        f"{len(M_F)} precisions x {len(images)} digits of {STEPS} steps, in units of {CHUNK} digits. All data sets "
        f"{'are equal' if equal else 'DIFFER'}, value by value.",
        table(HEADERS, rows),
        f"Median ratio: {np.median(whole):.2f} for the whole sweep, {np.median(steady):.2f} while all workers compute. "
        f"Two processes that only do arithmetic: {two_at_once():.2f}.",
    ]
    publish("sweep", "Two local workers against one", "python benchmarks/sweep.py", blocks, not arguments.no_docs)


if __name__ == "__main__":
    main()
