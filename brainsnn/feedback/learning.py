"""A local learning rule for the last layer of a generator: the synapses learn while the network runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from brainsnn.equations.model import NeuronModel

__all__ = ["LocalLearning"]

#: What a spike does at each of its synapses: it acts with the weight as it is, then the weight follows the error.
ON_PRE = """
I_post += w*h_pre
w = clip(w + learning_rate_post*prediction_error_post, -w_max_post, w_max_post)
"""


@dataclass(frozen=True)
class LocalLearning:
    """
    Synapses onto the predicting neurons that learn from the prediction error of their own pixel.

    Every connection has a weight of its own. When its feature neuron spikes, the weight moves by
    ``learning_rate*prediction_error``: of the presynaptic neuron it knows the spike, of the postsynaptic one the
    difference of its pixel and its prediction, and nothing else; hence the rule is local. What is learned in one image
    is there in the next one. ``snn.learned_weights`` reads the weights, ``snn.set_learned_weights`` puts them back;
    ``snn.set_parameters("prediction", learning_rate=0)`` stops learning, without compiling.

    Parameters
    ----------
    learning_rate : float
        Change of a weight for a spike at an error of 1, in units of the weight.
    w_max : float
        Weights stay in ``-w_max ... w_max``.
    on_pre : str
        The rule. ``w`` is the weight of the connection, ``_pre`` and ``_post`` name variables of its two neurons.
    parameters : dict
        Constants of an edited ``on_pre``.

    Raises
    ------
    ValueError
        If ``learning_rate`` or ``w_max`` is not valid.

    See Also
    --------
    PredictiveGate : takes it as ``learning=``.

    Notes
    -----
    The delta rule of Widrow and Hoff (1960), event-driven. The error is that of the prediction at the start of the step,
    the one that the gate has seen. A weight of exactly 0 is no connection: give a layer that shall learn from nothing
    small random weights.

    Examples
    --------
    >>> import brainsnn as bs
    >>> gate = bs.PredictiveGate(learning=bs.LocalLearning(learning_rate=0.002))
    >>> snn = bs.convert(bs.load_model("digits_feedback_if"), neuron=bs.IF(), feedback=gate)
    >>> {name: weights.shape for name, weights in snn.learned_weights.items()}
    {'generator2_to_prediction': (23328,)}
    >>> result = snn.run(images, duration=50*bs.ms)  # learns  # doctest: +SKIP
    """

    learning_rate: float = 0.002
    w_max: float = 1.0
    on_pre: str = ON_PRE
    parameters: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.learning_rate >= 0:
            raise ValueError(f"LocalLearning.learning_rate: must be 0 or more, got {self.learning_rate!r}.")
        if not self.w_max > 0:
            raise ValueError(f"LocalLearning.w_max: must be positive, got {self.w_max!r}.")

    def __str__(self) -> str:
        return "\n    ".join(line.strip() for line in self.on_pre.strip().splitlines())

    # What the builder calls

    def target_model(self, model: NeuronModel) -> NeuronModel:
        """
        The predicting neurons with the variables of the rule.

        Parameters
        ----------
        model : `~brainsnn.equations.model.NeuronModel`

        Returns
        -------
        model : `~brainsnn.equations.model.NeuronModel`
        """
        lines = [model.equations, "prediction_error : 1", "learning_rate : 1 (shared)", "w_max : 1 (shared)"]
        own = {"learning_rate": self.learning_rate, "w_max": self.w_max}
        return replace(model, equations="\n".join(lines), parameters={**model.parameters, **own})
