"""The equations and statements of input neurons that a prediction gates."""

from dataclasses import replace

from brainsnn.equations.inputs import signed_spike_input
from brainsnn.equations.model import NeuronModel
from brainsnn.equations.statements import assignments

__all__ = ["CONTRASTS", "GATE_MODES", "SQUASHES", "gated_input", "split_at_contrast"]

#: Squashing functions, with their default step: the equation that maps ``predicted``, the sum of the generator's
#: spikes, to ``prediction``.
SQUASHES = {
    # A step that is a power of two makes this exact in any precision. 8 spikes predict a pixel of 1.
    "clip": ("prediction = clip(squash_step*predicted, 0, 1) : 1", 0.125),
    "tanh": ("prediction = tanh(squash_step*predicted) : 1", 0.125),
    # The published functions. The first one is 0.5 for pixels without spikes; the second one corrects this.
    "sigmoid": ("prediction = 1/(1 + exp(-squash_step*predicted)) : 1", 1.0),
    "rescaled_sigmoid": ("prediction = 2/(1 + exp(-squash_step*predicted)) - 1 : 1", 1.0),
    # The same for images with colours from -1 to 1, whose published squash is tanh.
    "rescaled_tanh": ("prediction = 2*tanh(squash_step*predicted) - 1 : 1", 1.0),
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
# The published test excludes the limits, so an epsilon of 0 blocks nothing.
CLOSED = "int(abs(prediction - stimulus) <= epsilon)"
STRICT = "int(prediction < stimulus + epsilon)*int(prediction > stimulus - epsilon)"
# Variables that only some modes have. `is_blocked` is 0 at the start of every trial.
MODE_VARIABLES: dict[str, tuple[str, ...]] = {"none": (), "sticky": ("is_blocked",), "dynamic": (), "graded": ()}

SPIKE = "h = passed*(replayed*is_replayed + sign(stimulus)*int(rand() < contrast*abs(stimulus))*(1 - is_replayed))"
# An open gate passes every spike, a half-open one every second spike on average.
PASSED = {"graded": "passed = int(rand() < is_open)"}
CONTRAST = """
contrast = clip(int(largest <= 0) + int(largest > 0)/(largest + int(largest <= 0)), 1, max_contrast)
shown = is_open*abs(stimulus)
"""
# As published: the open pixels of this step, all colours together, from 0 to 1. The network takes the smallest one and the span
# between these statements. If all pixels are equal, the span is 0, and none spikes.
SHOWN = """
shown = is_open*stimulus
below = -shown
squared = shown*shown
"""
SCALED = "h = is_open*replayed*is_replayed + int(rand()*span < shown - smallest)*(1 - is_replayed)"
CONTRASTS = (False, True, "published")


def split_at_contrast(update: str) -> tuple[str, str]:
    """
    Return the statements of a published contrast before and after the network takes the extremes of what is shown.

    Parameters
    ----------
    update : str

    Returns
    -------
    before, after : str

    Raises
    ------
    ValueError
        If no statement assigns to one of ``shown``, ``below`` and ``squared``.
    """
    statements = assignments(update)
    written = [variable for variable, _, _ in statements]
    for name in ("shown", "below", "squared"):
        if name not in written:
            raise ValueError(
                f"PredictiveGate.model: contrast='published' reads {name!r}, which no statement of the model assigns to. When "
                f"you edit the gate, keep {SHOWN.strip().splitlines()}."
            )
    last = max(k for k, name in enumerate(written) if name in ("shown", "below", "squared"))
    lines = [" ".join(statement) for statement in statements]
    return "\n".join(lines[: last + 1]), "\n".join(lines[last + 1 :])


def gated_input(
    mode: str = "sticky",
    epsilon: float | None = 0.1,
    squash: str = "clip",
    squash_step: float | None = None,
    contrast: bool | str = False,
    max_contrast: float | None = 10.0,
    learning: bool = False,
    strict: bool = False,
) -> NeuronModel:
    """
    Return input neurons whose spikes are gated by a prediction.

    Parameters
    ----------
    mode, epsilon, squash, squash_step, contrast, max_contrast, strict
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
    parameters: dict[str, float | None] = {"squash_step": default_step if squash_step is None else squash_step}
    if mode != "none":
        lines.append("epsilon : 1 (shared)")
        parameters["epsilon"] = epsilon
    gate = GATE_MODES[mode].strip()
    statements = [gate.replace(CLOSED, STRICT) if strict else gate]
    if learning:
        lines.append("prediction_error : 1")
        statements.insert(0, "prediction_error = stimulus - prediction")
    passed = PASSED.get(mode, "passed = is_open")
    if contrast == "published":
        lines += [f"{name} : 1" for name in ("shown", "below", "squared", "smallest", "span")]
        statements += [SHOWN.strip(), SCALED]
    elif contrast:
        lines += ["largest : 1", "shown : 1", "max_contrast : 1 (shared)"]
        parameters["max_contrast"] = max_contrast
        statements += [passed, CONTRAST.strip(), SPIKE]
    else:
        statements += [passed, SPIKE.replace("contrast*", "")]
    return replace(
        base, name=f"signed spike input, {mode} gate", equations="\n".join(lines), update="\n".join(statements),
        parameters=parameters,
    )  # fmt: skip
