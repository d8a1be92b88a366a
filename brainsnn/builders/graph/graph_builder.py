"""Build a LayerGraph from the calls of a network: cut it at nonlinearities, junctions and pooling."""

from dataclasses import replace

import numpy as np

from brainsnn.builders.graph.affine import AffineMap, Term, is_uniform, reduce_bias
from brainsnn.builders.graph.layer_graph import LayerGraph, Population, Projection
from brainsnn.builders.graph.merging import merge_projections
from brainsnn.builders.operators.composition import LARGE_KERNEL, compose, compose_sparse, composed_size
from brainsnn.builders.operators.layers import diagonal, identity, scale
from brainsnn.builders.operators.linear import ConvOperator
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain
from brainsnn.errors import ConversionError

__all__ = ["GraphBuilder"]


class GraphBuilder:
    """
    Collect populations and projections while a reader walks the graph of a trained network.

    Parameters
    ----------
    average_pooling : {"spikes", "membrane"}
    junctions : bool
        Whether to insert a graded population where several layers read a stream, or where a chain does not compose.
    """

    def __init__(self, average_pooling, junctions):
        self.average_pooling = average_pooling
        self.junctions = junctions
        self.populations = {}
        self.projections = []
        self._pooled = {}  # nonlinearity -> names of the populations that pool its membrane

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
            sources = " and ".join(dict.fromkeys(term.source for term in affine.terms))
            raise ConversionError(
                f"'{name}' reads a max-pooled tensor together with another tensor, added or concatenated (it reads "
                f"{sources}). A maximum is taken over potentials, and a population that reads it has no other input. Train "
                f"with a nonlinearity (ReLU, ASNTransfer) after each pooling layer."
            )
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
        return self._output(label, shape=tuple(tensor_shape))

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
        terms = [self._composed(term, operator) for term in affine.terms]
        if None in terms:
            affine = self.junction(affine)
            terms = [self._composed(term, operator) for term in affine.terms]
        total = None if affine.bias is None else operator.transfer(affine.bias)
        if bias is not None and np.any(bias):
            bias = np.broadcast_to(np.asarray(bias, dtype=float), operator.output_shape)
            total = bias if total is None else total + bias
        return affine.relabel(label, shape=operator.output_shape, terms=tuple(terms), bias=total)

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
        return AffineMap(maps[0].shape, terms, sum(biases) if biases else None, label, (*layers, label))

    def junction(self, affine):
        """Add a graded population for the terms of a map; return its output with the bias of the map."""
        name = self._unique(affine.label, "_current")
        self._add(affine, name, "junction", None)
        return self._output(name, mode="current", bias=affine.bias)

    def shared(self, affine):
        """Return the map for several readers: through a junction where that is cheaper than reading it repeatedly."""
        if not self.junctions or affine.is_channelwise or affine.reads_membrane or affine.activation:
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
        sloped = bool(np.any(negative_slope))
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

    def max_pool(self, affine, operator, label):
        """
        Return the maximum over windows of an affine map.

        After a nonlinearity, the maximum is taken over its membrane potentials and the pooled population spikes,
        which is equal because a monotonic nonlinearity commutes with the maximum. Elsewhere the map itself becomes
        a membrane population.
        """
        uniform = is_uniform(affine.bias)
        bias = None
        if uniform and affine.bias is not None:
            bias = np.broadcast_to(affine.bias[:1, :1], operator.output_shape)
        pooled = self._pool_before_spikes(affine, operator)
        if pooled is not None:
            factor = affine.terms[0].operator.kernel[0, 0, :, 0]
            result = self._pooled_population(affine, pooled, label)
            return self._scaled(result, factor, bias)
        name = self._unique(affine.label, "_membrane")
        self._add(affine, name, "membrane", None if uniform else affine.bias)
        return AffineMap(operator.output_shape, (Term(name, "membrane", operator),), bias, label, (label,))

    def _scaled(self, affine, factor, bias):
        """Return the map times one number per channel, plus a bias, under the same label."""
        if bias is None and np.all(factor == 1):
            return affine
        term = replace(affine.terms[0], operator=scale(factor, affine.shape))
        return replace(affine, terms=(term,), bias=bias)

    def _pool_before_spikes(self, affine, pool):
        """Return a `MaxPool` on the membrane of the nonlinearity that the map scales and pads, None for other maps."""
        term = affine.terms[0]
        op, source = term.operator, self.populations[term.source]
        if (
            len(affine.terms) > 1
            or term.mode != "spikes"
            or source.kind != "spiking"
            or not isinstance(op, ConvOperator)
        ):
            return None
        one_to_one = (
            op.kernel.shape[:2] + op.kernel.shape[3:] == (1, 1, 1)
            and op.stride == op.input_dilation == (1, 1)
            and op.input_shape == source.shape
            and op.output_shape == affine.shape
            and op.input_shape[2] == op.output_shape[2]
            and np.array_equal(op.channel_start, np.arange(op.input_shape[2]))
        )
        if not one_to_one or np.any(op.kernel <= 0) or not is_uniform(affine.bias):
            return None
        # Zero padding cannot change a maximum of values >= 0. With a bias or a crop on top it can.
        shift = (int(op.row_taps[0]), int(op.col_taps[0]))
        padded = shift != (0, 0) or op.input_shape != op.output_shape
        inside = all(t <= 0 and n + t >= m for t, n, m in zip(shift, op.output_shape, op.input_shape))
        if padded and (affine.bias is not None or not inside):
            return None
        before = tuple(b - t for b, t in zip(pool.pad_before, shift))
        try:
            return MaxPool(op.input_shape, pool.output_shape, pool.pool, pool.stride, before)
        except ValueError:  # a window that holds padding only
            return None

    def average_membrane(self, affine, operator, label):
        """Return the average of a nonlinearity, taken on its membrane; None if another operator comes in between."""
        source = self.populations[affine.terms[0].source]
        if self.average_pooling != "membrane" or not affine.is_population or source.kind != "spiking":
            return None
        return self._pooled_population(affine, operator, label)

    def _pooled_population(self, affine, operator, label):
        """Add a spiking population that pools the membrane of the map's only source."""
        source = self.populations[affine.terms[0].source]
        name = self._unique(label, "_pooled")
        unscaled = affine.bias is None and np.all(affine.terms[0].operator.kernel == 1)
        self.populations[name] = replace(
            source, name=name, shape=operator.output_shape, bias=None, layers=(*affine.layers, label),
            keras_layer=label if unscaled else None,
        )  # fmt: skip
        self.projections.append(Projection(source.name, name, operator, "membrane"))
        self._pooled.setdefault(source.name, []).append(name)
        return self._output(name)

    def finish(self, rows, name):
        """Return the graph, with membranes in place of nonlinearities that only pooling layers read."""
        # One at a time: a pooled nonlinearity may be renamed by the step before.
        while self._pooled:
            source = next(iter(self._pooled))
            pooled = self._pooled.pop(source)
            if all(p.mode == "membrane" for p in self.projections if p.source == source):
                self._only_pooled(source, pooled)
            else:
                self._with_twin(source, pooled)
        graph = LayerGraph(self.populations, self.projections, rows, name)
        incoming, outgoing = graph.by_target(), graph.by_source()
        for projection in self.projections:
            if len(outgoing[projection.source]) == 1:
                self._scale_before_maximum(projection, incoming[projection.source])
        return graph

    def _only_pooled(self, source, pooled):
        """Turn a nonlinearity into a membrane; a single population that pools it takes its name."""
        membrane = self.populations[source]
        self._make_membrane(membrane, pooled)
        if len(pooled) == 1:
            spiking = self.populations[pooled[0]]
            spiking.layers, membrane.layers = tuple(dict.fromkeys((*membrane.layers, *spiking.layers))), ()
            self._rename({source: self._unique(source + "_membrane", "_2"), spiking.name: source})

    def _with_twin(self, source, pooled):
        """Add a copy without spikes of a nonlinearity that others read, for pooling: resets must not affect the maximum."""
        twin = replace(self.populations[source], name=self._unique(source + "_membrane", "_2"), layers=())
        self._make_membrane(twin, pooled)
        self.projections += [replace(p, target=twin.name) for p in self.projections if p.target == source]
        for projection in self.projections:
            if projection.source == source and projection.target in pooled:
                projection.source = twin.name
        pairs = [(twin.name, twin) if name == source else None for name in self.populations]
        order = [item for pair in zip(self.populations.items(), pairs) for item in pair if item]
        self.populations = dict(order)

    def _make_membrane(self, population, pooled):
        """Make a population a membrane, and move a bias that is equal everywhere to the pooled populations."""
        population.kind, population.activation, population.m_f, population.keras_layer = "membrane", None, None, None
        if is_uniform(population.bias):
            for name in pooled:
                self.populations[name].bias = population.bias.copy()
            population.bias = np.zeros((1, 1, population.shape[2]))

    def _rename(self, names):
        """Rename populations and keep their order."""
        for population in self.populations.values():
            population.name = names.get(population.name, population.name)
        self.populations = {population.name: population for population in self.populations.values()}
        self._pooled = {names.get(s, s): [names.get(p, p) for p in pooled] for s, pooled in self._pooled.items()}
        for projection in self.projections:
            projection.source = names.get(projection.source, projection.source)
            projection.target = names.get(projection.target, projection.target)

    def _scale_before_maximum(self, projection, incoming):
        """Move a positive scale from the output of a maximum to its input, where it composes with these projections."""
        parts = getattr(projection.operator, "operators", ())
        membrane = self.populations[projection.source]
        if len(parts) != 2 or not isinstance(parts[0], MaxPool) or not parts[1].is_scale:
            return
        if parts[1].input_shape != parts[0].output_shape:  # after Flatten each pooled value has a factor of its own
            return
        factor = parts[1].kernel[0, 0, :, 0]
        if membrane.kind != "membrane" or np.any(factor <= 0) or any(p.mode == "membrane" for p in incoming):
            return
        scaled = [compose(scale(factor, membrane.shape), p.operator) for p in incoming]
        if None in scaled:
            return
        for p, operator in zip(incoming, scaled):
            p.operator = operator
        membrane.bias = membrane.bias * factor
        projection.operator = parts[0]
