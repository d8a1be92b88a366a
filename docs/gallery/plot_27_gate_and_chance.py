"""
Is a gate better because it predicts?
=====================================

A gate that closes predicted pixels saves spikes. So does leaving out spikes at random. At the same number of input spikes,
which one keeps the decisions? :download:`studies/gate_controls.py </../studies/gate_controls.py>` adds other controls,
networks and images.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE, accuracy_interval
from brainsnn.feedback import trained_options
from brainsnn.stimuli import load_digits

images, labels = load_digits("test")
images, labels, n = images[:60].astype(float), labels[:60], 60
model = bs.load_model("digits_feedback_if")


def network(mode):
    """Return the network with a gate that blocks predicted pixels, or an open one."""
    return bs.convert(model, **trained_options("digits_feedback_if", mode))


# %%
# Poisson spikes are drawn once. The random control keeps of each image as many of them as the gate has passed.
random = np.random.default_rng(0)
spikes = (random.random((n, 50, 28, 28, 1)) < images[:, None]).astype(np.int8)
without, gated = network("none"), network("sticky")
results = {
    "open": without.run(images, spikes=spikes),
    "gate": gated.run(images, spikes=spikes),
}
kept = results["gate"].spike_counts["input"] / spikes.sum(axis=(1, 2, 3, 4))
thinned = spikes * (
    random.random(spikes.shape) < kept[:, None, None, None, None]
).astype(np.int8)
results["random"] = without.run(images, spikes=thinned)

# %%
# At the end, 60 digits show no difference. But the gate closes when the prediction is right, which is after the decision, and
# spikes that are left out at random are missing from the start: that network decides later.
figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
for (name, result), colour, style in zip(
    results.items(), (PALETTE[6], PALETTE[0], PALETTE[1]), ("--", "-", "-")
):
    correct = (result.output.argmax(axis=2) == labels[:, None]).sum(axis=0)
    low, high = (100 * bound for bound in accuracy_interval(correct, n))
    label = f"{name}: {result.spike_counts['input'].mean():,.0f}"
    ax.plot(result.times, 100 * correct / n, style, color=colour, label=label)
    ax.fill_between(result.times, low, high, color=colour, alpha=0.15, linewidth=0)
ax.set(xlabel="time (ms)", ylabel="correct (%)", xlim=(0, 50), ylim=(0, 103))
ax.set_title(f"95% intervals; illustration, n = {n} digits", fontsize=9)
ax.legend(title="input spikes per image", frameon=False, fontsize=8, title_fontsize=8)
