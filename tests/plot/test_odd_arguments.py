"""Odd values for every argument of every figure: refused in words, before anything is drawn, or a figure that can be drawn."""

import inspect
import re
import warnings
from pathlib import Path
from types import SimpleNamespace

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from brian2 import Hz, ms, mV, second

import brainsnn as bs
from brainsnn.analysis import dissimilarity_matrix
from brainsnn.attention import FeatureField, GaussianField
from brainsnn.one_line import brief
from brainsnn.results.description import PopulationModel
from brainsnn.results.plots import plot_raster

PACKAGE = Path(bs.__file__).parent
NAN, INF = float("nan"), float("inf")
RDM = 1 - np.eye(3)
IMAGES = np.full((2, 3, 3, 1), 0.5)
#: Given to every argument: each is refused, or drawn.
ANYTHING = [
    None, True, False, 0, -1, 7, 1.5, NAN, INF, 10**9, "", "x", [], (), {}, [[1], [2, 3]], [None], b"1", 1j, object(), 5 * mV,
    np.zeros(0), np.full((2, 2), NAN), np.zeros((0, 3, 1)), np.ma.masked_array([1.0], [True]), np.array(["a"]), plt,
]  # fmt: skip


def example(n_images=2, n_steps=20, spikes=True, recorded=None):
    """A result with spikes, an output, a gate, and states of a few neurons."""
    shapes = {"conv": (3, 3, 4), "dense": (1, 1, 5), "classes": (1, 1, 3), "input": (3, 3, 1)}
    found, random = bs.Result(shapes, 1e-3, n_steps), np.random.default_rng(1)
    for layer in ("conv", "dense"):
        n = int(np.prod(shapes[layer]))
        fired = random.random((n_images, n_steps, n)) < 0.2 * spikes
        if recorded is not None:
            found.spike_neurons[layer] = np.array(recorded, int)
            fired[..., np.setdiff1d(np.arange(n), recorded)] = False
        found.spikes[layer] = [np.nonzero(one)[::-1] for one in fired]
        found.spike_counts[layer] = fired.sum(axis=(1, 2))
    found.states["conv"] = {"v": random.random((n_images, n_steps, 2)), "w": random.random((n_images, n_steps, 2))}
    found.recorded["conv"] = {"v": np.array([0, 5]), "w": np.array([0, 5])}
    found.models["conv"] = PopulationModel("", "v > w", {}, {"v": "volt", "w": "1"})
    found.states["input"] = {name: random.random((n_images, n_steps, 9)) for name in ("is_open", "prediction")}
    found.outputs["classes"] = random.normal(size=(n_images, n_steps, 3))
    found.labels = np.arange(n_images) % 3
    return found


def compared(ann=(0.0, 0.5, 1.0), snn=(0.1, 0.5, 0.9)):
    """A comparison of one layer, as `brainsnn.compare_activations` returns it."""
    table = pd.DataFrame({"layer": ["conv"], "correlation": [0.9]})
    return SimpleNamespace(table=table, ann={"conv": np.array(ann)}, snn={"conv": np.array(snn)})


RESULT, EMPTY = example(), bs.Result({"conv": (3, 3, 4)}, 1e-3, 20)
COMPARISON = compared()
#: What each figure is drawn of. "accuracy of arrays" is `accuracy` of plain data.
GOOD = {
    "accuracy": {"results": RESULT},
    "accuracy of arrays": {"results": {"a": RESULT.output, "b": 2 * RESULT.output}, "labels": [0, 1], "dt": 1 * ms},
    "activations": {"comparison": COMPARISON, "layer": "conv"},
    "attention_field": {"field": bs.SpatialAttention((0.3, 0.6), 0.2)},
    "comparison": {"comparison": COMPARISON},
    "feature_maps": {"source": RESULT, "layer": "conv"},
    "feature_movie": {"result": RESULT, "layer": "conv", "path": "film.gif"},
    "feature_movie of frames": {"result": np.arange(24.0).reshape(2, 2, 2, 3), "path": "film.gif"},
    "gate": {"result": RESULT, "images": IMAGES},
    "gate of shares": {"result": ([1.0, 0.5], [2.0, 0.0]), "dt": 1 * ms},
    "latency_map": {"result": RESULT, "layer": "conv"},
    "latency_map of latencies": {"result": np.arange(12.0).reshape(2, 3, 2) / 1e3},
    "mosaic": {"maps": np.ones((2, 3, 4))},
    "raster": {"result": RESULT},
    "raster of events": {"result": {"a": ([0, 2], [0.0, 0.02]), "conv": ([1], [5] * ms)}, "duration": 20 * ms},
    "raster of steps": {"result": {"conv": RESULT.raster("dense")[0, :, 0, 0]}, "duration": 0.02},
    "rates": {"result": RESULT},
    "rates of images": {"result": {"a": [3, 4.5], "b": [1, 2] * Hz}},
    "rdm": {"dissimilarities": RDM, "classes": [0, 1, 1]},
    "spike_budget": {"results": {"a": RESULT}},
    "spike_budget of counts": {"results": {"a": RESULT, "b": {"conv": [3, 4], "dense": [0, 1]}}},
    "traces": {"result": RESULT, "layer": "conv", "neuron": 5},
    "traces of variables": {"result": {"v": [1, 2, 3] * mV, "w": [1, NAN, 2]}, "dt": 1 * ms, "spikes": [0.001]},
    "tuning_curve": {"values": [0, 1], "responses": [[1, 2], [3, 5]], "xlabel": "orientation (degrees)"},
}


def drawing(name):
    """Return the function that draws a figure."""
    return getattr(bs.plot, name.split(" of ")[0])


ARGUMENTS = [(name, argument) for name in GOOD for argument in inspect.signature(drawing(name)).parameters]
NO_RESULTS = [
    None,
    5,
    "result.npz",
    [RESULT],
    {},
    {"a": None},
    EMPTY,
    example(n_images=0),
    example(n_steps=0),
    bs.Result,
]
NO_LAYERS = [None, 5, "cnov", ["conv"], "input"]
NO_IMAGES = [2, -3, 0.5, NAN, None, True, "0", [0]]
NO_COUNTS = [0, -1, 1.5, NAN, True, "3", None, [3]]
NO_TIMES = [None, 0, -1e-3, NAN, INF, True, "1*ms", 1 * mV, [1e-3]]
NO_NUMBERS = [{"a": [-1.0]}, {"a": [NAN]}, {"a": [INF]}, {"a": 3}, {"a": "x"}, {"a": [[1, 2]]}, {"a": []}, {"a": {}}]
NO_TEXTS = [5, None, ["a"], b"a"]
#: By argument, or by figure and argument: what is refused.
REFUSED = {
    "result": NO_RESULTS, "results": NO_RESULTS, "layer": NO_LAYERS, "image": NO_IMAGES,
    "max_neurons": NO_COUNTS, "max_points": NO_COUNTS, "window": NO_COUNTS, "fps": [*NO_COUNTS, 101],
    "seed": [-1, 1.5, "1", None, NAN], "xlabel": NO_TEXTS, "ylabel": NO_TEXTS, "label": [5, ["a"], b"a"],
    "comparison": [None, {}, RESULT, 5, compared((), ()), compared((0.0, NAN, 1.0)), compared((0.0, 1.0))],
    "accuracy.labels": [[0], [0, 5], [0.5, 1], [NAN, 0], "01", [[0, 1]]],
    "accuracy.dt": [1e-3, 1 * ms, 0, "1*ms"],
    "accuracy of arrays.dt": NO_TIMES,
    "accuracy of arrays.labels": [None, [0], [0, 5], [0.5, 1]],
    "accuracy of arrays.results": [
        *NO_RESULTS, np.zeros((2, 3)), np.zeros((2, 0, 3)), np.full((2, 4, 3), INF), {"a": "x"}, [[[1], [1, 2]]],
        RESULT.output * mV,
    ],
    "accuracy.ann_accuracy": [98.0, -0.1, NAN, "0.9", True, [0.9]],
    "attention_field.field": [
        None, "x", [], np.zeros((0, 3)), [[NAN, 1.0]], np.zeros((3, 3, 2)), np.zeros(4), RESULT,
        FeatureField([1.0, 2.0]), FeatureField({"conv": [1.0, 2.0]}), GaussianField((0.5, 0.5), {"conv": 0.2}),
    ],
    "attention_field.image": [np.zeros(4), np.zeros((0, 3)), np.full((4, 4), 255.0), np.full((4, 4), NAN), np.zeros((4, 4, 2))],
    "attention_field.index": [-1, 0.5, None, "0", True],
    "attention_field.shape": [(3,), (0, 3), (3.5, 3), 5, "ab", (), (3, 3, 1)],
    "comparison.layers": [[], "cnov", ["cnov"], 5, [["conv"]], [None]],
    "feature_maps.source": [
        None, "x", 5, np.zeros((3, 3)), np.zeros((0, 3, 2)), np.full((3, 3, 2), INF), example(n_images=0), np.ones((2, 2, 1)),
    ],
    "feature_movie of frames.result": [*NO_RESULTS, np.ones((2, 3, 3)), np.full((1, 2, 2, 1), INF), np.ones((0, 2, 2, 1))],
    "feature_movie of frames.layer": ["conv", 5], "feature_movie of frames.image": [1, -1, None, True],
    "feature_movie of frames.window": [*NO_COUNTS, 10],
    "feature_movie.path": [None, 5, "", "film.avi", "film", "missing/film.gif"],
    "feature_movie.window": [*NO_COUNTS, 21],
    "gate.dt": [1e-3, 0, 1 * ms], "gate of shares.dt": NO_TIMES, "gate of shares.image": [1, None],
    "gate of shares.images": [IMAGES, 5],
    "gate of shares.result": [
        *(value for value in NO_RESULTS if not hasattr(value, "n_images")), ([1.0],), ([1.0], [1.0, 2.0]), ([1.5], [0.0]),
        ([-0.1], [0.0]), ([0.5], [-1.0]), ([NAN], [0.0]), (0.5, 1.0), ("a", "b"), [[1.0], [1.0]],
    ],
    "gate.images": [None, [], IMAGES[:1], IMAGES[..., 0], IMAGES * NAN, IMAGES * 0, "x"],
    "gate.result": [*NO_RESULTS, bs.Result({"input": (3, 3, 1)}, 1e-3, 20)],
    "latency_map.channel": [4, -1, 0.5, NAN, True, "0", [0]],
    "latency_map.onset": [-0.001, 0.02, 1 * second, 5 * mV, NAN, None, "5*ms", True],
    "latency_map of latencies.result": [*NO_RESULTS, [0.01], [[-0.01]], [[INF]], [[1.0]] * mV, np.zeros((1, 2, 2, 2)), [[]]],
    "latency_map of latencies.layer": ["conv", 5], "latency_map of latencies.image": [1, -1, None, True],
    "latency_map of latencies.onset": [0.01, 5 * ms, None], "latency_map of latencies.channel": [2, -1, 0.5],
    "mosaic.maps": [None, [], [1, 2], np.zeros((2, 2)), np.zeros((2, 2, 0)), np.full((2, 2, 2), INF), np.ones((2, 2, 2)) * 1j],
    "mosaic.columns": [0, -1, 1.5, True, NAN, "2", [2]],
    "raster.result": [value for value in NO_RESULTS if value != {"a": None}],  # without a duration, that is what is missing
    "rates.result": [*NO_RESULTS, *NO_NUMBERS, {"a": [1] * mV}, {"a": [1, 2], "b": [1]}],
    "spike_budget.results": [*NO_RESULTS, *({"a": own} for own in NO_NUMBERS), {"a": [3, 4]}, {"a": {"b": [1], "c": [1, 2]}}],
    "raster.duration": [0.02, 20 * ms, 0, "20*ms"],
    **dict.fromkeys(("raster of events.duration", "raster of steps.duration"), NO_TIMES),
    **dict.fromkeys(("raster of events.result", "raster of steps.result"), NO_RESULTS + [
        {"a": ([0], [0.0, 0.01])}, {"a": ([0], [0.03])}, {"a": ([-1], [0.01])}, {"a": ([0.5], [0.01])}, {"a": ([0], [NAN])},
        {"a": ([0], [1] * mV)}, {"a": ([True], [0.01])}, {"a": ([[0]], [[0.01]])}, {"a": np.zeros((2, 2, 2))}, {"a": "x"},
        {"a": np.full((3, 3), 2)}, {"a": np.zeros((20, 0))}, {"a": np.zeros(3)}, {"a": {}}, {"a": [[0, 3], [0.01, 0.02]]},
    ]),
    "raster.layers": [[], "cnov", ["conv", "cnov"], 5, ["conv", None], [["conv"]], "input"],
    "rdm.dissimilarities": [
        None, [], np.zeros((2, 3)), np.zeros(3), RDM * NAN, [[0, NAN], [1, 0]], 1 - RDM, np.triu(RDM), np.zeros((0, 0)), "x",
        [[0, 1], [1]],
    ],
    "rdm.classes": [[0], [[0, 1, 1]], [0, NAN, 1], [None, 0, 1], "abc", 0],
    "rdm.names": [["cat"], [], "cat", ["cat", 5], 5, {0: "cat", 1: "dog"}],
    "rdm.label": NO_TEXTS,
    "traces.neuron": [36, -1, 0.5, NAN, None, True, (0, 0), (3, 0, 0), (0.5, 0, 0), "0", 1, [[1], [2, 3]]],
    "traces.dt": [1e-3, 0, 1 * ms], "traces.spikes": [[0.001], [], 5],
    "traces.result": [value for value in NO_RESULTS if not isinstance(value, dict)],
    "traces of variables.result": [
        *(value for value in NO_RESULTS if value != EMPTY), {"v": 1}, {"v": [[1]]}, {"v": []}, {"v": [INF]},
        {"v": "x"}, {"v": [1], "w": [1, 2]}, {"v": [1 * mV, 2 * mV]},
    ],
    "traces of variables.layer": ["conv", 5], "traces of variables.neuron": [0, (0, 0, 0)],
    "traces of variables.image": [1, None],
    "traces of variables.threshold": [True, False, 5], "traces of variables.dt": NO_TIMES,
    "traces of variables.variables": [[], ["u"], "u", 5, [None], {"v": 1}],
    "traces of variables.spikes": [5, "x", [NAN], [-0.001], [0.1], [1, 2] * mV, [[0.001]]],
    "traces.variables": [["u"], "u", 5, [None], {"v": 1}],
    "traces.units": [5, "mV", {"v": "mV"}, {"v": 5}, {"u": mV}, {"v": second}, {"w": mV}, {"v": [1, 2] * mV}],
    "traces.threshold": [5, "yes", [True]],
    "tuning_curve.values": [None, [], [0], [0, NAN], [0, INF], [[0, 1]], "ab", [0, 1] * mV],
    "tuning_curve.responses": [None, [], [0], [0, NAN], np.zeros((2, 0)), np.zeros((2, 2, 2)), [[1], [2, 3]], np.ones(2) * 1j],
}  # fmt: skip


def axes_that_cannot_be_used():
    """Yield what are not plain axes; each makes its figure."""
    yield from (None, 5, "ax", plt)[1:]
    yield plt.figure()
    yield plt.subplots(1, 2)[1]
    yield plt.figure().add_subplot(projection="polar")
    yield plt.figure().add_subplot(projection="3d")
    removed = plt.subplots()[1]
    removed.remove()
    yield removed


def state_of(ax):
    """Return what drawing would change."""
    return len(ax.get_children()), ax.get_xlim(), ax.get_ylim(), ax.get_title(), ax.get_xlabel(), len(ax.figure.axes)


def call(name, own_axes, tmp_path, /, **given):
    """Draw a figure on axes, or write its film to a folder; each warning is an error."""
    function, arguments = drawing(name), GOOD[name] | given
    if "ax" in inspect.signature(function).parameters:
        arguments = {"ax": own_axes} | arguments
    if name.startswith("feature_movie") and isinstance(arguments["path"], str) and arguments["path"]:
        arguments["path"] = str(tmp_path / arguments["path"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return function(**arguments)


#: What messages say of arrays and results in place of their values.
WRONG_INSIDE = (
    "of shape", "of the projection", "removed", "names no layer", "none of them NaN", "NaN or infinite", "are infinite",
    "not an array of numbers", "holds", "hold no", "symmetric", "masked array", "with the unit", "labels for", "on the diagonal",
    "no labels", "activations of the ANN", "everywhere", "has values from", "was not recorded", "names layers", "values are NaN",
)  # fmt: skip


def check_refusal(error, argument, value):
    """The words are ours, and name the argument or the thing, and the value: as text, by its shape, or by what is wrong in it."""
    last, message = error.traceback[-1], str(error.value)
    assert Path(last.path).is_relative_to(PACKAGE) and str(last.statement).lstrip().startswith("raise "), (
        error.getrepr()
    )
    assert isinstance(error.value, (ValueError, TypeError, KeyError, IndexError, FileNotFoundError))
    assert isinstance(error.value, bs.UnknownNameError) or argument.rstrip("s") in message.lower(), (argument, message)
    parts = (*value, *value.values()) if isinstance(value, dict) else np.ravel(np.array(value, object)).tolist()
    shown = (*map(repr, parts), repr(value), str(value), brief(value), *WRONG_INSIDE)
    assert any(" ".join(text.split()) in " ".join(message.split()) for text in shown), (value, message)
    assert not re.search(r"\bplot_|^Result\.", message), message  # functions that the user did not call
    assert len(message.split()) > 6 and message.endswith((".", ")"))


def check_drawn(drawn, value=None):
    """The figure has finite limits and something to read, unless a text is given, and matplotlib can draw it."""
    if isinstance(drawn, (Path, np.ndarray)):
        assert drawn.is_file() if isinstance(drawn, Path) else drawn.ndim == 2
        return
    figure = drawn.figure if hasattr(drawn, "get_xlim") else drawn
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.draw_without_rendering()
    for ax in figure.axes:
        assert np.isfinite([*ax.get_xlim(), *ax.get_ylim()]).all()
    assert (
        isinstance(value, str)
        or any(ax.get_xlabel() or ax.get_ylabel() for ax in figure.axes)
        or figure.get_supxlabel()
    )


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize("name, argument", ARGUMENTS, ids=lambda text: text)
def test_anything_is_refused_in_words_or_drawn(name, argument, tmp_path):
    ax = plt.subplots()[1]
    before, opened = state_of(ax), plt.get_fignums()
    for value in ANYTHING:
        if argument == "ax" and value is None:
            continue
        try:
            drawn = call(name, ax, tmp_path, **{argument: value})
        except Exception:
            check_refusal(pytest.ExceptionInfo.from_current(), argument, value)
            assert state_of(ax) == before and plt.get_fignums() == opened, value
        else:
            check_drawn(drawn, value)
            plt.close("all")
            ax = plt.subplots()[1]
            before, opened = state_of(ax), plt.get_fignums()


@pytest.mark.parametrize("name, argument", ARGUMENTS, ids=lambda text: text)
def test_what_makes_no_sense_is_refused_before_anything_is_drawn(name, argument, tmp_path):
    keys = (f"{name}.{argument}", f"{name.split(' of ')[0]}.{argument}", argument)
    for value in axes_that_cannot_be_used() if argument == "ax" else next(REFUSED[k] for k in keys if k in REFUSED):
        ax = plt.subplots()[1]
        before, opened = state_of(ax), plt.get_fignums()
        with pytest.raises((ValueError, TypeError, KeyError, IndexError, FileNotFoundError)) as error:
            call(name, ax, tmp_path, **{argument: value})
        check_refusal(error, argument, value)
        assert state_of(ax) == before and plt.get_fignums() == opened and not list(tmp_path.iterdir())
        plt.close("all")


def source(name, result, **given):
    """Return a figure, and a result as its first argument."""
    return name, {"source" if name == "feature_maps" else "result": result, **given}


SILENT, PARTLY, SHORT, UNSEEN = example(spikes=False), example(recorded=[0, 2, 4]), example(1, 1), example(recorded=[])
UNKNOWN = example()
UNKNOWN.outputs["classes"][0, 7] = NAN
#: Unusual, and a figure all the same.
DRAWN = {
    **{f"{name} without spikes": source(name, SILENT)
       for name in ("raster", "rates", "latency_map", "feature_maps", "traces", "gate", "feature_movie")},
    **{f"{name} of three recorded neurons": source(name, PARTLY)
       for name in ("raster", "rates", "latency_map", "feature_maps", "traces", "feature_movie")},
    **{f"{name} of one step": source(name, SHORT) for name in ("raster", "rates", "latency_map", "feature_maps", "traces")},
    **{f"{name} of no recorded neuron": source(name, UNSEEN)
       for name in ("raster", "latency_map", "feature_maps", "feature_movie")},
    "film of one step": source("feature_movie", SHORT, window=1),
    "budget without spikes": ("spike_budget", {"results": {"a": SILENT, 5: RESULT}}),
    "budget without any spikes": ("spike_budget", {"results": SILENT}),
    "accuracy of NaN": ("accuracy", {"results": {"NaN": UNKNOWN}}),
    "accuracy of one step": ("accuracy", {"results": SHORT}),
    "a film that is NaN": ("feature_movie", {"result": np.full((2, 2, 3, 1), NAN), "layer": None}),
    "a film of negative values": ("feature_movie", {"result": np.full((1, 2, 3, 1), -5.0), "layer": None}),
    "maps that are NaN": ("feature_maps", {"source": np.full((2, 2, 3), NAN), "layer": None}),
    "a constant map": ("feature_maps", {"source": np.full((2, 2, 3), 5.0), "layer": None}),
    "a field that is 0": ("attention_field", {"field": np.zeros((4, 8))}),
    "a field of one pixel": ("attention_field", {"field": [[0.5]], "image": np.zeros((8, 4, 1))}),
    "dissimilarities of one image": ("rdm", {"dissimilarities": [[0.0]], "classes": None}),
    "an image whose pattern is undefined": ("rdm", {"dissimilarities": dissimilarity_matrix([[1, 2], [2, 1], [1, 1]])}),
    "names of absent classes": ("rdm", {"names": ["cat", "dog", "fish"]}),
    "only spikes": ("traces", {"variables": []}),
    "one response": ("tuning_curve", {"values": [1], "responses": [[3]]}),
    "more columns than maps": ("mosaic", {"columns": 10**9}),
    "equal activations": ("activations", {"comparison": compared([0.0] * 3, [0.0] * 3)}),
}  # fmt: skip


@pytest.mark.parametrize("case", DRAWN)
def test_what_is_unusual_is_drawn(case, tmp_path):
    name, given = DRAWN[case]
    check_drawn(call(name, None, tmp_path, **given))


def test_neurons_that_were_not_recorded_are_grey_and_counted():
    """A latency map, a map of rates and a raster by index say how many neurons were recorded."""
    partly, whole = example(recorded=[0, 2, 4]), example()
    for draw in (bs.plot.latency_map, bs.plot.feature_maps):
        assert draw(partly, "conv").get_title() == "conv, 3 of 36 neurons recorded"
        assert draw(whole, "conv").get_title() == "conv"
    assert bs.plot.latency_map(SILENT, "dense").get_title() == "dense, no spikes"
    grey = bs.plot.latency_map(partly, "conv", channel=0).images[1].get_array()
    assert np.ma.count(np.ma.masked_invalid(grey)) == 7  # of 9, neurons 0 and 4 are of the first channel
    ax = plot_raster(partly, "conv", max_neurons=3)
    assert ax.get_title() == "conv: 3 neurons recorded of 36 (grey: not recorded)"
    assert np.ma.count(np.ma.masked_invalid(ax.images[0].get_array())) == 33
    assert set(ax.collections[0].get_offsets()[:, 1]) == {0, 2, 4}
    assert not plot_raster(whole, "conv").images


def test_traces_of_a_neuron_whose_spikes_were_not_recorded_show_none():
    ax = bs.plot.traces(example(recorded=[0]), "conv", 5, variables=["v"])
    assert not ax.collections and ax.get_legend() is None
    assert bs.plot.traces(example(recorded=[0]), "conv", 0, variables=["v"]).collections


def test_a_silent_neuron_without_states_is_refused_with_what_to_record():
    silent = example(spikes=False)
    with pytest.raises(ValueError, match=r"does not spike in image 1.*draw variables=\['v', 'w'\]\.$"):
        bs.plot.traces(silent, "conv", 5, image=1, variables=[])
    silent.states = {}
    with pytest.raises(ValueError, match=r"does not spike in image 0.*record=\{'conv': \['spikes', 'v', 'w'\]\}\.$"):
        bs.plot.traces(silent, "conv", 5)
    with pytest.raises(ValueError, match=r"'dense', nothing.*record=\{'dense': \['spikes', 'v'\]\}\.$"):
        bs.plot.traces(silent, "dense", 0)
    assert not plt.get_fignums()


def test_a_tuning_curve_joins_its_values_in_ascending_order():
    ax = bs.plot.tuning_curve([180, 0, 90], [[5, 7], [1, 1], [3, 5]], "orientation (degrees)")
    np.testing.assert_allclose(ax.lines[0].get_xydata(), [[0, 1], [90, 4], [180, 6]])
    outline = ax.collections[0].get_paths()[0].vertices
    at_90 = outline[outline[:, 0] == 90, 1]
    assert at_90.min() < 4 < at_90.max() and set(outline[outline[:, 0] == 0, 1]) == {1}


def test_a_gate_of_some_pixels_is_refused():
    partly = example()
    partly.states["input"]["is_open"] = partly.states["input"]["is_open"][..., :4]
    with pytest.raises(ValueError, match="'is_open' was recorded of 4 of 9 pixels"):
        bs.plot.gate(partly, IMAGES)


def test_the_legend_of_a_budget_is_right_below_its_axes():
    """However high the axes are."""
    for size in ((4, 2), (4, 9)):
        ax = bs.plot.spike_budget({"a": RESULT, "b": RESULT}, ax=plt.subplots(figsize=size, layout="constrained")[1])
        ax.figure.draw_without_rendering()
        gap = ax.xaxis.label.get_window_extent().y0 - ax.get_legend().get_window_extent().y1
        assert 0 <= gap * 72 / ax.figure.dpi < 10


def test_an_image_whose_pattern_is_undefined_is_counted():
    ax = bs.plot.rdm(dissimilarity_matrix([[1, 2, 3], [2, 1, 5], [1, 1, 1]]))
    assert ax.get_title() == "n = 3 images, 1 of them undefined (grey)"
    assert np.ma.count(np.ma.masked_invalid(ax.images[0].get_array())) == 4


def test_a_layer_whose_name_starts_with_an_underscore_is_in_the_legend():
    found = bs.Result({"_conv": (1, 1, 2)}, 1e-3, 5)
    found.spike_counts["_conv"] = np.array([3, 4])
    assert [text.get_text() for text in bs.plot.spike_budget(found).get_legend().get_texts()] == ["_conv"]
