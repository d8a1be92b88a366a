"""Predictive feedback: a generator predicts the input and gates it."""

from brainsnn.feedback.gate import GATE_MODES, SQUASHES, PredictiveGate
from brainsnn.feedback.learning import LocalLearning
from brainsnn.feedback.settings import read_settings

__all__ = ["GATE_MODES", "SQUASHES", "LocalLearning", "PredictiveGate", "read_settings"]
