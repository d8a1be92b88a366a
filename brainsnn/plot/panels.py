"""What all panels share: their size, their axes, and pictures with a scale."""

from contextlib import contextmanager

import matplotlib.pyplot as plt

from brainsnn.plot_style import axes_for, style

__all__ = ["colour_bar", "map_picture", "panel"]

#: Width of a column of a paper, in inches.
COLUMN = 85 / 25.4


@contextmanager
def panel(ax, about, height=0.7):
    """
    Draw on a panel: ``with panel(ax, "plot.rates") as ax: ...``. If this fails, a new figure is closed.

    Parameters
    ----------
    ax : `matplotlib.axes.Axes` or None
        None makes a figure of the width of a column.
    about : str
        The function, for the message of an error.
    height : float, optional
        Of a new figure, as a fraction of its width.

    Yields
    ------
    ax : `matplotlib.axes.Axes`
    """
    with style(), plt.rc_context({"font.size": 8, "axes.titlesize": 8, "legend.fontsize": 7}):
        drawn = axes_for(ax, (COLUMN, height * COLUMN), about)
        try:
            yield drawn
        except BaseException:
            if ax is None:
                plt.close(drawn.figure)
            raise


def colour_bar(ax, image, label):
    """Add the scale of a picture, with its unit."""
    ax.figure.colorbar(image, ax=ax, label=label, fraction=0.046, pad=0.03)


def map_picture(ax, picture, cmap, label, limits):
    """Draw a picture of neurons with its scale, from low to high of ``limits`` if the values do not differ; return the image."""
    shown = ax.imshow(picture, cmap=cmap, interpolation="nearest")
    low, high = shown.get_clim()
    if not low < high:  # one value, or none: NaN or masked
        shown.set_clim(limits)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    colour_bar(ax, shown, label)
    return shown
