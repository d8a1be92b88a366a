"""Exact linear operators between channels-last feature maps."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse

from brainsnn.builders.operators.axes import axis_slices, axis_sources
from brainsnn.builders.operators.operator import Operator, as_kernel, shape3

__all__ = ["ConvOperator", "SparseOperator", "dense_channels"]


@dataclass(frozen=True, eq=False, repr=False)
class ConvOperator(Operator):
    """
    Convolution or transposed convolution; dense, grouped or depthwise.

    ``out[o] += kernel[k] * in[i]`` for all o, k, i with ``o*stride + tap[k] == i*input_dilation``, in rows and columns alike.

    Parameters
    ----------
    input_shape, output_shape : tuple of int
        (H, W, C) and (Ho, Wo, Co).
    kernel : (KH, KW, C, F) array_like
        F consecutive output channels for each input channel. A kernel of float32 stays so; compositions are in float64.
    channel_start : (C,) array_like of int
        Input channel c reaches the output channels ``channel_start[c] ... channel_start[c] + F - 1``.
    row_taps, col_taps : (KH,), (KW,) array_like of int
        Offsets, ``k*dilation - pad_before``. They may be negative, but must be unique.
    stride, input_dilation : tuple of int, optional
        Step over the input, and dilation of the input (larger than 1 in a transposed convolution). 1 by default.

    Raises
    ------
    ValueError
        If shapes, kernel and offsets do not fit together.

    Examples
    --------
    >>> from brainsnn.builders.operators import ConvOperator
    >>> difference = ConvOperator((1, 4, 1), (1, 3, 1), [[[[-1.0]], [[1.0]]]], [0], [0], [0, 1])
    >>> difference.apply([[0, 1, 3, 6]]).ravel()
    array([1., 2., 3.])
    """

    input_shape: tuple
    output_shape: tuple
    kernel: np.ndarray
    channel_start: np.ndarray
    row_taps: np.ndarray
    col_taps: np.ndarray
    stride: tuple = (1, 1)
    input_dilation: tuple = (1, 1)

    def __post_init__(self):
        fix = object.__setattr__
        fix(self, "input_shape", shape3(self.input_shape, "ConvOperator.input_shape"))
        fix(self, "output_shape", shape3(self.output_shape, "ConvOperator.output_shape"))
        fix(self, "kernel", as_kernel(self.kernel))
        for name in ("channel_start", "row_taps", "col_taps"):
            fix(self, name, np.asarray(getattr(self, name), dtype=int))
        for name in ("stride", "input_dilation"):
            pair = tuple(int(n) for n in getattr(self, name))
            if len(pair) != 2 or min(pair) < 1:
                raise ValueError(f"ConvOperator.{name}: expected two numbers >= 1, got {pair}.")
            fix(self, name, pair)
        channels = self.input_shape[2]
        expected = (len(self.row_taps), len(self.col_taps), channels)
        if self.kernel.ndim != 4 or self.kernel.shape[:3] != expected or self.kernel.size == 0:
            raise ValueError(f"ConvOperator.kernel: expected shape {(*expected, 'F')}, got {self.kernel.shape}.")
        start, last = self.channel_start, self.output_shape[2] - self.kernel.shape[3]
        if start.shape != (channels,) or start.min() < 0 or start.max() > last:
            raise ValueError(
                f"ConvOperator.channel_start: expected {channels} numbers from 0 to {last}, got shape "
                f"{start.shape} with values from {start.min()} to {start.max()}."
            )
        for name in ("row_taps", "col_taps"):
            if len(np.unique(getattr(self, name))) != len(getattr(self, name)):
                raise ValueError(
                    f"ConvOperator.{name}: an offset occurs twice in {getattr(self, name)}; offsets must be unique."
                )

    @property
    def n_weights(self):
        """Number of stored weights."""
        return self.kernel.size

    @property
    def is_pointwise(self):
        """Whether each pixel reads only itself."""
        return (
            self.kernel.shape[:2] == (1, 1)
            and self.input_shape[:2] == self.output_shape[:2]
            and self.row_taps[0] == self.col_taps[0] == 0
            and self.stride == self.input_dilation == (1, 1)
        )

    @property
    def is_channelwise(self):
        """Whether each input value reaches one output value of its own pixel (a scale, an embedding)."""
        return self.is_pointwise and self.kernel.shape[3] == 1

    @property
    def is_scale(self):
        """Whether the output is the input times one number per channel."""
        return (
            self.is_channelwise
            and self.input_shape == self.output_shape
            and np.array_equal(self.channel_start, np.arange(self.input_shape[2]))
        )

    @property
    def is_identity(self):
        """Whether the output is the input."""
        return self.is_scale and bool(np.all(self.kernel == 1))

    @cached_property
    def row_sources(self):
        """(Ho, KH) ndarray of int : input row read by each output row and tap, -1 for none."""
        return axis_sources(
            self.row_taps, self.stride[0], self.input_dilation[0], self.input_shape[0], self.output_shape[0]
        )

    @cached_property
    def col_sources(self):
        """(Wo, KW) ndarray of int : input column read by each output column and tap, -1 for none."""
        return axis_sources(
            self.col_taps, self.stride[1], self.input_dilation[1], self.input_shape[1], self.output_shape[1]
        )

    def apply(self, x):
        """
        Apply the operator.

        Parameters
        ----------
        x : (n, H, W, C) or (n, H*W*C) array_like

        Returns
        -------
        (n, Ho, Wo, Co) ndarray
            In the floating-point type of `x`, float64 for integers.
        """
        x = self._maps(x)
        out = np.zeros((len(x), *self.output_shape), dtype=x.dtype)
        accumulate = self._accumulator()
        for r, rows in enumerate(axis_slices(self.row_sources)):
            for c, cols in enumerate(axis_slices(self.col_sources)):
                if rows is not None and cols is not None:
                    accumulate(
                        out[:, rows[0], cols[0]], x[:, rows[1], cols[1]], self.kernel[r, c].astype(x.dtype, copy=False)
                    )
        return out

    def _accumulator(self):
        """Return the fastest function to add one tap, given which channels are connected."""
        start, n_out = self.channel_start, self.kernel.shape[3]
        groups = np.unique(start)

        def by_group(out, part, kernel):
            """Add a tap group by group, as in a grouped convolution."""
            for first in groups:
                member = start == first
                out[..., first : first + n_out] += part[..., member] @ kernel[member]

        def one_to_few(out, part, kernel):
            """Add a tap in which each input channel has output channels of its own."""
            product = (part[..., None] * kernel).reshape(*part.shape[:-1], -1)
            out[..., start[0] : start[0] + product.shape[-1]] += product

        def one_range(out, part, kernel):
            """Add a tap in which all input channels reach the same output channels."""
            out[..., start[0] : start[0] + n_out] += part @ kernel

        def general(out, part, kernel):
            """Add a tap with any channels."""
            out += part @ dense_channels(kernel[None, None], start, self.output_shape[2])[0, 0]

        if len(groups) == 1:
            return one_range
        if np.array_equal(start, start[0] + n_out * np.arange(len(start))):
            return one_to_few
        return by_group if len(groups) <= 32 else general

    def to_coo(self):
        """
        Return all connections, one entry for each.

        Returns
        -------
        i, j : (n_connections,) ndarray of int
            Flat source and target index, ``(row*width + column)*channels + channel``.
        w : (n_connections,) ndarray of float
            Weights. A weight of exactly 0 makes no connection, since composition fills kernels with zeros.
        """
        i, j, w = [], [], []
        width_in, channels_in = self.input_shape[1:]
        width_out, channels_out = self.output_shape[1:]
        for r, source_row in enumerate(self.row_sources.T):
            out_row = np.flatnonzero(source_row >= 0)
            for c, source_col in enumerate(self.col_sources.T):
                out_col = np.flatnonzero(source_col >= 0)
                c_in, f = np.nonzero(self.kernel[r, c])
                pixel_in = source_row[out_row][:, None] * width_in + source_col[out_col]
                pixel_out = out_row[:, None] * width_out + out_col
                i.append((pixel_in[..., None] * channels_in + c_in).ravel())
                j.append((pixel_out[..., None] * channels_out + (self.channel_start[c_in] + f)).ravel())
                w.append(np.broadcast_to(self.kernel[r, c, c_in, f], (*pixel_in.shape, len(c_in))).ravel())
        return np.concatenate(i), np.concatenate(j), np.concatenate(w, dtype=float)

    @cached_property
    def n_connections(self):
        """Number of connections with a weight other than 0."""
        used = np.count_nonzero(self.kernel, axis=(2, 3))
        rows, cols = (np.count_nonzero(s >= 0, axis=0) for s in (self.row_sources, self.col_sources))
        return int(rows @ used @ cols)

    @cached_property
    def fan_in(self):
        """Largest number of connections onto one target."""
        target = (self.channel_start[:, None] + np.arange(self.kernel.shape[3])).ravel()
        used = (self.kernel != 0).reshape(*self.kernel.shape[:2], -1)
        count = np.stack([[np.bincount(target[tap], minlength=self.output_shape[2]) for tap in row] for row in used])
        # Most pixels share the same pattern of taps inside the map.
        rows, cols = (np.unique(s >= 0, axis=0).astype(float) for s in (self.row_sources, self.col_sources))
        return int(np.tensordot(cols, np.tensordot(rows, count, axes=(1, 0)), axes=(1, 1)).max())


def dense_channels(kernel, channel_start, n_channels):
    """Return a kernel (KH, KW, C, F) as (KH, KW, C, n_channels), 0 where channels are not connected."""
    dense = np.zeros((*kernel.shape[:3], n_channels), dtype=kernel.dtype)
    target = channel_start[:, None] + np.arange(kernel.shape[3])
    dense[:, :, np.arange(len(channel_start))[:, None], target] = kernel
    return dense


@dataclass(frozen=True, eq=False, repr=False)
class SparseOperator(Operator):
    """
    Any linear operator, stored as a sparse matrix.

    Parameters
    ----------
    input_shape, output_shape : tuple of int
        (H, W, C) and (Ho, Wo, Co).
    matrix : (H*W*C, Ho*Wo*Co) sparse matrix or array_like
        Weights from every input to every output value.

    Raises
    ------
    ValueError
        If the matrix does not fit the shapes.

    Examples
    --------
    >>> from brainsnn.builders.operators import SparseOperator
    >>> SparseOperator((1, 1, 2), (1, 1, 1), [[0.5], [2.0]]).apply([[2, 1]]).ravel()
    array([3.])
    """

    input_shape: tuple
    output_shape: tuple
    matrix: sparse.csr_matrix

    def __post_init__(self):
        fix = object.__setattr__
        fix(self, "input_shape", shape3(self.input_shape, "SparseOperator.input_shape"))
        fix(self, "output_shape", shape3(self.output_shape, "SparseOperator.output_shape"))
        matrix = sparse.csr_matrix(self.matrix, dtype=float)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        if matrix.shape != (self.size_in, self.size_out):
            raise ValueError(
                f"SparseOperator.matrix: shape {matrix.shape} does not fit {self.input_shape} -> "
                f"{self.output_shape}, which needs {(self.size_in, self.size_out)}."
            )
        fix(self, "matrix", matrix)

    @property
    def n_weights(self):
        """Number of stored weights."""
        return self.matrix.nnz

    n_connections = n_weights

    @property
    def fan_in(self):
        """Largest number of connections onto one target."""
        return int(np.bincount(self.matrix.indices, minlength=1).max())

    def apply(self, x):
        """Apply the operator to (n, H, W, C) or flat maps; see `ConvOperator.apply`."""
        x = self._maps(x)
        out = self.matrix.T.astype(x.dtype) @ x.reshape(len(x), -1).T
        return np.ascontiguousarray(out.T).reshape(len(x), *self.output_shape)

    def to_coo(self):
        """Return all connections ``(i, j, w)``; see `ConvOperator.to_coo`."""
        coo = self.matrix.tocoo()
        return coo.row.astype(int), coo.col.astype(int), coo.data
