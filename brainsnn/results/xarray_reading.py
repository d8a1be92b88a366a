"""Make a result from the variables of an xarray tree, or of a file of one, after checking that they fit together."""

import math

import numpy as np

from brainsnn.memory import check_size
from brainsnn.results.checks import check_indices, check_result, plain_result, read_json
from brainsnn.results.description import use_description
from brainsnn.results.xarray_form import ABOUT, FORMAT, event_places

__all__ = ["Variables", "result_from"]

#: Entries of the description that say where a variable is, and what else they are.
_ENTRIES = {
    "outputs": dict, "spike_counts": dict, "spikes": dict, "spike_neurons": dict, "states": dict, "dims": dict,
    "n_images": int,
}  # fmt: skip


class Variables:
    """
    The variables of a tree by path, such as ``"conv2/S"``.

    Parameters
    ----------
    text : str or None
        Description of the result, from the root's attribute.
    found : dict of str to (tuple of str or None, callable)
        Path -> names of the dimensions, None if they are not known, and a function that returns the values.
    refuse : callable
        As `~brainsnn.results.checks.refusal` returns.
    """

    def __init__(self, text, found, refuse):
        self.text, self.found, self.refuse, self.dims = text, found, refuse, {}

    def __contains__(self, path):
        return path in self.found

    def __getitem__(self, path):
        """Return the values of a variable, with its dimensions in the order in which they were written (ndarray)."""
        if not isinstance(path, str) or path not in self.found:
            self.refuse(f"the variable {path!r:.200}", "is missing")
        dims, read = self.found[path]
        values = np.asarray(read())
        if values.dtype.kind not in "fiub":
            self.refuse(f"the variable {path!r}", f"holds values of type {values.dtype}")
        wanted = self.dims.get(path)
        if dims is None or list(dims) == wanted:
            return values
        if not isinstance(wanted, list) or sorted(dims) != sorted(map(str, wanted)):
            self.refuse(f"the variable {path!r}", f"has the dimensions {dims}, not {wanted}")
        return values.transpose([dims.index(dim) for dim in wanted])


def result_from(cls, variables, source, limit):
    """
    Return the result that a tree holds.

    Parameters
    ----------
    cls : type
        `~brainsnn.results.result.Result`, or a subclass.
    variables : `Variables`
    source : object
        What it is read from, for messages.
    limit : int
        Bytes that the list of times may take.

    Returns
    -------
    result : cls
    """
    refuse = variables.refuse
    about = _description(variables, refuse)
    result = plain_result(cls, about["shapes"], about["dt"], about["n_steps"], about["aliases"], refuse)
    for name, shape in result.shapes.items():
        if len(shape) != 3:
            refuse(f"the shape of {name!r}", f"is {shape}, not (rows, columns, channels)")
    check_size(
        8 * result.n_steps,
        limit,
        f"Result.from_xarray: {source} is of {result.n_steps} steps, and the list of their times",
    )
    _check_axes(variables, about, result, refuse)
    for name, path in about["outputs"].items():
        values = variables[path]
        flat = (*values.shape[:2], math.prod(values.shape[2:]))
        result.outputs[name] = values.reshape(flat) if values.ndim > 3 else values
    result.spike_counts.update({name: variables[path] for name, path in about["spike_counts"].items()})
    for name, path in about["spike_neurons"].items():
        result.spike_neurons[name] = variables[path]
    for name, path in about["spikes"].items():
        result.spikes[name] = _trains(variables, path, name, about["n_images"], result, refuse)
    for name, states in about["states"].items():
        for variable, places in _pairs(states, name, refuse):
            _add_state(result, name, variable, places, variables, refuse)
    check_result(result, refuse)
    labels = variables["label"].tolist() if "label" in variables else None
    described = {"settings": about.get("settings"), "models": about.get("models"), "labels": labels}
    use_description(result, described, about["n_images"], refuse)
    return result


def _description(variables, refuse):
    if not isinstance(variables.text, str):
        refuse(f"the attribute {ABOUT!r}", "is missing, so it is not a tree that Result.to_xarray made")
    about = read_json(variables.text, f"the attribute {ABOUT!r}", refuse)
    if about.get("format") != FORMAT:
        refuse(
            f"the attribute {ABOUT!r}", f"is of the format {about.get('format')!r:.100}; this brainsnn reads {FORMAT}"
        )
    for entry in ("dt", "n_steps", "shapes", "aliases"):
        if entry not in about:
            refuse(f"the entry {entry!r} of {ABOUT!r}", "is missing")
    for entry, kind in _ENTRIES.items():
        if type(about.get(entry)) is not kind or kind is int and about[entry] < 0:
            refuse(f"the entry {entry!r} of {ABOUT!r}", f"is {about.get(entry)!r:.100}")
    variables.dims = about["dims"]
    return about


def _size(result, name, refuse):
    if name not in result.shapes:
        refuse(f"{name!r}", f"is not a population; there are {list(result.shapes)}")
    return math.prod(result.shapes[name])


def _check_axes(variables, about, result, refuse):
    """Refuse a tree whose images or times are not those of the result, such as a part of them."""
    n_images, images, times = about["n_images"], variables["image"], variables["time"]
    if images.shape != (n_images,) or not np.array_equal(images, np.arange(n_images)):
        refuse("the variable 'image'", f"is not that of {n_images} images, numbered from 0")
    if times.shape != (result.n_steps,) or not np.allclose(times, result.times, rtol=1e-9):
        refuse("the variable 'time'", f"is not that of {result.n_steps} steps of {result.dt * 1e3:g} ms")


def _pairs(states, name, refuse):
    """Return (variable, [path of its values, path of its neurons]) of a population's states."""
    if not isinstance(states, dict):
        refuse(f"the entry 'states' of {ABOUT!r}", f"has {states!r:.100} for {name!r}")
    for variable, places in states.items():
        if not isinstance(places, list) or len(places) != 2:
            refuse(f"the entry 'states' of {ABOUT!r}", f"has {places!r:.100} for {variable!r} of {name!r}")
    return states.items()


def _add_state(result, name, variable, places, variables, refuse):
    values, size = variables[places[0]], _size(result, name, refuse)
    if places[1] is None and values.ndim == 5:
        if values.shape[2:] != result.shapes[name]:
            refuse(
                f"the variable {places[0]!r}",
                f"is of {values.shape[2:]} neurons, and {name!r} has {result.shapes[name]}",
            )
        values = values.reshape(*values.shape[:2], size)
    neurons = np.arange(size) if places[1] is None else variables[places[1]]
    if values.ndim != 3 or values.shape[2] != neurons.size:
        refuse(
            f"the variable {places[0]!r}", f"has the shape {values.shape}, not (images, steps, {neurons.size} neurons)"
        )
    check_indices(f"the variable {places[1]!r}", neurons, size, refuse)
    result.states.setdefault(name, {})[variable] = values
    result.recorded.setdefault(name, {})[variable] = neurons


def _trains(variables, path, name, n_images, result, refuse):
    """Return the spikes of each image; refuse events that contradict each other."""
    size = _size(result, name, refuse)
    images, neurons, steps = (variables[f"{path}/{key}"] for key in ("image", "neuron", "step"))
    limits = {"image": (images, n_images), "neuron": (neurons, size), "step": (steps, result.n_steps)}
    for key, (values, limit) in limits.items():
        if values.ndim != 1 or values.dtype.kind not in "iu" or len(values) != len(images):
            refuse(f"the variable '{path}/{key}'", f"has the shape {values.shape} and the type {values.dtype}")
        if len(values) and (int(values.min()) < 0 or int(values.max()) >= limit):
            refuse(f"the variable '{path}/{key}'", f"holds {values.min()} ... {values.max()}, and there are {limit}")
    if (images[1:] < images[:-1]).any():
        refuse(f"the variable '{path}/image'", "is not in the order of the images")
    for key, expected in event_places(neurons, steps, result.shapes[name], result.dt).items():
        values = variables[f"{path}/{key}"]
        if values.shape != expected.shape or not np.allclose(values, expected, rtol=1e-9):
            refuse(f"the variable '{path}/{key}'", "contradicts the neurons and steps of the spikes")
    ends = np.cumsum(np.bincount(images.astype(int), minlength=n_images))
    return list(zip(np.split(neurons, ends[:-1]), np.split(steps, ends[:-1])))[:n_images]
