"""Handlers of nonlinear layers: the spiking population, or the few, that have the activation of a layer."""

import numpy as np

from brainsnn.builders.from_keras.classes import keras_name
from brainsnn.builders.graph.activations import NO_COUNTERPART, OUTPUT_ONLY, hard_sigmoid, with_output_activation
from brainsnn.errors import ConversionError
from brainsnn.plain_arrays import is_number

__all__ = ["ACTIVATION_HANDLERS", "activate", "activated"]

#: Arguments of the transfer function of `ASNTransfer`.
ASN_DEFAULTS = {"m_f": 0.1, "threshold": 0.0, "tau_eta": 50.0, "tau_gamma": 15.0}


def activate(affine, name, layer, builder, label):
    """
    Apply an activation, given by its name, to an affine map.

    Parameters
    ----------
    affine : AffineMap
    name : {"linear", "relu", "relu6", "leaky_relu", "hard_sigmoid", "asn"} or str
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
    if name == "relu6":
        return builder.rectify(affine, label, max_value=6.0)
    if name == "leaky_relu":
        return builder.rectify(affine, label, negative_slope=0.2)  # the slope of Keras's function
    if name == "hard_sigmoid":
        return hard_sigmoid(affine, builder, label)
    if name == "asn":
        given = {name: getattr(layer, name, None) for name in ASN_DEFAULTS}
        values = {n: ASN_DEFAULTS[n] if value is None else float(value) for n, value in given.items()}
        m_f, threshold, *time_constants = values.values()
        return builder.spike(affine, label, "asn", m_f=m_f, threshold=threshold, time_constants=tuple(time_constants))
    if name in OUTPUT_ONLY:
        return with_output_activation(affine, name, label)
    reason, fix = NO_COUNTERPART.get(
        name, ("has no spiking counterpart", "Use 'relu', an ASNTransfer layer, or 'linear'")
    )
    raise ConversionError(f"the activation {name!r} {reason}.", layer, f"{fix}.")


def activated(affine, layer, builder, label):
    """Apply the `activation` argument of a layer."""
    activation = getattr(layer, "activation", None)
    if activation is None:
        return affine
    name = keras_name(type(activation))
    if name in _LAYERS:  # a layer as the activation of another
        return _LAYERS[name](activation, None, [affine], builder, label)
    name = getattr(activation, "__name__", type(activation).__name__)
    module = getattr(activation, "__module__", "")
    # A user's function may share its name with one of Keras.
    return activate(affine, name if module.startswith("keras.") else f"{module}.{name}", layer, builder, label)


def _number(layer, name, low=-np.inf):
    value = getattr(layer, name)
    if not is_number(value, above=low):
        raise ConversionError(
            f"{name}={value!r} is not a number greater than {low:g}.", layer, f"Set layer.{name} to the trained value."
        )
    return float(value)


def _relu(layer, node, inputs, builder, label):
    if getattr(layer, "threshold", 0):
        raise ConversionError(
            f"threshold={layer.threshold} has no spiking counterpart: the function jumps there.",
            layer,
            "Train with threshold=0.",
        )
    max_value = None if getattr(layer, "max_value", None) is None else _number(layer, "max_value", 0)
    slope = _number(layer, "negative_slope") if getattr(layer, "negative_slope", 0) else 0
    return builder.rectify(inputs[0], label, max_value, slope)


def _prelu(layer, node, inputs, builder, label):
    slope = np.asarray(layer.alpha, dtype=float)
    if not np.isfinite(slope).all():
        raise ConversionError("its weight 'alpha' has values that are NaN or infinite.", layer, "Train again.")
    return builder.rectify(inputs[0], label, negative_slope=slope)


def _asn_transfer(layer, node, inputs, builder, label):
    return activate(inputs[0], "asn", layer, builder, label)


def _refused(layer, node, inputs, builder, label):
    name = keras_name(type(layer))
    reason, fix = NO_COUNTERPART[name.lower()]
    raise ConversionError(f"{name} {reason}.", layer, f"{fix}.")


#: Layers and functions of ``keras.ops`` that can also be the ``activation`` of another layer.
_LAYERS = {
    "ReLU": _relu, "Relu": _relu, "LeakyReLU": _relu, "PReLU": _prelu, "ASNTransfer": _asn_transfer, "ELU": _refused,
}  # fmt: skip

#: Class name -> function (layer, node, inputs, builder, label) -> AffineMap.
ACTIVATION_HANDLERS = {
    **_LAYERS,
    "Activation": lambda layer, node, inputs, builder, label: activated(inputs[0], layer, builder, label),
}
