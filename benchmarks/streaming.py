"""
Record states that do not fit into memory: write them to disk while the network runs, and read them back.

Signal and threshold of all neurons of the first convolution of the shipped digit network are recorded for four long trials.
The address space of the benchmark and of the compiled program is limited (RLIMIT_AS, which `ulimit -v` sets), so that neither
memory nor a memory map can hold the recording. A second run records a few of these neurons in memory. The complete recording
is then read from disk in chunks, and these neurons are compared bit for bit.

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
    """Return the graph of the shipped network, which is plain data."""
    import brainsnn as bs

    return bs.read_keras(bs.load_model(ROOT / "weights" / "digits.keras"))


def record(graph, gigabytes, folder):
    """Run with all neurons on disk, then with a few in memory; return both results and the seconds."""
    import brainsnn as bs
    from brainsnn.stimuli import load_digits

    images = load_digits("test")[0][:N_TRIALS]
    n_neurons = graph.populations[LAYER].size
    n_steps = int(np.ceil(gigabytes * 1e9 / (N_TRIALS * len(VARIABLES) * n_neurons * 4)))
    few = np.linspace(0, n_neurons - 1, 7).astype(int)
    records = {"all": {"spikes": True} | dict.fromkeys(VARIABLES, True), "few": dict.fromkeys(VARIABLES, few)}
    results, seconds = {}, {}
    for name, recorded in records.items():
        snn = bs.convert(graph, bs.ASN(m_f=0.1), device="cpp_standalone", record={LAYER: recorded})
        snn.run(images[:1], duration=1 * bs.ms)  # compiles
        start = time.perf_counter()
        results[name] = snn.run(images, duration=n_steps * bs.ms, stream_to=folder if name == "all" else None)
        seconds[name] = time.perf_counter() - start
    return results["all"], results["few"], seconds


def compare(streamed, few):
    """Read every chunk and compare the known neurons; return bytes read, values compared, and values that differ."""
    columns, n_bytes, compared, different = few.recorded[LAYER][VARIABLES[0]], 0, 0, 0
    for variable in VARIABLES:
        array = streamed.states[LAYER][variable]
        for trial in range(array.shape[0]):
            for first in range(0, array.shape[1], array.chunks[1]):
                chunk = array[trial, first : first + array.chunks[1]]
                expected = few.states[LAYER][variable][trial, first : first + len(chunk)]
                n_bytes, compared = n_bytes + chunk.nbytes, compared + expected.size
                different += np.count_nonzero(chunk[:, columns].view(np.int32) != expected.view(np.int32))
                # A neuron that was never written would be 0 throughout; the threshold of a live one is not.
                different += 0 if variable == "S" else np.count_nonzero(chunk == 0)
    return n_bytes, compared, int(different)


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.split("\n")[1])
    parser.add_argument("--gigabytes", type=float, default=20.0, help="size of the recorded states, 10^9 bytes (20)")
    parser.add_argument("--limit", type=float, default=2.0, help="address space of each process, 10^9 bytes (2)")
    parser.add_argument("--folder", help="folder for the recording, which is deleted at the end (a temporary folder)")
    parser.add_argument("--quick", action="store_true", help="0.2 GB, without writing docs")
    parser.add_argument("--no-docs", action="store_true", help="do not write docs/benchmarks.md")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.gigabytes, arguments.no_docs = 0.2, True
    about = environment(("brainsnn", "Brian2", "numpy", "zarr"))
    # TensorFlow reserves more address space than it uses; only this process needs it.
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
