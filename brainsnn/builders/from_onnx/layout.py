"""
Tensors of ONNX on maps of (H, W, C): where each value stands.

The channels of ONNX come first. A tensor keeps the shape that ONNX gives it, and beside it an affine map in which channels come
last. What only changes the shape or the order of axes (Flatten, Reshape, Transpose) moves no value: the order is kept as an
array of indices, and becomes an operator only where the next node needs another one.
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import sparse

import brainsnn.builders.operators as ops
from brainsnn.builders.graph.affine import AffineMap
from brainsnn.errors import ConversionError

__all__ = ["Tensor", "map_shape", "standard_order"]


def map_shape(shape):
    """
    Return the shape (H, W, C) in which a tensor stands.

    Parameters
    ----------
    shape : tuple of int
        In ONNX, without the batch.

    Returns
    -------
    (H, W, C) : tuple of int

    Examples
    --------
    >>> map_shape((64, 28, 20)), map_shape((10,)), map_shape((7, 10)), map_shape((2, 3, 4, 5))
    ((28, 20, 64), (1, 1, 10), (1, 7, 10), (1, 1, 120))
    """
    if len(shape) == 3:
        return (shape[1], shape[2], shape[0])
    if len(shape) < 3:
        return (1,) * (3 - len(shape)) + tuple(shape)
    return (1, 1, math.prod(shape))


def standard_order(shape):
    """
    Return where the values of a tensor stand in a map of `map_shape`.

    Parameters
    ----------
    shape : tuple of int
        In ONNX, without the batch.

    Returns
    -------
    order : (n,) ndarray of int
        Flat index in ONNX -> flat index in the map.

    Examples
    --------
    >>> standard_order((2, 1, 3))
    array([0, 2, 4, 1, 3, 5])
    """
    places = np.arange(math.prod(shape))
    if len(shape) != 3:
        return places
    channels, height, width = shape
    return places.reshape(height, width, channels).transpose(2, 0, 1).ravel()


@dataclass(frozen=True)
class Tensor:
    """
    A tensor that depends on the image.

    Parameters
    ----------
    shape : tuple of int
        In ONNX, without the batch.
    affine : AffineMap
        Its values.
    order : (n,) ndarray of int, optional
        Flat index in ONNX -> flat index in `affine`. If None, `affine` has the shape `map_shape` and the `standard_order`.
    """

    shape: tuple
    affine: AffineMap
    order: np.ndarray | None = None

    @cached_property
    def places(self):
        """The order as an array (n,)."""
        return standard_order(self.shape) if self.order is None else self.order

    def viewed(self, shape, order, label):
        """
        Return the same values in another shape, or in another order.

        Parameters
        ----------
        shape : tuple of int
            In ONNX, without the batch.
        order : (n,) ndarray of int
            As `order`.
        label : str
            Name of the node.

        Returns
        -------
        Tensor
        """
        if np.array_equal(order, standard_order(shape)):
            return Tensor(shape, self.affine.reshape(map_shape(shape), label))
        return Tensor(shape, self.affine.relabel(label), order)

    def flat(self):
        """Return the affine map as a row of values (1, 1, n), in the order of the map."""
        affine = self.affine
        return replace(affine.reshape((1, 1, math.prod(self.shape)), affine.label), layers=affine.layers)

    def standard(self, builder):
        """
        Return the tensor in the standard order, by an operator if it has another one.

        Parameters
        ----------
        builder : GraphBuilder

        Returns
        -------
        Tensor

        Raises
        ------
        ConversionError
            If the values have passed a softmax, which is taken over an axis that would be lost.
        """
        if self.order is None:
            return self
        affine, shape = self.affine, map_shape(self.shape)
        if affine.activation and affine.activation[0] == "softmax":
            raise ConversionError(
                f"'{affine.label}' changes the order of values after the softmax of '{affine.activation[1]}'. End the model at "
                "the softmax."
            )
        target = np.empty_like(self.order)  # index in the map as it is -> index in the new one
        target[self.order] = standard_order(self.shape)
        operator = _permutation(affine.shape, shape, target)
        moved = builder.apply(affine, operator, affine.label)
        return Tensor(self.shape, replace(moved, layers=affine.layers))

    def laid_out(self, values):
        """
        Return an array as it stands in the affine map.

        Parameters
        ----------
        values : array_like
            Broadcasts to `shape`, or to `shape` with a batch of 1 before it.

        Returns
        -------
        (H, W, C) ndarray

        Raises
        ------
        ValueError
            If it does not.
        """
        values = np.asarray(values)
        if values.ndim == len(self.shape) + 1 and values.shape[0] == 1:
            values = values[0]
        values = np.broadcast_to(values, self.shape)
        if self.order is None:
            return values.transpose(1, 2, 0) if len(self.shape) == 3 else values.reshape(self.affine.shape)
        flat = np.empty(len(self.order), values.dtype)
        flat[self.order] = values.ravel()
        return flat.reshape(self.affine.shape)


def _permutation(before, after, target):
    """Return the operator that moves each value of a map to the place that ``target`` names; of channels only, if it can."""
    channels = target[: before[2]]
    if before == after and channels.max() < before[2]:
        moved = np.arange(0, len(target), before[2])[:, None] + channels
        if np.array_equal(moved.ravel(), target):
            return ops.ConvOperator(before, after, np.ones((1, 1, before[2], 1)), channels, [0], [0])
    n = len(target)
    return ops.SparseOperator(before, after, sparse.csr_matrix((np.ones(n), (np.arange(n), target)), shape=(n, n)))
