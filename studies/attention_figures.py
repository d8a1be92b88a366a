"""Figures of the study of spatial attention."""

import re

import matplotlib.pyplot as plt
import numpy as np
from figures import band, bars, class_ticks, mean_interval

from brainsnn.analysis import PALETTE, dissimilarity_matrix, style
from brainsnn.attention import GaussianField
from brainsnn.equations import spike_height, transfer_function

COLOURS = {"precision": PALETTE[2], "input_gain": PALETTE[0], "output_gain": PALETTE[1], "neutral": "0.45"}
NAMES = {"precision": "precision", "input_gain": "input gain", "output_gain": "output gain", "neutral": "neutral"}
LINES = {"valid": "-", "invalid": ":"}
#: Of points of mechanisms along an axis.
SHIFTS = {"precision": -1, "input_gain": 0, "output_gain": 1, "neutral": 0}


def _split(condition):
    """Split a condition into mechanism and cue; neutral has no cue."""
    mechanism, _, cue = condition.partition(" ")
    return mechanism, cue


def _line_of(condition):
    mechanism, cue = _split(condition)
    label = f"{NAMES[mechanism]} {cue}".strip()
    return {"color": COLOURS[mechanism], "ls": LINES.get(cue, "--"), "label": label}


def _points_of(condition):
    """Return the look of points with bars."""
    return {**_line_of(condition), "marker": ".", "elinewidth": 0.8, "lw": 1.1}


def _apart(condition, layers):
    """Return the places of layers on the axis, a bit apart for each condition, so that none hides another."""
    mechanism, cue = _split(condition)
    return np.arange(len(layers)) + 0.24 * SHIFTS.get(mechanism, 0) + {"valid": -0.06, "invalid": 0.06}.get(cue, 0)


def _short(layer):
    """Shorten stage2_block1_asn2 to 2.1b; return other names unchanged."""
    found = re.fullmatch(r"stage(\d)_block(\d+)_asn([12])", layer)
    return f"{found[1]}.{found[2]}{'ab'[int(found[3]) - 1]}" if found else layer


def _layer_axis(ax, layers):
    ax.set_xticks(range(len(layers)), [_short(layer) for layer in layers], rotation=60)
    if "block" in layers[0]:
        ax.set_xlabel("stage.block, first (a) and second (b) population")


def _legend_below(figure, ax, n_columns=4):
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=n_columns)


def plot_mechanisms(scenes, strengths, parameters):
    """Plot the field over scenes, and each mechanism's effect on the transfer function at the focus and far from it."""
    with style():
        figure, axes = plt.subplots(2, 3, figsize=(10, 6.4), layout="constrained")
        field = GaussianField(scenes.cues, parameters.width)
        for k, ax in enumerate(axes[0, :2]):
            field.plot(scenes.images[k], index=k, ax=ax, colorbar=k == 1)
            row, col = scenes.cues[k]
            ax.plot(col, row, "k+", ms=10)
            ax.set_title(f"cue at the target, class {scenes.targets[k]}")
        n_rows, n_cols = scenes.images.shape[1:3]
        R = field.modulation((n_rows, n_cols, 1))
        axes[0, 2].plot((np.arange(n_cols) + 0.5) / n_cols, R[int(scenes.cues[0, 0] * n_rows), :, 0], color="k")
        axes[0, 2].axhline(0, color="0.7", lw=0.8)
        axes[0, 2].set(xlabel="column (fraction)", ylabel="modulation R", title="row of the first cue")
        S = np.linspace(0, 2, 200)
        for ax, mechanism in zip(axes[1], COLOURS):
            _plot_transfer(ax, mechanism, S, strengths[mechanism], parameters.m_f, (R.max(), 0.0, R.min()))
        axes[1, 0].legend()
    return figure


def _plot_transfer(ax, mechanism, S, strength, m_f, modulations):
    """Plot output (firing rate for precision) against input: at the focus, without attention, and far from the focus."""
    for R, line, label in zip(modulations, ("-", "--", ":"), ("at the focus", "no attention", "far away")):
        if mechanism == "precision":
            changed = max(m_f - strength * R, 1e-3)
            # The mean of a spike train filtered with 50 ms is rate*height*0.05 s.
            values = transfer_function(S, changed) / spike_height(changed) / 0.05
        else:
            gain = 1 + strength * R
            values = transfer_function(gain * S, m_f) if mechanism == "input_gain" else gain * transfer_function(S, m_f)
        ax.plot(S, values, line, color=COLOURS[mechanism], label=label)
    ylabel = "firing rate (Hz)" if mechanism == "precision" else "output"
    ax.set(xlabel="input S", ylabel=ylabel, title=f"{NAMES[mechanism]}, a = {strength:g}")


def plot_search(table):
    """Plot AUC and firing rate against the strength of each mechanism."""
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(8, 3.6), layout="constrained")
        for mechanism, rows in table.groupby("mechanism", sort=False):
            best = rows.loc[rows[rows.strength > 0].auc.idxmax()]
            x = rows.strength + SHIFTS[mechanism] * 0.05 * rows.strength.max()
            for ax, column in zip(axes, ("auc", "rate_hz")):
                error = bars(rows[column], rows[f"{column}_low"], rows[f"{column}_high"])
                look = {"color": COLOURS[mechanism], "label": NAMES[mechanism]}
                ax.errorbar(x, rows[column], error, marker="o", ms=4, capsize=2, **look)
                ax.plot(x[best.name], best[column], "o", ms=10, mfc="none", color=COLOURS[mechanism])
        axes[0].set(xlabel="strength a", ylabel="AUC of the target", title="valid cue; circles: chosen")
        axes[1].set(xlabel="strength a", ylabel="mean firing rate (Hz)")
        axes[0].legend()
    return figure


def plot_behaviour(table):
    """Plot AUC, detection time and rate for valid, neutral and invalid cues, with intervals."""
    measures = {"auc": "AUC of the target", "detection_ms": "detection time (ms)", "rate_hz": "mean firing rate (Hz)"}
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), layout="constrained")
        for ax, (measure, label) in zip(axes, measures.items()):
            rows = table[table.measure == measure].set_index("comparison")
            for k, mechanism in enumerate(name for name in COLOURS if name != "neutral"):
                shown = rows.loc[[f"{mechanism} valid", "neutral", f"{mechanism} invalid"]]
                x, errors = np.arange(3) + 0.12 * (k - 1), bars(shown.value, shown.low, shown.high)
                ax.errorbar(
                    x, shown.value, errors, fmt="o-", ms=4, capsize=2, color=COLOURS[mechanism], label=NAMES[mechanism]
                )
            ax.set_xticks(range(3), ["valid", "neutral", "invalid"])
            ax.set(ylabel=label, xlim=(-0.4, 2.4))
        axes[0].legend()
    return figure


def plot_rates(layers):
    """Plot firing rates of readouts after each layer at the location of the target and elsewhere, relative to neutral."""
    names = list(dict.fromkeys(layers.layer))
    neutral = layers[layers.condition == "neutral"].set_index("layer")
    with style():
        figure, axes = plt.subplots(1, 2, figsize=(10, 4.4), sharey=True, layout="constrained")
        for condition, rows in layers.groupby("condition", sort=False):
            if condition == "neutral":
                continue
            rows = rows.set_index("layer").loc[names]
            for ax, where in zip(axes, ("inside", "outside")):
                ratio = rows[f"{where}_hz"] / neutral.loc[names][f"{where}_hz"]
                error = bars(ratio, rows[f"{where}_ratio_low"], rows[f"{where}_ratio_high"])
                ax.errorbar(_apart(condition, names), ratio, error, **_points_of(condition))
        for ax, title in zip(axes, ("at the target", "elsewhere")):
            ax.axhline(1, color="0.45", lw=0.8)
            ax.set_title(title)
            _layer_axis(ax, names)
        axes[0].set_ylabel("firing rate after the layer / neutral")
        _legend_below(figure, axes[0], 3)
    return figure


def plot_evoked(activities, onset):
    """Plot the mean membrane potential of the first population of each block over time."""
    names = [key.split("/")[1] for key in activities["neutral"] if key.startswith("evoked/")]
    with style():
        n_columns = 3
        figure, axes = plt.subplots(
            -(-len(names) // n_columns), n_columns, figsize=(10, 5.6), sharex=True, layout="constrained"
        )
        for ax, name in zip(axes.flat, names):
            for condition, values in activities.items():
                potential = values[f"evoked/{name}"]
                ax.plot(potential.mean(axis=0), **{**_line_of(condition), "lw": 1.1})
                _, low, high = mean_interval(potential, 200)
                band(ax, np.arange(len(low)), low, high, _line_of(condition)["color"])
            ax.axvline(onset, color="0.7", lw=0.8)
            ax.set_title(_short(name))
        for ax in axes[-1]:
            ax.set_xlabel("time (ms)")
        for ax in axes[:, 0]:
            ax.set_ylabel("mean S")
        _legend_below(figure, axes.flat[0])
    return figure


def plot_latencies(layers):
    """Plot the firing latency at the location of the target."""
    names = list(dict.fromkeys(layers.layer))
    with style():
        figure, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
        for condition, rows in layers.groupby("condition", sort=False):
            rows = rows.set_index("layer").loc[names]
            error = bars(rows.latency_ms, rows.latency_low, rows.latency_high)
            ax.errorbar(_apart(condition, names), rows.latency_ms, error, **_points_of(condition))
        _layer_axis(ax, names)
        ax.set_ylabel("firing latency after onset (ms)")
        _legend_below(figure, ax)
    return figure


def plot_representations(activities, layers, targets):
    """Plot RDMs of the last population, scenes sorted by target, and how well the target's class fits each layer."""
    names, order = list(dict.fromkeys(layers.layer)), np.argsort(targets, kind="stable")
    shown = ["neutral", *(f"{mechanism} valid" for mechanism in NAMES if mechanism != "neutral")]
    with style():
        figure = plt.figure(figsize=(10, 7), layout="constrained")
        axes = figure.subplot_mosaic("abcd;eeee", height_ratios=[1, 1.1])
        rdms = [dissimilarity_matrix(activities[c][f"pattern/{names[-1]}"])[np.ix_(order, order)] for c in shown]
        largest = np.nanpercentile(rdms, 99)
        for label, condition, rdm in zip("abcd", shown, rdms):
            drawn = axes[label].imshow(rdm, vmin=0, vmax=largest, cmap="viridis")
            axes[label].set_title(_line_of(condition)["label"])
            class_ticks(axes[label], np.asarray(targets)[order])
            axes[label].set(xlabel="class of the target")
        axes["a"].set_ylabel(_short(names[-1]))
        figure.colorbar(drawn, ax=[axes[label] for label in "abcd"], label="1 - correlation", shrink=0.8)
        for condition, rows in layers.groupby("condition", sort=False):
            rows = rows.set_index("layer").loc[names]
            error = bars(rows.rdm_fit, rows.rdm_fit_low, rows.rdm_fit_high)
            axes["e"].errorbar(_apart(condition, names), rows.rdm_fit, error, **_points_of(condition))
        _layer_axis(axes["e"], names)
        axes["e"].set_ylabel("fit of the target's class\n(Spearman)")
        axes["e"].axhline(0, color="0.7", lw=0.8)
        _legend_below(figure, axes["e"])
    return figure
