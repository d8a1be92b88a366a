"""The how-to pages in docs/: their code runs, block after block."""

import os
import re
import shutil
import subprocess
import sys

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
from locations import ROOT

GUIDES = ("relu", "published_network", "feedback")


@pytest.mark.parametrize("name", GUIDES)
def test_the_code_of_a_guide_runs(name, tmp_path, monkeypatch):
    pytest.importorskip("keras")
    monkeypatch.chdir(tmp_path)
    run_page(name, {})


def run_page(name, names):
    """Run the blocks of a page one after the other."""
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    for k, block in enumerate(blocks, start=1):
        exec(compile(block, f"docs/{name}.md, block {k}", "exec"), names)


def test_getting_started_is_one_session(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {}
    for page in ("first_spikes", "look_inside", "change_an_equation"):
        run_page(f"start/{page}", names)
    shown = capsys.readouterr().out
    assert "digits_relu" in shown and "sigma*xi" in shown
    assert float(re.search(r"accuracy ([\d.]+), mean rate", shown).group(1)) > 0.9
    assert (names["attended"].spike_counts["conv1"] != names["result"].spike_counts["conv1"]).any()
    plt.close("all")


def test_the_first_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_page("index", {})
    assert float(capsys.readouterr().out.split()[0]) > 0.9
    plt.close("all")


#: Scripts of the gallery that every run of the tests draws: the fastest ones.
FAST = ("plot_03_threshold", "plot_06_gate", "plot_15_adaptive_coding", "plot_21_film")
SCRIPTS = sorted(path.stem for path in (ROOT / "docs" / "gallery").glob("plot_*.py"))


@pytest.mark.parametrize("name", [n if n in FAST else pytest.param(n, marks=pytest.mark.slow) for n in SCRIPTS])
def test_a_script_of_the_gallery_draws_its_figure(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    plt.close("all")
    path = ROOT / "docs" / "gallery" / f"{name}.py"
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"__name__": "__main__"})
    assert len(plt.get_fignums()) == 1 and plt.gcf().axes[0].has_data()
    plt.close("all")


@pytest.mark.parametrize("name", SCRIPTS)
def test_the_figure_of_a_script_is_made_in_its_last_block(name):
    """The gallery shows a figure as it is at the end of the block that makes it."""
    text = (ROOT / "docs" / "gallery" / f"{name}.py").read_text(encoding="utf-8")
    *before, last = text.split("# %%\n")
    drawing = re.compile(r"plt\.(subplots|figure)\(|bs\.plot\.|plot_traces\(")
    assert drawing.search(last) and not any(re.search(r"plt\.(subplots|figure)\(", block) for block in before)


def test_each_study_has_a_script_in_the_gallery():
    studies = {p.stem for p in (ROOT / "studies").glob("*.py") if f'Study("{p.stem}"' in p.read_text(encoding="utf-8")}
    texts = [(ROOT / "docs" / "gallery" / f"{name}.py").read_text(encoding="utf-8") for name in SCRIPTS]
    assert {"precision", "tweaks"} <= studies
    assert not {study for study in studies if not any(f"</../studies/{study}.py>" in text for text in texts)}


@pytest.mark.slow
def test_the_documentation_builds_without_warnings(tmp_path):
    pytest.importorskip("sphinx_gallery")
    source = tmp_path / "docs"
    shutil.copytree(
        ROOT, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".*", "results", "_build", "generated")
    )
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-b", "html", source, tmp_path / "html"]
    answer = subprocess.run(
        command, env=os.environ | {"BRAINSNN_GALLERY": "0"}, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr[-3000:]
    assert (tmp_path / "html" / "generated" / "brainsnn.convert.html").is_file()
    assert "<math" in (tmp_path / "html" / "concepts" / "neurons.html").read_text(encoding="utf-8")
    for page in (tmp_path / "html").rglob("*.html"):  # which work without a network
        elsewhere = re.findall(
            r'<(?:script|img|link)[^>]*(?:src|href)="(?:https?:)?//[^"]*"', page.read_text(encoding="utf-8")
        )
        assert not elsewhere, page
