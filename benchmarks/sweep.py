"""
Does a second local worker pay? A sweep of the shipped digit network with one worker and with two.

Each sweep computes the same grid of precisions x digits into a folder of its own: with one worker in this process, where the
network is converted already, with two in dask workers, which start, convert it each, and stop. Seconds are those of the sweep
as a user calls it. Digits per second are those of the time in which all workers compute, which is what a long sweep is made
of. The rounds alternate. How much more two processes do than one that does nothing but arithmetic tells what the machine,
with its load, has to give.

    python benchmarks/sweep.py [--images 1000] [--rounds 1] [--no-docs]
"""

import argparse
import os
import tempfile
import time
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from _report import ROOT, environment, publish, table

import brainsnn as bs

#: A sweep of two minutes: workers take some seconds to start, which a long sweep does not notice.
M_F, CHUNK, STEPS = [0.08, 0.1, 0.12, 0.14, 0.16, 0.18, 0.2, 0.22], 50, 500
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
    """The digit network, made once by each worker."""
    return bs.convert(graph, bs.ASN(m_f=0.1), device="cpp_standalone")


def classify(images, m_f, graph, stamps):
    """Decision and spikes of each digit; leaves the time and the process behind."""
    snn = network(graph)
    for layer, group in snn.populations.items():
        if group.thresholder:
            snn.set_parameters(layer, m_f=m_f)
    result = snn.run(images, duration=STEPS * bs.ms)
    with open(stamps, "a") as file:
        file.write(f"{os.getpid()} {time.time()} {len(images)}\n")
    return {"decision": result.output[:, -1].argmax(axis=1), "n_spikes": sum(result.spike_counts.values())}


def timed_sweep(graph, images, parent, **options):
    """Data set, seconds of all of it, and images per second once every worker has finished its first unit."""
    stamps = Path(tempfile.mkstemp(dir=parent)[1])
    start = time.perf_counter()
    data = bs.sweep(
        classify, {"m_f": M_F}, images, folder=tempfile.mkdtemp(dir=parent), chunk=CHUNK, progress=False,
        constants={"graph": graph, "stamps": str(stamps)}, **options,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    rows = [(pid, float(when), int(n)) for pid, when, n in map(str.split, stamps.read_text().splitlines())]
    begin = max(min(when for pid, when, _ in rows if pid == one) for one in {pid for pid, _, _ in rows})
    # Until the last worker but one has nothing left, so that all of them work.
    end = min(max(when for pid, when, _ in rows if pid == one) for one in {pid for pid, _, _ in rows})
    done = sum(n for _, when, n in rows if begin < when <= end)
    return data, seconds, done / (end - begin)


def arithmetic(_):
    """Seconds for a fixed amount of work in the processor's caches."""
    x, start = np.full(20_000, 1.0001), time.perf_counter()
    for _ in range(60_000):
        np.multiply(x, 1.0000001, out=x)
    return time.perf_counter() - start


@lru_cache
def two_at_once():
    """How much more work two processes do than one, without brainsnn."""
    with get_context("spawn").Pool(2) as pool:
        pool.map(arithmetic, range(2), chunksize=1)
        alone = pool.apply(arithmetic, (0,))
        return 2 * alone / max(pool.map(arithmetic, range(2), chunksize=1))


def main():
    from brainsnn.stimuli import load_digits

    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--images", type=int, default=1000, help="number of digits (1000)")
    parser.add_argument("--rounds", type=int, default=1, help="number of rounds (1)")
    parser.add_argument("--no-docs", action="store_true", help="do not write docs/benchmarks.md")
    arguments = parser.parse_args()
    about = environment(("brainsnn", "Brian2", "numpy", "dask", "distributed", "xarray"))
    graph = bs.read_keras(bs.load_model(ROOT / "weights" / "digits.keras"))
    images = load_digits("test")[0][: arguments.images]
    network(graph).run(images[:1], duration=1 * bs.ms)  # compiles
    rows, ratios, results = [], {"whole": [], "steady": []}, []
    with tempfile.TemporaryDirectory(prefix="brainsnn_sweep_") as parent:
        for k in range(arguments.rounds):
            found, load = {}, os.getloadavg()[0]
            for n in (1, 2):
                found[n] = timed_sweep(graph, images, parent, workers=n)
            rows.append((k + 1, f"{load:.1f}", *(f"{found[n][1]:.1f}" for n in (1, 2)), f"{found[1][1] / found[2][1]:.2f}",
                         *(f"{found[n][2]:.1f}" for n in (1, 2)), f"{found[2][2] / found[1][2]:.2f}"))  # fmt: skip
            results += [found[1][0], found[2][0]]
            ratios["whole"].append(found[1][1] / found[2][1])
            ratios["steady"].append(found[2][2] / found[1][2])
        equal = all(data.drop_attrs().identical(results[0].drop_attrs()) for data in results)
    blocks = [
        "\n".join(f"- {line}" for line in about),
        f"{len(M_F)} precisions x {len(images)} digits of {STEPS} steps, in units of {CHUNK} digits. All data sets "
        f"{'are equal' if equal else 'DIFFER'}, value by value.",
        table(HEADERS, rows),
        f"Median ratio: {np.median(ratios['whole']):.2f} for the whole sweep, {np.median(ratios['steady']):.2f} with all "
        f"workers at work. Two processes with nothing but arithmetic: {two_at_once():.2f}.",
    ]
    publish("sweep", "Two local workers against one", "python benchmarks/sweep.py", blocks, not arguments.no_docs)


if __name__ == "__main__":
    main()
