"""
When a target is found
======================

Cued search in scenes with three digits: the share of targets that are detected by each time. Targets that are never detected
count as censored at the end of the trial (Kaplan, Meier 1958, J. Am. Stat. Assoc. 53:457).
"""

import matplotlib.pyplot as plt

import brainsnn as bs
from brainsnn.analysis import (
    PALETTE,
    detected_share,
    detection_time,
    median_detection_time,
)
from brainsnn.stimuli import load_search_scenes

n, onset, end = 40, 100, 400
scenes = load_search_scenes(n, "test", seed=1)
snn = bs.convert(bs.load_model("search"), bs.ASN(m_f=0.45))
blocks = [name for name in snn.populations if "block" in name and "asn" in name]
cue = bs.SpatialAttention(scenes.cues, 0.18, output_gain=0.5)

# %%
# The scene comes on at 100 ms, after a gray image. A target is detected when the output of its class exceeds what any class
# has reached on gray. The bands are 95% intervals of each curve; the scenes are the same in both.
trial = {"duration": end * bs.ms, "onset": onset * bs.ms, "background": 0.3}
results = {"no cue": snn.run(scenes.images, **trial)}
snn.attend(cue, layers=blocks)
results["cue on the target"] = snn.run(scenes.images, **trial)
criterion = 1.001 * max(result.output[:, :onset].max() for result in results.values())
figure, ax = plt.subplots(figsize=(4.2, 3), layout="constrained")
for (name, result), colour in zip(results.items(), PALETTE):
    times = (
        detection_time(
            result.output, scenes.targets, result.times, criterion, start=onset
        )
        - onset
    )
    at, share, low, high = detected_share(times, end - onset)
    median = median_detection_time(times, end - onset)
    label = (
        f"{name}, median {median:.0f} ms"
        if median == median
        else f"{name}, fewer than half"
    )
    at, share, low, high = (
        [*values, last]
        for values, last in (
            (at, end - onset),
            *((v, v[-1]) for v in (share, low, high)),
        )
    )
    ax.step(at, [100 * s for s in share], where="post", color=colour, label=label)
    ax.fill_between(
        at,
        [100 * s for s in low],
        [100 * s for s in high],
        step="post",
        color=colour,
        alpha=0.2,
        linewidth=0,
    )
ax.set(
    xlabel="time since the scene (ms)",
    ylabel="targets detected (%)",
    xlim=(0, end - onset),
    ylim=(0, 103),
)
ax.set_title(f"illustration, n = {n} scenes", fontsize=9)
ax.legend(frameon=False, fontsize=8, loc="upper left")
