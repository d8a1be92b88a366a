"""Trained networks of other packages are read exactly, and their spikes name the class that Keras names (make test-zoo)."""

import sys

import numpy as np
import pytest
from locations import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))
import zoo


@pytest.mark.parametrize("model", zoo.MODELS, ids=lambda model: model.file.stem)
def test_a_network_of_a_package(model):
    if not model.file.exists():
        pytest.skip(f"{model.package} is not in {zoo.FOLDER}: make test-zoo")
    name, _, read, difference, *_, at_200_ms, at_500_ms, _, _, _ = zoo.row_of(model, 10)
    assert read == "read" and float(difference) <= 1e-5
    assert int(at_500_ms.split("%")[0]) >= 80, (name, at_200_ms, at_500_ms)


def test_faces_and_sounds_are_what_the_networks_expect():
    pytest.importorskip("skimage")
    faces, sounds = zoo.faces((48, 48, 3)), zoo.sounds((68, 21), n=2)
    assert faces.shape == (101, 48, 48, 3) and 0 <= faces.min() and faces.max() <= 1 and faces.std() > 0.1
    assert sounds.shape == (6, 68, 21) and np.isfinite(sounds).all()
    np.testing.assert_allclose(sounds.mean(axis=(1, 2)), 0, atol=1e-12)


def test_intervals():
    assert zoo.interval(8, 10) == "80% (49 ... 94)"
    np.testing.assert_array_equal(zoo.classes(np.array([[0.2], [0.7]])), [0, 1])
    np.testing.assert_allclose(zoo.lead(np.array([[0.2], [0.7]])), [0.6, 0.4])
    np.testing.assert_allclose(zoo.lead(np.array([[0.2, 0.1, 0.7]])), [0.5])
    np.testing.assert_array_equal(zoo.classes(np.array([[0.2, 0.8], [0.7, 0.3]])), [1, 0])
