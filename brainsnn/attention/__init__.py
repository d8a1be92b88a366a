"""Attention: fields, and the changes that they make to neuron parameters."""

from brainsnn.attention.arrays import ArrayField
from brainsnn.attention.features import FeatureField
from brainsnn.attention.fields import Field, ProductField
from brainsnn.attention.gaussian import GaussianField
from brainsnn.attention.mechanisms import Attention
from brainsnn.attention.residual_layers import pixel_widths, residual_layers
from brainsnn.attention.spatial import SpatialAttention
from brainsnn.attention.timing import switchable

__all__ = [
    "ArrayField",
    "Attention",
    "FeatureField",
    "Field",
    "GaussianField",
    "ProductField",
    "SpatialAttention",
    "pixel_widths",
    "residual_layers",
    "switchable",
]
