"""Data sets, and scenes for visual search."""

from brainsnn.stimuli.digits import load_cifar10, load_cifar100, load_digits, load_mnist
from brainsnn.stimuli.faces import load_faces
from brainsnn.stimuli.fashion import FASHION_CLASSES, load_fashion_mnist
from brainsnn.stimuli.search import SearchScenes, load_search_scenes

__all__ = [
    "FASHION_CLASSES", "SearchScenes", "load_cifar10", "load_cifar100", "load_digits", "load_faces", "load_fashion_mnist",
    "load_mnist", "load_search_scenes",
]  # fmt: skip
