"""The static transfer function of the adaptive spiking neuron."""

import numpy as np

from brainsnn.plain_arrays import plain_array

__all__ = ["transfer_coefficients", "spike_height", "transfer_function"]

#: Time constants of the published neuron, in ms.
TAU_GAMMA_MS = 15.0
TAU_ETA_MS = 50.0


def transfer_coefficients(m_f, tau_gamma=TAU_GAMMA_MS, tau_eta=TAU_ETA_MS):
    """
    Return the coefficients of the transfer function for a precision ``m_f``.

    Parameters
    ----------
    m_f : float or ndarray
        Resting threshold and multiplicative growth of the threshold (theta_0 = m_f), > 0.
    tau_gamma, tau_eta : float
        Time constants of the threshold and of the refractory response, in the same unit (ms).

    Returns
    -------
    c1, c2, c3, c4 : float or ndarray
        Coefficients of ``f(S) = h/(exp((c1*S + c2)/(c3*S + c4)) - 1) - c0 + h/2``.

    References
    ----------
    Zambrano, Nusselder, Scholte, Bohte (2019), Front. Neurosci. 12:987.
    """
    c1 = 2 * m_f * tau_gamma**2
    c2 = 2 * m_f * tau_eta * tau_gamma
    c3 = tau_gamma * (m_f * tau_gamma + 2 * (m_f + 1) * tau_eta)
    c4 = m_f * tau_eta * (tau_gamma + tau_eta)
    return c1, c2, c3, c4


def _unit_transfer(S, m_f):
    """Return f(S) for a spike height of 1. Valid for S >= 0."""
    c1, c2, c3, c4 = transfer_coefficients(m_f)

    def occupancy(x):
        return 1 / np.expm1((c1 * x + c2) / (c3 * x + c4))

    return occupancy(S) - occupancy(m_f / 2) + 0.5


def spike_height(m_f, minimum=1e-3):
    """
    Return the spike height for which the transfer function passes through f(1) = 1.

    Parameters
    ----------
    m_f : float or ndarray
        Precision (resting threshold), one value or one for each neuron.
    minimum : float, optional
        Floor of ``m_f``. Attention can lower a neuron's ``m_f`` to 0, where no finite height exists. Such a neuron gets
        the height at the floor.

    Returns
    -------
    h : float or ndarray
        Spike height, same shape as ``m_f``; 0.12443 at ``m_f = 0.1``.

    Raises
    ------
    ValueError
        If an ``m_f`` is negative or not finite.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.
    """
    m_f = plain_array(m_f, "spike_height: m_f", float)
    if not np.all(np.isfinite(m_f)) or np.any(m_f < 0):
        raise ValueError(f"spike_height: m_f must be finite and >= 0, got a minimum of {np.min(m_f)!r}.")
    height = 1 / _unit_transfer(1.0, np.maximum(m_f, minimum))
    return float(height) if height.ndim == 0 else height


def transfer_function(S, m_f, threshold=0.0):
    """
    Return the activation of an adaptive spiking neuron for a constant input, in ANN units.

    Parameters
    ----------
    S : float or ndarray
        Constant input.
    m_f : float
        Precision (resting threshold).
    threshold : float, optional
        Smaller inputs count as 0 (the ``threshold`` of the Keras layer ``ASNTransfer``).

    Returns
    -------
    activation : ndarray
        ``max(0, f(S))``, same shape as ``S``.

    References
    ----------
    Zambrano, Nusselder, Scholte, Bohte (2019), Front. Neurosci. 12:987.
    """
    S = plain_array(S, "transfer_function: S", float)
    # f has a pole at a negative S, where the activation is 0 anyway.
    clipped = np.maximum(np.where(threshold <= S, S, 0.0), 0.0)
    return np.maximum(0.0, spike_height(m_f) * _unit_transfer(clipped, m_f))
