"""Read a Keras model as a LayerGraph, with the user's own layer classes."""

from brainsnn.builders.from_keras.reader import read_keras
from brainsnn.builders.from_keras.registry import register_layer

__all__ = ["read_keras", "register_layer"]
