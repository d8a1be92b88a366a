"""
Neurons fall silent
===================

A growing part of the first convolution is silenced, chosen at random or where the image is. A silenced neuron has the spike
height ``h = 0``: it may spike, but nothing arrives. Nothing is compiled again.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE, accuracy_interval
from brainsnn.stimuli import load_digits

n = 100
images, labels = (part[:n] for part in load_digits("test"))
snn = bs.convert(bs.load_model("digits"), bs.ASN(m_f=0.2))
height = snn["conv1"].h[0]
distance = np.hypot(*(np.indices((28, 28)) - 13.5))
orders = {
    "neurons at random": np.random.default_rng(0).random((28, 28, 16)),
    "places, from the centre": distance[..., None],
}

# %%
# The neurons with the lowest values of an order are silenced first. "Places" silences all channels of a place.
shares, correct = (0, 0.1, 0.25, 0.5, 0.75), {name: [] for name in orders}
for name, order in orders.items():
    values = np.broadcast_to(order, (28, 28, 16))
    for share in shares:
        silent = values < np.quantile(values, share)
        snn.set_parameters("conv1", h=np.where(silent, 0, height))
        decisions = snn.run(images, duration=200 * bs.ms).output[:, -1].argmax(axis=1)
        correct[name].append(int((decisions == labels).sum()))

# %%
# Silencing half of the neurons at random also halves what arrives: the loss is that of a weaker and a coarser signal
# together.
figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
for (name, found), colour, dx in zip(correct.items(), PALETTE, (-0.6, 0.6)):
    share = 100 * np.array(found) / n
    low, high = (100 * bound for bound in accuracy_interval(np.array(found), n))
    error = np.maximum([share - low, high - share], 0)
    ax.errorbar(
        100 * np.array(shares) + dx,
        share,
        yerr=error,
        fmt="o-",
        markersize=4,
        capsize=2,
        color=colour,
        label=name,
    )
ax.axhline(10, color="0.5", linestyle=":", linewidth=1, label="chance")
ax.set(xlabel="silenced neurons of conv1 (%)", ylabel="correct (%)", ylim=(0, 103))
ax.set_title(f"95% intervals, n = {n} digits", fontsize=9)
ax.legend(frameon=False, fontsize=8)
