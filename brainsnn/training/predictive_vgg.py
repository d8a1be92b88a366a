"""VGG networks with and without a feedback pathway that predicts their input, as functional Keras models."""

import keras
import numpy as np
from keras import layers

__all__ = ["predictive_vgg", "add_predictor", "CONFIGURATIONS"]

#: Depth -> output channels of the convolutions; "P" is a 2x2 pooling.
CONFIGURATIONS = {
    5: (64, "P", 128, 128, "P"),
    9: (64, "P", 128, 256, "P", 256, 512, "P", 512, "P", 512),
}


def predictive_vgg(
    depth=5, input_shape=(28, 28, 1), n_classes=10, feedback=True, width=1.0, generator_width=None, dense=(4096, 4096),
    dropout=0.0, name=None,
):  # fmt: skip
    """
    Build a VGG5 or VGG9 without biases, with or without a generator from the last feature map to the pixels.

    Without feedback, pooling is a 2x2 average. With feedback it is a 2x2 convolution of stride 2, and a generator
    mirrors the convolutions: up-sampling for each pooling, then transposed convolutions back to the image's channels.

    Parameters
    ----------
    depth : {5, 9}
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

    Returns
    -------
    model : keras.Model
        Output ``classifier``, (n, n_classes), logits. With feedback also ``prediction``, (n, H, W, C), the generator's
        output for each pixel before the squash, >= 0.

    Raises
    ------
    ValueError
        If the depth is unknown, or the image size is not divisible by the total pooling factor.

    References
    ----------
    Rathi, Srinivasan, Panda, Roy (2020), ICLR. The feedback networks are those of the public repository
    SpikingNN_with_PredictiveFeedback.
    """
    configuration = _configuration(depth, input_shape, feedback)
    inputs = layers.Input(input_shape, name="input")
    features = _features(inputs, configuration, width, feedback)
    x = layers.Flatten(name="flatten")(features)
    for k, units in enumerate(dense, 1):
        x = _dropout(layers.Dense(units, activation="relu", use_bias=False, name=f"dense{k}")(x), dropout)
    outputs = [layers.Dense(n_classes, use_bias=False, name="classifier")(x)]
    if feedback:
        generator_width = width if generator_width is None else generator_width
        outputs.append(_generator(features, configuration, input_shape[2], generator_width))
    return keras.Model(inputs, outputs, name=name or f"vgg{depth}_{'feedback' if feedback else 'plain'}")


def _configuration(depth, input_shape, feedback):
    """Return the layers of a depth, after checking that the generator can restore the image size."""
    if depth not in CONFIGURATIONS:
        raise ValueError(f"predictive_vgg: depth={depth!r}; choose one of {', '.join(map(str, CONFIGURATIONS))}.")
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


def _dropout(x, rate):
    return layers.Dropout(rate)(x) if rate else x


def _scaled(channels, width):
    return max(1, int(np.rint(channels * width)))


def _features(x, configuration, width, feedback):
    """Return x after convolutions and pooling. With feedback, pooling is a trained layer of spiking neurons."""
    n_convolutions, n_pools = 0, 0
    for item in configuration:
        if item == "P":
            n_pools += 1
            if feedback:
                x = layers.Conv2D(
                    x.shape[-1], 2, strides=2, activation="relu", use_bias=False, padding="same", name=f"pool{n_pools}"
                )(x)
            else:
                x = layers.AveragePooling2D(2, name=f"pool{n_pools}")(x)
        else:
            n_convolutions += 1
            x = layers.Conv2D(
                _scaled(item, width), 3, padding="same", activation="relu", use_bias=False, name=f"conv{n_convolutions}"
            )(x)
    return x


def _generator(x, configuration, n_channels, width):
    """Return x after the mirrored layers: each transposed convolution restores its convolution's input channels."""
    channels = [item for item in configuration if item != "P"]
    targets = [n_channels, *(_scaled(c, width) for c in channels[:-1])]
    n_up, n_transposed = 0, 0
    for item in reversed(configuration):
        if item == "P":
            n_up += 1
            x = layers.UpSampling2D(2, name=f"up{n_up}")(x)
        else:
            n_transposed += 1
            last = n_transposed == len(channels)
            x = layers.Conv2DTranspose(
                targets[-n_transposed], 3, padding="same", activation="relu", use_bias=False,
                name="prediction" if last else f"generator{n_transposed}",
            )(x)  # fmt: skip
    return x
