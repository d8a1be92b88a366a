"""A tensor of a Keras model as a linear function of populations."""

from dataclasses import dataclass, replace

import numpy as np

from brainsnn.builders.operators.linear import ConvOperator

__all__ = ["Term", "AffineMap", "is_uniform", "reduce_bias"]


@dataclass(frozen=True)
class Term:
    """
    Operator on what one population gives.

    Parameters
    ----------
    source : str
        Name of the population.
    mode : {"spikes", "current", "membrane"}
        As in `Projection`.
    operator : operator
    """

    source: str
    mode: str
    operator: object


@dataclass(frozen=True)
class AffineMap:
    """
    Sum of terms and a bias: the value of one tensor.

    Parameters
    ----------
    shape : (H, W, C)
        Shape of the tensor; the operators' output shapes may differ from it after a reshape, the sizes do not.
    terms : tuple of Term
    bias : (H, W, C) ndarray, optional
        None for 0.
    label : str
        Layer that made the tensor.
    layers : tuple of str
        Layers on the way from the populations to here.
    activation : (str, str), optional
        Output activation that closes the form, and the layer that it came from.
    """

    shape: tuple
    terms: tuple
    bias: np.ndarray
    label: str
    layers: tuple = ()
    activation: tuple | None = None

    @property
    def is_channelwise(self):
        """Whether it is one population, at most scaled or embedded."""
        return len(self.terms) == 1 and self.terms[0].operator.is_channelwise

    @property
    def is_population(self):
        """Whether it is the output of one population and nothing else."""
        term = self.terms[0]
        return len(self.terms) == 1 and term.operator.is_identity and term.mode == "spikes" and self.bias is None

    @property
    def reads_membrane(self):
        """Whether it reads potentials, behind a maximum."""
        return any(term.mode == "membrane" for term in self.terms)

    def relabel(self, label, **changes):
        """The form as the output of a further layer."""
        return replace(self, label=label, layers=(*self.layers, label), **changes)

    def reshape(self, shape, label):
        """The form with another shape of the same size."""
        terms = tuple(
            # What a population gives has any shape: the flat order is the same.
            replace(t, operator=_identity(shape)) if t.operator.is_identity else t
            for t in self.terms
        )
        bias = None if self.bias is None else self.bias.reshape(shape)
        return self.relabel(label, shape=tuple(shape), terms=terms, bias=bias)


def _identity(shape):
    """Identity on maps of a shape."""
    return ConvOperator(shape, shape, np.ones((1, 1, shape[2], 1)), np.arange(shape[2]), [0], [0])


def is_uniform(bias):
    """Whether a bias (H, W, C), or None, is the same at all positions, up to rounding."""
    if bias is None:
        return True
    flat = bias.reshape(-1, bias.shape[-1])
    return bool(np.ptp(flat, axis=0).max() <= 1e-12 * max(1.0, np.abs(flat).max()))


def reduce_bias(bias, shape):
    """
    Bias of a population.

    Parameters
    ----------
    bias : (H, W, C) ndarray or None
    shape : (H, W, C)
        Shape of the population.

    Returns
    -------
    (1, 1, C) ndarray where it is the same at all positions, else (H, W, C)
    """
    if bias is None:
        return np.zeros((1, 1, shape[2]))
    bias = bias.reshape(shape)
    return bias[:1, :1].copy() if is_uniform(bias) else bias
