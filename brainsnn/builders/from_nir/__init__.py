"""Read a file of the neuromorphic intermediate representation (NIR) as a LayerGraph with its neuron models."""

from brainsnn.builders.from_nir.reader import read_nir

__all__ = ["read_nir"]
