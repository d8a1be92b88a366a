"""What all operators between feature maps have in common."""

import math

import numpy as np

__all__ = ["Operator", "as_kernel", "shape3"]


def shape3(shape, what):
    """
    Check a shape and return it as a tuple.

    Parameters
    ----------
    shape : sequence of int
    what : str
        Name of the argument, for the error.

    Returns
    -------
    shape : tuple of int
        (H, W, C).

    Raises
    ------
    ValueError
        If it does not consist of three positive numbers.
    """
    shape = tuple(int(n) for n in shape)
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"{what}: expected a shape (height, width, channels) of positive numbers, got {shape}.")
    return shape


def as_kernel(values):
    """
    Return weights as float64; those of float32, as Keras has them, as they are, because they can be large.

    Parameters
    ----------
    values : array_like

    Returns
    -------
    kernel : ndarray
    """
    values = np.asarray(values)
    return np.ascontiguousarray(values, dtype=np.float32 if values.dtype == np.float32 else float)


class Operator:
    """
    Base class of all operators: sizes, conversion of arrays, and `transfer`.

    Examples
    --------
    >>> from brainsnn.builders.operators import Operator, identity
    >>> isinstance(identity((2, 2, 3)), Operator)
    True
    """

    is_pointwise = is_channelwise = is_scale = is_identity = False

    def __repr__(self):
        return f"<{self.kind} {self.input_shape} -> {self.output_shape}, {self.n_connections:,} connections>"

    @property
    def size_in(self):
        """Number of input values."""
        return math.prod(self.input_shape)

    @property
    def size_out(self):
        """Number of output values."""
        return math.prod(self.output_shape)

    @property
    def kind(self):
        """Name of the operator in tables."""
        return type(self).__name__

    def _maps(self, x):
        """Return `x` as a float array (n, H, W, C)."""
        x = np.asarray(x)
        if x.dtype.kind != "f":
            x = x.astype(float)
        if x.ndim == 0 or x.size != len(x) * self.size_in:
            raise ValueError(
                f"{type(self).__name__}.apply: an input of shape {x.shape} does not hold maps of {self.input_shape}; "
                f"expected (n, {', '.join(map(str, self.input_shape))}) or (n, {self.size_in})."
            )
        return x.reshape(len(x), *self.input_shape)

    def transfer(self, bias_map):
        """
        Apply the operator to one map, such as a bias.

        Parameters
        ----------
        bias_map : (H, W, C) array_like
            Broadcastable to `input_shape`, or an array of the same size.

        Returns
        -------
        (Ho, Wo, Co) ndarray
        """
        bias_map = np.asarray(bias_map, dtype=float)
        if bias_map.size != self.size_in:
            bias_map = np.broadcast_to(bias_map, self.input_shape)
        return self.apply(bias_map.reshape(1, -1))[0]
