"""
A gate over time
================

A network predicts its input and closes the pixels that it has predicted.
"""

import brainsnn as bs
from brainsnn.feedback import trained_options
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
options = trained_options("digits_feedback_if", mode="sticky")
snn = bs.convert(bs.load_model("digits_feedback_if"), **options)
result = snn.run(images[:1].astype(float), duration=50 * bs.ms)
bs.plot.gate(result, images[:1])
