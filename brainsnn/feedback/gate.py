"""The gate through which a prediction blocks input neurons, as equations of these neurons."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brainsnn.equations.inputs import signed_spike_input
from brainsnn.equations.model import NeuronModel
from brainsnn.feedback.learning import LocalLearning
from brainsnn.plain_arrays import is_number

__all__ = ["PredictiveGate", "GATE_MODES", "SQUASHES"]

#: Squashing functions, with their default step: the equation that maps ``predicted``, the sum of the generator's
#: spikes, to ``prediction``.
SQUASHES = {
    # A step that is a power of two makes this exact in any precision. 8 spikes predict a pixel of 1.
    "clip": ("prediction = clip(squash_step*predicted, 0, 1) : 1", 0.125),
    "tanh": ("prediction = tanh(squash_step*predicted) : 1", 0.125),
    # The published functions. The first one is 0.5 for pixels without spikes; the second one corrects this.
    "sigmoid": ("prediction = 1/(1 + exp(-squash_step*predicted)) : 1", 1.0),
    "rescaled_sigmoid": ("prediction = 2/(1 + exp(-squash_step*predicted)) - 1 : 1", 1.0),
}

#: Statements of the gate at the start of each step. They use the prediction from all earlier spikes. Until the image comes
#: on, at `t_on`, and in its first step, the gate is open.
GATE_MODES = {
    "none": "is_open = 1",
    "sticky": """
is_right = int(abs(prediction - stimulus) <= epsilon)*int(t > t_on)
is_blocked = clip(is_blocked + is_right, 0, 1)
is_open = 1 - is_blocked
""",
    "dynamic": """
is_right = int(abs(prediction - stimulus) <= epsilon)*int(t > t_on)
is_open = 1 - is_right
""",
    "graded": """
is_right = int(abs(prediction - stimulus) <= epsilon)*int(t > t_on)
scaled_error = clip(abs(prediction - stimulus)/(abs(stimulus) + 1e-9), 0, 1)
is_open = (1 - is_right)*(int(t > t_on)*scaled_error + int(t <= t_on))
""",
}
# Variables that only some modes have. `is_blocked` is 0 at the start of every trial.
MODE_VARIABLES: dict[str, tuple[str, ...]] = {"none": (), "sticky": ("is_blocked",), "dynamic": (), "graded": ()}

SPIKE = "h = passed*(replayed*is_replayed + sign(stimulus)*int(rand() < contrast*abs(stimulus))*(1 - is_replayed))"
# An open gate passes every spike, a half-open one every second spike on average.
PASSED = {"graded": "passed = int(rand() < is_open)"}
CONTRAST = """
contrast = clip(int(largest <= 0) + int(largest > 0)/(largest + int(largest <= 0)), 1, max_contrast)
shown = is_open*abs(stimulus)
"""


def gated_input(
    mode: str = "sticky",
    epsilon: float = 0.1,
    squash: str = "clip",
    squash_step: float | None = None,
    contrast: bool = False,
    max_contrast: float = 10.0,
    learning: bool = False,
) -> NeuronModel:
    """
    Return input neurons whose spikes are gated by a prediction.

    Parameters
    ----------
    mode, epsilon, squash, squash_step, contrast, max_contrast
        See `PredictiveGate`.
    learning : bool
        Whether the neurons have a variable ``prediction_error``.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
        ``predicted`` is the sum of the generator's spikes, ``prediction`` the squashed sum, and ``is_open`` the gate in this
        step.
    """
    equation, default_step = SQUASHES[squash]
    base = signed_spike_input()
    lines = [
        base.equations,
        "predicted : 1",
        equation,
        "squash_step : 1 (shared)",
        "is_open : 1",
    ]
    lines += [f"{name} : 1" for name in MODE_VARIABLES[mode]]
    parameters = {"squash_step": default_step if squash_step is None else squash_step}
    if mode != "none":
        lines.append("epsilon : 1 (shared)")
        parameters["epsilon"] = epsilon
    statements = [GATE_MODES[mode].strip(), PASSED.get(mode, "passed = is_open")]
    if learning:
        lines.append("prediction_error : 1")
        statements.insert(0, "prediction_error = stimulus - prediction")
    if contrast:
        lines += ["largest : 1", "shown : 1", "max_contrast : 1 (shared)"]
        parameters["max_contrast"] = max_contrast
        statements += [CONTRAST.strip(), SPIKE]
    else:
        statements.append(SPIKE.replace("contrast*", ""))
    return replace(
        base, name=f"signed spike input, {mode} gate", equations="\n".join(lines), update="\n".join(statements),
        parameters=parameters,
    )  # fmt: skip


@dataclass(frozen=True)
class PredictiveGate:
    """
    Predictive feedback: a generator's spikes predict each pixel, and a correct prediction blocks the pixel's input neuron.

    Each input neuron has two state variables: ``predicted``, the sum of the spikes from its neuron in the generator's last
    layer, and ``prediction``, the squashed sum. The gate consists of statements that the input neurons execute at the
    start of each step. Spikes of the generator up to step t gate the input at step t + 1, in both schedules. All gates are
    open until the onset of the image and in its first step. After its offset, the prediction is compared with the
    background.

    Parameters
    ----------
    output : str
        Spiking layer of the size of the input whose spikes are the prediction, usually the last layer of the generator.
    epsilon : float, optional
        Tolerance, 0.1 by default: a prediction is correct if ``|prediction - pixel| <= epsilon``. Change it between runs,
        without compiling, with ``snn.set_parameters("input", epsilon=0.2)``.
    mode : {"sticky", "dynamic", "graded", "none"}
        ``"sticky"``: after its first correct prediction, a pixel is blocked for the rest of the trial. ``"dynamic"``: a pixel
        is blocked while its prediction is correct. ``"graded"``: a fraction ``|prediction - pixel|/|pixel|`` of a pixel's
        spikes passes, and none if the prediction is correct, so the input encodes the prediction error. ``"none"``:
        predictions without a gate.
    squash : {"clip", "tanh", "sigmoid", "rescaled_sigmoid"}
        Maps the sum of spikes to the prediction: ``clip(squash_step*predicted, 0, 1)``, ``tanh(squash_step*predicted)``, the
        published sigmoid (0.5 without spikes), or its published correction ``2*sigmoid - 1``.
    squash_step : float, optional
        0.125 by default, 1 for the sigmoids.
    contrast : bool
        Implicit attention through contrast: in each step and for each colour, the open pixels are scaled so that the brightest
        one has the value 1. Applies to randomly drawn spikes, not to replayed ones.
    max_contrast : float, optional
        Largest factor by which a pixel is scaled, 10 by default. Needs ``contrast=True``.
    learning : `~brainsnn.feedback.learning.LocalLearning`, optional
        Makes the connections to the layer ``output`` learn from the prediction error during runs.
    record : bool
        Whether to record ``prediction`` and ``is_open`` of all pixels, for ``result.predicted_input`` and ``result.gate``.
    model : `~brainsnn.equations.model.NeuronModel`, optional
        Input neurons with an edited gate, as returned by `edit` and `replace`. Their parameters replace ``epsilon``,
        ``squash_step`` and ``max_contrast``.

    Raises
    ------
    ValueError
        If an argument is not valid, or has no effect beside the others.

    See Also
    --------
    brainsnn.convert : its argument ``feedback`` is a gate.

    Notes
    -----
    The published code for the contrast normalizes to zero mean and unit variance before it scales to a range from 0 to 1.
    Scaling alone gives the same values. Blocked pixels are 0 in both.

    Examples
    --------
    >>> import brainsnn as bs
    >>> gate = bs.PredictiveGate(epsilon=0.1, mode="dynamic")
    >>> print(gate.model.update)
    is_right = int(abs(prediction - stimulus) <= epsilon)*int(t > t_on)
    is_open = 1 - is_right
    passed = is_open
    h = passed*(replayed*is_replayed + sign(stimulus)*int(rand() < abs(stimulus))*(1 - is_replayed))
    >>> slower = gate.edit(update=gate.model.update.replace("is_open = 1 - is_right", "is_open = 1 - 0.5*is_right"))
    """

    output: str = "prediction"
    epsilon: float | None = None
    mode: str = "sticky"
    squash: str = "clip"
    squash_step: float | None = None
    contrast: bool = False
    max_contrast: float | None = None
    learning: LocalLearning | None = None
    record: bool = True
    model: NeuronModel = None  # type: ignore[assignment]  # made in __post_init__

    def __post_init__(self) -> None:
        if not isinstance(self.output, str):
            raise ValueError(f"PredictiveGate.output: must be the name of a layer, got {self.output!r}.")
        for name in ("contrast", "record"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ValueError(f"PredictiveGate.{name}: must be True or False, got {getattr(self, name)!r}.")
        for name, kind in (("learning", LocalLearning), ("model", NeuronModel)):
            if not isinstance(getattr(self, name), kind | None):
                raise ValueError(
                    f"PredictiveGate.{name}: must be a {kind.__name__} or None, got {getattr(self, name)!r}."
                )
        if not isinstance(self.mode, str) or self.mode not in GATE_MODES:
            raise ValueError(f"PredictiveGate.mode={self.mode!r}; choose one of {', '.join(map(repr, GATE_MODES))}.")
        if not isinstance(self.squash, str) or self.squash not in SQUASHES:
            raise ValueError(f"PredictiveGate.squash={self.squash!r}; choose one of {', '.join(map(repr, SQUASHES))}.")
        if self.max_contrast is not None and not self.contrast:
            raise ValueError(
                f"PredictiveGate.max_contrast={self.max_contrast!r} has no effect without contrast; give contrast=True as well."
            )
        if self.mode == "none" and self.epsilon is not None and self.model is None:
            raise ValueError(
                f"PredictiveGate.epsilon={self.epsilon!r} has no effect with mode='none', which blocks no pixel. Leave it out."
            )
        self._resolve()
        if self.epsilon is not None and not is_number(self.epsilon, low=0):
            raise ValueError(
                f"PredictiveGate.epsilon: must be 0 or more, got {self.epsilon!r}. Use mode='none' to block no pixel."
            )
        if self.squash_step is not None and not is_number(self.squash_step, above=0):
            raise ValueError(f"PredictiveGate.squash_step: must be positive, got {self.squash_step!r}.")
        if self.max_contrast is not None and not is_number(self.max_contrast, low=1):
            raise ValueError(f"PredictiveGate.max_contrast: must be 1 or more, got {self.max_contrast!r}.")
        if self.model is None:
            model = gated_input(
                self.mode, self.epsilon, self.squash, self.squash_step, self.contrast, self.max_contrast,
                learning=self.learning is not None,
            )  # fmt: skip
            object.__setattr__(self, "model", model)

    def _resolve(self):
        """Take the parameters that are not given from the model or the defaults. Refuse those that the model contradicts."""
        defaults = {} if self.mode == "none" else {"epsilon": 0.1}
        defaults |= {"max_contrast": 10.0} if self.contrast else {}
        known = defaults if self.model is None else self.model.parameters
        for name in ("epsilon", "squash_step", "max_contrast"):
            given = getattr(self, name)
            if given is None:
                object.__setattr__(self, name, known.get(name))
            elif self.model is not None and given != known.get(name):
                raise ValueError(
                    f"PredictiveGate.{name}={given!r} has no effect beside model, whose {name} is {known.get(name)!r}. Leave it "
                    f"out, or change the model with gate.edit({name}={given!r})."
                )
        if self.model is None:
            return
        for name, option in (("contrast", "max_contrast"), ("learning", "prediction_error")):
            if bool(getattr(self, name)) and option not in self.model.brian_equations:
                raise ValueError(
                    f"PredictiveGate.{name} has no effect beside model, which has no variable {option!r}. Make the gate with "
                    f"{name}=... first, then edit it."
                )
        if not self.contrast and "max_contrast" in self.model.brian_equations:
            raise ValueError(
                "PredictiveGate.contrast=False contradicts model, which scales the contrast. Give contrast=True."
            )
        prediction = self.model.definition("prediction")
        for squash, (equation, _) in SQUASHES.items():
            if squash != self.squash and prediction == equation:
                raise ValueError(
                    f"PredictiveGate.squash={self.squash!r} has no effect beside model, whose squash is {squash!r}. Make a gate "
                    f"with squash={self.squash!r} first, then edit it."
                )
        for mode in GATE_MODES:
            other = gated_input(mode, squash=self.squash, contrast=self.contrast, learning=self.learning is not None)
            if mode != self.mode and self.model.update == other.update:
                raise ValueError(
                    f"PredictiveGate.mode={self.mode!r} has no effect beside model, whose mode is {mode!r}. Make a gate with "
                    f"mode={self.mode!r} first, then edit it."
                )

    def __str__(self) -> str:
        text = f"prediction: spikes of {self.output!r}\n{self.model}"
        return text if self.learning is None else f"{text}\n  learning, when a spike arrives\n    {self.learning}"

    def edit(self, **changes: Any) -> "PredictiveGate":
        """
        Return the gate with fields or parameters of its input neurons changed.

        Parameters
        ----------
        **changes
            See `~brainsnn.equations.model.NeuronModel.edit`. ``update=...`` changes the statements of the gate.

        Returns
        -------
        gate : `PredictiveGate`
        """
        return self._with(self.model.edit(**changes))

    def replace(self, old: str, new: str, **parameters: Any) -> "PredictiveGate":
        """
        Return the gate with one equation of its input neurons replaced.

        Parameters
        ----------
        old, new : str
        **parameters
            See `~brainsnn.equations.model.NeuronModel.replace`.

        Returns
        -------
        gate : `PredictiveGate`
        """
        return self._with(self.model.replace(old, new, **parameters))

    def _with(self, model):
        """Return the gate with another model and its parameters."""
        return replace(self, model=model, epsilon=None, squash_step=None, max_contrast=None)
