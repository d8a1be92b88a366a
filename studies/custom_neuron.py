"""Can I use my own neuron model? Adaptive exponential neurons with physical units, and noisy ASNs, classify digits."""

import numpy as np
from brian2 import Network, NeuronGroup, SpikeMonitor, ms, mV, nA, nS, pA, pF, second
from claims import Claims
from common import Study, digits_model, few_neurons
from figures import PAIRED_TEST, band, bars, paired_interval, share_interval

import brainsnn as bs
from brainsnn.analysis import PALETTE, plot_traces, style
from brainsnn.equations import NeuronModel, transfer_function
from brainsnn.stimuli import load_digits

QUICK = {"n_images": 20, "duration_ms": 400, "sigma": [0.02, 0.05], "n_images_noise": 50, "processes": 2}
FULL = {
    "n_images": 200,
    "duration_ms": 500,
    "sigma": [0.01, 0.02, 0.03, 0.05, 0.1],
    "n_images_noise": 500,
    "processes": 2,
}

#: Share of the digits: a smaller loss is called small.
SMALL_LOSS = 0.05
# The adaptive exponential integrate-and-fire neuron with the parameters of Brette and Gerstner (2005), J. Neurophysiol.
# 94:3637. A background current just below the rheobase represents the input from the surrounding cortical network.
EQUATIONS = """
dv/dt = (g_L*(E_L - v) + g_L*Delta_T*exp((v - V_T)/Delta_T) - w + I_0 + I + bias)/C : volt
dw/dt = (a*(v - E_L) - w)/tau_w : amp
dI/dt = -I/tau_s : amp
h : amp
bias : amp
"""
READOUT = """
dI/dt = -I/tau_s : amp
dI_slow/dt = (I - I_slow)/tau_r : amp
S = (I_slow + bias)/I_1 : 1
bias : amp
"""
PARAMETERS = {
    "C": 281 * pF,
    "g_L": 30 * nS,
    "E_L": -70.6 * mV,
    "V_T": -50.4 * mV,
    "Delta_T": 2 * mV,
    "tau_w": 144 * ms,
    "a": 4 * nS,
    "b": 80.5 * pA,
    "V_cut": -40 * mV,
    "I_0": 0.62 * nA,
    "tau_s": 50 * ms,
}
#: The current that represents an activation of 1.
UNIT = 2 * nA
DT = 0.5 * ms
#: Layer of the neuron whose traces are drawn: the one with an activation closest to 0.5 for the first image.
TRACED_LAYER = "conv2_asn"


def adex(h=1 * nA):
    """
    Return the AdEx model: equations, threshold, reset, parameters, and the current that represents 1.

    Parameters
    ----------
    h : `~brian2.units.fundamentalunits.Quantity`
        Current that a spike adds for a weight of 1.

    Returns
    -------
    model : `~brainsnn.equations.model.NeuronModel`
    """
    readout = NeuronModel(
        name="AdEx readout",
        equations=READOUT,
        parameters={"tau_s": PARAMETERS["tau_s"], "tau_r": 50 * ms, "I_1": UNIT},
        input_unit=UNIT,
        spike_height=None,
    )
    return NeuronModel(
        name="AdEx",
        equations=EQUATIONS,
        threshold="v > V_cut",
        reset="v = E_L; w += b",
        initial={"v": PARAMETERS["E_L"]},
        parameters={**PARAMETERS, "h": h},
        input_unit=UNIT,
        readout=readout,
    )


def measure_rates(inputs):
    """Return the adapted firing rate (Hz) of an AdEx neuron for each constant input (in units of the activation)."""
    with few_neurons():
        model = adex()
        neurons = NeuronGroup(
            len(inputs), model.equations, threshold=model.threshold, reset=model.reset, method="euler",
            namespace=model.constants, dt=DT,
        )  # fmt: skip
        neurons.v, neurons.bias = PARAMETERS["E_L"], inputs * UNIT
        spikes = SpikeMonitor(neurons)
        Network(neurons, spikes).run(1.5 * second, namespace={})
        return np.bincount(np.array(spikes.i)[np.array(spikes.t) > 0.5], minlength=len(inputs)) / 1.0


def fit_spike_height(inputs, rates, m_f):
    """Fit h, so that the filtered spikes come closest to the transfer function used in training."""
    filtered = rates * float(PARAMETERS["tau_s"])
    return filtered @ transfer_function(inputs, m_f) / (filtered @ filtered) * UNIT


def run_adex(graph, h, images, study):
    """Run the digit network with AdEx neurons; record traces of one neuron."""
    activation = graph.activations(images[:1])[TRACED_LAYER][0]
    traced = np.unravel_index(np.abs(activation - 0.5).argmin(), activation.shape)
    record = {TRACED_LAYER: {"spikes": [traced], "v": [traced], "w": [traced], "I": [traced]}}
    snn = bs.convert(graph, neuron=adex(h), device=study.device, record=record, dt=DT)
    p = study.parameters
    return snn.run(images, duration=p.duration_ms * ms, seed=study.seed, processes=study.processes), traced


def run_noisy_asn(graph, sigmas, images, labels, study):
    """Measure the accuracy of ASNs with noisy membranes: one equation changed, sigma set without recompiling."""
    noisy = bs.ASN(m_f=0.1).replace(
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1\nsigma : 1",
        sigma=0.0,
    )
    p = study.parameters
    snn = bs.convert(graph, neuron=noisy, device=study.device)
    rows, correct = [], []
    for sigma in study.progress([0.0, *sigmas], unit="sigma"):
        for layer, group in snn.populations.items():
            if group.thresholder:
                snn.set_parameters(layer, sigma=sigma)
        result = snn.run(images, duration=p.duration_ms * ms, seed=study.seed, processes=study.processes)
        correct.append(result.output[:, -1].argmax(axis=1) == labels)
        accuracy, low, high = map(float, share_interval(correct[-1]))
        rows.append({"neuron": "noisy ASN", "sigma": sigma, "n_images": len(images), "accuracy": accuracy, "low": low,
                     "high": high, "rate_hz": result.mean_firing_rate})  # fmt: skip
    return rows, correct


def loss_claims(study, ann, adex, noisy):
    """
    Claim that AdEx neurons, and noise of each size, lose little accuracy: against the artificial network, and against no noise.

    Parameters
    ----------
    study : `common.Study`
    ann, adex : (n,) ndarray of bool
        Whether each image is classified correctly.
    noisy : dict of float to ndarray of bool
        sigma, 0 among them, to the same.
    """
    claims, n_tests = Claims(study), len(noisy)  # AdEx, and all but sigma = 0
    pairs = {"AdEx against the ANN": (ann, adex)}
    pairs |= {f"noise, sigma = {sigma:g}, against none": (noisy[0.0], own) for sigma, own in noisy.items() if sigma}
    for name, (one, other) in pairs.items():
        lost = one.astype(int) - other
        bounds, about = paired_interval(lost), f"accuracy lost, {name}"
        claims.below(about, lost.mean(), bounds, len(lost), PAIRED_TEST, SMALL_LOSS, n_tests=n_tests)
    claims.report()


def in_words(correct):
    """Return the share of correct images with its interval."""
    share, low, high = (100 * float(value) for value in share_interval(correct))
    return f"{share:.1f}% [{low:.1f}, {high:.1f}]"


def plot_network(result, traced, accuracy, ann_accuracy, transfer):
    """Plot membrane and currents of one neuron, accuracy over time, and the transfer function."""
    import matplotlib.pyplot as plt

    with style():
        figure = plt.figure(figsize=(9, 6.4), layout="constrained")
        grid = figure.add_gridspec(3, 2, height_ratios=(1, 1, 1.4))
        voltage = figure.add_subplot(grid[0, :])
        plot_traces(result, TRACED_LAYER, traced, variables=["v"], ax=voltage, units={"v": mV})
        current = figure.add_subplot(grid[1, :])
        currents = {"w": nA, "I": nA}
        plot_traces(result, TRACED_LAYER, traced, variables=list(currents), ax=current, units=currents)
        current.set(title="", ylabel="current (nA)")
        voltage.set(xlabel="", xticklabels=[])
        inputs, measured, formula = transfer
        left = figure.add_subplot(grid[2, 0])
        left.plot(inputs, formula, color="black", linestyle=":", label="trained transfer function")
        left.plot(inputs, measured, color=PALETTE[0], label="AdEx, filtered spikes")
        left.set(xlabel=f"constant input (1 is {UNIT / nA:g} nA)", ylabel="activation", title="transfer function")
        left.legend(loc="upper left")
        right = figure.add_subplot(grid[2, 1])
        share, low, high = accuracy
        right.plot(result.times, 100 * share, color=PALETTE[0], label="AdEx network")
        band(right, result.times, 100 * low, 100 * high, PALETTE[0])
        right.axhline(100 * ann_accuracy, color="black", linestyle="--", linewidth=1, label="ANN")
        right.set(xlabel="time (ms)", ylabel="correct (%)", ylim=(0, 103))
        right.set_xlim(0, result.n_steps * result.dt * 1e3)
        right.legend(loc="lower right")
    return figure


def plot_noise(rows, ann_accuracy):
    """Plot accuracy against the standard deviation of the membrane noise."""
    import matplotlib.pyplot as plt

    with style():
        figure, ax = plt.subplots(figsize=(5.5, 3.6), layout="constrained")
        # The stationary standard deviation of dx/dt = -x/tau + sigma*xi/sqrt(tau) is sigma/sqrt(2).
        deviation = [row["sigma"] / np.sqrt(2) for row in rows]
        correct, low, high = ([100 * row[name] for row in rows] for name in ("accuracy", "low", "high"))
        ax.errorbar(
            deviation, correct, bars(correct, low, high), fmt="o-", ms=4, capsize=2, label="noisy ASN, m_f = 0.1"
        )
        ax.axhline(100 * ann_accuracy, color="black", linestyle="--", linewidth=1, label="ANN")
        # Noise that reaches the threshold makes silent neurons spike; negative noise cannot cancel these spikes.
        ax.axvline(0.05, color="0.6", linewidth=1, label="threshold at rest, m_f/2")
        ax.set(xlabel="standard deviation of the membrane noise (ANN units)", ylabel="correct (%)", ylim=(0, 103))
        ax.set(xlim=(-0.002, None))
        ax.legend(loc="lower left")
    return figure


def main(argv=None):
    with Study("custom_neuron", __doc__, QUICK, FULL, argv) as study:
        p = study.parameters
        images, labels = load_digits("test")
        for name in ("n_images", "n_images_noise"):
            study.first(name, images)
        graph = bs.read_keras(digits_model())
        m_f = graph.population(TRACED_LAYER).m_f
        decisions = graph.activations(images)[graph.readouts[0].name].reshape(len(images), -1).argmax(axis=1)

        inputs = np.linspace(0, 2, 41)
        rates = measure_rates(inputs)
        h = fit_spike_height(inputs, rates, m_f)
        print(adex(h))
        transfer = (inputs, rates * float(PARAMETERS["tau_s"]) * float(h / UNIT), transfer_function(inputs, m_f))
        study.table({"input": inputs, "rate_hz": rates, "measured": transfer[1], "trained": transfer[2]}, "transfer")
        study.report(
            "h_nA", float(h / nA), f"h = {h / nA:.3f} nA, {rates[np.abs(inputs - 1).argmin()]:.0f} Hz at input 1"
        )

        own = slice(0, p.n_images)
        result, traced = run_adex(graph, h, images[own], study)
        correct = result.output.argmax(axis=2) == labels[own][:, None]
        accuracy = correct.mean(axis=0)
        ann_accuracy = float((decisions == labels)[own].mean())
        figure = plot_network(result, traced, share_interval(correct), ann_accuracy, transfer)
        study.figure(figure, "adex", f"{p.n_images} digits in the last panel (band: 95 %), one neuron in the others")
        study.report(
            "ann_accuracy", ann_accuracy, f"ANN: {in_words((decisions == labels)[own])} of {p.n_images} test digits"
        )
        study.report(
            "adex_accuracy", float(accuracy[-1]),
            f"AdEx: {in_words(correct[:, -1])} at {p.duration_ms} ms, {result.mean_firing_rate:.1f} Hz",
        )  # fmt: skip

        noise = slice(0, p.n_images_noise)
        rows, noisy = run_noisy_asn(graph, p.sigma, images[noise], labels[noise], study)
        for row, own_correct in zip(rows, noisy):
            study.report(
                f"noisy_accuracy_sigma={row['sigma']:g}", row["accuracy"],
                f"ASN with sigma = {row['sigma']:<5g} {in_words(own_correct)}, {row['rate_hz']:.1f} Hz",
            )  # fmt: skip
        figure = plot_noise(rows, float((decisions == labels)[noise].mean()))
        study.figure(figure, "noisy_asn", f"{p.n_images_noise} digits; bars: 95 %")
        adex_row = {"neuron": "AdEx", "sigma": 0.0, "n_images": p.n_images, "accuracy": accuracy[-1],
                    "rate_hz": result.mean_firing_rate}  # fmt: skip
        study.table([adex_row, *rows])
        sigmas = [row["sigma"] for row in rows]
        loss_claims(study, (decisions == labels)[own], correct[:, -1], dict(zip(sigmas, noisy)))


if __name__ == "__main__":
    main()
