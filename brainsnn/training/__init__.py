"""The TensorFlow side: transfer layer, model files, architectures and training of the shipped networks.

Names are imported on first use, so that ``import brainsnn`` does not load TensorFlow.
"""

from importlib import import_module

from brainsnn.optional import optional_packages

_HOMES = {
    "ASNTransfer": "asn_transfer",
    "ModelFileError": "keras_files",
    "load_model": "keras_files",
    "read_published_feedback": "published_weights",
    "small_vgg": "architectures",
    "vgg16": "architectures",
    "preactivation_resnet": "architectures",
    "asn_resnet": "resnets",
}

__all__ = sorted(_HOMES)


def __getattr__(name):
    if name in _HOMES:
        with optional_packages(f"{__name__}.{name}"):
            return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}.")


def __dir__():
    return __all__
