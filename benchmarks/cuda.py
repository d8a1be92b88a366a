"""
Networks on a GPU through CUDA: build time, time per step against C++ standalone and dense PyTorch, spikes equal to C++.

nvcc compiles every network into an empty program cache. If there is a GPU, the network then runs. The time per step is the
difference between a long and a one-step run, divided by the difference in steps. C++ standalone runs the same network on
one core of the same machine. The spikes of a short run are compared with it, neuron by neuron and step by step. Dense
PyTorch computes the same mathematics on the same GPU, all images at once (dense_torch.py). It supports one parameter value
for all neurons, so the networks with attention and with a gate have no dense peer. Without a GPU only build times are
measured. The network with the gate replays given spikes, because each device draws different random spikes.

    python benchmarks/cuda.py [--networks digits attention feedback resnet] [--steps 500] [--no-docs]
"""

import argparse
import functools
import os
import tempfile
from unittest import mock

import numpy as np
from _networks import DIGITS_M_F, RESNET_M_F, digits_graph, random_image, resnet, set_rates
from _report import ROOT, elapsed, environment, megabytes, publish, table

NO_GPU = "not measured: no GPU"


class Case:
    """A network: functions that convert and run it, and the graph and images of its dense peer."""

    def __init__(self, convert, run, graph=None, images=None, m_f=None):
        self.convert, self.run, self.graph, self.images, self.m_f = convert, run, graph, images, m_f


def _digits(attended):
    import brainsnn as bs
    from brainsnn.stimuli import load_digits

    graph = digits_graph()
    images = load_digits("test")[0][:8]

    def convert(device, record=None, dtype="float32"):
        snn = bs.convert(graph, bs.ASN(m_f=DIGITS_M_F), device=device, record=record, dtype=dtype)
        if attended:
            snn.attend(bs.SpatialAttention((0.5, 0.5), 0.2, output_gain=2.0))
        return snn

    def run(snn, n_steps):
        return snn.run(images, duration=n_steps * bs.ms)

    # Attention gives each neuron its own gain; the dense peer has one for all.
    return Case(convert, run, None if attended else graph, images, DIGITS_M_F)


def _feedback():
    import brainsnn as bs
    from brainsnn.feedback import read_settings
    from brainsnn.stimuli import load_digits

    path = ROOT / "weights" / "digits_feedback_if.keras"
    settings, images = read_settings(path), load_digits("test")[0][:8]
    model = bs.load_model(path)
    images = images.reshape(len(images), *model.input_shape[1:])
    drawn = np.random.default_rng(0).random((len(images), 500, *images.shape[1:])) < images[:, None]

    def convert(device, record=None, dtype="float32"):
        gate = bs.PredictiveGate(squash=settings["squash"], squash_step=settings["squash_step"], record=False)
        return bs.convert(
            model, neuron=bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"], feedback=gate, device=device,
            record=record, dtype=dtype,
        )  # fmt: skip

    def run(snn, n_steps):
        return snn.run(images, spikes=drawn[:, :n_steps].astype(np.int8), duration=n_steps * bs.ms)

    return Case(convert, run, images=images)


def _resnet():
    import brainsnn as bs

    model, image = resnet(224), random_image(224)
    set_rates(model, image, 2.0)
    graph = bs.read_keras(model)

    def convert(device, record=None, dtype="float32"):
        return bs.convert(graph, bs.ASN(m_f=RESNET_M_F), device=device, record=record, dtype=dtype)

    def run(snn, n_steps):
        return snn.run(image[None], duration=n_steps * bs.ms)

    return Case(convert, run, graph, image[None], RESNET_M_F)


CASES = {
    "digits": ("digits", lambda: _digits(attended=False)),
    "attention": ("digits, attention", lambda: _digits(attended=True)),
    "feedback": ("digits, feedback and gate", _feedback),
    "resnet": ("ResNet-18, 224x224, about 2 Hz", _resnet),
}


def shared_spikes(case, n_steps, dtype):
    """Return the number of spikes in both GPU and C++ standalone, divided by the larger of the two totals."""
    found = []
    for device in ("cpp_standalone", "cuda_standalone"):
        names = case.convert(device).populations
        record = {name: ["spikes"] for name, group in names.items() if group.thresholder}
        spikes = case.run(case.convert(device, record, dtype), n_steps).spikes
        found.append(
            {
                (name, k, *pair)
                for name, trains in spikes.items()
                for k, train in enumerate(trains)
                for pair in zip(*(np.asarray(part).tolist() for part in train))
            }
        )
    largest = max(len(part) for part in found)
    return len(found[0] & found[1]) / largest if largest else 1.0


def time_per_step(run, steps, n_images):
    """Return seconds per step and image: a long minus a one-step run."""
    run(1)  # the first use of the GPU is slow
    (one,), _, _ = elapsed(lambda: run(1))
    (many,), _, _ = elapsed(lambda: run(steps))
    return (many - one) / ((steps - 1) * n_images)


def dense_time(case, n_steps):
    """Return seconds per step and image of dense PyTorch on the GPU, or why it was not measured."""
    if case.graph is None:
        return "no dense peer"
    try:
        import torch
    except ImportError:
        return "not measured: PyTorch is not installed"
    if not torch.cuda.is_available():
        return "not measured: PyTorch sees no GPU"
    from dense_torch import DenseNetwork

    return time_per_step(DenseNetwork(case.graph, case.images, case.m_f).run, n_steps, len(case.images))


def measure(title, case, steps):
    """Return the table row of one network."""
    from brainsnn.builders.devices.cuda.toolchain import compute_capability

    with tempfile.TemporaryDirectory(prefix="cuda_") as cache, mock.patch.dict(os.environ, BRAINSNN_CACHE=cache):
        (seconds,), _, (snn, program) = elapsed(lambda: (snn := case.convert("cuda_standalone"), snn.build()))
        size = megabytes(program.stat().st_size)
        if compute_capability() is None:
            return title, f"{seconds:.0f}", size, *[NO_GPU] * 6
        step, cpp = (
            time_per_step(functools.partial(case.run, network), steps, len(case.images))
            for network in (snn, case.convert("cpp_standalone"))
        )
        dense = dense_time(case, steps)
        times = (dense, "-") if isinstance(dense, str) else (f"{dense * 1e3:.3f}", f"{dense / step:.2f}")
        equal = [f"{shared_spikes(case, min(steps, 100), dtype):.4%}" for dtype in ("float32", "float64")]
        row = f"{step * 1e3:.3f}", f"{cpp * 1e3:.3f}", f"{cpp / step:.2f}", *times, " / ".join(equal)
        return title, f"{seconds:.0f}", size, *row


def gpu():
    """Return the name of the GPU, or say that there is none."""
    import subprocess

    from brainsnn.builders.devices.cuda.toolchain import WITHOUT_GPU, compute_capability

    if compute_capability() is None:
        return f"no GPU; compiled for compute capability {WITHOUT_GPU}"
    command = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader", "--id=0"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def main():
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="Networks on a GPU, against C++ standalone and dense PyTorch."
    )
    parser.add_argument("--networks", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--steps", type=int, default=500, help="steps of 1 ms, at most 500")
    parser.add_argument("--no-docs", action="store_true", help="only print the table")
    args = parser.parse_args()
    from brainsnn.builders.devices.cuda import toolchain

    found = toolchain.find_toolchain()
    packages = ("brainsnn", "Brian2", "brian2cuda", "numpy", "torch")
    setting = [*environment(packages), gpu(), f"CUDA {toolchain.release(found)}"]
    rows = []
    for name in args.networks:
        title, make = CASES[name]
        print(f"{title} ...", flush=True)
        rows.append(measure(title, make(), min(args.steps, 500)))
        print(" | ".join(rows[-1]), flush=True)
    headers = (
        "network", "build, s", "program", "ms per step and image", "C++ standalone, one core, ms", "C++ / GPU",
        "dense PyTorch, ms", "PyTorch / GPU", "spikes as C++ standalone, float32 / float64",
    )  # fmt: skip
    blocks = ["\n".join(f"- {line}" for line in setting), table(headers, rows)]
    write = not args.no_docs and set(args.networks) == set(CASES)
    publish("cuda", "Networks on a GPU through CUDA", "python benchmarks/cuda.py", blocks, write)


if __name__ == "__main__":
    main()
