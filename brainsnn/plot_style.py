"""Colours and style of all figures."""

import matplotlib.pyplot as plt

__all__ = ["PALETTE", "style"]

#: Colours that colour-blind readers can distinguish (Okabe and Ito 2008).
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")


def style():
    """
    Return a plain style for figures, for use as ``with style(): ...``.

    Returns
    -------
    context : context manager
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
