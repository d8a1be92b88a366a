"""Read docs/options.md: the exceptions, and the parameters of every public function."""

import re
from dataclasses import dataclass

from locations import ROOT

__all__ = ["Exception_", "documented_parameters", "exceptions"]


@dataclass(frozen=True)
class Exception_:
    """A row: an option, the one beside it, when, the outcome (refused, acts, no effect), and the words of the error."""

    option: str
    beside: str
    when: str
    outcome: str
    words: str

    @property
    def pair(self):
        """Both options (frozenset of str)."""
        return frozenset((self.option, self.beside))

    def __str__(self):
        return f"{self.option} beside {self.beside}: {self.words[:40]}"


def _rows(heading):
    text = (ROOT / "docs" / "options.md").read_text(encoding="utf-8").split(f"## {heading}")[1].split("\n## ")[0]
    rows = [
        [cell.strip() for cell in line.strip().strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("| `")
    ]
    return rows


def exceptions():
    """Return the rows of the exceptions (list of Exception_)."""
    found = []
    for option, beside, *when, then in _rows("Exceptions"):
        outcome, words = then.split(": ", 1)
        found.append(Exception_(option.strip("`"), beside.strip("`"), "".join(when), outcome, words.strip("`")))
    return found


def documented_parameters():
    """Return name -> parameters of the functions that the page lists (dict of str to list of str)."""
    return {
        name.strip("`"): re.findall(r"`(\w+)`", names)
        for name, names, *_ in _rows("Parameters of every public function")
    }
