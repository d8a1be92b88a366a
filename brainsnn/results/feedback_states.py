"""What predictive feedback left in a result: predictions and gates of pixels."""

import numpy as np

from brainsnn.results.names import LayerDict

__all__ = ["FeedbackStates"]


class FeedbackStates:
    """The part of a `~brainsnn.results.result.Result` about predictions and gates."""

    shapes: LayerDict
    states: LayerDict

    @property
    def predicted_input(self) -> np.ndarray:
        """The prediction of each pixel by predictive feedback, at the end of each step, (n, n_steps, H, W, C)."""
        return self._feedback_state("prediction")

    @property
    def predictions(self) -> np.ndarray:
        """The former name of `predicted_input`."""
        return self.predicted_input

    @property
    def gate(self) -> np.ndarray:
        """Whether each pixel's gate was open in each step, even if only partly, (n, n_steps, H, W, C) ndarray of bool."""
        return self.openness > 0

    @property
    def openness(self) -> np.ndarray:
        """How far each pixel's gate was open in each step, 0 to 1: between them in graded gates, (n, n_steps, H, W, C)."""
        return self._feedback_state("is_open")

    def _feedback_state(self, variable: str) -> np.ndarray:
        for name, recorded in self.states.items():
            if variable in recorded:
                values, n = np.asarray(recorded[variable]), int(np.prod(self.shapes[name]))
                if values.shape[2] != n:
                    raise ValueError(
                        f"Result: {variable!r} was recorded of {values.shape[2]} of {n} pixels. Convert with "
                        "feedback=PredictiveGate(..., record=True), which records all."
                    )
                return values.reshape(*values.shape[:2], *self.shapes[name])
        raise ValueError(
            f"Result: {variable!r} was not recorded. Convert with feedback=PredictiveGate(..., record=True)."
        )
