"""
Every panel against a picture that somebody has looked at, on the axes that are given, and what panels refuse.

After an intended change: ``BRAINSNN_NEW_BASELINES=1 pytest tests/plot``, look at ``tests/plot/baseline``, and commit it.
"""

import os
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from brian2 import mV, second
from matplotlib.testing.compare import compare_images
from PIL import Image, ImageSequence

import brainsnn as bs
from brainsnn.analysis import ActivationComparison

BASELINE = Path(__file__).parent / "baseline"
#: Root mean square of the difference of pixel values (0 to 255): fonts differ a little between versions of matplotlib.
TOLERANCE = 14.0
SHAPES = {"conv1": (6, 5, 7), "conv2": (3, 3, 4), "dense": (1, 1, 12)}


@pytest.fixture(scope="module")
def result():
    random = np.random.default_rng(0)
    found = bs.Result(SHAPES | {"classes": (1, 1, 3)}, 1e-3, 80)
    for k, (layer, shape) in enumerate(SHAPES.items()):
        n = int(np.prod(shape))
        chance = random.random(n) * 0.15
        found.spikes[layer] = []
        for _ in range(4):
            neurons, steps = np.nonzero(random.random((n, 80)) < np.where(np.arange(80) >= 10 * k, chance[:, None], 0))
            order = np.argsort(steps, kind="stable")
            found.spikes[layer].append((neurons[order], steps[order]))
        found.spike_counts[layer] = np.array([len(steps) for _, steps in found.spikes[layer]])
    found.outputs["classes"] = np.cumsum(random.normal(0.02, 0.1, (4, 80, 3)), axis=1)
    return found


@pytest.fixture(scope="module")
def gated():
    """A gate over images of 4 x 4 pixels that closes one pixel after the other."""
    found = bs.Result({"input": (4, 4, 1)}, 1e-3, 40)
    steps, pixels = np.arange(40)[:, None], np.arange(16)
    opened = np.broadcast_to(steps < 8 + 2 * pixels, (2, 40, 16)).astype(float)
    found.recorded["input"] = dict.fromkeys(("is_open", "prediction"), np.arange(16))
    found.states["input"] = {"is_open": opened, "prediction": np.broadcast_to(steps / 40 * pixels / 16, (2, 40, 16))}
    return found


IMAGES = np.tile((np.arange(16) / 16).reshape(4, 4, 1), (2, 1, 1, 1))
CLASSES = np.array([2, 0, 1, 0, 2, 1])


def dissimilarities():
    values = np.random.default_rng(3).normal(size=(6, 20)) + 2 * np.random.default_rng(4).normal(size=(3, 20))[CLASSES]
    return 1 - np.corrcoef(values)


def compared():
    """A comparison of two layers, as `bs.compare_activations` returns it."""
    random = np.random.default_rng(5)
    ann = {name: random.gamma(1.0, 0.4, (4, 3, 3, 8)) for name in ("conv1", "conv2")}
    snn = {name: values + random.normal(0, 0.05, values.shape) for name, values in ann.items()}
    correlations = [np.corrcoef(ann[name].ravel(), snn[name].ravel())[0, 1] for name in ann]
    table = pd.DataFrame({"layer": list(ann), "correlation": correlations})
    return ActivationComparison(table, ann, snn, 500 * bs.ms, 200 * bs.ms)


def traced(ax):
    t = np.arange(60) * 1.0
    given = {"S": 0.5 * (1 - np.exp(-t / 10)), "S_hat": 0.45 * (1 - np.exp(-t / 14)) + 0.04 * np.sin(t)}
    return bs.plot.traces(given, dt=1 * bs.ms, spikes=[8, 20, 35, 51] * bs.ms, ax=ax)


def drawn_mosaic(ax):
    ax = plt.subplots(figsize=(3.3, 2.5))[1] if ax is None else ax
    ax.imshow(bs.plot.mosaic(np.arange(5 * 4 * 6).reshape(5, 4, 6) % 23))
    ax.set(xlabel="firing rate (Hz)")
    return ax


PANELS = {
    "traces": lambda r, g, ax: traced(ax),
    "activations": lambda r, g, ax: bs.plot.activations(compared(), "conv2", ax=ax),
    "mosaic": lambda r, g, ax: drawn_mosaic(ax),
    "raster": lambda r, g, ax: bs.plot.raster(r, max_neurons=40, ax=ax),
    "rates": lambda r, g, ax: bs.plot.rates(r, ax=ax),
    "feature_maps": lambda r, g, ax: bs.plot.feature_maps(r, "conv1", ax=ax),
    "feature_array": lambda r, g, ax: bs.plot.feature_maps(np.arange(24.0).reshape(2, 3, 4), label="potential (mV)", ax=ax),
    "latency_map": lambda r, g, ax: bs.plot.latency_map(r, "conv2", ax=ax),
    "attention_field": lambda r, g, ax: bs.plot.attention_field(bs.SpatialAttention((0.3, 0.6), 0.2), IMAGES[0], ax=ax),
    "gate": lambda r, g, ax: bs.plot.gate(g, IMAGES, ax=ax),
    "rdm": lambda r, g, ax: bs.plot.rdm(dissimilarities(), CLASSES, ["cat", "dog", "fish"], ax=ax),
    "tuning_curve": lambda r, g, ax: bs.plot.tuning_curve(
        [0, 45, 90, 135], np.random.default_rng(0).poisson([[5] * 9, [20] * 9, [8] * 9, [3] * 9]), "orientation (degrees)", ax=ax
    ),
    "spike_budget": lambda r, g, ax: bs.plot.spike_budget({"one": r, "the same": r}, ax=ax),
    "accuracy": lambda r, g, ax: bs.plot.accuracy(r, [0, 1, 2, 0], ax=ax),
}  # fmt: skip


#: What makes a whole figure, or a film, of which the last frame is looked at.
FIGURES = {
    "comparison": lambda r, path: bs.plot.comparison(compared()).savefig(path, dpi=100),
    "feature_movie": lambda r, path: last_frame(bs.plot.feature_movie(r, "conv1", path.with_suffix(".gif"), window=20), path),
}  # fmt: skip


def last_frame(film, path):
    with Image.open(film) as frames:
        frames.seek(frames.n_frames - 1)
        frames.convert("RGB").save(path)


def test_the_range_of_rates_is_drawn_where_it_is():
    """Also where the mean lies outside of it, as with one image that spikes."""
    one = np.zeros(100)
    one[0] = 1000
    ax = bs.plot.rates({"one": one, "even": np.arange(101.0)[:100]})
    drawn = np.array([segment[:, 0] for segment in ax.collections[0].get_segments()])
    expected = [np.percentile(values, [2.5, 97.5]) for values in (one, np.arange(100.0))]
    np.testing.assert_allclose(drawn, expected, atol=1e-9)
    plt.close(ax.figure)


def test_every_function_that_draws_has_a_picture():
    drawn = {"feature_array", *bs.plot.__all__}
    assert {*PANELS, *FIGURES} == drawn == {path.stem for path in BASELINE.glob("*.png")}


@pytest.mark.parametrize("name", [*PANELS, *FIGURES])
def test_panel_looks_as_it_did(name, result, gated, tmp_path):
    path = tmp_path / f"{name}.png"
    if name in FIGURES:
        FIGURES[name](result, path)
    else:
        PANELS[name](result, gated, None).figure.savefig(path, dpi=100)
    plt.close("all")
    expected = BASELINE / path.name
    if os.environ.get("BRAINSNN_NEW_BASELINES"):
        expected.write_bytes(path.read_bytes())
    assert compare_images(str(expected), str(path), TOLERANCE) is None


@pytest.mark.parametrize("name", PANELS)
def test_panel_is_drawn_on_the_axes_that_are_given_and_has_units(name, result, gated):
    figure, (own, other) = plt.subplots(1, 2)
    ax = PANELS[name](result, gated, own)
    assert ax is own and ax.has_data() and not other.has_data()
    labels = " ".join(text for axes in figure.axes for text in (axes.get_xlabel(), axes.get_ylabel()))
    assert any(
        unit in labels
        for unit in ("(ms)", "(Hz)", "(%)", "(mV)", "modulation", "correlation", "per image", "activation")
    )
    plt.close(figure)


def test_new_panels_are_as_wide_as_a_column(result):
    ax = bs.plot.raster(result)
    assert ax.figure.get_size_inches()[0] == pytest.approx(85 / 25.4)
    plt.close(ax.figure)


def test_what_is_drawn_is_what_the_result_holds(result):
    maps = bs.plot.feature_maps(result, "conv1", image=2)
    picture = maps.images[0].get_array()
    rates = result.raster("conv1")[2].sum(axis=0) / 0.08
    np.testing.assert_allclose(picture[:6, :5], rates[..., 0])
    np.testing.assert_allclose(np.nansum(picture), rates.sum())
    first = bs.plot.latency_map(result, "conv2", channel=1).images[0].get_array()
    raster = result.raster("conv2")[0][..., 1]
    expected = np.where(raster.any(axis=0), raster.argmax(axis=0), np.nan)
    np.testing.assert_allclose(np.ma.filled(first, np.nan), expected)
    budget = bs.plot.spike_budget(result)
    widths = {bar.get_label(): bar.patches[0].get_width() for bar in budget.containers}
    assert widths == {name: counts.mean() for name, counts in result.spike_counts.items()}
    plt.close("all")


def test_neurons_that_were_not_recorded_are_not_drawn_as_silent(result):
    partly = bs.Result(SHAPES, 1e-3, 80)
    recorded = np.array([3, 50, 100])
    neurons, steps = result.spikes["conv1"][0]
    kept = np.isin(neurons, recorded)
    partly.spikes["conv1"] = [(neurons[kept], steps[kept])]
    partly.spike_counts["conv1"] = np.array([len(neurons)])
    partly.spike_neurons["conv1"] = recorded
    picture = np.ma.filled(bs.plot.feature_maps(partly, "conv1").images[0].get_array(), np.nan)
    assert np.isfinite(picture).sum() == 3
    ax = bs.plot.raster(partly)
    assert ax.get_yticklabels()[0].get_text() == "conv1:\n3 recorded\n(210 neurons)"
    assert len(ax.lines[0].get_xdata()) == kept.sum()
    plt.close("all")


def test_film_has_a_frame_for_each_window(result, tmp_path):
    path = bs.plot.feature_movie(result, "conv1", tmp_path / "film.gif", window=20)
    with Image.open(path) as film:
        assert film.n_frames == 4
        film.seek(3)
        assert np.asarray(film.convert("RGB")).std() > 10
    assert [p.name for p in tmp_path.iterdir()] == ["film.gif"]


def test_film_of_an_array_is_that_of_a_result(result, tmp_path):
    """But for the titles, each frame is nearest to its own."""
    rates = result.raster("conv1")[0].reshape(4, 20, *SHAPES["conv1"]).sum(axis=1) / 0.02
    paths = [
        bs.plot.feature_movie(result, "conv1", tmp_path / "result.gif"),
        bs.plot.feature_movie(rates, path=tmp_path / "array.gif", label="firing rate (Hz)"),
    ]
    of_result, of_array = ([np.asarray(f.convert("RGB"), int)[60:] for f in ImageSequence.Iterator(Image.open(path))]
                           for path in paths)  # fmt: skip
    far = np.array([[np.abs(one - other).mean() for other in of_array] for one in of_result])
    assert far.shape == (4, 4) and (far.argmin(axis=1) == np.arange(4)).all()
    assert far.diagonal().max() < 4 < far[~np.eye(4, dtype=bool)].min(), far  # axes may lie one pixel apart


@pytest.mark.parametrize("nested", [False, True])
def test_film_on_the_axes_of_a_figure_shows_the_whole_figure(result, tmp_path, nested):
    figure = plt.figure(figsize=(5, 2), dpi=100, layout="constrained")
    first, second = (figure.subfigures() if nested else figure).subplots(1, 2)
    bs.plot.rates(result, ax=first)
    path = bs.plot.feature_movie(result, "conv1", tmp_path / "film.gif", ax=second)
    with Image.open(path) as film:
        frames = [np.asarray(f.convert("L"), float) for f in ImageSequence.Iterator(film)]
    assert {frame.shape for frame in frames} == {(300, 750)}  # 150 dots an inch
    half = frames[0].shape[1] // 2
    assert frames[0][:, :half].std() > 10 and np.ptp(np.stack(frames)[:, 60:, half:], axis=0).max() > 10
    assert plt.fignum_exists(figure.number) and second.get_title() == "conv1, 60 to 80 ms"
    plt.close(figure)


def test_what_cannot_be_drawn_is_refused(result, gated, tmp_path):
    with pytest.raises(ValueError, match="name a layer"):
        bs.plot.feature_maps(result)
    with pytest.raises(bs.UnknownNameError, match="conv1"):
        bs.plot.raster(result, "conv11")
    with pytest.raises(ValueError, match="no spikes were recorded"):
        bs.plot.raster(gated)
    with pytest.raises(IndexError, match="4"):
        bs.plot.latency_map(result, "conv1", image=4)
    with pytest.raises(IndexError, match="channels 0 to 3"):
        bs.plot.latency_map(result, "conv2", channel=-1)
    with pytest.raises(ValueError, match="names no layer"):
        bs.plot.raster(result, [])
    with pytest.raises(ValueError, match="rows, columns, channels"):
        bs.plot.mosaic([1, 2])
    with pytest.raises(ValueError, match="square"):
        bs.plot.rdm(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="classes of shape"):
        bs.plot.rdm(np.zeros((2, 2)), [0])
    with pytest.raises(ValueError, match="responses of shape"):
        bs.plot.tuning_curve([1, 2], [1], "x (mm)")
    with pytest.raises(ValueError, match="images of shape"):
        bs.plot.gate(gated, IMAGES[:1])
    with pytest.raises(ValueError, match="image of shape"):
        bs.plot.attention_field(bs.SpatialAttention((0.5, 0.5)), np.zeros(4))
    for options, message in (({"window": 100}, "trial has 80"), ({"window": 0}, "window"), ({"fps": 0}, "fps")):
        with pytest.raises(ValueError, match=message):
            bs.plot.feature_movie(result, "conv1", tmp_path / "film.gif", **options)
    with pytest.raises(ValueError, match=r"\.gif or \.mp4"):
        bs.plot.feature_movie(result, "conv1", tmp_path / "film.avi")
    assert not list(tmp_path.iterdir())
    plt.close("all")


def drawn(ax):
    """Return the lines, bars, pictures and texts of axes."""
    texts = [
        ax.get_xlabel(),
        ax.get_ylabel().removesuffix(" (ANN units)"),
        *(label.get_text() for label in ax.get_yticklabels()),
    ]
    lines = [sorted(line.get_xydata().round(9).tolist()) for line in ax.lines]
    bars = [(bar.get_x(), bar.get_y(), bar.get_width()) for bar in ax.patches]
    pictures = [np.ma.filled(image.get_array(), np.nan).round(9).tolist() for image in ax.images]
    bands = [path.vertices.tolist() for own in ax.collections for path in own.get_paths()]
    return texts, lines, bars, str(pictures), bands, ax.get_xlim(), ax.get_ylim()


def first_spikes(result, layer):
    """Return when each neuron spikes first in the first image, in seconds."""
    raster = result.raster(layer)[0]
    return np.where(raster.any(axis=0), raster.argmax(axis=0) * 1e-3, np.nan)


#: The same figure of plain data and of a result.
PLAIN = {
    "accuracy": (lambda r, g: bs.plot.accuracy(r, [0, 1, 2, 0], window=3),
                 lambda r, g: bs.plot.accuracy(r.output.tolist(), [0, 1, 2, 0], window=3, dt=1 * bs.ms)),
    "raster": (lambda r, g: bs.plot.raster(r, max_neurons=40),
               lambda r, g: bs.plot.raster({name: r.raster(name)[0].reshape(80, -1) for name in SHAPES}, duration=80 * bs.ms,
                                           max_neurons=40)),
    "rates": (lambda r, g: bs.plot.rates(r), lambda r, g: bs.plot.rates(dict(r.firing_rates))),
    "gate": (lambda r, g: bs.plot.gate(g, IMAGES, image=1),
             lambda r, g: bs.plot.gate(([(one * IMAGES[1]).sum() / IMAGES[1].sum() for one in g.gate[1]],
                                        [abs(one - IMAGES[1]).sum() / IMAGES[1].sum() for one in g.predicted_input[1]]),
                                       dt=1 * bs.ms)),
    "latency_map": (lambda r, g: bs.plot.latency_map(r, "conv2"), lambda r, g: bs.plot.latency_map(first_spikes(r, "conv2"))),
    "a channel": (lambda r, g: bs.plot.latency_map(r, "conv1", channel=3),
                  lambda r, g: bs.plot.latency_map(first_spikes(r, "conv1")[..., 3])),
    "traces": (lambda r, g: bs.plot.traces(g, "input", (1, 1, 0)),
               lambda r, g: bs.plot.traces({name: g.states["input"][name][0, :, 5] for name in ("is_open", "prediction")},
                                           dt=1e-3)),
    "spike_budget": (lambda r, g: bs.plot.spike_budget({"a": r, "b": r}),
                     lambda r, g: bs.plot.spike_budget({"a": dict(r.spike_counts), "b": r})),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_plain_data_are_drawn_as_a_result_is(name, result, gated):
    of_result, of_data = (draw(result, gated) for draw in PLAIN[name])
    assert of_data.has_data() and drawn(of_data) == drawn(of_result)
    plt.close("all")


def test_a_raster_of_events_shows_each_of_them():
    neurons, times = np.array([4, 0, 9]), [30, 10, 20] * bs.ms
    ax = bs.plot.raster({"V1": (neurons, times), "V2": ([], [])}, duration=50 * bs.ms)
    assert ax.lines[0].get_xydata().tolist() == [[30, 4], [10, 0], [20, 9]] and ax.get_xlim() == (0, 50)
    assert [label.get_text() for label in ax.get_yticklabels()] == ["V1:\nneurons 0 to 9", "V2:\nno spikes"]
    ax = bs.plot.raster({"V1": (neurons, times)}, duration=50 * bs.ms, max_neurons=2)
    assert ax.lines[0].get_xydata().tolist() == [[10, 0], [20, 1]]
    assert ax.get_yticklabels()[0].get_text() == "V1:\n2 of neurons 0 to 9"
    ax = bs.plot.raster({"V1": ([0, 10**11], [0.01, 0.02])}, duration=0.05)  # takes no memory for silent ones
    assert ax.lines[0].get_xydata().tolist() == [[10, 0], [20, 149]]
    plt.close("all")


def test_traces_of_plain_data_have_units_and_spikes():
    given = {"v": [1, 2, 3, 4] * mV, "w": [5, 6, 7, 8]}
    ax = bs.plot.traces(given, dt=2 * bs.ms, spikes=[1, 7] * bs.ms, units={"v": mV})
    v, w = (line.get_xydata().round(9).tolist() for line in ax.lines)
    assert v == [[0, 1], [2, 2], [4, 3], [6, 4]] and w == [[0, 5], [2, 6], [4, 7], [6, 8]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["v (mV)", "w", "spikes"]
    assert [segment[0][0] for segment in ax.collections[0].get_segments()] == [1, 7] and ax.get_xlim() == (0, 8)
    ax = bs.plot.traces(given, variables="v", dt=0.002)
    assert ax.get_ylabel() == "v (V)" and not ax.collections
    with pytest.raises(ValueError, match="does not fit: the unit of 'v' is V"):
        bs.plot.traces(given, dt=0.002, units={"v": second})
    plt.close("all")
