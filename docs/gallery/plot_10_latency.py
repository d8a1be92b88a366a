"""
First spikes
============

When the neurons of a layer spike first: strong features are early. These integrate-and-fire neurons have no bias, so that only
the image drives them.
"""

import warnings

import brainsnn as bs
from brainsnn.feedback import read_settings
from brainsnn.shipped import shipped_path
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
path = shipped_path("digits_plain_if")
settings = read_settings(path)
snn = bs.convert(
    bs.load_model(path), bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"], record={"conv1": ["spikes"]}
)  # fmt: skip
with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore", bs.SaturationWarning
    )  # some neurons were trained to spike in each step
    result = snn.run(images[:1].astype(float), duration=50 * bs.ms)
bs.plot.latency_map(result, "conv1")
