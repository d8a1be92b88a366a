"""What changes if I edit a neuron? Six edits of a neuron's equations, each next to the unedited neuron.

Each function returns an edited model. The digit network runs with it; nothing is trained again. The figure shows one neuron of
the second convolution for the first digit, and the table accuracy, with its 95% interval, and spikes per neuron. What one sees:

- *time constant*: spikes of a shorter synapse are higher (``h`` follows from ``tau_beta``), and the signal is rougher;
- *noise*: the membrane fluctuates, and spikes come at other times;
- *adaptation*: the signal of an active neuron sinks with each spike, which saves spikes;
- *hard reset*: ``S = 0`` forgets by how much the threshold was exceeded, so that the neuron spikes less than its input asks for;
- *depression*: each spike uses up a part of the synapse's resources, so that only the first spikes act in full;
- *refractory*: a neuron is silent for 4 ms after a spike, which limits its rate.

The strengths were chosen on these test digits, so that each effect can be seen: they are examples, not findings.

A neuron of your own, with physical units, is in custom_neuron.py.
"""

import numpy as np
from brian2 import ms
from common import Study, digits_model
from figures import share_interval

import brainsnn as bs
from brainsnn.analysis import PALETTE, style
from brainsnn.stimuli import load_digits

QUICK = {"m_f": 0.1, "n_images": 50, "duration_ms": 200}
FULL = {"m_f": 0.1, "n_images": 500, "duration_ms": 300}
LAYER = "conv2_asn"


def time_constant(asn):
    """Make the synapse faster; the height of a spike is computed from the time constants and follows."""
    return asn.edit(tau_beta=20 * ms)


def noise(asn):
    """Add white noise to the membrane, which then fluctuates with a standard deviation of sigma/sqrt(2)."""
    return asn.replace(
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1",
        sigma=0.03,
    )


def adaptation(asn):
    """Add a variable that grows with each spike, decays slowly, and is subtracted from the signal."""
    signal = "S = S_dyn + bias - A : 1\ndA/dt = -A/tau_A : 1"
    return asn.replace("S = S_dyn + bias : 1", signal, tau_A=100 * ms).edit(reset=f"{asn.reset}\nA += step", step=0.005)


def hard_reset(lif):
    """Set the signal ``S = v + bias`` to 0 at a spike, instead of subtracting the threshold."""
    return lif.edit(reset="v = -bias")


def depression(asn):
    """Scale each spike by resources x of its neuron, of which a spike uses a fraction U (Tsodyks and Markram 1997)."""
    recovery = f"{asn.equations}\ndx/dt = (1 - x)/tau_x : 1"
    return asn.edit(equations=recovery, on_pre="I_post += w*h_pre*x_pre", reset=f"{asn.reset}\nx -= U*x",
                    initial={"x": 1}, tau_x=50 * ms, U=0.03)  # fmt: skip


def refractory(asn):
    """Allow no spike for some time after the last one."""
    return asn.edit(refractory=4 * ms)


#: What is edited -> (unedited neuron, edit).
TWEAKS = {
    "faster synapse": ("ASN", time_constant),
    "noisy membrane": ("ASN", noise),
    "adaptation": ("ASN", adaptation),
    "depression": ("ASN", depression),
    "refractory": ("ASN", refractory),
    "hard reset": ("LIF", hard_reset),
}


def run_network(graph, neuron, images, labels, study):
    """Return accuracy, spikes per neuron, and signal and spikes of one neuron for the first image."""
    activation = graph.activations(images[:1])[LAYER][0]
    neuron_index = np.abs(activation - 1).argmin()  # one that is active, but not the most active one
    snn = bs.convert(
        graph, neuron=neuron, device=study.device, record={LAYER: {"spikes": [neuron_index], "S": [neuron_index]}}
    )
    result = snn.run(images, duration=study.parameters.duration_ms * ms, seed=study.seed)
    spikes = sum(counts.sum() for counts in result.spike_counts.values())
    n_neurons = sum(len(snn.populations[layer]) for layer in result.spike_counts)
    return {
        **dict(
            zip(("accuracy", "low", "high"), map(float, share_interval(result.output[:, -1].argmax(axis=1) == labels)))
        ),
        "spikes_per_neuron": spikes / n_neurons / len(images),
        "times": result.times,
        "signal": result.states[LAYER]["S"][0, :, 0],
        "spikes": result.times[result.raster(LAYER)[0].any(axis=(1, 2, 3))],
    }


def plot_tweaks(found):
    """Plot the signal of one neuron, edited over unedited, with the spikes of both below."""
    import matplotlib.pyplot as plt

    with style():
        figure, axes = plt.subplots(2, 3, figsize=(11, 5.4), layout="constrained", sharex=True)
        for ax, (name, (base, _)) in zip(axes.flat, TWEAKS.items()):
            for k, (key, colour) in enumerate(((base, "0.6"), (name, PALETTE[1]))):
                values = found[key]
                share, low, high = (100 * values[name] for name in ("accuracy", "low", "high"))
                label = f"{key}: {share:.0f}% [{low:.0f}, {high:.0f}] correct"
                ax.plot(values["times"], values["signal"], color=colour, label=label)
                ax.vlines(values["spikes"], 0.09 - 0.09 * k, 0.16 - 0.09 * k, color=colour, lw=1,
                          transform=ax.get_xaxis_transform())  # fmt: skip
            ratio = found[name]["spikes_per_neuron"] / found[base]["spikes_per_neuron"]
            ax.set_title(f"{name}: {100 * ratio:.0f}% of the spikes")
            low, high = ax.get_ylim()
            # room for spikes and legend
            ax.set(ylabel="signal S (ANN units)", ylim=(low - 0.25 * (high - low), high + 0.5 * (high - low)))
            ax.legend(loc="upper left", handlelength=1)
        for ax in axes[1]:
            ax.set_xlabel("time (ms)")
    return figure


def main(argv=None):
    with Study("tweaks", __doc__, QUICK, FULL, argv) as study:
        images, labels = study.first("n_images", *load_digits("test"))
        graph = bs.read_keras(digits_model())
        unedited = {"ASN": bs.ASN(m_f=study.parameters.m_f), "LIF": bs.LIF(threshold=study.parameters.m_f)}
        models = unedited | {name: edit(unedited[base]) for name, (base, edit) in TWEAKS.items()}
        found, rows = {}, []
        for name in study.progress(models, unit="neuron"):
            found[name] = run_network(graph, models[name], images, labels, study)
            base = TWEAKS[name][0] if name in TWEAKS else name
            height, own = float(models[name].parameters["h"]), ("accuracy", "low", "high", "spikes_per_neuron")
            row = {
                "neuron": name,
                "unedited": base,
                "h": height,
                "n_images": len(images),
                **{k: found[name][k] for k in own},
            }
            rows.append(row)
        n = f"{len(images)} digits for accuracy [95 %] and spikes; traces of 1 neuron and 1 digit"
        study.figure(plot_tweaks(found), "tweaks", n)
        study.table(rows)
        for row in rows:
            share = f"{100 * row['accuracy']:5.1f}% ({100 * row['low']:.0f} to {100 * row['high']:.0f}%)"
            text = f"{row['neuron']:15s} {share:20s} {row['spikes_per_neuron']:5.2f} spikes per neuron and image"
            study.report(f"accuracy_{row['neuron'].replace(' ', '_')}", row["accuracy"], f"{text}   h = {row['h']:.3f}")


if __name__ == "__main__":
    main()
