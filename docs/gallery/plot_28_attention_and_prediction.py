"""
Is what is attended predicted sooner?
=====================================

A cue raises the output gain in one half of the image, in a network that predicts its input and blocks what it has predicted.
:download:`studies/attention_and_feedback.py </../studies/attention_and_feedback.py>` varies the strength and lets the
predictor learn.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE
from brainsnn.feedback import trained_options
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
images, n = images[:40].astype(float), 40
options = trained_options("digits_feedback_if", mode="sticky")
snn = bs.convert(bs.load_model("digits_feedback_if"), **options)

# %%
# The cue is on the left half and then on the right half, so that differences between the halves of digits cancel.
bright, left = images[..., 0] > 0.5, np.arange(28) < 14
blocked = {"cued half": [], "other half": []}
for column, is_cued in ((0.25, left), (0.75, ~left)):
    cue = bs.SpatialAttention(center=(0.5, column), width=0.25, output_gain=0.4)
    snn.attend(cue, layers=("conv1", "pool1", "conv2", "conv3", "pool2"))
    # (images, steps, rows, columns)
    closed = ~snn.run(images, duration=50 * bs.ms).gate[..., 0]
    for name, columns in (("cued half", is_cued), ("other half", ~is_cued)):
        pixels = bright[:, None] & columns
        blocked[name].append(
            (closed & pixels).sum(axis=(2, 3)) / np.maximum(pixels.sum(axis=(2, 3)), 1)
        )

# %%
# The share of bright pixels that are blocked, as a mean of both cues. The intervals are those over digits.
figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
for (name, shares), colour in zip(blocked.items(), (PALETTE[1], PALETTE[0])):
    share = 100 * np.mean(shares, axis=0)
    mean, error = share.mean(axis=0), 1.96 * share.std(axis=0, ddof=1) / np.sqrt(n)
    ax.plot(np.arange(50), mean, color=colour, label=name)
    ax.fill_between(
        np.arange(50), mean - error, mean + error, color=colour, alpha=0.25, linewidth=0
    )
ax.set(
    xlabel="time (ms)", ylabel="bright pixels blocked (%)", xlim=(0, 50), ylim=(0, 100)
)
ax.set_title(f"mean and 95% interval; illustration, n = {n} digits", fontsize=9)
ax.legend(frameon=False, fontsize=8)
