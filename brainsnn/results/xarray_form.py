"""A result as an xarray DataTree: named dimensions, times in ms, units as attributes, spikes as events."""

import json

import numpy as np

from brainsnn.optional import optional_packages
from brainsnn.results.checks import check_result
from brainsnn.results.description import description_of
from brainsnn.results.names import free_name
from brainsnn.results.selection import PLACE

__all__ = ["ABOUT", "DIMS", "FORMAT", "event_places", "result_tree"]

#: Attribute of the root that says what the tree holds, as JSON.
ABOUT = "brainsnn_result"
#: Version of that description.
FORMAT = 1
DIMS = ("image", "time", *PLACE)


def result_tree(result):
    """
    Return a result as a tree; see `~brainsnn.results.result.Result.to_xarray`.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`

    Returns
    -------
    tree : `xarray.DataTree`
    """
    with optional_packages("Result.to_xarray", "formats"):
        import xarray as xr

    check_result(result, _refuse)
    for name, shape in result.shapes.items():
        if len(shape) != len(PLACE):
            _refuse(f"shapes[{name!r}]", f"is {shape}, not (rows, columns, channels)")
    about = {
        "format": FORMAT, "dt": result.dt, "n_steps": result.n_steps, "n_images": result.n_images,
        "shapes": {name: list(map(int, shape)) for name, shape in result.shapes.items()}, "aliases": result.aliases,
        "outputs": {}, "spike_counts": {}, "spikes": {}, "spike_neurons": {}, "states": {},
        **{entry: value for entry, value in description_of(result).items() if entry != "labels"},
    }  # fmt: skip
    root, taken = _root(result, about, xr), {*DIMS, "label", "output", "class"}
    nodes = {"/": root}
    for name in result.shapes:
        node = free_name(name, taken)
        nodes[f"/{node}"] = _layer(result, name, node, about, xr)
        if name in result.spikes:
            nodes[f"/{node}/spikes"] = _events(result, name, node, about, xr)
    about["dims"] = {
        f"{path}/{variable}".strip("/"): list(values.dims)
        for path, node in nodes.items()
        for variable, values in node.variables.items()
    }
    root.attrs[ABOUT] = json.dumps(about)
    return xr.DataTree.from_dict(nodes)


def _refuse(part, problem):
    raise ValueError(f"Result.to_xarray: {part} {problem}. Correct it first.")


def _root(result, about, xr):
    """Return times, labels, the first readout, and how the run was made."""
    coords = {"image": np.arange(result.n_images), "time": ("time", result.times, {"units": "ms"})}
    if result.labels is not None:
        coords["label"] = ("image", np.asarray(result.labels))
    variables = {}
    for name in [*result.outputs][:1]:
        about["outputs"][name] = "output"
        coords["class"] = np.arange(result.outputs[name].shape[2])
        variables["output"] = (("image", "time", "class"), result.outputs[name], {"layer": name, "units": "1"})
    plain = {key: value for key, value in result.settings.items() if type(value) in (str, int, float)}
    return xr.Dataset(variables, coords, {**plain, "dt_ms": result.dt * 1e3})


def _layer(result, name, node, about, xr):
    """Return counts of spikes, states and a further readout of a population, with its equations as an attribute."""
    shape, taken = result.shapes[name], {*DIMS, "neuron", "event", "spikes", "spike_count", "spike_neuron", "output"}
    coords, variables = {dim: np.arange(n) for dim, n in zip(PLACE, shape)}, {}
    if name in [*result.outputs][1:]:
        values = result.outputs[name]
        values = values.reshape(*values.shape[:2], *shape)
        about["outputs"][name] = f"{node}/output"
        variables["output"] = (DIMS, values, {"layer": name, "units": "1"})
    if name in result.spike_counts:
        about["spike_counts"][name] = f"{node}/spike_count"
        variables["spike_count"] = ("image", result.spike_counts[name], {"layer": name})
    recorded = {variable: np.asarray(neurons) for variable, neurons in result.recorded.get(name, {}).items()}
    keys = {variable: free_name(variable, taken) for variable in recorded}
    differ = len({neurons.tobytes() for neurons in recorded.values()}) > 1
    units = result.models[name].units if name in result.models else {}
    for variable, neurons in recorded.items():
        dims, of_neurons = _axes(neurons, shape, f"_{keys[variable]}" if differ else "", taken)
        if of_neurons and not differ and "output" not in variables:
            coords = {}  # the neurons' rows, columns and channels have these names, as in Result.state
        coords |= of_neurons
        attrs = {"layer": name} | ({"units": units[variable]} if variable in units else {})
        values = _values(result.states[name][variable], shape if dims is DIMS else (len(neurons),))
        variables[keys[variable]] = (dims, values, attrs)
        place = None if dims is DIMS else f"{node}/{dims[-1]}"
        about["states"].setdefault(name, {})[variable] = [f"{node}/{keys[variable]}", place]
    if name in result.spike_neurons:
        about["spike_neurons"][name] = f"{node}/spike_neuron"
        coords["spike_neuron"] = np.asarray(result.spike_neurons[name])
    attrs = {"layer": name, "shape": list(map(int, shape))}
    if folded := [alias for alias, population in result.aliases.items() if alias != population == name]:
        attrs["folded_layers"] = ", ".join(folded)
    if name in result.models:
        attrs["equations"] = result.models[name].text
    return xr.Dataset(variables, coords, attrs)


def _axes(neurons, shape, suffix, taken):
    """Return the dimensions of a recorded variable, and coordinates for some neurons."""
    if np.array_equal(neurons, np.arange(np.prod(shape))):
        return DIMS, {}
    names = PLACE if not suffix else [free_name(f"{axis}{suffix}", taken) for axis in PLACE]
    dim = free_name(f"neuron{suffix}", taken) if suffix else "neuron"
    places = zip(names, np.unravel_index(neurons, shape))
    return ("image", "time", dim), {dim: neurons} | {name: (dim, place) for name, place in places}


def _values(values, shape):
    """Return states with the shape of the neurons; those on the disk are read when they are indexed."""
    if isinstance(values, np.ndarray):
        return values.reshape(*values.shape[:2], *shape)
    from xarray.backends import BackendArray
    from xarray.core import indexing

    class OnDisk(BackendArray):
        """States of a streamed result."""

        def __init__(self):
            self.dtype, self.shape = values.dtype, (*values.shape[:2], *shape)

        def __getitem__(self, key):
            return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.BASIC, self._read)

        def _read(self, key):
            found = np.asarray(values[key[:2]])
            return found.reshape(*found.shape[:-1], *self.shape[2:])[(..., *key[2:])]

    return indexing.LazilyIndexedArray(OnDisk())


def event_places(neurons, steps, shape, dt):
    """
    Return what follows from the neurons and steps of spikes: when and where they were.

    Parameters
    ----------
    neurons, steps : (n,) ndarray of int
    shape : tuple of int
        (H, W, C) of the population.
    dt : float
        In seconds.

    Returns
    -------
    places : dict of str to (n,) ndarray
        ``time`` in ms, ``row``, ``column`` and ``channel``.
    """
    rows = np.unravel_index(np.asarray(neurons, int), shape)
    return {"time": np.asarray(steps) * dt * 1e3, **{axis: place.astype(np.int32) for axis, place in zip(PLACE, rows)}}


def _events(result, name, node, about, xr):
    """Return the spikes of a population, one event each, in the order of the images."""
    trains, about["spikes"][name] = result.spikes[name], f"{node}/spikes"
    pairs = [trains[image] for image in range(len(trains))]
    neurons, steps = (np.concatenate([pair[k] for pair in pairs] or [np.zeros(0, int)]) for k in (0, 1))
    neurons, steps = (values if values.dtype.kind in "iu" else values.astype(int) for values in (neurons, steps))
    images = np.repeat(np.arange(len(pairs), dtype=np.int32), [len(pair[0]) for pair in pairs])
    places = event_places(neurons, steps, result.shapes[name], result.dt)
    coords = {"image": images, "time": places.pop("time"), "neuron": neurons, **places}
    coords = {key: ("event", values, {"units": "ms"} if key == "time" else {}) for key, values in coords.items()}
    sizes = {"shape": list(map(int, result.shapes[name])), "n_images": len(pairs), "n_steps": result.n_steps}
    return xr.Dataset({"step": ("event", steps)}, coords, {"layer": name, **sizes})
