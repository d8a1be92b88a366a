# %% [markdown]
"""
Tweak neuron equations and see accuracy and rates change
========================================================

A trained network is fixed; its neurons are not. We change one thing at a time, a time constant, noise, the reset, a
refractory period, and measure what it does to decisions and to spikes.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn import ms
from brainsnn.analysis import accuracy_interval, mcnemar_test
from brainsnn.stimuli import load_digits

graph, (images, labels) = bs.read_keras(bs.load_model("digits")), load_digits("test")
images, labels = images[:40], labels[:40]
asn = bs.ASN(m_f=0.1)
print(asn)

# %% [markdown]
# **The variants.** ``replace`` changes one equation, ``edit`` threshold, reset, refractoriness or a parameter. Each
# returns a new model, and checks units and names at once.

# %%
membrane = "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1"
noise = "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1"
variants = {
    "as trained": asn,
    "slow membrane": asn.edit(tau_phi=20 * ms),
    "little noise": asn.replace(membrane, noise, sigma=0.01),
    "much noise": asn.replace(membrane, noise, sigma=0.1),
    "no adaptation": asn.edit(reset="S_hat += theta"),
    "refractory 10 ms": asn.edit(refractory=10 * ms),
    "coarse, m_f = 0.4": asn.edit(m_f=0.4),
}

# %% [markdown]
# Without adaptation the threshold stays at ``m_f``. What a spike adds to its targets, ``h``, was computed for the
# adapting neuron, so that activations arrive wrongly scaled: an edit of one equation can need another one.

# %%
results = {}
for name, neuron in variants.items():
    snn = bs.convert(graph, neuron=neuron)
    results[name] = snn.run(images, duration=200 * ms, seed=1)

# %% [markdown]
# **Accuracy, with its interval and the number of images, and mean firing rate.** The same images are used for all
# variants, so differences are tested on pairs (McNemar). With 40 images only large differences can be seen.

# %%
right = {
    name: result.output[:, -1].argmax(axis=1) == labels
    for name, result in results.items()
}
print(f"{'variant':18} correct [95 % interval]   p against 'as trained'   rate (Hz)")
for name, result in results.items():
    low, high = accuracy_interval(int(right[name].sum()), len(labels))
    p = mcnemar_test(right[name], right["as trained"]).p
    print(
        f"{name:18} {right[name].mean():.2f} [{low:.2f}, {high:.2f}]      {p:20.3f}   {result.mean_firing_rate:10.1f}"
    )

# %% [markdown]
# **When is the decision made?** A slow membrane and a coarse code delay it; much noise in all layers prevents it.

# %%
_, ax = plt.subplots(figsize=(8, 3.5), layout="constrained")
bs.plot.accuracy(results, labels, ax=ax)
ax.set_title(f"n = {len(labels)} digits")
ax.legend(loc="upper left", bbox_to_anchor=(1, 1))

# %%
bs.plot.spike_budget(results)

# %% [markdown]
# **One layer only.** Which layer is sensitive to noise? A model per layer, and no other change:

# %%
layers = ["encoding_asn", "conv1", "conv2", "dense1"]
scores = []
for layer in layers:
    snn = bs.convert(graph, neuron={layer: variants["much noise"], ...: asn})
    scores.append(
        (
            snn.run(images, duration=200 * ms, seed=1).output[:, -1].argmax(axis=1)
            == labels
        ).sum()
    )
intervals = np.array([accuracy_interval(int(k), len(labels)) for k in scores])
means = np.array(scores) / len(labels)
_, ax = plt.subplots(figsize=(5, 3), layout="constrained")
ax.errorbar(layers, means, yerr=np.abs(intervals.T - means), fmt="o", capsize=4)
ax.set(
    ylabel="accuracy", title=f"noise in one layer, 95 % intervals, n = {len(labels)}"
)

# %% [markdown]
# **The values of a parameter without compiling again.** Set a constant before the first run, and it becomes a
# parameter of the layer:

# %%
snn = bs.convert(graph, neuron={"conv1": variants["little noise"], ...: asn})
for sigma in (0, 0.05, 0.2, 0.4):
    snn.set_parameters("conv1", sigma=sigma)
    accuracy = snn.run(images, duration=200 * ms, seed=1).accuracy(labels)[-1]
    print(f"sigma = {sigma:<5} accuracy {accuracy:.2f}")
