"""A report holds what the result holds, in one file that loads nothing and runs nothing of it."""

import html
import re
import warnings

import numpy as np
import pytest
from called_command import brainsnn

import brainsnn as bs


@pytest.fixture(scope="module")
def result(small_model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.UncalibratedWarning)
        warnings.simplefilter("ignore", bs.SaturationWarning)
        snn = bs.convert(small_model, bs.IF(), record={"conv": ["spikes", "v"]})
        found = snn.run(np.random.default_rng(0).random((5, 6, 6, 1)), 40 * bs.ms, seed=7)
    found.labels = np.array([0, 1, 2, 3, 0])
    return found


def test_report_holds_what_the_result_holds(result, tmp_path):
    (tmp_path / "study.py").write_text("print('<made here>')\n")
    path = result.report(tmp_path / "report.html", title="A <small> study", script=tmp_path / "study.py")
    page = path.read_text()
    text = html.unescape(re.sub(r"<[^>]*>", "", page))
    assert (
        f"{result.mean_firing_rate:.3g} Hz" in text
        and f"{100 * result.accuracy()[-1]:.1f}%" in text
        and "n = 5" in text
    )
    assert f"{result.spike_counts['conv'].mean():,.1f}" in text
    assert str(result.models["conv"]) in text and "print('<made here>')" in text and "A <small> study" in text
    assert all(str(result.settings[name]) in text for name in ("brainsnn", "brian2", "device", "schedule", "seed"))
    # five images; accuracy, rates, budget, raster, maps, traces
    assert page.count("data:image/png;base64,") == page.count("<figure>") == 11


def test_report_needs_nothing_else_and_runs_nothing(result, tmp_path):
    page = result.report(tmp_path / "report.html").read_text()
    assert not re.search(r"<script|https?://|@import|<link|url\(", page)
    assert not re.search(r'src="(?!data:)', page)
    anchors = re.findall(r'href="#(\w+)"', page)
    assert anchors and all(f'id="{anchor}"' in page for anchor in anchors)


def test_names_from_files_of_others_stay_text(tmp_path):
    found = bs.Result({"<script>alert(1)</script>": (1, 1, 2)}, 1e-3, 3)
    found.spike_counts["<script>alert(1)</script>"] = np.array([2])
    found.settings = {"model": "<img src=x onerror=alert(1)>"}
    page = found.report(tmp_path / "report.html").read_text()
    assert "<script>" not in page and "<img src=x" not in page and "&lt;script&gt;alert(1)" in page


def test_what_cannot_be_written_is_refused(result, tmp_path):
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        result.report(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text() == "mine"
    with pytest.raises(ValueError, match=r"\.html"):
        result.report(tmp_path / "report.pdf")
    with pytest.raises(IndexError, match="9"):
        result.report(tmp_path / "new.html", image=9)
    with pytest.raises(OSError, match="nowhere"):
        result.report(tmp_path / "new.html", script="nowhere.py")
    assert [p.name for p in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("name", ["result.npz", "result.nc"])
def test_command_writes_the_same_report(result, tmp_path, name):
    result.save(tmp_path / name, labels=result.labels) if name.endswith("npz") else result.to_netcdf(tmp_path / name)
    answer = brainsnn("report", tmp_path / name, "-o", tmp_path / "report.html", "--title", "Five")
    assert answer.exit_code == 0, answer.output
    page = (tmp_path / "report.html").read_text()
    assert "Five" in page and f"{result.mean_firing_rate:.3g} Hz" in page
    assert brainsnn("report", tmp_path / name, "-o", tmp_path / "report.html").exit_code == 1
