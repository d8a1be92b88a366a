"""The law of the studies' figures: what every figure says and shows. `Study.figure` applies it.

- n, and what bars or bands stand for, above the panels; "illustration" if a quick run made it;
- an interval at every estimate: Wilson's for accuracies, else of bootstrap draws of images (`image_draws`);
- two lines that coincide are set apart: the lower one is wider, in the legend, too; of more, the panel says how many coincide;
- names of classes on RDMs.
"""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import same_color

from brainsnn.analysis import accuracy_interval, draw_interval

__all__ = [
    "PAIRED_TEST",
    "apply_law",
    "band",
    "bars",
    "class_ticks",
    "image_draws",
    "mean_interval",
    "paired_interval",
    "set_apart",
    "share_interval",
]

#: Lines coincide if so many of their points lie closer together than this part of the axis.
NEAR, MOST = 0.006, 0.8
N_DRAWS = 500
#: Name of the test of `paired_interval`.
PAIRED_TEST = "interval of paired decisions (Bonett and Price 2012)"


def apply_law(figure, mode, n):
    """
    Write n above a figure, and set coinciding lines apart.

    Parameters
    ----------
    figure : `matplotlib.figure.Figure`
    mode : {"quick", "full"}
        What a quick run makes is an illustration.
    n : str
        Number of images or neurons in the panels, and what bars and bands are, such as "60 digits; bars: 95 %".
    """
    text = f"illustration, n = {n}" if mode == "quick" else f"n = {n}"
    # A letter is about half as wide as high.
    size = min(9, 2 * 0.95 * 72 * figure.get_figwidth() / len(text))
    figure.suptitle(text, fontsize=size, color="0.35")
    set_apart(figure)


def set_apart(figure):
    """Widen a line that another one hides, and its mark in the legend; of three or more, write that they coincide."""
    for ax in figure.axes:
        for group in _hidden_groups(ax):
            if len(group) == 2:
                lower = group[0]
                look = {"linewidth": lower.get_linewidth() + 2.4, "alpha": 0.5}
                for each in (lower, *_marks(figure, ax, lower)):
                    each.set(**look)
            else:
                ax.text(
                    0.98, 0.98, f"{len(group)} lines coincide", transform=ax.transAxes, ha="right", va="top", fontsize=8
                )


def _hidden_groups(ax):
    """Return lists of lines that coincide, the lowest first; lines of one colour are one series."""
    lines = [line for line in ax.lines if len(line.get_xdata()) > 1 and line.get_linestyle() not in ("None", "")]
    points = [(line.get_transform() - ax.transAxes).transform(line.get_xydata().astype(float)) for line in lines]
    groups, seen = [], set()
    for k, line in enumerate(lines):
        if k in seen:
            continue
        later = [j for j in range(k + 1, len(lines)) if j not in seen and _coincide(points[k], points[j])]
        seen.update(later)
        group = [line, *(lines[j] for j in later)]
        if any(not same_color(line.get_color(), other.get_color()) for other in group):
            groups.append(group)
    return groups


def _coincide(one, other):
    if one.shape != other.shape:
        return False
    known = np.isfinite(one).all(axis=1) & np.isfinite(other).all(axis=1)
    return bool(known.any()) and (np.abs(one - other)[known].max(axis=1) < NEAR).mean() >= MOST


def _marks(figure, ax, line):
    """Return the marks of a line in the legends of its panel and of the figure."""
    legends = [*figure.legends, ax.get_legend()]
    handles = [h for legend in legends if legend is not None for h in legend.legend_handles]
    return [h for h in handles if isinstance(h, plt.Line2D) and h.get_label() == line.get_label()]


def band(ax, x, low, high, color):
    """Fill an interval around a line."""
    ax.fill_between(x, low, high, color=color, alpha=0.15, lw=0)


def bars(value, low, high):
    """Return the errors of an errorbar, (2, n), from values and their intervals."""
    value, low, high = (np.asarray(each, dtype=float) for each in (value, low, high))
    return np.maximum([value - low, high - value], 0)


def share_interval(correct):
    """
    Return the share of correct images with Wilson's interval.

    Parameters
    ----------
    correct : (n_images, ...) ndarray of bool

    Returns
    -------
    share, low, high : (...,) ndarray
    """
    n, counts = len(correct), np.sum(np.asarray(correct, dtype=bool), axis=0)
    # The same counts come again and again over time.
    different, where = np.unique(counts, return_inverse=True)
    low, high = (bound[where].reshape(counts.shape) for bound in map(np.asarray, accuracy_interval(different, n)))
    return counts / n, low, high


def image_draws(values, n_draws=N_DRAWS, seed=0):
    """
    Return the mean over images in bootstrap draws of them; NaN is left out.

    Parameters
    ----------
    values : (n_images, ...) ndarray
    n_draws, seed : int, optional
        Equal numbers give equal draws, so that differences and ratios of conditions are paired.

    Returns
    -------
    means : (n_draws, ...) ndarray
        NaN where all drawn images are.
    """
    values = np.asarray(values, dtype=float)
    n = len(values)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), n_draws).astype(float)
    known, flat = np.isfinite(values).reshape(n, -1).astype(float), np.nan_to_num(values).reshape(n, -1)
    weights = times @ known
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weights > 0, times @ flat / weights, np.nan).reshape(n_draws, *values.shape[1:])


def mean_interval(values, n_draws=N_DRAWS, seed=0):
    """Return the mean over images and its interval, (...,) ndarrays; see `image_draws`."""
    values = np.asarray(values, dtype=float)
    known = np.isfinite(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)
    return mean, *draw_interval(image_draws(values, n_draws, seed))


def paired_interval(lost):
    """
    Return the 95 % interval of a difference of paired decisions (Bonett and Price 2012, J. Educ. Behav. Stat. 37:479).

    It has a width where no decision differs.

    Parameters
    ----------
    lost : (n,) ndarray of -1, 0 or 1

    Returns
    -------
    low, high : float
    """
    n = len(lost) + 2
    worse, better = ((np.sum(lost == sign) + 1) / n for sign in (1, -1))
    error = 1.96 * np.sqrt((worse + better - (worse - better) ** 2) / n)
    return worse - better - error, worse - better + error


def class_ticks(ax, classes, names=None):
    """Write the name of each class in the middle of its items, which are sorted by class, along both axes of an RDM."""
    classes = np.asarray(classes)
    edges = np.flatnonzero(np.diff(classes)) + 0.5
    starts = np.r_[-0.5, edges]
    middles = (starts + np.r_[edges, len(classes) - 0.5]) / 2
    shown = classes[np.ceil(starts).astype(int)]
    labels = [str(c) if names is None else names[c] for c in shown]
    ax.set_xticks(middles, labels, rotation=90 if names is not None else 0, fontsize=7)
    ax.set_yticks(middles, labels, fontsize=7)
    ax.tick_params(length=0)
