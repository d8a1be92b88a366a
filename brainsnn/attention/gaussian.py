"""Attention to a location."""

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.attention.fields import Field, Shape
from brainsnn.attention.layer_names import by_population
from brainsnn.plain_arrays import is_number, plain_array

__all__ = ["GaussianField", "Width"]

SHAPES = ("oval", "cross")
#: In fractions of the image; a field around its middle is then nearly uniform.
LARGEST_WIDTH = 2
#: For both axes, or for each.
OneWidth = float | Sequence[float | None] | None
#: In all layers, or by the name of the layer.
Width = OneWidth | Mapping[str, OneWidth]


class GaussianField(Field):
    """
    A Gaussian around a location, in fractions of the layer.

    Parameters
    ----------
    center : (row, column) or (n_images, 2) array_like
        Fractions of the layer; pixel centres lie at (k + 1/2)/n. Values outside 0-1 are allowed. None for a coordinate
        makes the field uniform along that axis.
    width : float or (row, column), or dict of layer name to these, optional
        Standard deviation in fractions of the layer, at most 2. None, or None for one axis, makes the field uniform along both
        axes or that axis. `pixel_widths` makes a dict for a width in pixels.
    shape : {"oval", "cross"}, optional
        Product of the Gaussians along both axes, or a cross of them.
    peak, base : float, optional
        Largest and smallest value of an oval.
    exponent : float, optional
        Exponent of the product of the two axes.

    Raises
    ------
    ValueError
        If an argument is not valid.

    Notes
    -----
    Let g be Gaussians of height 1 along rows and columns. An oval is E = ``base + (peak - base)*(g_row*g_col)**exponent``.
    For a cross, each axis is rescaled first, a = ``base + (peak - base)*g``, and
    E = ``base + (peak - base)*(a_row*a_col)**exponent``.

    References
    ----------
    Reynolds, Heeger (2009), The normalization model of attention, Neuron 61. Soerensen, Zambrano, Slagter, Bohte, Scholte
    (2022), J. Cogn. Neurosci. 34.

    Examples
    --------
    >>> from brainsnn.attention import GaussianField
    >>> GaussianField((0.5, 0.5), 0.25).modulation((3, 3, 1))[..., 0]
    array([[-0.146 ,  0.0308, -0.146 ],
           [ 0.0308,  0.461 ,  0.0308],
           [-0.146 ,  0.0308, -0.146 ]])
    """

    def __init__(
        self, center: ArrayLike, width: Width = 0.25, shape: str = "oval", peak: float = 2.0, base: float = 1.0,
        exponent: float = 1.0,
    ) -> None:  # fmt: skip
        if not isinstance(shape, str) or shape not in SHAPES:
            raise ValueError(f"GaussianField.shape: must be one of {', '.join(map(repr, SHAPES))}, got {shape!r}.")
        self.center = plain_array(center, "GaussianField.center", float).copy()  # None becomes NaN
        if self.center.ndim not in (1, 2) or self.center.shape[-1] != 2 or self.center.size == 0:
            raise ValueError(
                f"GaussianField.center: must be (row, column) or have shape (n_images, 2), got shape {self.center.shape}."
            )
        if np.count_nonzero(~np.isfinite(self.center)) != sum(
            value is None for value in np.asarray(center, dtype=object).flat
        ):
            raise ValueError(f"GaussianField.center: must be finite, or None for a uniform axis, got {center!r}.")
        if (np.abs(self.center - 0.5) > 1).any():
            raise ValueError(
                f"GaussianField.center: rows and columns are fractions of the image, 0 to 1 within it; {center!r} lies outside "
                "by more than half of its size. For pixel k of n, give (k + 0.5)/n."
            )
        self.n_images = len(self.center) if self.center.ndim == 2 else None
        self.width: Any = (
            {layer: _both_axes(each) for layer, each in width.items()}
            if isinstance(width, Mapping)
            else _both_axes(width)
        )
        if not (is_number(base, low=0) and is_number(peak, above=base)):
            raise ValueError(f"GaussianField: must have 0 <= base < peak, got base={base!r}, peak={peak!r}.")
        if not is_number(exponent, above=0):
            raise ValueError(f"GaussianField.exponent: must be a positive number, got {exponent!r}.")
        self.shape, self.peak, self.base, self.exponent = shape, peak, base, exponent

    @property
    def layer_names(self) -> set[str]:
        """Layers to which a dict of widths gives one (set of str)."""
        return set(self.width) if isinstance(self.width, dict) else set()

    def for_layers(self, name_of: Callable[[str], str]) -> "GaussianField":
        """Return the field with the names of populations; see `Field.for_layers`."""
        field = copy(self)
        if isinstance(self.width, dict):
            field.width = by_population(self.width, name_of, "GaussianField.width")
        return field

    def _widths(self, layer: str | None) -> tuple[float | None, float | None]:
        """Return the width along both axes in a layer."""
        if not isinstance(self.width, dict):
            return self.width
        if layer not in self.width:
            raise ValueError(
                f"GaussianField.width: has no width for layer {layer!r}. Give one, or attend to the others alone: "
                f"attend(..., layers={sorted(self.width)})."
            )
        return self.width[layer]

    def envelope(self, shape: Shape, image: int = 0, layer: str | None = None) -> np.ndarray:
        """Return the envelope, (H, W, 1); see `Field.envelope`."""
        center = self.center if self.n_images is None else self.center[image]
        axes = [self._axis(n, place, width) for n, place, width in zip(shape[:2], center, self._widths(layer))]
        if self.shape == "cross":
            axes = [self._rescale(axis) for axis in axes]
        product = axes[0][:, None] * axes[1][None, :]
        return self._rescale(product**self.exponent)[..., None]

    def _rescale(self, values: np.ndarray) -> np.ndarray:
        return self.base + (self.peak - self.base) * values

    @staticmethod
    def _axis(n: int, place: float, width: float | None) -> np.ndarray:
        if width is None or np.isnan(place):
            return np.ones(n)
        return np.exp(-((((np.arange(n) + 0.5) / n) - place) ** 2) / (2 * width**2))

    def __str__(self) -> str:
        where = f"{self.n_images} locations" if self.n_images else tuple(self.center.tolist())
        return f"<GaussianField: {self.shape} at {where}, width {self.width}>"


def _both_axes(width: Any) -> tuple[float | None, float | None]:
    """Return the width along rows and columns."""
    is_pair = isinstance(width, list | tuple) or (isinstance(width, np.ndarray) and width.ndim > 0)
    widths = tuple(width) if is_pair else (width, width)
    if len(widths) != 2 or not all(w is None or is_number(w, above=0) for w in widths):
        raise ValueError(f"GaussianField.width: must be a positive number, or one for each axis, got {width!r}.")
    if any(w is not None and w > LARGEST_WIDTH for w in widths):
        raise ValueError(
            f"GaussianField.width: widths are fractions of the image, at most {LARGEST_WIDTH}; with {width!r} the field "
            "would be nearly uniform. For w of n pixels, give w/n; for a uniform axis, None."
        )
    return widths
