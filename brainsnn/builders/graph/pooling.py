"""Pooling while a graph is built: over membranes before they spike, over membranes of linear maps, over currents."""

from collections import defaultdict
from dataclasses import replace

import numpy as np

from brainsnn.builders.graph.affine import AffineMap, Term, is_uniform
from brainsnn.builders.graph.parts import Population, Projection
from brainsnn.builders.operators.composition import compose
from brainsnn.builders.operators.linear import ConvOperator
from brainsnn.builders.operators.placement import channel_embed
from brainsnn.builders.operators.pooling import MaxPool
from brainsnn.builders.operators.scaling import identity, scale
from brainsnn.errors import ConversionError

__all__ = ["Pooling"]


class Pooling:
    """Mixin of `~brainsnn.builders.graph.graph_builder.GraphBuilder` for maximum and membrane pooling."""

    def __init__(self):
        self.populations = {}
        self.projections = []
        self._pooled = {}  # nonlinearity -> names of the populations that pool its membrane
        self._pooled_currents = {}  # (membrane, id of a maximum) -> junction that holds it, the maximum

    def max_pool(self, affine, operator, label):
        """
        Return the maximum over windows of an affine map.

        After a nonlinearity, the maximum is taken over its membrane potentials and the pooled population spikes,
        which is equal because a monotonic nonlinearity commutes with the maximum. Elsewhere the map itself becomes
        a membrane population. The parts of a concatenation are pooled one by one.
        """
        parts = self._concatenated(affine)
        if len(parts) > 1:
            return self._pooled_parts(affine, parts, operator, label)
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

    def _pooled_parts(self, affine, parts, operator, label):
        """Return the maxima of the parts of a concatenation, concatenated."""
        total, pooled = operator.output_shape[2], []
        for k, (part, first) in enumerate(parts, start=1):
            own = MaxPool(
                part.shape,
                (*operator.output_shape[:2], part.shape[2]),
                operator.pool,
                operator.stride,
                operator.pad_before,
            )
            found = self.max_pool(part, own, f"{label}_part{k}")
            pooled.append(self.apply(found, channel_embed(own.output_shape, first, total), label))
        return replace(self.add([replace(p, layers=()) for p in pooled], [1] * len(pooled), label), layers=(label,))

    def _concatenated(self, affine):
        """Return the parts of a concatenation along the channels, each with its first channel; one part for other maps."""
        ranges = []
        for term in affine.terms:
            op = term.operator
            if not isinstance(op, ConvOperator) or op.output_shape != affine.shape:
                return [(affine, 0)]
            ranges.append((int(op.channel_start.min()), int(op.channel_start.max()) + op.kernel.shape[3]))
        edges = sorted({0, affine.shape[2], *(n for pair in ranges for n in pair)})
        cuts = [n for n in edges if not any(first < n < last for first, last in ranges)]
        if len(cuts) == 2:
            return [(affine, 0)]
        parts = []
        for first, last in zip(cuts, cuts[1:]):
            shape = (*affine.shape[:2], last - first)
            terms = tuple(
                replace(t, operator=replace(t.operator, output_shape=shape, channel_start=t.operator.channel_start - first))
                for t, (low, high) in zip(affine.terms, ranges) if first <= low and high <= last
            )  # fmt: skip
            bias = None if affine.bias is None else affine.bias[..., first:last]
            parts.append((replace(affine, shape=shape, terms=terms, bias=bias), first))
        return parts if all(part.terms for part, _ in parts) else [(affine, 0)]

    def with_pooled_currents(self, affine, reader):
        """
        Return a map of several terms in which maxima over membranes are maxima over currents, to which others can be added.

        Parameters
        ----------
        affine : AffineMap
        reader : str
            Name of the population that reads it, for the error.

        Returns
        -------
        AffineMap
            Its maxima are junctions: of the filtered current that the membrane would integrate, and of a bias that differs
            between the positions of a window.

        Raises
        ------
        ConversionError
            If the builder makes no junctions.
        """
        terms = (self._pooled_current(term, reader) if term.mode == "membrane" else term for term in affine.terms)
        return replace(affine, terms=tuple(terms))

    def _pooled_current(self, term, reader):
        membrane = self.populations[term.source]
        pool, *rest = getattr(term.operator, "operators", (term.operator,))
        if not self.junctions:
            raise ConversionError(
                f"'{reader}' reads a maximum over values of '{membrane.name}' that can be negative, together with other values "
                "or to be pooled itself, and a neuron model without a linear synaptic filter, such as IF, has no current of "
                "which a maximum could be taken. Train with a nonlinearity (ReLU, ASNTransfer) before or after the pooling "
                "layer, or convert with ASN()."
            )
        key = membrane.name, id(pool)
        if key not in self._pooled_currents:
            current = self._unique(membrane.name + "_current", "_2")
            terms = [Term(p.source, p.mode, p.operator) for p in self.projections if p.target == membrane.name]
            terms = [self._pooled_current(term, reader) if term.mode == "membrane" else term for term in terms]
            self.populations[current] = replace(membrane, name=current, kind="junction", keras_layer=None)
            self.projections += [Projection(term.source, current, term.operator, term.mode) for term in terms]
            maximum = self._unique(membrane.name + "_maximum", "_2")
            self.populations[maximum] = Population(maximum, "junction", pool.output_shape)
            self.projections.append(Projection(current, maximum, pool, "current"))
            self._pooled_currents[key] = maximum, pool  # the pool is kept, so that its id stays its own
        affine = AffineMap(
            pool.output_shape,
            (Term(self._pooled_currents[key][0], "current", identity(pool.output_shape)),),
            None,
            reader,
        )
        for operator in rest:
            affine = self.apply(affine, operator, reader)
        return affine.terms[0]

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

    def settle_pooled(self):
        """Put membranes in place of nonlinearities that only pooling layers read."""
        # One at a time: a pooled nonlinearity may be renamed by the step before.
        while self._pooled:
            source = next(iter(self._pooled))
            pooled = self._pooled.pop(source)
            if all(p.mode == "membrane" for p in self.projections if p.source == source):
                self._only_pooled(source, pooled)
            else:
                self._with_twin(source, pooled)
        self._drop_unread_membranes()
        incoming, outgoing = defaultdict(list), defaultdict(list)
        for p in self.projections:
            incoming[p.target].append(p)
            outgoing[p.source].append(p)
        for projection in self.projections:
            if len(outgoing[projection.source]) == 1:
                self._scale_before_maximum(projection, incoming[projection.source])

    def settle_nested(self):
        """Put maxima over currents in place of maxima over membranes that another membrane reads."""
        kinds = {name: population.kind for name, population in self.populations.items()}
        for k, p in list(enumerate(self.projections)):
            if p.mode == kinds[p.source] == kinds[p.target] == "membrane":
                before = dict(self.populations)
                term = self._pooled_current(Term(p.source, p.mode, p.operator), p.target)
                self.projections[k] = Projection(term.source, p.target, term.operator, term.mode)
                new = {name: each for name, each in self.populations.items() if name not in before}
                names = list(before)
                at = names.index(p.target)  # populations stand in the order in which activity reaches them
                self.populations = {n: {**before, **new}[n] for n in (*names[:at], *new, *names[at:])}
        self._drop_unread_membranes()

    def _drop_unread_membranes(self):
        """Remove membranes whose maximum is read as a current instead."""
        while unread := {n for n, p in self.populations.items() if p.kind == "membrane"} - {
            p.source for p in self.projections
        }:
            self.populations = {name: p for name, p in self.populations.items() if name not in unread}
            self.projections = [p for p in self.projections if p.target not in unread]

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
