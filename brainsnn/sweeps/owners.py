"""Whose a module is, and the versions of libraries."""

import importlib.util
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

__all__ = ["owner_of", "version_of"]

_LIBRARIES = tuple({sysconfig.get_paths()[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")})


def owner_of(module):
    """
    Whose a module is.

    Parameters
    ----------
    module : str

    Returns
    -------
    owner : {"brainsnn", "library", "user"}
        What is installed, comes with Python, or belongs to compiled modules, is a library.
    """
    root = module.split(".")[0] if isinstance(module, str) else ""
    if root == "brainsnn":
        return "brainsnn"
    if root in ("__main__", "__mp_main__"):
        return "user"
    if root in sys.builtin_module_names or root in sys.stdlib_module_names or root.startswith("_cython_"):
        return "library"
    path = _file_of(module) or _file_of(root)
    if path is None:
        return "user"
    parts = Path(path).parts
    inside = "site-packages" in parts or "dist-packages" in parts or str(path).startswith(_LIBRARIES)
    return "library" if inside else "user"


def _file_of(module):
    """File or folder of a module, without importing it."""
    if module in sys.modules:
        found = sys.modules[module]
        return getattr(found, "__file__", None) or next(iter(getattr(found, "__path__", ())), None)
    if not module or "." in module:  # to find a submodule would import what it is in
        return None
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return None
    return spec and ((spec.has_location and spec.origin) or next(iter(spec.submodule_search_locations or ()), None))


def version_of(module):
    """
    Version of the library that a module belongs to.

    Parameters
    ----------
    module : str

    Returns
    -------
    version : str
        Empty for a library that does not tell.
    """
    package = module.split(".")[0]
    try:
        return version(package)
    except PackageNotFoundError:
        return str(getattr(sys.modules.get(package), "__version__", ""))
