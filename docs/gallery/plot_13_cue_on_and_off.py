"""
A cue that comes and goes
=========================

Attention is on from 200 to 400 ms of each trial. `brainsnn.switchable` gives each neuron both values of its parameters, and
two times choose between them.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
n = 20
cue = bs.SpatialAttention(
    center=(0.5, 0.3),
    width=0.15,
    output_gain=0.6,
    onset=200 * bs.ms,
    offset=400 * bs.ms,
)
snn = bs.convert(
    bs.load_model("digits"),
    bs.switchable(bs.ASN(m_f=0.1)),
    record={"conv2": ["spikes"]},
)
neutral = snn.run(images[:n], duration=600 * bs.ms)
snn.attend(cue, layers=["conv1"])
attended = snn.run(images[:n], duration=600 * bs.ms)

# %%
# The layer after the attended one, near the cue (left part of the image) and far from it. Bins of 20 ms; before the cue both
# trials are the same, spike by spike.
near, far = slice(2, 6), slice(9, 13)
figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
for columns, label, colour in (
    (near, "near the cue", PALETTE[1]),
    (far, "far from it", PALETTE[0]),
):
    rates = [
        1000
        * result.raster("conv2")[:, :, 5:9, columns]
        .mean(axis=(2, 3, 4))
        .reshape(n, 30, 20)
        .mean(axis=2)
        for result in (neutral, attended)
    ]
    change = rates[1] - rates[0]
    mean, error = change.mean(axis=0), 1.96 * change.std(axis=0, ddof=1) / np.sqrt(n)
    time = np.arange(10, 600, 20)
    ax.plot(time, mean, color=colour, label=label)
    ax.fill_between(
        time, mean - error, mean + error, color=colour, alpha=0.25, linewidth=0
    )
ax.axvspan(200, 400, color="0.92", zorder=0, label="cue")
ax.axhline(0, color="0.5", linewidth=0.8)
ax.set(xlabel="time (ms)", ylabel="change of rate (Hz)", xlim=(0, 600))
ax.set_title(f"conv2, mean and 95% interval; illustration, n = {n} digits", fontsize=9)
ax.legend(frameon=False, fontsize=8)
