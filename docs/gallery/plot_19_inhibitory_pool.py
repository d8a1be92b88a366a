"""
An inhibitory pool
==================

Any Brian2 object can join the network. Here a group of our own, one neuron for each place, listens to all channels of the
first convolution at this place and inhibits them, as the pools in models of normalisation do (Carandini, Heeger 2012, Nat.
Rev. Neurosci. 13:51).
"""

import brian2 as b2
import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import style
from brainsnn.stimuli import load_digits

images, _ = load_digits("test")
contrasts = np.array([0.1, 0.4, 0.7, 1.0])
digits = (contrasts[:, None, None, None, None] * images[:3]).reshape(-1, 28, 28, 1)


def rates(strength):
    """Return the mean rate of the first convolution at each contrast, with inhibition of a strength."""
    snn = bs.convert(bs.load_model("digits"), bs.ASN(m_f=0.1))
    cells = snn["conv1"]
    pool = b2.NeuronGroup(28 * 28, "dx/dt = -x/tau : 1", threshold="x > 1", reset="x -= 1", method="exact",
                          namespace={"tau": 20 * b2.ms}, clock=cells.clock, name="pool")  # fmt: skip
    excite = b2.Synapses(
        cells, pool, on_pre="x_post += 0.25", clock=cells.clock, name="excite"
    )
    excite.connect(i=np.arange(28 * 28 * 16), j=np.arange(28 * 28 * 16) // 16)
    inhibit = b2.Synapses(pool, cells, on_pre="I_post -= strength", namespace={"strength": strength},
                          clock=cells.clock, name="inhibit")  # fmt: skip
    inhibit.connect(i=np.arange(28 * 28 * 16) // 16, j=np.arange(28 * 28 * 16))
    snn.network.add(pool, excite, inhibit)
    return (
        snn.run(digits, duration=100 * bs.ms)
        .firing_rates["conv1"]
        .reshape(len(contrasts), 3)
    )


# %%
# The pool spikes more where the layer does, so that it takes about the same share of the rate at each contrast.
with style():
    figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
for strength, name in ((0.0, "no inhibition"), (0.02, "with the pool")):
    bs.plot.tuning_curve(
        100 * contrasts, rates(strength), "contrast (%)", label=name, ax=ax
    )
ax.set_ylim(0, None)
ax.set_title("conv1, mean and 95% interval; illustration, n = 3 digits", fontsize=9)
