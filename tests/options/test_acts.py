"""Every option of the functions that make networks, fields, gates, models and comparisons changes what they return."""

import inspect

import keras
import numpy as np
import pytest
from small_network import NEURON, make_model

import brainsnn as bs
from brainsnn.attention import GaussianField
from brainsnn.stimuli import load_search_scenes
from brainsnn.training import asn_resnet, preactivation_resnet, small_vgg, vgg16

MS = bs.ms


def printed_graph(**options):
    """Return the table, and the size of the weights."""
    graph = bs.read_keras(**options)
    kernels = [np.abs(getattr(p.operator, "kernel", 0)).sum() for p in graph.projections]
    return str(graph), kernels


def stream(seed=0):
    """Return a model in which a stream is read three times, and averaged."""
    keras.utils.set_random_seed(seed)
    layers, inputs = keras.layers, keras.Input((4, 4, 1))
    x = layers.Conv2D(2 + seed, 3, padding="same", name="first")(inputs)
    for k in range(2):
        inner = layers.ReLU(name=f"relu{k}")(layers.BatchNormalization(name=f"bn{k}")(x))
        x = layers.Add(name=f"add{k}")([x, layers.Conv2D(2 + seed, 3, padding="same", name=f"conv{k}")(inner)])
    x = layers.ReLU(name="last")(layers.BatchNormalization(name="bn")(x))
    return keras.Model(
        inputs, layers.Dense(2, name="out")(layers.Flatten(name="flat")(layers.AveragePooling2D(2, name="pool")(x)))
    )


def modulation(**options):
    return GaussianField(**options).modulation((6, 5, 2)).tolist()


def attended(**options):
    """Return the parameters of attended neurons, and the times."""
    attention = bs.SpatialAttention(**options)
    return attended_values(attention), attention.times()


def attended_by_field(**options):
    attention = bs.Attention(**options)
    return attended_values(attention), attention.times()


def attended_values(attention):
    model, ones = bs.ASN(m_f=0.2), np.ones(30)
    values = {"gain": ones, "m_f": 0.2 * ones, "h": model.parameters["h"] * ones}
    return {k: v.tolist() for k, v in attention.parameters_for("conv", (6, 5, 1), values, model).items()}


def configuration(build):
    def facts(**options):
        model = build(**options)
        return model.name, str(model.get_config()), model.output_shape

    return facts


def scenes(**options):
    found = load_search_scenes(**options)
    return found.images.tolist()


def readout(**options):
    """Return the readout population, its operator and its neurons."""
    snn = bs.convert(make_model(), neuron=NEURON, readouts={"behind": bs.Readout(**options)}, encoder="poisson")
    projection = snn.graph.incoming("behind")[0]
    connections = [each.tolist() for each in projection.operator.to_coo()]
    return str(snn.graph.populations["behind"]), projection.source, connections, str(snn.models["behind"])


GATE = {"learning": bs.LocalLearning()}
FIELD, OTHER_FIELD = GaussianField((0.3, 0.3)), GaussianField((0.6, 0.3))
#: Precision is so strong that it clips.
STRONG = {"input_gain": 0.1, "output_gain": 0.1, "precision": 1.5}
VGG = {"input_shape": (8, 8, 1), "n_classes": 3, "channels": (2,), "dense": (4,)}

#: Function -> what it returns, arguments, and another value of each argument.
CASES = {
    bs.read_keras: (
        printed_graph, {"model": stream()},
        {"model": stream(1), "average_pooling": "membrane", "junctions": False, "batch_norm": "published",
         "spiking": ["first"]}),
    bs.ASN: (
        lambda **o: str(bs.ASN(**o)) + str(bs.ASN(**o).readout), {},
        {"m_f": 0.2, **{tau: 7 * MS for tau in ("tau_phi", "tau_beta", "tau_eta", "tau_gamma", "tau_readout")}}),
    bs.IF: (lambda **o: str(bs.IF(**o)), {}, {"leak": 0.5, "threshold": 2.0, "reset": "hard", "initial": 0.5}),
    bs.LIF: (
        lambda **o: str(bs.LIF(**o)) + str(bs.LIF(**o).readout), {},
        {"tau_m": 7 * MS, "tau_s": 7 * MS, "threshold": 2.0, "tau_readout": 7 * MS}),
    bs.GaussianField: (
        modulation, {"center": (0.3, 0.4)},
        {"center": (0.5, 0.4), "width": 0.1, "shape": "cross", "peak": 3.0, "base": 0.5, "exponent": 2.0}),
    bs.SpatialAttention: (
        attended, {"center": (0.3, 0.4), **STRONG},
        {"center": (0.5, 0.4), "width": 0.1, "shape": "cross", "peak": 3.0, "base": 0.5, "exponent": 2.0, "input_gain": 0.2,
         "output_gain": 0.2, "precision": 0.1, "onset": 1 * MS, "offset": 2 * MS, "floor": 0.05, "conserve_sum": True}),
    bs.Attention: (
        attended_by_field, {"field": FIELD, **STRONG},
        {"field": OTHER_FIELD, "input_gain": 0.2, "output_gain": 0.2, "precision": 0.1, "onset": 1 * MS, "offset": 2 * MS,
         "floor": 0.05, "conserve_sum": True}),
    bs.Readout: (
        readout, {"layer": "conv"},
        {"layer": "prediction", "kind": "potential", "place": (1, 2), "sum_channels": True, "neuron": NEURON.edit(m_f=0.3)}),
    bs.PredictiveGate: (
        lambda **o: (str(bs.PredictiveGate(**o)), bs.PredictiveGate(**o).record), {},
        {"output": "other", "epsilon": 0.2, "mode": "graded", "squash": "tanh", "squash_step": 0.5, "contrast": True,
         "max_contrast": 5.0, "strict": True, "learning": bs.LocalLearning(), "record": False,
         "model": bs.PredictiveGate().edit(update="is_open = 1").model}),
    bs.LocalLearning: (
        lambda **o: (str(bs.LocalLearning(**o)), str(bs.LocalLearning(**o).target_model(bs.IF())), o.get("parameters")),
        {}, {"learning_rate": 0.1, "w_max": 2.0, "on_pre": "I_post += 2*w*h_pre", "parameters": {"kept": 0.5}}),
    asn_resnet: (
        configuration(asn_resnet), {"input_shape": (32, 32, 1), "classes": 3, "width": 2},
        {"depth": 34, "order": "pre_activation", "input_shape": (32, 48, 1), "classes": 4, "classifier_activation": "softmax",
         "width": 3, "m_f": 0.2, "stem": "medium", "l2": 1e-3, "name": "other"}),
    preactivation_resnet: (
        configuration(preactivation_resnet), {"input_shape": (32, 32, 1), "n_classes": 3, "width": 2},
        {"depth": 20, "input_shape": (32, 48, 1), "n_classes": 4, "classifier_activation": None, "width": 3, "m_f": 0.2,
         "encoding": False, "stem": "imagenet", "name": "other"}),
    small_vgg: (
        configuration(small_vgg), VGG,
        {"input_shape": (8, 12, 1), "n_classes": 4, "channels": (3,), "convolutions_per_stage": 2, "dense": (5,),
         "pooling": "max", "classifier_activation": None, "m_f": 0.2, "encoding": False, "dropout": 0.5, "name": "other"}),
    vgg16: (
        configuration(vgg16), {"input_shape": (32, 32, 1), "n_classes": 3, "width": 2},
        {"input_shape": (32, 64, 1), "n_classes": 4, "classifier_activation": None, "width": 3, "m_f": 0.2,
         "pooling": "average"}),
    load_search_scenes: (
        scenes, {"n_scenes": 2}, {"n_scenes": 3, "split": "train", "seed": 1, "size": 60, "n_digits": 2, "n_clutter": 5}),
}  # fmt: skip

#: Arguments that need another one: function name and argument -> more arguments of both calls.
WITH = {
    ("Readout", "sum_channels"): {"kind": "potential"},
    ("PredictiveGate", "max_contrast"): {"contrast": True},
    ("LocalLearning", "parameters"): {"on_pre": "I_post += w*h_pre; w = kept*w"},
}


def facts_of(function, name, value):
    facts, base, _ = CASES[function]
    return facts(**base | WITH.get((function.__name__, name), {}) | ({} if value is ... else {name: value}))


@pytest.mark.parametrize("function", CASES, ids=lambda f: f.__name__)
def test_every_option_changes_what_is_returned(function):
    _, _, others = CASES[function]
    assert set(others) == set(inspect.signature(function).parameters)
    idle = []
    for name, value in others.items():
        try:
            before = facts_of(function, name, ...)
        except (TypeError, ValueError):
            assert (function.__name__, name) in WITH  # an option that cannot be left out beside the other
            before = None
        if before == facts_of(function, name, value):
            idle.append(name)
    assert not idle


def test_load_model_reads_path_and_weights(tmp_path):
    model, other = make_model(0), make_model(1)
    (tmp_path / "model.json").write_text(model.to_json())
    for name, each in (("one", model), ("two", other)):
        each.save_weights(tmp_path / f"{name}.weights.h5")
    x = np.random.default_rng(0).random((1, 4, 4, 1))
    one, two = (
        bs.load_model(tmp_path / "model.json", weights=tmp_path / f"{name}.weights.h5") for name in ("one", "two")
    )
    assert np.abs(one.predict(x, verbose=0)[0] - two.predict(x, verbose=0)[0]).max() > 1e-3
    assert bs.load_model("digits").name != one.name


@pytest.mark.slow
def test_compare_activations(small):
    """The graph, the network, the images, the times and the seed change the comparison."""
    spiking = {"conv": ["spikes"], "prediction": ["spikes"]}
    graph, other = bs.read_keras(small.model), bs.read_keras(make_model(1))
    snns = [bs.convert(graph, neuron=NEURON.edit(m_f=m_f), encoder="poisson", record=spiking) for m_f in (0.1, 0.3)]
    base = {"model": graph, "snn": snns[0], "images": small.images[:1], "duration": 12 * MS, "window": 6 * MS}
    others = {
        "model": other,
        "snn": snns[1],
        "images": small.images[1:],
        "duration": 20 * MS,
        "window": 3 * MS,
        "seed": 1,
    }
    assert {*others, "processes"} == set(inspect.signature(bs.compare_activations).parameters)

    def facts(**options):
        found = bs.compare_activations(**options)
        return str(found), {k: v.tolist() for k, v in found.ann.items()}, {k: v.tolist() for k, v in found.snn.items()}

    plain = facts(**base)
    assert [name for name, value in others.items() if facts(**base | {name: value}) == plain] == []
    with pytest.raises(ValueError, match="runs one image after the other"):
        bs.compare_activations(**base, processes=2)


def scaled(images, factor, offset=0.0, seed=None):
    return {"y": factor * images + offset + (0 if seed is None else np.asarray(seed) % 7)[:, None]}


def shifted(images, factor, offset=0.0, seed=None):
    return {"y": factor * images + offset + 1}


def test_sweep(tmp_path, capsys):
    """Every option but ``workers`` and ``cluster``, which tests/sweeps starts, changes the data set, its units or the bar."""
    base = {
        "function": scaled,
        "parameters": {"factor": [1.0, 2.0]},
        "images": np.arange(6.0).reshape(3, 2),
        "progress": False,
    }
    others = {
        "function": shifted, "parameters": {"factor": [1.0, 3.0]}, "images": np.arange(6.0).reshape(3, 2) + 1, "chunk": 2,
        "constants": {"offset": 1.0}, "seed": 1, "dims": {"y": ("column",)}, "coords": {"label": ("image", [3, 4, 5])},
        "progress": True, "version": "1", "folder": "elsewhere",
    }  # fmt: skip
    assert {*others, "workers", "cluster"} == set(inspect.signature(bs.sweep).parameters)

    def facts(name, value=None):
        options = base | ({name: value} if name not in ("", "folder") else {})
        folder = tmp_path / (value if name == "folder" else name or "plain")
        with bs.sweep(**options, folder=folder, workers=1) as data:
            found = data.to_dict(), data.attrs["content"]
        return (
            str(found),
            len(list((folder / "units").glob("*.npz"))),
            bool(capsys.readouterr().err),
            name == "folder" and folder.exists(),
        )

    plain = facts("")
    assert [name for name, value in others.items() if facts(name, value) == plain] == []
