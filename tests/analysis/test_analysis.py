"""Tests of metrics against hand-computed values, of plots, and of the comparison of ANN and SNN."""

import subprocess
import sys
from functools import partial

import numpy as np
import pytest
from brian2 import mV
from chosen_device import DEVICE

import brainsnn as bs
from brainsnn import analysis
from brainsnn.errors import UnknownNameError


@pytest.fixture
def result():
    """Two images, four steps of 1 ms, a population of 2x1x2 neurons with spikes and one recorded variable."""
    result = bs.Result({"conv": (2, 1, 2), "readout": (1, 1, 2)}, 1e-3, 4)
    result.outputs["readout"] = np.array(
        [[[0.0, 1.0], [0.6, 0.4], [0.7, 0.3], [0.8, 0.2]], [[1.0, 0.0], [0.9, 0.1], [0.4, 0.6], [0.3, 0.7]]]
    )
    result.spikes["conv"] = [(np.array([0, 3, 3]), np.array([0, 1, 3])), (np.array([], int), np.array([], int))]
    result.spike_counts["conv"] = np.array([3, 0])
    result.states["conv"] = {"v": np.arange(16.0).reshape(2, 4, 2) * 1e-3}
    result.recorded["conv"] = {"v": np.array([1, 3])}
    return result


@pytest.fixture(autouse=True)
def close_figures():
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")


def test_analysis_is_imported_when_it_is_used():
    code = "import sys, brainsnn.analysis as a; assert not {'brainsnn.analysis.plots', 'pandas', 'tensorflow'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    for name in analysis.__all__:
        assert getattr(analysis, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'acu'"):
        analysis.acu  # noqa: B018


# Metrics


def test_filtered_spikes_equal_the_recursion():
    random = np.random.default_rng(0)
    raster = random.random((60, 5)) < 0.2
    decay, window = np.exp(-1 / 50), 17
    trace, total = np.zeros(5), np.zeros(5)
    for t, spikes in enumerate(raster):
        trace = trace * decay + spikes
        total += trace * (t >= 60 - window)
    steps, neurons = np.nonzero(raster)
    np.testing.assert_allclose(
        analysis.filtered_spikes(neurons, steps, 5, 60, decay, window), total / window, rtol=1e-12
    )
    # Without a filter, the mean is in spikes per step.
    plain = analysis.filtered_spikes(neurons, steps, 5, 60, 0.0, window)
    np.testing.assert_allclose(plain, raster[-window:].mean(axis=0))


def test_filtered_spikes_of_a_regular_train():
    # A spike every 5 steps, long after the transient: 1/(5*(1 - decay)).
    decay = np.exp(-1 / 20)
    mean = analysis.filtered_spikes(np.zeros(200, int), np.arange(0, 1000, 5), 1, 1000, decay, 500)
    assert mean == pytest.approx(1 / (5 * (1 - decay)), rel=1e-9)


@pytest.mark.parametrize("window, decay", [(0, 0.5), (5, 0.5), (2, 1.0), (2, -0.1)])
def test_filtered_spikes_refuses(window, decay):
    with pytest.raises(ValueError, match="must lie in|must be a whole number, from 1 to 4"):
        analysis.filtered_spikes([0], [0], 1, 4, decay, window)


def test_spikes_per_image(result):
    result.spike_counts["other"] = np.array([1, 5])
    np.testing.assert_array_equal(analysis.spikes_per_image(result), [4, 5])


def test_accuracy_interval():
    # Wilson, 98 of 100 at 95%: known values
    low, high = analysis.accuracy_interval(98, 100)
    assert (low, high) == (pytest.approx(0.9300, abs=5e-5), pytest.approx(0.9945, abs=5e-5))
    # 5 of 10: 0.5 -+ 1.959964/1.384146*sqrt(0.025 + 0.0096036). Without trials there is no interval.
    low, high = analysis.accuracy_interval(np.array([5, 0]), np.array([10, 0]))
    np.testing.assert_allclose(low, [0.236593, np.nan], atol=1e-6)
    np.testing.assert_allclose(high, [0.763407, np.nan], atol=1e-6)


def test_auc():
    # pairs (present, absent): 0.9>0.2, 0.9>0.5, 0.5>0.2, 0.5=0.5 -> (3 + 1/2)/4
    assert analysis.auc([0.9, 0.5, 0.2, 0.5], [1, 1, 0, 0]) == pytest.approx(3.5 / 4)
    assert analysis.auc([1, 2, 3], [False, False, True]) == 1.0
    assert analysis.auc([-np.inf, 2, np.inf, 3], [0, 1, 1, 0]) == 0.75
    assert np.isnan(analysis.auc([np.nan, 2, 3], [0, 0, 1]))
    with pytest.raises(ValueError, match="with and trials without"):
        analysis.auc([1, 2], [1, 1])


def test_d_prime():
    assert analysis.d_prime(50, 100, 50, 100) == pytest.approx(0.0, abs=1e-12)
    # (84.5)/101 and (15.5)/101: z = +-1.0212
    assert analysis.d_prime(84, 100, 15, 100) == pytest.approx(2 * 0.9991, abs=0.05)
    assert np.isfinite(analysis.d_prime(100, 100, 0, 100))


def test_detection_time(result):
    times = analysis.detection_time(result.output, [0, 1], result.times)
    np.testing.assert_array_equal(times, [1, 2])
    times = analysis.detection_time(result.output, [0, 1], result.times, criterion=0.75, start=1)
    np.testing.assert_array_equal(times, [3, np.nan])


def test_evoked_potential(result):
    np.testing.assert_allclose(analysis.evoked_potential(result, "conv", "v")[0], [0.5e-3, 2.5e-3, 4.5e-3, 6.5e-3])
    with pytest.raises(UnknownNameError, match="no recorded variable of 'conv' named 'S'.* Known: v"):
        analysis.evoked_potential(result, "conv", "S")


def test_response_latency():
    times = np.arange(400.0)
    response = np.exp(-((times - 200) ** 2) / (2 * 20.0**2))
    # A Gaussian of 20 ms smoothed by one of 8 ms crosses half its height sqrt(2 ln 2 (20^2 + 8^2)) before the peak.
    expected = 200 - np.sqrt(2 * np.log(2) * (20**2 + 8**2))
    assert analysis.response_latency(response, times, (50, 100)) == pytest.approx(expected, abs=0.1)
    assert np.isnan(analysis.response_latency(np.zeros(400), times, (50, 100)))
    with pytest.raises(ValueError, match="no step lies"):
        analysis.response_latency(response, times, (500, 600))


def test_response_latency_of_a_step_and_of_a_later_peak():
    times = np.arange(400.0)
    # A step that lasts until the end: the smoothed response crosses its half between 199 and 200 ms.
    step = 1.0 * (times >= 200)
    assert analysis.response_latency(step, times, (50, 100)) == pytest.approx(199.5)
    # Still rising at the end: there is no peak.
    assert np.isnan(analysis.response_latency(np.maximum(times - 200, 0), times, (50, 100)))
    # The latency is that of the first peak, not of the highest one, at half its height above the baseline.
    two = 5 + np.exp(-((times - 200) ** 2) / (2 * 20.0**2)) + 3 * np.exp(-((times - 350) ** 2) / (2 * 20.0**2))
    expected = 200 - np.sqrt(2 * np.log(2) * (20**2 + 8**2))
    assert analysis.response_latency(two, times, (0, 60)) == pytest.approx(expected, abs=0.1)


def test_dissimilarity_matrix():
    rdm = analysis.dissimilarity_matrix([[1, 2, 3], [2, 4, 6], [3, 2, 1]])
    np.testing.assert_allclose(rdm, [[0, 0, 2], [0, 0, 2], [2, 2, 0]], atol=1e-12)
    assert np.isnan(analysis.dissimilarity_matrix([[1, 1], [1, 2]])[0, 1])
    # Three equal numbers with a different mean in floating point, and a pattern with a NaN.
    for undefined in ([0.1, 0.1, 0.1], [1, np.nan, 2]):
        rdm = analysis.dissimilarity_matrix([[1, 2, 3], undefined, [3, 2, 1]])
        np.testing.assert_allclose(rdm, [[0, np.nan, 2], [np.nan] * 3, [2, np.nan, 0]], atol=1e-12)
    np.testing.assert_array_equal(analysis.dissimilarity_matrix([[1, 2, 3]]), [[0]])


# Plots


def test_plot_traces_draws_trace_and_spikes(result):
    ax = result.plot_traces("conv", neuron=(1, 0, 1), variables=["v"])
    np.testing.assert_allclose(ax.lines[0].get_ydata(), result.states["conv"]["v"][0, :, 1])
    ticks = ax.collections[0].get_segments()
    assert [segment[0][0] for segment in ticks] == [1, 3]
    assert "(1, 0, 1)" in ax.get_title() and ax.get_xlabel() == "time (ms)"


def test_plot_traces_with_units(result):
    ax = analysis.plot_traces(result, "conv", 3, image=1, units={"v": mV})
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [9, 11, 13, 15])
    assert ax.get_ylabel() == "v (mV)"


@pytest.mark.parametrize(
    "arguments, error, message",
    [
        (("cnov", 0), UnknownNameError, "Did you mean 'conv'"),
        (("conv", 0), IndexError, "was not recorded"),
        (("conv", (2, 0, 0)), IndexError, r"shape is \(2, 1, 2\)"),
        (("conv", 9), IndexError, "has 4 neurons"),
        (("conv", 1, 2), IndexError, "has 2 images"),
    ],
)
def test_plot_traces_refuses(result, arguments, error, message):
    with pytest.raises(error, match=message):
        analysis.plot_traces(result, *arguments)


def test_plot_raster(result):
    ax = analysis.plot_raster(result, "conv")
    np.testing.assert_array_equal(ax.collections[0].get_offsets(), [[0, 0], [1, 3], [3, 3]])
    assert analysis.plot_raster(result, "conv", image=1, max_neurons=2).get_title().startswith("conv: 1 in 3")
    with pytest.raises(UnknownNameError, match="'readout'"):
        analysis.plot_raster(result, "readout")


def test_plot_accuracy_over_time(result):
    ax = analysis.plot_accuracy_over_time({"a": result}, [0, 1], ann_accuracy=0.9)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), [0, 50, 100, 100])
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a: 100.0% of 2", "ANN: 90.0%"]
    low, high = analysis.accuracy_interval(1, 2)
    edges = ax.collections[0].get_paths()[0].vertices
    at_one = np.unique(edges[edges[:, 0] == result.times[1], 1])  # at the second step one of two is correct
    np.testing.assert_allclose(at_one, [100 * low, 100 * high])


# ANN against SNN


def small_model():
    """Return a seeded model: encoding layer, convolution with a bias, dense layer and softmax."""
    import keras

    from brainsnn.training import ASNTransfer

    keras.utils.set_random_seed(3)
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((6, 6, 1), name="pixels"),
            ASNTransfer(m_f=0.05, name="encoding"),
            layers.Conv2D(4, 3, bias_initializer="random_uniform", name="conv"),
            ASNTransfer(m_f=0.05, name="conv_asn"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax", name="readout"),
        ]
    )


@pytest.mark.slow
def test_compare_activations():
    model = small_model()
    images = np.random.default_rng(1).random((4, 6, 6, 1))
    snn = bs.convert(model, neuron=bs.ASN(m_f=0.05), device=DEVICE)
    comparison = analysis.compare_activations(model, snn, images, duration=600 * bs.ms, window=300 * bs.ms)
    table = comparison.table.set_index("layer")
    assert list(table.index) == ["encoding", "conv_asn", "readout"]
    assert (table["keras_error"] < 1e-5).all()
    assert (table["correlation"] > 0.99).all()
    # The encoding layer has constant inputs, so the formula holds within a fraction of a spike height (0.064).
    assert table.loc["encoding", "rmse"] < 0.02
    assert table.loc["conv_asn", "rmse"] < 0.05
    np.testing.assert_allclose(comparison.snn["readout"].sum(axis=-1), 1, atol=1e-5)
    assert np.isnan(table.loc["readout", "rate_hz"]) and table.loc["encoding", "rate_hz"] > 0
    assert comparison.ann["conv_asn"].shape == comparison.snn["conv_asn"].shape == (4, 4, 4, 4)
    assert "conv_asn" in str(comparison)
    assert len(comparison.plot().axes) == 3

    # The recording copy has the parameters of the network: neurons silenced by the user are silent in the comparison.
    snn.set_parameters("encoding", gain=0.0)
    silenced = analysis.compare_activations(snn.graph, snn, images[:1], duration=50 * bs.ms, window=50 * bs.ms)
    table = silenced.table.set_index("layer")
    assert table.loc["encoding", "silent"] == 1
    assert table["keras_error"].isna().all()


def test_the_copy_that_records_has_connectivity_feedback_and_learned_weights():
    from brainsnn.builders.copying import copy_network
    from brainsnn.training.predictive_vgg import predictive_vgg

    gate = bs.PredictiveGate(mode="dynamic", epsilon=0.1, learning=bs.LocalLearning(0.01, 0.6))
    model = predictive_vgg(5, (8, 8, 1), 4, width=1 / 16, dense=(6,))
    snn = bs.convert(
        model, neuron=bs.IF(), connectivity="synapses", schedule="synchronous", device="cpp_standalone", dtype="float64",
        dt=2 * bs.ms, feedback=gate,
    )  # fmt: skip
    snn.set_parameters("input", epsilon=0.25)
    snn.set_parameters("prediction", v_th=np.linspace(1, 2, 64), learning_rate=0.0)
    weights = {name: w + 0.01 for name, w in snn.learned_weights.items()}
    snn.set_learned_weights(weights)
    spiking = [name for name, p in snn.graph.populations.items() if p.kind == "spiking"]
    copy = copy_network(snn, dict.fromkeys(spiking, ["spikes"]))
    assert str(copy.feedback.model) == str(snn.feedback.model) == str(gate.edit(epsilon=0.25).model)
    assert copy.feedback.learning == gate.learning
    for name in ("connectivity", "encoder", "schedule", "device", "dtype", "dt"):
        assert getattr(copy, name) == getattr(snn, name)
    assert copy.models.keys() == snn.models.keys()
    for name, model in snn.models.items():
        assert str(copy.models[name]) == str(model)
    assert copy.populations["input"].epsilon == 0.25
    np.testing.assert_allclose(copy.populations["prediction"].v_th[:], np.linspace(1, 2, 64))
    assert copy.populations["prediction"].learning_rate == 0
    assert list(copy.learned_weights) == list(weights) and weights
    for name, w in weights.items():
        np.testing.assert_array_equal(copy.learned_weights[name], w)


def small_graph():
    from brainsnn.builders.from_keras import read_keras

    return read_keras(small_model())


def test_a_copy_of_an_attended_network_has_the_parameters_of_the_user():
    """All of them, also spike heights that the user scaled; the network itself stays attended."""
    from brainsnn.builders.copying import copy_network

    for neuron, ending in ((bs.ASN(m_f=0.1), ""), (bs.switchable(bs.ASN(m_f=0.1)), "_rest")):
        snn = bs.convert(small_graph(), neuron=neuron)
        snn.set_parameters("conv_asn", **{"m_f" + ending: np.linspace(0.1, 0.2, 64), "gain" + ending: 1.5})
        snn.set_parameters("encoding", **{"h" + ending: 0.3})
        names = [(name, variable) for name in ("encoding", "conv_asn") for variable in snn.parameters[name]]
        before = {key: snn._read(*key) for key in names}
        onset = {} if ending == "" else {"onset": [5, 20] * bs.ms}
        cues = [(0.2, 0.2), (0.8, 0.8)]
        snn.attend(bs.SpatialAttention(cues, 0.3, input_gain=0.5, output_gain=0.3, precision=0.02, **onset))
        attended = {key: snn._read(*key) for key in names}
        copy = copy_network(snn)
        assert any(not np.array_equal(attended[key], before[key]) for key in names)
        for key in names:
            np.testing.assert_array_equal(copy._read(*key), before[key], err_msg=str(key))
            np.testing.assert_array_equal(snn._read(*key), attended[key], err_msg=str(key))


@pytest.mark.parametrize("neuron", [bs.ASN(m_f=0.05), bs.switchable(bs.ASN(m_f=0.05))], ids=["plain", "switchable"])
def test_compare_activations_is_the_same_with_attention(neuron):
    """Without attention, with one cue for each image, and with a cue that switches on: no cue acts in the comparison."""
    graph = small_graph()
    images = np.random.default_rng(1).random((3, 6, 6, 1))
    record = {"encoding": ["spikes"], "conv_asn": ["spikes"]}
    snn = bs.convert(graph, neuron=neuron, device=DEVICE, record=record)
    compare = partial(analysis.compare_activations, graph, snn, images, 60 * bs.ms, 40 * bs.ms)
    expected = compare()
    onset = {} if neuron.name == "ASN" else {"onset": [0, 20, 50] * bs.ms}
    cues = [(0.1, 0.1), (0.5, 0.5), (0.9, 0.9)]
    snn.attend(bs.SpatialAttention(cues, 0.3, input_gain=0.8, output_gain=0.5, precision=0.02, **onset))
    compared = compare()
    for name, activations in expected.snn.items():
        np.testing.assert_array_equal(compared.snn[name], activations)
    # The cues change a run of the network itself.
    attended = snn.run(images, duration=60 * bs.ms).outputs["readout"][:, -40:].mean(axis=1)
    assert np.abs(attended - expected.snn["readout"].reshape(3, -1)).max() > 1e-3


def test_compare_activations_needs_images():
    snn = bs.convert(small_graph(), neuron=bs.ASN())
    for images, message in ((np.zeros((0, 6, 6, 1)), "holds no image"), (np.zeros((2, 5, 5, 1)), "images of shape")):
        with pytest.raises(ValueError, match=message):
            analysis.compare_activations(snn.graph, snn, images)


def test_compare_activations_refuses_a_window_longer_than_the_run():
    snn = bs.convert(small_graph(), neuron=bs.ASN())
    with pytest.raises(ValueError, match="at most duration"):
        analysis.compare_activations(snn.graph, snn, np.zeros((1, 6, 6, 1)), duration=100 * bs.ms)


def test_synaptic_decay():
    from brainsnn.equations.arriving_spikes import synaptic_decay

    assert synaptic_decay(bs.ASN(), 1e-3) == pytest.approx(np.exp(-1 / 50))
    assert synaptic_decay(
        bs.ASN().replace("dI/dt = -I/tau_beta : 1", "dI/dt = -2*I/(10*ms) : 1"), 1e-3
    ) == pytest.approx(np.exp(-1 / 5))
    assert synaptic_decay(bs.IF(), 1e-3) == 0.0
    with pytest.raises(ValueError, match="must be a linear filter"):
        synaptic_decay(bs.ASN().replace("dI/dt = -I/tau_beta : 1", "dI/dt = 1/tau_beta - I**2/tau_beta : 1"), 1e-3)


def test_plot_training(tmp_path):
    """The two stages appear one after the other on the axes. A log without an epoch is an error."""
    head = "stage,epoch,loss,accuracy,validation_accuracy,reconstruction,spikes_per_image,seconds\n"
    path = tmp_path / "log.csv"
    path.write_text(head)
    with pytest.raises(ValueError, match="contains no epoch"):
        analysis.plot_training(path)
    path.write_text(head + "ann,1,1.5,0.5,0.6,9.0,0,1\nann,2,0.7,0.8,0.9,8.0,0,1\nsnn,1,0.4,0.9,0.95,7.0,100,5\n")
    figure = analysis.plot_training(path)
    lines = [ax.lines[0].get_xydata() for ax in figure.axes]
    assert np.allclose(lines[0], [[1, 1.5], [2, 0.7], [3, 0.4]])
    assert np.allclose(figure.axes[1].lines[1].get_ydata(), [60, 90, 95])
    assert figure.axes[0].patches, "the second stage is shaded"


def test_counts_of_an_interval_are_whole_numbers():
    assert analysis.accuracy_interval(3.0, 9) == analysis.accuracy_interval(3, 9)
    assert np.isnan(analysis.accuracy_interval(0, 0)).all()
    for counts in ((2.5, 9), (10, 9), (-1, 9), (np.nan, 9)):
        with pytest.raises(ValueError, match="n_correct.*whole numbers, 0 <= n_correct <= n"):
            analysis.accuracy_interval(*counts)
