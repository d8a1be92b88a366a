"""Variants of a neuron model for max pooling over spikes: neurons that count their spikes, and neurons that pass them on."""

from dataclasses import replace

from brian2.utils.stringtools import get_identifiers

from brainsnn.equations.statements import assigned
from brainsnn.equations.variants import height_name

__all__ = ["COUNT", "counting_spikes", "passing_spikes"]

#: Variable that counts the spikes of a neuron.
COUNT = "n_spikes"


def counting_spikes(model):
    """
    Return the model with a variable that counts the spikes of each neuron, ``n_spikes``.

    Attention cannot change the height of these spikes: neurons that pass them on have the heights of their own.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
    """
    heights = _needed(model, height_name(model))
    heights |= {origin for name in heights & model.derived.keys() for origin in model.derived[name][0]}
    return replace(
        model,
        equations=f"{model.equations}\n{COUNT} : 1",
        reset="\n".join([*filter(None, [model.reset]), f"{COUNT} += 1"]),
        attention={mechanism: name for mechanism, name in model.attention.items() if name not in heights},
    )


def passing_spikes(model):
    """
    Return neurons that spike whenever ``pooled``, a maximum over the spike counts of other neurons, grows.

    Parameters
    ----------
    model : `~brainsnn.equations.model.NeuronModel`
        Model of the other neurons, whose spike height the spikes keep.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`

    Raises
    ------
    ValueError
        If the spike height depends on a state of the neurons.

    References
    ----------
    Rueckauer, Lungu, Hu, Pfeiffer, Liu (2017), Front. Neurosci. 11:682.
    """
    needed, declared = _needed(model, height_name(model)), model.brian_equations
    states = needed & ({model.receives, *declared.diff_eq_names} | assigned(model.reset) | assigned(model.update))
    if states:
        raise ValueError(
            f"{model.name}.spike_height: {model.spike_height!r} depends on {', '.join(sorted(states))}, which neurons that pass "
            "on spikes do not have. Use average pooling, or a height that is a parameter."
        )
    lines = [model.definition(name) for name in declared if name in needed]
    lines += [
        "pooled : 1                # largest number of spikes in the window",
        "n_passed : 1              # of them passed on",
    ]
    used = needed | get_identifiers("\n".join([*lines, model.on_pre or ""]))
    return replace(
        model,
        name=f"{model.name}, passing spikes",
        equations="\n".join(lines),
        threshold="pooled > n_passed",
        reset="n_passed = pooled",
        refractory=None,
        update=None,
        receives="pooled",
        membrane=None,
        bias=None,
        threshold_parameter=None,
        initial={},
        parameters={n: v for n, v in model.parameters.items() if n in used},
        derived={},
        attention={mechanism: name for mechanism, name in model.attention.items() if name in needed},
    )


def _needed(model, name):
    """Return the variables that the value of one needs, itself included."""
    needed, frontier = set(), {name} & set(model.brian_equations)
    while frontier:
        needed.add(found := frontier.pop())
        frontier |= (model.brian_equations[found].identifiers & set(model.brian_equations)) - needed
    return needed
