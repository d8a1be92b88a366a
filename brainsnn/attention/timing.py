"""Attention that switches on and off during a trial."""

from brian2 import second

from brainsnn.attention.parameters import ATTENDED, REST
from brainsnn.equations.model import NeuronModel

__all__ = ["switchable"]

TIMES = (
    "is_attended = int(t >= t_attend_on and t < t_attend_off) : 1 (shared)",
    "t_attend_on : second (shared)",
    "t_attend_off : second (shared)",
)


def switchable(neuron: NeuronModel) -> NeuronModel:
    """
    Return a neuron model whose attended parameters switch between two values during a trial.

    Each parameter that attention can change (``gain``, ``m_f``, ``h``) becomes a subexpression. It takes one of two
    per-neuron values, depending on two times that all neurons of a population share::

        gain = gain_rest + (gain_attended - gain_rest)*is_attended : 1
        is_attended = int(t >= t_attend_on and t < t_attend_off) : 1 (shared)

    `~brainsnn.builders.spiking_network.SpikingNetwork.attend` then writes ``gain_attended`` and the times, without compiling.

    Parameters
    ----------
    neuron : `~brainsnn.equations.model.NeuronModel`

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
        To set a parameter by hand, use its name with ``_rest``, such as ``gain_rest``.

    Raises
    ------
    ValueError
        If the model has no parameter that attention can change, or uses a name that is added.

    Notes
    -----
    The ASN gets three more parameters per neuron (12 bytes in single precision) and a few more operations per neuron and
    step. Use this model only if attention changes within a trial.

    Examples
    --------
    >>> import brainsnn as bs
    >>> neuron = bs.switchable(bs.ASN(m_f=0.45))
    >>> snn = bs.convert(bs.load_model("search"), neuron=neuron)
    >>> cue = bs.SpatialAttention((0.3, 0.7), 0.18, output_gain=0.3, onset=200*bs.ms, offset=300*bs.ms)
    >>> snn.attend(cue)
    """
    if not isinstance(neuron, NeuronModel):
        raise ValueError(f"switchable: neuron must be a NeuronModel, such as ASN(), got {neuron!r:.100}.")
    names = list(dict.fromkeys(neuron.attention.values()))
    names += [n for n, (origins, _) in neuron.derived.items() if n not in names and not set(names).isdisjoint(origins)]
    if not names:
        raise ValueError(
            f"switchable: {neuron.name!r} names no parameter for attention; set NeuronModel(attention=...)."
        )
    switched = [name for name in neuron.neuron_parameters if name in names]
    _check_free_names(neuron, switched)
    parameters = {name: value for name, value in neuron.parameters.items() if name not in switched}
    for name in (name for name in switched if name in neuron.parameters):
        parameters[name + REST] = parameters[name + ATTENDED] = neuron.parameters[name]
    parameters |= {"t_attend_on": 0 * second, "t_attend_off": 0 * second}
    derived = {
        name + ending: (tuple(origin + ending if origin in switched else origin for origin in origins), function)
        for name, (origins, function) in neuron.derived.items()
        for ending in (REST, ATTENDED)
    }
    height = neuron.spike_height + REST if neuron.spike_height in names else neuron.spike_height
    return neuron.edit(
        name=f"switchable {neuron.name}", equations=_switched_equations(neuron, switched), parameters=parameters,
        derived=derived, spike_height=height,
    )  # fmt: skip


def _check_free_names(neuron, switched):
    """Refuse a model that uses a name which the switchable one adds."""
    added = [name + ending for name in switched for ending in (REST, ATTENDED)]
    added += ["is_attended", "t_attend_on", "t_attend_off"]
    if taken := sorted(neuron.used_names.intersection(added)):
        raise ValueError(
            f"switchable: {neuron.name!r} uses {', '.join(map(repr, taken))}, which the switchable model adds. Rename it, for "
            f"example to 'my_{taken[0]}'. Reserved: {', '.join(added)}."
        )


def _switched_equations(neuron, names):
    """Return equations in which parameters switch between two values."""
    lines = neuron.equations.splitlines()
    for name in names:
        unit, rest, attended = neuron.unit_of(name), name + REST, name + ATTENDED
        position = lines.index(neuron.definition(name))
        lines[position : position + 1] = [
            f"{name} = {rest} + ({attended} - {rest})*is_attended : {unit}",
            f"{rest} : {unit}",
            f"{attended} : {unit}",
        ]
    return "\n".join([*lines, *TIMES])
