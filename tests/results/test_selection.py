"""The neurons and images of a result that a user asks for: what names none is refused."""

import numpy as np
import pytest

from brainsnn.results import Result
from brainsnn.results.plots import plot_raster

N, STEPS = 3, 6


def example():
    result = Result({"conv": (2, 2, 1)}, 1e-3, STEPS)
    result.spikes["conv"] = [(np.arange(k), np.arange(k)) for k in range(N)]
    result.states["conv"] = {"S": np.random.default_rng(0).random((N, STEPS, 2))}
    result.recorded["conv"] = {"S": np.array([0, 3])}
    return result


@pytest.mark.parametrize("image", [True, np.True_, None, 1.5, "a", 1j, [0], N, -N - 1, slice(1)], ids=repr)
def test_one_image_is_a_whole_number(image):
    result = example()
    for read in (
        lambda: result.trace("conv", "S", 3, image),
        lambda: result.plot_traces("conv", 3, image),
        lambda: plot_raster(result, "conv", image),
    ):
        with pytest.raises(IndexError, match=r"image=.* must be a whole number; the result has 3 images, numbered"):
            read()
    np.testing.assert_array_equal(result.trace("conv", "S", 3, np.int8(-1)), result.states["conv"]["S"][-1, :, 1])


@pytest.mark.parametrize("images", [True, [[0, 1]], [[0], [0, 1]], 1.0, "a", slice("a"), N, [True]], ids=repr)
def test_images_that_name_none_are_refused(images):
    for read in (lambda: example().raster("conv", images), lambda: example().state("conv", "S", images)):
        with pytest.raises(IndexError, match=r"images=.*; the result has 3 images, numbered from 0. Give a number"):
            read()
    assert example().raster("conv", [True, False, True]).shape == (2, STEPS, 2, 2, 1)


def test_a_truth_value_is_no_neuron():
    with pytest.raises(IndexError, match="Neuron True of 'conv' does not exist"):
        example().trace("conv", "S", True)
