"""
Representations over time
=========================

Which digits does a layer treat alike, and from when on? Dissimilarity is 1 - Pearson's correlation of the patterns of two
images (Kriegeskorte, Mur, Bandettini 2008, Front. Syst. Neurosci. 2:4), computed in each step.
"""

import matplotlib.pyplot as plt
import numpy as np
from scipy.spatial.distance import squareform

import brainsnn as bs
from brainsnn.analysis import (
    PALETTE,
    class_model,
    dissimilarity_matrix,
    rdm_draws,
    rdm_over_time,
)
from brainsnn.stimuli import load_digits

images, labels = load_digits("test")
chosen = np.concatenate([np.flatnonzero(labels == digit)[:4] for digit in range(10)])
images, labels = images[chosen], labels[chosen]
readout = {"after": bs.Readout("dense1", kind="potential")}
snn = bs.convert(bs.load_model("digits"), readouts=readout, record={"after": ["S"]})
result = snn.run(images, duration=200 * bs.ms)
# Before 10 ms, biases dominate: the patterns of all images are nearly the same.
distances = rdm_over_time(result.states["after"]["S"], start=10)

# %%
# Two models: digits of a class are alike, and images are alike whose pixels are. The curves are partial correlations: what
# each model explains and the other does not.
pixels = squareform(dissimilarity_matrix(images.reshape(len(images), -1)), checks=False)
draws = rdm_draws(distances, class_model(labels), pixels, n_draws=200)["partial"]
low, high = np.percentile(draws[1:], [2.5, 97.5], axis=0)

figure = plt.figure(figsize=(6.8, 4.8), layout="constrained")
grid = figure.add_gridspec(2, 6)
for k, step in enumerate((20, 60, 200)):
    ax = figure.add_subplot(grid[0, 2 * k : 2 * k + 2])
    bs.plot.rdm(squareform(distances[step - 11]), labels, ax=ax)
    ax.set_title(f"{step} ms", fontsize=9)
    ax.tick_params(labelsize=6, labelrotation=0)
ax = figure.add_subplot(grid[1, :])
for k, name in enumerate(("class", "pixels")):
    ax.plot(np.arange(10, 200), draws[0, :, k], color=PALETTE[k], label=name)
    ax.fill_between(
        np.arange(10, 200),
        low[:, k],
        high[:, k],
        color=PALETTE[k],
        alpha=0.25,
        linewidth=0,
    )
ax.set(xlabel="time (ms)", ylabel="partial correlation", xlim=(0, 200), ylim=(-0.3, 1))
ax.set_title(
    "dense1, 95% intervals over drawn images; illustration, n = 40", fontsize=9
)
ax.legend(frameon=False, fontsize=8)
