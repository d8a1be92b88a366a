"""A result as a neo Block: every spike, value, unit and epoch is there; Elephant, NIX and NWB agree with ours."""

import datetime

import numpy as np
import pytest
from brian2 import amp, ms, mV, nS
from hypothesis import given, settings
from hypothesis import strategies as st
from one_layer import FOLDED, LAYER, SHAPE, one_layer_graph
from random_results import results

import brainsnn as bs
from brainsnn.results import neo_form
from brainsnn.results.description import PopulationModel

neo = pytest.importorskip("neo", reason="the extra formats is not installed")
pq = pytest.importorskip("quantities")
STEPS, DT = 400, 0.5


@pytest.fixture(scope="module")
def result():
    record = {FOLDED: {"spikes": True, "S": True, "theta": [(1, 2, 0), (3, 4, 2)]}}
    snn = bs.convert(
        one_layer_graph(), neuron=bs.switchable(bs.ASN(m_f=0.1)), dt=DT * ms, dtype="float64", record=record
    )
    cues = [(0.1, 0.2), (0.5, 0.5), (0.9, 0.1)]
    snn.attend(bs.SpatialAttention(cues, output_gain=0.3, onset=50 * ms, offset=500 * ms))
    images = 2 * np.random.default_rng(0).random((3, *SHAPE))
    result = snn.run(images, duration=STEPS * DT * ms, seed=[4, 5, 6], onset=[0, 10, 20] * ms, offset=150 * ms)
    result.labels = np.array([1, 0, 1])
    return result


@settings(max_examples=60, deadline=None)
@given(results(), st.data())
def test_the_spikes_come_back(result, data):
    """Of any result, and of any neurons and images."""
    layers = list(result.spikes)
    layer = data.draw(st.sampled_from(layers)) if layers else None
    images = data.draw(st.sampled_from([None, slice(0, 1), [result.n_images - 1] if result.n_images else []]))
    block = result.to_neo(layer, images=images)
    chosen = np.arange(result.n_images)[slice(None) if images is None else images]
    assert [segment.annotations["image"] for segment in block.segments] == chosen.tolist()
    for segment in block.segments:
        found = {name: [] for name in ([layer] if layer else layers)}
        for train in segment.spiketrains:
            about = train.annotations
            flat = np.ravel_multi_index(
                (about["row"], about["column"], about["channel"]), result.shapes[about["layer"]]
            )
            assert flat == about["neuron"] and train.t_start == 0
            np.testing.assert_allclose(float(train.t_stop), result.n_steps * result.dt * 1e3)
            steps = np.rint(train.times.rescale("s").magnitude / result.dt).astype(int)
            found[about["layer"]] += [(int(step), int(flat)) for step in steps]
        for name, spikes in found.items():
            neurons, steps = result.spikes[name][segment.annotations["image"]]
            assert sorted(spikes) == sorted(zip(steps.tolist(), neurons.tolist()))
            n = len(result.spike_neurons.get(name, range(np.prod(result.shapes[name]))))
            assert sum(train.annotations["layer"] == name for train in segment.spiketrains) == n


def test_signals_and_epochs_of_a_run(result):
    block = result.to_neo()
    assert [segment.index for segment in block.segments] == [0, 1, 2]
    assert block.annotations["schedule"] == "pipelined" and block.annotations["brainsnn"] == bs.__version__
    cues = [(0.1, 0.2), (0.5, 0.5), (0.9, 0.1)]
    for image, segment in enumerate(block.segments):
        assert segment.annotations == {"image": image, "label": [1, 0, 1][image], "seed": [4, 5, 6][image]}
        signals = {(s.annotations["layer"], s.annotations["variable"]): s for s in segment.analogsignals}
        assert set(signals) == {(LAYER, "S"), (LAYER, "theta"), ("dense", "output")}
        for (name, variable), signal in signals.items():
            values = result.output if variable == "output" else result.states[name][variable]
            np.testing.assert_array_equal(signal.magnitude, values[image])
            assert signal.sampling_period.rescale("ms") == DT * pq.ms and signal.units == pq.dimensionless
            np.testing.assert_allclose(signal.times.rescale("ms").magnitude, result.times)
        theta = signals[LAYER, "theta"].array_annotations
        assert [list(theta[axis]) for axis in ("row", "column", "channel")] == [[1, 3], [2, 4], [0, 2]]
        stimulus, attention = segment.epochs
        assert [list(epoch.labels) for epoch in segment.epochs] == [["stimulus"], ["attention"]]
        np.testing.assert_allclose(stimulus.times.rescale("ms").magnitude, [10 * image])
        np.testing.assert_allclose(stimulus.durations.rescale("ms").magnitude, [150 - 10 * image])
        # attention stays on until the end of the trial, 200 ms
        np.testing.assert_allclose([attention.times.magnitude[0], attention.durations.magnitude[0]], [50, 150])
        assert (attention.annotations["center_row"], attention.annotations["center_column"]) == cues[image]


def test_one_layer_and_some_neurons(result):
    block = result.to_neo(FOLDED, neurons=[(1, 2, 0), 9], images=-1)
    (segment,) = block.segments
    assert [train.annotations["neuron"] for train in segment.spiketrains] == [21, 9] and segment.index == 2
    shapes = {signal.annotations["variable"]: signal.shape for signal in segment.analogsignals}
    assert shapes == {"S": (STEPS, 2), "theta": (STEPS, 1)}
    mask = np.zeros(result.shapes[LAYER], bool)
    mask[1, 2, 0] = True
    assert len(result.to_neo(LAYER, neurons=mask, images=[0]).segments[0].spiketrains) == 1


@pytest.mark.parametrize(
    "unit, expected", [(mV, "V"), (amp, "A"), (nS, "S"), (mV / ms, "V/s"), (mV**2, "V**2")], ids=str
)
def test_units(unit, expected):
    """In SI units, as the result has them."""
    from brian2.units.fundamentalunits import get_unit_for_display

    result = bs.Result({"lif": (1, 1, 1)}, 1e-3, 2)
    result.states["lif"], result.recorded["lif"] = {"x": np.array([[[1.0], [2.0]]])}, {"x": np.array([0])}
    result.models["lif"] = PopulationModel("", None, {}, {"x": str(get_unit_for_display(unit.dim))})
    signal = result.to_neo().segments[0].analogsignals[0]
    assert signal.units == pq.Quantity(1, expected) and signal.magnitude.tolist() == [[1], [2]]


def test_an_unknown_unit_is_refused():
    result = bs.Result({"lif": (1, 1, 1)}, 1e-3, 2)
    result.states["lif"], result.recorded["lif"] = {"x": np.zeros((1, 2, 1))}, {"x": np.array([0])}
    result.models["lif"] = PopulationModel("", None, {}, {"x": "furlong?"})
    with pytest.raises(ValueError, match="to_neo: 'x' of 'lif' has the unit 'furlong.', which the package quantities"):
        result.to_neo()


def test_an_incomplete_recording_keeps_the_settings_of_its_images(result):
    """After a full disk, only some images are in the result, and its settings say which."""
    cut = bs.Result(result.shapes, result.dt, result.n_steps)
    cut.outputs["dense"] = result.output[[2, 0]]
    cut.settings = {**result.settings, "images": [2, 0]}
    segments = cut.to_neo().segments
    assert [segment.annotations["seed"] for segment in segments] == [6, 4]
    assert [float(segment.epochs[0].times[0]) for segment in segments] == [20, 0]


def test_what_is_not_there_is_refused(result):
    with pytest.raises(bs.UnknownNameError, match="Did you mean 'conv_2'"):
        result.to_neo("conf_2")
    with pytest.raises(ValueError, match="needs one layer, and these are"):
        result.to_neo(neurons=[3])
    with pytest.raises(ValueError, match=r"must be a list of flat indices .*give \[\(row, column, channel\)\]"):
        result.to_neo(LAYER, neurons=(1, 2, 0))
    with pytest.raises(ValueError, match=r"a mask of shape \(2,\)"):
        result.to_neo(LAYER, neurons=np.ones(2, bool))
    with pytest.raises(IndexError, match="it has 60 neurons"):
        result.to_neo(LAYER, neurons=[60])
    with pytest.raises(IndexError, match="images=7; the result has 3 images"):
        result.to_neo(images=7)
    some = bs.Result({"conv": (2, 2, 1), "silent": (1, 1, 1)}, 1e-3, 2)
    with pytest.raises(bs.UnknownNameError, match="named 'silent'. Convert with record={'silent': "):
        some.to_neo("silent")
    some.spikes["conv"], some.spike_neurons["conv"] = [(np.array([1]), np.array([0]))], np.array([1, 2])
    with pytest.raises(IndexError, match="the spikes of neuron 3 of 'conv' were not recorded; those of 2 were"):
        some.to_neo("conv", neurons=[1, 3])


def test_many_trains_are_a_warning(result, monkeypatch):
    monkeypatch.setattr(neo_form, "MANY_TRAINS", 100)
    with pytest.warns(UserWarning, match=r"to_neo: 180 spike trains.*Choose with layer=..., neurons="):
        result.to_neo()


# Other libraries


def counts_in(raster, width):
    """Spikes of each neuron in bins of some steps, (neurons, bins)."""
    flat = raster.reshape(len(raster), -1).T
    return flat.reshape(len(flat), -1, width).sum(axis=2)


def test_elephant_agrees(result):
    """Firing rates, Fano factors and cross-correlograms are those of the raster."""
    elephant = pytest.importorskip("elephant", reason="elephant, of the extra test, is not installed")
    from elephant.conversion import BinnedSpikeTrain
    from elephant.spike_train_correlation import cross_correlation_histogram, spike_time_tiling_coefficient  # noqa: F401
    from elephant.statistics import fanofactor, mean_firing_rate

    assert elephant.__version__
    block, raster = result.to_neo(LAYER), result.raster(LAYER)
    rates = np.array([[float(mean_firing_rate(t).rescale("Hz")) for t in s.spiketrains] for s in block.segments])
    np.testing.assert_allclose(rates.mean(axis=1), result.firing_rates[LAYER], rtol=1e-9)
    np.testing.assert_allclose(rates, raster.reshape(3, STEPS, -1).sum(axis=1) / (STEPS * DT * 1e-3), rtol=1e-9)
    counts = raster.sum(axis=1).reshape(3, -1)
    assert counts.max() > 20
    for neuron in np.flatnonzero(counts.sum(axis=0))[:10]:
        trains = [segment.spiketrains[neuron] for segment in block.segments]
        np.testing.assert_allclose(fanofactor(trains), counts[:, neuron].var() / counts[:, neuron].mean())
    busiest, next_one = np.argsort(counts[0])[[-1, -2]]
    trains = block.segments[0].spiketrains
    binned = [BinnedSpikeTrain(trains[k], bin_size=5 * pq.ms) for k in (busiest, next_one)]
    found, lags = cross_correlation_histogram(*binned, window=[-8, 8])
    a, b = counts_in(raster[0], 10)[[busiest, next_one]]  # 10 steps are 5 ms
    expected = [sum(a[t] * b[t + lag] for t in range(len(a)) if 0 <= t + lag < len(b)) for lag in lags]
    np.testing.assert_allclose(found.magnitude.ravel(), expected)
    assert max(expected) > 0


def assert_same_block(found, block, *, annotated):
    assert len(found.segments) == len(block.segments)
    for one, other in zip(found.segments, block.segments):
        assert len(one.spiketrains) == len(other.spiketrains)
        for a, b in zip(one.spiketrains, other.spiketrains):
            np.testing.assert_allclose(a.rescale("ms").magnitude, b.rescale("ms").magnitude)
            if annotated:
                assert {key: a.annotations[key] for key in b.annotations} == b.annotations and a.name == b.name
        for a, b in zip(one.analogsignals, other.analogsignals):
            np.testing.assert_allclose(a.magnitude, b.magnitude)
            assert a.units == b.units and np.isclose(float(a.sampling_rate.rescale("Hz")), 1e3 / DT)
        assert len(one.epochs) == len(other.epochs) == 2
        for a, b in zip(*(sorted(segment.epochs, key=lambda epoch: epoch.labels[0]) for segment in (one, other))):
            np.testing.assert_allclose(a.times.rescale("ms").magnitude, b.times.rescale("ms").magnitude, atol=1e-9)
            assert list(a.labels) == list(b.labels)


def test_nix_keeps_everything(result, tmp_path):
    pytest.importorskip("nixio", reason="nixio, of the extra test, is not installed")
    block = result.to_neo(LAYER)
    with neo.NixIO(str(tmp_path / "run.nix"), "ow") as file:
        file.write_block(block)
    with neo.NixIO(str(tmp_path / "run.nix"), "ro") as file:
        found = file.read_block()
    assert_same_block(found, block, annotated=True)
    for one, other in zip(found.segments, block.segments):
        assert {key: one.annotations[key] for key in other.annotations} == other.annotations
        annotations = one.analogsignals[1].array_annotations
        np.testing.assert_array_equal(annotations["row"], other.analogsignals[1].array_annotations["row"])


def test_nwb_of_neo_keeps_the_spikes(result, tmp_path):
    """neo's own file of NWB loses annotations."""
    pytest.importorskip("pynwb", reason="pynwb, of the extra test, is not installed")
    block = result.to_neo(LAYER, neurons=[3, 21])
    block.annotate(session_start_time=datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    file = neo.NWBIO(str(tmp_path / "run.nwb"), "w")
    file.write_all_blocks([block])
    file.close()
    (found,) = neo.NWBIO(str(tmp_path / "run.nwb"), "r").read_all_blocks()
    assert_same_block(found, block, annotated=False)
