"""A network as plain data, and its printed summary."""

from brainsnn.builders.graph.layer_graph import OUTPUT_ACTIVATIONS, LayerGraph, LayerRow, Population, Projection

__all__ = ["OUTPUT_ACTIVATIONS", "LayerGraph", "LayerRow", "Population", "Projection"]
