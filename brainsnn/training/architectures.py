"""Architectures that train well with `ASNTransfer` and convert exactly, as functional Keras models."""

import keras
import numpy as np
from keras import layers

from brainsnn.training.asn_transfer import ASNTransfer
from brainsnn.training.blocks import convolution, normalised_asn, residual_block

__all__ = ["small_vgg", "vgg16", "preactivation_resnet"]

#: depth -> (blocks of each stage, bottleneck blocks?, default width of the first stage)
_RESNETS = {
    18: ((2, 2, 2, 2), False, 64),
    20: ((3, 3, 3), False, 16),
    34: ((3, 4, 6, 3), False, 64),
    50: ((3, 4, 6, 3), True, 64),
}
_POOLINGS = {"average": layers.AveragePooling2D, "max": layers.MaxPooling2D}
#: Images with at least this many rows and columns get the 7x7 stem with max pooling.
_LARGE_INPUT = 64


def small_vgg(
    input_shape=(28, 28, 1), n_classes=10, channels=(16, 32), convolutions_per_stage=1, dense=(64,), pooling="average",
    classifier_activation="softmax", m_f=0.1, encoding=True, dropout=0.0, name="small_vgg",
):  # fmt: skip
    """
    Build a small VGG: stages of 3x3 convolutions, each followed by pooling, then dense layers.

    Parameters
    ----------
    input_shape : tuple of int, optional
        (height, width, channels) of an image.
    n_classes : int, optional
        Units of the readout.
    channels : sequence of int, optional
        Output channels of the convolutions of each stage.
    convolutions_per_stage : int or sequence of int, optional
        Convolutions before each pooling: one number for all stages, or one for each.
    dense : sequence of int, optional
        Units of the hidden dense layers.
    pooling : {"average", "max"}, optional
        2x2 pooling. Average pooling converts exactly and costs nothing; max pooling needs a membrane population.
    classifier_activation : str, optional
        Activation of the readout, such as "softmax" or "sigmoid".
    m_f : float, optional
        Precision of every `ASNTransfer`.
    encoding : bool, optional
        Whether to put an `ASNTransfer` on the pixels (from 0 to 1), which turns the image into spikes.
    dropout : float, optional
        Dropout rate before the readout.
    name : str, optional
        Name of the model.

    Returns
    -------
    model : keras.Model
        Input (n, height, width, channels), output (n, n_classes). Layers are called ``conv1``, ``conv1_bn``,
        ``conv1_asn``, ``pool1``, ..., ``dense1``, ..., ``readout``. Only the readout and batch normalization have biases.

    Raises
    ------
    ValueError
        If `pooling` is unknown, the image is too small for the number of stages, or `convolutions_per_stage` does not
        have one number for each stage.

    Examples
    --------
    >>> from brainsnn.training import small_vgg
    >>> small_vgg((28, 28, 1), 10).output_shape
    (None, 10)
    """
    _check_vgg(input_shape, channels, pooling)
    depths = _depths(convolutions_per_stage, channels)
    inputs = keras.Input(input_shape, name="pixels")
    x = ASNTransfer(m_f, name="encoding_asn")(inputs) if encoding else inputs
    x = _vgg_stages(x, channels, depths, pooling, m_f)
    x = layers.Flatten(name="flatten")(x)
    for number, n_units in enumerate(dense, start=1):
        x = layers.Dense(n_units, use_bias=False, name=f"dense{number}")(x)
        x = normalised_asn(x, f"dense{number}", m_f)
    if dropout:
        x = layers.Dropout(dropout, name="dropout")(x)
    outputs = layers.Dense(n_classes, activation=classifier_activation, name="readout")(x)
    return keras.Model(inputs, outputs, name=name)


def vgg16(input_shape=(224, 224, 3), n_classes=1000, classifier_activation="softmax", width=64, m_f=0.1, pooling="max"):
    """
    Build VGG16 (Simonyan and Zisserman 2015, configuration D) with batch normalization and `ASNTransfer`.

    Thirteen 3x3 convolutions in five stages, each followed by 2x2 pooling, and three dense layers.

    Parameters
    ----------
    input_shape : tuple of int, optional
        (height, width, channels) of an image.
    n_classes : int, optional
        Units of the classifier.
    classifier_activation : str, optional
        Activation of the classifier.
    width : int, optional
        Channels of the first stage; the later ones have 2, 4, 8 and 8 times as many, the hidden dense layers 64 times.
    m_f : float, optional
        Precision of every `ASNTransfer`.
    pooling : {"max", "average"}, optional
        "max" as published. "average" converts to fewer neurons, because max pooling needs a membrane population.

    Returns
    -------
    model : keras.Model
        Input (n, height, width, channels), output (n, n_classes); layers are called as in `small_vgg`.

    Raises
    ------
    ValueError
        If `pooling` is unknown or the image is smaller than 32 x 32.

    References
    ----------
    Simonyan, Zisserman (2015), Very deep convolutional networks for large-scale image recognition, ICLR.

    Examples
    --------
    >>> from brainsnn.training import vgg16
    >>> vgg16((32, 32, 3), n_classes=10, width=4).output_shape
    (None, 10)
    """
    channels, dense = [width * factor for factor in (1, 2, 4, 8, 8)], (64 * width, 64 * width)
    return small_vgg(
        input_shape, n_classes, channels, (2, 2, 3, 3, 3), dense, pooling, classifier_activation, m_f, name="vgg16"
    )  # fmt: skip


def preactivation_resnet(
    depth=18, input_shape=(224, 224, 3), n_classes=1000, classifier_activation="softmax", width=None, m_f=0.1,
    encoding=True, stem=None, name=None,
):  # fmt: skip
    """
    Build a pre-activation residual network (He et al. 2016) with `ASNTransfer` nonlinearities.

    Each block adds to the residual stream the result of two (in a bottleneck, three) times BN -> ASN -> convolution.
    The first block of every later stage halves the image. There, and where the number of channels changes, the
    shortcut is a 1x1 convolution of the stream. The stream itself stays linear. With the ImageNet stem it starts after
    the first BN -> ASN, as in the authors' code, because a maximum cannot be part of a linear stream.

    Parameters
    ----------
    depth : {18, 20, 34, 50}, optional
        18, 34, 50: the four stages of the ImageNet networks (50 with bottlenecks). 20: the three of the CIFAR network.
    input_shape : tuple of int, optional
        (height, width, channels) of an image.
    n_classes : int, optional
    classifier_activation : str, optional
        "softmax", or "sigmoid" for several objects per image.
    width : int, optional
        Channels of the first stage; they double with each stage. 64 by default, 16 for depth 20.
    m_f : float, optional
        Precision of every `ASNTransfer`.
    encoding : bool, optional
        Whether to put BN -> ASN on the pixels, which turns the image into spikes.
    stem : {"imagenet", "cifar"}, optional
        "imagenet": a 7x7 convolution of stride 2 and 3x3 max pooling of stride 2. "cifar": a 3x3 convolution. By
        default "imagenet" for images of at least 64 rows and columns, except at depth 20.
    name : str, optional
        Name of the model; ``resnet18`` and so on by default.

    Returns
    -------
    model : keras.Model
        Input (n, height, width, channels), output (n, n_classes). Layers are named after stage and block, such as
        ``stage2_block1_conv1``, ``_asn1``, ``_shortcut``, ``_add``. The last are ``final_bn``, ``final_asn``,
        ``global_pool`` and ``readout``. Only the readout and batch normalization have biases.

    Raises
    ------
    ValueError
        If `depth` or `stem` is unknown.

    References
    ----------
    He, Zhang, Ren, Sun (2016), Identity mappings in deep residual networks, ECCV.

    Examples
    --------
    >>> from brainsnn.training import preactivation_resnet
    >>> preactivation_resnet(input_shape=(32, 32, 3), n_classes=10).output_shape
    (None, 10)
    """
    _check_resnet(depth, input_shape)
    stage_blocks, bottleneck, default_width = _RESNETS[depth]
    width = default_width if width is None else width
    stem = stem or ("imagenet" if depth != 20 and min(input_shape[:2]) >= _LARGE_INPUT else "cifar")
    inputs = keras.Input(input_shape, name="pixels")
    x = normalised_asn(inputs, "encoding", m_f) if encoding else inputs
    x = _stem(x, stem, width)
    x = _residual_stages(x, stage_blocks, width, bottleneck, m_f, pooled=stem == "imagenet")
    x = layers.GlobalAveragePooling2D(name="global_pool")(normalised_asn(x, "final", m_f))
    outputs = layers.Dense(n_classes, activation=classifier_activation, name="readout")(x)
    return keras.Model(inputs, outputs, name=name or f"resnet{depth}")


def _check_resnet(depth, input_shape):
    """Check depth and input shape of a residual network."""
    if depth not in _RESNETS:
        raise ValueError(f"preactivation_resnet: depth must be one of {sorted(_RESNETS)}, got {depth!r}.")
    _check_image(input_shape, "preactivation_resnet")


def _check_image(shape, caller):
    if len(shape) != 3 or not all(isinstance(size, int) and size > 0 for size in shape):
        raise ValueError(
            f"{caller}: input_shape must be (height, width, channels), three positive integers, got {shape!r}."
        )


def _check_vgg(input_shape, channels, pooling):
    """Check the pooling of a VGG, and that the image is large enough for it."""
    if pooling not in _POOLINGS:
        raise ValueError(f"small_vgg: pooling must be 'average' or 'max', got {pooling!r}.")
    _check_image(input_shape, "small_vgg")
    if min(input_shape[:2]) < 2 ** len(channels):
        raise ValueError(
            f"small_vgg: an image of {input_shape[0]}x{input_shape[1]} is too small for {len(channels)} 2x2 poolings. "
            f"Use at least {2 ** len(channels)}x{2 ** len(channels)} pixels, or fewer stages."
        )


def _depths(convolutions_per_stage, channels):
    """Return the number of convolutions of each stage of a VGG."""
    each = [convolutions_per_stage] * len(channels) if np.ndim(convolutions_per_stage) == 0 else convolutions_per_stage
    if len(each) != len(channels) or min(each) < 1:
        raise ValueError(
            f"small_vgg: convolutions_per_stage={convolutions_per_stage!r} must be one positive number, or one for each of the "
            f"{len(channels)} stages of channels={channels!r}."
        )
    return each


def _vgg_stages(x, channels, depths, pooling, m_f):
    """Return x after all stages: convolutions, numbered throughout, and a pooling at the end of each stage."""
    number = 0
    for stage, (n_channels, n_convolutions) in enumerate(zip(channels, depths), start=1):
        for _ in range(n_convolutions):
            number += 1
            x = layers.Conv2D(n_channels, 3, padding="same", use_bias=False, name=f"conv{number}")(x)
            x = normalised_asn(x, f"conv{number}", m_f)
        x = _POOLINGS[pooling](2, name=f"pool{stage}")(x)
    return x


def _stem(x, stem, width):
    """Return x after the first convolution, and max pooling for large images."""
    if stem == "cifar":
        return convolution(x, width, 3, 1, "stem_conv")
    if stem == "imagenet":
        x = convolution(x, width, 7, 2, "stem_conv")
        return layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)
    raise ValueError(f"preactivation_resnet: stem must be 'imagenet' or 'cifar', got {stem!r}.")


def _residual_stages(x, stage_blocks, width, bottleneck, m_f, pooled):
    """Return x after all blocks. Each later stage starts by halving the image and doubling the channels."""
    if pooled:
        # The stream starts after the first nonlinearity: a maximum of potentials cannot be added to currents.
        x = normalised_asn(x, "stage1_block1", m_f, 1)
    for stage, n_blocks in enumerate(stage_blocks, start=1):
        for block in range(1, n_blocks + 1):
            stride = 2 if stage > 1 and block == 1 else 1
            activated = pooled and stage == block == 1
            name = f"stage{stage}_block{block}"
            x = residual_block(x, width * 2 ** (stage - 1), stride, bottleneck, m_f, name, activated)
    return x
