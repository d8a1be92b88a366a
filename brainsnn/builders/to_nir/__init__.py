"""Write a spiking network as a file of the neuromorphic intermediate representation (NIR)."""

from brainsnn.builders.to_nir.writer import write_nir

__all__ = ["write_nir"]
