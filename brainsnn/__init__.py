"""Spiking networks of ordinary Brian2 objects from convolutional networks trained in TensorFlow."""

from brian2 import ms, second

from brainsnn.builders.keras_reader import read_keras
from brainsnn.builders.layer_graph import LayerGraph
from brainsnn.builders.result import Result
from brainsnn.builders.spiking_network import SpikingNetwork, convert
from brainsnn.equations import ASN, IF, LIF, NeuronModel
from brainsnn.errors import ConversionError, UnknownNameError

__version__ = "0.1.0"

__all__ = [
    "ASN",
    "IF",
    "LIF",
    "ConversionError",
    "LayerGraph",
    "NeuronModel",
    "Result",
    "SpikingNetwork",
    "UnknownNameError",
    "convert",
    "load_model",
    "ms",
    "read_keras",
    "second",
]


def load_model(path, weights=None):
    """
    Load a trained Keras model without executing anything that is in the file.

    Parameters
    ----------
    path : str or `~pathlib.Path`
        ``.keras``, a whole-model HDF5 file (also of Keras 2.2), or the JSON of an architecture.
    weights : str or `~pathlib.Path`, optional
        HDF5 weights that belong to a JSON.

    Returns
    -------
    model : keras.Model

    Raises
    ------
    ModelFileError
        If the file is none of these, is damaged, or holds layers that cannot be loaded safely.
    """
    from brainsnn.training.keras_files import load_model

    return load_model(path, weights)
