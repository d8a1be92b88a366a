"""docs/glossary.md: terms are explained once, in order, and are links where a page uses them first."""

import pytest
from glossary_links import LINK, PAGES, first_uses, prose, terms


@pytest.mark.parametrize("path", PAGES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_the_first_use_of_a_term_is_a_link(path):
    text = prose(path)
    assert [term for term, (_, _, is_link) in first_uses(text).items() if not is_link] == []
    assert set(LINK.findall(text)) <= set(terms())


def test_terms_are_in_order_and_there_is_something_to_link():
    assert terms() == sorted(terms(), key=str.lower) and len(terms()) == len(set(terms())) >= 28
    used = {term for path in PAGES for term in first_uses(prose(path))}
    assert len(used) >= 15 and len(PAGES) >= 20


@pytest.mark.parametrize(
    "text, expected",
    [
        ("A gate opens. {term}`gate`", {"gate": False}),
        ("{term}`Gates <gate>` open, and a gate closes.", {"gate": True}),
        ("# Gate\n\nSee [a gate](gate.md), `gate=1` and ```x```.\n\n**See also** a gate", {}),
        ("Set `m_f` or `m_f=0.1`, not m_files.", {"m_f": False}),
        ("$S$ and {term}`S`, then S_hat", {"S": True, "S_hat": False}),
        ("```python\ngain = 1\n```\n", {}),
        ("If it is so, IF.", {"IF": False}),
    ],
)
def test_uses_are_found_in_prose_only(text, expected):
    assert {term: is_link for term, (_, _, is_link) in first_uses(text).items()} == expected
