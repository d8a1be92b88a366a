"""
Write a result in each format and read it back: what comes back equal, the size of the file and the time.

The network is the shipped one of digits, with spikes and a state of some neurons of a layer and spikes of some of another one.
What a format keeps is compared value by value: spikes are those of the raster, states and outputs must be equal in all bits, and
the neurons are known if each train says its layer, row, column and channel. The table goes into docs/formats.md.

    python tools/check_formats.py [--images N] [--ms N] [--no-docs]
"""

import argparse
import datetime
import re
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs" / "formats.md"
PARTS = ("spikes", "their neurons", "states", "outputs", "labels", "settings", "equations")


def example(n_images, n_ms):
    """Return a result with spikes, states, labels and settings."""
    import brainsnn as bs
    from brainsnn.stimuli import load_digits

    images, labels = load_digits("test")
    some = list(range(0, 3000, 10))
    record = {"conv2": {"spikes": some, "S": some}, "conv1": {"spikes": [(5, 7, 3), (5, 8, 3)]}}
    snn = bs.convert(bs.load_model("digits"), neuron=bs.ASN(m_f=0.1), record=record)
    result = snn.run(images[:n_images], duration=n_ms * bs.ms, seed=list(range(n_images)), onset=20 * bs.ms)
    result.labels = labels[:n_images]
    return result


def kept(found, result):
    """Return which parts of a result another one has, equal to the last bit (dict of str to bool)."""
    same = {"spikes": list(found.spikes) == list(result.spikes), "their neurons": found.shapes == result.shapes}
    for name, trains in result.spikes.items():
        pairs = [
            zip(*sorted_spikes(other), *sorted_spikes(own), strict=False)
            for other, own in zip(found.spikes[name], trains)
        ]
        same["spikes"] &= all(a == c and b == d for pair in pairs for a, b, c, d in pair)
        counts = [[len(neurons) for neurons, _ in each] for each in (found.spikes[name], trains)]
        same["spikes"] &= counts[0] == counts[1]
    same["their neurons"] &= all(
        np.array_equal(found.spike_neurons[name], neurons) for name, neurons in result.spike_neurons.items()
    )
    same["states"] = all(
        equal(found.states[name][variable], values)
        for name, variables in result.states.items()
        for variable, values in variables.items()
    )
    same["outputs"] = all(equal(found.outputs[name], values) for name, values in result.outputs.items())
    same["labels"] = np.array_equal(found.labels, result.labels)
    same["settings"], same["equations"] = found.settings == result.settings, dict(found.models) == dict(result.models)
    return same


def sorted_spikes(train):
    """Return neurons and steps in one order."""
    neurons, steps = (np.asarray(values) for values in train)
    order = np.lexsort((neurons, steps))
    return neurons[order].tolist(), steps[order].tolist()


def equal(one, other):
    """Return whether two arrays have the same values and type."""
    one, other = np.asarray(one), np.asarray(other)
    return one.dtype == other.dtype and np.array_equal(one, other)


def kept_in_block(block, result):
    """Return which parts of a result a neo block has (dict of str to bool)."""
    same = dict.fromkeys(PARTS, True)
    for image, segment in enumerate(block.segments):
        known = [{"layer", "row", "column", "channel"} <= set(train.annotations) for train in segment.spiketrains]
        same["their neurons"] &= all(known) and len(known) == sum(n_trained(result, name) for name in result.spikes)
        steps = [np.rint(train.times.rescale("s").magnitude / result.dt).astype(int) for train in segment.spiketrains]
        same["spikes"] &= sorted_trains(steps) == sorted_trains(trains_of(result, image))
        signals = [np.asarray(signal.magnitude) for signal in segment.analogsignals]
        states = [values[image] for variables in result.states.values() for values in variables.values()]
        same["states"] &= all(any(equal(signal, np.asarray(values)) for signal in signals) for values in states)
        outputs = [values[image] for values in result.outputs.values()]
        same["outputs"] &= all(any(equal(signal, np.asarray(values)) for signal in signals) for values in outputs)
        same["labels"] &= segment.annotations.get("label") == result.labels[image]
    same["settings"] = all(block.annotations.get(key) == value for key, value in result.settings.items())
    return same | {"equations": False}


def n_trained(result, name):
    """Return the number of neurons whose spikes were recorded."""
    return len(result.spike_neurons.get(name, range(int(np.prod(result.shapes[name])))))


def trains_of(result, image):
    """Return the steps at which each recorded neuron spiked, silent ones included."""
    found = []
    for name, trains in result.spikes.items():
        neurons, steps = (np.asarray(values) for values in trains[image])
        wanted = result.spike_neurons.get(name, np.arange(int(np.prod(result.shapes[name]))))
        found += [steps[neurons == neuron] for neuron in wanted]
    return found


def sorted_trains(trains):
    """Return trains in an order that does not depend on the neurons: not every format tells which is which."""
    return sorted(np.sort(train).tolist() for train in trains)


def formats(result):
    """Return name -> (suffix, function that writes a path, function that reads it and returns what was kept)."""
    import neo

    import brainsnn as bs

    def as_result(read):
        return lambda path: kept(read(path), result)

    def write_nix(path):
        with neo.NixIO(str(path), "ow") as file:
            file.write_block(result.to_neo())

    def write_nwb(path):
        block = result.to_neo()
        block.annotate(session_start_time=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
        file = neo.NWBIO(str(path), "w")
        file.write_all_blocks([block])
        file.close()

    def read_nix(path):
        with neo.NixIO(str(path), "ro") as file:
            return kept_in_block(file.read_block(), result)

    def read_nwb(path):
        return kept_in_block(neo.NWBIO(str(path), "r").read_all_blocks()[0], result)

    return {
        "`save`, npz": (".npz", result.save, as_result(bs.Result.load)),
        "`to_netcdf`": (".nc", result.to_netcdf, as_result(bs.Result.from_xarray)),
        "`to_zarr`": (".zarr", result.to_zarr, as_result(bs.Result.from_xarray)),
        "`to_neo`, NIX": (".nix", write_nix, read_nix),
        "`to_neo`, NWB": (".nwb", write_nwb, read_nwb),
    }


def size_of(path):
    """Return the bytes of a file, or of all files of a folder."""
    return (
        sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    )


def rows_of(result, folder):
    """Return a row for each format."""
    rows = []
    for name, (suffix, write, read) in formats(result).items():
        path = Path(folder, f"result{suffix}")
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # neo and its libraries warn of each other
            write(path)
            middle = time.perf_counter()
            same = read(path)
        end = time.perf_counter()
        lost = ", ".join(part for part in PARTS if not same[part]) or "nothing"
        back = ", ".join(part for part in PARTS if same[part])
        rows.append((name, back, lost, f"{size_of(path) / 1e6:.2f}", f"{middle - start:.2f}", f"{end - middle:.2f}"))
    return rows


def write_section(text):
    """Replace the part of the page between its markers."""
    page = DOCS.read_text(encoding="utf-8")
    marked = r"(<!-- begin check_formats -->\n).*?(<!-- end check_formats -->)"
    DOCS.write_text(re.sub(marked, lambda m: f"{m[1]}{text}\n{m[2]}", page, flags=re.DOTALL), encoding="utf-8")


def main():
    """Run, write, read, compare, print."""
    sys.path.insert(0, str(ROOT / "benchmarks"))
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=2, help="images in the result (%(default)s)")
    parser.add_argument("--ms", type=int, default=200, help="milliseconds of each image (%(default)s)")
    parser.add_argument("--no-docs", action="store_true", help="only print")
    arguments = parser.parse_args()
    from _report import environment, table

    result = example(arguments.images, arguments.ms)
    with tempfile.TemporaryDirectory() as folder:
        rows = rows_of(result, folder)
    headers = ("format", "comes back equal", "lost", "MB", "s to write", "s to read")
    n_trains = sum(n_trained(result, name) for name in result.spikes)
    n_spikes = sum(len(neurons) for trains in result.spikes.values() for neurons, _ in trains)
    n_bytes = sum(values.nbytes for variables in result.states.values() for values in variables.values())
    about = (
        f"`python tools/check_formats.py`, {time.strftime('%Y-%m-%d')}: {arguments.images} images of {arguments.ms} ms, "
        f"{n_trains:,} neurons with {n_spikes:,} spikes, {n_bytes / 1e6:.2f} MB of states"
    )
    lines = environment(("brainsnn", "xarray", "h5netcdf", "zarr", "neo", "nixio", "pynwb", "numpy"))
    text = f"\n{about}\n\n" + "\n".join(f"- {line}" for line in lines) + "\n\n" + table(headers, rows) + "\n"
    print(text)
    if not arguments.no_docs:
        write_section(text)


if __name__ == "__main__":
    main()
