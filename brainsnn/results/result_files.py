"""Write results to ``.npz`` files and read them."""

import zlib
from zipfile import BadZipFile

import numpy as np

from brainsnn.files import write_atomically

__all__ = ["read_result", "write_result"]


def write_result(result, path):
    """
    Write a result to a file; see `~brainsnn.results.result.Result.save`.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    path : str or `~pathlib.Path`
    """
    arrays = {"dt": result.dt, "n_steps": result.n_steps}
    arrays["aliases"] = np.array(["\t".join(pair) for pair in result.aliases.items()], dtype=str)
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
    try:
        with np.load(path, allow_pickle=False) as data:
            for key in data.files:
                kind, _, name = key.partition("/")
                groups.setdefault(kind, {})[name] = data[key]
    except (AttributeError, EOFError, IsADirectoryError, ValueError, BadZipFile, zlib.error) as error:
        raise ValueError(
            f"Result.load: {str(path)!r} is not a result, or is damaged ({error}). Give a file that Result.save wrote."
        ) from error
    if not {"shape", "aliases", "dt", "n_steps"} <= set(groups):
        raise ValueError(
            f"Result.load: {str(path)!r} is not a result; it contains {sorted(groups)}. Give a file that Result.save wrote."
        )
    shapes = {name: tuple(int(n) for n in shape) for name, shape in groups["shape"].items()}
    aliases = dict(str(pair).split("\t") for pair in groups["aliases"][""])
    result = cls(shapes, float(groups["dt"][""]), int(groups["n_steps"][""]), aliases)
    result.outputs.update(groups.get("output", {}))
    result.spike_counts.update(groups.get("count", {}))
    for name, lengths in groups.get("spikes_n", {}).items():
        cuts = np.cumsum(lengths)[:-1]
        neurons, steps = (np.split(groups[kind][name], cuts) for kind in ("spikes_i", "spikes_t"))
        result.spikes[name] = list(zip(neurons, steps))[: len(lengths)]
    for kind, store in (("state", result.states), ("index", result.recorded)):
        for key, values in groups.get(kind, {}).items():
            name, variable = key.split("\t")
            store.setdefault(name, {})[variable] = values
    return result
