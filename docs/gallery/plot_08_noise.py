"""
Noise in the membrane
=====================

One equation is replaced. Noise that is small against the threshold (half of ``m_f``) slows decisions down; more of it ends them.
"""

import matplotlib.pyplot as plt

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, labels = load_digits("test")
model, results = bs.load_model("digits"), {}
for sigma in (0.0, 0.01, 0.03, 0.1):
    neuron = bs.ASN(m_f=0.1).replace(
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
        "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1",
        sigma=sigma,
    )
    results[f"sigma = {sigma}"] = bs.convert(model, neuron).run(images[:50], 300 * bs.ms)
bs.plot.accuracy(results, labels[:50])
plt.gca().set_title("n = 50 digits")
