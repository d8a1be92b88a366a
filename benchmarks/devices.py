"""
The shipped networks on every device: share of spikes equal to C++ standalone, seconds per image, memory.

Each device runs in its own process, in the first environment that has everything it needs: this one, those that `make
test-versions` and `make test-genn` made in .venvs, or those passed with --python. All devices get the same images and, if
spikes are the input, the same spikes. Spikes are compared with C++ standalone in this environment, neuron by neuron and step
by step, in the pipelined schedule: the number of spikes in both, divided by the number in either. Time and memory are for
float32. The time per image is the wall time of a batch (images in, readout and counts out) minus that of one image, divided
by the number of further images. The first run includes code generation and compilation. Memory is the peak resident memory
of the program, or of the Python process in runtime mode. A device that cannot run on this machine gets a row with the reason.

    python benchmarks/devices.py [--quick] [--networks plain ...] [--devices genn ...] [--python PATH ...] [--no-docs]
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _report import ROOT, PeakMemory, elapsed, environment, megabytes, publish, table

REFERENCE = "cpp_standalone"
NETWORKS = ("plain", "attention", "feedback", "resnet")
TITLES = {
    "plain": "digits (plain)",
    "attention": "digits, a cue for each image (attention)",
    "feedback": "digits, sticky gate (feedback)",
    "resnet": "search (ResNet)",
}


def build(name, device, dtype, n_images, n_steps):
    """Return a network that records the spikes to compare, and a function that runs its first n images."""
    import brainsnn as bs
    from brainsnn.feedback import read_settings
    from brainsnn.stimuli import load_digits, load_search_scenes

    def recording(model):
        return {p.name: ["spikes"] for p in bs.read_keras(model).populations.values() if p.kind == "spiking"}

    options = {"device": device, "dtype": dtype}
    duration = n_steps * bs.ms
    if name == "feedback":
        path = ROOT / "weights" / "digits_feedback_if.keras"
        model, settings, images = bs.load_model(path), read_settings(path), load_digits("test")[0][:n_images]
        gate = bs.PredictiveGate(squash=settings["squash"], squash_step=settings["squash_step"], record=False)
        snn = bs.convert(
            model, neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"], feedback=gate,
            record={name: ["spikes"] for name in settings["thresholds"]} | {"input": ["spikes"]}, **options,
        )  # fmt: skip
        drawn = np.random.default_rng(0).random((n_images, n_steps, *images.shape[1:])) < images[:, None]
        return snn, lambda n: snn.run(images[:n], spikes=drawn[:n].astype(np.int8))
    if name == "resnet":
        model, images = bs.load_model(ROOT / "weights" / "search.keras"), load_search_scenes(n_images).images
        snn = bs.convert(model, neuron=bs.ASN(m_f=0.45), record=recording(model), **options)
        return snn, lambda n: snn.run(images[:n], duration=duration)
    model, images = bs.load_model(ROOT / "weights" / "digits.keras"), load_digits("test")[0][:n_images]
    snn = bs.convert(model, neuron=bs.ASN(m_f=0.1), record=recording(model), **options)

    def run(n):
        if name == "attention":
            cues = [(0.25, 0.25), (0.75, 0.5)] * (n // 2 + 1)
            snn.attend(bs.SpatialAttention(center=cues[:n], width=0.25, input_gain=0.3, output_gain=0.3, precision=0.3))
        return snn.run(images[:n], duration=duration)

    return snn, run


def worker(name, device, n_images, n_steps, folder):
    """Print the measurements of a device as JSON, or what it is missing; write the rasters to the folder."""
    import brian2

    from brainsnn.builders.devices.registry import backend_class

    reason = backend_class(device).missing()
    if reason is not None:
        print(json.dumps({"missing": reason}))
        return
    found, folder = {}, Path(folder)
    brian2.prefs.codegen.runtime.cython.cache_dir = str(folder / "cython")
    for dtype in ("float64", "float32"):
        snn, run = build(name, device, dtype, n_images, n_steps)
        with PeakMemory() as peak:
            (first,), _, _ = elapsed(lambda run=run: run(1))
            alone, _, _ = elapsed(lambda run=run: run(1), 3)
            batch, _, result = elapsed(lambda run=run: run(n_images), 3)
        rasters = {k: np.packbits(result.raster(k).reshape(n_images, -1), axis=1) for k in result.spikes}
        np.savez(folder / f"{name}_{device}_{dtype}.npz", **rasters)
        found[dtype] = {
            "first": first, "image": (min(batch) - min(alone)) / (n_images - 1), "memory": peak.child() or peak.own(),
        }  # fmt: skip
    found["environment"] = f"Brian2 {brian2.__version__}, NumPy {np.__version__}"
    print(json.dumps(found))


def in_process(python, name, device, n_images, n_steps, folder):
    """Return what `worker` prints in another process, or why that process failed."""
    job = json.dumps([name, device, n_images, n_steps, str(folder)])
    settings = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH")))),
        "BRAINSNN_CACHE": str(folder / f"{name}_{device}"),  # empty, so that the first run compiles
    }
    command = [python, __file__, "--worker", job]
    output = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
    if output.returncode != 0:
        last = (output.stderr.strip().splitlines() or [f"exit status {output.returncode}"])[-1]
        return {"missing": f"failed: {last}"}
    return json.loads(output.stdout.splitlines()[-1])


def equal_share(folder, name, device, dtype):
    """Return spikes in both divided by spikes in either, over all layers and the images that both ran."""
    counts = np.zeros(2)
    with (
        np.load(folder / f"{name}_{device}_{dtype}.npz") as ours,
        np.load(folder / f"{name}_{REFERENCE}_{dtype}.npz") as theirs,
    ):
        for layer in theirs.files:
            a, b = ours[layer], theirs[layer][: len(ours[layer])]
            a, b = np.unpackbits(a).astype(bool), np.unpackbits(b).astype(bool)
            counts += np.count_nonzero(a & b), np.count_nonzero(a | b)
    return counts[0] / counts[1]


def measure(name, device, pythons, n_images, n_steps, folder):
    """Return one row of the table."""
    reasons = []
    for python in pythons:
        found = in_process(python, name, device, n_images, n_steps, folder)
        if "missing" not in found:
            break
        reasons.append(found["missing"])
    else:
        # Only the environment made for the device says what is really missing; others say which extra to install.
        further = (r for r in reasons if "brainsnn[" not in r and not r.startswith("failed"))
        reason = next(further, reasons[0])
        return (TITLES[name], device, *["-"] * 5, f"not measured: {reason.split('. ')[0].split('; ')[0].rstrip('.')}")
    shares = [f"{equal_share(folder, name, device, dtype):.6f}" for dtype in ("float64", "float32")]
    times = found["float32"]
    costs = f"{times['image']:.3f}", f"{times['first']:.0f}", megabytes(times["memory"])
    return (TITLES[name], device, *shares, *costs, found["environment"])


def main():
    from brainsnn.builders.devices.registry import DEVICES

    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Every network on every device, against C++ standalone."
    )
    parser.add_argument("--quick", action="store_true", help="few images and steps, without writing docs")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--devices", nargs="+", choices=list(DEVICES), default=list(DEVICES))
    parser.add_argument("--python", nargs="+", default=[], help="Python executables of further environments")
    parser.add_argument("--no-docs", action="store_true", help="only print the table")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(*json.loads(args.worker))
    n_images, n_steps = (3, 40) if args.quick else (21, 100)
    pythons = [sys.executable, *sorted(map(str, (ROOT / ".venvs").glob("*/bin/python"))), *args.python]
    setting, rows = environment(("brainsnn", "Brian2", "numpy", "brian2genn")), []
    with tempfile.TemporaryDirectory() as folder:
        for name in args.networks:
            for device in (REFERENCE, *(d for d in args.devices if d != REFERENCE)):
                print(f"{name} on {device} ...", flush=True)
                rows.append(measure(name, device, pythons, n_images, n_steps, Path(folder)))
                print("  ".join(rows[-1]), flush=True)
    headers = (
        "network",
        "device",
        "equal, float64",
        "equal, float32",
        "s per image",
        "first run, s",
        "memory",
        "measured with",
    )
    note = (
        f"{n_images} images of {n_steps} steps, the fastest of 3 runs. Equal: "
        "share of spikes equal to those of C++ standalone in the same precision. In float32, devices round differently, and a "
        "spike that comes one step later changes the spikes after it."
    )
    blocks = ["\n".join(f"- {line}" for line in setting), table(headers, rows), note]
    write = not (args.quick or args.no_docs)
    command = " ".join(["python benchmarks/devices.py", *_choices(args)])
    publish("devices", "Devices", command, blocks, write=write)


def _choices(args):
    """Return the networks and devices as command-line arguments, unless all were chosen."""
    from brainsnn.builders.devices.registry import DEVICES

    chosen = []
    for option, value, everything in (
        ("--networks", args.networks, NETWORKS),
        ("--devices", args.devices, DEVICES),
    ):
        if list(value) != list(everything):
            chosen += [option, *value]
    return chosen


if __name__ == "__main__":
    main()
