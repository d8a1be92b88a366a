"""Each deviation from the protocol of Soerensen et al. (2022) that the study of attention had, by its name.

Those of networks, training and scenes are in tests/training/test_published_attention.py.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
from attention_responses import CONDITIONS, responses
from locations import STUDIES
from scipy import signal, stats
from scipy.spatial.distance import pdist

import brainsnn as bs
from brainsnn.analysis import class_model, detection_time, smoothed_response
from brainsnn.stimuli import load_search_scenes
from brainsnn.training import asn_resnet

sys.path.insert(0, str(STUDIES))

import attention_measures as measures
import attention_protocol as protocol
import attention_published as published
from attention_panels import plot_behaviour
from attention_rdms import plot_representations
from common import Study, few_neurons

RANDOM = np.random.default_rng(3)


@pytest.fixture
def study(tmp_path):
    with Study("example", "?", {"n": 1}, {"n": 1}, ["--out", str(tmp_path)]) as study:
        yield study


def test_strengths():
    """0.05 to 0.75 in steps of 0.05; the whole trial of 750 ms."""
    assert published.FULL["strengths"] == pytest.approx(np.arange(0.05, 0.751, 0.05))
    assert published.FULL["duration_ms"] == 750


def test_missing_detections():
    """A target that stays below 0.5 from 250 ms on has no time; medians leave it out, and count from onset."""
    output = np.zeros((3, 300, 2))
    output[0, 100:240, 0] = 0.9  # too early
    output[1, 270:, 0], output[2, 200:, 0] = 0.5, 0.9
    times = detection_time(output, np.zeros(3, dtype=int), np.arange(300), start=protocol.EVALUATION_MS)
    np.testing.assert_array_equal(times, [np.nan, 270, 250])
    made = responses()
    times = made.found["neutral"]["times"]
    times[:8] = np.nan
    assert made.draws("detection_ms", "neutral")[0] == pytest.approx(np.median(times[8:]) - 100)


def test_f1(study):
    """Weighted with the number of targets of each class, at p >= 0.5."""
    from sklearn.metrics import f1_score

    made = responses()
    scores, targets = made.found["precision valid"]["scores"], made.scenes.targets
    table = measures.behaviour_table(study, made, scores).set_index(["condition", "measure"]).value
    expected = f1_score(np.eye(4)[targets], scores >= 0.5, average="weighted")
    pooled = f1_score(np.eye(4)[targets], scores >= 0.5, average="micro")
    assert table["precision valid", "f1_weighted"] == pytest.approx(expected) and expected != pytest.approx(pooled)


def test_tests(study):
    """Unpaired permutations; Bonferroni for 4 comparisons of AUC and 3 otherwise; draws of AUC stratified by target."""
    made = responses(gain=0.02)
    one, other = (made.values["rate_hz"][f"output_gain {cue}"] for cue in protocol.CUES)
    expected = stats.permutation_test(
        (one, other), lambda x, y, axis: x.mean(axis) - y.mean(axis), permutation_type="independent", vectorized=True,
        n_resamples=9999, rng=np.random.default_rng(0),
    ).pvalue  # fmt: skip
    assert made.test("rate_hz", "output_gain valid", "output_gain invalid", 4999) == pytest.approx(expected, abs=0.04)
    table = measures.comparisons_table(study, made, RANDOM.random((40, 4)), made.found["neutral"]["scores"], 199)
    corrected = table[table.p_bonferroni.notna()]
    assert corrected.groupby("measure").size().to_dict() == {
        name: 12 if name == "auc" else 9 for name in measures.MEASURES
    }
    factor = np.where(corrected.measure == "auc", 4, 3)
    np.testing.assert_allclose(corrected.p_bonferroni, np.minimum(1, factor * corrected.p.fillna(1)))
    assert table.comparison.str.contains("other half").sum() == 3
    counts, made = [], responses()
    made.statistic = lambda measure, condition: (
        lambda index: counts.append(np.bincount(made.scenes.targets[index])) or 0.0
    )
    made.draws("auc", "neutral")
    assert len(counts) > made.n_draws - 1 and (np.array(counts) == 10).all()


def test_ann_reference(study):
    """AUC, accuracies and chance of the artificial network beside those of the spiking one."""
    made, scores = responses(), RANDOM.random((40, 4))
    targets = made.scenes.targets
    scores[np.arange(40), targets] += 0.4
    table = measures.behaviour_table(study, made, scores).set_index(["condition", "measure"]).value["ANN"]
    areas = []
    for k in range(4):
        own, others = scores[targets == k, k], scores[targets != k, k]
        areas.append((own[:, None] > others).mean())
    assert table["auc"] == pytest.approx(np.mean(areas))
    assert table["top_1"] == (scores.argmax(axis=1) == targets).mean()
    assert table["chance_top_1"] < table["top_1"] and 0.5 < table["chance_auc"] < table["auc"]


@pytest.fixture(scope="module")
def network():
    """Return a small network of the published architecture, five scenes with targets and cues, and a short trial."""
    import keras

    keras.utils.set_random_seed(1)
    graph = bs.read_keras(asn_resnet(18, classes=3, input_shape=(36, 36, 1), width=2), average_pooling="membrane")
    images = load_search_scenes(5, "test", seed=2).images[:, 10:46, 10:46]
    cues = np.array([(0.2, 0.7), (0.9, 0.1), (0.4, 0.4), (0.7, 0.8), (0.1, 0.5)])
    return graph, images, np.array([0, 1, 2, 0, 1]), cues, {"width": 40 / 224, "duration_ms": 252, "background": 0.3}


def test_rates_and_potentials(network, monkeypatch):
    """Spikes and potentials of a readout, one column at the valid cue also if the cue is invalid; rate over 500 ms."""
    graph, images, targets, cues, trial = network
    run, runs = protocol.run, []
    monkeypatch.setattr(protocol, "run", lambda *arguments: runs.append(run(*arguments)) or runs[-1])
    condition = protocol.Condition("output_gain", "invalid", 0.3)
    two = (images[:2], cues[:2], cues[2:4], cues[:2], cues[:2], targets[:2])
    with few_neurons():
        found = protocol.respond(*two, condition, graph, 0.45, "runtime", trial, True, 0)
        populations = protocol.make_network(graph, 0.45, "runtime").graph.populations
    (result,) = runs
    middle = protocol.analysed_layers(graph)[0]
    assert middle == "stage3_block2_asn1"
    assert {populations[name].reads for name in ("behind", "field")} == {middle}
    n = graph.populations[middle].shape
    for k, (row, column) in enumerate(np.floor(cues[:2] * n[0]).astype(int)):
        behind = result.raster("behind")[k].reshape(-1, *n)[:, row, column]
        np.testing.assert_array_equal(found["activity"][k], behind.sum(axis=1))
        field = result.states["field"]["S"][k].reshape(-1, n[0], n[1])[:, row, column]
        np.testing.assert_allclose(found["potential"][k], field, rtol=1e-5)
    assert found["potential"].any()
    made = responses()
    values = made.found["neutral"]
    activity = values["activity"][:, 250:].sum() / len(made.scenes.targets)
    assert made.draws("rate_hz", "neutral")[0] == pytest.approx(activity / 16 / 0.150)
    assert made.draws("potential", "neutral")[0] == pytest.approx(values["potential"][:, 250:].mean() / 16)


def test_latencies():
    """Criterion and resting value from average images; midpoint to the first peak; the last rising step; none is missing."""
    assert protocol.BASELINE_CUES == {"valid": (0.5, 0.5), "invalid": (0.1, 0.2)}
    assert (protocol.N_AVERAGED, published.FULL["n_averages"]) == (25, 16)
    made = responses()
    rest = RANDOM.poisson(1, (16, 400))
    made = measures.Responses(made.found, made.scenes, 16, dict.fromkeys(CONDITIONS, rest), 60)
    average = smoothed_response(rest)[:, 100:]
    criterion, m = np.percentile(average, 99.99), average.mean()
    expected = []
    for trace in smoothed_response(made.found["neutral"]["activity"]):
        peaks = [p for p in signal.find_peaks(trace, height=criterion)[0] if p >= 100]
        middle = m + (trace[peaks[0]] - m) / 2 if peaks else np.nan
        rising = [t for t in range(101, peaks[0]) if trace[t] >= middle > trace[t - 1]] if peaks else []
        expected.append(rising[-1] - 100 if rising else np.nan)
    assert np.isfinite(expected).sum() > 20
    np.testing.assert_array_equal(made.values["latency_ms"]["neutral"], expected)


@pytest.fixture(scope="module")
def represented(network, tmp_path_factory):
    """Return the RDMs of the small network, their analog model, the potentials themselves, and where they lay."""
    graph, images, targets, cues, trial = network
    scenes = protocol.Scenes(images, targets, None, cues, cues[::-1], None)
    analog, folder, potentials, stored = RANDOM.random(10), tmp_path_factory.mktemp("rdm"), protocol.potentials, []

    def kept(*arguments):
        """Keep a copy of the potentials."""
        found = potentials(*arguments)
        stored.append((np.array(found), arguments[-1]))
        return found

    with few_neurons(), pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocol, "potentials", kept)
        settings = (graph, 0.45, "runtime", trial)
        values = protocol.representation(scenes, analog, protocol.Condition(), *settings, 500, 0, 1, folder)
    assert Path(stored[0][1]).is_relative_to(folder) and not list(folder.glob("units/*"))
    return values, analog, stored[0][0], targets


def test_rdm(network, represented):
    """At each ms, 1 - Pearson r of all potentials behind the last block: 25,088 of the published network."""
    values, _, stored, _ = represented
    last = protocol.analysed_layers(network[0])[1]
    assert last == "stage4_block2_asn2" and stored.shape == (5, 252, np.prod(network[0].populations[last].shape))
    assert protocol.RDM_MS == (150, 200, 250, 300) and len(values["partial"]) == 152
    np.testing.assert_allclose(values["rdms"][0], pdist(stored[:, 250].astype(float), "correlation"), atol=1e-5)


def test_rdm_fit(represented):
    """Pearson and partial correlations with classes and the ANN, and 500 draws of their mean from 250 ms on."""
    values, analog, stored, targets = represented
    category, partial = class_model(targets), []
    for t in (250, 251):
        distances = pdist(stored[:, t].astype(float), "correlation")
        partial.append([])
        for model, other in ((category, analog), (analog, category)):
            design = np.c_[np.ones(10), other]
            left = [v - design @ np.linalg.lstsq(design, v, rcond=None)[0] for v in (distances, model)]
            partial[-1].append(stats.pearsonr(*left).statistic)
    np.testing.assert_allclose(values["partial"][150:], partial, atol=1e-3)
    plain = [stats.pearsonr(distances, model).statistic for model in (category, analog)]
    np.testing.assert_allclose(values["correlation"][-1], plain, atol=1e-3)
    for resample in ("pairs", "images"):
        draws = values[f"draws_{resample}"]
        assert draws.shape == (500, 2) and np.nanstd(draws, axis=0).min() > 0
        np.testing.assert_allclose(draws[0], np.mean(partial, axis=0), atol=1e-3)  # draw 0: all


def test_modulation_detection_distributions_rdm_time_courses(study):
    """Figures 4A, 4B and 6D have what they are named for."""
    made = responses()
    made.found["precision valid"]["output"] = made.found["neutral"]["output"] + np.eye(4)[made.scenes.targets][:, None]
    table = measures.modulation_table(study, made).set_index(["condition", "outputs", "interval"])
    assert len(table) == 18 and table.loc[("precision valid", "target", "all classes"), "change"] == pytest.approx(1)
    assert table.loc[("precision valid", "others", "as published"), "change"] == pytest.approx(0, abs=1e-9)
    modulation, detected = plot_behaviour(made, 0.8).axes[:2]
    lines = {line.get_label(): line.get_ydata() for line in modulation.lines}
    np.testing.assert_allclose(lines["precision valid"], np.ones(300))
    np.testing.assert_allclose(lines["precision invalid"], np.zeros(300))
    assert [label.get_text() for label in detected.get_yticklabels()][0] == "neutral\n39 of 40"
    fits = {"partial": RANDOM.random((300, 2)), "correlation": RANDOM.random((300, 2)), "rdms": RANDOM.random((4, 28))}
    fits |= {f"{name}_interval": np.stack([fits[name] - 0.1, fits[name] + 0.1]) for name in ("partial", "correlation")}
    fits |= {f"draws_{resample}": RANDOM.random((20, 2)) for resample in ("images", "pairs")}
    figure = plot_representations(dict.fromkeys(CONDITIONS, fits), np.repeat([0, 1], 4), ["a", "b"], RANDOM.random(28))
    courses = [ax for ax in figure.axes if ax.get_ylabel().startswith("partial correlation\nwith")]
    assert len(courses) == 2
    for k, ax in enumerate(courses):
        drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
        np.testing.assert_array_equal(drawn["output gain valid"], fits["partial"][:, k])
