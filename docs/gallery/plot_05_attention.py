"""
Attention to a place
====================

Output gain at the upper right of an image: rates rise there and fall elsewhere.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
snn = bs.convert(bs.load_model("digits"), record={"conv2": ["spikes"]})
attention = bs.SpatialAttention(center=(0.3, 0.7), width=0.2, output_gain=0.5)
neutral = snn.run(images[:20], duration=300 * bs.ms).raster("conv2").mean(axis=(1, 4))
snn.attend(attention, layers=["conv1"])
attended = snn.run(images[:20], duration=300 * bs.ms).raster("conv2").mean(axis=(1, 4))

# %%
# Left: the field over an image. Right: the change of rates in the next layer, where they are not changed by attention itself.
# Dots are places where the 95% interval of the change contains 0.
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.4), layout="constrained")
bs.plot.attention_field(attention, images[0], ax=left)
changes = 1000 * (attended - neutral)  # (images, rows, columns)
change, error = changes.mean(axis=0), 1.96 * changes.std(axis=0, ddof=1) / np.sqrt(20)
limit = np.abs(change).max()
picture = right.imshow(change, cmap="PuOr_r", vmin=-limit, vmax=limit)
rows, columns = np.nonzero(np.abs(change) <= error)
right.plot(columns, rows, "k.", markersize=3)
figure.colorbar(picture, ax=right, label="change of rate (Hz)")
right.set(xticks=[], yticks=[])
right.set_title("conv2, mean; illustration, n = 20 digits", fontsize=9)
