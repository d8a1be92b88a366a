"""
Attention that the network directs itself
=========================================

The last layer of a search network says where evidence for the target is. A map of attention follows it and sets the gain of
an earlier layer, while the network runs. This is :download:`studies/closed_loop_attention.py
</../studies/closed_loop_attention.py>` in small, for one class of targets.
"""

import brian2 as b2
import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn.analysis import PALETTE
from brainsnn.stimuli import load_search_scenes

scenes = load_search_scenes(80, "test", seed=1)
wanted, model = np.bincount(scenes.targets).argmax(), bs.load_model("search")
scenes = scenes[np.flatnonzero(scenes.targets == wanted)[:6]]
snn = bs.convert(model, bs.ASN(m_f=0.45))
last, early = (
    snn["final_asn"],
    snn["stage2_block2_asn1"],
)  # 7 x 7 x 64 and 14 x 14 x 32 neurons

# %%
# Each of the 7 x 7 places sums the weighted spikes of its 64 neurons as evidence E, which drives attention A. R compares A
# with its mean over the places. The gain of the 2 x 2 places of the earlier layer that belong to a place is 1 + 0.5 R.
field = b2.NeuronGroup(49, """
    dE/dt = -E/(50*ms) : 1
    dA/dt = (clip(E, 0, inf) - A)/(50*ms) : 1
    mean_A : 1
    R = (A - mean_A)/(A + mean_A + 0.02) : 1""", method="exponential_euler", clock=last.clock, name="field")  # fmt: skip
evidence = b2.Synapses(
    last, field, "w : 1", on_pre="E_post += w*h_pre", clock=last.clock, name="evidence"
)
evidence.connect(i=np.arange(49 * 64), j=np.arange(49 * 64) // 64)
evidence.w = np.tile(model.get_layer("readout").get_weights()[0][:, wanted], 49)
row, column, _ = np.indices((14, 14, 32))
mean = b2.Synapses(
    field, field, "mean_A_post = A_pre/49 : 1 (summed)", clock=last.clock, name="mean"
)
mean.connect()
gain = b2.Synapses(
    field,
    early,
    "gain_post = 1 + 0.5*R_pre : 1 (summed)",
    clock=last.clock,
    name="gains",
)
gain.connect(i=(row // 2 * 7 + column // 2).ravel(), j=np.arange(14 * 14 * 32))
monitor = b2.StateMonitor(
    field, "R", record=True, when="end", clock=last.clock, name="attention"
)
snn.network.add(field, evidence, mean, gain, monitor)
snn.run(scenes.images, duration=250 * bs.ms, onset=50 * bs.ms, background=0.3)

# %%
# Attention at the place of the target, and at the others, in all scenes with this target. The scene on the left is the one
# with the median attention at its target.
n, maps = len(scenes), np.array(monitor.R).T.reshape(-1, 250, 7, 7)
places = np.minimum((scenes.cues * 7).astype(int), 6)
at_target = maps[np.arange(n), :, places[:, 0], places[:, 1]]
figure, (left, right) = plt.subplots(1, 2, figsize=(7, 3), layout="constrained")
k = np.argsort(at_target[:, -1])[n // 2]
bs.plot.attention_field(maps[k, -1], scenes.images[k], ax=left)
left.plot(
    *(scenes.cues[k, ::-1] * 56 - 0.5),
    "o",
    markersize=26,
    fillstyle="none",
    color="white",
)
left.set_title(f"attention; circle: the target, a {wanted}", fontsize=9)
for k, (values, name) in enumerate(
    ((at_target, "target"), ((maps.sum(axis=(2, 3)) - at_target) / 48, "other places"))
):
    middle, error = values.mean(axis=0), 1.96 * values.std(axis=0, ddof=1) / np.sqrt(n)
    right.plot(np.arange(250), middle, color=PALETTE[1 - k], label=name)
    right.fill_between(
        np.arange(250),
        middle - error,
        middle + error,
        color=PALETTE[1 - k],
        alpha=0.25,
        linewidth=0,
    )
right.set(
    xlabel="time (ms), scene from 50 ms on",
    ylabel="attention R",
    xlim=(0, 250),
    ylim=(-1, 1.6),
)
right.legend(
    title=f"illustration, mean and 95% interval, n = {n}",
    frameon=False,
    fontsize=7,
    title_fontsize=7,
)
