"""A report shows the inputs, the network, the versions and the settings of the run, also of a result that was saved."""

import base64
import html
import io
import json
import re
import warnings
from collections import deque

import matplotlib.image
import numpy as np
import pytest
from called_command import brainsnn

import brainsnn as bs
from brainsnn.report.inputs import chosen_inputs, pictures_of
from brainsnn.system import versions

ATTENTION = bs.SpatialAttention(center=(0.3, 0.7), width=0.2, precision=0.3)
#: What a result of brainsnn 0.2.0.dev, before reports showed it, does not hold.
NEW = ("network", "versions", "input", "gate")


def text_of(path):
    """Return the words of a page, with `|` between cells."""
    page = re.sub(r"<style>.*?</style>", "", path.read_text(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]*>", "", re.sub(r"</t[dh]>", "| ", page))).split())


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).random((10, 6, 6, 1)) * 0.5


@pytest.fixture(scope="module")
def snn(small_model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.UncalibratedWarning)
        made = bs.convert(small_model, bs.ASN(), record={"conv": ["spikes"]})
    made.attend(ATTENTION)
    return made


@pytest.fixture(scope="module")
def result(snn, images):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.SaturationWarning)
        found = snn.run(images, 40 * bs.ms, seed=7, onset=5 * bs.ms, background=0.25)
    found.labels = np.arange(10) % 4
    return found


def reloaded(result, folder, form):
    if form == "npz":
        return bs.Result.load(result.save(folder / "run"))
    return bs.Result.from_xarray(getattr(result, f"to_{form}")(folder / "run.nc"))


@pytest.mark.parametrize("form", ["npz", "netcdf", "zarr"])
def test_a_saved_result_reports_its_network_versions_and_settings(snn, result, tmp_path, form, monkeypatch):
    loaded = reloaded(result, tmp_path, form)
    assert loaded.settings == result.settings
    monkeypatch.setattr(versions.platform, "python_version", lambda: "9.9.9")  # of another machine
    versions.installed_versions.cache_clear()
    try:
        text = text_of(loaded.report(tmp_path / "report.html"))
    finally:
        versions.installed_versions.cache_clear()
    printed = str(snn.graph).splitlines()
    assert printed[0] in text
    for line in printed[2:]:
        assert set(line) <= {"-"} or "|".join(cell.strip() for cell in re.split(r"  +", line)) in text.replace(
            "| ", "|"
        ), line
    for name in ("Python", "numpy", "brian2", "keras", "brainsnn", "C++ compiler", "system"):
        assert f"{name}| {result.settings['versions'][name]}|" in text
    assert "9.9.9" not in text
    for row in (
        "dt| 1 ms|",
        "duration| 40 ms|",
        "seed| 7|",
        "device| runtime|",
        "schedule| pipelined: a spike acts in the",
    ):
        assert row in text
    assert f"attention| {result.settings['attention']['text']} in " in text and '"strengths"' not in text


def test_a_stream_keeps_network_and_versions(snn, images, tmp_path):
    pytest.importorskip("zarr")
    settings = snn.run(images[:2], 5 * bs.ms, stream_to=tmp_path / "stream").settings
    assert bs.Result.load(tmp_path / "stream").settings == settings
    assert settings["network"]["title"] == str(snn.graph).splitlines()[0]
    assert settings["input"] == {"shape": [6, 6, 1], "smallest": images[:2].min(), "largest": images[:2].max()}


def test_pictures_are_the_images_with_label_and_decision(result, images, tmp_path):
    path = result.report(tmp_path / "report.html", images=images, image=9)
    text, decisions = text_of(path), result.output[:, -1].argmax(axis=1)
    for k in (*range(8), 9):
        assert f"image {k}, label {k % 4}, decision {decisions[k]}" in text
    assert "image 8, label" not in text and "images were not given" not in text
    for row in ("rows x columns x channels| 6 x 6 x 1|", "onset| 5 ms|", "offset| to the end|", "background| 0.25|"):
        assert row in text
    assert f"range| {images.min():g} to {images.max():g}|" in text
    assert path.read_text().count('<img src="data:image/png;base64,') == 9 + 5  # accuracy, rates, budget, raster, maps


def test_a_run_shows_its_first_images_also_when_the_array_has_changed(snn, images, tmp_path):
    own = images.copy()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.SaturationWarning)
        found = snn.run(own, 5 * bs.ms)
    own[:] = 0
    assert pictures_of(found, None, 9) == pictures_of(found, images, 0)
    text = text_of(found.report(tmp_path / "report.html", image=9))
    assert "image 7, decision" in text and "image 8" not in text and "images were not given" not in text
    assert "Image 9, whose spikes are drawn below, is not among them" in text
    assert "whose spikes" not in text_of(found.report(tmp_path / "first.html", image=7))
    for other in (images[::-1], np.roll(images, 1, axis=0)):
        with pytest.raises(ValueError, match="images are not those of the run"):
            found.report(tmp_path / "other.html", images=other)
    with pytest.raises(AttributeError):
        found.first_images = images
    found.settings["images"] = [*range(1, 11)]  # of a run that ended early, without the first
    assert pictures_of(found, None, 0) == []


def test_images_need_not_be_a_sequence_that_can_be_cut(snn, images):
    class Lazy:
        def __array__(self, dtype=None, copy=None):
            return images.astype(dtype or float)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", bs.SaturationWarning)
        for given in (Lazy(), deque(images)):
            np.testing.assert_array_equal(snn.run(given, 5 * bs.ms).first_images, images[:8])


def test_values_that_were_set_are_those_of_equations_settings_and_tables(small_model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        snn = bs.convert(small_model, bs.ASN())
        snn["conv"].gain = 1.25
        snn["conv"].m_f, snn["conv"].h = 0.3, 0.4
        found = snn.run(np.full((1, 6, 6, 1), 0.5), 5 * bs.ms)
        assert "gain = 1.25" in str(found.models["conv"]) and "m_f = 0.3" in str(found.models["conv"])
        snn.attend(ATTENTION)
        assert "gain = 1.25" in str(snn.run(np.full((1, 6, 6, 1), 0.5), 5 * bs.ms).models["conv"])


def test_a_picture_has_the_values_of_the_image(result, images):
    low, high = images.min(), images.max()
    uris = [uri for _, uri in pictures_of(result, images, 0)]
    for image, uri in zip(images, uris):
        pixels = matplotlib.image.imread(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
        np.testing.assert_allclose(pixels[..., 0], (image[..., 0] - low) / (high - low), atol=0.51 / 255)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x: x[:3], "got 3, and the result is of 10"),
        (lambda x: x[..., 0], r"shape \(10, 6, 6\)"),
        (lambda x: x[:, :5], r"shape \(10, 5, 6, 1\)"),
        (lambda x: x * 255, "Give the images as they were run"),
        (lambda x: x * np.nan, "NaN"),
    ],
)
def test_images_of_another_run_are_refused(result, images, tmp_path, change, words):
    with pytest.raises(ValueError, match=f"Result.report: images.*{words}"):
        result.report(tmp_path / "report.html", images=change(images))
    assert not any(tmp_path.iterdir())


def test_a_run_that_ended_early_shows_the_complete_images(result, images, tmp_path):
    short = bs.Result(result.shapes, result.dt, result.n_steps)
    short.spike_counts = {name: counts[[1, 4]] for name, counts in result.spike_counts.items()}
    short.settings = {**result.settings, "images": [1, 4]}
    np.testing.assert_array_equal(chosen_inputs(short, images), images[[1, 4]])
    np.testing.assert_array_equal(chosen_inputs(short, images[[1, 4]]), images[[1, 4]])
    assert "complete are [1, 4]" in text_of(short.report(tmp_path / "report.html", images=images))


def test_an_older_result_makes_a_report(result, images, tmp_path):
    old = reloaded(result, tmp_path, "npz")
    for name in NEW:
        del old.settings[name]
    old = bs.Result.load(old.save(tmp_path / "old"))
    text = text_of(old.report(tmp_path / "report.html", images=images))
    assert "does not hold the table of the network" in text and f"brian2| {result.settings['brian2']}|" in text
    assert "range|" in text and "image 0, label 0" in text
    old.settings = {}  # as of brainsnn 0.1
    assert "images were not given" in text_of(old.report(tmp_path / "empty.html"))
    answer = brainsnn("report", tmp_path / "old.npz", "-o", tmp_path / "more.html", "--images", tmp_path / "old.npz")
    assert answer.exit_code != 0 and "does not name the shape of its images" in answer.output


@pytest.mark.parametrize("value", ["text", 3, None, [], {}, [["a"]], {"title": 1, "layers": [[1]], "projections": []}])
def test_settings_of_any_kind_make_a_report(result, tmp_path, value):
    found = reloaded(result, tmp_path, "npz")
    found.settings = {name: value for name in (*result.settings, "images", "other")} | {"parameters": {}}
    text = text_of(found.report(tmp_path / "report.html"))
    assert "does not hold the table of the network" in text and "other|" in text


def test_the_gate_is_one_line_and_its_equations_are_below(result, tmp_path):
    found = reloaded(result, tmp_path, "npz")
    found.settings |= {"gate": "PredictiveGate(mode='sticky')", "feedback": "prediction: spikes\n  equations"}
    text = text_of(found.report(tmp_path / "report.html"))
    assert (
        "feedback| PredictiveGate(mode='sticky')|" in text
        and "prediction and gate prediction: spikes equations" in text
    )


def test_without_script_or_images_page_and_terminal_say_how_to_add_them(result, images, tmp_path):
    path, page = result.save(tmp_path / "run"), tmp_path / "report.html"
    answer = brainsnn("report", path, "-o", page)
    assert answer.exit_code == 0 and "--script study.py" in answer.output and "--images FILE" in answer.output
    text = text_of(page)
    assert "No script is included." in text and "brainsnn report RESULT --script study.py" in text
    assert "images were not given" in text and "result.report(..., images=images)" in text
    (tmp_path / "study.py").write_text("print('made')\n")
    np.savez(tmp_path / "images.npz", images=np.concatenate([images, images]))  # as of brainsnn run --limit 10
    answer = brainsnn(
        "report", path, "-o", page, "--force", "-i", tmp_path / "images.npz", "--script", tmp_path / "study.py"
    )
    assert answer.exit_code == 0 and "--script" not in answer.output and "--images" not in answer.output, answer.output
    assert "print('made')" in (text := text_of(page)) and "image 7, label 3" in text and "No script" not in text
    assert brainsnn("report", path, "-o", page, "--force", "--resize").exit_code == 2


def test_settings_are_plain_and_small(result):
    assert len(json.dumps(result.settings)) < 8_000
    assert result.settings["network"]["layers"][0] == ["layer", "class", "output", "became"]
