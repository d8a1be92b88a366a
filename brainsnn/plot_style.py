"""Colours and style of all figures."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from brainsnn.one_line import brief

__all__ = ["PALETTE", "axes_for", "style"]

#: Colours that colour-blind readers can distinguish (Okabe and Ito 2008).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def style():
    """
    Return a plain style for figures, for use as ``with style(): ...``.

    Returns
    -------
    context : context manager

    Examples
    --------
    >>> import matplotlib.pyplot as plt
    >>> from brainsnn.analysis import style
    >>> with style():
    ...     figure, ax = plt.subplots()
    """
    return plt.rc_context(
        {
            "axes.prop_cycle": plt.cycler(color=PALETTE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": 10,
            "font.size": 10,
            "legend.frameon": False,
            "legend.fontsize": 9,
            "lines.linewidth": 1.4,
            "figure.dpi": 110,
            "savefig.dpi": 150,
            "svg.fonttype": "none",
            "svg.hashsalt": "brainsnn",
        }
    )


def axes_for(ax, size, about):
    """
    Return the axes that a user gives, or those of a new figure.

    Parameters
    ----------
    ax : `matplotlib.axes.Axes` or None
    size : tuple of float
        Of a new figure, in inches.
    about : str
        The message of an error starts with it.

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    ValueError
        If it is something else, or axes on which a panel cannot be drawn: polar or 3D ones, or ones that were removed.
    """
    if ax is None:
        return plt.subplots(figsize=size, layout="constrained")[1]
    if not isinstance(ax, Axes):
        raise ValueError(
            f"{about}: ax={brief(ax)} must be one matplotlib Axes, such as plt.subplots()[1]; of several, give one: axes[0]."
        )
    if ax.name != "rectilinear":
        raise ValueError(
            f"{about}: ax is of the projection {ax.name!r}; give axes with plain x and y, as plt.subplots()[1]."
        )
    if ax.figure is None:
        raise ValueError(f"{about}: ax was removed from its figure; give axes of a figure, such as plt.subplots()[1].")
    return ax
