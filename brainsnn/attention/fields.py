"""Attention fields: the distribution of attention over a layer, as a modulation around zero."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.attention.layer_names import by_population
from brainsnn.one_line import shortened
from brainsnn.plain_arrays import is_number, plain_array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Field", "GaussianField", "ArrayField", "ProductField"]

#: Decimals to which the modulation is rounded, as in the published model.
DECIMALS = 4
SHAPES = ("oval", "cross")
Shape = tuple[int, ...]
#: For both axes, or for each.
OneWidth = float | Sequence[float | None] | None
#: In all layers, or by the name of the layer.
Width = OneWidth | Mapping[str, OneWidth]


class Field(ABC):
    """
    A non-negative envelope over the neurons of a layer, the same for all images or one per image.

    Fields can be multiplied: ``GaussianField(...) * FeatureField(...)`` attends to features at a location.

    Attributes
    ----------
    n_images : int or None
        Number of images of a field with one envelope per image; None for a field that is the same for all images.
    """

    n_images: int | None = None

    def __repr__(self) -> str:
        return shortened(str(self))

    def __str__(self) -> str:
        return f"<{type(self).__name__}>"

    @property
    def layer_names(self) -> set[str]:
        """Layers that the field names; empty for a field that is the same in all layers (set of str)."""
        return set()

    @abstractmethod
    def envelope(self, shape: Shape, image: int = 0, layer: str | None = None) -> np.ndarray:
        """
        Return the envelope E of a layer.

        Parameters
        ----------
        shape : tuple of int
            (H, W, C) of the layer.
        image : int, optional
            Index of the image.
        layer : str, optional
            Name of the layer, for fields that differ between layers.

        Returns
        -------
        envelope : ndarray
            Broadcasts to (H, W, C).
        """

    def modulation(self, shape: Shape, image: int = 0, layer: str | None = None) -> np.ndarray:
        """
        Return the modulation R = E/mean(E) - 1 of a layer, rounded to 1e-4.

        Parameters
        ----------
        shape : tuple of int
            (H, W, C) of the layer.
        image : int, optional
            Index of the image.
        layer : str, optional
            Name of the layer.

        Returns
        -------
        modulation : ndarray
            Broadcasts to (H, W, C). Its mean over the layer is 0, apart from rounding. In a layer of one neuron it is 0.

        Raises
        ------
        ValueError
            If the envelope has negative or non-finite values, or is 0 everywhere.
        """
        envelope = np.asarray(self.envelope(shape, image, layer), dtype=float)
        mean = envelope.mean()
        if not np.isfinite(envelope).all() or envelope.min() < 0 or mean <= 0:
            raise ValueError(
                f"{type(self).__name__}: an attention field must be finite, nowhere negative and somewhere positive. In a layer "
                f"of shape {tuple(shape)} its values range from {envelope.min():g} to {envelope.max():g}."
            )
        return np.round(envelope / mean - 1, DECIMALS)

    def for_layers(self, name_of: Callable[[str], str]) -> "Field":
        """Return the field with layers under ``name_of(layer)``, the names of their populations."""
        return self

    def __mul__(self, other: "Field") -> "ProductField":
        if not isinstance(other, Field):
            return NotImplemented
        return ProductField(self, other)

    def plot(
        self, image: ArrayLike | None = None, index: int = 0, shape: tuple[int, int] | None = None,
        layer: str | None = None, ax: "Axes | None" = None, alpha: float = 0.45, colorbar: bool = True,
        limit: float | None = None,
    ) -> "Axes":  # fmt: skip
        """
        Draw the modulation over an image.

        Parameters
        ----------
        image : (H, W) or (H, W, C) array_like, optional
            Drawn in gray (or colour) below the field.
        index : int, optional
            Index of the image, for a field with one envelope per image.
        shape : tuple of int, optional
            (H, W) at which the field is evaluated: by default that of the image, or (64, 64) without an image.
        layer : str, optional
            Name of the layer, for fields that differ between layers.
        ax : `~matplotlib.axes.Axes`, optional
        alpha : float, optional
            Opacity of the field over an image.
        colorbar : bool, optional
        limit : float, optional
            Modulation at the ends of the colour scale; by default the largest magnitude in the field.

        Returns
        -------
        ax : `~matplotlib.axes.Axes`
        """
        import matplotlib.pyplot as plt

        ax = plt.subplots(figsize=(4, 3.4))[1] if ax is None else ax
        shape = shape or (np.shape(image)[:2] if image is not None else (64, 64))
        modulation = np.asarray(self.modulation((*shape, 1), index, layer))
        modulation = np.broadcast_to(modulation.mean(axis=-1), shape)
        if image is not None:
            ax.imshow(np.squeeze(image), cmap="gray", extent=(0, 1, 1, 0), aspect=shape[0] / shape[1])
        limit = max(np.abs(modulation).max(), 10.0**-DECIMALS) if limit is None else limit
        drawn = ax.imshow(
            modulation, cmap="RdBu_r", vmin=-limit, vmax=limit, extent=(0, 1, 1, 0), aspect=shape[0] / shape[1],
            alpha=alpha if image is not None else 1.0,
        )  # fmt: skip
        ax.set(xlabel="column (fraction)", ylabel="row (fraction)")
        if colorbar:
            bar = ax.figure.colorbar(drawn, ax=ax, label="modulation R")
            bar.solids.set_alpha(1)  # type: ignore[union-attr]
        return ax


class GaussianField(Field):
    """
    A Gaussian around a location, in fractions of the layer.

    Parameters
    ----------
    center : (row, column) or (n_images, 2) array_like
        Fractions of the layer; pixel centres lie at (k + 1/2)/n. Values outside 0-1 are allowed. None for a coordinate
        makes the field uniform along that axis.
    width : float or (row, column), or dict of layer name to these, optional
        Standard deviation in fractions of the layer. None, or None for one axis, makes the field uniform along both axes or
        that axis. `pixel_widths` makes a dict for a width in pixels.
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


class ArrayField(Field):
    """
    A field from any map, such as a saliency map, a mask, or another network's output.

    Parameters
    ----------
    values : (H, W), (H, W, C) or (n_images, H, W, C) array_like
        Non-negative. Resized to each layer by averaging over the area of the layer's pixels. C is 1 or the number of
        channels of the layer.

    Raises
    ------
    ValueError
        If the array has another number of axes, or negative or non-finite values.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.attention import ArrayField
    >>> mask = np.zeros((4, 4)); mask[:2, :2] = 1
    >>> ArrayField(mask).modulation((2, 2, 8))[..., 0]
    array([[ 3., -1.],
           [-1., -1.]])
    """

    def __init__(self, values: ArrayLike) -> None:
        values = plain_array(values, "ArrayField", float).copy()
        if values.ndim not in (2, 3, 4) or values.size == 0:
            raise ValueError(
                f"ArrayField: expected shape (H, W), (H, W, C) or (n_images, H, W, C), got {values.shape}. For one (H, W) map "
                "per image, pass maps[..., None]."
            )
        if not np.isfinite(values).all() or values.min() < 0:
            raise ValueError(
                f"ArrayField: values must be finite and not negative, got values from {values.min():g} to {values.max():g}."
            )
        self.values = values[..., None] if values.ndim == 2 else values
        self.n_images = len(values) if values.ndim == 4 else None

    def envelope(self, shape: Shape, image: int = 0, layer: str | None = None) -> np.ndarray:
        """Return the envelope, (H, W, 1) or (H, W, C); see `Field.envelope`."""
        values = self.values if self.n_images is None else self.values[image]
        if values.shape[-1] not in (1, shape[-1]):
            raise ValueError(
                f"ArrayField: {values.shape[-1]} channels for the {shape[-1]} channels of layer {layer!r}. Use one channel, or "
                "attend(..., layers=[...]) with layers of as many channels."
            )
        rows, cols = (_area_weights(n_in, n_out) for n_in, n_out in zip(values.shape[:2], shape[:2]))
        return np.einsum("ij,jkc,lk->ilc", rows, values, cols)

    def __str__(self) -> str:
        return f"<ArrayField: {self.values.shape}>"


class ProductField(Field):
    """
    The product of the envelopes of two fields, such as location and features.

    Parameters
    ----------
    first, second : `Field`

    Raises
    ------
    ValueError
        If both fields have one envelope per image, for different numbers of images.
    """

    def __init__(self, first: Field, second: Field) -> None:
        numbers = {field.n_images for field in (first, second)} - {None}
        if len(numbers) > 1:
            raise ValueError(
                f"ProductField: one field is for {first.n_images} images, the other for {second.n_images}."
            )
        self.first, self.second = first, second
        self.n_images = numbers.pop() if numbers else None

    @property
    def layer_names(self) -> set[str]:
        """Layers that one of the two fields names (set of str)."""
        return self.first.layer_names | self.second.layer_names

    def envelope(self, shape: Shape, image: int = 0, layer: str | None = None) -> np.ndarray:
        """Return the envelope, (H, W, C); see `Field.envelope`."""
        return self.first.envelope(shape, image, layer) * self.second.envelope(shape, image, layer)

    def for_layers(self, name_of: Callable[[str], str]) -> "ProductField":
        """Return the field with the names of populations; see `Field.for_layers`."""
        return ProductField(self.first.for_layers(name_of), self.second.for_layers(name_of))

    def __str__(self) -> str:
        return f"<ProductField: {self.first} * {self.second}>"


def _both_axes(width: Any) -> tuple[float | None, float | None]:
    """Return the width along rows and columns."""
    is_pair = isinstance(width, list | tuple) or (isinstance(width, np.ndarray) and width.ndim > 0)
    widths = tuple(width) if is_pair else (width, width)
    if len(widths) != 2 or not all(w is None or is_number(w, above=0) for w in widths):
        raise ValueError(f"GaussianField.width: must be a positive number, or one for each axis, got {width!r}.")
    return widths


def _area_weights(n_in: int, n_out: int) -> np.ndarray:
    """Return the (n_out, n_in) matrix of the fraction of each output pixel that each input pixel covers."""
    edges_in, edges_out = np.arange(n_in + 1) / n_in, np.arange(n_out + 1) / n_out
    low = np.maximum(edges_in[None, :-1], edges_out[:-1, None])
    high = np.minimum(edges_in[None, 1:], edges_out[1:, None])
    overlap = np.maximum(high - low, 0)
    return overlap / overlap.sum(axis=1, keepdims=True)
