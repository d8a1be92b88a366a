"""Maxima of maxima: pooling layers one after the other become one maximum over the membranes of the first."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from brainsnn.builders.graph.parts import Operator, Population, Projection
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain

__all__ = ["composed_maximum", "join_maxima"]


def composed_maximum(first: MaxPool, second: MaxPool) -> MaxPool | None:
    """
    Return the maximum that equals two, one after the other.

    Parameters
    ----------
    first, second : `~brainsnn.builders.operators.pooling.MaxPool`

    Returns
    -------
    maximum : `~brainsnn.builders.operators.pooling.MaxPool` or None
        None if no window of one size and step reads what both read, such as at an edge that the first leaves out.
    """
    if first.output_shape != second.input_shape:
        return None
    axes = list(zip(first.pool, first.stride, first.pad_before, second.pool, second.stride, second.pad_before))
    joined = MaxPool(
        first.input_shape, second.output_shape, tuple((n - 1) * step + k for k, step, _, n, _, _ in axes),
        tuple(step * stride for _, step, _, _, stride, _ in axes), tuple(b + step * before for _, step, b, _, _, before in axes),
    )  # fmt: skip
    reads_both = (_windows(first) @ _windows(second)).astype(bool)
    return joined if (reads_both != _windows(joined).astype(bool)).nnz == 0 else None


def _joined(first: Operator, second: Operator) -> Operator | None:
    head, *rest = second.operators if isinstance(second, OperatorChain) else (second,)
    if not (isinstance(first, MaxPool) and isinstance(head, MaxPool)):
        return None
    maximum = composed_maximum(first, head)
    return OperatorChain((maximum, *rest)) if maximum and rest else maximum


def _windows(operator):
    """Return which output reads which input in one channel, (inputs, outputs)."""
    shapes = [(*shape[:2], 1) for shape in (operator.input_shape, operator.output_shape)]
    i, j, w = replace(operator, input_shape=shapes[0], output_shape=shapes[1]).to_coo()
    return sparse.csr_matrix((w, (i, j)), shape=[int(np.prod(shape)) for shape in shapes])


def join_maxima(
    populations: dict[str, Population], projections: list[Projection]
) -> tuple[dict[str, Population], list[Projection]]:
    """
    Return populations and projections in which a membrane that only takes the maximum of another is left out.

    Parameters
    ----------
    populations : dict of str to Population
    projections : list of Projection

    Returns
    -------
    populations, projections
        Those with more between two maxima, such as a convolution, are as they were.
    """
    kinds = {name: population.kind for name, population in populations.items()}
    for nested in [p for p in projections if kinds[p.source] == kinds[p.target] == "membrane"]:
        middle = populations[nested.target]
        incoming = [p for p in projections if p.target == middle.name]
        outgoing = [p for p in projections if p.source == middle.name]
        operators = [_joined(incoming[0].operator, p.operator) for p in outgoing]
        if len(incoming) == 1 and not np.any(middle.bias) and all(operators):
            joined = [replace(p, source=incoming[0].source, operator=one) for p, one in zip(outgoing, operators) if one]
            projections = [p for p in projections if middle.name not in (p.source, p.target)] + joined
            populations = {name: population for name, population in populations.items() if name != middle.name}
    return populations, projections
