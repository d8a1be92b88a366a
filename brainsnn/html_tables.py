"""Tables as HTML, for notebooks and reports. All texts are escaped: names of layers come from the files of others."""

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["TABLE_STYLE", "code_rows", "folded", "fragment", "html_table"]

#: For all tables; colours are those of the page, so that a dark one stays legible.
TABLE_STYLE = """
div.brainsnn .scroll { overflow: auto; }
div.brainsnn table { border-collapse: collapse; font-size: .9em; margin: .3em 0 .8em; border: 0; width: auto; }
div.brainsnn th, div.brainsnn td { text-align: left; vertical-align: top; padding: .2em .8em .2em 0; background: none; border: 0;
  border-bottom: 1px solid rgba(128, 128, 128, .35); }
div.brainsnn th { font-weight: 600; white-space: nowrap; }
div.brainsnn td.number { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
div.brainsnn pre { margin: 0; padding: 0; background: none; border: 0; font-size: .95em; line-height: 1.35; color: inherit; }
div.brainsnn summary { cursor: pointer; }
"""
#: In a notebook, a table of hundreds of layers must not fill the page.
NOTEBOOK_STYLE = "div.brainsnn .rows { max-height: 26em; }"


def html_table(rows: Iterable[Sequence[str]], header: Sequence[str] = (), right: int = 0, note: str = "") -> str:
    """
    Return rows of text as a table.

    Parameters
    ----------
    rows : iterable of sequence of str
    header : sequence of str, optional
        Without one, the first cell of each row is its heading.
    right : int, optional
        Columns from this one on are numbers, at the right; 0 for none.
    note : str, optional
        A sentence below the table.

    Returns
    -------
    html : str

    Examples
    --------
    >>> from brainsnn.html_tables import html_table
    >>> "<td>&lt;b&gt;</td>" in html_table([("name", "<b>")])
    True
    """
    head = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in header)
    lines = [f"<tr>{head}</tr>"] if header else []
    for row in rows:
        cells = [
            f'<td class="number">{escape(cell)}</td>' if right and k >= right else f"<td>{escape(cell)}</td>"
            for k, cell in enumerate(row)
        ]
        if not header:
            cells[0] = f'<th scope="row">{escape(row[0])}</th>'
        lines.append(f"<tr>{''.join(cells)}</tr>")
    below = f"\n<p>{escape(note)}</p>" if note else ""
    return '<div class="scroll rows"><table>\n' + "\n".join(lines) + "\n</table></div>" + below


def code_rows(parts: Iterable[tuple[str, str]]) -> str:
    """
    Return parts of a program, such as equations, as a table of title and code.

    Parameters
    ----------
    parts : iterable of (str, str)
        Title, and lines of code.

    Returns
    -------
    html : str
    """
    rows = (f'<tr><th scope="row">{escape(title)}</th><td><pre>{escape(code)}</pre></td></tr>' for title, code in parts)
    return '<div class="scroll"><table>\n' + "\n".join(rows) + "\n</table></div>"


def folded(title: str, *parts: str) -> str:
    """
    Return HTML that opens at a click.

    Parameters
    ----------
    title : str
    *parts : str
        HTML.

    Returns
    -------
    html : str
    """
    return f"<details><summary>{escape(title)}</summary>\n" + "\n".join(parts) + "\n</details>"


def fragment(title: str, *parts: str) -> str:
    """
    Return HTML for a notebook, with its style.

    Parameters
    ----------
    title : str
    *parts : str
        HTML.

    Returns
    -------
    html : str
    """
    style = f"<style>{TABLE_STYLE}{NOTEBOOK_STYLE}</style>"
    return f'<div class="brainsnn">{style}\n<strong>{escape(title)}</strong>\n' + "\n".join(parts) + "\n</div>"
