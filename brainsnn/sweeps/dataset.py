"""The data set of a sweep: one NetCDF file, written unit by unit, there whole or not at all."""

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from brainsnn import __version__
from brainsnn.files import atomic_path
from brainsnn.sweeps.coordinates import check_name, coordinate, user_coordinate
from brainsnn.sweeps.quantities import unit_text

__all__ = ["DamagedDatasetError", "Layout", "assemble", "open_dataset"]


class DamagedDatasetError(ValueError):
    """A file that is no data set."""


class Layout:
    """
    Dimensions and coordinates of a data set.

    Parameters
    ----------
    parameters : dict of str to list
    n_images : int or None
    dims : dict of str to tuple of str, optional
        Names of the axes of a result behind that of the images.
    coords : dict, optional
        As in `xarray.Dataset`.

    Raises
    ------
    ValueError
        If the coordinates do not fit, or a name is used twice or cannot stand in a file.
    """

    def __init__(self, parameters, n_images, dims, coords):
        if n_images is not None and "image" in parameters:
            raise ValueError("sweep: a parameter is called 'image', which is the axis of the images; rename it.")
        self.sizes = {name: len(values) for name, values in parameters.items()}
        own = {name: coordinate(name, values) for name, values in parameters.items()}
        if n_images is not None:
            self.sizes["image"] = n_images
            own["image"] = np.arange(n_images)
        for name in parameters:
            check_name(name, "a parameter")
        self.dims = {name: (axes,) if isinstance(axes, str) else tuple(axes) for name, axes in (dims or {}).items()}
        for name, axes in self.dims.items():
            if set(axes) & set(self.sizes):
                raise ValueError(f"sweep: dims[{name!r}]={axes} holds the name of a parameter or of the images.")
            if len(set(axes)) < len(axes):
                raise ValueError(f"sweep: dims[{name!r}]={axes} holds a name twice.")
            for axis in axes:
                check_name(axis, f"an axis in dims[{name!r}]")
        given = {name: user_coordinate(name, value) for name, value in dict(coords or {}).items()}
        for name in given:
            check_name(name, "a coordinate")
        try:
            self.coords = xr.Dataset(coords=own | given)
        except ValueError as error:
            raise ValueError(f"sweep: the coordinates do not fit: {error}") from None
        for name, size in self.sizes.items():
            if self.coords.sizes[name] != size:
                raise ValueError(f"sweep: coordinates of {name!r} have {self.coords.sizes[name]} entries, not {size}.")

    def content(self):
        """What distinguishes data sets of the same units (list)."""
        coords = {name: [list(map(str, c.dims)), c.values, c.attrs] for name, c in self.coords.coords.items()}
        return [sorted(self.dims.items()), sorted(coords.items())]

    def axes(self, name, shape):
        """
        Names of all axes of a variable.

        Parameters
        ----------
        name : str
        shape : tuple of int
            Of a unit's result, without the images.

        Returns
        -------
        axes : tuple of str
        """
        axes = self.dims.get(name, tuple(f"{name}_{k}" for k in range(len(shape))))
        if len(axes) != len(shape):
            raise ValueError(f"sweep: dims[{name!r}]={axes} names {len(axes)} axes of a result of shape {shape}.")
        return (*self.sizes, *axes)

    def check(self, shapes):
        """
        Refuse results that do not fit the names and the coordinates.

        Parameters
        ----------
        shapes : dict of str to tuple of int
            Shape of each result of a unit, without the images.

        Raises
        ------
        ValueError
            If they do not fit.
        """
        sizes = {axis: (size, "its coordinates have") for axis, size in self.coords.sizes.items()}
        used = set(self.sizes)
        for name, shape in shapes.items():
            check_name(name, "a result")
            if name in self.coords.variables or name in self.sizes:
                raise ValueError(f"sweep: the result {name!r} has the name of a dimension or a coordinate; rename it.")
            axes = self.axes(name, shape)
            used.update(axes)
            for axis, size in zip(axes, (*self.sizes.values(), *shape)):
                known, what = sizes.setdefault(axis, (size, f"{name!r} has"))
                if known != size:
                    raise ValueError(f"sweep: {name!r} has {size} entries along {axis!r}, {what} {known}.")
        if wrong := used & set(shapes):
            raise ValueError(f"sweep: {wrong.pop()!r} is the name of a result and of an axis; rename one of them.")
        if unknown := set(self.dims) - set(shapes):
            raise ValueError(f"sweep: dims has {sorted(unknown)}, but the results are {sorted(shapes)}.")
        if unknown := set(map(str, self.coords.sizes)) - used:
            raise ValueError(
                f"sweep: coords has the axes {sorted(unknown)}, but those of the results are {sorted(used)}; see dims."
            )


def open_dataset(path):
    """
    Open a data set lazily.

    Parameters
    ----------
    path : `~pathlib.Path`

    Returns
    -------
    dataset : `xarray.Dataset` or None
        None if there is none.

    Raises
    ------
    DamagedDatasetError
        If the file is none.
    OSError
        If it cannot be read at all.
    """
    try:
        with open(path, "rb") as file:
            file.read(1)
    except FileNotFoundError:
        return None
    try:
        return xr.open_dataset(path, engine="h5netcdf")
    except Exception as error:  # a damaged byte leads to errors of all kinds in the libraries of the format
        raise DamagedDatasetError(f"{str(path)!r} is damaged, or no NetCDF file: {error}") from error


def assemble(path, grid, results, read, layout, attributes):
    """
    Write the data set from the units, one after the other.

    Parameters
    ----------
    path : `~pathlib.Path`
    grid : `~brainsnn.sweeps.grid.Grid`
    results : `~brainsnn.sweeps.results.Results`
        To which all units have been added.
    read : callable
        Gives the values of a unit from its key.
    layout : `Layout`
    attributes : dict of str to str

    Returns
    -------
    dataset : `xarray.Dataset`
    """
    with atomic_path(path, sync=True) as part:
        layout.coords.assign_attrs(attributes, brainsnn=__version__).to_netcdf(part, engine="h5netcdf")
        with h5netcdf.File(part, "a") as file:
            for key, place, span in grid.parts:
                values = read(key)
                for name, kind in results.kinds.items():
                    variable = _variable(file, layout, name, kind)
                    array = np.asarray(values[name])
                    where = (*place, span) if grid.n_images else place
                    variable[where] = array.astype(object if kind.dtype.kind == "U" else variable.dtype)
    return open_dataset(path)


def _variable(file, layout, name, kind):
    if name in file.variables:
        return file.variables[name]
    axes = layout.axes(name, kind.shape)
    for axis, size in zip(axes, (*layout.sizes.values(), *kind.shape)):
        if axis not in file.dimensions:
            file.dimensions[axis] = size
    # as xarray writes truth values and texts
    stored = {"b": np.dtype("i1"), "U": h5py.string_dtype()}.get(kind.dtype.kind, kind.dtype)
    variable = file.create_variable(name, axes, dtype=stored)
    if kind.dtype.kind == "b":
        variable.attrs["dtype"] = "bool"
    if kind.exponents is not None:
        variable.attrs["units"] = unit_text(kind.exponents)
    return variable
