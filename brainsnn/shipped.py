"""Find the trained networks that ship with brainsnn by their names."""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path

from brainsnn.errors import UnknownNameError
from brainsnn.html_tables import fragment, html_table
from brainsnn.one_line import fields_line, one_line

__all__ = ["ShippedModel", "ShippedModels", "shipped_models", "shipped_names", "shipped_path"]


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


@dataclass(frozen=True)
class ShippedModel:
    """
    A trained network that ships with brainsnn.

    Attributes
    ----------
    name : str
        For `brainsnn.load_model`.
    path : `~pathlib.Path`
    title : str
        What it is, in a line.
    facts : dict of str to str
        Rows of the table at the top of its card, such as accuracy, input and output.
    """

    name: str
    path: Path
    title: str
    facts: dict[str, str]

    __repr__ = fields_line

    @property
    def card(self) -> str:
        """How it was made, on which data, and its limits: Markdown (str)."""
        return self.path.with_suffix(".md").read_text(encoding="utf-8")


class ShippedModels(dict[str, ShippedModel]):
    """The shipped networks by their names; prints as a table."""

    def __repr__(self) -> str:
        return one_line(self, ", ".join(self))

    def _repr_html_(self) -> str:
        return fragment("Shipped networks", html_table((name, model.title) for name, model in self.items()))

    def __str__(self) -> str:
        width = max(map(len, self), default=0)
        return "\n".join(f"{name.ljust(width)}  {model.title}" for name, model in self.items())


def shipped_models() -> ShippedModels:
    """
    List the networks that ship with brainsnn, with their cards.

    Returns
    -------
    models : dict of str to ShippedModel
        By name, in alphabetical order; prints as a table.

    Examples
    --------
    >>> import brainsnn as bs
    >>> models = bs.shipped_models()
    >>> models["digits"].title
    'a small network for handwritten digits; accuracy on 1000 test digits 98.70 %'
    >>> models["digits"].facts["input"]
    '(n, 28, 28, 1), gray values from 0 (background) to 1'
    """
    return ShippedModels({name: _described(_folder() / f"{name}.keras") for name in shipped_names()})


def _described(path: Path) -> ShippedModel:
    """Return a network with the title and the first table of its card."""
    lines = path.with_suffix(".md").read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip(" *") for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    facts = {cell[0]: cell[1].replace("**", "") for cell in cells if len(cell) == 2 and cell[0]}
    title = lines[0].partition(": ")[2] or lines[0].lstrip("# ")
    first = next(
        (
            f"{key} {value.partition(' (')[0].partition(',')[0]}"
            for key, value in facts.items()
            if any(measure in key for measure in ("accuracy", "SNN", "AUC"))
        ),
        "",
    )
    return ShippedModel(path.stem, path, "; ".join(filter(None, (title, first))), facts)


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
