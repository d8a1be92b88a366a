"""What all panels share: their size, their axes, and pictures with a scale."""

from contextlib import contextmanager

import matplotlib.pyplot as plt

from brainsnn.plot_style import style

__all__ = ["colour_bar", "panel"]

#: Width of a column of a paper, in inches.
COLUMN = 85 / 25.4


@contextmanager
def panel(ax, height=0.7):
    """
    Draw on a panel: ``with panel(ax) as ax: ...``.

    Parameters
    ----------
    ax : `matplotlib.axes.Axes` or None
        None makes a figure of the width of a column.
    height : float, optional
        Of a new figure, as a fraction of its width.

    Yields
    ------
    ax : `matplotlib.axes.Axes`
    """
    with style(), plt.rc_context({"font.size": 8, "axes.titlesize": 8, "legend.fontsize": 7}):
        yield plt.subplots(figsize=(COLUMN, height * COLUMN), layout="constrained")[1] if ax is None else ax


def colour_bar(ax, image, label):
    """Add the scale of a picture, with its unit."""
    ax.figure.colorbar(image, ax=ax, label=label, fraction=0.046, pad=0.03)
