"""Figures 1 to 5 of Soerensen et al. (2022), panel by panel with the same axes."""

import matplotlib.pyplot as plt
import numpy as np
from attention_measures import TITLES
from attention_neurons import CURRENTS, LABELS
from attention_protocol import CUES, EVALUATION_MS, MECHANISMS, ONSET_MS
from figures import band, image_draws

from brainsnn.analysis import PALETTE, attention_modulation, detected_share, draw_interval, smoothed_response, style
from brainsnn.attention import GaussianField

#: As in the paper: valid yellow, invalid blue, neutral gray.
CUE_COLOURS = {"valid": "#c99700", "invalid": "#2f5fb3", "": "0.45"}
COLOURS = {"precision": PALETTE[2], "input_gain": PALETTE[0], "output_gain": PALETTE[1]}
MARKERS = {"precision": "s", "input_gain": "o", "output_gain": "^"}


def label_panels(axes, first="A"):
    """Write letters at the upper left corner of panels."""
    for k, ax in enumerate(axes):
        ax.set_title(chr(ord(first) + k), loc="left", fontweight="bold")


def below(figure, ax, n_columns):
    """Put one legend below all panels."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=n_columns, frameon=False)


def plot_transfer(curves):
    """Plot the potential of the next neuron against the current (figure 1), with bands of 3 SD over time."""
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(10, 3.6), sharey=True, layout="constrained")
        for ax, (name, rows) in zip(axes, curves.items()):
            for k, (mean, sd) in enumerate(rows):
                ax.plot(CURRENTS, mean, color=PALETTE[k], label=LABELS[name][k])
                ax.fill_between(CURRENTS, mean - 3 * sd, mean + 3 * sd, color=PALETTE[k], alpha=0.15, lw=0)
            ax.set(
                xlabel="constant current", title=TITLES[name] if name != "output_gain" else "connection (output) gain"
            )
            ax.legend(loc="upper left")
        axes[0].set_ylabel("S of the next neuron\n(mean from 250 ms, ± 3 SD over time)")
    return figure


def plot_traces(traces):
    """Plot S, threshold and spikes, and the S of the next neuron, for a current of 1 (figure 1)."""
    with style():
        figure, axes = plt.subplots(3, 3, figsize=(10, 6), sharex=True, sharey="row", layout="constrained")
        top = max(row["theta"].max() for rows in traces.values() for row in rows)
        for column, (name, rows) in enumerate(traces.items()):
            for ax, what in zip(axes[:, column], ("S", "theta", "next")):
                same = all(np.array_equal(row[what], rows[0][what]) for row in rows)
                for k, row in enumerate(rows[:1] if same else rows):
                    colour, label = ("k", "all three are the same") if same else (PALETTE[k], LABELS[name][k])
                    ax.plot(row[what], color=colour, label=label, lw=1.2)
                if same or what == "next":
                    ax.legend(loc="upper right", fontsize=7)
            for k, row in enumerate(rows):
                at = {"lineoffsets": top * (1.15 + 0.13 * k), "linelengths": 0.1 * top}
                axes[1, column].eventplot(row["spikes"], color=PALETTE[k], **at)
            axes[0, column].set_title(TITLES[name] if name != "output_gain" else "connection (output) gain")
            axes[2, column].set_xlabel("time (ms); current 1 from 25 to 99 ms")
        axes[1, 0].set_ylim(0, top * 1.5)
        for ax, label in zip(axes[:, 0], ("S", "theta, and spikes", "S of the next neuron")):
            ax.set_ylabel(label)
    return figure


def plot_one_picture(outputs, names, target, n_steps):
    """Plot all outputs over time of one picture without attention, with a valid and with an invalid cue (figure 2)."""
    time = np.arange(n_steps) - ONSET_MS
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.8), sharey=True, layout="constrained")
        for ax, (condition, output) in zip(axes, outputs.items()):
            for k, name in enumerate(names):
                kind = (
                    {"color": "k", "lw": 2.2, "zorder": 3} if k == target else {"color": plt.cm.tab10(k % 10), "lw": 1}
                )
                ax.plot(time, output[:, k], label=f"{name} (target)" if k == target else name, **kind)
            ax.axhline(0.5, color="0.6", lw=0.8, ls="--")
            ax.axvline(0, color="0.8", lw=0.8)
            ax.set(
                title=condition, xlabel="time after onset (ms)", xlim=(-ONSET_MS, n_steps - ONSET_MS - 1), ylim=(0, 1)
            )
        axes[0].set_ylabel("output")
        below(figure, axes[0], 6)
    return figure


def plot_strengths(search, ann, width=40 / 224):
    """Plot profiles of m_f and of the gain, and the AUC at each strength (figure 3)."""
    strengths = np.arange(0, 0.751, 0.15)
    R = GaussianField((0.5, 0.5), width).modulation((224, 224, 1))[112, :, 0]
    with style():
        figure, axes = plt.subplots(1, 3, figsize=(11, 3.7), layout="constrained")
        for k, a in enumerate(strengths):
            colour = plt.cm.viridis(0.9 * k / (len(strengths) - 1))
            axes[0].plot(_precision(a, width), color=colour, label=f"a = {a:.2f}")
            axes[1].plot(1 + a * R, color=colour)
        axes[0].axhline(0.06, color="0.5", ls="--", lw=1)
        axes[0].set(xlabel="column (pixels)", ylabel="precision m_f", title="A  precision; dashed: 0.06")
        axes[1].set(xlabel="column (pixels)", ylabel="gain 1 + a R", title="A  gains")
        axes[0].legend(fontsize=7, ncols=2)
        for k, mechanism in enumerate(MECHANISMS):
            rows = search[(search.mechanism == mechanism) & (search.strength > 0)]
            bars = [rows.auc - rows.low, rows.high - rows.auc]
            axes[2].errorbar(
                rows.strength + 0.006 * (k - 1), rows.auc, bars, capsize=2, ms=4, lw=1, color=COLOURS[mechanism],
                marker=MARKERS[mechanism], label=TITLES[mechanism],
            )  # fmt: skip
        none = search[search.strength == 0].iloc[0]
        axes[2].axhspan(none.low, none.high, color="0.92", lw=0, zorder=0)
        axes[2].axhline(none.auc, color="0.45", ls="--", lw=1, label="neutral (band)")
        axes[2].axhline(ann, color="k", ls=":", lw=1, label="ANN")
        axes[2].set(xlabel="strength a", ylabel="AUC", title="B  valid cue, first half")
        low, high = axes[2].get_ylim()
        axes[2].set(xlim=(0, 0.8), ylim=(low - 0.25 * (high - low), high))  # room for the legend
        axes[2].legend(fontsize=7, loc="lower center", ncols=2)
    return figure


def _precision(a, width, m_f=0.45, size=224):
    """Return m_f along the central row of a map of the size of the image."""
    R = GaussianField((0.5, 0.5), width).modulation((size, size, 1))[..., 0]
    values = m_f - a * R
    return np.maximum(values * (m_f * R.size / values.sum()), 0)[size // 2]


def plot_behaviour(responses, ann_auc):
    """Plot modulation over time, detection times, AUC and medians (figure 4), and the shares detected by each time."""
    with style():
        figure, axes = plt.subplots(2, 3, figsize=(15, 8), layout="constrained", width_ratios=(1, 1, 1.1))
        for mechanism in MECHANISMS:
            for cue in CUES:
                _modulation(axes[0, 0], responses, mechanism, cue)
        axes[0, 0].axhline(0, color="0.6", lw=0.8)
        axes[0, 0].set(xlabel="time after onset (ms)", ylabel="attended - neutral output\n(bands: 95 %)",
                       title="thick: valid cue, thin: invalid; dots: other classes")  # fmt: skip
        low, high = axes[0, 0].get_ylim()
        axes[0, 0].set_ylim(low - 0.3 * (high - low), high)  # room for the legend
        axes[0, 0].legend(fontsize=7, ncols=2, loc="lower right")
        _distributions(axes[0, 1], responses, "detection_ms", "detection time after onset (ms)")
        _points(axes[1, 0], responses, "auc", "AUC", mean_of_draws=True)
        axes[1, 0].axhline(ann_auc, color="k", ls=":", lw=1, label="ANN")
        axes[1, 0].legend(fontsize=8)
        _points(axes[1, 1], responses, "detection_ms", "median detection time (ms)")
        label_panels([*axes[0, :2], *axes[1, :2]])
        for ax, cue in zip(axes[:, 2], CUES):
            _detected(ax, responses, cue)
    return figure


def _detected(ax, responses, cue):
    """
    Plot the share of targets detected by each time, those never detected as censored; the paper has no such panel.

    Triangles are the published medians, which leave out missed targets, where the share crosses half if none is missed.
    """
    end = next(iter(responses.found.values()))["output"].shape[1] - ONSET_MS
    for condition in ("neutral", *(f"{m} {cue}" for m in MECHANISMS)):
        mechanism = condition.split()[0]
        colour, times = COLOURS.get(mechanism, "0.45"), responses.values["detection_ms"][condition]
        at, share, low, high = detected_share(times, end, start=EVALUATION_MS - ONSET_MS)
        at = np.r_[at, end]
        share, low, high = (np.r_[values, values[-1]] for values in (share, low, high))
        missed = int(np.isnan(times).sum())
        ax.step(
            at, share, where="post", color=colour, lw=1.4, label=f"{TITLES.get(mechanism, mechanism)}: {missed} missed"
        )
        ax.fill_between(at, low, high, step="post", color=colour, alpha=0.12, lw=0)
        if missed < len(times):
            ax.plot(np.nanmedian(times), 0.5, "v", color=colour, ms=7, mec="white", clip_on=False)
    ax.axhline(0.5, color="0.8", lw=0.8, zorder=0)
    ax.set(xlabel="time after onset (ms)", ylabel="detected so far (Kaplan-Meier)", ylim=(0, 1))
    ax.set_title(f"{cue} cue (not in the paper);\ntriangles: published medians, without misses", fontsize=9)
    ax.legend(fontsize=8, loc="lower right")


def _modulation(ax, responses, mechanism, cue):
    found = attention_modulation(
        responses.found[f"{mechanism} {cue}"]["output"], responses.found["neutral"]["output"], responses.scenes.targets,
        responses.n_draws,
    )  # fmt: skip
    time = np.arange(len(found.target) - ONSET_MS)
    colour, width = COLOURS[mechanism], 1.8 if cue == "valid" else 0.9
    line = "-" if cue == "valid" else "--"
    ax.plot(time, found.target[ONSET_MS:], line, color=colour, lw=width, label=f"{TITLES[mechanism]} {cue}")
    ax.fill_between(time, *found.target_interval[:, ONSET_MS:], color=colour, alpha=0.12, lw=0)
    ax.plot(time, found.others[ONSET_MS:], color=colour, lw=width, ls=":")
    band(ax, time, *found.others_interval[:, ONSET_MS:], colour)


def _distributions(ax, responses, measure, label):
    """Plot histograms with kernel densities, one row for each condition, apart from each other."""
    from scipy.stats import gaussian_kde

    conditions = ["neutral", *(f"{m} {cue}" for m in MECHANISMS for cue in CUES)]
    known = {c: v[np.isfinite(v)] for c, v in responses.values[measure].items()}
    everything = np.concatenate([known[c] for c in conditions] or [np.zeros(1)])
    if len(everything) == 0:
        ax.text(0.5, 0.5, "none in any condition", ha="center", transform=ax.transAxes)
        return
    edges = np.linspace(everything.min(), everything.max() + 1e-9, 25)
    for row, condition in enumerate(conditions):
        mechanism, _, cue = condition.partition(" ")
        values, colour = known[condition], CUE_COLOURS[cue]
        counts, _ = np.histogram(values, edges)
        ax.bar(
            edges[:-1],
            0.85 * counts / max(counts.max(), 1),
            np.diff(edges),
            bottom=-row,
            align="edge",
            color=colour,
            alpha=0.35,
        )
        if len(values) > 2 and np.ptp(values) > 0:
            x = np.linspace(edges[0], edges[-1], 200)
            density = gaussian_kde(values)(x)
            ax.plot(x, -row + 0.85 * density / density.max(), color=colour, lw=1)
        if len(values):
            ax.plot([np.median(values)] * 2, [-row, -row + 0.85], color=colour, lw=2)
    names = ["neutral", *(f"{TITLES[m]} {cue}" for m in MECHANISMS for cue in CUES)]
    total = len(responses.scenes.targets)
    ax.set_yticks(
        [-k + 0.4 for k in range(7)],
        [f"{name}\n{len(known[c])} of {total}" for name, c in zip(names, conditions)],
        fontsize=7,
    )
    ax.set(xlabel=label, ylim=(-6.1, 1))


def _points(ax, responses, measure, label, mean_of_draws=False):
    """Plot valid and invalid cues of each mechanism with intervals, and a band for neutral."""
    value, draws = responses.draws(measure, "neutral")
    low, high = draw_interval(draws)
    ax.axhspan(low, high, color="0.88", lw=0)
    ax.axhline(np.nanmean(draws) if mean_of_draws else value, color="0.45", lw=1, ls="--", label="neutral (band: 95 %)")
    for k, mechanism in enumerate(MECHANISMS):
        for cue, shift in zip(CUES, (-0.12, 0.12)):
            value, draws = responses.draws(measure, f"{mechanism} {cue}")
            value = float(np.nanmean(draws)) if mean_of_draws else value
            low, high = draw_interval(draws)
            ax.errorbar(k + shift, value, [[max(value - low, 0)], [max(high - value, 0)]], fmt="o", ms=6, capsize=3,
                        color=CUE_COLOURS[cue], label=f"{cue} cue" if k == 0 else None)  # fmt: skip
    ax.set_xticks(range(3), [TITLES[m] for m in MECHANISMS])
    ax.set(ylabel=label, xlim=(-0.5, 2.5))
    ax.legend(fontsize=8)


def plot_activity(responses):
    """Plot activity and potentials over time, latencies, and their means or medians (figure 5)."""
    with style():
        figure, axes = plt.subplots(2, 3, figsize=(13, 8), layout="constrained")
        _time_courses(
            axes[0, 0], responses, "activity", "spikes per ms in the column,\nless the baseline (bands: 95 %)"
        )
        _time_courses(axes[0, 1], responses, "potential", "potential of the column")
        _distributions(axes[0, 2], responses, "latency_ms", "latency after onset (ms)")
        _points(axes[1, 0], responses, "rate_hz", "firing rate (Hz)")
        neutral = responses.draws("rate_hz", "neutral")[0]
        for percent in (5, 10, 20, 30):
            for sign in (-1, 1):
                axes[1, 0].axhline(neutral * (1 + sign * percent / 100), color="0.85", lw=0.6, zorder=0)
        _points(axes[1, 1], responses, "potential", "mean potential")
        _points(axes[1, 2], responses, "latency_ms", "median latency (ms)")
        below(figure, axes[0, 0], 7)
        label_panels(axes.flat)
    return figure


def _time_courses(ax, responses, what, label):
    for mechanism, cue in [("neutral", ""), *((m, cue) for m in MECHANISMS for cue in CUES)]:
        values = responses.found[f"{mechanism} {cue}".strip()][what].astype(float)
        values = (smoothed_response(values) if what == "activity" else values)[:, ONSET_MS:]
        time = np.arange(values.shape[1])
        colour = COLOURS.get(mechanism, "0.45")
        line = {"valid": "-", "invalid": ":", "": "--"}[cue]
        ax.plot(
            time,
            values.mean(axis=0),
            line,
            color=colour,
            lw=1.3,
            label=f"{TITLES.get(mechanism, mechanism)} {cue}".strip(),
        )
        band(ax, time, *draw_interval(image_draws(values, min(responses.n_draws, 200))), colour)
    ax.set(xlabel="time after onset (ms)", ylabel=label)
