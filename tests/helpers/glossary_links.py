"""Find the terms of docs/glossary.md in a page, where a reader meets them for the first time."""

import re

from locations import ROOT

__all__ = ["LINK", "PAGES", "first_uses", "prose", "terms"]

#: Pages of concepts, of tasks, and of the start; and of the top folder those with links so far.
TOP = (
    "attention", "command_line", "devices", "evidence", "faults", "features", "feedback", "findings", "formats",
    "from_the_papers", "mistakes", "nir", "published_network", "recording", "relu", "studies", "sweeps", "systems", "validation",
)  # fmt: skip
PAGES = sorted(
    path
    for pattern in ("concepts/[!i]*.md", "howto/*.md", "start/*.py", *(f"{name}.md" for name in TOP))
    for path in (ROOT / "docs").glob(pattern)
)
#: What to skip: code, formulas, headings, links, other roles, and references.
NO_PROSE = re.compile(
    r"^(```|:::).*?^\1|\$\$.*?\$\$|\$[^$\n]+\$|^#.*?$|!?\[[^\]]*\]\([^)]*\)|\{(?!term\})\w+\}`[^`]*`|<!--.*?-->"
    r"|^\*\*(References|See also).*?(?=\n\n|\Z)|(?<!\})`[^`\n]*`",
    re.DOTALL | re.MULTILINE,
)
#: The text of a script's cells, in its first docstring and in comments, and how links look in it.
CELL = re.compile(r'^# %% \[markdown\]\n(?:"""\n(.*?)^"""|((?:#[^\n]*\n)+))', re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\{term\}`(?:[^`<]*<)?([^`<>]+)>?`")


def terms():
    """Return the terms of the glossary (list of str)."""
    text = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    return re.findall(r"^(\S.*)\n  ", text.split("{glossary}\n")[1], re.MULTILINE)


def prose(path):
    """Return the text of a page; that of a script is written as in a page (str)."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = [title or re.sub("^# ?", "", comment, flags=re.MULTILINE) for title, comment in CELL.findall(text)]
    return re.sub(r":(\w+):`", r"{\1}`", "\n".join(cells)).replace("``", "`")


def first_uses(text):
    """
    Return where each term of the glossary stands first.

    Parameters
    ----------
    text : str
        A page.

    Returns
    -------
    uses : dict of str to (int, int, bool)
        Term -> start and end of its first use, and whether it is a link to the glossary. Symbols count as code, too: `` `m_f` ``.
    """
    links = {match.span(): match[1] for match in LINK.finditer(text)}
    known, uses = terms(), {}

    def blank(match):
        """Keep symbols of the glossary that stand as code, and blank out the rest."""
        return match[0] if match[0].strip("`") in known else re.sub(r"[^\n]", " ", match[0])

    prose = NO_PROSE.sub(blank, text)
    for term in known:
        is_word = term.islower() and len(term) > 3 and term != "theta"
        pattern = rf"\b{re.escape(term)}s?\b" if is_word else rf"(?<![\w.]){re.escape(term)}(?!\w)"
        match = re.search(pattern, prose, re.IGNORECASE if is_word else 0)
        if match is not None:
            inside = [span for span, target in links.items() if span[0] <= match.start() < span[1] and target == term]
            uses[term] = (*(inside[0] if inside else match.span()), bool(inside))
    return uses
