"""
Spikes of all layers
====================

A handwritten digit goes through the network: the same image as spikes of each layer.
:download:`studies/demo.py </../studies/demo.py>` says how many of many digits are recognised.
"""

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, labels = load_digits("test")
layers = ["encoding_asn", "conv1", "conv2", "dense1"]
snn = bs.convert(
    bs.load_model("digits"), record={layer: ["spikes"] for layer in layers}
)
result = snn.run(images[:1], duration=200 * bs.ms)

# %%
# Neurons with a positive bias spike from the first steps on. What the image changes arrives in each layer a step later than
# in the layer before it, at the earliest. The first neurons of a layer are those of its upper left corner.
bs.plot.raster(result)
