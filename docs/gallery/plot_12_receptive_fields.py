"""
Receptive fields
================

What drives a neuron? The weights say it, and so do its spikes: the mean of random images, weighted by the spikes that they
evoke, approximates the linear receptive field (Chichilnisky 2001, Network 12:199: it is proportional to it if the noise is
spherically symmetric, as Gaussian noise is; here pixels are uniform).
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs

snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
kernel = next(
    p.operator.kernel for p in snn.graph.projections if p.target == "conv1_asn"
)  # (3, 3, 1, 16)

# %%
# Two hundred images of noise. The neurons of a channel have the same weights at each place, so their 26 x 26 places, away
# from the border, are averaged.
noise = np.random.default_rng(0).random((200, 28, 28, 1))
result = snn.run(noise, duration=200 * bs.ms)
counts = result.raster("conv1").sum(axis=1)[:, 1:-1, 1:-1].astype(float)
counts -= counts.mean(axis=0)
average = np.array([
    [np.einsum("nrc,nrck->k", noise[:, i : i + 26, j : j + 26, 0] - 0.5, counts) for j in range(3)] for i in range(3)
])  # fmt: skip

# %%
# Above the weights, below what the spikes say, each scaled to its largest value; r is the correlation of the two.
chosen = np.argsort(counts.std(axis=(0, 1, 2)))[::-1][:6]
figure, axes = plt.subplots(2, 6, figsize=(6.6, 2.5), layout="constrained")
for (above, below), channel in zip(axes.T, chosen):
    for ax, field in (
        (above, kernel[:, :, 0, channel]),
        (below, average[..., channel]),
    ):
        picture = ax.imshow(field / np.abs(field).max(), cmap="PuOr_r", vmin=-1, vmax=1)
        ax.set(xticks=[], yticks=[])
    r = np.corrcoef(kernel[:, :, 0, channel].ravel(), average[..., channel].ravel())[
        0, 1
    ]
    above.set_title(f"channel {channel}", fontsize=8)
    below.set_title(f"r = {r:.3f}", fontsize=8)
axes[0, 0].set_ylabel("weights")
axes[1, 0].set_ylabel("spikes, n = 200")
figure.colorbar(picture, ax=axes, label="relative weight", shrink=0.8)
