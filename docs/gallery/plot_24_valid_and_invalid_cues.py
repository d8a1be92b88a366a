"""
Valid and invalid cues
======================

Attention helps where it is and costs elsewhere. Three digits lie in each scene, and the cue is at the target or at least half
an image away from it. This is :download:`studies/spatial_attention.py </../studies/spatial_attention.py>` in small; its
design is that of Soerensen, Zambrano, Slagter, Bohte, Scholte (2022), J. Cogn. Neurosci. 34.
"""

import matplotlib.pyplot as plt

import brainsnn as bs
from brainsnn.analysis import PALETTE, TargetAUC, bootstrap_interval
from brainsnn.stimuli import load_search_scenes

n = 60
scenes = load_search_scenes(n, "test", seed=2)
snn = bs.convert(bs.load_model("search"), bs.ASN(m_f=0.45))
blocks = [name for name in snn.populations if "block" in name and "asn" in name]
trial = {"duration": 350 * bs.ms, "onset": 100 * bs.ms, "background": 0.3}

# %%
# Mean outputs from 250 ms on say how well the target is told from digits that are not in the scene.
found = {"neutral": snn.run(scenes.images, **trial).output[:, 250:].mean(axis=1)}
for name, places in (("valid", scenes.cues), ("invalid", scenes.invalid_cues)):
    snn.attend(bs.SpatialAttention(places, 0.18, output_gain=0.5), layers=blocks)
    found[name] = snn.run(scenes.images, **trial).output[:, 250:].mean(axis=1)

# %%
# The intervals are bootstraps over scenes. All conditions have the same scenes, so the intervals of differences are shown,
# too.
area = {
    name: TargetAUC(scores, scenes.targets, scenes.labels)
    for name, scores in found.items()
}
figure, (left, right) = plt.subplots(1, 2, figsize=(6.6, 3), layout="constrained")
for k, name in enumerate(("invalid", "neutral", "valid")):
    value, low, high = bootstrap_interval(area[name], n, 500)
    left.errorbar(
        k,
        value,
        yerr=[[value - low], [high - value]],
        fmt="o",
        capsize=3,
        color=PALETTE[k],
    )
effects = (
    lambda i: area["valid"](i) - area["neutral"](i),
    lambda i: area["neutral"](i) - area["invalid"](i),
)
for k, effect in enumerate(effects):
    value, low, high = bootstrap_interval(effect, n, 500)
    right.errorbar(
        k,
        value,
        yerr=[[value - low], [high - value]],
        fmt="o",
        capsize=3,
        color="black",
    )
left.axhline(0.5, color="0.5", linestyle=":", linewidth=1)
right.axhline(0, color="0.5", linestyle=":", linewidth=1)
left.set(
    xticks=range(3),
    xticklabels=["invalid", "neutral", "valid"],
    xlim=(-0.5, 2.5),
    ylabel="AUC of the target",
)
right.set(
    xticks=range(2),
    xticklabels=["benefit", "cost"],
    xlim=(-0.5, 1.5),
    ylabel="difference of AUC",
)
left.set_title(f"illustration, n = {n} scenes", fontsize=9)
right.set_title("valid - neutral, neutral - invalid", fontsize=9)
