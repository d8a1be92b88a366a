"""
This checkout against another one: the first result of the digit network, and a step of ResNet-18 at several mean rates.

Every measurement is a new process that imports brainsnn from one of the two checkouts; the two take turns, so that a change
of the machine's speed affects both. Programs are in the cache from a first round that is not counted. The ratio is this
checkout's time over the other's, pair by pair; the median is printed with the range. Both must give the same spikes.

    git worktree add ../before v0.1.0
    python benchmarks/compare_checkouts.py ../before [--only digits] [--pairs 7] [--size 224] [--steps 200] [--rates 2 20]
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _networks import RESNET_M_F, graph_of_rate, random_image, resnet

HERE = Path(__file__).resolve().parent.parent

DIGITS = """
import json, sys, time
started = time.perf_counter()
import brainsnn as bs
from brainsnn import ms
import numpy as np
graph = bs.read_keras(bs.load_model("{weights}"))
loaded = time.perf_counter()
snn = bs.convert(graph, device="cpp_standalone")
image = np.linspace(0, 1, graph.input.size).reshape(1, *graph.input.shape)
result = snn.run(image, duration=1 * ms)
first = time.perf_counter()
runs = []
for _ in range(7):
    before = time.perf_counter()
    result = snn.run(image.repeat(20, axis=0), duration=200 * ms)
    runs.append(time.perf_counter() - before)
print(json.dumps({{"load_model and read_keras": loaded - started, "convert and first result": first - loaded,
    "20 images of 200 steps, best of 7": min(runs), "load, convert and run": first - started + min(runs),
    "spikes": int(sum(c.sum() for c in result.spike_counts.values()))}}))
"""

RESNET = """
import json, time
import numpy as np
import brainsnn as bs
from brainsnn import ms
model = bs.load_model("{model}")
started = time.perf_counter()
graph = bs.read_keras(model)
read = time.perf_counter()
snn = bs.convert(graph, bs.ASN(m_f={m_f}), device="{device}", threads={threads})
image = np.load("{image}")[None]
snn.run(image, duration=20 * ms)
first = time.perf_counter()
snn.run(image, duration=1 * ms)
short = time.perf_counter()
result = snn.run(image, duration={steps} * ms)
ended = time.perf_counter()
print(json.dumps({{"read_keras": read - started, "convert and first result": first - read,
    "{steps} steps of one image": (ended - short) - (short - first),
    "spikes": int(sum(c.sum() for c in result.spike_counts.values()))}}))
"""


def measure(code, checkout):
    """Run a measurement with the brainsnn of a checkout; return its dict of seconds and number of spikes."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(checkout),
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "KERAS_BACKEND": "tensorflow",
    }
    answer = subprocess.run([sys.executable, "-c", code], cwd=checkout, env=environment, capture_output=True, text=True)
    if answer.returncode:
        sys.exit(f"{checkout}:\n{answer.stderr[-3000:]}")
    return json.loads(answer.stdout.splitlines()[-1])


def compare(title, code, other, n_pairs, their_code=None):
    """Print the ratios of one measurement."""
    their_code = their_code or code
    measure(their_code, other), measure(code, HERE)  # fills the cache of programs
    pairs = [(measure(their_code, other), measure(code, HERE)) for _ in range(n_pairs)]
    before, after = pairs[0]
    if before["spikes"] != after["spikes"]:
        sys.exit(f"{title}: {after['spikes']} spikes here, {before['spikes']} in {other}; times cannot be compared.")
    print(f"{title}: {after['spikes']:,} spikes in both, {n_pairs} pairs")
    for part in (name for name in before if name != "spikes"):
        theirs, ours = (np.array([pair[k][part] for pair in pairs]) for k in (0, 1))
        ratios = ours / theirs
        print(f"  {part}: {np.median(ours):.3f} s here, {np.median(theirs):.3f} s there, ratio {np.median(ratios):.3f} "
              f"({ratios.min():.3f} ... {ratios.max():.3f})", flush=True)  # fmt: skip


def compare_resnet(other, rate, args, folder):
    """Print the ratios for a ResNet-18 whose batch normalisations are set for a mean rate."""
    model, image = resnet(args.size), random_image(args.size)
    graph_of_rate(model, image, rate, args.steps)
    model.save(folder / "model.keras")
    np.save(folder / "image.npy", image)
    options = {"model": folder / "model.keras", "image": folder / "image.npy", "m_f": RESNET_M_F, "steps": args.steps}
    ours = RESNET.format(**options, device=args.device, threads=args.threads)
    theirs = RESNET.format(**options, device="cpp_standalone", threads=1)
    title = f"ResNet-18, {args.size}x{args.size}, {rate:g} Hz, {args.device}, {args.threads} thread(s)"
    compare(title, ours, other, args.pairs, theirs)


def main():
    """The command line."""
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.split("\n\n")[0].strip())
    parser.add_argument("other", type=Path, help="folder of the other checkout")
    parser.add_argument("--only", choices=["digits", "resnet"], help="measure one of the two networks")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--size", type=int, default=224, help="rows and columns of the image of ResNet-18")
    parser.add_argument("--steps", type=int, default=200, help="steps of ResNet-18")
    parser.add_argument("--rates", type=float, nargs="+", default=[2.0, 20.0], help="mean rates of ResNet-18 in Hz")
    parser.add_argument(
        "--device", choices=["runtime", "cpp_standalone"], default="cpp_standalone", help="of ResNet-18"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="of ResNet-18 here; the other one runs C++ standalone in 1"
    )
    args = parser.parse_args()
    other = args.other.resolve()
    if not (other / "brainsnn" / "__init__.py").is_file():
        parser.error(f"{args.other} does not hold a brainsnn checkout")
    weights = HERE / "weights" / "digits.keras"
    if args.only != "resnet":
        compare("digits", DIGITS.format(weights=weights), other, args.pairs)
    if args.only != "digits":
        for rate in args.rates:
            with TemporaryDirectory(prefix="compare_") as folder:
                compare_resnet(other, rate, args, Path(folder))


if __name__ == "__main__":
    main()
