"""
Exact operators between channels-last feature maps: their geometry, one for each kind of layer, and composition.

A value has the flat index ``(row*width + column)*channels + channel`` everywhere.
"""

from brainsnn.builders.operators.axes import axis_sources
from brainsnn.builders.operators.composition import add_operators, compose, compose_sparse, to_matrix
from brainsnn.builders.operators.layers import (
    average_pool,
    conv2d,
    conv2d_transpose,
    dense,
    depthwise_conv2d,
    max_pool,
    upsample,
)
from brainsnn.builders.operators.linear import ConvOperator, SparseOperator
from brainsnn.builders.operators.operator import Operator
from brainsnn.builders.operators.placement import channel_embed, crop, zero_pad
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain
from brainsnn.builders.operators.scaling import diagonal, identity, rescaled, scale
from brainsnn.builders.operators.separable import separable, window_mean

__all__ = [
    "Operator",
    "ConvOperator",
    "SparseOperator",
    "MaxPool",
    "OperatorChain",
    "compose",
    "compose_sparse",
    "add_operators",
    "to_matrix",
    "axis_sources",
    "conv2d",
    "depthwise_conv2d",
    "conv2d_transpose",
    "dense",
    "average_pool",
    "max_pool",
    "upsample",
    "zero_pad",
    "crop",
    "scale",
    "diagonal",
    "separable",
    "window_mean",
    "identity",
    "channel_embed",
    "rescaled",
]
