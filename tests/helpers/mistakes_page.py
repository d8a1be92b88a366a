"""Read docs/mistakes.md: the code of each mistake, and the message that it prints."""

import re
from dataclasses import dataclass

from locations import ROOT

__all__ = ["Mistake", "mistakes", "preparation"]

BLOCK = re.compile(
    r"```python\n(?P<code>.*?)```\n\n```text\n(?P<message>.*?)```\n\n(?P<advice>\S.*?)\n(?:\n|$)", re.DOTALL
)


@dataclass(frozen=True)
class Mistake:
    """A section: its title, the code, the message with its class, and what to do."""

    title: str
    code: str
    message: str
    advice: str


def _sections():
    return (ROOT / "docs" / "mistakes.md").read_text(encoding="utf-8").split("\n## ")


def preparation():
    """Return the code with which the page starts (str)."""
    return re.search(r"```python\n(.*?)```", _sections()[0], re.DOTALL)[1]


def mistakes():
    """Return the mistakes in the order of the page (list of Mistake)."""
    found = []
    for section in _sections()[1:]:
        match = BLOCK.search(section)
        assert match, f"a section without code, message and advice: {section.splitlines()[0]!r}"
        found.append(
            Mistake(section.splitlines()[0], match["code"], " ".join(match["message"].split()), match["advice"])
        )
    return found


if __name__ == "__main__":  # print what the code says now
    names: dict = {}
    exec(preparation(), names)
    for mistake in mistakes():
        try:
            exec(mistake.code, names)
            print(mistake.title, "-> no error")
        except Exception as error:
            print(mistake.title, f"-> {type(error).__name__}: {error}")
