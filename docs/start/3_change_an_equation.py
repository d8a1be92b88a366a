# %% [markdown]
"""
Change an equation
==================

Neuron models are text. We add noise to an equation, see what it does to decisions, change a parameter without
compiling again, and attend a place of the image.
"""

# %%
import brainsnn as bs
from brainsnn import ms
from brainsnn.stimuli import load_digits

model = bs.load_model("digits")
images, labels = load_digits("test")

# %% [markdown]
# **Replace an equation**, and give values to the new names in it. ``xi`` is Brian2's white noise. First layer, pooled
# layers and :term:`junctions <junction>` follow. Mistakes are found before anything is compiled, with the line and the
# reason; :doc:`/mistakes` has examples.

# %%
neuron = bs.ASN(m_f=0.1)
noisy = neuron.replace(
    "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
    "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1",
    sigma=0.06,
)
print(noisy)

# %% [markdown]
# **Compare.** The same fifty digits, with and without noise.

# %%
quiet_network = bs.convert(model, neuron=neuron)
noisy_network = bs.convert(model, neuron=noisy)
quiet = quiet_network.run(images[:50], duration=300 * ms, seed=1)
result = noisy_network.run(images[:50], duration=300 * ms, seed=1)
bs.plot.accuracy({"without noise": quiet, "with noise": result}, labels[:50])

# %% [markdown]
# **Change a parameter**, such as the :term:`gain` of inputs, for a layer or with one value for each neuron. Those
# marked "per neuron" above need no new compilation; others can be set before the first run.

# %%
quiet_network.set_parameters("conv1", gain=0.5)
weaker = quiet_network.run(images[:50], duration=300 * ms, seed=1)
quiet_network.set_parameters("conv1", gain=1.0)
for name, run in {"no noise": quiet, "noise": result, "half gain": weaker}.items():
    correct, rate = run.accuracy(labels[:50])[-1], run.firing_rates["conv1"].mean()
    print(f"{name:9} {correct:.0%} correct, {rate:.1f} Hz in conv1")

# %% [markdown]
# **Attend a place.** Attention is a change of parameters, too: here spikes of neurons near a place have more effect.

# %%
cue = bs.SpatialAttention(center=(0.3, 0.6), width=0.2, output_gain=0.3)
quiet_network.attend(cue)
attended = quiet_network.run(images[:50], duration=300 * ms, seed=1)
print(f"{quiet.mean_firing_rate:.2f} Hz before, {attended.mean_firing_rate:.2f} Hz now")
bs.plot.attention_field(cue, images[0])

# %% [markdown]
# From here: :doc:`one page for each task </howto>`, :doc:`concepts </concepts/index>`, or the :doc:`gallery
# </auto_gallery/index>`.
