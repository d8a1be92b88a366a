"""Integrate-and-fire neurons: a discrete map (IF) and differential equations (LIF)."""

from dataclasses import dataclass

from brian2 import Quantity, ms

from brainsnn.equations.checks import check_time_constants
from brainsnn.equations.model import NeuronModel
from brainsnn.plain_arrays import is_number

__all__ = ["IF", "LIF"]

# Incoming spikes and the neuron's own reset are collected in I and added in the next step. So the leak acts on the
# potential that was compared with the threshold: v(t+1) = leak*v(t) + sum(w*spikes(t)) - threshold*spike(t).
IF_EQUATIONS = """
v : 1                                            # membrane potential
I : 1                                            # input since the last step
v_th : 1                                         # threshold
h : 1                                            # spike height
bias : 1                                         # bias of the artificial neuron, a constant current
"""
IF_UPDATE = """
v = leak*v + I + bias
I = 0
"""
#: What a spike takes away: the threshold, so that the surplus stays, or all of the potential.
IF_RESETS = {"soft": "I -= v_th", "hard": "I -= leak*v"}

ACCUMULATOR = """
S : 1                                            # the logits, summed over time
I : 1                                            # input since the last step
bias : 1
"""

LIF_EQUATIONS = """
dv/dt = (I - v)/tau_m : 1                        # membrane potential
dI/dt = -I/tau_s : 1                             # synaptic current
S = v + bias : 1
v_th : 1                                         # threshold
h : 1                                            # spike height
bias : 1                                         # bias of the artificial neuron
"""
LIF_READOUT = """
dS_dyn/dt = (I - S_dyn)/tau_m : 1
dI/dt = -I/tau_s : 1
S = S_dyn + bias : 1
bias : 1
"""


@dataclass(frozen=True)
class ReciprocalGain:
    """
    Spike height of a leaky neuron, which follows from its time constants when these are edited.

    A spike lowers v by the threshold and a constant signal S raises it at a rate of S/tau_m, so the neuron fires at
    S/(threshold*tau_m). Its filtered output is h*tau_s times that rate, which equals S for this height.

    Parameters
    ----------
    threshold : float
    """

    threshold: float

    def __call__(self, tau_m, tau_s):
        """Return the height for time constants in one unit."""
        return self.threshold * tau_m / tau_s


def IF(leak: float = 1.0, threshold: float = 1.0, reset: str = "soft", initial: float = 0.0) -> NeuronModel:
    """
    Return an integrate-and-fire neuron, defined as a discrete map.

    ``spike(t) = v(t) > v_th`` and ``v(t+1) = leak*v(t) + sum(w*spikes(t)) - v_th*spike(t)``. The readout sums its input
    over time.

    Parameters
    ----------
    leak : float
        Fraction of the membrane potential that remains after one step, 0 < leak <= 1.
    threshold : float
        Threshold of all layers that ``convert(..., thresholds={layer: value})`` does not name.
    reset : {"soft", "hard"}
        Whether a spike lowers the potential by the threshold, which keeps the surplus, or to 0, which loses it.
    initial : float
        Potential at the start of a trial. Half of the threshold halves the largest error of the spike count of a neuron with
        constant input.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`

    Raises
    ------
    ValueError
        If ``leak`` lies outside (0, 1], ``threshold`` is not positive, ``reset`` is unknown or ``initial`` is not a number.

    References
    ----------
    Rathi, Srinivasan, Panda, Roy (2020), ICLR. Rueckauer, Lungu, Hu, Pfeiffer, Liu (2017), Front. Neurosci. 11:682, for
    the two resets. Deng, Gu (2021), ICLR, and Bu, Ding, Yu, Huang (2022), AAAI, for the initial potential.

    Examples
    --------
    >>> from brainsnn.equations import IF
    >>> IF(reset="hard", initial=0.5).reset
    'I -= leak*v'
    """
    if not is_number(leak, above=0, high=1):
        raise ValueError(f"IF.leak: must lie in (0, 1], got {leak!r}. Use 1 for a neuron without leak.")
    if not is_number(threshold, above=0):
        raise ValueError(f"IF.threshold: must be positive, got {threshold!r}.")
    if not isinstance(reset, str) or reset not in IF_RESETS:
        raise ValueError(f"IF.reset: must be 'soft' or 'hard', got {reset!r}.")
    if not is_number(initial):
        raise ValueError(f"IF.initial: must be a number such as threshold/2, got {initial!r}.")
    readout = NeuronModel(
        name="IF readout",
        equations=ACCUMULATOR,
        update="S = S + I + bias; I = 0",
        spike_height=None,
    )
    return NeuronModel(
        name="IF",
        equations=IF_EQUATIONS,
        threshold="v > v_th",
        reset=IF_RESETS[reset],
        initial={"v": initial} if initial else {},
        update=IF_UPDATE,
        parameters={"leak": leak, "v_th": threshold, "h": 1.0},
        threshold_parameter="v_th",
        attention={"output_gain": "h"},
        encoder="poisson",
        readout=readout,
    )


def LIF(
    tau_m: Quantity = 20 * ms, tau_s: Quantity = 5 * ms, threshold: float = 1.0, tau_readout: Quantity = 50 * ms
) -> NeuronModel:
    """
    Return a leaky integrate-and-fire neuron with an exponential synapse and a soft reset.

    Parameters
    ----------
    tau_m, tau_s, tau_readout : `~brian2.units.fundamentalunits.Quantity`
        Time constants of membrane, synapse and readout membrane (ms).
    threshold : float
        Threshold of all layers that ``convert(..., thresholds={layer: value})`` does not name.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
        With a spike height that gives a neuron driven by a constant signal S, well above threshold, a filtered output of
        about S.

    Raises
    ------
    ValueError
        If ``threshold`` or a time constant is not positive.

    References
    ----------
    Gerstner, Kistler, Naud, Paninski (2014), Neuronal Dynamics, chapter 1.

    Examples
    --------
    >>> import brainsnn as bs
    >>> bs.LIF(tau_m=100 * bs.ms, threshold=0.02).parameters["tau_m"]
    100. * msecond
    """
    if not is_number(threshold, above=0):
        raise ValueError(f"LIF.threshold: must be positive, got {threshold!r}.")
    check_time_constants("LIF", tau_m=tau_m, tau_s=tau_s, tau_readout=tau_readout)
    readout = NeuronModel(
        name="LIF readout",
        equations=LIF_READOUT,
        parameters={"tau_m": tau_readout, "tau_s": tau_s},
        membrane="S_dyn",
        spike_height=None,
    )
    return NeuronModel(
        name="LIF",
        equations=LIF_EQUATIONS,
        threshold="S > v_th",
        reset="v -= v_th",
        parameters={"tau_m": tau_m, "tau_s": tau_s, "v_th": threshold},
        derived={"h": (("tau_m", "tau_s"), ReciprocalGain(threshold))},
        membrane="v",
        threshold_parameter="v_th",
        attention={"output_gain": "h"},
        readout=readout,
    )
