"""
ResNet-34 and VGG16 at 224x224 in C++ standalone: speed, memory and build time.

Weights are random, with batch normalisations set for a mean rate (_networks.py); one random image is run. The cold build is
that of first_result.py: a new process with an empty program cache. The time per step is the difference between a long and a
one-step run, divided by the difference in steps. Memory is the high-water mark of the compiled program and of the Python
process that converted the model.

    python benchmarks/large_graphs.py [--quick] [--networks resnet34 vgg16] [--rate 2] [--steps 200] [--no-docs]
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from _machine import measure
from _networks import RESNET_M_F as M_F
from _networks import graph_of_rate, random_image
from _report import PeakMemory, environment, in_process, megabytes, publish, table
from first_result import first_result

NETWORKS = ("resnet34", "vgg16")


def build(network, size):
    """Return a Keras model with random weights."""
    import keras

    from brainsnn.training import preactivation_resnet, vgg16

    keras.utils.set_random_seed(0)
    shape = (size, size, 3)
    if network == "resnet34":
        return preactivation_resnet(34, shape, n_classes=8, classifier_activation="sigmoid", m_f=M_F, stem="imagenet")
    return vgg16(shape, n_classes=8, classifier_activation="sigmoid", m_f=M_F)


def worker(network, size, rate, steps, repeats):
    """Print one row of the table as JSON; runs in a new process, because its memory is measured."""
    from _work import describe, least_seconds
    from resnet import time_brainsnn

    image, model = random_image(size), build(network, size)
    graph = graph_of_rate(model, image, rate, steps)
    facts, _ = time_brainsnn(graph, image, steps, repeats, 1)
    machine = measure(1)
    least = sum(least_seconds(facts["work"], machine).values())
    python_memory = PeakMemory.own()
    with tempfile.TemporaryDirectory(prefix="large_graphs_") as name:
        folder = Path(name)
        model.save(folder / "model.keras")
        np.save(folder / "image.npy", image[None])
        parts, _ = first_result(folder / "model.keras", folder / "image.npy", M_F, "cpp_standalone", folder / "cache")
    connections = sum(getattr(p.operator, "n_connections", 0) for p in graph.projections)
    spiking = sum(p.size for p in graph.populations.values() if p.kind == "spiking")
    row = (
        network, f"{spiking / 1e6:.2f} million", f"{connections / 1e6:,.0f} million", f"{facts['rate']:.2f}",
        f"{facts['step'] * 1e3:.1f}", f"{least * 1e3:.1f}", f"{facts['step'] / least:.1f}", megabytes(facts["memory"]),
        megabytes(python_memory), f"{parts[2] + parts[3]:.1f}",
    )  # fmt: skip
    note = f"{network}: the limit of a step is {describe(facts['work'], machine)}; where the time goes now: {facts['profile']}; "
    note += f"the largest parts are {facts['largest']}."
    print(json.dumps([row, note]))


def main():
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="ResNet-34 and VGG16 at 224x224 in C++ standalone."
    )
    parser.add_argument("--quick", action="store_true", help="64x64 images and few steps, without writing docs")
    parser.add_argument("--networks", nargs="+", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--rate", type=float, default=2.0, help="mean firing rate in Hz")
    parser.add_argument("--steps", type=int, default=None, help="steps of 1 ms (300)")
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(*json.loads(args.worker))
    size, steps = (64 if args.quick else 224), args.steps or (20 if args.quick else 300)
    setting, rows, notes = [*environment(), str(measure(1))], [], []
    for network in args.networks:
        print(f"{network} ...", flush=True)
        row, note = in_process(__file__, [network, size, args.rate, steps, 1 if args.quick else 2])
        rows.append(row), notes.append(note)
    headers = (
        f"network, {size}x{size}", "spiking neurons", "connections", "mean rate, Hz", "ms per step", "physical limit, ms",
        "time over limit", "peak memory of the program", "of Python with TensorFlow", "cold build, s",
    )  # fmt: skip
    blocks = ["\n".join(f"- {line}" for line in setting), table(headers, rows), *notes]
    write = not (args.quick or args.no_docs) and args.networks == list(NETWORKS)
    publish("large_graphs", "Larger graphs", "python benchmarks/large_graphs.py", blocks, write=write)


if __name__ == "__main__":
    main()
