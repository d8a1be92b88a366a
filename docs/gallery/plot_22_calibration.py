"""
A ReLU network becomes spikes
=============================

An ordinary ReLU network is calibrated, so that the activations of each layer lie between 0 and about 1, and converted
(Rueckauer et al. 2017, Front. Neurosci. 11:682). Activations of a neuron in spikes against those of the trained network.
"""

import matplotlib.pyplot as plt

import brainsnn as bs
from brainsnn.stimuli import load_digits

(train, _), (images, _) = load_digits("train"), load_digits("test")
model = bs.load_model("digits_relu")
graph = bs.calibrate(model, train[:200])
print(graph.scales)

# %%
# Integrate-and-fire neurons count, so that they are close to the line. The transfer function of adaptive neurons bends: small
# activations come out a little too large, and the largest ones too small.
figure, axes = plt.subplots(
    1, 2, figsize=(6.8, 3.3), layout="constrained", sharex=True, sharey=True
)
for ax, name, neuron in zip(
    axes, ("IF", "ASN, m_f = 0.1"), (bs.IF(initial=0.5), bs.ASN(m_f=0.1))
):
    record = {layer: ["spikes"] for layer in ("relu1", "relu2", "relu3", "dense")}
    snn = bs.convert(graph, neuron, record=record)
    comparison = bs.compare_activations(graph, snn, images[:5], duration=200 * bs.ms)
    bs.plot.activations(comparison, "relu2", ax=ax)
    ax.set_title(f"relu2, {name}", fontsize=9)
figure.suptitle("illustration, n = 5 digits", fontsize=9)
