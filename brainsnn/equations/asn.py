"""The adaptive spiking neuron (ASN) with a multiplicative adaptive threshold."""

from brian2 import Quantity, ms

from brainsnn.equations.checks import check_time_constants
from brainsnn.equations.model import NeuronModel
from brainsnn.equations.transfer import spike_height
from brainsnn.plain_arrays import is_number

__all__ = ["ASN"]

EQUATIONS = """
dI/dt = -I/tau_beta : 1                          # synaptic current: spikes of height h, weighted and filtered
dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1         # membrane
dS_hat/dt = -S_hat/tau_eta : 1                   # refractory response: the signal encoded by the neuron's own spikes
dtheta_dyn/dt = -theta_dyn/tau_gamma : 1         # adaptation of the threshold
S = S_dyn + bias : 1                             # the signal to encode
theta = m_f + theta_dyn : 1                      # the threshold
gain : 1                                         # input gain
m_f : 1                                          # precision: resting threshold, and growth of the threshold
h : 1                                            # spike height, the output gain
bias : 1                                         # bias of the artificial neuron
"""

# A neuron spikes when the signal exceeds what its spikes have encoded by more than half the threshold. Both statements
# of the reset use the threshold before the spike.
THRESHOLD = "S - S_hat > theta/2"
RESET = """
S_hat += theta
theta_dyn += m_f*theta
"""

READOUT = """
dI/dt = -I/tau_beta : 1                          # synaptic current
dS_dyn/dt = (I - S_dyn)/tau_phi : 1              # a slow membrane smooths the spikes
S = S_dyn + bias : 1                             # the logits
bias : 1
"""


def ASN(
    m_f: float = 0.1, tau_phi: Quantity = 2.5 * ms, tau_beta: Quantity = 50 * ms, tau_eta: Quantity = 50 * ms,
    tau_gamma: Quantity = 15 * ms, tau_readout: Quantity = 50 * ms,
) -> NeuronModel:  # fmt: skip
    """
    Return the adaptive spiking neuron (ASN) of Bohte (2012).

    The equations are those of Zambrano et al. (2019) and Soerensen et al. (2022). With ``exponential_euler`` and a time step of
    1 ms, they are exactly the published discrete map.

    Parameters
    ----------
    m_f : float
        Precision: resting threshold theta_0 and multiplicative growth of the threshold, > 0. Smaller values encode the
        signal more precisely and use more spikes.
    tau_phi, tau_beta, tau_eta, tau_gamma : `~brian2.units.fundamentalunits.Quantity`
        Time constants of membrane, synapse, refractory response and threshold (ms).
    tau_readout : `~brian2.units.fundamentalunits.Quantity`
        Membrane time constant of the readout neurons (ms).

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
        With per-neuron parameters ``gain``, ``m_f``, ``h`` and ``bias``. ``h`` is computed from ``m_f`` and the
        time constants such that a constant signal of 1 has an activation of 1.

    Raises
    ------
    ValueError
        If ``m_f`` or a time constant is not positive.

    References
    ----------
    Bohte (2012), NIPS 25. Zambrano, Nusselder, Scholte, Bohte (2019), Front. Neurosci. 12:987. Soerensen, Zambrano,
    Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> from brainsnn.equations import ASN
    >>> round(ASN(m_f=0.1).parameters["h"], 5)
    0.12443
    """
    if not is_number(m_f, above=0):
        raise ValueError(f"ASN.m_f: must be a positive number, got {m_f!r}. The published networks use 0.03 to 0.5.")
    time_constants = {"tau_phi": tau_phi, "tau_beta": tau_beta, "tau_eta": tau_eta, "tau_gamma": tau_gamma}
    check_time_constants("ASN", **time_constants, tau_readout=tau_readout)
    readout = NeuronModel(
        "ASN readout",
        READOUT,
        parameters={"tau_phi": tau_readout, "tau_beta": tau_beta},
        membrane="S_dyn",
        spike_height=None,
    )
    return NeuronModel(
        name="ASN",
        equations=EQUATIONS,
        threshold=THRESHOLD,
        reset=RESET,
        parameters={**time_constants, "gain": 1.0, "m_f": m_f},
        membrane="S_dyn",
        derived={"h": (("m_f", "tau_beta", "tau_eta", "tau_gamma"), spike_height)},
        attention={"input_gain": "gain", "output_gain": "h", "precision": "m_f"},
        readout=readout,
    )
