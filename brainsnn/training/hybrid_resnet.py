"""Residual networks of the hybrid-conversion lineage (no biases, no batch normalisation), as functional Keras models."""

import keras
from keras import layers

from brainsnn.training.predictive_vgg import published_initialiser

__all__ = ["hybrid_resnet", "RESNET_BLOCKS"]

#: Depth -> residual blocks with 64, 128, 256 and 512 channels. In the published code the SNN of depth 34 has 3, 4, 6, 3; this is
#: the ANN, so that weights fit.
RESNET_BLOCKS = {6: (1, 1, 0, 0), 12: (1, 1, 1, 1), 20: (2, 2, 2, 2), 34: (3, 4, 5, 3)}


def hybrid_resnet(depth=20, input_shape=(32, 32, 3), n_classes=10, width=1.0, conv_dropout=0.0, name=None):
    """
    Build a ResNet of the hybrid ANN-to-SNN conversion code: three convolutions, residual blocks, one dense layer.

    Parameters
    ----------
    depth : {6, 12, 20, 34}
    input_shape : (H, W, C)
    n_classes : int
    width : float
        Factor on the channels of all convolutions.
    conv_dropout : float
        Dropout rate after the first two convolutions, and between the two of each block.
    name : str, optional

    Returns
    -------
    model : keras.Model
        (n, n_classes), logits. ``python -m brainsnn.training.train_predictive --architecture resnet`` trains it, as ANN and as
        SNN; ``brainsnn.convert`` reads it.

    Raises
    ------
    ValueError
        If the depth is unknown.

    References
    ----------
    Rathi, Srinivasan, Panda, Roy (2020), ICLR. Layers are those of its public code.

    Examples
    --------
    >>> from brainsnn.training.hybrid_resnet import hybrid_resnet
    >>> hybrid_resnet(12, width=1 / 16).output_shape
    (None, 10)
    """
    if depth not in RESNET_BLOCKS:
        raise ValueError(f"hybrid_resnet: depth={depth!r}; choose one of {', '.join(map(str, RESNET_BLOCKS))}.")

    def scaled(channels):
        """Channels times the width."""
        return max(1, round(channels * width))

    x = inputs = layers.Input(input_shape, name="input")
    for k in range(1, 4):
        x = layers.ReLU(name=f"stem{k}")(_convolution(x, scaled(64), 3, 1, f"stem{k}_conv"))
        if conv_dropout and k < 3:
            x = layers.Dropout(conv_dropout, name=f"stem{k}_dropout")(x)
    x = layers.AveragePooling2D(2, name="pool")(x)
    for group, (n_blocks, channels) in enumerate(zip(RESNET_BLOCKS[depth], (64, 128, 256, 512)), 1):
        for block in range(1, n_blocks + 1):
            stride = 2 if block == 1 and group > 1 else 1
            x = _block(x, scaled(channels), stride, conv_dropout, f"block{group}_{block}")
    x = layers.Flatten(name="flatten")(x)
    initialiser = keras.initializers.RandomNormal(stddev=0.01)
    x = layers.Dense(n_classes, use_bias=False, kernel_initializer=initialiser, name="classifier")(x)
    return keras.Model(inputs, x, name=name or f"resnet{depth}")


def _convolution(x, channels, size, stride, name):
    """Return a convolution without bias. Its padding is the same on all sides, which "same" is not at a stride of 2."""
    if size == 3:
        x = layers.ZeroPadding2D(1, name=f"{name}_padding")(x)
    make = layers.Conv2D
    initialiser = published_initialiser(size, channels)
    return make(channels, size, strides=stride, use_bias=False, kernel_initializer=initialiser, name=name)(x)


def _block(x, channels, stride, dropout, name):
    """Return a residual block: two convolutions plus their input, or its projection where the shape changes."""
    y = layers.ReLU(name=f"{name}_first")(_convolution(x, channels, 3, stride, f"{name}_conv1"))
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_dropout")(y)
    y = _convolution(y, channels, 3, 1, f"{name}_conv2")
    if stride > 1 or x.shape[-1] != channels:
        x = _convolution(x, channels, 1, stride, f"{name}_shortcut")
    return layers.ReLU(name=f"{name}_second")(layers.Add(name=f"{name}_sum")([x, y]))
