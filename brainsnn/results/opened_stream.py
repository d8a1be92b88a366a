"""Open the folder of a streamed result, after checking that its files are those that brainsnn writes."""

import math
import os
import stat
from pathlib import Path

import numpy as np

from brainsnn.leftovers import COMPLETE as DESCRIPTION
from brainsnn.memory import check_size, size_limit
from brainsnn.optional import optional_packages
from brainsnn.results.checks import check_indices, check_result, check_steps, plain_result, read_json, refusal
from brainsnn.results.description import use_description
from brainsnn.results.names import file_name
from brainsnn.results.npz import read_header
from brainsnn.results.result_files import arrays_of
from brainsnn.results.spike_trains import SpikeTrains

__all__ = ["DESCRIPTION", "files_in", "is_stream", "open_stream", "zarr_package"]

DTYPES = ("bool", "float32", "float64", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)))
#: Entries of the description, and their types.
_ENTRIES = {"shapes": dict, "aliases": dict, "outputs": list, "spikes": dict, "states": dict, "files": dict}


def zarr_package():
    """Return the module zarr, or raise an error that says what to install."""
    with optional_packages("A recording that streams to disk"):
        import zarr
    return zarr


def is_stream(path):
    """
    Return whether a path is a folder to which a run was streamed.

    Parameters
    ----------
    path : str or `~pathlib.Path`

    Returns
    -------
    is_stream : bool
    """
    return (Path(path) / DESCRIPTION).is_file()


def files_in(folder):
    """
    Return the files of a folder, at any depth.

    Parameters
    ----------
    folder : `~pathlib.Path`

    Returns
    -------
    files : dict of str to int
        Name relative to the folder, with slashes -> size in bytes; -1 for what is neither a file nor a folder, such as a link.
    """
    found = {}
    for parent, folders, names in os.walk(folder):
        for name in (*names, *folders):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            if not stat.S_ISDIR(status.st_mode):
                relative = os.path.relpath(path, folder).replace(os.sep, "/")
                found[relative] = status.st_size if stat.S_ISREG(status.st_mode) else -1
    return dict(sorted(found.items()))


def open_stream(cls, path, max_bytes=None):
    """
    Open the folder of a streamed result without reading the recordings.

    Parameters
    ----------
    cls : type
        `~brainsnn.results.result.Result`.
    path : str or `~pathlib.Path`
    max_bytes : float, optional

    Returns
    -------
    result : `~brainsnn.results.result.Result`

    Raises
    ------
    ValueError
        If files of the result are missing, have the wrong size, or hold what brainsnn does not write.
    """
    path = Path(path)
    zarr_package()  # the first error is that it is missing
    refuse = refusal(path, "Copy the folder again, or run again.")
    found = files_in(path)
    for name, size in found.items():
        if size < 0:
            refuse(repr(name), "is not a file: links and other special files are not followed")
    about = read_json((path / DESCRIPTION).read_bytes(), repr(DESCRIPTION), refuse)
    _check_description(about, refuse)
    if damaged := [name for name, size in about["files"].items() if found.get(name) != size]:
        raise ValueError(
            f"Result.load: {str(path)!r} is incomplete; {len(damaged)} of its {len(about['files'])} files are missing or have "
            f"the wrong size, such as {damaged[0]!r}. Copy the folder again."
        )
    result = plain_result(cls, about["shapes"], about["dt"], about["n_steps"], about["aliases"], refuse)
    if "arrays.npz" not in found:
        refuse("'arrays.npz'", "is missing")
    groups = {}
    for key, array in arrays_of(path, path / "arrays.npz", max_bytes).items():
        kind, _, name = key.partition("/")
        groups.setdefault(kind, {})[name] = array
    result.spike_counts.update(groups.get("count", {}))
    for name in about["outputs"]:
        result.outputs[name] = _output(path, f"outputs/{file_name(name)}.npy", found, refuse)
    for name, firsts in about["spikes"].items():
        result.spikes[name] = _trains(path, name, firsts, groups, result, found, refuse)
    _add_states(result, path, about["states"], groups.get("index", {}), found, max_bytes, refuse)
    check_result(result, refuse)
    check_steps(path, result.n_steps, max_bytes)
    if "about" in about:  # not in folders of brainsnn 0.1
        use_description(result, about["about"], result.n_images, refuse)
    return result


def _add_states(result, path, states, recorded, found, max_bytes, refuse):
    pairs = [(name, variable) for name, variables in states.items() for variable in variables]
    n_missing = 0
    for name, variable in pairs:
        if (indices := recorded.get(f"{name}\t{variable}")) is None:
            refuse("'arrays.npz'", f"has no neurons of {variable!r} of {name!r}")
        if indices.ndim != 1:
            refuse("'arrays.npz'", f"has neurons of {variable!r} of {name!r} of the shape {indices.shape}")
        n_missing += check_zarr(path, _zarr_folder(name, variable), found, result.n_steps, len(indices), refuse)
        result.recorded.setdefault(name, {})[variable] = indices
    # zarr leaves chunks of zeros out
    what = f"Result.load: {str(path)!r} lacks chunks of its states, and what is not there"
    check_size(n_missing, size_limit(max_bytes, "Result.load"), what)
    for name, variable in pairs:
        array = zarr_package().open_array(path / _zarr_folder(name, variable), mode="r", zarr_format=3)
        result.states.setdefault(name, {})[variable] = array


def _check_description(about, refuse):
    for entry, kind in _ENTRIES.items():
        if not isinstance(about.get(entry), kind):
            refuse(f"the entry {entry!r} of {DESCRIPTION!r}", f"is {about.get(entry)!r:.100}, not a {kind.__name__}")
    for entry in ("dt", "n_steps"):
        if entry not in about:
            refuse(f"the entry {entry!r} of {DESCRIPTION!r}", "is missing")
    names = [("outputs", name) for name in about["outputs"]] + [("spikes", name) for name in about["spikes"]]
    for name, variables in about["states"].items():
        names += [("states", name)]
        if not isinstance(variables, list) or not all(_is_text(variable) for variable in variables):
            refuse(
                f"the entry 'states' of {DESCRIPTION!r}", f"has {variables!r:.100} for {name!r}, not a list of names"
            )
    for entry, name in names:
        if not _is_text(name) or name not in about["shapes"]:
            refuse(f"the entry {entry!r} of {DESCRIPTION!r}", f"names {name!r:.100}, which is not a population")


def _zarr_folder(name, variable):
    return f"states/{file_name(name, variable)}.zarr"


def _is_text(name):
    """Return whether a name can be in the name of a file."""
    return isinstance(name, str) and not any("\ud800" <= character <= "\udfff" for character in name)


def _output(path, name, found, refuse):
    if name not in found:
        refuse(repr(name), "is missing")
    with open(path / name, "rb") as file:
        try:
            shape, dtype, order, n_bytes = read_header(file)
        except Exception as error:  # a damaged header can raise almost any error
            refuse(repr(name), f"has no valid header ({error})")
        start = file.tell()
    if n_bytes != found[name]:
        refuse(repr(name), f"is of {found[name]} bytes, and its header says {n_bytes}")
    if math.prod(shape) * dtype.itemsize == 0:
        return np.empty(shape, dtype)
    return np.memmap(path / name, dtype, "r", offset=start, shape=shape, order=order)


def _trains(path, name, firsts, groups, result, found, refuse):
    counts, wanted = (groups.get(kind, {}).get(name) for kind in ("spikes_n", "wanted"))
    part, limits = f"spikes[{name!r}]", (math.prod(result.shapes[name]), result.n_steps)
    if counts is None or counts.ndim != 1 or counts.dtype.kind not in "iu":
        refuse(part, "has no numbers of spikes in 'arrays.npz'")
    if len(counts) and int(counts.min()) < 0:
        refuse(part, "has negative numbers of spikes in 'arrays.npz'")
    is_list = isinstance(firsts, list) and all(type(first) is int for first in firsts) and firsts[:1] == [0]
    if not is_list or any(b < a for a, b in zip(firsts, firsts[1:])) or firsts[-1] > len(counts):
        refuse(part, f"begins in {DESCRIPTION!r} at the images {firsts!r:.100}, and there are {len(counts)}")
    if wanted is not None:
        check_indices(f"the neurons of {part}", wanted, limits[0], refuse)
        result.spike_neurons[name] = wanted
    for k, (first, end) in enumerate(zip(firsts, [*firsts[1:], len(counts)])):
        size = 4 * sum(map(int, counts[first:end]))
        for what in ("neurons", "steps"):
            file = f"spikes/{file_name(name)}.{k}.{what}"
            if found.get(file, 0) != size:
                refuse(repr(file), f"is of {found.get(file, 0)} bytes, and its spikes take {size}")
    return SpikeTrains(path / "spikes" / file_name(name), counts, firsts, wanted, limits)


def check_zarr(path, folder, found, n_steps, width, refuse):
    """
    Refuse an array other than one of numbers in plain bytes, before zarr opens it: a codec of zarr's may run code.

    Parameters
    ----------
    path : `~pathlib.Path`
        Of the result.
    folder : str
        Of the array, in that of the result.
    found : dict of str to int
        From `files_in`.
    n_steps, width : int
    refuse : callable

    Returns
    -------
    n_missing : int
        Bytes of the chunks that have no file.
    """
    name = f"{folder}/zarr.json"
    if name not in found:
        refuse(repr(name), "is missing")
    about = {"attributes": {}, "storage_transformers": []} | read_json((path / name).read_bytes(), repr(name), refuse)
    shape, dtype, chunks = about.get("shape"), about.get("data_type"), _chunk_shape(about.get("chunk_grid"))
    if not isinstance(shape, list) or len(shape) != 3 or any(type(n) is not int or n < 0 for n in shape):
        refuse(repr(name), f"has the shape {shape!r:.100}, not that of images, steps and neurons")
    if dtype not in DTYPES:
        refuse(repr(name), f"has the data_type {dtype!r:.100}; it must be one of {', '.join(DTYPES)}")
    plain = [{"name": "bytes", "configuration": {"endian": "little"}}]
    expected = {
        "zarr_format": 3, "node_type": "array", "shape": [shape[0], n_steps, width], "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [1, min(chunks, max(n_steps, 1)), width]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "."}}, "fill_value": 0,
        "codecs": [{"name": "bytes"}] if about.get("codecs") == [{"name": "bytes"}] else plain,
        "dimension_names": ["image", "step", "neuron"], "attributes": {}, "storage_transformers": [],
    }  # fmt: skip
    for key in sorted({*about, *expected}):
        if about.get(key) != expected.get(key):
            refuse(repr(name), f"has {key}={about.get(key)!r:.200}, where brainsnn writes {expected.get(key)!r}")
    n_chunks, n_bytes = -(-n_steps // chunks), chunks * width * np.dtype(dtype).itemsize
    present = {file.removeprefix(f"{folder}/"): size for file, size in found.items() if file.startswith(f"{folder}/")}
    del present["zarr.json"]
    for file, size in present.items():
        parts = file.split(".")
        if (
            len(parts) != 4
            or parts[::3] != ["c", "0"]
            or not _is_below(parts[1], shape[0])
            or not _is_below(parts[2], n_chunks)
        ):
            refuse(repr(f"{folder}/{file}"), "is a file that brainsnn does not write")
        if size != n_bytes:
            refuse(repr(f"{folder}/{file}"), f"is of {size} bytes, and a chunk takes {n_bytes}")
    return (shape[0] * n_chunks - len(present)) * n_bytes


def _is_below(text, limit):
    return text.isdecimal() and text.isascii() and str(int(text)) == text and int(text) < limit


def _chunk_shape(grid):
    """Return the number of steps of a chunk, or 1 if that is not said (int)."""
    try:
        steps = grid["configuration"]["chunk_shape"][1]
    except (TypeError, KeyError, IndexError):
        return 1
    return steps if type(steps) is int and steps > 0 else 1
