# %% [markdown]
"""
A prediction that gates its input
=================================

A network predicts the image that it sees, and closes the input neurons of pixels that it has predicted. How many
spikes does this save, does the decision suffer, and does it matter that the gate *predicts*?
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn import ms
from brainsnn.analysis import accuracy_interval, bootstrap_interval
from brainsnn.feedback import trained_options
from brainsnn.stimuli import load_digits

images, labels = load_digits("test")
images, labels = images[:40], labels[:40]
model = bs.load_model("digits_feedback_if")


def network(mode):
    """Return the trained network with a gate."""
    return bs.convert(model, **trained_options("digits_feedback_if", mode))


# %% [markdown]
# **The gate is part of the equations** of the input neurons, a few statements that run at the start of each step:

# %%
print(bs.PredictiveGate(epsilon=0.1).model.update)

# %% [markdown]
# **One digit over time**: the prediction grows, and pixels close.

# %%
sticky = network("sticky")
result = sticky.run(images, duration=50 * ms, seed=0)
bs.plot.gate(result, images)

# %% [markdown]
# ``result.predicted_input`` and ``result.gate`` are (images, steps, rows, columns, channels). Silent pixels close at
# once, because a prediction of 0 is right for them. What counts are the pixels that would spike.

# %%
is_bright = images > 0.1
open_share = [result.gate[:, t][is_bright].mean() for t in range(50)]
error = [
    np.abs(result.predicted_input[:, t] - images)[is_bright].mean() for t in range(50)
]
_, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(result.times, open_share, label="share of bright pixels that are open")
ax.plot(result.times, error, label="error of the prediction of bright pixels")
ax.set(xlabel="time (ms)", ylim=(0, 1.05), title=f"n = {len(images)} digits")
ax.legend(loc="lower left")

# %% [markdown]
# **What a gate saves.** Input spikes, all spikes, and accuracy, for each mode. ``mode="none"`` predicts and closes
# nothing.

# %%
results = {"sticky": result}
for mode in ("none", "dynamic", "graded"):
    results[mode] = network(mode).run(images, duration=50 * ms, seed=0)


def spikes_of(result):
    """Return the number of spikes of each image: of the input, and of all layers."""
    return result.spike_counts["input"], sum(
        np.asarray(counts) for counts in result.spike_counts.values()
    )


def report(name, result):
    """Print a line of the table."""
    right = result.output[:, -1].argmax(axis=1) == labels
    low, high = accuracy_interval(int(right.sum()), len(labels))
    inputs, everything = (counts.mean() for counts in spikes_of(result))
    print(
        f"{name:8} correct {right.mean():.2f} [{low:.2f}, {high:.2f}]   spikes {inputs:5.0f} of the input, {everything:7.0f}"
    )


for name, found in results.items():
    report(name, found)

# %%
opened, closed = spikes_of(results["none"])[1], spikes_of(results["sticky"])[1]
saved, low, high = bootstrap_interval(
    lambda k: 100 * (1 - closed[k].mean() / opened[k].mean()), len(labels)
)
print(f"the sticky gate saves {saved:.0f}% [{low:.0f}, {high:.0f}] of all spikes")

# %% [markdown]
# **The control.** Fewer input spikes mean fewer spikes everywhere, whatever the reason. So we leave out input spikes
# *at random*, as many as the gate has saved for each image, and replay the rest into the open network. A gate is good
# because it predicts only if it does better.

# %%
rng = np.random.default_rng(0)
drawn = rng.random((len(images), 50, *images.shape[1:])) < images[:, None]
kept = spikes_of(results["sticky"])[0] / drawn.sum(axis=(1, 2, 3, 4))
replayed = drawn & (rng.random(drawn.shape) < kept[:, None, None, None, None])
control = network("none").run(images, spikes=replayed.astype(np.int8), seed=0)
report("sticky", results["sticky"])
report("random", control)

# %% [markdown]
# **What can be said.** With a few dozen digits, accuracies that differ by a few points cannot be told apart: look at
# the intervals. The complete comparison, with shuffled block times, networks without feedback and 1,000 digits, is
# ``python studies/gate_controls.py --full``; its result is among the findings: on still digits, it does not matter
# what is predicted.
#
# **Change the gate.** Its statements are text, as all equations are. A blocked pixel may still send weak spikes:

# %%
options = trained_options("digits_feedback_if", mode="sticky")
rule = options["feedback"].model.update
leaky = options["feedback"].edit(
    update=rule.replace("is_open = 1 - is_blocked", "is_open = 1 - 0.8*is_blocked")
)
snn = bs.convert(model, **options | {"feedback": leaky})
report("leaky", snn.run(images, duration=50 * ms, seed=0))
