"""
States that do not fit into memory: written to disk while the network runs, and read back.

Signal and threshold of all neurons of the first convolution of the shipped digit network are recorded for four long trials.
The benchmark, and the compiled program that it starts, live under a limit of the address space of each process (RLIMIT_AS,
which `ulimit -v` sets), so that neither memory nor a memory map can hold the recording. A second run records a few of these
neurons in memory; all of the recording is then read from disk, piece by piece, and compared with them bit for bit.

    python benchmarks/streaming.py [--gigabytes 20] [--limit 2] [--folder DIR] [--no-docs]
"""

import argparse
import os
import resource
import shutil
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

# Each thread of a library reserves address space.
os.environ.update(OPENBLAS_NUM_THREADS="1", OMP_NUM_THREADS="1")

import numpy as np
from _report import ROOT, PeakMemory, environment, megabytes, publish, table

LAYER, VARIABLES, N_TRIALS = "conv1_asn", ("S", "theta"), 4


def read_graph():
    """The shipped network, as plain data."""
    import brainsnn as bs

    return bs.read_keras(bs.load_model(ROOT / "weights" / "digits.keras"))


def record(graph, gigabytes, folder):
    """Run, with everything on disk; then the same with a few neurons in memory. Returns both results and the seconds."""
    import brainsnn as bs
    from brainsnn.stimuli import load_digits

    images = load_digits("test")[0][:N_TRIALS]
    n_neurons = graph.populations[LAYER].size
    n_steps = int(np.ceil(gigabytes * 1e9 / (N_TRIALS * len(VARIABLES) * n_neurons * 4)))
    few = np.linspace(0, n_neurons - 1, 7).astype(int)
    wishes = {"all": {"spikes": True} | dict.fromkeys(VARIABLES, True), "few": dict.fromkeys(VARIABLES, few)}
    results, seconds = {}, {}
    for name, wanted in wishes.items():
        snn = bs.convert(graph, bs.ASN(m_f=0.1), device="cpp_standalone", record={LAYER: wanted})
        snn.run(images[:1], duration=1 * bs.ms)  # compiles
        start = time.perf_counter()
        results[name] = snn.run(images, duration=n_steps * bs.ms, stream_to=folder if name == "all" else None)
        seconds[name] = time.perf_counter() - start
    return results["all"], results["few"], seconds


def compare(streamed, few):
    """Read every piece and compare the neurons that are known; number of bytes read, of values compared and different."""
    columns, n_bytes, compared, different = few.recorded[LAYER][VARIABLES[0]], 0, 0, 0
    for variable in VARIABLES:
        array = streamed.states[LAYER][variable]
        for trial in range(array.shape[0]):
            for first in range(0, array.shape[1], array.chunks[1]):
                piece = array[trial, first : first + array.chunks[1]]
                expected = few.states[LAYER][variable][trial, first : first + len(piece)]
                n_bytes, compared = n_bytes + piece.nbytes, compared + expected.size
                different += np.count_nonzero(piece[:, columns].view(np.int32) != expected.view(np.int32))
                # A neuron that was never written would be 0 throughout; the threshold of a live one is not.
                different += 0 if variable == "S" else np.count_nonzero(piece == 0)
    return n_bytes, compared, int(different)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[1])
    parser.add_argument("--gigabytes", type=float, default=20.0, help="size of the recorded states, 10^9 bytes (20)")
    parser.add_argument("--limit", type=float, default=2.0, help="address space of each process, 10^9 bytes (2)")
    parser.add_argument("--folder", help="where the recording goes for the moment (a temporary folder)")
    parser.add_argument("--no-docs", action="store_true", help="do not write docs/benchmarks.md")
    arguments = parser.parse_args()
    about = environment(("brainsnn", "Brian2", "numpy", "zarr"))
    # TensorFlow reserves more address space than it uses, and is not needed again.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        graph = pool.submit(read_graph).result()
    limit = int(arguments.limit * 1e9)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    parent = Path(tempfile.mkdtemp(dir=arguments.folder, prefix="brainsnn_streaming_"))
    try:
        with PeakMemory() as peak:
            streamed, few, seconds = record(graph, arguments.gigabytes, parent / "recording")
            start = time.perf_counter()
            n_bytes, compared, different = compare(streamed, few)
            seconds["read"] = time.perf_counter() - start
        on_disk = sum(path.stat().st_size for path in parent.rglob("*") if path.is_file())
        n_spikes = sum(len(neurons) for neurons, _ in streamed.spikes[LAYER])
        assert n_spikes == streamed.spike_counts[LAYER].sum()
    finally:
        shutil.rmtree(parent)
    rows = [
        ("run, all neurons to disk", f"{seconds['all']:.1f}", megabytes(on_disk)),
        (f"run, {len(few.recorded[LAYER][VARIABLES[0]])} neurons in memory", f"{seconds['few']:.1f}", "-"),
        ("read back", f"{seconds['read']:.1f}", megabytes(n_bytes)),
    ]
    verdict = "all equal" if different == 0 else f"{different:,} DIFFERENT"
    blocks = [
        "\n".join(f"- {line}" for line in about),
        f"{N_TRIALS} trials of {streamed.n_steps:,} steps, {n_bytes / 1e9:.1f} GB of states of {LAYER} and {n_spikes:,} spikes, "
        f"under a limit of {arguments.limit:g} GB of address space (RLIMIT_AS) for each process.",
        table(("what", "s", "disk"), rows),
        table(
            ("process", "largest resident memory"),
            [("Python", megabytes(peak.own())), ("compiled network", megabytes(peak.child()))],
        ),
        f"Read back and compared bit for bit with the recording in memory: {compared:,} values, {verdict}.",
    ]
    publish(
        "streaming", "A recording larger than memory", "python benchmarks/streaming.py", blocks, not arguments.no_docs
    )
    if different:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
