"""docs/from_the_papers.md: published values are those of the studies' code, and ours those of a run that the pages tell of."""

import csv
import re
import shlex
import sys

import pytest
from locations import ROOT

PAGE = (ROOT / "docs" / "from_the_papers.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def tool():
    before = list(sys.path)
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import papers_page
    finally:
        sys.path[:] = before
    return papers_page


def test_published_values_are_those_of_the_code(tool):
    published = tool.attention.published_values() | tool.published_feedback()
    assert len(published) > 70
    assert {key: f"{value:,.7g}" for key, value in published.items()} == {
        k: row[0] for k, row in tool.read_page().items()
    }
    assert published["4C", "AUC, output gain invalid"] == 0.781
    assert round(published["log", "spikes saved by blocking at epsilon 0.1 (%)"], 1) == 7.0


def test_quantities_are_those_that_the_studies_write(tool):
    """So that the results of a run find their rows."""
    source = (ROOT / "studies" / "feedback_report.py").read_text(encoding="utf-8")
    assert 'f"SNN {run}: {quantity}"' in source and 'f"ANN {variant}: accuracy (%)"' in source
    effects = [
        quantity.split(" at epsilon")[0]
        for _, quantity in tool.published_feedback()
        if not re.match("[AS]NN ", quantity)
    ]
    assert len(effects) == 5 and all(effect in source for effect in effects)


def test_our_values_have_a_verdict_and_are_of_a_run_that_the_page_dates(tool):
    assert len(re.findall(r"\*\*Ours\*\*.*?run \d{4}-\d\d-\d\d", PAGE)) == 2
    rows = tool.read_page()
    assert len(rows) > 105 and tool.NOT_RUN not in [row[1:] for row in rows.values()]
    assert all(verdict for _, _, verdict in rows.values())


def test_the_results_of_a_run_take_their_places(tool, tmp_path, monkeypatch):
    monkeypatch.setattr(tool, "PAGE", tmp_path / "page.md")
    tool.PAGE.write_text(PAGE, encoding="utf-8")
    before = tool.read_page()
    with open(tmp_path / "from_the_paper.csv", "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(
            file, ["figure", "quantity", "published", "ours", "low", "high", "n", "verdict", "command"]
        )
        writer.writeheader()
        writer.writerow({"figure": "4C", "quantity": "AUC, neutral", "published": 0.797, "ours": 0.81, "low": 0.8, "high": 0.82,
                         "n": 600, "verdict": "reproduced", "command": ""})  # fmt: skip
    tool.write_page([tmp_path / "from_the_paper.csv"])
    changed = {key: row for key, row in tool.read_page().items() if row != before[key]}
    assert changed == {("4C", "AUC, neutral"): ("0.797", "0.81 [0.8, 0.82], n = 600", "reproduced")}


def test_files_and_commands_exist():
    attention = (ROOT / "studies" / "attention_published.py").read_text(encoding="utf-8")
    feedback = (ROOT / "studies" / "feedback_published.py").read_text(encoding="utf-8")
    figures = re.findall(r"\| `(figure\d\w*)` \|", PAGE)
    assert sorted(figures) == sorted(re.findall(r'"(figure\d\w*)"', attention))
    assert all(f'"{name}"' in feedback for name in re.findall(r"\| `(\w+\.(?:md|gif))` \|", PAGE))
    commands = [line for line in PAGE.splitlines() if line.startswith("python ")]
    assert len(commands) == 5
    for command in commands:
        words = shlex.split(command)
        source = attention if "spatial_attention" in command else feedback
        if words[1] == "-m":
            files = (ROOT / "brainsnn" / "training").glob("*predictive*.py")
            source = "".join(path.read_text(encoding="utf-8") for path in files)
        else:
            assert (ROOT / words[1]).exists()
            source += (ROOT / "studies" / "common.py").read_text(encoding="utf-8") + (ROOT / words[1]).read_text(
                encoding="utf-8"
            )
        for option in (word.removeprefix("--") for word in words if word.startswith("--")):
            assert re.search(rf"(--|\b){option.replace('-', '[-_]')}\b", source), (command, option)
