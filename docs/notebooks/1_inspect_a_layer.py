# %% [markdown]
"""
Inspect the state monitors of a layer
=====================================

What do the neurons of one layer do while a digit is shown? We record their variables, look at one neuron from close
by, check by hand why it spikes, and read its message as the next layer does.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn import ms
from brainsnn.equations import transfer_function
from brainsnn.stimuli import load_digits

model, (images, labels) = bs.load_model("digits"), load_digits("test")
variables = ["S", "S_hat", "theta"]
snn = bs.convert(model, record={"conv2": ["spikes", *variables]})
print(snn["conv2"])

# %% [markdown]
# **What a layer runs.** These are the equations of the layer as Brian2 has them, with the values of parameters.

# %%
print(snn.models["conv2"])

# %% [markdown]
# **Run, and see what was recorded.** Values stand for the end of each step, in SI units. The monitors are ordinary
# monitors of Brian2; the result holds their values by image.

# %%
result = snn.run(images[:5], duration=200 * ms)
for variable in variables:
    print(variable, result.states["conv2"][variable].shape)  # images, steps, neurons
raster = result.raster("conv2")
print(raster.shape, f"{result.firing_rates['conv2'].mean():.1f} Hz")

# %% [markdown]
# **The neuron that spikes most** for the first image, by row, column and channel, and as flat index.

# %%
counts = raster[0].sum(axis=0)
place = tuple(int(k) for k in np.unravel_index(counts.argmax(), counts.shape))
index = snn.index("conv2", *place)
print(place, index, counts[place])
result.plot_traces("conv2", neuron=place)

# %% [markdown]
# **Why it spikes.** The condition is ``S - S_hat > theta/2``. Values at the end of a step are those after the reset,
# which adds ``theta`` to ``S_hat`` and ``m_f*theta`` to ``theta``. So we can undo the reset of each spike and look at
# what the neuron compared.

# %%
S, S_hat, theta = (
    result.states["conv2"][name][0, :, index].astype(float) for name in variables
)
spikes = raster[(0, slice(None), *place)]
m_f = float(snn["conv2"].m_f[index])
before = np.where(spikes, theta / (1 + m_f), theta)
# theta = m_f + theta_dyn, and the reset adds m_f*theta to theta_dyn
distance = (S - (S_hat - spikes * before)) - before / 2
print(
    f"smallest at spikes {distance[spikes].min():.4f}, largest elsewhere {distance[~spikes].max():.4f}"
)
assert (distance[spikes] > -1e-5).all() and (distance[~spikes] <= 1e-5).all()

# %% [markdown]
# **What the next layer receives** from this neuron: spikes of height ``h`` whose effect decays with ``tau_beta``. A
# constant signal would arrive as the transfer function says: nearly unchanged up to about 1, and compressed above. The
# network was trained with this function.

# %%
h, decay = float(snn["conv2"].h[index]), float(np.exp(-1 / 50))
message = np.zeros(len(spikes))
for t in range(1, len(spikes)):
    message[t] = message[t - 1] * decay + h * spikes[t]
_, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(result.times, S, label="S, the signal")
ax.plot(result.times, transfer_function(S, m_f), "--", label="transfer function of S")
ax.plot(result.times, message, label="filtered spikes, what arrives")
ax.set(xlabel="time (ms)", ylabel="activation", title=f"conv2, neuron {place}")
ax.legend()

# %% [markdown]
# **All neurons of a channel at once**: mean signal and firing rate of each place.

# %%
states = np.asarray(result.states["conv2"]["S"]).reshape(raster.shape)
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
for ax, values, label in (
    (left, states[0, 100:, :, :, place[2]].mean(axis=0), "S, mean from 100 ms on"),
    (right, raster[0, 100:, :, :, place[2]].mean(axis=0) * 1000, "firing rate (Hz)"),
):
    figure.colorbar(ax.imshow(values), ax=ax, label=label)
    ax.set(xticks=[], yticks=[])
figure.suptitle(f"conv2, channel {place[2]}")

# %% [markdown]
# **A monitor of your own** is added before the first run. ``bs.monitor`` records at the end of a step, as the result
# does; ``bs.monitored_images`` says which image a row belongs to.

# %%
snn = bs.convert(model)
probe = bs.monitor(snn, "conv2", ["S"], neurons=[place])
snn.run(images[:5], duration=200 * ms)
own = np.asarray(probe.S[0])[bs.monitored_images(probe) == 0]
assert np.array_equal(own, result.states["conv2"]["S"][0, :, index])
print("equal to the recorded values:", own[:3])
