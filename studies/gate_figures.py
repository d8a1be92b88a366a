"""Figures of the study of gates: accuracy against spikes, and differences of gates against dimming."""

import matplotlib.pyplot as plt
from figures import bars
from gate_statistics import PAIRS

from brainsnn.analysis import PALETTE, style

__all__ = ["plot_contrast", "plot_curves"]

#: Lines of the two rows of panels: gates and networks; the predictive gate and its controls.
GATES = ("plain, open", "narrow, open", "feedback, open", "feedback, sticky", "feedback, dynamic", "feedback, graded",
         "feedback, contrast")  # fmt: skip
CONTROLS = ("feedback, sticky", "feedback, shuffled", "feedback, send-on-delta", "feedback, random", "feedback, oracle",
            "plain, shuffled", "plain, random")  # fmt: skip
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)), (0, (3, 1, 1, 1)))
#: Lower accuracies, of the steps before the first spikes arrive, are left out.
LOWEST = 80
XLABELS = {"input": "input spikes per image", "hidden": "hidden spikes per image", "total": "all spikes per image"}


def plot_curves(curves):
    """
    Plot accuracy against the spikes so far, with the interval at the end.

    Parameters
    ----------
    curves : `~pandas.DataFrame`
        As of `gate_statistics.curve_rows`.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    with style():
        figure, axes = plt.subplots(2, 3, figsize=(13.5, 7.4), layout="constrained", sharey=True)
        titles = ("gates and networks", "the sticky gate and its controls")
        for row, names, title in zip(axes, (GATES, CONTROLS), titles):
            for ax, part in zip(row, XLABELS):
                for k, (name, colour, dash) in enumerate(zip(names, PALETTE, DASHES)):
                    own = curves[curves.condition == name]
                    # The first line is wide, so that one on top of it does not hide it.
                    width = {"linewidth": 4, "alpha": 0.5} if k == 0 else {}
                    ax.plot(own[part], 100 * own.accuracy, color=colour, linestyle=dash, label=name, **width)
                    last = own.iloc[-1]
                    error = [[100 * (last.accuracy - last.low)], [100 * (last.high - last.accuracy)]]
                    ax.errorbar(
                        last[part], 100 * last.accuracy, error, color=colour, marker="o", markersize=4, capsize=2
                    )
                ax.set(xlabel=XLABELS[part], title=title, xlim=(0, None), ylim=(LOWEST, 100.8))
                ax.locator_params(axis="x", nbins=5)
            row[0].set_ylabel("correct so far (%)")
            row[-1].legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def plot_contrast(rows):
    """
    Plot the accuracy of each gate, and their differences, against the dimming of one half of the digits.

    Parameters
    ----------
    rows : `~pandas.DataFrame`
        As of `gate_statistics.contrast_rows`.

    Returns
    -------
    figure : `matplotlib.figure.Figure`
    """
    with style():
        figure, (left, right) = plt.subplots(1, 2, figsize=(8.5, 3.4), layout="constrained")
        for k, (gate, colour, marker) in enumerate(zip(("open", "sticky", "contrast"), PALETTE, "osD")):
            error = bars(100 * rows[gate], 100 * rows[f"{gate}_low"], 100 * rows[f"{gate}_high"])
            x = rows.dimming * 1.05 ** (k - 1)
            left.errorbar(x, 100 * rows[gate], error, color=colour, marker=marker, capsize=2, label=gate)
        left.set(xlabel="brightness of the upper half", ylabel="correct at the end (%)")
        left.legend()
        for k, ((one, other), colour, marker) in enumerate(zip(PAIRS, PALETTE[3:], "s^v")):
            name = f"{one} - {other}"
            error = bars(100 * rows[name], 100 * rows[f"{name} low"], 100 * rows[f"{name} high"])
            x = rows.dimming * 1.05 ** (k - 1)
            right.errorbar(x, 100 * rows[name], error, color=colour, marker=marker, capsize=2, label=name)
        right.axhline(0, color="0.6", linewidth=1, zorder=0)
        right.set(xlabel="brightness of the upper half", ylabel="difference (points)")
        right.legend()
        for ax in (left, right):
            ax.set_xscale("log")
            ax.set_xticks(rows.dimming, [f"{factor:g}" for factor in rows.dimming])
            ax.minorticks_off()
    return figure
