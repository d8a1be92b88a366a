"""Write and open the data set of a sweep: one NetCDF file, which is complete or does not exist."""

from tempfile import TemporaryDirectory

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from brainsnn import __version__
from brainsnn.files import atomic_path
from brainsnn.leftovers import process_mark
from brainsnn.sweeps.coordinates import check_name, coordinate, user_coordinate
from brainsnn.sweeps.grid import checked_dict
from brainsnn.sweeps.quantities import unit_text

__all__ = ["DamagedDatasetError", "Layout", "assemble", "check_coordinates", "open_dataset"]


class DamagedDatasetError(ValueError):
    """A file is not a data set, or is damaged."""


class Layout:
    """
    Dimensions and coordinates of a sweep's data set.

    Parameters
    ----------
    parameters : dict of str to list
    n_images : int or None
    dims : dict of str to tuple of str, optional
        Names of the axes of a result that follow the axis of the images.
    coords : dict, optional
        As in `xarray.Dataset`.

    Raises
    ------
    TypeError, ValueError
        If the coordinates do not fit or replace those of a parameter, a name is used twice, or a file cannot hold a name.
    """

    def __init__(self, parameters, n_images, dims, coords):
        if n_images is not None and "image" in parameters:
            raise ValueError("sweep: a parameter is called 'image', which is the axis of the images. Rename it.")
        self.sizes = {name: len(values) for name, values in parameters.items()}
        own = {name: coordinate(name, values) for name, values in parameters.items()}
        if n_images is not None:
            self.sizes["image"] = n_images
            own["image"] = np.arange(n_images)
        for name in parameters:
            check_name(name, "a parameter")
        self.dims = {name: _axes(name, axes) for name, axes in checked_dict(dims, "dims", "{'output': 'time'}").items()}
        for name, axes in self.dims.items():
            if set(axes) & set(self.sizes):
                raise ValueError(
                    f"sweep: dims[{name!r}]={axes} holds the name of a parameter or of the images. Name only the other axes."
                )
            if len(set(axes)) < len(axes):
                raise ValueError(f"sweep: dims[{name!r}]={axes} holds a name twice. Give each axis a different name.")
        coords = checked_dict(coords, "coords", "{'label': ('image', labels)}")
        for name in coords:
            check_name(name, "a coordinate")
            if name in own:  # results would stand at other values than those they were computed for
                raise ValueError(
                    f"sweep: coords[{name!r}] would replace the values of {name!r}, which come from the parameters and the "
                    f"images. Choose another name: {{'my_{name}': ({name!r}, values)}}."
                )
        try:
            given = {name: user_coordinate(name, value) for name, value in coords.items()}
            self.coords = xr.Dataset(coords=own | given)
        except (TypeError, ValueError) as error:
            raise ValueError(f"sweep: the coordinates do not fit: {error}") from None

    def content(self):
        """Return what may differ between data sets of the same units (list)."""
        coords = {name: [list(map(str, c.dims)), c.values, c.attrs] for name, c in self.coords.coords.items()}
        return [sorted(self.dims.items()), sorted(coords.items())]

    def axes(self, name, shape):
        """
        Return the names of all axes of a variable.

        Parameters
        ----------
        name : str
        shape : tuple of int
            Shape of a unit's result, without the axis of the images.

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
        Check that results fit the names and the coordinates.

        Parameters
        ----------
        shapes : dict of str to tuple of int
            Shape of each result of a unit, without the axis of the images.

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
                raise ValueError(f"sweep: the result {name!r} has the name of a dimension or a coordinate. Rename it.")
            axes = self.axes(name, shape)
            used.update(axes)
            for axis, size in zip(axes, (*self.sizes.values(), *shape)):
                known, what = sizes.setdefault(axis, (size, f"{name!r} has"))
                if known != size:
                    raise ValueError(f"sweep: {name!r} has {size} entries along {axis!r}, {what} {known}.")
        if wrong := used & set(shapes):
            raise ValueError(f"sweep: {wrong.pop()!r} is the name of a result and of an axis. Rename one of them.")
        if unknown := set(self.dims) - set(shapes):
            raise ValueError(f"sweep: dims has {sorted(unknown)}, but the results are {sorted(shapes)}.")
        if unknown := set(map(str, self.coords.sizes)) - used:
            raise ValueError(
                f"sweep: coords has the axes {sorted(unknown)}, but the results have {sorted(used)}. Name axes with dims."
            )


def _axes(name, axes):
    """Return the names of axes as a tuple."""
    axes = (axes,) if isinstance(axes, str) else axes
    if not isinstance(axes, (tuple, list)):
        raise TypeError(
            f"sweep: dims[{name!r}] must be a tuple of names, such as ('time', 'class'), got {axes!r:.100}."
        )
    for axis in axes:
        check_name(axis, f"an axis in dims[{name!r}]")
    return tuple(axes)


def open_dataset(path):
    """
    Open a data set lazily.

    Parameters
    ----------
    path : `~pathlib.Path`

    Returns
    -------
    dataset : `xarray.Dataset` or None
        None if the file does not exist.

    Raises
    ------
    DamagedDatasetError
        If the file is not a data set.
    OSError
        If the file cannot be read at all.
    """
    try:
        with open(path, "rb") as file:
            file.read(1)
    except FileNotFoundError:
        return None
    try:
        return xr.open_dataset(path, engine="h5netcdf")
    except Exception as error:  # the libraries raise errors of all kinds for damaged files
        raise DamagedDatasetError(f"{str(path)!r} is damaged or not a NetCDF file: {error}") from error


def check_coordinates(path, dataset, layout):
    """
    Refuse a data set with other dimensions or coordinates than those of the sweep that it names.

    Parameters
    ----------
    path : `~pathlib.Path`
    dataset : `xarray.Dataset`
    layout : `Layout`

    Raises
    ------
    DamagedDatasetError
        The message names the coordinate.
    """
    with TemporaryDirectory(prefix=f"brainsnn_{process_mark()}_") as folder:  # as a file holds them
        layout.coords.to_netcdf(f"{folder}/coords.nc", engine="h5netcdf")
        with xr.open_dataset(f"{folder}/coords.nc", engine="h5netcdf") as written:
            expected = written.load()
    for name in (*layout.sizes, *expected.coords):
        try:
            same = name in dataset.coords and dataset.coords[name].variable.equals(expected[name].variable)
        except Exception as error:  # the libraries raise errors of all kinds for damaged values
            raise DamagedDatasetError(f"{str(path)!r} is damaged: {name!r} cannot be read: {error}") from error
        if not same:
            raise DamagedDatasetError(f"{str(path)!r} has changed: its coordinate {name!r} is not that of the sweep")
    axes = tuple(layout.sizes)
    results = {
        name: v.dims for name, v in dataset.data_vars.items() if set(axes) <= set(v.dims)
    }  # others are the user's
    if not results:
        raise DamagedDatasetError(f"{str(path)!r} has changed: it holds no results")
    for name, dims in results.items():
        if dims[: len(axes)] != axes:
            raise DamagedDatasetError(
                f"{str(path)!r} has changed: {name!r} has the dimensions {dims}, not {axes} first"
            )


def assemble(path, grid, results, read, layout, attributes):
    """
    Write the data set from the units, one unit at a time.

    Parameters
    ----------
    path : `~pathlib.Path`
    grid : `~brainsnn.sweeps.grid.Grid`
    results : `~brainsnn.sweeps.results.Results`
        All units must have been added.
    read : callable
        Returns the values of a unit, given its key.
    layout : `Layout`
    attributes : dict of str to str

    Returns
    -------
    dataset : `xarray.Dataset`
    """
    with atomic_path(path, sync=True) as part:
        layout.coords.assign_attrs(attributes, brainsnn=__version__).to_netcdf(part, engine="h5netcdf")
        with h5netcdf.File(part, "a") as file:
            for key, position, span in grid.parts:
                values = read(key)
                for name, spec in results.specs.items():
                    variable = _variable(file, layout, name, spec)
                    array = np.asarray(values[name])
                    where = (*position, span) if grid.n_images else position
                    variable[where] = array.astype(object if spec.dtype.kind == "U" else variable.dtype)
    return open_dataset(path)


def _variable(file, layout, name, spec):
    if name in file.variables:
        return file.variables[name]
    axes = layout.axes(name, spec.shape)
    for axis, size in zip(axes, (*layout.sizes.values(), *spec.shape)):
        if axis not in file.dimensions:
            file.dimensions[axis] = size
    # the way xarray stores truth values and texts
    stored = {"b": np.dtype("i1"), "U": h5py.string_dtype()}.get(spec.dtype.kind, spec.dtype)
    variable = file.create_variable(name, axes, dtype=stored)
    if spec.dtype.kind == "b":
        variable.attrs["dtype"] = "bool"
    if spec.exponents is not None:
        variable.attrs["units"] = unit_text(spec.exponents)
    return variable
