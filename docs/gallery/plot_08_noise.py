"""
Noise in the membrane
=====================

One equation is replaced. Noise that is small against the threshold (half of ``m_f``) slows decisions down; more of it ends them.
"""

import matplotlib.pyplot as plt

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, labels = (part[:30] for part in load_digits("test"))
noisy = bs.ASN(m_f=0.1).replace(
    "dS_dyn/dt = (gain*I - S_dyn)/tau_phi : 1",
    "dS_dyn/dt = (gain*I - S_dyn)/tau_phi + sigma*xi/sqrt(tau_phi) : 1\nsigma : 1",
    sigma=0.0,
)
snn, results = bs.convert(bs.load_model("digits"), noisy), {}
for sigma in (0.0, 0.03, 0.1):
    for layer in ("encoding_asn", "conv1", "conv2", "dense1"):
        snn.set_parameters(layer, sigma=sigma)
    results[f"sigma = {sigma}"] = snn.run(images, 200 * bs.ms)
bs.plot.accuracy(results, labels)
plt.gca().set_title("95% intervals; illustration, n = 30 digits", fontsize=9)
