"""
Time to the first result: from a fresh Python to the output of one step, for ResNet-18 at 224x224 and for digits.

Every row is a new process, timed by its parent from the start. A "cold" process has an empty program cache, a "warm" one
finds its program there. The parts are: Python and `import brainsnn` with Brian2; TensorFlow, the model file and the graph
(`load_model`, `read_keras`); `convert`; and the first run. The first run includes code generation, compilation (cold) or the
cache look-up (warm), program start, one step of one image, and reading the results.

    python benchmarks/first_result.py [--quick] [--repeats 3] [--no-docs]
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from _report import environment, in_process, publish, table

PARTS = ("python and import brainsnn", "model file to graph", "convert", "first run of one step")
#: (network, device) -> goals of the cold and of the warm start in seconds, for all parts but the model file.
GOALS = {
    ("digits", "runtime"): (8, 2),
    ("digits", "cpp_standalone"): (None, 1),
    ("ResNet-18", "runtime"): (None, None),
    ("ResNet-18", "cpp_standalone"): (6, 1.5),
}


def worker(model_file, image_file, m_f, device, started):
    """Print the seconds and processor time of each part as JSON."""
    times, cpu_times = [started], [0.0]

    def tick():
        times.append(time.time())
        usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu_times.append(sum(u.ru_utime + u.ru_stime for u in usage))

    import brainsnn as bs

    bs.convert  # noqa: B018  (imports what converting needs, mainly Brian2)
    tick()
    graph = bs.read_keras(bs.load_model(model_file))
    tick()
    snn = bs.convert(graph, bs.ASN(m_f=m_f), device=device)
    tick()
    snn.run(np.load(image_file), duration=1 * bs.ms)
    tick()
    print(json.dumps({"parts": np.diff(times).tolist(), "cpu": np.diff(cpu_times).tolist()}))


def first_result(model_file, image_file, m_f, device, cache):
    """
    Start a new process that loads a model, converts it and runs one step.

    Parameters
    ----------
    model_file, image_file : Path
        A model, and a .npy file with one image (1, H, W, C).
    m_f : float
    device : str
    cache : str
        Folder for compiled programs.

    Returns
    -------
    parts : list of float
        Seconds of `PARTS`.
    cpu : list of float
        Processor time of each part in seconds, including the compiler and the program.
    """
    answer = in_process(
        __file__, [str(model_file), str(image_file), m_f, device, time.time()], BRAINSNN_CACHE=str(cache)
    )
    return answer["parts"], answer["cpu"]


def prepare(folder, size):
    """Write models and images; return network -> (model file, image file, m_f)."""
    # Imported here because workers run this file too, and their imports are timed.
    from _networks import DIGITS_M_F, RESNET_M_F, WEIGHTS, random_image, resnet

    from brainsnn.stimuli import load_digits

    resnet(size).save(folder / "resnet18.keras")
    np.save(folder / "image.npy", random_image(size)[None])
    np.save(folder / "digit.npy", load_digits("test")[0][:1])
    return {
        "ResNet-18": (folder / "resnet18.keras", folder / "image.npy", RESNET_M_F),
        "digits": (WEIGHTS, folder / "digit.npy", DIGITS_M_F),
    }


def row(network, device, start, parts, cpu, goal):
    """Return one line of the table."""
    numbers = (*parts, sum(parts) - parts[1], sum(cpu) - cpu[1])
    return (network, device, start, *(f"{value:.2f}" for value in numbers), "-" if goal is None else f"{goal}")


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False, description="Seconds to the first result, cold and warm.")
    parser.add_argument("--quick", action="store_true", help="a 64x64 image, one repeat, without writing docs")
    parser.add_argument("--repeats", type=int, default=3, help="warm starts; the fastest counts")
    parser.add_argument("--no-docs", action="store_true", help="only print the tables")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(*json.loads(args.worker))
    size, repeats = (64, 1) if args.quick else (224, args.repeats)
    setting, rows = environment(), []
    with tempfile.TemporaryDirectory(prefix="first_result_") as name:
        files = prepare(Path(name), size)
        for (network, device), goals in GOALS.items():
            print(f"{network}, {device} ...", flush=True)
            arguments = *files[network], device, Path(name) / f"cache_{network}_{device}"
            rows.append(row(network, device, "cold", *first_result(*arguments), goals[0]))
            warm = [first_result(*arguments) for _ in range(repeats)]
            rows.append(row(network, device, "warm", *min(warm, key=lambda found: sum(found[0])), goals[1]))
    headers = (
        "network",
        "device",
        "start",
        *(f"{part}, s" for part in PARTS),
        "all but the model file, s",
        "its CPU, s",
        "goal, s",
    )
    notes = (
        f"ResNet-18 at {size}x{size}. Warm: best of {repeats}. The goals exclude the model file; most of its time is the "
        "import of TensorFlow. Limits: cold, one compiler per core; warm, importing numpy, SymPy and Brian2, and Brian2's code "
        "generation in Python, all in one thread."
    )
    blocks = ["\n".join(f"- {line}" for line in setting), table(headers, rows), notes]
    write = not (args.quick or args.no_docs)
    publish("first_result", "The first result", "python benchmarks/first_result.py", blocks, write=write)


if __name__ == "__main__":
    main()
