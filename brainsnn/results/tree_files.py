"""NetCDF and Zarr files of an xarray tree: written completely or not at all, and read with every size checked first."""

import math
import os
import tempfile
from functools import partial
from pathlib import Path
from shutil import rmtree

import numpy as np

from brainsnn.files import atomic_path, check_file, checked_path
from brainsnn.hdf5_files import Array, read_hdf5
from brainsnn.leftovers import remove_leftovers, temporary_start
from brainsnn.memory import check_size, size_limit
from brainsnn.optional import optional_packages
from brainsnn.results.checks import read_json, refusal
from brainsnn.results.opened_stream import DTYPES, files_in
from brainsnn.results.xarray_form import ABOUT
from brainsnn.results.xarray_reading import Variables, result_from

__all__ = ["read_xarray", "write_netcdf", "write_zarr"]

WHAT = "Result.from_xarray"
#: Bytes of a chunk of a variable.
CHUNK_BYTES = 16 * 2**20
#: How h5netcdf names a variable that has the name of a dimension, and is not its coordinate.
_NOT_A_COORDINATE = "_nc4_non_coord_"


def write_netcdf(tree, path, overwrite):
    """
    Write a tree to a NetCDF file, compressed; see `~brainsnn.results.result.Result.to_netcdf`.

    Parameters
    ----------
    tree : `xarray.DataTree`
    path : str or `~pathlib.Path`
    overwrite : bool

    Returns
    -------
    path : `~pathlib.Path`
    """
    if not isinstance(overwrite, bool):
        raise ValueError(f"Result.to_netcdf: overwrite must be True or False, got {overwrite!r}.")
    found = checked_path(path, "Result.to_netcdf: path", is_file=True)
    if found.is_dir():
        raise FileExistsError(f"Result.to_netcdf: {str(path)!r} is a folder. Give the name of a file.")
    if os.path.lexists(found) and not overwrite:
        raise FileExistsError(f"Result.to_netcdf: {str(path)!r} exists. Choose another path, or give overwrite=True.")
    with optional_packages("Result.to_netcdf", "formats"):
        import h5netcdf  # noqa: F401
    encoding = _encodings(tree, {}, {"zlib": True, "complevel": 1, "shuffle": True}, "chunksizes")
    with atomic_path(found) as part:
        tree.to_netcdf(part, engine="h5netcdf", encoding=encoding)
    return found


def write_zarr(tree, path):
    """
    Write a tree to a new Zarr folder, not compressed; see `~brainsnn.results.result.Result.to_zarr`.

    Parameters
    ----------
    tree : `xarray.DataTree`
    path : str or `~pathlib.Path`

    Returns
    -------
    path : `~pathlib.Path`
    """
    found = checked_path(path, "Result.to_zarr: path", is_file=True)
    if os.path.lexists(found):
        raise FileExistsError(f"Result.to_zarr: {str(path)!r} exists. Remove it or choose another folder.")
    with optional_packages("Result.to_zarr", "formats"):
        import zarr  # noqa: F401
    parent = found.absolute().parent
    parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(parent)
    folder = Path(tempfile.mkdtemp(".part", temporary_start(found.name), parent))
    try:
        encoding = _encodings(tree, {"compressors": None, "filters": None}, {}, "chunks")
        tree.to_zarr(folder / "new", mode="w-", zarr_format=3, consolidated=False, encoding=encoding)
        os.rename(folder / "new", found)
    finally:
        rmtree(folder, ignore_errors=True)
    return found


def _encodings(tree, of_all, of_filled, chunks):
    """Return how each variable of each node is stored: numbers as they are, in chunks of one image where it has images."""
    found = {}
    for node in tree.subtree:
        dataset = node.to_dataset(inherit=False)
        found[node.path] = {
            name: {"_FillValue": None, **of_all} | ({**of_filled, chunks: _chunk(variable)} if variable.size else {})
            for name, variable in dataset.variables.items()
        }
    return found


def _chunk(variable):
    """Return the shape of a chunk: one image, and as many steps as fit."""
    rest = math.prod(variable.shape[2:]) * variable.dtype.itemsize
    if variable.ndim == 1:
        return (min(len(variable), CHUNK_BYTES // variable.dtype.itemsize),)
    steps = min(variable.shape[1], max(CHUNK_BYTES // rest, 1))
    return (1, steps, *variable.shape[2:])


# Reading


def read_xarray(cls, source, max_bytes=None):
    """
    Return the result of a tree or of a file of one; see `~brainsnn.results.result.Result.from_xarray`.

    Parameters
    ----------
    cls : type
        `~brainsnn.results.result.Result`, or a subclass.
    source : `xarray.DataTree`, str or `~pathlib.Path`
    max_bytes : float, optional

    Returns
    -------
    result : cls
    """
    with optional_packages(WHAT, "formats"):
        import xarray as xr

    limit = size_limit(max_bytes, WHAT)
    if isinstance(source, xr.DataTree):
        return result_from(cls, _tree_variables(source), "the tree", limit)
    path = checked_path(source, f"{WHAT}: source")
    refuse = refusal(path, "Restore it from a copy, or write it again.", WHAT)
    if path.is_dir():
        return result_from(cls, _zarr_variables(path, limit, refuse), path, limit)
    check_file(path, WHAT)
    return result_from(cls, _netcdf_variables(path, limit, refuse), path, limit)


def _refuse_tree(part, problem):
    raise ValueError(f"{WHAT}: in the tree, {part} {problem}. Give a tree that Result.to_xarray made, as it was made.")


def _tree_variables(tree):
    found = {
        f"{node.path}/{name}".strip("/"): (variable.dims, lambda variable=variable: variable.values)
        for node in tree.subtree
        for name, variable in node.to_dataset(inherit=False).variables.items()
    }
    return Variables(tree.attrs.get(ABOUT), found, _refuse_tree)


def _netcdf_variables(path, limit, refuse):
    try:
        with optional_packages(WHAT, "formats"):
            root = read_hdf5(path, limit)
    except ValueError as error:
        raise ValueError(f"{WHAT}: {str(path)!r}: {error}") from error
    found, pending = {}, [root]
    while pending:
        for name, member in pending.pop().members.items():
            if not isinstance(member, Array):
                pending.append(member)
            elif member.values is not None:
                is_truth = member.attributes.get("dtype") == "bool"
                values = member.values.astype(bool) if is_truth else member.values.copy()  # that can be written to
                folder = member.path.rpartition("/")[0]
                key = f"{folder}/{name.removeprefix(_NOT_A_COORDINATE)}".strip("/")
                found[key] = (None, lambda values=values: values)
    return Variables(root.attributes.get(ABOUT), found, refuse)


def _zarr_variables(path, limit, refuse):
    found, files, n_bytes = {}, files_in(path), 0
    for name, size in files.items():
        if size < 0:
            refuse(repr(name), "is not a file: links and other special files are not followed")
    if "zarr.json" not in files:
        refuse("'zarr.json'", "is missing, so it is not a folder that Result.to_zarr wrote")
    text = None
    for name in (name for name in files if name.rpartition("/")[2] == "zarr.json"):
        about = read_json((path / name).read_bytes(), repr(name), refuse)
        node = name.rpartition("/")[0]
        if about.get("node_type") == "array":
            n_bytes += _check_array(name, node, about, files, refuse)
            dims = about["dimension_names"]
            attributes = about["attributes"] if isinstance(about["attributes"], dict) else {}
            as_truth = attributes.get("dtype") == "bool"  # the way older versions of xarray store truth values
            found[node] = (tuple(dims), partial(_read_array, path, node, as_truth, refuse))
        elif not node:
            text = about["attributes"].get(ABOUT) if isinstance(about.get("attributes"), dict) else None
    check_size(n_bytes, limit, f"{WHAT}: {str(path)!r}")
    return Variables(text, found, refuse)


def _check_array(name, node, about, files, refuse):
    """Refuse an array other than one of numbers in plain bytes, since a codec may run code; return its bytes in memory."""
    shape, dtype, grid = about.get("shape"), about.get("data_type"), about.get("chunk_grid")
    if not _are_whole(shape, 0):
        refuse(repr(name), f"has the shape {shape!r:.100}")
    if dtype not in (*DTYPES, "float16"):
        refuse(repr(name), f"has the data_type {dtype!r:.100}; it must be one of {', '.join(DTYPES)}")
    chunk = grid.get("configuration", {}).get("chunk_shape") if isinstance(grid, dict) else None
    if not _are_whole(chunk, 1) or len(chunk) != len(shape):
        refuse(repr(name), f"has the chunk_grid {grid!r:.100}")
    plain = [{"name": "bytes", "configuration": {"endian": "little"}}]
    expected = {
        "zarr_format": 3, "node_type": "array", "shape": shape, "data_type": dtype,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": chunk}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "storage_transformers": [],
        "codecs": [{"name": "bytes"}] if about.get("codecs") == [{"name": "bytes"}] else plain,
        "attributes": about.get("attributes"), "dimension_names": about.get("dimension_names"),
        "fill_value": "NaN" if about.get("fill_value") == "NaN" else 0,
    }  # fmt: skip
    for key in sorted({*about, *expected}):
        if about.get(key) != expected.get(key):
            refuse(repr(name), f"has {key}={about.get(key)!r:.200}, where brainsnn writes {expected.get(key)!r}")
    dims = about["dimension_names"]
    if not isinstance(dims, list) or len(dims) != len(shape) or not all(isinstance(dim, str) for dim in dims):
        refuse(repr(name), f"has the dimension_names {dims!r:.100}")
    n_bytes, start = math.prod(chunk) * np.dtype(dtype).itemsize, f"{node}/c"
    for file, size in files.items():
        if file.startswith(start) and size != n_bytes:
            refuse(repr(file), f"is of {size} bytes, and a chunk takes {n_bytes}")
    return max(math.prod(shape) * np.dtype(dtype).itemsize, n_bytes)


def _are_whole(values, low):
    return isinstance(values, list) and all(type(n) is int and n >= low for n in values)


def _read_array(path, node, as_truth, refuse):
    with optional_packages(WHAT, "formats"):
        import zarr
    try:
        values = zarr.open_array(path / node, mode="r", zarr_format=3)[...]
        return values.astype(bool) if as_truth else values
    except Exception as error:  # of many types
        refuse(f"the variable {node!r}", f"cannot be read ({error})")
