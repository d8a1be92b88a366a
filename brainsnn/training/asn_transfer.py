"""The transfer function of the adaptive spiking neuron as a Keras layer."""

import math

import keras
from keras import ops

from brainsnn.equations.transfer import TAU_ETA_MS, TAU_GAMMA_MS, spike_height, transfer_coefficients

__all__ = ["ASNTransfer"]

PUBLISHED = {"tau_eta": TAU_ETA_MS, "tau_gamma": TAU_GAMMA_MS}


@keras.saving.register_keras_serializable(package="brainsnn")
class ASNTransfer(keras.layers.Layer):
    r"""
    Transfer function of an adaptive spiking neuron: from constant input to mean filtered spike train.

    Computes ``max(0, f(x'))``, where ``x' = x`` if ``x >= threshold`` and 0 otherwise, and `f` is the transfer
    function of `brainsnn.equations.transfer`, scaled so that f(1) = 1. A network trained with this layer keeps its
    activations when each such layer is replaced by spiking neurons of the same `m_f` and time constants.

    Parameters
    ----------
    m_f : float, optional
        Precision of the neuron, > 0: its resting threshold, and the growth of the threshold per spike.
    threshold : float, optional
        Inputs below it are treated as 0.
    tau_eta, tau_gamma : float, optional
        Time constants of refractory response and threshold (ms). That of the synapse does not change the function.
    **kwargs
        Arguments of every Keras layer: ``name``, ``dtype``, ...

    Raises
    ------
    ValueError
        If `m_f` or a time constant is not a finite positive number or `threshold` is not a number.

    Notes
    -----
    The input can have any shape; the output has the same shape.

    With u(S) = (c1 S + c2)/(c3 S + c4), the layer evaluates u = u_inf + (u_0 - u_inf)/(1 + S c3/c4), where
    u_0 = c2/c4 and u_inf = c1/c3 are the values at S = 0 and at infinity. This is the same function, but it cannot
    overflow: value and gradient are finite for every input, including infinity. `f` has a pole at negative S, where the
    output is 0 in any case. S is therefore clipped at 0 first, which matters only with a negative `threshold`.

    See Also
    --------
    brainsnn.equations.transfer.transfer_function : the same function in numpy.

    References
    ----------
    Zambrano, Nusselder, Scholte, Bohte (2019), Front. Neurosci. 12:987.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.training import ASNTransfer
    >>> ASNTransfer(m_f=0.1)(np.array([[-1.0, 0.2, 1.0]])).numpy().round(2)
    array([[0.  , 0.24, 1.  ]], dtype=float32)
    """

    def __init__(self, m_f=0.1, threshold=0.0, tau_eta=TAU_ETA_MS, tau_gamma=TAU_GAMMA_MS, **kwargs):
        super().__init__(**kwargs)
        self.m_f = _number("m_f", m_f)
        self.threshold = _number("threshold", threshold, allow_infinite=True)
        if self.m_f <= 0:
            raise ValueError(f"ASNTransfer.m_f: must be > 0 (no finite spike height exists at 0), got {m_f!r}.")
        self.tau_eta, self.tau_gamma = _number("tau_eta", tau_eta), _number("tau_gamma", tau_gamma)
        time_constants = {name: getattr(self, name) for name in PUBLISHED}
        for name, value in time_constants.items():
            if value <= 0:
                raise ValueError(f"ASNTransfer.{name}: must be > 0 ms, got {value!r}.")
        c1, c2, c3, c4 = transfer_coefficients(self.m_f, **time_constants)
        self._u_zero = c2 / c4
        self._u_infinity = c1 / c3
        self._slope = c3 / c4
        self._height = spike_height(self.m_f, tau_beta=self.tau_eta, **time_constants)
        self._offset = self._height * (self._occupancy(self.m_f / 2, math.expm1) - 0.5)

    def _occupancy(self, S, expm1):
        """Return 1/(exp(u(S)) - 1) for S >= 0; `expm1` is that of numbers or of tensors."""
        u = self._u_infinity + (self._u_zero - self._u_infinity) / (1 + self._slope * S)
        return 1 / expm1(u)

    def call(self, inputs):
        """Apply the transfer function to a tensor of any shape."""
        S = ops.where(inputs >= self.threshold, inputs, ops.zeros_like(inputs))
        S = ops.maximum(S, 0)
        return ops.maximum(self._height * self._occupancy(S, ops.expm1) - self._offset, 0)

    def compute_output_shape(self, input_shape):
        """Return the input shape, which is also the output shape."""
        return input_shape

    def get_config(self):
        """Return the arguments from which this layer can be made again."""
        # Those of the published neuron are left out, so that other code that knows only m_f and threshold can read the file.
        changed = {name: getattr(self, name) for name, value in PUBLISHED.items() if getattr(self, name) != value}
        return {**super().get_config(), "m_f": self.m_f, "threshold": self.threshold, **changed}


def _number(name, value, allow_infinite=False):
    """Return `value` as a float, or raise an error that names the argument."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if math.isnan(number) or (math.isinf(number) and not allow_infinite):
        raise ValueError(f"ASNTransfer.{name}: must be a finite number, got {value!r}.")
    return number
