"""The input neurons of networks whose images arrive as spikes."""

from brainsnn.equations.model import NeuronModel

__all__ = ["signed_spike_input"]

# A spike carries the sign of its pixel as its height. Spikes are drawn anew in every step, or replayed.
EQUATIONS = """
stimulus = image*is_on + background*(1 - is_on) : 1
is_on = int(t >= t_on and t < t_off) : 1 (shared)
image : 1
background : 1
t_on : second (shared)
t_off : second (shared)
h : 1
replayed : 1
is_replayed : 1 (shared)
"""
UPDATE = "h = replayed*is_replayed + sign(stimulus)*int(rand() < abs(stimulus))*(1 - is_replayed)"


def signed_spike_input():
    """
    Neurons that spike with probability ``|pixel|`` in every step, with the sign of the pixel, or replay given spikes.

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
