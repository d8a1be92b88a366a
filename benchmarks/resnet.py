"""
A spiking ResNet-18 at 224x224 in C++ standalone: time per step, build, memory, against dense convolutions in TensorFlow.

The network is `preactivation_resnet(18, (224, 224, 3), n_classes=8, classifier_activation="sigmoid")` with random weights,
and batch normalisations set layer by layer on one random image so that every layer fires at about the wanted mean rate; a
short run corrects the mean. One image is run. Time per step is the difference of a long and a one-step run over the difference of
their steps, total time is the long run with everything (encoding, program start, reading of the results). Memory is the
high-water mark of the compiled program. The cold build starts with an empty cache of programs, the warm start converts the
network again and finds its program there, in a new process of Python whose imports do not count. TensorFlow computes
the same maths densely (dense_tensorflow.py), for a few steps of which the first run compiles.

    python benchmarks/resnet.py [--quick] [--steps 750] [--rates 2 20] [--batches 1 8] [--profile] [--no-docs]
"""

import argparse
import functools
import multiprocessing
import os
import tempfile
from unittest import mock

import numpy as np
from _report import PeakMemory, elapsed, environment, megabytes, profile, profile_table, publish, table
from scipy.ndimage import gaussian_filter
from scipy.optimize import brentq

M_F = 0.45
#: Neurons whose input is less than this many standard deviations above the mean get a negative input: 16% are active.
OFFSET = 1.0


# The network


def random_image(size, seed=0):
    """An image with power at all scales, as photographs have, from 0 to 1."""
    rng = np.random.default_rng(seed)
    image = sum(gaussian_filter(rng.normal(size=(size, size, 3)), (s, s, 0)) * s for s in (1, 2, 4, 8, 16, 32))
    return ((image - image.min()) / np.ptp(image)).astype(np.float32)


def resnet(size):
    """ResNet-18 with random weights."""
    import keras

    from brainsnn.training import preactivation_resnet

    keras.utils.set_random_seed(0)
    return preactivation_resnet(
        18, (size, size, 3), n_classes=8, classifier_activation="sigmoid", m_f=M_F, stem="imagenet"
    )


def set_rates(model, image, rate):
    """Set the batch normalisations, from the first to the last, for a mean rate in Hz, by the transfer function."""
    import keras

    from brainsnn.equations.transfer import spike_height, transfer_function

    activation = rate * spike_height(M_F) * 0.050  # a spike stands for its height during tau_eta
    for layer in model.layers:
        if type(layer).__name__ != "BatchNormalization":
            continue
        x = np.asarray(keras.Model(model.inputs, layer.input)([image[None]]))
        mean, deviation = x.mean(axis=(0, 1, 2)), x.std(axis=(0, 1, 2)) + 1e-6
        z = (x - mean) / deviation - OFFSET
        z = np.random.default_rng(0).permutation(z.ravel())[:50_000]
        gamma = brentq(lambda g, z=z: transfer_function(g * z, M_F).mean() - activation, 1e-3, 1e3, rtol=1e-3)
        ones = np.ones_like(mean)
        layer.set_weights([gamma * ones, -OFFSET * gamma * ones, mean, deviation**2 - layer.epsilon])


def graph_of_rate(model, image, rate, steps, threads):
    """The graph with weights for a mean rate: what the transfer function foretells, corrected by a run."""
    import brainsnn as bs

    set_rates(model, image, rate)
    snn = bs.convert(bs.read_keras(model), bs.ASN(m_f=M_F), device="cpp_standalone", threads=threads)
    # A short trial has not settled: its last layers are still silent, its first ones burst.
    measured = snn.run(image[None], duration=max(steps, 300) * bs.ms).mean_firing_rate
    set_rates(model, image, rate * np.clip(rate / measured, 0.5, 2))
    return bs.read_keras(model)


# Measuring


def start(graph, image, threads):
    """A converted network that has run one step, and the seconds that this took."""
    import brainsnn as bs

    def convert_and_run():
        snn = bs.convert(graph, bs.ASN(m_f=M_F), device="cpp_standalone", threads=threads)
        snn.run(image[None], duration=1 * bs.ms)
        return snn

    (seconds,), _, snn = elapsed(convert_and_run)
    return seconds, snn


def start_in_new_process(graph, image, threads):
    """Seconds that `start` takes in a new process, with the cache of programs of this one."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_seconds_to_start, (graph, image, threads))


def _seconds_to_start(graph, image, threads):
    return start(graph, image, threads)[0]


def time_brainsnn(graph, image, steps, repeats, threads):
    """Times in seconds of build, warm start and run, memory, and the result of the run."""
    import brainsnn as bs

    with tempfile.TemporaryDirectory(prefix="resnet_") as cache, mock.patch.dict(os.environ, BRAINSNN_CACHE=cache):
        cold = start_in_new_process(graph, image, threads)
        warm = start_in_new_process(graph, image, threads)
        _, snn = start(graph, image, threads)
        with PeakMemory() as peak:
            one, cpu_one, _ = elapsed(lambda: snn.run(image[None], duration=1 * bs.ms), repeats)
            total, cpu, result = elapsed(lambda: snn.run(image[None], duration=steps * bs.ms), repeats)
    facts = {
        "cold": cold, "warm": warm, "total": min(total), "step": (min(total) - min(one)) / (steps - 1),
        "cpu": (min(cpu) - min(cpu_one)) / (steps - 1), "memory": peak.child(),
    }  # fmt: skip
    return facts, result


def time_tensorflow(graph, image, batches, steps, repeats, xla):
    """Seconds (wall, CPU) for a step and an image, by size of the batch."""
    from dense_tensorflow import DenseNetwork

    dense, found = DenseNetwork(graph, M_F, xla=xla), {}
    for batch in batches:
        images = np.repeat(image[None], batch, axis=0)
        run = functools.partial(dense.run, images)
        run(1), run(1 + steps)  # compile
        one, cpu_one, _ = elapsed(lambda run=run: run(1), repeats)
        many, cpu_many, _ = elapsed(lambda run=run: run(1 + steps), repeats)
        found[batch] = tuple((min(b) - min(a)) / (steps * batch) for a, b in ((one, many), (cpu_one, cpu_many)))
    return found


def measure(model, image, rate, args):
    """Rows of the table, measured facts, and firing rates of each layer, for one rate."""
    import brainsnn as bs

    graph = graph_of_rate(model, image, rate, args.steps, args.threads)
    label = f"{rate:g} Hz"
    if args.profile:
        snn = bs.convert(graph, bs.ASN(m_f=M_F), device="cpp_standalone", threads=args.threads)
        times = profile(snn, image[None], args.steps)
        print(f"\n{label}, {args.steps} steps\n\n{profile_table(times, snn.projections, 25)}\n", flush=True)
        return [], {}, {}
    print(f"{label}: brainsnn ...", flush=True)
    facts, result = time_brainsnn(graph, image, args.steps, args.repeats, args.threads)
    facts["rate"] = result.mean_firing_rate
    name = f"brainsnn, {args.threads} thread{'s' * (args.threads > 1)}"
    rows = [(label, name, f"{facts['step'] * 1e3:.1f}", f"{facts['cpu'] * 1e3:.1f}", "1.00")]
    for xla in (False, True) if args.xla else (False,):
        print(f"{label}: TensorFlow{', XLA' * xla} ...", flush=True)
        for batch, (wall, cpu) in time_tensorflow(graph, image, args.batches, args.tf_steps, args.repeats, xla).items():
            name = f"TensorFlow, {'XLA' if xla else 'tf.function'}, batch {batch}, {args.tf_threads} threads"
            rows.append((label, name, f"{wall * 1e3:.1f}", f"{cpu * 1e3:.1f}", f"{wall / facts['step']:.2f}"))
    return rows, facts, {layer: float(r.mean()) for layer, r in result.firing_rates.items()}


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description="A spiking ResNet-18 at 224x224, against dense TensorFlow.")
    parser.add_argument("--quick", action="store_true", help="a 64x64 image, few steps, without writing docs")
    parser.add_argument("--steps", type=int, default=None, help="steps of 1 ms (750)")
    parser.add_argument("--rates", type=float, nargs="+", default=[2.0, 20.0], help="mean firing rates in Hz")
    parser.add_argument("--threads", type=int, default=1, help="OpenMP threads of brainsnn")
    parser.add_argument("--tf-threads", type=int, default=os.cpu_count(), help="threads of TensorFlow (all cores)")
    parser.add_argument("--tf-steps", type=int, default=10, help="steps of TensorFlow")
    parser.add_argument("--batches", type=int, nargs="+", default=[1], help="batch sizes of TensorFlow")
    parser.add_argument("--xla", action="store_true", help="also TensorFlow with XLA, which compiles for a minute")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--profile", action="store_true", help="only show where the time of brainsnn goes")
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    args = parser.parse_args()
    args.steps = args.steps or (20 if args.quick else 750)
    return args


def main():
    args = arguments()
    setting = environment()
    from dense_tensorflow import use_threads

    use_threads(args.tf_threads)
    size = 64 if args.quick else 224
    model, image = resnet(size), random_image(size)
    rows, facts, rates = [], {}, {}
    for rate in args.rates:
        new, facts[rate], rates[rate] = measure(model, image, rate, args)
        rows += new
    if args.profile:
        return
    headers = ("mean rate", f"ResNet-18, {size}x{size}", "ms per step and image", "CPU ms per step and image", "ratio")
    runs = [
        (
            f"{rate:g} Hz",
            f"{f['rate']:.2f} Hz",
            *(f"{f[key]:.2f}" for key in ("total", "cold", "warm")),
            megabytes(f["memory"]),
        )
        for rate, f in facts.items()
    ]
    run_headers = (
        "wanted",
        "measured",
        f"total of {args.steps} steps, s",
        "cold build, s",
        "warm start, s",
        "peak memory",
    )
    layers = [(name, *(f"{rates[rate][name]:.2f}" for rate in args.rates)) for name in rates[args.rates[0]]]
    blocks = [
        "\n".join(f"- {line}" for line in setting), table(headers, rows), table(run_headers, runs),
        f"Best of {args.repeats}; ratio is the time of the row over that of brainsnn. m_f = {M_F}.",
        table(("firing rate, Hz", *(f"{rate:g} Hz wanted" for rate in args.rates)), layers),
    ]  # fmt: skip
    title = f"A spiking ResNet-18 at {size}x{size}"
    publish("resnet", title, "python benchmarks/resnet.py", blocks, write=not (args.quick or args.no_docs))


if __name__ == "__main__":
    main()
