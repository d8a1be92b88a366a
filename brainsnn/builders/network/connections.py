"""Connections between NeuronGroups: event-driven convolutions and graded operators, as Brian2 objects."""

import numpy as np
from brian2 import Synapses, prefs
from brian2.core.variables import Variables
from brian2.groups.group import CodeRunner, Group
from brian2.utils.stringtools import get_identifiers

from brainsnn.builders.codegen.codeobjects import connection_codeobject_class
from brainsnn.builders.codegen.gather_tables import (
    check_statement,
    gathered_channels,
    gathered_matrix,
    gathered_projection,
)
from brainsnn.builders.codegen.scatter_tables import (
    contiguous_runs,
    panel_width,
    panels,
    share_columns,
    share_rows,
    source_table,
    target_table,
)
from brainsnn.builders.network.assignments import ASSIGNED
from brainsnn.builders.network.statement_checks import check_on_pre
from brainsnn.builders.operators import ConvOperator, SparseOperator, to_matrix
from brainsnn.builders.operators.pooling import MaxPool

__all__ = ["EventDrivenProjection", "SynapticProjection", "GradedProjection", "Connection"]


class Connection(Group, CodeRunner):
    """A Brian2 object with its own arrays that runs one code object in each step."""

    def __init__(self, owner, name, when, order):
        CodeRunner.__init__(
            self, owner, template=None, when=when, order=order, name=name, clock=owner.clock,
            codeobj_class=connection_codeobject_class(), check_units=False,
        )  # fmt: skip
        # The code runner resolves names in this group, not in that of the neurons.
        self.group = self
        self.namespace = {}
        self.variables = Variables(self)
        self.variables.add_constant("N", 1)

    def _use_template(self, template, code="", **kwds):
        self.template, self.abstract_code, self.template_kwds = template, code, kwds
        self._enable_group_attributes()

    def _add_table(self, name, values, dtype=np.int32, constant=True):
        values = np.ascontiguousarray(values, dtype=dtype).ravel()
        if len(values) == 0:  # Brian2 cannot have empty arrays; an unused entry does no harm
            values = np.zeros(1, dtype=dtype)
        # No name in a user's statement starts with an underscore, so it cannot mean a table by chance.
        name = name if name == "w" else f"_table_{name}"
        self.variables.add_array(
            name, size=len(values), values=values, dtype=dtype, constant=constant, read_only=constant
        )

    def _add_tables(self, tables):
        for name, values in tables.items():
            self._add_table(name, values, values.dtype if name in ("w", "first") else np.int32)

    def _add_weights(self, values, dtype, weights, key):
        """Add the table of weights, or refer to that of a projection with the same ones in the same order."""
        if key in weights:
            self.variables.add_reference("w", weights[key])
        else:
            self._add_table("w", values(), dtype)
            weights[key] = self


def _connections(self):
    """
    Return the connections one by one.

    Returns
    -------
    i, j, w : ndarray
        Source neuron, target neuron and current weight of each connection.
    """
    i, j, w = _by_source(self.operator)
    return (i, j, np.array(self.variables["w"].get_value())) if self.plastic else (i, j, w)


class EventDrivenProjection(Connection):
    """
    A projection that stores its kernel once and visits, in each step, only the targets of the neurons that spiked.

    Gives the same result as `~brian2.synapses.synapses.Synapses` with one synapse for each connection; the order in
    which simultaneous spikes are added is that of the source indices in both.

    Parameters
    ----------
    source, target : `~brian2.groups.neurongroup.NeuronGroup`
        Presynaptic and postsynaptic neurons, of shape (height, width, channels) in row-major order.
    operator : `~brainsnn.builders.operators.ConvOperator` or `~brainsnn.builders.operators.SparseOperator`
        The weights.
    on_pre : str
        Statement for each connection of a spiking neuron: ``w`` is the weight, ``x_pre`` and ``x_post`` are variables of
        the two neurons.
    name : str
        Name of the Brian2 object.
    when, order : str, int
        Place in Brian2's schedule.
    namespace : dict, optional
        Constants that ``on_pre`` uses.
    plastic : bool
        Whether ``on_pre`` may change ``w``. Each connection then has its own weight.
    weights : dict, optional
        Of the network: what tells kernels apart -> the projection that stores the kernel, of which others refer to the array.

    Raises
    ------
    ValueError
        If the operator does not fit the sizes of the groups.

    See Also
    --------
    brian2.synapses.synapses.Synapses, GradedProjection
    """

    def __init__(
        self,
        source,
        target,
        operator,
        on_pre,
        name,
        when="synapses",
        order=0,
        namespace=None,
        plastic=False,
        weights=None,
    ):
        _check_sizes(name, source, target, operator)
        self.plastic = plastic
        if plastic:
            operator = _unshared(operator)
        self.source, self.target, self.operator, self.on_pre = source, target, operator, on_pre
        super().__init__(source, name, when, order)
        self.namespace = dict(namespace or {})
        dtype = prefs.core.default_float_dtype
        if self.codeobj_class.gathers:
            template, sizes = self._add_gathered(operator, dtype)
        elif isinstance(operator, ConvOperator):
            shared = {} if weights is None else weights
            template, sizes = "convolve_spikes", self._add_convolution(operator, dtype, shared)
        else:
            template, sizes = "scatter_spikes", self._add_sparse(operator, dtype)
        self.variables.add_reference("_spikes", source, "_spikespace", index="0")
        self._tables = [name for name in self.variables if name not in ("N", "w")]
        self.variables.add_reference("t", source.clock, "t")
        self.variables.add_reference("dt", source.clock, "dt")
        for group, suffix, index in ((source, "_pre", "0"), (target, "_post", "_idx")):
            for name, variable in group.variables.items():
                if name not in ("_spikespace", "t", "dt", "t_in_timesteps"):
                    index_of = "0" if variable.scalar else index
                    self.variables.add_reference(name + suffix, group, name, index=index_of)
        check_on_pre(self, on_pre, refused={"N", "i", "j"})
        self.check_units = True
        self._use_template(template, on_pre, tables=self._tables, n_sources=len(source), **sizes)

    def _add_convolution(self, operator, dtype, weights):
        _, n_columns, n_channels = operator.input_shape
        _, n_target_columns, n_target_channels = operator.output_shape
        (H, W, _), (Ho, Wo, _) = operator.input_shape, operator.output_shape
        row_first, row_target, row_tap = source_table(
            H, Ho, operator.row_taps, operator.stride[0], operator.input_dilation[0]
        )
        columns = contiguous_runs(W, Wo, operator.col_taps, operator.stride[1], operator.input_dilation[1])
        kernel = operator.kernel
        stored_rows, rows_at = share_rows(kernel)
        stored_columns, columns_at = share_columns(kernel, operator.col_taps, operator.stride[1], Wo)
        rows = row_first, row_target, rows_at[row_tap]
        columns = *columns[:2], columns_at[columns[2]], columns[3]
        for name, table in zip(("row_first", "row_target", "row_tap"), rows):
            self._add_table(name, table)
        for name, table in zip(("col_first", "col_target", "col_tap", "col_length"), columns):
            self._add_table(name, table)
        self._add_table("channel_start", operator.channel_start)
        n_row_taps, n_column_taps, n_fan_channels = len(stored_rows), len(stored_columns), kernel.shape[3]

        def stored():
            """Return the kernel in the order in which it is visited; a large one is copied once."""
            values = np.empty((n_channels, n_row_taps, n_column_taps, n_fan_channels), dtype)
            for r, row in enumerate(stored_rows):
                for c, column in enumerate(stored_columns):
                    values[:, r, c] = kernel[row, column]
            return values

        self._add_weights(stored, dtype, weights, ("spikes", id(kernel), tuple(stored_rows), tuple(stored_columns)))
        return {
            "n_columns": n_columns, "n_channels": n_channels, "n_target_rows": Ho, "n_target_columns": n_target_columns,
            "n_target_channels": n_target_channels, "n_row_taps": n_row_taps, "n_column_taps": n_column_taps,
            "n_fan_channels": n_fan_channels, "contiguous": n_fan_channels == n_target_channels,
        }  # fmt: skip

    def _add_sparse(self, operator, dtype):
        matrix = operator.matrix.tocsr()
        self._add_table("first", matrix.indptr, np.int64)
        self._add_table("target", matrix.indices)
        self._add_table("w", matrix.data, dtype, constant=not self.plastic)
        return {}

    def _add_gathered(self, operator, dtype):
        check_statement(self.name, self.on_pre)
        template, tables, sizes = gathered_projection(operator, dtype)
        self._add_tables(tables)
        self.variables.add_array("_table_spiked", size=sizes["n_words"], dtype=np.int32)
        return template, sizes

    def __setattr__(self, name, value):
        if name == "w" and not self.plastic:
            raise AttributeError(f"{self.name}.w is a kernel that many connections share. Change the weights of the Keras "
                                 "model and convert it again, or use connectivity='synapses'.")  # fmt: skip
        super().__setattr__(name, value)

    to_coo = _connections


class SynapticProjection(Synapses):
    """
    A projection with one Brian2 synapse for each connection: slow and large, but plastic, and every device can run it.

    Parameters
    ----------
    source, target : `~brian2.groups.neurongroup.NeuronGroup`
    operator : `~brainsnn.builders.operators.ConvOperator` or `~brainsnn.builders.operators.SparseOperator`
        The weights, which become the synaptic variable ``w``.
    name : str
        Name of the Brian2 object.
    on_pre : str, optional
        What a spike does to its target.
    equations : str, optional
        Further synaptic equations, such as a summed variable of a graded projection.
    namespace : dict, optional
        Constants of the equations and statements.
    plastic : bool
        Whether ``on_pre`` changes ``w``, which then persists from trial to trial.

    See Also
    --------
    EventDrivenProjection : gives the same result.
    """

    def __init__(self, source, target, operator, name, on_pre=None, equations="", namespace=None, plastic=False):
        _check_sizes(name, source, target, operator)
        if plastic:  # in the same order as there
            operator = _unshared(operator)
        if "w" in source.variables:
            raise ValueError(
                f"convert: {source.name!r} has a variable 'w', and connectivity='synapses' has one of this name, the weight. "
                "Rename the variable, or use connectivity='event_driven', where w is the weight and w_pre the variable."
            )
        model = f"w : 1\n{equations}"
        super().__init__(source, target, model, on_pre=on_pre, name=name, clock=source.clock, namespace=namespace or {})
        self.add_attribute("operator")
        self.add_attribute("plastic")
        self.operator, self.plastic = operator, plastic
        if on_pre:
            self._check_constants(on_pre)
            check_on_pre(self, on_pre)
        i, j, w = _by_source(operator)
        self.active = len(i) > 0  # Brian2 cannot run an empty set of synapses
        if self.active:
            self.connect(i=i, j=j)
            self.w = w
            ASSIGNED.discard(self.variables["w"])  # from now on, users assign

    def _check_constants(self, on_pre):
        """Refuse constants with the name of a variable of synapses, which Brian2 would use instead, such as the delay."""
        own = {name for part in (self, *self._pathways) for name in part.variables} - {"w"}
        if taken := sorted(own & self.namespace.keys() & get_identifiers(on_pre)):
            raise ValueError(
                f"convert: on_pre {on_pre!r} uses the constant {taken[0]!r}, the name of a variable of Brian2's synapses. Use "
                f"another name, such as {taken[0]}_0, or connectivity='event_driven'."
            )

    to_coo = _connections


class GradedProjection(Connection):
    """
    A projection that reads a variable of its source in every step, without spikes.

    Writes ``target_variable = operator(source_variable)``, or adds to it if ``overwrite`` is False.

    Parameters
    ----------
    source, target : `~brian2.groups.neurongroup.NeuronGroup`
        The two groups.
    operator : `~brainsnn.builders.operators.ConvOperator`, SparseOperator or MaxPool
        What is computed.
    source_variable, target_variable : str
        State variable that is read and variable that is written.
    name : str
        Name of the Brian2 object.
    when, order : str, int
        Place in Brian2's schedule.
    overwrite : bool
        False for the second and further projections on the same target variable.
    weights : dict, optional
        As of `EventDrivenProjection`.

    Raises
    ------
    ValueError
        If the operator does not fit the sizes of the groups.
    """

    def __init__(
        self, source, target, operator, source_variable, target_variable, name, when="synapses", order=0, overwrite=True,
        weights=None,
    ):  # fmt: skip
        _check_sizes(name, source, target, operator)
        self.source, self.target, self.operator = source, target, operator
        self.source_variable, self.target_variable, self.overwrite = source_variable, target_variable, overwrite
        super().__init__(source, name, when, order)
        self._weights = {} if weights is None else weights
        dtype = prefs.core.default_float_dtype
        add = {ConvOperator: self._add_convolution, SparseOperator: self._add_sparse, MaxPool: self._add_max_pool}
        template, kwds = add[type(operator)](operator, dtype)
        self.variables.add_reference("source", source, source_variable)
        self.variables.add_reference("target", target, target_variable)
        # Brian2 cannot see from a statement that these templates write the target.
        self.written_readonly_vars = {target.variables[target_variable]}
        self._use_template(template, overwrite=overwrite, n_sources=len(source), n_targets=len(target), **kwds)

    def _add_convolution(self, operator, dtype):
        (H, W, C), (Ho, Wo, Co) = operator.input_shape, operator.output_shape
        for axis, n_in, n_out, taps, i in (("row", H, Ho, operator.row_taps, 0), ("col", W, Wo, operator.col_taps, 1)):
            tables = target_table(n_in, n_out, taps, operator.stride[i], operator.input_dilation[i])
            for name, table in zip(("first", "source", "tap"), tables):
                self._add_table(f"{axis}_{name}", table)
        self._add_table("channel_start", operator.channel_start)
        fan, start = operator.kernel.shape[3], np.asarray(operator.channel_start)
        kernel, shared_fan = operator.kernel, fan == Co and not start.any()
        if self.codeobj_class.gathers:
            self._add_tables(gathered_channels(operator))
            self._add_table("w", kernel, dtype)
        else:
            stored = (lambda: panels(kernel, dtype)) if shared_fan else (lambda: kernel)
            self._add_weights(stored, dtype, self._weights, ("graded", id(kernel), bool(shared_fan)))
        return "graded", {
            "n_columns": W, "n_channels": C, "n_target_rows": Ho, "n_target_columns": Wo, "n_target_channels": Co,
            "n_column_taps": operator.kernel.shape[1], "n_fan_channels": fan,
            "diagonal": bool(fan == 1 and np.array_equal(start, start[0] + np.arange(C))),
            "first_channel": int(start[0]), "shared_fan": bool(shared_fan), "panel_width": panel_width(dtype),
        }  # fmt: skip

    def _add_sparse(self, operator, dtype):
        if self.codeobj_class.gathers:
            self._add_tables(gathered_matrix(operator, dtype))
            return "graded_sparse", {}
        matrix = operator.matrix.tocsr()
        self._add_table("first", matrix.indptr, np.int64)
        self._add_table("target_index", matrix.indices)
        self._add_table("w", matrix.data, dtype)
        return "graded_sparse", {}

    def _add_max_pool(self, operator, dtype):
        (H, W, C), (Ho, Wo, _) = operator.input_shape, operator.output_shape
        for i, (axis, n_in, n_out) in enumerate((("row", H, Ho), ("col", W, Wo))):
            start = np.arange(n_out) * operator.stride[i] - operator.pad_before[i]
            self._add_table(f"{axis}_first", np.maximum(start, 0))
            self._add_table(f"{axis}_last", np.minimum(start + operator.pool[i], n_in))
        return "max_pool", {"n_columns": W, "n_channels": C, "n_target_rows": Ho, "n_target_columns": Wo}

    def to_coo(self):
        """
        Return the connections one by one; a maximum has the weight 1 for each neuron of its window.

        Returns
        -------
        i, j, w : ndarray
            Source neuron, target neuron and weight of each connection.
        """
        return self.operator.to_coo()


def _by_source(operator):
    """Return the connections of an operator in the order of their sources: any number of threads visits them in this order."""
    i, j, w = operator.to_coo()
    order = np.argsort(i, kind="stable")
    return i[order], j[order], w[order]


def _unshared(operator):
    """Return the same connections with one weight for each, ordered by source and then by target."""
    return SparseOperator(operator.input_shape, operator.output_shape, to_matrix(operator))


def _check_sizes(name, source, target, operator):
    for what, group, shape in (("source", source, operator.input_shape), ("target", target, operator.output_shape)):
        if len(group) != np.prod(shape):
            raise ValueError(
                f"{name}.{what}: {group.name!r} has {len(group)} neurons, but the operator works on {shape} = {np.prod(shape)}."
            )
