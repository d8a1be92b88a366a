"""Random edits of neuron models: equations, statements, parameters, start values and methods. None of them adds noise."""

from functools import partial

from brian2 import ms, mV, nA, nS, pA, pF
from example_models import current_based_lif

import brainsnn as bs

__all__ = ["EDITS", "draw_neuron"]


def replaced(old, new, **parameters):
    """Return an edit that replaces part of an equation, wherever it stands."""

    def edit(neuron):
        line = next((line for line in neuron.equations.splitlines() if old in line), None)
        return neuron if line is None else neuron.replace(line, line.replace(old, new), **parameters)

    return edit


def edited(**changes):
    return lambda neuron: neuron.edit(**changes)


def extended(equations, old="", new="", reset="", update="", **parameters):
    """Return an edit that adds equations, uses them in another one, and adds statements."""

    def edit(neuron):
        neuron = replaced(old, new)(neuron) if old else neuron
        changes = {"equations": f"{neuron.equations}\n{equations}", **parameters}
        for name, code in (("reset", reset), ("update", update)):
            if code:
                changes[name] = "\n".join(filter(None, [getattr(neuron, name), code]))
        return neuron.edit(**changes)

    return edit


def readout(edit):
    """Return the same edit of the readout of a model."""
    return lambda neuron: neuron.edit(readout=edit(neuron.readout))


def adex():
    """The adaptive exponential neuron of studies/custom_neuron.py, with a time constant that lets it spike in a short run."""
    inward = "g_L*(E_L - v) + g_L*Delta_T*exp((v - V_T)/Delta_T) - u + I_0 + I + bias"
    equations = f"dv/dt = ({inward})/C : volt\ndu/dt = (a*(v - E_L) - u)/tau_u : amp\ndI/dt = -I/tau_s : amp\nh : amp\nbias : amp"
    slow = "dI/dt = -I/tau_s : amp\ndI_slow/dt = (I - I_slow)/tau_r : amp\nS = (I_slow + bias)/I_1 : 1\nbias : amp"
    last = bs.NeuronModel(
        "AdEx readout",
        slow,
        parameters={"tau_s": 20 * ms, "tau_r": 10 * ms, "I_1": 2 * nA},
        input_unit=2 * nA,
        spike_height=None,
    )
    parameters = {
        "C": 50 * pF, "g_L": 30 * nS, "E_L": -70.6 * mV, "V_T": -50.4 * mV, "Delta_T": 2 * mV, "tau_u": 144 * ms, "a": 4 * nS,
        "b": 80.5 * pA, "V_cut": -40 * mV, "I_0": 0.62 * nA, "tau_s": 20 * ms, "h": 1 * nA,
    }  # fmt: skip
    return bs.NeuronModel(
        "AdEx", equations, "v > V_cut", "v = E_L; u += b", initial={"v": -70.6 * mV}, parameters=parameters, input_unit=2 * nA,
        readout=last, method="euler",
    )  # fmt: skip


EVERYWHERE = [
    edited(on_pre="I_post += 0.7*w*h_pre"),
    edited(on_pre="I += w*h_pre*(1 + kappa)", kappa=0.3),
    edited(on_pre="arriving = w*h_pre\nI_post = I_post + arriving"),
    readout(edited(on_pre="I_post += 1.5*w*h_pre")),
    edited(refractory=3 * ms),
    edited(refractory="tau_ref", tau_ref=2 * ms),
    edited(method="euler"),
    edited(method="rk2"),
    extended("seen : 1", update="seen += dt/ms"),
    extended("count_ : 1", reset="count_ += 1"),
]
SPIKE_COUNT = "dA/dt = -A/tau_A : 1"

#: Name -> how a model is made, and edits that suit it.
EDITS = {
    "ASN": (
        partial(bs.ASN, m_f=0.1),
        [
            edited(tau_phi=7 * ms),
            edited(tau_beta=20 * ms, tau_gamma=8 * ms),
            edited(tau_eta=30 * ms, h=0.2),
            edited(m_f=0.3),
            edited(gain=1.5),
            edited(threshold="S - S_hat > kappa*theta", kappa=0.8),
            edited(threshold="S - S_hat > theta/2 and S > 0.1"),
            edited(reset="S_hat = S_hat + theta"),
            edited(reset="S_hat += theta; theta_dyn += 0.5*m_f*theta; theta_dyn = clip(theta_dyn, 0, 1)"),
            edited(
                on_pre="I_post += w*h_pre; S_hat_post *= 0.99",
                readout=bs.ASN().readout.edit(on_pre="I_post += w*h_pre"),
            ),
            edited(initial={"S_dyn": 0.3}),
            edited(initial={"theta_dyn": 0.4, "I": 0.1}),
            replaced("(gain*I - S_dyn)", "(gain*I - S_dyn - 0.2*S_dyn**3)"),
            replaced("dI/dt = -I/tau_beta", "dI/dt = -I*(1 + abs(I))/tau_beta"),
            extended(SPIKE_COUNT, "S = S_dyn + bias", "S = S_dyn + bias - A", reset="A += 0.1", tau_A=15 * ms),
            extended("J = 2*S_dyn + 0.1*I : 1", "S = S_dyn + bias", "S = 0.4*J + bias"),
            readout(edited(tau_phi=10 * ms)),
            readout(replaced("S = S_dyn + bias", "S = S_dyn + 0.5*bias")),
            readout(edited(initial={"S_dyn": 0.5})),
        ],
    ),
    "LIF": (
        partial(bs.LIF, tau_m=8 * ms, threshold=0.3),
        [
            edited(tau_m=4 * ms),
            edited(tau_s=9 * ms),
            edited(h=1.5),
            edited(reset="v = 0"),
            edited(reset="v = v_r", v_r=-0.1),
            edited(reset="v -= v_th; v_th += 0.05"),
            edited(threshold="S > v_th and not S > 5"),
            edited(initial={"v": 0.2}),
            replaced("(I - v)", "(I - v + 0.1*v**2/(1 + v**2))"),
            extended(SPIKE_COUNT, "S = v + bias", "S = v + bias - A", reset="A += 0.1", tau_A=15 * ms),
            extended("dD/dt = (I - D)/tau_D : 1", "dv/dt = (I - v)", "dv/dt = (D - v)", tau_D=2 * ms),
            readout(edited(tau_m=10 * ms)),
        ],
    ),
    "IF": (
        partial(bs.IF, threshold=0.5),
        [
            edited(leak=0.8),
            edited(h=1.5),
            edited(reset="v = 0"),
            edited(reset="I -= 0.5*v_th"),
            edited(threshold="v > v_th*(1 + kappa)", kappa=0.2),
            edited(update="v = leak*v + I + 0.5*bias\nI = 0"),
            edited(initial={"v": 0.3}),
            extended("A : 1", "", "", reset="A += 0.1; v_th += 0.05", update="A *= 0.9"),
            readout(edited(update="S = 0.9*S + I + bias; I = 0")),
        ],
    ),
    "units": (
        lambda: current_based_lif().edit(threshold="v > 2*mV", reset="v -= 2*mV"),
        [
            edited(tau_m=10 * ms),
            edited(h=300 * pA),
            edited(reset="v = E", E=-1 * mV),
            edited(threshold="v > v_c", v_c=3 * mV),
            edited(initial={"v": 1 * mV}),
            edited(initial={"I": 50 * pA}),
            edited(input_unit=150 * pA),
            extended("dA/dt = -A/tau_A : amp", "-v + I/", "-v + (I - A)/", reset="A += 20*pA", tau_A=15 * ms),
        ],
    ),
    "AdEx": (
        adex,
        [
            edited(tau_u=30 * ms),
            edited(b=200 * pA),
            extended("I_0 : amp", reset="u += 0*I_0"),
            edited(threshold="v > V_cut - 2*mV"),
            edited(on_pre="I_post += w*h_pre; u_post *= 0.9", readout=adex().readout.edit(on_pre="I_post += w*h_pre")),
        ],
    ),
}


def draw_neuron(choose, names=tuple(EDITS)):
    """
    Draw (name of the model, model without edits, model with one to four edits).

    Each edit is drawn once and acts on what the last one returned.
    """
    name = choose(names)
    make, edits = EDITS[name]
    neuron, edits, twice = make(), [*edits, *EVERYWHERE], len(edits)
    for _ in range(choose([2, 1, 3, 4])):
        neuron = edits.pop(choose([*range(len(edits)), *range(min(twice, len(edits)))]))(neuron)
    return name, make(), neuron
