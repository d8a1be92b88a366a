"""
Feature maps
============

Firing rates of a convolutional layer, channel by channel.
"""

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
snn = bs.convert(bs.load_model("digits"), record={"conv1": ["spikes"]})
result = snn.run(images[:1], duration=300 * bs.ms)
bs.plot.feature_maps(result, "conv1")
