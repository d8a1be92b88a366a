"""Every row of docs/options.md is executed: it is refused with these words, acts, or has no effect."""

from pathlib import Path

import keras
import matplotlib.pyplot as plt
import numpy as np
import pytest
from brian2 import ms, second
from options_page import documented_parameters, exceptions
from public_parameters import public_parameters
from small_network import trial_facts

import brainsnn as bs
from brainsnn.analysis import plot_traces
from brainsnn.attention import GaussianField
from brainsnn.results import Result
from brainsnn.results.description import PopulationModel

GATE = bs.PredictiveGate()
ROWS = {str(row): row for row in exceptions()}


def unit(x):
    return {"y": x}


def test_page_lists_every_parameter():
    """The page and the signatures name the same functions and parameters."""
    assert documented_parameters() == {name: parameters for _, name, parameters in public_parameters()}


NIR_FILE = Path(__file__).parents[1] / "builders" / "from_nir" / "data" / "snntorch_dense.nir"


def convert(small, **options):
    return bs.convert(**small.convert_base | options)


def run(small, names=(), **options):
    return small.network(names).run(**small.run_base | options)


def gate_beside(model, **options):
    return bs.PredictiveGate(**options, model=bs.PredictiveGate(**model).model)


def plot(rule="v > 1", **options):
    result = Result({"conv": (1, 1, 1)}, 1e-3, 2)
    result.outputs["readout"] = np.zeros((1, 2, 1))
    result.states["conv"], result.recorded["conv"] = {"v": np.zeros((1, 2, 1))}, {"v": np.array([0])}
    result.models["conv"] = PopulationModel("", rule, {}, {"v": "1", "w": "1"})
    return plot_traces(result, "conv", 0, **options)


def drawn_lines(**options):
    ax = plot(**options)
    plt.close(ax.figure)
    return [line.get_label() for line in ax.lines]


def sweep(folder, **options):
    return bs.sweep(unit, {"x": [1.0]}, folder=folder, **options)


def other_graph():
    return bs.read_keras(keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten()]))


def branches():
    inputs = keras.Input((4, 4, 1))
    layers = [keras.layers.Conv2D(1, 3, activation="relu", name=name)(inputs) for name in "ab"]
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(keras.layers.Add()(layers))))


def set_after_run(small, **values):
    snn = small.network()
    snn.run(**small.run_base)
    snn.set_parameters("conv", **values)


def attend(small, *arguments, neuron=None, **options):
    snn = small.network() if neuron is None else convert(small, neuron=neuron, thresholds=None)
    try:
        snn.attend(*arguments, **options)
        return snn.run(**small.run_base)
    finally:
        snn.attend(None)


def attention(**options):
    return bs.SpatialAttention((0.5, 0.5), **options)


#: The words of a refusal -> a call that is refused with them.
REFUSED = {
    "has no effect on a LayerGraph": lambda s, _: convert(s, model=bs.read_keras(s.model), average_pooling="membrane"),
    "were read for a time step of": lambda s, _: bs.convert(bs.read_nir(NIR_FILE), dt=0.3 * ms),
    "the model names no membrane variable": lambda s, _: convert(s, neuron=bs.IF(), average_pooling="membrane"),
    "so its membranes cannot be pooled": lambda s, _: convert(s, neuron=bs.IF(), max_pooling="membrane"),
    "and the graph is calibrated": lambda s, _: convert(s, model=bs.calibrate(s.model, s.images)),
    "of this LayerGraph pools spikes": lambda s, _: convert(
        s, model=bs.calibrate(s.model, s.images, method="balance", steps=5), max_pooling="membrane"
    ),
    "has no threshold parameter": lambda s, _: convert(s, neuron=bs.ASN()),
    "is a readout and has no threshold": lambda s, _: convert(s, thresholds={"readout": 1.0}),
    "want different encoders": lambda s, _: convert(
        s, model=branches(), neuron={"a": bs.IF(), ...: bs.LIF()}, thresholds=None, encoder=None
    ),
    "names no model for": lambda s, _: convert(s, neuron={"conv": bs.LIF()}, thresholds=None),
    "convert: neuron: 'conv'": lambda s, _: convert(
        s, neuron={"conv": bs.LIF(), "conv_linear": bs.LIF(), ...: bs.LIF()}
    ),
    "is a constant of the program that has been compiled": lambda s, _: set_after_run(s, tau_phi=5 * bs.ms),
    "neurons without a threshold do not spike": lambda s, _: bs.LIF().edit(threshold=None, refractory=5 * bs.ms),
    "feedback gates input neurons that spike": lambda s, _: convert(s, feedback=GATE, encoder="current"),
    "two of the layers in record are": lambda s, _: convert(s, record={"conv": ["S"], "conv_linear": {"S": [0]}}),
    "has one thread": lambda s, _: convert(s, threads=2, device="genn"),
    "is shorter than the time step": lambda s, _: convert(
        s, neuron=bs.LIF(tau_m=2 * bs.ms).edit(method="euler"), thresholds=None, dt=3 * bs.ms
    ),
    "is not a multiple of the time step": lambda s, _: run(s, duration=1.5 * bs.ms),
    "replayed spikes need input neurons that spike": lambda s, _: run(s, ["encoder"], images=None, spikes=s.spikes),
    "give the images of these spikes as well": lambda s, _: run(s, ["feedback"], images=None, spikes=s.spikes),
    "scales the probability of drawn spikes": lambda s, _: convert(s, feedback=bs.PredictiveGate(contrast=True)).run(
        s.images, spikes=s.spikes
    ),
    "images has no effect beside spikes": lambda s, _: run(s, spikes=s.spikes),
    "onset has no effect beside spikes": lambda s, _: run(s, images=None, spikes=s.spikes, onset=1 * bs.ms),
    "offset has no effect beside spikes": lambda s, _: run(s, images=None, spikes=s.spikes, offset=1 * bs.ms),
    "background has no effect beside spikes": lambda s, _: run(s, images=None, spikes=s.spikes, background=0.5),
    "background has no effect while the image is on": lambda s, _: run(s, background=0.5),
    "before it comes on at": lambda s, _: run(s, onset=3 * bs.ms, offset=2 * bs.ms),
    "when it comes on at": lambda s, _: run(s, onset=3 * bs.ms, offset=3 * bs.ms),
    "which is not before the end of the trial": lambda s, _: run(s, onset=s.run_base["duration"]),
    "runs one image after the other in this process": lambda s, _: run(s, processes=2),
    "needs processes=1": lambda s, _: convert(
        s, feedback=bs.PredictiveGate(learning=bs.LocalLearning()), device="cpp_standalone"
    ).run(**s.run_base, processes=2),
    "None removes attention from all layers": lambda s, _: attend(s, None, layers=["conv"]),
    "layers=[] names no layer": lambda s, _: attend(s, attention(output_gain=0.1), layers=[]),
    "without effect, since only": lambda s, _: attend(s, attention(output_gain={"prediction": 0.1}), layers=["conv"]),
    "has no width for layer": lambda s, _: attend(
        s, bs.SpatialAttention((0.5, 0.5), {"conv": 0.2}, output_gain=0.1), layers=["conv", "prediction"]
    ),
    "has no input_gain": lambda s, _: attend(s, attention(input_gain=0.1), neuron=bs.IF()),
    "attention cannot switch on and off": lambda s, _: attend(
        s, attention(input_gain=0.1, onset=1 * bs.ms), neuron=bs.ASN()
    ),
    "so attention would never be on": lambda s, _: attention(onset=2 * bs.ms, offset=1 * bs.ms),
    "attention has cues for": lambda s, _: attend(
        s, bs.SpatialAttention([(0.5, 0.5)] * 2, input_gain=0.1), neuron=bs.ASN()
    ),
    "Attention.floor: has no effect without precision": lambda s, _: attention(floor=0.1),
    "Attention.conserve_sum: has no effect without precision": lambda s, _: attention(conserve_sum=True),
    "are both 'conv'; give one of them": lambda s, _: attend(
        s, attention(output_gain={"conv": 0.1, "conv_linear": 0.2})
    ),
    "is already the name of a layer": lambda s, _: convert(s, readouts={"most": "conv"}),
    "which is a population of the kind": lambda s, _: convert(s, readouts={"behind": "readout"}),
    "sums potentials; give kind": lambda s, _: bs.Readout("conv", sum_channels=True),
    "has no effect with mode='none'": lambda s, _: bs.PredictiveGate(mode="none", epsilon=0.1),
    "has no effect without contrast": lambda s, _: bs.PredictiveGate(max_contrast=2.0),
    "epsilon=None has no effect beside model, whose": lambda s, _: gate_beside({}, epsilon=None),
    "strict=True has no effect with mode='none'": lambda s, _: bs.PredictiveGate(mode="none", strict=True),
    "has no effect with contrast='published'": lambda s, _: bs.PredictiveGate(contrast="published", max_contrast=2.0),
    "has no effect beside model, whose strict is": lambda s, _: gate_beside({}, strict=True),
    "has no effect beside model, whose epsilon is": lambda s, _: gate_beside({}, epsilon=0.3),
    "has no effect beside model, whose mode is": lambda s, _: gate_beside({}, mode="dynamic"),
    "has no effect beside model, whose squash is": lambda s, _: gate_beside({}, squash="tanh"),
    "contradicts model, which scales the contrast": lambda s, _: gate_beside({"contrast": True}),
    "which has no variable 'prediction_error'": lambda s, _: gate_beside({}, learning=bs.LocalLearning()),
    "learning_rate has no effect, since on_pre": lambda s, _: bs.LocalLearning(0.1, on_pre="I_post += w*h_pre"),
    "kept has no effect, since on_pre": lambda s, _: bs.LocalLearning(parameters={"kept": 1}),
    "No equation or statement uses it": lambda s, _: bs.ASN().edit(tau_phj=3 * bs.ms),
    "goes with a .json model only": lambda s, _: bs.load_model("digits", weights="digits.h5"),
    "Give the graph that was converted": lambda s, _: bs.compare_activations(other_graph(), s.network(), s.images),
    "must be at least one time step and at most": lambda s, _: bs.compare_activations(
        s.model, s.network(), s.images, duration=10 * bs.ms, window=20 * bs.ms
    ),
    "has no effect without images": lambda s, folder: sweep(folder, chunk=5),
    "which has its own": lambda s, folder: sweep(folder, workers=2, cluster="tcp://127.0.0.1:1"),
    "record w as well": lambda s, _: plot(rule="v > w", threshold=True),
    "plotted variable, for units": lambda s, _: plot(units={"w": second}),
}


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.outcome == "refused"], ids=str)
def test_refused(row, small, tmp_path):
    with pytest.raises((ValueError, KeyError)) as caught:
        REFUSED[row.words](small, tmp_path / "folder")
    assert row.words in str(caught.value)
    assert not (tmp_path / "folder").exists()


def unpooled():
    """Return a model without pooling."""
    inputs = keras.Input((4, 4, 1), name="input")
    x = keras.layers.Conv2D(1, 3, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, keras.layers.Flatten(name="flat")(x), name="plain")


def pooled(s, pooling):
    """Return the table of a graph without average pooling."""
    return str(bs.read_keras(unpooled(), average_pooling=pooling))


def outputs(s, names=(), neuron=None, **options):
    snn = s.network(names) if neuron is None else convert(s, neuron=neuron)
    return snn.run(**s.run_base | options).output.tolist()


def field(width, column):
    return GaussianField((0.3, column), (width, None)).modulation((4, 4, 1)).tolist()


def drawn_field(alpha):
    ax = GaussianField((0.3, 0.3)).plot(alpha=alpha, colorbar=False)
    plt.close(ax.figure)
    return ax.images[0].get_alpha()


def swept(folder, seed):
    return sweep(folder, seed=seed, workers=1, progress=False)["y"].values.tolist()


def unattended(s, strength):
    return attend(s, attention(input_gain=strength), neuron=bs.ASN()).output.tolist()


#: (option, beside) -> two calls whose results differ (acts) or are the same (no effect).
SHOWN = {
    ("convert.average_pooling", "convert.model"): lambda s, f: (pooled(s, "spikes"), pooled(s, "membrane")),
    ("convert.max_pooling", "convert.model"): lambda s, f: tuple(
        str(bs.convert(unpooled(), neuron=bs.ASN(), max_pooling=pooling).graph) for pooling in ("membrane", "spikes")),
    ("convert.encoder", "convert.model"): lambda s, f: tuple(
        convert(s, model=bs.calibrate(s.model, s.images, encoder=e), thresholds=None, encoder=None).encoder
        for e in ("current", "poisson")),
    ("convert.encoder", "convert.neuron"): lambda s, f: (
        convert(s, neuron=bs.IF(), encoder=None).encoder, convert(s, neuron=bs.ASN(), thresholds=None, encoder=None).encoder),
    ("convert.record", "convert.feedback"): lambda s, f: (
        convert(s, feedback=bs.PredictiveGate(record=False)).recorded, s.network(["feedback"]).recorded),
    ("convert.dt", "convert.neuron"): lambda s, f: tuple(
        convert(s, neuron=bs.IF(), dt=dt).run(spikes=s.spikes).output.tolist() for dt in (1 * bs.ms, 0.5 * bs.ms)),
    ("run.images", "run.spikes"): lambda s, f: tuple(
        trial_facts(s.network(["feedback"]), images=images, spikes=s.spikes) for images in (s.images, s.images[::-1])),
    ("run.duration", "run.spikes"): lambda s, f: tuple(
        trial_facts(s.network(), spikes=s.spikes, duration=t) for t in (None, 3 * bs.ms)),
    ("run.background", "run.offset"): lambda s, f: tuple(
        trial_facts(s.network(), **s.run_base, offset=2 * bs.ms, background=level) for level in (0.0, 1.0)),
    ("run.offset", "run.duration"): lambda s, f: (outputs(s), outputs(s, offset=s.run_base["duration"])),
    ("run.seed", "convert.encoder"): lambda s, f: (outputs(s, ["encoder"]), outputs(s, ["encoder"], seed=1)),
    ("run.seed", "run.spikes"): lambda s, f: tuple(outputs(s, images=None, spikes=s.spikes, seed=k) for k in (0, 1)),
    ("Attention.field", "Attention.input_gain"): lambda s, f: (
        unattended(s, 0.0), convert(s, neuron=bs.ASN(), thresholds=None).run(**s.run_base).output.tolist()),
    ("PredictiveGate.mode", "PredictiveGate.epsilon"): lambda s, f: (
        bs.PredictiveGate(mode="graded", epsilon=None).model.update, bs.PredictiveGate(mode="graded").model.update),
    ("GaussianField.center", "GaussianField.width"): lambda s, f: (field(0.2, 0.1), field(0.2, 0.9)),
    ("Field.plot.alpha", "Field.plot.image"): lambda s, f: (drawn_field(0.2), drawn_field(0.9)),
    ("plot_traces.variables", "plot_traces.threshold"): lambda s, f: (drawn_lines(threshold=True), drawn_lines(threshold=False)),
    ("sweep.seed", "sweep.function"): lambda s, f: (swept(f / "0", 0), swept(f / "1", 1)),
}  # fmt: skip


@pytest.mark.parametrize("row", [row for row in ROWS.values() if row.outcome != "refused"], ids=str)
def test_shown(row, small, tmp_path):
    one, other = SHOWN[row.option, row.beside](small, tmp_path)
    assert (one == other) == (row.outcome == "no effect")


def test_every_example_belongs_to_a_row():
    assert set(REFUSED) == {row.words for row in ROWS.values() if row.outcome == "refused"}
    assert set(SHOWN) == {(row.option, row.beside) for row in ROWS.values() if row.outcome != "refused"}
    assert {row.outcome for row in ROWS.values()} == {"refused", "acts", "no effect"}
    assert len(ROWS) == len(exceptions())
