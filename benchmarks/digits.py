"""
Digits per second of the shipped digit network, end to end, against dense TensorFlow and SpikingJelly.

Timed after everything is compiled: images in, readout of every step and spike counts out (encode, run, read the results).
brainsnn runs in C++ standalone with one and with two processes. TensorFlow computes the same mathematics with dense
convolutions (dense_tensorflow.py) for batches of 1 and 64 digits, with one and with two threads, as a plain tf.function and
compiled with XLA. SpikingJelly runs the same neuron (spiking_torch.py) in a separate environment, with its fastest mode and
batch size, and with batch size 64. Slow peers get fewer digits; the best of the repeats counts. Before anything is timed, the
spikes and readouts of all are compared, neuron by neuron and step by step, in the synchronous schedule.

    python benchmarks/digits.py [--quick] [--images 1000] [--peer-python PYTHON] [--no-docs]
"""

import argparse
import functools
import itertools
import json
import subprocess
import tempfile
from pathlib import Path

import _peers
import numpy as np
from _machine import measure
from _networks import DIGITS_M_F as M_F
from _networks import digits_graph
from _report import PeakMemory, elapsed, environment, in_process, megabytes, publish, table


def _graph_and_digits():
    from brainsnn.stimuli import load_digits

    return digits_graph(), *load_digits("test")


# Do all compute the same?


def check(n_digits, n_steps, torch_python, folder):
    """Return a table of the spikes and readouts in which the peers differ from brainsnn."""
    from dense_tensorflow import DenseNetwork

    import brainsnn as bs

    graph, images, _ = _graph_and_digits()
    dense = DenseNetwork(graph, M_F)
    readout = graph.readouts[0].name
    record = {name: ["spikes"] for name in dense.spiking} | {readout: ["S"]}
    snn = bs.convert(graph, bs.ASN(m_f=M_F), schedule="synchronous", device="cpp_standalone", record=record)
    ours = snn.run(images[:n_digits], duration=n_steps * bs.ms)
    S, _, spikes = dense.run(images[:n_digits], n_steps, record=True)
    peers = {"TensorFlow": (S, spikes)}
    if torch_python:
        request_torch(torch_python, folder, {"threads": 1, "check": [n_digits, n_steps]})
        with np.load(folder / "torch_spikes.npz") as data:
            rasters = {
                name: np.unpackbits(data[name], count=ours.raster(name).size).reshape(ours.raster(name).shape)
                for name in dense.spiking
            }
            peers["SpikingJelly"] = (data["S"].reshape(S.shape), rasters)
    rows = []
    for name in dense.spiking:
        raster = ours.raster(name)
        different = (np.count_nonzero(raster != rasters[name]) for _, rasters in peers.values())
        rows.append((name, f"{raster.sum():,}", *(f"{n:,} ({n / raster.sum():.1e})" for n in different)))
    ours_S = ours.states[readout]["S"]
    differences = (f"{np.abs(S - ours_S).max():.1e}" for S, _ in peers.values())
    rows.append((f"largest difference of S of {readout}", f"|S| to {np.abs(ours_S).max():.3g}", *differences))
    return table(("layer", "spikes", *(f"different in {peer}" for peer in peers)), rows)


# Measuring


def time_brainsnn(n_digits, n_steps, processes, repeats):
    """Return (digits per second, CPU ms per digit) for each number of processes, and other facts of the run."""
    from _work import network_work, spikes_per_step

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
        "accuracy": float(result.accuracy(labels[:n_digits])[-1]), "rate": result.mean_firing_rate, "build": build,
        "memory": memory, "work": network_work(snn, spikes_per_step(result)),
    }  # fmt: skip
    return speeds, facts


def where_time_goes(n_steps):
    """Return the kinds of code objects that take the most time (str)."""
    from profiling import digits_profile, shares

    times, snn, _ = digits_profile(n_steps, threads=1)
    return shares(times, snn)


def tensorflow_worker(threads, steps, n_batches, repeats):
    """Print digits per second by variant and number of steps as JSON; a new process, because threads are fixed at start."""
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
    """Return what `tensorflow_worker` prints: variant -> number of steps -> (digits per second, CPU ms per digit)."""
    found = in_process(__file__, [threads, steps, n_batches, repeats])
    return {name: {int(n): tuple(v) for n, v in speed.items()} for name, speed in found}


def request_torch(python, folder, request):
    """Run spiking_torch.py and return its answer (dict)."""
    command = [python, str(Path(__file__).with_name("spiking_torch.py")), str(folder), json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"spiking_torch.py failed: {done.stderr.strip()[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def time_torch(python, folder, threads, steps, quick):
    """Return speeds of SpikingJelly as in `time_tensorflow`, for its fastest setting and for batch size 64."""
    batches = [16, 64] if quick else [16, 64, 256]
    request = {"threads": threads, "batches": batches, "steps": steps, "largest": 8000, "repeats": 1 if quick else 3}
    found = request_torch(python, folder, request)["found"]
    fastest, batch_64, settings = {}, {}, []
    for n_steps in steps:
        rows = sorted((row for row in found if row[0] == n_steps), key=lambda row: -row[3])
        fastest[n_steps] = tuple(rows[0][3:])
        batch_64[n_steps] = tuple(next(row[3:] for row in rows if row[2] == 64))
        settings.append(f"{n_steps} steps: {rows[0][1]}, batch {rows[0][2]}")
    return {f"batch 64, {threads}": batch_64, f"best setting, {threads}": fastest}, "; ".join(settings)


# Report


def limit_rows(peers, facts, machines):
    """Return the limits in words, and a table of each row's time divided by its limit."""
    from _work import dense_operations, describe, least_seconds

    operations = dense_operations(_graph_and_digits()[0])
    least = {}
    for n, machine in machines.items():
        for s in facts:
            ours = least_seconds(facts[s]["work"], machine)
            dense = operations / machine.fma + ours["neurons"]
            least[n, s] = {"brainsnn": s * sum(ours.values()), "dense": s * dense}
    rows = []
    for label, speed in peers.items():
        n, kind = (2 if "2 " in label[-12:] else 1), "brainsnn" if label.startswith("brainsnn") else "dense"
        rows.append((label, *(f"{1 / speed[s][0] / least[n, s][kind]:.1f}" for s in facts)))
    words = "; ".join(f"{s} steps: {describe(facts[s]['work'], machines[1])}" for s in facts)
    text = (
        f"The limit of a step of brainsnn on this machine, 1 process: {words}. The limit of dense code: the same neurons, "
        f"and {operations / 1e6:.3g} million operations in the convolutions at the measured peak. Time over this limit, "
        "including program start, encoding and reading the results:"
    )
    return [text, table(("time over the physical limit", *(f"{s} steps" for s in facts)), rows)]


def notes(n_digits, repeats, speeds, facts, peers):
    """Return the notes below the table."""
    ratios = []
    for n in (1, 2):
        for s in facts:
            others = {k: v[s][0] for k, v in peers.items() if not k.startswith("brainsnn") and s in v}
            same = {k: v for k, v in others.items() if k.endswith(f"{n} thread{'s' * (n > 1)}")}
            ratios.append(f"{speeds[s][n][0] / max(same.values()):.2f} at {s} steps on {n} core{'s' * (n > 1)}")
    processes = ", ".join(f"{speeds[s][2][0] / speeds[s][1][0]:.2f} at {s} steps" for s in facts)
    runs = (
        f"{s} steps: accuracy {f['accuracy']:.1%} at the last step, {f['rate']:.1f} Hz mean rate, first run with its "
        f"build {f['build']:.1f} s, {megabytes(f['memory'])} peak memory of a process, time in the program: "
        f"{f['profile']}"
        for s, f in facts.items()
    )
    return [
        f"{n_digits} digits, best of {repeats}. brainsnn / fastest peer, one process for each core against one thread: "
        f"{', '.join(ratios)} (goal: 1 or more). 2 processes / 1 process: {processes} (goal: 1.8)."
        + "".join(
            f" At {s} steps decisions are at chance (accuracy below): these ratios compare speed only."
            for s, f in facts.items()
            if f["accuracy"] < 0.2
        ),
        "; ".join(runs) + ".",
    ]


def measure_peers(torch_python, folder, steps, n_batches, repeats, quick):
    """Return the rows of TensorFlow and SpikingJelly, and SpikingJelly's fastest settings in words."""
    peers, settings = {}, []
    for n in (1, 2):
        threads = f"{n} thread{'s' * (n > 1)}"
        print(f"TensorFlow, {threads} ...", flush=True)
        for variant, speed in time_tensorflow(n, steps, n_batches, repeats).items():
            peers[f"TensorFlow, {variant}, {threads}"] = speed
        if torch_python:
            print(f"SpikingJelly, {threads} ...", flush=True)
            found, setting = time_torch(torch_python, folder, n, steps, quick)
            peers |= {f"SpikingJelly, {label} thread{'s' * (n > 1)}": speed for label, speed in found.items()}
            settings.append(f"{threads}: {setting}")
    return peers, settings


def main():
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Digits per second, brainsnn against TensorFlow and SpikingJelly."
    )
    parser.add_argument("--quick", action="store_true", help="few digits and repeats, without writing docs")
    parser.add_argument("--images", type=int, default=None, help="test digits for brainsnn (1000)")
    _peers.add_argument(parser)
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return tensorflow_worker(*json.loads(args.worker))
    n_digits = args.images or (40 if args.quick else 1000)
    steps = (10, 20) if args.quick else (50, 500)
    repeats, n_batches = (1, 4) if args.quick else (3, 30)
    missing = _peers.why_missing(args.peer_python, "spikingjelly.activation_based")
    torch_python = None if missing else args.peer_python
    machines = {n: measure(n) for n in (1, 2)}
    setting = environment()
    setting.append(
        _peers.package_versions(args.peer_python, ["spikingjelly", "torch", "numpy"]) + ": float32, CPU, no_grad"
    )
    setting += map(str, machines.values())
    with tempfile.TemporaryDirectory(prefix="digits_") as name:
        folder = Path(name)
        if torch_python:
            import spiking_torch

            graph, images, _ = _graph_and_digits()
            spiking_torch.export(graph, images[:256], M_F, folder)
        print("comparing spikes ...", flush=True)
        equal = check(2 if args.quick else 8, 50 if args.quick else 200, torch_python, folder)
        speeds, facts, peers = {}, {}, {}
        for n_steps in steps:
            print(f"brainsnn, {n_steps} steps ...", flush=True)
            speeds[n_steps], facts[n_steps] = time_brainsnn(n_digits, n_steps, (1, 2), repeats)
            facts[n_steps]["profile"] = where_time_goes(n_steps)
        for n in (1, 2):
            peers[f"brainsnn, C++ standalone, {n} process{'es' * (n > 1)}"] = {s: speeds[s][n] for s in steps}
        others, torch_settings = measure_peers(torch_python, folder, steps, n_batches, repeats, args.quick)
        peers |= others
    rows = [
        (label, *(f"{v[s][0]:.1f}" for s in steps), *(f"{v[s][1]:.1f}" for s in steps)) for label, v in peers.items()
    ]
    rows += [("SpikingJelly", "-", "-", "-", f"not measured: {missing}")] if missing else []
    headers = [f"{what}, {s} steps" for what in ("digits per second", "CPU ms per digit") for s in steps]
    blocks = ["\n".join(f"- {line}" for line in setting), table(("", *headers), rows)]
    blocks += notes(n_digits, repeats, speeds, facts, peers)
    if torch_settings:
        blocks.append("SpikingJelly's best settings: " + "; ".join(torch_settings) + ".")
    blocks += limit_rows(peers, facts, machines)
    blocks += ["All compute the same (synchronous schedule, float32):", equal]
    write = not (args.quick or args.no_docs)
    publish("digits", "The digit network, end to end", "python benchmarks/digits.py", blocks, write=write)


if __name__ == "__main__":
    main()
