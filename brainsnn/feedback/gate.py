"""The gate through which a prediction blocks input neurons, as equations of these neurons."""

from dataclasses import dataclass, replace
from types import EllipsisType
from typing import Any

import numpy as np

from brainsnn.equations.model import NeuronModel
from brainsnn.feedback.gate_equations import CONTRASTS, GATE_MODES, SQUASHES, gated_input
from brainsnn.feedback.learning import LocalLearning
from brainsnn.one_line import fields_line
from brainsnn.plain_arrays import is_number

__all__ = ["PredictiveGate", "check_gate_values", "gate_with"]

#: What each parameter must be, in words and as limits.
LIMITS = {
    "epsilon": ("0 or more", {"low": 0}),
    "squash_step": ("greater than 0", {"above": 0}),
    "max_contrast": ("1 or more", {"low": 1}),
}


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
    epsilon : float or None, optional
        Tolerance, 0.1 by default: a prediction is correct if ``|prediction - pixel| <= epsilon``. Change it between runs,
        without compiling, with ``snn.set_parameters("input", epsilon=0.2)``. None: no gate, as ``mode="none"``.
    mode : {"sticky", "dynamic", "graded", "none"}
        ``"sticky"``: after its first correct prediction, a pixel is blocked for the rest of the trial. ``"dynamic"``: a pixel
        is blocked while its prediction is correct. ``"graded"``: a fraction ``|prediction - pixel|/|pixel|`` of a pixel's
        spikes passes, and none if the prediction is correct, so the input encodes the prediction error. ``"none"``:
        predictions without a gate.
    squash : {"clip", "tanh", "sigmoid", "rescaled_sigmoid", "rescaled_tanh"}
        Maps the sum of spikes to the prediction: ``clip(squash_step*predicted, 0, 1)``, ``tanh(squash_step*predicted)``, the
        published sigmoid (0.5 without spikes), its published correction ``2*sigmoid - 1``, or that for colours from -1 to 1,
        ``2*tanh - 1``.
    squash_step : float, optional
        0.125 by default, 1 for the sigmoids.
    contrast : bool or "published"
        Implicit attention through contrast: in each step and for each colour, the open pixels are scaled so that the brightest
        one has the value 1; they are those of the step before. ``"published"``: the pixels of this step, blocked ones as 0, of
        all colours together are mapped to the range from 0 to 1, without a limit on the factor and from the first step on; signs
        are lost, and if all pixels are equal none spikes. Applies to randomly drawn spikes, not to replayed ones.
    max_contrast : float, optional
        Largest factor by which a pixel is scaled, 10 by default. Needs ``contrast=True``.
    strict : bool
        Whether a prediction is correct only if its error is smaller than ``epsilon``, as published: an epsilon of 0 blocks
        nothing. Otherwise also if it is equal.
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
    Scaling alone gives the same values: ``(y - min)/(max - min + 1e-5*std)``.

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
    epsilon: float | EllipsisType | None = ...
    mode: str = "sticky"
    squash: str = "clip"
    squash_step: float | None = None
    contrast: bool | str = False
    max_contrast: float | None = None
    strict: bool = False
    learning: LocalLearning | None = None
    record: bool = True
    model: NeuronModel = None  # type: ignore[assignment]  # made in __post_init__

    def __post_init__(self) -> None:
        if not isinstance(self.output, str):
            raise ValueError(f"PredictiveGate.output: must be the name of a layer, got {self.output!r}.")
        for name in ("strict", "record"):
            if not isinstance(getattr(self, name), bool | np.bool_):
                raise ValueError(f"PredictiveGate.{name}: must be True or False, got {getattr(self, name)!r}.")
        if not isinstance(self.contrast, bool | np.bool_ | str) or self.contrast not in CONTRASTS:
            raise ValueError(f"PredictiveGate.contrast: must be True, False or 'published', got {self.contrast!r}.")
        for name, kind in (("learning", LocalLearning), ("model", NeuronModel)):
            if not isinstance(getattr(self, name), kind | None):
                raise ValueError(
                    f"PredictiveGate.{name}: must be a {kind.__name__} or None, got {getattr(self, name)!r}."
                )
        if not isinstance(self.mode, str) or self.mode not in GATE_MODES:
            raise ValueError(f"PredictiveGate.mode={self.mode!r}; choose one of {', '.join(map(repr, GATE_MODES))}.")
        if not isinstance(self.squash, str) or self.squash not in SQUASHES:
            raise ValueError(f"PredictiveGate.squash={self.squash!r}; choose one of {', '.join(map(repr, SQUASHES))}.")
        if self.epsilon is None:
            if self.model is not None and "epsilon" in self.model.parameters:
                raise ValueError(
                    "PredictiveGate.epsilon=None has no effect beside model, whose epsilon is "
                    f"{self.model.parameters['epsilon']!r}. Leave it out, or make a gate with mode='none'."
                )
            object.__setattr__(self, "mode", "none")
        if self.max_contrast is not None and self.contrast == "published":
            raise ValueError(
                f"PredictiveGate.max_contrast={self.max_contrast!r} has no effect with contrast='published', which has no limit. "
                "Leave it out, or give contrast=True."
            )
        if self.max_contrast is not None and not self.contrast:
            raise ValueError(
                f"PredictiveGate.max_contrast={self.max_contrast!r} has no effect without contrast; give contrast=True as well."
            )
        if self.mode == "none" and self.strict:
            raise ValueError(
                "PredictiveGate.strict=True has no effect with mode='none', which blocks no pixel. Leave it out."
            )
        if self.mode == "none" and self.epsilon not in (None, ...) and self.model is None:
            raise ValueError(
                f"PredictiveGate.epsilon={self.epsilon!r} has no effect with mode='none', which blocks no pixel. Leave it out."
            )
        self._resolve()
        for name, (wanted, limits) in LIMITS.items():
            value, advice = getattr(self, name), " Use mode='none' to block no pixel." if name == "epsilon" else ""
            if value is not None and not is_number(value, **limits):
                raise ValueError(f"PredictiveGate.{name}: must be {wanted}, got {value!r}.{advice}")
        if self.model is None:
            model = gated_input(
                self.mode, self.epsilon, self.squash, self.squash_step, self.contrast, self.max_contrast,
                learning=self.learning is not None, strict=self.strict,
            )  # fmt: skip
            object.__setattr__(self, "model", model)

    def _resolve(self):
        """Take the parameters that are not given from the model or the defaults. Refuse those that the model contradicts."""
        defaults = {} if self.mode == "none" else {"epsilon": 0.1}
        defaults |= {"max_contrast": 10.0} if self.contrast and self.contrast != "published" else {}
        known = defaults if self.model is None else self.model.parameters
        for name in ("epsilon", "squash_step", "max_contrast"):
            given = getattr(self, name)
            if given is ... or given is None:
                object.__setattr__(self, name, known.get(name))
            elif self.model is not None and given != known.get(name):
                raise ValueError(
                    f"PredictiveGate.{name}={given!r} has no effect beside model, whose {name} is {known.get(name)!r}. Leave it "
                    f"out, or change the model with gate.edit({name}={given!r})."
                )
        if self.model is None:
            return
        self._check_against_model()

    def _check_against_model(self):
        """Refuse options that a given model contradicts."""
        contrast = "span" if self.contrast == "published" else "max_contrast"
        for name, option in (("contrast", contrast), ("learning", "prediction_error")):
            if bool(getattr(self, name)) and option not in self.model.brian_equations:
                raise ValueError(
                    f"PredictiveGate.{name} has no effect beside model, which has no variable {option!r}. Make the gate with "
                    f"{name}=... first, then edit it."
                )
        if not self.contrast and {"max_contrast", "span"} & set(self.model.brian_equations):
            given = "'published'" if "span" in self.model.brian_equations else "True"
            raise ValueError(
                f"PredictiveGate.contrast=False contradicts model, which scales the contrast. Give contrast={given}."
            )
        prediction = self.model.definition("prediction")
        for squash, (equation, _) in SQUASHES.items():
            if squash != self.squash and prediction == equation:
                raise ValueError(
                    f"PredictiveGate.squash={self.squash!r} has no effect beside model, whose squash is {squash!r}. Make a gate "
                    f"with squash={self.squash!r} first, then edit it."
                )
        options = {"squash": self.squash, "contrast": self.contrast, "learning": self.learning is not None}
        for mode in GATE_MODES:
            for strict in (False, True) if mode != "none" else (False,):
                if (mode, strict) == (self.mode, bool(self.strict)):
                    continue
                if self.model.update == gated_input(mode, strict=strict, **options).update:
                    name, own, its = ("mode", self.mode, mode) if mode != self.mode else ("strict", self.strict, strict)
                    raise ValueError(
                        f"PredictiveGate.{name}={own!r} has no effect beside model, whose {name} is {its!r}. Make a gate with "
                        f"{name}={own!r} first, then edit it."
                    )

    __repr__ = fields_line

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

        Examples
        --------
        >>> import brainsnn as bs
        >>> gate = bs.PredictiveGate(epsilon=0.1).edit(epsilon=0.2)
        >>> gate.epsilon
        0.2
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

        Examples
        --------
        >>> import brainsnn as bs
        >>> gate = bs.PredictiveGate().replace(
        ...     "prediction = clip(squash_step*predicted, 0, 1) : 1", "prediction = clip(0.5*squash_step*predicted, 0, 1) : 1"
        ... )
        >>> gate.model.definition("prediction")
        'prediction = clip(0.5*squash_step*predicted, 0, 1) : 1'
        """
        return self._with(self.model.replace(old, new, **parameters))

    def _with(self, model):
        """Return the gate with another model and its parameters."""
        epsilon = None if self.mode == "none" else ...
        return replace(self, model=model, epsilon=epsilon, squash_step=None, max_contrast=None)


def gate_with(gate, parameters):
    """
    Return a gate with the values that its input neurons have now.

    Parameters
    ----------
    gate : `PredictiveGate`
    parameters : dict of str to float, Quantity or ndarray
        Of the input neurons.

    Returns
    -------
    gate : `PredictiveGate`
    """
    own = gate.model.parameters
    changed = {name: parameters[name] for name in own if not np.array_equal(parameters.get(name, own[name]), own[name])}
    return gate.edit(**{name: float(v) if name in LIMITS else v for name, v in changed.items()}) if changed else gate


def check_gate_values(about, name, values):
    """
    Check values of a parameter that are set between runs.

    Parameters
    ----------
    about : str
        What the message of an error starts with.
    name : str
        Parameter of the input neurons.
    values : ndarray

    Raises
    ------
    ValueError
        If no gate can have one of them.
    """
    if name not in LIMITS:
        return
    wanted, limits = LIMITS[name]
    if not all(is_number(value, **limits) for value in np.unique(values)):
        raise ValueError(f"{about}: {name} of the gate must be {wanted}, got {values.min():g}.")
