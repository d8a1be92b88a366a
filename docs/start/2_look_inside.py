# %% [markdown]
"""
Look inside
===========

Everything in the network is an ordinary Brian2 object, under the name of the Keras layer. We record the variables of a
layer, find one neuron, see why it spikes, and compare spikes with the trained network.
"""

# %%
import numpy as np

import brainsnn as bs
from brainsnn.stimuli import load_digits

model = bs.load_model("digits")
images, labels = load_digits("test")
record = {"conv1": ["spikes"], "conv2": ["spikes", "S", "S_hat", "theta"]}
snn = bs.convert(model, record=record)
result = snn.run(images[:5], duration=300 * bs.ms)
group = snn["conv2"]  # a NeuronGroup of Brian2
print(f"{group.name}: {len(group)} neurons")

# %% [markdown]
# **The equations** of the neurons, as Brian2 has them, with the values of all parameters. :term:`S` is the filtered
# input, :term:`S_hat` what the neuron's spikes have already reported, :term:`theta` the adaptive threshold. A neuron
# spikes when ``S - S_hat`` exceeds ``theta/2``.

# %%
print(snn.models["conv2"])

# %% [markdown]
# **One neuron**, by row, column and channel: here the one that spikes most for the first digit. Its threshold rises
# with each spike and falls between them.

# %%
counts = result.raster("conv2", images=0)[0].sum(axis=0)  # rows, columns, channels
neuron = np.unravel_index(counts.argmax(), counts.shape)
row, column, channel = map(int, neuron)
print(f"{counts.max()} spikes at row {row}, column {column}, channel {channel}")
bs.plot.traces(result, "conv2", (row, column, channel))

# %% [markdown]
# **Values as arrays**, of images, steps and neurons. They are plain numbers in SI units, at the end of each step.

# %%
print(result.states["conv2"]["S"].shape)
index = snn.index("conv2", row, column, channel)
print(result.states["conv2"]["theta"][0, ::50, index])

# %% [markdown]
# **A layer at a glance**: firing rates of the channels of the first convolution, as maps.

# %%
bs.plot.feature_maps(result, "conv1")

# %% [markdown]
# **How close are spikes to the trained network?** Mean :term:`activations <activation>` of all layers, in spikes
# against those of Keras.

# %%
comparison = bs.compare_activations(model, snn, images[:5])
measures = ["layer", "neurons", "mean_ann", "mean_snn", "correlation", "rate_hz"]
print(comparison.table[measures].round(3).to_string(index=False))

# %% [markdown]
# Next: :doc:`change an equation <3_change_an_equation>`.
