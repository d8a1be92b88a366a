# %% [markdown]
"""
An attention experiment from design to statistics
=================================================

Does a valid cue help a network to find a digit in a cluttered scene, and do mechanisms differ? We plan the experiment,
run it, test it, and say what the number of scenes can and cannot decide.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np

import brainsnn as bs
from brainsnn import ms
from brainsnn.analysis import (
    TargetAUC,
    adjusted_p_values,
    bootstrap_draws,
    bootstrap_p_value,
    column_places,
    draw_interval,
    multi_unit_activity,
    required_images,
    window_mean,
)
from brainsnn.stimuli import load_search_scenes

# %% [markdown]
# **Design.** A scene shows three digits; one is the target. A valid cue is its place, an invalid cue another place.
# Conditions: neutral, and for each mechanism valid and invalid cues. The measure is the AUC of the target's output:
# the probability that a class responds more to a scene in which it is the target than to one in which it is not. All
# conditions see the same scenes, so that differences are paired.
#
# Strengths are the published ones (Soerensen et al. 2022), chosen with other pictures and another network. To choose
# them on these scenes would make the effect larger than it is.

# %%
scenes = load_search_scenes(40, seed=11)
strengths = {"input_gain": 0.15, "output_gain": 0.3, "precision": 0.45}
figure, axes = plt.subplots(1, 4, figsize=(8, 2.3), layout="constrained")
for k, ax in enumerate(axes):
    ax.imshow(scenes.images[k], cmap="gray", vmin=0, vmax=1)
    for (row, column), colour in (
        (scenes.cues[k], "#E69F00"),
        (scenes.invalid_cues[k], "#56B4E9"),
    ):
        ax.plot(
            column * 56 - 0.5, row * 56 - 0.5, "o", mfc="none", mec=colour, ms=16, mew=2
        )
    ax.set(xticks=[], yticks=[], title=f"target {scenes.targets[k]}")
figure.suptitle("valid cues orange, invalid cues blue")

# %% [markdown]
# **Network.** Neurons with a precision of 0.45, and a readout that receives what one layer sends and is not attended
# itself. In an attended layer, input gain and precision change its own rates; output gain changes only the height of
# its spikes.

# %%
LAYER = "stage2_block2_asn1"
graph = bs.read_keras(bs.load_model("search"))
snn = bs.convert(
    graph,
    neuron=bs.ASN(m_f=0.45),
    readouts={"after": LAYER},
    record={"after": ["spikes"]},
)
attended = [name for name in snn.populations if name.endswith("_asn1")]
print(attended)


# %% [markdown]
# **Run.** Nothing is compiled between conditions: attention only writes parameters.


# %%
def run(attention):
    """Return outputs (scene, class) from 150 ms on, and the rate (Hz) of the column of neurons at the target."""
    snn.attend(attention, layers=None if attention is None else attended)
    result = snn.run(scenes.images, duration=350 * ms, seed=0)
    places = column_places(result.shapes["after"], scenes.cues)
    activity = multi_unit_activity(result, "after", places)[:, 150:]
    n_channels = result.shapes["after"][2]
    return window_mean(result.output, 150), 1000 * activity.mean(axis=1) / n_channels


conditions = {"neutral": None}
for mechanism, strength in strengths.items():
    for cue, centers in (("valid", scenes.cues), ("invalid", scenes.invalid_cues)):
        conditions[f"{mechanism}, {cue}"] = bs.SpatialAttention(
            centers, 0.18, **{mechanism: strength}
        )
scores, rates = {}, {}
for name, attention in conditions.items():
    scores[name], rates[name] = run(attention)

# %% [markdown]
# **Statistics.** Scenes are drawn with replacement, the same in all conditions, and the AUC is computed of each draw.
# An effect is the difference of two conditions in the same draw. There are three tests (valid against invalid, for
# each mechanism), so p is corrected (Bonferroni).

# %%
n = len(scenes.targets)
aucs = {name: TargetAUC(values, scenes.targets) for name, values in scores.items()}
draws = {name: bootstrap_draws(auc, n, 500) for name, auc in aucs.items()}
effects = {}
for mechanism in strengths:
    valid, invalid = f"{mechanism}, valid", f"{mechanism}, invalid"
    effects[mechanism] = (
        aucs[valid]() - aucs[invalid](),
        draws[valid] - draws[invalid],
    )
p_values = [max(bootstrap_p_value(d), 2 / len(d)) for _, d in effects.values()]
print(
    f"{'mechanism':12} AUC, valid - invalid [95 %]     p (x 3) scenes for a power of 0.8"
)
for (mechanism, (effect, d)), p in zip(
    effects.items(), adjusted_p_values(p_values, "bonferroni")
):
    low, high = draw_interval(d)
    needed = required_images(effect, d.std(), n)
    print(
        f"{mechanism:12} {effect:+.3f} [{low:+.3f}, {high:+.3f}]        {p:10.3f}   {needed}"
    )

# %% [markdown]
# The last column says how many scenes decide an effect of the size that was seen. If an interval of few scenes contains
# 0, the effect may still exist. Are two mechanisms different? That needs a test of its own, of the difference of the
# differences:

# %%
difference = effects["output_gain"][1] - effects["precision"][1]
low, high = draw_interval(difference)
print(
    f"output gain - precision: {effects['output_gain'][0] - effects['precision'][0]:+.3f} [{low:+.3f}, {high:+.3f}], n = {n}"
)

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.2), layout="constrained")
names = list(conditions)
intervals = np.array([draw_interval(draws[name]) for name in names])
middle = np.array([aucs[name]() for name in names])
left.errorbar(
    middle, range(len(names)), xerr=np.abs(intervals.T - middle), fmt="o", capsize=3
)
left.set(
    yticks=range(len(names)),
    yticklabels=names,
    xlabel=f"AUC of the target, 95 %, n = {n}",
)
left.invert_yaxis()
means = [rates[name].mean() for name in names]
errors = [
    draw_interval(bootstrap_draws(lambda k, name=name: rates[name][k].mean(), n, 500))
    for name in names
]
right.errorbar(
    means,
    range(len(names)),
    xerr=np.abs(np.transpose(errors) - means),
    fmt="o",
    capsize=3,
)
right.set(yticks=[], xlabel="rate of the readout at the target (Hz)")
right.invert_yaxis()

# %% [markdown]
# **What can be said.** The effect and its interval, with the number of scenes, for these photographs and this small
# network. The published experiments with 1,200 scenes are one command: ``python studies/spatial_attention.py
# --protocol published --full``.
