"""
Latency code and rate code
==========================

The same spikes read in two ways: how often a neuron has spiked so far, or when it has spiked first. How soon does each tell
which digit it is? (Thorpe, Delorme, Van Rullen 2001, Neural Netw. 14:715.)
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE, accuracy_interval
from brainsnn.stimuli import load_digits

# 300 training digits give the mean pattern of each class, 100 test digits are decided.
(train, train_labels), (test, labels) = load_digits("train"), load_digits("test")
train, train_labels, test, labels = (
    train[:300],
    train_labels[:300],
    test[:100],
    labels[:100],
)
snn = bs.convert(bs.load_model("digits"), bs.ASN(m_f=0.1), record={"conv2": ["spikes"]})
result = snn.run(np.concatenate([train, test]), duration=60 * bs.ms)

# %%
# Counts of each neuron, and 1/2 to the power of the latency in units of 5 ms, so that silent neurons have 0. An image goes to
# the class whose mean pattern correlates best with its own.
steps, correct = np.arange(4, 61, 4), {"spike counts": [], "first spikes": []}


def decide(patterns):
    """Return how many test digits go to the right class."""
    means = np.array(
        [patterns[:300][train_labels == digit].mean(axis=0) for digit in range(10)]
    )
    together = np.concatenate([means, patterns[300:]])
    together[:, 0] += 1e-9  # a pattern without spikes has no correlation
    r = np.corrcoef(together)
    return int((r[10:, :10].argmax(axis=1) == labels).sum())


counts, first = np.zeros((400, 14 * 14 * 32)), np.full((400, 14 * 14 * 32), np.inf)
for image, (neurons, times) in enumerate(result.spikes["conv2"]):
    np.minimum.at(first[image], neurons, times)
for begin, end in zip((0, *steps[:-1]), steps):
    for image, (neurons, times) in enumerate(result.spikes["conv2"]):
        np.add.at(counts[image], neurons[(times >= begin) & (times < end)], 1)
    correct["spike counts"].append(decide(counts))
    correct["first spikes"].append(decide(np.where(first < end, 0.5 ** (first / 5), 0)))

# %%
# In this network, counts decide at least as many of these digits as latencies do, at all times.
figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
for (name, found), colour in zip(correct.items(), PALETTE):
    low, high = (100 * bound for bound in accuracy_interval(np.array(found), 100))
    ax.plot(steps, found, color=colour, label=name)
    ax.fill_between(steps, low, high, color=colour, alpha=0.2, linewidth=0)
ax.set(xlabel="time (ms)", ylabel="decoded correctly (%)", ylim=(0, 103), xlim=(0, 60))
ax.set_title("conv2, 95% intervals, n = 100 digits", fontsize=9)
ax.legend(frameon=False, fontsize=8)
