"""Tests of predictive feedback: spikes equal those of a dense simulator, options of the gate, and errors."""

import json
from dataclasses import replace

import numpy as np
import pytest
from chosen_device import DEVICE
from dense_feedback_reference import balanced_thresholds, simulate_feedback

import brainsnn as bs
from brainsnn.feedback import read_settings

keras = pytest.importorskip("keras")
N_STEPS = 40
SHAPE = (8, 8, 1)


@pytest.fixture(scope="module")
def model():
    """Return a narrow VGG5 with a generator. Most weights are positive, so that spikes reach the pixels."""
    from brainsnn.training.predictive_vgg import predictive_vgg

    network = predictive_vgg(5, SHAPE, 4, width=1 / 16, dense=(6,))
    rng = np.random.default_rng(3)
    for layer in network.layers:
        layer.set_weights([rng.normal(0.3, 0.5, w.shape) for w in layer.get_weights()])
    return network


@pytest.fixture(scope="module")
def data(model):
    """Return images, spikes drawn from them, and balanced thresholds."""
    rng = np.random.default_rng(0)
    # A number of spikes can predict some values exactly, so epsilon=0 blocks more than the pixels without spikes.
    exact = rng.choice([0.0, 0.25, 0.5, 1.0], (2, *SHAPE))
    images = np.where(rng.random((2, *SHAPE)) < 0.5, exact, rng.random((2, *SHAPE)))
    images[1, :2] *= -1
    spikes = (rng.random((2, N_STEPS, *SHAPE)) < np.abs(images[:, None])) * np.sign(images[:, None])
    # Lower than the usual 0.7, at which too few spikes reach the pixels with a leak of 0.9.
    thresholds = balanced_thresholds(model, np.abs(spikes), 0.4)
    return images, spikes.astype(np.int8), thresholds


def _network(model, thresholds, feedback, leak=1.0, **options):
    spiking = {name: ["spikes"] for name in thresholds} | {"input": ["spikes"]}
    options = {"device": DEVICE, "dtype": "float64", **options}
    return bs.convert(
        model, neuron=bs.IF(leak=leak), thresholds=thresholds, feedback=feedback, record=spiking, **options
    )


def _assert_equal(result, expected, what=""):
    for name, spikes in expected["spikes"].items():
        raster = result.raster(name).reshape(spikes.shape)
        assert np.array_equal(raster, spikes), f"{what}: {name} differs first in step {_first(raster, spikes)}"
    assert np.array_equal(result.predicted_input, expected["predictions"]), what
    assert np.array_equal(result.gate, expected["gate"]), what
    np.testing.assert_allclose(result.output, expected["logits"], rtol=1e-9, atol=1e-9)


def _first(a, b):
    return int(np.flatnonzero((a != b).reshape(*a.shape[:2], -1).any((0, 2)))[0])


@pytest.mark.parametrize("leak", [1.0, 0.9])
@pytest.mark.parametrize("mode", ["sticky", "dynamic", "none"])
def test_equal_to_dense_simulator(model, data, leak, mode):
    images, spikes, thresholds = data
    snn = _network(model, thresholds, bs.PredictiveGate(mode=mode), leak)
    blocked = []
    for epsilon in (0.0, 0.1, 0.2):
        if mode != "none":  # which has no tolerance
            snn.set_parameters("input", epsilon=epsilon)
        result = snn.run(spikes=spikes, images=images)
        expected = simulate_feedback(model, spikes, images, thresholds, leak, epsilon, mode)
        _assert_equal(result, expected, f"leak {leak}, epsilon {epsilon}, {mode}")
        blocked.append(1 - result.gate.mean())
        # The comparison is meaningful only if every layer spikes and predictions rise.
        assert all(spikes.any() for spikes in expected["spikes"].values())
        assert expected["predictions"].max() >= 0.5
    if mode == "none":
        assert blocked == [0, 0, 0]
    else:
        assert 0 < blocked[0] < blocked[1] < blocked[2] < 1


def test_equal_in_runtime_mode(model, data):
    images, spikes, thresholds = data
    snn = _network(model, thresholds, bs.PredictiveGate(epsilon=0.1), device="runtime")
    result = snn.run(spikes=spikes[:1, :25], images=images[:1])
    _assert_equal(result, simulate_feedback(model, spikes[:1, :25], images[:1], thresholds))


def test_assigning_what_each_step_computes_is_not_silent(model, data):
    images, spikes, thresholds = data
    snn = _network(model, thresholds, bs.PredictiveGate(epsilon=0.1), device="runtime")
    expected = snn.run(spikes=spikes[:1, :5], images=images[:1]).output
    snn["input"].is_open = 0
    snn["input"].is_blocked = 0  # a state, with which each trial starts
    with pytest.warns(UserWarning, match="input.is_open was assigned to, and each step computes it again") as caught:
        assigned = snn.run(spikes=spikes[:1, :5], images=images[:1])
    assert [w.filename for w in caught] == [__file__]
    np.testing.assert_array_equal(assigned.output, expected)


def test_synapses_give_the_same_gate(model, data):
    images, spikes, thresholds = data
    snn = _network(model, thresholds, bs.PredictiveGate(epsilon=0.1), connectivity="synapses")
    result = snn.run(spikes=spikes[:1, :25], images=images[:1])
    _assert_equal(result, simulate_feedback(model, spikes[:1, :25], images[:1], thresholds))


def test_gate_acts_one_step_after_the_prediction(model, data):
    """All gates are open in the first step. In the second, those of pixels that 0 predicts correctly are closed."""
    images, spikes, thresholds = data
    result = _network(model, thresholds, bs.PredictiveGate(epsilon=0.1)).run(spikes=spikes, images=images)
    assert result.gate[:, 0].all()
    assert np.array_equal(~result.gate[:, 1], np.abs(images) <= 0.1)
    assert np.array_equal(result.predictions, result.predicted_input)  # the former name
    right = np.abs(result.predicted_input - images[:, None]) <= 0.1
    ever = np.maximum.accumulate(right, axis=1)
    assert np.array_equal(~result.gate[:, 1:], ever[:, :-1])


@pytest.mark.parametrize("mode", ["sticky", "dynamic"])
def test_gate_compares_from_the_onset_on(model, data, mode):
    """With a background of 0, which the prediction equals before the first spikes, no pixel may be blocked by it."""
    images, spikes, thresholds = data
    snn = _network(model, thresholds, bs.PredictiveGate(mode=mode))
    for onset in (0, 2, [2, 7]):
        result = snn.run(spikes=spikes, images=images, onset=onset * bs.ms)
        _assert_equal(result, simulate_feedback(model, spikes, images, thresholds, mode=mode, onset=onset), f"{onset}")
    assert result.gate[0, :3].all() and result.gate[1, :8].all() and not result.gate[:, -1].all()
    # Drawn spikes: the first steps, then the same gate as without an onset up to the drawn numbers.
    result = snn.run(images, duration=N_STEPS * bs.ms, onset=2 * bs.ms)
    drawn = result.raster("input")
    assert not drawn[:, :2].any() and drawn[:, 2].any() and result.gate[:, :3].all()
    assert np.array_equal(result.gate[:, 3], (np.abs(result.predicted_input[:, 2] - images) > 0.1))


def test_graded_gate_is_open_until_the_image_comes_on(model, data):
    images, _, thresholds = data
    snn = _network(model, thresholds, bs.PredictiveGate(mode="graded", epsilon=0.1))
    result = snn.run(images, duration=N_STEPS * bs.ms, onset=5 * bs.ms)
    gate = result.states["input"]["is_open"].reshape(2, N_STEPS, *SHAPE)
    error = np.abs(result.predicted_input[:, 5:-1] - images[:, None])
    expected = np.where(error <= 0.1, 0, np.clip(error / (np.abs(images[:, None]) + 1e-9), 0, 1))
    assert (gate[:, :6] == 1).all()
    np.testing.assert_allclose(gate[:, 6:], expected, atol=1e-12)


def test_graded_gate_passes_the_share_of_the_error(model, data):
    """With thresholds that are never reached, the prediction is 0, the error is the whole pixel, and all spikes pass."""
    images, _, thresholds = data
    feedback = bs.PredictiveGate(mode="graded", epsilon=0.1)
    silent = _network(model, {**thresholds, "prediction": 1e9}, feedback)
    result = silent.run(images, duration=N_STEPS * bs.ms)
    opened = result.states["input"]["is_open"].reshape(2, N_STEPS, *SHAPE)
    np.testing.assert_allclose(opened[:, -1], np.abs(images) > 0.1, atol=1e-7)
    active = _network(model, thresholds, feedback).run(images, duration=N_STEPS * bs.ms)
    gate = active.openness
    np.testing.assert_array_equal(active.gate, gate > 0)
    error = np.abs(active.predicted_input[:, :-1] - images[:, None])
    expected = np.where(error <= 0.1, 0, np.clip(error / (np.abs(images[:, None]) + 1e-9), 0, 1))
    np.testing.assert_allclose(gate[:, 1:], expected, atol=1e-12)
    assert active.spike_counts["input"].sum() < result.spike_counts["input"].sum()


def test_contrast_scales_what_is_open_to_the_full_range(model, data):
    """A dim image spikes as if its brightest pixel were 1. With 16 trials the standard error of the rate is below 2%."""
    _, _, thresholds = data
    image = np.linspace(0.1, 0.5, 64).reshape(1, *SHAPE)
    images = np.repeat(image, 16, axis=0)
    plain = _network(model, thresholds, bs.PredictiveGate(mode="none"))
    scaled = _network(model, thresholds, bs.PredictiveGate(mode="none", contrast=True))
    rates = [
        snn.run(images, duration=N_STEPS * bs.ms).spike_counts["input"].mean() / N_STEPS for snn in (plain, scaled)
    ]
    assert rates[0] == pytest.approx(image.sum(), rel=0.06)
    # There is no comparison in the first step.
    assert rates[1] == pytest.approx(image.sum() / 0.5, rel=0.08)


def test_edited_gate(model, data):
    """A user's gate that never closes in the upper half of the image."""
    images, spikes, thresholds = data
    feedback = bs.PredictiveGate(epsilon=0.2)
    feedback = feedback.edit(
        update=feedback.model.update.replace("is_open = 1 - is_blocked", "is_open = 1 - is_blocked*clip(i - 31, 0, 1)")
    )
    assert "i - 31" in str(feedback)
    result = _network(model, thresholds, feedback).run(spikes=spikes, images=images)
    assert result.gate[:, :, :4].all() and not result.gate[:, -1, 4:].all()


def test_options_without_effect_are_refused():
    with pytest.raises(ValueError, match="max_contrast=5 has no effect without contrast; give contrast=True"):
        bs.PredictiveGate(max_contrast=5)
    gate = bs.PredictiveGate(epsilon=0.2, contrast=True)
    assert (gate.epsilon, gate.max_contrast, bs.PredictiveGate().epsilon) == (0.2, 10, 0.1)
    edited = gate.edit(epsilon=0.3).replace("is_open : 1", "is_open : 1\nmine : 1", max_contrast=4.0)
    assert (edited.epsilon, edited.max_contrast, edited.model.parameters["epsilon"]) == (0.3, 4, 0.3)
    assert bs.PredictiveGate(model=edited.model, contrast=True).epsilon == 0.3
    assert not replace(edited, record=False).record
    with pytest.raises(ValueError, match=r"epsilon=0.1 has no effect beside model, whose epsilon is 0.3.*gate.edit"):
        bs.PredictiveGate(epsilon=0.1, model=edited.model)
    with pytest.raises(ValueError, match=r"squash_step=1 has no effect beside model, whose squash_step is 0.125"):
        replace(edited, squash_step=1)
    with pytest.raises(ValueError, match="mode='dynamic' has no effect beside model, whose mode is 'sticky'"):
        replace(bs.PredictiveGate(), mode="dynamic")
    with pytest.raises(ValueError, match="learning has no effect beside model"):
        replace(bs.PredictiveGate(), learning=bs.LocalLearning())
    with pytest.raises(ValueError, match="contrast has no effect beside model"):
        bs.PredictiveGate(contrast=True, model=bs.PredictiveGate().model)


@pytest.mark.parametrize(
    "name, value, wanted",
    [("epsilon", -0.1, "0 or more"), ("squash_step", 0.0, "greater than 0"), ("max_contrast", 0.5, "1 or more")],
)
def test_values_that_no_gate_can_have(model, data, name, value, wanted):
    with pytest.raises(ValueError, match=f"PredictiveGate.{name}: must be {wanted}, got {value}"):
        bs.PredictiveGate(contrast=True, **{name: value})
    snn = _network(model, data[2], bs.PredictiveGate(contrast=True))
    before = np.array(getattr(snn["input"], name, None))
    with pytest.raises(ValueError, match=f"set_parameters: {name} of the gate must be {wanted}, got {value:g}"):
        snn.set_parameters("input", **{name: value})
    assert np.array_equal(getattr(snn["input"], name), before)
    setattr(snn["input"], name, value)
    with pytest.raises(ValueError, match=f"run: {name} of the gate must be {wanted}, got {value:g}"):
        snn.run(data[0][:1], 3 * bs.ms)
    snn.set_parameters("input", **{name: value + 1})
    assert getattr(snn["input"], name) == value + 1


@pytest.mark.parametrize("how", ["set_parameters", "assignment"])
def test_the_gate_that_runs_is_the_one_that_is_shown(model, data, how):
    snn = _network(model, data[2], bs.PredictiveGate(epsilon=0.1))
    if how == "assignment":
        snn["input"].epsilon = 0.3
    else:
        snn.set_parameters("input", epsilon=0.3)
    result = snn.run(data[0][:1], 3 * bs.ms)
    assert "epsilon=0.3" in result.settings["gate"] and "epsilon = 0.3" in result.settings["feedback"]
    assert (
        snn.feedback.epsilon == 0.3
        and "epsilon 0.3" in str(snn.describe())
        and "epsilon 0.1" not in str(snn.describe())
    )


def test_average_pooling_of_a_graph_is_that_of_its_reading(model):
    graph = bs.read_keras(model)
    with pytest.raises(
        ValueError, match="average_pooling='membrane' has no effect on a LayerGraph.*read the model with"
    ):
        bs.convert(graph, neuron=bs.IF(), average_pooling="membrane")


def test_errors(model, data, tmp_path):
    images, spikes, thresholds = data
    with pytest.raises(ValueError, match="mode='stikcy'; choose one of"):
        bs.PredictiveGate(mode="stikcy")
    with pytest.raises(ValueError, match="squash"):
        bs.PredictiveGate(squash="relu")
    with pytest.raises(ValueError, match="epsilon"):
        bs.PredictiveGate(epsilon=-0.1)
    with pytest.raises(bs.UnknownNameError, match="Did you mean 'prediction'"):
        bs.convert(model, neuron=bs.IF(), feedback=bs.PredictiveGate(output="predictions"))
    with pytest.raises(bs.ConversionError, match="the input that it predicts"):
        bs.convert(model, neuron=bs.IF(), feedback=bs.PredictiveGate(output="conv1"))
    with pytest.raises(ValueError, match="encoder='current'"):
        bs.convert(model, neuron=bs.IF(), encoder="current", feedback=bs.PredictiveGate())
    snn = _network(model, thresholds, bs.PredictiveGate(record=False))
    with pytest.raises(ValueError, match="the gate compares"):
        snn.run(spikes=spikes)
    with pytest.raises(ValueError, match="2 trains of spikes for 1 images"):
        snn.run(spikes=spikes, images=images[:1])
    with pytest.raises(FileNotFoundError, match="train_predictive"):
        read_settings(tmp_path / "none.keras")


SETTINGS = {
    "thresholds": {"conv1": 0.5},
    "leak": 1.0,
    "steps": 50,
    "squash": "clip",
    "squash_step": 0.1,
    "epsilon": 0.1,
}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\xff\x00", "is damaged or not JSON"),
        (b"{", "is damaged or not JSON"),
        (b"[" * 10**5, "is damaged or not JSON"),
        (b"[]", "has no entry 'thresholds'"),
        ({"thresholds": [0.5]}, r"damaged: 'thresholds' is \[0.5\], not a dict"),
        ({"thresholds": {"conv1": "0.5"}}, "damaged: the threshold of 'conv1' is '0.5', not a number greater than 0"),
        ({"thresholds": {"conv1": -1}}, "damaged: the threshold of 'conv1' is -1"),
        ({"thresholds": {"conv1": float("nan")}}, "damaged: the threshold of 'conv1' is nan"),
        ({"leak": None}, "damaged: 'leak' is None, not a number"),
        ({"epsilon": "x"}, "damaged: 'epsilon' is 'x', not a number"),
        ({"squash": ["clip"]}, r"damaged: 'squash' is \['clip'\], not one of"),
    ],
)
def test_damaged_settings_name_the_file_and_the_part(tmp_path, content, words):
    path = tmp_path / "model.json"
    path.write_text(json.dumps(SETTINGS))
    assert read_settings(path) == SETTINGS
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(SETTINGS | content).encode())
    with pytest.raises(ValueError, match=f"read_settings: '{path}' .*{words}"):
        read_settings(path)
