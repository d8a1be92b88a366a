"""Functions of the attention studies, and the closed loop: without a goal it must not change a single spike."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from locations import ROOT
from numpy.testing import assert_allclose, assert_array_equal

import brainsnn as bs
from brainsnn.analysis import target_auc
from brainsnn.stimuli import load_search_scenes

sys.path.insert(0, str(ROOT / "studies"))

import closed_loop_attention as loop


def test_interpolation_keeps_constants_and_places():
    weights = loop.interpolation(7, 28)
    assert_allclose(weights.sum(axis=1), 1)
    assert weights.min() >= 0
    assert_array_equal(loop.interpolation(7, 7), np.eye(7))
    assert_array_equal(loop.interpolation(1, 3), np.ones((3, 1)))


def test_detection_auc_of_all_and_of_a_sample():
    statistic = loop.detection_auc(np.array([0.9, 0.4]), np.array([0.5, 0.1]))
    assert statistic(np.arange(2)) == 0.75
    assert statistic(np.array([0, 0])) == 1.0
    assert statistic(np.array([1, 0])) == 0.75


def test_absent_classes_are_absent():
    scenes = load_search_scenes(20)
    assert (scenes.labels[np.arange(20), loop.draw_absent(scenes, 0)] == 0).all()


@pytest.fixture(scope="module")
def search_model():
    return bs.load_model(ROOT / "weights" / "search.keras")


def test_the_shipped_network_leaves_room_for_attention(search_model):
    scenes = load_search_scenes(300, seed=5)
    outputs = search_model.predict(scenes.images, batch_size=100, verbose=0)
    assert 0.78 < target_auc(outputs, scenes.targets, scenes.labels) < 0.91  # see the card for 2,000 scenes


@pytest.mark.slow
def test_loop_without_a_goal_changes_nothing(search_model):
    parameters = SimpleNamespace(strength=0.5, tau_ms=50, sigma=0.02)
    scenes, outputs, n_spikes = load_search_scenes(3), [], []
    for closed in (False, True):
        snn = bs.convert(search_model, neuron=loop.searching_neuron(0.45), device="cpp_standalone")
        if closed:
            loop.close_the_loop(snn, search_model, parameters)
        result = snn.run(scenes.images, duration=120 * bs.ms)
        outputs.append(result.output)
        n_spikes.append(result.spike_counts)
    assert_array_equal(*outputs)
    # the same compiled network with a goal: its second trial equals the first trial of another run, so no state is left over
    snn.set_parameters("readout", goal=np.eye(10)[scenes.targets[1]])
    searched = snn.run(scenes.images, duration=120 * bs.ms)
    alone = snn.run(scenes.images[1:2], duration=120 * bs.ms)
    assert any((searched.spike_counts[name] != n_spikes[1][name]).any() for name in loop.ATTENDED)
    assert_array_equal(searched.output[1], alone.output[0])


def test_photographs_come_in_their_stored_halves(tmp_path):
    pytest.importorskip("pycocotools")
    from coco_files import write_coco
    from spatial_attention import load_scenes

    from brainsnn.stimuli.coco import STREET, select, write_selection
    from brainsnn.training import asn_resnet

    selection = select(write_coco(tmp_path / "coco"), STREET)
    write_selection(selection, tmp_path / "street.json")
    asn_resnet(18, classes=8, input_shape=(32, 32, 3), width=2).save(tmp_path / "net.keras")
    files = {"scenes": tmp_path / "street.json", "photographs": tmp_path / "coco", "model": tmp_path / "net.keras"}
    scenes = load_scenes(SimpleNamespace(**files, weights="", n_scenes=20), 0)
    assert scenes.images.shape == (20, 32, 32, 3)
    for half, part in (("search", slice(10)), ("test", slice(10, 20))):
        expected = [picture for picture in selection.test if picture.half == half][:10]
        assert_array_equal(scenes[part].targets, [picture.target for picture in expected])
        assert_array_equal(scenes[part].invalid_cues, [picture.invalid_cue for picture in expected])
