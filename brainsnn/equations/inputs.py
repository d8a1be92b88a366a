"""Input neurons that turn images into signed spikes."""

from brainsnn.equations.model import NeuronModel
from brainsnn.equations.variants import stimulus_equations

__all__ = ["signed_spike_input"]

# The height of a spike is the sign of its pixel. Spikes are drawn at random in every step, or replayed.
EQUATIONS = "\n".join([*stimulus_equations("1"), "h : 1", "replayed : 1", "is_replayed : 1 (shared)"])
UPDATE = "h = replayed*is_replayed + sign(stimulus)*int(rand() < abs(stimulus))*(1 - is_replayed)"


def signed_spike_input():
    """
    Return input neurons that draw signed spikes from an image, or replay given spikes.

    A neuron spikes in every step with probability ``|pixel|``. The height of the spike is the sign of the pixel.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
        ``h``, the spike height, is -1, 0 or 1 in every step.
    """
    return NeuronModel(
        name="signed spike input",
        equations=EQUATIONS,
        threshold="h != 0",
        reset="",
        update=UPDATE,
        receives="image",
        bias=None,
    )
