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


def test_the_blocks_of_the_readme_are_scripts(tmp_path, monkeypatch, capsys):
    """``make newcomer`` runs them from the wheel, and its table has their names."""
    monkeypatch.syspath_prepend(ROOT / "tools")
    from newcomer import STEPS, accuracy_of, blocks_of

    monkeypatch.chdir(tmp_path)
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for block, (title, name, least) in zip(blocks_of(ROOT / "README.md"), STEPS, strict=True):
        assert f"| {title} | `python {name}` |" in text
        exec(compile(block, f"README.md, {name}", "exec"), {})
        assert least <= accuracy_of(capsys.readouterr().out.rstrip()) <= 1
    assert (tmp_path / "spikes.png").is_file()
    plt.close("all")


@pytest.mark.parametrize("name", ["plot_03_threshold", "plot_06_gate"])
def test_a_script_of_the_gallery_draws_its_figure(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    plt.close("all")
    path = ROOT / "docs" / "gallery" / f"{name}.py"
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"__name__": "__main__"})
    assert len(plt.get_fignums()) == 1 and plt.gcf().axes[0].has_data()
    plt.close("all")


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
