"""Every place of some modules that refuses something, found in their source, and which of them raised an error."""

import ast
from functools import cache
from pathlib import Path

import pytest

import brainsnn

__all__ = ["check_refusal", "check_table", "refusals_of"]

PACKAGE = Path(brainsnn.__file__).parent


@cache
def refusals_of(*patterns):
    """Return {(file, line): source of the raised error} of the modules that patterns find below the package."""
    found = {}
    for path in sorted({path for pattern in patterns for path in PACKAGE.glob(pattern)}):
        source = path.read_text()
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Raise) and node.exc is not None:
                found[str(path), node.lineno] = ast.get_source_segment(source, node.exc)
    return found


def _raised_by(error):
    """Return (file, line) of the statements that raised an error and those that it was made from."""
    places = []
    while error is not None:
        trace = error.__traceback__
        while trace.tb_next is not None:
            trace = trace.tb_next
        places.append((trace.tb_frame.f_code.co_filename, trace.tb_lineno))
        error = error.__cause__
    return places


def check_table(patterns, table):
    """Check that each place that refuses something has one entry, and each entry, words of its source, one place."""
    sources = refusals_of(*patterns)
    for words in table:
        assert sum(words in source for source in sources.values()) == 1, words
    for place, source in sources.items():
        assert any(words in source for words in table), f"No input triggers the refusal at {place}: {source}"


def check_refusal(patterns, words, trigger):
    """Check that an input is refused by the statement whose source has these words, and return the message."""
    with pytest.raises((ValueError, TypeError, KeyError)) as caught:
        trigger()
    places = {place for place, source in refusals_of(*patterns).items() if words in source}
    assert places & set(_raised_by(caught.value)), f"{words!r}: raised elsewhere: {caught.value!r}"
    return str(caught.value)
