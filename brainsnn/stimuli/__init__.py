"""Data sets and stimuli."""

from brainsnn.stimuli.digits import load_cifar10, load_digits, load_mnist

__all__ = ["load_cifar10", "load_digits", "load_mnist"]
