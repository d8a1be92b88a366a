"""Tests of the analyses with NaN, constants, empty input and arguments that do not fit each other."""

import warnings

import numpy as np
import pytest
from brian2 import ms
from scipy.stats import pearsonr
from sklearn.metrics import top_k_accuracy_score

import brainsnn.analysis as am
from brainsnn.results.result import Result

NAN = float("nan")
SCORES = np.array([[0.9, 0.1], [0.2, 0.8]])


@pytest.fixture(autouse=True)
def no_warnings():
    """A warning of numpy about an empty slice or a division by zero is an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def make_result(n_images=2):
    """A layer of 2x1x2 neurons, four steps of 1 ms, without spikes."""
    result = Result({"layer": (2, 1, 2), "readout": (1, 1, 2)}, 1e-3, 4)
    result.outputs["readout"] = np.zeros((n_images, 4, 2))
    result.spikes["layer"] = [(np.zeros(0, int), np.zeros(0, int))] * n_images
    result.spike_counts["layer"] = np.zeros(n_images, int)
    return result


def test_dissimilarity_equals_pearson_and_is_nan_for_constant_patterns():
    random = np.random.default_rng(0)
    for _ in range(50):
        patterns = random.normal(size=(6, 5)) * 10.0 ** random.integers(-3, 4)
        constant = random.random(6) < 0.4
        patterns[constant] = random.normal(size=(6, 1))[constant]
        rdm = am.dissimilarity_matrix(patterns)
        for i, j in np.ndindex(rdm.shape):
            if constant[i] or constant[j]:
                assert np.isnan(rdm[i, j])
            else:
                assert rdm[i, j] == pytest.approx(1 - pearsonr(patterns[i], patterns[j]).statistic, abs=1e-9)


def test_layer_rdm_of_silent_images_is_nan():
    result = make_result(3)
    result.spikes["layer"][1] = (np.array([0, 0, 3]), np.array([0, 1, 2]))
    rdm = am.layer_rdm(result, "layer")
    assert rdm[1, 1] == 0 and np.isnan(rdm).sum() == 8


@pytest.mark.parametrize("patterns", [[], np.zeros((0, 3)), np.zeros((2, 0)), [1, 2, 3]])
def test_dissimilarity_needs_patterns(patterns):
    with pytest.raises(ValueError, match="one condition and one neuron or more"):
        am.dissimilarity_matrix(patterns)


SCORE_FUNCTIONS = [am.top_k_accuracy, am.target_auc, am.TargetAUC, am.detection_scores]


@pytest.mark.parametrize("function", SCORE_FUNCTIONS)
@pytest.mark.parametrize(
    ("scores", "targets", "message"),
    [
        ([[NAN, 1], [1, 0]], [0, 1], "the scores of 1 of 2 images contain NaN"),
        ([], [], "for one image or more"),
        (np.zeros((0, 2)), [], "for one image or more"),
        (SCORES, [0, 1, 1], r"\(2, 2\) and \(3,\)"),
        (SCORES, [0, 2], "classes from 0 to 1"),
        (SCORES, [0, NAN], "classes from 0 to 1"),
    ],
)
def test_scores_that_cannot_be_judged(function, scores, targets, message):
    with pytest.raises(ValueError, match=message):
        function(scores, targets)


@pytest.mark.parametrize("function", [am.target_auc, am.detection_scores])
def test_labels_that_do_not_fit(function):
    with pytest.raises(ValueError, match=r"labels of shape \(2,\) for scores of shape \(2, 2\)"):
        function(SCORES, [0, 1], [0, 1])


def test_top_k_equals_scikit_learn():
    random = np.random.default_rng(0)
    scores, targets = random.integers(0, 5, (200, 4)) / 4, random.integers(0, 4, 200)  # with ties
    for k in (1, 2, 3):
        mirrored = top_k_accuracy_score(3 - targets, scores[:, ::-1], k=k)  # there, later classes win ties
        assert am.top_k_accuracy(scores, targets, k) == mirrored
    assert am.top_k_accuracy(scores, targets) == (scores.argmax(axis=1) == targets).mean()
    assert am.top_k_accuracy(SCORES, [0, 0]) == 0.5  # two classes
    with pytest.raises(ValueError, match="k=0 must be a whole number, 1 or greater"):
        am.top_k_accuracy(SCORES, [0, 1], k=0)


def test_rate_of_nothing_is_nan():
    scores = am.detection_scores([[1.0, 1.0]], [0], [[1, 1]])
    assert scores["hit_rate"] == 1 and np.isnan(scores["false_alarm_rate"]) and np.isnan(scores["d_prime"])
    assert np.isnan(am.d_prime(0, 0, 10, 50)) and np.isnan(am.d_prime(9, 10, 0, 0))
    assert np.isnan(am.TargetAUC(SCORES, [0, 1])([]))


def test_accuracy_with_nan():
    result = make_result()
    result.outputs["readout"][0, 2:, 0] = NAN
    np.testing.assert_array_equal(result.accuracy([0, 1]), [0.5, 0.5, NAN, NAN])
    np.testing.assert_array_equal(result.accuracy([0, 1], window=2), [0.5, 0.5, NAN, NAN])
    np.testing.assert_array_equal(make_result(0).accuracy([]), [NAN] * 4)
    for labels in (0, [[0, 1], [1, 0]]):
        with pytest.raises(ValueError, match="labels of shape .* for 2 images; pass one per image"):
            result.accuracy(labels)
    for window in (0, -1, 1.5):
        with pytest.raises(ValueError, match=f"window={window} must be a whole number of steps, 1 or greater"):
            result.accuracy([0, 1], window)


def test_auc_and_d_prime():
    for scores in ([NAN, 1, 2], [0, 1, NAN]):
        assert np.isnan(am.auc(scores, [0, 1, 0]))
    with pytest.raises(ValueError, match="got 0 with and 0 without"):
        am.auc([], [])
    with pytest.raises(ValueError, match=r"got the shapes \(3,\) and \(2,\)"):
        am.auc([1, 2, 3], [0, 1])
    with pytest.raises(ValueError, match="hits=3 must be a whole number, from 0 to 2"):
        am.d_prime(3, 2, 0, 1)
    with pytest.raises(ValueError, match="false alarms=-1 must be a whole number, from 0 to 1"):
        am.d_prime(1, 2, -1, 1)


def test_detection_time():
    assert am.detection_time(np.zeros((0, 4, 2)), [], np.arange(4)).shape == (0,)
    np.testing.assert_array_equal(am.detection_time([[[NAN] * 2, [1, 1]]], [0], [0, 1]), [1])
    for output, targets, times in (
        (np.zeros((2, 0, 2)), [0, 1], []),
        (np.zeros((2, 4, 2)), [0], np.arange(4)),
        (np.zeros((2, 4, 2)), [0, 1], np.arange(3)),
    ):
        with pytest.raises(ValueError, match="n targets and n_steps times, got the shapes"):
            am.detection_time(output, targets, times)
    for target in (-1, 2):
        with pytest.raises(ValueError, match="classes from 0 to 1"):
            am.detection_time(np.zeros((1, 4, 2)), [target], np.arange(4))


def test_response_latency():
    assert np.isnan(am.response_latency([NAN] * 50, np.arange(50.0), (0, 10)))
    for response, times in (([], []), ([1], [0]), ([1] * 40, np.arange(50))):
        with pytest.raises(ValueError, match="of two or more steps, got the shapes"):
            am.response_latency(response, times, (0, 10))


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"start": 100 * ms}, "start=100. ms must be a number in ms, without a unit"),
        ({"criterion": "0.5"}, "criterion='0.5' must be a number"),
        ({"baseline": (0 * ms, 10 * ms)}, "baseline=.* must be two numbers without a unit"),
        ({"baseline": 100}, "baseline=100 must be two numbers"),
        ({"baseline": ("0", "9")}, "baseline=.* must be two numbers"),
        ({"percentile": "99"}, "percentile='99' must be from 0 to 100"),
        ({"smoothing": True}, "smoothing=True must be 0 or greater, in ms"),
    ],
)
def test_times_and_criteria_are_plain_numbers(option, message):
    with pytest.raises(ValueError, match=message):
        if {*option} <= {"start", "criterion"}:
            am.detection_time(np.zeros((1, 2, 1)), [0], [0.0, 1.0], **option)
        else:
            am.response_latency(np.arange(50.0), np.arange(50.0), **{"baseline": (0, 10)} | option)


def test_a_result_without_images_or_spiking_layers():
    empty = make_result(0)
    assert am.layer_patterns(empty, "layer").shape == (0, 2)
    assert am.response_rate(empty, "layer").shape == (0, 4)
    assert am.firing_latency(empty, "layer", (0, 1)).shape == (0,)
    assert [len(rates) for rates in am.focus_rates(empty, "layer", (0.5, 0.5), 0.2)] == [0, 0]
    assert am.spikes_per_image(empty).shape == (0,)
    result = make_result()
    result.spike_counts.clear()
    np.testing.assert_array_equal(am.spikes_per_image(result), [0, 0])
    assert np.isnan(result.mean_firing_rate) and np.isnan(empty.mean_firing_rate)
    assert make_result().mean_firing_rate == 0


def test_masks_and_cues():
    result = make_result()
    nowhere = np.zeros((2, 2, 1), bool)
    assert np.isnan(am.response_rate(result, "layer", nowhere)).all()
    assert np.isnan(am.layer_patterns(result, "layer", masks=nowhere)).all()
    for function in (am.response_rate, am.firing_latency, am.layer_patterns, am.layer_rdm):
        options = {"baseline": (0, 1)} if function is am.firing_latency else {}
        for masks in ([], nowhere[:1], np.ones((2, 9, 1), bool)):
            with pytest.raises(ValueError, match=r"masks must have the shape \(2, 2, 1\)"):
                function(result, "layer", masks=masks, **options)
    with pytest.raises(ValueError, match="3 cues for 2 images"):
        am.focus_rates(result, "layer", np.full((3, 2), 0.5), 0.2)
    for centers in ([], (0.5, NAN), (0.1, 0.2, 0.3)):
        with pytest.raises(ValueError, match="finite .row, column. pairs"):
            am.focus_masks((2, 2), centers, 0.2)
    with pytest.raises(ValueError, match="width=0 must be a positive number"):
        am.focus_masks((2, 2), (0.5, 0.5), 0)
    with pytest.raises(ValueError, match="has no location"):
        am.focus_masks((0, 2), (0.5, 0.5), 0.2)


def test_rdm_fit_and_bootstrap():
    rdm = am.dissimilarity_matrix(np.random.default_rng(0).random((4, 9)))
    assert np.isnan(am.rdm_fit(np.full((4, 4), NAN), [0, 1, 0, 1]))
    assert np.isnan(am.rdm_fit(np.zeros((0, 0)), []))
    with pytest.raises(ValueError, match="method='x'; choose one of 'spearman', 'kendall', 'pearson'"):
        am.rdm_fit(rdm, [0, 1, 0, 1], method="x")
    with pytest.raises(ValueError, match="square matrices of the same shape"):
        am.rdm_fit(np.ones((3, 4)), np.ones((3, 4)))
    for n in (0, 1):
        with pytest.raises(ValueError, match=f"n_items={n} must be a whole number, 2 or greater"):
            am.bootstrap_interval(np.mean, n)


def test_evoked_potential_reads_zarr_arrays():
    zarr = pytest.importorskip("zarr")
    result, values = make_result(), np.random.default_rng(0).random((2, 4, 3)).astype("f4")
    expected = values.mean(axis=2, dtype=float)
    for stored in (values, zarr.array(values)):
        result.states["layer"] = {"S": stored}
        np.testing.assert_array_equal(am.evoked_potential(result, "layer"), expected)
    result.states["layer"] = {"S": values[:0]}
    assert am.evoked_potential(result, "layer").shape == (0, 4)


def test_firing_rates_by_the_name_of_a_folded_layer():
    result = Result({"asn": (2, 1, 2)}, 1e-3, 4, {"conv": "asn"})
    result.outputs["readout"], result.spike_counts["asn"] = np.zeros((2, 4, 2)), np.array([3, 0])
    np.testing.assert_allclose(result.firing_rates["conv"], [3 / 4 / 4e-3, 0])
    assert "conv" in result.firing_rates and list(result.firing_rates) == ["asn"]


def test_dissimilarity_of_tiny_huge_and_barely_varying_patterns():
    pattern, other = np.array([1.0, -2, 0.5, 3]), np.array([0.25, 1, -1, 2])
    expected = 1 - pearsonr(pattern, other).statistic
    for scale in (1e-300, 1e300):
        rdm = am.dissimilarity_matrix([scale * pattern, other])
        assert rdm[0, 1] == pytest.approx(expected, rel=1e-9)
    assert am.dissimilarity_matrix([1e8 + pattern * 2.0**-20, other])[0, 1] == pytest.approx(expected, rel=1e-9)


def test_auc_of_infinite_scores_and_of_scenes_that_do_not_exist():
    measure = am.TargetAUC([[np.inf, 0], [np.inf, 1]], [0, 1])
    assert measure() == 0.75  # a tie of infinite outputs counts one half
    for indices in ([2], [-1], [0.5], [True, False]):
        with pytest.raises(ValueError, match=r"scenes must be whole numbers from 0 to 1"):
            measure(indices)


def test_labels_are_zero_or_one_and_contain_the_target():
    with pytest.raises(ValueError, match="labels: give booleans, or 0 and 1"):
        am.auc([1, 2, 3], [-1, 1, 1])
    with pytest.raises(ValueError, match="labels: give booleans, or 0 and 1"):
        am.target_auc(SCORES, [0, 1], [[1, 2], [0, 1]])
    with pytest.raises(ValueError, match=r"scene 1 has no label for its own target; set labels\[1, target\] = 1"):
        am.detection_scores(SCORES, [0, 1], [[1, 0], [1, 0]])


def test_spikes_outside_of_the_population_or_the_trial():
    for neurons, steps, message in (
        ([5], [0], "neurons must be"),
        ([0], [9], "steps must be"),
        ([0, 1], [0], "2 neurons for 1"),
    ):
        with pytest.raises(ValueError, match=message):
            am.filtered_spikes(neurons, steps, 2, 4, 0.5, 2)


def test_accuracy_over_a_window_loses_no_digits():
    result = make_result(1)
    result.outputs["readout"] = np.array([[[1e30, 0], [0.2, 0.1], [0.2, 0.1], [0.1, 0.3]]])
    np.testing.assert_array_equal(result.accuracy([0], window=2), [1, 1, 1, 0])
    with pytest.raises(ValueError, match="labels must be classes from 0 to 1"):
        result.accuracy([2])


def test_a_result_without_readout(tmp_path):
    result = make_result(3)
    result.outputs.clear()
    assert result.n_images == 3 and "3 images" in repr(result)
    with pytest.raises(ValueError, match="the result has no readout"):
        _ = result.output
    result.save(tmp_path / "result.npz")
    assert Result.load(tmp_path / "result.npz").n_images == 3
    make_result(0).save(tmp_path / "empty.npz")
    assert Result.load(tmp_path / "empty.npz").spikes["layer"] == []
    with pytest.raises(IndexError, match=r"Result.raster: images=5; the result has 3 images"):
        result.raster("layer", 5)
    with pytest.raises(IndexError, match=r"Neuron \(0, 0\) of 'layer' does not exist; its shape is \(2, 1, 2\)"):
        result.index_of("layer", (0, 0))


def test_times_are_even_and_options_in_range():
    times = np.arange(20.0)
    with pytest.raises(ValueError, match="times must increase in equal steps"):
        am.response_latency(times, np.r_[times[:10], times[10:] + 0.5], (0, 5))
    for option, message in (
        ({"smoothing": -1}, "smoothing=-1 must be 0 or greater"),
        ({"percentile": 101}, "from 0 to 100"),
    ):
        with pytest.raises(ValueError, match=message):
            am.response_latency(times, times, (0, 5), **option)
    with pytest.raises(ValueError, match="times must be finite and increase"):
        am.detection_time(np.zeros((1, 2, 1)), [0], [1.0, 0.0])
    with pytest.raises(ValueError, match="criterion=nan must be a number"):
        am.detection_time(np.zeros((1, 2, 1)), [0], [0.0, 1.0], criterion=NAN)
    for options, message in (
        ({"n_resamples": 0}, "n_resamples=0"),
        ({"confidence": 1}, "confidence=1"),
        ({"method": "t"}, "method='t'"),
    ):
        with pytest.raises(ValueError, match=message):
            am.bootstrap_interval(np.mean, 5, **options)
