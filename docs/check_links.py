"""
Check every link within the built pages: that the file exists, and the place in it.

    python docs/check_links.py docs/_build

Sphinx checks the links that it resolves, not those that are written as addresses. (LinkChecker 10.6 takes more than ten minutes.)
"""

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag


class Page(HTMLParser):
    """The places in a page, and the links that it holds."""

    def __init__(self, text):
        super().__init__()
        self.places, self.links = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Note the names of places, and links."""
        for name, value in attributes:
            if name == "id" or (tag, name) == ("a", "name"):
                self.places.add(value)
            elif name in ("href", "src") and not re.match(r"[a-z]+:|//|#?$", value):
                self.links.append(value)


def broken_links(folder):
    """
    Return the links within a folder of pages that lead nowhere.

    Parameters
    ----------
    folder : `~pathlib.Path`

    Returns
    -------
    broken : list of str
        Page and link.
    n_links : int
        Number of links that were checked.
    """
    folder = Path(folder).resolve()
    files = [file for file in folder.rglob("*.html") if "_static" not in file.parts]
    pages, broken = {file: Page(file.read_text(encoding="utf-8")) for file in files}, []
    for file, page in pages.items():
        for link in page.links:
            address, place = (unquote(part) for part in urldefrag(link))
            target = (
                (file.parent / address.split("?")[0]).resolve() if address else file
            )
            if not target.exists() or (
                place and target in pages and place not in pages[target].places
            ):
                broken.append(f"{file.relative_to(folder)}: {link}")
    return broken, sum(len(page.links) for page in pages.values())


if __name__ == "__main__":
    broken, n_links = broken_links(sys.argv[1])
    print(
        *broken, f"{n_links:,} links within the pages, {len(broken)} broken", sep="\n"
    )
    sys.exit(bool(broken))
