"""What each Keras layer does to a linear form."""

from dataclasses import replace

import numpy as np
from scipy.sparse import csr_matrix

import brainsnn.builders.operators as ops
from brainsnn.errors import ConversionError

__all__ = ["HANDLERS", "IDENTITIES", "shape3", "convert_layer"]

#: Layers that do nothing at inference, and why.
IDENTITIES = {
    **dict.fromkeys(
        ("Dropout", "SpatialDropout1D", "SpatialDropout2D", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
        "ignored (does nothing at inference)",
    ),
    "ActivityRegularization": "ignored (acts on the loss only)",
    "Identity": "ignored (identity)",
}

# Activations that only a readout can have.
OUTPUT_ONLY = ("softmax", "sigmoid", "tanh", "softplus")

SUPPORTED = (
    "Conv2D, DepthwiseConv2D, SeparableConv2D, Conv2DTranspose, Dense, BatchNormalization, pooling, Add, Subtract, "
    "Average, Concatenate, Flatten, Reshape, Permute, ZeroPadding2D, Cropping2D, UpSampling2D, Rescaling, dropout and "
    "noise, ReLU, ASNTransfer, Activation, Softmax"
)


def shape3(shape, layer):
    """
    Shape of a Keras tensor as (H, W, C).

    Parameters
    ----------
    shape : tuple
        Without the batch; up to three numbers, missing ones count as 1 in front.
    layer : keras.Layer
        For the error.

    Raises
    ------
    ConversionError
        If an extent is not fixed or there are more than three.
    """
    if any(n is None for n in shape):
        raise ConversionError(
            f"the shape {tuple(shape)} is not fixed; each neuron needs its place.",
            layer,
            f"Build the model with a fixed input, such as keras.Input({tuple(n or 32 for n in shape)}).",
        )
    if len(shape) > 3:
        raise ConversionError(
            f"tensors of shape {tuple(shape)} are not supported.", layer, "Use (height, width, channels)."
        )
    return (1,) * (3 - len(shape)) + tuple(int(n) for n in shape)


def convert_layer(layer, node, forms, builder, label):
    """
    Put one call of a layer behind the forms of its inputs.

    Parameters
    ----------
    layer : keras.Layer
    node : keras.Node
        The call.
    forms : list of AffineMap
        Of its inputs.
    builder : GraphBuilder
    label : str
        Name of this call.

    Returns
    -------
    AffineMap

    Raises
    ------
    ConversionError
        If the layer, or how it is set up, has no counterpart; it names the layer.
    """
    class_name = type(layer).__name__
    closed = next((form for form in forms if form.activation), None)
    if closed and class_name not in (*IDENTITIES, "Flatten", "Reshape"):
        name, where = closed.activation
        raise ConversionError(
            f"it reads the {name} of layer '{where}', and {name} is possible only at the output of the model.",
            layer,
            f"Use ReLU or ASNTransfer in '{where}', or cut the model there.",
        )
    if getattr(layer, "data_format", None) == "channels_first":
        raise ConversionError(
            "data_format='channels_first' is not supported.", layer, "Build the model with 'channels_last'."
        )
    if node.arguments.kwargs.get("training"):
        raise ConversionError(
            "it is called with training=True.", layer, "Call it without; a network runs at inference."
        )
    if class_name in IDENTITIES:
        return forms[0]
    handler = HANDLERS.get(class_name)
    if handler is None or not (class_name == "ASNTransfer" or type(layer).__module__.startswith("keras.")):
        raise ConversionError(
            "this class has no spiking counterpart.",
            layer,
            f"Replace it, or convert the part of the model before it. Supported: {SUPPORTED}.",
        )
    try:
        return handler(layer, node, forms, builder, label)
    except ConversionError as error:
        if error.layer_name:
            raise
        raise ConversionError(str(error), layer) from error
    except ValueError as error:
        raise ConversionError(f"{error}", layer) from error


def _weight(layer, name):
    """A weight as float64; refuses NaN and infinity."""
    variable = getattr(layer, name, None)
    if variable is None:
        raise ConversionError(f"it has no weight '{name}'.", layer, "Build the model, or call it once, first.")
    value = np.asarray(variable).astype(float)
    bad = np.count_nonzero(~np.isfinite(value))
    if bad:
        raise ConversionError(
            f"the weight '{name}' has {bad} of {value.size} values that are NaN or infinite.",
            layer,
            "Train again or load another checkpoint.",
        )
    return value


def _bias(layer):
    """Bias (units,) or None."""
    return _weight(layer, "bias") if layer.use_bias else None


def _activated(form, layer, builder, label):
    """The form behind the `activation` argument of a layer."""
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", type(activation).__name__)
    if activation is None or name == "linear":
        return form
    known = getattr(activation, "__module__", "").startswith("keras.")
    if name == "relu" and known:
        return builder.spike(form, label, "relu")
    if name in OUTPUT_ONLY and known:
        return _closed(form, name, label)
    raise ConversionError(
        f"the activation {name!r} has no spiking counterpart.", layer, "Use 'relu', an ASNTransfer layer, or 'linear'."
    )


def _closed(form, name, label):
    """The form with an output activation."""
    layers = form.layers if label in form.layers else (*form.layers, label)
    return replace(form, activation=(name, label), label=label, layers=layers)


def _conv2d(layer, node, forms, builder, label):
    form = forms[0]
    operator = ops.conv2d(
        _weight(layer, "kernel"), form.shape, layer.strides, layer.padding, layer.dilation_rate, layer.groups
    )
    return _activated(builder.apply(form, operator, label, _bias(layer)), layer, builder, label)


def _depthwise_conv2d(layer, node, forms, builder, label):
    form = forms[0]
    operator = ops.depthwise_conv2d(
        _weight(layer, "kernel"), form.shape, layer.strides, layer.padding, layer.dilation_rate
    )
    return _activated(builder.apply(form, operator, label, _bias(layer)), layer, builder, label)


def _separable_conv2d(layer, node, forms, builder, label):
    depthwise = ops.depthwise_conv2d(
        _weight(layer, "depthwise_kernel"), forms[0].shape, layer.strides, layer.padding, layer.dilation_rate
    )
    pointwise = ops.conv2d(_weight(layer, "pointwise_kernel"), depthwise.output_shape)
    form = builder.apply(forms[0], depthwise, label + "_depthwise")
    form = builder.apply(form, pointwise, label, _bias(layer))
    return _activated(form, layer, builder, label)


def _conv2d_transpose(layer, node, forms, builder, label):
    form = forms[0]
    operator = ops.conv2d_transpose(
        _weight(layer, "kernel"), form.shape, layer.strides, layer.padding, layer.output_padding, layer.dilation_rate
    )
    return _activated(builder.apply(form, operator, label, _bias(layer)), layer, builder, label)


def _dense(layer, node, forms, builder, label):
    operator = ops.dense(_weight(layer, "kernel"), forms[0].shape)
    return _activated(builder.apply(forms[0], operator, label, _bias(layer)), layer, builder, label)


def _batch_normalization(layer, node, forms, builder, label):
    rank = len(node.outputs[0].shape)
    axis = layer.axis if isinstance(layer.axis, int) else layer.axis[0]
    if axis % rank != rank - 1:
        raise ConversionError(f"axis={layer.axis} is not the channel axis.", layer, "Use axis=-1.")
    factor = 1 / np.sqrt(_weight(layer, "moving_variance") + layer.epsilon)
    if layer.scale:
        factor = factor * _weight(layer, "gamma")
    bias = -_weight(layer, "moving_mean") * factor
    if layer.center:
        bias = bias + _weight(layer, "beta")
    return builder.apply(forms[0], ops.scale(factor, forms[0].shape), label, bias)


def _rescaling(layer, node, forms, builder, label):
    form = forms[0]
    channels = form.shape[2]
    bias = np.broadcast_to(np.asarray(layer.offset, dtype=float), (channels,))
    return builder.apply(form, ops.scale(np.asarray(layer.scale, dtype=float), form.shape), label, bias)


def _average_pooling(layer, node, forms, builder, label):
    return _average(
        forms[0], ops.average_pool(forms[0].shape, layer.pool_size, layer.strides, layer.padding), builder, label
    )


def _global_average_pooling(layer, node, forms, builder, label):
    return _average(forms[0], ops.average_pool(forms[0].shape, forms[0].shape[:2]), builder, label)


def _average(form, operator, builder, label):
    pooled = builder.average_membrane(form, operator, label)
    return builder.apply(form, operator, label) if pooled is None else pooled


def _max_pooling(layer, node, forms, builder, label):
    if tuple(layer.pool_size) == (1, 1):  # only leaves out pixels: linear
        operator = ops.average_pool(forms[0].shape, 1, layer.strides, layer.padding)
        return builder.apply(forms[0], operator, label)
    operator = ops.max_pool(forms[0].shape, layer.pool_size, layer.strides, layer.padding)
    return builder.max_pool(forms[0], operator, label)


def _global_max_pooling(layer, node, forms, builder, label):
    return builder.max_pool(forms[0], ops.max_pool(forms[0].shape, forms[0].shape[:2]), label)


def _sum(factors):
    """Handler of a weighted sum; `factors` maps the number of inputs to their weights."""

    def handler(layer, node, forms, builder, label):
        shapes = {form.shape for form in forms}
        if len(shapes) > 1 or len(forms) < 2:
            raise ConversionError(
                f"it needs two or more inputs of one shape, got {[form.shape for form in forms]}.",
                layer,
                "Use layers (UpSampling2D, Conv2D) that make the shapes equal; constants are not supported.",
            )
        return builder.add(forms, factors(len(forms)), label)

    return handler


def _concatenate(layer, node, forms, builder, label):
    rank = len(node.outputs[0].shape)
    axis = layer.axis % rank + 3 - rank
    if layer.axis % rank == 0:
        raise ConversionError("it concatenates batches.", layer, "Use axis=-1.")
    total = sum(form.shape[axis] for form in forms)
    parts, offset = [], 0
    for form in forms:
        if axis == 2:
            operator = ops.channel_embed(form.shape, offset, total)
        else:
            edges = [(0, 0), (0, 0)]
            edges[axis] = (offset, total - offset - form.shape[axis])
            operator = ops.zero_pad(form.shape, edges)
        parts.append(builder.apply(form, operator, label))
        offset += form.shape[axis]
    return builder.add([replace(p, layers=p.layers[:-1]) for p in parts], [1] * len(parts), label)


def _reshape(layer, node, forms, builder, label):
    return forms[0].reshape(shape3(node.outputs[0].shape[1:], layer), label)


def _permute(layer, node, forms, builder, label):
    form, shape = forms[0], node.outputs[0].shape[1:]
    before = [form.shape[3 - len(shape) + k] for k in range(len(shape))]
    index = np.arange(np.prod(before)).reshape(before).transpose([d - 1 for d in layer.dims]).ravel()
    matrix = csr_matrix((np.ones(len(index)), (index, np.arange(len(index)))), shape=(len(index), len(index)))
    return builder.apply(form, ops.SparseOperator(form.shape, shape3(shape, layer), matrix), label)


def _zero_padding(layer, node, forms, builder, label):
    return builder.apply(forms[0], ops.zero_pad(forms[0].shape, layer.padding), label)


def _cropping(layer, node, forms, builder, label):
    return builder.apply(forms[0], ops.crop(forms[0].shape, layer.cropping), label)


def _up_sampling(layer, node, forms, builder, label):
    return builder.apply(forms[0], ops.upsample(forms[0].shape, layer.size, layer.interpolation), label)


def _asn_transfer(layer, node, forms, builder, label):
    m_f = getattr(layer, "m_f", None)
    threshold = getattr(layer, "threshold", None)
    return builder.spike(
        forms[0], label, "asn", 0.1 if m_f is None else float(m_f), 0.0 if threshold is None else float(threshold)
    )


def _relu(layer, node, forms, builder, label):
    settings = {"max_value": None, "negative_slope": 0, "threshold": 0}
    for name, plain in settings.items():
        value = getattr(layer, name, plain)
        if value is not None and value != plain:
            raise ConversionError(f"{name}={value} has no spiking counterpart.", layer, f"Train with {name}={plain}.")
    return builder.spike(forms[0], label, "relu")


def _activation(layer, node, forms, builder, label):
    return _activated(forms[0], layer, builder, label)


def _softmax(layer, node, forms, builder, label):
    rank = len(node.outputs[0].shape)
    if not isinstance(layer.axis, int) or layer.axis % rank != rank - 1:
        raise ConversionError(f"axis={layer.axis} is not the channel axis.", layer, "Use axis=-1.")
    return _closed(forms[0], "softmax", label)


#: Class name -> function (layer, node, forms, builder, label) -> AffineMap.
HANDLERS = {
    "Conv2D": _conv2d,
    "DepthwiseConv2D": _depthwise_conv2d,
    "SeparableConv2D": _separable_conv2d,
    "Conv2DTranspose": _conv2d_transpose,
    "Dense": _dense,
    "BatchNormalization": _batch_normalization,
    "Rescaling": _rescaling,
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
    "Activation": _activation,
    "Softmax": _softmax,
}
