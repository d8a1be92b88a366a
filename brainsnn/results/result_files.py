"""Write results to ``.npz`` files and read them."""

import json
import zlib
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from brainsnn.files import check_file, checked_path, write_atomically
from brainsnn.plain_arrays import plain_array
from brainsnn.results.description import description_of, use_description

__all__ = ["path_to_read", "read_result", "write_result"]

SUFFIX = ".npz"


def _with_suffix(path):
    path = checked_path(path, "Result.save: path")
    return path if path.suffix.lower() == SUFFIX else path.with_name(path.name + SUFFIX)


def path_to_read(path):
    """
    Return the path of a result, with its suffix if it was left out.

    Parameters
    ----------
    path : str or `~pathlib.Path`

    Returns
    -------
    path : `~pathlib.Path`

    Raises
    ------
    FileNotFoundError
        If there is none. The message says where it was looked for, and what is there.
    ValueError
        If there is a file of this name and one with the suffix.
    """
    given = checked_path(path, "Result.load: path")
    complete = _with_suffix(given)
    if given.is_file() and given != complete and complete.is_file():
        raise ValueError(
            f"Result.load: there are two files, {str(given)!r} and {complete.name!r}. Give the suffix {SUFFIX!r}, or rename the "
            "one without it."
        )
    for found in (given, complete):
        if found.exists():
            return found
    folder = next(parent for parent in given.absolute().parents if parent.is_dir())
    names = sorted(entry.name + "/" * entry.is_dir() for entry in folder.iterdir())
    there = ", ".join(names[:20]) + (f", ... ({len(names)} entries)" if len(names) > 20 else "")
    raise FileNotFoundError(
        f"Result.load: {str(given.absolute())!r} does not exist, with or without the suffix {SUFFIX!r}. {str(folder)!r} holds: "
        f"{there or 'nothing'}."
    )


def write_result(result, path, labels=None):
    """
    Write a result to a file; see `~brainsnn.results.result.Result.save`.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    path : str or `~pathlib.Path`
    labels : (n,) array_like of int, optional

    Returns
    -------
    path : `~pathlib.Path`
    """
    path = _with_suffix(path)
    result.labels = None if labels is None else _checked_labels(labels, result.n_images)
    arrays = {"dt": result.dt, "n_steps": result.n_steps, "about": json.dumps(description_of(result))}
    arrays["aliases"] = np.array([*result.aliases.items()], dtype=str).reshape(-1, 2)
    for name, shape in result.shapes.items():
        arrays[f"shape/{name}"] = shape
    for name, values in result.outputs.items():
        arrays[f"output/{name}"] = values
    for name, values in result.spike_counts.items():
        arrays[f"count/{name}"] = values
    for name, trains in result.spikes.items():
        arrays[f"spikes_n/{name}"] = [len(neurons) for neurons, _ in trains]
        arrays[f"spikes_i/{name}"] = np.concatenate([neurons for neurons, _ in trains] or [np.zeros(0, int)])
        arrays[f"spikes_t/{name}"] = np.concatenate([steps for _, steps in trains] or [np.zeros(0, int)])
    for name, variables in result.states.items():
        for variable, values in variables.items():
            arrays[f"state/{name}\t{variable}"] = values
            arrays[f"index/{name}\t{variable}"] = result.recorded[name][variable]
    with write_atomically(path) as file:
        np.savez_compressed(file, **arrays)
    return path


def _checked_labels(labels, n_images):
    labels = plain_array(labels, "Result.save: labels")
    if labels.shape != (n_images,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Result.save: labels of shape {labels.shape} and type {labels.dtype} for {n_images} images; give one whole number "
            "for each."
        )
    return labels


def read_result(cls, path):
    """
    Read a result from a file; see `~brainsnn.results.result.Result.load`.

    Parameters
    ----------
    cls : type
        `~brainsnn.results.result.Result`, or a subclass.
    path : str or `~pathlib.Path`

    Returns
    -------
    result : cls
    """
    groups = {}
    if Path(path).is_dir():
        raise ValueError(
            f"Result.load: {str(path)!r} is not a result, but a folder without the description that run(..., stream_to=...) "
            "writes."
        )
    check_file(path, "Result.load")
    try:
        with np.load(path, allow_pickle=False) as data:
            for key in data.files:
                kind, _, name = key.partition("/")
                groups.setdefault(kind, {})[name] = data[key]
    except (AttributeError, EOFError, ValueError, BadZipFile, zlib.error) as error:
        raise ValueError(
            f"Result.load: {str(path)!r} is not a result, or is damaged ({error}). Give a file that Result.save wrote."
        ) from error
    if not {"shape", "aliases", "dt", "n_steps"} <= set(groups):
        raise ValueError(
            f"Result.load: {str(path)!r} is not a result; it contains {sorted(groups)}. Give a file that Result.save wrote."
        )
    shapes = {name: tuple(int(n) for n in shape) for name, shape in groups["shape"].items()}
    aliases = groups["aliases"][""]
    # Older files have one text for each pair.
    aliases = dict(aliases.tolist() if aliases.ndim == 2 else (str(pair).split("\t") for pair in aliases))
    result = cls(shapes, float(groups["dt"][""]), int(groups["n_steps"][""]), aliases)
    result.outputs.update(groups.get("output", {}))
    result.spike_counts.update(groups.get("count", {}))
    for name, lengths in groups.get("spikes_n", {}).items():
        cuts = np.cumsum(lengths)[:-1]
        neurons, steps = (np.split(groups[kind][name], cuts) for kind in ("spikes_i", "spikes_t"))
        result.spikes[name] = list(zip(neurons, steps))[: len(lengths)]
    for kind, store in (("state", result.states), ("index", result.recorded)):
        for key, values in groups.get(kind, {}).items():
            name, _, variable = key.rpartition("\t")
            store.setdefault(name, {})[variable] = values
    if "about" in groups:  # not in files of brainsnn 0.1
        use_description(result, json.loads(str(groups["about"][""])))
    return result
