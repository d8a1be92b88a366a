"""
Accuracy and spikes after conversion
====================================

How many spikes does a converted ReLU network need, and how soon is it right? Two neurons in small;
:download:`studies/conversion.py </../studies/conversion.py>` compares eleven of them on thousands of images.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE, accuracy_interval
from brainsnn.stimuli import load_digits

(train, _), (images, labels) = load_digits("train"), load_digits("test")
images, labels = images[:60], labels[:60]
graph = bs.calibrate(bs.load_model("digits_relu"), train[:200])
layers = ("relu1", "relu2", "relu3", "dense")
ann = (
    100
    * (
        graph.activations(images)["readout"].reshape(60, 10).argmax(axis=1) == labels
    ).mean()
)

# %%
# The same calibrated network with integrate-and-fire neurons that start at half of their threshold, and with adaptive
# neurons. Dots are 10, 20, 30, 50, 100 and 200 ms.
figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
for (name, neuron), colour in zip(
    {"IF": bs.IF(initial=0.5), "ASN, m_f = 0.1": bs.ASN(m_f=0.1)}.items(), PALETTE
):
    snn = bs.convert(graph, neuron, record={layer: ["spikes"] for layer in layers})
    result = snn.run(images, duration=200 * bs.ms)
    steps = np.array([10, 20, 30, 50, 100, 200])
    n_correct = (result.output[:, steps - 1].argmax(axis=2) == labels[:, None]).sum(
        axis=0
    )
    spikes = (
        sum(
            (trains[1] < steps[:, None]).sum(axis=1)
            for layer in layers
            for trains in result.spikes[layer]
        )
        / 60
    )
    share, (low, high) = 100 * n_correct / 60, accuracy_interval(n_correct, 60)
    error = np.maximum([share - 100 * low, 100 * high - share], 0)
    ax.errorbar(
        spikes,
        share,
        yerr=error,
        fmt="o-",
        markersize=4,
        capsize=2,
        color=colour,
        label=name,
    )
ax.axhline(ann, color="black", linestyle="--", linewidth=1, label="trained network")
ax.set(xscale="log", xlabel="spikes per image", ylabel="correct (%)", ylim=(0, 103))
ax.set_title("95% intervals; illustration, n = 60 digits", fontsize=9)
ax.legend(frameon=False, fontsize=8)
