"""What a notebook shows of graphs, neuron models, networks and results: tables that need nothing else and run nothing."""

import dataclasses
import html
import re
import warnings
from html.parser import HTMLParser

import numpy as np
import pytest

import brainsnn as bs
from brainsnn.html_tables import html_table

HOSTILE = "<script>alert(1)</script>&\"'"


class Balanced(HTMLParser):
    """Notes elements that are not closed in their order, and the names of all."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen = [], set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.seen.add(tag)
        assert all(not name.startswith("on") and name not in ("src", "href") for name, _ in attrs), attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def text_of(page):
    return html.unescape(re.sub(r"<[^>]*>", " ", re.sub(r"<style>.*?</style>", "", page, flags=re.DOTALL)))


@pytest.fixture(scope="module")
def shown(small_model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.UncalibratedWarning)
        warnings.simplefilter("ignore", bs.SaturationWarning)
        snn = bs.convert(small_model, bs.IF(), record={"conv": ["spikes", "v"]})
        result = snn.run(np.random.default_rng(0).random((5, 6, 6, 1)), 20 * bs.ms)
    result.labels = np.array([0, 1, 2, 3, 0])
    return {"graph": snn.graph, "model": bs.ASN(), "network": snn, "result": result}


@pytest.mark.parametrize("name", ["graph", "model", "network", "result"])
def test_views_are_small_complete_and_run_nothing(shown, name):
    page = shown[name]._repr_html_()
    parsed = Balanced(page)
    assert not parsed.open and len(page) < 12_000
    assert parsed.seen <= {"div", "style", "strong", "table", "tr", "th", "td", "p", "pre", "details", "summary"}
    assert not re.search(r"https?:|@import|url\(", page)


def test_views_hold_what_print_shows(shown):
    for name in ("graph", "model"):
        text = text_of(shown[name]._repr_html_())
        words = [word for word in str(shown[name]).split() if set(word) != {"-"}]
        assert [word for word in words if word not in text] == []
    text = text_of(shown["network"]._repr_html_())
    assert repr(shown["network"]).strip("<>") in text
    for table in shown["network"].describe().tables.values():
        assert all(cell.line in text for row in table.cells for cell in row), table.title
    text, result = text_of(shown["result"]._repr_html_()), shown["result"]
    assert f"{result.mean_firing_rate:.3g} Hz" in text and f"{100 * result.accuracy()[-1]:.1f}%" in text
    assert f"{result.spike_counts['conv'].mean():,.1f}" in text and "spikes, v" in text
    assert all(str(result.settings[key]) in text for key in ("brainsnn", "brian2", "device"))


def test_names_of_others_stay_text(shown):
    population = {HOSTILE: (1, 1, 2)}
    found = bs.Result(population, 1e-3, 3)
    found.spike_counts[HOSTILE], found.settings = np.array([2]), {"model": HOSTILE}
    found.spikes[HOSTILE] = [(np.array([0]), np.array([1]))]
    rows = [dataclasses.replace(row, name=HOSTILE, class_name=HOSTILE) for row in shown["graph"].rows]
    graph = dataclasses.replace(shown["graph"], name=HOSTILE, rows=rows)
    model = dataclasses.replace(bs.IF(), name=HOSTILE)
    for page in (
        found._repr_html_(),
        graph._repr_html_(),
        model._repr_html_(),
        html_table([(HOSTILE,)], (HOSTILE,), note=HOSTILE),
    ):
        assert "<script" not in page and "&lt;script&gt;alert(1)" in page
        assert not Balanced(page).open
    assert HOSTILE in text_of(found._repr_html_()) and "v &gt;" in model._repr_html_()


def test_a_result_without_anything_has_a_view():
    assert "images" in text_of(bs.Result({"conv": (1, 1, 1)}, 1e-3, 1)._repr_html_())
