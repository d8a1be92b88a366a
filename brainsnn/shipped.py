"""Find the trained networks that ship with brainsnn by their names."""

from os import PathLike
from pathlib import Path

from brainsnn.errors import UnknownNameError

__all__ = ["shipped_names", "shipped_path"]


def _folder() -> Path:
    """Return the folder ``weights``: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "weights"
    return inside if inside.is_dir() else package.parent / "weights"


def shipped_names() -> list[str]:
    """
    List the names of the shipped networks.

    Returns
    -------
    names : list of str
        In alphabetical order, such as ``"digits"``.

    Examples
    --------
    >>> from brainsnn.shipped import shipped_names
    >>> "digits" in shipped_names()
    True
    """
    return sorted(path.stem for path in _folder().glob("*.keras"))


def shipped_path(name: str | PathLike[str]) -> str | PathLike[str]:
    """
    Return the file of a shipped network, or the path itself where it is not a name.

    Parameters
    ----------
    name : str or path-like
        A text without folder and suffix is a name.

    Returns
    -------
    path : str or path-like

    Raises
    ------
    UnknownNameError
        If no network of that name ships with brainsnn; the message lists those that do.
    """
    if not isinstance(name, str) or name != Path(name).stem:
        return name
    known = shipped_names()
    if name in known:
        return _folder() / f"{name}.keras"
    if name and Path(name).exists():
        return name
    raise UnknownNameError(name, known, "shipped network", "To load a file, give its suffix too, as in 'model.keras'.")
