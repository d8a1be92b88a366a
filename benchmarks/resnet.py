"""
A spiking ResNet-18 at 224x224 in C++ standalone: time per step and memory, against dense convolutions in TensorFlow.

The network is `preactivation_resnet(18, (224, 224, 3), n_classes=8, classifier_activation="sigmoid")` with random weights.
Batch normalisations are set layer by layer on one random image, so that every layer fires at about the requested mean rate;
a short run corrects the mean (_networks.py). One image is run. The time per step is the difference between a long and a
one-step run, divided by the difference in steps. The total time is the complete long run: encoding, program start and reading
the results. Memory is the high-water mark of the compiled program. TensorFlow computes the same mathematics densely
(dense_tensorflow.py) for a few steps, after a run that compiles. Its spikes are compared with those of brainsnn in the
synchronous schedule. first_result.py measures build and start times.

    python benchmarks/resnet.py [--quick] [--steps 750] [--rates 2 20] [--batches 1 8] [--no-docs]
"""

import argparse
import functools
import os

import numpy as np
from _machine import measure as measure_machine
from _networks import RESNET_M_F as M_F
from _networks import graph_of_rate, random_image, resnet
from _report import PeakMemory, elapsed, environment, megabytes, publish, table

# Measuring


def time_brainsnn(graph, image, steps, repeats, threads):
    """Return a dict of times in seconds, memory, work of a step and profile; and the result of the run."""
    from _work import network_work, spikes_per_step
    from profiling import largest, profile, shares

    import brainsnn as bs

    snn = bs.convert(graph, bs.ASN(m_f=M_F), device="cpp_standalone", threads=threads)
    snn.run(image[None], duration=1 * bs.ms)
    with PeakMemory() as peak:
        one, cpu_one, _ = elapsed(lambda: snn.run(image[None], duration=1 * bs.ms), repeats)
        total, cpu, result = elapsed(lambda: snn.run(image[None], duration=steps * bs.ms), repeats)
    # TensorFlow uses all cores; so does this run, with one image per core.
    cores = os.cpu_count()
    images = np.repeat(image[None], cores, axis=0)
    all_one, all_cpu_one, _ = elapsed(lambda: snn.run(images, duration=1 * bs.ms, processes=cores), repeats)
    everyone, all_cpu, _ = elapsed(lambda: snn.run(images, duration=steps * bs.ms, processes=cores), repeats)
    profiled = bs.convert(graph, bs.ASN(m_f=M_F), device="cpp_standalone", threads=threads)
    times, _ = profile(profiled, image[None], steps)
    facts = {
        "total": min(total), "step": (min(total) - min(one)) / (steps - 1),
        "cpu": (min(cpu) - min(cpu_one)) / (steps - 1), "memory": peak.child(),
        "all": tuple((min(b) - min(a)) / ((steps - 1) * cores) for a, b in ((all_one, everyone), (all_cpu_one, all_cpu))),
        "work": network_work(snn, spikes_per_step(result)), "profile": shares(times, profiled),
        "largest": largest(times), "rate": result.mean_firing_rate,
    }  # fmt: skip
    return facts, result


def compare_spikes(graph, image, n_steps):
    """Return the spikes in the first steps, those that differ in TensorFlow, and the largest readout difference (str)."""
    from dense_tensorflow import DenseNetwork

    import brainsnn as bs

    dense, readout = DenseNetwork(graph, M_F), graph.readouts[0].name
    record = {name: ["spikes"] for name in dense.spiking} | {readout: ["S"]}
    snn = bs.convert(graph, bs.ASN(m_f=M_F), schedule="synchronous", device="cpp_standalone", record=record)
    ours = snn.run(image[None], duration=n_steps * bs.ms)
    S, _, spikes = dense.run(image[None], n_steps, record=True)
    total = sum(int(counts.sum()) for counts in ours.spike_counts.values())
    different = sum(np.count_nonzero(ours.raster(name) != theirs) for name, theirs in spikes.items())
    readouts = ours.states[readout]["S"]
    difference = f"{np.abs(S - readouts).max():.1e} of {np.abs(readouts).max():.3g}"
    return f"{total:,}", f"{different:,} ({different / total:.1e})", difference


def time_tensorflow(graph, image, batches, steps, repeats, xla):
    """Return seconds (wall, CPU) per step and image for each batch size."""
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


def measure(model, image, rate, args, machines):
    """Return table rows, facts, and firing rates of each layer, for one mean rate."""
    from _work import dense_operations, least_seconds

    graph = graph_of_rate(model, image, rate, args.steps, args.threads)
    label = f"{rate:g} Hz"
    print(f"{label}: brainsnn ...", flush=True)
    facts, result = time_brainsnn(graph, image, args.steps, args.repeats, args.threads)
    facts["spikes"] = compare_spikes(graph, image, args.check_steps)
    least = least_seconds(facts["work"], machines[args.threads])
    name = f"brainsnn, {args.threads} thread{'s' * (args.threads > 1)}"

    def row(name, wall, cpu, limit):
        numbers = (
            f"{wall * 1e3:.1f}",
            f"{cpu * 1e3:.1f}",
            f"{wall / facts['step']:.2f}",
            f"{wall / facts['all'][0]:.2f}",
        )
        numbers += (f"{limit * 1e3:.3g}",)
        return (label, name, *numbers, f"{wall / limit:.1f}")

    rows = [row(name, facts["step"], facts["cpu"], sum(least.values()))]
    least = sum(least_seconds(facts["work"], machines[os.cpu_count()]).values())
    rows.append(row(f"{name}, {os.cpu_count()} processes", *facts["all"], least))
    machine = machines[args.tf_threads]
    # Dense code passes over the same state, but over no arrays of parameters.
    dense = dense_operations(graph) / machine.fma + least_seconds(facts["work"], machine)["neurons"]
    for xla in (False, True) if args.xla else (False,):
        print(f"{label}: TensorFlow{', XLA' * xla} ...", flush=True)
        for batch, (wall, cpu) in time_tensorflow(graph, image, args.batches, args.tf_steps, args.repeats, xla).items():
            name = f"TensorFlow, {'XLA' if xla else 'tf.function'}, batch {batch}, {args.tf_threads} threads"
            rows.append(row(name, wall, cpu, dense))
    facts["operations"] = dense_operations(graph)
    return rows, facts, {layer: float(r.mean()) for layer, r in result.firing_rates.items()}


def arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="A spiking ResNet-18 at 224x224, against dense TensorFlow."
    )
    parser.add_argument("--quick", action="store_true", help="a 64x64 image, few steps, without writing docs")
    parser.add_argument("--steps", type=int, default=None, help="steps of 1 ms (750)")
    parser.add_argument("--rates", type=float, nargs="+", default=[2.0, 20.0], help="mean firing rates in Hz")
    parser.add_argument("--threads", type=int, default=1, help="OpenMP threads of brainsnn")
    parser.add_argument("--tf-threads", type=int, default=os.cpu_count(), help="threads of TensorFlow (all cores)")
    parser.add_argument("--tf-steps", type=int, default=10, help="steps of TensorFlow")
    parser.add_argument("--check-steps", type=int, default=100, help="steps whose spikes are compared")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8], help="batch sizes of TensorFlow")
    parser.add_argument("--xla", action="store_true", help="also TensorFlow with XLA, which compiles for a minute")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    args = parser.parse_args()
    args.steps = args.steps or (20 if args.quick else 750)
    return args


def report(rows, facts, rates, args, size):
    """Return the tables and notes."""
    from _work import describe

    machine = measure_machine(args.threads)
    times = (
        "ms per step and image", "CPU ms per step and image", "to one", "to all cores", "physical limit, ms",
        "time over limit",
    )  # fmt: skip
    headers = ("mean rate", f"ResNet-18, {size}x{size}", *times)
    runs = [
        (f"{rate:g} Hz", f"{f['rate']:.2f} Hz", f"{f['total']:.2f}", megabytes(f["memory"]), *f["spikes"])
        for rate, f in facts.items()
    ]
    run_headers = (
        "wanted", "measured", f"total of {args.steps} steps, s", "peak memory",
        f"spikes in {args.check_steps} steps, synchronous", "different in TensorFlow", "largest difference of the readout's S",
    )  # fmt: skip
    limits = [
        f"At {rate:g} Hz the limit of a step is {describe(f['work'], machine)}; where the time goes now: {f['profile']}. "
        f"Dense code needs {f['operations'] / 1e6:,.0f} million operations per step."
        for rate, f in facts.items()
    ]
    layers = [(name, *(f"{rates[rate][name]:.2f}" for rate in args.rates)) for name in rates[args.rates[0]]]
    notes = (
        f"Best of {args.repeats}. The two ratios divide the time of a row by that of brainsnn in one process and in one "
        f"process per core (goals: 3 at 2 Hz, 1 at 20 Hz, and less than 1.5 GB). m_f = {M_F}. The limit of dense code is its "
        "operations at the measured peak plus one pass over the neurons."
    )
    return [
        table(headers, rows), table(run_headers, runs), notes, *limits,
        table(("firing rate, Hz", *(f"{rate:g} Hz wanted" for rate in args.rates)), layers),
    ]  # fmt: skip


def main():
    args = arguments()
    machines = {n: measure_machine(n) for n in sorted({args.threads, args.tf_threads, os.cpu_count()})}
    setting = environment() + [str(machine) for machine in machines.values()]
    from dense_tensorflow import use_threads

    use_threads(args.tf_threads)
    size = 64 if args.quick else 224
    model, image = resnet(size), random_image(size)
    rows, facts, rates = [], {}, {}
    for rate in args.rates:
        new, facts[rate], rates[rate] = measure(model, image, rate, args, machines)
        rows += new
    blocks = ["\n".join(f"- {line}" for line in setting), *report(rows, facts, rates, args, size)]
    title = f"A spiking ResNet-18 at {size}x{size}"
    publish("resnet", title, "python benchmarks/resnet.py", blocks, write=not (args.quick or args.no_docs))


if __name__ == "__main__":
    main()
