"""Print a LayerGraph: a table of layers and a table of projections."""

import numpy as np

from brainsnn.builders.operators.linear import SparseOperator
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain
from brainsnn.html_tables import fragment, html_table

__all__ = ["aligned", "by", "describe_operator", "layer_html", "layer_table", "network_tables"]


def layer_table(graph):
    """
    Return a table of what became of every layer, and one of every projection.

    Parameters
    ----------
    graph : LayerGraph

    Returns
    -------
    str
    """
    layers, projections = _layer_rows(graph), _projection_rows(graph)
    return "\n".join([_headline(graph), "", *aligned(layers, right=0), "", *aligned(projections, right=3)])


def layer_html(graph):
    """Return the tables of `layer_table` as HTML for a notebook (str)."""
    layers, projections = _layer_rows(graph), _projection_rows(graph)
    tables = [html_table(layers[1:], layers[0]), html_table(projections[1:], projections[0], right=3)]
    return fragment(_headline(graph), *tables)


def network_tables(graph):
    """
    Return the tables of `layer_table` as plain values, which a JSON file can hold.

    Parameters
    ----------
    graph : LayerGraph

    Returns
    -------
    tables : dict
        ``title``, a line; ``layers`` and ``projections``, rows of text of which the first is the header.
    """
    layers, projections = ([list(row) for row in rows] for rows in (_layer_rows(graph), _projection_rows(graph)))
    return {"title": _headline(graph), "layers": layers, "projections": projections}


def _headline(graph):
    """Return name and size of a graph as a line."""
    neurons = sum(p.size for p in graph.populations.values() if p.kind == "spiking")
    connections = sum(p.operator.n_connections for p in graph.projections)
    return (
        f"LayerGraph of '{graph.name}': {len(graph.populations)} populations, {neurons:,} spiking neurons, "
        f"{len(graph.projections)} projections, {connections:,} connections"
    )


def _layer_rows(graph):
    """Return header and rows: what became of each layer."""
    rows, incoming, owners = [("layer", "class", "output", "became")], graph.by_target(), {}
    for population in graph.populations.values():
        for layer in population.layers:
            owners.setdefault(layer, []).append(population)
    for row in graph.rows:
        fate = _fate(graph, row, owners.get(row.name), incoming)
        rows.append((row.name, row.class_name, by(row.shape), fate))
    return rows


def _projection_rows(graph):
    """Return header and rows: the projections and their operators."""
    rows = [("projection", "mode", "operator", "kernel", "stride", "fan-in", "connections", "weights")]
    for p in graph.projections:
        kind, kernel, stride = describe_operator(p.operator)
        counts = (p.operator.fan_in, p.operator.n_connections, p.operator.n_weights)
        rows.append((f"{p.source} -> {p.target}", p.mode, kind, kernel, stride, *(f"{n:,}" for n in counts)))
    return rows


def describe_operator(operator):
    """
    Return kind, kernel size and stride of an operator as text.

    Parameters
    ----------
    operator : ConvOperator, SparseOperator, MaxPool or OperatorChain

    Returns
    -------
    kind, kernel, stride : str
    """
    if isinstance(operator, OperatorChain):
        parts = [describe_operator(part) for part in operator.operators]
        return tuple(" + ".join(texts) for texts in zip(*parts))
    if isinstance(operator, MaxPool):
        return "max pool", by(operator.pool), by(operator.stride)
    if isinstance(operator, SparseOperator):
        return "sparse", "-", "-"
    kernel, stride = by(operator.kernel.shape[:2]), by(operator.stride)
    if operator.input_dilation != (1, 1):
        stride = (
            f"1/{by(operator.input_dilation)}"
            if operator.stride == (1, 1)
            else f"{stride}/{by(operator.input_dilation)}"
        )
    return _conv_kind(operator), kernel, stride


def _conv_kind(operator):
    """Return the name of the kind of a convolution."""
    if operator.is_identity:
        return "identity"
    if operator.is_scale:
        return "scale"
    if operator.input_shape[:2] == operator.output_shape[:2] == (1, 1):
        return "dense"
    if np.ptp(operator.channel_start) == 0:
        return "transposed" if operator.input_dilation != (1, 1) else "convolution"
    step = operator.kernel.shape[3]
    if np.array_equal(operator.channel_start, operator.channel_start[0] + step * np.arange(operator.input_shape[2])):
        return "depthwise transposed" if operator.input_dilation != (1, 1) else "depthwise"
    return "grouped"


def _fate(graph, row, owners, incoming):
    """Return what became of a layer, as text, given the populations into which it was folded."""
    if row.note:
        return row.note
    if row.name in graph.populations:
        return f"population {row.name} ({graph.populations[row.name].kind})"
    if not owners:
        return "folded"
    routes = []
    for owner in owners[:2]:
        sources = list(dict.fromkeys(p.source for p in incoming[owner.name]))
        more = f" and {len(sources) - 2} more" if len(sources) > 2 else ""
        routes.append(f"{', '.join(sources[:2])}{more} -> {owner.name}")
    return "folded into " + "; ".join(routes) + (f"; {len(owners) - 2} more" if len(owners) > 2 else "")


def by(shape):
    """Return numbers as '3x3' (str)."""
    return "x".join(str(n) for n in shape)


def aligned(rows, right):
    """
    Return rows as lines of aligned columns, with a rule below the first.

    Parameters
    ----------
    rows : list of tuple of str
    right : int
        Columns from this one on are right-aligned; 0 for none.

    Returns
    -------
    lines : list of str
    """
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [
            cell.rjust(width) if right and k >= right else cell.ljust(width)
            for k, (cell, width) in enumerate(zip(row, widths))
        ]
        lines.append("  ".join(cells).rstrip())
    return [lines[0], "-" * max(len(line) for line in lines), *lines[1:]]
