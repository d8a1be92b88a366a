"""VGG networks with and without a feedback pathway that predicts their input, as functional Keras models."""

import keras
import numpy as np
from keras import layers

__all__ = [
    "predictive_vgg", "add_predictor", "published_initialiser", "published_order", "spiking_layers", "CONFIGURATIONS",
    "WITH_FEEDBACK",
]  # fmt: skip

#: Depth -> output channels of the convolutions; "P" is a 2x2 pooling. Two published tables of VGG11 disagree; this is that of
#: the ANN.
CONFIGURATIONS = {
    5: (64, "P", 128, 128, "P"),
    9: (64, "P", 128, 256, "P", 256, 512, "P", 512, "P", 512),
    11: (64, "P", 128, 256, "P", 512, 512, "P", 512, "P", 512, 512),
    13: (64, 64, "P", 128, 128, "P", 256, 256, "P", 512, 512, 512, "P", 512),
    16: (64, 64, "P", 128, 128, "P", 256, 256, 256, "P", 512, 512, 512, "P", 512, 512, 512),
    19: (64, 64, "P", 128, 128, "P", *(256,) * 4, "P", *(512,) * 4, "P", *(512,) * 4),
}
#: Depths that exist with a generator.
WITH_FEEDBACK = (5, 9)
#: Slope below 0 of the generator's hidden layers in the published ANN. In the SNN they are neurons, without it.
LEAKY_SLOPE = 0.01


def predictive_vgg(
    depth=5, input_shape=(28, 28, 1), n_classes=10, feedback=True, width=1.0, generator_width=None, dense=(4096, 4096),
    dropout=0.0, name=None, published=False, conv_dropout=0.0, kernel_size=3,
):  # fmt: skip
    """
    Build a VGG without biases, with or without a generator from the last feature map to the pixels.

    Without feedback, pooling is a 2x2 average. With feedback it is a 2x2 convolution of stride 2, and a generator
    mirrors the convolutions: up-sampling for each pooling, then transposed convolutions back to the image's channels.

    Parameters
    ----------
    depth : {5, 9, 11, 13, 16, 19}
        5 or 9 with feedback.
    input_shape : (H, W, C)
        With feedback, H and W must be divisible by 4 (VGG5) or 16 (VGG9).
    n_classes : int
    feedback : bool
        Whether to add the generator, as a second output.
    width : float
        Factor on the channels of all convolutions; 0.5 is the published narrow variant.
    generator_width : float, optional
        Factor on the channels of the generator, ``width`` by default.
    dense : sequence of int
        Units of the hidden layers of the classifier.
    dropout : float
        Dropout rate after each hidden layer of the classifier, for training.
    name : str, optional
    published : bool
        Build the layers as published: pooling is linear, without neurons; up-sampling is a learned 2x2 transposed convolution,
        linear too; the generator's hidden layers are leaky ReLUs (slope 0.01) and its last one is linear; weights are drawn
        from normal distributions (convolutions by the number of their output channels; dense layers with 0.01). Otherwise
        pooling and all of the generator are ReLUs, and up-sampling repeats pixels.
    conv_dropout : float
        Dropout rate after each convolution that no pooling or up-sampling follows, also in the generator.
    kernel_size : int
        Width of the kernels of convolutions, also in the generator; odd. Pooling and up-sampling stay 2x2.

    Returns
    -------
    model : keras.Model
        Output ``classifier``, (n, n_classes), logits. With feedback also ``prediction``, (n, H, W, C), the generator's
        output for each pixel before the squash; >= 0 unless published.

    Raises
    ------
    ValueError
        If the depth is unknown, the image size is not divisible by the total pooling factor, or the kernel size is not odd.

    See Also
    --------
    spiking_layers : the layers that become neurons.

    Notes
    -----
    In the published SNN, neurons take the place of leaky ReLUs, whose slope below 0 is lost, and of the linear last layer. Read
    such a model with ``brainsnn.read_keras(model, spiking=spiking_layers(model))``.

    Examples
    --------
    >>> from brainsnn.training.predictive_vgg import predictive_vgg
    >>> narrow = predictive_vgg(5, width=0.5, published=True, conv_dropout=0.2, dropout=0.5)
    >>> f"{narrow.count_params():,}"
    '29,815,360'

    References
    ----------
    Rathi, Srinivasan, Panda, Roy (2020), ICLR. The feedback networks are those of the public repository
    SpikingNN_with_PredictiveFeedback.
    """
    configuration = _configuration(depth, input_shape, feedback)
    if not isinstance(kernel_size, int) or kernel_size < 1 or kernel_size % 2 == 0:
        raise ValueError(
            f"predictive_vgg: kernel_size={kernel_size!r} must be odd, such as 3 or 5, to keep the size of a map."
        )
    inputs = layers.Input(input_shape, name="input")
    features = _features(inputs, configuration, width, feedback, published, conv_dropout, kernel_size)
    x = layers.Flatten(name="flatten")(features)
    for k, units in enumerate(dense, 1):
        x = _dropout(_dense(units, published, activation="relu", name=f"dense{k}")(x), dropout)
    outputs = [_dense(n_classes, published, name="classifier")(x)]
    if feedback:
        widths = width if generator_width is None else generator_width
        outputs.append(
            _generator(features, configuration, input_shape[2], widths, published, conv_dropout, kernel_size)
        )
    return keras.Model(inputs, outputs, name=name or f"vgg{depth}_{'feedback' if feedback else 'plain'}")


def published_initialiser(size, channels):
    """
    Return the published initialiser of a convolution or transposed convolution: normal, by its number of output channels.

    Parameters
    ----------
    size, channels : int
        Width of the kernel and number of output channels.

    Returns
    -------
    initialiser : keras.initializers.Initializer
    """
    return keras.initializers.RandomNormal(stddev=float(np.sqrt(2 / (size * size * channels))))


def _initialiser(published, size, channels):
    return published_initialiser(size, channels) if published else "glorot_uniform"


def _dense(units, published, **options):
    initialiser = keras.initializers.RandomNormal(stddev=0.01) if published else "glorot_uniform"
    return layers.Dense(units, use_bias=False, kernel_initializer=initialiser, **options)


def spiking_layers(model):
    """
    Return the layers of a published network that become neurons although the ANN has no ReLU there.

    Parameters
    ----------
    model : keras.Model
        From `predictive_vgg`.

    Returns
    -------
    names : list of str
        Leaky ReLUs, and the layer ``prediction`` if it is linear.
    """
    leaky = [layer.name for layer in model.layers if isinstance(layer, layers.LeakyReLU)]
    linear = [
        layer.name for layer in model.layers if layer.name == "prediction" and layer.activation.__name__ == "linear"
    ]
    return leaky + linear


def published_order(names):
    """
    Return layers in the published order of thresholds: convolutions, generator, dense layers.

    Parameters
    ----------
    names : iterable of str
        Spiking layers of a network of `predictive_vgg`, each part in the order of the network.

    Returns
    -------
    names : list of str
    """
    return sorted(
        names, key=lambda name: 2 if name.startswith("dense") else int(name.startswith(("generator", "prediction")))
    )


def _configuration(depth, input_shape, feedback):
    """Return the layers of a depth, after checking that the generator can restore the image size."""
    if depth not in CONFIGURATIONS:
        raise ValueError(f"predictive_vgg: depth={depth!r}; choose one of {', '.join(map(str, CONFIGURATIONS))}.")
    if feedback and depth not in WITH_FEEDBACK:
        depths = " or ".join(map(str, WITH_FEEDBACK))
        raise ValueError(f"predictive_vgg: depth={depth} has no generator; use depth={depths}, or feedback=False.")
    configuration = CONFIGURATIONS[depth]
    factor = 2 ** configuration.count("P")
    if feedback and (input_shape[0] % factor or input_shape[1] % factor):
        larger = tuple(-(-n // factor) * factor for n in input_shape[:2])
        raise ValueError(
            f"predictive_vgg: images of {input_shape[0]} x {input_shape[1]} cannot be halved {configuration.count('P')} "
            f"times and doubled back; pad them to {larger[0]} x {larger[1]}."
        )
    return configuration


def add_predictor(model, layer, reach=3, stddev=1e-3, seed=0, name="learned_prediction"):
    """
    Add an untrained layer that predicts a network's input from one of its feature maps.

    `~brainsnn.feedback.learning.LocalLearning` can train it. Each feature neuron projects to the pixels at and around
    its own position.

    Parameters
    ----------
    model : keras.Model
        With one input, (H, W, C). Only its first output is kept.
    layer : str
        Layer with the feature map, (h, w, channels). H and W must be multiples of h and w.
    reach : int
        Width of a feature neuron's field, in feature neurons. 3 includes the pixels of its neighbours.
    stddev : float
        Standard deviation of the initial weights, > 0, because a weight of exactly 0 makes no connection.
    seed : int
    name : str
        Name of the new layer.

    Returns
    -------
    model : keras.Model
        Shares all other layers with the given model.

    Raises
    ------
    ValueError
        If H and W are not multiples of h and w, or if ``stddev`` is not positive.
    """
    if not stddev > 0:
        raise ValueError(f"add_predictor: stddev must be positive, got {stddev!r}; a weight of 0 makes no connection.")
    features, image = model.get_layer(layer).output, model.inputs[0]
    strides = [n // m for n, m in zip(image.shape[1:3], features.shape[1:3])]
    if any(n != s * m for n, s, m in zip(image.shape[1:3], strides, features.shape[1:3])):
        raise ValueError(
            f"add_predictor: the {features.shape[1]} x {features.shape[2]} positions of {layer!r} do not tile images of "
            f"{image.shape[1]} x {image.shape[2]}. Choose a layer whose size divides that of the image."
        )
    prediction = layers.Conv2DTranspose(
        image.shape[3], [reach * stride for stride in strides], strides=strides, padding="same", activation="relu",
        use_bias=False, kernel_initializer=keras.initializers.RandomNormal(stddev=stddev, seed=seed), name=name,
    )(features)  # fmt: skip
    return keras.Model(model.inputs, [model.outputs[0], prediction], name=f"{model.name}_{name}")


def _dropout(x, rate, name=None):
    return layers.Dropout(rate, name=name)(x) if rate else x


def _scaled(channels, width):
    return max(1, int(np.rint(channels * width)))


def _features(x, configuration, width, feedback, published, dropout, size):
    """Return x after convolutions and pooling. With feedback, pooling is trained; it spikes unless published."""
    n_convolutions, n_pools = 0, 0
    for item, following in zip(configuration, (*configuration[1:], None)):
        if item == "P":
            n_pools += 1
            if feedback:
                n_channels = x.shape[-1]
                x = layers.Conv2D(
                    n_channels, 2, strides=2, activation=None if published else "relu", use_bias=False, padding="same",
                    kernel_initializer=_initialiser(published, 2, n_channels), name=f"pool{n_pools}",
                )(x)  # fmt: skip
            else:
                x = layers.AveragePooling2D(2, name=f"pool{n_pools}")(x)
        else:
            n_convolutions += 1
            n_channels, name = _scaled(item, width), f"conv{n_convolutions}"
            x = layers.Conv2D(
                n_channels, size, padding="same", activation="relu", use_bias=False,
                kernel_initializer=_initialiser(published, size, n_channels), name=name,
            )(x)  # fmt: skip
            if following != "P":  # a pooling takes the place of the dropout
                x = _dropout(x, dropout, f"{name}_dropout")
    return x


def _generator(x, configuration, n_channels, width, published, dropout, size):
    """Return x after the mirrored layers: each transposed convolution restores its convolution's input channels."""
    channels = [item for item in configuration if item != "P"]
    targets = [n_channels, *(_scaled(c, width) for c in channels[:-1])]
    backwards, n_up, n_transposed = configuration[::-1], 0, 0
    for item, following in zip(backwards, (*backwards[1:], None)):
        if item == "P":
            n_up += 1
            x = _doubled(x, f"up{n_up}", published)
            continue
        n_transposed += 1
        n, last = targets[-n_transposed], n_transposed == len(channels)
        name = "prediction" if last else f"generator{n_transposed}"
        x = layers.Conv2DTranspose(
            n, size, padding="same", activation=None if published else "relu", use_bias=False,
            kernel_initializer=_initialiser(published, size, n), name=f"{name}_current" if published and not last else name,
        )(x)  # fmt: skip
        if published and not last:
            x = layers.LeakyReLU(negative_slope=LEAKY_SLOPE, name=name)(x)
        if not last and following != "P":
            x = _dropout(x, dropout, f"{name}_dropout")
    return x


def _doubled(x, name, learned):
    """Return x with twice the rows and columns: repeated, or by a learned linear layer."""
    if not learned:
        return layers.UpSampling2D(2, name=name)(x)
    n = x.shape[-1]
    return layers.Conv2DTranspose(
        n, 2, strides=2, padding="same", use_bias=False, kernel_initializer=published_initialiser(2, n), name=name
    )(x)
