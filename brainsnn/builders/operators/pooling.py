"""Max pooling, and chains of operators that cannot be composed."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from brainsnn.builders.operators.axes import axis_slices, axis_sources
from brainsnn.builders.operators.linear import ConvOperator
from brainsnn.builders.operators.operator import Operator, shape3

__all__ = ["MaxPool", "OperatorChain"]


@dataclass(frozen=True, eq=False, repr=False)
class MaxPool(Operator):
    """
    Maximum over windows. Padding counts as minus infinity, as in TensorFlow.

    Parameters
    ----------
    input_shape, output_shape : tuple of int
        (H, W, C) and (Ho, Wo, C).
    pool, stride : tuple of int
        Size and step of the window, in rows and columns.
    pad_before : tuple of int, optional
        Padding rows above and padding columns to the left.

    Raises
    ------
    ValueError
        If the number of channels changes, or if a window holds padding only.

    Examples
    --------
    >>> from brainsnn.builders.operators import MaxPool
    >>> MaxPool((2, 2, 1), (1, 1, 1), pool=(2, 2), stride=(2, 2)).apply([[1, 4, 2, 3]]).ravel()
    array([4.])
    """

    input_shape: tuple
    output_shape: tuple
    pool: tuple
    stride: tuple
    pad_before: tuple = (0, 0)

    def __post_init__(self):
        fix = object.__setattr__
        fix(self, "input_shape", shape3(self.input_shape, "MaxPool.input_shape"))
        fix(self, "output_shape", shape3(self.output_shape, "MaxPool.output_shape"))
        for name in ("pool", "stride", "pad_before"):
            fix(self, name, tuple(int(n) for n in getattr(self, name)))
        if self.input_shape[2] != self.output_shape[2]:
            raise ValueError(
                f"MaxPool: the number of channels must not change, got {self.input_shape} -> {self.output_shape}."
            )
        if any((source < 0).all(axis=1).any() for source in self._sources):
            raise ValueError(
                f"MaxPool: with pool {self.pool}, stride {self.stride} and pad_before {self.pad_before} a window "
                f"of {self.input_shape} -> {self.output_shape} holds no pixel."
            )

    n_weights = 0

    @cached_property
    def _sources(self):
        """Input rows and input columns of the windows, as returned by `axis_sources`."""
        return tuple(
            axis_sources(np.arange(p) - b, s, 1, n_in, n_out)
            for p, b, s, n_in, n_out in zip(
                self.pool, self.pad_before, self.stride, self.input_shape, self.output_shape
            )
        )

    def apply(self, x):
        """Return the maximum over the windows, (n, Ho, Wo, C), of (n, H, W, C) or flat maps."""
        x = self._maps(x)
        out = np.full((len(x), *self.output_shape), -np.inf, dtype=x.dtype)
        row_slices, col_slices = (axis_slices(source) for source in self._sources)
        for rows in filter(None, row_slices):
            for cols in filter(None, col_slices):
                part = out[:, rows[0], cols[0]]
                np.maximum(part, x[:, rows[1], cols[1]], out=part)
        return out

    def to_coo(self):
        """Return which output reads which input, ``(i, j, w)`` with w = 1; see `ConvOperator.to_coo`."""
        return self._window_operator().to_coo()

    def _window_operator(self):
        """Return the operator that sums over the same windows."""
        channels = self.input_shape[2]
        return ConvOperator(
            self.input_shape, self.output_shape, np.ones((*self.pool, channels, 1)), np.arange(channels),
            *(np.arange(p) - b for p, b in zip(self.pool, self.pad_before)), stride=self.stride,
        )  # fmt: skip

    @property
    def n_connections(self):
        """Number of pixels read, over all windows."""
        return self._window_operator().n_connections

    @property
    def fan_in(self):
        """Largest number of pixels in a window."""
        return self._window_operator().fan_in


@dataclass(frozen=True, eq=False, repr=False)
class OperatorChain(Operator):
    """
    Operators applied one after the other that cannot be composed, such as a maximum and a scale.

    Parameters
    ----------
    operators : tuple
        In order of application.

    Examples
    --------
    >>> from brainsnn.builders.operators import OperatorChain, max_pool, scale
    >>> OperatorChain((max_pool((2, 2, 1), 2), scale(10, (1, 1, 1)))).apply([[1, 4, 2, 3]]).ravel()
    array([40.])
    """

    operators: tuple

    @property
    def input_shape(self):
        """(H, W, C) of the first operator."""
        return self.operators[0].input_shape

    @property
    def output_shape(self):
        """(Ho, Wo, Co) of the last operator."""
        return self.operators[-1].output_shape

    @property
    def kind(self):
        """Name of the operator in tables."""
        return " + ".join(operator.kind for operator in self.operators)

    def apply(self, x):
        """Apply all operators to (n, H, W, C) or flat maps."""
        for operator in self.operators:
            x = operator.apply(x)
        return x

    def to_coo(self):
        """Return the product of the operators' matrices ``(i, j, w)``; a maximum has weight 1 for each value it reads."""
        product = None
        for operator in self.operators:
            i, j, w = operator.to_coo()
            step = sparse.csr_matrix((w, (i, j)), shape=(operator.size_in, operator.size_out))
            product = step if product is None else product @ step
        coo = product.tocoo()
        return coo.row.astype(int), coo.col.astype(int), coo.data

    @property
    def n_connections(self):
        """Number of connections of all operators."""
        return sum(operator.n_connections for operator in self.operators)

    @property
    def n_weights(self):
        """Number of stored weights of all operators."""
        return sum(operator.n_weights for operator in self.operators)

    @property
    def fan_in(self):
        """Largest number of connections onto one target of the first operator."""
        return self.operators[0].fan_in
