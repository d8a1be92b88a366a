"""
The cost of precision
=====================

Spikes per image of each layer, for three precisions.
"""

import brainsnn as bs
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
model = bs.load_model("digits")
results = {
    f"m_f = {m_f}": bs.convert(model, bs.ASN(m_f=m_f)).run(images[:20], 300 * bs.ms)
    for m_f in (0.05, 0.1, 0.3)
}
bs.plot.spike_budget(results)
