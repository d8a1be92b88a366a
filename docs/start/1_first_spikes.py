# %% [markdown]
"""
First spikes
============

brainsnn ships a few small trained networks. ``digits`` recognises handwritten digits. We turn it into a network of
spiking neurons, show it twenty digits, and look at the spikes.
"""

# %%
import brainsnn as bs
from brainsnn.stimuli import load_digits

print(bs.shipped_models())
model = bs.load_model("digits")  # an ordinary Keras model
images, labels = load_digits("test")

# %% [markdown]
# **What becomes of each layer?** A layer with a nonlinearity becomes a :term:`population` of neurons. Convolutions,
# batch normalisations and average poolings between two nonlinearities become the connection between the populations.

# %%
print(bs.read_keras(model))

# %% [markdown]
# **Convert, and run.** We say what to record, and run twenty digits for 300 ms each. The first run compiles the
# network, which takes a few seconds, and says so. Later runs start at once. A run of more than 5 s shows a bar;
# ``progress=True`` shows it at once.

# %%
record = {layer: ["spikes"] for layer in ("encoding_asn", "conv1", "conv2", "dense1")}
snn = bs.convert(model, record=record)
result = snn.run(images[:20], duration=300 * bs.ms)
print(result)

# %% [markdown]
# **Decisions.** The output neurons do not spike. Their value at each step is the decision so far.

# %%
decisions = result.output[:, -1].argmax(axis=1)
print("decision", decisions)
print("digit   ", labels[:20])
print(f"correct  {(decisions == labels[:20]).mean():.0%}")
print(f"rate     {result.mean_firing_rate:.1f} Hz, mean of all neurons")

# %% [markdown]
# **Spikes.** Each dot is a spike of the first digit. Neurons with a positive bias spike from the first steps on,
# whatever the image is. What the image changes reaches each layer one step, 1 ms, after the layer before it, at the
# earliest.

# %%
bs.plot.raster(result, image=0)

# %% [markdown]
# **Accuracy over time.** How soon are decisions right? The band is a 95 % interval: of only twenty digits, it is
# wide.

# %%
bs.plot.accuracy(result, labels[:20])

# %% [markdown]
# Next: :doc:`look inside <2_look_inside>`.
