"""Tests of local learning: equal to a dense simulator, persistent across images and runs, and frozen."""

from types import SimpleNamespace

import numpy as np
import pytest
from chosen_device import DEVICE
from dense_feedback_reference import balanced_thresholds, simulate_learning

import brainsnn as bs
from brainsnn.results import streaming

keras = pytest.importorskip("keras")
SHAPE, N_STEPS = (8, 8, 1), 40
RATE, W_MAX = 0.01, 0.6
PROJECTION = "generator2_to_prediction"


@pytest.fixture(scope="module")
def case():
    """Return model, images, spikes and thresholds of a narrow VGG5 whose generator spikes."""
    from brainsnn.training.predictive_vgg import predictive_vgg

    model = predictive_vgg(5, SHAPE, 4, width=1 / 16, dense=(6,))
    rng = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights([rng.normal(0.3, 0.5, w.shape) for w in layer.get_weights()])
    images = rng.random((3, *SHAPE))
    spikes = (rng.random((3, N_STEPS, *SHAPE)) < images[:, None]).astype(np.int8)
    return model, images, spikes, balanced_thresholds(model, spikes, 0.4)


def _network(case, mode="dynamic", device=DEVICE, connectivity="event_driven", rule=None):
    model, _, _, thresholds = case
    return bs.convert(
        model, neuron=bs.IF(), thresholds=thresholds, connectivity=connectivity, device=device, dtype="float64",
        feedback=bs.PredictiveGate(mode=mode, learning=rule or bs.LocalLearning(RATE, W_MAX)),
        record={"prediction": ["spikes"]},
    )  # fmt: skip


@pytest.mark.parametrize("connectivity", ["event_driven", "synapses"])
@pytest.mark.parametrize("mode", ["dynamic", "sticky"])
def test_equal_to_dense_simulator(case, connectivity, mode):
    model, images, spikes, thresholds = case
    snn = _network(case, mode, connectivity=connectivity)
    before = snn.learned_weights[PROJECTION]
    result = snn.run(spikes=spikes, images=images)
    rasters, weights = simulate_learning(model, spikes, images, thresholds, RATE, W_MAX, mode)
    assert np.array_equal(result.raster("prediction"), np.stack(rasters))
    (projection,) = (p for p in snn.projections if p.name == PROJECTION)
    i, j, w = projection.to_coo()
    np.testing.assert_allclose(w, weights[i, j], rtol=0, atol=1e-12)
    # The comparison is meaningful only if weights grew and shrank, and some reached the limit.
    assert (w - before).min() < -0.05 and (w - before).max() > 0.05 and np.isclose(np.abs(w), W_MAX).any()


def test_kept_between_runs_and_put_back(case):
    """Two runs learn the same as one run of both batches. Restoring the weights repeats the first run."""
    _, images, spikes, _ = case
    snn = _network(case)
    start = snn.learned_weights
    first = snn.run(spikes=spikes[:1], images=images[:1])
    snn.run(spikes=spikes[1:], images=images[1:])
    in_two = snn.learned_weights[PROJECTION]
    snn.set_learned_weights(start)
    again = snn.run(spikes=spikes[:1], images=images[:1])
    assert np.array_equal(again.raster("prediction"), first.raster("prediction"))
    snn.set_learned_weights(start)
    snn.run(spikes=spikes, images=images)
    assert np.array_equal(snn.learned_weights[PROJECTION], in_two)


def test_frozen_without_compiling(case, monkeypatch):
    _, images, spikes, _ = case
    snn = _network(case)
    snn.run(spikes=spikes, images=images)
    learned = snn.learned_weights[PROJECTION]
    monkeypatch.setenv("PATH", "")  # no compiler
    snn.set_parameters("prediction", learning_rate=0.0)
    snn.run(spikes=spikes, images=images)
    assert np.array_equal(snn.learned_weights[PROJECTION], learned)


def test_a_comparison_learns_nothing(case):
    """Neither the network nor its copy changes its weights; the copy runs like a network with the learning rate 0."""
    from brainsnn.builders.copying import copy_network

    _, images, spikes, _ = case
    snn = _network(case)
    snn.run(spikes=spikes, images=images)
    learned = snn.learned_weights[PROJECTION]
    alone, together = (
        bs.compare_activations(snn.graph, snn, images, 20 * bs.ms, 10 * bs.ms, processes=processes)
        for processes in (1, 2)
    )
    for name in alone.snn:
        np.testing.assert_array_equal(together.snn[name], alone.snn[name])
    copy = copy_network(snn, {"prediction": ["spikes"]}, learns=False)
    frozen = copy.run(spikes=spikes, images=images).raster("prediction")
    for network in (snn, copy):
        assert np.array_equal(network.learned_weights[PROJECTION], learned)
    snn.set_parameters("prediction", learning_rate=0.0)
    assert np.array_equal(snn.run(spikes=spikes, images=images).raster("prediction"), frozen)


def test_a_frozen_rule_keeps_its_other_statements():
    rule = bs.LocalLearning(on_pre="I_post += w*h_pre; d = kept*w\nw = d  # decays", parameters={"kept": 0.5})
    assert rule.frozen().on_pre == "I_post += w*h_pre\nd = kept*w"
    assert bs.LocalLearning().frozen().on_pre == "I_post += w*h_pre"


@pytest.mark.slow
def test_runtime_learns_the_same(case):
    _, images, spikes, _ = case
    networks = [_network(case, device=device) for device in ("cpp_standalone", "runtime")]
    for snn in networks:
        snn.run(spikes=spikes[:2], images=images[:2])
    compiled, runtime = (snn.learned_weights[PROJECTION] for snn in networks)
    np.testing.assert_allclose(runtime, compiled, rtol=0, atol=1e-12)


@pytest.mark.parametrize("connectivity", ["event_driven", "synapses"])
def test_without_a_learning_rate_no_weight_changes(case, connectivity):
    """Not even trained weights outside the limits. With a rate, the first spike brings them into the limits."""
    _, images, spikes, _ = case
    snn = _network(case, connectivity=connectivity)
    start = snn.learned_weights[PROJECTION]
    assert (np.abs(start) > W_MAX).sum() > 100
    snn.set_parameters("prediction", learning_rate=0.0)
    snn.run(spikes=spikes, images=images)
    assert np.array_equal(snn.learned_weights[PROJECTION], start)
    snn.set_parameters("prediction", learning_rate=RATE)
    snn.run(spikes=spikes, images=images)
    learned = snn.learned_weights[PROJECTION]
    assert (learned != start).any() and np.abs(learned[learned != start]).max() <= W_MAX


@pytest.mark.parametrize("device", ["cpp_standalone", "runtime"])
def test_learning_without_a_gate_needs_the_images(case, device):
    _, images, spikes, _ = case
    snn = _network(case, mode="none", device=device)
    with pytest.raises(ValueError, match="learning compares predictions with pixels; give the images"):
        snn.run(spikes=spikes)


def test_edited_rule(case):
    """A user's rule with its own constant: weights decay with each spike."""
    _, images, spikes, _ = case
    rule = bs.LocalLearning(on_pre="I_post += w*h_pre; w = w*kept", parameters={"kept": 0.5})
    snn = _network(case, rule=rule)
    before = snn.learned_weights[PROJECTION]
    snn.run(spikes=spikes[:1], images=images[:1])
    after = snn.learned_weights[PROJECTION]
    halvings = np.log2(before / after)
    np.testing.assert_allclose(halvings, np.rint(halvings), atol=1e-9)
    assert halvings.max() >= 1


def test_a_new_predictor_learns_new_images():
    """Trained from scratch on bars of one orientation, the rule predicts new bars of that orientation only."""
    from brainsnn.training.predictive_vgg import add_predictor

    inputs = keras.Input((8, 8, 1))
    features = keras.layers.Conv2D(8, 2, strides=2, activation="relu", use_bias=False, name="features")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(features)))
    rng = np.random.default_rng(0)
    model.get_layer("features").set_weights([rng.normal(0, 1, (2, 2, 1, 8))])
    model = add_predictor(model, "features")
    bars = np.zeros((8, 8, 8, 1))
    bars[np.arange(8), :, np.arange(8)] = 1  # one column each
    thresholds = {"features": 1.0, "learned_prediction": 1.0}
    gate = bs.PredictiveGate(output="learned_prediction", mode="graded", learning=bs.LocalLearning(0.01))
    snn = bs.convert(model, neuron=bs.IF(), thresholds=thresholds, feedback=gate, device=DEVICE)
    exams = {"seen": bars, "other": bars.transpose(0, 2, 1, 3)}

    def explained(images):
        snn.set_parameters("learned_prediction", learning_rate=0.0)
        predictions = snn.run(images, duration=50 * bs.ms, seed=1).predicted_input[:, -1]
        return 1 - np.sum((predictions - images) ** 2) / np.sum(images**2)

    assert abs(explained(bars)) < 0.01
    snn.set_parameters("learned_prediction", learning_rate=0.01)
    snn.run(np.tile(bars, (10, 1, 1, 1)), duration=50 * bs.ms)
    learned = {name: explained(images) for name, images in exams.items()}
    assert learned["seen"] > 0.5 and learned["seen"] > learned["other"] + 0.3, learned


def test_errors(case):
    _, images, spikes, _ = case
    with pytest.raises(ValueError, match="learning_rate: must be 0 or more, got -1"):
        bs.LocalLearning(-1)
    with pytest.raises(ValueError, match="w_max: must be positive"):
        bs.LocalLearning(w_max=0)
    snn = _network(case)
    with pytest.raises(ValueError, match="needs processes=1, got processes=2"):
        snn.run(spikes=spikes, images=images, processes=2)
    with pytest.raises(bs.UnknownNameError, match="projection that learns"):
        snn.set_learned_weights({"generator2_to_predictions": np.zeros(3)})
    before = snn.learned_weights[PROJECTION]
    with pytest.raises(ValueError, match="needs 784 finite weights"):
        snn.set_learned_weights({PROJECTION: np.zeros(3)})
    with pytest.raises(ValueError, match="weights must be a dict, as learned_weights returns it, got 5"):
        snn.set_learned_weights(5)
    with pytest.raises(bs.UnknownNameError, match="projection that learns"):
        snn.set_learned_weights({PROJECTION: np.zeros(784), "nowhere": np.zeros(784)})
    with pytest.raises(ValueError, match="masked array"):
        snn.set_learned_weights({PROJECTION: np.ma.masked_greater(np.arange(784.0), 5)})
    np.testing.assert_array_equal(snn.learned_weights[PROJECTION], before)


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
def test_a_run_that_fills_the_disk_teaches_nothing(case, device, small_disk, monkeypatch):
    """Which of its images is complete depends on the disk; the weights are those from before the run."""
    pytest.importorskip("zarr", reason="streaming needs zarr")
    monkeypatch.setattr(streaming, "disk_usage", lambda path: SimpleNamespace(free=10**12))
    _, images, spikes, _ = case
    snn = _network(case, device=device)
    before = snn.learned_weights[PROJECTION]
    with pytest.raises(OSError, match="is full after 1 of 3 images"):
        snn.run(images, duration=1200 * bs.ms, spikes=spikes, stream_to=small_disk / "run")
    np.testing.assert_array_equal(snn.learned_weights[PROJECTION], before)
    snn.run(images, spikes=spikes)
    assert (snn.learned_weights[PROJECTION] != before).any()
