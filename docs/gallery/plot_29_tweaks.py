"""
Edit a neuron
=============

Two edits of the equations: an adaptation that grows with each spike, and synapses that tire (Tsodyks, Markram 1997, Proc.
Natl. Acad. Sci. 94:719). :download:`studies/tweaks.py </../studies/tweaks.py>` has six, and says what each costs.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE
from brainsnn.stimuli import load_digits

images, labels = load_digits("test")
asn = bs.ASN(m_f=0.1)
adapting = asn.replace(
    "S = S_dyn + bias : 1", "S = S_dyn + bias - A : 1\ndA/dt = -A/tau_A : 1", tau_A=100 * bs.ms
).edit(reset=f"{asn.reset}\nA += step", step=0.005)  # fmt: skip
tiring = asn.edit(
    equations=f"{asn.equations}\ndx/dt = (1 - x)/tau_x : 1", on_pre="I_post += w*h_pre*x_pre",
    reset=f"{asn.reset}\nx -= U*x", initial={"x": 1}, tau_x=50 * bs.ms, U=0.03,
)  # fmt: skip

# %%
# One neuron that the first digit activates. Its signal is gray without the edit, in colour with it; spikes are below.
model = bs.load_model("digits")
activation = bs.read_keras(model).activations(images[:1])["conv2_asn"][0]
neuron = tuple(
    int(k) for k in np.unravel_index(np.abs(activation - 1).argmin(), activation.shape)
)
signals, spikes, rates = {}, {}, {}
for name, edited in (
    ("unedited", asn),
    ("adaptation", adapting),
    ("depression", tiring),
):
    result = bs.convert(
        model, edited, record={"conv2": {"spikes": [neuron], "S": [neuron]}}
    ).run(images[:20], 200 * bs.ms)
    signals[name], rate = result.states["conv2"]["S"][0, :, 0], result.mean_firing_rate
    counts = sum(result.spike_counts.values())  # of each image
    rates[name] = rate, 1.96 * rate * counts.std(ddof=1) / counts.mean() / np.sqrt(20)
    spikes[name] = result.times[result.raster("conv2")[0].any(axis=(1, 2, 3))]
figure, axes = plt.subplots(1, 2, figsize=(6.8, 3), layout="constrained", sharey=True)
for ax, name, colour in zip(axes, ("adaptation", "depression"), PALETTE):
    for key, shade, top in (("unedited", "0.6", 0.14), (name, colour, 0.06)):
        ax.plot(
            result.times,
            signals[key],
            color=shade,
            label=f"{key}: {rates[key][0]:.1f} ± {rates[key][1]:.1f} Hz",
        )
        ax.vlines(
            spikes[key],
            top - 0.05,
            top,
            color=shade,
            linewidth=0.8,
            transform=ax.get_xaxis_transform(),
        )
    ax.set(xlabel="time (ms)", xlim=(0, 200), ylim=(-0.4, None))
    ax.legend(
        title="mean rate of the network, 95%, n = 20",
        title_fontsize=8,
        frameon=False,
        fontsize=8,
        loc="center right",
        bbox_to_anchor=(1, 0.36),
    )
figure.suptitle("illustration, n = 1 neuron and digit; rates n = 20", fontsize=9)
axes[0].set_ylabel("signal S of one neuron (ANN units)")
