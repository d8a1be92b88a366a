"""Normalise the activations of a ReLU network, so that spiking neurons can express them."""

from brainsnn.builders.calibration.calibrate import calibrate

__all__ = ["calibrate"]
