"""
Why a neuron spikes
===================

A neuron compares what it has not yet reported, ``S - S_hat``, with half of its threshold.
"""

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
snn = bs.convert(
    bs.load_model("digits"), record={"conv1": ["spikes", "S", "S_hat", "theta"]}
)
result = snn.run(images[:1], duration=200 * bs.ms)
spikes = result.raster("conv1")[0].sum(axis=0)

# %%
# The neuron of the layer that spikes most:
neuron = tuple(int(k[0]) for k in (spikes == spikes.max()).nonzero())
result.plot_traces("conv1", neuron=neuron)
