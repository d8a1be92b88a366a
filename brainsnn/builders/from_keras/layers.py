"""One handler per Keras layer class: what the layer does to the affine maps of its inputs."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

import brainsnn.builders.operators as ops
from brainsnn.builders.from_keras.classes import keras_name
from brainsnn.builders.from_keras.preprocessing import AUGMENTATIONS, PREPROCESSING_HANDLERS, resized
from brainsnn.errors import ConversionError
from brainsnn.plain_arrays import is_number

__all__ = [
    "AFTER_OUTPUT", "HANDLERS", "IDENTITIES", "OUTPUT_ONLY", "SUPPORTED", "activate", "add_parts", "check_open",
    "shape3",
]  # fmt: skip

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

#: Activations that only a readout can have.
OUTPUT_ONLY = ("softmax", "sigmoid", "tanh", "softplus")

#: Supported layers, for error messages.
SUPPORTED = (
    "Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose, Dense, BatchNormalization, pooling, Add, Subtract, "
    "Average, Concatenate, Flatten, Reshape, Permute, ZeroPadding2D, Cropping2D, UpSampling2D, Rescaling, Normalization, "
    "Resizing, CenterCrop, augmentation, dropout and noise, ReLU, ASNTransfer, Activation, Softmax"
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


def check_open(inputs, layer):
    """
    Check that no input of a layer has passed an output activation such as softmax.

    Parameters
    ----------
    inputs : list of AffineMap
    layer : keras.Layer
        For the error.

    Raises
    ------
    ConversionError
        If an input has.
    """
    for affine in inputs:
        if affine.activation:
            name, where = affine.activation
            raise ConversionError(
                f"it reads the {name} of layer '{where}', and {name} is possible only at the output of the model.",
                layer,
                f"Use ReLU or ASNTransfer in '{where}', or cut the model there.",
            )


#: Arguments of the transfer function of `ASNTransfer`.
ASN_DEFAULTS = {"m_f": 0.1, "threshold": 0.0, "tau_eta": 50.0, "tau_gamma": 15.0}


def activate(affine, name, layer, builder, label):
    """
    Apply an activation, given by its name, to an affine map.

    Parameters
    ----------
    affine : AffineMap
    name : {"linear", "relu", "asn"} or str
        Or one of `OUTPUT_ONLY`. ``"asn"`` takes ``m_f``, ``threshold``, ``tau_eta`` and ``tau_gamma`` (ms) from the
        layer; 0.1, 0, 50 and 15 by default.
    layer : keras.Layer
    builder : GraphBuilder
    label : str
        Name of the call.

    Returns
    -------
    AffineMap

    Raises
    ------
    ConversionError
        If no spiking population or readout has the activation.
    """
    if name == "linear":
        return affine
    if name == "relu":
        return builder.spike(affine, label, "relu")
    if name == "asn":
        given = {name: getattr(layer, name, None) for name in ASN_DEFAULTS}
        values = {n: ASN_DEFAULTS[n] if value is None else float(value) for n, value in given.items()}
        m_f, threshold, *time_constants = values.values()
        return builder.spike(affine, label, "asn", m_f=m_f, threshold=threshold, time_constants=tuple(time_constants))
    if name in OUTPUT_ONLY:
        layers = affine.layers if label in affine.layers else (*affine.layers, label)
        return replace(affine, activation=(name, label), n_together=affine.shape[2], label=label, layers=layers)
    raise ConversionError(
        f"the activation {name!r} has no spiking counterpart.", layer, "Use 'relu', an ASNTransfer layer, or 'linear'."
    )


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


def _activated(affine, layer, builder, label):
    """Apply the `activation` argument of a layer."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        return affine
    if keras_name(type(activation)) == "ReLU":  # a layer as the activation of another
        return _relu(activation, None, [affine], builder, label)
    name = getattr(activation, "__name__", type(activation).__name__)
    module = getattr(activation, "__module__", "")
    # A user's function may share its name with one of Keras.
    return activate(affine, name if module.startswith("keras.") else f"{module}.{name}", layer, builder, label)


def _conv2d(layer, node, inputs, builder, label):
    affine = inputs[0]
    operator = ops.conv2d(
        _weight(layer, "kernel"), affine.shape, layer.strides, layer.padding, layer.dilation_rate, layer.groups
    )
    return _activated(builder.apply(affine, operator, label, _bias(layer)), layer, builder, label)


def _depthwise_conv2d(layer, node, inputs, builder, label):
    affine = inputs[0]
    operator = ops.depthwise_conv2d(
        _weight(layer, "kernel"), affine.shape, layer.strides, layer.padding, layer.dilation_rate
    )
    return _activated(builder.apply(affine, operator, label, _bias(layer)), layer, builder, label)


def _separable_conv2d(layer, node, inputs, builder, label):
    depthwise = ops.depthwise_conv2d(
        _weight(layer, "depthwise_kernel"), inputs[0].shape, layer.strides, layer.padding, layer.dilation_rate
    )
    pointwise = ops.conv2d(_weight(layer, "pointwise_kernel"), depthwise.output_shape)
    affine = builder.apply(inputs[0], depthwise, label + "_depthwise")
    affine = builder.apply(affine, pointwise, label, _bias(layer))
    return _activated(affine, layer, builder, label)


def _conv2d_transpose(layer, node, inputs, builder, label):
    affine = inputs[0]
    operator = ops.conv2d_transpose(
        _weight(layer, "kernel"), affine.shape, layer.strides, layer.padding, layer.output_padding, layer.dilation_rate
    )
    return _activated(builder.apply(affine, operator, label, _bias(layer)), layer, builder, label)


def _dense(layer, node, inputs, builder, label):
    operator = ops.dense(_weight(layer, "kernel"), inputs[0].shape)
    return _activated(builder.apply(inputs[0], operator, label, _bias(layer)), layer, builder, label)


def _check_axis(layer, node):
    """Check that a layer acts along the channel axis alone."""
    rank = len(node.outputs[0].shape)
    axes = [layer.axis] if isinstance(layer.axis, int) else layer.axis
    if [axis % rank for axis in axes] != [rank - 1]:
        raise ConversionError(f"axis={layer.axis} is not the channel axis.", layer, "Use axis=-1.")


def _batch_normalization(layer, node, inputs, builder, label):
    _check_axis(layer, node)
    variance = _weight(layer, "moving_variance")
    if not is_number(layer.epsilon) or (variance + layer.epsilon).min() <= 0:
        raise ConversionError(
            f"it divides by the root of a variance, the smallest of which is {variance.min():g}, plus epsilon={layer.epsilon!r}. "
            "This sum must be finite and greater than 0.",
            layer,
            "Set layer.epsilon, 0.001 by default, to the value with which the model was trained.",
        )
    factor = 1 / np.sqrt(variance + layer.epsilon)
    if layer.scale:
        factor = factor * _weight(layer, "gamma")
    bias = -_weight(layer, "moving_mean") * factor
    if layer.center:
        bias = bias + _weight(layer, "beta")
    return builder.apply(inputs[0], ops.scale(factor, inputs[0].shape), label, bias)


def _average_pooling(layer, node, inputs, builder, label):
    return _average(
        inputs[0], ops.average_pool(inputs[0].shape, layer.pool_size, layer.strides, layer.padding), builder, label
    )


def _global_average_pooling(layer, node, inputs, builder, label):
    return _average(inputs[0], ops.average_pool(inputs[0].shape, inputs[0].shape[:2]), builder, label)


def _average(affine, operator, builder, label):
    pooled = builder.average_membrane(affine, operator, label)
    return builder.apply(affine, operator, label) if pooled is None else pooled


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


def _concatenate(layer, node, inputs, builder, label):
    rank = len(node.outputs[0].shape)
    axis = layer.axis % rank + 3 - rank
    if layer.axis % rank == 0:
        raise ConversionError("it concatenates batches.", layer, "Use axis=-1.")
    total = sum(affine.shape[axis] for affine in inputs)
    parts, offset = [], 0
    for affine in inputs:
        if axis == 2:
            operator = ops.channel_embed(affine.shape, offset, total)
        else:
            edges = [(0, 0), (0, 0)]
            edges[axis] = (offset, total - offset - affine.shape[axis])
            operator = ops.zero_pad(affine.shape, edges)
        parts.append(builder.apply(affine, operator, label))
        offset += affine.shape[axis]
    return add_parts(parts, builder, label)


def add_parts(parts, builder, label):
    """Return the sum of affine maps that one call made, each under the label of the call."""
    if len(parts) == 1:
        return parts[0]
    return builder.add([replace(p, layers=p.layers[:-1]) for p in parts], [1] * len(parts), label)


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


def _asn_transfer(layer, node, inputs, builder, label):
    return activate(inputs[0], "asn", layer, builder, label)


def _relu(layer, node, inputs, builder, label):
    settings = {"max_value": None, "negative_slope": 0, "threshold": 0}
    for name, plain in settings.items():
        value = getattr(layer, name, plain)
        if value is not None and value != plain:
            raise ConversionError(f"{name}={value} has no spiking counterpart.", layer, f"Train with {name}={plain}.")
    return builder.spike(inputs[0], label, "relu")


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
    "Concatenate": _concatenate,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding2D": _zero_padding,
    "Cropping2D": _cropping,
    "UpSampling2D": _up_sampling,
    "ASNTransfer": _asn_transfer,
    "ReLU": _relu,
    "Relu": _relu,
    "Activation": lambda layer, node, inputs, builder, label: _activated(inputs[0], layer, builder, label),
    "Softmax": _softmax,
}

#: Layers that can follow an output activation: they change no value.
AFTER_OUTPUT = frozenset({*IDENTITIES, "Flatten", "Reshape"})
