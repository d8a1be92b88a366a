"""
Digits per second of the shipped digit network, end to end, against dense convolutions in TensorFlow.

What is timed: images in, readout of every step and spike counts out (encode, run, read the results), after everything is
compiled. brainsnn runs in C++ standalone with one and with two processes. TensorFlow computes the same maths with dense
convolutions (dense_tensorflow.py) for one digit and for 64 digits at a time, with one and with two threads, as a plain
tf.function and compiled with XLA. Slow peers get fewer digits; the best of the repeats counts. Before the
clock runs, spikes and readout of the two are compared, neuron by neuron and step by step, in the synchronous schedule.

    python benchmarks/digits.py [--quick] [--images 1000] [--no-docs]
"""

import argparse
import functools
import itertools
import json
import subprocess
import sys

import numpy as np
from _report import ROOT, PeakMemory, elapsed, environment, megabytes, profile, profile_table, publish, table

WEIGHTS = ROOT / "weights" / "digits.keras"
M_F = 0.1


def _graph_and_digits():
    import brainsnn as bs
    from brainsnn.stimuli import load_digits

    return bs.read_keras(bs.load_model(WEIGHTS)), *load_digits("test")


def check(n_digits, n_steps):
    """Share of equal spikes and largest difference of the readout, brainsnn against dense TensorFlow."""
    from dense_tensorflow import DenseNetwork

    import brainsnn as bs

    graph, images, _ = _graph_and_digits()
    dense = DenseNetwork(graph, M_F)
    record = {name: ["spikes"] for name in dense.spiking} | {graph.readouts[0].name: ["S"]}
    snn = bs.convert(graph, bs.ASN(m_f=M_F), schedule="synchronous", device="cpp_standalone", record=record)
    ours = snn.run(images[:n_digits], duration=n_steps * bs.ms)
    S, _, spikes = dense.run(images[:n_digits], n_steps, record=True)
    rows = []
    for name, theirs in spikes.items():
        raster = ours.raster(name)
        rows.append((name, f"{raster.sum():,}", f"{np.count_nonzero(raster != theirs):,}"))
    difference = np.abs(S - ours.states[graph.readouts[0].name]["S"]).max()
    return table(("layer", "spikes", "different"), rows), f"{difference:.1e} of {np.abs(S).max():.3g}"


def time_brainsnn(n_digits, n_steps, processes, repeats):
    """(digits per second, CPU ms per digit) for each number of processes, and what else is worth knowing of the run."""
    import brainsnn as bs

    graph, images, labels = _graph_and_digits()
    snn = bs.convert(graph, bs.ASN(m_f=M_F), device="cpp_standalone")
    (build,), _, _ = elapsed(lambda: snn.run(images[:1], duration=n_steps * bs.ms))
    speeds, memory = {}, 0
    for n in processes:
        with PeakMemory() as peak:
            seconds, cpu, result = elapsed(
                lambda n=n: snn.run(images[:n_digits], duration=n_steps * bs.ms, processes=n), repeats
            )
        speeds[n], memory = (n_digits / min(seconds), min(cpu) / n_digits * 1e3), max(memory, peak.child())
    facts = {
        "accuracy": float(result.accuracy(labels[:n_digits])[-1]), "rate": result.mean_firing_rate,
        "build": build, "memory": memory,
    }  # fmt: skip
    return speeds, facts


def tensorflow_worker(threads, steps, n_batches, repeats):
    """Print digits per second by variant and number of steps, as JSON; in a process of its own for the threads."""
    from dense_tensorflow import DenseNetwork, use_threads

    use_threads(threads)
    graph, images, _ = _graph_and_digits()

    def run(dense, batch, n_steps, n):
        for k in range(n):
            dense.run(images[k * batch : (k + 1) * batch], n_steps)

    found = []
    for xla, batch in itertools.product((False, True), (1, 64)):
        dense, speed = DenseNetwork(graph, M_F, xla=xla), {}
        for n_steps in steps:
            run(dense, batch, n_steps, 1)  # compiles
            n = max(1, n_batches * 50 // n_steps) if batch == 1 else 1
            seconds, cpu, _ = elapsed(functools.partial(run, dense, batch, n_steps, n), repeats)
            speed[n_steps] = (n * batch / min(seconds), min(cpu) / (n * batch) * 1e3)
        found.append((f"{'XLA' if xla else 'tf.function'}, batch {batch}", speed))
    print(json.dumps(found))


def time_tensorflow(threads, steps, n_batches, repeats):
    """Variant -> number of steps -> (digits per second, CPU ms per digit), as `tensorflow_worker` prints it."""
    command = [sys.executable, __file__, "--worker", json.dumps([threads, steps, n_batches, repeats])]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return {name: {int(n): tuple(v) for n, v in speed.items()} for name, speed in json.loads(output.splitlines()[-1])}


def profiles(steps):
    """Where the time of the network goes, by code object."""
    import brainsnn as bs

    graph, images, _ = _graph_and_digits()
    for n_steps in steps:
        snn = bs.convert(graph, bs.ASN(m_f=M_F), device="cpp_standalone")
        print(f"{n_steps} steps:\n\n{profile_table(profile(snn, images[:10], n_steps), snn.projections)}\n")


def main():
    parser = argparse.ArgumentParser(description="Digits per second, brainsnn against dense TensorFlow.")
    parser.add_argument("--quick", action="store_true", help="few digits and repeats, without writing docs")
    parser.add_argument("--images", type=int, default=None, help="test digits for brainsnn (1000)")
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    parser.add_argument("--profile", action="store_true", help="only show where the time of brainsnn goes")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return tensorflow_worker(*json.loads(args.worker))
    steps = (50, 500)
    if args.profile:
        return profiles(steps)
    n_digits = args.images or (40 if args.quick else 1000)
    repeats, n_batches = (1, 4) if args.quick else (3, 30)
    setting = environment()
    print("comparing spikes ...", flush=True)
    equal, readout = check(2 if args.quick else 8, 50 if args.quick else 200)
    speeds, facts = {}, {}
    for n_steps in steps:
        print(f"brainsnn, {n_steps} steps ...", flush=True)
        speeds[n_steps], facts[n_steps] = time_brainsnn(n_digits, n_steps, (1, 2), repeats)
    peers = {}
    for n in (1, 2):
        peers[f"brainsnn, C++ standalone, {n} process{'es' * (n > 1)}"] = {s: speeds[s][n] for s in steps}
    for n in (1, 2):
        print(f"TensorFlow, {n} thread(s) ...", flush=True)
        for variant, speed in time_tensorflow(n, steps, n_batches, repeats).items():
            peers[f"TensorFlow, {variant}, {n} thread{'s' * (n > 1)}"] = speed
    rows = [
        (label, *(f"{v[s][0]:.1f}" for s in steps), *(f"{v[s][1]:.1f}" for s in steps)) for label, v in peers.items()
    ]
    best = {s: max(v[s][0] for label, v in peers.items() if label.startswith("TensorFlow")) for s in steps}
    blocks = ["\n".join(f"- {line}" for line in setting)]
    headers = [f"{what}, {s} steps" for what in ("digits per second", "CPU ms per digit") for s in steps]
    blocks += [table(("", *headers), rows), *notes(n_digits, repeats, steps, speeds, facts, best, equal, readout)]
    write = not (args.quick or args.no_docs)
    publish("digits", "The digit network, end to end", "python benchmarks/digits.py", blocks, write=write)


def notes(n_digits, repeats, steps, speeds, facts, best, equal, readout):
    """What stands below the table."""
    ratios = ", ".join(f"{speeds[s][2][0] / best[s]:.2f} at {s} steps" for s in steps)
    processes = ", ".join(f"{speeds[s][2][0] / speeds[s][1][0]:.2f} at {s} steps" for s in steps)
    runs = (
        f"{s} steps: accuracy {f['accuracy']:.1%} at the last step, {f['rate']:.1f} Hz mean rate, first run with its "
        f"build {f['build']:.1f} s, {megabytes(f['memory'])} peak memory of a process"
        for s, f in facts.items()
    )
    return [
        f"{n_digits} digits, best of {repeats}. brainsnn on 2 processes / fastest TensorFlow: {ratios}. "
        f"2 processes / 1 process: {processes}.",
        "; ".join(runs) + ".",
        f"Both compute the same (synchronous schedule, float32): largest difference of the readout's S {readout}; spikes:",
        equal,
    ]


if __name__ == "__main__":
    main()
