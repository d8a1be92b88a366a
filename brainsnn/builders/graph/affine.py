"""The value of a tensor as an affine map of populations: a sum of operators plus a bias."""

from dataclasses import dataclass, replace

import numpy as np

from brainsnn.builders.operators.linear import ConvOperator

__all__ = ["Term", "AffineMap", "is_uniform", "reduce_bias"]


@dataclass(frozen=True)
class Term:
    """
    One operator applied to the output of one population.

    Parameters
    ----------
    source : str
        Name of the population.
    mode : {"spikes", "current", "membrane"}
        As in `~brainsnn.builders.graph.Projection`.
    operator : ConvOperator, SparseOperator, MaxPool or OperatorChain
    """

    source: str
    mode: str
    operator: object


@dataclass(frozen=True)
class AffineMap:
    """
    Value of one tensor: a sum of terms plus a bias.

    Parameters
    ----------
    shape : (H, W, C)
        Shape of the tensor. After a reshape, the operators' output shapes may differ from it; their sizes do not.
    terms : tuple of Term
    bias : (H, W, C) ndarray or None
        None stands for 0.
    label : str
        Layer that produced the tensor.
    layers : tuple of str
        Layers between the populations and this tensor.
    activation : (str, str), optional
        Output activation applied last, such as softmax, and the layer that applies it. No further layer can follow.
    n_together : int, optional
        Length of the last axis when the activation was applied: a softmax is taken over so many values.
    gain : float, optional
        By how much the pixels of the image have been multiplied; None once layers have mixed them.
    """

    shape: tuple
    terms: tuple
    bias: np.ndarray
    label: str
    layers: tuple = ()
    activation: tuple | None = None
    n_together: int | None = None
    gain: float | None = None

    @property
    def is_channelwise(self):
        """Whether it is a single population, at most scaled or embedded among more channels."""
        return len(self.terms) == 1 and self.terms[0].operator.is_channelwise

    @property
    def is_population(self):
        """Whether it is exactly the output of one population."""
        term = self.terms[0]
        return len(self.terms) == 1 and term.operator.is_identity and term.mode == "spikes" and self.bias is None

    @property
    def reads_membrane(self):
        """Whether it reads membrane potentials, as after max pooling."""
        return any(term.mode == "membrane" for term in self.terms)

    def relabel(self, label, **changes):
        """Return this map as the output of a further layer."""
        return replace(self, label=label, layers=(*self.layers, label), **changes)

    def reshape(self, shape, label):
        """Return this map with another shape of the same size."""
        terms = tuple(
            # The output of a population can take any shape: its flat order stays the same.
            replace(t, operator=_identity(shape)) if t.operator.is_identity else t
            for t in self.terms
        )
        bias = None if self.bias is None else self.bias.reshape(shape)
        return self.relabel(label, shape=tuple(shape), terms=terms, bias=bias)


def _identity(shape):
    """Return the identity operator for a shape."""
    return ConvOperator(shape, shape, np.ones((1, 1, shape[2], 1)), np.arange(shape[2]), [0], [0])


def is_uniform(bias):
    """Return whether a bias (H, W, C), or None, is equal at all positions, up to rounding."""
    if bias is None:
        return True
    flat = bias.reshape(-1, bias.shape[-1])
    return bool(np.ptp(flat, axis=0).max() <= 1e-12 * max(1.0, np.abs(flat).max()))


def reduce_bias(bias, shape):
    """
    Return the bias of a population in its smallest shape.

    Parameters
    ----------
    bias : (H, W, C) ndarray or None
    shape : (H, W, C)
        Shape of the population.

    Returns
    -------
    (1, 1, C) or (H, W, C) ndarray
        (1, 1, C) if the bias is equal at all positions.
    """
    if bias is None:
        return np.zeros((1, 1, shape[2]))
    bias = bias.reshape(shape)
    return bias[:1, :1].copy() if is_uniform(bias) else bias
