"""
Orientation tuning
==================

Gratings of all orientations drive the first convolution. Its channels prefer different orientations, as cells of primary
visual cortex do (Hubel, Wiesel 1962, J. Physiol. 160:106).
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import style

orientations, phases = np.arange(0, 180, 15), np.arange(0, 360, 60)
rows, columns = np.indices((28, 28)) - 13.5


def grating(orientation, phase):
    """Return stripes, 6 pixels apart, (28, 28, 1); at 0 degrees they are horizontal."""
    across = rows * np.cos(np.deg2rad(orientation)) + columns * np.sin(
        np.deg2rad(orientation)
    )
    return 0.5 + 0.5 * np.cos(2 * np.pi * across / 6 + np.deg2rad(phase))[..., None]


images = np.array(
    [grating(orientation, phase) for orientation in orientations for phase in phases]
)

# %%
# Mean rates of the 12 x 12 neurons in the middle of each channel, for each phase of the gratings.
snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
result = snn.run(images, duration=200 * bs.ms)
rates = [
    1000 * result.raster("conv1", images=k)[0, :, 8:20, 8:20].mean(axis=(0, 1, 2))
    for k in range(len(images))
]
rates = np.reshape(rates, (len(orientations), len(phases), 16))

# %%
# The three channels whose mean rate depends most on the orientation. A 3 x 3 kernel sees little of a stripe, so tuning is
# broad.
tuned = np.argsort(rates.mean(axis=1).std(axis=0))[::-1][:3]
with style():
    figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
for channel in tuned:
    bs.plot.tuning_curve(
        orientations,
        rates[..., channel],
        "orientation (degrees)",
        label=f"channel {channel}",
        ax=ax,
    )
ax.set(xticks=range(0, 180, 45), ylim=(0, None))
ax.set_title("conv1, mean and 95% interval, n = 6 phases", fontsize=9)
