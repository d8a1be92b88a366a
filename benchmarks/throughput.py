"""
How many digits per second, and the same answers: brainsnn against everything that can run its shipped network on a processor.

Each row is the same network with the same neuron for 500 steps of 1 ms, in float32 and, unless stated, in one thread:

- brainsnn on its default device, in C++ standalone, and through GeNN;
- Brian2's own `Synapses`, one object for each connection, in C++ standalone;
- ANNarchy, with one weight for each connection (spiking_annarchy.py);
- PyTorch: SpikingJelly in the fastest of its modes and, without it, one compiled function for a whole step, 64 digits at once
  (spiking_torch.py). The neuron is in none of SpikingJelly, Norse and snnTorch; in each of them it would be these same
  operations, so that the compiled step is the most that any of them can reach;
- TensorFlow: dense convolutions of 64 digits at once (dense_tensorflow.py), as tf.function and with XLA.

Times are from images to the readout of each step, when everything is compiled; slow rows get fewer digits. The answer is the
class with the largest readout after the last step.

    python benchmarks/throughput.py [--quick] [--digits 960] [--peer-python PYTHON] [--no-docs]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import _peers
import numpy as np
from _networks import DIGITS_M_F as M_F
from _networks import digits_graph
from _report import ROOT, elapsed, environment, publish, table

STEPS = 500
#: Row -> options of convert, options of run, share of the digits that it gets, environment in .venvs ("" is this one).
OURS = {
    "brainsnn, default device": ({}, {}, 1, ""),
    "brainsnn, default device, 2 threads": ({"threads": 2}, {}, 1, ""),
    "brainsnn, C++ standalone": ({"device": "cpp_standalone"}, {}, 1, ""),
    "brainsnn, C++ standalone, 2 processes": ({"device": "cpp_standalone"}, {"processes": 2}, 1, ""),
    "brainsnn, GeNN on the processor": ({"device": "genn"}, {}, 1 / 8, "genn"),
    "Brian2 Synapses, C++ standalone": ({"device": "cpp_standalone", "connectivity": "synapses"}, {}, 1 / 32, ""),
}


def digits(n):
    """Return test images and labels."""
    from brainsnn.stimuli import load_digits

    images, labels = load_digits("test")
    return images[:n], labels[:n]


def worker(what, n, steps, *options):
    """Print seconds for n digits and the readouts after the last step as JSON."""
    images = digits(n)[0]
    seconds, readouts = (run_tensorflow if what == "tensorflow" else run_ours)(images, steps, *options)
    print(json.dumps({"seconds": seconds, "readouts": np.asarray(readouts, dtype=float).tolist()}))


def run_ours(images, steps, convert_options, run_options):
    """Run a network of brainsnn; return the least seconds of two runs, and the readouts."""
    import brainsnn as bs

    graph = digits_graph()
    name = graph.readouts[0].name
    snn = bs.convert(graph, bs.ASN(m_f=M_F), record={name: ["S"]}, **convert_options)
    snn.run(images[:2], duration=steps * bs.ms)  # compiles
    seconds, _, result = elapsed(lambda: snn.run(images, duration=steps * bs.ms, **run_options), 2)
    return min(seconds), result.states[name]["S"][:, -1].reshape(len(images), -1)


def run_tensorflow(images, steps, xla):
    """Run the dense network in batches of 64, as `run_ours`."""
    from dense_tensorflow import DenseNetwork, use_threads

    use_threads(1)
    dense = DenseNetwork(digits_graph(), M_F, xla=xla)
    dense.run(images[:64], steps)  # compiles

    def run():
        """Return the readouts of all batches after the last step."""
        return np.concatenate([dense.run(images[k : k + 64], steps)[0][:, -1] for k in range(0, len(images), 64)])

    seconds, _, readouts = elapsed(run)
    return seconds[0], readouts


def answer(command, **variables):
    """Run a command and return what it prints in its last line as JSON, or why that failed (str)."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, **variables})
    if done.returncode == 0:
        return json.loads(done.stdout.splitlines()[-1])
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def of_worker(python, *request):
    """Run `worker` in another process."""
    return answer([python, __file__, "--worker", json.dumps(request)], PYTHONPATH=str(ROOT))


def of_ours(label, n, steps):
    """Measure one row of brainsnn or of Brian2's Synapses."""
    options, run_options, share, place = OURS[label]
    python = str(ROOT / ".venvs" / place / "bin" / "python") if place else sys.executable
    if not Path(python).exists():
        return f"needs the environment of `make test-{place}`"
    return of_worker(python, "brainsnn", max(2, int(n * share)), steps, options, run_options)


def of_peers(python, folder, n, steps):
    """Yield the rows of ANNarchy and PyTorch: label, and what was found or why it is missing."""
    import spiking_annarchy
    import spiking_torch

    graph, (images, _) = digits_graph(), digits(n)
    missing = _peers.why_missing(python, "ANNarchy")
    if not missing:
        spiking_annarchy.export(graph, images, M_F, folder)
        request = {"n": max(2, n // 32), "steps": steps}
        found = answer(
            [python, spiking_annarchy.__file__, str(folder), json.dumps(request)], **_peers.environment_of(python)
        )
    yield "ANNarchy, sparse connections", missing or found
    missing = _peers.why_missing(python, "spikingjelly.activation_based")
    if missing:
        yield "PyTorch", missing
        return
    spiking_torch.export(graph, images, M_F, folder)
    request = {"threads": 1, "answers": {"steps": steps}}
    found = answer([python, spiking_torch.__file__, str(folder), json.dumps(request)])
    if not isinstance(found, dict):
        yield "PyTorch", found
        return
    found = found["found"]
    for way, seconds in sorted(found["ways"].items(), key=lambda item: item[1]):
        yield f"PyTorch, {way}, batch 64", found if way == found["way"] else {"seconds": seconds, "n": 64}


def rows_of(found, labels):
    """Return the rows of the table: speed against the first row, accuracy, and answers as in the first row."""
    reference = next(iter(found.values()))
    speed, classes = len(reference["readouts"]) / reference["seconds"], np.argmax(reference["readouts"], axis=1)
    rows = []
    for label, row in found.items():
        if isinstance(row, str):
            rows.append((label, "-", "-", "-", "-", f"not measured: {row}"))
            continue
        n = row.get("n") or len(row["readouts"])
        numbers = (f"{n}", f"{n / row['seconds']:.3g}", f"{speed * row['seconds'] / n:.2f}")
        if "readouts" in row:
            given = np.argmax(row["readouts"], axis=1)
            same = np.count_nonzero(given == classes[:n])
            numbers += (f"{np.mean(given == labels[:n]):.1%}", f"{same} of {n}")
        rows.append((label, *numbers, *["-"] * (5 - len(numbers))))
    return rows


def main():
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Digits per second of the same network, and its answers."
    )
    parser.add_argument("--quick", action="store_true", help="few digits and steps, without writing docs")
    parser.add_argument("--digits", type=int, default=960, help="a multiple of 64")
    _peers.add_argument(parser)
    parser.add_argument("--no-docs", action="store_true", help="only print the table")
    parser.add_argument("--worker", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(*args.worker)
        return
    if args.digits < 64 or args.digits % 64:
        parser.error(f"--digits {args.digits}: give a multiple of 64, the number of digits that run at once")
    n, steps = (64, 20) if args.quick else (args.digits, STEPS)
    setting = [*environment(), _peers.package_versions(args.peer_python, ["ANNarchy", "spikingjelly", "torch"])]
    found = {}

    def note(label, row):
        """Keep a row and show progress."""
        found[label] = row
        shown = (
            row if isinstance(row, str) else f"{(row.get('n') or len(row['readouts'])) / row['seconds']:.3g} digits/s"
        )
        print(f"{label}: {shown}", flush=True)

    for label in OURS:
        note(label, of_ours(label, n, steps))
    for xla in (False, True):
        label = f"TensorFlow, {'XLA' if xla else 'tf.function'}, batch 64"
        note(label, of_worker(sys.executable, "tensorflow", n, steps, xla))
    with tempfile.TemporaryDirectory(prefix="throughput_") as folder:
        for label, row in of_peers(args.peer_python, Path(folder), n, steps):
            note(label, row)
    headers = ("", "digits", "digits per second", "default device / this", "accuracy", "same answers as the first row")
    blocks = [
        "\n".join(f"- {line}" for line in setting),
        table(headers, rows_of(found, digits(n)[1])),
        f"{steps} steps of 1 ms, float32, one thread unless stated. TensorFlow and PyTorch run the synchronous schedule, the "
        "others the pipelined one, in which each layer is a step later.",
    ]
    write = not (args.quick or args.no_docs)
    publish(
        "throughput", "Digits per second, and the same answers", "python benchmarks/throughput.py", blocks, write=write
    )


if __name__ == "__main__":
    main()
