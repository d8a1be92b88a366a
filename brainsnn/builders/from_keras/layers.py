"""One handler per Keras layer class: what the layer does to the affine maps of its inputs."""

from functools import partial

import numpy as np
from scipy.sparse import csr_matrix

import brainsnn.builders.operators as ops
from brainsnn.builders.from_keras.activations import ACTIVATION_HANDLERS, activate, activated
from brainsnn.builders.from_keras.preprocessing import AUGMENTATIONS, PREPROCESSING_HANDLERS, resized
from brainsnn.builders.graph.merging import average, concatenate
from brainsnn.errors import ConversionError
from brainsnn.plain_arrays import is_number

__all__ = ["AFTER_OUTPUT", "BATCH_NORMS", "HANDLERS", "IDENTITIES", "SUPPORTED", "shape3"]

#: Layers that return their input at inference -> what the printed table says of them.
IDENTITIES = {
    **dict.fromkeys(
        ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
        "ignored (does nothing at inference)",
    ),
    "ActivityRegularization": "ignored (acts on the loss only)",
    "Identity": "ignored (identity)",
    **dict.fromkeys(AUGMENTATIONS, "ignored (does nothing at inference)"),
}

#: Supported layers, for error messages.
SUPPORTED = (
    "Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose, Dense, BatchNormalization, pooling, Add, Subtract, "
    "Average, Concatenate, Flatten, Reshape, Permute, ZeroPadding2D, Cropping2D, UpSampling2D, Rescaling, Normalization, "
    "Resizing, CenterCrop, augmentation, dropout and noise, ReLU, LeakyReLU, PReLU, ASNTransfer, Activation, Softmax"
)


def shape3(shape, layer):
    """
    Return the shape of a Keras tensor as (H, W, C).

    Parameters
    ----------
    shape : tuple
        Without the batch. Shapes with fewer than three numbers are padded with 1 on the left.
    layer : keras.Layer
        For the error.

    Returns
    -------
    (H, W, C) : tuple of int

    Raises
    ------
    ConversionError
        If a number is not fixed or there are more than three.
    """
    if any(n is None for n in shape):
        raise ConversionError(
            f"the shape {tuple(shape)} is not fixed; the number of neurons must be known.",
            layer,
            f"Build the model with a fixed input, such as keras.Input({tuple(n or 32 for n in shape)}).",
        )
    if len(shape) > 3:
        raise ConversionError(
            f"tensors of shape {tuple(shape)} are not supported.", layer, "Use (height, width, channels)."
        )
    return (1,) * (3 - len(shape)) + tuple(int(n) for n in shape)


def _weight(layer, name):
    """Return a weight as float64, a kernel of float32 as it is; refuse NaN and infinity."""
    variable = getattr(layer, name, None)
    if variable is None:
        raise ConversionError(f"it has no weight '{name}'.", layer, "Create it in build, as its parent class does.")
    value = np.array(variable)
    if value.dtype != np.float32 or "kernel" not in name:  # kernels can be large, and operators compute in float64
        value = value.astype(float)
    bad = np.count_nonzero(~np.isfinite(value))
    if bad:
        raise ConversionError(
            f"the weight '{name}' has {bad} of {value.size} values that are NaN or infinite.",
            layer,
            "Train again or load another checkpoint.",
        )
    return value


def _bias(layer):
    """Return the bias (units,), or None."""
    return _weight(layer, "bias") if layer.use_bias else None


def _conv2d(layer, node, inputs, builder, label):
    affine = inputs[0]
    operator = ops.conv2d(
        _weight(layer, "kernel"), affine.shape, layer.strides, layer.padding, layer.dilation_rate, layer.groups
    )
    return activated(builder.apply(affine, operator, label, _bias(layer)), layer, builder, label)


def _depthwise_conv2d(layer, node, inputs, builder, label):
    affine = inputs[0]
    operator = ops.depthwise_conv2d(
        _weight(layer, "kernel"), affine.shape, layer.strides, layer.padding, layer.dilation_rate
    )
    return activated(builder.apply(affine, operator, label, _bias(layer)), layer, builder, label)


def _separable_conv2d(layer, node, inputs, builder, label):
    depthwise = ops.depthwise_conv2d(
        _weight(layer, "depthwise_kernel"), inputs[0].shape, layer.strides, layer.padding, layer.dilation_rate
    )
    pointwise = ops.conv2d(_weight(layer, "pointwise_kernel"), depthwise.output_shape)
    affine = builder.apply(inputs[0], depthwise, label + "_depthwise")
    affine = builder.apply(affine, pointwise, label, _bias(layer))
    return activated(affine, layer, builder, label)


def _conv2d_transpose(layer, node, inputs, builder, label):
    affine = inputs[0]
    operator = ops.conv2d_transpose(
        _weight(layer, "kernel"), affine.shape, layer.strides, layer.padding, layer.output_padding, layer.dilation_rate
    )
    return activated(builder.apply(affine, operator, label, _bias(layer)), layer, builder, label)


def _dense(layer, node, inputs, builder, label):
    operator = ops.dense(_weight(layer, "kernel"), inputs[0].shape)
    return activated(builder.apply(inputs[0], operator, label, _bias(layer)), layer, builder, label)


def _check_axis(layer, node):
    """Check that a layer acts along the channel axis alone."""
    rank = len(node.outputs[0].shape)
    axes = [layer.axis] if isinstance(layer.axis, int) else layer.axis
    if [axis % rank for axis in axes] != [rank - 1]:
        raise ConversionError(f"axis={layer.axis} is not the channel axis.", layer, "Use axis=-1.")


def _deviation(layer, variance):
    """Return what batch normalization divides by."""
    if not is_number(layer.epsilon) or (variance + layer.epsilon).min() <= 0:
        raise ConversionError(
            f"it divides by the root of a variance, the smallest of which is {variance.min():g}, plus epsilon={layer.epsilon!r}. "
            "This sum must be finite and greater than 0.",
            layer,
            "Set layer.epsilon, 0.001 by default, to the value with which the model was trained.",
        )
    return np.sqrt(variance + layer.epsilon)


def _published_deviation(layer, variance):
    """Return what the network of Soerensen et al. (2022) divides by after conversion, whatever the layer's epsilon."""
    if variance.min() < 0:
        raise ConversionError(
            f"its smallest variance is {variance.min():g}, of which batch_norm='published' takes the root.",
            layer,
            "Use batch_norm='exact', which adds epsilon first, or another checkpoint.",
        )
    return np.sqrt(variance) + 1e-5


def _batch_normalization(layer, node, inputs, builder, label, deviation=_deviation):
    _check_axis(layer, node)
    factor = 1 / deviation(layer, _weight(layer, "moving_variance"))
    if layer.scale:
        factor = factor * _weight(layer, "gamma")
    bias = -_weight(layer, "moving_mean") * factor
    if layer.center:
        bias = bias + _weight(layer, "beta")
    return builder.apply(inputs[0], ops.scale(factor, inputs[0].shape), label, bias)


def _average_pooling(layer, node, inputs, builder, label):
    return average(
        inputs[0], ops.average_pool(inputs[0].shape, layer.pool_size, layer.strides, layer.padding), builder, label
    )


def _global_average_pooling(layer, node, inputs, builder, label):
    return average(inputs[0], ops.average_pool(inputs[0].shape, inputs[0].shape[:2]), builder, label)


def _max_pooling(layer, node, inputs, builder, label):
    if tuple(layer.pool_size) == (1, 1):  # only skips pixels, which is linear
        operator = ops.average_pool(inputs[0].shape, 1, layer.strides, layer.padding)
        return builder.apply(inputs[0], operator, label)
    operator = ops.max_pool(inputs[0].shape, layer.pool_size, layer.strides, layer.padding)
    return builder.max_pool(inputs[0], operator, label)


def _global_max_pooling(layer, node, inputs, builder, label):
    return builder.max_pool(inputs[0], ops.max_pool(inputs[0].shape, inputs[0].shape[:2]), label)


def _sum(factors):
    """Return the handler of a weighted sum; `factors` gives the weights for a number of inputs."""

    def handler(layer, node, inputs, builder, label):
        """Combine the inputs of a merging layer."""
        shapes = {affine.shape for affine in inputs}
        if len(shapes) > 1 or len(inputs) < 2:
            raise ConversionError(
                f"it needs two or more inputs of one shape, got {[affine.shape for affine in inputs]}.",
                layer,
                "Make the shapes equal (UpSampling2D, Conv2D). Add constants with Rescaling.",
            )
        return builder.add(inputs, factors(len(inputs)), label)

    return handler


def _custom_scale(layer, node, inputs, builder, label):
    """The residual of InceptionResNetV2, a layer of keras.applications."""
    return builder.add(inputs, [1, float(layer.scale)], label)


def _concatenate(layer, node, inputs, builder, label):
    rank = len(node.outputs[0].shape)
    axis = layer.axis % rank + 3 - rank
    if layer.axis % rank == 0:
        raise ConversionError("it concatenates batches.", layer, "Use axis=-1.")
    return concatenate(inputs, axis, builder, label)


def _reshape(layer, node, inputs, builder, label):
    affine, shape = inputs[0], shape3(node.outputs[0].shape[1:], layer)
    if np.prod(shape) != np.prod(affine.shape):
        raise ConversionError("it mixes the images of a batch.", layer, "Keep the batch axis: keras.layers.Reshape.")
    return affine.reshape(shape, label)


def _permute(layer, node, inputs, builder, label):
    affine, shape = inputs[0], node.outputs[0].shape[1:]
    before = [affine.shape[3 - len(shape) + k] for k in range(len(shape))]
    index = np.arange(np.prod(before)).reshape(before).transpose([d - 1 for d in layer.dims]).ravel()
    matrix = csr_matrix((np.ones(len(index)), (index, np.arange(len(index)))), shape=(len(index), len(index)))
    return builder.apply(affine, ops.SparseOperator(affine.shape, shape3(shape, layer), matrix), label)


def _zero_padding(layer, node, inputs, builder, label):
    return builder.apply(inputs[0], ops.zero_pad(inputs[0].shape, layer.padding), label)


def _cropping(layer, node, inputs, builder, label):
    return builder.apply(inputs[0], ops.crop(inputs[0].shape, layer.cropping), label)


def _up_sampling(layer, node, inputs, builder, label):
    if layer.interpolation not in ("nearest", "bilinear"):
        return resized(layer, inputs[0], builder, label)
    return builder.apply(inputs[0], ops.upsample(inputs[0].shape, layer.size, layer.interpolation), label)


def _identity(layer, node, inputs, builder, label):
    return inputs[0]


def _softmax(layer, node, inputs, builder, label):
    _check_axis(layer, node)
    return activate(inputs[0], "softmax", layer, builder, label)


#: Class name -> function (layer, node, inputs, builder, label) -> AffineMap.
HANDLERS = {
    **dict.fromkeys(IDENTITIES, _identity),
    **PREPROCESSING_HANDLERS,
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise_conv2d,
    "SeparableConv2D": _separable_conv2d,
    "Conv2DTranspose": _conv2d_transpose,
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "AveragePooling2D": _average_pooling,
    "GlobalAveragePooling2D": _global_average_pooling,
    "MaxPooling2D": _max_pooling,
    "GlobalMaxPooling2D": _global_max_pooling,
    "Add": _sum(lambda n: [1] * n),
    "Subtract": _sum(lambda n: [1, -1]),
    "Average": _sum(lambda n: [1 / n] * n),
    "CustomScaleLayer": _custom_scale,
    "Concatenate": _concatenate,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding2D": _zero_padding,
    "Cropping2D": _cropping,
    "UpSampling2D": _up_sampling,
    **ACTIVATION_HANDLERS,
    "Softmax": _softmax,
}

#: How to fold batch normalization -> its handler.
BATCH_NORMS = {
    "exact": _batch_normalization,
    "published": partial(_batch_normalization, deviation=_published_deviation),
}

#: Layers that can follow an output activation: they change no value.
AFTER_OUTPUT = frozenset({*IDENTITIES, "Flatten", "Reshape"})
