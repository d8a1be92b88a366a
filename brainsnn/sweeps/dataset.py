"""The data set of a sweep: one NetCDF file, written unit by unit, there whole or not at all."""

import h5netcdf
import h5py
import numpy as np
import xarray as xr

from brainsnn import __version__
from brainsnn.files import atomic_path

__all__ = ["Layout", "assemble", "check_unit", "open_dataset"]


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
        If the coordinates do not fit, or a parameter's name is that of an axis.
    """

    def __init__(self, parameters, n_images, dims, coords):
        self.sizes = {name: len(values) for name, values in parameters.items()}
        own = {name: _coordinate(values) for name, values in parameters.items()}
        if n_images is not None:
            self.sizes["image"] = n_images
            own["image"] = np.arange(n_images)
        self.dims = {name: (axes,) if isinstance(axes, str) else tuple(axes) for name, axes in (dims or {}).items()}
        for name, axes in self.dims.items():
            if set(axes) & set(self.sizes):
                raise ValueError(f"sweep: dims[{name!r}]={axes} holds the name of a parameter or of the images.")
        try:
            self.coords = xr.Dataset(coords=own | dict(coords or {}))
        except ValueError as error:
            raise ValueError(f"sweep: the coordinates do not fit: {error}") from None
        for name, size in self.sizes.items():
            if self.coords.sizes[name] != size:
                raise ValueError(f"sweep: coordinates of {name!r} have {self.coords.sizes[name]} entries, not {size}.")

    def content(self):
        """What distinguishes data sets of the same units (list)."""
        coords = {name: [list(map(str, c.dims)), c.values] for name, c in self.coords.coords.items()}
        return [self.dims, coords]

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


def _coordinate(values):
    plain = all(isinstance(value, (bool, int, float, np.number, np.bool_)) for value in values)
    if plain or all(isinstance(value, str) for value in values):
        return np.asarray(values)
    return np.asarray([str(value) for value in values])


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
    """
    return xr.open_dataset(path, engine="h5netcdf") if path.is_file() else None


def assemble(path, grid, store, layout, attributes):
    """
    Write the data set from the units, one after the other.

    Parameters
    ----------
    path : `~pathlib.Path`
    grid : `~brainsnn.sweeps.grid._Grid`
    store : `~brainsnn.sweeps.store.UnitStore`
    layout : `Layout`
    attributes : dict of str to str

    Returns
    -------
    dataset : `xarray.Dataset`

    Raises
    ------
    ValueError
        If the results of the units do not fit together.
    """
    with atomic_path(path, sync=True) as part:
        layout.coords.assign_attrs(attributes, brainsnn=__version__).to_netcdf(part, engine="h5netcdf")
        kinds = _kinds(grid, store)
        with h5netcdf.File(part, "a") as file:
            for key, place, span in grid.parts:
                values = store.read(key)
                for name, (shape, dtype) in kinds.items():
                    variable = _variable(file, layout, name, shape, dtype)
                    where = (*place, span) if grid.n_images else place
                    variable[where] = (
                        values[name].astype(variable.dtype) if dtype.kind != "U" else values[name].astype(object)
                    )
    return open_dataset(path)


def check_unit(grid, store, layout, key):
    """
    Refuse results that cannot become part of the data set, as soon as there is one.

    Parameters
    ----------
    grid, store, layout
        See `assemble`.
    key : str
        A unit that is there.

    Raises
    ------
    ValueError
        If the axes are not those of the images and of ``dims``.
    """
    for name, array in store.read(key).items():
        layout.axes(name, _shape_behind_images(grid, key, name, array.shape))


def _kinds(grid, store):
    """Shape (without images) and type of each variable; all units must agree."""
    kinds, first = {}, None
    for key in grid.units:
        values = store.read(key)
        if values is None:
            raise ValueError(
                f"sweep: the unit of {grid.describe(key)} has vanished from {str(store.folder)!r}; call again."
            )
        if first is not None and set(values) != set(kinds):
            raise ValueError(
                f"sweep: {grid.describe(key)} returned {sorted(values)}, {grid.describe(first)} returned {sorted(kinds)}."
            )
        for name, array in values.items():
            shape = _shape_behind_images(grid, key, name, array.shape)
            known, dtype = kinds.get(name, (shape, array.dtype))
            if known != shape:
                raise ValueError(
                    f"sweep: {name!r} has the shape {shape} for {grid.describe(key)} and {known} for {grid.describe(first)}."
                )
            kinds[name] = (shape, np.result_type(dtype, array.dtype))
        first = key if first is None else first
    return kinds


def _shape_behind_images(grid, key, name, shape):
    if name in grid.parameters or name == "image":
        raise ValueError(f"sweep: the result {name!r} has the name of a dimension; rename it.")
    if not grid.n_images:
        return shape
    if shape[:1] != (grid.size(key),):
        raise ValueError(
            f"sweep: {name!r} of {grid.describe(key)} has the shape {shape}; its first axis must be that of the "
            f"{grid.size(key)} images."
        )
    return shape[1:]


def _variable(file, layout, name, shape, dtype):
    if name in file.variables:
        return file.variables[name]
    axes = layout.axes(name, shape)
    for axis, size in zip(axes, (*layout.sizes.values(), *shape)):
        if axis not in file.dimensions:
            file.dimensions[axis] = size
        elif file.dimensions[axis].size != size:
            raise ValueError(
                f"sweep: {name!r} has {size} entries along {axis!r}, which has {file.dimensions[axis].size}."
            )
    # as xarray writes truth values and texts
    stored = {"b": np.dtype("i1"), "U": h5py.string_dtype()}.get(dtype.kind, dtype)
    variable = file.create_variable(name, axes, dtype=stored)
    if dtype.kind == "b":
        variable.attrs["dtype"] = "bool"
    return variable
