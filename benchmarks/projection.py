"""
Time and memory of one event-driven convolution, against other simulators that compute the same.

The layer is 32x32x32 -> 32x32x64, 3x3 "same", float32, one thread (18.1 million connections). In every step a new random
set of source neurons spikes, at three rates one after the other; all peers get the same sets. Each peer runs in its own
process. Only the projection is timed, without generating the spikes: in Brian2 with its profiling (the code objects of the
projection, in C++ standalone and in Cython; for Synapses including the spike queue), in the hand-written program the loop,
in TensorFlow conv2d and the sum, and in ANNarchy whole steps, which contain little else (its convolution visits every
connection in every step). Brian2 profiles wall time. The others report processor time, which on a busy machine can only
favour them. The smallest time of the repeats counts. All sums I are compared with those of the hand-written loop.

The limit of a row is the least time for its work on this machine, measured in the same run (_machine.py). ANNarchy may be
installed in a separate environment, whose Python is passed. If it is missing, its row says so.

    python benchmarks/projection.py [--quick] [--peer-python PYTHON] [--no-docs]
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import _peers
import numpy as np
from _machine import BYTES_PER_EVENT, OPERATIONS_PER_EVENT, measure
from _report import PeakMemory, compiler_flags, elapsed, environment, megabytes, publish, table

SOURCE, TARGET = (32, 32, 32), (32, 32, 64)
RATES = (0.002, 0.02, 0.2)
#: The first block of steps is a warm-up that touches all memory once.
PHASES = (0.2, *RATES)
PEERS = {
    "event_driven standalone": "brainsnn event_driven, C++ standalone",
    "synapses standalone": "Brian2 Synapses, C++ standalone",
    "synapses cython": "Brian2 Synapses, Cython",
    "handwritten": "hand-written C++ loop",
    "tensorflow": "TensorFlow conv2d, dense",
    "annarchy": "ANNarchy convolution",
}


# The same input for all peers


def write_inputs(folder, n_steps, seed=0):
    """Write the kernel, spike heights, and spikes of every step as raw files."""
    rng = np.random.default_rng(seed)
    n_source = int(np.prod(SOURCE))
    kernel = rng.normal(0, 0.05, (3, 3, SOURCE[2], TARGET[2])).astype(np.float32)
    kernel[:, ::-1].transpose(2, 0, 1, 3).tofile(folder / "kernel")
    np.save(folder / "kernel.npy", kernel)
    rng.uniform(0.1, 0.15, n_source).astype(np.float32).tofile(folder / "height")
    steps = [
        np.sort(rng.choice(n_source, size=round(rate * n_source), replace=False))
        for rate in PHASES
        for _ in range(n_steps)
    ]
    np.concatenate(steps).astype(np.int32).tofile(folder / "spikes")
    np.array([len(step) for step in steps], dtype=np.int32).tofile(folder / "counts")


def read_inputs(folder):
    """Read the kernel (3, 3, C, F), spike heights, and neuron and step of each spike."""
    counts = np.fromfile(folder / "counts", dtype=np.int32)
    neurons, steps = np.fromfile(folder / "spikes", dtype=np.int32), np.repeat(np.arange(len(counts)), counts)
    return np.load(folder / "kernel.npy"), np.fromfile(folder / "height", dtype=np.float32), neurons, steps


# Brian2


def convolution_operator(kernel, source=SOURCE, target=TARGET):
    """Return the operator of a 3x3 "same" convolution."""
    from brainsnn.builders.operators import ConvOperator

    start = np.zeros(source[2], dtype=int)
    return ConvOperator(source, target, kernel, start, np.arange(-1, 2), np.arange(-1, 2))


def _network(folder, connectivity):
    """Return a network of a source with given spikes, a target that sums, and the projection; the target; and n_steps."""
    from brian2 import Network, NeuronGroup, SpikeGeneratorGroup, Synapses, defaultclock, ms, prefs

    from brainsnn.builders.network.connections import EventDrivenProjection

    prefs.core.default_float_dtype = np.float32
    defaultclock.dt = 1 * ms
    kernel, height, neurons, steps = read_inputs(folder)
    source = SpikeGeneratorGroup(len(height), neurons, steps * ms, sorted=True)
    source.variables.add_array("h", size=len(height), values=height, dtype=np.float32, constant=True)
    target = NeuronGroup(int(np.prod(TARGET)), "I : 1")
    operator = convolution_operator(kernel)
    if connectivity == "event_driven":
        projection = EventDrivenProjection(source, target, operator, "I_post += w*h_pre", name="projection")
    else:
        projection = Synapses(source, target, "w : 1", on_pre="I_post += w*h_pre", name="projection")
        i, j, w = operator.to_coo()
        projection.connect(i=i, j=j)
        projection.w = w
    return Network(source, target, projection), target, len(np.fromfile(folder / "counts", np.int32)) // len(PHASES)


def run_standalone(folder, repeats, connectivity):
    """Time C++ standalone; each rate is a separate run of the same program, so Brian2 profiles it separately."""
    from brian2 import device, ms, set_device

    set_device("cpp_standalone", build_on_run=False)
    network, target, n_steps = _network(folder, connectivity)
    objects = []
    for _ in PHASES:
        known = set(device.profiled_codeobjects)
        network.run(n_steps * ms, profile=True)
        objects.append([n for n in device.profiled_codeobjects if n not in known and n.startswith("projection")])
    project = folder / f"project_{connectivity}"
    device.build(directory=str(project), compile=True, run=False)
    times = []
    with PeakMemory() as memory:
        for _ in range(repeats):
            device.run(str(project), with_output=False, run_args=[])
            lines = (project / "results" / "profiling_info.txt").read_text().splitlines()
            seconds = {line.split("\t")[0]: float(line.split("\t")[1]) for line in lines}
            times.append([sum(seconds[name] for name in names) / n_steps * 1e3 for names in objects])
    return times, np.array(target.I), memory.child()


def run_cython(folder, repeats, connectivity):
    """Time Brian2's runtime mode; the first repeat compiles and is dropped."""
    from brian2 import ms

    network, target, n_steps = _network(folder, connectivity)
    network.store()
    times = []
    for _ in range(repeats + 1):
        network.restore()
        times.append([])
        for _ in PHASES:
            network.run(n_steps * ms, profile=True)
            seconds = sum(float(time) for name, time in network.profiling_info if name.startswith("projection"))
            times[-1].append(seconds / n_steps * 1e3)
    return times[1:], np.array(target.I), PeakMemory.own()


# Others


def run_handwritten(folder, repeats):
    """Time handwritten.cpp, compiled with the flags that Brian2 uses."""
    program = folder / "handwritten"
    source = Path(__file__).with_name("handwritten.cpp")
    compiler = os.environ.get("CXX", "c++")
    subprocess.run([compiler, *compiler_flags(), str(source), "-o", str(program)], check=True)
    n_steps = len(np.fromfile(folder / "counts", dtype=np.int32))
    (folder / "sizes.txt").write_text(
        f"{SOURCE[0]} {SOURCE[1]} {SOURCE[2]} {TARGET[2]} {n_steps} {len(PHASES)} {repeats}"
    )
    with PeakMemory(interval=0.002) as memory:
        output = subprocess.run([str(program), str(folder)], check=True, capture_output=True, text=True).stdout
    times = [[float(value) for value in line.split()] for line in output.splitlines()]
    return times, np.fromfile(folder / "I", dtype=np.float32), memory.child("handwritten")


def _spike_maps(folder, phase):
    """Return (n_steps, H, W, C) maps of the spike heights at one rate."""
    _, height, neurons, steps = read_inputs(folder)
    n_steps = len(np.fromfile(folder / "counts", dtype=np.int32)) // len(PHASES)
    maps = np.zeros((n_steps, len(height)), dtype=np.float32)
    chosen = steps // n_steps == phase
    maps[steps[chosen] - phase * n_steps, neurons[chosen]] = height[neurons[chosen]]
    return maps.reshape(n_steps, *SOURCE)


def run_tensorflow(folder, repeats):
    """Time a tf.function that loops over the steps and adds conv2d of the spike map to I."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    kernel = tf.constant(read_inputs(folder)[0])

    @tf.function
    def project(maps, sums):
        for step in tf.range(tf.shape(maps)[0]):
            sums += tf.nn.conv2d(maps[step][None], kernel, 1, "SAME")
        return sums

    phases = [tf.constant(_spike_maps(folder, phase)) for phase in range(len(PHASES))]
    zero = tf.zeros((1, *TARGET))
    times = []
    for _ in range(repeats + 1):
        sums, row = zero, []
        for maps in phases:
            _, (seconds,), sums = elapsed(lambda maps=maps, sums=sums: tf.identity(project(maps, sums)))
            row.append(seconds / len(maps) * 1e3)
        times.append(row)
    return times[1:], sums.numpy().ravel(), PeakMemory.own()


def run_annarchy(folder, repeats):
    """Time ANNarchy 5 with one thread: a filter bank on rates, which are set to the spikes of each step."""
    import ANNarchy as annarchy
    from ANNarchy.extensions.convolution import Convolution

    kernel = read_inputs(folder)[0]
    net = annarchy.Network(dt=1.0)
    net.config(dtype=annarchy.float32, num_threads=1)
    source = net.create(geometry=SOURCE, neuron=annarchy.Neuron(parameters="x = 0.0", equations="r = x"))
    target = net.create(geometry=TARGET, neuron=annarchy.Neuron(equations="r += sum(exc)"))
    projection = net.connect(Convolution(pre=source, post=target, target="exc"))
    centres = [[i, j, (SOURCE[2] - 1) // 2] for i in range(TARGET[0]) for j in range(TARGET[1])]
    projection.connect_filters(kernel.transpose(3, 0, 1, 2), subsampling=centres)
    net.compile(directory=str(folder / "annarchy"))
    phases = [_spike_maps(folder, phase) for phase in range(len(PHASES))]
    for maps in phases:
        for step in maps:
            source.x = step
            net.simulate(1.0)
    source.x = 0.0
    net.simulate(2.0)  # a population reads the rates of the previous step
    sums, times = np.array(target.r, dtype=np.float32).ravel(), []
    for _ in range(repeats):
        times.append([])
        for maps in phases:
            source.x = maps[0]
            _, (seconds,), _ = elapsed(lambda: net.simulate(10.0))
            times[-1].append(seconds / 10 * 1e3)
    return times, sums, PeakMemory.own()


def worker(peer, folder, repeats):
    """Run one peer and save its times in ms (repeats, phases), its sums I and its memory."""
    kind, _, device = peer.partition(" ")
    if device:
        run = run_standalone if device == "standalone" else run_cython
        times, sums, memory = run(folder, repeats, kind)
    else:
        times, sums, memory = globals()[f"run_{kind}"](folder, repeats)
    np.savez(folder / f"{peer}.npz", times=times, sums=sums, memory=memory)


def run_peers(folder, peers, repeats, peer_python):
    """
    Return the results of all peers, and the reasons of those that did not run.

    The hand-written loop runs first and last, so that a change of the machine's load does not favour either side.
    """
    results, missing = {}, {}
    for peer in ["handwritten", *peers]:
        print(f"{PEERS[peer]} ...", flush=True)
        n = min(2, repeats) if "synapses" in peer or peer == "annarchy" else repeats
        python = peer_python if peer == "annarchy" else sys.executable
        missing[peer] = _peers.why_missing(python, "ANNarchy") if peer == "annarchy" else ""
        if missing[peer]:
            continue
        command = [python, __file__, "--worker", peer, str(folder), str(n)]
        variables = _peers.environment_of(python)
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=variables)
        if done.returncode != 0:
            missing[peer] = (done.stderr.strip().splitlines() or ["no message"])[-1]
            print(f"  failed: {done.stderr.strip()[-2000:]}")
            continue
        with np.load(folder / f"{peer}.npz") as data:
            result = dict(data)
        if peer in results:
            result["times"] = np.vstack([results[peer]["times"], result["times"]])
        results[peer] = result
        print("  ms per step:", *np.round(result["times"].min(axis=0)[1:], 4), flush=True)
    return results, {peer: reason for peer, reason in missing.items() if reason}


# Report


def projection_memory():
    """Return a table of connections and array bytes of the event-driven projection, for two map sizes."""
    from brian2 import NeuronGroup, prefs

    from brainsnn.builders.network.connections import EventDrivenProjection

    prefs.core.default_float_dtype = np.float32
    rows = []
    for size in (32, 64):
        source, target = (size, size, SOURCE[2]), (size, size, TARGET[2])
        operator = convolution_operator(
            np.random.default_rng(0).normal(size=(3, 3, SOURCE[2], TARGET[2])), source, target
        )
        groups = [NeuronGroup(int(np.prod(shape)), "I : 1", threshold="I > 1", reset="") for shape in (source, target)]
        projection = EventDrivenProjection(*groups, operator, "I_post += w", name=f"projection_{size}")
        own = [
            v for v in projection.variables.values() if v.array and getattr(v.owner, "name", None) == projection.name
        ]
        n_bytes = {v.name: v.size * np.dtype(v.dtype).itemsize for v in own}
        kernel = n_bytes.pop("w")
        rows.append((f"{size}x{size}", f"{operator.n_connections:,}", f"{kernel:,}", f"{sum(n_bytes.values()):,}"))
    return table(("map", "connections", "kernel, bytes", "tables, bytes"), rows)


def limits(machine):
    """
    Return the least ms per step of each peer at each rate, and what bounds it.

    Returns
    -------
    limits : dict of str to (list of float, str)
    """
    operator = convolution_operator(np.ones((3, 3, SOURCE[2], TARGET[2])))
    events = np.round(np.array(RATES) * operator.size_in) * operator.n_connections / operator.size_in
    touched = operator.kernel.size * 4 + operator.size_out * 4

    def ms(n_bytes, operations, working_set):
        return [machine.seconds(b, o, working_set) * 1e3 for b, o in zip(n_bytes, operations)]

    by_event = (
        ms(BYTES_PER_EVENT * events, OPERATIONS_PER_EVENT * events, touched),
        f"moving {BYTES_PER_EVENT} bytes per connection of a spike, from a cache of {touched / 1e3:.0f} kB",
    )
    # A synapse moves its index in the queue, its target index and its weight, plus the values of the neurons.
    own, synapses = 12, 12 * operator.n_connections
    by_synapse = (
        ms((own + 8) * events, OPERATIONS_PER_EVENT * events, synapses),
        f"moving {own + 8} bytes per connection of a spike, from {megabytes(synapses)} of synapses",
    )
    dense = (
        ms(np.zeros(len(RATES)), np.full(len(RATES), 2.0 * operator.n_connections), touched),
        f"computing {2 * operator.n_connections / 1e6:.0f} million operations per step, at the measured peak",
    )
    kinds = {"synapses": by_synapse, "tensorflow": dense, "annarchy": dense}
    return {peer: kinds.get(peer.partition(" ")[0], by_event) for peer in PEERS}


def _ratio(value):
    return f"{value:.2f}" if value < 10 else f"{value:.0f}"


def report(results, missing, repeats, n_steps, machine):
    """Return tables of times, agreement and memory, limits, and ratios."""
    best = {peer: result["times"].min(axis=0)[1:] for peer, result in results.items()}
    reference = results["handwritten"]["sums"]
    rows, of_limit, least = [], [], limits(machine)
    for peer, result in results.items():
        difference = np.abs(result["sums"] - reference).max()
        numbers = [f"{value:.4f}" for value in best[peer]]
        rows.append((PEERS[peer], *numbers, f"{difference:.1e}", megabytes(float(result["memory"]))))
        of_limit.append((PEERS[peer], *map(_ratio, best[peer] / least[peer][0]), least[peer][1]))
    blank = ["-"] * (len(RATES) + 1)
    rows += [(PEERS[peer], *blank, f"not measured: {reason}") for peer, reason in missing.items()]
    rates = [f"{rate:.1%}" for rate in RATES]
    times = table(("time of the projection, ms per step", *rates, "max. difference of I", "peak memory"), rows)
    pairs = [
        ("Synapses / event_driven, C++ standalone", "synapses standalone", "event_driven standalone", "50 or more at 2%"),
        ("ANNarchy / event_driven, C++ standalone", "annarchy", "event_driven standalone", "500 or more at 2%"),
        ("dense TensorFlow / event_driven, C++ standalone", "tensorflow", "event_driven standalone", "1 or more"),
        ("event_driven, C++ standalone / hand-written", "event_driven standalone", "handwritten", "1.3 or less"),
    ]  # fmt: skip
    rows = [(what, *map(_ratio, best[a] / best[b]), goal) for what, a, b, goal in pairs if a in best and b in best]
    scale = np.abs(reference).max()
    notes = (
        f"Smallest of {repeats} repeats of {n_steps} steps for each rate (Synapses, ANNarchy: of {min(2, repeats)}). The "
        f"sums I reach {scale:.3g} after all steps, so a difference of {scale * 1e-6:.0e} is float32 rounding in another "
        f"order. C++ flags: {' '.join(compiler_flags())}. Peak memory is that of the program; for Cython, TensorFlow and "
        "ANNarchy it includes Python and all libraries."
    )
    bounds = table(("time over the physical limit", *rates, "what bounds it"), of_limit)
    memory = "Memory of the event-driven projection:\n\n" + projection_memory()
    return [times, table(("ratio", *rates, "goal"), rows), notes, bounds, memory]


def main():
    parser = argparse.ArgumentParser(
        allow_abbrev=False, description="One event-driven 3x3 convolution, against all peers."
    )
    parser.add_argument("--quick", action="store_true", help="few steps and repeats, without writing docs")
    _peers.add_argument(parser)
    parser.add_argument(
        "--only", nargs="+", choices=PEERS, help="run only these peers (the hand-written loop always runs)"
    )
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    parser.add_argument("--worker", nargs=3, metavar=("PEER", "FOLDER", "REPEATS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker[0], Path(args.worker[1]), int(args.worker[2]))
    n_steps, repeats = (10, 2) if args.quick else (100, 7)
    machine = measure(1)
    setting = environment(("brainsnn", "Brian2", "Cython", "numpy", "tensorflow-cpu"))
    setting.append(f"{_peers.package_versions(args.peer_python, ['ANNarchy', 'numpy', 'cmake'])}: one thread, float32")
    setting.append(str(machine))
    peers = [peer for peer in PEERS if peer == "handwritten" or not args.only or peer in args.only]
    with tempfile.TemporaryDirectory(prefix="projection_") as name:
        write_inputs(Path(name), n_steps)
        results, missing = run_peers(Path(name), peers, repeats, args.peer_python)
    blocks = ["\n".join(f"- {line}" for line in setting), *report(results, missing, repeats, n_steps, machine)]
    complete = not args.quick and not args.only
    title = "One 3x3 layer, 32x32x32 -> 32x32x64"
    publish("projection", title, "python benchmarks/projection.py", blocks, write=complete and not args.no_docs)


if __name__ == "__main__":
    main()
