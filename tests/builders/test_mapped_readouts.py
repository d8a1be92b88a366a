"""Readouts with a place for each pixel, and inputs whose spikes the neurons are not made for."""

import keras
import numpy as np
import pytest
from scipy.special import softmax

import brainsnn as bs

L = keras.layers
IMAGES = np.random.default_rng(0).random((3, 6, 6, 2))


@pytest.mark.parametrize("device", ["runtime", "cpp_standalone"])
@pytest.mark.parametrize("last", [L.Conv2D(3, 1, name="out"), L.Dense(3, name="out")], ids=["convolution", "dense"])
def test_softmax_of_a_map_is_taken_over_the_channels_of_each_place(last, device):
    keras.utils.set_random_seed(1)
    config = last.get_config()
    inputs = L.Input((6, 6, 2), name="pixels")
    x = L.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, type(last).from_config(config | {"activation": "softmax"})(x))
    graph = bs.calibrate(model, IMAGES)
    result = bs.convert(graph, device=device).run(IMAGES, 200 * bs.ms)
    output = result.output.reshape(3, 200, 4, 4, 3)
    np.testing.assert_allclose(output.sum(axis=-1), 1, rtol=1e-5)
    np.testing.assert_allclose(output[:, -1], model.predict(IMAGES, verbose=0), atol=0.05)
    linear = keras.Model(inputs, type(last).from_config(config)(x))
    linear.set_weights(model.get_weights())
    other = bs.convert(bs.calibrate(linear, IMAGES), device=device).run(IMAGES, 200 * bs.ms).output
    np.testing.assert_allclose(output, softmax(other.reshape(output.shape), axis=-1), rtol=1e-4)


def network():
    keras.utils.set_random_seed(1)
    inputs = L.Input((6, 6, 2), name="pixels")
    return keras.Model(
        inputs, L.Dense(3, name="out")(L.Flatten()(L.Conv2D(2, 3, activation="relu", name="conv")(inputs)))
    )


def test_8_bit_images_get_the_advice_that_fits_the_network():
    inputs = L.Input((6, 6, 2), name="pixels")
    x = L.Conv2D(2, 3, activation="relu", name="conv")(L.Rescaling(1 / 255)(inputs))
    scales = keras.Model(inputs, L.Dense(3)(L.Flatten()(x)))
    bytes_of = (255 * IMAGES).astype(np.uint8)
    with pytest.raises(ValueError, match=r"images\.astype\(float\), since this network scales them itself"):
        bs.calibrate(scales, bytes_of)
    with pytest.raises(ValueError, match="usually images/255"):
        bs.calibrate(network(), bytes_of)
    with pytest.raises(ValueError, match="so use encoder='current'"):
        bs.calibrate(scales, bytes_of.astype(float), encoder="poisson")
    with pytest.raises(ValueError, match="for this share give 99.9"):
        bs.calibrate(network(), IMAGES, percentile=0.999)
