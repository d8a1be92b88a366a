"""
The cost of precision
=====================

Spikes per image of each layer, for three precisions. Lines are 95% intervals of the sum of all layers.
"""

import numpy as np

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
model = bs.load_model("digits")
results = {
    f"m_f = {m_f}": bs.convert(model, bs.ASN(m_f=m_f)).run(images[:20], 300 * bs.ms)
    for m_f in (0.05, 0.1, 0.3)
}

# %%
# Digits differ in their ink, and so in their spikes.
ax = bs.plot.spike_budget(results)
sums = np.array([sum(result.spike_counts.values()) for result in results.values()])
error = 1.96 * sums.std(axis=1, ddof=1) / np.sqrt(20)
ax.errorbar(sums.mean(axis=1), np.arange(3) + 0.3, xerr=error, fmt="k|", capsize=2)
ax.set_title("mean, 95%; illustration, n = 20 digits", fontsize=8)
