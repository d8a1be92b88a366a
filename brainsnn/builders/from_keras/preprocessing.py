"""Handlers of Keras's preprocessing layers: augmentation, which does nothing at inference, and linear maps of the image."""

import numpy as np
from scipy import sparse

import brainsnn.builders.operators as ops
from brainsnn.errors import ConversionError

__all__ = ["AUGMENTATIONS", "PREPROCESSING_HANDLERS", "resized"]

#: Layers that change images during training only.
AUGMENTATIONS = frozenset(
    """
    AugMix CutMix MixUp RandAugment RandomBrightness RandomColorDegeneration RandomColorJitter RandomContrast RandomCrop
    RandomElasticTransform RandomErasing RandomFlip RandomGaussianBlur RandomGrayscale RandomHue RandomInvert
    RandomPerspective RandomPosterization RandomRotation RandomSaturation RandomSharpness RandomShear RandomTranslation
    RandomZoom Solarization
    """.split()
)


def _augmentation(layer, node, inputs, builder, label):
    if node.outputs[0].shape != node.input_tensors[0].shape:  # RandomCrop
        raise ConversionError(
            f"Keras crops to {tuple(node.outputs[0].shape[1:])} during training only, and at inference the layer returns "
            f"its input of shape {inputs[0].shape}.",
            layer,
            "Use CenterCrop, or crop the images before the model.",
        )
    return inputs[0]


def _rescaling(layer, node, inputs, builder, label):
    return _scaled(layer, node, inputs[0], layer.scale, layer.offset, builder, label)


def _normalization(layer, node, inputs, builder, label):
    import keras

    mean = np.asarray(layer.mean, dtype=float)
    deviation = np.maximum(np.sqrt(np.asarray(layer.variance, dtype=float)), keras.config.epsilon())
    if layer.invert:
        return _scaled(layer, node, inputs[0], deviation, mean, builder, label)
    return _scaled(layer, node, inputs[0], 1 / deviation, -mean / deviation, builder, label)


def _scaled(layer, node, affine, factor, offset, builder, label):
    """Return an affine map times an array plus an array, which broadcast to the Keras tensor as in numpy."""
    shape = (1, *node.outputs[0].shape[1:])
    values = []
    for name, value in (("scale", factor), ("offset", offset)):
        value = np.asarray(value, dtype=float)
        try:
            values.append(np.broadcast_to(value, shape).reshape(affine.shape))
        except ValueError:
            raise ConversionError(
                f"its {name} of shape {value.shape} does not fit one image of shape {shape[1:]}.",
                layer,
                "Give a number, or one for each channel.",
            ) from None
        if not np.isfinite(value).all():
            raise ConversionError(f"its {name} has values that are NaN or infinite.", layer, "Give finite numbers.")
    factor, offset = values
    return builder.apply(affine, ops.diagonal(factor, affine.shape), label, offset)


def _check_channel_axis(layer, node):
    """Check that Keras does not take the batch axis of gray images for the rows of one image."""
    shape = tuple(node.input_tensors[0].shape[1:])
    if len(shape) < 3:
        raise ConversionError(
            f"Keras takes the batch of images of shape {shape} for the rows of one image.",
            layer,
            f"Give the images a channel axis: {(*shape, 1)}.",
        )


def _center_crop(layer, node, inputs, builder, label):
    _check_channel_axis(layer, node)
    shape = inputs[0].shape
    spare = shape[0] - layer.height, shape[1] - layer.width
    if min(spare) < 0:  # Keras enlarges images that are too small
        return resized(layer, inputs[0], builder, label)
    edges = [(n // 2, n - n // 2) for n in spare]
    return builder.apply(inputs[0], ops.crop(shape, edges), label)


def _resizing(layer, node, inputs, builder, label):
    _check_channel_axis(layer, node)
    affine = inputs[0]
    if affine.shape[:2] == (layer.height, layer.width):
        return affine
    if layer.pad_to_aspect_ratio:
        raise ConversionError(
            f"pad_to_aspect_ratio=True is not supported for images of another size, such as {affine.shape}.",
            layer,
            "Put ZeroPadding2D before a Resizing without it.",
        )
    return resized(layer, affine, builder, label)


def resized(layer, affine, builder, label):
    """Apply a layer that is separable and linear, as told by what it does to images in which one row or column is 1."""
    height, width, _ = affine.shape
    rows = _answers(layer, np.broadcast_to(np.eye(height)[:, :, None], (height, height, width)))[:, :, 0]
    cols = _answers(layer, np.broadcast_to(np.eye(width)[:, None, :], (width, height, width)))[:, 0, :]
    operator = ops.separable(affine.shape, sparse.csr_matrix(rows), sparse.csr_matrix(cols))
    return builder.apply(affine, operator, label)


def _answers(layer, images, n=16):
    """Return a layer's outputs (N, H, W) for images (N, H, W), n at a time to save memory."""
    parts = [images[k : k + n, ..., None].astype("float32") for k in range(0, len(images), n)]
    return np.concatenate([np.asarray(layer(part), dtype=float)[..., 0] for part in parts])


#: Class name -> function (layer, node, inputs, builder, label) -> AffineMap.
PREPROCESSING_HANDLERS = {
    **dict.fromkeys(AUGMENTATIONS, _augmentation),
    "CenterCrop": _center_crop,
    "Normalization": _normalization,
    "Rescaling": _rescaling,
    "Resizing": _resizing,
}
