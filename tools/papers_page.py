"""
Write the published values of docs/from_the_papers.md from the code of the studies, and our values from their results.

    python tools/papers_page.py                                 # published values that have changed; ours stay
    python tools/papers_page.py results/.../from_the_paper.csv  # and those of this run
"""

import csv
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "studies")]

import attention_paper as attention  # noqa: E402
import feedback_report as feedback  # noqa: E402

from brainsnn.files import write_atomically  # noqa: E402

__all__ = ["published_feedback", "read_page", "rows_of", "write_page"]

PAGE = ROOT / "docs" / "from_the_papers.md"
NOT_RUN = ("not run yet", "")


def published_feedback():
    """
    Return what the logs of the published code report, and the ratios that follow from them.

    Returns
    -------
    values : dict of (str, str) to float
        ("log", quantity) to the published value; the quantity as in ``from_the_paper.csv``.
    """
    values = {("log", f"ANN {variant}: accuracy (%)"): value for variant, value in feedback.LOGGED_ANN.items()}
    for run, logged in feedback.LOGGED.items():
        for quantity, value in zip(feedback.QUANTITIES, logged, strict=True):
            if value is not None:
                values["log", f"SNN {run}: {quantity}"] = value
    spikes = {run: logged[3] for run, logged in feedback.LOGGED.items()}
    opened, blocked = spikes["objective 1, epsilon 0"], spikes["objective 1, epsilon 0.1"]
    values["log", "spikes saved by blocking at epsilon 0.1 (%)"] = round(100 * (1 - blocked / opened), 2)
    values["log", "spikes with feedback relative to plain"] = round(opened / spikes["plain"], 2)
    correct = {run: logged[0] for run, logged in feedback.LOGGED.items()}
    for quantity, more, less in (
        ("lost by blocking", "objective 1, epsilon 0", "objective 1, epsilon 0.1"),
        ("lost by feedback", "plain", "objective 1, epsilon 0"),
        ("gained by contrast over blocking", "objective 3, epsilon 0.1", "objective 1, epsilon 0.1"),
    ):
        values["log", f"accuracy {quantity} (points)"] = round(correct[more] - correct[less], 2)
    return values


def read_page():
    """
    Return the rows of the page.

    Returns
    -------
    rows : dict of (str, str) to (str, str, str)
        (figure, quantity) to published value, ours, and verdict, as texts.
    """
    rows = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[0] not in ("figure", "---"):
            rows[cells[0], cells[1]] = tuple(cells[2:])
    return rows


def rows_of(published, known=None):
    """
    Return the lines of a table.

    Parameters
    ----------
    published : dict of (str, str) to float
    known : dict of (str, str) to (str, str), optional
        Our value and the verdict, where there is a run.

    Returns
    -------
    lines : list of str
    """
    lines = ["| figure | quantity | published | ours [95 %] | verdict |", "|---|---|---|---|---|"]
    for key, value in published.items():
        ours, verdict = (known or {}).get(key, NOT_RUN)
        lines.append(f"| {key[0]} | {key[1]} | {value:,.7g} | {ours} | {verdict} |")
    return lines


def _number(text):
    """Return a number with four digits, or all before the point."""
    value = float(text)
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def of_run(path):
    """Return our values and verdicts of a run, as texts, by figure and quantity."""
    with open(path, encoding="utf-8", newline="") as file:
        found = {}
        for row in csv.DictReader(file):
            interval = f" [{_number(row['low'])}, {_number(row['high'])}]" if row["low"] not in ("", "nan") else ""
            ours = f"{_number(row['ours'])}{interval}" + (f", n = {row['n']}" if int(row["n"]) else "")
            found[row.get("figure", "log"), row["quantity"]] = (ours, row["verdict"])
    return found


def write_page(results=()):
    """
    Write the tables between the marks of the page.

    Parameters
    ----------
    results : iterable of path, optional
        ``from_the_paper.csv`` of runs. Values of other rows stay as they are.
    """
    known = {key: row[1:] for key, row in read_page().items()}
    for path in results:
        known |= of_run(path)
    text = PAGE.read_text(encoding="utf-8")
    for name, published in (("attention", attention.published_values()), ("feedback", published_feedback())):
        begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->"
        before, rest = text.split(begin)
        table = "\n".join(rows_of(published, known))
        text = f"{before}{begin}\n{table}\n\n{end}{rest.split(end)[1]}"
    with write_atomically(PAGE) as file:
        file.write(text.encode())


if __name__ == "__main__":
    write_page(sys.argv[1:])
