"""A network as plain data: populations, operators between them, and the fate of every Keras layer."""

from collections import Counter
from collections.abc import Callable, Container, Iterable
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import expit, softmax

from brainsnn.builders.graph.merging import merge_projections
from brainsnn.builders.operators.composition import compose, compose_sparse
from brainsnn.builders.operators.linear import ConvOperator, SparseOperator
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain
from brainsnn.errors import ConversionError, UnknownNameError
from brainsnn.plain_arrays import plain_array

if TYPE_CHECKING:
    from brian2 import Quantity

    from brainsnn.equations.model import NeuronModel

__all__ = ["Population", "Projection", "LayerGraph", "LayerRow", "OUTPUT_ACTIVATIONS"]


#: What a projection can do.
Operator = ConvOperator | SparseOperator | MaxPool | OperatorChain

#: Activations that a readout can have, for arrays of shape (..., channels).
OUTPUT_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "softmax": partial(softmax, axis=-1),
    "sigmoid": expit,
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(x, 0),
}


@dataclass
class Population:
    """
    A group of neurons, spiking or not.

    Parameters
    ----------
    name : str
        Name of the Keras layer that it represents.
    kind : {"input", "spiking", "junction", "membrane", "readout"}
        A junction holds the filtered current of a stream; a membrane integrates but does not spike.
    shape : (H, W, C)
    activation : str, optional
        ``"asn"`` or ``"relu"`` of a spiking population, a key of `OUTPUT_ACTIVATIONS` of a readout, else None.
    bias : (1, 1, C) or (H, W, C) ndarray, optional
        Constant input, 0 by default. Of shape (H, W, C) if it differs between positions.
    m_f : float, optional
        Precision of an ``"asn"`` population, as trained.
    threshold : float, optional
        Inputs below it are treated as 0 in the trained transfer function.
    time_constants : (float, float), optional
        tau_eta and tau_gamma (ms) of the trained transfer function, those of the published neuron by default.
    layers : tuple of str, optional
        Keras layers folded into it, including its own.
    keras_layer : str, optional
        Keras layer whose output equals the activation of this population, approximately if an average is taken on the
        membrane. None if there is no such layer.
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    activation: str | None = None
    bias: np.ndarray = field(default=None, repr=False)  # type: ignore[arg-type]  # set in __post_init__
    m_f: float | None = None
    threshold: float = 0.0
    time_constants: tuple[float, float] = (50.0, 15.0)
    layers: tuple[str, ...] = ()
    keras_layer: str | None = None

    def __post_init__(self) -> None:
        if self.bias is None:
            self.bias = np.zeros((1, 1, self.shape[2]))

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    def transfer(self, S: np.ndarray) -> np.ndarray:
        """
        Return the activation for a constant input that includes the bias.

        Parameters
        ----------
        S : (n, H, W, C) ndarray

        Returns
        -------
        (n, H, W, C) ndarray
        """
        if self.activation == "asn":
            from brainsnn.equations.transfer import transfer_function

            return transfer_function(S, self.m_f, self.threshold, *self.time_constants)
        if self.activation == "relu":
            return np.maximum(S, 0)
        return OUTPUT_ACTIVATIONS[self.activation or "linear"](S)


@dataclass
class Projection:
    """
    One operator, linear or a maximum, from one population to another.

    Parameters
    ----------
    source, target : str
        Names of populations.
    operator : ConvOperator, SparseOperator, MaxPool or OperatorChain
        Its shapes may differ from those of the populations; sizes and flat order are the same.
    mode : {"spikes", "current", "membrane"}
        ``"spikes"``: transmits the spikes of the source, or the stimulus if the source is the input. ``"current"``:
        graded, reads the current of a junction. ``"membrane"``: graded, sets the membrane variable of the target to the
        operator applied to the potential of the source, bias included. The source is always a membrane population, and
        there is no other projection onto the target.
    """

    source: str
    target: str
    operator: Operator
    mode: str = "spikes"


@dataclass
class LayerRow:
    """
    One row of the printed table: a Keras layer.

    Parameters
    ----------
    name, class_name : str
    shape : tuple
        Output shape without the batch.
    note : str, optional
        What became of a layer that is neither a population nor folded into one.
    """

    name: str
    class_name: str
    shape: tuple[int | None, ...]
    note: str = ""


@dataclass(repr=False)
class LayerGraph:
    """
    Populations and projections of a network, in order of evaluation.

    Parameters
    ----------
    populations : dict of str to Population
    projections : list of Projection
    rows : list of LayerRow, optional
        Every layer of the Keras model.
    name : str, optional
        Name of the Keras model.
    neurons : dict of str to `~brainsnn.equations.model.NeuronModel`, optional
        Of a network that was spiking before it was read: the model of each spiking population and readout, which `convert` uses
        unless it is given others. Empty for a graph of a trained network.
    dt : `~brian2.units.fundamentalunits.Quantity`, optional
        Time step that these neurons are made for.

    See Also
    --------
    brainsnn.read_keras : make one from a Keras model.
    brainsnn.read_nir : make one from a spiking network in a file.
    """

    populations: dict[str, Population]
    projections: list[Projection]
    rows: list[LayerRow] = field(default_factory=list)
    name: str = "model"
    neurons: "dict[str, NeuronModel]" = field(default_factory=dict)
    dt: "Quantity | None" = None

    @property
    def input(self) -> Population:
        """The input population."""
        return next(p for p in self.populations.values() if p.kind == "input")

    @property
    def readouts(self) -> list[Population]:
        """The readout populations, as a list."""
        return [p for p in self.populations.values() if p.kind == "readout"]

    @property
    def averages_membranes(self) -> bool:
        """Whether an average is taken on membranes, as with ``read_keras(model, average_pooling="membrane")`` (bool)."""
        read = (p.operator for p in self.projections if p.mode == "membrane")
        chains = (operator.operators if isinstance(operator, OperatorChain) else [operator] for operator in read)
        return any(not any(isinstance(part, MaxPool) for part in chain) for chain in chains)

    def incoming(self, name: str) -> list[Projection]:
        """Return the projections onto a population."""
        return [p for p in self.projections if p.target == name]

    def outgoing(self, name: str) -> list[Projection]:
        """Return the projections from a population."""
        return [p for p in self.projections if p.source == name]

    def by_target(self) -> dict[str, list[Projection]]:
        """Return the projections onto each population, found in one pass."""
        found: dict[str, list[Projection]] = {name: [] for name in self.populations}
        for projection in self.projections:
            found.setdefault(projection.target, []).append(projection)
        return found

    def by_source(self) -> dict[str, list[Projection]]:
        """Return the projections from each population, found in one pass."""
        found: dict[str, list[Projection]] = {name: [] for name in self.populations}
        for projection in self.projections:
            found.setdefault(projection.source, []).append(projection)
        return found

    def population(self, name: str) -> Population:
        """
        Return a population by its name, or by the name of a Keras layer folded into it.

        Parameters
        ----------
        name : str
            Name of a population, or of a Keras layer that is part of exactly one population.

        Returns
        -------
        Population

        Raises
        ------
        UnknownNameError
            If there is none or more than one. The message suggests the nearest name.
        """
        if name in self.populations:
            return self.populations[name]
        owners = [p for p in self.populations.values() if name in p.layers]
        if len(owners) == 1:
            return owners[0]
        note = None
        if owners:
            note = f"Layer {name!r} is part of several populations: {', '.join(p.name for p in owners)}."
        elif row := next((row for row in self.rows if row.name == name), None):
            note = f"The layer {name!r} ({row.class_name}) did not become a population: {row.note or 'folded'}."
        folded = [layer for p in self.populations.values() for layer in p.layers]
        raise UnknownNameError(name, self.populations, kind="population", note=note, also=folded)

    def activations(self, images: ArrayLike) -> dict[str, np.ndarray]:
        """
        Evaluate the graph as the artificial network that it was read from.

        Parameters
        ----------
        images : (n, H, W, C) array_like

        Returns
        -------
        dict of str to (n, H, W, C) ndarray
            Output of each population. Spiking: the transfer function of its input. Readout: its activation. Junction:
            the current, without bias. Membrane: the potential, with bias.

        Raises
        ------
        ValueError
            If the images do not have the size of the input population, or the network was spiking before it was read.
        """
        if self.neurons:
            raise ValueError(
                f"LayerGraph.activations: {self.name!r} was read as a spiking network, whose layers have no activations. Convert "
                "it and run it."
            )
        images, shape = plain_array(images, "LayerGraph.activations: images"), self.input.shape
        sizes = [
            tuple(n for n in sizes if n != 1) for sizes in (images.shape[1:], shape)
        ]  # axes of size 1 may be left out
        if images.ndim < 2 or (sizes[0] != sizes[1] and images.shape[1:] != (self.input.size,)):
            raise ValueError(
                f"LayerGraph.activations: images of shape {images.shape} do not fit the input "
                f"{self.input.name!r} of shape {self.input.shape}; expected (n, H, W, C)."
            )
        images = images.astype(float, copy=False).reshape(len(images), *self.input.shape)
        potential, activation, incoming = {}, {}, self.by_target()
        for name, population in self.populations.items():
            if population.kind == "input":
                potential[name] = activation[name] = images
                continue
            total = np.zeros((len(images), *population.shape))
            for projection in incoming[name]:
                values = (potential if projection.mode == "membrane" else activation)[projection.source]
                total += projection.operator.apply(values.reshape(len(images), -1)).reshape(total.shape)
            potential[name] = total + population.bias
            activation[name] = population.transfer(potential[name])
        return activation

    def expand_junctions(self, readers: Iterable[str] | None = None) -> "LayerGraph":
        """
        Return the same network without junctions: sources project to their readers directly.

        Parameters
        ----------
        readers : iterable of str, optional
            Populations that shall read no junction; all by default. Junctions that others read remain.

        Returns
        -------
        LayerGraph
            Operators that do not compose into a convolution become a `SparseOperator`.

        Raises
        ------
        ConversionError
            If an operator at a junction is not linear.
        """
        arriving: dict[str, list[Projection]] = {}
        arrived: dict[str, list[Projection]] = {}
        incoming, apart = self.by_target(), set(self.populations if readers is None else readers)
        for name, population in self.populations.items():
            expanded = []
            for projection in incoming[name]:
                if projection.mode == "current":
                    for first in arriving[projection.source]:
                        operator = _composed(projection, first)
                        expanded.append(Projection(first.source, name, operator, first.mode))
                else:
                    expanded.append(projection)
            if population.kind == "junction":
                arriving[name] = merge_projections(expanded)
            arrived[name] = merge_projections(expanded) if name in apart else incoming[name]
        n_readers = Counter(p.source for onto in arrived.values() for p in onto)
        for name, population in reversed(self.populations.items()):
            if population.kind == "junction" and not n_readers[name]:
                n_readers.subtract(p.source for p in arrived.pop(name))
        populations = self._with_layers_of_junctions(incoming, arrived.keys(), apart)
        kept = [projection for name in populations for projection in arrived[name]]
        return replace(self, populations=populations, projections=kept)

    def _with_layers_of_junctions(
        self, incoming: dict[str, list[Projection]], kept: Container[str], apart: Container[str]
    ) -> dict[str, Population]:
        """Return the populations that are kept; those set apart have the layers of the junctions that are not."""
        populations: dict[str, Population] = {}
        upstream: dict[str, tuple[str, ...]] = {}
        for name, population in self.populations.items():
            # In order of evaluation, so that all that a junction reads is known.
            sources = [p.source for p in incoming[name] if p.mode == "current" and p.source not in kept]
            layers = dict.fromkeys(layer for source in sources for layer in upstream[source])
            layers |= dict.fromkeys(population.layers)
            if name not in kept:
                upstream[name] = tuple(layers)
            else:
                populations[name] = replace(population, layers=tuple(layers)) if name in apart else population
        return populations

    def __repr__(self) -> str:
        return f"<LayerGraph '{self.name}': {', '.join(self.populations)}>"

    def __str__(self) -> str:
        from brainsnn.builders.graph.summary import layer_table

        return layer_table(self)


def _composed(outer: Projection, inner: Projection) -> Operator:
    """Return one operator for two projections in a row."""
    operator = compose(outer.operator, inner.operator)
    if operator is not None:
        return operator
    if not all(isinstance(p.operator, (ConvOperator, SparseOperator)) for p in (outer, inner)):
        raise ConversionError(
            f"Junction '{outer.source}': an operator of {inner.source} -> {outer.target} is not linear."
        )
    return compose_sparse(outer.operator, inner.operator)
