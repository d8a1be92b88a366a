"""A network as plain data: populations, operators between them, and the fate of every layer."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from brainsnn.builders.graph.calibration import Calibration
from brainsnn.builders.graph.junctions import without_junctions
from brainsnn.builders.graph.parts import OUTPUT_ACTIVATIONS, LayerRow, Population, Projection
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain
from brainsnn.errors import UnknownNameError
from brainsnn.one_line import one_line
from brainsnn.plain_arrays import plain_array

if TYPE_CHECKING:
    import pandas as pd
    from brian2 import Quantity

    from brainsnn.equations.model import NeuronModel

__all__ = ["Population", "Projection", "LayerGraph", "LayerRow", "OUTPUT_ACTIVATIONS"]


@dataclass(repr=False)
class LayerGraph:
    """
    Populations and projections of a network, in order of evaluation.

    Parameters
    ----------
    populations : dict of str to Population
    projections : list of Projection
    rows : list of LayerRow, optional
        Every layer of the model that was read.
    name : str, optional
        Name of the model.
    calibration : `Calibration`, optional
        How its activations were normalised; None if they were not.
    neurons : dict of str to `~brainsnn.equations.model.NeuronModel`, optional
        Of a network that was spiking before it was read: the model of each spiking population and readout, which `convert` uses
        unless it is given others. Empty for a graph of a trained network.
    dt : `~brian2.units.fundamentalunits.Quantity`, optional
        Time step that these neurons are made for.
    pixel_unit : float, optional
        Size of pixels that the first layers turn into values of about 1: 255 for a network that divides images by 255. 1 if they
        do not scale images.

    See Also
    --------
    brainsnn.read_keras : make one from a Keras model.
    brainsnn.calibrate : normalise the activations of a ReLU network.
    brainsnn.read_nir : make one from a spiking network in a file.

    Examples
    --------
    >>> import brainsnn as bs
    >>> from brainsnn.stimuli import load_digits
    >>> graph = bs.read_keras(bs.load_model("digits"))
    >>> graph.population("conv2").shape  # a layer that was folded into "conv2_asn"
    (14, 14, 32)
    >>> graph.activations(load_digits("test")[0][:3])["readout"].argmax(axis=-1).ravel()  # no spikes
    array([4, 4, 2])
    """

    populations: dict[str, Population]
    projections: list[Projection]
    rows: list[LayerRow] = field(default_factory=list)
    name: str = "model"
    calibration: Calibration | None = None
    neurons: "dict[str, NeuronModel]" = field(default_factory=dict)
    dt: "Quantity | None" = None
    pixel_unit: float = 1.0

    @property
    def input(self) -> Population:
        """The input population."""
        return next(p for p in self.populations.values() if p.kind == "input")

    @property
    def readouts(self) -> list[Population]:
        """The readout populations, as a list."""
        return [p for p in self.populations.values() if p.kind == "readout"]

    @property
    def scales(self) -> "pd.DataFrame":
        """Activation of each ReLU layer that 1 stands for, by layer; over channels, if these differ (DataFrame)."""
        import pandas as pd

        layers = [p for p in self.populations.values() if p.activation == "relu"]
        rows = [{"scale": np.mean(p.scale), "smallest": np.min(p.scale), "largest": np.max(p.scale)} for p in layers]
        return pd.DataFrame(rows, index=pd.Index([p.name for p in layers], name="layer"))

    @property
    def averages_membranes(self) -> bool:
        """Whether an average is taken on membranes, as with ``read_keras(model, average_pooling="membrane")`` (bool)."""
        read = (p.operator for p in self.projections if p.mode == "membrane")
        chains = (operator.operators if isinstance(operator, OperatorChain) else [operator] for operator in read)
        return any(not any(isinstance(part, MaxPool) for part in chain) for chain in chains)

    def incoming(self, name: str) -> list[Projection]:
        """
        Return the projections onto a population.

        Examples
        --------
        >>> import brainsnn as bs
        >>> graph = bs.read_keras(bs.load_model("digits"))
        >>> [(p.source, p.operator.kind) for p in graph.incoming("readout")]
        [('dense1_asn', 'ConvOperator')]
        """
        return [p for p in self.projections if p.target == name]

    def outgoing(self, name: str) -> list[Projection]:
        """
        Return the projections from a population.

        Examples
        --------
        >>> import brainsnn as bs
        >>> graph = bs.read_keras(bs.load_model("digits"))
        >>> [p.target for p in graph.outgoing(graph.input.name)]
        ['encoding_asn']
        """
        return [p for p in self.projections if p.source == name]

    def by_target(self) -> dict[str, list[Projection]]:
        """
        Return the projections onto each population, found in one pass.

        Examples
        --------
        >>> import brainsnn as bs
        >>> graph = bs.read_keras(bs.load_model("digits"))
        >>> {name: len(found) for name, found in graph.by_target().items()}
        {'pixels': 0, 'encoding_asn': 1, 'conv1_asn': 1, 'conv2_asn': 1, 'dense1_asn': 1, 'readout': 1}
        """
        return self._by_end("target")

    def by_source(self) -> dict[str, list[Projection]]:
        """
        Return the projections from each population, found in one pass.

        Examples
        --------
        >>> import brainsnn as bs
        >>> graph = bs.read_keras(bs.load_model("digits"))
        >>> {name: len(found) for name, found in graph.by_source().items()}
        {'pixels': 1, 'encoding_asn': 1, 'conv1_asn': 1, 'conv2_asn': 1, 'dense1_asn': 1, 'readout': 0}
        """
        return self._by_end("source")

    def _by_end(self, end: str) -> dict[str, list[Projection]]:
        found: dict[str, list[Projection]] = {name: [] for name in self.populations}
        for projection in self.projections:
            found.setdefault(getattr(projection, end), []).append(projection)
        return found

    def population(self, name: str) -> Population:
        """
        Return a population by its name, or by the name of a layer folded into it.

        Parameters
        ----------
        name : str
            Name of a population, or of a layer that is part of exactly one population.

        Returns
        -------
        Population

        Raises
        ------
        UnknownNameError
            If there is none or more than one. The message suggests the nearest name.

        Examples
        --------
        >>> import brainsnn as bs
        >>> graph = bs.read_keras(bs.load_model("digits"))
        >>> graph.population("conv2").name, graph.population("conv2").size
        ('conv2_asn', 6272)
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

        Examples
        --------
        >>> import brainsnn as bs
        >>> from brainsnn.stimuli import load_digits
        >>> images, labels = load_digits("test")
        >>> graph = bs.read_keras(bs.load_model("digits"))
        >>> values = graph.activations(images[:3])
        >>> values["conv2_asn"].shape, values["readout"].argmax(axis=-1).ravel(), labels[:3]
        ((3, 14, 14, 32), array([4, 4, 2]), array([4, 4, 2]))
        """
        return {population.name: activation for population, _, activation in self.evaluated(images)}

    def evaluated(
        self, images: ArrayLike, dtype: DTypeLike = float
    ) -> Iterator[tuple[Population, np.ndarray, np.ndarray]]:
        """
        Evaluate the graph as `activations` does, one population after the other, and keep only what is still read.

        Parameters
        ----------
        images : (n, H, W, C) array_like
        dtype : dtype_like, optional

        Yields
        ------
        population : Population
        potential, activation : (n, H, W, C) ndarray
            Its input with the bias, and its output.

        Examples
        --------
        >>> import brainsnn as bs
        >>> from brainsnn.stimuli import load_digits
        >>> graph = bs.read_keras(bs.load_model("digits"))
        >>> for population, potential, activation in graph.evaluated(load_digits("test")[0][:3]):
        ...     print(population.name, bool(activation.max() > 0.1))
        pixels True
        encoding_asn True
        conv1_asn True
        conv2_asn True
        dense1_asn True
        readout True
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
        images = images.astype(dtype, copy=False).reshape(len(images), *self.input.shape)
        values: dict[str, tuple[np.ndarray, np.ndarray]] = {}
        incoming, left = self.by_target(), Counter(p.source for p in self.projections)
        for name, population in self.populations.items():
            total = images if population.kind == "input" else np.zeros((len(images), *population.shape), images.dtype)
            for projection in incoming[name]:
                read = values[projection.source][0 if projection.mode == "membrane" else 1]
                total += projection.operator.apply(read.reshape(len(images), -1)).reshape(total.shape)
                left[projection.source] -= 1
                if not left[projection.source]:
                    del values[projection.source]
            if population.kind != "input":
                total += population.bias
            activation = total if population.kind == "input" else population.transfer(total)
            if left[name]:
                values[name] = total, activation
            yield population, total, activation

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

        Examples
        --------
        >>> import brainsnn as bs
        >>> from brainsnn.training import asn_resnet
        >>> graph = bs.read_keras(asn_resnet(18, "pre_activation", 10, (16, 16, 3), width=4))
        >>> [p.kind for p in graph.populations.values()].count("junction")
        5
        >>> [p.kind for p in graph.expand_junctions().populations.values()].count("junction")
        0
        """
        return without_junctions(self, readers)

    def __repr__(self) -> str:
        return one_line(self, f"{self.name!r}, {len(self.populations)} populations, {', '.join(self.populations)}")

    def __str__(self) -> str:
        from brainsnn.builders.graph.summary import layer_table

        return layer_table(self)

    def _repr_html_(self) -> str:
        from brainsnn.builders.graph.summary import layer_html

        return layer_html(self)
