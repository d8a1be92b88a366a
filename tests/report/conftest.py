"""The network of which results are reported."""

import keras
import pytest


@pytest.fixture(scope="module")
def small_model():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((6, 6, 1), name="pixels")
    x = keras.layers.Conv2D(3, 3, activation="relu", use_bias=False, name="conv")(inputs)
    outputs = keras.layers.Dense(4, name="classes")(keras.layers.Flatten()(x))
    return keras.Model(inputs, outputs, name="small")
