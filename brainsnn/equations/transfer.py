"""The static transfer function of the adaptive spiking neuron."""

import numpy as np

from brainsnn.plain_arrays import plain_array

__all__ = ["transfer_coefficients", "spike_height", "transfer_function"]

#: Time constants of the published neuron, in ms.
TAU_BETA_MS = 50.0
TAU_ETA_MS = 50.0
TAU_GAMMA_MS = 15.0


def transfer_coefficients(m_f, tau_eta=TAU_ETA_MS, tau_gamma=TAU_GAMMA_MS):
    """
    Return the coefficients of the transfer function for a precision ``m_f``.

    Parameters
    ----------
    m_f : float or ndarray
        Resting threshold and multiplicative growth of the threshold (theta_0 = m_f), > 0.
    tau_eta, tau_gamma : float or ndarray
        Time constants of the refractory response and of the threshold, in the same unit (ms).

    Returns
    -------
    c1, c2, c3, c4 : float or ndarray
        Coefficients of ``f(S) = h/(exp((c1*S + c2)/(c3*S + c4)) - 1) - c0 + h/2``.

    References
    ----------
    Zambrano, Nusselder, Scholte, Bohte (2019), Front. Neurosci. 12:987.

    Examples
    --------
    >>> from brainsnn.equations import transfer_coefficients
    >>> [round(float(c), 2) for c in transfer_coefficients(0.1)]
    [45.0, 150.0, 1672.5, 325.0]
    """
    c1 = 2 * m_f * tau_gamma**2
    c2 = 2 * m_f * tau_eta * tau_gamma
    c3 = tau_gamma * (m_f * tau_gamma + 2 * (m_f + 1) * tau_eta)
    c4 = m_f * tau_eta * (tau_gamma + tau_eta)
    return c1, c2, c3, c4


def _unit_transfer(S, m_f, tau_eta, tau_gamma):
    """Return f(S) for a spike height of 1. Valid for S >= 0."""
    c1, c2, c3, c4 = transfer_coefficients(m_f, tau_eta, tau_gamma)

    def occupancy(x):
        """Return 1/(exp(r) - 1) for the ratio r of the coefficients at x."""
        return 1 / np.expm1((c1 * x + c2) / (c3 * x + c4))

    return occupancy(S) - occupancy(m_f / 2) + 0.5


def spike_height(m_f, tau_beta=TAU_BETA_MS, tau_eta=TAU_ETA_MS, tau_gamma=TAU_GAMMA_MS, minimum=1e-3):
    """
    Return the spike height for which the transfer function passes through f(1) = 1.

    Parameters
    ----------
    m_f : float or ndarray
        Precision (resting threshold), one value or one for each neuron.
    tau_beta, tau_eta, tau_gamma : float, ndarray or `~brian2.units.fundamentalunits.Quantity`, optional
        Time constants of the synapse, the refractory response and the threshold, in the same unit (ms).
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
        If an ``m_f`` is negative, not finite or so large that a signal of 1 causes no spikes (5.4 with the published time
        constants), or a time constant is not positive.

    Notes
    -----
    The published transfer function is that of a synapse with ``tau_beta = tau_eta``. A neuron's spike times do not depend on
    the synapse, which filters r spikes per second to a mean of ``h*tau_beta*r``. So another ``tau_beta`` only scales the
    height, by ``tau_eta/tau_beta``, and leaves the transfer function as it is.

    References
    ----------
    Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> from brainsnn.equations import spike_height
    >>> round(float(spike_height(0.1)), 3), round(float(spike_height(0.2)), 3)
    (0.124, 0.239)
    """
    m_f = plain_array(m_f, "spike_height: m_f", float)
    if not np.all(np.isfinite(m_f)) or np.any(m_f < 0):
        raise ValueError(f"spike_height: m_f must be finite and >= 0, got a minimum of {np.min(m_f)!r}.")
    time_constants = [np.asarray(tau, dtype=float) for tau in (tau_beta, tau_eta, tau_gamma)]
    for name, tau in zip(("tau_beta", "tau_eta", "tau_gamma"), time_constants):
        if not np.all(tau > 0):
            raise ValueError(f"spike_height: {name} must be greater than 0, got a minimum of {np.min(tau)!r}.")
    tau_beta, tau_eta, tau_gamma = time_constants
    height = tau_eta / tau_beta / _unit_transfer(1.0, np.maximum(m_f, minimum), tau_eta, tau_gamma)
    if np.any(height <= 0):
        raise ValueError(
            f"spike_height: m_f={np.max(m_f):g} is so large that a constant signal of 1 stays below the threshold, and no spike "
            "height passes it on. The published networks use 0.03 to 0.5."
        )
    return float(height) if height.ndim == 0 else height


def transfer_function(S, m_f, threshold=0.0, tau_eta=TAU_ETA_MS, tau_gamma=TAU_GAMMA_MS):
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
    tau_eta, tau_gamma : float, optional
        Time constants of the refractory response and of the threshold, in the same unit (ms).

    Returns
    -------
    activation : ndarray
        ``max(0, f(S))``, same shape as ``S``.

    References
    ----------
    Zambrano, Nusselder, Scholte, Bohte (2019), Front. Neurosci. 12:987.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.equations import transfer_function
    >>> transfer_function(np.array([-1.0, 0.2, 1.0]), m_f=0.1).round(2)
    array([0.  , 0.24, 1.  ])
    """
    S = plain_array(S, "transfer_function: S", float)
    # f has a pole at a negative S, where the activation is 0 anyway.
    clipped = np.maximum(np.where(threshold <= S, S, 0.0), 0.0)
    unit = _unit_transfer(clipped, m_f, tau_eta, tau_gamma)
    return np.maximum(0.0, unit / _unit_transfer(1.0, m_f, tau_eta, tau_gamma))
