"""
Layer by layer against the trained network
==========================================

The filtered spikes of each neuron against the activation that it stands for.
"""

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
model = bs.load_model("digits")
snn = bs.convert(model, bs.ASN(m_f=0.1))
comparison = bs.compare_activations(model, snn, images[:5])
bs.plot.comparison(comparison)
