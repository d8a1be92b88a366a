"""
A gate over time
================

A network predicts its input and closes the pixels that it has predicted.
"""

import brainsnn as bs
from brainsnn.feedback import read_settings
from brainsnn.shipped import shipped_path
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
path = shipped_path("digits_feedback_if")
settings = read_settings(path)
gate = bs.PredictiveGate(
    epsilon=0.1, squash=settings["squash"], squash_step=settings["squash_step"]
)
snn = bs.convert(
    bs.load_model(path), bs.IF(leak=settings["leak"]), thresholds=settings["thresholds"], feedback=gate
)  # fmt: skip
result = snn.run(images[:1].astype(float), duration=50 * bs.ms)
bs.plot.gate(result, images[:1])
