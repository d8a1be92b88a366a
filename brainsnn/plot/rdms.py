"""Representational dissimilarity matrices."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.pyplot import get_cmap
from numpy.typing import ArrayLike

from brainsnn.one_line import brief
from brainsnn.plain_arrays import finite_array, plain_array, plain_text, whole_numbers
from brainsnn.plot.panels import colour_bar, panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["rdm"]


def rdm(
    dissimilarities: ArrayLike,
    classes: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    label: str = "1 - correlation",
    ax: "Axes | None" = None,
) -> "Axes":
    """
    Draw a representational dissimilarity matrix.

    Parameters
    ----------
    dissimilarities : (n, n) array_like
        Symmetric, with 0 on the diagonal. The row and the column of an image whose pattern is undefined are NaN, as
        `brainsnn.analysis.dissimilarity_matrix` returns them; they are grey, and the title counts them.
    classes : (n,) array_like, optional
        Class of each image; images are sorted by it, and lines part the classes.
    names : sequence of str, optional
        Names of the classes, by their number.
    label : str, optional
        Measure of dissimilarity.
    ax : `matplotlib.axes.Axes`, optional

    Returns
    -------
    ax : `matplotlib.axes.Axes`

    Raises
    ------
    ValueError
        If the matrix is not square, not symmetric, has values other than 0 on the diagonal, or other NaN; if there is not one
        class for each image; or if names come without classes, or are not one for each.

    Examples
    --------
    >>> from brainsnn.plot import rdm
    >>> ax = rdm([[0, 1, 2], [1, 0, 1], [2, 1, 0]], classes=[1, 0, 1], names=["cat", "dog"])
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['cat', 'dog']
    """
    matrix = _matrix(dissimilarities)
    label = plain_text(label, "plot.rdm: label", "1 - correlation")
    own, own_names = (None, []) if classes is None and names is None else _classes(classes, names, len(matrix))
    with panel(ax, "plot.rdm", 0.85) as ax:
        if own is not None:
            order = np.argsort(own, kind="stable")
            matrix = matrix[np.ix_(order, order)]
            _, starts, counts = np.unique(own[order], return_index=True, return_counts=True)
            for start in starts[1:]:
                ax.axhline(start - 0.5, color="white", linewidth=0.8)
                ax.axvline(start - 0.5, color="white", linewidth=0.8)
            middles = starts + (counts - 1) / 2
            ax.set_xticks(middles, own_names, rotation=90)
            ax.set_yticks(middles, own_names)
        else:
            ax.set(xlabel="image", ylabel="image")
        grey, n_grey = get_cmap("viridis").with_extremes(bad="0.8"), np.isnan(matrix).all(axis=1).sum()
        shown = ax.imshow(matrix, cmap=grey, interpolation="nearest")
        ax.set_title(f"n = {len(matrix)} images" + (f", {n_grey} of them undefined (grey)" if n_grey else ""))
        colour_bar(ax, shown, label)
    return ax


def _matrix(dissimilarities):
    """Return the matrix, after a check that it is one of dissimilarities."""
    about = "plot.rdm: dissimilarities"
    matrix = finite_array(dissimilarities, about, nan=True)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(f"{about} of shape {matrix.shape}; expected a square matrix, (n, n).")
    is_nan, undefined = np.isnan(matrix), np.isnan(matrix).all(axis=1)
    if undefined.all() or (is_nan != undefined[:, None] | undefined).any():
        raise ValueError(
            f"{about}: {is_nan.sum()} of {matrix.size} values are NaN; only the row and the column of an image whose pattern is "
            "undefined may be, as a whole, and not those of all images. Leave other images with NaN out."
        )
    _check_values(np.where(is_nan, 0.0, matrix), about)
    return matrix


def _check_values(matrix, about):
    """Refuse a matrix that is not symmetric, or not 0 on the diagonal."""
    close = 1e-5 * np.abs(matrix).max()  # those of single precision differ a little
    off = np.abs(matrix - matrix.T)
    if off.max() > close:
        i, j = np.unravel_index(off.argmax(), off.shape)
        raise ValueError(
            f"{about} are not symmetric: [{i}, {j}] is {matrix[i, j]:g}, and [{j}, {i}] is {matrix[j, i]:g}; give the mean of "
            "the matrix and its transpose, if that is meant."
        )
    k = np.abs(np.diag(matrix)).argmax()
    if abs(matrix[k, k]) > close:
        raise ValueError(
            f"{about}: [{k}, {k}] is {matrix[k, k]:g}, and an image does not differ from itself; give 0 on the diagonal. For "
            "correlations, give 1 - correlation."
        )


def _classes(classes, names, n):
    """Return the class of each of n images, and the names of those that there are, in order."""
    if classes is None:
        raise ValueError(
            f"plot.rdm: names={brief(names)} are of classes, and classes=None; give one class for each image."
        )
    classes = plain_array(classes, "plot.rdm: classes")
    if classes.shape != (n,):
        raise ValueError(f"plot.rdm: classes of shape {classes.shape} for {n} images; give one for each.")
    if classes.dtype.kind not in "biuSUf" or classes.dtype.kind == "f" and not np.isfinite(classes).all():
        raise ValueError(f"plot.rdm: classes={brief(classes)} must be numbers or texts, none of them NaN.")
    if names is None:
        return classes, [str(k) for k in np.unique(classes)]
    names = names.tolist() if isinstance(names, np.ndarray) else names
    if not isinstance(names, (list, tuple)) or not names or not all(isinstance(name, str) for name in names):
        raise ValueError(f"plot.rdm: names={brief(names)} must be a list of texts, one for each class.")
    try:
        classes = whole_numbers(classes, "plot.rdm: classes", len(names))
    except ValueError as error:
        raise ValueError(f"{error} Classes are places in names={brief(names)}; give one name for each.") from None
    return classes, [names[k] for k in np.unique(classes)]
