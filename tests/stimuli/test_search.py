"""Tests of cued search scenes: seeds, distances between digits, and positions of cues."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from brainsnn.stimuli.search import MINIMUM_DISTANCE, PHOTOGRAPHS, load_photographs, load_search_scenes


@pytest.fixture(scope="module")
def scenes():
    return load_search_scenes(40, "test", seed=3)


def test_shapes_and_ranges(scenes):
    assert scenes.images.shape == (40, 56, 56, 1)
    assert scenes.images.dtype == np.float32
    assert 0 <= scenes.images.min() and scenes.images.max() <= 1
    assert scenes.positions.shape == (40, 3, 2)
    assert 0 < scenes.positions.min() and scenes.positions.max() < 1


def test_labels_and_targets(scenes):
    assert_array_equal(scenes.labels.sum(axis=1), 3)
    assert_array_equal(scenes.targets, scenes.classes[:, 0])
    assert (np.take_along_axis(scenes.labels, scenes.classes, axis=1) == 1).all()
    assert len(set(scenes.targets)) > 5


def test_places(scenes):
    distance = np.linalg.norm(scenes.positions[:, :, None] - scenes.positions[:, None], axis=-1) * 56
    assert distance[:, ~np.eye(3, dtype=bool)].min() >= MINIMUM_DISTANCE - 1e-9
    assert_array_equal(scenes.cues, scenes.positions[:, 0])
    assert np.linalg.norm(scenes.invalid_cues - scenes.cues, axis=1).min() >= 0.5


def test_a_scene_depends_on_seed_and_number_alone(scenes):
    again = load_search_scenes(10, "test", seed=3)
    assert_array_equal(again.images, scenes[:10].images)
    assert_array_equal(again.invalid_cues, scenes.invalid_cues[:10])
    assert not np.array_equal(load_search_scenes(1, "test", seed=4).images, again.images[:1])
    assert not np.array_equal(load_search_scenes(1, "train", seed=3).images, again.images[:1])


def test_targets_in_the_very_centre_have_an_invalid_cue():
    # With 40 pixels, digits are close to the centre. A search for a cue that never ends would hang here.
    assert len(load_search_scenes(300, "test", size=40, n_digits=1)) == 300


def test_splits_share_no_photograph():
    assert not set(PHOTOGRAPHS["train"]) & set(PHOTOGRAPHS["test"])


@pytest.mark.parametrize("split", ["train", "test"])
def test_photographs_are_those_from_which_scenes_were_cut(split):
    """A patch without digits is found again in the named photograph, and in no other one as well."""
    from skimage.feature import match_template

    scenes = load_search_scenes(6, split, seed=8, n_digits=1, n_clutter=0)
    assert set(scenes.photographs) <= set(PHOTOGRAPHS[split]) and len(set(scenes.photographs)) > 1
    assert_array_equal(scenes[2:4].photographs, scenes.photographs[2:4])
    for image, (row, col), named in zip(scenes.images[..., 0], scenes.cues, scenes.photographs):
        top, left = (0 if place > 0.5 else 34 for place in (row, col))  # the corner away from the digit
        patch = image[top : top + 22, left : left + 22]
        found = {
            name: max(match_template(scale, view).max() for scale in scales for view in (patch, patch[:, ::-1]))
            for name, scales in load_photographs(split).items()
        }
        assert max(found, key=found.get) == named and found[named] > 0.95


@pytest.mark.parametrize(
    "wrong", [{"split": "all"}, {"size": 20}, {"n_digits": 11}, {"n_digits": 9, "size": 40}, {"seed": -1}]
)
def test_errors(wrong):
    with pytest.raises(ValueError, match="load_search_scenes"):
        load_search_scenes(1, **wrong)
