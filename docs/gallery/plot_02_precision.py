"""
What precision does
===================

The same current into neurons of three precisions: a small ``m_f`` reports it with many spikes, a large one with few.
"""

import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
model = bs.load_model("digits")
bright = tuple(
    int(k) for k in np.unravel_index(images[0].argmax(), images[0].shape)
)  # its brightest pixel
figure, axes = plt.subplots(3, 1, figsize=(6, 6), sharex=True, layout="constrained")
for ax, m_f in zip(axes, (0.05, 0.2, 0.6)):
    snn = bs.convert(
        model, bs.ASN(m_f=m_f), record={"encoding_asn": ["spikes", "S", "S_hat"]}
    )
    result = snn.run(images[:1], duration=200 * bs.ms)
    result.plot_traces(
        "encoding_asn", neuron=bright, variables=["S", "S_hat"], ax=ax, threshold=False
    )
    ax.set(title=f"m_f = {m_f}", xlabel="")
axes[-1].set_xlabel("time (ms)")
