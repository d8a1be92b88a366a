"""A network with one spiking layer, which compiles quickly on every device."""

import keras

import brainsnn as bs
from brainsnn.training.asn_transfer import ASNTransfer

__all__ = ["FOLDED", "LAYER", "SHAPE", "one_layer_graph"]

#: The spiking population, and the convolution that was folded into it.
LAYER, FOLDED = "asn_2", "conv_2"
SHAPE = (4, 5, 1)


def one_layer_graph():
    """Return the LayerGraph of a convolution with three channels and a readout of two classes."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SHAPE, name="pixels")
    x = ASNTransfer(name=LAYER)(layers.Conv2D(3, 3, padding="same", name=FOLDED)(inputs))
    return bs.read_keras(keras.Model(inputs, layers.Dense(2, name="dense")(layers.Flatten(name="flat")(x))))
