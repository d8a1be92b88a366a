"""Predictive feedback: a generator predicts the input and gates it."""

from brainsnn.feedback.gate import PredictiveGate
from brainsnn.feedback.gate_equations import GATE_MODES, SQUASHES
from brainsnn.feedback.learning import LocalLearning
from brainsnn.feedback.settings import read_settings, trained_options

__all__ = ["GATE_MODES", "SQUASHES", "LocalLearning", "PredictiveGate", "read_settings", "trained_options"]
