"""How does an adaptive spiking neuron encode a signal, and what is its transfer function?"""

import numpy as np
from brian2 import Network, NeuronGroup, SpikeMonitor, StateMonitor, TimedArray, ms, second
from common import Study, few_neurons

import brainsnn as bs
from brainsnn.analysis import PALETTE, filtered_spikes, style
from brainsnn.equations import spike_height, transfer_function

QUICK = {"m_f": [0.05, 0.1, 0.3], "trace_m_f": 0.1, "n_inputs": 41, "duration_ms": 1500}
FULL = {"m_f": [0.03, 0.05, 0.1, 0.2, 0.3, 0.45, 0.6], "trace_m_f": 0.1, "n_inputs": 101, "duration_ms": 6000}

#: A signal that jumps, ramps and oscillates: (duration in ms, value as a function of the time t in ms since its start).
SIGNAL = (
    (60, lambda t: 0 * t),
    (140, lambda t: 0 * t + 1.0),
    (100, lambda t: 0 * t + 0.3),
    (150, lambda t: 0.3 + 1.2 * t / 150),
    (150, lambda t: 0.75 + 0.75 * np.cos(2 * np.pi * t / 75)),
    (100, lambda t: 0 * t),
)


def asn_neurons(m_f, signal, dt=1 * ms):
    """
    Return adaptive spiking neurons driven by a signal instead of synapses: the package's equations, one line changed.

    Parameters
    ----------
    m_f : (n,) array_like
        Precision of each neuron.
    signal : (n_steps,) or (n_steps, n) ndarray
        Input, the same for all neurons or one column for each.

    Returns
    -------
    neurons : `~brian2.groups.neurongroup.NeuronGroup`
    """
    columns = "i" if np.ndim(signal) == 2 else ""
    model = bs.ASN().replace(
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
        f"dS_dyn/dt = (gain*signal(t{', i' if columns else ''}) - S_dyn)/tau_phi : 1",
        signal=TimedArray(signal, dt=dt),
    )
    neurons = NeuronGroup(
        np.size(m_f), model.equations, threshold=model.threshold, reset=model.reset, method="exponential_euler",
        namespace=model.constants, dt=dt,
    )  # fmt: skip
    neurons.gain = 1
    neurons.m_f = m_f
    neurons.h = spike_height(m_f)
    return neurons


def changing_signal():
    """Return the test signal at every millisecond, (n_steps,)."""
    return np.concatenate([value(np.arange(length)) for length, value in SIGNAL])


def record_traces(m_f):
    """Record signal, S, S_hat, threshold and spikes of one neuron."""
    signal = changing_signal()
    neuron = asn_neurons([m_f], signal)
    states = StateMonitor(neuron, ["S", "S_hat", "theta"], record=0, when="end")
    spikes = SpikeMonitor(neuron)
    Network(neuron, states, spikes).run(len(signal) * ms, namespace={})
    traces = {name: np.array(getattr(states, name)[0]) for name in ("S", "S_hat", "theta")}
    return {"time_ms": np.arange(len(signal)), "signal": signal, **traces, "spikes_ms": np.array(spikes.t / ms)}


def measure_transfer(m_f_values, inputs, duration_ms):
    """
    Measure the mean output of neurons with constant inputs, after the first 300 ms.

    Returns
    -------
    rows : list of dict
        m_f, input, measured (filtered spikes times h), formula, rate_hz.
    """
    m_f, S = (grid.ravel() for grid in np.meshgrid(m_f_values, inputs, indexing="ij"))
    neurons = asn_neurons(m_f, np.tile(S, (1, 1)))  # a TimedArray keeps its last row for all later times
    spikes = SpikeMonitor(neurons)
    Network(neurons, spikes).run(duration_ms * ms, namespace={})
    steps = np.rint(np.array(spikes.t / ms)).astype(int)
    window = duration_ms - min(300, duration_ms // 2)
    decay = float(np.exp(-1 * ms / bs.ASN().parameters["tau_beta"]))
    filtered = filtered_spikes(np.array(spikes.i), steps, len(S), duration_ms, decay, window)
    late = np.bincount(np.array(spikes.i)[steps >= duration_ms - window], minlength=len(S))
    formula = np.concatenate([transfer_function(inputs, value) for value in m_f_values])
    rate = late / float(window * ms / second)
    columns = {"m_f": m_f, "input": S, "measured": spike_height(m_f) * filtered, "formula": formula, "rate_hz": rate}
    return [dict(zip(columns, row)) for row in zip(*columns.values())]


def plot_coding(traces, m_f):
    """Plot the signal and its encoding, the threshold, and the spikes."""
    import matplotlib.pyplot as plt

    with style():
        figure, (top, middle, bottom) = plt.subplots(
            3, 1, figsize=(8, 5.6), sharex=True, layout="constrained", height_ratios=(3, 1.6, 0.5)
        )
        time = traces["time_ms"]
        top.plot(time, traces["signal"], color="0.65", label="input")
        top.plot(time, traces["S"], color=PALETTE[0], label="S, the signal to encode")
        top.plot(time, traces["S_hat"], color=PALETTE[1], label="S_hat, estimate from the spikes")
        top.set(ylabel="ANN units", title=f"One adaptive spiking neuron, m_f = {m_f:g}")
        middle.plot(time, traces["theta"] / 2, color=PALETTE[2], label="theta/2, the threshold")
        middle.plot(time, traces["S"] - traces["S_hat"], color="0.4", linewidth=0.9, label="S - S_hat")
        middle.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        top_of_threshold = (traces["theta"] / 2).max()
        middle.set(ylabel="ANN units", ylim=(-1.5 * top_of_threshold, 1.3 * top_of_threshold))
        bottom.vlines(traces["spikes_ms"], 0, 1, color="black", linewidth=0.9)
        bottom.set(yticks=[], ylabel="spikes", xlabel="time (ms)", xlim=(0, len(time)))
        for ax in (top, middle):
            ax.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def plot_transfer(table, m_f_values):
    """Plot the measured transfer function, its difference from the formula, and the firing rate."""
    import matplotlib.pyplot as plt

    with style():
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(10.5, 3.7), layout="constrained")
        for k, m_f in enumerate(m_f_values):
            rows = table[table["m_f"] == m_f]
            line = {"color": PALETTE[k % len(PALETTE)], "label": f"{m_f:g}", "linewidth": 1.2}
            left.plot(rows["input"], rows["measured"], **line)
            middle.plot(rows["input"], rows["measured"] - rows["formula"], **line)
            right.plot(rows["input"], rows["rate_hz"], **line)
        # The spike height makes the formula pass through (1, 1) for every m_f, so one curve represents all.
        left.plot(rows["input"], rows["formula"], color="black", linestyle=":", linewidth=1.6)
        left.set(ylabel="activation (ANN units)", title="mean of the filtered spikes")
        left.annotate(f"dotted: formula, m_f = {m_f_values[-1]:g}", (0.98, 0.04), xycoords="axes fraction", ha="right")
        middle.axhline(0, color="0.8", linewidth=0.8, zorder=0)
        middle.set(ylabel="difference (ANN units)", title="measured - formula")
        right.set(ylabel="firing rate (Hz)", title="firing rate", ylim=(0, None))
        for ax in (left, middle, right):
            ax.set_xlabel("constant input")
        right.legend(title="m_f", loc="upper left", bbox_to_anchor=(1.0, 1.0))
    return figure


def main(argv=None):
    with Study("adaptive_coding", __doc__, QUICK, FULL, argv, devices=("runtime",)) as study:
        p = study.parameters
        if p.duration_ms < 400:
            study.error(
                f"argument --duration-ms: {p.duration_ms} must be at least 400, because the first 300 ms are not counted"
            )
        with few_neurons():
            traces = record_traces(p.trace_m_f)
            transfer = measure_transfer(p.m_f, np.linspace(0, 2, p.n_inputs), p.duration_ms)
        study.figure(plot_coding(traces, p.trace_m_f), "coding", "1 neuron without noise")
        spikes = np.isin(traces["time_ms"], np.rint(traces.pop("spikes_ms")).astype(int)).astype(int)
        study.table({**traces, "spike": spikes}, "coding")

        table = study.table(transfer, "transfer")
        n = f"{p.n_inputs} inputs to a neuron without noise: exact, no interval"
        study.figure(plot_transfer(table, p.m_f), "transfer", n)
        study.report("n_spikes", int(spikes.sum()), f"spikes for the changing signal: {spikes.sum()}")
        for m_f, rows in table.groupby("m_f"):
            error = float(np.abs(rows["measured"] - rows["formula"]).mean())
            at_one = rows.iloc[(rows["input"] - 1).abs().argmin()]
            study.report(
                f"error_m_f={m_f:g}", error,
                f"m_f = {m_f:<5g} mean |measured - formula| = {error:.4f}, output at input 1: {at_one['measured']:.4f}, "
                f"{at_one['rate_hz']:.0f} Hz",
            )  # fmt: skip


if __name__ == "__main__":
    main()
