"""
First spikes
============

When the neurons of a layer spike first: strong features are early. These integrate-and-fire neurons have no bias, so that only
the image drives them.
"""

import warnings

import brainsnn as bs
from brainsnn.feedback import trained_options
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
model, options = bs.load_model("digits_plain_if"), trained_options("digits_plain_if")
snn = bs.convert(model, **options, record={"conv1": ["spikes"]})
with warnings.catch_warnings():
    # some neurons were trained to spike in each step
    warnings.simplefilter("ignore", bs.SaturationWarning)
    result = snn.run(images[:1].astype(float), duration=50 * bs.ms)
bs.plot.latency_map(result, "conv1")
