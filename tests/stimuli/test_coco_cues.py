"""Valid and invalid cues of COCO's pictures, and their halves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("pycocotools")

from brainsnn.stimuli.coco import center_of_mass, halves, invalid_cues
from brainsnn.stimuli.coco.windows import areas_in_windows


def test_center_of_mass_counts_pixels_from_0():
    mask = np.zeros((10, 10))
    mask[2:4, 7] = 1
    assert center_of_mass(mask) == (0.25, 0.7)
    assert_allclose(center_of_mass(np.eye(2, 6)), (0.25, 0.5 / 6))


@settings(max_examples=60)
@given(st.integers(2, 40), st.integers(0, 1000))
def test_invalid_cues_follow_the_rule(n, seed):
    random = np.random.default_rng(seed)
    valid = np.concatenate([random.uniform(0, 1, (n, 2)), [(0.02, 0.03), (0.97, 0.98), (0.02, 0.98), (0.97, 0.03)]])
    invalid = invalid_cues(valid, seed)
    assert np.linalg.norm(invalid - valid, axis=1).min() >= 0.5
    others = valid[np.random.RandomState(seed).permutation(len(valid))]
    far = np.linalg.norm(others - valid, axis=1) >= 0.5
    assert_array_equal(invalid[far], others[far])
    low, high = valid.min(axis=0), valid.max(axis=0)
    assert ((invalid >= low) & (invalid <= high)).all()
    narrow = np.array([(0.1, 0.1), (0.9, 0.9), (0.1, 0.9), (0.9, 0.1)])
    drawn = invalid_cues(np.full((20, 2), 0.3), seed, ranges=narrow)
    assert ((drawn >= 0.1) & (drawn <= 0.9)).all() and len(np.unique(drawn, axis=0)) == 20


@given(st.integers(0, 1000))
def test_invalid_cues_of_some_pictures_are_those_of_all(seed):
    """As for the RDMs: the permutation is over all pictures, and the chosen ones bound what is drawn again."""
    random = np.random.default_rng(seed)
    valid = random.uniform(0, 1, (60, 2))
    chosen = np.concatenate([np.argsort(valid.sum(axis=1))[[0, -1]], random.permutation(60)[:8]])
    invalid = invalid_cues(valid, seed, valid[chosen], chosen)
    others = valid[np.random.RandomState(seed).permutation(60)][chosen]
    far = np.linalg.norm(others - valid[chosen], axis=1) >= 0.5
    assert_array_equal(invalid[far], others[far])
    assert np.linalg.norm(invalid - valid[chosen], axis=1).min() >= 0.5
    low, high = valid[chosen].min(axis=0), valid[chosen].max(axis=0)
    assert ((invalid[~far] >= low) & (invalid[~far] <= high)).all()


def test_invalid_cues_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match="is 0.5 away from cue 0, .* Use more pictures"):
        invalid_cues([(0.4, 0.5), (0.6, 0.5)])
    corners = [(0.14644, 0.14644), (0.85356, 0.85356)]  # hardly more than half of the image from its middle
    with pytest.raises(ValueError, match=r"nearly none, .* away from cue \d, \[0.5, 0.5\]"):
        invalid_cues([(0.5, 0.5)] * 3 + corners)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: invalid_cues([(np.nan, 0.5), (0.1, 0.2)]), "invalid_cues: valid: 1 of 4 values"),
        (lambda: invalid_cues([(10, 20), (200, 180)]), "valid must be .row, column. pairs in fractions of the image"),
        (lambda: invalid_cues([0.1, 0.9]), "valid must be .row, column. pairs"),
        (lambda: invalid_cues([(0.1, 0.1), (0.9, 0.9)], ranges=[(0, 0), (9, 9)]), "ranges must be"),
        (lambda: invalid_cues([(0.1, 0.1), (0.9, 0.9)], chosen=[0, 2]), "chosen must be"),
        (lambda: halves([]), r"halves: targets of shape \(0,\)"),
        (lambda: center_of_mass(np.zeros((4, 4))), "center_of_mass: mask of shape .4, 4. with 0 pixels"),
        (lambda: center_of_mass(np.ones(4)), "center_of_mass: mask of shape .4,."),
        (lambda: center_of_mass(np.full((2, 2), 255)), "center_of_mass: mask: give booleans"),
        (lambda: areas_in_windows(np.full((2, 4), 255, np.uint8)), "areas_in_windows: mask: give booleans"),
    ],
)
def test_cues_targets_and_masks_that_are_none_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@given(st.lists(st.integers(0, 3), min_size=4, max_size=60))
def test_halves_are_stratified(targets):
    targets = np.array([*targets, *range(4), *range(4)])
    names = halves(targets)
    for target in range(4):
        n = [int((names[targets == target] == half).sum()) for half in ("search", "test")]
        assert abs(n[0] - n[1]) <= 1
    assert_array_equal(names, halves(targets))
    with pytest.raises(ValueError, match="halves: target 9 has one picture"):
        halves([*targets, 9])
