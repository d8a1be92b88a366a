"""Find the file of a module, and tell whether the module is the user's own, installed, or part of brainsnn."""

import sys
import sysconfig
from pathlib import Path

__all__ = ["locate", "origin_of"]

_MAIN = ("__main__", "__mp_main__")
_STANDARD = {Path(sysconfig.get_path(key)) for key in ("stdlib", "platstdlib", "purelib", "platlib")}


def origin_of(module):
    """
    Return where a module comes from.

    Parameters
    ----------
    module : str or None

    Returns
    -------
    origin : {"user", "library", "brainsnn"}
        A library is installed in ``site-packages`` or ``dist-packages``, is part of Python, or was compiled by Brian2. All
        other modules are the user's own, including packages that are installed in editable mode.
    """
    root = module.split(".")[0] if isinstance(module, str) else ""
    if root == "brainsnn":
        return "brainsnn"
    if not root or root in _MAIN:
        return "user"
    if root.startswith("_cython_"):
        return "library"
    file, folders = locate(module)
    if file is None and not folders:
        file, folders = locate(root)
    path = file or next(iter(folders), None)
    if path is None:
        return "library" if root in sys.builtin_module_names or root in sys.stdlib_module_names else "user"
    path = Path(path)
    is_installed = "site-packages" in path.parts or "dist-packages" in path.parts
    return "library" if is_installed or any(path.is_relative_to(folder) for folder in _STANDARD) else "user"


def locate(module):
    """
    Return the file of a module without importing anything.

    Parameters
    ----------
    module : str

    Returns
    -------
    file : str or None
        None for modules that do not exist, are built into Python, or are folders without an ``__init__.py``.
    folders : tuple of str
        Where submodules of a package are. Empty for other modules.
    """
    if sys.modules.get(module) is not None:
        variables = getattr(sys.modules[module], "__dict__", {})  # attributes might load a lazy module
        return variables.get("__file__"), tuple(variables.get("__path__") or ())
    parent, folders = module.rpartition(".")[0], None
    if parent and not (folders := locate(parent)[1]):
        return None, ()
    for finder in sys.meta_path:
        try:
            spec = finder.find_spec(module, folders)
        except (AttributeError, ImportError, ValueError):
            continue
        if spec is not None:
            return spec.origin if spec.has_location else None, tuple(spec.submodule_search_locations or ())
    return None, ()
