"""A recorded variable as an array with named axes, coordinates and a unit."""

import numpy as np

from brainsnn.optional import optional_packages
from brainsnn.results.selection import chosen_images

__all__ = ["labelled_state"]


def labelled_state(result, layer, variable, images=None):
    """
    Return a recorded variable; see `~brainsnn.results.result.Result.state`.

    Parameters
    ----------
    result : `~brainsnn.results.result.Result`
    layer, variable : str
    images : int, slice or array_like of int, optional

    Returns
    -------
    state : `xarray.DataArray`
    """
    with optional_packages("Result.state"):
        import xarray as xr

    name = result.states.name_of(layer)
    values, neurons = result.states[name][variable], np.asarray(result.recorded[name][variable])
    chosen = chosen_images(images, values.shape[0], "Result.state")
    if images is not None:  # of a streamed result, only these are read
        values = np.stack([np.asarray(values[k]) for k in chosen]) if len(chosen) else values[:0]
    values, shape = np.asarray(values), result.shapes[name]
    coords = {"image": chosen, "time": ("time", result.times, {"units": "ms"})}
    if np.array_equal(np.sort(neurons), np.arange(np.prod(shape))):
        if (neurons[1:] < neurons[:-1]).any():
            values = values[..., np.argsort(neurons)]
        dims = ("image", "time", "row", "column", "channel")
        values = values.reshape(*values.shape[:2], *shape)
        coords |= {dim: np.arange(n) for dim, n in zip(dims[2:], shape)}
    else:
        dims = ("image", "time", "neuron")
        places = np.unravel_index(neurons, shape)
        coords |= {"neuron": neurons} | {
            axis: ("neuron", place) for axis, place in zip(("row", "column", "channel"), places)
        }
    attrs = {"layer": name}
    if name in result.models and variable in result.models[name].units:
        attrs["units"] = result.models[name].units[variable]
    return xr.DataArray(values, coords, dims, name=variable, attrs=attrs)
