"""What readers of all formats say of activations: which belong to the output, and which no spiking population has."""

from dataclasses import replace

import numpy as np

import brainsnn.builders.operators as ops
from brainsnn.errors import ConversionError

__all__ = ["NO_COUNTERPART", "OUTPUT_ONLY", "check_open", "hard_sigmoid", "with_output_activation"]

#: Activations that only a readout can have.
OUTPUT_ONLY = ("softmax", "sigmoid", "tanh", "softplus")

_SMOOTH = (
    "is negative for some inputs and bends smoothly, and a spiking neuron rectifies",
    "Train with relu, relu6 or leaky_relu in its place (fine-tuning the trained weights is usually enough)",
)
_BOUNDED = (
    "is not a sum of rectified values",
    "Train with relu or hard_sigmoid in its place; at the output of the model, use softmax, sigmoid or tanh",
)
_PRODUCT = (
    "multiplies its input by a function of its input, and spikes are only added",
    "Train with relu6 or hard_sigmoid in its place, as the small MobileNetV3 models without swish do",
)

#: Activation, or the layer of its name -> why no population has it, and what to do.
NO_COUNTERPART = {
    **dict.fromkeys(("elu", "selu", "celu", "gelu", "mish", "squareplus", "log_softmax", "softsign"), _SMOOTH),
    **dict.fromkeys(("exponential", "log_sigmoid", "tanh_shrink", "sparse_plus", "threshold"), _BOUNDED),
    **dict.fromkeys(("silu", "swish", "hard_silu", "hard_swish", "glu"), _PRODUCT),
}


def with_output_activation(affine, name, label):
    """
    Return an affine map as the output of the model, with an activation.

    Parameters
    ----------
    affine : AffineMap
    name : str
        One of `OUTPUT_ONLY`. A softmax is taken over the last axis of the map.
    label : str
        Name of the call.

    Returns
    -------
    AffineMap
    """
    layers = affine.layers if label in affine.layers else (*affine.layers, label)
    return replace(affine, activation=(name, label), n_together=affine.shape[2], label=label, layers=layers)


def hard_sigmoid(affine, builder, label, slope=1 / 6, offset=0.5):
    """Return ``max(0, min(1, slope*x + offset))`` of an affine map, as a sum of rectified populations."""
    line = builder.apply(affine, ops.scale(slope, affine.shape), label, np.full(affine.shape[2], offset))
    return builder.rectify(line, label, max_value=1.0)


def check_open(inputs, layer):
    """
    Check that no input of a layer has passed an output activation such as softmax.

    Parameters
    ----------
    inputs : list of AffineMap
    layer : object
        For the error, as in `ConversionError`.

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
