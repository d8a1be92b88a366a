"""
Frames of a film
================

A layer while an image comes and goes: firing rates of its channels in windows of 20 ms. `brainsnn.plot.feature_movie` writes
all windows as a film, ``bs.plot.feature_movie(result, "conv1", "conv1.gif")``.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
result = snn.run(images[:1], duration=200 * bs.ms, onset=40 * bs.ms, offset=120 * bs.ms)
spikes = result.raster("conv1")[0]  # (steps, rows, columns, channels)

# %%
# The image is there from 40 to 120 ms. Neurons that have a positive bias spike without it; what the image has evoked lasts
# for a while, as the current of synapses decays with 50 ms.
starts = (20, 40, 80, 120, 180)
frames = [
    bs.plot.mosaic(1000 * spikes[start : start + 20].mean(axis=0)) for start in starts
]
figure, axes = plt.subplots(1, len(starts), figsize=(8.4, 2.2), layout="constrained")
for ax, frame, start in zip(axes, frames, starts):
    picture = ax.imshow(
        frame, cmap="viridis", vmin=0, vmax=np.nanmax(frames), interpolation="nearest"
    )
    ax.set(xticks=[], yticks=[])
    ax.set_title(f"{start} to {start + 20} ms", fontsize=9)
axes[0].set_ylabel("conv1")
figure.colorbar(picture, ax=axes, label="firing rate (Hz)")
