"""Neuron models: equations, threshold, reset, parameters and transfer function."""

from brainsnn.equations.asn import ASN
from brainsnn.equations.integrate_and_fire import IF, LIF
from brainsnn.equations.model import NeuronModel
from brainsnn.equations.transfer import spike_height, transfer_coefficients, transfer_function

__all__ = ["ASN", "IF", "LIF", "NeuronModel", "spike_height", "transfer_coefficients", "transfer_function"]
