"""A LayerGraph from a Keras model."""

from brainsnn.builders.from_keras.reader import read_keras

__all__ = ["read_keras"]
