"""Figure 6 of Soerensen et al. (2022): representations over time, and how models of classes and of the ANN fit them."""

import matplotlib.pyplot as plt
import numpy as np
from attention_measures import MODELS, TITLES, fit_draws
from attention_panels import COLOURS, CUE_COLOURS
from attention_protocol import CUES, EVALUATION_MS, MECHANISMS, ONSET_MS, RDM_MS
from claims import paired_p
from figures import band, class_ticks
from scipy.spatial.distance import squareform
from scipy.stats import rankdata

from brainsnn.analysis import adjusted_p_values, class_model, draw_interval, style


def ranked(distances):
    """Return a matrix of ranks from 0 to 1."""
    return squareform((rankdata(distances) - 1) / (len(distances) - 1))


def plot_representations(representations, classes, names, analog):
    """Plot RDMs of the neutral network and of both models, fits over time, and their changes with attention."""
    with style():
        figure = plt.figure(figsize=(15, 11), layout="constrained")
        axes = figure.subplot_mosaic("abgggg;cdhhhh;efiijj", width_ratios=[1.25, 1.25, 1, 1, 1, 1])
        shown = {f"neutral, {t} ms": rdm for t, rdm in zip(RDM_MS, representations["neutral"]["rdms"])}
        shown |= {"category model": class_model(classes), "analog model (ANN)": analog}
        for label, letter, (title, distances) in zip("abcdef", "AAAABC", shown.items()):
            _rdm(axes[label], distances, f"{letter}  {title}", classes, names)
        figure.colorbar(
            axes["a"].images[0], ax=[axes[k] for k in "ef"], label="rank of 1 - r", location="bottom", shrink=0.6
        )
        for label, model in zip("gh", range(2)):
            _fits(axes[label], representations, model)
        axes["h"].legend(fontsize=8, ncols=2, loc="lower right")
        for label, model in zip("ij", range(2)):
            _changes(axes[label], representations, model)
        for label, letter in zip("ghij", "DDEE"):
            axes[label].set_title(letter, loc="left", fontweight="bold")
    return figure


def _rdm(ax, distances, title, classes, names):
    ax.imshow(ranked(distances), vmin=0, vmax=1, cmap="viridis", interpolation="nearest")
    class_ticks(ax, classes, names)
    ax.set_title(title, fontsize=9, loc="left")


def _fits(ax, representations, model):
    for condition, values in representations.items():
        mechanism, _, cue = condition.partition(" ")
        time = np.arange(len(values["partial"]))
        kind = {"color": COLOURS.get(mechanism, "0.45"), "ls": {"valid": "-", "invalid": ":", "": "--"}[cue]}
        ax.plot(
            time, values["partial"][:, model], lw=1.2, label=f"{TITLES.get(mechanism, mechanism)} {cue}".strip(), **kind
        )
        if cue == "":
            ax.plot(time, values["correlation"][:, model], color="0.75", lw=1, label="neutral, plain correlation")
            band(ax, time, *values["correlation_interval"][:, :, model], "0.75")
        band(ax, time, *values["partial_interval"][:, :, model], kind["color"])
    ax.axhline(0, color="0.8", lw=0.8)
    ax.axvline(EVALUATION_MS - ONSET_MS, color="0.8", lw=0.8)
    ax.set(xlabel="time after onset (ms)", ylabel=f"partial correlation\nwith {MODELS[model]}", xlim=(0, len(time)))


def _changes(ax, representations, model):
    for k, mechanism in enumerate(MECHANISMS):
        for cue, shift in zip(CUES, (-0.12, 0.12)):
            for resample, width, cap in (("images", 2.2, 4), ("pairs", 1, 7)):
                draws = fit_draws(representations, f"{mechanism} {cue}", resample)[:, model]
                low, high = draw_interval(draws)
                middle = float(np.nanmedian(draws))
                ax.errorbar(k + shift + (0.03 if resample == "pairs" else 0), middle, [[middle - low], [high - middle]], fmt="o",
                            ms=5 if resample == "images" else 0, lw=width, capsize=cap, color=CUE_COLOURS[cue],
                            label=f"{cue} cue" if k == 0 and resample == "images" else None)  # fmt: skip
    ax.axhline(0, color="0.6", lw=0.8)
    ax.set_xticks(range(3), [TITLES[m] for m in MECHANISMS])
    ax.set(ylabel=f"{MODELS[model]}: partial\ncorrelation - neutral", xlim=(-0.5, 2.5))
    ax.legend(fontsize=8)


def fits_table(study, representations):
    """Write the 12 published comparisons for both models and both ways of drawing: median, interval, p and corrected p."""
    rows = []
    for resample in ("pairs", "images"):
        for k, model in enumerate(MODELS):
            found = []
            for cue in CUES:
                changes = {m: fit_draws(representations, f"{m} {cue}", resample)[:, k] for m in MECHANISMS}
                found += [(f"{m} {cue} - neutral", draws) for m, draws in changes.items()]
                pairs = [(a, b) for i, a in enumerate(MECHANISMS) for b in MECHANISMS[i + 1 :]]
                found += [(f"{b} - {a}, {cue}", changes[b] - changes[a]) for a, b in pairs]
            known = [draws[np.isfinite(draws)] for _, draws in found]
            p = [paired_p(draws) if len(draws) else 1.0 for draws in known]
            corrected = adjusted_p_values(p, "benjamini-hochberg")
            for (name, draws), p_value, q in zip(found, p, corrected):
                low, high = draw_interval(draws)
                rows.append({"model": model, "drawn": resample, "comparison": name, "median": float(np.nanmedian(draws)),
                             "low": low, "high": high, "p": p_value, "p_benjamini_hochberg": q})  # fmt: skip
    return study.table(rows, "rdm_fits")
