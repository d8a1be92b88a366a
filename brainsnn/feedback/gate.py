"""The gate that a prediction of the input closes on the input neurons, as equations of these neurons."""

from dataclasses import dataclass, replace
from typing import Any

from brainsnn.equations.inputs import signed_spike_input
from brainsnn.equations.model import NeuronModel
from brainsnn.feedback.learning import LocalLearning

__all__ = ["PredictiveGate", "GATE_MODES", "SQUASHES"]

#: Squash of the prediction: equation of ``prediction`` over ``predicted``, the sum of the generator's spikes.
SQUASHES = {
    # A power of two as step keeps this exact in any precision: 8 spikes stand for a pixel of 1.
    "clip": ("prediction = clip(squash_step*predicted, 0, 1) : 1", 0.125),
    "tanh": ("prediction = tanh(squash_step*predicted) : 1", 0.125),
    # The published ones. The first is 0.5 for silent pixels, the second its patch.
    "sigmoid": ("prediction = 1/(1 + exp(-squash_step*predicted)) : 1", 1.0),
    "rescaled_sigmoid": ("prediction = 2/(1 + exp(-squash_step*predicted)) - 1 : 1", 1.0),
}

#: What the gate does at the start of each step with the prediction of all spikes before, from the second step on.
GATE_MODES = {
    "none": "is_open = 1",
    "sticky": """
is_right = int(abs(prediction - stimulus) <= epsilon)*int(t > 0*second)
is_blocked = clip(is_blocked + is_right, 0, 1)
is_open = 1 - is_blocked
""",
    "dynamic": """
is_right = int(abs(prediction - stimulus) <= epsilon)*int(t > 0*second)
is_open = 1 - is_right
""",
    "graded": """
is_right = int(abs(prediction - stimulus) <= epsilon)*int(t > 0*second)
scaled_error = clip(abs(prediction - stimulus)/(abs(stimulus) + 1e-9), 0, 1)
is_open = (1 - is_right)*(int(t > 0*second)*scaled_error + int(t <= 0*second))
""",
}
# Variables that only some of the modes have. `is_blocked` starts at 0 in every trial.
MODE_VARIABLES: dict[str, tuple[str, ...]] = {"none": (), "sticky": ("is_blocked",), "dynamic": (), "graded": ()}

SPIKE = "h = passed*(replayed*is_replayed + sign(stimulus)*int(rand() < contrast*abs(stimulus))*(1 - is_replayed))"
# A full gate lets every spike through, a half open one every second.
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
    Input neurons whose spikes a prediction gates.

    Parameters
    ----------
    mode, epsilon, squash, squash_step, contrast, max_contrast
        As of `PredictiveGate`.
    learning : bool
        Whether the neurons hold their ``prediction_error``.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
        ``predicted`` is the sum of the generator's spikes, ``prediction`` its squash, ``is_open`` the gate of this step.
    """
    equation, default_step = SQUASHES[squash]
    base = signed_spike_input()
    lines = [
        base.equations,
        "predicted : 1",
        equation,
        "squash_step : 1 (shared)",
        "epsilon : 1 (shared)",
        "is_open : 1",
    ]
    lines += [f"{name} : 1" for name in MODE_VARIABLES[mode]]
    parameters = {"epsilon": epsilon, "squash_step": default_step if squash_step is None else squash_step}
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
    Predictive feedback: the spikes of a generator predict each pixel, and a right prediction closes its input neuron.

    The input group gets the state variables ``predicted``, the sum of the spikes that the neuron of the generator's last
    layer has sent to it, and ``prediction``, its squash. The gate is made of the statements that these neurons execute
    at the start of each step: what the generator spiked up to step t gates the input at step t + 1, in either
    schedule. In the first step, before there is any prediction, all gates are open.

    Parameters
    ----------
    output : str
        Spiking layer of the size of the input whose spikes are the prediction, usually the last layer of the generator.
    epsilon : float
        A prediction is right if it is within ``epsilon`` of the pixel's value, the limit included. Changed between runs, without
        compiling, by ``snn.set_parameters("input", epsilon=0.2)``.
    mode : {"sticky", "dynamic", "graded", "none"}
        ``"sticky"``: a pixel once predicted right is blocked for the rest of the trial. ``"dynamic"``: it opens again when the
        prediction fails. ``"graded"``: of the spikes of a pixel the share ``|prediction - pixel|/|pixel|`` passes, none if the
        prediction is right: the input sends the prediction error. ``"none"``: predictions, but no gate.
    squash : {"clip", "tanh", "sigmoid", "rescaled_sigmoid"}
        From the sum of spikes to the prediction: ``clip(squash_step*predicted, 0, 1)``, ``tanh(squash_step*predicted)``, the
        published sigmoid (0.5 where nothing was predicted), or ``2*sigmoid - 1``, its published patch.
    squash_step : float, optional
        0.125 by default, 1 for the sigmoids.
    contrast : bool
        Implicit attention through contrast: the pixels that are still open are scaled, step by step and for each colour, so that
        the brightest of them has the value 1. For drawn spikes alone; replayed ones are not redrawn.
    max_contrast : float
        Largest factor by which a pixel is scaled.
    learning : `~brainsnn.feedback.learning.LocalLearning`, optional
        Lets the connections onto the layer ``output`` learn from the prediction error while the network runs.
    record : bool
        Whether ``prediction`` and ``is_open`` of all pixels are recorded, for ``result.predictions`` and ``result.gate``.
    model : `~brainsnn.equations.model.NeuronModel`, optional
        Input neurons with a gate of your own; what `edit` and `replace` make.

    Raises
    ------
    ValueError
        If an argument is not valid.

    See Also
    --------
    brainsnn.convert : takes it as ``feedback=``.

    Notes
    -----
    Zero mean, unit variance and then a range from 0 to 1, as in the published code for the contrast, is the same as the
    last of these alone; blocked pixels are 0 there, too.

    Examples
    --------
    >>> import brainsnn as bs
    >>> gate = bs.PredictiveGate(epsilon=0.1, mode="dynamic")
    >>> print(gate.model.update)
    is_right = int(abs(prediction - stimulus) <= epsilon)*int(t > 0*second)
    is_open = 1 - is_right
    passed = is_open
    h = passed*(replayed*is_replayed + sign(stimulus)*int(rand() < abs(stimulus))*(1 - is_replayed))
    >>> slower = gate.edit(update=gate.model.update.replace("is_open = 1 - is_right", "is_open = 1 - 0.5*is_right"))
    """

    output: str = "prediction"
    epsilon: float = 0.1
    mode: str = "sticky"
    squash: str = "clip"
    squash_step: float | None = None
    contrast: bool = False
    max_contrast: float = 10.0
    learning: LocalLearning | None = None
    record: bool = True
    model: NeuronModel = None  # type: ignore[assignment]  # made in __post_init__

    def __post_init__(self) -> None:
        if self.mode not in GATE_MODES:
            raise ValueError(f"PredictiveGate.mode={self.mode!r}; choose one of {', '.join(map(repr, GATE_MODES))}.")
        if self.squash not in SQUASHES:
            raise ValueError(f"PredictiveGate.squash={self.squash!r}; choose one of {', '.join(map(repr, SQUASHES))}.")
        if not self.epsilon >= 0:
            raise ValueError(
                f"PredictiveGate.epsilon: must be 0 or more, got {self.epsilon!r}; mode='none' never blocks."
            )
        if self.squash_step is not None and not self.squash_step > 0:
            raise ValueError(f"PredictiveGate.squash_step: must be positive, got {self.squash_step!r}.")
        if self.max_contrast < 1:
            raise ValueError(f"PredictiveGate.max_contrast: must be 1 or more, got {self.max_contrast!r}.")
        if self.model is None:
            model = gated_input(
                self.mode, self.epsilon, self.squash, self.squash_step, self.contrast, self.max_contrast,
                learning=self.learning is not None,
            )  # fmt: skip
            object.__setattr__(self, "model", model)

    def __str__(self) -> str:
        text = f"prediction: spikes of {self.output!r}\n{self.model}"
        return text if self.learning is None else f"{text}\n  learning, where a spike arrives\n    {self.learning}"

    def edit(self, **changes: Any) -> "PredictiveGate":
        """
        The same gate with fields or parameters of its input neurons changed.

        Parameters
        ----------
        **changes
            As of `~brainsnn.equations.model.NeuronModel.edit`, such as ``update=...``, the statements of the gate.

        Returns
        -------
        gate : `PredictiveGate`
        """
        return replace(self, model=self.model.edit(**changes))

    def replace(self, old: str, new: str, **parameters: Any) -> "PredictiveGate":
        """
        The same gate with one equation of its input neurons changed.

        Parameters
        ----------
        old, new : str
        **parameters
            As of `~brainsnn.equations.model.NeuronModel.replace`.

        Returns
        -------
        gate : `PredictiveGate`
        """
        return replace(self, model=self.model.replace(old, new, **parameters))
