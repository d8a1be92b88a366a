"""Turn the import error of an optional package into one that names the extra to install."""

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["EXTRAS", "optional_packages"]

#: Extra of setup.cfg that installs each optional package, by the name under which Python imports it.
EXTRAS = {
    "h5py": "training",
    "keras": "training",
    "mlxtend": "training",
    "tensorflow": "training",
    "onnx": "onnx",
    "safetensors": "safetensors",
    "torch": "torch",
    "cloudpickle": "sweep",
    "dask": "sweep",
    "distributed": "sweep",
    "h5netcdf": "sweep",
    "xarray": "sweep",
    "dask_jobqueue": "cluster",
    "zarr": "streaming",
    "neo": "formats",
    "quantities": "formats",
    "skimage": "studies",
    "sklearn": "studies",
    "nir": "nir",
    "pycocotools": "coco",
    "PIL": "coco",
    "typer": "cli",
}


@contextmanager
def optional_packages(what: str, extra: str | None = None) -> Iterator[None]:
    """
    Import optional packages within: ``with optional_packages("load_faces"): import skimage``.

    Parameters
    ----------
    what : str
        What needs the packages, for the message.
    extra : str, optional
        The extra to name, if another one than that of `EXTRAS` installs all that is needed.

    Raises
    ------
    ModuleNotFoundError
        If one of `EXTRAS` is not installed; the message says what to install. Other errors pass unchanged.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRAS:
            raise
        raise ModuleNotFoundError(
            f"{what} needs the package {package!r}, which is not installed: pip install 'brainsnn[{extra or EXTRAS[package]}]'.",
            name=error.name,
        ) from error
