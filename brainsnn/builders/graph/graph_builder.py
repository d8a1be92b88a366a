"""Build a LayerGraph from the calls of a network: cut it at nonlinearities, junctions and pooling."""

from dataclasses import replace

import numpy as np

from brainsnn.builders.graph.affine import AffineMap, Term, reduce_bias
from brainsnn.builders.graph.junctions import merge_projections
from brainsnn.builders.graph.layer_graph import LayerGraph
from brainsnn.builders.graph.nested_pooling import join_maxima
from brainsnn.builders.graph.parts import Population, Projection
from brainsnn.builders.graph.pixels import gain_after, unit_of_pixels
from brainsnn.builders.graph.pooling import Pooling
from brainsnn.builders.graph.shared_weights import share_weights
from brainsnn.builders.operators.composition import LARGE_KERNEL, compose, compose_sparse, composed_size
from brainsnn.builders.operators.pooling import OperatorChain
from brainsnn.builders.operators.scaling import diagonal, identity, scale
from brainsnn.errors import ConversionError

__all__ = ["GraphBuilder"]


class GraphBuilder(Pooling):
    """
    Collect populations and projections while a reader walks the graph of a trained network.

    Parameters
    ----------
    average_pooling : {"spikes", "membrane"}
    junctions : bool
        Whether to insert a graded population where several layers read a stream, or where a chain does not compose.
    spiking : frozenset of str
        Calls whose output is that of spiking neurons although it is linear or a leaky ReLU.
    """

    def __init__(self, average_pooling, junctions, spiking=frozenset()):
        self.average_pooling = average_pooling
        self.junctions = junctions
        self.spiking = spiking
        self.pixel_unit = 1.0
        super().__init__()

    def _unique(self, name, suffix):
        """Return `name`, with suffixes added until no population has it."""
        while name in self.populations:
            name += suffix
        return name

    def _output(self, name, mode="spikes", bias=None, shape=None):
        """Return the output of a population as an affine map."""
        shape = shape or self.populations[name].shape
        return AffineMap(shape, (Term(name, mode, identity(shape)),), bias, name)

    def _add(self, affine, name, kind, bias, **attributes):
        """Add a population that an affine map drives."""
        if affine.reads_membrane and len(affine.terms) > 1:
            affine = self.with_pooled_currents(affine, name)
        layers = (*affine.layers, *attributes.pop("own", ()))
        self.populations[name] = Population(
            name,
            kind,
            affine.shape,
            bias=reduce_bias(bias, affine.shape),
            layers=tuple(dict.fromkeys(layers)),
            **attributes,
        )
        self.projections += merge_projections([Projection(t.source, name, t.operator, t.mode) for t in affine.terms])

    def input(self, label, shape, tensor_shape):
        """Add the input population and return its output, in a shape of the same size."""
        self.populations[label] = Population(label, "input", tuple(shape), layers=(label,), keras_layer=label)
        return replace(self._output(label, shape=tuple(tensor_shape)), gain=1.0)

    def apply(self, affine, operator, label, bias=None):
        """
        Apply a linear layer to an affine map.

        Parameters
        ----------
        affine : AffineMap
        operator : ConvOperator or SparseOperator
        label : str
        bias : (C,) array_like, optional
            Bias of the layer.

        Returns
        -------
        AffineMap
        """
        terms, gain = [self._composed(term, operator) for term in affine.terms], gain_after(affine.gain, operator)
        if None in terms:
            affine = self.junction(affine)
            terms = [self._composed(term, operator) for term in affine.terms]
        total = None if affine.bias is None else operator.transfer(affine.bias)
        if bias is not None and np.any(bias):
            bias = np.broadcast_to(np.asarray(bias, dtype=float), operator.output_shape)
            total = bias if total is None else total + bias
        self._note_pixels(gain, total)
        return affine.relabel(label, shape=operator.output_shape, terms=tuple(terms), bias=total, gain=gain)

    def _note_pixels(self, gain, bias):
        """Note the size of pixels that a gain and a bias expect."""
        self.pixel_unit = max(self.pixel_unit, unit_of_pixels(gain, bias))

    def _composed(self, term, operator):
        """Return the term followed by an operator, or None where a graded stage is needed."""
        if term.mode == "membrane":
            *first, last = getattr(term.operator, "operators", (term.operator,))
            composed = compose(operator, last)
            chain = (*first, last, operator) if composed is None else (*first, composed)
            return replace(term, operator=chain[0] if len(chain) == 1 else OperatorChain(chain))
        large = composed_size(operator, term.operator)
        # A graded stage is cheaper than a composed kernel that is large, and larger than four times its parts.
        small = 4 * (operator.n_weights + term.operator.n_weights)
        composed = None
        # Composing with a scale adds no weights; without junctions there is no alternative.
        if large <= max(LARGE_KERNEL, small) or term.operator.is_channelwise or not self.junctions:
            composed = compose(operator, term.operator)
        if composed is None:
            return None if self.junctions else replace(term, operator=compose_sparse(operator, term.operator))
        return replace(term, operator=composed)

    def add(self, maps, factors, label):
        """Return the weighted sum of affine maps of equal shape."""
        maps = [f if k == 1 else self.apply(f, scale(k, f.shape), f.label) for f, k in zip(maps, factors)]
        biases = [f.bias for f in maps if f.bias is not None]
        layers = tuple(dict.fromkeys(name for f in maps for name in f.layers))
        terms = tuple(term for f in maps for term in f.terms)
        bias, gains = sum(biases) if biases else None, [f.gain for f in maps]
        gain = None if None in gains else max(gains)
        self._note_pixels(gain, bias)
        return AffineMap(maps[0].shape, terms, bias, label, (*layers, label), gain=gain)

    def junction(self, affine):
        """Add a graded population for the terms of a map; return its output with the bias of the map."""
        name = self._unique(affine.label, "_current")
        self._add(affine, name, "junction", None)
        return self._output(name, mode="current", bias=affine.bias)

    def shared(self, affine):
        """Return the map for several readers: through a junction where that is cheaper than reading it repeatedly."""
        only_pooled = affine.reads_membrane and len(affine.terms) == 1
        if not self.junctions or affine.is_channelwise or only_pooled or affine.activation:
            return affine
        return self.junction(affine)

    def spike(self, affine, label, activation, **transfer):
        """Add the spiking population of a nonlinearity, with the arguments of its transfer function, and return its output."""
        name = self._unique(label, "_spikes")
        attributes = {"activation": activation, "keras_layer": label, **transfer}
        self._add(affine, name, "spiking", affine.bias, own=(label,), **attributes)
        return self._output(name)

    def rectify(self, affine, label, max_value=None, negative_slope=0.0):
        """
        Return a piecewise linear function as a sum of rectified populations, which is exact for every neuron model.

        ``relu(x) - relu(x - max_value) - negative_slope*relu(-x)``: further populations are named ``label_above`` and
        ``label_below``.

        Parameters
        ----------
        affine : AffineMap
        label : str
        max_value : float, optional
            Ceiling of the function, greater than 0; None for no ceiling.
        negative_slope : float or (H, W, C) array_like
            Slope below 0, any shape that broadcasts to (H, W, C).

        Returns
        -------
        AffineMap
        """
        sloped = bool(np.any(negative_slope)) and label not in self.spiking
        if max_value is None and not sloped:
            return self.spike(affine, label, "relu")
        affine = self.shared(affine)  # several populations read it
        parts, factors = [self.spike(affine, label, "relu")], [1]
        if max_value is not None:
            shift = np.full(affine.shape, -float(max_value))
            above = replace(affine, bias=shift if affine.bias is None else affine.bias + shift)
            parts.append(self.spike(above, f"{label}_above", "relu"))
            factors.append(-1)
        if sloped:
            below = self.spike(self.apply(affine, scale(-1, affine.shape), label), f"{label}_below", "relu")
            slope = np.broadcast_to(np.asarray(negative_slope, dtype=float), affine.shape)
            parts.append(self.apply(below, diagonal(slope, affine.shape), label))
            factors.append(-1)
        for part in parts:  # no population alone has the output of the layer
            self.populations[part.terms[0].source].keras_layer = None
        return self.add([replace(part, layers=()) for part in parts], factors, label)

    def readout(self, affine):
        """Add a readout for an output of the model."""
        activation, label = affine.activation or ("linear", affine.label)
        if activation == "softmax" and affine.n_together != affine.shape[2]:
            raise ConversionError(
                f"'{affine.label}' changes the last axis, over which the softmax of layer '{label}' is taken, from "
                f"{affine.n_together} values to {affine.shape[2]}. End the model at the softmax, or put '{affine.label}' "
                "before it to take the softmax over its last axis."
            )
        name = self._unique(label + "_readout" if label in self.populations else label, "_2")
        self._add(affine, name, "readout", affine.bias, activation=activation, keras_layer=label)

    def finish(self, rows, name):
        """Return the graph, with membranes in place of nonlinearities that only pooling layers read, and equal weights once."""
        self.settle_pooled()
        self.populations, self.projections = join_maxima(self.populations, self.projections)
        self.settle_nested()
        share_weights(self.projections)
        return LayerGraph(self.populations, self.projections, rows, name, pixel_unit=self.pixel_unit)
