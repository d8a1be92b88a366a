"""The parts of a network as plain data: populations, projections, and the rows of the printed table."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from scipy.special import expit, softmax

from brainsnn.builders.operators.linear import ConvOperator, SparseOperator
from brainsnn.builders.operators.pooling import MaxPool, OperatorChain
from brainsnn.one_line import fields_line

__all__ = ["LayerRow", "Operator", "OUTPUT_ACTIVATIONS", "Population", "Projection"]

#: What a projection can do.
Operator = ConvOperator | SparseOperator | MaxPool | OperatorChain

#: Activations that a readout can have, for arrays of shape (..., channels).
OUTPUT_ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "linear": lambda x: x,
    "softmax": partial(softmax, axis=-1),
    "sigmoid": expit,
    "tanh": np.tanh,
    "softplus": lambda x: np.logaddexp(x, 0),
}


@dataclass
class Population:
    """
    A group of neurons, spiking or not.

    Parameters
    ----------
    name : str
        Name of the layer that it represents.
    kind : {"input", "spiking", "junction", "membrane", "readout"}
        A junction holds the filtered current of a stream; a membrane integrates but does not spike.
    shape : (H, W, C)
    activation : str, optional
        ``"asn"`` or ``"relu"`` of a spiking population, a key of `OUTPUT_ACTIVATIONS` of a readout, else None.
    bias : (1, 1, C) or (H, W, C) ndarray, optional
        Constant input, 0 by default. Of shape (H, W, C) if it differs between positions.
    m_f : float, optional
        Precision of an ``"asn"`` population, as trained.
    threshold : float, optional
        Inputs below it are treated as 0 in the trained transfer function.
    time_constants : (float, float), optional
        tau_eta and tau_gamma (ms) of the trained transfer function, those of the published neuron by default.
    layers : tuple of str, optional
        Layers folded into it, including its own.
    keras_layer : str, optional
        Keras layer whose output equals the activation of this population times `scale`, approximately if an average is taken
        on the membrane. None if no layer does.
    scale : float or (C,) ndarray, optional
        Activation of the trained layer that became 1, as `brainsnn.calibrate` has set it.
    reads : str, optional
        Population whose spikes a readout of `brainsnn.convert(readouts=...)` reads; None for those of the model.

    Examples
    --------
    >>> import brainsnn as bs
    >>> population = bs.read_keras(bs.load_model("digits")).population("conv1")
    >>> population.kind, population.size
    ('spiking', 12544)
    """

    name: str
    kind: str
    shape: tuple[int, int, int]
    activation: str | None = None
    bias: np.ndarray = field(default=None, repr=False)  # type: ignore[arg-type]  # set in __post_init__
    m_f: float | None = None
    threshold: float = 0.0
    time_constants: tuple[float, float] = (50.0, 15.0)
    layers: tuple[str, ...] = ()
    keras_layer: str | None = None
    scale: float | np.ndarray = 1.0
    reads: str | None = None

    __repr__ = fields_line

    def __post_init__(self) -> None:
        if self.bias is None:
            self.bias = np.zeros((1, 1, self.shape[2]))

    @property
    def size(self) -> int:
        """Number of neurons."""
        return int(np.prod(self.shape))

    def output(self, values: np.ndarray) -> np.ndarray:
        """
        Return the output of a readout.

        Parameters
        ----------
        values : (..., size) ndarray
            Of all neurons, flat. A softmax is taken over the channels of each place.

        Returns
        -------
        output : (..., size) ndarray
        """
        activation = OUTPUT_ACTIVATIONS[self.activation or "linear"]
        return activation(values.reshape(*values.shape[:-1], *self.shape)).reshape(values.shape)

    def transfer(self, S: np.ndarray) -> np.ndarray:
        """
        Return the activation for a constant input that includes the bias.

        Parameters
        ----------
        S : (n, H, W, C) ndarray

        Returns
        -------
        (n, H, W, C) ndarray
        """
        if self.activation == "asn":
            from brainsnn.equations.transfer import transfer_function

            return transfer_function(S, self.m_f, self.threshold, *self.time_constants)
        if self.activation == "relu":
            return np.maximum(S, 0)
        return OUTPUT_ACTIVATIONS[self.activation or "linear"](S)


@dataclass
class Projection:
    """
    One operator, linear or a maximum, from one population to another.

    Parameters
    ----------
    source, target : str
        Names of populations.
    operator : ConvOperator, SparseOperator, MaxPool or OperatorChain
        Its shapes may differ from those of the populations; sizes and flat order are the same.
    mode : {"spikes", "current", "membrane", "counts"}
        ``"spikes"``: transmits the spikes of the source, or the stimulus if the source is the input. ``"current"``:
        graded, reads the current of a junction. ``"membrane"``: graded, sets the membrane variable of the target to the
        operator applied to the potential of the source, bias included. The source is always a membrane population, and
        there is no other projection onto the target. ``"counts"``: a `MaxPool` over the spike counts of the source; the
        target spikes when the maximum grows, and has no other input.

    Examples
    --------
    >>> import brainsnn as bs
    >>> graph = bs.read_keras(bs.load_model("digits"))
    >>> graph.by_target()[graph.population("conv2").name][0].source
    'conv1_asn'
    """

    source: str
    target: str
    operator: Operator
    mode: str = "spikes"

    __repr__ = fields_line


@dataclass
class LayerRow:
    """
    One row of the printed table: a layer of the model that was read.

    Parameters
    ----------
    name, class_name : str
    shape : tuple
        Output shape without the batch.
    note : str, optional
        What became of a layer that is neither a population nor folded into one.

    Examples
    --------
    >>> import brainsnn as bs
    >>> bs.read_keras(bs.load_model("digits")).rows[0]
    LayerRow(name='pixels', class_name='InputLayer', shape=(28, 28, 1))
    """

    name: str
    class_name: str
    shape: tuple[int | None, ...]
    note: str = ""

    __repr__ = fields_line
