"""Populations and projections from linear forms: where nonlinearities, junctions and pooling cut a Keras graph."""

from dataclasses import replace

import numpy as np

from brainsnn.builders.from_keras.affine import AffineMap, Term, is_uniform, reduce_bias
from brainsnn.builders.graph.layer_graph import LayerGraph, Population, Projection, merge_projections
from brainsnn.builders.operators.composition import compose, compose_sparse, composed_size
from brainsnn.builders.operators.layers import identity, scale
from brainsnn.builders.operators.linear import ConvOperator
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain
from brainsnn.errors import ConversionError

__all__ = ["GraphBuilder"]

# A composed kernel with more weights than this, and four times those of its parts, costs more than a graded stage.
LARGE_KERNEL = 2**22


class GraphBuilder:
    """
    Collects populations and projections while a Keras graph is walked.

    Parameters
    ----------
    average_pooling : {"spikes", "membrane"}
    junctions : bool
        Whether a stream that several layers read, or a chain that does not compose, gets a graded stage.
    """

    def __init__(self, average_pooling, junctions):
        self.average_pooling = average_pooling
        self.junctions = junctions
        self.populations = {}
        self.projections = []
        self._pooled = {}  # nonlinearity -> names of the populations that pool its membrane

    def _unique(self, name, suffix):
        """`name`, or with a suffix if there is a population of that name."""
        while name in self.populations:
            name += suffix
        return name

    def _output(self, name, mode="spikes", bias=None, shape=None):
        """Form that is a population."""
        shape = shape or self.populations[name].shape
        return AffineMap(shape, (Term(name, mode, identity(shape)),), bias, name)

    def _add(self, form, name, kind, bias, **attributes):
        """A population whose input is a form."""
        if form.reads_membrane and len(form.terms) > 1:
            sources = " and ".join(dict.fromkeys(term.source for term in form.terms))
            raise ConversionError(
                f"'{name}' adds a max-pooled tensor to something else (it reads {sources}); a maximum is read as a "
                f"potential, the rest as spikes. Put a nonlinearity (ReLU, ASNTransfer) behind the pooling layer."
            )
        layers = (*form.layers, *attributes.pop("own", ()))
        self.populations[name] = Population(
            name,
            kind,
            form.shape,
            bias=reduce_bias(bias, form.shape),
            layers=tuple(dict.fromkeys(layers)),
            **attributes,
        )
        self.projections += merge_projections([Projection(t.source, name, t.operator, t.mode) for t in form.terms])

    def input(self, label, shape, form_shape):
        """The input population, as a form of another shape of the same size."""
        self.populations[label] = Population(label, "input", tuple(shape), layers=(label,), keras_layer=label)
        return self._output(label, shape=tuple(form_shape))

    def apply(self, form, operator, label, bias=None):
        """
        A linear layer behind a form.

        Parameters
        ----------
        form : AffineMap
        operator : ConvOperator or SparseOperator
        label : str
        bias : (C,) array_like, optional
            Bias of the layer.

        Returns
        -------
        AffineMap
        """
        terms = [self._composed(term, operator) for term in form.terms]
        if None in terms:
            form = self.junction(form)
            terms = [self._composed(term, operator) for term in form.terms]
        total = None if form.bias is None else operator.transfer(form.bias)
        if bias is not None and np.any(bias):
            bias = np.broadcast_to(np.asarray(bias, dtype=float), operator.output_shape)
            total = bias if total is None else total + bias
        return form.relabel(label, shape=operator.output_shape, terms=tuple(terms), bias=total)

    def _composed(self, term, operator):
        """Term with one more operator, or None where a graded stage is needed."""
        if term.mode == "membrane":
            *first, last = getattr(term.operator, "operators", (term.operator,))
            composed = compose(operator, last)
            chain = (*first, last, operator) if composed is None else (*first, composed)
            return replace(term, operator=chain[0] if len(chain) == 1 else OperatorChain(chain))
        large = composed_size(operator, term.operator)
        small = 4 * (operator.n_weights + term.operator.n_weights)
        composed = None
        # Behind a scale nothing grows, and without junctions there is no choice.
        if large <= max(LARGE_KERNEL, small) or term.operator.is_channelwise or not self.junctions:
            composed = compose(operator, term.operator)
        if composed is None:
            return None if self.junctions else replace(term, operator=compose_sparse(operator, term.operator))
        return replace(term, operator=composed)

    def add(self, forms, factors, label):
        """Weighted sum of forms of equal shape."""
        forms = [f if k == 1 else self.apply(f, scale(k, f.shape), f.label) for f, k in zip(forms, factors)]
        biases = [f.bias for f in forms if f.bias is not None]
        layers = tuple(dict.fromkeys(name for f in forms for name in f.layers))
        terms = tuple(term for f in forms for term in f.terms)
        return AffineMap(forms[0].shape, terms, sum(biases) if biases else None, label, (*layers, label))

    def junction(self, form):
        """The form as a graded population; its bias travels on."""
        name = self._unique(form.label, "_current")
        self._add(form, name, "junction", None)
        return self._output(name, mode="current", bias=form.bias)

    def shared(self, form):
        """The form for several readers: a junction where reading it twice would cost more than holding it."""
        if not self.junctions or form.is_channelwise or form.reads_membrane or form.activation:
            return form
        return self.junction(form)

    def spike(self, form, label, activation, m_f=None, threshold=0.0):
        """A nonlinearity: a spiking population."""
        name = self._unique(label, "_spikes")
        attributes = {"activation": activation, "m_f": m_f, "threshold": threshold, "keras_layer": label}
        self._add(form, name, "spiking", form.bias, own=(label,), **attributes)
        return self._output(name)

    def readout(self, form):
        """A readout of a form that is an output of the model."""
        activation, label = form.activation or ("linear", form.label)
        name = self._unique(label + "_readout" if label in self.populations else label, "_2")
        self._add(form, name, "readout", form.bias, activation=activation, keras_layer=label)

    def max_pool(self, form, operator, label):
        """
        A maximum behind a form.

        Behind a nonlinearity, maximum and nonlinearity commute: the pooled population spikes and the nonlinearity
        gives only its membrane. Elsewhere the tensor becomes a membrane.
        """
        uniform = is_uniform(form.bias)
        bias = None
        if uniform and form.bias is not None:
            bias = np.broadcast_to(form.bias[:1, :1], operator.output_shape)
        pooled = self._pool_before_spikes(form, operator)
        if pooled is not None:
            factor = form.terms[0].operator.kernel[0, 0, :, 0]
            result = self._pooled_population(form, pooled, label)
            return self._affine(result, factor, bias)
        name = self._unique(form.label, "_membrane")
        self._add(form, name, "membrane", None if uniform else form.bias)
        return AffineMap(operator.output_shape, (Term(name, "membrane", operator),), bias, label, (label,))

    def _affine(self, form, factor, bias):
        """A form times one number for each channel, plus a bias; no layer of its own."""
        if bias is None and np.all(factor == 1):
            return form
        term = replace(form.terms[0], operator=scale(factor, form.shape))
        return replace(form, terms=(term,), bias=bias)

    def _pool_before_spikes(self, form, pool):
        """`MaxPool` on the membrane of the nonlinearity that the form scales and pads, None for any other form."""
        term = form.terms[0]
        op, source = term.operator, self.populations[term.source]
        if len(form.terms) > 1 or term.mode != "spikes" or source.kind != "spiking" or not isinstance(op, ConvOperator):
            return None
        one_to_one = (
            op.kernel.shape[:2] + op.kernel.shape[3:] == (1, 1, 1)
            and op.stride == op.input_dilation == (1, 1)
            and op.input_shape == source.shape
            and op.output_shape == form.shape
            and op.input_shape[2] == op.output_shape[2]
            and np.array_equal(op.channel_start, np.arange(op.input_shape[2]))
        )
        if not one_to_one or np.any(op.kernel <= 0) or not is_uniform(form.bias):
            return None
        # Padding with zeros is no pixel for a maximum of values >= 0; a bias on top, or a crop, would show.
        shift = (int(op.row_taps[0]), int(op.col_taps[0]))
        padded = shift != (0, 0) or op.input_shape != op.output_shape
        inside = all(t <= 0 and n + t >= m for t, n, m in zip(shift, op.output_shape, op.input_shape))
        if padded and (form.bias is not None or not inside):
            return None
        before = tuple(b - t for b, t in zip(pool.pad_before, shift))
        try:
            return MaxPool(op.input_shape, pool.output_shape, pool.pool, pool.stride, before)
        except ValueError:  # a window of padding only
            return None

    def average_membrane(self, form, operator, label):
        """An average behind a nonlinearity, taken on the membrane; None where something stands in between."""
        source = self.populations[form.terms[0].source]
        if self.average_pooling != "membrane" or not form.is_population or source.kind != "spiking":
            return None
        return self._pooled_population(form, operator, label)

    def _pooled_population(self, form, operator, label):
        """Spiking population that pools the membrane of the form's only source."""
        source = self.populations[form.terms[0].source]
        name = self._unique(label, "_pooled")
        unscaled = form.bias is None and np.all(form.terms[0].operator.kernel == 1)
        self.populations[name] = replace(
            source, name=name, shape=operator.output_shape, bias=None, layers=(*form.layers, label),
            keras_layer=label if unscaled else None,
        )  # fmt: skip
        self.projections.append(Projection(source.name, name, operator, "membrane"))
        self._pooled.setdefault(source.name, []).append(name)
        return self._output(name)

    def finish(self, rows, name):
        """The graph, with membranes in place of nonlinearities that only pooling reads."""
        # A nonlinearity that is itself pooled may change its name on the way, hence one at a time.
        while self._pooled:
            source = next(iter(self._pooled))
            pooled = self._pooled.pop(source)
            if all(p.mode == "membrane" for p in self.projections if p.source == source):
                self._only_pooled(source, pooled)
            else:
                self._with_twin(source, pooled)
        for projection in self.projections:
            self._scale_before_maximum(projection)
        return LayerGraph(self.populations, self.projections, rows, name)

    def _only_pooled(self, source, pooled):
        """Turn a nonlinearity into a membrane, and the only population that pools it into the nonlinearity."""
        membrane = self.populations[source]
        self._make_membrane(membrane, pooled)
        if len(pooled) == 1:
            spiking = self.populations[pooled[0]]
            spiking.layers, membrane.layers = tuple(dict.fromkeys((*membrane.layers, *spiking.layers))), ()
            self._rename({source: self._unique(source + "_membrane", "_2"), spiking.name: source})

    def _with_twin(self, source, pooled):
        """Give a nonlinearity that others read too a twin without spikes, for pooling: resets are no part of it."""
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
        """Take the spikes from a population, and a bias that is equal everywhere to behind the pooling."""
        population.kind, population.activation, population.m_f, population.keras_layer = "membrane", None, None, None
        if is_uniform(population.bias):
            for name in pooled:
                self.populations[name].bias = population.bias.copy()
            population.bias = np.zeros((1, 1, population.shape[2]))

    def _rename(self, names):
        """Give populations other names, in their places."""
        for population in self.populations.values():
            population.name = names.get(population.name, population.name)
        self.populations = {population.name: population for population in self.populations.values()}
        self._pooled = {names.get(s, s): [names.get(p, p) for p in pooled] for s, pooled in self._pooled.items()}
        for projection in self.projections:
            projection.source = names.get(projection.source, projection.source)
            projection.target = names.get(projection.target, projection.target)

    def _scale_before_maximum(self, projection):
        """Move a positive scale from behind a maximum to in front of it, where it costs nothing."""
        parts = getattr(projection.operator, "operators", ())
        membrane = self.populations[projection.source]
        alone = len([p for p in self.projections if p.source == projection.source]) == 1
        if len(parts) != 2 or not isinstance(parts[0], MaxPool) or not parts[1].is_scale or not alone:
            return
        factor = parts[1].kernel[0, 0, :, 0]
        incoming = [p for p in self.projections if p.target == membrane.name]
        if membrane.kind != "membrane" or np.any(factor <= 0) or any(p.mode == "membrane" for p in incoming):
            return
        scaled = [compose(scale(factor, membrane.shape), p.operator) for p in incoming]
        if None in scaled:
            return
        for p, operator in zip(incoming, scaled):
            p.operator = operator
        membrane.bias = membrane.bias * factor
        projection.operator = parts[0]
