"""
How time and memory grow with neurons, channels, spikes, steps, stored connections and processes.

The networks are ResNet-18s (_networks.py) with smaller images, in C++ standalone with one thread, at about the same mean rate.
Time is the program's processor time: a long run minus a one-step run. Spikes and stored connections are varied in one 3x3
projection with given spikes, profiled by Brian2. The exponent is the slope between two sizes on logarithmic axes: 1 is
linear, 0 is constant.

    python benchmarks/scaling.py [--quick] [--no-docs]
"""

import argparse
import functools
import multiprocessing
import os

import numpy as np
from _machine import measure
from _networks import RESNET_M_F as M_F
from _networks import graph_of_rate, random_image
from _report import elapsed, environment, publish, table

#: Large enough that the state exceeds every cache at both sizes.
RATE, SIZE, WIDTH = 10.0, 160, 64
#: Bytes of the 3x3 kernel from 32 to 64 channels in float32.
WEIGHTS_BYTES = 9 * 32 * 64 * 4


# Networks


def network(size, width):
    """Return the graph of a ResNet-18, with about the same mean rate at any size, and its image."""
    import keras

    from brainsnn.training import preactivation_resnet

    keras.utils.set_random_seed(0)
    model = preactivation_resnet(18, (size, size, 3), n_classes=8, width=width, m_f=M_F, stem="imagenet")
    image = random_image(size)
    return graph_of_rate(model, image, RATE, 300), image


def time_network(graph, image, steps, repeats):
    """Return processor seconds per step, neurons, synaptic events per step, and the physical limit in seconds."""
    from _work import least_seconds, network_work, spikes_per_step

    import brainsnn as bs

    snn = bs.convert(graph, bs.ASN(m_f=M_F), device="cpp_standalone")

    def seconds(n_steps):
        """Return the processor time of the fastest run, in the compiled program only, and the last result."""
        times = []
        for _ in range(repeats + 1):
            before = os.times()
            result = snn.run(image[None], duration=n_steps * bs.ms)
            after = os.times()
            times.append(sum(after[2:4]) - sum(before[2:4]))
        return min(times[1:]), result

    one, _ = seconds(1)
    many, result = seconds(1 + steps)
    work = network_work(snn, spikes_per_step(result))
    neurons = sum(np.prod(result.shapes[name]) for name in result.spike_counts)
    events = sum(w.operations / 2 for w in work if w.kind == "spikes")
    least = sum(least_seconds(work, measure(1)).values())
    return (many - one) / steps, float(neurons), events, least


def time_processes(graph, image, n_images, steps, repeats):
    """Return the wall seconds of a batch with one and with two processes."""

    import brainsnn as bs

    snn = bs.convert(graph, bs.ASN(m_f=M_F), device="cpp_standalone")
    images = np.repeat(image[None], n_images, axis=0)
    snn.run(image[None], duration=1 * bs.ms)
    run = functools.partial(snn.run, images, duration=steps * bs.ms)
    return [min(elapsed(lambda n=n: run(processes=n), repeats)[0]) for n in (1, 2)]


# One projection


def projection(size, n_spikes, n_steps, repeats):
    """
    Return ms per step, connections, bytes, and bytes of the targets of one 3x3 projection from 32 to 64 channels.

    It runs in a new process, because it sets Brian2's standalone device.
    """
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_projection, (size, n_spikes, n_steps, repeats))


def _projection(size, n_spikes, n_steps, repeats):
    import tempfile

    from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, defaultclock, device, ms, prefs, set_device
    from projection import convolution_operator

    from brainsnn.builders.network.connections import EventDrivenProjection

    rng, shapes = np.random.default_rng(0), ((size, size, 32), (size, size, 64))
    set_device("cpp_standalone", build_on_run=False)
    prefs.core.default_float_dtype = np.float32
    defaultclock.dt = 1 * ms
    n_source, n_target = (int(np.prod(shape)) for shape in shapes)
    neurons = [np.sort(rng.choice(n_source, size=n_spikes, replace=False)) for _ in range(n_steps)]
    steps = np.repeat(np.arange(n_steps), n_spikes)
    source = SpikeGeneratorGroup(n_source, np.concatenate(neurons), steps * ms, sorted=True)
    target = NeuronGroup(n_target, "I : 1")
    operator = convolution_operator(rng.normal(0, 0.05, (3, 3, 32, 64)).astype(np.float32), *shapes)
    convolution = EventDrivenProjection(source, target, operator, "I_post += w", name="projection")
    Network(source, target, convolution).run(n_steps * ms, profile=True)
    stored = [
        v for v in convolution.variables.values() if v.array and getattr(v.owner, "name", None) == convolution.name
    ]  # fmt: skip
    times = []
    with tempfile.TemporaryDirectory(prefix="scaling_") as folder:
        device.build(directory=folder, compile=True, run=False)
        for _ in range(repeats):
            device.run(folder, with_output=False, run_args=[])
            with open(f"{folder}/results/profiling_info.txt") as file:
                pairs = [line.split("\t") for line in file.read().splitlines()]
            times.append(sum(float(seconds) for name, seconds in pairs if name.startswith("projection")))
    n_bytes = sum(v.size * np.dtype(v.dtype).itemsize for v in stored)
    return min(times) / n_steps * 1e3, operator.n_connections, n_bytes, 4 * n_target


# Report


def exponent(times, sizes):
    """Return the slope between two points on logarithmic axes."""
    return np.log(times[1] / times[0]) / np.log(sizes[1] / sizes[0])


def network_rows(steps, repeats):
    """Return the rows of neurons, channels, steps and processes."""
    print("networks ...", flush=True)
    base = network(SIZE, WIDTH)
    # about sqrt(2) times the image size, rounded to a multiple of 8
    larger, wider = network(round(SIZE * np.sqrt(2) / 8) * 8, WIDTH), network(SIZE, 2 * WIDTH)
    found = [time_network(*graph_and_image, steps, repeats) for graph_and_image in (base, larger, wider)]
    seconds, neurons, events, least = (np.array(column) for column in zip(*found))
    rows = []
    for what, other in (("neurons (a larger image)", 1), ("channels x2 (neurons x2, connections of a spike x2)", 2)):
        pair = [0, other]
        sizes = (
            f"{neurons[0] / 1e3:.0f}k -> {neurons[other] / 1e3:.0f}k neurons, events x{events[other] / events[0]:.2f}"
        )
        slope = f"{exponent(seconds[pair], neurons[pair]):.2f}"
        goal = "1" if other == 1 else "1 (neurons) to 2 (events)"
        times = f"{seconds[0] * 1e3:.2f} -> {seconds[other] * 1e3:.2f}"
        limit = f"{least[0] * 1e3:.2f} -> {least[other] * 1e3:.2f}"
        rows.append((what, sizes, times, f"{seconds[other] / seconds[0]:.2f}", slope, goal, limit))
    ten = time_network(*base, 10 * steps, repeats)
    totals = np.array([seconds[0] * steps, ten[0] * 10 * steps])
    slope = f"{exponent(totals, [steps, 10 * steps]):.2f}"
    text = f"{totals[0] * 1e3:.0f} -> {totals[1] * 1e3:.0f} in all"
    limit = f"{least[0] * steps * 1e3:.0f} -> {ten[3] * steps * 1e4:.0f} in all"
    rows.append(("steps", f"{steps} -> {10 * steps}", text, f"{totals[1] / totals[0]:.2f}", slope, "1", limit))
    one, two = time_processes(*base, 8, 2 * steps, repeats)
    text = f"{one * 1e3:.0f} -> {two * 1e3:.0f}, wall, {8} images"
    rows.append(("processes", "1 -> 2", text, f"{one / two:.2f} (speed)", "-", "1.8 (speed)", "2 (speed)"))
    return rows


def projection_rows(steps, repeats):
    """Return the rows of spikes and of stored connections."""
    print("projections ...", flush=True)
    rows, machine = [], measure(1)
    few, many, large = (projection(size, n, steps, repeats) for size, n in ((32, 655), (32, 6554), (64, 655)))

    def limit(spikes, found):
        events, touched = spikes * 9 * 64, found[2] + found[3]
        return f"{machine.seconds(12 * events, 2 * events, touched) * 1e3:.4f}"

    for what, sizes, pair, scale, goal, spikes in (
        ("spikes in one projection", "655 -> 6,554 in a step", (few, many), (655, 6554), "1", (655, 6554)),
        (
            "connections in one projection, equal spikes",
            f"{few[1] / 1e6:.0f} -> {large[1] / 1e6:.0f} million", (few, large), (few[1], large[1]), "0", (655, 655),
        ),
    ):  # fmt: skip
        times = [found[0] for found in pair]
        text = f"{times[0]:.4f} -> {times[1]:.4f}"
        limits = " -> ".join(limit(n, found) for n, found in zip(spikes, pair))
        rows.append((what, sizes, text, f"{times[1] / times[0]:.2f}", f"{exponent(times, scale):.2f}", goal, limits))
    text, ratio = f"{few[2]:,} -> {large[2]:,} bytes", large[2] / few[2]
    slope = f"{exponent((few[2], large[2]), (few[1], large[1])):.2f}"
    sizes = f"{few[1] / 1e6:.0f} -> {large[1] / 1e6:.0f} million"
    rows.append(
        ("memory of the connections", sizes, text, f"{ratio:.2f}", slope, "0", f"{WEIGHTS_BYTES:,} bytes of weights")
    )
    return rows


def main():
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="How time and memory grow with the size of the problem."
    )
    parser.add_argument("--quick", action="store_true", help="few steps and repeats, without writing docs")
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    args = parser.parse_args()
    steps, repeats = (100, 1) if args.quick else (500, 2)
    setting = [*environment(), str(measure(1))]
    rows = network_rows(steps, repeats) + projection_rows(50 if args.quick else 200, repeats)
    headers = ("what grows", "from -> to", "ms per step", "ratio", "exponent", "goal", "physical limit")
    notes = (
        f"Networks: ResNet-18 of {SIZE}x{SIZE} pixels and {WIDTH} channels in its first stage, about {RATE:g} Hz. Best of "
        f"{repeats}. Twice the channels give twice the neurons and twice the spikes, each with twice as many targets."
    )
    blocks = ["\n".join(f"- {line}" for line in setting), table(headers, rows), notes]
    write = not (args.quick or args.no_docs)
    publish("scaling", "Scaling", "python benchmarks/scaling.py", blocks, write=write)


if __name__ == "__main__":
    main()
