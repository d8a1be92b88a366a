"""Write results to ``.npz`` files and read them."""

import json
from pathlib import Path

import numpy as np

from brainsnn.files import check_file, checked_path, write_atomically
from brainsnn.plain_arrays import plain_array
from brainsnn.results.checks import check_result, check_steps, plain_result, read_json, refusal
from brainsnn.results.description import description_of, use_description
from brainsnn.results.npz import DamagedArraysError, read_arrays

__all__ = ["arrays_of", "path_to_read", "read_result", "write_result"]

SUFFIX = ".npz"


def _with_suffix(path, what):
    path = checked_path(path, what, is_file=True)
    return path if path.suffix.lower() == SUFFIX else checked_path(path.with_name(path.name + SUFFIX), what)


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
    # "." may be the folder of a streamed result
    complete = given if given.name in ("", "..") else _with_suffix(given, "Result.load: path")
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
    path = _with_suffix(path, "Result.save: path")
    check_result(result, _refuse_to_write)
    result.labels = None if labels is None else _checked_labels(labels, result.n_images)
    arrays = {"dt": result.dt, "n_steps": result.n_steps}
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
    for name, neurons in result.spike_neurons.items():
        arrays[f"spikes_of/{name}"] = neurons
    for name, variables in result.states.items():
        for variable, values in variables.items():
            arrays[f"state/{name}\t{variable}"] = values
            arrays[f"index/{name}\t{variable}"] = result.recorded[name][variable]
    # First, and with the names of the others: a damaged list of entries can hide those that follow one.
    about = json.dumps({**description_of(result), "arrays": ["about", *arrays]})
    with write_atomically(path) as file:
        np.savez_compressed(file, about=about, **arrays)
    return path


def _refuse_to_write(part, problem):
    raise ValueError(f"Result.save: {part} {problem}, so the file could not be loaded. Correct it, then save.")


def _checked_labels(labels, n_images):
    labels = plain_array(labels, "Result.save: labels")
    if labels.shape != (n_images,) or labels.dtype.kind not in "iu":
        raise ValueError(
            f"Result.save: labels of shape {labels.shape} and type {labels.dtype} for {n_images} images; give one whole number "
            "for each."
        )
    return labels


def read_result(cls, path, max_bytes=None):
    """
    Read a result from a file; see `~brainsnn.results.result.Result.load`.

    Parameters
    ----------
    cls : type
        `~brainsnn.results.result.Result`, or a subclass.
    path : str or `~pathlib.Path`
    max_bytes : float, optional

    Returns
    -------
    result : cls
    """
    if Path(path).is_dir():
        raise ValueError(
            f"Result.load: {str(path)!r} is not a result, but a folder without the description that run(..., stream_to=...) "
            "writes."
        )
    check_file(path, "Result.load")
    groups, refuse = {}, refusal(path)
    arrays = arrays_of(path, path, max_bytes)
    for key, array in arrays.items():
        kind, _, name = key.partition("/")
        groups.setdefault(kind, {})[name] = array
    if not {"shape", "aliases", "dt", "n_steps"} <= set(groups):
        raise ValueError(
            f"Result.load: {str(path)!r} is not a result; it contains {sorted(groups)}. Give a file that Result.save wrote."
        )
    dt, n_steps = (_value(groups, key, refuse) for key in ("dt", "n_steps"))
    result = plain_result(cls, groups["shape"], dt, n_steps, _aliases(groups, refuse), refuse)
    result.outputs.update(groups.get("output", {}))
    result.spike_counts.update(groups.get("count", {}))
    for name in {name: None for kind in ("spikes_n", "spikes_i", "spikes_t") for name in groups.get(kind, {})}:
        result.spikes[name] = _spikes(groups, name, refuse)
    result.spike_neurons.update(groups.get("spikes_of", {}))
    for kind, store in (("state", result.states), ("index", result.recorded)):
        for key, values in groups.get(kind, {}).items():
            name, tab, variable = key.rpartition("\t")
            if not tab:
                refuse(f"the array {f'{kind}/{key}'!r}", "names no variable")
            store.setdefault(name, {})[variable] = values
    check_result(result, refuse)
    check_steps(path, result.n_steps, max_bytes)
    if "about" in groups:  # not in files of brainsnn 0.1
        texts = _texts(groups, "about", refuse)
        about = read_json("".join(texts), "the array 'about'", refuse)
        if lost := [name for name in _names(about.pop("arrays", []), refuse) if name not in arrays]:
            refuse(f"the array {lost[0]!r}", "is missing")
        use_description(result, about, result.n_images, refuse)
    return result


def arrays_of(path, file, max_bytes):
    """
    Return the arrays of a ``.npz`` file of a result.

    Parameters
    ----------
    path : `~pathlib.Path`
        The result, for messages.
    file : `~pathlib.Path`
        The result itself, or a file in its folder.
    max_bytes : float or None

    Returns
    -------
    arrays : dict of str to ndarray
    """
    with open(file, "rb") as source:
        try:
            return read_arrays(source, f"Result.load: {str(file)!r}", max_bytes)
        except DamagedArraysError as error:
            raise ValueError(
                f"Result.load: {str(path)!r} is not a result, or is damaged: "
                f"{'' if file == path else f'in {Path(file).name!r}, '}{error}. Give a file that Result.save wrote."
            ) from error


def _value(groups, key, refuse):
    array = groups[key].get("")
    if array is None or array.shape != () or array.dtype.kind not in "iuf":
        refuse(f"the array {key!r}", f"is {array!r:.100}, not one number")
    return array.item()


def _texts(groups, key, refuse):
    array = groups[key].get("")
    if array is None or array.dtype.kind != "U":
        refuse(f"the array {key!r}", f"is {array!r:.100}, not texts")
    try:
        return array.ravel().tolist()
    except ValueError as error:  # a number that stands for no character
        refuse(f"the array {key!r}", f"holds no texts ({error})")


def _aliases(groups, refuse):
    """Return {layer: population} from (n, 2) names; older files have one text for each pair."""
    texts = _texts(groups, "aliases", refuse)
    is_table = groups["aliases"][""].ndim == 2
    pairs = list(zip(texts[::2], texts[1::2])) if is_table else [tuple(text.split("\t")) for text in texts]
    if wrong := [pair for pair in pairs if len(pair) != 2]:
        refuse("the array 'aliases'", f"holds {wrong[0]!r:.100}, not two names")
    return dict(pairs)


def _names(names, refuse):
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        refuse("the entry 'arrays' of the description", f"is {names!r:.100}, not a list of names")
    return names


def _spikes(groups, name, refuse):
    lengths, *columns = (groups.get(kind, {}).get(name) for kind in ("spikes_n", "spikes_i", "spikes_t"))
    for kind, values in zip(("spikes_n", "spikes_i", "spikes_t"), (lengths, *columns)):
        if values is None:
            refuse(f"the array '{kind}/{name}'", "is missing")
        if values.ndim != 1 or len(values) and values.dtype.kind not in "iu":
            refuse(f"the array '{kind}/{name}'", f"has the shape {values.shape} and the type {values.dtype}")
    n_spikes = sum(map(int, lengths))
    if len(lengths) and min(map(int, lengths)) < 0:
        refuse(f"the array 'spikes_n/{name}'", "holds negative numbers")
    for kind, values in zip(("spikes_i", "spikes_t"), columns):
        if len(values) != n_spikes:
            refuse(f"the array '{kind}/{name}'", f"holds {len(values)} spikes, not {n_spikes}")
    cuts = np.cumsum(lengths)[:-1].astype(int)
    neurons, steps = (np.split(values, cuts) for values in columns)
    return list(zip(neurons, steps))[: len(lengths)]
