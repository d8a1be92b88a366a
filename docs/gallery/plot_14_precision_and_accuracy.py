"""
How few spikes suffice
======================

A larger ``m_f`` saves spikes, until decisions suffer. The precision is a parameter: the network is compiled once. This is the
question of :download:`studies/precision.py </../studies/precision.py>` with few digits.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE, accuracy_interval
from brainsnn.stimuli import load_digits

images, labels = (part[:100] for part in load_digits("test"))
snn = bs.convert(bs.load_model("digits"), bs.ASN())
precisions, rates, correct = (0.05, 0.1, 0.2, 0.3, 0.45, 0.6), [], []
for m_f in precisions:
    for layer in ("encoding_asn", "conv1", "conv2", "dense1"):
        snn.set_parameters(layer, m_f=m_f)  # the height of spikes follows
    result = snn.run(images, duration=200 * bs.ms)
    rates.append(result.mean_firing_rate)
    correct.append(int((result.output[:, -1].argmax(axis=1) == labels).sum()))

# %%
# The bars are Wilson's intervals: 100 digits cannot tell precisions apart that differ by a point or two.
share = np.array(correct)
low, high = (100 * bound for bound in accuracy_interval(share, 100))
figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
ax.errorbar(
    rates,
    share,
    yerr=np.maximum([share - low, high - share], 0),
    fmt="o-",
    markersize=4,
    capsize=2,
    color=PALETTE[0],
)
for rate, value, m_f in zip(rates, low, precisions):
    ax.annotate(
        f"{m_f:g}",
        (rate, value),
        textcoords="offset points",
        xytext=(0, -11),
        ha="center",
        fontsize=7,
    )
ax.set(
    xscale="log",
    xlabel="mean firing rate (Hz)",
    ylabel="correct (%) at 200 ms",
    ylim=(0, 103),
)
ax.set_xticks([10, 20, 50, 100], ["10", "20", "50", "100"])
ax.minorticks_off()
ax.set_title("numbers: m_f; 95% intervals, n = 100 digits", fontsize=9)
