"""A description as tables: printed as text, and written as Markdown and LaTeX."""

from collections.abc import Sequence
from dataclasses import dataclass

from brainsnn.builders.describe.latex_math import escaped
from brainsnn.builders.graph.summary import aligned
from brainsnn.html_tables import folded, fragment, html_table
from brainsnn.one_line import fields_line, one_line

__all__ = ["Cell", "Description", "Table"]

_REFERENCE = "Nordlie, Gewaltig, Plesser (2009), PLoS Comput Biol 5(8): e1000456"


@dataclass(frozen=True)
class Cell:
    """
    What stands in one place of a table.

    Parameters
    ----------
    text : str
    is_code : bool, optional
        Whether it is a name or an expression.
    latex : str, optional
        What LaTeX prints in its place, such as a formula.
    """

    text: str
    is_code: bool = False
    latex: str | None = None

    __repr__ = fields_line

    @property
    def line(self) -> str:
        """The text on one line."""
        return " ".join(self.text.split())

    def to_markdown(self) -> str:
        """Return the cell as Markdown."""
        if not self.is_code or not self.line:
            return "".join(f"\\{character}" if character in "\\`*_|<>[]#$~" else character for character in self.line)
        fence = "`" * (1 + max(map(len, "".join(c if c == "`" else " " for c in self.line).split()), default=0))
        space = " " if "`" in self.line else ""
        return f"{fence}{space}{self.line}{space}{fence}".replace("|", "\\|")

    def to_latex(self) -> str:
        """Return the cell as LaTeX."""
        if self.latex is not None:
            return self.latex
        return rf"\texttt{{{escaped(self.line)}}}" if self.is_code and self.line else escaped(self.line)


@dataclass(frozen=True)
class Table:
    """
    One table of a description.

    Parameters
    ----------
    title : str
    header : tuple of str
    rows : sequence of tuple of (str or Cell)
    note : str, optional
        A sentence below the table.
    right : int, optional
        Columns from this one on are numbers; 0 for none.
    """

    title: str
    header: tuple[str, ...]
    rows: Sequence[tuple["str | Cell", ...]]
    note: str = ""
    right: int = 0

    __repr__ = fields_line

    @property
    def cells(self) -> list[list[Cell]]:
        """The rows, in cells."""
        return [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in self.rows]

    def to_text(self, letter: str) -> str:
        """Return the table as aligned columns."""
        rows = [self.header, *(tuple(cell.line for cell in row) for row in self.cells)]
        return "\n".join(
            [f"{letter}  {self.title}", "", *aligned(rows, self.right), *([Cell(self.note).line] if self.note else [])]
        )

    def to_markdown(self, letter: str) -> str:
        """Return the table as one of GitHub's Markdown."""
        rule = ["---:" if self.right and k >= self.right else "---" for k in range(len(self.header))]
        rows = [self.header, rule, *([cell.to_markdown() for cell in row] for row in self.cells)]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join(
            [f"**{letter}: {self.title}**", "", *lines, *(["", Cell(self.note).to_markdown()] if self.note else [])]
        )

    def to_html(self) -> str:
        """Return the table as HTML, without its title."""
        rows = [[cell.line for cell in row] for row in self.cells]
        return html_table(rows, self.header, self.right, Cell(self.note).line)

    def to_latex(self, letter: str) -> str:
        """Return the table as a ``longtable``."""
        n = len(self.header)
        last = "" if self.right else r"p{0.7\textwidth}" if n == 2 else r"p{0.3\textwidth}"
        columns = "".join("r" if self.right and k >= self.right else "l" for k in range(n - bool(last))) + last
        rows = [f"{' & '.join(cell.to_latex() for cell in row)} \\\\" for row in self.cells]
        return "\n".join([
            r"\begingroup\footnotesize", rf"\begin{{longtable}}{{{columns}}}", r"\hline",
            rf"\multicolumn{{{n}}}{{l}}{{\textbf{{{letter}: {escaped(self.title)}}}}} \\", r"\hline",
            " & ".join(rf"\textbf{{{escaped(name)}}}" for name in self.header) + r" \\", r"\hline", r"\endhead",
            *rows, r"\hline", *([rf"\multicolumn{{{n}}}{{p{{0.95\textwidth}}}}{{{escaped(self.note)}}} \\"] if self.note else []),
            r"\end{longtable}", r"\endgroup",
        ])  # fmt: skip


@dataclass(frozen=True)
class Description:
    """
    Tables that describe a network in a methods section. Prints as text, and shows as tables in a notebook.

    Parameters
    ----------
    name : str
        Name of the network.
    tables : dict of str to Table
        By their letters.

    References
    ----------
    Nordlie, Gewaltig, Plesser (2009), Towards reproducible descriptions of neuronal network models, PLoS Comput Biol 5(8):
    e1000456.
    """

    name: str
    tables: dict[str, Table]

    def __repr__(self) -> str:
        return one_line(self, f"{self.name}; {', '.join(table.title for table in self.tables.values())}")

    def __str__(self) -> str:
        title = f"{self.name}, in the tables of {_REFERENCE}"
        return "\n\n".join([title, *(table.to_text(letter) for letter, table in self.tables.items())])

    def to_markdown(self) -> str:
        """
        Return the tables as Markdown, with expressions as code.

        Returns
        -------
        text : str
        """
        return "\n\n".join(table.to_markdown(letter) for letter, table in self.tables.items()) + "\n"

    def to_latex(self) -> str:
        r"""
        Return the tables as LaTeX, with equations as formulas.

        Returns
        -------
        text : str
            Needs ``\usepackage{amsmath, longtable, textcomp}`` and ``\usepackage[T1]{fontenc}``.
        """
        head = [
            f"% The tables of {_REFERENCE}",
            r"% \usepackage{amsmath, longtable, textcomp} \usepackage[T1]{fontenc}",
        ]
        return "\n".join([*head, *(table.to_latex(letter) for letter, table in self.tables.items())]) + "\n"

    def _repr_markdown_(self) -> str:
        return self.to_markdown()

    def to_html(self, title: str) -> str:
        """
        Return the tables as HTML for a notebook: the first is open, the others open at a click.

        Parameters
        ----------
        title : str

        Returns
        -------
        html : str
        """
        first, *others = self.tables.values()
        return fragment(title, first.to_html(), *(folded(table.title, table.to_html()) for table in others))
