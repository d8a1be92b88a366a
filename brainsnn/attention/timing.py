"""Attention that switches on and off during a trial."""

from brian2 import second

from brainsnn.attention.parameters import ATTENDED, REST
from brainsnn.equations.model import NeuronModel

__all__ = ["switchable"]


def switchable(neuron: NeuronModel) -> NeuronModel:
    """
    A neuron model whose attended parameters switch between two values at given times of a trial.

    Each parameter that attention can change (``gain``, ``m_f``, ``h``) becomes a subexpression of two per-neuron parameters
    and of two times that all neurons of a population share::

        gain = gain_rest + (gain_attended - gain_rest)*is_attended : 1
        is_attended = int(t >= t_attend_on and t < t_attend_off) : 1 (shared)

    `~brainsnn.builders.spiking_network.SpikingNetwork.attend` then writes ``gain_attended`` and the times, and compiles nothing.

    Parameters
    ----------
    neuron : `~brainsnn.equations.model.NeuronModel`

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
        Parameters are called ``gain_rest`` and so on where they are set by hand.

    Raises
    ------
    ValueError
        If the model has no parameter that attention could change.

    Notes
    -----
    It costs three more parameters per neuron (12 bytes in single precision) and a few more operations per neuron and step. Use it
    only where attention changes within a trial.

    Examples
    --------
    >>> import brainsnn as bs
    >>> neuron = bs.switchable(bs.ASN(m_f=0.45))
    >>> snn = bs.convert(bs.load_model("search"), neuron=neuron)
    >>> cue = bs.SpatialAttention((0.3, 0.7), 0.18, output_gain=0.3, onset=200*bs.ms, offset=300*bs.ms)
    >>> snn.attend(cue)
    """
    names = list(dict.fromkeys(neuron.attention.values()))
    names += [derived for derived, (origin, _) in neuron.derived.items() if origin in names and derived not in names]
    if not names:
        raise ValueError(f"switchable: the neuron model {neuron.name!r} has no parameter that attention changes.")
    equations, switched = _switched_equations(neuron.equations, names)
    parameters = dict(neuron.parameters)
    for name in switched:
        if name in parameters:
            parameters[name + REST] = parameters[name + ATTENDED] = parameters.pop(name)
    parameters |= {"t_attend_on": 0 * second, "t_attend_off": 0 * second}
    derived = {
        name + ending: (origin + ending, function)
        for name, (origin, function) in neuron.derived.items()
        for ending in (REST, ATTENDED)
    }
    height = neuron.spike_height + REST if neuron.spike_height in names else neuron.spike_height
    return neuron.edit(
        name=f"switchable {neuron.name}",
        equations=equations,
        parameters=parameters,
        derived=derived,
        spike_height=height,
    )


def _switched_equations(equations: str, names: list[str]) -> tuple[str, list[str]]:
    """Equations in which parameters of these names are one of two others, by the time of the trial, and which they are."""
    lines, switched = [], []
    for line in equations.splitlines():
        name = line.split(":")[0].strip()
        if name not in names:
            lines.append(line)
            continue
        switched.append(name)
        unit = line.split(":")[1].strip()
        rest, attended = name + REST, name + ATTENDED
        lines += [
            f"{name} = {rest} + ({attended} - {rest})*is_attended : {unit}",
            f"{rest} : {unit}",
            f"{attended} : {unit}",
        ]
    lines += [
        "is_attended = int(t >= t_attend_on and t < t_attend_off) : 1 (shared)",
        "t_attend_on : second (shared)",
        "t_attend_off : second (shared)",
    ]
    return "\n".join(lines), switched
