"""Attention fields: the distribution of attention over a layer, as a modulation around zero."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from brainsnn.one_line import shortened

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Field", "ProductField", "Shape"]

#: Decimals to which the modulation is rounded, as in the published model.
DECIMALS = 4
Shape = tuple[int, ...]


class Field(ABC):
    """
    A non-negative envelope over the neurons of a layer, the same for all images or one per image.

    Fields can be multiplied: ``GaussianField(...) * FeatureField(...)`` attends to features at a location.

    Attributes
    ----------
    n_images : int or None
        Number of images of a field with one envelope per image; None for a field that is the same for all images.

    Examples
    --------
    >>> import numpy as np
    >>> from brainsnn.attention import Field
    >>> class LeftHalf(Field):
    ...     def envelope(self, shape, image=0, layer=None):
    ...         return (np.arange(shape[1]) < shape[1] / 2).astype(float)[None, :, None]
    >>> LeftHalf().modulation((1, 4, 1)).ravel()
    array([ 1.,  1., -1., -1.])
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

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.FeatureField([2, 1]).envelope((5, 5, 2))
        array([[[2., 1.]]])
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

        Examples
        --------
        >>> import brainsnn as bs
        >>> bs.ArrayField([[3, 1]]).modulation((1, 2, 1)).ravel()
        array([ 0.5, -0.5])
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
        """
        Return the field with layers under ``name_of(layer)``, the names of their populations.

        Examples
        --------
        >>> import brainsnn as bs
        >>> field = bs.FeatureField({"block1": [1, 0]}).for_layers({"block1": "block1_relu"}.get)
        >>> sorted(field.layer_names)
        ['block1_relu']
        """
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

        Examples
        --------
        >>> import brainsnn as bs
        >>> axes = bs.GaussianField((0.3, 0.7), 0.2).plot(limit=0.5)
        >>> axes.get_xlabel()
        'column (fraction)'
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

    Examples
    --------
    >>> import brainsnn as bs
    >>> field = bs.GaussianField((0.5, 0.5), 0.2) * bs.FeatureField([2, 1])
    >>> type(field).__name__, field.envelope((8, 8, 2)).shape
    ('ProductField', (8, 8, 2))
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
