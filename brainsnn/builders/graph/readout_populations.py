"""Populations that read the spikes of a layer and that nothing reads: what a next layer would receive from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from brian2.equations.equations import SUBEXPRESSION
from scipy import sparse

from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.builders.graph.parts import Operator, Projection
from brainsnn.builders.operators.layers import conv2d
from brainsnn.builders.operators.linear import SparseOperator
from brainsnn.builders.operators.scaling import identity
from brainsnn.equations.model import NeuronModel
from brainsnn.one_line import fields_line
from brainsnn.plain_arrays import is_number

__all__ = ["Readout", "with_readouts"]

KINDS = ("spiking", "potential")


@dataclass(frozen=True)
class Readout:
    """
    A population that reads the spikes of a layer, neuron by neuron, with a weight of 1 and no bias.

    What it receives includes the height of the spikes, and so what attention does to it. Its neurons are not attended (unless
    `~brainsnn.builders.spiking_network.SpikingNetwork.attend` names them). Rates of readouts can therefore be compared between
    mechanisms that change the heights of spikes, their number, or both; the rates of an attended layer cannot.

    Parameters
    ----------
    layer : str
        A layer that spikes.
    kind : {"spiking", "potential"}, optional
        Neurons that spike, or their membranes alone. The ``S`` of an ``ASN`` is the same in both, since its spikes do not change
        its membrane.
    place : (row, column), optional
        One column of neurons of the layer, whole numbers from 0. By default, all of them.
    sum_channels : bool, optional
        Whether one neuron at each place reads all channels: its potential is the sum of their potentials. For
        ``kind="potential"``.
    neuron : `~brainsnn.equations.model.NeuronModel`, optional
        That of the layer by default.

    Raises
    ------
    ValueError
        If an argument is not valid.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34, who read rates, latencies and potentials so.

    Examples
    --------
    >>> import brainsnn as bs
    >>> snn = bs.convert(bs.load_model("digits"), readouts={"after": bs.Readout("conv2_asn", kind="potential")})
    >>> snn.graph.populations["after"].shape
    (14, 14, 32)
    """

    layer: str
    kind: str = "spiking"
    place: tuple[int, int] | None = None
    sum_channels: bool = False
    neuron: NeuronModel | None = field(default=None, repr=False)

    __repr__ = fields_line

    def __post_init__(self) -> None:
        if not isinstance(self.layer, str):
            raise ValueError(f"Readout: layer={self.layer!r} must be the name of a layer.")
        if self.kind not in KINDS:
            raise ValueError(f"Readout: kind={self.kind!r}; choose one of {', '.join(map(repr, KINDS))}.")
        if not isinstance(self.sum_channels, bool | np.bool_):
            raise ValueError(f"Readout: sum_channels={self.sum_channels!r} must be True or False.")
        if self.sum_channels and self.kind != "potential":
            raise ValueError("Readout: sum_channels=True sums potentials; give kind='potential', or leave it out.")
        if self.neuron is not None and not isinstance(self.neuron, NeuronModel):
            raise ValueError(
                f"Readout: neuron={self.neuron!r} is no NeuronModel; give one such as ASN(), or leave it out."
            )
        if self.place is not None:
            place = list(self.place) if isinstance(self.place, tuple | list | np.ndarray) else [self.place]
            if len(place) != 2 or not all(is_number(k, low=0) and int(k) == k for k in place):
                raise ValueError(f"Readout: place={self.place!r} must be (row, column), whole numbers from 0.")
            object.__setattr__(self, "place", (int(place[0]), int(place[1])))


def with_readouts(graph, neurons, readouts):
    """
    Return the graph and its neuron models with readout populations.

    Parameters
    ----------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    neurons : dict of str to `~brainsnn.equations.model.NeuronModel`
        Of the spiking populations at least.
    readouts : dict of str to str or `Readout`
        Name of the new population -> layer.

    Returns
    -------
    graph : `~brainsnn.builders.graph.layer_graph.LayerGraph`
    models : dict of str to `~brainsnn.equations.model.NeuronModel`
        Of the readouts.

    Raises
    ------
    UnknownNameError
        If a layer does not exist.
    ValueError
        If a name is taken, a layer does not spike, or a place is not in it.
    """
    populations, projections, models = dict(graph.populations), list(graph.projections), {}
    for name, given in _checked(graph, readouts).items():
        source = graph.population(given.layer)
        if source.kind != "spiking":
            raise ValueError(
                f"convert: readouts: {name!r} reads {given.layer!r}, which is a population of the kind {source.kind!r}; name one "
                f"of the layers that spike: {', '.join(p.name for p in graph.populations.values() if p.kind == 'spiking')}."
            )
        operator, shape = _operator(name, given, source.shape)
        populations[name] = replace(
            source, name=name, kind="spiking" if given.kind == "spiking" else "membrane", shape=shape, bias=None,
            layers=(name,), keras_layer=None, reads=source.name,
        )  # fmt: skip
        projections.append(Projection(source.name, name, operator))
        model = given.neuron or neurons[source.name]
        models[name] = model if given.kind == "spiking" else _potential(model)
    return replace(graph, populations=populations, projections=projections), models


def _checked(graph: LayerGraph, readouts: Mapping[str, str | Readout]) -> dict[str, Readout]:
    """Return the readouts by name; refuse what is none, and names that are taken."""
    if not isinstance(readouts, Mapping):
        raise ValueError(f"convert: readouts={readouts!r} is not a dict; give one such as {{'after': 'conv1'}}.")
    taken = {*graph.populations, *(row.name for row in graph.rows)}
    taken |= {layer for population in graph.populations.values() for layer in population.layers}
    checked = {}
    for name, given in readouts.items():
        if not isinstance(name, str) or not name.isidentifier():
            raise ValueError(f"convert: readouts: {name!r} must be a name of letters, digits and underscores.")
        if name in taken:
            raise ValueError(
                f"convert: readouts: {name!r} is already the name of a layer; give the readout another name."
            )
        checked[name] = Readout(given) if isinstance(given, str) else given
        if not isinstance(checked[name], Readout):
            raise ValueError(
                f"convert: readouts: {name!r} has {given!r}; give the name of a layer, or a Readout(layer, ...)."
            )
    return checked


def _operator(name: str, readout: Readout, shape: tuple[int, int, int]) -> tuple[Operator, tuple[int, int, int]]:
    """Return the projection from a layer to its readout, and the shape of the readout."""
    height, width, channels = shape
    if readout.place is not None:
        row, column = readout.place
        if row >= height or column >= width:
            raise ValueError(
                f"convert: readouts: {name!r}: place={readout.place} lies outside {readout.layer!r} of {height} rows and {width} "
                f"columns; give 0 ... {height - 1} and 0 ... {width - 1}."
            )
        first = (row * width + column) * channels
        target = (1, 1, 1 if readout.sum_channels else channels)
        columns = np.zeros(channels, dtype=int) if readout.sum_channels else np.arange(channels)
        selected = (np.ones(channels), (first + np.arange(channels), columns))
        matrix = sparse.csr_matrix(selected, (height * width * channels, target[2]))
        return SparseOperator(shape, target, matrix), target
    if readout.sum_channels:
        return conv2d(np.ones((1, 1, channels, 1)), shape), (height, width, 1)
    return identity(shape), shape


def _potential(model: NeuronModel) -> NeuronModel:
    """Return a model whose membrane is what it compares with its threshold, where that is its membrane and its bias."""
    for name, equation in model.brian_equations.items():
        if equation.type == SUBEXPRESSION and equation.identifiers == {model.membrane, model.bias}:
            return replace(model, membrane=name)
    return model
