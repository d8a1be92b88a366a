"""
What a step costs: against the number of neurons, the mean rate and the threads, and how big a network fits.

ResNet-18s of several image sizes and widths (_networks.py) run in runtime mode, one image, each in a new process. The time per
step is the difference between a long and a short run. Two costs are fitted to all times of one thread: nanoseconds for the
update of a neuron and for a synaptic event, both as relative errors. The physical limit is the least time to read and write the
state of all neurons and the targets and weights of all events, at the bandwidth that the same run measures.

    python benchmarks/cost.py [--quick] [--networks 64x4 64x64 224x64] [--rates 0.1 0.5 2 10 20 50 100] [--no-docs]
"""

import argparse
import functools
import json
import os
import sys

import numpy as np
import psutil
from _machine import measure
from _networks import RESNET_M_F as M_F
from _networks import graph_of_rate, random_image
from _report import ROOT, elapsed, environment, in_process, megabytes, publish, table
from scipy.optimize import nnls

FIGURE = ROOT / "docs" / "cost.png"
NETWORK, RATE = (224, 64), 2.0
#: Bytes of Python and its libraries.
PYTHON_MEMORY = 1e9
#: Cores, and gigabytes of memory, of a laptop and of a node of a cluster.
MACHINES = (("laptop", 8, 16), ("node", 64, 256), ("cluster of 20 nodes, through bs.sweep", 1280, 5120))


def network(size, width):
    """Return a Keras ResNet-18 for images of so many pixels in a row, with so many channels in its first stage."""
    import keras

    from brainsnn.training import preactivation_resnet

    keras.utils.set_random_seed(0)
    shape = (size, size, 3)
    return preactivation_resnet(
        18, shape, n_classes=8, classifier_activation="sigmoid", width=width, m_f=M_F, stem="imagenet"
    )


def worker(size, width, rate, threads, repeats):
    """Print what one network costs as JSON; runs in a new process, because its memory is measured."""
    from _work import least_seconds, network_work, spikes_per_step

    import brainsnn as bs

    image = random_image(size)
    graph = graph_of_rate(network(size, width), image, rate, 300)
    neurons = sum(p.size for p in graph.populations.values() if p.kind != "input")
    n_steps = int(np.clip(4e8 / neurons, 200, 4000)) // 16 * 16
    before = resident()
    snn = bs.convert(graph, bs.ASN(m_f=M_F), threads=threads)
    snn.run(image[None], duration=320 * bs.ms)  # threads have found their shares
    short = min(elapsed(lambda: snn.run(image[None], duration=16 * bs.ms), repeats)[0])
    times, _, result = elapsed(lambda: snn.run(image[None], duration=(16 + n_steps) * bs.ms), repeats)
    work = network_work(snn, spikes_per_step(result))
    events = sum(w.operations / 2 for w in work if w.kind == "spikes")
    memory = resident() - before
    print(json.dumps({
        "threads": threads, "neurons": neurons, "rate": float(result.mean_firing_rate),
        "events": events, "step": (min(times) - short) / n_steps, "memory": memory,
        "least": sum(least_seconds(work, measure(threads)).values()),
    }))  # fmt: skip


def resident():
    """Return the bytes of this process that are in memory now; its peak was set by the network that sets the rates."""
    return psutil.Process().memory_info().rss


def fit(found):
    """Return seconds per neuron and per synaptic event, and the largest relative error of the fit."""
    columns = np.array([[row["neurons"], row["events"]] for row in found], dtype=float)
    times = np.array([row["step"] for row in found])
    costs, _ = nnls(columns / times[:, None], np.ones(len(times)))
    return costs, np.abs(columns @ costs / times - 1).max()


def fitted(row, costs):
    """Return the seconds of a step by the fitted costs."""
    return costs[0] * row["neurons"] + costs[1] * row["events"]


def draw(by_neurons, by_rate, by_threads, costs):
    """Draw the three relations, with the fit and the limit."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, NullLocator

    from brainsnn.plot_style import style

    with style():
        figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
        for ax, found, key, label in (
            (axes[0], by_neurons, "neurons", "neurons"), (axes[1], by_rate, "rate", "mean rate (Hz)"),
        ):  # fmt: skip
            x = [row[key] for row in found]
            ax.loglog(x, [row["step"] * 1e3 for row in found], "o", label="measured")
            ax.loglog(x, [fitted(row, costs) * 1e3 for row in found], "-", color="0.5", label="fitted costs")
            ax.loglog(x, [row["least"] * 1e3 for row in found], ":", color="C3", label="physical limit")
            ax.set(xlabel=label, ylabel="ms per step")
            ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            ax.yaxis.set_major_formatter("{x:g}")
            ax.yaxis.set_minor_locator(NullLocator())
        axes[0].set_title(f"{RATE:g} Hz, one thread")
        axes[1].set_title(f"{by_rate[0]['neurons'] / 1e6:.1f} million neurons, one thread")
        axes[1].legend()
        threads = [row["threads"] for row in by_threads]
        axes[2].bar([str(n) for n in threads], [row["step"] * 1e3 for row in by_threads], width=0.5)
        axes[2].set(
            xlabel="threads", ylabel="ms per step", title=f"{by_threads[0]['neurons'] / 1e6:.1f} million neurons, 2 Hz"
        )
        figure.savefig(FIGURE, dpi=150)


def big_rows(by_neurons):
    """Return memory and time of the measured networks, and images per hour on other machines."""
    rows = []
    for row in by_neurons:
        per_hour = (
            min(cores, int(gigabytes * 1e9 // (row["memory"] + PYTHON_MEMORY))) * 3600 / (row["step"] * 500)
            for _, cores, gigabytes in MACHINES
        )
        minutes = f"{row['step'] * 1000 / 60:.2g}"
        rows.append((f"{row['neurons']:,}", megabytes(row["memory"]), minutes, *(_two_digits(n) for n in per_hour)))
    return rows


def _two_digits(number):
    return f"{round(number, 1 - int(np.log10(number))):,.0f}"


def arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description="What a step costs, and how big a network fits.")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("--quick", action="store_true", help="small networks, without writing docs")
    parser.add_argument(
        "--networks", type=lambda text: tuple(map(int, text.split("x"))), nargs="+",
        default=[(64, 4), (64, 16), (64, 64), (128, 64), (224, 64), (448, 64)],
        help="rows of the image, and channels of the first stage",
    )  # fmt: skip
    parser.add_argument(
        "--rates", type=float, nargs="+", default=[0.1, 0.5, 2.0, 10.0, 20.0, 50.0, 100.0], help="mean rates, Hz"
    )
    parser.add_argument("--threads", type=int, nargs="+", default=[1, os.cpu_count()])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    args = parser.parse_args()
    if args.quick:
        args.networks, args.rates, args.repeats = [(64, 4), (64, 16)], [2.0, 20.0], 1
    return args


def report(by_neurons, by_rate, by_threads, costs, error):
    """Return the tables and notes."""
    headers = (
        "what varies", "neurons", "threads", "mean rate, Hz", "million events per step", "ms per step", "fitted", "limit",
        "step / limit",
    )  # fmt: skip
    rows = [
        (
            what, f"{row['neurons']:,}", row["threads"], f"{row['rate']:.2f}", f"{row['events'] / 1e6:.3g}",
            f"{row['step'] * 1e3:.3g}", f"{1e3 * fitted(row, costs):.3g}" if row["threads"] == 1 else "-",
            f"{row['least'] * 1e3:.3g}", f"{row['step'] / row['least']:.2f}",
        )
        for what, found in (("neurons", by_neurons), ("rate", by_rate), ("threads", by_threads)) for row in found
    ]  # fmt: skip
    machines = [f"images of 500 steps per hour: {name} ({cores} cores, {gb} GB)" for name, cores, gb in MACHINES]
    return [
        table(headers, rows),
        f"Fitted: **{costs[0] * 1e9:.3g} ns for the update of a neuron and {costs[1] * 1e9:.3g} ns for a synaptic event**, "
        f"within {error:.0%} of every time of one thread. Neurons include junctions, membranes and the readout. The limit takes "
        "the state of all neurons from memory in each step; a network that runs layer by layer finds most of it in the cache.",
        "![Time of a step against neurons, rate and threads](cost.png)",
        f"How big a network fits, at {RATE:g} Hz in one thread. Memory is what the network adds to Python and its libraries, "
        "which take about 1 GB. The images per hour assume one process for each core, and cores and memory as fast as here, so "
        "they are an estimate:",
        table(("neurons", "memory", "minutes per simulated second", *machines), big_rows(by_neurons)),
    ]


def main():
    args = arguments()
    if args.worker:
        worker(*args.worker)
        return
    usual = (64, 16) if args.quick else NETWORK

    @functools.cache
    def of(size, width, rate, threads):
        """Measure a network once, also for two parts of the table."""
        print(f"{size} pixels, {width} channels, {rate:g} Hz, {threads} threads ...", file=sys.stderr, flush=True)
        return in_process(__file__, [size, width, rate, threads, args.repeats])

    setting = [*environment(), *(str(measure(n)) for n in dict.fromkeys(args.threads))]
    by_threads = [of(*usual, RATE, n) for n in args.threads]  # first: one right after the other
    by_neurons = [of(*each, RATE, 1) for each in args.networks]
    by_rate = [of(*usual, rate, 1) for rate in args.rates]
    costs, error = fit(by_neurons + by_rate)
    write = not (args.quick or args.no_docs)
    if write:
        draw(by_neurons, by_rate, by_threads, costs)
    blocks = ["\n".join(f"- {line}" for line in setting), *report(by_neurons, by_rate, by_threads, costs, error)]
    publish("cost", "What a step costs, and how big a network fits", "python benchmarks/cost.py", blocks, write=write)


if __name__ == "__main__":
    main()
