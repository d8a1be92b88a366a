"""The names of `brainsnn` for type checkers. ``__init__.py`` imports each one when it is first used."""

from brian2 import ms as ms
from brian2 import second as second

from brainsnn.analysis.compare import compare_activations as compare_activations
from brainsnn.attention import ArrayField as ArrayField
from brainsnn.attention import Attention as Attention
from brainsnn.attention import FeatureField as FeatureField
from brainsnn.attention import GaussianField as GaussianField
from brainsnn.attention import SpatialAttention as SpatialAttention
from brainsnn.attention import switchable as switchable
from brainsnn.builders.calibration import calibrate as calibrate
from brainsnn.builders.conversion import convert as convert
from brainsnn.builders.devices.cache import cache_directory as cache_directory
from brainsnn.builders.devices.cache import cached_programs as cached_programs
from brainsnn.builders.devices.cache import clear_cache as clear_cache
from brainsnn.builders.from_keras import read_keras as read_keras
from brainsnn.builders.from_keras import register_layer as register_layer
from brainsnn.builders.from_nir import read_nir as read_nir
from brainsnn.builders.from_onnx import read_onnx as read_onnx
from brainsnn.builders.graph import LayerGraph as LayerGraph
from brainsnn.builders.graph.readout_populations import Readout as Readout
from brainsnn.builders.own_monitors import monitor as monitor
from brainsnn.builders.own_monitors import monitored_images as monitored_images
from brainsnn.builders.spiking_network import SpikingNetwork as SpikingNetwork
from brainsnn.equations import ASN as ASN
from brainsnn.equations import IF as IF
from brainsnn.equations import LIF as LIF
from brainsnn.equations import NeuronModel as NeuronModel
from brainsnn.errors import ConversionError as ConversionError
from brainsnn.errors import SaturationWarning as SaturationWarning
from brainsnn.errors import UncalibratedWarning as UncalibratedWarning
from brainsnn.errors import UnknownNameError as UnknownNameError
from brainsnn.feedback import LocalLearning as LocalLearning
from brainsnn.feedback import PredictiveGate as PredictiveGate
from brainsnn.results import Result as Result
from brainsnn.sweeps import once as once
from brainsnn.sweeps import sweep as sweep
from brainsnn.training.keras_files import load_model as load_model

__version__: str

def __dir__() -> list[str]: ...
