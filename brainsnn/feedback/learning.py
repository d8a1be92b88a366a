"""A local learning rule for the synapses of a generator's last layer."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from brian2.utils.stringtools import get_identifiers

from brainsnn.equations.expression_limits import check_code_limits
from brainsnn.equations.model import NeuronModel
from brainsnn.equations.statements import assignments
from brainsnn.one_line import fields_line
from brainsnn.plain_arrays import is_number

__all__ = ["LocalLearning"]

#: Statements that a spike executes at each of its synapses. It acts with the current weight, then the weight changes. With
#: a learning rate of 0 it keeps its value, also outside the limits.
ON_PRE = (
    "I_post += w*h_pre\n"
    "w = clip(w + learning_rate_post*prediction_error_post, -w_max_post, w_max_post)*int(learning_rate_post > 0)"
    " + w*int(learning_rate_post <= 0)"
)


def _default(name):
    return LocalLearning.__dataclass_fields__[name].default


@dataclass(frozen=True)
class LocalLearning:
    """
    A local rule by which synapses of the predicting neurons learn from the prediction error of their pixel.

    Every connection has its own weight. When its presynaptic neuron spikes, the weight changes by
    ``learning_rate*prediction_error``. The rule is local: it uses only the presynaptic spike and the postsynaptic
    difference between pixel and prediction. Weights persist from image to image and from run to run.
    ``snn.learned_weights`` returns the weights and ``snn.set_learned_weights`` sets them.
    ``snn.set_parameters("prediction", learning_rate=0)`` stops learning without compiling.

    Parameters
    ----------
    learning_rate : float
        Change of a weight per spike at an error of 1, in units of the weight.
    w_max : float
        Weights that learn are clipped to the range from ``-w_max`` to ``w_max``. Trained weights outside it keep their values
        until a spike first changes them; with ``learning_rate=0`` they keep them for good.
    on_pre : str
        The rule. ``w`` is the weight of the connection; ``_pre`` and ``_post`` denote variables of its two neurons.
    parameters : dict
        Constants of an edited ``on_pre``.

    Raises
    ------
    ValueError
        If ``learning_rate`` or ``w_max`` is not valid, or a value is given that ``on_pre`` does not use.

    See Also
    --------
    PredictiveGate : its argument ``learning`` is a rule.

    Notes
    -----
    This is the delta rule of Widrow and Hoff (1960), event-driven. The error is that of the prediction at the start of the
    step, which the gate uses too. A weight of exactly 0 makes no connection: give small random weights to a layer that
    is to learn from scratch.

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

    __repr__ = fields_line

    def __post_init__(self) -> None:
        if not is_number(self.learning_rate, low=0):
            raise ValueError(f"LocalLearning.learning_rate: must be 0 or more, got {self.learning_rate!r}.")
        if not is_number(self.w_max, above=0):
            raise ValueError(f"LocalLearning.w_max: must be positive, got {self.w_max!r}.")
        if not isinstance(self.on_pre, str):
            raise ValueError(f"LocalLearning.on_pre: must be statements, got {self.on_pre!r}.")
        check_code_limits("LocalLearning.on_pre", self.on_pre)
        if not isinstance(self.parameters, Mapping):
            raise ValueError(f"LocalLearning.parameters: must be a dict of values, got {self.parameters!r}.")
        used = get_identifiers(self.on_pre)
        idle = [name for name in self.parameters if name not in used]
        idle += [n for n in ("learning_rate", "w_max") if f"{n}_post" not in used and getattr(self, n) != _default(n)]
        if idle:
            raise ValueError(
                f"LocalLearning: {', '.join(map(str, idle))} has no effect, since on_pre={self.on_pre!r} does not use it. Use "
                "it (fields as learning_rate_post and w_max_post), or leave it out."
            )

    def __str__(self) -> str:
        return "\n    ".join(line.strip() for line in self.on_pre.strip().splitlines())

    @property
    def changes_weights(self) -> bool:
        """Whether the rule has a statement that changes ``w`` (bool)."""
        return any(variable == "w" for variable, _, _ in assignments(self.on_pre))

    def frozen(self) -> "LocalLearning":
        """
        Return the rule without the statements that change ``w``.

        Returns
        -------
        rule : `LocalLearning`

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.LocalLearning().frozen().on_pre
        'I_post += w*h_pre'
        """
        kept = [" ".join(statement) for statement in assignments(self.on_pre) if statement[0] != "w"]
        return LocalLearning(on_pre="\n".join(kept), parameters=self._used_in("\n".join(kept)))

    def _used_in(self, code):
        return {name: value for name, value in self.parameters.items() if name in get_identifiers(code)}

    def target_model(self, model: NeuronModel) -> NeuronModel:
        """
        Return the predicting neurons with the variables of the rule added.

        Parameters
        ----------
        model : `~brainsnn.equations.model.NeuronModel`

        Returns
        -------
        model : `~brainsnn.equations.model.NeuronModel`

        Raises
        ------
        ValueError
            If the neurons have a variable with the name of one of them.

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.LocalLearning(learning_rate=0.01).target_model(bs.IF()).parameters["learning_rate"]
        0.01
        """
        own = {"learning_rate": self.learning_rate, "w_max": self.w_max}
        model = model.with_free_names(("prediction_error", *own))
        lines = [model.equations, "prediction_error : 1", "learning_rate : 1 (shared)", "w_max : 1 (shared)"]
        return replace(model, equations="\n".join(lines), parameters={**model.parameters, **own})
