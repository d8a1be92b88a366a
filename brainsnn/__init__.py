"""
Spiking networks of ordinary Brian2 objects from convolutional networks trained in TensorFlow or PyTorch.

Names are imported when they are first used: ``import brainsnn`` itself loads neither Brian2 (which brings matplotlib
along) nor TensorFlow.
"""

from importlib import import_module

__version__ = "0.2.0"

_HOME = {
    "ASN": "brainsnn.equations",
    "IF": "brainsnn.equations",
    "LIF": "brainsnn.equations",
    "NeuronModel": "brainsnn.equations",
    "ConversionError": "brainsnn.errors",
    "SaturationWarning": "brainsnn.errors",
    "UncalibratedWarning": "brainsnn.errors",
    "UnknownNameError": "brainsnn.errors",
    "cache_directory": "brainsnn.builders.devices.cache",
    "cached_programs": "brainsnn.builders.devices.cache",
    "clear_cache": "brainsnn.builders.devices.cache",
    "LayerGraph": "brainsnn.builders.graph",
    "Readout": "brainsnn.builders.graph.readout_populations",
    "Result": "brainsnn.results",
    "SpikingNetwork": "brainsnn.builders.spiking_network",
    "calibrate": "brainsnn.builders.calibration",
    "convert": "brainsnn.builders.conversion",
    "monitor": "brainsnn.builders.own_monitors",
    "monitored_images": "brainsnn.builders.own_monitors",
    "read_keras": "brainsnn.builders.from_keras",
    "read_onnx": "brainsnn.builders.from_onnx",
    "read_nir": "brainsnn.builders.from_nir",
    "register_layer": "brainsnn.builders.from_keras",
    "load_model": "brainsnn.training.keras_files",
    "shipped_models": "brainsnn.shipped",
    "compare_activations": "brainsnn.analysis.compare",
    "ArrayField": "brainsnn.attention",
    "Attention": "brainsnn.attention",
    "FeatureField": "brainsnn.attention",
    "GaussianField": "brainsnn.attention",
    "SpatialAttention": "brainsnn.attention",
    "switchable": "brainsnn.attention",
    "LocalLearning": "brainsnn.feedback",
    "PredictiveGate": "brainsnn.feedback",
    "once": "brainsnn.sweeps",
    "sweep": "brainsnn.sweeps",
    "plot": "brainsnn.plot",
    "ms": "brian2",
    "second": "brian2",
}

#: Modules that do without Brian2.
_WITHOUT_BRIAN2 = {
    "brainsnn.builders.devices.cache",
    "brainsnn.errors",
    "brainsnn.results",
    "brainsnn.shipped",
    "brainsnn.sweeps",
    "brainsnn.training.keras_files",
}

__all__ = sorted(_HOME)


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'brainsnn' has no attribute {name!r}")
    if _HOME[name] not in _WITHOUT_BRIAN2:
        import_module("brainsnn.brian2_import").import_brian2()
    home = import_module(_HOME[name])
    value = home if home.__name__ == f"brainsnn.{name}" else getattr(home, name)
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_HOME})
